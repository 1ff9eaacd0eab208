"""Find the model in a pipeline or a search, and apply the steps before it.

Scorers, displays and model selection share this rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.impute import MissingIndicator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

Steps = tuple[tuple[str, Any], ...]

MAX_NAMES = 20
"""Names of components that an error lists, at most."""


@dataclass(frozen=True)
class FoundModel:
    """A model, and the steps of a pipeline around it.

    Attributes
    ----------
    before, after : tuple of (str, estimator)
        Steps before and after the model, with the steps of nested pipelines in place
        of these pipelines. Names are full names, such as ``"inner__scaler"``.
    model : estimator
        The model itself, not a copy.
    """

    before: Steps
    model: Any
    after: Steps

    @property
    def first_step(self):
        """The step that receives the user's data."""
        return self.before[0][1] if self.before else self.model

    def transform_before(self, X):
        """Return the input of the model: X after every step before it."""
        for _, step in self.before:
            X = step.transform(X)
        return X

    def codes(self, X, method="transform"):
        """Return the output of a method of the model for X, as a dense table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, the input of the pipeline.
        method : str, default="transform"
            Method of the model.

        Returns
        -------
        codes : ndarray or DataFrame of shape (n_samples, n_codes)
            Sparse output is made dense.
        """
        codes = getattr(self.model, method)(self.transform_before(X))
        return codes.toarray() if hasattr(codes, "toarray") else codes

    def keeps_columns(self):
        """Return whether each later transformer maps column k to column k."""
        return all(
            isinstance(step, OneToOneFeatureMixin)
            for _, step in self.after
            if hasattr(step, "transform")
        )


def component_names(model, n_codes):
    """Return the names of a model's components, (n_codes,), as the user set them."""
    names = getattr(model, "component_names_", None)
    return default_names(n_codes) if names is None else names


def default_names(n_codes):
    """Return the names of components that have none of their own, (n_codes,)."""
    return np.array([f"component {j}" for j in range(n_codes)], dtype=object)


def component_index(key, model, n_codes):
    """Return the index of a component that is given by its index or a name.

    Parameters
    ----------
    key : int or str
        The index; the name that tables show, such as "component 3", also as
        "component_3"; or the name of the column of ``transform``.
    model : estimator
        Fitted.
    n_codes : int
        Number of components.

    Returns
    -------
    index : int

    Raises
    ------
    ValueError
        If there is no such component.
    """
    is_index = isinstance(key, Integral) and not isinstance(key, bool)
    if is_index and 0 <= int(key) < n_codes:
        return int(key)
    names = component_names(model, n_codes).tolist()
    if isinstance(key, str):
        outputs = list(getattr(model, "get_feature_names_out", list)())
        for known in (names, outputs if len(outputs) == n_codes else []):
            if key in known:
                return known.index(key)
        numbered = re.fullmatch(r"(.*?)[_ ]?(\d+)", key)
        stems = "component", type(model).__name__.lower()
        if numbered and numbered[1] in stems and int(numbered[2]) < n_codes:
            return int(numbered[2])
    shown = ", ".join(map(repr, names[:MAX_NAMES])) + ", ..." * (n_codes > MAX_NAMES)
    raise ValueError(
        f"{key!r} is not the index of a component, nor its name; expected an integer "
        f"from 0 to {n_codes - 1}, or one of the names {shown}."
    )


def find_model(estimator, methods=("transform",), step=None):
    """Find the last step that has a method.

    Pipelines may be nested, contain steps that are None or "passthrough", and continue
    after the model. A fitted search, alone or as a step, stands for its
    ``best_estimator_``.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted or not.
    methods : tuple of str, default=("transform",)
        Methods in order of preference: the last step with the first of them, else the
        last step with the second, and so on.
    step : str, default=None
        Full name of a step, such as ``"inner__pca"``. If given, only this step, or the
        steps of this nested pipeline, are candidates. A step that passes its input
        through stands for the steps before it.

    Returns
    -------
    found : FoundModel or None
        None if no candidate has any of the methods.

    Raises
    ------
    ValueError
        If `step` is not a step of the pipeline.
    """
    steps = flatten(estimator)
    for method in methods:
        for i in reversed(_candidates(estimator, steps, step)):
            if hasattr(steps[i][1], method):
                return FoundModel(
                    _transformers(steps[:i]), steps[i][1], _present(steps[i + 1 :])
                )
    return None


def flatten(estimator, name=""):
    """Return the steps of an estimator, nested pipelines in place.

    Parameters
    ----------
    estimator : estimator, Pipeline, search, None or "passthrough"
        An estimator that is not a pipeline counts as its own only step.
    name : str, default=""
        Full name of the estimator in the pipeline that contains it.

    Returns
    -------
    steps : list of (str, estimator or None)
        Full names and steps; None for a step that passes its input through.
    """
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        is_identity = estimator is None or isinstance(estimator, str)
        return [(name or type(estimator).__name__, None if is_identity else estimator)]
    prefix = f"{name}__" if name else ""
    return [
        pair
        for inner, part in estimator.steps
        for pair in flatten(part, f"{prefix}{inner}")
    ]


def category_columns(model):
    """Return the columns of a model's codes that belong to each of its categories.

    Returns
    -------
    columns : list of ndarray of int
        One array for each category, of the columns of its levels' probabilities.
    """
    return [np.asarray(one) for one in getattr(model, "category_columns_", ())]


def active_columns(model):
    """Return the columns of the codes that a model lists as active, (n_active,) int.

    ``active_components_`` does not list categories, which have no KL divergence; they
    count as active.

    Returns
    -------
    columns : ndarray of int, or None
        None if the model has no such list.
    """
    listed = getattr(model, "active_components_", None)
    if listed is None:
        return None
    return np.concatenate([np.asarray(listed, dtype=int), *category_columns(model)])


def kl_of_columns(model):
    """Return the information in each column of the codes, nats per sample.

    NaN for the columns of categories; None if the model does not hold it.
    """
    kl = getattr(model, "kl_per_component_", None)
    if kl is None:
        return None
    return np.append(kl, [np.nan for one in category_columns(model) for _ in one])


def number_names(model):
    """Return the names of the numbers that a fitted model reads from a table.

    Returns
    -------
    names : ndarray of str, or None
        None if the columns of the table are numbers themselves.
    """
    return getattr(model, "number_names_", None)


def numbers_of(model, X):
    """Return the samples of a model as numbers, float64 (n_samples, n_numbers).

    Columns of other types are those of :func:`number_names`.
    """
    if number_names(model) is not None:
        X = model.numbers(X)
    return np.asarray(X, dtype=np.float64)


SCALERS = StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler
"""Steps that change the units of columns alone."""


def names_before(before, X):
    """Return the names of the user's columns, if the steps before a model keep them.

    Parameters
    ----------
    before : tuple of (str, estimator)
        Steps before the model.
    X : array-like of shape (n_samples, n_features)
        Samples, the input of the first of them.

    Returns
    -------
    names : list of str, or None
        None without steps, without names, and where a step has other columns.
    """
    if not before or not all(isinstance(s, OneToOneFeatureMixin) for _, s in before):
        return None
    names = getattr(X, "columns", getattr(before[0][1], "feature_names_in_", None))
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return list(names)


def is_imputer(step):
    """Return whether a step is an imputer of scikit-learn.

    An imputer keeps the units of its columns. ``IterativeImputer`` is recognised by its
    module: importing it needs the experimental switch of scikit-learn.
    """
    modules = [cls.__module__ for cls in type(step).__mro__]
    return not isinstance(step, MissingIndicator) and any(
        module.startswith("sklearn.impute") for module in modules
    )


def _candidates(estimator, steps, step):
    """Return the positions at which the model may be."""
    if step is None:
        return range(len(steps))
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        raise ValueError(
            f"step={step!r} names a step of a pipeline, but the estimator is a "
            f"{type(estimator).__name__}. Leave step at None for it."
        )
    names = [name for name, _ in steps]
    inside = [i for i, n in enumerate(names) if n == step or n.startswith(f"{step}__")]
    if not inside:
        raise ValueError(
            f"step={step!r} is not a step of the pipeline; expected one of {names}."
        )
    is_identity = all(steps[i][1] is None for i in inside)
    return range(0 if is_identity else inside[0], inside[-1] + 1)


def _present(steps):
    return tuple(pair for pair in steps if pair[1] is not None)


def _transformers(steps):
    """Leave out steps without ``transform``: samplers, which act in ``fit`` only."""
    return tuple(pair for pair in steps if hasattr(pair[1], "transform"))

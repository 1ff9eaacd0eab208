"""Encode and decode with the model of a pipeline, in chunks and in original units.

Axes: ``n`` rows, ``d`` latents, ``p`` features as the user knows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from .._moments import sum_columns
from .._pipelines import (
    FoundModel,
    active_columns,
    category_columns,
    component_names,
    default_names,
    find_model,
    is_imputer,
    kl_of_columns,
    number_names,
    numbers_of,
)
from ..sources import as_source

VALUES_AT_ONCE = 2**22
"""Largest number of values in a chunk."""

TAIL = 0.025
"""Share of the samples beyond either end of a traversal, for ``unit="quantile"``."""

SPAN = 2.0
"""Standard deviations by which a component moves to either side, for other units."""

UNITS = {
    "quantile": (TAIL, 1 - TAIL),
    "aggregate": (-SPAN, SPAN),
    "posterior": (-SPAN, SPAN),
}
"""First and last position of a traversal: quantiles, or standard deviations."""


@dataclass(frozen=True)
class Survey:
    """Moments of the codes and of the features of a dataset.

    Attributes
    ----------
    mean, std : ndarray of shape (n, d)
        Posterior mean and standard deviation of each sample's code; ``std`` is zero for
        a model without a posterior.
    feature_std : ndarray of shape (p,)
        Standard deviation of the user's columns, without missing values.
    categories : tuple of ndarray of int
        Columns of the codes that hold the probabilities of each category's levels.
    """

    mean: np.ndarray
    std: np.ndarray
    feature_std: np.ndarray
    categories: tuple = ()

    @property
    def centre(self):
        """Mean code, (d,)."""
        return self.mean.mean(axis=0)

    def step(self, unit):
        """Return one standard deviation of each component, (d,)."""
        within = np.square(self.std).mean(axis=0)
        if unit == "posterior" and within.any():
            return np.sqrt(within)
        return np.sqrt(self.mean.var(axis=0) + within)

    def paths(self, latents, positions, unit):
        """Return codes in which one component moves, with the others at their means.

        Parameters
        ----------
        latents : ndarray of shape (l,)
            Indices of the components to move.
        positions : ndarray of shape (s,)
            Positions: levels of quantiles of the codes, in [0, 1], for "quantile", and
            else standard deviations from the mean code.
        unit : {"quantile", "aggregate", "posterior"}
            What positions are, and which standard deviation.

        Returns
        -------
        ndarray of shape (l, s, d)
        """
        if unit == "quantile":
            values = np.quantile(self.mean[:, latents], positions, axis=0).T
        else:
            step = self.step(unit)[latents, None]
            values = self.centre[latents, None] + step * positions
        return np.stack(
            [self.codes_along(j, v) for j, v in zip(latents, values, strict=True)]
        )

    def codes_along(self, latent, values):
        """Return mean codes with one component at the given values, (s, d).

        The probability of a level stays in [0, 1], and the other levels of its category
        share the rest in proportion to their means.
        """
        codes = np.repeat(self.centre[None], len(values), axis=0)
        return move(codes, latent, values, self.categories)


def move(codes, latent, values, categories):
    """Return codes (s, d) with one component at the given values (s,).

    The probability of a level stays in [0, 1], and the other levels of its category
    share the rest in proportion to what they had.
    """
    moved = codes.copy()
    moved[:, latent] = values
    for group in categories:
        if latent in group:
            others = group[group != latent]
            moved[:, latent] = np.clip(values, 0.0, 1.0)
            rest = codes[:, others] / codes[:, others].sum(axis=1, keepdims=True)
            moved[:, others] = (1 - moved[:, [latent]]) * rest
    return moved


@dataclass(frozen=True)
class Reading:
    """A fitted transformer with components, and the steps of a pipeline before it.

    Attributes
    ----------
    found : FoundModel
        The fitted transformer, and the steps before it.
    feature_names : ndarray of str, shape (p,)
        Names of the user's columns.
    """

    found: FoundModel
    feature_names: np.ndarray

    @property
    def model(self):
        """The fitted transformer."""
        return self.found.model

    @property
    def before(self):
        """Steps between the user's samples and the model's, as (name, step)."""
        return self.found.before

    @property
    def kl(self):
        """Information in each component, nats per sample, (d,); None if unknown.

        NaN for the levels of a category.
        """
        return kl_of_columns(self.model)

    def component_names(self, n_latents):
        """Return the names of the components, (n_latents,), as the user set them."""
        return component_names(self.model, n_latents)

    def used_latents(self, n_latents):
        """Return the indices of the active components; of all, if none is active."""
        used = active_columns(self.model)
        is_known = used is not None and len(used)
        return np.asarray(used if is_known else range(n_latents), dtype=int)

    def moments(self, X):
        """Return mean and standard deviation of the codes of samples, each (n, d)."""
        X = self.found.transform_before(X)
        if hasattr(self.model, "posterior"):
            mean, std = self.model.posterior(X)
        else:
            mean = self.model.transform(X)
            std = np.zeros_like(mean)
        return np.asarray(mean, np.float64), np.asarray(std, np.float64)

    def shown_moments(self, X):
        """Return the same for a display, which needs a component.

        Raises
        ------
        ValueError
            If the model keeps no component.
        """
        mean, std = self.moments(X)
        if not mean.shape[1]:
            raise ValueError(
                f"This {type(self.model).__name__} has no component to show: it keeps "
                f"those that keep={self.model.keep!r} asks for, and none is. Set "
                "keep='all' to see them."
            )
        return mean, std

    def survey(self, X):
        """Compute the moments of codes and features in one pass over X, in chunks."""
        codes = []

        def blocks():
            for chunk in chunks(X, len(self.feature_names)):
                codes.append(self.shown_moments(chunk))
                yield self.numbers(chunk), np.ones(chunk.shape[0])

        sums = sum_columns(blocks())
        mean, std = (np.concatenate(parts) for parts in zip(*codes, strict=True))
        categories = tuple(category_columns(self.model))
        return Survey(mean, std, np.sqrt(sums.variance), categories)

    def decode(self, codes):
        """Decode codes to samples in the user's units, (n, p) float64.

        Raises
        ------
        ValueError
            If a step before the model cannot be inverted.
        """
        width = max(len(self.feature_names), codes.shape[1])
        parts = [self._decode(chunk) for chunk in chunks(codes, width)]
        return np.concatenate(parts)

    def _decode(self, codes):
        if number_names(self.model) is not None:
            return self.model.expected_numbers(codes)
        return self.undo(self.model.inverse_transform(codes))

    def numbers(self, X):
        """Return samples of the user's as numbers, (n, p) float64.

        Raises
        ------
        ValueError
            If X is not numeric. A step without an inverse, as one that encodes columns,
            is named first: then X need not be numeric for the steps after it.
        """
        if number_names(self.model) is not None:
            return numbers_of(self.model, self.found.transform_before(X))
        try:
            return numbers(X)
        except ValueError:
            for name, step in reversed(self.before):
                _check_has_inverse(name, step)
            raise

    def steps_back(self):
        """Return the steps before the model, the last one first.

        Returns
        -------
        list of (str, estimator, callable)
            Name, step, and the function that inverts it.
        """
        return [
            (name, step, partial(_inverted, name, step))
            for name, step in reversed(self.before)
        ]

    def undo(self, rows):
        """Invert the steps before the model on its samples, (n, p) float64."""
        for _, _, undo in self.steps_back():
            rows = undo(rows)
        rows = numbers(rows)
        if rows.shape[1] != len(self.feature_names):
            raise ValueError(
                f"Inverting the pipeline's steps gives {rows.shape[1]} columns, but X "
                f"has {len(self.feature_names)}. A step drops columns; inspect the "
                "pipeline from the step after it."
            )
        return rows


def read(estimator, feature_names=None, X=None):
    """Find the model of an estimator, and the steps before it.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted. A search stands for its best estimator. The model of a pipeline is the
        last step with ``posterior``, or else with ``inverse_transform``; later steps
        are ignored.
    feature_names : array-like of shape (p,), default=None
        Names to use instead of those seen in ``fit``.
    X : array-like of shape (n, p), default=None
        Samples. Their columns name the features if ``fit`` saw no names: scikit-learn
        keeps names that are text only, and those of spectra are often numbers.

    Returns
    -------
    Reading

    Raises
    ------
    TypeError
        If no step of the estimator can be decoded.
    """
    found = find_model(estimator, ("posterior", "inverse_transform"))
    if found is None:
        raise TypeError(
            f"{type(estimator).__name__} has no components to decode: expected a "
            "fitted transformer with inverse_transform, such as FactorVAETransformer "
            "or PCA, or a Pipeline that contains one."
        )
    check_is_fitted(found.model)
    first = found.first_step
    own = number_names(found.model)
    if own is not None:
        given = own if feature_names is None else feature_names
        return Reading(found, name_features(len(own), given))
    if feature_names is None:
        feature_names = getattr(first, "feature_names_in_", None)
    return Reading(found, name_features(first.n_features_in_, feature_names, X))


def name_features(n_features, feature_names, X=None):
    """Return the names of features as text, (p,).

    Parameters
    ----------
    n_features : int
    feature_names : array-like of shape (p,) or None
        None takes the columns of X, unless these are the numbers 0 to p - 1 that pandas
        gives to columns without a name, and else x0, x1, ...
    X : array-like of shape (n, p), default=None

    Raises
    ------
    ValueError
        If there is not one name for each feature.
    """
    if feature_names is None:
        names = list(getattr(X, "columns", ()))
        is_named = len(names) == n_features and names != list(range(n_features))
        feature_names = names if is_named else [f"x{i}" for i in range(n_features)]
    texts = np.array([str(name) for name in feature_names], dtype=object)
    if len(texts) != n_features:
        raise ValueError(
            f"feature_names has {len(texts)} names, but X has {n_features} features. "
            "Give one name for each feature."
        )
    return texts


def names_of_codes(codes, n_latents):
    """Return the names of the columns of codes: of a data frame, if they are text."""
    names = list(getattr(codes, "columns", ()))
    if names and all(isinstance(name, str) for name in names):
        return np.array(names, dtype=object)
    return default_names(n_latents)


def _inverted(name, step, rows):
    # An imputer keeps the units: there is nothing to invert.
    if is_imputer(step) and rows.shape[1] == step.n_features_in_:
        return rows
    _check_has_inverse(name, step)
    try:
        return step.inverse_transform(rows)
    except Exception as error:
        raise ValueError(
            f"{_not_invertible(name, step)} Its inverse_transform raised: {error}"
        ) from error


def _check_has_inverse(name, step):
    """Raise a ValueError if a step that is not an imputer has no inverse."""
    if is_imputer(step):
        return
    is_function = isinstance(step, FunctionTransformer)
    if is_function and step.inverse_func is None and step.func is not None:
        raise ValueError(f"{_not_invertible(name, step)} It has no inverse_func.")
    if not hasattr(step, "inverse_transform"):
        raise ValueError(_not_invertible(name, step))


def _not_invertible(name, step):
    return (
        f"The step {name!r} ({type(step).__name__}) cannot be inverted: it has no "
        "working inverse_transform, which is needed to show samples in your units. Use "
        "a step that has one, or inspect the steps after it: pipe[k:] with samples "
        "pipe[:k].transform(X)."
    )


def numbers(rows):
    """Return samples as a float64 array, with NaN for missing values."""
    rows = rows.toarray() if hasattr(rows, "toarray") else rows
    try:
        return np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"X must be numeric to be plotted and averaged; some values are not "
            f"({error}). Encode these columns before the pipeline."
        ) from error


def chunks(X, width):
    """Split a table into chunks of at most VALUES_AT_ONCE values."""
    X = as_table(X)
    for rows in spans(X.shape[0], width):
        yield take(X, rows)


def spans(n_rows, width):
    """Split ``n_rows`` into slices of at most VALUES_AT_ONCE values."""
    size = max(1, VALUES_AT_ONCE // max(1, width))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def as_table(X):
    """Convert lists to an array, or to a row source if they are of files.

    Numbers beside text stay numbers.
    Arrays, DataFrames and tables that are read in parts are returned as they are.
    """
    if hasattr(X, "shape"):
        return X
    shards = as_source(X)
    if shards is not None:
        return shards
    array = np.asarray(X)
    return np.array(X, dtype=object) if array.dtype.kind in "US" else array


def take(X, rows):
    """Return the given rows of a table."""
    return getattr(X, "iloc", X)[rows]


def positions_of(unit, n_steps):
    """Return equally spaced positions of a traversal, (n_steps,).

    Raises
    ------
    ValueError
        If `unit` is not known.
    """
    check_unit(unit)
    return np.linspace(*UNITS[unit], n_steps)


def check_unit(unit, units=tuple(UNITS)):
    """Raise a ValueError unless `unit` is one of some units."""
    if unit not in units:
        raise ValueError(f"unit must be one of {sorted(units)}, got {unit!r}.")


def check_latents(latents, reading, n_latents):
    """Return the indices of the chosen components as an array; None means active."""
    if latents is None:
        return reading.used_latents(n_latents)
    chosen = np.atleast_1d(np.asarray(latents))
    is_valid = np.issubdtype(chosen.dtype, np.integer) and chosen.size > 0
    if not is_valid or chosen.min() < 0 or chosen.max() >= n_latents:
        raise ValueError(
            "latents must be indices of components, from 0 to "
            f"{n_latents - 1}; got {latents!r}."
        )
    return chosen

"""What pictures need of a fitted estimator: codes of rows, and rows of codes.

Axes: ``n`` rows, ``d`` latents, ``p`` features as the user knows them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from .._pipelines import FoundModel, find_model

VALUES_AT_ONCE = 2**22
"""Values of a table that are in hand at the same time."""

FILLERS = (SimpleImputer, KNNImputer)
"""Steps that fill gaps and keep units: on the way back there is nothing to undo."""

UNITS = {"aggregate", "posterior"}


@dataclass(frozen=True)
class Survey:
    """What one pass over a table tells.

    Attributes
    ----------
    mean, std : ndarray of shape (n, d)
        Moments of each row's code; ``std`` is zero for a model without a posterior.
    feature_mean, feature_std : ndarray of shape (p,)
        Moments of the columns as the user knows them, gaps left out.
    """

    mean: np.ndarray
    std: np.ndarray
    feature_mean: np.ndarray
    feature_std: np.ndarray

    @property
    def centre(self):
        """Mean code, (d,)."""
        return self.mean.mean(axis=0)

    def step(self, unit):
        """Return what one standard deviation of each latent is, (d,)."""
        within = np.square(self.std).mean(axis=0)
        if unit == "posterior" and within.any():
            return np.sqrt(within)
        return np.sqrt(self.mean.var(axis=0) + within)


@dataclass(frozen=True)
class Reading:
    """A transformer with latents, and the steps of a pipeline that come before it.

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
        """Nats that each latent holds, (d,), or None where the model does not tell."""
        return getattr(self.model, "kl_per_component_", None)

    def used_latents(self, n_latents):
        """Return the latents that hold information; all, where none does."""
        used = getattr(self.model, "active_components_", ())
        return np.asarray(used if len(used) else range(n_latents), dtype=int)

    def moments(self, X):
        """Return mean and standard deviation of the codes of rows, each (n, d)."""
        X = self.found.transform_before(X)
        if hasattr(self.model, "posterior"):
            mean, std = self.model.posterior(X)
            return np.asarray(mean, np.float64), np.asarray(std, np.float64)
        mean = np.asarray(self.model.transform(X), np.float64)
        return mean, np.zeros_like(mean)

    def survey(self, X):
        """Go over a table once, chunk by chunk."""
        codes, sums = [], ColumnSums()
        for chunk in chunks(X, len(self.feature_names)):
            codes.append(self.moments(chunk))
            sums.add(numbers(chunk))
        mean, std = (np.concatenate(parts) for parts in zip(*codes, strict=True))
        return Survey(mean, std, *sums.moments())

    def decode(self, codes):
        """Return the rows of codes, (n, p) float64, in the user's units.

        Raises
        ------
        ValueError
            If a step before the model cannot be undone.
        """
        width = max(len(self.feature_names), codes.shape[1])
        parts = [self._decode(chunk) for chunk in chunks(codes, width)]
        return np.concatenate(parts)

    def _decode(self, codes):
        return self.undo(self.model.inverse_transform(codes))

    def undo(self, rows):
        """Take the model's rows back through the steps before it, (n, p) float64."""
        for name, step in reversed(self.before):
            rows = _undone(name, step, rows)
        rows = numbers(rows)
        if rows.shape[1] != len(self.feature_names):
            raise ValueError(
                f"Going back through the pipeline gives rows of {rows.shape[1]} "
                f"columns, but the table has {len(self.feature_names)}. A step loses "
                "columns; inspect the pipeline from the step after it."
            )
        return rows


class ColumnSums:
    """Moments of columns that arrive in chunks, around the first chunk's mean."""

    def __init__(self):
        self.origin = None

    def add(self, rows):
        seen = ~np.isnan(rows)
        if self.origin is None:
            count = np.maximum(seen.sum(axis=0), 1)
            self.origin = np.where(seen, rows, 0.0).sum(axis=0) / count
            self.count, self.first, self.second = np.zeros((3, rows.shape[1]))
        shifted = np.where(seen, rows - self.origin, 0.0)
        self.count += seen.sum(axis=0)
        self.first += shifted.sum(axis=0)
        self.second += np.square(shifted).sum(axis=0)

    def moments(self):
        count = np.maximum(self.count, 1)
        shift = self.first / count
        variance = np.maximum(self.second / count - shift**2, 0.0)
        return self.origin + shift, np.sqrt(variance)


def read(estimator, feature_names=None):
    """Find the model with latents in an estimator.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted. Of a search, its best estimator. Of a pipeline, the last step that has
        a posterior, or else that can be inverted; later steps do not matter.
    feature_names : array-like of shape (p,), default=None
        Names to use instead of those seen in ``fit``.

    Returns
    -------
    Reading

    Raises
    ------
    TypeError
        If nothing in the estimator has latents.
    """
    found = find_model(estimator, ("posterior", "inverse_transform"))
    if found is None:
        raise TypeError(
            f"{type(estimator).__name__} has no latents to look at: expected a fitted "
            "transformer with inverse_transform, such as FactorVAETransformer or PCA, "
            "or a Pipeline that contains one."
        )
    check_is_fitted(found.model)
    return Reading(found, _names(found.first_step, feature_names))


def _names(first, feature_names):
    n_features = first.n_features_in_
    if feature_names is None:
        default = [f"x{i}" for i in range(n_features)]
        feature_names = getattr(first, "feature_names_in_", default)
    names = np.array([str(name) for name in feature_names], dtype=object)
    if len(names) != n_features:
        raise ValueError(
            f"feature_names holds {len(names)} names, but the table has {n_features} "
            "columns."
        )
    return names


def _undone(name, step, rows):
    if isinstance(step, FILLERS) and rows.shape[1] == step.n_features_in_:
        return rows
    is_function = isinstance(step, FunctionTransformer)
    if is_function and step.inverse_func is None and step.func is not None:
        raise ValueError(f"{_one_way(name, step)} It has no inverse_func.")
    try:
        return step.inverse_transform(rows)
    except Exception as error:
        raise ValueError(
            f"{_one_way(name, step)} Its inverse_transform said: {error}"
        ) from error


def _one_way(name, step):
    return (
        f"The step {name!r} ({type(step).__name__}) cannot be undone: it has no "
        "inverse_transform that works, and without it rows cannot be shown in your "
        "units. Use a step that has one, or inspect the pipeline from the step after "
        "it."
    )


def numbers(rows):
    """Return rows as a float64 array, gaps as NaN."""
    rows = rows.toarray() if hasattr(rows, "toarray") else rows
    try:
        return np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Rows must hold numbers to be drawn and averaged; some values are not "
            f"({error}). Encode those columns before the pipeline."
        ) from error


def chunks(X, width):
    """Cut a table into pieces of rows that are small enough to work on."""
    X = as_table(X)
    for rows in spans(X.shape[0], width):
        yield take(X, rows)


def spans(n_rows, width):
    """Cut ``n_rows`` into slices of few enough values."""
    size = max(1, VALUES_AT_ONCE // max(1, width))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def as_table(X):
    """Make an array of lists; leave arrays and data frames as they are."""
    return X if hasattr(X, "shape") else np.asarray(X)


def take(X, rows):
    """Return some rows of a table."""
    return getattr(X, "iloc", X)[rows]


def check_unit(unit):
    """Raise unless `unit` names a standard deviation."""
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {sorted(UNITS)}, got {unit!r}.")


def check_latents(latents, reading, n_latents):
    """Return the latents asked for as an array of their numbers."""
    if latents is None:
        return reading.used_latents(n_latents)
    chosen = np.atleast_1d(np.asarray(latents))
    is_valid = np.issubdtype(chosen.dtype, np.integer) and chosen.size > 0
    if not is_valid or chosen.min() < 0 or chosen.max() >= n_latents:
        raise ValueError(
            f"latents must be numbers from 0 to {n_latents - 1}, got {latents!r}."
        )
    return chosen

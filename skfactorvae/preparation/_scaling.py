"""Standardisation: moments of columns, offset and scale.

Axes: ``n`` samples, ``p`` features, ``m`` distinct samples.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..sources import CACHED_VALUES
from ._errors import moments_with_errors
from ._incomplete import has_missing
from ._rows import CHUNK

MAX_COLUMNS = 2048
"""Columns up to which moments are summed over many samples at once; of wider tables,
few samples stay in the cache of a processor."""

READ_ROWS = 256
"""Samples that are read at once, at least, of a table that is read in parts."""

SCALED = ("gaussian", "student_t")
"""Likelihoods of features whose scale the user chooses."""

CONSTANT = 1e-14
"""Standard deviation, relative to the largest magnitude, of a constant column."""


@dataclass(frozen=True)
class Scaling:
    """Offset and scale of the features.

    Attributes
    ----------
    mean, scale : ndarray of shape (p,)
    """

    mean: np.ndarray
    scale: np.ndarray

    def apply(self, X, dtype, index=None):
        """Return ``(X - mean) / scale`` in a new array.

        Parameters
        ----------
        X : ndarray of shape (n, p)
        dtype : dtype
            Type of the result.
        index : ndarray of shape (m,) or None
            Samples to standardise; None takes all.

        Returns
        -------
        ndarray of shape (n or m, p)

        Raises
        ------
        ValueError
            If ``dtype`` cannot represent a value of the result.
        """
        n_rows = len(X) if index is None else len(index)
        out = np.empty((n_rows, X.shape[1]), dtype=dtype)
        mean, scale = self.mean.astype(np.float64), self.scale.astype(np.float64)
        size = max(1, min(CHUNK, CACHED_VALUES // X.shape[1]))
        for start in range(0, n_rows, size):
            chosen = slice(start, start + size)
            rows = X[chosen] if index is None else X[index[chosen]]
            block = rows.astype(np.float64)
            with np.errstate(over="ignore"):
                block -= mean
                block /= scale
                out[chosen] = block
            _check_range(out[chosen], rows)
        return out


def fit_scaling(X, index, weight, standardize, errors=None, columns=None) -> Scaling:
    """Compute the offset and scale that ``standardize`` asks for.

    Both have the precision of ``X``, in which a fitted estimator stores them.

    Parameters
    ----------
    X : ndarray or SourceTable of shape (n, p)
    index : ndarray of shape (m,)
        Samples to use.
    weight : ndarray of shape (m,)
        Their weights.
    standardize : {"feature", "global"} or None
    errors : ndarray of shape (n, p) or None, default=None
        Standard deviations of known errors, which are not part of the scale.
    columns : tuple of (str, int), or None, default=None
        Likelihood and number of levels of each column, in the order of features. Only
        numbers have the scale that is asked for. Others have a scale each, and
        indicators of levels the square root of their mean, with which a category of L
        levels has a total variance of L - 1, as in correspondence analysis.
    """
    mean, scale = column_moments(X, index, weight)
    if errors is not None:
        for j in np.flatnonzero(errors.any(axis=0)):
            mean[j], scale[j] = moments_with_errors(
                X[:, j], errors[:, j], index, weight
            )
    start = 0
    for kind, n_features in _blocks(columns, X.shape[1]):
        own = slice(start, start + n_features)
        if kind == "categorical":
            scale[own] = np.where(mean[own] > 0, np.sqrt(mean[own]), 1.0)
        else:
            how = standardize if kind in SCALED else "feature"
            mean[own], scale[own] = choose_scale(how, mean[own], scale[own])
        start += n_features
    return Scaling(mean.astype(X.dtype), scale.astype(X.dtype))


def _blocks(columns, n_features):
    """Return likelihood and number of features of each block of columns of one kind."""
    if columns is None:
        return [("gaussian", n_features)]
    widths = [(kind, n if kind == "categorical" else 1) for kind, n in columns]
    kinds = itertools.groupby(widths, key=lambda pair: pair[0])
    return [(kind, sum(width for _, width in group)) for kind, group in kinds]


def column_moments(X, index, weight):
    """Compute the weighted mean and standard deviation of each column, in float64.

    Columns are divided by a power of two near their largest magnitude, so that values
    near the ends of the floating-point range neither overflow nor underflow. Moments
    are taken around one sample. A constant column therefore has exactly its constant
    as mean, and a standard deviation of exactly zero. Missing values (NaN) do not
    count; of a column without any value, both are NaN.

    Parameters
    ----------
    X : ndarray or SourceTable of shape (n, p)
    index : ndarray of shape (m,)
        Samples to use.
    weight : ndarray of shape (m,)
        Their weights.

    Returns
    -------
    mean, std : ndarray of shape (p,)
    """
    if has_missing(X):
        is_array = isinstance(X, np.ndarray)
        return (_moments_of_observed if is_array else _moments_in_passes)(
            X, index, weight
        )
    share = weight / weight.sum()
    power = np.frexp(_largest(X, index, share))[1]
    origin = np.ldexp(X[index[0]].astype(np.float64), -power)

    def shifted():
        for rows, part in blocks_of(X, index, share):
            block = _divided(rows.astype(np.float64), power)
            block -= origin
            yield block, part

    mean = sum(part @ rows for rows, part in shifted())
    std = np.sqrt(sum(part @ (rows - mean) ** 2 for rows, part in shifted()))
    std = np.where(std > CONSTANT, std, 0.0)
    return np.ldexp(origin + mean, power), np.ldexp(std, power)


def _moments_of_observed(X, index, weight):
    """Compute the same of the values that are not missing, column by column."""
    moments = np.full((2, X.shape[1]), np.nan)
    for j, column in enumerate(X.T):
        present = index[~np.isnan(column[index])]
        if len(present):
            own = weight[~np.isnan(column[index])]
            values = np.ascontiguousarray(column[present])[:, None]
            moments[:, j] = np.ravel(
                column_moments(values, np.arange(len(present)), own)
            )
    return moments[0], moments[1]


def _largest(X, index, share):
    """Return the largest magnitude of each column, (p,).

    Of float32 that is read in parts, that of all samples, which is known, will do: in
    double precision, moments are the same for every power of two.
    """
    if not isinstance(X, np.ndarray) and X.dtype == np.float32:
        return np.maximum(-X.low, X.high).astype(np.float64)
    largest = np.zeros(X.shape[1])
    for rows, _ in blocks_of(X, index, share):
        top, bottom = rows.max(axis=0), rows.min(axis=0)
        np.maximum(largest, np.maximum(top, -bottom), out=largest)
    return largest


def _moments_in_passes(X, index, weight):
    """Compute the same of a table that is read in parts, all columns together.

    Moments are taken around the first observed value of each column.
    """
    share = weight / weight.sum()
    largest, origin = np.zeros(X.shape[1]), np.full(X.shape[1], np.nan)
    for rows, _ in blocks_of(X, index, share):
        np.fmax(largest, np.fmax.reduce(np.abs(rows), axis=0), out=largest)
        first = np.isnan(rows).argmin(axis=0)
        values = rows[first, np.arange(X.shape[1])]
        origin = np.where(np.isnan(origin), values, origin)
    power = np.frexp(largest)[1]
    origin = np.ldexp(origin, -power)

    def sums(centre):
        total, first, second = np.zeros((3, X.shape[1]))
        for rows, part in blocks_of(X, index, share):
            block = _divided(rows.astype(np.float64), power) - origin - centre
            total += part @ ~np.isnan(block)
            values = np.nan_to_num(block)
            first += part @ values
            second += part @ values**2
        total = np.where(total > 0, total, np.nan)
        return first / total, second / total

    mean, _ = sums(0.0)
    std = np.sqrt(sums(mean)[1])
    std = np.where(std <= CONSTANT, 0.0, std)
    return np.ldexp(origin + mean, power), np.ldexp(std, power)


def _divided(rows, power):
    """Divide rows by powers of two, in place where these have an inverse."""
    with np.errstate(over="ignore"):
        inverse = np.ldexp(1.0, -power)
    if not np.isfinite(inverse).all():
        return np.ldexp(rows, -power)
    rows *= inverse
    return rows


def blocks_of(X, index, share):
    """Yield blocks of samples, with their shares of the weight.

    Of a table that is read in stored order, the random sample that comes first is
    sorted, since each of its samples would else be read by itself.
    """
    if isinstance(X, np.ndarray) or X.is_direct:
        yield from _blocks_in_order(X, index, share)
        return
    descents = np.flatnonzero(index[1:] < index[:-1])
    n_random = descents[-1] + 1 if len(descents) else 0
    order = np.argsort(index[:n_random])
    yield from _blocks_in_order(X, index[:n_random][order], share[:n_random][order])
    yield from _blocks_in_order(X, index[n_random:], share[n_random:])


def _blocks_in_order(X, index, share):
    """Yield blocks of samples in the given order, with their shares of the weight."""
    is_wide = X.shape[1] > MAX_COLUMNS
    size = max(1, 4 * CACHED_VALUES // X.shape[1]) if is_wide else CHUNK
    at_once = size if isinstance(X, np.ndarray) else size * max(1, READ_ROWS // size)
    for first in range(0, len(index), at_once):
        block = X[index[first : first + at_once]]
        for start in range(0, len(block), size):
            chosen = slice(first + start, first + start + size)
            yield block[start : start + size], share[chosen]


def choose_scale(standardize, mean, std):
    """Return the offset and scale that ``standardize`` asks for, each (p,).

    The scale of a constant column is one, and so is that of a column without values.
    """
    if standardize is None:
        return np.where(np.isnan(mean), mean, 0.0), np.ones_like(std)
    if standardize == "global":
        overall = _root_mean_square(std)
        return mean, np.full_like(std, overall if overall > 0 else 1.0)
    return mean, np.where(std > 0, std, 1.0)


def _root_mean_square(std):
    std = std[~np.isnan(std)]
    largest = std.max(initial=0.0)
    return largest * np.sqrt(np.mean((std / largest) ** 2)) if largest > 0 else 0.0


def _check_range(block, rows):
    if np.isinf(block).any():
        column = np.flatnonzero(np.isinf(block).any(axis=0))[0]
        largest = np.nanmax(np.abs(rows[:, column]))
        raise ValueError(
            f"Column {column} of X holds values up to {largest:.4g}, too large for "
            f"{block.dtype} once they are standardised. Remove outliers, rescale X, or "
            "use precision='float64'."
        )

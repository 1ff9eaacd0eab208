"""Standardisation: moments of columns, offset and scale.

Axes: ``n`` samples, ``p`` features, ``m`` distinct samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._moments import sum_columns
from ._rows import CHUNK

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
        for start in range(0, n_rows, CHUNK):
            chosen = slice(start, start + CHUNK)
            rows = X[chosen] if index is None else X[index[chosen]]
            with np.errstate(over="ignore"):
                out[chosen] = (rows.astype(np.float64) - self.mean) / self.scale
            _check_range(out[chosen], rows)
        return out


def fit_scaling(X, index, weight, standardize) -> Scaling:
    """Compute the offset and scale that ``standardize`` asks for.

    Both have the precision of ``X``, in which a fitted estimator stores them.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    index : ndarray of shape (m,)
        Samples to use.
    weight : ndarray of shape (m,)
        Their weights.
    standardize : {"feature", "global"} or None
    """
    mean, scale = choose_scale(standardize, *column_moments(X, index, weight))
    return Scaling(mean.astype(X.dtype), scale.astype(X.dtype))


def column_moments(X, index, weight):
    """Compute the weighted mean and standard deviation of each column, in float64.

    Columns are divided by a power of two near their largest magnitude, so that values
    near the ends of the floating-point range neither overflow nor underflow. Moments
    are taken around one sample. A constant column therefore has exactly its constant
    as mean, and a standard deviation of exactly zero.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    index : ndarray of shape (m,)
        Samples to use.
    weight : ndarray of shape (m,)
        Their weights.

    Returns
    -------
    mean, std : ndarray of shape (p,)
    """
    share = weight / weight.sum()
    largest = np.zeros(X.shape[1])
    for rows, _ in _chunks(X, index, share):
        np.maximum(largest, np.abs(rows).max(axis=0), out=largest)
    power = np.frexp(largest)[1]
    origin = np.ldexp(X[index[0]].astype(np.float64), -power)

    def shifted():
        for rows, part in _chunks(X, index, share):
            yield np.ldexp(rows, -power) - origin, part

    mean = sum_columns(shifted(), 0.0).first
    std = np.sqrt(sum_columns(shifted(), mean).second)
    std = np.where(std > CONSTANT, std, 0.0)
    return np.ldexp(origin + mean, power), np.ldexp(std, power)


def _chunks(X, index, share):
    """Yield blocks of samples in float64, with their shares of the weight."""
    for start in range(0, len(index), CHUNK):
        chosen = slice(start, start + CHUNK)
        yield X[index[chosen]].astype(np.float64), share[chosen]


def choose_scale(standardize, mean, std):
    """Return the offset and scale that ``standardize`` asks for, each (p,).

    The scale of a constant column is one.
    """
    if standardize is None:
        return np.zeros_like(mean), np.ones_like(std)
    if standardize == "global":
        overall = _root_mean_square(std)
        return mean, np.full_like(std, overall if overall > 0 else 1.0)
    return mean, np.where(std > 0, std, 1.0)


def _root_mean_square(std):
    largest = std.max()
    return largest * np.sqrt(np.mean((std / largest) ** 2)) if largest > 0 else 0.0


def _check_range(block, rows):
    if not np.isfinite(block).all():
        column = np.flatnonzero(~np.isfinite(block).all(axis=0))[0]
        raise ValueError(
            f"Column {column} of X holds values up to "
            f"{np.abs(rows[:, column]).max():.4g}, too large for {block.dtype} once "
            "they are standardised. Remove outliers, rescale X, or use "
            "precision='float64'."
        )

"""Moments of columns, accumulated over blocks of samples, and robust means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

TRIMMED = 0.025
"""Share of the samples, at either end, that a trimmed mean leaves out."""


def trimmed_mean(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Compute the trimmed mean of weighted values, and its standard error.

    The 2.5 % of the weight at either end are left out, so that one outlier cannot
    decide.

    Parameters
    ----------
    values : ndarray of shape (n,)
    weight : ndarray of shape (n,)
        Weights, >= 0, one of them positive.

    Returns
    -------
    mean, error : float
    """
    order = np.lexsort((weight, values))
    values, weight = values[order], weight[order]
    edges = np.concatenate([[0.0], np.cumsum(weight) / weight.sum()])
    share = np.diff(np.clip(edges, TRIMMED, 1 - TRIMMED)) / (1 - 2 * TRIMMED)
    used = share > 0
    mean = float(share[used] @ values[used])
    with np.errstate(invalid="ignore", over="ignore"):  # values can be infinite
        variance = float(share[used] @ (values[used] - mean) ** 2)
    n_samples = weight.sum() ** 2 / np.square(weight).sum()
    return mean, float(np.sqrt(variance / n_samples))


def average_of_columns(table: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Compute the weighted mean of each column over its values that are present.

    Parameters
    ----------
    table : ndarray of shape (n, p)
        NaN where missing.
    weight : ndarray of shape (n,)
        Weights, >= 0, one of them positive.

    Returns
    -------
    ndarray of shape (p,)
        Zero for a column without values.
    """
    missing = np.isnan(table)
    if not missing.any():
        return np.average(table, axis=0, weights=weight)
    counts = weight @ ~missing
    sums = weight @ np.where(missing, 0.0, table)
    return sums / np.where(counts > 0, counts, 1.0)


def median_of_columns(table: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Compute the lower median of each column of weighted samples.

    Parameters
    ----------
    table : ndarray of shape (n, p)
        NaN where missing.
    weight : ndarray of shape (n,)
        Weights, >= 0, one of them positive.

    Returns
    -------
    ndarray of shape (p,)
        NaN for a column without values.
    """
    order = np.argsort(table, axis=0, kind="stable")
    weights = np.where(np.isnan(np.take_along_axis(table, order, 0)), 0, weight[order])
    below = np.cumsum(weights, axis=0)
    middle = (2 * below >= below[-1]).argmax(axis=0)
    return np.take_along_axis(table, order, axis=0)[middle, np.arange(table.shape[1])]


class ColumnSums:
    """Weighted sums of columns and of their squares, around an origin.

    With an origin near the data, no digits are lost. With weights that sum to one, the
    sums are moments. Missing entries (NaN) have weight zero.

    Parameters
    ----------
    origin : float or ndarray of shape (p,), default=0.0
        Value around which sums are taken.

    Attributes
    ----------
    weight : float or ndarray of shape (p,)
        Sum of the weights of the entries that are present.
    first, second : ndarray of shape (p,)
        Weighted sums of ``x - origin`` and of its square.
    """

    def __init__(self, origin: Any = 0.0):
        self.origin = origin
        self.weight: Any = 0.0
        self.first: Any = 0.0
        self.second: Any = 0.0

    def add(self, rows: np.ndarray, weight: np.ndarray) -> None:
        """Add a block of samples (b, p) in float64 with weights (b,)."""
        shifted = rows - self.origin
        missing = np.isnan(shifted)
        if missing.any():
            shifted[missing] = 0.0
            self.weight = self.weight + weight @ ~missing
        else:
            self.weight = self.weight + weight.sum()
        self.first += weight @ shifted
        self.second += weight @ shifted**2

    @property
    def mean(self) -> np.ndarray:
        """Weighted mean of each column, (p,); the origin where all is missing."""
        return self.origin + self._shift

    @property
    def variance(self) -> np.ndarray:
        """Weighted variance of each column, (p,); zero where all is missing."""
        mean_square = self.second / np.where(self.weight > 0, self.weight, 1.0)
        return np.maximum(mean_square - self._shift**2, 0.0)

    @property
    def _shift(self) -> np.ndarray:
        """Mean of ``x - origin``."""
        return self.first / np.where(self.weight > 0, self.weight, 1.0)


def sum_columns(
    blocks: Iterable[tuple[np.ndarray, np.ndarray]], origin: Any = None
) -> ColumnSums:
    """Accumulate the sums of blocks of samples.

    Parameters
    ----------
    blocks : iterable of (rows, weight)
        Samples (b, p) in float64 and their weights (b,), at least one block.
    origin : float, ndarray of shape (p,) or None
        Value around which sums are taken; None takes the mean of the first block.

    Returns
    -------
    ColumnSums
    """
    sums = None if origin is None else ColumnSums(origin)
    for rows, weight in blocks:
        if sums is None:
            sums = ColumnSums(sum_columns([(rows, weight)], 0.0).mean)
        sums.add(rows, weight)
    if sums is None:
        raise ValueError("There are no samples; pass at least one block.")
    return sums

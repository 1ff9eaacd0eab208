r"""Known errors of single values: their units, and the variance beside them.

A value x with a known error of variance s**2 around a mean m has the distribution

.. math:: x \sim N(m, v + s^2)

where v is the variance that the error does not explain.

Axes: ``n`` samples, ``p`` features, ``m`` distinct samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_ERROR = 1e15
"""Standardised error above which a value counts as missing: the squares of larger ones
could overflow in single precision."""

STEPS = 100
"""Steps of Fisher scoring, at most."""

TOLERANCE = 1e-6
"""Relative change of all variances of the last step."""

NORMAL_MEDIAN = 0.4549
"""Median of the square of a standard normal variable."""

LEAST_VARIANCE = 1e-100
"""Variance at which scoring starts, at least."""


def with_errors(rows: np.ndarray, errors: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Append the errors of standardised samples, in their units, as further columns.

    Values of errors beyond 1e15 times the scale of their column count as missing. The
    error of a missing value is zero, so that equal samples are equal.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Standardised samples, NaN where missing.
    errors : ndarray of shape (n, p)
        Standard deviations in the units of X.
    scale : ndarray of shape (p,)

    Returns
    -------
    ndarray of shape (n, 2 p)
    """
    with np.errstate(over="ignore"):
        standardized = errors / scale.astype(np.float64)
    unknown = np.isnan(rows) | ~(standardized <= MAX_ERROR)
    values = np.where(unknown, np.nan, rows)
    return np.hstack([values, np.where(unknown, 0.0, standardized)]).astype(rows.dtype)


def precision_weights(errors: np.ndarray | None) -> Any:
    """Return the weights of standardised values in sums of squares, 1 / (1 + s**2).

    Parameters
    ----------
    errors : ndarray of shape (n, p) or None

    Returns
    -------
    ndarray of shape (n, p), or 1.0 without errors
    """
    return 1.0 if errors is None else 1 / (1 + np.square(errors, dtype=np.float64))


def moments_with_errors(X, errors, index, weight):
    r"""Compute the mean and the standard deviation of a column beside known errors.

    The latter is at least its standard error, so that a column of errors alone does not
    get a scale of zero.

    Parameters
    ----------
    X, errors : ndarray of shape (n,)
        Values, and the standard deviations of their errors.
    index : ndarray of shape (m,)
        Samples to use.
    weight : ndarray of shape (m,)
        Their weights.

    Returns
    -------
    mean, std : float
        NaN for a column without values; a standard deviation of zero for one whose
        exact values are constant.
    """
    present = ~np.isnan(X[index])
    if not present.any():
        return np.nan, np.nan
    x = X[index][present].astype(np.float64)
    error_variance = np.square(errors[index][present], dtype=np.float64)
    weight = weight[present]
    exact = x[error_variance == 0]
    if len(exact) > 1 and exact.max() == exact.min():
        return exact[0], 0.0
    mean = np.median(x)
    variance = _first_variance(np.square(x - mean))
    for _ in range(STEPS):
        before = mean, variance
        share = weight / (variance + error_variance)
        mean = share @ x / share.sum()
        variance = _scoring_step(variance, np.square(x - mean), error_variance, weight)
        if _is_close(variance, before[1]) and (mean - before[0]) ** 2 < 1e-9 * variance:
            break
    return mean, np.sqrt(variance)


def excess_variance(
    squares: np.ndarray, error_variance: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    r"""Compute the variance of residuals beside known errors, by maximum likelihood.

    Fisher scoring for squares q with the distribution of :math:`(v + s^2)\,\chi^2_1`:

    .. math:: v \leftarrow \frac{\sum w\, (q - s^2) / (v + s^2)^2}
        {\sum w / (v + s^2)^2}

    It is at least the standard error of the result.

    Parameters
    ----------
    squares : ndarray of shape (n, p)
        Squared residuals, NaN where a value is missing.
    error_variance : ndarray of shape (n, p)
    weight : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (p,)
    """
    variance = _first_variance(squares)
    weights = np.broadcast_to(weight[:, None], squares.shape)
    for _ in range(STEPS):
        before = variance
        variance = _scoring_step(variance, squares, error_variance, weights)
        if np.all(_is_close(variance, before)):
            break
    return variance


# ------------------------------------------------------------------ inner functions
def _first_variance(squares):
    """Return a robust positive variance of columns of squares, (p,)."""
    present = np.where(np.isnan(squares).all(axis=0), 1.0, squares)
    middle = np.nanmedian(present, axis=0) / NORMAL_MEDIAN
    first = np.where(middle > 0, middle, np.nanmean(present, axis=0))
    return np.maximum(first, LEAST_VARIANCE)


def _scoring_step(variance, squares, error_variance, weight):
    """Return the variance of columns after a step of Fisher scoring, (p,)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        information = weight / np.square(variance + error_variance)
        information = np.where(np.isnan(squares), 0.0, information)
        total = information.sum(axis=0)
        excess = np.nansum(information * (squares - error_variance), axis=0)
        n_rows = weight.sum(axis=0) ** 2 / np.square(weight).sum(axis=0)
        error = np.sqrt(2 * weight.sum(axis=0) / (n_rows * total))
        found = np.maximum(excess / total, error)
    return np.where(total > 0, found, variance)


def _is_close(one: Any, other: Any) -> Any:
    return np.abs(one - other) <= TOLERANCE * other

"""Calibration of the learned noise by residuals of held-out samples.

Networks that memorise samples leave smaller residuals on them than on others, and a
noise scale learned from these is too small. It is therefore multiplied by the ratio
that held-out samples show.

Axes: ``n`` samples, ``p`` features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import core
from .._moments import average_of_columns, median_of_columns
from ._errors import excess_variance, precision_weights
from ._noise_levels import resolution_variance

EVALUATED_ROWS = 500
"""Training samples on which candidates are evaluated, at most."""

CALIBRATED_ROWS = 4000
"""Training samples from whose residuals the noise is computed, at most."""

LeastVariance = Callable[[np.ndarray, np.ndarray, int], np.ndarray]

MAX_SQUARE = 100.0
"""Squared residual above which larger ones count no more, in units of the training
mean, or of the median of held-out samples if that is larger."""


def calibrate(
    job: core.Job,
    weights: core.Arrays,
    inflation: np.ndarray,
    device: Any,
    least_variance: LeastVariance = resolution_variance,
) -> core.Arrays:
    """Set the learned noise to the residuals of the training samples, times a ratio.

    It is never less than the rounding of a column.

    Parameters
    ----------
    job : core.Job
        The trained job.
    weights : dict of str to ndarray
        Its weights.
    inflation : ndarray of shape (p,)
        Ratio of held-out to training variance of the residuals.
    device : torch.device
    least_variance : callable (rows, row_weights, seed) -> ndarray of shape (p,)
        Returns the least noise variance of each column.
    """
    variance = _noise_variance(job, weights, inflation, device)
    least = least_variance(job.values, job.row_weights, job.seed)
    variance = np.maximum(variance, least)
    return job.likelihood.with_variance(weights, variance)


def inflation_of(
    held_out: np.ndarray, training: np.ndarray, error: np.ndarray
) -> np.ndarray:
    r"""Estimate the ratio of held-out to training variance of each column's residuals.

    Logarithms of the ratios are shrunk to their median by empirical Bayes: few held-out
    samples, or heavy tails, leave the ratio of a single column uncertain.

    .. math:: \log r_j = m + \frac{\tau^2}{\tau^2 + s_j^2} (\log \hat r_j - m)

    Parameters
    ----------
    held_out, training : ndarray of shape (p,)
        Mean squares.
    error : ndarray of shape (p,)
        Variance of the logarithm of ``held_out``, s**2.

    Returns
    -------
    ndarray of shape (p,)
        At least one.
    """
    is_used = (training > 0) & (held_out > 0)
    if not is_used.any():
        return np.ones_like(training)
    ratio = np.zeros_like(training)
    ratio[is_used] = np.log(held_out[is_used] / training[is_used])
    middle = np.median(ratio[is_used])
    spread = np.median((ratio[is_used] - middle) ** 2) / 0.4549  # of a chi square
    between = max(0.0, spread - float(np.median(error[is_used])))
    kept = between / (between + error) if between else np.zeros_like(error)
    shrunk = middle + kept * (ratio - middle)
    return np.exp(np.maximum(np.where(is_used, shrunk, middle), 0.0))


def noise_inflation(jobs, fits, device) -> np.ndarray | None:
    """Compute the ratio of held-out to training variance of residuals, over splits.

    Squared residuals count up to 100 times the training variance or the median of
    held-out samples, whichever is larger, so that one outlier among the held-out
    samples does not raise the noise, and the residuals of a model that has memorised
    the training samples do.

    Parameters
    ----------
    jobs : sequence of core.Job
        One candidate on each split.
    fits : sequence of core.Fit
        Their results.
    device : torch.device

    Returns
    -------
    ndarray of shape (p,) or None
        None where no noise is learned.
    """
    if not jobs[0].likelihood.is_learned:
        return None
    sums: Any = 0.0
    for job, fit in zip(jobs, fits, strict=True):
        few, held_out = few_rows(job), held_out_of(job)
        inside = _weighted_squares(job, fit.weights, few.rows, device)
        outside = _weighted_squares(job, fit.weights, held_out.rows, device)
        limit = MAX_SQUARE * np.maximum(
            average_of_columns(inside, few.row_weights),
            median_of_columns(outside, held_out.row_weights),
        )
        training, _ = _mean_square(inside, few.row_weights, limit)
        apart, error = _mean_square(outside, held_out.row_weights, limit)
        sums = sums + np.stack([apart, training, error]) / len(jobs)
    apart, training, error = sums
    return inflation_of(apart, training, error / len(jobs))


def few_rows(job: core.Job) -> core.Job:
    """Return the job with the first of its rows; their order is as good as random."""
    few = slice(EVALUATED_ROWS)
    return replace(job, rows=job.rows[few], row_weights=job.row_weights[few])


def held_out_of(job: core.Job) -> core.HeldOut:
    """Return the held-out rows of a job that has some."""
    assert job.held_out is not None
    return job.held_out


# ------------------------------------------------------------------ inner functions
def _squares(job, weights, rows, device) -> np.ndarray:
    """Return the expected squared residuals of rows, (n, p); NaN where missing."""
    squares = core.residual_squares(
        job.network, job.likelihood, weights, rows, device=device
    )
    return squares.astype(np.float64)


def _weighted_squares(job, weights, rows, device) -> np.ndarray:
    """Return the same, by which values with known errors count the less."""
    squares = _squares(job, weights, rows, device)
    _, errors = core.split_errors(rows, job.network.n_features)
    return squares * precision_weights(errors)


def _mean_square(squares, row_weights, limit):
    """Return the mean of limited squares, (p,), and the variance of its logarithm."""
    squares = np.minimum(squares, limit)
    n_rows: Any = core.effective_sample_size(row_weights)
    if (missing := np.isnan(squares)).any():
        mean, second = (
            average_of_columns(values, row_weights) for values in (squares, squares**2)
        )
        n_rows = np.maximum(n_rows * (1 - missing.mean(axis=0)), 1.0)
    else:
        share = row_weights / row_weights.sum()
        mean, second = share @ squares, share @ squares**2
    kurtosis = second / np.maximum(mean**2, np.finfo(np.float64).tiny)
    return mean, np.maximum(kurtosis - 1, 0.0) / n_rows


def _noise_variance(job, weights, inflation, device) -> np.ndarray:
    """Return the noise variance of each column, from inflated squared residuals, (p,).

    It is what their known errors do not explain.
    """
    some = slice(CALIBRATED_ROWS)
    rows, row_weights = job.rows[some], job.row_weights[some]
    squares = _squares(job, weights, rows, device)
    _, errors = core.split_errors(rows, job.network.n_features)
    if errors is None:
        return average_of_columns(squares, row_weights) * inflation
    error_variance = np.square(errors, dtype=np.float64)
    return excess_variance(squares * inflation, error_variance, row_weights)

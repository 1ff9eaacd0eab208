"""Scores of simpler models, with which a fit is compared.

Axes: ``n`` training samples, ``m`` held-out samples, ``p`` features.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.utils.extmath import randomized_svd

from .. import core
from .._linear_models import fit_factor_analysis
from .._moments import average_of_columns, sum_columns, trimmed_mean
from ._errors import moments_with_errors, precision_weights
from ._incomplete import has_missing

LINEAR_ROWS = 1000
"""Samples to which linear models are fitted for comparison, at most."""

LINEAR_STEPS = 200
"""Steps of expectation maximisation for that factor analysis, at most."""

MAX_LINEAR_FEATURES = 300
"""Features above which it takes too long."""

MAX_VALUE = 1e100
"""Magnitude above which the squares of a sample, summed, could overflow."""

TINY = 1e-6
"""Probability that is neither zero nor one."""


def independent_score(job: core.Job) -> float:
    """Compute the mean log-likelihood of the rows as independent features, nats.

    The distribution of each feature is that of a model without active latents.
    """
    if job.errors is not None:
        return _independent_score_with_errors(job, job.errors)
    if isinstance(job.likelihood, core.Composite):
        return _independent_score_of_columns(job, job.likelihood)
    if not isinstance(job.rows, np.ndarray):
        return _independent_score_in_blocks(job)
    if has_missing(job.rows):
        return _independent_score_of_observed(job)
    share = job.row_weights / job.row_weights.sum()
    mean = share @ job.rows.astype(np.float64)
    variance = share @ (job.rows - mean) ** 2
    return float(_independent_terms(job.likelihood, mean, variance).sum())


def _independent_score_of_observed(job: core.Job) -> float:
    """Compute the same for the observed values of incomplete rows."""
    rows = job.rows.astype(np.float64)
    mean = average_of_columns(rows, job.row_weights)
    variance = average_of_columns((rows - mean) ** 2, job.row_weights)
    counts = job.row_weights @ ~np.isnan(rows) / job.row_weights.sum()
    return float(counts @ _independent_terms(job.likelihood, mean, variance))


def _independent_score_in_blocks(job: core.Job) -> float:
    """Compute the same for rows that are read in parts."""
    share = job.row_weights / job.row_weights.sum()
    slices = (slice(i, i + LINEAR_ROWS) for i in range(0, len(job.rows), LINEAR_ROWS))
    sums = sum_columns(
        (job.rows[some].astype(np.float64), share[some]) for some in slices
    )
    terms = _independent_terms(job.likelihood, sums.mean, sums.variance)
    return float(np.sum(sums.weight * terms))


def _independent_score_of_columns(job: core.Job, likelihood: core.Composite) -> float:
    """Compute the same for columns of several types."""
    rows = job.rows[:LINEAR_ROWS].astype(np.float64)
    weight = job.row_weights[:LINEAR_ROWS]
    mean = average_of_columns(rows, weight)
    variance = average_of_columns((rows - mean) ** 2, weight)
    scores = likelihood.marginal_scores(rows, variance, job.start)
    return float(np.average(scores, weights=weight))


def _independent_score_with_errors(job, errors) -> float:
    """Compute the same for values with known errors, which add to the noise."""
    weight, every = job.row_weights, np.arange(len(job.rows))
    columns = zip(job.values.T, errors.T, strict=True)
    moments = [moments_with_errors(x, s, every, weight) for x, s in columns]
    mean, std = np.nan_to_num(np.array(moments).T)
    noise = job.likelihood.noise_variance(std**2)
    variance = noise + np.square(errors, dtype=np.float64)
    squares = np.square(job.values - mean) / variance
    terms = -0.5 * (np.log(2 * np.pi * variance) + squares)
    return float(weight @ np.nansum(terms, axis=1) / weight.sum())


def _independent_terms(likelihood, mean, variance) -> np.ndarray:
    """Return each column's mean log-likelihood under its own moments, (p,)."""
    if not isinstance(likelihood, core.Gaussian):
        inner = np.clip(mean, TINY, 1 - TINY)
        return mean * np.log(inner) + (1 - mean) * np.log1p(-inner)
    noise = likelihood.noise_variance(variance)
    return -0.5 * (np.log(2 * np.pi * noise) + variance / noise)


def linear_score(job: core.Job, held_out: core.HeldOut) -> float:
    """Compute the held-out score of factor analysis; NaN where no noise is learned."""
    is_gaussian = isinstance(job.likelihood, core.Gaussian)
    if not (is_gaussian and job.likelihood.is_learned):
        return math.nan
    return factor_analysis_score(
        job.rows,
        held_out.rows,
        held_out.row_weights,
        job.network.n_components,
        job.network.n_features,
    )


def factor_analysis_score(rows, held_out, weight, n_components, n_features=None):
    """Compute the trimmed mean held-out log-likelihood of factor analysis.

    Parameters
    ----------
    rows : ndarray of shape (n, p) or (n, 2 p)
        Training samples; at most 1,000 of them are used. Known errors follow.
    held_out : ndarray of shape (m, p) or (m, 2 p)
    weight : ndarray of shape (m,)
        Weights of the held-out samples.
    n_components : int
    n_features : int or None, default=None
        Features, p; None takes all columns.

    Returns
    -------
    float
        Nats per sample; NaN for more than 300 features, where it takes long, and for
        features that it cannot be fitted to.
    """
    n_features = n_features or rows.shape[1]
    sample = rows[:LINEAR_ROWS].astype(np.float64)
    if n_features > MAX_LINEAR_FEATURES or np.nanmax(np.abs(sample)) > MAX_VALUE:
        return math.nan
    n_components = min(n_components, len(sample), n_features)
    with np.errstate(all="ignore"):
        model = _factor_model(sample, held_out, n_components, n_features)
        score, _ = trimmed_mean(model.score_samples(held_out), weight)
    return score if np.isfinite(score) else math.nan


def _factor_model(sample, held_out, n_components, n_features):
    """Fit factor analysis, of the observed values where some are missing."""
    values, errors = core.split_errors(sample, n_features)
    if errors is None and not (has_missing(sample) or has_missing(held_out)):
        return fit_factor_analysis(sample, n_components, max_iter=LINEAR_STEPS)
    weight = np.ones(len(sample))
    return core.fit_incomplete_factor_analysis(
        values, weight, n_components, n_steps=LINEAR_STEPS, seed=0, errors=errors
    )


def first_component_r2(rows, held_out, n_features=None):
    """Compute the R2 of one principal component of the samples on held-out ones.

    Of samples that are incomplete or have known errors it is that of a factor analysis
    with one factor, where values count the less, the larger their errors are.
    """
    n_features = n_features or rows.shape[1]
    sample = rows[:LINEAR_ROWS].astype(np.float64)
    values, errors = core.split_errors(held_out, n_features)
    if errors is not None or has_missing(sample) or has_missing(held_out):
        model = _factor_model(sample, held_out, 1, n_features)
        count = precision_weights(errors)
        squares = np.square(values - model.reconstruct(held_out)) * count
        total = np.nansum(np.square(values - model.mean) * count)
        return float(1 - np.nansum(squares) / total) if total > 0 else math.nan
    mean = sample.mean(axis=0)
    _, _, axes = randomized_svd(sample - mean, 1, random_state=0)
    apart = held_out - mean
    total = np.square(apart).sum()
    return float(np.square(apart @ axes.T).sum() / total) if total > 0 else math.nan

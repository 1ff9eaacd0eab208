"""Components of a trained model that are uncorrelated within conditions.

Axes: ``n`` samples, ``d`` components, ``K`` conditions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import core
from ._conditional_start import condition_groups, condition_moments, diagonalising

MIN_KL = 0.05
"""KL divergence above which a latent takes part, nats."""

MAX_ROWS, COMPARED_ROWS = 10_000, 2000
"""Samples whose codes are diagonalised, and over which the bound is compared, at
most."""


def diagonalised(job: core.Job, fit: core.Fit, device) -> core.Fit:
    """Replace latents by combinations that are uncorrelated within conditions.

    Joint diagonalisation is that of the start. Priors become those of the new
    combinations: the moments of their codes. The fit is returned as it is where that
    does not raise the bound given the conditions, or the network has no linear outputs.

    Parameters
    ----------
    job : core.Job
        Of a :class:`core.AuxiliaryVAE`.
    fit : core.Fit
    device : torch.device
    """
    objective, some = job.objective, _leading(job.representative, MAX_ROWS)
    assert isinstance(objective, core.AuxiliaryVAE)
    chosen = np.flatnonzero(fit.kl > MIN_KL)
    if len(chosen) < 2 or not core.can_mix(job.network):
        return fit
    share = some.row_weights / some.row_weights.sum()
    groups = condition_groups(some.labels, objective.n_conditions)
    mean, variance = _posterior(some, fit.weights, device)
    matrix = np.eye(mean.shape[1])
    matrix[np.ix_(chosen, chosen)] = diagonalising(
        mean[:, chosen], share, groups, variance[:, chosen]
    )
    weights = core.mix_latents(some, fit.weights, matrix, device)
    mean, variance = _posterior(some, weights, device)
    moments = condition_moments(mean, len(share) * share, groups, variance)
    dtype = fit.weights[core.CONDITIONAL_PRIOR].dtype
    weights[core.CONDITIONAL_PRIOR] = np.stack(moments, axis=1).astype(dtype)
    some = _leading(some, COMPARED_ROWS)
    if not _bound(some, weights, device) > _bound(some, fit.weights, device):
        return fit
    weights, kl, of_means = core.order_latents(job, weights, device)
    return replace(fit, weights=weights, kl=kl, variance=of_means)


def _leading(job: core.Job, n_rows: int) -> core.Job:
    """Return the job with its first rows; their order is as good as a random one."""
    assert job.labels is not None
    some = slice(n_rows)
    return replace(
        job,
        rows=job.rows[some],
        row_weights=job.row_weights[some],
        labels=job.labels[some],
    )


def _posterior(job, weights, device):
    """Return means and variances of the posteriors, (n, d) each."""
    mean, std = core.encode(job.network, weights, job.rows, device=device)
    return mean.astype(np.float64), np.square(std.astype(np.float64))


def _bound(job, weights, device) -> float:
    """Return the mean bound of the encoder given the conditions, nats per sample."""
    labels = job.labels[:, 0]
    bounds = core.elbo(
        job.network, job.likelihood, weights, job.rows, n_directions=1, device=device
    )
    mean, variance = _posterior(job, weights, device)
    prior, std = core.conditional_prior(weights, np.array(job.objective.shares))
    is_known = ~np.isnan(labels)
    index = labels[is_known].astype(int)
    own, of_mean = variance[is_known], mean[is_known]
    plain = np.square(of_mean) + own
    given = (np.square(of_mean - prior[index]) + own) / np.square(std[index])
    bounds[is_known] += 0.5 * (plain - given - 2 * np.log(std[index])).sum(axis=1)
    return float(np.average(bounds, weights=job.row_weights))

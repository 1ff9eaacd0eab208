"""Components of a trained model that are uncorrelated within conditions.

Axes: ``n`` samples, ``d`` components, ``K`` conditions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import core
from ._condition_information import (
    MAX_ROWS,
    condition_information,
    leading_rows,
)
from ._conditional_start import condition_groups, condition_moments, diagonalising

MIN_KL = 0.05
"""KL divergence above which a latent takes part, nats."""


def diagonalised(job: core.Job, fit: core.Fit, device) -> core.Fit:
    """Replace latents by combinations that are uncorrelated within conditions.

    Joint diagonalisation is that of the start. Priors become those of the new
    combinations: the moments of their codes. The fit is returned as it is where codes
    then tell no more of the conditions (:func:`condition_information`), or the network
    has no linear outputs. The bound can be lower after it, since the posterior of
    combined latents is taken as one of independent latents.

    Parameters
    ----------
    job : core.Job
        Of a :class:`core.AuxiliaryVAE`.
    fit : core.Fit
    device : torch.device
    """
    objective, some = job.objective, leading_rows(job.representative, MAX_ROWS)
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
    before, (mean, variance) = mean, _posterior(some, weights, device)
    moments = condition_moments(mean, len(share) * share, groups, variance)
    dtype = fit.weights[core.CONDITIONAL_PRIOR].dtype
    weights[core.CONDITIONAL_PRIOR] = np.stack(moments, axis=1).astype(dtype)
    gain, own = (
        condition_information(codes[:, chosen], len(share) * share, groups)
        for codes in (mean, before)
    )
    if not gain > own:
        return fit
    weights, kl, of_means = core.order_latents(job, weights, device)
    return replace(fit, weights=weights, kl=kl, variance=of_means)


def _posterior(job, weights, device):
    """Return means and variances of the posteriors, (n, d) each."""
    mean, std = core.encode(job.network, weights, job.rows, device=device)
    return mean.astype(np.float64), np.square(std.astype(np.float64))

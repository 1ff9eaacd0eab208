"""VAE whose prior depends on the condition of a row.

Axes: ``K`` models, ``c`` conditions, ``B`` rows, ``d`` latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._axes import LATENT, MOMENT, Parameters
from .._dense import PLAIN, Weights
from ._base import WEIGHT, Objective, Terms, warmed_up
from ._forward import Forward
from ._supervised import labelled

CONDITIONAL_PRIOR = "conditional_prior.moments"
"""Weight (c, 2, d): means and log-variances of the prior, before standardisation."""

Moments = tuple[Tensor, Tensor]
"""Means and log-variances of normal distributions."""


@dataclass(frozen=True, kw_only=True)
class AuxiliaryVAE(Objective):
    r"""The evidence lower bound with a normal prior for each condition u.

    .. math:: \mathbb{E}_{q(z|x,u)}[-\log p(x|z)]
        + \beta\,\bigl(\alpha\,\mathrm{KL}(q(z|x)\,\|\,p(z|u))
        + (1 - \alpha)\,\mathrm{KL}(q(z|x,u)\,\|\,p(z|u))\bigr),
        \quad q(z|x,u) \propto q(z|x)\,p(z|u)

    A row whose condition is unknown has the terms of :class:`VAE`: q(z | x) and the
    standard normal prior. The priors of the conditions are learned with the networks.
    Together, weighted by the shares of the conditions, they have mean zero and variance
    one in each latent, as the standard normal prior has.

    The condition of a row is the first of its labels.

    Parameters
    ----------
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0.
    encoder_share : float, or Tensor of shape (K,)
        Share of the divergence of q(z | x), alpha, in [0, 1].
    shares : tuple of c float, or Tensor of shape (K, c)
        Share of each condition in the rows whose condition is known.
    n_conditions : int
        Number of conditions, c.

    References
    ----------
    Zhou & Wei (2020), "Learning identifiable and interpretable latent models of
    high-dimensional neural activity using pi-VAE", for the posterior and the prior;
    there, alpha is zero.
    """

    beta: Any = field(metadata=WEIGHT)
    encoder_share: Any = field(metadata=WEIGHT)
    shares: Any = field(metadata=WEIGHT)
    n_conditions: int

    @property
    def kl_weight(self) -> float:
        return float(self.beta)

    @property
    def parameters(self) -> Parameters:
        return {CONDITIONAL_PRIOR: ("c", MOMENT, LATENT)}

    def draw(self, n_components: int) -> Weights:
        """Return standard normal priors."""
        shape = self.n_conditions, 2, n_components
        return {CONDITIONAL_PRIOR: torch.zeros(shape, **PLAIN)}

    def weights(self, ramp: Tensor) -> Terms:
        return {"kl": warmed_up(self.beta, ramp)}

    def terms(self, forward: Forward) -> Terms:
        conditions = labelled(forward).known[..., 0]  # (K, B)
        own = forward.mean, forward.log_var
        prior = self.prior_of(forward.weights, conditions)
        is_known = ~conditions.isnan().unsqueeze(-1)
        mean, log_var = product_moments(own, prior)
        joint = (
            torch.where(is_known, mean, forward.mean),
            torch.where(is_known, log_var, forward.log_var),
        )
        given = forward.with_posterior(*joint)
        share = self.encoder_share[:, None, None]
        kl = share * normal_kl(own, prior) + (1 - share) * normal_kl(joint, prior)
        if forward.mask is not None:
            kl = kl * forward.mask
        return {"reconstruction": given.reconstruction, "kl": kl.sum(-1).mean(-1)}

    def prior_of(self, weights: Weights, conditions: Tensor) -> Moments:
        """Return the prior of each row, (K, B, d), given its condition, (K, B)."""
        moments = weights[CONDITIONAL_PRIOR]
        tables = standardised_prior(moments[:, :, 0], moments[:, :, 1], self.shares)
        number = conditions.nan_to_num(nan=self.n_conditions).long().unsqueeze(-1)
        mean, log_var = (
            torch.nn.functional.pad(table, (0, 0, 0, 1)).gather(  # the last is N(0, I)
                1, number.expand(-1, -1, table.shape[-1])
            )
            for table in tables
        )
        return mean, log_var


def standardised_prior(mean: Tensor, log_var: Tensor, shares: Tensor) -> Moments:
    """Shift and scale priors (K, c, d) such that their mixture has moments 0 and 1.

    Parameters
    ----------
    mean, log_var : Tensor of shape (K, c, d)
    shares : Tensor of shape (K, c)
        Weights of the mixture.
    """
    share = shares.unsqueeze(-1)
    centred = mean - (share * mean).sum(1, keepdim=True)
    total = (share * (centred.square() + log_var.exp())).sum(1, keepdim=True)
    return centred * total.rsqrt(), log_var - total.log()


def product_moments(first: Moments, second: Moments) -> Moments:
    """Return the moments of the normalised product of two normal densities."""
    (mean, log_var), (other, other_log_var) = first, second
    share = torch.sigmoid(other_log_var - log_var)  # of the first precision
    joint = -torch.logaddexp(-log_var, -other_log_var)
    return share * mean + (1 - share) * other, joint


def normal_kl(first: Moments, second: Moments) -> Tensor:
    """Return the KL divergence of the first from the second, each latent, nats."""
    (mean, log_var), (other, other_log_var) = first, second
    ratio = log_var - other_log_var
    by_mean = (mean - other).square() * torch.exp(-other_log_var)
    return 0.5 * (by_mean + ratio.exp() - ratio - 1)


def conditional_prior(
    weights: Mapping[str, np.ndarray], shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations of the trained priors, (c, d), float64.

    Parameters
    ----------
    weights : mapping of str to ndarray
        Trained weights.
    shares : ndarray of shape (c,)
        Share of each condition.

    Raises
    ------
    KeyError
        If the weights have no such priors.
    """
    moments = torch.from_numpy(weights[CONDITIONAL_PRIOR].astype(np.float64))[None]
    share = torch.from_numpy(np.asarray(shares, dtype=np.float64))[None]
    mean, log_var = standardised_prior(moments[:, :, 0], moments[:, :, 1], share)
    return mean[0].numpy(), (0.5 * log_var[0]).exp().numpy()

"""Paired VAE: latents that a pair shares have one posterior for both of its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ._base import WEIGHT, Objective, Terms, warmed_up
from ._factor_vae import TotalCorrelationDiscriminator
from ._forward import Forward

AVERAGES = ("arithmetic", "geometric")

Moments = tuple[Tensor, Tensor]
"""Means and log-variances of posteriors, (K, B, d) each."""


@dataclass(frozen=True, kw_only=True)
class PairedVAE(Objective):
    r"""FactorVAE of pairs of rows that have most factors in common.

    .. math:: \tfrac{1}{2} \sum_{i=1}^2 \bigl(\mathbb{E}_{\tilde q_i}[-\log p(x_i|z)]
        + \beta\,\mathrm{KL}(\tilde q_i\,\|\,p(z))\bigr) + \gamma\,\mathrm{TC}(q(z))

    where :math:`\tilde q_i` is the posterior of row i, but the average of both
    posteriors for the latents that the pair shares: those whose posteriors differ by
    less than half the range over latents, or all but ``n_changed``. The difference is
    the symmetrised KL divergence. The total correlation is that of single rows. A row
    without a partner has the terms of :class:`FactorVAE`.

    Parameters
    ----------
    gamma : float, or Tensor of shape (K,)
        Weight of the total correlation, >= 0.
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0.
    hidden_layer_sizes : tuple of int
        Hidden layers of the discriminator.
    learning_rate : float
        The discriminator's.
    n_changed : int or None
        Latents that differ within a pair; None decides for each pair.
    average : {"arithmetic", "geometric"}
        Average of two posteriors; see :func:`average_moments`.

    References
    ----------
    Locatello et al. (2020), "Weakly-Supervised Disentanglement Without Compromises",
    whose adaptive rule uses the KL divergence in one direction.
    """

    gamma: Any = field(metadata=WEIGHT)
    beta: Any = field(metadata=WEIGHT)
    hidden_layer_sizes: tuple[int, ...]
    learning_rate: float
    n_changed: int | None = None
    average: str = "arithmetic"

    recorded_only = ("changed_components",)

    @property
    def kl_weight(self) -> float:
        return float(self.beta)

    @property
    def adversary(self) -> TotalCorrelationDiscriminator:
        return TotalCorrelationDiscriminator(
            self.hidden_layer_sizes, self.learning_rate
        )

    def weights(self, ramp: Tensor) -> Terms:
        return {
            "kl": warmed_up(self.beta, ramp),
            "total_correlation": self.gamma * ramp,
        }

    def terms(self, forward: Forward) -> Terms:
        is_paired = forward.batch.is_paired
        if is_paired is None:
            return {"reconstruction": forward.reconstruction, "kl": forward.kl}
        partners = forward.partners
        own = forward.mean, forward.log_var
        other = partners.mean, partners.log_var
        is_shared = shared_latents(own, other, self.n_changed, forward.mask)
        is_shared = is_shared & is_paired.unsqueeze(-1)
        average = average_moments(own, other, self.average)
        first, second = (
            one.with_posterior(
                torch.where(is_shared, average[0], one.mean),
                torch.where(is_shared, average[1], one.log_var),
            )
            for one in (forward, partners)
        )
        return {
            "reconstruction": (first.reconstruction + second.reconstruction) / 2,
            "kl": (first.kl + second.kl) / 2,
            "changed_components": mean_changed(is_shared, is_paired, forward.mean),
        }


def divergence(first: Moments, second: Moments) -> Tensor:
    r"""Return the symmetrised KL divergence of two posteriors, nats, (K, B, d).

    .. math:: \tfrac{1}{2} \bigl(\mathrm{KL}(q_1\,\|\,q_2)
        + \mathrm{KL}(q_2\,\|\,q_1)\bigr)
    """
    (mean, log_var), (other, other_log_var) = first, second
    precisions = torch.exp(-log_var) + torch.exp(-other_log_var)
    by_mean = (mean - other).square() * precisions
    return (by_mean + 2 * torch.cosh(log_var - other_log_var) - 2) / 4


def shared_latents(
    first: Moments, second: Moments, n_changed: int | None, mask: Tensor | None
) -> Tensor:
    """Return which latents a pair shares, (K, B, d), without a gradient.

    Parameters
    ----------
    first, second : tuple of two Tensors of shape (K, B, d)
        Means and log-variances.
    n_changed : int or None
        Number of latents that are not shared; None takes those whose divergence is
        above the middle between the smallest and the largest one.
    mask : Tensor of shape (K, 1, d) or None
        One where a latent exists; others are shared.
    """
    with torch.no_grad():
        differs = divergence(first, second)
        exists = torch.ones_like(differs) if mask is None else mask.expand_as(differs)
        if n_changed is not None:
            least = differs * exists - (1 - exists)
            place = min(n_changed, differs.shape[-1]) - 1
            bound = least.sort(-1, descending=True).values[..., place : place + 1]
            return least < bound
        largest = (differs * exists).amax(-1, keepdim=True)
        smallest = torch.where(exists > 0, differs, math.inf).amin(-1, keepdim=True)
        return (differs < (largest + smallest) / 2) | (exists == 0)


def average_moments(first: Moments, second: Moments, average: str) -> Moments:
    r"""Return the average of two posteriors.

    The arithmetic one has the mean of both means, and of both variances, as in GVAE.
    The geometric one has the mean of both natural parameters:

    .. math:: \tilde q \propto \sqrt{q_1 q_2}, \quad
        \tilde\sigma^2 = \frac{2 \sigma_1^2 \sigma_2^2}{\sigma_1^2 + \sigma_2^2}

    Its mean is that of the product of both, as in ML-VAE (Bouchacourt et al. 2018), and
    its variance twice the product's. With that of the product, a latent that holds
    nothing, whose posteriors are the prior, would have a variance of one half, and .10
    nats that no fit can remove.
    """
    (mean, log_var), (other, other_log_var) = first, second
    if average == "arithmetic":
        return (mean + other) / 2, torch.logaddexp(log_var, other_log_var) - math.log(2)
    share = torch.sigmoid(other_log_var - log_var)  # of the first precision
    joint = math.log(2) - torch.logaddexp(-log_var, -other_log_var)
    return share * mean + (1 - share) * other, joint


def mean_changed(is_shared: Tensor, is_paired: Tensor, like: Tensor) -> Tensor:
    """Return the mean number of latents that differ within a pair, (K,)."""
    changed = (~is_shared & is_paired.unsqueeze(-1)).to(like).sum((1, 2))
    return changed / is_paired.to(like).sum(-1).clamp(min=1)

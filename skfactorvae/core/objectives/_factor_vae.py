"""FactorVAE: total correlation by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._dense import Weights
from ._base import WEIGHT, AdversarialObjective, Forward, Terms, warmed_up
from ._discriminator import discriminator, run_discriminator
from ._groups import Groups, order_within_groups, permute_groups


@dataclass(frozen=True, kw_only=True)
class FactorVAE(AdversarialObjective):
    r"""ELBO plus :math:`\gamma` times the total correlation of the codes.

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \gamma\,\mathrm{TC}(q(z))

    TC is estimated by a discriminator that tells codes from dimension-wise permuted
    codes of an independent batch. It sees both blurred by normal noise, the more so the
    fewer rows there are, lest it learn the rows by heart; independent codes are
    independent when blurred, and others are not. It sees idle latents small, lest its
    errors stir them; total correlation does not depend on scales. Not to be confused
    with :class:`BetaTCVAE`, which estimates TC from the batch and has no discriminator.

    Parameters
    ----------
    gamma : float, or Tensor of shape (K,)
        Weight of the total correlation, >= 0. Zero gives a VAE.
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0.
    hidden_layer_sizes : tuple of int
        Hidden layers of the discriminator.
    learning_rate : float
        The discriminator's.
    groups : tuple of int or None
        Sizes of groups of latents; the total correlation is that between groups.

    References
    ----------
    Kim & Mnih (2018), "Disentangling by Factorising", Eq. 2 and Algorithm 2.
    """

    gamma: Any = field(metadata=WEIGHT)
    beta: Any = field(metadata=WEIGHT)
    hidden_layer_sizes: tuple[int, ...]
    learning_rate: float
    groups: Groups = None

    @property
    def kl_weight(self) -> float:
        return float(self.beta)

    def weights(self, ramp: Tensor) -> Terms:
        return {
            "kl": warmed_up(self.beta, ramp),
            "total_correlation": self.gamma * ramp,
        }

    def terms(self, forward: Forward) -> Terms:
        return {"reconstruction": forward.reconstruction, "kl": forward.kl}

    def draw_adversary(self, n_components: int, generator: torch.Generator) -> Weights:
        return discriminator(n_components, self.hidden_layer_sizes).draw(generator)

    def multiplications(self, n_components: int) -> int:
        return discriminator(n_components, self.hidden_layer_sizes).multiplications

    def play(
        self, forward: Forward, adversary: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        z = forward.discriminator_input
        network = discriminator(z.shape[-1], self.hidden_layer_sizes)
        permuted = permute_groups(
            forward.second_discriminator_input, forward.batch.order, self.groups
        )
        ended = run_discriminator(network, adversary, gradients, z, permuted)
        return {"total_correlation": ended.log_ratio()}, ended.record

    def latent_order(self, kl: np.ndarray) -> np.ndarray:
        return order_within_groups(kl, self.groups)

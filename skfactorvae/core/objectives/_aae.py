"""AAE: the aggregate posterior matched to the prior by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .._dense import Weights
from .._priors import PRIORS
from ._base import WEIGHT, AdversarialObjective, Forward, Terms
from ._discriminator import discriminator, run_discriminator


@dataclass(frozen=True, kw_only=True)
class AAE(AdversarialObjective):
    r"""Reconstruction, and a discriminator that tells codes from draws of the prior.

    .. math:: \mathbb{E}[-\log p(x|z)] - \gamma\,\mathbb{E}[\log(1 - D(z))]

    D(z) is the probability that a code comes from the encoder, and not from the prior.
    Where the game is even, the codes have the prior's distribution, whose total
    correlation is zero. There is no KL divergence for each row.

    Parameters
    ----------
    gamma : float, or Tensor of shape (K,)
        Weight of the game, >= 0. Zero gives an autoencoder.
    prior : {"normal", "uniform"}
        What the codes shall look like.
    hidden_layer_sizes : tuple of int
        Hidden layers of the discriminator.
    learning_rate : float
        The discriminator's.

    References
    ----------
    Makhzani et al. (2015), "Adversarial Autoencoders", Section 2.
    """

    gamma: Any = field(metadata=WEIGHT)
    hidden_layer_sizes: tuple[int, ...]
    learning_rate: float
    prior: str = "normal"

    def weights(self, ramp: Tensor) -> Terms:
        return {"prior_mismatch": self.gamma * ramp}

    def terms(self, forward: Forward) -> Terms:
        return {"reconstruction": forward.reconstruction}

    def draw_adversary(self, n_components: int, generator: torch.Generator) -> Weights:
        return discriminator(n_components, self.hidden_layer_sizes).draw(generator)

    def multiplications(self, n_components: int) -> int:
        return discriminator(n_components, self.hidden_layer_sizes).multiplications

    def play(
        self, forward: Forward, adversary: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        z = forward.z
        network = discriminator(z.shape[-1], self.hidden_layer_sizes)
        draws = PRIORS[self.prior].draw(forward.batch.noise[:, 1])
        seen = run_discriminator(network, adversary, gradients, z, draws)
        return {"prior_mismatch": seen.cross_entropy()}, seen.record

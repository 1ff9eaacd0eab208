"""AAE: the aggregate posterior matched to the prior by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .._axes import Parameters
from .._dense import Weights
from .._networks import Network
from .._priors import PRIORS
from ._base import WEIGHT, Adversary, Objective, Terms
from ._discriminator import discriminator, run_discriminator
from ._forward import Forward


@dataclass(frozen=True, kw_only=True)
class AAE(Objective):
    r"""Reconstruction error plus an adversarial match of the codes to the prior.

    .. math:: \mathbb{E}[-\log p(x|z)] - \gamma\,\mathbb{E}[\log(1 - D(z))]

    D(z) is the probability that a code comes from the encoder, and not from the prior.
    Where the discriminator is at chance level, the codes have the prior's distribution,
    whose total correlation is zero. There is no KL divergence for each row.

    Parameters
    ----------
    gamma : float, or Tensor of shape (K,)
        Weight of the adversarial term, >= 0. Zero gives an autoencoder.
    prior : {"normal", "uniform"}
        Distribution to which the codes are matched.
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

    @property
    def adversary(self) -> PriorDiscriminator:
        return PriorDiscriminator(
            self.hidden_layer_sizes, self.learning_rate, self.prior
        )

    def weights(self, ramp: Tensor) -> Terms:
        return {"prior_mismatch": self.gamma * ramp}

    def terms(self, forward: Forward) -> Terms:
        return {"reconstruction": forward.reconstruction}


@dataclass(frozen=True)
class PriorDiscriminator(Adversary):
    """A discriminator between codes and draws from the prior.

    Parameters
    ----------
    hidden_layer_sizes, learning_rate, prior
        As those of :class:`AAE`.
    """

    hidden_layer_sizes: tuple[int, ...]
    learning_rate: float
    prior: str

    def parameters(self, network: Network) -> Parameters:
        return discriminator(network.n_components, self.hidden_layer_sizes).parameters

    def draw(self, n_components: int, generator: torch.Generator) -> Weights:
        return discriminator(n_components, self.hidden_layer_sizes).draw(generator)

    def multiplications(self, n_components: int) -> int:
        return discriminator(n_components, self.hidden_layer_sizes).multiplications

    def run(
        self, forward: Forward, weights: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        z = forward.z
        network = discriminator(z.shape[-1], self.hidden_layer_sizes)
        draws = PRIORS[self.prior].draw(forward.batch.noise[:, 1])
        result = run_discriminator(network, weights, gradients, z, draws)
        return {"prior_mismatch": result.cross_entropy()}, result.record

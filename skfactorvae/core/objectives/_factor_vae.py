"""FactorVAE: total correlation estimated by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .._axes import Parameters
from .._dense import Weights
from .._networks import Network
from ._base import WEIGHT, Adversary, Objective, Terms, warmed_up
from ._discriminator import discriminator, run_discriminator
from ._forward import Forward
from ._groups import Groups, permute_groups
from ._readout import Readout


@dataclass(frozen=True, kw_only=True)
class FactorVAE(Objective):
    r"""ELBO plus :math:`\gamma` times the total correlation of the codes.

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \gamma\,\mathrm{TC}(q(z))

    TC is estimated by :class:`TotalCorrelationDiscriminator`. Not to be confused with
    :class:`BetaTCVAE`, which estimates TC from the batch and has no discriminator.

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

    @property
    def readout(self) -> Readout:
        return Readout(self.groups)

    @property
    def adversary(self) -> TotalCorrelationDiscriminator:
        return TotalCorrelationDiscriminator(
            self.hidden_layer_sizes, self.learning_rate, self.groups
        )

    def weights(self, ramp: Tensor) -> Terms:
        return {
            "kl": warmed_up(self.beta, ramp),
            "total_correlation": self.gamma * ramp,
        }

    def terms(self, forward: Forward) -> Terms:
        return {"reconstruction": forward.reconstruction, "kl": forward.kl}


@dataclass(frozen=True)
class TotalCorrelationDiscriminator(Adversary):
    """A discriminator between codes and codes that are permuted latent by latent.

    The permuted codes come from an independent batch. Both sets of codes have instance
    noise with standard deviation min(1, 400 / n), since the discriminator would
    memorise a small data set; independent codes stay independent under such noise, and
    dependent ones stay dependent. Latents are scaled by their correlation with their
    input, so that the discriminator's errors do not change inactive latents; total
    correlation does not depend on scales.

    Parameters
    ----------
    hidden_layer_sizes, learning_rate, groups
        As those of :class:`FactorVAE`.
    """

    hidden_layer_sizes: tuple[int, ...]
    learning_rate: float
    groups: Groups = None

    def parameters(self, network: Network) -> Parameters:
        return discriminator(network.n_components, self.hidden_layer_sizes).parameters

    def draw(self, n_components: int, generator: torch.Generator) -> Weights:
        return discriminator(n_components, self.hidden_layer_sizes).draw(generator)

    def multiplications(self, n_components: int) -> int:
        return discriminator(n_components, self.hidden_layer_sizes).multiplications

    def run(
        self, forward: Forward, weights: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        z, others = forward.discriminator_input, forward.second_discriminator_input
        network = discriminator(z.shape[-1], self.hidden_layer_sizes)
        permuted = permute_groups(others, forward.batch.order, self.groups)
        result = run_discriminator(network, weights, gradients, z, permuted)
        return {"total_correlation": result.log_ratio()}, result.record

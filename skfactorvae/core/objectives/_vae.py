"""VAE, beta-VAE, and beta-VAE with a capacity for its KL divergence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ._base import WEIGHT, Objective, Terms, warmed_up
from ._forward import Forward


@dataclass(frozen=True, kw_only=True)
class VAE(Objective):
    r"""The (beta-weighted) evidence lower bound.

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))

    Parameters
    ----------
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0. One gives the VAE.

    References
    ----------
    Kingma & Welling (2014), "Auto-Encoding Variational Bayes", Eq. 3; Higgins et al.
    (2017), "beta-VAE", Eq. 4.
    """

    beta: Any = field(metadata=WEIGHT)

    @property
    def kl_weight(self) -> float:
        return float(self.beta)

    def weights(self, ramp: Tensor) -> Terms:
        return {"kl": warmed_up(self.beta, ramp)}

    def terms(self, forward: Forward) -> Terms:
        return {"reconstruction": forward.reconstruction, "kl": forward.kl}


@dataclass(frozen=True, kw_only=True)
class CapacityVAE(Objective):
    r"""The VAE whose KL divergence is held at a capacity that rises with the warm-up.

    .. math:: \mathbb{E}[-\log p(x|z)]
        + \beta\,|\mathrm{KL}(q(z|x)\,\|\,p(z)) - C|

    The distance is that of the mean over the batch, not of each row: a row may have
    more than C nats if others have less.

    Parameters
    ----------
    beta : float, or Tensor of shape (K,)
        Weight of the distance, >= 0; the paper's gamma.
    capacity : float, or Tensor of shape (K,)
        C at the end of the warm-up, nats, >= 0. It rises linearly from zero.

    References
    ----------
    Burgess et al. (2018), "Understanding disentangling in beta-VAE", Eq. 8.
    """

    beta: Any = field(metadata=WEIGHT)
    capacity: Any = field(metadata=WEIGHT)

    recorded_only = ("kl",)

    @property
    def kl_weight(self) -> float:
        """Infinite: the KL divergence reaches the capacity at any weight."""
        return math.inf

    def weights(self, ramp: Tensor) -> Terms:
        return {"capacity_gap": self.beta}

    def terms(self, forward: Forward) -> Terms:
        kl = forward.kl
        return {
            "reconstruction": forward.reconstruction,
            "kl": kl,
            "capacity_gap": (kl - self.capacity * forward.ramp).abs(),
        }

"""The evidence lower bound, with a weight or a capacity for its KL divergence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ._base import WEIGHT, Forward, Objective, Terms, warmed_up


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
    r"""The VAE whose KL divergence is held at a capacity that grows with the warm-up.

    .. math:: \mathbb{E}[-\log p(x|z)]
        + \beta\,|\mathrm{KL}(q(z|x)\,\|\,p(z)) - C|

    The distance is taken of the mean over the batch, not row by row: a row may hold
    more than C where others hold less.

    Parameters
    ----------
    beta : float, or Tensor of shape (K,)
        Weight of the distance, >= 0; the paper's gamma.
    capacity : float, or Tensor of shape (K,)
        C at the end of the warm-up, nats, >= 0. It grows in a line from zero.

    References
    ----------
    Burgess et al. (2018), "Understanding disentangling in beta-VAE", Eq. 8.
    """

    beta: Any = field(metadata=WEIGHT)
    capacity: Any = field(metadata=WEIGHT)

    @property
    def kl_weight(self) -> float:
        """Without end: information comes up to the capacity, whatever it is worth."""
        return math.inf

    def weights(self, ramp: Tensor) -> Terms:
        return {"kl": 0 * self.beta, "capacity_gap": self.beta}

    def terms(self, forward: Forward) -> Terms:
        kl = forward.kl
        return {
            "reconstruction": forward.reconstruction,
            "kl": kl,
            "capacity_gap": (kl - self.capacity * forward.ramp).abs(),
        }

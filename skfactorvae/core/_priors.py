"""Priors p(z) of independent latents, with variance one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

HALF_WIDTH = math.sqrt(3)
"""Half the width of a uniform distribution with variance one."""


class Prior(ABC):
    """A distribution p(z) of independent latents."""

    @abstractmethod
    def draw(self, noise: Tensor) -> Tensor:
        """Turn standard normal noise into draws, of the same shape."""

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z) of codes (..., d), without its constant, (...)."""

    @abstractmethod
    def kl(self, mean: Tensor, log_var: Tensor) -> Tensor:
        """Return the KL divergence of normal posteriors, latent by latent, nats."""


class Normal(Prior):
    """Standard normal."""

    def draw(self, noise: Tensor) -> Tensor:
        return noise

    def log_density(self, z: Tensor) -> Tensor:
        return -0.5 * z.square().sum(-1)

    def kl(self, mean: Tensor, log_var: Tensor) -> Tensor:
        return 0.5 * (mean.square() + log_var.exp() - log_var - 1)


class Uniform(Prior):
    """Uniform on (-sqrt(3), sqrt(3)).

    For divergences and densities its own is extended to all real numbers.
    """

    def draw(self, noise: Tensor) -> Tensor:
        return HALF_WIDTH * torch.erf(noise / math.sqrt(2))

    def log_density(self, z: Tensor) -> Tensor:
        return 0 * z.sum(-1)

    def kl(self, mean: Tensor, log_var: Tensor) -> Tensor:
        entropy = 0.5 * (math.log(2 * math.pi * math.e) + log_var)
        return math.log(2 * HALF_WIDTH) - entropy + 0 * mean


PRIORS: dict[str, Prior] = {"normal": Normal(), "uniform": Uniform()}

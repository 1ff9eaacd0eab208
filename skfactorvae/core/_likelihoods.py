"""Likelihoods p(x | z): from the decoder's output to nats per row."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ._dense import PLAIN, Weights

LOG_TWO_PI = math.log(2 * math.pi)
RAW_SCALE = "likelihood.raw_scale"


class Likelihood(ABC):
    """The distribution of a row given its code, independent over features.

    Log-densities are always summed over features, never averaged: an average would
    silently rescale ``beta`` and ``gamma``.
    """

    @abstractmethod
    def draw(self, n_features: int) -> Weights:
        """Return the initial weights of one model."""

    @abstractmethod
    def nll(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        """Return -log p(x | z) in nats, summed over features.

        Parameters
        ----------
        weights : Weights
            Weights of the stack.
        output : Tensor of shape (K, B, p)
            What the decoder returned.
        x : Tensor of shape (K, B, p)
            Rows.

        Returns
        -------
        Tensor of shape (K, B)
        """

    def disturbed(
        self, weights: Weights, x: Tensor, noise: Tensor, ceiling: Tensor
    ) -> Tensor:
        """Return rows to which noise was added, in units of their own noise.

        Parameters
        ----------
        weights : Weights
            Weights of the stack.
        x : Tensor of shape (K, B, p)
            Rows.
        noise : Tensor of shape (K, B, p)
            Normal numbers.
        ceiling : Tensor of shape (K, 1, p)
            What to take for a feature's own noise at most.

        Returns
        -------
        Tensor of shape (K, B, p)
            The rows themselves, where there is no scale of noise.
        """
        return x

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """Return E[x | z], of the output's shape."""

    @abstractmethod
    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw x given z, of the output's shape."""


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Normal noise around the decoder's output.

    Parameters
    ----------
    scale : {"feature", "shared"} or float
        Standard deviation of the noise: learned for each feature, learned once for
        all, or fixed. A fixed scale s weighs the reconstruction by 1 / s**2, as a
        beta of s**2 would.
    is_sampled : bool, default=True
        Whether samples have the noise, too; not where it stands in for another.

    Notes
    -----
    A learned scale starts at 0.5 and stays above 0.01, so that a feature
    that is reproduced exactly does not take the whole likelihood for itself. It moves
    ten times as fast as other weights: a scale that lags behind the residuals weighs
    them wrongly, and Adam takes steps of one size.
    """

    scale: str | float
    is_sampled: bool = True

    FIRST, SMALLEST, LR_MULTIPLIER = 0.5, 0.01, 10.0

    @property
    def is_learned(self) -> bool:
        """Whether the scale is a weight."""
        return isinstance(self.scale, str)

    def draw(self, n_features: int) -> Weights:
        if not self.is_learned:
            return {}
        width = n_features if self.scale == "feature" else 1
        first = math.log(math.expm1(self.FIRST - self.SMALLEST))
        return {RAW_SCALE: torch.full((width,), first / self.LR_MULTIPLIER, **PLAIN)}

    def scales(self, weights: Weights, x: Tensor) -> Tensor:
        """Return the noise scale, (K, 1, p) or (K, 1, 1)."""
        if self.is_learned:
            raw = self.LR_MULTIPLIER * weights[RAW_SCALE]
            return (F.softplus(raw) + self.SMALLEST).unsqueeze(1)
        return x.new_full((len(x), 1, 1), float(self.scale))

    def nll(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        scale = self.scales(weights, x)
        squares = ((x - output) / scale).square().sum(-1)  # (K, B)
        log_scales = scale.log().expand(-1, -1, x.shape[-1]).sum(-1)  # (K, 1)
        return 0.5 * (squares + x.shape[-1] * LOG_TWO_PI) + log_scales

    def disturbed(
        self, weights: Weights, x: Tensor, noise: Tensor, ceiling: Tensor
    ) -> Tensor:
        own = torch.minimum(self.scales(weights, x).detach(), ceiling)
        return torch.addcmul(x, noise, own)

    def mean(self, output: Tensor) -> Tensor:
        return output

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        if not self.is_sampled:
            return output
        noise = torch.randn(output.shape, generator=generator, **PLAIN).to(output)
        return output + noise * self.scales(weights, output)


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Independent binary features; the decoder's output is the logit."""

    def draw(self, n_features: int) -> Weights:
        return {}

    def nll(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        return (F.softplus(output) - x * output).sum(-1)

    def mean(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output)

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        u = torch.rand(output.shape, generator=generator, **PLAIN).to(output)
        return (u < torch.sigmoid(output)).to(output)

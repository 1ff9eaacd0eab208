"""Likelihoods p(x | z): the decoder's output to log-densities in nats per row."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ._axes import FEATURE, Parameters, Shapes
from ._dense import PLAIN, Weights

Arrays = Mapping[str, np.ndarray]

LOG_TWO_PI = math.log(2 * math.pi)
RAW_SCALE = "likelihood.raw_scale"


class Link(NamedTuple):
    r"""How outputs of the decoder become expectations.

    .. math:: f(s + b \tanh((m + a\,o) / b))

    Attributes
    ----------
    function : {"identity", "exp", "sigmoid", "softmax", "levels"}
        The function f. "levels" is the expected number of an ordered level: the sum
        over thresholds t of sigmoid(u - t).
    scale, mean, shift : Tensor of shape (K, p)
        a, m and s.
    bound : float
        b; infinite for none.
    sizes : tuple of int
        Features of each column.
    thresholds : Tensor of shape (K, p, levels - 1) or None
    """

    function: str
    scale: Tensor
    mean: Tensor
    shift: Tensor
    bound: float
    sizes: tuple[int, ...]
    thresholds: Tensor | None = None

    def inner(self, output: Tensor) -> Tensor:
        """Return the argument of the function for outputs (K, B, p)."""
        found = torch.addcmul(self.mean.unsqueeze(1), output, self.scale.unsqueeze(1))
        if math.isinf(self.bound):
            return found
        bounded = self.bound * torch.tanh(found / self.bound)
        return bounded + self.shift.unsqueeze(1)


class Likelihood(ABC):
    """The distribution of a row given its code, independent over features.

    Log-densities are summed over features, never averaged: an average would rescale
    ``beta`` and ``gamma``.
    """

    @property
    def parameters(self) -> Parameters:
        """Names and axes of the likelihood's weights."""
        return {}

    def shapes(self, n_features: int) -> Shapes:
        """Return the shapes of one model's weights, by name."""
        return {}

    @property
    def fixed(self) -> frozenset[str]:
        """Names of weights that are not trained."""
        return frozenset()

    def derived(self, weights: Weights) -> Weights:
        """Return what follows from weights that are not trained, by name.

        Methods compute it where it is not among the weights that they get. A fit adds
        it to them once, in place of at each step.

        Parameters
        ----------
        weights : Weights
            Weights of the stack; at least those that are :attr:`fixed`.
        """
        return {}

    @property
    def has_input_noise(self) -> bool:
        """Whether :meth:`add_input_noise` changes the rows."""
        return False

    @property
    def hidden_with(self) -> tuple[int, ...] | None:
        """For each feature, the first one that is missing if it is; None: itself."""
        return None

    @property
    @abstractmethod
    def description(self) -> dict[str, object]:
        """Kind of the distribution and its constants, to compute it without torch."""

    @abstractmethod
    def draw(self, n_features: int) -> Weights:
        """Return the initial weights of one model."""

    def start(
        self,
        rows: np.ndarray,
        row_weights: np.ndarray,
        offset: np.ndarray,
        step: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Return the initial weights that the distribution of the rows determines.

        Parameters
        ----------
        rows : ndarray of shape (n, p)
            Standardised rows, NaN where missing.
        row_weights : ndarray of shape (n,)
        offset, step : ndarray of shape (p,)
            Rows times ``step``, plus ``offset``, are in the original units.

        Returns
        -------
        dict of str to ndarray
            Of one model; empty where nothing depends on the rows.
        """
        return {}

    @abstractmethod
    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        """Return -log p(x_j | z) of each feature in nats, (K, B, p).

        Of a column of several features it is that of the first, and zero of the others.
        """

    def link(self, weights: Weights, n_features: int) -> Link:
        """Return how outputs become expectations."""
        one = torch.ones(1, n_features)
        zero, sizes = torch.zeros_like(one), (1,) * n_features
        return Link("identity", one, zero, zero, math.inf, sizes)

    def noise_parameters(self, weights: Weights, n_features: int) -> dict[str, Tensor]:
        """Return what is learned of the noise of each feature by name, each (K, p).

        ``noise_scale`` in standardised units, ``degrees_of_freedom``, ``dispersion``.
        """
        return {}

    def nll(
        self,
        weights: Weights,
        output: Tensor,
        x: Tensor,
        observed: Tensor | None = None,
        error_variance: Tensor | None = None,
    ) -> Tensor:
        """Return -log p(x | z) in nats, summed over features.

        Parameters
        ----------
        weights : Weights
            Weights of the stack.
        output : Tensor of shape (K, B, p)
            The decoder's output.
        x : Tensor of shape (K, B, p)
            Rows; of any finite value where they are not observed.
        observed : Tensor of shape (K, B, p) or None
            One where an entry is part of the sum, else zero; None takes all.
        error_variance : Tensor of shape (K, B, p) or None
            Variance of the known error of each entry, for a likelihood that
            :attr:`takes_errors`.

        Returns
        -------
        Tensor of shape (K, B)
        """
        return sum_observed(self.terms(weights, output, x), observed)

    @property
    def starts_at_marginal(self) -> bool:
        """Whether an output of zero is at first the distribution of a feature alone."""
        return True

    @property
    def takes_errors(self) -> bool:
        """Whether entries can have known errors, whose variance adds to the noise."""
        return False

    @property
    def is_learned(self) -> bool:
        """Whether the likelihood has a noise scale that is a weight."""
        return False

    def with_variance(self, weights: Arrays, variance: np.ndarray) -> Arrays:
        """Return weights whose learned noise has a given variance.

        Parameters
        ----------
        weights : mapping of str to ndarray
            Weights of one model.
        variance : ndarray of shape (p,)
            Of each feature. A shared scale gets their mean.

        Returns
        -------
        mapping of str to ndarray
            The weights themselves, where no scale is learned.
        """
        return weights

    def add_input_noise(
        self, weights: Weights, x: Tensor, noise: Tensor, max_std: Tensor
    ) -> Tensor:
        """Return rows with added noise, in units of the likelihood's own scale.

        Parameters
        ----------
        weights : Weights
            Weights of the stack.
        x : Tensor of shape (K, B, p)
            Rows.
        noise : Tensor of shape (K, B, p)
            Normal numbers.
        max_std : Tensor of shape (K, 1, p)
            Upper bound of that unit, by feature.

        Returns
        -------
        Tensor of shape (K, B, p)
            The rows themselves, if the likelihood has no scale.
        """
        return x

    @abstractmethod
    def mean(self, weights: Weights, output: Tensor) -> Tensor:
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
        Standard deviation of the noise: learned for each feature, learned as one
        number, or fixed. A fixed scale s multiplies the reconstruction by 1 / s**2,
        as a beta of s**2 would.
    is_sampled : bool, default=True
        Whether :meth:`sample` adds the noise. InfoGAN's generator has noise of its own.

    Notes
    -----
    A learned scale starts at 0.5 and stays above 0.01, so that a feature that is
    reconstructed exactly does not dominate the likelihood. Its learning rate is ten
    times that of other weights: steps of Adam have one size, and a scale that lags
    behind the residuals weighs them wrongly.
    """

    scale: str | float
    is_sampled: bool = True

    INITIAL_SCALE, MIN_SCALE, LR_MULTIPLIER = 0.5, 0.01, 10.0
    LEAST_EXCESS = 1e-4

    @property
    def parameters(self) -> Parameters:
        if not self.is_learned:
            return {}
        return {RAW_SCALE: (FEATURE if self.scale == "feature" else "1",)}

    @property
    def takes_errors(self) -> bool:
        return True

    @property
    def has_input_noise(self) -> bool:
        return True

    @property
    def is_learned(self) -> bool:
        return isinstance(self.scale, str)

    def shapes(self, n_features: int) -> Shapes:
        if not self.is_learned:
            return {}
        return {RAW_SCALE: (n_features if self.scale == "feature" else 1,)}

    @property
    def description(self) -> dict[str, object]:
        """``scale``, or that of ``softplus(multiplier * weight) + minimum``."""
        if not self.is_learned:
            return {"kind": "gaussian", "scale": float(self.scale)}
        constants = {"multiplier": self.LR_MULTIPLIER, "minimum": self.MIN_SCALE}
        return {"kind": "gaussian", "name": RAW_SCALE, **constants}

    def draw(self, n_features: int) -> Weights:
        if not self.is_learned:
            return {}
        width = n_features if self.scale == "feature" else 1
        first = math.log(math.expm1(self.INITIAL_SCALE - self.MIN_SCALE))
        return {RAW_SCALE: torch.full((width,), first / self.LR_MULTIPLIER, **PLAIN)}

    def scales(self, weights: Weights, x: Tensor) -> Tensor:
        """Return the noise scale, (K, 1, p) or (K, 1, 1)."""
        if self.is_learned:
            raw = self.LR_MULTIPLIER * weights[RAW_SCALE]
            return (F.softplus(raw) + self.MIN_SCALE).unsqueeze(1)
        return x.new_full((len(x), 1, 1), float(self.scale))

    def with_variance(self, weights: Arrays, variance: np.ndarray) -> Arrays:
        if not self.is_learned:
            return weights
        old = weights[RAW_SCALE]
        noise = np.sqrt(self.noise_variance(variance))[: len(old)]
        excess = np.maximum(noise - self.MIN_SCALE, self.LEAST_EXCESS)
        raw = excess + np.log(-np.expm1(-excess))  # the inverse of softplus
        return {**weights, RAW_SCALE: (raw / self.LR_MULTIPLIER).astype(old.dtype)}

    def noise_variance(self, variance: np.ndarray) -> np.ndarray:
        """Return the noise variance that fits residuals of a given variance best, (p,).

        Parameters
        ----------
        variance : ndarray of shape (p,)
            Variance of the residuals of each feature.
        """
        if not self.is_learned:
            return np.full_like(variance, float(self.scale) ** 2)
        if self.scale == "shared":
            variance = np.full_like(variance, variance.mean())
        return np.maximum(variance, self.MIN_SCALE**2)

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        scale = self.scales(weights, x)
        return 0.5 * (((x - output) / scale).square() + LOG_TWO_PI) + scale.log()

    def noise_parameters(self, weights: Weights, n_features: int) -> dict[str, Tensor]:
        if not self.is_learned:
            return {"noise_scale": torch.full((1, n_features), float(self.scale))}
        scales = self.scales(weights, weights[RAW_SCALE])[:, 0]
        return {"noise_scale": scales.expand(-1, n_features)}

    def nll(
        self,
        weights: Weights,
        output: Tensor,
        x: Tensor,
        observed: Tensor | None = None,
        error_variance: Tensor | None = None,
    ) -> Tensor:
        scale = self.scales(weights, x)
        if error_variance is not None:
            variance = scale.square() + error_variance  # (K, B, p)
            terms = (x - output).square() / variance + variance.log() + LOG_TWO_PI
            return 0.5 * (terms if observed is None else terms * observed).sum(-1)
        if observed is not None:
            squares = ((x - output) * (observed / scale)).square().sum(-1)
            constants = (0.5 * LOG_TWO_PI + scale.log()).expand(-1, -1, x.shape[-1])
            return 0.5 * squares + torch.bmm(observed, constants.mT).squeeze(-1)
        squares = ((x - output) / scale).square().sum(-1)  # (K, B)
        log_scales = scale.log().expand(-1, -1, x.shape[-1]).sum(-1)  # (K, 1)
        return 0.5 * (squares + x.shape[-1] * LOG_TWO_PI) + log_scales

    def add_input_noise(
        self, weights: Weights, x: Tensor, noise: Tensor, max_std: Tensor
    ) -> Tensor:
        own = torch.minimum(self.scales(weights, x).detach(), max_std)
        return torch.addcmul(x, noise, own)

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
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

    @property
    def description(self) -> dict[str, object]:
        return {"kind": "bernoulli"}

    @property
    def starts_at_marginal(self) -> bool:
        return False

    def draw(self, n_features: int) -> Weights:
        return {}

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        return F.softplus(output) - x * output

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
        return torch.sigmoid(output)

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        u = torch.rand(output.shape, generator=generator, **PLAIN).to(output)
        return (u < torch.sigmoid(output)).to(output)


def sum_observed(terms: Tensor, observed: Tensor | None) -> Tensor:
    """Return the sum over features of the terms that are observed, (K, B)."""
    return (terms if observed is None else terms * observed).sum(-1)

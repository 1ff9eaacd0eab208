"""Likelihoods of counts: Poisson and negative binomial.

Axes: ``K`` models, ``B`` rows, ``p`` features of the likelihood.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._axes import FEATURE, Parameters, Shapes
from ._dense import PLAIN, Weights
from ._discrete_likelihoods import RATE, TINY, Standardised, as_rows, by_terms
from ._known_gradients import Density
from ._likelihoods import Link, sum_observed

MAX_LOG_RATE = 15.0
"""Bound of the logarithm of a rate, relative to the mean rate of its column."""


class Counts(Standardised):
    """Counts c >= 0, whose target is log(1 + c)."""

    @property
    def log_mean(self) -> str:
        """Name of the weight that holds the logarithm of each mean count, (p,)."""
        return f"likelihood.{self.kind}.log_mean"

    @property
    def fixed(self) -> frozenset[str]:
        return super().fixed | {self.log_mean}

    @property
    def parameters(self) -> Parameters:
        return {**super().parameters, self.log_mean: (FEATURE,)}

    def shapes(self, n_features: int) -> Shapes:
        return {**super().shapes(n_features), self.log_mean: (n_features,)}

    def draw(self, n_features: int) -> Weights:
        own = {self.log_mean: torch.zeros(n_features, **PLAIN)}
        return {**super().draw(n_features), **own}

    def start(
        self,
        rows: np.ndarray,
        row_weights: np.ndarray,
        offset: np.ndarray,
        step: np.ndarray,
    ) -> dict[str, np.ndarray]:
        counts = np.expm1(rows * step + offset)
        share = row_weights[:, None] * ~np.isnan(counts)
        total = np.maximum(share.sum(axis=0), np.finfo(np.float64).tiny)
        means = (share * np.nan_to_num(counts)).sum(axis=0) / total
        own = {self.log_mean: np.log(np.maximum(means, TINY))}
        return {**super().start(rows, row_weights, offset, step), **own}

    def counts(self, weights: Weights, x: Tensor) -> Tensor:
        """Return the counts of rows, (K, B, p)."""
        return counts_of(self.targets(weights, x))

    def link(self, weights: Weights, n_features: int) -> Link:
        log_mean = weights[self.log_mean]
        gain = weights[self.unit] * (1 + (-log_mean).exp())  # d log c / d log(1 + c)
        parts = gain, torch.zeros_like(gain), log_mean
        return Link("exp", *parts, MAX_LOG_RATE, (1,) * n_features)

    def log_rates(self, weights: Weights, output: Tensor) -> Tensor:
        """Return the logarithms of expected counts, (K, B, p)."""
        return self.link(weights, output.shape[-1]).inner(output)

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
        rates = self.log_rates(weights, output).exp()
        return self.standardised(weights, rates.log1p())

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        rates = self._random_rates(weights, output, generator)
        drawn = torch.poisson(rates.cpu(), generator=generator).to(output)
        return self.standardised(weights, drawn.log1p())

    @abstractmethod
    def _random_rates(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the rates of the Poisson distributions of one draw, (K, B, p)."""


def counts_of(targets: Tensor) -> Tensor:
    """Return the counts of targets log(1 + c)."""
    return targets.expm1().clamp_(min=0.0)


@dataclass(frozen=True)
class Poisson(Counts):
    """Counts whose variance is their mean."""

    kind = "poisson"

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        counts, log_rate = self.counts(weights, x), self.log_rates(weights, output)
        return log_rate.exp() - counts * log_rate + torch.lgamma(counts + 1)

    def density(
        self,
        weights: Weights,
        output: Tensor,
        inner: Tensor,
        targets: Tensor,
        observed: Tensor | None,
    ) -> Density:
        counts, rate = counts_of(targets), inner.exp()
        terms = rate - counts * inner + torch.lgamma(counts + 1)
        return Density(sum_observed(terms, observed), rate - counts)

    def _random_rates(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        return self.log_rates(weights, output).exp()


@dataclass(frozen=True)
class NegativeBinomial(Counts):
    r"""Counts of variance :math:`\mu + \mu^2 / \theta`, with a learned theta each."""

    kind = "negative_binomial"

    MIN_LOG_SIZE, MAX_LOG_SIZE = -5.0, 10.0

    @property
    def size(self) -> str:
        """Name of the weight that holds log theta, divided by ``RATE``, (p,)."""
        return f"likelihood.{self.kind}.log_size"

    @property
    def parameters(self) -> Parameters:
        return {**super().parameters, self.size: (FEATURE,)}

    def shapes(self, n_features: int) -> Shapes:
        return {**super().shapes(n_features), self.size: (n_features,)}

    def draw(self, n_features: int) -> Weights:
        own = {self.size: torch.zeros(n_features, **PLAIN)}
        return {**super().draw(n_features), **own}

    @property
    def starts_at_marginal(self) -> bool:
        return False

    def _sizes(self, weights: Weights) -> Tensor:
        log_size = (RATE * weights[self.size]).clamp(
            self.MIN_LOG_SIZE, self.MAX_LOG_SIZE
        )
        return as_rows(log_size.exp())

    def noise_parameters(self, weights: Weights, n_features: int) -> dict[str, Tensor]:
        return {"dispersion": self._sizes(weights)[:, 0].reciprocal()}

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        counts, log_rate = self.counts(weights, x), self.log_rates(weights, output)
        size = self._sizes(weights)
        log_total = (size + log_rate.exp()).log()
        constant = torch.lgamma(size) + torch.lgamma(counts + 1)
        return (
            constant
            - torch.lgamma(counts + size)
            - size * (size.log() - log_total)
            - counts * (log_rate - log_total)
        )

    def density(
        self,
        weights: Weights,
        output: Tensor,
        inner: Tensor,
        targets: Tensor,
        observed: Tensor | None,
    ) -> Density:
        counts, rate, size = counts_of(targets), inner.exp(), self._sizes(weights)
        log_size, total, both = size.log(), size + rate, counts + size
        log_total, ratio = total.log(), both / total
        terms = (
            torch.lgamma(size)
            + torch.lgamma(counts + 1)
            - torch.lgamma(both)
            - size * (log_size - log_total)
            - counts * (inner - log_total)
        )

        def by_log_size(gradient: Tensor) -> Tensor:
            slope = torch.digamma(size) - torch.digamma(both) - log_size + log_total
            raw = RATE * weights[self.size]
            is_free = (raw >= self.MIN_LOG_SIZE) & (raw <= self.MAX_LOG_SIZE)
            by_size = (by_terms(gradient, observed) * (slope + ratio - 1)).sum(1)
            return RATE * size[:, 0] * by_size * is_free

        values = sum_observed(terms, observed)
        return Density(values, rate * ratio - counts, {self.size: by_log_size})

    def _random_rates(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        size = self._sizes(weights).expand_as(output).cpu()
        gamma = torch._standard_gamma(size, generator=generator).to(output)
        return self.log_rates(weights, output).exp() * gamma / size.to(output)

r"""Likelihoods of features of several types, side by side.

Rows are standardised: a feature is ``(t - offset) / step``, where its target t is the
indicator of a level, the number of an ordered level, or the logarithm ``log(1 + c)`` of
a count c. Outputs of the decoder are in the same units, and zero is the marginal
distribution: to first order an output of one moves the expected target by one step.
Gradients of features of different types therefore have comparable sizes.

Axes: ``K`` models, ``B`` rows, ``p`` features of the likelihood, ``q`` columns of the
table, of which one of L levels has L features.
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ._axes import FEATURE, Parameters, Shapes
from ._dense import PLAIN, Weights
from ._known_gradients import Density, Thresholds
from ._likelihoods import Likelihood, Link, sum_observed

MAX_LOGIT = 40.0
"""Bound of logits; the bound is smooth, so that gradients remain."""

TINY = 1e-5
"""Probability of a level, at least."""

RATE = 10.0
"""Factor of the learning rate of scales, thresholds and dispersions, which lag behind
the outputs with that of other weights."""


class Standardised(Likelihood):
    """A likelihood of targets that rows hold in standardised units.

    Its offset and its step are weights that are not trained, so that models of several
    tables can be trained together.
    """

    kind: str

    @property
    def offset(self) -> str:
        """Name of the weight that holds the mean of each target, (p,)."""
        return f"likelihood.{self.kind}.offset"

    @property
    def unit(self) -> str:
        """Name of the weight that holds the step of each target, (p,)."""
        return f"likelihood.{self.kind}.step"

    @property
    def fixed(self) -> frozenset[str]:
        return frozenset((self.offset, self.unit))

    @property
    def parameters(self) -> Parameters:
        return {self.offset: (FEATURE,), self.unit: (FEATURE,)}

    def shapes(self, n_features: int) -> Shapes:
        return {self.offset: (n_features,), self.unit: (n_features,)}

    @property
    def description(self) -> dict[str, object]:
        return {"kind": self.kind, "name": self.offset.removesuffix(".offset")}

    def draw(self, n_features: int) -> Weights:
        return {
            self.offset: torch.zeros(n_features, **PLAIN),
            self.unit: torch.ones(n_features, **PLAIN),
        }

    def start(
        self,
        rows: np.ndarray,
        row_weights: np.ndarray,
        offset: np.ndarray,
        step: np.ndarray,
    ) -> dict[str, np.ndarray]:
        return {self.offset: np.nan_to_num(offset), self.unit: step}

    @abstractmethod
    def density(
        self,
        weights: Weights,
        output: Tensor,
        inner: Tensor,
        targets: Tensor,
        observed: Tensor | None,
    ) -> Density:
        """Return -log p(x | z) of rows, and its derivatives, without recording them.

        Parameters
        ----------
        weights : Weights
        output : Tensor of shape (K, B, p)
        inner : Tensor of shape (K, B, p)
            The output as the argument of the :meth:`link`'s function, if the link has a
            bound.
        targets : Tensor of shape (K, B, p)
            Those of the rows.
        observed : Tensor of shape (K, B, p) or None

        Returns
        -------
        Density
            Its slopes are derivatives by ``inner``, or by the output times the link's
            scale, and of any value where a feature is not observed.
        """

    def targets(self, weights: Weights, x: Tensor) -> Tensor:
        """Return the targets of rows (K, B, p)."""
        return torch.addcmul(
            as_rows(weights[self.offset]), x, as_rows(weights[self.unit])
        )

    def standardised(self, weights: Weights, targets: Tensor) -> Tensor:
        """Return targets in the units of rows, (K, B, p)."""
        return (targets - as_rows(weights[self.offset])) / as_rows(weights[self.unit])


@dataclass(frozen=True)
class Binary(Standardised):
    """Binary features: the target is zero or one, or between them."""

    kind = "binary"

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        logit = self._logits(weights, output)
        return F.softplus(logit) - self.targets(weights, x) * logit

    def density(
        self,
        weights: Weights,
        output: Tensor,
        inner: Tensor,
        targets: Tensor,
        observed: Tensor | None,
    ) -> Density:
        terms = F.softplus(inner) - targets * inner
        slopes = torch.sigmoid(inner) - targets
        return Density(sum_observed(terms, observed), slopes)

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
        probability = torch.sigmoid(self._logits(weights, output))
        return self.standardised(weights, probability)

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        u = uniform(output, generator)
        drawn = u < torch.sigmoid(self._logits(weights, output))
        return self.standardised(weights, drawn.to(output))

    def link(self, weights: Weights, n_features: int) -> Link:
        p = weights[self.offset].clamp(TINY, 1 - TINY)
        parts = (p * (1 - p)).rsqrt(), p.logit(), torch.zeros_like(p)
        return Link("sigmoid", *parts, MAX_LOGIT, (1,) * n_features)

    def _logits(self, weights: Weights, output: Tensor) -> Tensor:
        return self.link(weights, output.shape[-1]).inner(output)


@dataclass(frozen=True)
class Categorical(Standardised):
    """Columns of levels: each feature is the indicator of a level.

    Parameters
    ----------
    sizes : tuple of int
        Number of levels of each column; their features are adjacent.
    """

    sizes: tuple[int, ...]
    kind = "categorical"

    @property
    def firsts(self) -> list[int]:
        """First feature of each column, (q,)."""
        return list(itertools.accumulate(self.sizes[:-1], initial=0))

    @property
    def description(self) -> dict[str, object]:
        return {**super().description, "sizes": list(self.sizes)}

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        logit = self._logits(weights, output)
        members = self._members(output)
        chosen = (self.targets(weights, x) * logit) @ members  # (K, B, q)
        found = torch.zeros_like(logit)
        found[..., self._firsts(output)] = (logit.exp() @ members).log() - chosen
        return found

    def density(
        self,
        weights: Weights,
        output: Tensor,
        inner: Tensor,
        targets: Tensor,
        observed: Tensor | None,
    ) -> Density:
        members, odds = self._members(output), inner.exp()
        total = odds @ members  # (K, B, q)
        firsts = self._firsts(output)
        known = None if observed is None else observed.index_select(-1, firsts)
        values = sum_observed(total.log(), known)
        values -= sum_observed(targets * inner, observed)
        return Density(values, odds / (total @ members.mT) - targets)

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
        return self.standardised(weights, self._probabilities(weights, output))

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        probability = self._probabilities(weights, output)
        u = uniform(output[..., : len(self.sizes)], generator)  # one for each column
        drawn = [
            F.one_hot((part.cumsum(-1)[..., :-1] < u[..., [j]]).sum(-1), size)
            for j, (part, size) in enumerate(
                zip(probability.split(self.sizes, -1), self.sizes, strict=True)
            )
        ]
        return self.standardised(weights, torch.cat(drawn, dim=-1).to(output))

    def _probabilities(self, weights: Weights, output: Tensor) -> Tensor:
        odds = self._logits(weights, output).exp()
        members = self._members(output)
        return odds / (odds @ members @ members.mT)

    def link(self, weights: Weights, n_features: int) -> Link:
        p = weights[self.offset].clamp(min=TINY)
        parts = p.rsqrt(), p.log(), torch.zeros_like(p)
        return Link("softmax", *parts, MAX_LOGIT, self.sizes)

    def _logits(self, weights: Weights, output: Tensor) -> Tensor:
        return self.link(weights, output.shape[-1]).inner(output)

    def _members(self, like: Tensor) -> Tensor:
        """Return which column each feature belongs to, as zeros and ones, (p, q)."""
        return _membership(self.sizes, like.dtype, like.device)

    def _firsts(self, like: Tensor) -> Tensor:
        return _constant(tuple(self.firsts), like.device)


@dataclass(frozen=True)
class Ordinal(Standardised):
    r"""Ordered levels 0, ..., L - 1, by cumulative logits (McCullagh 1980).

    .. math:: P(t \le l) = \sigma(\theta_l - \eta)

    with increasing thresholds, which are learned. They start at the marginal
    distribution of the levels.

    Parameters
    ----------
    sizes : tuple of int
        Number of levels of each feature.
    """

    sizes: tuple[int, ...]
    kind = "ordinal"

    GAIN = math.pi / math.sqrt(3)  # standard deviation of the logistic distribution
    LEAST_GAP = 1e-3

    @property
    def thresholds(self) -> str:
        """Name of the weight that holds first thresholds and gaps, (p, L - 1)."""
        return f"likelihood.{self.kind}.thresholds"

    @property
    def parameters(self) -> Parameters:
        return {**super().parameters, self.thresholds: (FEATURE, "levels")}

    def shapes(self, n_features: int) -> Shapes:
        own = {self.thresholds: (n_features, self._n_thresholds)}
        return {**super().shapes(n_features), **own}

    @property
    def description(self) -> dict[str, object]:
        return {**super().description, "sizes": list(self.sizes)}

    @property
    def _n_thresholds(self) -> int:
        return max(1, max(self.sizes) - 1)

    def draw(self, n_features: int) -> Weights:
        shape = n_features, self._n_thresholds
        own = {self.thresholds: torch.zeros(shape, **PLAIN)}
        return {**super().draw(n_features), **own}

    def start(
        self,
        rows: np.ndarray,
        row_weights: np.ndarray,
        offset: np.ndarray,
        step: np.ndarray,
    ) -> dict[str, np.ndarray]:
        raw = np.zeros((len(self.sizes), self._n_thresholds))
        for j, size in enumerate(self.sizes):
            logits = _cumulative_logits(
                rows[:, j] * step[j] + offset[j], row_weights, size
            )
            raw[j, : size - 1] = self._raw(logits)
        own = {self.thresholds: raw}
        return {**super().start(rows, row_weights, offset, step), **own}

    def _raw(self, logits: np.ndarray) -> np.ndarray:
        """Return the weights whose thresholds these are."""
        gaps = np.maximum(np.diff(logits) - self.LEAST_GAP, 1e-4)
        rest = gaps + np.log(-np.expm1(-gaps))  # the inverse of softplus
        return np.concatenate([logits[:1], rest]) / RATE

    def _bounds(self, weights: Weights) -> Tensor:
        """Return thresholds between two that no output reaches, (K, p, L + 1)."""
        return self._rule.bounds(weights[self.thresholds])

    @property
    def _rule(self) -> Thresholds:
        return Thresholds(self.sizes, RATE, self.LEAST_GAP)

    def _levels(self, targets: Tensor) -> Tensor:
        """Return the number of the level of each target, (K, B, p)."""
        last = _constant(tuple(size - 1 for size in self.sizes), targets.device)
        return targets.round().long().clamp_(min=0).minimum(last)

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        level = self._levels(self.targets(weights, x))
        bounds = self._bounds(weights).unsqueeze(1)
        bounds = bounds.expand(-1, x.shape[1], -1, -1)  # (K, B, p, L + 1)
        below, above = (
            bounds.gather(-1, (level + k).unsqueeze(-1)).squeeze(-1) for k in (0, 1)
        )
        eta = self.GAIN * output
        log_gap = torch.log(-torch.expm1(below - above))
        return -F.logsigmoid(above - eta) - F.logsigmoid(eta - below) - log_gap

    def density(
        self,
        weights: Weights,
        output: Tensor,
        inner: Tensor,
        targets: Tensor,
        observed: Tensor | None,
    ) -> Density:
        terms, slopes, by_weight = self._rule.density(
            weights[self.thresholds], self.GAIN * output, self._levels(targets)
        )

        def by_thresholds(gradient: Tensor) -> Tensor:
            return by_weight(by_terms(gradient, observed))

        values = sum_observed(terms, observed)
        return Density(values, slopes, {self.thresholds: by_thresholds})

    def link(self, weights: Weights, n_features: int) -> Link:
        thresholds = self._bounds(weights)[..., 1:-1]
        gain = torch.full_like(weights[self.offset], self.GAIN)
        zero = torch.zeros_like(gain)
        sizes = (1,) * n_features
        return Link("levels", gain, zero, zero, math.inf, sizes, thresholds)

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
        return self.standardised(weights, self._exceeded(weights, output).sum(-1))

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        u = uniform(output, generator).unsqueeze(-1)
        level = (u < self._exceeded(weights, output)).sum(-1).to(output)
        return self.standardised(weights, level)

    def _exceeded(self, weights: Weights, output: Tensor) -> Tensor:
        """Return the probability that each threshold is exceeded, (K, B, p, L - 1)."""
        inner = self._bounds(weights)[..., 1:-1].unsqueeze(1)
        return torch.sigmoid(self.GAIN * output.unsqueeze(-1) - inner)


@lru_cache(maxsize=32)
def _constant(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """Return integers as a tensor, which is made once."""
    with torch.inference_mode(False):
        return torch.tensor(numbers, device=device)


@lru_cache(maxsize=32)
def _membership(
    sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return a block of ones for each column, (p, q), which is made once."""
    with torch.inference_mode(False):
        ones = [torch.ones(size, 1, dtype=dtype, device=device) for size in sizes]
        return torch.block_diag(*ones)


def by_terms(gradient: Tensor, observed: Tensor | None) -> Tensor:
    """Return the gradient by terms, given that by their sum, (K, B, 1 or p)."""
    of_rows = gradient.unsqueeze(-1)
    return of_rows if observed is None else of_rows * observed


def as_rows(weight: Tensor) -> Tensor:
    """Return weights (K, p) for rows, (K, 1, p)."""
    return weight.unsqueeze(1)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, **PLAIN).to(like)


def _cumulative_logits(
    levels: np.ndarray, row_weights: np.ndarray, size: int
) -> np.ndarray:
    """Return the logits of P(t <= l) for all but the last level, (size - 1,)."""
    known = ~np.isnan(levels)
    counts = np.bincount(
        np.rint(levels[known]).astype(int), row_weights[known], minlength=size
    )
    counts = counts / counts.max(initial=1.0) + 1e-3  # no level is impossible
    below = np.cumsum(counts)[:-1] / counts.sum()
    return np.log(below) - np.log1p(-below)

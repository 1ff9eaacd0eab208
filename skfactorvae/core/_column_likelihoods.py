"""Likelihoods of tables whose columns are of several types.

Axes: ``K`` models, ``B`` rows, ``p`` features.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ._axes import FEATURE, Parameters, Shapes
from ._count_likelihoods import NegativeBinomial, Poisson
from ._dense import PLAIN, Weights
from ._discrete_likelihoods import (
    RATE,
    Binary,
    Categorical,
    Ordinal,
    Standardised,
    as_rows,
)
from ._known_gradients import Density, differentiable
from ._likelihoods import Arrays, Gaussian, Likelihood, Link


@dataclass(frozen=True)
class StudentT(Likelihood):
    """Heavy-tailed noise around the decoder's output.

    Scale and degrees of freedom are learned for each feature. Degrees of freedom stay
    above two, so that the variance exists.
    """

    SCALE, FREEDOM = "likelihood.student_t.raw_scale", "likelihood.student_t.raw_df"
    MIN_SCALE, MIN_FREEDOM = Gaussian.MIN_SCALE, 2.1
    FIRST_SCALE, FIRST_FREEDOM = Gaussian.INITIAL_SCALE, 5.0

    @property
    def parameters(self) -> Parameters:
        return {self.SCALE: (FEATURE,), self.FREEDOM: (FEATURE,)}

    def shapes(self, n_features: int) -> Shapes:
        return {self.SCALE: (n_features,), self.FREEDOM: (n_features,)}

    @property
    def description(self) -> dict[str, object]:
        return {"kind": "student_t"}

    @property
    def starts_at_marginal(self) -> bool:
        return False

    def draw(self, n_features: int) -> Weights:
        first = {
            self.SCALE: self.FIRST_SCALE - self.MIN_SCALE,
            self.FREEDOM: self.FIRST_FREEDOM - self.MIN_FREEDOM,
        }
        return {
            name: torch.full((n_features,), math.log(math.expm1(value)) / RATE, **PLAIN)
            for name, value in first.items()
        }

    @property
    def has_input_noise(self) -> bool:
        return True

    def scales(self, weights: Weights) -> Tensor:
        """Return the scales, (K, 1, p)."""
        return as_rows(F.softplus(RATE * weights[self.SCALE]) + self.MIN_SCALE)

    def freedom(self, weights: Weights) -> Tensor:
        """Return the degrees of freedom, (K, 1, p)."""
        return as_rows(F.softplus(RATE * weights[self.FREEDOM]) + self.MIN_FREEDOM)

    def noise_parameters(self, weights: Weights, n_features: int) -> dict[str, Tensor]:
        return {
            "noise_scale": self.scales(weights)[:, 0],
            "degrees_of_freedom": self.freedom(weights)[:, 0],
        }

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        scale, df = self.scales(weights), self.freedom(weights)
        squares = ((x - output) / scale).square()
        constant = (
            torch.lgamma(df / 2)
            - torch.lgamma((df + 1) / 2)
            + 0.5 * (df * math.pi).log()
            + scale.log()
        )
        return constant + 0.5 * (df + 1) * torch.log1p(squares / df)

    def add_input_noise(
        self, weights: Weights, x: Tensor, noise: Tensor, max_std: Tensor
    ) -> Tensor:
        own = torch.minimum(self.scales(weights).detach(), max_std)
        return torch.addcmul(x, noise, own)

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
        return output

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        noise = torch.randn(output.shape, generator=generator, **PLAIN)
        half = (self.freedom(weights) / 2).expand_as(output).cpu()
        chi2 = torch._standard_gamma(half, generator=generator) / half
        return output + self.scales(weights) * (noise * chi2.rsqrt()).to(output)


class _Constants(NamedTuple):
    """What the inner values of links follow from, each (K, 1, p)."""

    offset: Tensor
    step: Tensor
    ratio_mean: Tensor
    ratio_scale: Tensor
    bound: Tensor
    shift: Tensor
    scale: Tensor


@dataclass(frozen=True)
class StandardisedColumns:
    """Adjacent likelihoods of standardised targets, evaluated together.

    Parameters
    ----------
    parts : tuple of (Standardised, int)
        Likelihoods, and the number of features of each.
    name : str
        Prefix of the constants that :meth:`derived` returns.
    """

    parts: tuple[tuple[Standardised, int], ...]
    name: str

    @cached_property
    def _names(self) -> list[str]:
        return [f"{self.name}.{field}" for field in _Constants._fields]

    @cached_property
    def _widths(self) -> list[int]:
        return [width for _, width in self.parts]

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(self._widths)

    def derived(self, weights: Weights) -> Weights:
        """Return constants of all features by name, as :meth:`Likelihood.derived`."""
        return dict(zip(self._names, self._constants(weights), strict=True))

    def _constants(self, weights: Weights) -> _Constants:
        if self._names[0] in weights:
            return _Constants(*(weights[name] for name in self._names))
        offset = torch.cat([weights[part.offset] for part, _ in self.parts], -1)
        step = torch.cat([weights[part.unit] for part, _ in self.parts], -1)
        links = [part.link(weights, width) for part, width in self.parts]
        scale, mean, shift = (
            torch.cat([getattr(link, field) for link in links], -1)
            for field in ("scale", "mean", "shift")
        )
        bound = torch.cat([torch.full_like(k.scale, k.bound) for k in links], -1)
        finite = bound.nan_to_num(posinf=0.0)
        found = offset, step, mean / bound, scale / bound, finite, shift, scale
        return _Constants(*(part.detach().unsqueeze(1) for part in found))

    def nll(
        self, weights: Weights, output: Tensor, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        """Return -log p(x | z) in nats, summed over features, (K, B)."""
        with torch.no_grad():
            density = self._density(weights, output, x, observed)
        return differentiable(density, output, weights)

    def _density(
        self, weights: Weights, output: Tensor, x: Tensor, observed: Tensor | None
    ) -> Density:
        own = self._constants(weights)
        ratio = torch.tanh(torch.addcmul(own.ratio_mean, output, own.ratio_scale))
        inner = torch.addcmul(own.shift, ratio, own.bound)
        targets = torch.addcmul(own.offset, x, own.step)
        tables = [t.split(self._widths, -1) for t in (output, inner, targets)]
        found = [
            part.density(weights, *table)
            for (part, _), *table in zip(
                self.parts, *tables, _split(observed, self._widths), strict=True
            )
        ]
        slopes = torch.cat([density.slopes for density in found], -1)
        slopes *= torch.addcmul(own.scale, own.scale * ratio, ratio, value=-1)
        if observed is not None:
            slopes *= observed
        values = functools.reduce(torch.add, [density.values for density in found])
        by_weights = {k: v for d in found for k, v in d.by_weights.items()}
        return Density(values, slopes, by_weights)


@dataclass(frozen=True)
class Composite(Likelihood):
    """Likelihoods of adjacent blocks of features; each kind occurs once.

    Parameters
    ----------
    parts : tuple of (Likelihood, int)
        Likelihoods, and the number of features of each.
    """

    parts: tuple[tuple[Likelihood, int], ...]

    @property
    def blocks(self) -> list[tuple[Likelihood, slice]]:
        """Likelihoods with their features."""
        ends = list(itertools.accumulate(width for _, width in self.parts))
        return [
            (part, slice(end - width, end))
            for (part, width), end in zip(self.parts, ends, strict=True)
        ]

    @property
    def parameters(self) -> Parameters:
        return {k: v for part, _ in self.parts for k, v in part.parameters.items()}

    @property
    def fixed(self) -> frozenset[str]:
        return frozenset().union(*(part.fixed for part, _ in self.parts))

    @property
    def has_input_noise(self) -> bool:
        return any(part.has_input_noise for part, _ in self.parts)

    def derived(self, weights: Weights) -> Weights:
        return {
            name: value
            for _, parts in self._groups
            if isinstance(parts, StandardisedColumns)
            for name, value in parts.derived(weights).items()
        }

    @property
    def is_learned(self) -> bool:
        return any(part.is_learned for part, _ in self.parts)

    @property
    def hidden_with(self) -> tuple[int, ...] | None:
        """For each feature, the first one that is missing if it is."""
        found: list[int] = []
        for part, width in self.parts:
            first = len(found)
            if isinstance(part, Categorical):
                for start, size in zip(part.firsts, part.sizes, strict=True):
                    found += [first + start] * size
            else:
                found += range(first, first + width)
        return tuple(found)

    @property
    def description(self) -> dict[str, object]:
        parts = [{**part.description, "width": width} for part, width in self.parts]
        return {"kind": "columns", "parts": parts}

    def shapes(self, n_features: int) -> Shapes:
        return {k: v for part, n in self.parts for k, v in part.shapes(n).items()}

    def draw(self, n_features: int) -> Weights:
        return {k: v for part, n in self.parts for k, v in part.draw(n).items()}

    def start(
        self,
        rows: np.ndarray,
        row_weights: np.ndarray,
        offset: np.ndarray,
        step: np.ndarray,
    ) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for part, own in self.blocks:
            found |= part.start(rows[:, own], row_weights, offset[own], step[own])
        return found

    def terms(self, weights: Weights, output: Tensor, x: Tensor) -> Tensor:
        def terms_of(part: Likelihood, own: slice) -> Tensor:
            return part.terms(weights, output[..., own], x[..., own])

        return self._joined(terms_of)

    def noise_parameters(self, weights: Weights, n_features: int) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for part, own in self.blocks:
            width = own.stop - own.start
            for name, values in part.noise_parameters(weights, width).items():
                unknown = values.new_full((len(values), n_features), math.nan)
                found.setdefault(name, unknown)[:, own] = values
        return found

    def nll(
        self,
        weights: Weights,
        output: Tensor,
        x: Tensor,
        observed: Tensor | None = None,
        error_variance: Tensor | None = None,
    ) -> Tensor:
        widths = [width for width, _ in self._groups]
        tables = [t.split(widths, -1) for t in (output, x)]
        terms = (
            part.nll(weights, *own)
            for (_, part), *own in zip(
                self._groups, *tables, _split(observed, widths), strict=True
            )
        )
        return functools.reduce(torch.add, terms)

    @cached_property
    def _groups(self) -> list[tuple[int, Likelihood | StandardisedColumns]]:
        """Likelihoods and their widths; those of standardised targets are joined."""
        found: list[tuple[int, Likelihood | StandardisedColumns]] = []
        for part, width in self.parts:
            if not isinstance(part, Standardised):
                found.append((width, part))
                continue
            last = found[-1][1] if found else None
            before = last.parts if isinstance(last, StandardisedColumns) else ()
            found = found[:-1] if before else found
            name = f"likelihood.columns.{len(found)}"
            joined = StandardisedColumns((*before, (part, width)), name)
            found.append((joined.width, joined))
        return found

    def with_variance(self, weights: Arrays, variance: np.ndarray) -> Arrays:
        for part, own in self.blocks:
            weights = part.with_variance(weights, variance[own])
        return weights

    def add_input_noise(
        self, weights: Weights, x: Tensor, noise: Tensor, max_std: Tensor
    ) -> Tensor:
        parts, end = [], 0
        for part, own in self.blocks:
            if part.has_input_noise:
                table = x[..., own], noise[..., own], max_std[..., own]
                parts += [
                    x[..., end : own.start],
                    part.add_input_noise(weights, *table),
                ]
                end = own.stop
        return torch.cat([*parts, x[..., end:]], dim=-1)

    def mean(self, weights: Weights, output: Tensor) -> Tensor:
        return self._joined(lambda part, own: part.mean(weights, output[..., own]))

    def sample(
        self, weights: Weights, output: Tensor, generator: torch.Generator
    ) -> Tensor:
        return self._joined(
            lambda part, own: part.sample(weights, output[..., own], generator)
        )

    def links(self, weights: Arrays) -> list[Link]:
        """Return how outputs become expectations, block by block, of one model."""
        own = [name for name in self.parameters if name in weights]
        stacked = {name: torch.tensor(weights[name]).double()[None] for name in own}
        return [part.link(stacked, width) for part, width in self.parts]

    def marginal_scores(
        self, rows: np.ndarray, variance: np.ndarray, start: Arrays
    ) -> np.ndarray:
        """Return each row's log-density without active latents, nats, (n,).

        Parameters
        ----------
        rows : ndarray of shape (n, p)
            Standardised rows, NaN where missing.
        variance : ndarray of shape (p,)
            Variance of the features with a learned noise scale.
        start : mapping of str to ndarray
            Weights of :meth:`start`.
        """
        drawn = {k: v.numpy() for k, v in self.draw(rows.shape[1]).items()}
        own = self.with_variance({**drawn, **_chosen(start, drawn)}, variance)
        weights = {
            k: torch.tensor(v, dtype=torch.float64)[None] for k, v in own.items()
        }
        x = torch.tensor(rows, dtype=torch.float64)[None]
        observed = (x == x).to(x)
        output = torch.zeros_like(x)
        return -self.nll(weights, output, x.nan_to_num(0.0), observed)[0].numpy()

    def _joined(self, function: Callable[[Likelihood, slice], Tensor]) -> Tensor:
        return torch.cat([function(part, own) for part, own in self.blocks], dim=-1)


def by_column(kinds: Iterable[tuple[str, int]], noise_scale: str | float) -> Likelihood:
    """Return the likelihood of adjacent columns of these kinds.

    Parameters
    ----------
    kinds : iterable of (str, int)
        Kind of each column, and its number of levels, one if it has none. Columns of a
        kind are adjacent.
    noise_scale : {"feature", "shared"} or float
        Noise scale of the Gaussian columns.
    """
    parts: list[tuple[Likelihood, int]] = []
    for kind, group in itertools.groupby(kinds, key=lambda pair: pair[0]):
        sizes = tuple(size for _, size in group)
        width = sum(sizes) if kind == "categorical" else len(sizes)
        parts.append((_part(kind, sizes, noise_scale), width))
    return Composite(tuple(parts))


def _part(kind: str, sizes: tuple[int, ...], noise_scale: str | float) -> Likelihood:
    if kind == "gaussian":
        return Gaussian(noise_scale)
    if kind == "categorical":
        return Categorical(sizes)
    return Ordinal(sizes) if kind == "ordinal" else PARTS[kind]()


def _split(table: Tensor | None, widths: list[int]) -> Sequence[Tensor | None]:
    """Return the features of each part; None for each, without a table."""
    return [None] * len(widths) if table is None else table.split(widths, -1)


PARTS: dict[str, Callable[[], Likelihood]] = {
    "student_t": StudentT,
    "bernoulli": Binary,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}
"""Likelihoods of a block of columns that need nothing but its width."""


def _chosen(arrays: Arrays, names: Iterable[str]) -> dict[str, np.ndarray]:
    return {name: arrays[name] for name in names if name in arrays}

"""Log-densities whose gradients are computed together with their values.

For a table of columns of several types, a step consists of many operations on small
tensors, and derivatives by the rules of each operation would double their number.

Axes: ``K`` models, ``B`` rows, ``p`` features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._dense import Weights

NO_WEIGHTS: Mapping[str, Any] = MappingProxyType({})

FAR = 1e4
"""Threshold that no output reaches."""


class Density(NamedTuple):
    """Negative log-densities of rows, and their derivatives.

    Attributes
    ----------
    values : Tensor of shape (K, B)
        -log p of each row, nats.
    slopes : Tensor of shape (K, B, p)
        Their derivatives by an output.
    by_weights : mapping of str to callable
        For each learned weight, its gradient given that by the values, (K, B).
    """

    values: Tensor
    slopes: Tensor
    by_weights: Mapping[str, Callable[[Tensor], Tensor]] = NO_WEIGHTS


class _Known(torch.autograd.Function):
    """Values (K, B) with the derivatives of a :class:`Density`."""

    @staticmethod
    def forward(ctx: Any, density: Density, output: Tensor, *own: Tensor) -> Tensor:
        ctx.density = density
        return density.values.view_as(density.values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        _, slopes, by_weights = ctx.density
        own = (by_weight(gradient) for by_weight in by_weights.values())
        return None, gradient.unsqueeze(-1) * slopes, *own


def differentiable(density: Density, output: Tensor, weights: Weights) -> Tensor:
    """Return the values of a density, which can be differentiated once, (K, B).

    Parameters
    ----------
    density : Density
    output : Tensor of shape (K, B, p)
        What the slopes refer to.
    weights : Weights
    """
    own = (weights[name] for name in density.by_weights)
    return _Known.apply(density, output, *own)


class Thresholds(NamedTuple):
    """How weights become the thresholds of ordered levels.

    The first threshold of a feature is ``rate`` times a weight, and each gap between
    two is the softplus of ``rate`` times a weight, plus ``least_gap``.

    Attributes
    ----------
    sizes : tuple of int
        Number of levels of each feature.
    rate, least_gap : float
    """

    sizes: tuple[int, ...]
    rate: float
    least_gap: float

    def bounds(self, weight: Tensor) -> Tensor:
        """Return thresholds between two that no output reaches, (K, p, L + 1).

        Parameters
        ----------
        weight : Tensor of shape (K, p, L - 1)
            Those beyond a feature's levels have no effect.
        """
        raw = self.rate * weight
        gaps = F.softplus(raw[..., 1:]) + self.least_gap
        inner = torch.cat([raw[..., :1], gaps], -1).cumsum(-1)
        far, is_inner = _frame(self.sizes, weight.dtype, weight.device)
        return torch.addcmul(far, F.pad(inner, (1, 1)), is_inner)

    def gradient(self, weight: Tensor, by_bounds: Tensor) -> Tensor:
        """Return the gradient by the weight, given that by the bounds.

        That by a bound out of reach is zero.
        """
        later = by_bounds[..., 1:-1].flip(-1).cumsum(-1).flip(-1)
        later[..., 1:] *= torch.sigmoid(self.rate * weight[..., 1:])
        return self.rate * later

    def density(
        self, weight: Tensor, position: Tensor, level: Tensor
    ) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Return -log p of levels under cumulative logits, with its derivatives.

        Parameters
        ----------
        weight : Tensor of shape (K, p, L - 1)
        position : Tensor of shape (K, B, p)
            What is compared with the thresholds.
        level : Tensor of int of shape (K, B, p)

        Returns
        -------
        terms : Tensor of shape (K, B, p)
        slopes : Tensor of shape (K, B, p)
            Derivatives by the position.
        by_weight : callable (Tensor of shape (K, B, p)) -> Tensor
            Gradient by the weight, given that by the terms.
        """
        bounds, index = self.bounds(weight), level.mT  # (K, p, L + 1), (K, p, B)
        following = index + 1
        below, above = (bounds.gather(-1, i).mT for i in (index, following))
        too_high, too_low = position - above, below - position
        by_gap = torch.expm1(above - below).reciprocal()
        p_high, p_low = torch.sigmoid(too_high), torch.sigmoid(too_low)
        sides = F.softplus(too_high, threshold=40) + F.softplus(too_low, threshold=40)

        def by_weight(gradient: Tensor) -> Tensor:
            by_bounds = torch.zeros_like(bounds)
            by_bounds.scatter_add_(-1, index, (gradient * (p_low + by_gap)).mT)
            by_bounds.scatter_add_(-1, following, (-gradient * (p_high + by_gap)).mT)
            return self.gradient(weight, by_bounds)

        return sides + torch.log1p(by_gap), p_high - p_low, by_weight


@lru_cache(maxsize=32)
def _frame(
    sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return bounds out of reach, and where others are, both (p, L + 1); made once."""
    with torch.inference_mode(False):
        number = torch.arange(max(2, *sizes) + 1, device=device)
        is_inner = (number > 0) & (number < torch.tensor(sizes, device=device)[:, None])
        far = torch.where(number > 0, FAR, -FAR) * ~is_inner
        return far.to(dtype), is_inner.to(dtype)

"""Stacked dense networks, with an explicit backward pass for adversaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import _compat
from ._axes import Parameters, Shapes
from ._products import low_type, multiply

Weights = dict[str, Tensor]

PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
"""Type and device of new weights, independent of torch's global defaults."""


@dataclass(frozen=True)
class Activation:
    """An activation function and its backward pass.

    Parameters
    ----------
    apply : callable (x) -> y
    backward : callable (gradient, x, y) -> Tensor
        Gradient with respect to ``x``, given the one with respect to ``y``.
    apply_inplace : callable (x) -> y
        The same function as ``apply``. It overwrites ``x`` where the backward pass
        needs ``y`` alone, since memory bandwidth limits these functions.
    """

    apply: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], Tensor]
    apply_inplace: Callable[[Tensor], Tensor]


ACTIVATIONS = {
    "relu": Activation(
        torch.relu,
        lambda g, x, y: _compat.relu_backward(g, y),
        torch.relu_,
    ),
    "leaky_relu": Activation(
        lambda x: F.leaky_relu(x, 0.2),
        lambda g, x, y: _compat.leaky_relu_backward(g, y, 0.2),
        lambda x: F.leaky_relu_(x, 0.2),
    ),
    "elu": Activation(
        F.elu,
        lambda g, x, y: _compat.elu_backward(g, y),
        F.elu_,
    ),
    "silu": Activation(
        F.silu,
        lambda g, x, y: _compat.silu_backward(g, x),
        F.silu,
    ),
    "gelu": Activation(
        F.gelu,
        lambda g, x, y: _compat.gelu_backward(g, x),
        F.gelu,
    ),
    "tanh": Activation(
        torch.tanh,
        lambda g, x, y: _compat.tanh_backward(g, y),
        torch.tanh_,
    ),
}


LANES = 16
"""Number of which the columns of a product in inference are a multiple."""


def add_product(offset: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return ``offset + x @ weight``, with padded columns in inference mode.

    Large products have the precision of :func:`large_products`.

    For an odd number of columns some processors compute every other row by another
    path, whose rounding differs. Padding avoids this.

    Parameters
    ----------
    offset : Tensor of shape (K, 1 or B, o)
    x : Tensor of shape (K, B, i)
    weight : Tensor of shape (K, i, o)
    """
    if (low := low_type(weight)) is not None:
        return multiply(x, weight, low).add_(offset)
    n_columns = weight.shape[-1]
    missing = -n_columns % LANES
    if not missing or not torch.is_inference_mode_enabled():
        return torch.baddbmm(offset, x, weight)
    padded = torch.bmm(x, F.pad(weight, (0, missing)))
    return offset + padded[..., :n_columns]


@dataclass(frozen=True)
class Dense:
    """K affine maps, one after the other, with an activation between them.

    Parameters
    ----------
    name : str
        Prefix of the weights: layer i holds ``{name}.{i}.weight``, (K, i, o), and
        ``{name}.{i}.bias``, (K, o).
    sizes : tuple of int
        Width of the input, of the hidden layers, and of the output.
    activation : str
        Key of :data:`ACTIVATIONS`.
    final_activation : bool, default=False
        Whether the last layer is followed by the activation, too.
    zero_output : bool, default=False
        Whether the last layer is initialised to zero, so that the initial function is
        constant.
    axes : tuple of two str, default=("", "")
        Axis names of the input and of the output.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    final_activation: bool = False
    zero_output: bool = False
    axes: tuple[str, str] = ("", "")

    @cached_property
    def parameters(self) -> Parameters:
        """Names and axes of the weights, layer by layer: weight, bias, weight, ..."""
        ends = [self.axes[0], *["h"] * (self.depth - 1), self.axes[1]]
        declared: Parameters = {}
        for i in range(self.depth):
            declared[f"{self.name}.{i}.weight"] = (ends[i], ends[i + 1])
            declared[f"{self.name}.{i}.bias"] = (ends[i + 1],)
        return declared

    @cached_property
    def names(self) -> list[str]:
        """Names of the weights in the order of the layers."""
        return list(self.parameters)

    @property
    def shapes(self) -> Shapes:
        """Shapes of one model's weights, by name."""
        ends = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        shapes: Shapes = {}
        for i, (a, b) in enumerate(ends):
            shapes[f"{self.name}.{i}.weight"] = (a, b)
            shapes[f"{self.name}.{i}.bias"] = (b,)
        return shapes

    @property
    def depth(self) -> int:
        """Number of affine maps."""
        return len(self.sizes) - 1

    @property
    def multiplications(self) -> int:
        """Multiplications for one row."""
        return sum(a * b for a, b in zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @property
    def layers(self) -> list[dict[str, object]]:
        """Description of the layers: kind, name, and whether an activation follows."""
        return [
            {
                "kind": "dense",
                "name": f"{self.name}.{i}",
                **({"is_activated": True} if self._is_activated(i) else {}),
            }
            for i in range(self.depth)
        ]

    def draw(self, generator: torch.Generator) -> Weights:
        """Draw one model's weights: He-normal where activated, zero biases."""
        weights = {}
        for i, (a, b) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            gain = 2.0 if self._is_activated(i) else 1.0
            weight = draw_normal((a, b), a, gain, generator)
            if self.zero_output and i == self.depth - 1:
                weight = torch.zeros_like(weight)
            weights[f"{self.name}.{i}.weight"] = weight
            weights[f"{self.name}.{i}.bias"] = torch.zeros(b, **PLAIN)
        return weights

    def __call__(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Map (K, B, sizes[0]) to (K, B, sizes[-1])."""
        y, _ = self.forward([weights[name] for name in self.names], x)
        return y

    def forward(
        self, layers: Sequence[Tensor], x: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the intermediate values for :meth:`backward`.

        Parameters
        ----------
        layers : sequence of Tensor
            Weights in the order of :attr:`names`.
        x : Tensor of shape (K, B, sizes[0])

        Returns
        -------
        y : Tensor of shape (K, B, sizes[-1])
        trace : list of Tensor
            Input of each layer and its affine output, alternating.
        """
        apply_inplace = ACTIVATIONS[self.activation].apply_inplace
        trace = []
        for i in range(self.depth):
            weight, bias = layers[2 * i], layers[2 * i + 1]
            affine = add_product(bias.unsqueeze(1), x, weight)
            trace += [x, affine]
            x = apply_inplace(affine) if self._is_activated(i) else affine
        return x, trace

    def backward(
        self,
        layers: Sequence[Tensor],
        trace: Sequence[Tensor],
        y: Tensor,
        gradient: Tensor,
        into: Sequence[Tensor],
    ) -> Tensor:
        """Write the gradients of ``layers`` and return that of the input.

        Parameters
        ----------
        layers, trace, y
            Arguments and results of :meth:`forward`.
        gradient : Tensor of shape (K, B, sizes[-1])
            With respect to ``y``.
        into : sequence of Tensor
            Where the gradients are written, in the order of ``layers``. The memory is
            reused, since new large arrays cost page faults at every step.
        """
        backward = ACTIVATIONS[self.activation].backward
        for i in reversed(range(self.depth)):
            x, affine = trace[2 * i], trace[2 * i + 1]
            if self._is_activated(i):
                gradient = backward(gradient, affine, y)
            torch.sum(gradient, 1, out=into[2 * i + 1])
            gradient = _product_gradients(x, layers[2 * i], gradient, into[2 * i])
            y = x
        return gradient

    def _is_activated(self, layer: int) -> bool:
        return self.final_activation or layer < self.depth - 1


def _product_gradients(
    x: Tensor, weight: Tensor, gradient: Tensor, into: Tensor
) -> Tensor:
    """Write the gradient of a weight, and return that of its input, (K, B, i)."""
    if (low := low_type(weight)) is None:
        torch.bmm(x.transpose(1, 2), gradient, out=into)
        return torch.bmm(gradient, weight.transpose(1, 2))
    factor = gradient.to(low)
    into.copy_(torch.bmm(x.to(low).transpose(1, 2), factor))
    return multiply(factor, weight.transpose(1, 2), low)


def draw_normal(
    shape: tuple[int, ...], fan_in: int, gain: float, generator: torch.Generator
) -> Tensor:
    """Draw weights whose output has variance ``gain`` for white input."""
    draws = torch.randn(shape, generator=generator, **PLAIN)
    return draws * math.sqrt(gain / fan_in)

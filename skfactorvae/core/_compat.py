"""Private names of torch that this package calls.

Backward functions of activations are exposed by ``torch.ops.aten`` only. Nothing else
in the package uses a private name of torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

_aten = torch.ops.aten


def relu_backward(gradient: Tensor, y: Tensor) -> Tensor:
    """Return the gradient by x of ``relu(x) = y``."""
    return _aten.threshold_backward(gradient, y, 0)


def leaky_relu_backward(gradient: Tensor, y: Tensor, slope: float) -> Tensor:
    """Return the gradient by x of ``leaky_relu(x, slope) = y``."""
    return _aten.leaky_relu_backward(gradient, y, slope, True)


def elu_backward(gradient: Tensor, y: Tensor) -> Tensor:
    """Return the gradient by x of ``elu(x) = y``."""
    return _aten.elu_backward(gradient, 1, 1, 1, True, y)


def silu_backward(gradient: Tensor, x: Tensor) -> Tensor:
    """Return the gradient by x of ``silu(x)``."""
    return _aten.silu_backward(gradient, x)


def gelu_backward(gradient: Tensor, x: Tensor) -> Tensor:
    """Return the gradient by x of ``gelu(x)``."""
    return _aten.gelu_backward(gradient, x)


def tanh_backward(gradient: Tensor, y: Tensor) -> Tensor:
    """Return the gradient by x of ``tanh(x) = y``."""
    return _aten.tanh_backward(gradient, y)

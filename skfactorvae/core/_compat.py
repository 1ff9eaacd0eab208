"""Private names of torch that this package calls.

Backward functions of activations, and the kernel of the fused Adam, are exposed by
``torch.ops.aten`` only, and what a processor can do by private functions. Nothing else
in the package uses a private name of torch.
"""

from __future__ import annotations

from typing import Any

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


def fused_adam(
    leaves: list[Tensor],
    gradients: list[Any],
    first: list[Tensor],
    second: list[Tensor],
    steps: list[Tensor],
    *,
    lr: Any,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Make a step of Adam in place.

    Parameters
    ----------
    leaves, gradients : list of Tensor
        Weights of one type on one device, and their gradients, of the same layout.
    first, second : list of Tensor
        Moving averages of the gradients and of their squares.
    steps : list of Tensor of shape ()
        Steps that were made, this one included, on the device of the weights.
    lr : float or Tensor
        Learning rate; a tensor is read on its device.
    betas : tuple of two floats
        Decay rates of the averages.
    epsilon : float
        Number that is added to the root of the second moment.
    """
    beta1, beta2 = betas
    _aten._fused_adam_(
        leaves,
        gradients,
        first,
        second,
        [],
        steps,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


BFLOAT16_TESTS = "_is_amx_tile_supported", "_is_avx512_bf16_supported"
"""Functions of ``torch.cpu`` by which processors multiply bfloat16 faster."""


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for products of bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tests = (getattr(torch.cpu, name, None) for name in BFLOAT16_TESTS)
    return device.type == "cpu" and any(test() for test in tests if test is not None)


MT_WORDS = 624
"""Words of the state of torch's generator, the Mersenne Twister."""


def set_generator_state(generator: torch.Generator, state: torch.Tensor) -> None:
    """Set the state of a CPU generator, checked.

    torch compares neither the place in the state with the words that are left, beyond
    which it would read, nor takes a view of another tensor.

    Parameters
    ----------
    generator : torch.Generator
    state : Tensor of shape (n_bytes,), uint8

    Raises
    ------
    ValueError
        If it is not the state of such a generator.
    """
    left = int(state[8:12].clone().view(torch.int32))
    place = int(state[16:24].clone().view(torch.int64))
    is_new = (left, place) == (1, 0)
    if not is_new and (not 1 <= left <= MT_WORDS or left + place != MT_WORDS + 1):
        raise ValueError(f"{left} words are left at place {place}")
    try:
        generator.set_state(state.clone())
    except RuntimeError as error:
        raise ValueError(str(error)) from error

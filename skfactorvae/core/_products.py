"""Matrix products with fewer digits, of the layers that are large enough to gain."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ._compat import has_bfloat16

LOW_SIDE = 512
"""Inputs and outputs that a layer has, at least, if its products have fewer digits.

Smaller ones gain little, and the layers that give codes, logits and reconstructions
keep all digits.
"""

PRODUCTS = {"float32": None, "float64": None, "bfloat16": torch.bfloat16}
"""Types in which large matrices are multiplied, by name; None: as they are."""


class _Own(threading.local):
    """Setting of this Python thread."""

    dtype: torch.dtype | None = None


_own = _Own()


@contextmanager
def large_products(name: str) -> Iterator[None]:
    """Multiply large matrices in another type inside the block, in this thread alone.

    Parameters
    ----------
    name : {"float32", "float64", "bfloat16"}
        Products are added up in float32 in either case.
    """
    outside, _own.dtype = _own.dtype, PRODUCTS[name]
    try:
        yield
    finally:
        _own.dtype = outside


def low_type(weight: Tensor) -> torch.dtype | None:
    """Return the type in which products with a weight are computed; None: its own.

    Parameters
    ----------
    weight : Tensor of shape (..., i, o)
    """
    return _own.dtype if is_large(weight.shape) else None


def is_large(shape: Sequence[int]) -> bool:
    """Return whether a weight of this shape, (..., i, o), is that of a large layer."""
    return len(shape) > 1 and min(shape[-2:]) >= LOW_SIDE


def lowered(weight: Tensor) -> Tensor:
    """Return a weight in the type of its products, to convert it once for several.

    Parameters
    ----------
    weight : Tensor of shape (K, i, o), or (K, o) of a bias, which is returned as it is
    """
    low = low_type(weight) if weight.ndim > 2 else None
    return weight if low is None else weight.to(low)


def check_products(name: str, device: torch.device) -> None:
    """Raise if a device does not multiply faster in a type.

    Parameters
    ----------
    name : {"float32", "float64", "bfloat16"}
    device : torch.device

    Raises
    ------
    ValueError
        If it does not.
    """
    if PRODUCTS[name] is not None and not has_bfloat16(device):
        raise ValueError(
            f"precision={name!r} needs a device with instructions for it, which "
            f"{str(device)!r} lacks: of CPUs, those with AMX or AVX512_BF16, and of "
            "NVIDIA GPUs, those from Ampere on. Use precision='float32'."
        )


def multiply(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """Return products of matrices in a type of few digits, as float32.

    Parameters
    ----------
    a : Tensor of shape (K, n, m)
    b : Tensor of shape (K, m, o)
    dtype : torch.dtype
        Factors that have it already are not converted.
    """
    return torch.bmm(a.to(dtype), b.to(dtype)).float()

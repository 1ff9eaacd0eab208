"""Precision of matrix products, a setting of the whole process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .._locks import ProcessLock

FULL_PRECISION = ("ieee", "none")
"""Settings of a backend with which float32 matrices are multiplied with all digits."""

_lock = ProcessLock()
_depth = 0
_outside: Any = None
"""Setting that the first of the blocks found."""


@contextmanager
def full_precision() -> Iterator[None]:
    """Multiply float32 matrices with all digits of their type inside the block.

    With fewer, for which ``torch.set_float32_matmul_precision`` can ask, the results of
    a fit and the codes of a fitted model would be others. Where blocks are nested, or
    those of several Python threads overlap, the first one makes the setting, and the
    last one to end restores the one that the first one found.
    """
    global _depth, _outside
    with _lock:
        if _depth == 0:
            _outside = _set_full_precision()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth = max(0, _depth - 1)  # zero in a process that was forked in a block
            if _depth == 0:
                _restore_precision(_outside)


def _forget_blocks() -> None:
    """Begin without blocks in a forked process, which has none of the other threads."""
    global _depth
    if _depth:
        _restore_precision(_outside)
    _depth = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_blocks)


def matmul_backends() -> list[Any]:
    """Return what holds the precision of matrix products by device (torch >= 2.9)."""
    modules = torch.backends.cuda, torch.backends.mkldnn
    found = [getattr(module, "matmul", None) for module in modules]
    return [backend for backend in found if hasattr(backend, "fp32_precision")]


def _set_full_precision() -> Any:
    """Multiply matrices with all digits; return the former setting.

    Programs set the precision for all devices by one function, or for each. Torch
    raises an error where both ways have been used, so that theirs is used here.
    """
    try:
        name = torch.get_float32_matmul_precision()
    except RuntimeError:  # set for each device
        before = [backend.fp32_precision for backend in matmul_backends()]
        full = [value if value in FULL_PRECISION else "ieee" for value in before]
        _restore_precision(full)
        return before
    _restore_precision("highest")
    return name


def _restore_precision(setting: Any) -> None:
    """Restore what :func:`_set_full_precision` returned."""
    if isinstance(setting, str):
        if torch.get_float32_matmul_precision() != setting:
            torch.set_float32_matmul_precision(setting)
        return
    for backend, value in zip(matmul_backends(), setting, strict=True):
        if backend.fp32_precision != value:
            backend.fp32_precision = value

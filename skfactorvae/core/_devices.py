"""Devices, and a computing context that the caller cannot change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

SMALL_WORK = 1_000_000_000
"""Multiplications of a step below which a second thread costs more than it saves."""

FULL_PRECISION = ("ieee", "none")
"""Settings of a backend with which float32 matrices are multiplied with all digits."""

_lock = threading.Lock()
_depth = 0
_outside = 1
_matmul_precision: Any = None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Enable gradients and disable autocast and inference mode inside the block.

    Callers may have switched gradients off, or mixed precision on, for code of their
    own.
    """
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


def resolve_device(name: str, *, fall_back: bool = False) -> torch.device:
    """Return a torch device; ``"auto"`` takes the first of CUDA, MPS and the CPU.

    Parameters
    ----------
    name : str
        ``"auto"``, or the name of a torch device.
    fall_back : bool, default=False
        Whether to return the CPU if the named device is missing.

    Raises
    ------
    ValueError
        If the name is not that of a device, or, without ``fall_back``, if this machine
        has no such device.
    """
    if name == "auto":
        name = next((d for d in ("cuda", "mps") if _is_available(d)), "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(
            f"device={name!r} is not a device name. Use 'auto', 'cpu', 'cuda', "
            "'cuda:0', 'mps', ..."
        ) from error
    if fall_back and not _is_available(device.type):
        return torch.device("cpu")
    if not _is_available(device.type):
        raise ValueError(
            f"device={name!r} was requested, but torch finds no such device on this "
            "machine. Use device='auto' to take the best one available."
        )
    return device


def _is_available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu"


@contextmanager
def process_settings(
    n_threads: int | None, work: int, device: torch.device
) -> Iterator[None]:
    """Set torch's CPU threads and precision inside the block, and restore them after.

    Matrices are multiplied with all digits of their type: with fewer, for which
    ``torch.set_float32_matmul_precision`` can ask, the results of a fit and the codes
    of a fitted model would be others.

    Both settings are global to the process. Where blocks are nested, or those of
    several Python threads overlap, the first block makes the settings, and the last one
    to end restores those that the first one found.

    Parameters
    ----------
    n_threads : int or None
        CPU threads. None takes one for small work and torch's own number for large.
    work : int
        Multiplications of one step.
    device : torch.device
        Where the work is done. One thread is enough to feed a device other than the
        CPU.
    """
    global _depth, _outside, _matmul_precision
    with _lock:
        if _depth == 0:
            _outside = torch.get_num_threads()
            _matmul_precision = _set_full_precision()
            torch.set_num_threads(n_threads or _choose(work, device))
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                torch.set_num_threads(_outside)
                _restore_precision(_matmul_precision)


def _choose(work: int, device: torch.device) -> int:
    return _outside if device.type == "cpu" and work >= SMALL_WORK else 1


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

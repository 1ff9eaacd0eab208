"""Devices, CPU threads, and a computing context that the caller cannot change."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch

from .._locks import ProcessLock
from ._precision import full_precision

SMALL_WORK = 1_000_000_000
"""Multiplications of a step below which a second thread costs more than it saves."""

CPU = torch.device("cpu")

TORCHRUN = "torchrun"
"""Name of the device on which this process trains a model together with others."""

_lock = ProcessLock()
_depth = 0
"""Python threads that are inside a block of :func:`thread_limit`."""

_outside = 1
"""Number of torch's threads that the first of them found."""

_is_forked = False
"""Whether this process is a copy of another one."""


class _Own(threading.local):
    """Blocks of this Python thread: their depth, and the number to restore."""

    depth, outside = 0, 1


_own = _Own()


def _forget_blocks() -> None:
    """Begin without blocks in a forked process, which has none of the other threads."""
    global _depth, _is_forked, _own
    if _depth:  # new threads begin with the number that was set last
        torch.set_num_threads(_own.outside if _own.depth else torch.get_num_threads())
    _depth, _is_forked, _own = 0, True, _Own()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_blocks)


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


def is_torchrun(device: str | Sequence[str]) -> bool:
    """Return whether a parameter of an estimator names the processes of torchrun."""
    return device == TORCHRUN or list(device) == [TORCHRUN]


def resolve_devices(
    names: str | Sequence[str], *, fall_back: bool = False
) -> tuple[torch.device, ...]:
    """Return torch devices by their names, of which there can be one or several.

    Parameters
    ----------
    names : str or sequence of str
    fall_back : bool, default=False
        As of :func:`resolve_device`.

    Raises
    ------
    ValueError
        If there are none, or one of them cannot be used.
    """
    given = [names] if isinstance(names, str) else list(names)
    if not given or not all(isinstance(name, str) for name in given):
        raise ValueError(
            f"device={names!r} must be a name, or a list of at least one name, such as "
            "['cuda:0', 'cuda:1']."
        )
    if TORCHRUN in given and len(given) > 1:
        raise ValueError(
            f"device={names!r} names {TORCHRUN!r} beside others. Each of its processes "
            f"has one device: set device={TORCHRUN!r}."
        )
    return tuple(resolve_device(name, fall_back=fall_back) for name in given)


def resolve_device(name: str, *, fall_back: bool = False) -> torch.device:
    """Return a torch device; ``"auto"`` takes the first of CUDA, MPS and the CPU.

    Parameters
    ----------
    name : str
        ``"auto"``, the name of a torch device, or ``"torchrun"``, which is the CUDA
        device of this process, or the CPU.
    fall_back : bool, default=False
        Whether to return the CPU if the named device is missing.

    Raises
    ------
    ValueError
        If the name is not that of a device, or, without ``fall_back``, if this machine
        has no such device.
    """
    if name == TORCHRUN:
        name = _device_of_rank(fall_back)
    if name == "auto":
        name = next((d for d in ("cuda", "mps") if _is_available(d)), "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
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


def _device_of_rank(fall_back: bool) -> str:
    """Return the device of this process, by the environment that torchrun sets."""
    if missing := [n for n in ("RANK", "WORLD_SIZE") if n not in os.environ]:
        if fall_back:
            return "auto"
        raise ValueError(
            f"device={TORCHRUN!r} needs processes that torchrun has started; "
            f"{' and '.join(missing)} are not in the environment. Start the program "
            "with torchrun --nproc-per-node=N PROGRAM, or set another device."
        )
    if not torch.distributed.is_available():
        raise ValueError(
            f"device={TORCHRUN!r} needs torch.distributed, which this build of torch "
            "lacks. Install another build, or set another device."
        )
    n_devices = torch.cuda.device_count()
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if n_devices and number >= n_devices:
        raise ValueError(
            f"device={TORCHRUN!r} takes one CUDA device for each process, and this is "
            f"process {number + 1} of a machine with {n_devices}. Start at most "
            f"{n_devices} processes on it, or hide the devices from all "
            "(CUDA_VISIBLE_DEVICES=) to train on the CPU."
        )
    return f"cuda:{number}" if n_devices else "cpu"


def _is_available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu"


@contextmanager
def thread_limit(
    n_threads: int | None, work: int, device: torch.device
) -> Iterator[None]:
    """Limit torch's CPU threads inside the block and restore them afterwards.

    torch has a number for each Python thread. Of nested blocks, the first one sets it.
    A new thread begins with the number that was set last in any thread; if that is the
    limit of another thread's block, the number which that thread had before is taken.

    In a forked process the number is one: threads of OpenMP are not copied, and an
    operation that is distributed over them would never end.

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
    own = _own  # a forked process has another one
    if own.depth == 0:
        _begin(own, n_threads, work, device)
    own.depth += 1
    try:
        yield
    finally:
        own.depth -= 1
        if own.depth == 0:
            _end(own)


def _begin(own: _Own, n_threads: int | None, work: int, device: torch.device) -> None:
    global _depth, _outside
    with _lock:
        if _depth == 0:
            _outside = torch.get_num_threads()
        own.outside = _outside
        _depth += 1
        torch.set_num_threads(_choose(n_threads, work, device))


def _end(own: _Own) -> None:
    global _depth
    with _lock:
        _depth = max(0, _depth - 1)  # zero in a process that was forked in the block
        torch.set_num_threads(own.outside)


def _choose(n_threads: int | None, work: int, device: torch.device) -> int:
    if _is_forked:
        return 1
    if n_threads is not None:
        return n_threads
    return _outside if device.type == "cpu" and work >= SMALL_WORK else 1


@contextmanager
def process_settings(
    n_threads: int | None, work: int, device: torch.device
) -> Iterator[None]:
    """Limit torch's CPU threads, and multiply matrices with all digits, in the block.

    Parameters
    ----------
    n_threads, work, device
        As of :func:`thread_limit`.
    """
    with thread_limit(n_threads, work, device), full_precision():
        yield


def one_thread() -> AbstractContextManager[None]:
    """Limit torch's CPU threads to one inside the block."""
    return thread_limit(1, 0, CPU)


def torch_threads() -> int:
    """Return the number of CPU threads that torch uses, outside of any limit here."""
    return torch.get_num_threads()


def torch_version() -> str:
    """Return the version of torch."""
    return str(torch.__version__)

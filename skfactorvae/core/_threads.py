"""CPU threads: few for small models, so that a busy machine does not stall them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 1_000_000_000
"""Multiplications a step below which a second thread costs more than it brings."""

_lock = threading.Lock()
_depth = 0
_outside = 1


@contextmanager
def thread_limit(
    n_threads: int | None, work: int, device: torch.device
) -> Iterator[None]:
    """Limit torch's CPU threads inside the block and restore them afterwards.

    The number is global to the process. Where blocks are nested, or those of several
    Python threads overlap, the first one sets it, and the last one to leave restores
    what the first one found.

    Parameters
    ----------
    n_threads : int or None
        Threads; None chooses one for small work and leaves torch's number for large.
    work : int
        Multiplications of one step.
    device : torch.device
        Where the work is done; one thread suffices to feed another device.
    """
    global _depth, _outside
    with _lock:
        if _depth == 0:
            _outside = torch.get_num_threads()
            torch.set_num_threads(n_threads or _choose(work, device))
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                torch.set_num_threads(_outside)


def _choose(work: int, device: torch.device) -> int:
    return _outside if device.type == "cpu" and work >= SMALL else 1

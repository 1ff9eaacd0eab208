"""Training that goes on with each block of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch

from ._devices import process_settings, undisturbed
from ._job import Fit, Job
from ._latents import Orientation, find_orientation
from ._schedule import MAX_RECORDS, StreamSchedule
from ._state import State
from ._training import _Stack


@dataclass
class _Kept:
    """State of a stream between two blocks, as a storage in memory."""

    state: State | None

    def read(self) -> State | None:
        return self.state

    def is_due(self) -> bool:
        return False

    def write(self, state: State) -> None:
        """Keep copies, with the last records of the history."""
        arrays = {name: np.array(array) for name, array in state.arrays.items()}
        arrays["history/0"] = arrays["history/0"][-MAX_RECORDS:]
        self.state = State(arrays, state.values)

    def refuse(self, what: str) -> NoReturn:
        raise ValueError(f"The state of the stream cannot be continued: {what}")


def continue_fit(
    job: Job,
    schedule: StreamSchedule,
    state: State | None,
    described: Job,
    orientation: Orientation | None,
    *,
    device: torch.device,
    n_threads: int | None = None,
) -> tuple[Fit, State, Orientation]:
    """Train a model on the next block of a stream.

    Parameters
    ----------
    job : Job
        The model, and the rows of the block.
    schedule : StreamSchedule
        Steps of the block.
    state : State or None
        That after the block before; None for the first block.
    described : Job
        The job with the rows over which moments of the latents are taken.
    orientation : tuple (order, sign) or None
        Order and signs of the latents after the block before.
    device : torch.device
    n_threads : int or None
        As :func:`fit_stack` takes it.

    Returns
    -------
    fit : Fit
    state : State
    orientation : tuple (order, sign)
    """
    kept = _Kept(state)
    work = schedule.batch_size * job.multiplications
    with undisturbed(), process_settings(n_threads, work, device):
        (checkpoint,) = _Stack([job], schedule, device).train(None, kept)
    checkpoint.job = described
    if orientation is None:
        orientation = find_orientation(described, checkpoint.weights, device)
    fit = checkpoint.fit(device, orientation)
    assert kept.state is not None
    return fit, kept.state, orientation

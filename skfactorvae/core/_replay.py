"""Steps on a CUDA device: recorded once, and played again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the recorded one, which choose kernels and find room for results."""

Step = Callable[..., dict[str, Tensor]]
Runner = Callable[..., dict[str, Tensor]]

_recording = threading.Lock()


def can_replay(device: torch.device) -> bool:
    """Tell whether steps on a device are recorded."""
    return device.type == "cuda"


def runner(device: torch.device) -> Runner:
    """Return what does one step after the other: sooner, where the device can replay.

    A step of a small model asks for some hundred kernels, and asking takes longer than
    they do. Here it is asked for once.

    Parameters
    ----------
    device : torch.device
        Where the tensors are.

    Returns
    -------
    run : callable (step, *inputs) -> dict of str to Tensor
        To be called with one and the same step, a function of tensors that have the
        same shapes in every call; it may change other tensors, in place. Results may
        be overwritten by the next call.
    """
    return Replay(device) if can_replay(device) else at_once


def at_once(step: Step, *inputs: Tensor) -> dict[str, Tensor]:
    """Do a step as it is written."""
    return step(*inputs)


class Replay:
    """Does a step by its CUDA graph.

    A step that cannot be recorded, since it looks at values or brings some from
    elsewhere, is done as it is written.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.n_calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, step: Step, *inputs: Tensor) -> dict[str, Tensor]:
        self.n_calls += 1
        with torch.cuda.device(self.device):
            if self.n_calls <= WARM_UP:
                return self._aside(step, inputs)
            if self.n_calls == WARM_UP + 1:
                self._record(step, inputs)
        if self.graph is None:
            return step(*inputs)
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        self.graph.replay()
        return self.results

    def _aside(self, step: Step, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Do the step on a stream of its own, as recording will."""
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            results = step(*inputs)
        here.wait_stream(aside)
        return results

    def _record(self, step: Step, inputs: tuple[Tensor, ...]) -> None:
        """Record the step, which is not done yet by that."""
        graph = torch.cuda.CUDAGraph()
        self.inputs = [value.clone() for value in inputs]
        try:
            # One thread records at a time; others may go on using the device.
            with (
                _recording,
                torch.cuda.graph(graph, capture_error_mode="thread_local"),
            ):
                self.results = step(*self.inputs)
        except RuntimeError:
            return
        self.graph = graph

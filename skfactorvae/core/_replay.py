"""Steps on a CUDA device: recorded once, and played again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the recorded one, which choose kernels and find room for results."""

Step = Callable[..., dict[str, Tensor]]

_recording = threading.Lock()


def can_replay(device: torch.device) -> bool:
    """Tell whether steps on a device are recorded."""
    return device.type == "cuda"


def replayed(step: Step, device: torch.device) -> Step:
    """Return a step that does the same, sooner where the device can replay.

    A step of a small model asks for some hundred kernels, and asking takes longer than
    they do. Here it is asked for once.

    Parameters
    ----------
    step : callable
        A function of tensors that have the same shapes in every call; it may change
        other tensors, in place.
    device : torch.device
        Where the tensors are.
    """
    return Replay(step, device) if can_replay(device) else step


class Replay:
    """A step as a CUDA graph.

    A step that cannot be recorded, since it looks at values or brings some from
    elsewhere, is done anew in each call. A call overwrites the results of the one
    before.
    """

    def __init__(self, step: Step, device: torch.device):
        self.step, self.device = step, device
        self.n_calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        self.n_calls += 1
        with torch.cuda.device(self.device):
            if self.n_calls <= WARM_UP:
                return self._aside(inputs)
            if self.n_calls == WARM_UP + 1:
                self._record(inputs)
        if self.graph is None:
            return self.step(*inputs)
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        self.graph.replay()
        return self.results

    def _aside(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Do the step on a stream of its own, as recording will."""
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            results = self.step(*inputs)
        here.wait_stream(aside)
        return results

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        """Record the step, which is not done yet by that."""
        graph = torch.cuda.CUDAGraph()
        self.inputs = [value.clone() for value in inputs]
        try:
            # One thread records at a time; others may go on using the device.
            with (
                _recording,
                torch.cuda.graph(graph, capture_error_mode="thread_local"),
            ):
                self.results = self.step(*self.inputs)
        except RuntimeError:
            return
        self.graph = graph

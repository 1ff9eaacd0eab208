"""Steps on a CUDA device: recorded once, and played again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from ._modules import Modules

WARM_UP = 3
"""Calls before the recorded one, in which kernels are chosen and moments made."""

Step = Callable[..., dict[str, Tensor]]

_recording = threading.Lock()
_of_this_thread = threading.local()


def can_replay(device: torch.device, *parts: object) -> bool:
    """Tell whether the steps of a model are recorded.

    They are on a CUDA device, if no code but this package's takes part: that of others
    may look at values, or do something else than compute, which no record holds.

    Parameters
    ----------
    device : torch.device
        Where the tensors are.
    *parts : object
        Network, likelihood and objective.
    """
    inner = [part.network for part in parts if hasattr(part, "network")]
    return device.type == "cuda" and all(_is_own(part) for part in [*parts, *inner])


def _is_own(part: object) -> bool:
    is_here = type(part).__module__.startswith(f"{__package__}.")
    return is_here and not isinstance(part, Modules)


def at_once(step: Step, *inputs: Tensor) -> dict[str, Tensor]:
    """Do a step as it is written."""
    return step(*inputs)


class Replay:
    """Does one step after the other by its CUDA graph.

    A step of a small model asks for some hundred kernels, and asking takes longer than
    they do. Here it is asked for once. Should it not let itself be recorded, it is done
    as it is written.

    It is to be called with one and the same step: a function of tensors that have the
    same shapes in every call, which does nothing else than compute and, maybe, change
    other tensors in place. Results may be overwritten by the next call.
    """

    def __init__(self, device: torch.device):
        index = torch.cuda.current_device() if device.index is None else device.index
        self.device = torch.device(device.type, index)
        self.n_calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, step: Step, *inputs: Tensor) -> dict[str, Tensor]:
        self.n_calls += 1
        if self.n_calls <= WARM_UP + 1:
            # One thread at a time: a warm-up must not meet the record of another.
            with _recording, torch.cuda.device(self.device):
                if self.n_calls <= WARM_UP:
                    return self._aside(step, inputs)
                self._record(step, inputs)
        if self.graph is None:
            return step(*inputs)
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        with torch.cuda.device(self.device):
            self.graph.replay()
        return self.results

    def _aside(self, step: Step, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Do the step on the stream of the recording."""
        here, aside = torch.cuda.current_stream(), _stream(self.device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            results = step(*inputs)
        here.wait_stream(aside)
        return results

    def _record(self, step: Step, inputs: tuple[Tensor, ...]) -> None:
        """Record the step, which is not done yet by that."""
        graph, stream = torch.cuda.CUDAGraph(), _stream(self.device)
        self.inputs = [value.clone() for value in inputs]
        try:
            with (
                torch.cuda.stream(stream),  # left even where the recording fails
                torch.cuda.graph(
                    graph, stream=stream, capture_error_mode="thread_local"
                ),
            ):
                self.results = step(*self.inputs)
        except RuntimeError:
            return
        self.graph = graph


def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of this thread for recording on a device.

    Not torch's own: that is one for all devices and threads. And not a new one each
    time: products of matrices keep working space for each stream that they have seen.
    """
    streams = vars(_of_this_thread).setdefault("streams", {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)
    return streams[device]

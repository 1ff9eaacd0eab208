"""CUDA graphs of training steps: captured once, and replayed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from .._locks import ProcessLock
from ._modules import Modules
from ._networks import Network
from ._wrappers import NetworkWrapper

WARM_UP = 3
"""Calls before the capture, in which kernels are chosen and Adam's state is made."""

Step = Callable[..., dict[str, Tensor]]

_capturing = ProcessLock()
_of_this_thread = threading.local()


def can_replay(device: torch.device, *parts: object) -> bool:
    """Return whether the steps of a model are repeated without their code.

    They are if only code of this package takes part: that of a user may read values, or
    have side effects, which are not repeated. On the CPU the operations are recorded,
    on a CUDA device a graph is captured, which does not contain the decompositions of
    matrices that missing values need.

    Parameters
    ----------
    device : torch.device
        Where the tensors are.
    *parts : object
        Network, likelihood and objective.
    """
    inner = [part.network for part in parts if isinstance(part, NetworkWrapper)]
    everything = [*parts, *inner]
    if device.type == "cuda" and any(_takes_missing(part) for part in everything):
        return False
    return device.type in ("cpu", "cuda") and all(map(_is_own, everything))


def _takes_missing(part: object) -> bool:
    return isinstance(part, Network) and part.takes_missing


def _is_own(part: object) -> bool:
    is_here = type(part).__module__.startswith(f"{__package__}.")
    return is_here and not isinstance(part, Modules)


def run_eagerly(step: Step, *inputs: Tensor) -> dict[str, Tensor]:
    """Run a step without a graph."""
    return step(*inputs)


class Replay:
    """Run a training step by replaying its CUDA graph.

    A step of a small model launches some hundred kernels, and launching them takes
    longer than running them. A graph launches them all at once. A step that cannot be
    captured is run without a graph.

    Every call must pass the same step: a function of tensors, of the same shapes in
    every call, that only computes and changes other tensors in place. Results may be
    overwritten by the next call.
    """

    def __init__(self, device: torch.device):
        index = torch.cuda.current_device() if device.index is None else device.index
        self.device = torch.device(device.type, index)
        self.n_calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, step: Step, *inputs: Tensor) -> dict[str, Tensor]:
        self.n_calls += 1
        if self.n_calls <= WARM_UP + 1:
            # One thread at a time: a warm-up must not run during another's capture.
            with _capturing, torch.cuda.device(self.device):
                if self.n_calls <= WARM_UP:
                    return self._warm_up(step, inputs)
                self._capture(step, inputs)
        if self.graph is None:
            return step(*inputs)
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        with torch.cuda.device(self.device):
            self.graph.replay()
        return self.results

    def _warm_up(self, step: Step, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Run the step on the stream that the capture uses."""
        current, other = torch.cuda.current_stream(), _stream(self.device)
        other.wait_stream(current)
        with torch.cuda.stream(other):
            results = step(*inputs)
        current.wait_stream(other)
        return results

    def _capture(self, step: Step, inputs: tuple[Tensor, ...]) -> None:
        """Capture the step, which does not run it yet."""
        graph, stream = torch.cuda.CUDAGraph(), _stream(self.device)
        self.inputs = [value.clone() for value in inputs]
        try:
            with (
                torch.cuda.stream(stream),  # restored even if the capture fails
                torch.cuda.graph(
                    graph, stream=stream, capture_error_mode="thread_local"
                ),
            ):
                self.results = step(*self.inputs)
        except RuntimeError:
            return
        self.graph = graph


def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of this thread for captures on a device.

    torch's own capture stream is shared by all devices and threads. A new stream each
    time would waste memory, since matrix products keep working space for each stream.
    """
    streams = vars(_of_this_thread).setdefault("streams", {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)
    return streams[device]

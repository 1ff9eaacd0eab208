"""The optimiser of a stack: one for each kind of weight and learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._adam import Adam
from ._soap import Soap


class Optimiser:
    """Several optimisers that make their steps together.

    Parameters
    ----------
    parts : sequence of (Adam or Soap, float)
        Each with weights of its own and the learning rate of its first step, which the
        schedule multiplies.
    """

    def __init__(self, parts: Sequence[tuple[Adam | Soap, float]]):
        self.parts = [part for part, _ in parts]
        self.first_rates = [rate for _, rate in parts]
        self.rates: list[Any] = list(self.first_rates)

    def keep_rates_in_memory(self, device: torch.device) -> None:
        """Hold learning rates in tensors, from which a repeated step reads them.

        On the CPU they have the precision of Python's numbers. On other devices torch's
        kernels read single precision.
        """
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        self.rates = [
            torch.tensor(rate, dtype=dtype, device=device) for rate in self.first_rates
        ]

    def set_learning_rates(self, decay: float) -> None:
        """Multiply the first learning rates by the decay of the schedule."""
        for number, first in enumerate(self.first_rates):
            rate = self.rates[number]
            if isinstance(rate, Tensor):
                rate.fill_(first * decay)
            else:
                self.rates[number] = first * decay

    def step(self) -> None:
        """Update all weights once, with their present gradients."""
        for part, rate in zip(self.parts, self.rates, strict=True):
            part.step(rate)

    def refresh(self) -> None:
        """Do what follows a step and cannot be part of a captured one."""
        for part in self.parts:
            part.refresh()

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the next steps depend on, by name."""
        return {
            f"{number}/{name}": tensor
            for number, part in enumerate(self.parts)
            for name, tensor in part.tensors.items()
        }

    def count(self, n_steps: int) -> None:
        """Set the number of steps that were made."""
        for part in self.parts:
            part.count(n_steps)

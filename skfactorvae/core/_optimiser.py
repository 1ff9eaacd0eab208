"""The optimiser of a stack: one for each kind of weight and learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._adam import Adam
from ._soap import Soap


class Optimiser:
    """Several optimisers that make their steps together.

    Parameters
    ----------
    parts : sequence of Adam or Soap
        Each with weights of its own.
    """

    def __init__(self, parts: Sequence[Adam | Soap]):
        self.parts = list(parts)

    def keep_rates_in_memory(self, device: torch.device) -> None:
        """Hold learning rates in tensors, from which a captured step reads them."""
        for part in self.parts:
            part.lr = torch.zeros((), dtype=torch.float32, device=device)

    def set_learning_rates(self, decay: float) -> None:
        """Multiply the first learning rates by the decay of the schedule."""
        for part in self.parts:
            rate = part.first_lr * decay
            if isinstance(part.lr, Tensor):
                part.lr.fill_(rate)
            else:
                part.lr = rate

    def step(self) -> None:
        """Update all weights once, with their present gradients."""
        for part in self.parts:
            part.step()

    def refresh(self) -> None:
        """Do what follows a step and cannot be part of a captured one."""
        for part in self.parts:
            part.refresh()

"""Adam on stacked weights, by torch's fused kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._compat import fused_adam

EPSILON = 1e-8
"""Added to the root of the second moment: the default of Kingma & Ba (2015)."""


class Adam:
    """Adam (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization").

    The results are those of ``torch.optim.Adam(fused=True)``, whose first step imports
    torch's compiler: that takes longer than a small fit, and leaves an environment
    variable and warning filters behind.

    Parameters
    ----------
    leaves : sequence of Tensor
        Weights that have a gradient at every step.
    betas : tuple of two floats
        Decay rates of the first and of the second moment of the gradients.
    """

    def __init__(self, leaves: Sequence[Tensor], betas: tuple[float, float]):
        self.leaves = list(leaves)
        self.moments = Moments(self.leaves, betas)

    @torch.no_grad()
    def step(self, learning_rate: float | Tensor) -> None:
        """Update all weights once, with their present gradients."""
        gradients = [leaf.grad for leaf in self.leaves]
        self.moments.update(self.leaves, gradients, learning_rate)

    def refresh(self) -> None:
        """Do nothing: Adam has no basis."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the next steps depend on, by name."""
        return self.moments.tensors

    def count(self, n_steps: int) -> None:
        """Do nothing: the number of steps is one of the tensors."""


class Moments:
    """Moving averages of gradients, and of their squares.

    Parameters
    ----------
    like : sequence of Tensor
        Tensors of the gradients' shapes.
    betas : tuple of two floats
        Decay rates of the averages.
    """

    def __init__(self, like: Sequence[Tensor], betas: tuple[float, float]):
        self.first = [torch.zeros_like(tensor) for tensor in like]
        self.second = [torch.zeros_like(tensor) for tensor in like]
        self.betas = betas
        # One counter for all: the kernel reads it, and does not count itself.
        self.steps = torch.zeros((), dtype=torch.float32, device=like[0].device)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the next updates depend on, by name."""
        return {"steps": self.steps, **numbered(first=self.first, second=self.second)}

    def update(
        self,
        leaves: list[Tensor],
        gradients: list[Any],
        learning_rate: float | Tensor,
    ) -> None:
        """Include the present gradients, and make a step of Adam in place."""
        self.steps += 1
        fused_adam(
            leaves,
            gradients,
            self.first,
            self.second,
            [self.steps] * len(leaves),
            lr=learning_rate,
            betas=self.betas,
            epsilon=EPSILON,
        )


def numbered(**lists: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the tensors of lists, each by the name of its list and its number."""
    return {f"{k}/{i}": t for k, v in lists.items() for i, t in enumerate(v)}

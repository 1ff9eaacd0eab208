"""Adam on stacked weights, by torch's fused kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._compat import fused_adam

EPSILON = 1e-8
"""Added to the root of the second moment: the default of Kingma & Ba (2015)."""


@dataclass
class AdamGroup:
    """Weights with one learning rate and one pair of betas.

    Attributes
    ----------
    leaves : list of Tensor
        Weights that have a gradient at every step.
    betas : tuple of two floats
        Decay rates of the first and of the second moment of the gradients.
    first_lr : float
        Learning rate of the first step, which a schedule multiplies.
    lr : float or Tensor
        Learning rate of the next step.
    """

    leaves: list[Tensor]
    betas: tuple[float, float]
    first_lr: float
    lr: Any = 0.0


class Adam:
    """Adam (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization").

    The results are those of ``torch.optim.Adam(fused=True)``, whose first step imports
    torch's compiler: that takes longer than a small fit, and leaves an environment
    variable and warning filters behind.

    Parameters
    ----------
    groups : sequence of AdamGroup
        Weights that are updated.
    """

    def __init__(self, groups: Sequence[AdamGroup]):
        self.groups = list(groups)
        self.moments = [_Moments(group.leaves) for group in self.groups]

    def step(self) -> None:
        """Update all weights once, with their present gradients."""
        with torch.no_grad():
            for group, moments in zip(self.groups, self.moments, strict=True):
                moments.update(group)


class _Moments:
    """Moving averages of the gradients of one group, and of their squares."""

    def __init__(self, leaves: Sequence[Tensor]):
        self.first = [torch.zeros_like(leaf) for leaf in leaves]
        self.second = [torch.zeros_like(leaf) for leaf in leaves]
        self.steps = [
            torch.zeros((), dtype=torch.float32, device=leaf.device) for leaf in leaves
        ]

    def update(self, group: AdamGroup) -> None:
        """Include the present gradients, and make the step of the group."""
        fused_adam(
            group.leaves,
            [leaf.grad for leaf in group.leaves],
            self.first,
            self.second,
            self.steps,
            lr=group.lr,
            betas=group.betas,
            epsilon=EPSILON,
        )

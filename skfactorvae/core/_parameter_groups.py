"""Weights of a stack that one optimiser state updates together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor

from ._dense import Weights


class ParameterGroup:
    """Weights of K models that have one loss: the models', or the adversaries'.

    Parameters
    ----------
    models : sequence of K Weights
        Weights of each model, of the same names and shapes.
    fixed : collection of str
        Names of weights that training does not change.
    like : Tensor
        A tensor of the type and on the device of the training.
    """

    def __init__(self, models: Sequence[Weights], fixed: Collection[str], like: Tensor):
        stacked = {k: torch.stack([m[k] for m in models]).to(like) for k in models[0]}
        self.leaves = {
            k: v.requires_grad_() for k, v in stacked.items() if k not in fixed
        }
        self.fixed = {k: v for k, v in stacked.items() if k in fixed}
        for leaf in self.leaves.values():
            leaf.grad = torch.zeros_like(leaf)

    @property
    def weights(self) -> Weights:
        """Named weights, each with the leading axis K."""
        return {**self.leaves, **self.fixed}

    @property
    def gradients(self) -> Weights:
        """Gradients that the optimiser reads, weight by weight."""
        # Never None: each is allocated in __init__.
        return {k: leaf.grad for k, leaf in self.leaves.items()}  # type: ignore[misc]

    def differentiate(self, loss: Tensor) -> None:
        """Set the gradients to those of the loss (K,) by these weights alone.

        The fused optimiser requires gradients with the memory layout of the weights.
        """
        leaves = list(self.leaves.values())
        gradients = torch.autograd.grad(loss.sum(), leaves)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient.contiguous()

    def shrink(self, names: Iterable[str], factor: Tensor) -> None:
        """Multiply the weights of these names by one factor for each model, (K,)."""
        with torch.no_grad():
            for name in self.leaves.keys() & names:
                leaf = self.leaves[name]
                leaf *= factor.view(-1, *(1 for _ in leaf.shape[1:]))

    def copy(self, k: int) -> list[Tensor]:
        """Copy the weights of model k."""
        return [leaf[k].detach().clone() for leaf in self.leaves.values()]

    def restore(self, k: int, kept: Sequence[Tensor]) -> None:
        """Replace the weights of model k by copied ones."""
        with torch.no_grad():
            for leaf, value in zip(self.leaves.values(), kept, strict=True):
                leaf[k] = value

    def is_finite(self) -> Tensor:
        """Return for each model whether all its weights are finite, (K,)."""
        sums = [leaf.detach().flatten(1).sum(1) for leaf in self.leaves.values()]
        return torch.stack(sums).isfinite().all(0)

"""SOAP on stacked matrices: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._adam import Moments, numbered

MAX_SIDE = 512
"""Rows or columns of a matrix up to which they get a basis of their own."""

BETAS = (0.9, 0.999)
"""Decay rates of the first and of the second moment of the rotated gradients."""

STATISTICS_BETA = 0.95
"""Decay rate of the averages of G G' and G' G."""

STATISTICS_EVERY = 5
"""Steps after which a gradient is included in the averages."""

REFRESH_EVERY = 10
"""Steps after which the bases follow the averages."""

RIDGE = 1e-7
"""Share of its trace that is added to the diagonal of an average."""


class Soap:
    r"""SOAP (Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam").

    For the gradient G of a matrix with rows i and columns o, moving averages of

    .. math:: L = G G^\top, \quad R = G^\top G

    are kept. Gradients are rotated to the eigenvectors of both, where Adam determines
    the step, which is rotated back (Algorithm 3). The eigenvectors follow the averages
    by one step of orthogonal iteration at each refresh. A side with more than 512 rows
    or columns is not rotated.

    Parameters
    ----------
    leaves : sequence of Tensor of shape (K, i, ...)
        Weights that have a gradient at every step; trailing axes count as one.
    """

    def __init__(self, leaves: Sequence[Tensor]):
        self.n_steps = 0
        with torch.no_grad():
            self.matrices = [_Matrix(leaf) for leaf in leaves]
            self.steps = [torch.zeros_like(m.weight) for m in self.matrices]
            self.moments = Moments(self.steps, BETAS)

    @torch.no_grad()
    def step(self, learning_rate: float | Tensor) -> None:
        """Update all weights once, with their present gradients."""
        rotated = [matrix.rotate(matrix.gradient) for matrix in self.matrices]
        torch._foreach_zero_(self.steps)
        self.moments.update(self.steps, rotated, learning_rate)
        for matrix, step in zip(self.matrices, self.steps, strict=True):
            matrix.move(step)

    @torch.no_grad()
    def refresh(self) -> None:
        """Include the gradients in the averages, and let the bases follow them."""
        self.n_steps += 1
        if self.n_steps % STATISTICS_EVERY == 0 or self.n_steps == 1:
            for matrix in self.matrices:
                matrix.observe()
        if self.n_steps % REFRESH_EVERY == 0 or self.n_steps == 1:
            for matrix, first in zip(self.matrices, self.moments.first, strict=True):
                first.copy_(matrix.refresh(first))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the next steps depend on, by name."""
        sides = [side for matrix in self.matrices for side in matrix.sides]
        bases, averages = [s.basis for s in sides], [s.average for s in sides]
        return {**self.moments.tensors, **numbered(basis=bases, average=averages)}

    def count(self, n_steps: int) -> None:
        """Set the number of steps that were made."""
        self.n_steps = n_steps


class _Matrix:
    """The bases of both sides of K matrices, (K, i, o)."""

    def __init__(self, leaf: Tensor):
        self.leaf, self.weight = leaf, leaf.flatten(2)
        n_models, *sizes = self.weight.shape
        rows, columns = (
            _Side(n_models, size, self.weight) if 1 < size <= MAX_SIDE else None
            for size in sizes
        )
        self.rows, self.columns = rows, columns

    @property
    def sides(self) -> list[_Side]:
        """The sides that have a basis."""
        return [side for side in (self.rows, self.columns) if side is not None]

    @property
    def gradient(self) -> Tensor:
        """The present gradient, (K, i, o)."""
        gradient = self.leaf.grad
        assert gradient is not None
        return gradient.flatten(2)

    def rotate(self, gradient: Tensor) -> Tensor:
        """Return a gradient (K, i, o) in the bases."""
        if self.rows is not None:
            gradient = torch.bmm(self.rows.basis.mT, gradient)
        if self.columns is not None:
            gradient = torch.bmm(gradient, self.columns.basis)
        return gradient

    def move(self, step: Tensor) -> None:
        """Add a step (K, i, o) that is given in the bases to the weights."""
        if self.rows is not None:
            step = torch.bmm(self.rows.basis, step)
        if self.columns is None:
            self.weight += step
        else:
            self.weight.baddbmm_(step, self.columns.basis.mT)

    def observe(self) -> None:
        """Include the present gradient in the averages."""
        if self.rows is not None:
            self.rows.observe(self.gradient)
        if self.columns is not None:
            self.columns.observe(self.gradient.mT)

    def refresh(self, average: Tensor) -> Tensor:
        """Update the bases; return what is given in the old ones in the new ones."""
        if self.rows is not None:
            average = torch.bmm(self.rows.refresh().mT, average)
        if self.columns is not None:
            average = torch.bmm(average, self.columns.refresh())
        return average


class _Side:
    """The basis of one side of K matrices, and the average that it follows."""

    def __init__(self, n_models: int, size: int, like: Tensor):
        self.average = like.new_zeros(n_models, size, size)
        self.basis = torch.eye(size, device="cpu").to(like).repeat(n_models, 1, 1)

    def observe(self, gradient: Tensor) -> None:
        """Include a gradient (K, size, other) in the average."""
        self.average.baddbmm_(
            gradient, gradient.mT, beta=STATISTICS_BETA, alpha=1 - STATISTICS_BETA
        )

    def refresh(self) -> Tensor:
        """Update the basis; return the rotation (K, size, size) from old to new."""
        trace = self.average.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None]
        image = torch.baddbmm(RIDGE * trace * self.basis, self.average, self.basis)
        new, _ = torch.linalg.qr(image)
        change = torch.bmm(self.basis.mT, new)
        self.basis.copy_(new)
        return change

"""Blocks of latents: those of each attribute, and the remaining ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._groups import order_within_groups
from ._readout import Readout

MIN_KL = 0.2
"""Nats below which a latent of no attribute is set to the prior.

Its codes are nearly noise, from which an adversarial predictor learns nothing; its
posterior means, however small, would still predict an attribute.
"""


@dataclass(frozen=True)
class Blocks:
    """Consecutive blocks of latents: hidden attributes, other attributes, the rest.

    Parameters
    ----------
    widths : tuple of m int
        Latents of each attribute.
    n_hidden : int
        Attributes, the first ones, whose latents the estimator does not return.
    """

    widths: tuple[int, ...]
    n_hidden: int

    @property
    def starts(self) -> tuple[int, ...]:
        """First latent of each attribute."""
        return tuple(int(i) for i in np.cumsum([0, *self.widths[:-1]]))

    @property
    def n_hidden_components(self) -> int:
        """Number of latents, the first ones, that the estimator does not return."""
        return sum(self.widths[: self.n_hidden])

    def sizes(self, n_components: int) -> tuple[int, ...]:
        """Return the sizes of all blocks; they sum to the number of latents."""
        rest = n_components - sum(self.widths)
        return (*self.widths, rest) if rest else self.widths

    def own(self, like: Tensor) -> Tensor:
        """Return one where a latent belongs to an attribute, (m, 1, d)."""
        latent = torch.arange(like.shape[-1], device=like.device)
        blocks = [
            (start <= latent) & (latent < start + width)
            for start, width in zip(self.starts, self.widths, strict=True)
        ]
        return torch.stack(blocks).to(like).unsqueeze(1)

    def complement(self, like: Tensor) -> Tensor:
        """Return one where a returned latent is not an attribute's own, (m, 1, d)."""
        latent = torch.arange(like.shape[-1], device=like.device)
        is_returned = latent >= self.n_hidden_components
        return (1 - self.own(like)) * is_returned.to(like)


@dataclass(frozen=True)
class BlockReadout(Readout):
    """The readout of latents in blocks, whose signs follow the attributes.

    Parameters
    ----------
    blocks : Blocks
    """

    blocks: Blocks = Blocks((), 0)

    @property
    def n_hidden_components(self) -> int:
        return self.blocks.n_hidden_components

    def latent_order(self, kl: np.ndarray) -> np.ndarray:
        return order_within_groups(kl, self.blocks.sizes(len(kl)))

    def inactive_latents(self, kl: np.ndarray) -> np.ndarray:
        rest = sum(self.blocks.widths)
        return rest + np.flatnonzero(kl[rest:] < MIN_KL)

    def sign_targets(self, labels: np.ndarray | None) -> np.ndarray | None:
        return None if labels is None else np.repeat(labels, self.blocks.widths, axis=1)

"""Latents that belong together: dependence is allowed within a group only."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Groups = tuple[int, ...] | None
"""Sizes of consecutive groups of latents; None makes each latent its own group."""


def permute_groups(z: Tensor, order: Tensor, groups: Groups = None) -> Tensor:
    """Shuffle each group of latents over the batch axis, independently of the others.

    Kim & Mnih (2018), Algorithm 1, for groups of one: the result keeps the distribution
    of every group and breaks the dependence between groups.

    Parameters
    ----------
    z : Tensor of shape (K, B, d)
        Codes.
    order : Tensor of shape (K, B, d)
        A permutation of ``0..B-1`` along axis 1 for each model and latent; a group
        follows that of its first latent.
    groups : tuple of int or None
        Sizes of the groups.
    """
    if groups is not None:
        firsts = [part[..., :1].expand_as(part) for part in order.split(groups, -1)]
        order = torch.cat(firsts, dim=-1)
    return z.gather(1, order)


def sum_groups(values: Tensor, groups: Groups) -> Tensor:
    """Sum over the latents of each group: (K, d, ...) -> (K, groups, ...)."""
    if groups is None:
        return values
    return torch.stack([part.sum(1) for part in values.split(groups, dim=1)], dim=1)


def order_within_groups(kl: np.ndarray, groups: Groups) -> np.ndarray:
    """Order latents by information, most first, each inside its own group."""
    group = np.zeros_like(kl)
    if groups is not None:
        group = np.repeat(np.arange(len(groups)), groups)
    return np.lexsort((-kl, group))

"""Groups of latents; latents of one group may depend on each other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Groups = tuple[int, ...] | None
"""Sizes of consecutive groups of latents; None makes each latent a group."""


def permute_groups(z: Tensor, order: Tensor, groups: Groups = None) -> Tensor:
    """Permute each group of latents along the batch axis, independently.

    With groups of one latent this is Kim & Mnih (2018), Algorithm 1. The result keeps
    the distribution of each group and removes the dependence between groups.

    Parameters
    ----------
    z : Tensor of shape (K, B, d)
        Codes.
    order : Tensor of shape (K, B, d)
        A permutation of ``0..B-1`` along axis 1 for each model and latent; a group
        uses that of its first latent.
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
    """Return the order of latents by descending KL, within each group."""
    group = np.zeros_like(kl)
    if groups is not None:
        group = np.repeat(np.arange(len(groups)), groups)
    return np.lexsort((-kl, group))

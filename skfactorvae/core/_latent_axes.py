"""Where a weight has an axis of latents: padding, removing and reordering along it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ._networks import raw_log_var

LATENT_AXES = {
    "encoder.head.weight": -1,  # (h, 2, d)
    "encoder.head.bias": -1,  # (2, d)
    "encoder.linear.weight": -1,  # (p, d)
    "encoder.frame": -1,  # (d, d)
    "decoder.frame": -2,  # (d, d)
    "decoder.0.weight": -2,  # (d, h)
    "decoder.linear.weight": -2,  # (d, p)
    "discriminator.0.weight": -2,  # (d, h)
    "head.0.weight": -2,  # (m, d, c)
    "opponent.0.weight": -2,  # (m, d, h)
}
"""Weights with an axis of latents. Padding and reordering read nothing else."""

HEAD_BIAS = "encoder.head.bias"  # (2, d)


def widen(name: str, weight: Tensor, n_components: int) -> Tensor:
    """Pad one model's weight with zeros to a larger number of latents."""
    axis = LATENT_AXES.get(name)
    if axis is None:
        return weight
    shape = list(weight.shape)
    shape[axis] = n_components - shape[axis]
    return torch.cat([weight, weight.new_zeros(shape)], dim=axis)


def narrow(name: str, weight: Tensor, n_components: int) -> Tensor:
    """Undo :func:`widen`."""
    axis = LATENT_AXES.get(name)
    return weight if axis is None else weight.narrow(axis, 0, n_components)


def without_latents(weights: Mapping[str, np.ndarray], n: int) -> Mapping:
    """Return one model's weights without its first n latents, which are then zero."""
    return {
        name: np.delete(array, range(n), axis=LATENT_AXES[name])
        if n and name in LATENT_AXES
        else array
        for name, array in weights.items()
    }


def can_set_to_prior(weights: Mapping[str, np.ndarray]) -> bool:
    """Tell whether the head is ours, and not in a module of the user's own."""
    return HEAD_BIAS in weights


def set_to_prior(
    weights: Mapping[str, np.ndarray], latents: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Return one model's weights with some latents' posteriors equal to the prior."""
    quiet = dict(weights)
    names = ("encoder.head.weight", HEAD_BIAS, "encoder.linear.weight")
    for name in quiet.keys() & set(names):
        quiet[name] = quiet[name].copy()
        quiet[name][..., latents] = 0.0
    quiet[HEAD_BIAS][1, latents] = raw_log_var(0.0)
    return quiet


def reorder(name: str, weight: Tensor, order: Tensor, sign: Tensor) -> Tensor:
    """Permute and negate the latents of one model's weight, exactly.

    Latent j of the result is ``sign[j]`` times latent ``order[j]`` of the argument.
    """
    axis = LATENT_AXES.get(name)
    if axis is None:
        return weight
    factor = sign
    if name.startswith("encoder.head"):  # a log-variance has no sign
        factor = torch.stack([sign, torch.ones_like(sign)])
    elif axis == -2:
        factor = sign[:, None]
    return weight.index_select(axis, order) * factor

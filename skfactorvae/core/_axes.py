"""Named axes of weights: padding, removing and reordering latents along them.

Each network, likelihood, objective and adversary declares its weights by name, with one
axis name for each dimension of one model's array. These axis names have a meaning here:

``"d"``
    Latents. Weights with this axis are padded in a stack of models with different
    numbers of latents, and permuted and negated when latents are reordered.
``"2"``
    Posterior mean and log-variance; always followed by ``"d"``. A log-variance is not
    negated.
``"p"``
    Features. A weight of the encoder whose first axis this is multiplies the input.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

Axes = tuple[str, ...]
Parameters = dict[str, Axes]
Shapes = dict[str, tuple[int, ...]]
Layers = list[dict[str, object]]

LATENT, MOMENT, FEATURE = "d", "2", "p"


def widen(axes: Axes, weight: Tensor, n_components: int) -> Tensor:
    """Pad one model's weight with zeros to a larger number of latents."""
    if LATENT not in axes:
        return weight
    axis = axes.index(LATENT)
    shape = list(weight.shape)
    shape[axis] = n_components - shape[axis]
    return torch.cat([weight, weight.new_zeros(shape)], dim=axis)


def narrow(axes: Axes, weight: Tensor, n_components: int) -> Tensor:
    """Remove the padding that :func:`widen` added."""
    if LATENT not in axes:
        return weight
    return weight.narrow(axes.index(LATENT), 0, n_components)


def remove_first(axes: Axes, weight: np.ndarray, n: int) -> np.ndarray:
    """Remove the first n latents from one model's weight; their codes are then zero."""
    if LATENT not in axes or not n:
        return weight
    return np.delete(weight, range(n), axis=axes.index(LATENT))


def reorder(
    axes: Axes, weight: np.ndarray, order: np.ndarray, sign: np.ndarray
) -> np.ndarray:
    """Permute and negate the latents of one model's weight, exactly.

    Latent j of the result is ``sign[j]`` times latent ``order[j]`` of the argument.
    """
    if LATENT not in axes:
        return weight
    axis = axes.index(LATENT)
    factor = sign.astype(weight.dtype)
    if MOMENT in axes:
        factor = np.stack([factor, np.ones_like(factor)])
    else:
        factor = factor.reshape(-1, *(1 for _ in axes[axis + 1 :]))
    return weight.take(order, axis) * factor


def select(parameters: Parameters, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that are declared, in the order in which they were drawn."""
    return {name: weight for name, weight in weights.items() if name in parameters}

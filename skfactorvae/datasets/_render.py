"""What every image maker shares: pixels, soft edges, painting in pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from ._base import ROWS_AT_ONCE, Factor, add_noise, deliver


def deliver_images(
    draw: Callable[[np.ndarray], np.ndarray],
    factors: np.ndarray,
    spec: Sequence[Factor],
    image_shape: tuple[int, int, int],
    *,
    noise: float,
    rng: np.random.RandomState,
    **options: Any,
) -> Any:
    """Paint one flat float32 image per row of `factors`, and deliver the table.

    `draw` maps factors of shape (m, k) to images of shape (m, *image_shape), channel
    first; it is called on few rows at a time, which bounds its temporaries.
    """
    X = np.empty((len(factors), math.prod(image_shape)), dtype=np.float32)
    for rows in gen_batches(len(X), ROWS_AT_ONCE):
        X[rows] = draw(factors[rows]).reshape(-1, X.shape[1])
    return deliver(
        add_noise(X, noise, rng),
        factors,
        spec,
        feature_names=pixel_names(image_shape),
        image_shape=image_shape,
        **options,
    )


def pixel_names(image_shape: tuple[int, int, int]) -> list[str]:
    """Return pixel_row_column, or pixel_channel_row_column with several channels."""
    axes = image_shape if image_shape[0] > 1 else image_shape[1:]
    return ["_".join(("pixel", *map(str, at))) for at in product(*map(range, axes))]


def pixel_centres(image_size: int, extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x of shape (1, size) and y of shape (size, 1) on [0, extent], y down."""
    centres = (np.arange(image_size) + 0.5) * (extent / image_size)
    return centres[None, :], centres[:, None]


def images_of(*columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return each (m,) column as (m, 1, 1), ready to broadcast over pixels."""
    return tuple(column[:, None, None] for column in columns)


def coverage(distance: np.ndarray, antialias: float) -> np.ndarray:
    """Return the share of each pixel inside a shape.

    `distance` is the signed distance to the edge in pixels, positive inside; the edge
    is `antialias` pixels wide, and hard with 0.
    """
    if antialias == 0:
        return distance > 0
    return np.clip(distance / antialias + 0.5, 0, 1)

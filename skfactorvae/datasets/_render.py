"""Common parts of the image makers: pixels, their names and antialiasing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from ._base import Factor, add_noise, deliver, render


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
    """Return one flattened float32 image per row of `factors`, as `deliver` does.

    `draw` maps (m, n_factors) to images of shape (m, *image_shape), channel first.
    """
    X = render(draw, factors, math.prod(image_shape), np.float32)
    return deliver(
        add_noise(X, noise, rng),
        factors,
        spec,
        feature_names=pixel_names(image_shape),
        image_shape=image_shape,
        **options,
    )


def pixel_names(image_shape: tuple[int, int, int]) -> Iterator[str]:
    """Yield pixel_row_column, or pixel_channel_row_column with several channels."""
    axes = image_shape if image_shape[0] > 1 else image_shape[1:]
    return ("_".join(("pixel", *map(str, at))) for at in product(*map(range, axes)))


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

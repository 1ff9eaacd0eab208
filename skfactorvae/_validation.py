"""Parameter rules as tables, and the wording of the errors they cannot express."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np

from ._compat import Interval, StrOptions
from .core import ACTIVATIONS

POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
FRACTION = Interval(Real, 0, 1, closed="both")


def at_least(number):
    """Allow integers from ``number`` up."""
    return Interval(Integral, number, None, closed="left")


COMMON_CONSTRAINTS: dict[str, list] = {
    "n_components": [at_least(1)],
    "beta": [NOT_NEGATIVE],
    "likelihood": [StrOptions({"gaussian", "bernoulli"})],
    "noise_scale": [StrOptions({"auto", "shared", "feature"}), POSITIVE],
    "standardize": [StrOptions({"feature", "global"}), None],
    "network": [StrOptions({"mlp", "conv"}), callable],
    "hidden_layer_sizes": [at_least(1), "array-like"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "init": [StrOptions({"ica", "pca", "random"})],
    "image_shape": ["array-like", None],
    "max_iter": [at_least(1)],
    "batch_size": [at_least(2)],
    "learning_rate": [POSITIVE],
    "warmup": [FRACTION],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [at_least(1)],
    "warm_start": ["boolean"],
    "device": [str],
    "precision": [StrOptions({"float32", "float64"})],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}
"""Rules of the parameters that every estimator of the family has."""

DISCRIMINATOR_CONSTRAINTS: dict[str, list] = {
    "discriminator_hidden_layer_sizes": [at_least(1), "array-like"],
    "discriminator_learning_rate": [POSITIVE],
}
"""Rules of the parameters of those that have a discriminator."""


def check_sizes(name: str, sizes) -> tuple[int, ...]:
    """Return layer sizes, or the size of one layer, as a tuple of positive integers."""
    if isinstance(sizes, Integral):
        sizes = (sizes,)
    if isinstance(sizes, Iterable) and not isinstance(sizes, str):
        sizes = tuple(sizes)
        if all(isinstance(s, Integral) and int(s) > 0 for s in sizes):
            return tuple(int(s) for s in sizes)
    raise ValueError(
        f"{name} must hold positive integers, one for each layer, as (128, 128) does; "
        f"got {sizes!r}."
    )


def check_image_shape(image_shape, n_features: int) -> tuple[int, int, int]:
    """Return (channels, height, width), whose product is the number of features."""
    if image_shape is None:
        raise ValueError(
            "network='conv' needs image_shape=(channels, height, width): the shape "
            f"whose flattened images are the {n_features} columns of X."
        )
    shape = check_sizes("image_shape", image_shape)
    if len(shape) != 3 or min(shape[1:]) < 2:
        raise ValueError(
            "image_shape must be (channels, height, width) with a height and a width "
            f"of at least 2; got {tuple(image_shape)!r}."
        )
    if np.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {np.prod(shape)} values, but X has {n_features} "
            "columns. Pass images flattened channel by channel, row by row."
        )
    return shape


def check_unit_interval(X) -> None:
    """Refuse values a Bernoulli likelihood has no probability for."""
    low, high = X.min(), X.max()
    if low < 0 or high > 1:
        raise ValueError(
            "likelihood='bernoulli' needs values in [0, 1], but X ranges from "
            f"{low:.4g} to {high:.4g}. Rescale X, for instance with MinMaxScaler, or "
            "use likelihood='gaussian'."
        )

"""Layers by which a page encodes a sample that the reader enters.

Axes: ``m`` samples, ``p`` features, ``d`` components.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from ._inversion import Layer, chained
from ._reading import as_table, numbers, take

N_ROWS = 500
"""Samples by which the steps before the model are recognised, about."""

UNKNOWN = ("reshape", "conv", "levels")
"""Kinds of layers that the page does not compute: those of images and categories."""


def encoding_layers(reading, X) -> dict[str, list[Layer]] | None:
    """Return the layers that map a complete sample to the means of its code.

    Parameters
    ----------
    reading : Reading
    X : array-like of shape (n, p)
        Samples of the user.

    Returns
    -------
    layers : dict or None
        ``before`` : layers up to the standardised sample. ``network`` : those of the
        encoder, where "linear" takes the standardised sample. None for networks of
        images, categories and the user's modules, and for steps that are neither affine
        nor functions of each column.
    """
    try:
        layers = reading.model.encoder_layers()
        before = _steps(reading, X)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    if before is None or any(layer["kind"] in UNKNOWN for layer in layers):
        return None
    at = [layer["kind"] for layer in layers].index("standardize")
    scaling = layers[at]
    scale = {
        "kind": "scale",
        "scale": 1.0 / scaling["scale"].astype(np.float64),
        "mean": -scaling["mean"].astype(np.float64) / scaling["scale"],
    }
    if not np.isfinite(scale["mean"]).all():  # a column without any value
        return None
    network = [_forward(layer, len(scaling["mean"])) for layer in layers[at + 1 :]]
    return {
        "before": [*before, *layers[:at], scale],
        "network": [layer for layer in network if layer is not None],
    }


def _steps(reading, X) -> list[Layer] | None:
    """Return the layers of the steps before the model; None if there are none."""
    if not reading.before:
        return []
    table = as_table(X)
    every = slice(None, None, max(1, table.shape[0] // N_ROWS))
    samples = numbers(take(table, every))
    samples = samples[np.isfinite(samples).all(axis=1)]
    if len(samples) < 2:
        return None
    steps = [(name, _without_names(step).transform) for name, step in reading.before]
    found = [layer for _, layer in chained(steps, samples) if layer is not None]
    return found if len(found) == len(steps) else None


def _without_names(step):
    """Return a step that takes arrays without a warning about names of columns."""
    plain = copy(step)
    vars(plain).pop("feature_names_in_", None)
    return plain


def _forward(layer: dict[str, Any], p: int) -> Layer | None:
    """Return a layer of the encoder as the page computes it, for a complete sample."""
    kind = layer["kind"]
    if kind == "fill":  # nothing is missing
        return None
    weight = layer["weight"]
    if kind == "moments":
        mean = {"weight": weight[:, 0], "bias": layer["bias"][0]}
        return {"kind": "dense", "activation": None, **mean}
    if kind == "rotation":
        return {
            "kind": "dense",
            "activation": None,
            "weight": weight,
            "bias": np.zeros(weight.shape[1]),
        }
    if kind == "dense" and len(weight) == 2 * p:  # beside the indicators of "fill"
        return {**layer, "weight": weight[:p]}
    return layer

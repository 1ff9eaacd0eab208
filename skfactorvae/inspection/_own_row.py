"""Layers by which a page encodes a sample that the reader enters.

Axes: ``m`` samples, ``p`` features, ``d`` components.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from sklearn.utils import get_tags

from ._inversion import Layer, chained
from ._reading import as_table, numbers, take

N_ROWS = 500
"""Samples by which the steps before the model are recognised, about."""

UNKNOWN = ("levels",)
"""Kinds of layers that the page does not compute: those of categories."""


def encoding_layers(reading, X) -> dict[str, Any] | None:
    """Return what maps a sample to the mean of its code.

    Parameters
    ----------
    reading : Reading
    X : array-like of shape (n, p)
        Samples of the user.

    Returns
    -------
    layers : dict or None
        ``before`` : layers up to the standardised sample; of columns of several types
        the first is "table". ``fill`` : a list of the layer that replaces missing
        values, empty if the decoder does, or if nothing may be missing. ``network`` :
        layers of the encoder, where "linear" takes the standardised sample.
        ``complete_for`` : what needs complete samples, None if values may be missing.

        None for networks of categories and the user's modules, and for steps that are
        neither affine nor functions of each column.
    """
    try:
        layers = reading.model.encoder_layers()
        is_typed = layers[0]["kind"] == "table"
        before, keep_missing = ([], True) if is_typed else _steps(reading, X)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    if before is None or (is_typed and reading.before):
        return None
    if any(layer["kind"] in UNKNOWN for layer in layers):
        return None
    at = [layer["kind"] for layer in layers].index("standardize")
    scale = _standardisation(layers[at])
    if scale is None:
        return None
    network = [_forward(layer) for layer in _with_sizes(layers[at + 1 :])]
    return {
        "before": [*before, *layers[:at], scale],
        "fill": [layer for layer in network if layer["kind"] == "fill"],
        "network": [layer for layer in network if layer["kind"] != "fill"],
        "complete_for": _complete_for(reading.model, keep_missing),
    }


def _with_sizes(layers) -> list[dict[str, Any]]:
    """Return layers with the sizes that convolutions need, in place of a new shape."""
    found, size = [], []
    for layer in layers:
        if layer["kind"] == "reshape":
            size = [int(n) for n in layer["shape"][1:]]
        elif layer["kind"] == "conv":
            halved = [n // 2 for n in size]
            found.append({**layer, "from": size, "size": halved})
            size = halved
        else:
            found.append(layer)
    return found


def _standardisation(scaling) -> Layer | None:
    """Return standardisation as the page computes it; None for an empty column."""
    scale = {
        "kind": "scale",
        "scale": 1.0 / scaling["scale"].astype(np.float64),
        "mean": -scaling["mean"].astype(np.float64) / scaling["scale"],
    }
    return scale if np.isfinite(scale["mean"]).all() else None


def _complete_for(model, keep_missing) -> str | None:
    """Return what needs complete samples; None if values may be missing."""
    if not get_tags(model).input_tags.allow_nan:
        return type(model).__name__
    return None if keep_missing else "a step before the model"


def _steps(reading, X) -> tuple[list[Layer] | None, bool]:
    """Return the layers of the steps before the model, and whether they keep NaN.

    None in place of layers that the page cannot compute.
    """
    if not reading.before:
        return [], True
    table = as_table(X)
    every = slice(None, None, max(1, table.shape[0] // N_ROWS))
    samples = _completed(numbers(take(table, every)))
    if len(samples) < 2:
        return None, False
    steps = [(name, _without_names(step).transform) for name, step in reading.before]
    found = [layer for _, layer in chained(steps, samples) if layer is not None]
    return found if len(found) == len(steps) else None, _keep_missing(steps, samples)


def _completed(samples):
    """Return samples with a value of another sample where one is missing."""
    samples = samples.copy()
    for column in samples.T:
        seen, gaps = column[np.isfinite(column)], ~np.isfinite(column)
        if len(seen):
            column[gaps] = np.resize(seen, gaps.sum())
    return samples[np.isfinite(samples).all(axis=1)]


def _keep_missing(steps, samples) -> bool:
    """Return whether a missing value stays missing, and no other becomes it."""
    p = samples.shape[1]
    rows = samples[np.arange(p) % len(samples)]
    np.fill_diagonal(rows, np.nan)  # each feature is missing in one sample
    missing = np.isnan(rows)
    try:
        for _, transform in steps:
            rows = numbers(transform(rows))
    except (TypeError, ValueError):
        return False
    return np.array_equal(np.isnan(rows), missing)


def _without_names(step):
    """Return a step that takes arrays without a warning about names of columns."""
    plain = copy(step)
    vars(plain).pop("feature_names_in_", None)
    return plain


def _forward(layer: dict[str, Any]) -> Layer:
    """Return a layer of the encoder as the page computes it."""
    kind = layer["kind"]
    if kind == "moments":
        mean = {"weight": layer["weight"][:, 0], "bias": layer["bias"][0]}
        return {"kind": "dense", "activation": None, **mean}
    if kind == "rotation":
        weight = layer["weight"]
        zero = {"weight": weight, "bias": np.zeros(weight.shape[1])}
        return {"kind": "dense", "activation": None, **zero}
    return layer

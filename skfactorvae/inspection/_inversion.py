"""Layers of a page that invert the steps of a pipeline, for samples that it can show.

Axes: ``m`` samples, ``p`` features. A layer is affine for each column ("scale"), affine
for all columns together ("dense"), or a function of each column ("columns"), tabulated
at equally spaced places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

TOLERANCE = 1e-6
"""Largest error of an affine layer, in standard deviations."""

COLUMN_TOLERANCE = 2e-5
"""Largest error of a tabulated layer, in ranges of the middle nine tenths of a
column."""

N_PLACES = (129, 513, 2049, 8193, 32769)
"""Numbers of places at which a function is tabulated, the first that suffices."""

REACH = 3.0
"""Distance from the median, in the same unit, up to which tables are that exact: an
inverse power can have a pole at the end of its domain."""

MARGIN = 0.25
"""Share of the range of a column by which its table is longer, at either end."""

Undo = Callable[[np.ndarray], np.ndarray]
Layer = dict[str, Any]


def inversion_layers(reading, samples: np.ndarray) -> list[Layer]:
    """Return the layers that map the model's samples to the user's.

    Parameters
    ----------
    reading : Reading
    samples : ndarray of shape (m, p)
        Samples of the model, as the page can show them.

    Raises
    ------
    ValueError
        If a step is neither affine nor a function of each column.
    """
    if not reading.before:
        return []
    samples = np.asarray(samples, dtype=np.float64)
    whole = _affine(reading.undo, samples)
    if whole is not None:
        return [whole]
    layers = []
    steps = [((name, step), undo) for name, step, undo in reading.steps_back()]
    for (name, step), layer in chained(steps, samples):
        if layer is None:
            raise ValueError(
                f"The inverse of the step {name!r} ({type(step).__name__}) is neither "
                "affine, as that of scalers and PCA, nor a function of each column, as "
                "that of logarithms and powers: a page cannot compute it. Call explore "
                "with the transformer alone, on samples transformed by these steps."
            )
        layers.append(layer)
    return layers


def chained(
    steps: Iterable[tuple[Any, Undo]], samples: np.ndarray
) -> Iterator[tuple[Any, Layer | None]]:
    """Yield the layer of each of several maps that follow each other on samples.

    Parameters
    ----------
    steps : iterable of (object, callable)
        What each map is called, and the map.
    samples : ndarray of shape (m, p)

    Yields
    ------
    step : object
    layer : dict or None
        None, after which nothing follows, for a map that is neither affine nor a
        function of each column.
    """
    for step, apply in steps:
        layer = _affine(apply, samples) or _of_columns(apply, samples)
        yield step, layer
        if layer is None:
            return
        is_tabulated = layer["kind"] == "columns"
        samples = apply_columns(layer, samples) if is_tabulated else apply(samples)


def _affine(undo: Undo, samples: np.ndarray) -> Layer | None:
    """Return an affine layer that equals a map on samples; None if there is none."""
    wanted = np.asarray(undo(samples), dtype=np.float64)
    if not np.isfinite(wanted).all():
        return None
    spread = wanted.std(axis=0)
    tolerance = TOLERANCE * np.where(spread > 0, spread, 1.0)
    origin, middle = samples.mean(axis=0), wanted.mean(axis=0)

    def fits(mapped):
        return (np.abs(mapped + middle - wanted) <= tolerance).all()

    offset = undo(origin[None])[0]
    if len(origin) == len(middle):
        scale = undo(origin[None] + 1)[0] - offset
        if fits((samples - origin) * scale):
            mean = middle - origin * scale
            return {"kind": "scale", "scale": scale, "mean": mean}
    weight = np.array([undo(origin[None] + unit)[0] for unit in np.eye(len(origin))])
    weight -= offset
    if not fits((samples - origin) @ weight):
        return None
    bias = middle - origin @ weight
    return {"kind": "dense", "activation": None, "weight": weight, "bias": bias}


def _of_columns(undo: Undo, samples: np.ndarray) -> Layer | None:
    """Return a layer that tabulates a function of each column; None if it is none."""
    wanted = np.asarray(undo(samples), dtype=np.float64)
    if wanted.shape != samples.shape or not _is_of_columns(undo, samples, wanted):
        return None
    low, high = samples.min(axis=0), samples.max(axis=0)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    low, high = low - margin, high + margin
    if not np.isfinite(wanted).any(axis=0).all():
        return None
    bottom, middle, top = np.nanquantile(wanted, [0.05, 0.5, 0.95], axis=0)
    with np.errstate(invalid="ignore"):  # beyond the domain of the function
        is_near = np.abs(wanted - middle) <= REACH * (top - bottom)
    tolerance = COLUMN_TOLERANCE * np.maximum(top - bottom, 1e-300)
    for n_places in N_PLACES:
        values = _extended(undo(np.linspace(low, high, n_places)))
        if values is None:
            return None
        layer = {
            "kind": "columns",
            "low": low,
            "width": (high - low) / (n_places - 1),
            "values": values.T,  # (p, n_places)
        }
        error = np.abs(apply_columns(layer, samples) - wanted)
        if (error <= tolerance)[is_near].all():
            return layer
    return None


def _is_of_columns(undo: Undo, samples: np.ndarray, wanted: np.ndarray) -> bool:
    """Return whether each column depends on the same column of the input alone."""
    m, p = samples.shape
    order = (np.arange(m)[:, None] + np.arange(p)) % m  # each column, shifted further
    shifted = undo(np.take_along_axis(samples, order, axis=0))
    expected = np.take_along_axis(wanted, order, axis=0)
    return bool(np.allclose(shifted, expected, rtol=1e-9, equal_nan=True))


def _extended(values: np.ndarray) -> np.ndarray | None:
    """Replace values beyond the domain of a function by the last ones inside."""
    is_finite = np.isfinite(values)
    if not is_finite.any(axis=0).all():
        return None
    places = np.arange(len(values))
    columns = [
        np.interp(places, places[known], column[known])
        for column, known in zip(values.T, is_finite.T, strict=True)
    ]
    return np.column_stack(columns)


def apply_columns(layer: Layer, rows: np.ndarray) -> np.ndarray:
    """Compute a layer of tabulated functions, as the page does: (m, p)."""
    values = layer["values"]
    place = (rows - layer["low"]) / layer["width"]
    before = np.clip(np.floor(place), 0, values.shape[1] - 2).astype(int)
    columns = np.arange(len(values))
    first, second = values[columns, before], values[columns, before + 1]
    return first + (place - before) * (second - first)

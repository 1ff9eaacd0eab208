"""Samples of tables of columns of several types, with components moved.

Axes: ``n`` samples, ``p`` columns of the table.
"""

from __future__ import annotations

import numpy as np

from .._inputs import CATEGORY, INTEGER, TEXT, columns, is_series, read_column
from ..columns import COUNTS, column_numbers, frame_type_of

OF_LEVELS = ("bernoulli", "categorical", "ordinal")
"""Likelihoods of columns that hold levels."""


def edited_table(reading, rows, before, after, *, keep_residual):
    """Return samples with the change between two decoded tables, in their form.

    A number changes by the difference of the decoded numbers, or, if it is lognormal,
    by their ratio; a count stays at least zero. A level is replaced by the decoded one
    where the decoded level changes.

    Parameters
    ----------
    reading : Reading
        Of a model of columns of several types.
    rows : frame or array of shape (n, p)
        Samples of the user.
    before, after : frame or array of shape (n, p)
        Decoded samples without and with the move, in the units of the model.
    keep_residual : bool
        Whether the residual of each sample is kept, or the decoded one returned.

    Returns
    -------
    frame or array of shape (n, p)
    """
    kinds = list(reading.model.column_likelihoods_.values())
    numbers = frozenset(j for j, kind in enumerate(kinds) if kind not in OF_LEVELS)
    if not keep_residual:
        found = _columns(_undone(reading, after))
        moved = [(column, np.full(len(column), True)) for column in found]
        return _with_columns(rows, moved, numbers)
    old = reading.found.transform_before(rows)
    moved = _moved_columns(kinds, old, before, after)
    if not reading.before:
        return _with_columns(rows, moved, numbers)
    edited = _array(old, moved)
    scales = [kind if kind in OF_LEVELS else "gaussian" for kind in kinds]
    ends = (_undone(reading, table) for table in (old, edited))
    return _with_columns(rows, _moved_columns(scales, rows, *ends), numbers)


def _moved_columns(kinds, old, before, after):
    """Return the new values of each column, (n,), and which of them changed, (n,)."""
    each = zip(kinds, *map(_raw_columns, (old, before, after)), strict=True)
    return [
        (_moved_levels if k in OF_LEVELS else _moved_numbers)(k, *c) for k, *c in each
    ]


def _moved_numbers(kind, old, before, after):
    x, low, high = (
        column_numbers(read_column(c, "a column of X")) for c in (old, before, after)
    )
    if x is None or low is None or high is None:  # the fit had no value
        return old, np.zeros(len(old), dtype=bool)
    moved = x * (high / low) if kind == "lognormal" else x + (high - low)
    if kind in COUNTS:
        moved = np.maximum(moved, 0.0)
    return moved, (moved != x) & ~np.isnan(moved)


def _moved_levels(_, old, before, after):
    read = read_column(old, "a column of X")
    new = _values(after)
    is_whole = isinstance(new, np.ndarray) and new.dtype.kind in "iu"
    if is_whole and read.content != INTEGER:
        new = new.astype(np.float64)  # NaN is among the others
    return new, (np.asarray(before) != np.asarray(after)) & ~np.isnan(read.values)


def _undone(reading, rows):
    """Return samples of the model before the steps of the pipeline."""
    for _, _, undo in reading.steps_back():
        rows = undo(rows)
    return rows


def _raw_columns(rows):
    return columns(rows, "X")[0]


def _columns(rows):
    return list(map(_values, _raw_columns(rows)))


def _values(column):
    """Return a column as an array; one of levels in a data frame as it is."""
    is_of_levels = read_column(column, "a column of X").content in (CATEGORY, TEXT)
    return column if is_of_levels and is_series(column) else np.asarray(column)


def _with_columns(rows, moved, numbers):
    """Return samples with other values where columns changed.

    Columns at the positions ``numbers`` are of numbers, also if they are categorical.
    """
    found = _raw_columns(rows)
    read = [read_column(column, "a column of X") for column in found]
    frame_type = frame_type_of(rows, found, read)
    if frame_type is None:
        return _array(rows, moved)
    values, changed = zip(*moved, strict=True)
    changes = np.column_stack(changed)  # (n, p)
    return frame_type.filled(
        rows, values, changes, restores_numbers=False, numbers=numbers
    )


def _array(rows, moved):
    """Return samples with other values where columns changed, as an array."""
    out = np.array(rows)
    is_number = out.dtype.kind in "iuf"
    out = out.astype(np.float64 if is_number else object)
    for j, (values, changed) in enumerate(moved):
        out[changed, j] = np.asarray(values)[changed]
    return out

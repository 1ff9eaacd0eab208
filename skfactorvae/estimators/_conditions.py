"""Conditions of samples, as an estimator is given them.

Axes: ``n`` samples, ``K`` conditions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._joint_diagonalisation import (
    ConditionTable,
    known_rows,
    read_columns,
    refuse_times,
)
from ..preparation import distinct_samples

MIN_SAMPLES = 10
"""Distinct samples of a condition, at least."""

SHOWN = 5
"""Conditions that a message lists."""


def fit_conditions(
    X: Any, aux: Any, weight: np.ndarray, table: ConditionTable | None = None
) -> tuple[ConditionTable, np.ndarray]:
    """Find the conditions of training samples.

    They depend on the distinct samples of positive weight alone.

    Parameters
    ----------
    X : ndarray or SourceTable of shape (n, p)
    aux : array-like or frame of shape (n,) or (n, m)
    weight : ndarray of shape (n,)
    table : ConditionTable or None
        That of a fit which is continued; None finds the conditions.

    Returns
    -------
    table : ConditionTable
    index : ndarray of shape (n,)
        Number of each sample's condition as float, NaN where unknown.

    Raises
    ------
    ValueError
        If aux cannot be used, has one condition or one of too few samples.
    """
    present = np.flatnonzero(weight > 0)
    found, names = read_columns(aux, len(weight), present)
    refuse_times(found, names)
    is_known = known_rows(found)
    if table is None:
        values = [column.values for column in found]
        distinct = distinct_samples(X, values, weight, present)
        counted = distinct[is_known[distinct]]
        table = ConditionTable.of(found, names, counted)
        _check_sizes(table.labels, np.bincount(table.index_of(found)[counted]))
    index = np.full(len(weight), np.nan)
    index[present[is_known]] = table.index_of(found)[is_known]
    return table, index


def _check_sizes(labels, sizes) -> None:
    """Raise if there is one condition, or one has too few samples."""
    if len(labels) < 2:
        raise ValueError(
            f"aux has one condition, {labels[0]}; expected at least two that differ in "
            "the distribution of the components. Pass another column, or leave aux out."
        )
    small = [
        f"{label} ({size})"
        for label, size in zip(labels, sizes, strict=True)
        if size < MIN_SAMPLES
    ]
    if small:
        more = ", ..." if len(small) > SHOWN else ""
        raise ValueError(
            f"aux has {len(small)} conditions of fewer than {MIN_SAMPLES} distinct "
            f"samples: {', '.join(small[:SHOWN])}{more}. Join conditions, or write NaN "
            "or None for the condition of these samples, which is then unknown."
        )


def conditions_of(table: ConditionTable, aux: Any, n_samples: int) -> np.ndarray:
    """Return the number of each sample's condition, (n,); -1 where unknown.

    Columns of a frame are found by name.

    Raises
    ------
    ValueError
        If aux is of another shape, or has conditions that fit did not see.
    """
    found, names = read_columns(aux, n_samples)
    expected = tuple(column.name for column in table.columns)
    is_named = hasattr(aux, "columns")
    if len(found) != len(expected) or (is_named and set(names) != set(expected)):
        raise ValueError(
            f"aux has the columns {list(names)}; expected those of fit, "
            f"{list(expected)}."
        )
    if is_named:
        found = [found[names.index(name)] for name in expected]
    return table.index_of(found)

"""Conditions as combinations of auxiliary columns: found once, and recognised later.

Axes: ``n`` samples, ``K`` conditions, ``m`` auxiliary columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np

from .._inputs import BOOLEAN, CONTINUOUS, TIME, Column

MAX_BINS, ROWS_PER_BIN = 20, 50
"""Conditions that a continuous column is cut into, at most, and samples of each, at
least."""

LEAST_ROWS = 10
"""Samples below which an interval of a continuous column is joined with the next."""

SHOWN = 5
"""Conditions that a message lists."""


@dataclass(frozen=True)
class AuxiliaryColumn:
    """Levels of one auxiliary column, or the bounds between its intervals.

    Attributes
    ----------
    name : str
    levels : tuple of float, int or str
        Levels, numbers as float, or as integer where float64 would round it; empty for
        a continuous column.
    names : tuple of str
        Name of each level or interval.
    edges : tuple of float
        Inner bounds of the intervals.
    """

    name: str
    levels: tuple[float | int | str, ...]
    names: tuple[str, ...]
    edges: tuple[float, ...]

    @classmethod
    def of(cls, name: str, column: Column, counted: np.ndarray) -> AuxiliaryColumn:
        """Find the levels of a column, or intervals of equally many samples.

        Parameters
        ----------
        name : str
        column : Column
        counted : ndarray of int
            Samples that count.
        """
        if column.kind(counted) != CONTINUOUS:
            _, levels = column.as_levels()
            return cls(name, _keys(levels), tuple(map(str, levels)), ())
        values = _numbers(column)[counted]
        n_bins = int(np.clip(len(counted) // ROWS_PER_BIN, 2, MAX_BINS))
        edges = np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1])
        edges = _occupied(edges, values).tolist()
        bounds = [values.min(), *edges, values.max()]
        names = tuple(f"{a:.3g} to {b:.3g}" for a, b in pairwise(bounds))
        return cls(name, (), names, tuple(edges))

    def level_of(self, column: Column) -> np.ndarray:
        """Return the number of each sample's level, (n,); NaN where missing.

        It is -1 for a level that is not known.
        """
        found = np.full(len(column.values), np.nan)
        if not self.levels:
            values = _numbers(column)
            is_known = ~np.isnan(values)
            found[is_known] = np.searchsorted(self.edges, values[is_known])
            return found
        index, levels = column.as_levels()
        place = {level: k for k, level in enumerate(self.levels)}
        own = np.array([place.get(key, -1) for key in _keys(levels)], np.float64)
        is_known = ~np.isnan(index)
        found[is_known] = own[index[is_known].astype(np.intp)]
        return found


@dataclass(frozen=True)
class ConditionTable:
    """The conditions of a table: combinations of levels that occur.

    Attributes
    ----------
    columns : tuple of m AuxiliaryColumn
    combinations : tuple of K tuples of m int
        Level of each column under each condition, in ascending order.
    """

    columns: tuple[AuxiliaryColumn, ...]
    combinations: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, found: Sequence[Column], names: Sequence[str], counted: np.ndarray
    ) -> ConditionTable:
        """Find the conditions of samples.

        Parameters
        ----------
        found : sequence of m Column
        names : sequence of m str
        counted : ndarray of int
            Samples that count, with an entry in each column.
        """
        columns = tuple(
            AuxiliaryColumn.of(name, column, counted)
            for name, column in zip(names, found, strict=True)
        )
        levels = _levels(columns, found)[counted].astype(int)
        distinct = np.unique(levels, axis=0)
        return cls(columns, tuple(tuple(row) for row in distinct.tolist()))

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each condition."""
        return tuple(map(self._label, self.combinations))

    def _label(self, combination: Sequence[int]) -> str:
        pairs = list(zip(self.columns, combination, strict=True))
        if len(pairs) == 1:
            return pairs[0][0].names[combination[0]]
        return ", ".join(f"{c.name}={c.names[level]}" for c, level in pairs)

    def index_of(self, found: Sequence[Column]) -> np.ndarray:
        """Return the number of each sample's condition, (n,).

        It is -1 where an entry is missing.

        Raises
        ------
        ValueError
            If a sample has a condition that is not one of the table.
        """
        levels = _levels(self.columns, found)
        is_known = ~np.isnan(levels).any(axis=1)
        place = {row: k for k, row in enumerate(self.combinations)}
        index = np.full(len(levels), -1)
        for i in np.flatnonzero(is_known):
            index[i] = place.get(tuple(levels[i].astype(int).tolist()), -1)
        if len(unseen := np.flatnonzero(is_known & (index < 0))):
            more = ", ..." if len(self.combinations) > SHOWN else ""
            first = ", ".join(_entry(column, unseen[0]) for column in found)
            raise ValueError(
                f"aux has conditions that fit did not see, at {len(unseen)} samples, "
                f"the first of them number {unseen[0]} with {first}. Known are "
                f"{', '.join(self.labels[:SHOWN])}{more} ({len(self.combinations)} in "
                "all). Write NaN or None where a condition is unknown: these samples "
                "are encoded without it."
            )
        return index

    def as_state(self) -> dict[str, Any]:
        """Return plain values, from which :meth:`from_state` restores the table."""
        return {
            "columns": [
                [c.name, list(c.levels), list(c.names), list(c.edges)]
                for c in self.columns
            ],
            "combinations": [list(row) for row in self.combinations],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ConditionTable:
        """Return the table of plain values."""
        columns = (
            AuxiliaryColumn(name, tuple(levels), tuple(names), tuple(edges))
            for name, levels, names, edges in state["columns"]
        )
        rows = (tuple(row) for row in state["combinations"])
        return cls(tuple(columns), tuple(rows))


def _occupied(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return inner bounds of intervals that hold enough values; others are joined.

    An interval (a, b] holds few where many samples have one value, as at a dose of
    zero.
    """
    sizes = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    least = max(1, min(LEAST_ROWS, len(values) // (2 * len(sizes))))
    kept, n_before, n_left = [], 0, len(values)
    for edge, size in zip(edges, sizes[:-1], strict=True):
        n_before, n_left = n_before + size, n_left - size
        if n_before >= least and n_left >= least:
            kept.append(edge)
            n_before = 0
    return np.array(kept)


def _levels(columns: Sequence[AuxiliaryColumn], found: Sequence[Column]) -> np.ndarray:
    """Return the level of each column, (n, m)."""
    pairs = zip(columns, found, strict=True)
    return np.column_stack([own.level_of(column) for own, column in pairs])


def _entry(column: Column, row: int) -> str:
    """Return an entry of a column as a message shows it."""
    value = column.values[row]
    if column.content == BOOLEAN:
        return str(bool(value))
    if column.levels is None:
        return f"{value:g}"
    return repr(column.levels[[int(value)]].tolist()[0])


def _numbers(column: Column) -> np.ndarray:
    """Return numbers, or times in steps, (n,)."""
    numbers = column.as_numbers()
    if numbers is None and column.content != TIME:
        raise ValueError(
            "A column of aux that fit took as continuous numbers holds names now; "
            "expected numbers, or NaN where a condition is unknown."
        )
    return column.values if numbers is None else numbers


def _keys(levels: np.ndarray) -> tuple[float | int | str, ...]:
    """Return levels as they are compared: numbers as numbers, all others as text."""
    is_number = [isinstance(level, Real | np.bool_) for level in levels]
    pairs = zip(levels, is_number, strict=True)
    return tuple(_number(v) if known else str(v) for v, known in pairs)


def _number(value: Any) -> float | int:
    """Return a number as float, but an integer that float64 would round as integer."""
    whole = int(value) if isinstance(value, Integral) else None
    number = float(value)
    return number if whole is None or number == whole else whole

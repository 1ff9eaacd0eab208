"""Standardised samples of tables that are read in parts.

Axes: ``n`` samples of the table, ``m`` samples of a fit, ``p`` features.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..sources import SourceTable
from ._scaling import Scaling

START_ROWS = 50_000
"""Samples, drawn at random, that stand for a table where not all are needed."""

START_VALUES = 2**25
"""Their values, at most."""

WANTED_ROWS = 10_000
"""Samples that a start uses, at most."""

POOL_VALUES = 2**17
"""Values of a block of rows that are drawn together, at most."""


def n_start_rows(n_features: int) -> int:
    """Return how many samples stand for a table of that many features, at most."""
    return min(START_ROWS, max(1, START_VALUES // n_features))


def start_sample(
    rows: Any, weight: np.ndarray, labels: np.ndarray | None
) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Return the samples from which the start and the noise levels are computed.

    These are all samples of an array, and of a complete table without labels that is
    read in any order, which gives the same start. Of other tables, they are a random
    sample of at most 50,000.

    Parameters
    ----------
    rows : ndarray or StandardizedRows of shape (m, p)
    weight : ndarray of shape (m,)
    labels : ndarray of shape (m, k) or None

    Returns
    -------
    rows, weight, labels
    """
    if isinstance(rows, np.ndarray):
        return rows, weight, labels
    n_rows = min(rows.n_leading, n_start_rows(rows.shape[1]))
    is_narrow = n_start_rows(rows.shape[1]) >= WANTED_ROWS
    if rows.is_direct and is_narrow and not rows.has_missing and labels is None:
        return rows, weight, labels
    some = slice(n_rows)
    return rows[some], weight[some], None if labels is None else labels[some]


class StandardizedRows:
    """Samples of a fit that are read and standardised when they are needed.

    They are indexed as an array of shape (m, p) is: by slices and by row numbers. An
    array of what was asked for is returned.

    Parameters
    ----------
    table : SourceTable of shape (n, p)
    index : ndarray of shape (m,)
        The samples of the fit.
    scaling : Scaling
    dtype : dtype
        Type of what is returned.
    n_leading : int
        The first samples, so many of them, are a random sample of all.
    """

    def __init__(
        self,
        table: SourceTable,
        index: np.ndarray,
        scaling: Scaling,
        dtype: np.dtype,
        n_leading: int,
    ):
        self.table, self.index, self.scaling = table, index, scaling
        self.dtype, self.n_leading = np.dtype(dtype), n_leading
        self.shape = len(index), table.shape[1]
        self.ndim, self.nbytes = 2, 0  # nothing is kept

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def has_missing(self) -> bool:
        """Whether a value of the table is missing."""
        return self.table.has_missing

    @property
    def is_direct(self) -> bool:
        """Whether rows are read in any order."""
        return self.table.is_direct

    @property
    def block_rows(self) -> int | None:
        """Consecutive rows that are drawn together; None for single rows."""
        if self.is_direct:
            return None
        most = max(8, POOL_VALUES // self.shape[1])
        return min(self.table.source.block_rows, most)

    def __getitem__(self, rows: Any) -> np.ndarray:
        if not self.is_direct and isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            if stop <= self.n_leading:
                return self._leading[start:stop]
        if np.ndim(rows) == 0 and not isinstance(rows, slice):
            return self[np.array([rows])][0]
        if not self.is_direct and not isinstance(rows, slice):
            return self._rows_at(np.asarray(rows))
        return self._read(rows)

    def _rows_at(self, numbers: np.ndarray) -> np.ndarray:
        """Return rows by their numbers, those of the random sample from memory.

        They are far apart in the table, so that each would be read by itself.
        """
        is_kept = numbers < self.n_leading
        rows = np.empty((len(numbers), self.shape[1]), dtype=self.dtype)
        rows[is_kept] = self._leading[numbers[is_kept]]
        if not is_kept.all():
            rows[~is_kept] = self._read(numbers[~is_kept])
        return rows

    def _read(self, rows: Any) -> np.ndarray:
        return self.scaling.apply(self.table[self.index[rows]], self.dtype)

    @cached_property
    def _leading(self) -> np.ndarray:
        """The random sample that comes first, (n_leading, p)."""
        return self._read(slice(self.n_leading))

    def at(self, chosen: np.ndarray) -> StandardizedRows:
        """Return some of the samples, which are not read yet.

        Parameters
        ----------
        chosen : ndarray of int
            Their numbers.
        """
        n_leading = (
            len(chosen) if self.is_direct else int((chosen < self.n_leading).sum())
        )
        return StandardizedRows(
            self.table, self.index[chosen], self.scaling, self.dtype, n_leading
        )

    @cached_property
    def parts(self) -> tuple[np.ndarray, ...]:
        """Arrays that are equal for equal rows."""
        scales = np.stack([self.scaling.mean, self.scaling.scale])
        return self.table.digests, self.index, scales


class JoinedRows:
    """Samples that are read when they are needed, before others that are in memory.

    They are indexed by slices and by the number of one sample.

    Parameters
    ----------
    table : StandardizedRows of shape (m, p)
    others : ndarray of shape (k, p)
    """

    def __init__(self, table: StandardizedRows, others: np.ndarray):
        self.table, self.others, self.dtype = table, others, table.dtype
        self.shape = len(table) + len(others), table.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        if not isinstance(rows, slice):
            return self[rows : rows + 1][0]
        start, stop, _ = rows.indices(len(self))
        n_read = len(self.table)
        after = slice(max(start - n_read, 0), max(stop - n_read, 0))
        return np.concatenate([self.table[start:stop], self.others[after]])


def with_rows(rows: Any, others: np.ndarray) -> Any:
    """Return samples before others, (m + k, p).

    Parameters
    ----------
    rows : ndarray or StandardizedRows of shape (m, p)
    others : ndarray of shape (k, p)
    """
    if isinstance(rows, np.ndarray):
        return np.concatenate([rows, others])
    return JoinedRows(rows, others)

"""Checked tables: a row source of which the first pass has seen every value.

Axes: ``n`` samples, ``p`` features, ``b`` samples of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .._inputs import check_entries
from ._keys import row_digests
from ._source import RowSource

BLOCK_VALUES = 2**20
"""Values of a block of consecutive rows."""

BLOCK_UNIT = 1024
"""Rows of a block are a multiple of this number where there are more of them, so that
inference makes the same batches of them as of the whole table."""

DIRECT_ROWS, DIRECT_BYTES = 2**24, 2**33
"""Rows and size, bytes, up to which a table is read in an order of its own; larger ones
are read in the order in which they are stored. Of sparse tables, the first alone."""


class SourceTable:
    """A table that was read once, and is read again in parts.

    What is read is compared with the first time, by a hash of each row.

    Parameters
    ----------
    source : RowSource
    digests : ndarray of shape (n,), uint32
        Hashes of the rows.
    low, high : ndarray of shape (p,)
        Smallest and largest value of each column; NaN for a column without values.
    has_missing : bool
        Whether a value is missing.
    is_empty : ndarray of shape (n,), bool
        Rows without an observed value.
    """

    def __init__(
        self,
        source: RowSource,
        digests: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        has_missing: bool,
        is_empty: np.ndarray,
    ):
        self.source, self.digests = source, digests
        self.low, self.high = low, high
        self.has_missing, self.is_empty = has_missing, is_empty
        self.shape, self.dtype, self.nbytes = source.shape, source.dtype, source.nbytes
        self.ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def is_direct(self) -> bool:
        """Whether rows are read in any order."""
        n_bytes = 0 if self.source.is_sparse else self.nbytes
        is_moderate = len(self) <= DIRECT_ROWS and n_bytes <= DIRECT_BYTES
        return self.source.is_direct and is_moderate

    @property
    def value_range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return float(np.fmin.reduce(self.low)), float(np.fmax.reduce(self.high))

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Read rows by a slice, by their numbers, or one row.

        Raises
        ------
        ValueError
            If a row cannot be read, or differs from the first time.
        """
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            block = self.source.read(start, stop)
        elif np.ndim(rows) == 0:
            return self[np.array([rows])][0]
        else:
            block = self.source.read_at(np.asarray(rows))
        changed = np.flatnonzero(row_digests(block) != self.digests[rows])
        if len(changed):
            numbers = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
            raise ValueError(
                f"Sample {numbers[changed[0]]} of X has other values than when X was "
                f"first read: {self.source.name} was changed in the meantime. Fit "
                "again when nothing writes to it, or fit a copy."
            )
        return block

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first row of each block of consecutive rows, and the block."""
        size = rows_of_block(self.shape[1])
        for start in range(0, len(self), size):
            yield start, self[start : start + size]


def rows_of_block(n_features: int) -> int:
    """Return the number of consecutive rows that are read at once."""
    size = max(1, BLOCK_VALUES // n_features)
    return size if size < BLOCK_UNIT else size // BLOCK_UNIT * BLOCK_UNIT


def check_source(
    source: RowSource, owner: str, *, allow_nan: bool, min_rows: int = 1
) -> SourceTable:
    """Read a table once, and check that its values are numbers.

    Parameters
    ----------
    source : RowSource
    owner : str
        Class that takes the table, for messages.
    allow_nan : bool
        Whether values may be missing (NaN).
    min_rows : int, default=1
        Samples that are needed.

    Returns
    -------
    SourceTable

    Raises
    ------
    ValueError
        If there are too few samples, or a value is infinite, or missing where it may
        not be; the message states where.
    """
    n_rows, n_features = source.shape
    if n_rows < min_rows:
        raise ValueError(
            f"Found array with {n_rows} sample(s) (shape={source.shape}) while a "
            f"minimum of {min_rows} is required by {owner}."
        )
    digests = np.empty(n_rows, dtype=np.uint32)
    is_empty = np.zeros(n_rows, dtype=bool)
    low, high = np.full((2, n_features), np.nan)
    has_missing = False
    for start, block in _read_ahead(source):
        own = slice(start, start + len(block))
        check_entries(block, None, owner, allow_nan=allow_nan, start=start)
        missing = np.isnan(block)
        if missing.any():
            has_missing = True
            is_empty[own] = missing.all(axis=1)
        np.fmin(low, np.fmin.reduce(block, axis=0), out=low)
        np.fmax(high, np.fmax.reduce(block, axis=0), out=high)
        digests[own] = row_digests(block)
    return SourceTable(source, digests, low, high, has_missing, is_empty)


def map_blocks(
    function: Callable[[np.ndarray, int], Any], source: RowSource
) -> tuple[np.ndarray, ...]:
    """Apply a function of rows to all blocks of a table, and join its results.

    Parameters
    ----------
    function : callable (rows, start) -> tuple of ndarray of shape (b, ...)
        Of the rows of a block, (b, p), and the number of the first one.
    source : RowSource

    Returns
    -------
    tuple of ndarray of shape (n, ...)
    """
    joined: list[np.ndarray] = []
    for start, block in _read_ahead(source):
        parts = function(block, start)
        if not joined:
            joined = [np.empty((len(source), *a.shape[1:]), a.dtype) for a in parts]
        for whole, part in zip(joined, parts, strict=True):
            whole[start : start + len(part)] = part
    return tuple(joined)


def _read_ahead(source: RowSource) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first row of each block and the block, one of which is read ahead."""
    size, n_rows = rows_of_block(source.shape[1]), len(source)
    starts = range(0, n_rows, size)
    with ThreadPoolExecutor(1) as reader:
        pending = reader.submit(source.read, 0, min(size, n_rows))
        for start in starts:
            block = pending.result()
            if (after := start + size) < n_rows:
                stop = min(after + size, n_rows)
                pending = reader.submit(source.read, after, stop)
            yield start, block

"""Adaptors: tables of several libraries as row sources."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from ._datasets import DatasetSource, is_dataset
from ._source import DEFAULT_BLOCK_ROWS, RowSource

RELEASED_BYTES = 2**26
"""Bytes of a file that are kept in the memory of the process, at most about."""

FAULT_BYTES = 2**16
"""Bytes of a file that Linux maps around the one that is read."""

ROWS_BETWEEN_RELEASES = 1024
"""Single rows that are read before pages are released, at most."""

MAX_BLOCK_ROWS = 1024
"""Rows of a block, at most."""


def as_source(X: Any) -> RowSource | None:
    """Return a table as a row source; None for what is an array or a frame.

    Parameters
    ----------
    X : object
        Samples, as the user passed them.

    Raises
    ------
    ValueError
        If the table cannot be read, or does not hold samples of numbers.
    """
    if issparse(X):
        return SparseSource(X)
    if isinstance(X, np.memmap):
        return MappedSource(X) if X.ndim == 2 and X.dtype.kind in "fiub" else None
    if _are_shards(X):
        return ShardedSource.of_files(X)
    if isinstance(X, np.ndarray | np.generic | list | tuple):
        return None
    if is_dataset(X):
        return DatasetSource(X)
    return SlicedSource(X) if _has_slices(X) else None


def _are_shards(X: Any) -> bool:
    """Return whether these are names of .npy files, or memory maps."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(map(_is_shard, X))


def _is_shard(part: Any) -> bool:
    if isinstance(part, str | os.PathLike):
        return os.fspath(part).endswith(".npy")
    return isinstance(part, np.memmap) and part.ndim == 2


def _has_slices(X: Any) -> bool:
    """Return whether a table has a shape, a dtype of numpy's and rows.

    Data frames have no dtype, and tensors one of their own.
    """
    if not hasattr(type(X), "__getitem__"):
        return False
    try:
        dtype, shape = (getattr(X, name, None) for name in ("dtype", "shape"))
    except Exception as error:  # of any library
        raise ValueError(
            f"X, {_name_of(X)}, cannot be read: {error} Check that its file is open."
        ) from error
    return isinstance(dtype, np.dtype) and isinstance(shape, tuple) and len(shape) == 2


def _name_of(X: Any) -> str:
    kind = type(X)
    return f"a {kind.__module__.split('.')[0]}.{kind.__name__}"


class MappedSource(RowSource):
    """A memory-mapped array."""

    is_direct = True

    def __init__(self, array: np.memmap, name: str = "a memory-mapped array"):
        super().__init__(array.shape, array.dtype, name)
        self.array = array
        self.row_bytes = array.dtype.itemsize * array.shape[1]
        self.mapping = _mapping_of(array)
        self.n_mapped = 0

    def _read(self, start, stop):
        rows = self._as_stored(slice(start, stop))
        self._release((stop - start) * self.row_bytes)
        return rows

    def _read_at(self, index):
        rows = np.empty((len(index), self.shape[1]), dtype=self.array.dtype)
        for start in range(0, len(index), ROWS_BETWEEN_RELEASES):
            some = slice(start, start + ROWS_BETWEEN_RELEASES)
            rows[some] = self._as_stored(index[some])
            self._release(len(index[some]) * max(self.row_bytes, FAULT_BYTES))
        return rows

    def _as_stored(self, rows) -> np.ndarray:
        """Copy rows of the file."""
        return np.array(self.array[rows], subok=False)

    def _release(self, n_bytes: int) -> None:
        """Let the process forget pages of the file, which stay in the page cache."""
        self.n_mapped += n_bytes
        if self.mapping is not None and self.n_mapped > RELEASED_BYTES:
            self.mapping.madvise(mmap.MADV_DONTNEED)
            self.n_mapped = 0


def _mapping_of(array: np.memmap) -> mmap.mmap | None:
    """Return the mapping of a file whose pages can be released, else None.

    Those of a mapping with copies of its own, of mode "c", would lose changes.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    can_release = hasattr(mmap, "MADV_DONTNEED") and array.mode in ("r", "r+", "w+")
    return base if can_release and isinstance(base, mmap.mmap) else None


class SlicedSource(RowSource):
    """Whatever has a shape, a dtype and slices of rows."""

    def __init__(self, table: Any):
        super().__init__(table.shape, table.dtype, _name_of(table))
        self.table = table
        self.block_rows = _stored_together(table)

    def _read(self, start, stop):
        part = self.table[start:stop]
        if hasattr(part, "compute"):  # of dask, which converts without the mask
            part = part.compute()
        rows = np.asanyarray(part)
        if np.ma.isMaskedArray(rows):
            rows = np.ma.filled(rows.astype(self.dtype), np.nan)
        return rows


def _stored_together(table: Any) -> int:
    """Return how many rows a table stores together, as far as it says so.

    ``chunks`` are one size for each axis, or, of dask, a tuple of them.
    """
    chunks = getattr(table, "chunks", None)
    rows = chunks[0] if chunks else DEFAULT_BLOCK_ROWS
    largest = max(rows) if isinstance(rows, tuple) else rows
    return int(np.clip(largest, DEFAULT_BLOCK_ROWS // 4, MAX_BLOCK_ROWS))


class SparseSource(RowSource):
    """A sparse matrix or array of scipy's; rows become dense when they are read."""

    is_direct = True
    is_sparse = True

    def __init__(self, matrix: Any):
        shape = tuple(matrix.shape)
        super().__init__(shape, matrix.dtype, f"a sparse matrix ({matrix.format})")
        self.matrix = csr_array(matrix)

    def _read(self, start, stop):
        return self.matrix[start:stop].toarray()

    def _read_at(self, index):
        return self.matrix[index].toarray()


class ShardedSource(RowSource):
    """Several sources of the same features, one after another.

    Parameters
    ----------
    parts : sequence of RowSource
    names : sequence of str
        What each part is called in messages.

    Raises
    ------
    ValueError
        If parts have different numbers of features.
    """

    def __init__(self, parts: Sequence[RowSource], names: Sequence[str]):
        widths = [part.shape[1] for part in parts]
        for name, width in zip(names, widths, strict=True):
            if width != widths[0]:
                raise ValueError(
                    f"The shards of X must have the same columns: {names[0]} has "
                    f"{widths[0]}, but {name} has {width}. Write them with the same "
                    "columns in the same order."
                )
        self.parts = list(parts)
        sizes = [len(part) for part in parts]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        dtype = np.result_type(*(part.dtype for part in parts))
        shape = int(self.starts[-1]), widths[0]
        super().__init__(shape, dtype, f"{len(parts)} shards")
        self.is_direct = all(part.is_direct for part in parts)

    @classmethod
    def of_files(cls, files: Sequence[Any]) -> ShardedSource:
        """Open .npy files as memory maps."""
        names = [_shard_name(i, file) for i, file in enumerate(files)]
        parts = [_open(*pair) for pair in zip(files, names, strict=True)]
        return cls(parts, names)

    def _read(self, start, stop):
        first, last = np.searchsorted(self.starts, [start, stop - 1], side="right") - 1
        return np.concatenate(
            [
                self.parts[k].read(
                    max(start, int(self.starts[k])) - int(self.starts[k]),
                    min(stop, int(self.starts[k + 1])) - int(self.starts[k]),
                )
                for k in range(first, last + 1)
            ]
        )

    def _read_at(self, index):
        owner = np.searchsorted(self.starts, index, side="right") - 1
        rows = np.empty((len(index), self.shape[1]), dtype=self.dtype)
        for k in np.unique(owner):
            own = owner == k
            rows[own] = self.parts[k].read_at(index[own] - self.starts[k])
        return rows


def _shard_name(number: int, file: Any) -> str:
    path = getattr(file, "filename", None) if isinstance(file, np.memmap) else file
    return f"shard {number}" if path is None else f"shard {number} ({os.fspath(path)})"


def _open(file: Any, name: str) -> MappedSource:
    """Return a memory-mapped shard."""
    try:
        array = file
        if not isinstance(file, np.memmap):
            array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"X cannot be read: {name}: {error} Expected a .npy file of a table."
        ) from error
    return MappedSource(array, name)

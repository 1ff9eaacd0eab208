"""Row sources: tables of which some rows are read at a time.

Axes: ``n`` samples, ``p`` features, ``b`` samples of a block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

MAX_GAP = 64
"""Rows between two wanted ones up to which both are read in one slice."""

DEFAULT_BLOCK_ROWS = 64
"""Rows of a block of a source that does not say how its rows are stored."""

SMALL_BYTES = 2**26
"""Size of a dense table, bytes, up to which it is read as a whole."""


class RowSource(ABC):
    """A table of numbers of which some rows are read at a time, as floats.

    Parameters
    ----------
    shape : tuple (n, p)
    dtype : dtype
        Type of the stored numbers. Rows of float32 are read as they are, those of all
        other types as float64, as scikit-learn converts arrays.
    name : str
        What the table is, for messages.

    Raises
    ------
    ValueError
        If numbers are not real, or the table has no samples or no features.
    """

    is_direct = False
    """Whether single rows can be read in any order in little time."""

    is_sparse = False
    """Whether rows are stored without their zeros."""

    block_rows = DEFAULT_BLOCK_ROWS
    """Consecutive rows that are best read together."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, name: str):
        self.name = name
        if any(size != size for size in shape):
            raise ValueError(
                f"X, {name}, has shape {tuple(shape)}, in which a size is not known "
                "yet; expected (n_samples, n_features). Compute it first: of dask, by "
                "X.compute_chunk_sizes()."
            )
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(
                f"X, {name}, has shape {tuple(shape)}; expected (n_samples, "
                "n_features), with a minimum of 1 sample and of 1 feature: Found array "
                f"with {shape[0] if shape else 0} sample(s) and "
                f"{shape[1] if len(shape) > 1 else 0} feature(s) while a minimum of 1 "
                "is required."
            )
        if dtype.kind == "c":
            raise ValueError(f"Complex data not supported: X, {name}, is {dtype}.")
        if dtype.kind not in "fiub":
            raise ValueError(
                f"X, {name}, holds values of type {dtype}, expected numbers. Encode "
                "other columns as numbers first, or leave them out."
            )
        self.shape = int(shape[0]), int(shape[1])
        self.dtype = np.dtype(np.float32 if dtype == np.float32 else np.float64)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        return self.read(start, stop)

    @property
    def nbytes(self) -> int:
        """Size of the dense table, bytes."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def is_small(self) -> bool:
        """Whether the table is read as a whole; sparse ones never are."""
        return not self.is_sparse and self.nbytes <= SMALL_BYTES

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read consecutive rows, (b, p), as a new array.

        Raises
        ------
        ValueError
            If they cannot be read; the message states which.
        """
        if start >= stop:
            return self._no_rows()
        where = f"Samples {start} to {stop - 1} of X"
        try:
            rows = self._read(start, stop)
        except Exception as error:  # of any library
            raise ValueError(
                f"{where} could not be read from {self.name}: {error} Check that the "
                "file is open, complete, and of numbers."
            ) from error
        return self._checked(rows, stop - start, where)

    def read_at(self, index: np.ndarray) -> np.ndarray:
        """Read rows by their numbers, in any order, (b, p), as a new array.

        Raises
        ------
        ValueError
            If they cannot be read; the message states which.
        """
        if not len(index):
            return self._no_rows()
        where = f"{len(index)} samples of X, from {index.min()} to {index.max()},"
        try:
            rows = self._read_at(index)
        except Exception as error:
            raise ValueError(
                f"{where} could not be read from {self.name}: {error} Check that the "
                "file is open, complete, and of numbers."
            ) from error
        return self._checked(rows, len(index), where)

    @abstractmethod
    def _read(self, start: int, stop: int) -> np.ndarray:
        """Read consecutive rows as they are stored, or as a dense array."""

    def _read_at(self, index: np.ndarray) -> np.ndarray:
        """Read rows by their numbers, in sorted slices that leave out large gaps."""
        wanted, place = np.unique(index, return_inverse=True)
        edges = np.flatnonzero(np.diff(wanted) > MAX_GAP) + 1
        parts = []
        for run in np.split(wanted, edges):
            first = int(run[0])
            parts.append(self._read(first, int(run[-1]) + 1)[run - first])
        return np.concatenate(parts)[place.reshape(-1)]

    def _no_rows(self) -> np.ndarray:
        return np.empty((0, self.shape[1]), self.dtype)

    def _checked(self, rows: np.ndarray, n_rows: int, where: str) -> np.ndarray:
        if rows.shape != (n_rows, self.shape[1]):
            raise ValueError(
                f"{where} have shape {rows.shape} in {self.name}, expected "
                f"{(n_rows, self.shape[1])}. The table was changed while it was read, "
                "or its slices are not rows."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array(rows, dtype=self.dtype, order="C", copy=True)

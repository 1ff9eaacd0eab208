"""Data sets of Arrow, such as folders of Parquet files, as row sources."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

import numpy as np

from ._source import RowSource

CACHED_BYTES = 2**26
"""Bytes of groups of rows that are kept in memory after they were read, about."""

SINGLE = "float"
"""Arrow's name of the type that is read as float32; others are read as float64."""

NUMBERS = {SINGLE, "double", "halffloat", "bool"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""Arrow's names of the types of columns that can be read."""

MIN_BLOCK_ROWS, MAX_BLOCK_ROWS = 16, 1024
"""Rows of a block, at least and at most."""


def is_dataset(X: Any) -> bool:
    """Return whether this is a data set of Arrow, without importing it."""
    module = sys.modules.get("pyarrow.dataset")
    return module is not None and isinstance(X, module.Dataset)


class DatasetSource(RowSource):
    """A data set of Arrow, each column of which is a feature.

    Rows are in the order of the files. Groups of rows of Parquet files are read as a
    whole, and other files likewise. A value that is null is missing.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset

    Raises
    ------
    ValueError
        If a column does not hold numbers, or rows are filtered.
    """

    def __init__(self, dataset: Any):
        self.schema = dataset.schema
        self.pieces = [
            piece for part in _fragments(dataset) for piece in _row_groups(part)
        ]
        sizes = [_n_rows(piece) for piece in self.pieces]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        types = {field.name: str(field.type) for field in self.schema}
        _check_types(types)
        n_rows = int(self.starts[-1])
        is_single = set(types.values()) == {SINGLE}
        dtype = np.dtype(np.float32 if is_single else np.float64)
        super().__init__((n_rows, len(types)), dtype, "a data set of Arrow")
        largest = max(sizes, default=0)
        self.block_rows = int(np.clip(largest, MIN_BLOCK_ROWS, MAX_BLOCK_ROWS))
        self.cache: OrderedDict[int, np.ndarray] = OrderedDict()

    def _read(self, start, stop):
        first, last = np.searchsorted(self.starts, [start, stop - 1], side="right") - 1
        parts = []
        for k in range(first, last + 1):
            begin = int(self.starts[k])
            parts.append(self._piece(k)[max(start - begin, 0) : stop - begin])
        return np.concatenate(parts)

    def _piece(self, k: int) -> np.ndarray:
        """Return the rows of a group, which is read if it is not kept."""
        if k not in self.cache:
            kept = sum(rows.nbytes for rows in self.cache.values())
            while self.cache and kept > CACHED_BYTES:
                kept -= self.cache.popitem(last=False)[1].nbytes
            self.cache[k] = self._rows_of(self.pieces[k])
        self.cache.move_to_end(k)
        return self.cache[k]

    def _rows_of(self, piece: Any) -> np.ndarray:
        """Read a group of rows, (b, p)."""
        table = piece.to_table(schema=self.schema, columns=self.schema.names)
        name = SINGLE if self.dtype == np.float32 else "double"
        rows = np.empty((len(table), self.shape[1]), dtype=self.dtype)
        for column, values in zip(rows.T, table.columns, strict=True):
            column[:] = values.cast(name).to_numpy()
        return rows


def _fragments(dataset: Any) -> list[Any]:
    """Return the files of a data set, or its tables in memory."""
    try:
        return list(dataset.get_fragments())
    except Exception as error:  # of Arrow
        raise ValueError(
            f"X, a data set of Arrow, cannot be read in parts: {error} Write the rows "
            "that are wanted to files of their own, or give sample_weight=0 to others."
        ) from error


def _row_groups(part: Any) -> list[Any]:
    """Return the groups of rows of a Parquet file; else the file."""
    split = getattr(part, "split_by_row_group", None)
    return [part] if split is None else list(split())


def _n_rows(piece: Any) -> int:
    """Return the rows of a file, or of some groups of its rows."""
    groups = getattr(piece, "row_groups", None)
    return piece.count_rows() if groups is None else sum(g.num_rows for g in groups)


def _check_types(types: dict[str, str]) -> None:
    for name, found in types.items():
        if found not in NUMBERS:
            raise ValueError(
                f"Column {name!r} of X, a data set of Arrow, holds values of type "
                f"{found}, expected numbers. Leave it out, as by "
                "dataset.replace_schema(schema), or read the data set as a frame."
            )

"""Tables of a stack's models, joined so that each distinct table is stored once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

READ_VALUES = 2**21
"""Values of the rows that are read at once, while others are trained on."""

READ_STEPS, BLOCK_STEPS = 8, 32
"""Steps whose rows are read at once, at most; and those of rows in blocks, of which
fewer are read then."""


@runtime_checkable
class RowTable(Protocol):
    """Rows that are read when they are needed, indexed as an array is.

    Attributes
    ----------
    shape : tuple (n, p)
    dtype : dtype
    n_leading : int
        The first rows, so many of them, are a random sample of all.
    block_rows : int or None
        Consecutive rows that are best drawn together; None if single rows can be read
        in any order in little time.
    """

    shape: tuple[int, int]
    dtype: Any
    n_leading: int

    @property
    def block_rows(self) -> int | None: ...

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """Arrays that are equal for equal rows, such as digests of all rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Read rows by a slice or by their numbers."""

    def at(self, chosen: np.ndarray) -> RowTable:
        """Return some of the rows, which are not read yet."""


def select_rows(rows: Any, chosen: np.ndarray) -> Any:
    """Return some rows of an array, or of a :class:`RowTable`, which reads none.

    Parameters
    ----------
    rows : ndarray or RowTable
    chosen : ndarray of int
    """
    return rows[chosen] if isinstance(rows, np.ndarray) else rows.at(chosen)


class Reader:
    """Reads the rows of batches of K models, if a table is not in memory.

    Parameters
    ----------
    tables : sequence of K ndarrays or RowTables
    offsets : sequence of K ints
        First row of each model's table in the joined one.
    """

    def __init__(self, tables: Sequence[Any], offsets: Sequence[int]):
        self.is_needed = not all(isinstance(table, np.ndarray) for table in tables)
        self.tables, self.offsets = tables, offsets
        self.block_rows = [getattr(table, "block_rows", None) for table in tables]
        self.n_columns = tables[0].shape[1]
        self.dtype = torch.from_numpy(np.empty(0, tables[0].dtype)).dtype

    @classmethod
    def of_memory(cls, n_models: int) -> Reader:
        """Return the reader of models whose tables are in memory."""
        return cls([np.empty((0, 1), np.float32)] * n_models, [0] * n_models)

    def ahead(self, numbers: Tensor, steps_at_once: int) -> Iterator[Tensor]:
        """Yield the rows of each of several steps, some of them read ahead in a thread.

        Parameters
        ----------
        numbers : Tensor of shape (K, steps, b)
            Numbers of the rows in the joined table.
        steps_at_once : int
            Steps whose rows are read together.

        Yields
        ------
        Tensor of shape (K, b, p)
            With b = 0 where all tables are in memory.
        """
        n_models, n_steps, _ = numbers.shape
        if not self.is_needed:
            empty = torch.empty(
                (n_models, 0, self.n_columns), dtype=self.dtype, device="cpu"
            )
            for _ in range(n_steps):
                yield empty
            return
        parts = numbers.numpy().transpose(1, 0, 2)  # (steps, K, b)
        groups = [
            parts[i : i + steps_at_once] for i in range(0, n_steps, steps_at_once)
        ]
        with ThreadPoolExecutor(1) as thread:
            pending = thread.submit(self._read, groups[0])
            for following in [*groups[1:], None]:
                rows = pending.result()
                if following is not None:
                    pending = thread.submit(self._read, following)
                yield from torch.from_numpy(rows)

    def steps_at_once(self, n_rows: int) -> int:
        """Return the steps, of so many rows of a model, that are read together."""
        is_in_blocks = any(rows is not None for rows in self.block_rows)
        most = BLOCK_STEPS if is_in_blocks else READ_STEPS
        return max(1, min(most, READ_VALUES // (n_rows * self.n_columns)))

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        """Read the rows of some steps, (steps, K, b, p)."""
        rows = [
            table[own.ravel() - offset].reshape(*own.shape, -1)
            for own, table, offset in zip(
                numbers.transpose(1, 0, 2), self.tables, self.offsets, strict=True
            )
        ]
        return np.stack(rows, axis=1)


class LabelTable:
    """Labels of the rows of K models, for m attributes."""

    def __init__(
        self,
        tables: Sequence[np.ndarray],
        row_weights: Sequence[np.ndarray],
        like: Tensor,
    ):
        joined, offsets = join_tables(tables, like.device)
        self.values = joined.to(like)  # (N, m)
        self.offsets = torch.tensor(offsets, device=like.device)[:, None]  # (K, 1)
        self.cdfs = [
            [cumulative(weights * ~np.isnan(column)) for column in table.T]
            for weights, table in zip(row_weights, tables, strict=True)
        ]

    def all_labels(self, numbers: Tensor) -> Tensor:
        """Return the labels of rows (K, B) for every attribute, (K, B, m)."""
        return rows_of(self.values, numbers + self.offsets)

    def own_labels(self, numbers: Tensor) -> Tensor:
        """Return each attribute's labels of its own rows (K, m, B), (K, m, B)."""
        attribute = torch.arange(numbers.shape[1], device=numbers.device)
        rows = numbers + self.offsets.unsqueeze(-1)
        return self.values.take(rows * self.values.shape[1] + attribute[:, None])


def rows_of(table: Tensor, numbers: Tensor) -> Tensor:
    """Return rows of a table (N, p) by their numbers (...), (..., p).

    Unlike indexing, it does not depend on the values of the numbers.
    """
    return table.index_select(0, numbers.flatten()).view(*numbers.shape, -1)


def one_hot(levels: Tensor, n_levels: int, like: Tensor) -> Tensor:
    """Return one where a level (...) has this number, else zero, (..., n_levels).

    Unlike torch's function, it does not read the values.
    """
    numbers = torch.arange(n_levels, device=levels.device)
    return (levels.unsqueeze(-1) == numbers).to(like)


def cumulative(row_weights: np.ndarray) -> Tensor:
    """Return the cumulative probability of drawing each row, (n,)."""
    sums = np.cumsum(row_weights, dtype=np.float64)
    return torch.from_numpy(sums / sums[-1])


def join_probabilities(row_weights: Sequence[np.ndarray]) -> Tensor:
    """Return each model's probability of drawing each of its rows, (K, n)."""
    parts = [torch.from_numpy(w / w.sum()) for w in row_weights]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)


def join_tables(
    tables: Sequence[Any], device: torch.device
) -> tuple[Tensor, list[int]]:
    """Return the distinct tables, joined, (N, p), and the first row of each model's.

    Tables that are not in memory are not joined: the result has no rows.
    """
    distinct = {id(table): table for table in tables}
    starts, total = {}, 0
    for key, table in distinct.items():
        starts[key], total = total, total + len(table)
    if not all(isinstance(table, np.ndarray) for table in tables):
        distinct = {0: np.empty((0, tables[0].shape[1]), tables[0].dtype)}
    parts = [torch.from_numpy(table).to(device) for table in distinct.values()]
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    return joined, [starts[id(table)] for table in tables]

"""Tables of a stack's models, joined so that each distinct table is stored once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


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
        return self.values[numbers + self.offsets]

    def own_labels(self, numbers: Tensor) -> Tensor:
        """Return each attribute's labels of its own rows (K, m, B), (K, m, B)."""
        attribute = torch.arange(numbers.shape[1], device=numbers.device)
        return self.values[numbers + self.offsets.unsqueeze(-1), attribute[:, None]]


def cumulative(row_weights: np.ndarray) -> Tensor:
    """Return the cumulative probability of drawing each row, (n,)."""
    sums = np.cumsum(row_weights, dtype=np.float64)
    return torch.from_numpy(sums / sums[-1])


def join_probabilities(row_weights: Sequence[np.ndarray]) -> Tensor:
    """Return each model's probability of drawing each of its rows, (K, n)."""
    parts = [torch.from_numpy(w / w.sum()) for w in row_weights]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)


def join_tables(
    tables: Sequence[np.ndarray], device: torch.device
) -> tuple[Tensor, list[int]]:
    """Return the distinct tables, joined, (N, p), and the first row of each model's."""
    distinct = {id(table): table for table in tables}
    starts, total = {}, 0
    for key, table in distinct.items():
        starts[key], total = total, total + len(table)
    parts = [torch.from_numpy(table).to(device) for table in distinct.values()]
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    return joined, [starts[id(table)] for table in tables]

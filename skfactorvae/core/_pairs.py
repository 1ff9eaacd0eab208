"""Partners of rows: which rows form pairs, and draws of a partner for each row.

Axes: ``n`` rows, ``c`` pairings, ``B`` rows of a batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

UNPAIRED = -1
"""Number in place of that of a group for a row without one."""


class PairTable:
    """Groups of rows whose members are partners of each other, in c pairings.

    A row's partner is drawn from its group by the weights of the other members, in one
    of the pairings in which it has any, each with the same probability. A row without a
    partner is its own.

    Parameters
    ----------
    groups : ndarray of shape (n, c)
        Number of each row's group in each pairing, -1 for none.
    row_weights : ndarray of shape (n,)
        Positive weights of the rows.
    """

    def __init__(self, groups: np.ndarray, row_weights: np.ndarray):
        places = [_Places.of(column) for column in groups.T]
        starts = len(groups) * np.arange(len(places))
        rows = np.concatenate([p.rows for p in places])
        sums = np.cumsum(row_weights[rows], dtype=np.float64)
        self.rows = torch.from_numpy(rows)  # (c n,) sorted by group, by pairing
        self.sums = torch.from_numpy(np.concatenate([[0.0], sums]))  # (c n + 1,)
        own, first, stop = (
            np.stack([getattr(p, name) for p in places], axis=1) + starts
            for name in ("own", "first", "stop")
        )
        self.own, self.first, self.stop = map(torch.from_numpy, (own, first, stop))
        has_partner = stop - first > 1  # (n, c)
        self.n_pairings = torch.from_numpy(has_partner.sum(1))  # (n,)
        self.pairings = torch.from_numpy(np.argsort(~has_partner, 1, kind="stable"))

    def draw(self, generator: torch.Generator, rows: Tensor) -> Tensor:
        """Draw a partner of each row, of the same shape; the row itself without one.

        Parameters
        ----------
        generator : torch.Generator
        rows : Tensor of int
            Row numbers, of any shape.
        """
        shape = 2, *rows.shape
        u = torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
        number = (u[0] * self.n_pairings[rows]).long()
        pairing = self.pairings[rows, number]
        own, first, stop = (
            table[rows, pairing] for table in (self.own, self.first, self.stop)
        )
        sums = self.sums
        weight = sums[own + 1] - sums[own]
        at = sums[first] + u[1] * (sums[stop] - sums[first] - weight)
        at = torch.where(at >= sums[own], at + weight, at)  # beyond the row itself
        place = torch.searchsorted(sums, at, right=True) - 1
        return self.rows[torch.minimum(torch.maximum(place, first), stop - 1)]


class _Places(NamedTuple):
    """Rows sorted by group: where each row is, and where its group begins and ends."""

    rows: np.ndarray  # (n,) by place
    own: np.ndarray  # (n,) place of each row
    first: np.ndarray  # (n,) first place of its group
    stop: np.ndarray  # (n,) place after the last one of its group

    @classmethod
    def of(cls, groups: np.ndarray) -> _Places:
        """Sort the rows of one pairing, (n,); rows without a group are alone."""
        rows = np.argsort(groups, kind="stable")
        ordered = groups[rows]
        begins = np.append(True, ordered[1:] != ordered[:-1]) | (ordered == UNPAIRED)
        starts = np.flatnonzero(begins)
        own = np.empty(len(rows), dtype=np.int64)
        own[rows] = np.arange(len(rows))
        number = np.cumsum(begins)[own] - 1  # of each row's group
        return cls(rows, own, starts[number], np.append(starts[1:], len(rows))[number])

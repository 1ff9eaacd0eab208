"""From real columns to bins: the one place where values become counts."""

import numpy as np

from .._inputs import CONTINUOUS, level_index
from ._validation import check_choice, check_int

STRATEGIES = {"uniform", "quantile"}
BLOCK = 8  # code columns gathered at a time: one cache line of float64
CHUNK = 32_768  # rows compared with the edges at a time


def check_binning(n_bins, strategy):
    """Raise unless `n_bins` and `strategy` describe a histogram."""
    check_int("n_bins", n_bins, 2)
    check_choice("strategy", strategy, STRATEGIES)


def bin_index(column, n_bins, strategy, weight=None):
    """Return the bin (n,) of every value of a finite float64 column.

    ``"uniform"`` cuts ``[min, max]`` into bins of equal width, each closed on its left
    and the last on both sides, as :func:`numpy.histogram` does. ``"quantile"`` puts
    cut ``j`` at the first value with more than ``j / n_bins`` of the weight at or
    below it, so a table repeated row by row, or weighted instead of repeated, keeps
    its bins, and so does any strictly increasing warp. The cuts separate the same
    rows as those of ``numpy.quantile(column, j / n_bins)`` when `n_bins` divides the
    number of rows, and at most one row more or less otherwise. Tied values are never
    separated.
    """
    if strategy == "uniform":
        return _count_edges(column, _uniform_edges(column, n_bins))
    return _count_edges(column, _quantile_edges(column, n_bins, weight))


def factor_index(values, kind, n_bins, strategy, weight=None):
    """Return the label (n,) of every row of one labelled factor, and their count.

    Discrete factors keep their levels, continuous ones are binned.
    """
    if kind == CONTINUOUS:
        values = bin_index(values, n_bins, strategy, weight).astype(np.float64)
    return level_index(values)


def labels_of(table, k, n_bins, strategy):
    """Return (labelled rows, their labels, number of levels) of factor `k`."""
    rows = np.flatnonzero(~np.isnan(table.factors[:, k]))
    values = table.factors[rows, k]
    return rows, *factor_index(values, table.kinds[k], n_bins, strategy)


def code_columns(codes):
    """Yield the codes column by column, float64 and contiguous.

    Columns are gathered in blocks, so a large table is never copied whole.
    """
    for start in range(0, codes.shape[1], BLOCK):
        block = codes[:, start : start + BLOCK].T
        yield from np.ascontiguousarray(block, dtype=np.float64)


def _uniform_edges(column, n_bins):
    """Return the n_bins - 1 inner edges between the smallest and largest value."""
    low, high = column.min(), column.max()
    with np.errstate(over="ignore"):
        fits = np.isfinite(high - low)
    if fits:
        return np.linspace(low, high, n_bins + 1)[1:-1]
    return 2.0 * np.linspace(low / 2, high / 2, n_bins + 1)[1:-1]


def _quantile_edges(column, n_bins, weight):
    """Return the n_bins - 1 cuts, by rank, or by cumulative weight if there is one."""
    cuts = np.arange(1, n_bins)
    if weight is None:
        return np.sort(column)[len(column) * cuts // n_bins]
    order = np.argsort(column, kind="stable")
    cumulative = np.cumsum(weight[order])
    position = np.searchsorted(cumulative, cuts * cumulative[-1] / n_bins, side="right")
    return column[order][np.minimum(position, len(column) - 1)]


def _count_edges(column, edges):
    """Return how many edges (sorted) are at or below each value.

    Comparing with every edge beats a binary search while edges are few.
    """
    if len(edges) > 64:
        return np.searchsorted(edges, column, side="right")
    index = np.empty(len(column), dtype=np.intp)
    for start in range(0, len(column), CHUNK):
        chunk = column[start : start + CHUNK]
        count = np.zeros(len(chunk), dtype=np.int8)
        for edge in np.unique(edges):
            count += chunk >= edge
        index[start : start + CHUNK] = count
    return index

"""Binning of continuous columns, for all metrics based on counts."""

import numpy as np

from .._inputs import CONTINUOUS, level_index
from ._validation import check_choice, check_int

STRATEGIES = {"uniform", "quantile"}
BLOCK = 8  # columns gathered at a time: one cache line of float64
CHUNK = 32_768  # values compared with the edges at a time


def check_binning(n_bins, strategy):
    """Raise unless `n_bins` and `strategy` describe a histogram."""
    check_int("n_bins", n_bins, 2)
    check_choice("strategy", strategy, STRATEGIES)


def bin_index(column, n_bins, strategy, weight=None):
    """Return the bin (n,) of every value of a finite float64 column.

    ``"uniform"`` cuts ``[min, max]`` into bins of equal width, each closed on its left
    and the last on both sides, as :func:`numpy.histogram` does. ``"quantile"`` puts
    cut ``j`` at the first value with more than ``j / n_bins`` of the weight at or
    below it. Bins are therefore invariant to repetition of all samples, to integer
    weights in place of repetition, and to strictly increasing transformations. The
    cuts separate the same samples as ``numpy.quantile(column, j / n_bins)`` if
    `n_bins` divides the number of samples, and otherwise differ by at most one
    sample. Tied values are never separated.
    """
    if strategy == "uniform":
        return _count_edges(column, _uniform_edges(column, n_bins))
    return _count_edges(column, _quantile_edges(column, n_bins, weight))


def factor_index(values, kind, n_bins, strategy, weight=None):
    """Return the label (n,) of every sample of one labelled factor, and their number.

    Discrete factors keep their levels, continuous ones are binned.
    """
    if kind == CONTINUOUS:
        values = bin_index(values, n_bins, strategy, weight).astype(np.float64)
    return level_index(values)


def labels_of(table, k, n_bins, strategy):
    """Return (labelled samples, their labels, number of levels) of factor `k`."""
    rows = np.flatnonzero(~np.isnan(table.factors[:, k]))
    values = table.factors[rows, k]
    return rows, *factor_index(values, table.kinds[k], n_bins, strategy)


def code_columns(codes):
    """Yield the columns of the codes, float64 and contiguous.

    Columns are gathered in blocks, so that a large table is never copied as a whole.
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
    """Return the n_bins - 1 cuts, by rank, or by cumulative weight if given."""
    cuts = np.arange(1, n_bins)
    if weight is None:
        return np.sort(column)[len(column) * cuts // n_bins]
    order = np.argsort(column, kind="stable")
    cumulative = np.cumsum(weight[order])
    position = np.searchsorted(cumulative, cuts * cumulative[-1] / n_bins, side="right")
    return column[order][np.minimum(position, len(column) - 1)]


def _count_edges(column, edges):
    """Return the number of (sorted) edges at or below each value.

    Comparison with every edge is faster than a binary search if there are few edges.
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

"""Distinct samples in canonical order, with their weights.

Axes: ``n`` samples, ``p`` features, ``m`` distinct samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..sources import SourceTable, row_keys

CHUNK = 4096
"""Samples that are processed at once."""


def rescale_weights(weight: np.ndarray) -> np.ndarray:
    """Rescale weights so that the largest is near one, by a power of two.

    The division is exact, and only ratios of weights matter: sums of the rescaled
    weights cannot overflow.

    Parameters
    ----------
    weight : ndarray of shape (n,)
    """
    return np.ldexp(weight, -np.frexp(weight.max())[1])


def canonical_rows(X, weight):
    """Return the distinct samples in an order that depends on their values alone.

    Equal samples, of which the same values are missing (NaN), are merged into one that
    has the sum of their weights, and samples of
    weight zero are removed. A fit to the result is therefore the same for an integer
    weight and for repeated samples, and for every order of the samples.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    weight : ndarray of shape (n,)
        Weights, >= 0.

    Returns
    -------
    index : ndarray of shape (m,)
        Indices of the distinct samples in ``X``, in canonical order.
    weight : ndarray of shape (m,)
        Their weights, positive.
    """
    present = np.flatnonzero(weight > 0)
    key = _keys_of(X)[present]
    # Weights of equal samples are added in a fixed order, since sums are rounded.
    order = np.lexsort((weight[present], key))
    index, key = present[order], key[order]
    is_first = np.ones(len(index), dtype=bool)
    tied = np.flatnonzero(key[1:] == key[:-1]) + 1
    for start in range(0, len(tied), CHUNK):
        some = tied[start : start + CHUNK]
        is_first[some] = _differ(X[index[some]], X[index[some - 1]])
    starts = np.flatnonzero(is_first)
    return index[starts], np.add.reduceat(weight[index], starts)


def _keys_of(X):
    """Return a hash of each sample of an array or of a table that is read in parts."""
    if isinstance(X, np.ndarray):
        return row_keys(X)
    return np.concatenate([row_keys(block) for _, block in X.blocks()])


def stored_rows(weight, n_drawn):
    """Return the samples of positive weight in stored order, after a random sample.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Weights, >= 0.
    n_drawn : int
        Samples, about, that are drawn without replacement, and come first.

    Returns
    -------
    index : ndarray of shape (m,), int32 or int64
        All samples of positive weight.
    n_leading : int
        How many of them are the random sample.
    """
    dtype = np.int32 if len(weight) < 2**31 else np.int64
    present = np.flatnonzero(weight > 0).astype(dtype)
    rng = np.random.RandomState(0)
    places = np.unique(rng.randint(0, len(present), size=n_drawn))
    is_rest = np.ones(len(present), dtype=bool)
    is_rest[places] = False
    drawn = present[rng.permutation(places)]
    return np.concatenate([drawn, present[is_rest]]), len(drawn)


def _differ(rows, others):
    """Return which samples differ in a value, or in what is missing, (n,)."""
    both_missing = np.isnan(rows) & np.isnan(others)
    return ((rows != others) & ~both_missing).any(axis=1)


def with_label_columns(X: Any, labels) -> Any:
    """Append the ranks of labels to the features, so that samples differ by both.

    Ranks have no unit. Without labels, ``X`` is returned as it is.

    Parameters
    ----------
    X : ndarray or SourceTable of shape (n, p)
    labels : sequence of m ndarrays of shape (n,)
        NaN where unknown.

    Returns
    -------
    ndarray, SourceTable or LabelledTable of shape (n, p + m)
    """
    ranks = [_ranks(column)[:, None] for column in labels]
    if not ranks:
        return X
    if isinstance(X, SourceTable):
        return LabelledTable(X, np.hstack(ranks))
    return np.hstack([X, *ranks])


class LabelledTable:
    """A table that is read in parts, with ranks of labels beside its features.

    Parameters
    ----------
    table : SourceTable of shape (n, p)
    ranks : ndarray of shape (n, m)
    """

    def __init__(self, table: SourceTable, ranks: np.ndarray):
        self.table, self.ranks = table, ranks

    def __getitem__(self, rows):
        return np.hstack([self.table[rows], self.ranks[rows]])

    def blocks(self):
        """Yield the first row of each block of consecutive rows, and the block."""
        for start, block in self.table.blocks():
            own = slice(start, start + len(block))
            yield start, np.hstack([block, self.ranks[own]])


def _ranks(labels: np.ndarray) -> np.ndarray:
    """Return each label's rank among the distinct ones, from one; zero for NaN."""
    is_known = ~np.isnan(labels)
    ranks = np.zeros(len(labels))
    ranks[is_known] = np.unique(labels[is_known], return_inverse=True)[1] + 1.0
    return ranks


def split_groups(n_rows, groups, fraction, n_splits, seed):
    """Draw disjoint parts of the samples, each a share of them.

    With groups, a part holds at most the share; where these would be less than half of
    it, also the smallest of the other groups. One group, at least, is in no part.

    Parameters
    ----------
    n_rows : int
    groups : ndarray of shape (n,) or None
        Samples of one group are in one part, or in none.
    fraction : float
        Share of the samples in a part, in (0, 1).
    n_splits : int
        Number of parts.
    seed : int

    Returns
    -------
    list of n_splits ndarrays of int
        At least one sample in each, as far as there are groups.
    """
    rng = np.random.RandomState(seed)
    size = max(1, round(fraction * n_rows))
    if groups is None:
        order = rng.permutation(n_rows)
        return [order[i * size : (i + 1) * size] for i in range(n_splits)]
    codes, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member)
    left = rng.permutation(len(codes))
    part = np.full(len(codes), n_splits)
    for i in range(n_splits):
        part[_take_groups(left, sizes, size, n_splits - i)] = i
        left = left[part[left] == n_splits]
    return [np.flatnonzero(part[member] == i) for i in range(n_splits)]


def _take_groups(order, sizes, size, n_left):
    """Return groups of about ``size`` samples in all, the first that fit.

    Parameters
    ----------
    order : ndarray of shape (n_groups,)
        Groups to choose from.
    sizes : ndarray
        Samples in each group, by its number.
    size : int
    n_left : int
        Groups that are left, at least, if another one can be taken; one is always left.
    """
    taken: list[int] = []
    total = 0
    for group in order:
        if len(taken) < len(order) - n_left and total + sizes[group] <= size:
            taken.append(group)
            total += sizes[group]
    others = order[~np.isin(order, taken)]
    if 2 * total < size and len(others) > (n_left if taken else 1):
        taken.append(others[np.argmin(sizes[others])])
    return np.array(taken, dtype=int)


def subsample(rows, weight, n_max, rng):
    """Return all samples, or ``n_max`` draws from the weighted samples.

    All are returned where there are at most ``n_max`` and their weights are equal.

    Parameters
    ----------
    rows : ndarray or StandardizedRows of shape (n, p)
    weight : ndarray of shape (n,)
    n_max : int
    rng : RandomState

    Returns
    -------
    ndarray of shape (n or n_max, p)
    """
    is_uniform = (weight == weight[0]).all()
    if is_uniform and len(rows) <= n_max:
        return rows[:]
    cdf = np.cumsum(weight)
    u = rng.uniform(size=n_max) * cdf[-1]
    return rows[np.minimum(np.searchsorted(cdf, u, side="right"), len(rows) - 1)]

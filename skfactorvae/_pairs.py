"""Pairs of samples: their identifiers in ``fit``, and helpers that make these.

Axes: ``n`` samples, ``c`` pairings.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import check_scalar

from ._inputs import columns, read_column

UNPAIRED = -1
"""Number in place of that of a pair for a sample without one."""


def pairs_to_groups(pairs, n_samples):
    """Convert pairs of row numbers to a group for each sample.

    Samples that are connected by pairs are in one group, and a sample without a pair
    is alone in its own. The result is the argument ``groups`` of scikit-learn's
    ``GroupKFold``, which then keeps pairs whole, and, for pairs that have no sample in
    common, the argument ``pairs`` of ``PairedVAETransformer.fit``.

    Parameters
    ----------
    pairs : array-like of int, of shape (n_pairs, 2)
        Row numbers of the samples of each pair.
    n_samples : int
        Number of samples.

    Returns
    -------
    groups : ndarray of int, of shape (n_samples,)
        Number of each sample's group, from zero, in the order of their first samples.

    Raises
    ------
    TypeError
        If ``n_samples`` is not an integer.
    ValueError
        If a pair is not one of two different row numbers below ``n_samples``.

    See Also
    --------
    successive_pairs : Pairs of successive samples of series.

    Examples
    --------
    >>> from skfactorvae import pairs_to_groups
    >>> pairs_to_groups([[0, 3], [1, 4]], 5)
    array([0, 1, 2, 0, 1])
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=0)
    ends = np.asarray(pairs)
    if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu":
        raise ValueError(
            "pairs must be an array of row numbers of shape (n_pairs, 2), got shape "
            f"{ends.shape} and dtype {ends.dtype}. Give the two rows of each pair."
        )
    outside = np.flatnonzero(((ends < 0) | (ends >= n_samples)).any(axis=1))
    if len(outside):
        raise ValueError(
            f"Pair {outside[0]} has the rows {ends[outside[0]].tolist()}, but there "
            f"are n_samples={n_samples} rows, from 0 to {n_samples - 1}. Count rows "
            "from zero, in X as it is given to fit."
        )
    loops = np.flatnonzero(ends[:, 0] == ends[:, 1])
    if len(loops):
        raise ValueError(
            f"Pair {loops[0]} pairs row {ends[loops[0], 0]} with itself, expected two "
            "different rows. Leave it out: samples without a pair need none."
        )
    return _components(ends[:, 0], ends[:, 1], n_samples)


def successive_pairs(order, series=None):
    """Return identifiers of the pairs of successive samples, for ``fit(X, pairs=...)``.

    Each sample is paired with the one before it and with the one after it, within its
    series. As a sample is in two pairs, there are two columns of identifiers: that of
    the pairs that begin at the first, third, ... sample of a series, and that of the
    others. Rows can be reordered and split as those of X.

    Parameters
    ----------
    order : array-like of shape (n_samples,)
        What samples are sorted by, such as their time: numbers, times or strings.
    series : array-like of shape (n_samples,), default=None
        Label of each sample's series; only samples of one series are paired. None
        takes all samples as one series.

    Returns
    -------
    pairs : ndarray of shape (n_samples, 2)
        Number of each sample's pair in both columns, NaN for none.

    Raises
    ------
    ValueError
        If the arguments have different lengths, or missing entries.

    See Also
    --------
    pairs_to_groups : Groups of samples from pairs of row numbers.

    Examples
    --------
    >>> from skfactorvae import successive_pairs
    >>> successive_pairs([3, 1, 2, 4])
    array([[ 1.,  0.],
           [ 0., nan],
           [ 0.,  0.],
           [ 1., nan]])
    """
    times = _known_column(order, "order")
    n = len(times)
    lines = np.zeros(n) if series is None else _known_column(series, "series")
    if len(lines) != n:
        raise ValueError(
            f"order has {n} entries and series has {len(lines)}; both need one entry "
            "per sample."
        )
    rows = np.lexsort((times, lines))
    is_first = np.append(True, lines[rows][1:] != lines[rows][:-1])[:n]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(n), 0))
    place = np.arange(n) - starts  # within the series
    found = np.full((n, 2), np.nan)
    for column in range(2):
        begins = np.flatnonzero((place % 2 == column) & ~np.append(is_first[1:], True))
        found[rows[begins], column] = found[rows[begins + 1], column] = np.arange(
            len(begins)
        )
    return found


def _known_column(values, name) -> np.ndarray:
    """Return the entries of one column as numbers in their order, (n,)."""
    found, _ = columns(values, name)
    if len(found) != 1:
        raise ValueError(f"{name} has {len(found)} columns, expected one.")
    numbers = read_column(found[0], name).values
    if n_missing := int(np.isnan(numbers).sum()):
        raise ValueError(
            f"{name} has {n_missing} missing entries, expected one for every sample. "
            "Leave these samples out."
        )
    return numbers


def check_pairs(pairs: Any, sample_weight: np.ndarray) -> np.ndarray | None:
    """Return the number of each sample's pair in each pairing, (n, c); None for None.

    Pairs are numbered in the order of their identifiers; a sample without one, or of
    weight zero, has the number -1.

    Parameters
    ----------
    pairs : array-like of shape (n,) or (n, c), or None
        Identifiers: numbers, strings, times or categories, missing for none.
    sample_weight : ndarray of shape (n,)

    Raises
    ------
    ValueError
        If identifiers are of another shape, or no two samples have the same one.
    """
    if pairs is None:
        return None
    found, names = columns(pairs, "pairs")
    n_samples = len(sample_weight)
    numbers = np.full((n_samples, len(found)), UNPAIRED)
    for j, (raw, name) in enumerate(zip(found, names, strict=True)):
        values = read_column(raw, f"pairs {name}").values
        if len(values) != n_samples:
            raise ValueError(
                f"pairs has {len(values)} rows, but X has {n_samples}. Give each "
                "sample the identifier of its pair, missing (NaN or None) for none; "
                "skfactorvae.pairs_to_groups converts pairs of row numbers."
            )
        present = np.flatnonzero((sample_weight > 0) & ~np.isnan(values))
        _, index = np.unique(values[present], return_inverse=True)
        numbers[present, j] = index.reshape(-1)
    if not any(_has_pair(column) for column in numbers.T):
        raise ValueError(
            "No two samples of positive weight have the same identifier in pairs, so "
            "that there is no pair. Give both samples of a pair the same one, and "
            "split samples by GroupKFold, which keeps pairs whole; or leave pairs out."
        )
    return numbers


def _has_pair(numbers: np.ndarray) -> bool:
    """Return whether two samples have the same number, other than -1."""
    counts = np.bincount(numbers + 1)
    return bool((counts[1:] > 1).any())


def joined_groups(numbers: np.ndarray) -> np.ndarray:
    """Return the groups of samples that are connected by any of several groupings.

    Parameters
    ----------
    numbers : ndarray of int, of shape (n, c)
        Number of each sample's group in each grouping, -1 for none.

    Returns
    -------
    ndarray of int, of shape (n,)
        Numbered in the order of their first samples.
    """
    n = len(numbers)
    firsts, members = [], []
    for column in numbers.T:
        rows = np.flatnonzero(column != UNPAIRED)
        _, first, index = np.unique(
            column[rows], return_index=True, return_inverse=True
        )
        firsts.append(rows[first][index.reshape(-1)])
        members.append(rows)
    return _components(np.concatenate(firsts), np.concatenate(members), n)


def _components(one: np.ndarray, other: np.ndarray, n: int) -> np.ndarray:
    """Return the connected component of each of n samples, in order of appearance."""
    edges = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(n, n))
    found = connected_components(edges, directed=False)[1]
    _, first, index = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[index.reshape(-1)]

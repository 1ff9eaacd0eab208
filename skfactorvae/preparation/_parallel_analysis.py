"""Number of components of a table, by parallel analysis.

Axes: ``n`` samples, ``m`` distinct samples, ``p`` features.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

MAX_COMPONENTS = 30
"""Components that ``n_components="auto"`` stands for, at most."""

MAX_ROWS, MAX_VALUES = 3000, 1_000_000
"""Samples that the correlations are computed from, at most, and their values."""

MIN_ROWS = 500
"""Samples of very many features, at least, where there are as many."""

LEAST_EIGENVALUE = 1e-12
"""Eigenvalue of a correlation matrix below which it is zero, to rounding."""

N_TABLES = 10
"""Tables of independent columns that eigenvalues are compared with."""


def n_components_by_parallel_analysis(X, index, weight, widths=None) -> int:
    r"""Count the principal components with more variance than chance gives them.

    The eigenvalues :math:`\lambda_1 \ge \lambda_2 \ge \dots` of the correlation matrix
    are compared with means of those of tables whose columns are drawn independently
    from the columns of X. The number is that of the first eigenvalues which are all
    larger, from 1 to 30.

    The result depends on the samples and their weights alone, not on a seed. Missing
    values are replaced by the mean of their column, in all tables.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Samples; NaN where a value is missing.
    index : ndarray of shape (m,)
        Distinct samples in canonical order.
    weight : ndarray of shape (m,)
        Their weights.
    widths : sequence of int, or None
        Number of features of each column, in order, where a column has several, as
        categories have; these are drawn together. None for one each.

    Returns
    -------
    int

    References
    ----------
    Horn (1965), "A rationale and test for the number of factors in factor analysis";
    Buja & Eyuboglu (1992), "Remarks on parallel analysis", for columns that are not
    normal.
    """
    n_rows = min(MAX_ROWS, max(MIN_ROWS, MAX_VALUES // X.shape[1]))
    chosen = index[:n_rows]  # canonical order is as good as a random one
    share = weight[: len(chosen)] / weight[: len(chosen)].sum()
    rows = _scaled(X[chosen])
    found = _eigenvalues(rows, share)
    rng = np.random.RandomState(0)
    edges = np.cumsum([0, *(widths or [1] * X.shape[1])])
    n_drawn = max(2, round(1 / float(share @ share)))  # Kish's rule
    by_chance = [
        _eigenvalues(_independent(rows, share, edges, n_drawn, rng))
        for _ in range(N_TABLES)
    ]
    expected = _mean(by_chance)
    width = min(len(found), len(expected))
    is_larger = found[:width] > np.maximum(expected[:width], LEAST_EIGENVALUE)
    n_leading = width if is_larger.all() else int(np.argmin(is_larger))
    return max(1, min(n_leading, MAX_COMPONENTS))


def _mean(eigenvalues):
    """Return the mean eigenvalues of several tables, zero where a table has fewer.

    A column that does not vary in one of the tables, as a rare value may not, has no
    eigenvalue there, which is zero.
    """
    whole = np.zeros((len(eigenvalues), max(map(len, eigenvalues))))
    for row, values in zip(whole, eigenvalues, strict=True):
        row[: len(values)] = values
    return whole.mean(axis=0)


def _scaled(rows):
    """Return columns divided by their largest value, so that squares are finite."""
    rows = rows.astype(np.float64)
    largest = np.nan_to_num(np.abs(rows)).max(axis=0)
    return rows / np.where(largest > 0, largest, 1.0)


def _independent(rows, share, edges, n_rows, rng):
    """Return samples whose columns are drawn independently, (n_rows, p)."""
    drawn = np.empty((n_rows, rows.shape[1]))
    shares = np.cumsum(share)
    for start, stop in pairwise(edges):
        places = np.searchsorted(shares, rng.uniform(size=n_rows) * shares[-1], "right")
        places = np.minimum(places, len(rows) - 1)
        drawn[:, start:stop] = rows[places, start:stop]
    return drawn


def _eigenvalues(rows, share=None):
    """Return the largest eigenvalues of the correlation matrix, descending.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
    share : ndarray of shape (n,), or None
        Weights that sum to one; None for equal ones.
    """
    share = np.full(len(rows), 1 / len(rows)) if share is None else share
    is_known = ~np.isnan(rows)
    rows = np.where(is_known, rows, 0.0)
    total = share @ is_known
    centred = (rows - share @ rows / np.where(total > 0, total, 1.0)) * is_known
    std = np.sqrt(share @ np.square(centred))
    varies = std > 1e-13
    units = centred[:, varies] / std[varies] * np.sqrt(share)[:, None]
    narrow = units if units.shape[1] <= len(units) else units.T
    size = narrow.shape[1]
    values = np.linalg.eigvalsh(narrow.T @ narrow) if size else np.zeros(1)
    return values[::-1][: MAX_COMPONENTS + 1]

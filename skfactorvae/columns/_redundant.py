"""Columns of numbers that say nothing of the samples, or the same as another one.

Axes: ``n`` samples, ``p`` columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MIN_SAMPLES = 20
"""Samples below which a sequence or a copy may be chance."""

MAX_COLUMNS = 300
"""Columns that are compared, at most."""

MAX_SAMPLES = 10_000
"""Samples by which columns are compared, at most."""

TOLERANCE = 1e-5
"""Difference of standardised values of copies, at most."""


def about_redundant(values: np.ndarray, names: Sequence[str]) -> str | None:
    """Return a remark about numbers of samples and copies of columns, or None.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        Columns of numbers, NaN where missing, in the order of the samples.
    names : sequence of p str
    """
    if len(values) < MIN_SAMPLES or values.shape[1] > MAX_COLUMNS:
        return None
    numbering = [name for name, own in zip(names, values.T, strict=True) if counts(own)]
    copies = [[names[j] for j in group] for group in copied_columns(values)]
    parts = []
    if numbering:
        parts.append(
            f"Columns that number the samples in their order: {_quoted(numbering)}. "
            "Leave them out if they are identifiers, since a component may describe "
            "them; keep them if the order has a meaning, such as time."
        )
    if copies:
        groups = "; ".join(map(_quoted, copies[:5])) + "; ..." * (len(copies) > 5)
        parts.append(
            f"Columns that are copies of each other up to unit and offset: {groups}. "
            "Keep one of them, since a component may describe the copies alone."
        )
    return f"X has redundant columns. {' '.join(parts)}" if parts else None


def _quoted(names: Sequence[str]) -> str:
    """Return the first five of some names."""
    return ", ".join(repr(str(name)) for name in names[:5]) + ", ..." * (len(names) > 5)


def counts(values: np.ndarray) -> bool:
    """Return whether values (n,) are 0 to n - 1 or 1 to n, in order or reversed."""
    low, n = min(values[0], values[-1]), len(values)
    if low not in (0, 1):
        return False
    sequence = np.arange(n) + low
    return any(np.array_equal(values[::step], sequence) for step in (1, -1))


def copied_columns(values: np.ndarray) -> list[list[int]]:
    """Return groups of columns that are equal up to unit, sign and offset.

    Constant columns are in no group.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        NaN where missing.
    """
    standard = _standardised(values[:MAX_SAMPLES].astype(np.float64))  # (n, p)
    weight = np.cos(np.arange(len(standard)))  # a fixed direction: equal for copies
    keys = np.abs(weight @ np.nan_to_num(standard))  # (p,)
    varies = np.flatnonzero(np.isfinite(standard).any(axis=0))
    order = varies[np.argsort(keys[varies], kind="stable")].tolist()
    groups: dict[int, list[int]] = {}
    for j in order:
        close = (i for i in groups if keys[j] - keys[i] <= TOLERANCE * len(standard))
        first = next((i for i in close if _are_equal(standard[:, (i, j)].T)), j)
        groups.setdefault(first, []).append(j)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Return columns of mean 0 and variance 1, (n, p); NaN if they are constant."""
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=0), 1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        centred = values - np.where(known, values, 0).sum(axis=0) / n
        std = np.sqrt((np.where(known, centred, 0) ** 2).sum(axis=0) / n)
        is_constant = std <= 1e-9 * np.abs(np.where(known, values, 0)).max(axis=0)
        return centred / np.where(is_constant, np.nan, std)


def _are_equal(pair: np.ndarray) -> bool:
    """Return whether two standardised columns (2, n) are equal up to sign."""
    first, second = pair
    return any(
        np.allclose(first, sign * second, rtol=0, atol=TOLERANCE, equal_nan=True)
        for sign in (1, -1)
    )

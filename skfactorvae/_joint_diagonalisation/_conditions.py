"""Auxiliary columns: conditions of samples, or their order in time.

Axes: ``n`` samples, ``K`` conditions, ``d`` components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .._inputs import TIME, Column, columns, read_column
from ._condition_table import ConditionTable

KINDS = ("auto", "conditions", "time")

MIN_ROWS = 10
"""Samples of a condition, at least; with more than five components, two for each."""

LAGS = (1, 2, 3, 5, 8, 12, 20)
"""Lags at which covariances in time are computed."""


@dataclass(frozen=True)
class Conditions:
    """The condition of each sample.

    Attributes
    ----------
    index : ndarray of shape (n,)
        Number of each sample's condition; -1 where it is unknown.
    labels : tuple of str
        Name of each condition.
    """

    index: np.ndarray
    labels: tuple[str, ...]
    noun: ClassVar[str] = "conditions"

    @cached_property
    def groups(self) -> list[np.ndarray]:
        """Indices of the samples of each condition."""
        return [np.flatnonzero(self.index == k) for k in range(len(self.labels))]

    @property
    def weights(self) -> np.ndarray:
        """Share of the samples in each condition, (K,)."""
        sizes = np.array([len(group) for group in self.groups], dtype=np.float64)
        return sizes / sizes.sum()

    def check(self, n_components: int) -> None:
        """Raise if there are too few conditions, or one has too few samples.

        Raises
        ------
        ValueError
        """
        if len(self.labels) < 2:
            what = f"one condition, {self.labels[0]}" if self.labels else "no condition"
            raise ValueError(
                f"aux has {what}; expected at least two that differ in the spread of "
                "the components. Pass another column, or do not rotate."
            )
        least = max(MIN_ROWS, 2 * n_components)
        small = [
            f"{label} ({len(group)})"
            for label, group in zip(self.labels, self.groups, strict=True)
            if len(group) < least
        ]
        if small:
            more = ", ..." if len(small) > 5 else ""
            raise ValueError(
                f"aux has {len(small)} conditions of fewer than {least} samples: "
                f"{', '.join(small[:5])}{more}. A covariance of {n_components} "
                f"components needs at least {least}. Join conditions, or write NaN for "
                "the condition of these samples, which are then left out."
            )

    def centred(self, codes: np.ndarray) -> np.ndarray:
        """Return codes (n, d) without the mean of their condition."""
        centred = codes.astype(np.float64)
        for group in self.groups:
            centred[group] -= centred[group].mean(axis=0)
        return centred

    def covariances(self, centred, variances=None, rng=None) -> np.ndarray:
        """Return the covariance matrices within conditions, (K, d, d).

        Permuted conditions have means of their own, which are subtracted as well:
        second moments about zero would vary less between permuted conditions than
        covariances do between given ones.

        Parameters
        ----------
        centred : ndarray of shape (n, d)
            By :meth:`centred`.
        variances : ndarray of shape (n, d), default=None
            Posterior variances, whose means are added.
        rng : RandomState or None
            Permutes the conditions of the samples.
        """
        groups = self.groups
        if rng is not None:
            shuffled = rng.permutation(np.concatenate(groups))
            groups = np.split(shuffled, np.cumsum([len(g) for g in groups])[:-1])
        return np.stack([_covariance(centred, variances, g) for g in groups])


@dataclass(frozen=True)
class TimeOrder:
    r"""The order of samples in time, for covariances at several lags.

    At each lag there are two matrices, of sums and of differences of codes,
    :math:`(z_t \pm z_{t+\tau}) / \sqrt 2`. Their covariances are C_0 + C_tau and C_0 -
    C_tau, which are positive definite, as lagged covariances are not.

    Attributes
    ----------
    order : ndarray of int
        Samples in the order of time.
    lags : tuple of int
    """

    order: np.ndarray
    lags: tuple[int, ...] = LAGS
    noun: ClassVar[str] = "sums and differences of lagged codes"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the matrices."""
        signs = ("sum", "difference")
        return tuple(f"{sign} at lag {lag}" for lag in self.lags for sign in signs)

    @property
    def weights(self) -> np.ndarray:
        """Weights of the matrices, (K,)."""
        return np.full(2 * len(self.lags), 0.5 / len(self.lags))

    def check(self, n_components: int) -> None:
        """Raise if there are too few samples for the lags.

        Raises
        ------
        ValueError
        """
        least = max(MIN_ROWS, 2 * n_components) + max(self.lags)
        if len(self.order) < least:
            raise ValueError(
                f"aux orders {len(self.order)} samples in time; expected at least "
                f"{least} for lags up to {max(self.lags)} and {n_components} "
                "components. Pass smaller lags, or more samples."
            )

    def centred(self, codes: np.ndarray) -> np.ndarray:
        """Return codes (n, d) without their mean."""
        return codes - codes[self.order].mean(axis=0, dtype=np.float64)

    def covariances(self, centred, variances=None, rng=None) -> np.ndarray:
        """Return the covariances of sums and differences at each lag, (K, d, d).

        Parameters
        ----------
        centred, variances, rng
            As those of :meth:`Conditions.covariances`; ``rng`` permutes the order.
        """
        order = self.order if rng is None else rng.permutation(self.order)
        series = centred[order]
        added = 0.0 if variances is None else np.diag(variances[order].mean(axis=0))
        found = []
        for lag in self.lags:
            early, late = series[:-lag], series[lag:]
            for pair in (early + late, early - late):
                found.append(pair.T @ pair / (2 * len(pair)) + added)
        return np.stack(found)


Auxiliary = Conditions | TimeOrder


def _covariance(codes, variances, chosen):
    """Return the unbiased covariance of some samples, (d, d)."""
    part = codes[chosen] - codes[chosen].mean(axis=0)
    covariance = part.T @ part / (len(part) - 1)
    if variances is not None:
        covariance += np.diag(variances[chosen].mean(axis=0))
    return covariance


# ------------------------------------------------------------------------- reading
def read_auxiliary(
    aux: Any, n_samples: int, kind: str = "auto", lags: Sequence[int] = LAGS
) -> Auxiliary:
    """Read auxiliary columns as conditions, or as an order in time.

    Parameters
    ----------
    aux : array-like or frame of shape (n,) or (n, m)
        Several columns are conditions together: each combination is one. Continuous
        columns are cut into at most 20 conditions of equally many samples. A sample of
        which a column is missing has no known condition.
    n_samples : int
    kind : {"auto", "conditions", "time"}
        ``"auto"`` takes one column of times as an order in time, and all else as
        conditions.
    lags : sequence of int
        Lags of an order in time, in samples.

    Raises
    ------
    ValueError
        If aux is of another length, is infinite, has no known entry, or two samples
        have the same time.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}; got {kind!r}.")
    found, names = read_columns(aux, n_samples)
    is_known = known_rows(found)
    is_time = len(found) == 1 and found[0].content == TIME
    if kind == "time" or (kind == "auto" and is_time):
        return _read_order(found, is_known, lags)
    table = ConditionTable.of(found, names, np.flatnonzero(is_known))
    return Conditions(table.index_of(found), table.labels)


def read_columns(
    aux: Any, n_samples: int, index: Any = slice(None)
) -> tuple[list[Column], tuple[str, ...]]:
    """Read auxiliary columns at some samples, and their names.

    Raises
    ------
    ValueError
        If aux is of another length, or infinite.
    """
    raw, names = columns(aux, "aux")
    n_given = len(raw[0])
    if n_given != n_samples:
        raise ValueError(
            f"aux has {n_given} rows, but X has {n_samples} samples. Give one row per "
            "sample, NaN where a condition is unknown."
        )
    found = [
        read_column(column, f"Column {name!r} of aux", index)
        for name, column in zip(names, raw, strict=True)
    ]
    for column, name in zip(found, names, strict=True):
        if np.isinf(column.values).any():
            raise ValueError(
                f"Column {name!r} of aux holds infinity; expected finite numbers, or "
                "NaN where a condition is unknown."
            )
    return found, names


def refuse_times(found: Sequence[Column], names: Sequence[str]) -> None:
    """Raise if columns hold times, whose numbers depend on the other samples.

    Raises
    ------
    ValueError
    """
    times = [n for n, c in zip(names, found, strict=True) if c.content == TIME]
    if times:
        raise ValueError(
            f"Column {times[0]!r} of aux holds dates or durations; expected numbers, "
            "names or categories. Convert it to a number, or to periods such as months."
        )


def known_rows(found: Sequence[Column]) -> np.ndarray:
    """Return which samples have an entry in each column, (n,).

    Raises
    ------
    ValueError
        If none has.
    """
    is_known = ~np.any([np.isnan(column.values) for column in found], axis=0)
    if not is_known.any():
        raise ValueError(
            "aux is missing for all samples; expected the condition or the time of at "
            "least some of them. Check how aux was read."
        )
    return is_known


def _read_order(found, is_known, lags) -> TimeOrder:
    if len(found) > 1 or not found[0].is_ordered:
        raise ValueError(
            f"kind='time' needs one column of numbers or times, got {len(found)} "
            "columns, or names without an order. Pass the time of each sample."
        )
    steps = _checked_lags(lags)
    known = np.flatnonzero(is_known)
    times = found[0].values[known]
    if len(np.unique(times)) < len(times):
        raise ValueError(
            "aux gives the same time to several samples, so that their order is "
            "unknown. Pass distinct times; for kind='conditions', each value of aux is "
            "a condition."
        )
    order = known[np.argsort(times)]
    return TimeOrder(order, steps)


def _checked_lags(lags: Any) -> tuple[int, ...]:
    """Return distinct lags in ascending order, if all can be lags."""
    array = np.asarray(lags)
    is_number = array.ndim == 1 and len(array) > 0 and array.dtype.kind in "iuf"
    if not is_number or not ((array >= 1) & (array == np.rint(array))).all():
        raise ValueError(
            "lags must be a sequence of integers of at least 1, in samples; got "
            f"{lags!r}. Pass lags=(1,) for one."
        )
    return tuple(sorted({int(lag) for lag in array}))

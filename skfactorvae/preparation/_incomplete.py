"""Incomplete tables: a factor analysis that completes them, and completed rows.

Axes: ``n`` samples, ``p`` features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import core
from ._errors import precision_weights

RANKS = (1, 2, 4, 8, 16)
"""Numbers of factors that are compared."""

FACTOR_ROWS = 2000
"""Samples to which the factor analysis is fitted, at most."""

TRIAL_STEPS, FINAL_STEPS = 20, 60
"""Steps of expectation maximisation with each number of factors, and with the best."""

TRIAL_FRACTION = 0.1
"""Share of the observed values by which numbers of factors are compared."""

CLEAR_VARIANCE = 1.1
"""Variance of a direction that is clearly above that of an average feature, 1."""

MAX_ERROR = 10.0
"""Standardised error of a value above which larger ones count no more."""


@dataclass(frozen=True)
class Completion:
    """A table, and what stands in for its missing values before training.

    Attributes
    ----------
    model : core.IncompleteFactorAnalysis or None
        Factor analysis of the observed values; None for a table that needs none.
    expected : ndarray of shape (n, p)
        Samples with expected values in place of missing ones; with known errors, the
        draws, since expectations of imprecise values vary less than exact ones.
    drawn : ndarray of shape (n, p)
        Samples with draws in their place, which have the variance of observed values.
    weight : ndarray of shape (n,)
        Weights of the samples; with known errors, times their mean reliability.
    """

    model: core.IncompleteFactorAnalysis | None
    expected: np.ndarray
    drawn: np.ndarray
    weight: np.ndarray

    @property
    def direction_counts(self) -> tuple[int, ...]:
        """Numbers of principal directions of a linear start; empty to count them.

        Expected values vary less than the missing ones did, and would have too few.
        The second number leaves out directions of hardly more variance than an average
        feature, which the complete samples may not have.
        """
        if self.model is None or self.expected is self.drawn:
            return ()
        counts = (self.model.count_directions(least) for least in (1.0, CLEAR_VARIANCE))
        return tuple(dict.fromkeys(counts))


def has_missing(X: Any) -> bool:
    """Return whether a value is missing; a sum shows it without a copy of the table.

    Tables that are read in parts know it from their first pass.
    """
    if not isinstance(X, np.ndarray):
        return bool(X.has_missing)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(X.sum()) and np.isnan(X).any())


def complete(
    rows: np.ndarray,
    weight: np.ndarray,
    model: core.IncompleteFactorAnalysis | None,
    seed: int,
) -> Completion:
    """Complete rows by a factor analysis; rows without missing values are not copied.

    Parameters
    ----------
    rows : ndarray of shape (n, p) or (n, 2 p)
        Standardised samples, NaN where missing, beside their errors if these are known.
    weight : ndarray of shape (n,)
    model : core.IncompleteFactorAnalysis or None
    seed : int
        Seed of the draws.
    """
    is_complete = not has_missing(rows)
    if model is None or (is_complete and rows.shape[1] == len(model.mean)):
        return Completion(model, rows, rows, weight)
    rng = np.random.RandomState(seed % 2**32)
    drawn = model.complete(rows, rng)
    if rows.shape[1] == len(model.mean):
        return Completion(model, model.complete(rows), drawn, weight)
    trust = model.reliability(rows).mean(axis=1)
    return Completion(model, drawn, drawn, weight * trust / trust.max())


def fit_factors(
    rows: np.ndarray, weight: np.ndarray, seed: int, errors: np.ndarray | None = None
) -> core.IncompleteFactorAnalysis:
    """Fit factor analysis to the observed values, with as many factors as predict them.

    Numbers of factors are compared by the error of observed values that are hidden for
    it, from one factor on, as long as that error falls. At most 2,000 samples are used.
    Values with known errors count the less, the larger these are.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Standardised samples, NaN where missing.
    weight : ndarray of shape (n,)
    seed : int
    errors : ndarray of shape (n, p) or None, default=None
        Standard deviations of known errors.
    """
    rng = np.random.RandomState(seed % 2**32)
    some = rng.permutation(len(rows))[:FACTOR_ROWS]
    rows, weight = rows[np.sort(some)].astype(np.float64), weight[np.sort(some)]
    errors = None if errors is None else errors[np.sort(some)].astype(np.float64)
    count = precision_weights(errors)
    hidden = ~np.isnan(rows) & (rng.uniform(size=rows.shape) < TRIAL_FRACTION)
    visible = np.where(hidden, np.nan, rows)
    fit = partial(core.fit_incomplete_factor_analysis, seed=seed, errors=errors)
    best, least = RANKS[0], np.inf
    ranks = [r for r in RANKS if r < max(2, min(rows.shape))] if hidden.any() else []
    for rank in ranks:
        model = fit(visible, weight, rank, n_steps=TRIAL_STEPS)
        known = visible if errors is None else np.hstack([visible, errors])
        squares = np.square(model.complete(known) - rows) * count
        loss = float(np.mean(np.minimum(squares[hidden], MAX_ERROR**2)))
        if not loss < least:
            break
        best, least = rank, loss
    return fit(rows, weight, best, n_steps=FINAL_STEPS)

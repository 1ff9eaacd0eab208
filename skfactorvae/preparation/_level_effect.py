"""Non-normality that columns of few levels cause by themselves.

Answers and right-wrong items are not normal even where the variables that they measure
are, and neither are FastICA's components of them. How much of their non-normality is
due to the levels alone is computed from normal samples with the same levels.

Axes: ``n`` samples, ``p`` features, ``r`` sources.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._simple_structure import non_normality
from ._noise_levels import have_few_levels

N_DRAWS = 5
"""Normal tables that are drawn."""

MAX_ROWS = 3000
"""Samples of each, at most."""


def level_effect(
    sample: np.ndarray,
    n_sources: int,
    rotation_of: Callable[..., np.ndarray],
    seed: int,
) -> float:
    """Compute the non-normality of sources that is due to the levels of columns.

    Normal samples with the correlations of the table are drawn, and given the values of
    its columns of few levels, in the order of their ranks. The effect is the difference
    in the median non-normality of FastICA's sources, with and without these levels.

    Parameters
    ----------
    sample : ndarray of shape (n, p)
    n_sources : int
        Principal directions that FastICA rotates, r.
    rotation_of : callable (scores, rng) -> ndarray of shape (r, r)
        Returns the rotation of white scores to FastICA's sources.
    seed : int

    Returns
    -------
    float
        Mean over five draws; zero without columns of few levels.
    """
    rng = np.random.RandomState(seed % 2**32)
    rows = sample[rng.permutation(len(sample))[:MAX_ROWS]]
    discrete = np.flatnonzero(have_few_levels(rows, np.ones(len(rows)), seed))
    if not len(discrete):
        return 0.0
    values, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    effects = []
    for _ in range(N_DRAWS):
        normal = rng.normal(size=rows.shape) @ root.T
        leveled = normal.copy()
        for j in discrete:
            leveled[np.argsort(normal[:, j]), j] = np.sort(rows[:, j])
        scores = (_white_scores(table, n_sources) for table in (leveled, normal))
        with_levels, without = (
            np.median(non_normality(part @ rotation_of(part, rng).T)) for part in scores
        )
        effects.append(with_levels - without)
    return float(np.mean(effects))


def _white_scores(table: np.ndarray, n_directions: int) -> np.ndarray:
    """Return the first principal components with variance one, (n, r)."""
    centred = table - table.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(table, rowvar=False))
    spread = np.sqrt(values[::-1][:n_directions])
    return centred @ vectors[:, ::-1][:, :n_directions] / spread

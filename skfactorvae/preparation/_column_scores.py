"""How well held-out values of each feature are predicted from the others.

Axes: ``m`` held-out samples, ``p`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import core
from .._moments import average_of_columns
from ._calibration import EVALUATED_ROWS, held_out_of

SCORED_ROWS = 128
"""Held-out samples of a split whose values are predicted, at most."""

MAX_SCORED_FEATURES = 300
"""Features above which it takes too long."""


@np.errstate(over="ignore", invalid="ignore")  # the model may have diverged
def column_scores(
    jobs: Sequence[core.Job], weights: Sequence[core.Arrays], device: Any
) -> dict[str, np.ndarray]:
    """Compute the mean log-density of held-out values, feature by feature.

    Parameters
    ----------
    jobs : sequence of core.Job
        Of one model, fitted to one or several shares of the samples.
    weights : sequence of mapping of str to ndarray
        Trained weights of each.
    device : torch.device

    Returns
    -------
    dict of str to ndarray of shape (p,)
        ``predicted``, given other values of the sample, and ``independent``, under a
        distribution of the feature alone, nats in standardised units; ``mean``, of the
        same values. Of a column of several features, it is the first that has them.
        Empty for tables of numbers, and for more than 300 features.
    """
    is_typed = isinstance(jobs[0].likelihood, core.Composite)
    if not is_typed or jobs[0].network.n_features > MAX_SCORED_FEATURES:
        return {}
    parts = []
    for job, own in zip(jobs, weights, strict=True):
        held_out = held_out_of(job)
        rows, weight = held_out.rows[:SCORED_ROWS], held_out.row_weights[:SCORED_ROWS]
        network, likelihood = job.network, job.likelihood
        prior = job.objective.prior
        scores = core.predicted_scores(
            network, likelihood, own, rows, prior=prior, device=device
        )
        few = job.rows[:EVALUATED_ROWS], job.row_weights[:EVALUATED_ROWS]
        alone = core.independent_scores(likelihood, job.start, *few, rows)
        parts.append((scores, alone, rows.astype(np.float64), weight))
    *tables, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    names = "predicted", "independent", "mean"
    return {
        name: average_of_columns(table, weight)
        for name, table in zip(names, tables, strict=True)
    }

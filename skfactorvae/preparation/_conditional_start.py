"""Start of a model whose prior depends on the condition of a sample.

Axes: ``n`` samples, ``p`` features, ``d`` components, ``r`` directions of a linear
start, ``K`` conditions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import core
from .._joint_diagonalisation import Conditions, compare_shapes, diagonalise
from ._initialization import LinearStart

RIDGE = 1e-6
"""Added to the variances of white codes within conditions."""

N_PERMUTATIONS = 99
"""Permutations of the conditions that covariances are compared with."""

PRIOR_SAMPLES = 1.0
"""Samples of the standard normal prior that count to each condition."""


def conditional_start(
    start: LinearStart, rows, labels, weight, n_conditions: int
) -> tuple[LinearStart, dict[str, np.ndarray]]:
    """Diagonalise the codes of a linear start jointly within conditions.

    Parameters
    ----------
    start : LinearStart
        Returned as it is where its encoder is zero, or fewer than two conditions have
        more samples than it has directions.
    rows : ndarray of shape (n, p)
        Standardised samples.
    labels : ndarray of shape (n, 1)
        Number of each sample's condition, NaN where unknown.
    weight : ndarray of shape (n,)
    n_conditions : int

    Returns
    -------
    start : LinearStart
        Its codes have variance one.
    prior : dict of str to ndarray
        The weight of :class:`core.AuxiliaryVAE`, moments of codes by condition.
    """
    used = np.flatnonzero(start.encoder.any(axis=0))
    moments = np.zeros((n_conditions, 2, start.encoder.shape[1]))
    if not len(used):
        return start, {core.CONDITIONAL_PRIOR: moments}
    groups = condition_groups(labels, n_conditions)
    share = weight / weight.sum()
    codes = rows.astype(np.float64) @ start.encoder[:, used]
    turn = diagonalising(codes, share, groups)
    codes = codes @ turn.T
    encoder, decoder = start.encoder.copy(), start.decoder.copy()
    encoder[:, used] = start.encoder[:, used] @ turn.T
    decoder[used] = np.linalg.solve(turn.T, start.decoder[used])
    mean, log_var = condition_moments(codes, len(rows) * share, groups)
    moments[:, 0, used], moments[:, 1, used] = mean, log_var
    found = replace(start, encoder=encoder, decoder=decoder)
    return found, {core.CONDITIONAL_PRIOR: moments}


def compare_conditions(start, rows, labels, n_conditions: int) -> dict[str, float]:
    """Test whether covariances within conditions differ in shape.

    Parameters
    ----------
    start, rows, labels, n_conditions
        As those of :func:`conditional_start`.

    Returns
    -------
    criteria : dict of str to float
        ``conditions_p``, the share of permuted conditions whose covariances differ as
        much; empty where fewer than two conditions, or two directions, are compared.
    """
    used = np.flatnonzero(start.encoder.any(axis=0))
    codes = rows.astype(np.float64) @ start.encoder[:, used]
    groups = _compared(condition_groups(labels, n_conditions), 2 * len(used))
    if len(used) < 2 or len(groups) < 2:
        return {}
    index = np.full(len(codes), -1)
    for k, group in enumerate(groups):
        index[group] = k
    conditions = Conditions(index, tuple(map(str, range(len(groups)))))
    ridge = np.full(codes.shape, RIDGE)
    rng = np.random.RandomState(0)
    return {
        "conditions_p": compare_shapes(conditions, codes, ridge, N_PERMUTATIONS, rng)
    }


def condition_groups(labels, n_conditions):
    """Return the indices of the samples of each condition."""
    return [np.flatnonzero(labels[:, 0] == k) for k in range(n_conditions)]


def _compared(groups, n_samples):
    """Return the groups of more samples than this."""
    return [group for group in groups if len(group) > n_samples]


def diagonalising(codes, share, groups, variances=None, **options):
    """Return the matrix (r, r) whose codes are uncorrelated under all conditions.

    All samples together have a variance of one in these codes.

    Parameters
    ----------
    codes : ndarray of shape (n, r)
    share : ndarray of shape (n,)
        Weights of the samples, which sum to one.
    groups : sequence of K ndarrays of int
        Samples of each condition; those of no more than r samples are left out.
    variances : ndarray of shape (n, r) or None
        Posterior variances of the codes.
    **options
        Of :func:`diagonalise`.
    """
    added = np.zeros_like(codes) if variances is None else variances
    r = codes.shape[1]
    groups = _compared(groups, r)
    matrix = np.eye(r)
    if r > 1 and len(groups) > 1:
        sizes = np.array([share[group].sum() for group in groups])
        covariances = np.stack(
            [_covariance(codes[g], share[g], added[g]) for g in groups]
        )
        covariances += RIDGE * np.eye(r)
        matrix = diagonalise(covariances, sizes / sizes.sum(), **options)
    spread = np.diag(_covariance(codes @ matrix.T, share, added @ np.square(matrix).T))
    return matrix / np.sqrt(np.maximum(spread, RIDGE))[:, None]


def _covariance(codes, share, variances):
    share = share / share.sum()
    centred = codes - share @ codes
    return (centred * share[:, None]).T @ centred + np.diag(share @ variances)


def condition_moments(codes, weight, groups, variances=None):
    """Return means and log-variances of each condition's codes, (K, r) each.

    The mean weight of a sample is one. Posterior variances, (n, r), are added.
    """
    added = np.zeros_like(codes) if variances is None else variances
    found = []
    for group in groups:
        own, w, more = codes[group], weight[group], added[group]
        total = w.sum() + PRIOR_SAMPLES
        mean = w @ own / total
        squares = w @ (np.square(own - mean) + more) + PRIOR_SAMPLES * (
            1 + np.square(mean)
        )
        found.append((mean, np.log(squares / total)))
    means, log_vars = zip(*found, strict=True)
    return np.stack(means), np.stack(log_vars)

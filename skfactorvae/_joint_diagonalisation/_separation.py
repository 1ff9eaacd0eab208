"""How far conditions differ in the spread of components, compared with chance.

Axes: ``K`` conditions, ``d`` components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_ROTATED = 50
"""Permutations of which components are found, at most, to learn what separation chance
gives."""


@dataclass(frozen=True)
class Separation:
    """Differences of spread that identify components, and what chance gives.

    Attributes
    ----------
    by_component : ndarray of shape (d,)
        Smallest entry of :func:`pair_separations` between a component and any other,
        >= 0: zero if the spread of another one changes in proportion, so that rotations
        of the two are not identified.
    chance : float
        Value that components exceed in one of a hundred permutations of aux.
    p_value : float
        Share of the permutations with a :func:`shape_difference` at least as large.
    """

    by_component: np.ndarray
    chance: float
    p_value: float


def pair_separations(spreads: np.ndarray, weights: np.ndarray) -> np.ndarray:
    r"""Return how far the ratio of two components' spreads changes, (d, d), >= 0.

    The standard deviation over conditions of :math:`\log(\sigma_{ki}/\sigma_{kj})`.

    Parameters
    ----------
    spreads : ndarray of shape (K, d)
        Standard deviation of each component under each condition.
    weights : ndarray of shape (K,)
        Weights of the conditions, which sum to one.
    """
    logs = np.log(spreads)
    centred = logs - weights @ logs
    cross = (weights[:, None] * centred).T @ centred
    squares = np.diag(cross)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * cross, 0.0))


def component_separations(spreads, weights) -> np.ndarray:
    """Return the separation of each component from the nearest other one, (d,)."""
    pairs = pair_separations(spreads, weights)
    np.fill_diagonal(pairs, np.inf)
    return pairs.min(axis=1)


def shape_difference(covariances, weights) -> float:
    r"""Return how far covariances differ in shape, nats, >= 0.

    .. math:: \tfrac{1}{2} \sum_k w_k [d \log(\operatorname{tr} M_k / d) - \log|M_k|]

    for covariances M_k that are whitened by their mean. It is zero if all are
    proportional to each other, so that they identify no rotation. It does not depend on
    linear maps of the components.
    """
    mean = np.tensordot(weights, covariances, 1)
    d = len(mean)
    traces = np.trace(np.linalg.solve(mean, covariances), axis1=1, axis2=2)
    log_dets = np.linalg.slogdet(covariances)[1] - np.linalg.slogdet(mean)[1]
    return float(0.5 * weights @ (d * np.log(traces / d) - log_dets))


def spreads_of(covariances, matrix) -> np.ndarray:
    """Return the standard deviations of components ``matrix @ z``, (K, d)."""
    return np.sqrt(np.einsum("ij,kjl,il->ki", matrix, covariances, matrix))


def compare_shapes(auxiliary, codes, variances, n_permutations, rng) -> float:
    """Return the share of permuted conditions whose covariances differ as much.

    Parameters
    ----------
    auxiliary : Conditions or TimeOrder
    codes : ndarray of shape (n, d)
    variances : ndarray of shape (n, d) or None
        Posterior variances.
    n_permutations : int
    rng : RandomState
    """
    centred, weights = auxiliary.centred(codes), auxiliary.weights
    observed = shape_difference(auxiliary.covariances(centred, variances), weights)
    n_as_large = 1 + sum(
        shape_difference(auxiliary.covariances(centred, variances, rng), weights)
        >= observed
        for _ in range(n_permutations)
    )
    return n_as_large / (1 + n_permutations)


def chance_separation(auxiliary, codes, variances, n_permutations, rng, find) -> float:
    """Return the separation that components exceed by chance, in 1 of 100.

    Parameters
    ----------
    auxiliary, codes, variances, n_permutations, rng
        As those of :func:`compare_shapes`; at most 50 permutations are made.
    find : callable (covariances, weights, n_starts) -> matrix
        Finds components of permuted conditions, as of given ones.
    """
    centred, weights = auxiliary.centred(codes), auxiliary.weights
    found = []
    for _ in range(min(n_permutations, N_ROTATED)):
        permuted = auxiliary.covariances(centred, variances, rng)
        matrix = find(permuted, weights, n_starts=0)
        found.append(component_separations(spreads_of(permuted, matrix), weights))
    return float(np.quantile(np.concatenate(found), 0.99))

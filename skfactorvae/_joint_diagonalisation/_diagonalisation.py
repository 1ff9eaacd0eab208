r"""Joint diagonalisation of covariance matrices by Pham's criterion.

Axes: ``K`` conditions, ``d`` components. The criterion is

.. math:: \sum_k w_k \bigl[\sum_i \log (W C_k W^T)_{ii} - \log|W C_k W^T|\bigr]

which is zero if W makes all matrices diagonal, and does not depend on the scale of its
rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MAX_STEPS, TOLERANCE = 100, 1e-9
"""Steps, at most, and the fall of the criterion in the last one, nats."""

MAX_ENTRY = 0.5
"""Largest entry of the relative change of W in one step."""

MIN_CURVATURE = 1e-4
"""Smallest curvature by which a gradient is divided."""

N_STARTS = 4
"""Random orthogonal matrices to start from, beside the identity."""


def diagonalise(covariances, weights, *, n_starts: int = N_STARTS, seed=0):
    """Return the matrix W that makes all covariances nearly diagonal.

    Columns are first whitened by the mean covariance.

    Parameters
    ----------
    covariances : ndarray of shape (K, d, d)
        Positive definite.
    weights : ndarray of shape (K,)
        Weights of the conditions, which sum to one.
    n_starts : int
        Random starts beside the first one; the best result is returned.
    seed : int
        Seed of these.

    Returns
    -------
    ndarray of shape (d, d)
        W: diagonalised covariances are ``W @ C @ W.T``, with mean one over conditions.

    References
    ----------
    Pham (2001), "Joint approximate diagonalization of positive definite Hermitian
    matrices", SIAM J. Matrix Anal. Appl. 22; Ablin, Cardoso & Gramfort (2018), "Beyond
    Pham's algorithm for joint diagonalization", Section 3.
    """
    mean = np.tensordot(weights, covariances, 1)
    values, vectors = np.linalg.eigh(mean)
    whitening = (vectors / np.sqrt(values)).T  # (d, d)
    white = whitening @ covariances @ whitening.T
    matrix = _best(white, weights, FREE, n_starts, seed) @ whitening
    spread = np.einsum("ij,jk,ik->i", matrix, mean, matrix)
    return matrix / np.sqrt(spread)[:, None]


def rotate_to_diagonal(covariances, weights, *, n_starts: int = N_STARTS, seed=0):
    """Return the orthogonal matrix that makes all covariances nearly diagonal.

    Parameters
    ----------
    covariances, weights, n_starts, seed
        As those of :func:`diagonalise`.

    Returns
    -------
    ndarray of shape (d, d)
        Orthogonal W: diagonalised covariances are ``W @ C @ W.T``.
    """
    return _best(covariances, weights, ORTHOGONAL, n_starts, seed)


def criterion(covariances, weights) -> float:
    """Return Pham's criterion of covariances, nats: zero if all are diagonal."""
    diagonals = np.diagonal(covariances, axis1=1, axis2=2)
    log_det = np.linalg.slogdet(covariances)[1]
    return float(weights @ (np.log(diagonals).sum(axis=1) - log_det))


def _best(covariances, weights, search, n_starts, seed):
    """Minimise the criterion from several starts, and return the best matrix."""
    rng = np.random.RandomState(seed)
    d = covariances.shape[1]
    starts = [np.eye(d)]
    starts += [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(n_starts)]
    found = [_descend(covariances, weights, start, search) for start in starts]
    return min(found, key=lambda pair: pair[0])[1]


def _descend(covariances, weights, matrix, search: Search):
    """Minimise the criterion from one start; return its value and the matrix."""
    current = matrix @ covariances @ matrix.T
    value = criterion(current, weights)
    for _ in range(MAX_STEPS):
        direction = search.direction(*_derivatives(current, weights))
        direction *= min(1.0, MAX_ENTRY / max(np.abs(direction).max(), 1e-300))
        for _ in range(10):
            factor = search.factor(direction)
            changed = factor @ current @ factor.T
            lower = criterion(changed, weights)
            if lower < value:
                break
            direction = direction / 2
        else:
            break
        matrix, current, fall, value = factor @ matrix, changed, value - lower, lower
        if fall < TOLERANCE:
            break
    return value, matrix


def _derivatives(covariances, weights):
    r"""Return the relative gradient and curvature of the criterion, each (d, d).

    .. math:: G_{ij} = \sum_k w_k D_{k,ij} / D_{k,ii} - \delta_{ij}, \qquad
        \Omega_{ij} = \sum_k w_k D_{k,jj} / D_{k,ii}
    """
    diagonals = np.diagonal(covariances, axis1=1, axis2=2)  # (K, d)
    scaled = weights[:, None] / diagonals
    gradient = np.einsum("ki,kij->ij", scaled, covariances)
    return gradient - np.eye(len(gradient)), scaled.T @ diagonals


def _free_direction(gradient, curvature):
    """Return the quasi-Newton step of a matrix without constraint, (d, d)."""
    determinant = np.maximum(curvature * curvature.T - 1, MIN_CURVATURE)
    direction = -(curvature.T * gradient - gradient.T) / determinant
    np.fill_diagonal(direction, 0.0)
    return direction


def _added(direction):
    return np.eye(len(direction)) + direction


def _skew_direction(gradient, curvature):
    """Return the quasi-Newton step of an orthogonal matrix, skew-symmetric (d, d)."""
    total = np.maximum(curvature + curvature.T - 2, MIN_CURVATURE)
    return -(gradient - gradient.T) / total


def _cayley(direction):
    """Return the orthogonal matrix of a skew-symmetric one."""
    eye = np.eye(len(direction))
    return np.linalg.solve(eye - direction / 2, eye + direction / 2)


class Search(NamedTuple):
    """Steps within a set of matrices."""

    direction: Callable[[np.ndarray, np.ndarray], np.ndarray]
    factor: Callable[[np.ndarray], np.ndarray]


FREE = Search(_free_direction, _added)
ORTHOGONAL = Search(_skew_direction, _cayley)

"""The matrix that makes components uncorrelated under all conditions.

Axes: ``n`` samples, ``K`` conditions, ``d`` components.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._conditions import Auxiliary
from ._diagonalisation import rotate_to_diagonal
from ._separation import (
    Separation,
    chance_separation,
    compare_shapes,
    component_separations,
    spreads_of,
)

LEAST_VARIANCE = 1e-12
"""Share of the variance of all samples below which that of a condition is zero."""

LEVEL = 0.01
"""Level of the test of whether conditions differ."""

FLAT = (
    "aux does not identify components: the spread of the codes differs between its "
    "{k} {what} no more than between permuted ones (p = {p:.2g}, expected at most "
    "{level}). Conditions must change the standard deviation of some components "
    "relative to others; a change of their means alone, or of all in proportion, "
    "identifies none. Pass conditions that do, or more samples."
)
"""Error about conditions under which covariances are proportional."""

PARTLY = (
    "{n} of {d} components are not separated by aux: the ratio of their spreads to "
    "that of another one changes no more than under permuted conditions "
    "({chance:.2g}). Rotations among them are not identified. They are those of the "
    "smallest separation."
)
"""Warning about components with proportional spreads."""


def best_rotation(
    codes: np.ndarray,
    auxiliary: Auxiliary,
    variances: np.ndarray | None = None,
    find: Any = rotate_to_diagonal,
    n_permutations: int = 200,
    random_state: Any = 0,
) -> tuple[np.ndarray, Separation]:
    """Return the matrix that diagonalises covariances, and the separation it gives.

    Parameters
    ----------
    codes : ndarray of shape (n, d)
    auxiliary : Conditions or TimeOrder
    variances : ndarray of shape (n, d) or None
        Posterior variances of the codes.
    find : callable (covariances, weights, n_starts) -> matrix
    n_permutations, random_state
        As those of :func:`align_codes`.

    Returns
    -------
    matrix : ndarray of shape (d, d)
        Components are ``matrix @ z``.
    separation : Separation

    Raises
    ------
    ValueError
        If conditions have too few samples, or do not differ.
    """
    d = codes.shape[1]
    if not isinstance(n_permutations, Integral) or n_permutations < 99:
        raise ValueError(
            f"n_permutations must be an integer of at least 99, so that p-values below "
            f"{LEVEL} exist; got {n_permutations!r}."
        )
    auxiliary.check(d)
    weights = auxiliary.weights
    covariances = auxiliary.covariances(auxiliary.centred(codes), variances)
    _check_spread(covariances, weights, auxiliary)
    rng = check_random_state(random_state)
    permuted = (auxiliary, codes, variances, int(n_permutations), rng)
    p_value = compare_shapes(*permuted)
    if p_value > LEVEL:
        found = {"k": len(auxiliary.labels), "what": auxiliary.noun}
        raise ValueError(FLAT.format(**found, p=p_value, level=LEVEL))
    matrix = find(covariances, weights)
    separation = Separation(
        by_component=component_separations(spreads_of(covariances, matrix), weights),
        chance=chance_separation(*permuted, find),
        p_value=p_value,
    )
    close = np.flatnonzero(separation.by_component <= separation.chance)
    if len(close):
        warnings.warn(
            PARTLY.format(n=len(close), d=d, chance=separation.chance), stacklevel=3
        )
    return matrix, separation


def _check_spread(covariances, weights, auxiliary: Auxiliary) -> None:
    """Raise if some combination of the components has no variance under a condition.

    Raises
    ------
    ValueError
    """
    values, vectors = np.linalg.eigh(np.tensordot(weights, covariances, 1))
    white = vectors / np.sqrt(np.maximum(values, np.finfo(float).tiny))  # (d, d)
    smallest = np.linalg.eigvalsh(white.T @ covariances @ white)[:, 0]
    if len(flat := np.flatnonzero(smallest < LEAST_VARIANCE)):
        raise ValueError(
            "A component, or a combination of components, is constant in "
            f"{len(flat)} of the {len(smallest)} {auxiliary.noun}, the first of them "
            f"{auxiliary.labels[flat[0]]}. Expected some variance of each. Write NaN "
            "for such conditions, leave out such lags, or use fewer components."
        )

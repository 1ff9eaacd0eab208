"""Derivatives of decoded samples with respect to the components.

Axes: ``n`` codes, ``d`` components, ``p`` features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

STEP = 0.1
"""Half the distance of the two codes of a difference, in the unit of a component."""


def jacobians(
    decode: Callable[[np.ndarray], np.ndarray], codes: np.ndarray, unit: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the derivatives (n, p) with respect to each component, by differences.

    Central differences are exact for a decoder that is linear or quadratic.

    Parameters
    ----------
    decode : callable
        From codes (n, d) to samples (n, p).
    codes : ndarray of shape (n, d)
        Codes at which the derivatives are taken.
    unit : ndarray of shape (d,)
        Unit of each component: derivatives are per unit, and the step is a tenth of it.
    """
    for j, size in enumerate(unit):
        move = np.zeros(codes.shape[1])
        move[j] = STEP * size
        above, below = decode(codes + move), decode(codes - move)
        yield (np.asarray(above, np.float64) - below) / (2 * STEP)


def prior_codes(
    n_pairs: int, n_columns: int, categories: Sequence[np.ndarray]
) -> np.ndarray:
    """Return codes of the prior, (2 n_pairs, n_columns), the same for every call.

    Each code is followed by its negative. The levels of a category are equally likely.
    """
    drawn = np.random.RandomState(0).standard_normal((n_pairs, n_columns))
    codes = np.concatenate([drawn, -drawn])
    for group in categories:
        codes[:, group] = 1 / len(group)
    return codes


def ima_contrast(derivatives: np.ndarray) -> float:
    r"""Return how far the columns of Jacobians are from orthogonal, nats, >= 0.

    .. math:: \mathbb{E}\bigl[\sum_j \log\lVert J_j \rVert
        - \tfrac{1}{2} \log|J^T J|\bigr]

    The contrast of independent mechanism analysis: zero if components change the sample
    in orthogonal directions, wherever this is measured. NaN with fewer than two
    components, or if a component changes nothing.

    Parameters
    ----------
    derivatives : ndarray of shape (d, n, p)
        Derivative of each feature by each component, at n codes.

    References
    ----------
    Gresele et al. (2021), "Independent mechanism analysis, a new concept?"; Ghosh et
    al. (2023), "Independent mechanism analysis and the manifold hypothesis", for
    Jacobians that are not square.
    """
    if len(derivatives) < 2:
        return float("nan")
    gram = np.einsum("inp,jnp->nij", derivatives, derivatives)
    lengths = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))  # (n, d)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        return float("nan")
    cosines = gram / (lengths[:, :, None] * lengths[:, None])
    return float(max(0.0, -0.5 * np.linalg.slogdet(cosines)[1].mean()))

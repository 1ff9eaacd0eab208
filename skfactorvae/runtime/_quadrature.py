"""The points at which scores are computed: those of the estimators.

An estimator draws them with torch's generator and a fixed seed. The same numbers are
computed here from the same generator, the Mersenne Twister, so that scores agree to
rounding; a test compares them.
"""

from __future__ import annotations

import math

import numpy as np

BLOCK = 16
"""Numbers that torch draws at once, of arrays that have as many."""


def cubature_points(n_dims: int) -> np.ndarray:
    r"""Return points whose mean replaces an expectation over standard normal noise.

    The spherical-radial rule of degree three: :math:`\pm\sqrt{d}\,u_i` for orthonormal
    directions :math:`u_i`.

    Parameters
    ----------
    n_dims : int
        Dimensions, d.

    Returns
    -------
    ndarray of shape (2 * d, d), float64
    """
    basis = standard_normal(n_dims * n_dims).reshape(n_dims, n_dims)
    basis[:, 0] = np.sign(basis[:, 0])
    directions = np.linalg.qr(basis)[0].T
    return math.sqrt(n_dims) * np.concatenate([directions, -directions])


def standard_normal(n: int) -> np.ndarray:
    """Return the numbers of torch.randn in float64, for the seed zero, (n,)."""
    stream = np.random.RandomState(0)
    if n < BLOCK:
        return _pairs(_uniform(stream, n + n % 2))[:n]
    found = _uniform(stream, n)
    for start in range(0, n - BLOCK + 1, BLOCK):
        found[start : start + BLOCK] = _block(found[start : start + BLOCK])
    if n % BLOCK:
        found[n - BLOCK :] = _block(_uniform(stream, BLOCK))
    return found


def _uniform(stream: np.random.RandomState, n: int) -> np.ndarray:
    """Return uniform numbers of 53 bits, in [0, 1)."""
    words = stream.randint(0, 2**32, size=(n, 2), dtype=np.uint64)
    bits = (words[:, 0] << np.uint64(32) | words[:, 1]) & np.uint64(2**53 - 1)
    return bits / 2.0**53


def _block(uniform: np.ndarray) -> np.ndarray:
    """Return the Box-Muller transform of a block: cosines, and then sines."""
    half = BLOCK // 2
    radius = np.sqrt(-2 * np.log(1 - uniform[:half]))
    angle = 2 * math.pi * uniform[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])


def _pairs(uniform: np.ndarray) -> np.ndarray:
    """Return the Box-Muller transform of pairs: a cosine and a sine of each."""
    angle = 2 * math.pi * uniform[::2]
    radius = np.sqrt(-2 * np.log1p(-uniform[1::2]))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]).reshape(-1)

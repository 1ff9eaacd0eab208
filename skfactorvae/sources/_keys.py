"""Hashes of samples, by exact integer arithmetic."""

from __future__ import annotations

import numpy as np

CACHED_VALUES = 32_768
"""Values that fit into the cache of a processor, with intermediate results."""


def row_keys(X: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of each sample, (n,).

    Equal samples have equal hashes: zero has no sign, and a missing value (NaN) one bit
    pattern.

    Parameters
    ----------
    X : ndarray of shape (n, p), float32 or float64
    """
    bits = np.uint32 if X.dtype == np.float32 else np.uint64
    rng = np.random.RandomState(0)
    factor = rng.randint(0, 2**62, size=(2, X.shape[1]), dtype=np.uint64) * 2 + 1
    keys = np.empty(len(X), dtype=np.uint64)
    size = max(1, CACHED_VALUES // X.shape[1])
    for start in range(0, len(X), size):
        block = X[start : start + size] + 0.0  # a copy in which -0.0 is 0.0
        block[np.isnan(block)] = np.nan  # one of many bit patterns
        h = np.ascontiguousarray(block).view(bits).astype(np.uint64)
        for shift, odd in zip((31, 29), factor, strict=True):
            h ^= h >> np.uint64(shift)
            h *= odd
        keys[start : start + size] = h.sum(axis=1, dtype=np.uint64)
    return keys


def row_digests(X: np.ndarray) -> np.ndarray:
    """Return a 32-bit hash of each sample, (n,), that differs if one value does.

    It is a sum of products with odd numbers modulo 2**32, which is computed faster than
    a key is.

    Parameters
    ----------
    X : ndarray of shape (n, p), float32 or float64
    """
    bits = np.ascontiguousarray(X).view(np.uint32)
    rng = np.random.RandomState(0)
    odd = rng.randint(0, 2**31, size=bits.shape[1], dtype=np.uint32) * 2 + 1
    return np.einsum("ij,j->i", bits, odd.astype(np.uint32))

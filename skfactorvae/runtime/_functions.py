"""Functions of the networks in numpy: activations, convolutions, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

KERNEL, STRIDE, PADDING = 4, 2, 1
"""Size, stride and padding of all convolutions."""

LEAK = 0.2
"""Slope of the leaky ReLU below zero."""


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function, without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def softplus(x: np.ndarray) -> np.ndarray:
    """Return log(1 + exp(x)), without overflow."""
    return np.logaddexp(np.zeros((), x.dtype), x)


def softmax(x: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    found = np.exp(x - x.max(axis=-1, keepdims=True))
    return found / found.sum(axis=-1, keepdims=True)


def erf(x: np.ndarray) -> np.ndarray:
    """Return the error function; numpy has none, so it is computed one by one."""
    found = np.fromiter(map(math.erf, x.reshape(-1).tolist()), x.dtype, x.size)
    return found.reshape(x.shape)


def lgamma(x: np.ndarray) -> np.ndarray:
    """Return the logarithm of the gamma function; numpy has none, as for ``erf``."""
    found = np.fromiter(map(math.lgamma, x.reshape(-1).tolist()), x.dtype, x.size)
    return found.reshape(x.shape)


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logarithm of the logistic function, without overflow."""
    return -softplus(-x)


def elu(x: np.ndarray) -> np.ndarray:
    """Return x where it is positive, else exp(x) - 1."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, LEAK * x),
    "elu": elu,
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + erf(x * math.sqrt(0.5))),
    "tanh": np.tanh,
}


def conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Apply a convolution that halves the size.

    Parameters
    ----------
    x : ndarray of shape (B, C, H, W)
    weight : ndarray of shape (O, C, 4, 4)
    bias : ndarray of shape (O,)

    Returns
    -------
    ndarray of shape (B, O, H // 2, W // 2)
    """
    edges = (PADDING, PADDING)
    padded = np.pad(x, ((0, 0), (0, 0), edges, edges))
    windows = sliding_window_view(padded, (KERNEL, KERNEL), axis=(2, 3))
    windows = windows[:, :, ::STRIDE, ::STRIDE]  # (B, C, h, w, 4, 4)
    rows = windows.transpose(0, 2, 3, 1, 4, 5)
    size = rows.shape[:3]
    flat = rows.reshape(math.prod(size), -1) @ weight.reshape(len(weight), -1).T
    return (flat + bias).reshape(*size, len(weight)).transpose(0, 3, 1, 2)


def conv_transpose(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Apply a transposed convolution that doubles the size.

    Parameters
    ----------
    x : ndarray of shape (B, C, h, w)
    weight : ndarray of shape (C, O, 4, 4)
    bias : ndarray of shape (O,)
    size : tuple (height, width)
        Of the result: twice that of x, or one more.

    Returns
    -------
    ndarray of shape (B, O, height, width)
    """
    n, channels, h, w = x.shape
    taps = x.transpose(0, 2, 3, 1).reshape(-1, channels) @ weight.reshape(channels, -1)
    taps = taps.reshape(n, h, w, -1, KERNEL, KERNEL).transpose(0, 3, 1, 2, 4, 5)
    # Cells for all taps, the padding on either side included.
    shape = (n, taps.shape[1], STRIDE * h + KERNEL, STRIDE * w + KERNEL)
    full = np.zeros(shape, dtype=x.dtype)
    for i in range(KERNEL):
        for j in range(KERNEL):
            rows, columns = (
                slice(i, i + STRIDE * h, STRIDE),
                slice(j, j + STRIDE * w, STRIDE),
            )
            full[:, :, rows, columns] += taps[..., i, j]
    inside = full[:, :, PADDING : PADDING + size[0], PADDING : PADDING + size[1]]
    return inside + bias[:, None, None]

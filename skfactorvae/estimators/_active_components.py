"""Which components of a fitted model are active."""

from __future__ import annotations

import numpy as np

from ..preparation import ModelSpec, information_of_noise

ACTIVE_KL = 0.05
"""KL divergence, nats per sample, above which a component is active.

A normal code with this divergence has a correlation of .3 with its input. Duan et al.
(2020) use 0.01. Where the noise scale is learned, inactive latents can reach this value
on the training samples by chance.
"""

ACTIVE_VARIANCE = 0.01
"""Variance of the codes above which a component is active (Burda et al. 2016)."""


def active_components(spec: ModelSpec, kl, variance, n_rows: float):
    """Return the components that hold more information than noise would.

    Parameters
    ----------
    spec : ModelSpec
    kl, variance : ndarray of shape (d,)
        KL divergence from the prior, nats, and variance of each component's codes.
    n_rows : float
        Effective number of samples.

    Returns
    -------
    ndarray of int
    """
    least = ACTIVE_KL
    if spec.learns_noise:
        least = max(least, information_of_noise(n_rows, spec.n_features))
    return np.flatnonzero((kl > least) & (variance > ACTIVE_VARIANCE))

"""Linear maps of the latents of a trained model, folded into its weights.

Axes: ``d`` latents.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ._axes import LATENT, MOMENT
from ._inference import encode
from ._job import Job
from ._networks import Network, inverse_bound

Arrays = Mapping[str, np.ndarray]


def can_mix(network: Network) -> bool:
    """Return whether linear maps of the latents can be folded into the weights."""
    ends = network.encoder_parameters.values()
    return any(axes == (MOMENT, LATENT) for axes in ends)


def mix_latents(
    job: Job, weights: Arrays, matrix: np.ndarray, device: torch.device
) -> dict[str, np.ndarray]:
    r"""Replace the latents of a trained model by linear combinations of them.

    Posterior means become :math:`W \mu`, and the decoder is that of :math:`W^{-1} z`,
    both exactly. The posterior stays one of independent latents: of these, the nearest
    to that of :math:`W z`, by the KL divergence from it, has the variances

    .. math:: 1 / \sum_j (W^{-1})_{ji}^2 \sigma_j^{-2}

    The layer that returns log-variances, before their bound, is the one of least
    squares over the rows.

    Parameters
    ----------
    job : Job
        The model, of a network for which :func:`can_mix` holds, and the rows over which
        log-variances are averaged.
    weights : mapping of str to ndarray
    matrix : ndarray of shape (d, d)
        W, invertible.
    device : torch.device

    Returns
    -------
    weights : dict of str to ndarray
        Those of the objective are not changed.
    """
    network, rows = job.network, job.representative.rows
    _, std = encode(network, weights, rows, device=device)
    precision = std.astype(np.float64) ** -2.0  # (n, d)
    back = np.square(np.linalg.inv(matrix))
    old, new = (inverse_bound(-np.log(p)) for p in (precision, precision @ back))
    inputs = np.column_stack([old, np.ones(len(old))])  # (n, d + 1)
    *slopes, offset = np.linalg.lstsq(inputs, new, rcond=None)[0]
    mixed = dict(weights)
    for name, axes in network.encoder_parameters.items():
        if LATENT not in axes:
            continue
        own = weights[name].astype(np.float64)
        if MOMENT in axes:
            added = offset if axes == (MOMENT, LATENT) else 0.0
            parts = own[..., 0, :] @ matrix.T, own[..., 1, :] @ np.array(slopes) + added
            changed = np.stack(parts, axis=-2)
        else:
            changed = own @ matrix.T
        mixed[name] = changed.astype(weights[name].dtype)
    for name, axes in network.decoder_parameters.items():
        if axes[:1] == (LATENT,):
            changed = np.linalg.solve(matrix.T, weights[name].astype(np.float64))
            mixed[name] = changed.astype(weights[name].dtype)
    return mixed

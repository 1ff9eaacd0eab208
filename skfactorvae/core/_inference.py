"""What a trained network says of rows and codes: arrays in, arrays out.

Rows go through in blocks of one fixed size, the last one padded. A row therefore meets
the same matrix products whatever else is in the batch, and comes out the same, bit for
bit; and memory stays flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._dense import PLAIN, Weights
from ._devices import thread_limit, undisturbed
from ._latent_axes import reorder
from ._likelihoods import Likelihood
from ._networks import Network
from ._priors import PRIORS

Arrays = Mapping[str, np.ndarray]

ROWS_AT_ONCE = 4096
"""Rows whose moments are summed at once; a multiple of every network's block."""


def encode(
    network: Network, weights: Arrays, rows: np.ndarray, *, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Return posterior means and standard deviations, a column of a code each."""

    def moments(w: Weights, x: Tensor) -> Tensor:
        mean, log_var = network.encode(w, x)
        return torch.cat([mean, torch.exp(0.5 * log_var)], dim=-1)

    both = _map_blocks(moments, network, weights, rows, device)
    return both[:, : network.n_columns], both[:, network.n_columns :]


def decode(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    codes: np.ndarray,
    *,
    device: torch.device,
) -> np.ndarray:
    """Return E[x | z], (n, p)."""

    def expect(w: Weights, z: Tensor) -> Tensor:
        return likelihood.mean(network.decode(w, z))

    return _map_blocks(expect, network, weights, codes, device)


def elbo(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    rows: np.ndarray,
    *,
    n_directions: int | None = None,
    prior: str = "normal",
    device: torch.device,
) -> np.ndarray:
    """Return each row's evidence lower bound in nats, (n,).

    The expectation over the posterior is a cubature whose points are the same for
    every row, so that a row's value depends on nothing else. All directions make it
    exact for a reconstruction error that is a cubic polynomial of the code, as under a
    linear decoder; one direction is cheap and good enough to compare steps of a fit.
    """
    d = network.n_components
    points = cubature_points(d, n_directions)

    def bound(w: Weights, x: Tensor) -> Tensor:
        mean, log_var = network.encode(w, x)
        nll = torch.zeros_like(mean[..., 0])
        for point in points.to(x):
            z = network.draw_codes(mean, log_var, point)
            nll = nll + likelihood.nll(w, network.decode(w, z), x)
        kl = PRIORS[prior].kl(mean[..., :d], log_var[..., :d]).sum(-1)
        return -(nll / len(points) + kl + network.categorical_kl).unsqueeze(-1)

    return _map_blocks(bound, network, weights, rows, device)[:, 0]


def sample(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    n_samples: int,
    *,
    noise: bool,
    seed: int,
    prior: str = "normal",
    device: torch.device,
) -> np.ndarray:
    """Draw rows from the model: codes from the prior, rows from the likelihood."""
    generator = torch.Generator().manual_seed(seed)
    d, a = network.n_components, network.n_auxiliary
    draws = torch.randn((n_samples, d + a), generator=generator, **PLAIN)

    def draw(w: Weights, u: Tensor) -> Tensor:
        latents, auxiliary_noise = u.split([d, a], dim=-1)
        z = PRIORS[prior].draw(latents)
        output = network.generate(w, z, auxiliary_noise, noise=noise)
        if not noise:
            return likelihood.mean(output)
        return likelihood.sample(w, output, generator)

    return _map_blocks(draw, network, weights, draws.numpy(), device)


def order_latents(
    network: Network,
    weights: Arrays,
    rows: np.ndarray,
    row_weights: np.ndarray,
    latent_order: Callable[[np.ndarray], np.ndarray],
    *,
    sign_targets: np.ndarray | None = None,
    device: torch.device,
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Put latents in order, and give each a sign, inside the weights.

    Each is signed so that it correlates positively with the feature it correlates with
    most.

    Parameters
    ----------
    network, weights, rows, row_weights
        The model, and the rows that say how much a latent holds.
    latent_order : callable (kl) -> order
        Says from each latent's mean KL divergence, (d,), which comes where.
    sign_targets : ndarray of shape (n, a) or None
        What the first a latents are to correlate with positively instead; NaN where
        unknown.

    Returns
    -------
    weights : dict of str to ndarray
        Weights of the same function with its latents permuted and negated.
    kl : ndarray of shape (d,)
        Mean KL divergence of each latent from a standard normal prior, nats.
    variance : ndarray of shape (d,)
        Variance of each latent's posterior mean over the rows.
    """
    kl, variance, correlation = _describe_latents(
        network, weights, rows, row_weights, device
    )
    order = latent_order(kl)
    strongest = np.abs(correlation).argmax(1)
    chosen = np.take_along_axis(correlation, strongest[:, None], axis=1)[:, 0]
    if sign_targets is not None:
        covariance = _sign_target_covariance(
            network, weights, rows, row_weights, sign_targets, device
        )
        chosen[: len(covariance)] = covariance
    sign = np.where(chosen < 0, -1.0, 1.0)[order]
    signed = {
        name: reorder(
            name,
            torch.tensor(array, device="cpu"),
            torch.from_numpy(order),
            torch.from_numpy(sign.astype(array.dtype)),
        ).numpy()
        for name, array in weights.items()
    }
    return signed, kl[order], variance[order]


def _describe_latents(
    network: Network,
    weights: Arrays,
    rows: np.ndarray,
    row_weights: np.ndarray,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return latents' KL and variance, (d,), and correlation with features, (d, p).

    Sums run over blocks of rows, so that no second copy of the table comes up.
    """
    share = row_weights / row_weights.sum()
    d = network.n_components
    origin = rows[0].astype(np.float64)  # moments around a row lose no digits
    kl: Any = 0.0
    codes: Any = 0.0
    features: Any = 0.0
    products: Any = 0.0
    squares: Any = 0.0
    code_squares: Any = 0.0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        moments = encode(network, weights, rows[block], device=device)
        mean, std = (m[:, :d].astype(np.float64) for m in moments)
        x, w = rows[block] - origin, share[block]
        kl += w @ (0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1))
        codes += w @ mean
        code_squares += w @ mean**2
        features += w @ x
        products += (mean * w[:, None]).T @ x
        squares += w @ x**2
    spread = np.sqrt(np.maximum(squares - features**2, 0.0))
    covariance = products - np.outer(codes, features)
    variance = np.maximum(code_squares - codes**2, 0.0)
    return kl, variance, covariance / np.where(spread > 0, spread, np.inf)


def _sign_target_covariance(
    network: Network,
    weights: Arrays,
    rows: np.ndarray,
    row_weights: np.ndarray,
    sign_targets: np.ndarray,
    device: torch.device,
) -> np.ndarray:
    """Return each first latent's covariance with its anchor where that is known."""
    is_useful = ~np.isnan(sign_targets).all(axis=1)
    mean, _ = encode(network, weights, rows[is_useful], device=device)
    codes = mean[:, : sign_targets.shape[1]].astype(np.float64)
    values = sign_targets[is_useful]
    share = row_weights[is_useful, None] * ~np.isnan(values)
    share /= share.sum(0)
    centred = np.nan_to_num(values) - (share * np.nan_to_num(values)).sum(0)
    return (share * centred * codes).sum(0)


def cubature_points(n_dims: int, n_directions: int | None = None) -> Tensor:
    r"""Points whose average replaces an expectation over standard normal noise.

    The spherical-radial rule of degree three: :math:`\pm\sqrt{d}\,u_i` for orthonormal
    directions :math:`u_i`, of which the first has entries of equal size.

    Parameters
    ----------
    n_dims : int
        Dimensions, d.
    n_directions : int or None
        Directions to use; None takes all d, which makes the rule exact for polynomials
        of degree three.

    Returns
    -------
    Tensor of shape (2 * n_directions, d), float64
    """
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(
        (n_dims, n_dims), generator=generator, dtype=torch.float64, device="cpu"
    )
    basis[:, 0] = basis[:, 0].sign()
    directions = torch.linalg.qr(basis)[0].T[:n_directions]
    return math.sqrt(n_dims) * torch.cat([directions, -directions])


def _map_blocks(
    function: Callable[[Weights, Tensor], Tensor],
    network: Network,
    weights: Arrays,
    rows: np.ndarray,
    device: torch.device,
) -> np.ndarray:
    """Apply a row-wise function of (1, block, .) to all rows, block by block."""
    work = network.block * network.multiplications
    out: np.ndarray | None = None
    with undisturbed(), torch.inference_mode(), thread_limit(None, work, device):
        stacked = _as_stack(weights, rows.dtype, device)
        for start, x in _blocks(rows, network.block):
            y = function(stacked, torch.from_numpy(x).to(device).unsqueeze(0))[0]
            block = y.cpu().numpy()[: len(rows) - start]
            if out is None:
                out = np.empty((len(rows), block.shape[1]), dtype=rows.dtype)
            out[start : start + len(block)] = block
    assert out is not None
    return out


def _blocks(rows: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        padding = size - len(block)
        yield start, np.pad(block, ((0, padding), (0, 0)))


def _as_stack(weights: Arrays, dtype: np.dtype, device: torch.device) -> Weights:
    """Copy arrays, which may be read-only, into a stack of one model."""
    return {
        name: torch.tensor(array.astype(dtype, copy=False), device=device)[None]
        for name, array in weights.items()
    }

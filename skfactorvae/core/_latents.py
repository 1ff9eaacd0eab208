"""Order, signs and inactive latents of a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .._moments import ColumnSums
from . import _axes
from ._inference import encode
from ._job import Job
from ._missing import split_errors
from ._networks import Network
from ._tables import select_rows

Arrays = Mapping[str, np.ndarray]

ROWS_AT_ONCE = 4096
"""Rows whose moments are summed at once; a multiple of every network's block size."""


Orientation = tuple[np.ndarray, np.ndarray]
"""Order of the latents, (d,), and their signs in that order, (d,)."""


def order_latents(
    job: Job,
    weights: Arrays,
    device: torch.device,
    orientation: Orientation | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Order the latents, choose their signs, and set inactive ones to the prior.

    Order, signs and inactive latents are those of the objective's readout. By default a
    latent correlates positively with the feature it correlates with most.

    Parameters
    ----------
    job : Job
        The model, and the rows over which moments are taken.
    weights : mapping of str to ndarray
        The trained weights.
    orientation : tuple (order, sign) or None
        As :func:`find_orientation` returns it; None finds it.

    Returns
    -------
    weights : dict of str to ndarray
        Weights of the same function with its latents permuted and negated.
    kl : ndarray of shape (d,)
        Mean KL divergence of each latent from a standard normal prior, nats.
    variance : ndarray of shape (d,)
        Variance of each latent's posterior mean over the rows.
    """
    job = job.representative
    readout = job.objective.readout
    kl, variance, correlation = describe_latents(job, weights, device)
    if orientation is None:
        orientation = _orientation(job, weights, kl, correlation, device)
    order, sign = orientation
    declared = job.parameters
    ordered = {
        name: _axes.reorder(declared[name], array, order, sign)
        for name, array in weights.items()
    }
    kl, variance = kl[order], variance[order]
    inactive = readout.inactive_latents(kl)
    if len(inactive) and job.network.can_set_to_prior:
        ordered = job.network.set_to_prior(ordered, inactive)
        kl[inactive] = variance[inactive] = 0.0
    return ordered, kl, variance


def find_orientation(job: Job, weights: Arrays, device: torch.device) -> Orientation:
    """Return the order and the signs that :func:`order_latents` gives the latents.

    Parameters
    ----------
    job : Job
    weights : mapping of str to ndarray
    device : torch.device
    """
    kl, _, correlation = describe_latents(job, weights, device)
    return _orientation(job, weights, kl, correlation, device)


def _orientation(
    job: Job,
    weights: Arrays,
    kl: np.ndarray,
    correlation: np.ndarray,
    device: torch.device,
) -> Orientation:
    readout = job.objective.readout
    order = readout.latent_order(kl)
    direction = strongest_correlation(correlation)
    targets = readout.sign_targets(job.labels)
    if targets is not None:
        covariance = _target_covariance(job, weights, targets, device)
        direction[: len(covariance)] = covariance
    direction[: readout.n_oriented] = 1.0
    return order, np.where(direction < 0, -1.0, 1.0)[order]


def without_latents(network: Network, weights: Arrays, n: int) -> dict[str, np.ndarray]:
    """Return a network's weights without its first n latents, which are then zero."""
    return {
        name: _axes.remove_first(axes, weights[name], n)
        for name, axes in network.parameters.items()
    }


def strongest_correlation(correlation: np.ndarray) -> np.ndarray:
    """Return each latent's correlation with the feature it depends on most, (d,)."""
    strongest = np.abs(correlation).argmax(1)
    return np.take_along_axis(correlation, strongest[:, None], axis=1)[:, 0]


@np.errstate(over="ignore", invalid="ignore")  # a diverged model may overflow
def describe_latents(
    job: Job, weights: Arrays, device: torch.device
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return latents' KL and variance, (d,), and correlation with features, (d, p).

    Sums run over blocks of rows, so that the table is never copied as a whole.
    """
    job = job.representative
    rows, share = job.rows, job.row_weights / job.row_weights.sum()
    d = job.network.n_components
    origin = np.nan_to_num(_shrunk(job, rows[0]).astype(np.float64))
    features, codes = ColumnSums(origin), ColumnSums()
    kl: Any = 0.0
    products: Any = 0.0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        moments = encode(job.network, weights, rows[block], device=device)
        mean, std = (m[:, :d].astype(np.float64) for m in moments)
        x, w = _shrunk(job, rows[block]), share[block]
        kl += w @ (0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1))
        codes.add(mean, w)
        features.add(x, w)
        products += (mean * w[:, None]).T @ _present(x - features.origin)
    spread = np.sqrt(np.maximum(features.second - features.first**2, 0.0))
    covariance = products - np.outer(codes.first, features.first)
    variance = np.maximum(codes.second - codes.first**2, 0.0)
    return kl, variance, covariance / np.where(spread > 0, spread, np.inf)


def _shrunk(job: Job, rows: np.ndarray) -> np.ndarray:
    """Return standardised values, those with errors by the share of their variance."""
    values, errors = split_errors(rows, job.network.n_features)
    return values if errors is None else values / (1 + np.square(errors))


def _present(values: np.ndarray) -> np.ndarray:
    """Return values with zeros in place of NaN."""
    missing = np.isnan(values)
    return np.where(missing, 0.0, values) if missing.any() else values


@np.errstate(over="ignore", invalid="ignore")
def _target_covariance(
    job: Job, weights: Arrays, targets: np.ndarray, device: torch.device
) -> np.ndarray:
    """Return each first latent's covariance with its target where that is known."""
    is_useful = ~np.isnan(targets).all(axis=1)
    rows = select_rows(job.rows, np.flatnonzero(is_useful))
    mean, _ = encode(job.network, weights, rows, device=device)
    codes = mean[:, : targets.shape[1]].astype(np.float64)
    values = targets[is_useful]
    share = job.row_weights[is_useful, None] * ~np.isnan(values)
    share /= share.sum(0)
    centred = np.nan_to_num(values) - (share * np.nan_to_num(values)).sum(0)
    return (share * centred * codes).sum(0)

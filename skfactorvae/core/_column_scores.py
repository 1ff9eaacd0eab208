r"""Scores of each feature: predictions of hidden values, and learned noise.

Axes: ``K`` models, ``B`` rows, ``n`` rows, ``p`` features, ``L`` codes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._moments import average_of_columns
from ._column_likelihoods import Composite
from ._dense import Weights
from ._devices import one_thread, undisturbed
from ._inference import Arrays, map_blocks, posterior_points, weighted_outputs
from ._likelihoods import Gaussian, Likelihood
from ._missing import DecoderFilling
from ._networks import Network

N_PARTS = 4
"""Parts into which the values of a row are divided; each is hidden once."""

N_POINTS = 16
"""Codes by which the posterior of a row is represented."""

BLOCK = 128
"""Rows whose codes are decoded at once."""

N_CHANGES = 40
"""Steps by which the distribution of independent columns is fitted."""

FIRST_CHANGE = 0.02
"""Size of the first of them."""


def predicted_scores(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    rows: np.ndarray,
    *,
    prior: str = "normal",
    device: torch.device,
) -> np.ndarray:
    r"""Return the log-density of each value given others of its row, nats, (n, p).

    A quarter of the values of a row are hidden at a time, and codes are drawn from the
    posterior of the others, with the weights of :func:`impute`:

    .. math:: \log p(x_j | x_o) \approx \log \sum_l w_l\, p(x_j | z_l)

    It is NaN where a value is missing; of a column of several features, it belongs to
    the first, and is zero for the others.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        NaN where missing.
    """
    p = network.n_features
    filled: Network = network
    if not network.takes_missing:
        filled = DecoderFilling(network, likelihood)
    part = hidden_parts(likelihood.hidden_with, len(rows), p)
    points = posterior_points(network.n_components, N_POINTS)
    scores = np.full(rows.shape, np.nan)

    def predict(w: Weights, both: Tensor) -> Tensor:
        shown, true = both.split(p, dim=-1)
        output, log_weight = weighted_outputs(
            filled, likelihood, w, shown, points, prior
        )
        every = true.nan_to_num(0.0).unsqueeze(1).expand(-1, len(points), -1, -1)
        terms = likelihood.terms(w, output, every.flatten(1, 2))
        terms = terms.unflatten(1, every.shape[1:3])  # (K, L, B, p)
        return torch.logsumexp(log_weight.log_softmax(1).unsqueeze(-1) - terms, 1)

    for k in range(part.max() + 1):
        is_hidden = part == k
        both = np.hstack([np.where(is_hidden, np.nan, rows), rows])
        found = map_blocks(predict, filled, weights, both, device, size=BLOCK)
        scores = np.where(is_hidden, found, scores)
    return np.where(np.isnan(rows), np.nan, scores)


def hidden_parts(
    hidden_with: tuple[int, ...] | None, n_rows: int, n_features: int
) -> np.ndarray:
    """Return the part of its row that each value is hidden with, (n, p).

    Parts of a row have nearly the same number of columns, which are drawn at random.

    Parameters
    ----------
    hidden_with : tuple of p int or None
        First feature of the column of each feature; None: itself.
    n_rows, n_features : int
    """
    firsts = np.arange(n_features) if hidden_with is None else np.array(hidden_with)
    column = np.unique(firsts, return_inverse=True)[1]
    n_columns = int(column.max()) + 1
    order = np.random.RandomState(0).random_sample((n_rows, n_columns)).argsort(axis=1)
    return (order % N_PARTS)[:, column]


def independent_scores(
    likelihood: Likelihood,
    start: Arrays,
    rows: np.ndarray,
    row_weights: np.ndarray,
    others: np.ndarray,
) -> np.ndarray:
    """Return the log-density of values of other rows as independent columns, (m, p).

    Each column has its own likelihood, whose weights and constant output maximise the
    likelihood of ``rows``.

    Parameters
    ----------
    likelihood : Likelihood
    start : mapping of str to ndarray
        Weights of :meth:`Likelihood.start`, among others.
    rows : ndarray of shape (n, p)
        Standardised, NaN where missing.
    row_weights : ndarray of shape (n,)
    others : ndarray of shape (m, p)
    """
    whole = ((likelihood, slice(rows.shape[1])),)
    blocks = likelihood.blocks if isinstance(likelihood, Composite) else whole
    with undisturbed(), one_thread():
        found = [
            _independent(part, start, rows[:, own], row_weights, others[:, own])
            for part, own in blocks
        ]
    return np.where(np.isnan(others), np.nan, np.hstack(found))


def _independent(
    likelihood: Likelihood,
    start: Arrays,
    rows: np.ndarray,
    row_weights: np.ndarray,
    others: np.ndarray,
) -> np.ndarray:
    """Return the same for one likelihood, of any value where others are missing."""
    mean = average_of_columns(rows.astype(np.float64), row_weights)
    if isinstance(likelihood, Gaussian):
        variance = average_of_columns((rows - mean) ** 2, row_weights)
        variance = np.maximum(variance, likelihood.MIN_SCALE**2)
        return -0.5 * (np.log(2 * np.pi * variance) + (others - mean) ** 2 / variance)
    drawn = {k: v.numpy() for k, v in likelihood.draw(rows.shape[1]).items()}
    first = drawn | {k: start[k] for k in drawn if k in start}
    weights = {k: _double(v)[None] for k, v in first.items()}
    learned = [v for k, v in weights.items() if k not in likelihood.fixed]
    output = torch.zeros(1, 1, rows.shape[1], dtype=torch.float64)

    def terms(values: np.ndarray) -> Tensor:
        x = _double(np.nan_to_num(values))[None]
        return likelihood.terms(weights, output.expand_as(x), x)

    if not likelihood.starts_at_marginal:
        share = _double(~np.isnan(rows) * row_weights[:, None] / row_weights.sum())
        _minimise(lambda: (share * terms(rows)).sum(), [output, *learned])
    with torch.no_grad():
        return -terms(others)[0].numpy()


def _double(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64)


def _minimise(loss: Callable[[], Tensor], parameters: list[Tensor]) -> None:
    """Change parameters, each of which has a loss of its own, such that it is least.

    By Rprop (Riedmiller & Braun 1993), whose steps depend on signs of derivatives only.
    """
    sizes = [torch.full_like(parameter, FIRST_CHANGE) for parameter in parameters]
    before = [torch.zeros_like(parameter) for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_()
    for _ in range(N_CHANGES):
        slopes = torch.autograd.grad(loss(), parameters)
        with torch.no_grad():
            for parameter, size, old, slope in zip(
                parameters, sizes, before, slopes, strict=True
            ):
                turns = slope * old
                size *= torch.where(turns > 0, 1.2, torch.where(turns < 0, 0.5, 1.0))
                parameter -= size * slope.sign()
                old.copy_(slope)


def noise_parameters(
    likelihood: Likelihood, weights: Arrays, n_features: int
) -> dict[str, np.ndarray]:
    """Return what is learned of the noise of each feature, by name, each (p,).

    ``noise_scale``, in standardised units; ``degrees_of_freedom`` of Student's t;
    ``dispersion`` of the negative binomial, d for a variance of mean + d * mean**2. NaN
    where a feature has none.
    """
    own = [name for name in likelihood.parameters if name in weights]
    stacked = {name: torch.tensor(weights[name])[None] for name in own}
    found = likelihood.noise_parameters(stacked, n_features)
    unknown = np.full(n_features, np.nan)
    names = "noise_scale", "degrees_of_freedom", "dispersion"
    return {
        name: found[name][0].double().numpy() if name in found else unknown
        for name in names
    }

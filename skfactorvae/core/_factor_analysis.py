r"""Factor analysis of an incomplete table, by expectation maximisation.

.. math:: x = \mu + W f + \varepsilon, \quad f \sim N(0, I), \quad
    \varepsilon \sim N(0, \mathrm{diag}(\psi))

Missing values are NaN; only observed values enter the likelihood (Rubin & Thayer 1982,
"EM algorithms for ML factor analysis"; Ilin & Raiko 2010, "Practical Approaches to
Principal Component Analysis in the Presence of Missing Values"). An observed value can
have a known error of variance s**2, which adds to the noise of its feature.

Axes: ``n`` rows, ``p`` features, ``r`` factors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._devices import one_thread, undisturbed

MIN_NOISE = 1e-4
"""Noise variance of a standardised feature, at least."""

PRIOR_PRECISION = 1.0
"""Precision of the normal prior of a loading. It keeps loadings of features of which
few values are observed small."""


def reliability_of(noise: Any, errors: Any) -> Any:
    r"""Return the reliability of values with known errors, in [0, 1].

    .. math:: r = \psi / (\psi + s^2)

    Parameters
    ----------
    noise : ndarray or Tensor of shape (..., p)
        Variance of the noise of each feature.
    errors : ndarray or Tensor of shape (..., p)
        Standard deviation of the error of each value.
    """
    return noise / (noise + errors * errors)


def expected_factors(
    loadings: Tensor,
    noise: Tensor,
    rows: Tensor,
    reliability: Tensor,
    mean: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return the expected factors given the observed values, and their precision.

    .. math:: P = I + W^\top \Psi^{-1} R\, W, \quad
        \mathbb{E}[f] = P^{-1} W^\top \Psi^{-1} R\, (x - \mu)

    with the reliability of the values of a row on the diagonal of R.

    Parameters
    ----------
    loadings : Tensor of shape (K, p, r)
    noise : Tensor of shape (K, p)
        Variance of the noise.
    rows : Tensor of shape (K, n, p)
        Rows times their reliability.
    reliability : Tensor of shape (K, n, p)
        One where a value is exact, zero where it is missing.
    mean : Tensor of shape (K, p) or None, default=None
        Mean of the features; None for rows around their mean.

    Returns
    -------
    mean : Tensor of shape (K, n, r)
    root : Tensor of shape (K, n, r, r)
        Lower Cholesky factor of the precision P.
    """
    r = loadings.shape[-1]
    scaled = loadings / noise.unsqueeze(-1)  # (K, p, r)
    squares = (loadings.unsqueeze(-1) * scaled.unsqueeze(-2)).flatten(-2)  # (K, p, r r)
    projected = torch.bmm(rows, scaled)  # (K, n, r)
    if mean is None:
        precision = torch.bmm(reliability, squares)
    else:  # subtracted after the products, which saves a pass over the rows
        shift = scaled * mean.unsqueeze(-1)
        products = torch.bmm(reliability, torch.cat([squares, shift], dim=-1))
        precision, offset = products.tensor_split([r * r], dim=-1)
        projected = projected - offset
    precision = precision.unflatten(-1, (r, r))
    precision.diagonal(dim1=-2, dim2=-1).add_(1.0)
    root, _ = torch.linalg.cholesky_ex(precision)
    return torch.cholesky_solve(projected.unsqueeze(-1), root).squeeze(-1), root


@dataclass(frozen=True, eq=False)
class IncompleteFactorAnalysis:
    """A factor analysis that was fitted to an incomplete table.

    Attributes
    ----------
    mean : ndarray of shape (p,)
    loadings : ndarray of shape (p, r)
    noise : ndarray of shape (p,)
        Variance of the noise.
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray

    @property
    def n_factors(self) -> int:
        """Number of factors, r."""
        return self.loadings.shape[1]

    def count_directions(self, least: float = 1.0) -> int:
        r"""Count principal directions by their variance.

        These are the eigenvalues of the covariance :math:`W W^T + \Psi` above a
        multiple a of their mean. Their number is that of diagonal elements of
        :math:`D = \Psi - a I` above zero, and of negative eigenvalues of the small
        matrix :math:`I + W^T D^{-1} W` (Haynsworth 1968: the inertia of a block
        matrix).

        Parameters
        ----------
        least : float, default=1.0
            Multiple of the variance of an average feature.
        """
        average = np.mean(np.square(self.loadings).sum(axis=1) + self.noise)
        excess = self.noise - (1 - 1e-9) * least * average
        small = np.eye(self.n_factors) + (self.loadings.T / excess) @ self.loadings
        return int((excess > 0).sum() + (np.linalg.eigvalsh(small) < 0).sum())

    def complete(
        self, rows: np.ndarray, rng: np.random.RandomState | None = None
    ) -> np.ndarray:
        """Replace values by their expectation, or by draws.

        Parameters
        ----------
        rows : ndarray of shape (n, p) or (n, 2 p)
            NaN where missing. The standard deviations of errors follow, if there are
            any; a value is then replaced by its expectation without the error.
        rng : RandomState or None
            Draws from the distribution given the observed values; None returns its
            mean.

        Returns
        -------
        ndarray of shape (n, p)
            A new array; observed values without errors are equal.
        """
        values, reliability = self._reliable(rows)
        chosen = np.flatnonzero((reliability < 1).any(axis=1))
        completed = values.copy()
        if not len(chosen):
            return completed
        values, reliability = values[chosen], reliability[chosen]
        factors, covariance = self._moments(rows[chosen])
        if rng is not None:
            root = np.linalg.cholesky(covariance)
            factors = factors + np.einsum(
                "nrs,ns->nr", root, rng.normal(size=factors.shape)
            )
        expected = self.mean + factors @ self.loadings.T
        own = np.where(reliability > 0, values, 0.0) * reliability
        expected = own + (1 - reliability) * expected
        if rng is not None:
            noise = np.sqrt((1 - reliability) * self.noise)
            expected += noise * rng.normal(size=expected.shape)
        completed[chosen] = expected
        return completed

    def score_samples(self, rows: np.ndarray) -> np.ndarray:
        """Compute the log-density of the observed values of each row, nats, (n,)."""
        values, reliability = self._reliable(rows)
        factors, covariance = self._moments(rows)
        observed = reliability > 0
        centred = np.where(observed, values - self.mean, 0.0)
        scaled = centred / self.noise * reliability
        squares = (scaled * centred).sum(axis=1)
        squares -= np.einsum("nr,nr->n", factors, scaled @ self.loadings)
        _, log_volume = np.linalg.slogdet(covariance)
        log_noise = observed @ np.log(2 * math.pi * self.noise)
        log_trust = np.log(np.where(observed, reliability, 1.0)).sum(axis=1)
        return -0.5 * (squares + log_noise - log_trust - log_volume)

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """Compute the expected row given the expected factors, (n, p)."""
        return self.mean + self._moments(rows)[0] @ self.loadings.T

    def reliability(self, rows: np.ndarray) -> np.ndarray:
        """Compute the reliability of each value, zero where it is missing, (n, p)."""
        return self._reliable(rows)[1]

    def _reliable(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and their reliability, zero where they are missing, (n, p)."""
        values, errors = rows[:, : len(self.mean)], rows[:, len(self.mean) :]
        reliability = (~np.isnan(values)).astype(np.float64)
        if errors.size:
            reliability *= reliability_of(self.noise, errors)
        return values, reliability

    def _moments(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean (n, r) and covariance (n, r, r) of the factors of rows."""
        values, reliability = self._reliable(rows)
        centred = np.where(reliability > 0, values - self.mean, 0.0) * reliability
        arrays = self.loadings, self.noise, centred, reliability
        with undisturbed(), torch.inference_mode(), one_thread():
            tensors = [torch.from_numpy(a)[None] for a in arrays]
            mean, root = expected_factors(*tensors)
            return mean[0].numpy(), torch.cholesky_inverse(root)[0].numpy()


def fit_incomplete_factor_analysis(
    rows: np.ndarray,
    weight: np.ndarray,
    n_factors: int,
    *,
    n_steps: int,
    seed: int,
    errors: np.ndarray | None = None,
) -> IncompleteFactorAnalysis:
    """Fit factor analysis to the observed values of an incomplete table.

    Loadings have a standard normal prior.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Standardised rows, NaN where missing.
    weight : ndarray of shape (n,)
        Weights of the rows, positive.
    n_factors : int
    n_steps : int
        Steps of expectation maximisation.
    seed : int
        Seed of the first loadings.
    errors : ndarray of shape (n, p) or None, default=None
        Standard deviations of known errors of the values.

    Returns
    -------
    IncompleteFactorAnalysis
    """
    rows = rows.astype(np.float64)
    observed = ~np.isnan(rows)
    weight = weight * (len(weight) / weight.sum())
    trust = observed if errors is None else observed * reliability_of(1.0, errors)
    counts = np.maximum(weight @ trust, np.finfo(np.float64).tiny)
    mean = weight @ (np.where(observed, rows, 0.0) * trust) / counts
    centred = np.where(observed, rows - mean, 0.0) * trust
    start = _first_loadings(centred, n_factors, seed)
    with undisturbed(), torch.inference_mode(), one_thread():
        x = torch.from_numpy(np.where(observed, rows, 0.0))
        seen = torch.from_numpy(observed.astype(np.float64))
        weights = torch.from_numpy(weight)[:, None]
        known = None if errors is None else torch.from_numpy(errors.astype(np.float64))
        model = (
            torch.from_numpy(mean),
            torch.from_numpy(start),
            torch.full((rows.shape[1],), 0.5, dtype=torch.float64),
        )
        for _ in range(n_steps):
            model = _step(*model, x, seen, weights, known)
        return IncompleteFactorAnalysis(*(part.numpy() for part in model))


def _first_loadings(filled: np.ndarray, n_factors: int, seed: int) -> np.ndarray:
    """Return principal directions of rows whose missing values are the mean, (p, r)."""
    rng = np.random.RandomState(seed % 2**32)
    probes = filled @ rng.normal(size=(filled.shape[1], n_factors))
    basis, _ = np.linalg.qr(filled.T @ probes)
    _, values, axes = np.linalg.svd(filled @ basis, full_matrices=False)
    loadings = np.zeros((filled.shape[1], n_factors))
    found = (basis @ axes.T) * values / math.sqrt(len(filled))
    loadings[:, : found.shape[1]] = found
    return loadings


def _step(
    mean: Tensor,
    loadings: Tensor,
    noise: Tensor,
    x: Tensor,
    observed: Tensor,
    weight: Tensor,
    errors: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Make a step of expectation maximisation; return mean, loadings and noise.

    The mean is the loading of a further factor that is one for every row. With known
    errors, mean and loadings are those for the noise of the step before, and the noise
    is that of a step of Fisher scoring, which is faster where errors are large.
    """
    n, r = len(x), loadings.shape[1]
    trust = observed if errors is None else observed * reliability_of(noise, errors)
    centred = (x - mean) * trust
    factors, root = expected_factors(
        loadings[None], noise[None], centred[None], trust[None]
    )
    one = factors.new_ones(n, 1)
    f = torch.cat([factors[0], one], dim=1)  # (n, r + 1)
    second = f.unsqueeze(-1) * f.unsqueeze(-2)  # (n, r + 1, r + 1)
    second[:, :r, :r] += torch.cholesky_inverse(root)[0]
    seen = trust * weight  # (n, p)
    gram = (seen.mT @ second.flatten(1)).unflatten(1, (r + 1, r + 1))  # (p, ...)
    ridge = torch.diag(f.new_tensor([PRIOR_PRECISION] * r + [0.0]))
    product = (seen * x).mT @ f  # (p, r + 1)
    counts = seen.sum(0)
    is_empty = counts == 0
    damped = gram + noise[:, None, None] * ridge
    damped[is_empty] = torch.eye(r + 1, dtype=x.dtype)
    both = torch.linalg.solve(damped, product.unsqueeze(-1)).squeeze(-1)  # (p, r + 1)
    if errors is None:
        squares = (seen * x.square()).sum(0)
        explained = 2 * (both * product).sum(1)
        quadratic = torch.einsum("pi,pij,pj->p", both, gram, both)
        variance = (squares - explained + quadratic) / counts.clamp(min=1e-300)
    else:
        outer = (both.unsqueeze(-1) * both.unsqueeze(-2)).flatten(1)  # (p, ...)
        squares = x * (x - 2 * f @ both.mT) + second.flatten(1) @ outer.mT  # (n, p)
        share = seen * trust
        excess = (share * (squares - errors.square())).sum(0)
        variance = excess / share.sum(0).clamp(min=1e-300)
    variance = torch.where(is_empty, torch.ones_like(variance), variance)
    return both[:, r], both[:, :r], variance.clamp(min=MIN_NOISE)

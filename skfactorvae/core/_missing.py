"""Networks that encode rows with missing values, which are NaN, and with known errors.

Rows with known errors have 2 p columns: the values, and the standard deviation of the
error of each. :func:`split_errors` separates them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ._axes import FEATURE, Layers, Parameters, Shapes
from ._dense import PLAIN, Weights
from ._factor_analysis import (
    IncompleteFactorAnalysis,
    expected_factors,
    reliability_of,
)
from ._likelihoods import Likelihood
from ._wrappers import NetworkWrapper

Rows = TypeVar("Rows", np.ndarray, Tensor)

ROUNDS = 10
"""Times that a decoder fills in missing values, each from the ones before."""


def split_missing(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows with zeros in place of NaN, and an indicator of observed values.

    Parameters
    ----------
    x : Tensor of shape (..., p)

    Returns
    -------
    filled : Tensor of shape (..., p)
    observed : Tensor of shape (..., p)
        One where a value is observed, else zero.
    """
    observed = torch.eq(x, x, out=torch.empty_like(x))
    return x.nan_to_num(0.0, math.inf, -math.inf), observed


def split_errors(rows: Rows, n_features: int) -> tuple[Rows, Rows | None]:
    """Return the values of rows, and the standard deviations of their errors.

    Parameters
    ----------
    rows : ndarray or Tensor of shape (..., p) or (..., 2 p)
    n_features : int
        Features, p.

    Returns
    -------
    values : ndarray or Tensor of shape (..., p)
    errors : ndarray or Tensor of shape (..., p), or None
        None for rows without known errors.
    """
    if rows.shape[-1] == n_features:
        return rows, None
    return rows[..., :n_features], rows[..., n_features:]


class Observations(NamedTuple):
    """The values of rows, and what is known of each."""

    values: Tensor  # (..., p) zero where missing
    observed: Tensor | None = None  # (..., p) one where a value is observed, else zero
    error_variance: Tensor | None = None  # (..., p) of known errors

    @classmethod
    def of(cls, rows: Tensor, n_features: int) -> Observations:
        """Split rows (..., p) or (..., 2 p)."""
        values, errors = split_errors(rows, n_features)
        variance = None if errors is None else errors.square()
        return cls(*split_missing(values), variance)

    @property
    def known(self) -> list[Tensor]:
        """The fields that are not None, in order."""
        return [part for part in self if part is not None]


@dataclass(frozen=True)
class FactorFilling(NetworkWrapper):
    r"""A network that is trained on rows with missing values or known errors.

    Its encoder receives, in place of a missing value, the expectation given the
    observed ones under factor analysis, and beside the row an indicator of the missing
    values, if the network takes one. In a linear Gaussian model the posterior
    mean of a code is a linear function of that expectation, for any pattern of missing
    values:

    .. math:: \mathbb{E}[z | x_o] = A\, \mathbb{E}[x | x_o]

    A value with a known error of variance s**2 has the reliability

    .. math:: r = \psi / (\psi + s^2)

    given the noise variance of its feature. It is replaced by r times itself plus 1 - r
    times its expectation given the others, and the indicator is 1 - r: a missing value
    is one of reliability zero. A row without observed values has the prior as its
    posterior.

    Parameters
    ----------
    network : Network
    n_factors : int
        Factors of that factor analysis, r. Its weights are not trained.
    """

    n_factors: int

    FACTORS = "encoder.fill.mean", "encoder.fill.loadings", "encoder.fill.noise"

    @property
    def takes_missing(self) -> bool:
        return True

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature, self.n_factors

    @property
    def multiplications(self) -> int:
        p, r = self.n_features, self.n_factors
        return self.network.multiplications + p * r * (r + 2)

    @property
    def fixed(self) -> frozenset[str]:
        return self.network.fixed | frozenset(self.FACTORS)

    @property
    def encoder_parameters(self) -> Parameters:
        own = zip(self.FACTORS, [(FEATURE,), (FEATURE, "r"), (FEATURE,)], strict=True)
        return {**self.network.encoder_parameters, **dict(own)}

    @property
    def shapes(self) -> Shapes:
        p, r = self.n_features, self.n_factors
        own = zip(self.FACTORS, [(p,), (p, r), (p,)], strict=True)
        return {**self.network.shapes, **dict(own)}

    @property
    def encoder_layers(self) -> Layers | None:
        layers = self.network.encoder_layers
        name = self.FACTORS[0].removesuffix(".mean")
        if layers is None:
            return None
        in_log_var = any("mask" in layer for layer in layers)
        has_mask = self.network.takes_mask and not in_log_var
        return [{"kind": "fill", "name": name, "has_mask": has_mask}, *layers]

    def draw(self, generator: torch.Generator) -> Weights:
        """Draw the network's weights; without factors, missing values are zero."""
        p = self.n_features
        factors = (
            torch.zeros(p, **PLAIN),
            torch.zeros(p, self.n_factors, **PLAIN),
            torch.ones(p, **PLAIN),
        )
        own = zip(self.FACTORS, factors, strict=True)
        return {**self.network.draw(generator), **dict(own)}

    def filling_start(self, factors: IncompleteFactorAnalysis) -> dict[str, np.ndarray]:
        """Return the named weights that a factor analysis determines."""
        arrays = factors.mean, factors.loadings, factors.noise
        return dict(zip(self.FACTORS, arrays, strict=True))

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode_completed(weights, self.completed(weights, x))

    @torch.no_grad()
    def completed(self, weights: Weights, x: Tensor) -> Tensor:
        """Return rows with expected values, and one minus the values' reliability.

        Passes over memory take most of the time: results are written in place, and the
        mean is subtracted where rows are multiplied.

        Parameters
        ----------
        weights : Weights
        x : Tensor of shape (K, ..., p) or (K, ..., 2 p)

        Returns
        -------
        Tensor of shape (K, ..., 2 p)
        """
        mean, loadings, noise = (weights[name] for name in self.FACTORS)
        values, errors = split_errors(x.flatten(1, -2), self.n_features)
        both = values.new_empty((*values.shape[:-1], 2 * self.n_features))
        rows, missing = both.tensor_split([self.n_features], dim=-1)
        torch.nan_to_num(values, 0.0, math.inf, -math.inf, out=rows)
        reliability = torch.eq(values, values, out=torch.empty_like(rows))
        trusted = rows
        if errors is not None:
            reliability *= reliability_of(noise.unsqueeze(1), errors)
            trusted = rows * reliability
        factors, _ = expected_factors(loadings, noise, trusted, reliability, mean)
        expected = torch.baddbmm(mean.unsqueeze(1), factors, loadings.mT)
        torch.lerp(expected, rows, reliability, out=rows)
        torch.sub(1.0, reliability, out=missing)
        return both.unflatten(1, x.shape[1:-1])

    def encode_completed(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        rows, missing = x.tensor_split([self.n_features], dim=-1)
        taken = x if self.network.takes_mask else rows.contiguous()
        mean, log_var = self.network.encode(weights, taken)
        is_empty = missing.amin(-1, keepdim=True) == 1
        return _prior_where(is_empty, mean, log_var, self.n_components)


@dataclass(frozen=True)
class DecoderFilling(NetworkWrapper):
    """A network that was trained on complete rows, and encodes others.

    Missing values are zero at first, the mean of standardised rows, and are replaced
    several times by the decoder's expectation given the posterior mean.

    Parameters
    ----------
    network : Network
    likelihood : Likelihood
        Turns the decoder's output into expectations.
    """

    likelihood: Likelihood

    @property
    def takes_missing(self) -> bool:
        return True

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature, self.likelihood

    @property
    def encoder_parameters(self) -> Parameters:
        """Names and axes of all weights, since the decoder takes part in encoding."""
        return {**self.network.parameters, **self.likelihood.parameters}

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        filled, observed = split_missing(x)
        for _ in range(ROUNDS if x.isnan().any() else 0):
            mean, _ = self.network.encode(weights, filled)
            back = self.likelihood.mean(weights, self.network.decode(weights, mean))
            filled = torch.where(x.isnan(), back, filled)
        mean, log_var = self.network.encode(weights, filled)
        is_empty = observed.sum(-1, keepdim=True) == 0
        return _prior_where(is_empty, mean, log_var, self.n_components)


def _prior_where(
    is_empty: Tensor, mean: Tensor, log_var: Tensor, n_components: int
) -> tuple[Tensor, Tensor]:
    """Return posterior moments (K, B, .) that are standard normal for empty rows."""
    is_empty = is_empty & (torch.arange(mean.shape[-1]) < n_components).to(mean.device)
    return mean.masked_fill(is_empty, 0.0), log_var.masked_fill(is_empty, 0.0)

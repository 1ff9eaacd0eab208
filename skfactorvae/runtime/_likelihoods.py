"""Likelihoods and priors in numpy: what scores and reconstructions need of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._column_likelihoods import Columns, make_columns
from ._functions import sigmoid, softplus

LOG_TWO_PI = math.log(2 * math.pi)
HALF_WIDTH = math.sqrt(3)
"""Half the width of the uniform prior, whose variance is one."""


@dataclass(frozen=True)
class Gaussian:
    """Normal noise around the decoder's output.

    Attributes
    ----------
    scale : ndarray of shape (p,) or (1,)
        Standard deviation, in standardised units.
    """

    scale: np.ndarray

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        return output

    def nll(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z), summed over the features that are not NaN, nats."""
        scale = self.scale.astype(output.dtype)
        if np.isnan(x).any():
            constants = 2 * np.log(scale) + LOG_TWO_PI
            terms = np.square((x - output) / scale) + constants
            return 0.5 * np.where(np.isnan(x), 0, terms).sum(axis=-1)
        n_features = output.shape[-1]
        squares = np.square((x - output) / scale).sum(axis=-1)
        log_scales = np.log(scale).sum() * (n_features / len(scale))
        return 0.5 * (squares + n_features * LOG_TWO_PI) + log_scales


class Bernoulli:
    """Independent binary features; the decoder's output is the logit."""

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        return sigmoid(output)

    def nll(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z), summed over the features that are not NaN, nats."""
        terms = softplus(output) - x * output
        return np.where(np.isnan(x), 0, terms).sum(axis=-1)


def make_likelihood(
    described: Any, weights: Mapping[str, np.ndarray], n_features: int
) -> Gaussian | Bernoulli | Columns:
    """Return the likelihood of a description.

    Parameters
    ----------
    described : dict
        ``kind`` and constants, as a model file holds them.
    weights : mapping of str to ndarray
    n_features : int

    Raises
    ------
    ValueError
        If the kind is not known, or the scale is not positive.
    """
    kind = described["kind"]
    if kind == "bernoulli":
        return Bernoulli()
    if kind == "columns":
        return make_columns(described["parts"], weights)
    if kind != "gaussian":
        raise ValueError(f"the likelihood {str(kind)[:40]!r}")
    if "name" in described:
        raw = weights[described["name"]]
        scale = softplus(described["multiplier"] * raw) + described["minimum"]
    else:
        scale = np.array([float(described["scale"])])
    if scale.shape not in ((n_features,), (1,)) or not (scale > 0).all():
        raise ValueError(f"noise scales of shape {scale.shape}")
    return Gaussian(scale)


def normal_kl(mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """Return the KL divergence from a standard normal prior, by latent, nats."""
    return 0.5 * (np.square(mean) + np.exp(log_var) - log_var - 1)


def uniform_kl(mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """Return the KL divergence from the uniform prior of variance one, nats."""
    entropy = 0.5 * (math.log(2 * math.pi * math.e) + log_var)
    return math.log(2 * HALF_WIDTH) - entropy + 0 * mean


KL = {"normal": normal_kl, "uniform": uniform_kl}
"""KL divergence of a normal posterior, by the name of the prior."""

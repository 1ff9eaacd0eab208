"""VAE whose prior is a structural causal model of labelled latents.

Axes: ``K`` models, ``m`` attributes and their latents, ``B`` rows, ``d`` latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._axes import Parameters
from .._dense import PLAIN, Dense, Weights
from .._devices import one_thread
from .._priors import PRIORS
from ._auxiliary import Moments, normal_kl
from ._base import WEIGHT, Objective, Terms, warmed_up
from ._blocks import Blocks
from ._forward import Forward
from ._groups import order_within_groups
from ._readout import Readout
from ._supervised import labelled, labelled_codes, run_each, with_attributes

STRUCTURE = "structure"
"""Name of the networks of the structural equations."""

NOISE_SCALE = "structure.log_scale"
"""Weight (m,): logarithm of the standard deviation of the noise, divided by a rate."""

SCALE_RATE = 10.0
"""Factor by which a step changes the logarithm of a scale more than other weights."""

MIN_SCALE = 0.05
"""Standard deviation of the noise of a structural equation, at least."""

Graph = tuple[tuple[int, ...], ...]
"""One where the attribute of a row is a cause of that of a column, (m, m)."""


@dataclass(frozen=True, kw_only=True)
class CausalVAE(Objective):
    r"""The evidence lower bound with a prior of additive-noise structural equations.

    .. math:: \mathbb{E}[-\log p(x|z)]
        + \beta\,\mathbb{E}\bigl[\mathrm{KL}(q(z|x)\,\|\,p_G(z))\bigr]
        + \frac{\alpha}{2} \sum_j \mathbb{E}\bigl[(u_j - z_j)^2\bigr], \quad
        p_G(z) = \prod_j \mathcal{N}(z_j;\, f_j(z_{\mathrm{pa}(j)}),\, s_j^2)

    The first m latents are those of the attributes u, whose labels they equal up to
    noise of precision alpha on rows that have one. An attribute with causes in the
    graph G is a function of these, a network of its own, plus noise of a learned scale;
    one without, and a latent of no attribute, is standard normal. The divergence is
    exact given the causes, which are drawn from the posterior.

    Parameters
    ----------
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0.
    supervision : float, or Tensor of shape (K,)
        Weight of the squared error of labels, alpha, > 0.
    graph : tuple of m tuples of m int
        One where the attribute of the row is a cause of that of the column; acyclic.
    structural_layer_sizes : tuple of int
        Hidden layers of each structural equation.

    References
    ----------
    Yang et al. (2021), "CausalVAE: Disentangled Representation Learning via Neural
    Structural Causal Models", where one matrix is linear in the noise and each
    attribute has a vector of latents.
    """

    beta: Any = field(metadata=WEIGHT)
    supervision: Any = field(metadata=WEIGHT)
    graph: Graph
    structural_layer_sizes: tuple[int, ...]

    @property
    def kl_weight(self) -> float:
        return float(self.beta)

    @property
    def widths(self) -> tuple[int, ...]:
        """Latents of each attribute: one."""
        return (1,) * len(self.graph)

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels of each attribute: none, since all are numbers."""
        return (0,) * len(self.graph)

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks of latents: one of each attribute, and the others."""
        return Blocks(self.widths, 0)

    @property
    def readout(self) -> CausalReadout:
        return CausalReadout(widths=self.widths)

    @property
    def equations(self) -> StructuralEquations:
        """The structural equations, which the model trains."""
        return StructuralEquations(self.graph, self.structural_layer_sizes)

    @property
    def parameters(self) -> Parameters:
        return self.equations.parameters

    def draw(self, n_components: int) -> Weights:
        return self.equations.draw()

    def weights(self, ramp: Tensor) -> Terms:
        return {"kl": warmed_up(self.beta, ramp), "supervision": self.supervision}

    def terms(self, forward: Forward) -> Terms:
        return {
            "reconstruction": forward.reconstruction,
            "kl": self._kl(forward),
            "supervision": label_error(forward, len(self.graph)),
        }

    def _kl(self, forward: Forward) -> Tensor:
        """Return the divergence from the structural prior, nats per row, (K,)."""
        m = len(self.graph)
        prior = self.equations.moments(forward.weights, forward.z[..., :m])
        own = forward.mean[..., :m], forward.log_var[..., :m]
        others = forward.mean[..., m:], forward.log_var[..., m:]
        free = PRIORS[self.prior].kl(*others)
        if forward.mask is not None:
            free = free * forward.mask[..., m:]
        return (normal_kl(own, prior).sum(-1) + free.sum(-1)).mean(-1)


def label_error(forward: Forward, m: int) -> Tensor:
    """Return half the squared error of labels, summed over attributes, (K,)."""
    codes = forward.once(labelled_codes)[..., :m]  # (K, m, B, m)
    own = codes.diagonal(dim1=1, dim2=3)  # (K, B, m)
    error = own - labelled(forward).values.transpose(1, 2)
    return 0.5 * error.square().sum(-1).mean(-1)


@dataclass(frozen=True)
class CausalReadout(Readout):
    """The readout of latents whose first ones are attributes, in order and sign.

    Parameters
    ----------
    widths : tuple of int
        Latents of each attribute.
    """

    widths: tuple[int, ...] = ()

    @property
    def n_oriented(self) -> int:
        return sum(self.widths)

    def latent_order(self, kl: np.ndarray) -> np.ndarray:
        return order_within_groups(kl, Blocks(self.widths, 0).sizes(len(kl)))


@dataclass(frozen=True)
class StructuralEquations:
    """One network for each attribute, of its causes, and a scale of its noise.

    Parameters
    ----------
    graph : tuple of m tuples of m int
    hidden_layer_sizes : tuple of int
    """

    graph: Graph
    hidden_layer_sizes: tuple[int, ...]

    @property
    def network(self) -> Dense:
        """The network of one attribute."""
        sizes = len(self.graph), *self.hidden_layer_sizes, 1
        return Dense(STRUCTURE, sizes, "tanh", zero_output=True)

    @property
    def parameters(self) -> Parameters:
        """Names and axes of the weights."""
        return {**with_attributes(self.network), NOISE_SCALE: ("m",)}

    def draw(self) -> Weights:
        """Return networks that are zero, and scales of nearly one."""
        generator = torch.Generator().manual_seed(0)
        drawn = [self.network.draw(generator) for _ in self.graph]
        scales = {NOISE_SCALE: torch.zeros(len(self.graph), **PLAIN)}
        return {name: torch.stack([w[name] for w in drawn]) for name in drawn[0]} | (
            scales
        )

    def moments(self, weights: Weights, codes: Tensor) -> Moments:
        """Return means and log-variances of attributes given their causes.

        Parameters
        ----------
        weights : Weights
        codes : Tensor of shape (K, B, m)
            Codes of the attributes.

        Returns
        -------
        mean, log_var : Tensor of shape (K, B, m)
        """
        causes = torch.tensor(self.graph, dtype=codes.dtype, device=codes.device).T
        outputs = run_each(
            self.network, weights, codes.unsqueeze(1) * causes.unsqueeze(1)
        )
        has_cause = causes.amax(1)  # (m,)
        mean = outputs[..., 0].transpose(1, 2) * has_cause
        raw = 2 * SCALE_RATE * weights[NOISE_SCALE]
        log_var = torch.logaddexp(raw, raw.new_tensor(MIN_SCALE**2).log()) * has_cause
        return mean, log_var.unsqueeze(1).expand_as(mean)


def structural_moments(
    weights: Mapping[str, np.ndarray],
    graph: np.ndarray,
    hidden_layer_sizes: tuple[int, ...],
    codes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate the trained structural equations.

    Parameters
    ----------
    weights : mapping of str to ndarray
        Trained weights of one model.
    graph : ndarray of shape (m, m)
        One where the attribute of the row is a cause of that of the column.
    hidden_layer_sizes : tuple of int
        Those of the equations.
    codes : ndarray of shape (n, m)

    Returns
    -------
    mean : ndarray of shape (n, m), float64
        Of each attribute given its causes; zero without a cause.
    scale : ndarray of shape (m,), float64
        Standard deviation of its noise.

    Raises
    ------
    KeyError
        If the weights have no such equations.
    """
    plain = tuple(tuple(int(v) for v in row) for row in graph)
    equations = StructuralEquations(plain, hidden_layer_sizes)
    given = {name: weights[name].astype(np.float64) for name in equations.parameters}
    with one_thread(), torch.no_grad():
        stacked = {name: torch.from_numpy(w)[None] for name, w in given.items()}
        values = torch.from_numpy(np.ascontiguousarray(codes, dtype=np.float64))[None]
        mean, log_var = equations.moments(stacked, values)
        return mean[0].numpy(), (0.5 * log_var[0, 0]).exp().numpy()

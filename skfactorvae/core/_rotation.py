"""Orthogonal rotation of the latents of a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ._axes import LATENT, Layers, Parameters, Shapes
from ._dense import PLAIN, Weights, add_product
from ._inference import decode
from ._job import Job
from ._latents import describe_latents, strongest_correlation
from ._wrappers import NetworkWrapper

Arrays = Mapping[str, np.ndarray]

N_PRIOR_PAIRS = 2000
"""Antithetic pairs of draws from the prior by which loadings are computed."""


@dataclass(frozen=True)
class Rotated(NetworkWrapper):
    r"""A trained network whose components are rotated latents.

    .. math:: c = R^T z

    for an orthogonal matrix R, (d, d). The standard normal prior is that of the
    components, too, so that likelihood, bound and samples are those of the network.
    The posterior of the components is normal with covariance
    :math:`R^T \operatorname{diag}(\sigma^2) R`, whose diagonal is returned. Encoder
    and decoder are those of the latents.

    Parameters
    ----------
    network : Network
        With a normal prior of independent latents.
    """

    ROTATION = "rotation.weight"

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature

    @property
    def fixed(self) -> frozenset[str]:
        return self.network.fixed | {self.ROTATION}

    @property
    def can_set_to_prior(self) -> bool:
        return False

    @property
    def encoder_parameters(self) -> Parameters:
        own: Parameters = {self.ROTATION: (LATENT, "component")}
        return {**self.network.encoder_parameters, **own}

    @property
    def decoder_parameters(self) -> Parameters:
        own: Parameters = {self.ROTATION: (LATENT, "component")}
        return {**self.network.decoder_parameters, **own}

    @property
    def shapes(self) -> Shapes:
        d = self.n_components
        return {**self.network.shapes, self.ROTATION: (d, d)}

    @property
    def encoder_layers(self) -> Layers | None:
        layers = self.network.encoder_layers
        return layers and [*layers, self._layer]

    @property
    def decoder_layers(self) -> Layers | None:
        layers = self.network.decoder_layers
        return layers and [self._layer, *layers]

    @property
    def _layer(self) -> dict[str, object]:
        return {"kind": "rotation", "name": self.ROTATION.removesuffix(".weight")}

    def draw(self, generator: torch.Generator) -> Weights:
        """Draw the network's weights, with the identity as rotation."""
        eye = torch.eye(self.n_components, **PLAIN)
        return {**self.network.draw(generator), self.ROTATION: eye}

    def components_of(
        self, weights: Weights, mean: Tensor, log_var: Tensor
    ) -> tuple[Tensor, Tensor]:
        rotation = weights[self.ROTATION]
        zero = torch.zeros_like(rotation[:, :1])
        variance = add_product(zero, log_var.exp(), rotation.square())
        return add_product(zero, mean, rotation), variance.log()

    def latents_of(self, weights: Weights, codes: Tensor) -> Tensor:
        rotation = weights[self.ROTATION]
        zero = torch.zeros_like(rotation[:, :1])
        return add_product(zero, codes, rotation.mT)


def mean_loadings(job: Job, weights: Arrays, device: torch.device) -> np.ndarray:
    r"""Return the mean slope of each feature by each latent, (p, d), float64.

    .. math:: \mathbb{E}[\partial f(z) / \partial z] = \mathbb{E}[f(z)\, z^T]

    for the decoder's mean f and z from the standard normal prior (Stein's lemma), over
    antithetic pairs of draws.
    """
    d = job.network.n_components
    draws = np.random.RandomState(0).normal(size=(N_PRIOR_PAIRS, d))
    z = np.concatenate([draws, -draws]).astype(job.rows.dtype)
    back = decode(job.network, job.likelihood, weights, z, device=device)
    return back.astype(np.float64).T @ z / len(z)


def rotate_latents(
    job: Job, weights: Arrays, rotation: np.ndarray, device: torch.device
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Rotate the latents of a trained model, and order the components.

    Components are ordered and signed as latents are after a fit.

    Parameters
    ----------
    job : Job
        The model, and the rows over which moments are taken.
    weights : mapping of str to ndarray
        Its trained weights.
    rotation : ndarray of shape (d, d)
        Orthogonal; codes are ``latents @ rotation``.

    Returns
    -------
    weights : dict of str to ndarray
        Those of :class:`Rotated` around the job's network.
    kl : ndarray of shape (d,)
        Mean KL divergence of each component's marginal posterior from the prior, nats.
        Their sum is at most that of the latents: components of a posterior with a
        covariance share information.
    variance : ndarray of shape (d,)
        Variance of each component's posterior mean over the rows.
    """
    network = Rotated(job.network)
    rotated = replace(job, network=network)
    typed = rotation.astype(job.rows.dtype)
    kl, variance, correlation = describe_latents(
        rotated, {**weights, network.ROTATION: typed}, device
    )
    order = job.objective.readout.latent_order(kl)
    direction = strongest_correlation(correlation)
    sign = np.where(direction < 0, -1.0, 1.0).astype(typed.dtype)
    typed = np.ascontiguousarray((typed * sign)[:, order])
    return {**weights, network.ROTATION: typed}, kl[order], variance[order]


def keep_rotation(
    job: Job, weights: Arrays, rotation: np.ndarray, device: torch.device
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Rotate the latents as those of an earlier model, with its order of components.

    Parameters
    ----------
    job, weights, device
        As :func:`rotate_latents` takes them.
    rotation : ndarray of shape (d, d)
        Of the earlier model.

    Returns
    -------
    weights, kl, variance
        As :func:`rotate_latents` returns them.
    """
    network = Rotated(job.network)
    rotated = {**weights, network.ROTATION: rotation}
    kl, variance, _ = describe_latents(replace(job, network=network), rotated, device)
    return rotated, kl, variance


def rotation_of(weights: Arrays) -> np.ndarray | None:
    """Return the rotation among weights, None where there is none."""
    return weights.get(Rotated.ROTATION)


def without_rotation(weights: Arrays) -> dict[str, np.ndarray]:
    """Return the weights of the network that is rotated, without the rotation."""
    return {name: w for name, w in weights.items() if name != Rotated.ROTATION}

"""Networks that are built from other ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._axes import Layers, Parameters, Shapes
from ._dense import Weights
from ._networks import LOG_VAR_CENTRE, LOG_VAR_RADIUS, Network


@dataclass(frozen=True)
class NetworkWrapper(Network):
    """A network that is built from another one, and has its sizes and weights.

    Parameters
    ----------
    network : Network
    """

    network: Network

    # mypy: the base class declares attributes, which could be set.
    @property
    def n_features(self) -> int:  # type: ignore[override]
        return self.network.n_features

    @property
    def n_components(self) -> int:  # type: ignore[override]
        return self.network.n_components

    @property
    def multiplications(self) -> int:
        return self.network.multiplications

    @property
    def n_auxiliary(self) -> int:
        return self.network.n_auxiliary

    @property
    def n_columns(self) -> int:
        return self.network.n_columns

    @property
    def categorical_kl(self) -> float:
        return self.network.categorical_kl

    @property
    def takes_missing(self) -> bool:
        return self.network.takes_missing

    @property
    def takes_mask(self) -> bool:
        return self.network.takes_mask

    @property
    def decoder_layers(self) -> list[dict[str, object]] | None:
        return self.network.decoder_layers

    def lr_multiplier(self, name: str) -> float:
        return self.network.lr_multiplier(name)

    @property
    def block_size(self) -> int:
        return self.network.block_size

    @property
    def scored_block_size(self) -> int:
        return self.network.scored_block_size

    @property
    def fixed(self) -> frozenset[str]:
        return self.network.fixed

    @property
    def matrices(self) -> frozenset[str]:
        return self.network.matrices

    @property
    def decayed(self) -> frozenset[str]:
        return self.network.decayed

    @property
    def can_set_to_prior(self) -> bool:
        return self.network.can_set_to_prior

    @property
    def encoder_parameters(self) -> Parameters:
        return self.network.encoder_parameters

    @property
    def decoder_parameters(self) -> Parameters:
        return self.network.decoder_parameters

    @property
    def shapes(self) -> Shapes:
        return self.network.shapes

    @property
    def encoder_layers(self) -> Layers | None:
        return self.network.encoder_layers

    def linear_start(
        self, encoder: np.ndarray, decoder: np.ndarray
    ) -> dict[str, np.ndarray]:
        return self.network.linear_start(encoder, decoder)

    def set_to_prior(
        self, weights: Mapping[str, np.ndarray], latents: np.ndarray
    ) -> dict[str, np.ndarray]:
        return self.network.set_to_prior(weights, latents)

    def draw(self, generator: torch.Generator) -> Weights:
        return self.network.draw(generator)

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.encode(weights, x)

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        return self.network.decode(weights, z)

    def draw_codes(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
        return self.network.draw_codes(mean, log_var, noise)

    def components_of(
        self, weights: Weights, mean: Tensor, log_var: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.network.components_of(weights, mean, log_var)

    def latents_of(self, weights: Weights, codes: Tensor) -> Tensor:
        return self.network.latents_of(weights, codes)

    def generate(
        self,
        weights: Weights,
        z: Tensor,
        auxiliary_noise: Tensor,
        *,
        noise: bool = True,
    ) -> Tensor:
        return self.network.generate(weights, z, auxiliary_noise, noise=noise)


@dataclass(frozen=True)
class PointPosterior(NetworkWrapper):
    """A network whose posterior variance is the smallest possible, exp(-10).

    Its encoder is thus practically deterministic.

    Parameters
    ----------
    network : Network
        Gives everything but the variance.
    """

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature

    @property
    def encoder_layers(self) -> Layers | None:
        layers = self.network.encoder_layers
        fixed = {"log_var": LOG_VAR_CENTRE - LOG_VAR_RADIUS}
        return layers and [
            {**layer, **fixed} if layer["kind"] == "moments" else layer
            for layer in layers
        ]

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.network.encode(weights, x)
        return mean, 0 * log_var + (LOG_VAR_CENTRE - LOG_VAR_RADIUS)

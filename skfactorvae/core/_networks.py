"""Networks as functions of stacked weights.

A network holds no weights. It declares their names and axes, draws those of one model,
and encodes and decodes with those of a stack: every weight passed to it has a leading
model axis ``K``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ._axes import FEATURE, LATENT, Layers, Parameters, Shapes
from ._dense import PLAIN, Dense, Weights, add_product, draw_normal

LOG_VAR_CENTRE, LOG_VAR_RADIUS = -3.0, 7.0
FIRST_LOG_VAR = -2.0

MAX_SHARE = 0.999
"""Distance from the centre, in radii, up to which a log-variance is mapped back."""

FULL_LR_FEATURES = 600
"""Features up to which weights that multiply the input have the full learning rate."""


class Network(ABC):
    """Encoder and decoder of a variational autoencoder, for a stack of models.

    Attributes
    ----------
    n_features, n_components : int
        Features of the data, p, and latents, d.
    """

    n_features: int
    n_components: int

    @property
    def block_size(self) -> int:
        """Rows that inference processes at once."""
        return 256

    @property
    def scored_block_size(self) -> int:
        """Rows and codes that are decoded at once to compute a bound."""
        return self.block_size

    @property
    def fixed(self) -> frozenset[str]:
        """Names of weights that training does not change."""
        return frozenset()

    @property
    def takes_missing(self) -> bool:
        """Whether :meth:`encode` takes rows with missing values, which are NaN."""
        return False

    @property
    def takes_mask(self) -> bool:
        """Whether :meth:`encode` takes, beside a row, an indicator of missing values.

        The input has the shape (K, B, 2 p) then.
        """
        return False

    @property
    def matrices(self) -> frozenset[str]:
        """Names of the weights that are trained and are not biases."""
        return frozenset(
            name
            for name, axes in self.parameters.items()
            if len(axes) > 1 and not name.endswith("bias") and name not in self.fixed
        )

    @property
    def decayed(self) -> frozenset[str]:
        """Names of the weights that weight decay shrinks: all matrices."""
        return self.matrices

    @property
    def can_set_to_prior(self) -> bool:
        """Whether :meth:`set_to_prior` can be called."""
        return False

    @property
    def n_auxiliary(self) -> int:
        """Normal numbers that :meth:`generate` takes beside those of the latents."""
        return 0

    @property
    def categorical_kl(self) -> float:
        """KL divergence of levels that :meth:`draw_codes` takes as certain, nats."""
        return 0.0

    @property
    def n_columns(self) -> int:
        """Columns of a code: the latents, and any that follow them."""
        return self.n_components

    @property
    @abstractmethod
    def signature(self) -> tuple[object, ...]:
        """Properties in which two networks must agree to be stacked."""

    @property
    @abstractmethod
    def multiplications(self) -> int:
        """Multiplications to encode and decode one row."""

    @property
    @abstractmethod
    def encoder_parameters(self) -> Parameters:
        """Names and axes of the encoder's weights."""

    @property
    @abstractmethod
    def decoder_parameters(self) -> Parameters:
        """Names and axes of the decoder's weights."""

    @property
    def parameters(self) -> Parameters:
        """Names and axes of all weights."""
        return {**self.encoder_parameters, **self.decoder_parameters}

    @property
    @abstractmethod
    def shapes(self) -> Shapes:
        """Shapes of one model's weights, by name."""

    def lr_multiplier(self, name: str) -> float:
        """Return the fraction of the learning rate at which a weight is updated.

        Likelihoods scale the rate of their own weights: see :class:`Gaussian`.
        """
        return 1.0

    @property
    def encoder_layers(self) -> Layers | None:
        """Description of :meth:`encode`, layer by layer; None if there is none.

        ``kind`` is "reshape" (to ``shape``), "conv", "dense", or one of what follows
        the hidden layers: "moments", posterior mean and a number that is mapped to the
        log-variance by ``tanh(raw / radius) * radius + centre``, or the fixed
        ``log_var``; "linear", which adds the linear path from the row to the mean;
        "levels", probabilities of the levels of categories. ``name`` is the prefix of
        the names of the layer's weights; where ``is_activated`` is true, the activation
        follows.
        """
        return None

    @property
    def decoder_layers(self) -> Layers | None:
        """Description of :meth:`decode`, layer by layer; None if there is none.

        ``kind`` is "dense", "reshape" (to ``shape``), "conv_transpose" (to ``size``) or
        "linear", which adds the linear path from the code; ``name`` is the prefix of
        the names of the layer's weights; where ``is_activated`` is true, the activation
        follows. Columns of a code beside the latents are multiplied by the
        weight named by ``more_inputs``.
        """
        return None

    @abstractmethod
    def draw(self, generator: torch.Generator) -> Weights:
        """Draw the weights of one model, without the leading axis."""

    def linear_start(
        self, encoder: np.ndarray, decoder: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return named weights that start training at a linear model.

        Parameters
        ----------
        encoder : ndarray of shape (p, d)
            Posterior means are initially ``x @ encoder``.
        decoder : ndarray of shape (d, p)
            The decoder's output is initially ``z @ decoder``.

        Raises
        ------
        ValueError
            If the network has no linear path.
        """
        raise ValueError(
            f"{type(self).__name__} has no linear path, so it cannot start at a linear "
            "model. Use an MLP or a ConvNet with linear_path=True, or draw all weights."
        )

    def set_to_prior(
        self, weights: Mapping[str, np.ndarray], latents: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return one model's weights with some posteriors equal to the prior.

        Parameters
        ----------
        weights : mapping of str to ndarray
        latents : ndarray of int
            Latents whose posterior becomes standard normal for every row.
        """
        raise ValueError(
            f"The posteriors of {type(self).__name__} cannot be set to the prior. "
            "Check can_set_to_prior first."
        )

    @abstractmethod
    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (K, B, p) to posterior mean and log-variance, each (K, B, d)."""

    def completed(self, weights: Weights, x: Tensor) -> Tensor:
        """Return rows (K, ..., p) as :meth:`encode_completed` takes them.

        Training computes this once for all batches of a step.
        """
        return x

    def encode_completed(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map what :meth:`completed` returned to the same as :meth:`encode`."""
        return self.encode(weights, x)

    @abstractmethod
    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        """Map codes (K, B, d) to the likelihood's parameters (K, B, p)."""

    def draw_codes(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
        """Draw from the posteriors, given their moments and standard normal noise."""
        return torch.addcmul(mean, torch.exp(0.5 * log_var), noise)

    def components_of(
        self, weights: Weights, mean: Tensor, log_var: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the moments of components, given those of the latents."""
        return mean, log_var

    def latents_of(self, weights: Weights, codes: Tensor) -> Tensor:
        """Return the latents (K, B, d) of the components' values."""
        return codes

    def generate(
        self,
        weights: Weights,
        z: Tensor,
        auxiliary_noise: Tensor,
        *,
        noise: bool = True,
    ) -> Tensor:
        """Decode draws from the prior.

        Parameters
        ----------
        weights : Weights
        z : Tensor of shape (K, B, d)
            Latents.
        auxiliary_noise : Tensor of shape (K, B, n_auxiliary)
            Standard normal numbers for every random input beside the latents.
        noise : bool, default=True
            Whether noise that is not part of a code is drawn or set to zero.

        Returns
        -------
        Tensor of shape (K, B, p)
        """
        return self.decode(weights, z)


@dataclass(frozen=True)
class LinearPathNetwork(Network):
    """The posterior head and the linear path that the built-in networks share.

    The linear path adds ``x @ A`` to the posterior mean and ``z @ B`` to the decoder's
    output. The outputs of the other layers are initially zero, so that training starts
    at the linear model of :meth:`linear_start`.

    With ``has_mask``, the encoder also takes an indicator of the missing values of a
    row, whose weights are initially zero. With ``mask_in_mean`` the hidden layers take
    it; without, a linear map of it is added to the numbers that become log-variances,
    and posterior means depend on the row alone.
    """

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    linear_path: bool
    has_mask: bool = field(default=False, kw_only=True)
    mask_in_mean: bool = field(default=True, kw_only=True)

    HEAD = "encoder.head.weight", "encoder.head.bias"
    LINEAR = "encoder.linear.weight", "decoder.linear.weight"
    MASK = "encoder.mask.weight"

    @property
    def can_set_to_prior(self) -> bool:
        return True

    @property
    def takes_mask(self) -> bool:
        return self.has_mask

    @property
    def has_mask_inputs(self) -> bool:
        """Whether the hidden layers take the indicator of missing values."""
        return self.has_mask and self.mask_in_mean

    @property
    def has_mask_path(self) -> bool:
        """Whether the indicator of missing values is added to log-variances."""
        return self.has_mask and not self.mask_in_mean

    @property
    def decayed(self) -> frozenset[str]:
        """Names of the weights of all layers but the linear path and that of the mask.

        With a large weight decay, the model is therefore linear.
        """
        return self.matrices - {*self.LINEAR, self.MASK}

    @property
    def signature(self) -> tuple[object, ...]:
        return (
            type(self),
            self.n_features,
            self.hidden_layer_sizes,
            self.activation,
            self.linear_path,
            self.has_mask,
            self.has_mask_path,
        )

    @property
    @abstractmethod
    def hidden_parameters(self) -> tuple[Parameters, Parameters]:
        """Names and axes of the hidden layers of the encoder, and of the decoder."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Units of the encoder's last hidden layer, h."""

    @property
    @abstractmethod
    def decoder_ends(self) -> tuple[str, str]:
        """Names of the weights of the decoder's first and last layer."""

    @property
    @abstractmethod
    def hidden_shapes(self) -> Shapes:
        """Shapes of the weights of all hidden layers."""

    @property
    @abstractmethod
    def hidden_layers(self) -> Layers:
        """Description of the encoder's hidden layers."""

    @abstractmethod
    def hidden(self, weights: Weights, x: Tensor) -> Tensor:
        """Map inputs (K, B, p or 2 p) to the encoder's last hidden layer, (K, B, h)."""

    @property
    def encoder_parameters(self) -> Parameters:
        hidden, _ = self.hidden_parameters
        below = "h" if hidden else FEATURE
        weight, bias = self.HEAD
        head = {weight: (below, "2", LATENT), bias: ("2", LATENT)}
        path = {self.LINEAR[0]: (FEATURE, LATENT)} if self.linear_path else {}
        mask = {self.MASK: (FEATURE, LATENT)} if self.has_mask_path else {}
        return {**hidden, **head, **path, **mask}

    @property
    def decoder_parameters(self) -> Parameters:
        _, hidden = self.hidden_parameters
        path = {self.LINEAR[1]: (LATENT, FEATURE)} if self.linear_path else {}
        return {**path, **hidden}

    @property
    def shapes(self) -> Shapes:
        p, d = self.n_features, self.n_components
        head = dict(zip(self.HEAD, [(self.width, 2, d), (2, d)], strict=True))
        path = dict(zip(self.LINEAR, [(p, d), (d, p)], strict=True))
        path = path if self.linear_path else {}
        mask = {self.MASK: (p, d)} if self.has_mask_path else {}
        return {**self.hidden_shapes, **head, **path, **mask}

    @property
    def encoder_layers(self) -> Layers:
        head = self.HEAD[0].removesuffix(".weight")
        bound = {"centre": LOG_VAR_CENTRE, "radius": LOG_VAR_RADIUS}
        moments = {"kind": "moments", "name": head, **bound}
        if self.has_mask_path:
            moments["mask"] = self.MASK
        return [*self.hidden_layers, moments, *self._linear_layers(self.LINEAR[0])]

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.has_mask:
            return self.posterior(weights, self.hidden(weights, x), x)
        rows, missing = x.tensor_split([self.n_features], dim=-1)
        if self.mask_in_mean:
            return self.posterior(weights, self.hidden(weights, x), rows)
        return self.posterior(weights, self.hidden(weights, rows), rows, missing)

    def linear_start(
        self, encoder: np.ndarray, decoder: np.ndarray
    ) -> dict[str, np.ndarray]:
        if not self.linear_path:
            return super().linear_start(encoder, decoder)
        return dict(zip(self.LINEAR, (encoder, decoder), strict=True))

    def set_to_prior(
        self, weights: Mapping[str, np.ndarray], latents: np.ndarray
    ) -> dict[str, np.ndarray]:
        changed = dict(weights)
        for name, axes in self.encoder_parameters.items():
            if axes[-1] == LATENT:
                changed[name] = weights[name].copy()
                changed[name][..., latents] = 0.0
        _, bias = self.HEAD
        changed[bias][1, latents] = raw_log_var(0.0)
        return changed

    def _draw_head(self, width: int, generator: torch.Generator) -> Weights:
        d = self.n_components
        weight = draw_normal((width, 2, d), width, 1.0, generator)
        weight[:, 1] = 0.0
        if self.linear_path:
            weight[:, 0] = 0.0
        bias = torch.zeros(2, d, **PLAIN)
        bias[1] = raw_log_var(FIRST_LOG_VAR)
        head = dict(zip(self.HEAD, (weight, bias), strict=True))
        if self.has_mask_path:
            head[self.MASK] = torch.zeros(self.n_features, d, **PLAIN)
        if not self.linear_path:
            return head
        shapes = (self.n_features, d), (d, self.n_features)
        paths = (torch.zeros(shape, **PLAIN) for shape in shapes)
        return head | dict(zip(self.LINEAR, paths, strict=True))

    def posterior(
        self,
        weights: Weights,
        hidden: Tensor,
        rows: Tensor,
        missing: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, (K, B, d), given the last hidden layer.

        Parameters
        ----------
        weights : Weights
        hidden : Tensor of shape (K, B, h)
        rows : Tensor of shape (K, B, p)
        missing : Tensor of shape (K, B, p) or None
            Indicator of missing values, where log-variances depend on it.
        """
        weight, bias = (weights[name] for name in self.HEAD)
        head = add_product(
            bias.flatten(-2).unsqueeze(1), hidden, weight.flatten(-2)
        )  # (K, B, 2 d)
        mean, raw = head.chunk(2, dim=-1)
        if self.linear_path:
            mean = add_product(mean, rows, weights[self.LINEAR[0]])
        if missing is not None:
            raw = add_product(raw, missing, weights[self.MASK])
        return mean, bound_log_var(raw)

    def _linear_layers(self, weight: str) -> Layers:
        name = weight.removesuffix(".weight")
        layer: dict[str, object] = {"kind": "linear", "name": name}
        return [layer] if self.linear_path else []

    def _add_linear(self, weights: Weights, output: Tensor, z: Tensor) -> Tensor:
        if not self.linear_path:
            return output
        return add_product(output, z, weights[self.LINEAR[1]])


def bound_log_var(raw: Tensor) -> Tensor:
    """Map to a log-variance in (-10, 4), smoothly, so that no exponential overflows."""
    return torch.tanh(raw / LOG_VAR_RADIUS) * LOG_VAR_RADIUS + LOG_VAR_CENTRE


def raw_log_var(log_var: float) -> float:
    """Return the inverse of :func:`bound_log_var`."""
    return LOG_VAR_RADIUS * math.atanh((log_var - LOG_VAR_CENTRE) / LOG_VAR_RADIUS)


def inverse_bound(log_var: np.ndarray) -> np.ndarray:
    """Return the inverse of :func:`bound_log_var` for arrays, finite at its bounds."""
    share = (log_var - LOG_VAR_CENTRE) / LOG_VAR_RADIUS
    return LOG_VAR_RADIUS * np.arctanh(np.clip(share, -MAX_SHARE, MAX_SHARE))


@dataclass(frozen=True)
class MLP(LinearPathNetwork):
    """Dense encoder and mirrored dense decoder.

    Parameters
    ----------
    scale_input_lr : bool, default=False
        Whether weights that multiply more than 600 features have the learning rate
        600 / p. A step of Adam changes each weight by the learning rate, and correlated
        features add up: the change of a hidden unit's input grows in proportion to the
        number of features, and with thousands of them exceeds what was learned.
    """

    scale_input_lr: bool = False

    @property
    def scored_block_size(self) -> int:
        return 1024

    @cached_property
    def _encoder(self) -> Dense:
        n_inputs = self.n_features * (1 + self.has_mask_inputs)
        sizes = (n_inputs, *self.hidden_layer_sizes)
        return Dense(
            "encoder",
            sizes,
            self.activation,
            final_activation=True,
            axes=(FEATURE, "h"),
        )

    @cached_property
    def _decoder(self) -> Dense:
        sizes = (self.n_components, *self.hidden_layer_sizes[::-1], self.n_features)
        return Dense(
            "decoder",
            sizes,
            self.activation,
            zero_output=self.linear_path,
            axes=(LATENT, FEATURE),
        )

    @property
    def multiplications(self) -> int:
        heads = 2 * self.n_components * self._encoder.sizes[-1]
        paths = 2 * self.linear_path * self.n_features * self.n_components
        return (
            self._encoder.multiplications
            + self._decoder.multiplications
            + heads
            + paths
        )

    @property
    def signature(self) -> tuple[object, ...]:
        return (*super().signature, self.scale_input_lr)

    @property
    def hidden_parameters(self) -> tuple[Parameters, Parameters]:
        return self._encoder.parameters, self._decoder.parameters

    def lr_multiplier(self, name: str) -> float:
        axes = self.encoder_parameters.get(name, ())
        if not self.scale_input_lr or axes[:1] != (FEATURE,):
            return 1.0
        return min(1.0, FULL_LR_FEATURES / self.n_features)

    def draw(self, generator: torch.Generator) -> Weights:
        """Draw all weights; those of the indicator of missing values are zero."""
        weights = {
            **self._encoder.draw(generator),
            **self._draw_head(self._encoder.sizes[-1], generator),
            **self._decoder.draw(generator),
        }
        first = next(iter(self.encoder_parameters))  # the head's without hidden layers
        weights[first][self.n_features :] = 0.0
        return weights

    @property
    def hidden_shapes(self) -> Shapes:
        return {**self._encoder.shapes, **self._decoder.shapes}

    @property
    def hidden_layers(self) -> Layers:
        return self._encoder.layers

    @property
    def decoder_layers(self) -> Layers:
        return self._decoder.layers + self._linear_layers(self.LINEAR[1])

    @property
    def width(self) -> int:
        return self._encoder.sizes[-1]

    @property
    def decoder_ends(self) -> tuple[str, str]:
        return self._decoder.names[0], self._decoder.names[-2]

    def hidden(self, weights: Weights, x: Tensor) -> Tensor:
        return self._encoder(weights, x)

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        return self._add_linear(weights, self._decoder(weights, z), z)

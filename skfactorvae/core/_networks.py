"""Networks as functions of stacked weights.

A network owns no weights. It draws those of one model, and encodes and decodes with
those of a stack: every weight it is handed has a leading model axis ``K``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ._dense import ACTIVATIONS, PLAIN, Dense, Weights, add_product, draw_normal

LOG_VAR_CENTRE, LOG_VAR_RADIUS = -3.0, 7.0
FIRST_LOG_VAR = -2.0

FULL_LR_FEATURES = 600
"""Columns up to which what multiplies rows moves at the full rate."""


# ---------------------------------------------------------------------- layers
def conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply K convolutions that halve the size: (K, B, C, H, W), (K, O, C, 4, 4)."""
    y = F.conv2d(
        _merge_models(x),
        weight.flatten(0, 1),
        bias.flatten(),
        stride=2,
        padding=1,
        groups=len(x),
    )
    return _split_models(y, len(x))


def conv_transpose(
    x: Tensor, weight: Tensor, bias: Tensor, size: tuple[int, int]
) -> Tensor:
    """Undo :func:`conv`: (K, B, C, h, w), (K, C, O, 4, 4) -> (K, B, O, *size)."""
    extra = [s - 2 * r for s, r in zip(size, x.shape[-2:], strict=True)]
    y = F.conv_transpose2d(
        _merge_models(x),
        weight.flatten(0, 1),
        bias.flatten(),
        stride=2,
        padding=1,
        output_padding=extra,
        groups=len(x),
    )
    return _split_models(y, len(x))


def _merge_models(x: Tensor) -> Tensor:
    return x.transpose(0, 1).flatten(1, 2)  # (B, K * C, H, W)


def _split_models(y: Tensor, n_models: int) -> Tensor:
    return y.unflatten(1, (n_models, -1)).transpose(0, 1)  # (K, B, C, H, W)


# -------------------------------------------------------------------- networks
class Network(ABC):
    """Encoder and decoder of a variational autoencoder, for a stack of models.

    Attributes
    ----------
    n_features, n_components : int
        Columns of the data, p, and latents, d.
    block : int
        Rows that inference sends through at once.
    """

    n_features: int
    n_components: int
    block = 256
    n_auxiliary = 0
    """Normal numbers that :meth:`generate` takes beside those of the components."""

    categorical_kl = 0.0
    """Divergence from the prior of what :meth:`draw_codes` takes for certain, nats."""

    @property
    def n_columns(self) -> int:
        """Columns of a code: the latents, and whatever follows them."""
        return self.n_components

    @property
    @abstractmethod
    def signature(self) -> tuple[object, ...]:
        """What two networks must share to be stacked."""

    @property
    @abstractmethod
    def multiplications(self) -> int:
        """Multiplications to encode and decode one row."""

    def lr_multiplier(self, name: str) -> float:
        """Return the share of the learning rate at which a weight moves.

        Likelihoods see to their own weights: see :class:`Gaussian`.
        """
        return 1.0

    @property
    def decoder_layers(self) -> list[dict[str, object]] | None:
        """What :meth:`decode` does, in words and names of weights; None if unknown.

        Layers come in order: ``kind`` is "dense", "reshape" (to ``shape``),
        "conv_transpose" (to ``size``) or "linear", which adds the code's linear path;
        ``name`` stands before the names of its weights; ``is_activated`` says whether
        the activation follows.
        """
        return None

    @abstractmethod
    def draw(self, generator: torch.Generator) -> Weights:
        """Draw the weights of one model, without the leading axis."""

    @abstractmethod
    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (K, B, p) to posterior mean and log-variance, each (K, B, d)."""

    @abstractmethod
    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        """Map codes (K, B, d) to the likelihood's parameters (K, B, p)."""

    def draw_codes(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
        """Draw from the posteriors, as a function of their moments and of noise."""
        return torch.addcmul(mean, torch.exp(0.5 * log_var), noise)

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
            Standard normal numbers for all that is random beside the latents.
        noise : bool, default=True
            Whether noise that is no part of a code is drawn, too.

        Returns
        -------
        Tensor of shape (K, B, p)
        """
        return self.decode(weights, z)


@dataclass(frozen=True)
class _Linear(Network):
    """What the built-in networks share: the two heads and the linear path.

    The linear path adds ``x @ A`` to the posterior mean and ``z @ B`` to the decoder's
    output. With the other layers' outputs starting at zero, training starts from the
    linear model that :class:`LinearStart` holds.
    """

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    linear_path: bool

    @property
    def signature(self) -> tuple[object, ...]:
        return (
            type(self),
            self.n_features,
            self.hidden_layer_sizes,
            self.activation,
            self.linear_path,
        )

    @property
    @abstractmethod
    def width(self) -> int:
        """Units of the encoder's last hidden layer, h."""

    @property
    @abstractmethod
    def output(self) -> str:
        """Name of the weight of the decoder's last layer."""

    @abstractmethod
    def hidden(self, weights: Weights, x: Tensor) -> Tensor:
        """Map rows (K, B, p) to the encoder's last hidden layer, (K, B, h)."""

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.posterior(weights, self.hidden(weights, x), x)

    def _draw_heads(self, width: int, generator: torch.Generator) -> Weights:
        d = self.n_components
        weight = draw_normal((width, 2, d), width, 1.0, generator)
        weight[:, 1] = 0.0
        if self.linear_path:
            weight[:, 0] = 0.0
        bias = torch.zeros(2, d, **PLAIN)
        bias[1] = raw_log_var(FIRST_LOG_VAR)
        heads = {"encoder.head.weight": weight, "encoder.head.bias": bias}
        if self.linear_path:
            heads["encoder.linear.weight"] = torch.zeros(self.n_features, d, **PLAIN)
            heads["decoder.linear.weight"] = torch.zeros(d, self.n_features, **PLAIN)
        return heads

    def posterior(
        self, weights: Weights, hidden: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Finish what :meth:`hidden` began: mean and log-variance, (K, B, d)."""
        weight, bias = weights["encoder.head.weight"], weights["encoder.head.bias"]
        head = add_product(
            bias.flatten(-2).unsqueeze(1), hidden, weight.flatten(-2)
        )  # (K, B, 2 d)
        mean, raw = head.chunk(2, dim=-1)
        if self.linear_path:
            mean = add_product(mean, x, weights["encoder.linear.weight"])
        return mean, bound_log_var(raw)

    def _linear_layers(self) -> list[dict[str, object]]:
        layer = {"kind": "linear", "name": "decoder.linear", "is_activated": False}
        return [layer] if self.linear_path else []

    def _add_linear(self, weights: Weights, output: Tensor, z: Tensor) -> Tensor:
        if not self.linear_path:
            return output
        return add_product(output, z, weights["decoder.linear.weight"])


def bound_log_var(raw: Tensor) -> Tensor:
    """Keep the log-variance in (-10, 4), smoothly, so that no exponential overflows."""
    return torch.tanh(raw / LOG_VAR_RADIUS) * LOG_VAR_RADIUS + LOG_VAR_CENTRE


def raw_log_var(log_var: float) -> float:
    """Undo :func:`bound_log_var`."""
    return LOG_VAR_RADIUS * math.atanh((log_var - LOG_VAR_CENTRE) / LOG_VAR_RADIUS)


@dataclass(frozen=True)
class MLP(_Linear):
    """Dense encoder and mirrored dense decoder.

    Parameters
    ----------
    scale_input_lr : bool, default=False
        Whether what multiplies rows of many columns moves the more slowly, the more
        there are. Adam moves each weight by as much as the rate, and columns that are
        correlated move together: a step changes what a unit makes of a standardised
        row in proportion to its columns, and with thousands of them by more than all
        that was learned.
    """

    scale_input_lr: bool = False

    @cached_property
    def _encoder(self) -> Dense:
        sizes = (self.n_features, *self.hidden_layer_sizes)
        return Dense("encoder", sizes, self.activation, final_activation=True)

    @cached_property
    def _decoder(self) -> Dense:
        sizes = (self.n_components, *self.hidden_layer_sizes[::-1], self.n_features)
        return Dense("decoder", sizes, self.activation, zero_output=self.linear_path)

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

    def lr_multiplier(self, name: str) -> float:
        is_deep = bool(self.hidden_layer_sizes)
        first = "encoder.0.weight" if is_deep else "encoder.head.weight"
        if not self.scale_input_lr or name not in (first, "encoder.linear.weight"):
            return 1.0
        return min(1.0, FULL_LR_FEATURES / self.n_features)

    def draw(self, generator: torch.Generator) -> Weights:
        return {
            **self._encoder.draw(generator),
            **self._draw_heads(self._encoder.sizes[-1], generator),
            **self._decoder.draw(generator),
        }

    @property
    def decoder_layers(self) -> list[dict[str, object]]:
        return self._decoder.layers + self._linear_layers()

    @property
    def width(self) -> int:
        return self._encoder.sizes[-1]

    @property
    def output(self) -> str:
        return self._decoder.names[-2]

    def hidden(self, weights: Weights, x: Tensor) -> Tensor:
        return self._encoder(weights, x)

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        return self._add_linear(weights, self._decoder(weights, z), z)


@dataclass(frozen=True)
class ConvNet(_Linear):
    """The convolutional encoder and decoder of Kim & Mnih (2018), Appendix A.

    At 64 x 64: four 4 x 4 convolutions of stride 2 with 32, 32, 64 and 64 channels, a
    dense layer of 128, and the mirror image of it. Smaller images use fewer of the
    convolutions, so that the last map stays at 4 x 4 or more where that is possible.

    Parameters
    ----------
    image_shape : tuple (channels, height, width)
        Shape of an image; its product is ``n_features``.
    """

    image_shape: tuple[int, int, int]

    CHANNELS = (32, 32, 64, 64)
    WIDTH = 128
    width = WIDTH
    output = "decoder.conv.0.weight"
    block = 64

    @property
    def signature(self) -> tuple[object, ...]:
        return (*super().signature, self.image_shape)

    @cached_property
    def _sizes(self) -> list[tuple[int, int]]:
        _, h, w = self.image_shape
        depth = max(1, min(len(self.CHANNELS), int(math.log2(min(h, w))) - 2))
        return [(h >> i, w >> i) for i in range(depth + 1)]

    @cached_property
    def _channels(self) -> tuple[int, ...]:
        return (self.image_shape[0], *self.CHANNELS[: len(self._sizes) - 1])

    @cached_property
    def _map(self) -> tuple[int, int, int]:
        return (self._channels[-1], *self._sizes[-1])

    @cached_property
    def _trunk(self) -> Dense:
        sizes = (math.prod(self._map), self.WIDTH)
        return Dense("encoder", sizes, self.activation, final_activation=True)

    @cached_property
    def _stem(self) -> Dense:
        sizes = (self.n_components, self.WIDTH, math.prod(self._map))
        return Dense("decoder", sizes, self.activation, final_activation=True)

    @property
    def multiplications(self) -> int:
        maps = sum(
            16 * a * b * math.prod(size)
            for a, b, size in zip(
                self._channels[:-1], self._channels[1:], self._sizes[1:], strict=True
            )
        )
        return 2 * maps + self._trunk.multiplications + self._stem.multiplications

    def draw(self, generator: torch.Generator) -> Weights:
        weights: Weights = {}
        depth = len(self._channels) - 1
        for i in range(depth):
            a, b = self._channels[i : i + 2]
            weights[f"encoder.conv.{i}.weight"] = draw_normal(
                (b, a, 4, 4), 16 * a, 2.0, generator
            )
            weights[f"encoder.conv.{i}.bias"] = torch.zeros(b, **PLAIN)
        weights |= self._trunk.draw(generator)
        weights |= self._draw_heads(self.WIDTH, generator)
        weights |= self._stem.draw(generator)
        for i in reversed(range(depth)):
            a, b = self._channels[i : i + 2]
            # A stride of 2 leaves 4 of the 16 taps on each pixel.
            weight = draw_normal((b, a, 4, 4), 4 * b, 2.0 if i else 1.0, generator)
            last = self.linear_path and i == 0
            weights[f"decoder.conv.{i}.weight"] = weight * (not last)
            weights[f"decoder.conv.{i}.bias"] = torch.zeros(a, **PLAIN)
        return weights

    @property
    def decoder_layers(self) -> list[dict[str, object]]:
        maps: list[dict[str, object]] = [
            {
                "kind": "conv_transpose",
                "name": f"decoder.conv.{i}",
                "size": self._sizes[i],
                "is_activated": i > 0,
            }
            for i in reversed(range(len(self._channels) - 1))
        ]
        shape: dict[str, object] = {"kind": "reshape", "shape": self._map}
        return [*self._stem.layers, shape, *maps, *self._linear_layers()]

    def hidden(self, weights: Weights, x: Tensor) -> Tensor:
        activate = ACTIVATIONS[self.activation].apply
        maps = x.unflatten(-1, self.image_shape)
        for i in range(len(self._channels) - 1):
            name = f"encoder.conv.{i}"
            maps = activate(
                conv(maps, weights[f"{name}.weight"], weights[f"{name}.bias"])
            )
        return self._trunk(weights, maps.flatten(-3))

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        activate = ACTIVATIONS[self.activation].apply
        maps = self._stem(weights, z).unflatten(-1, self._map)
        for i in reversed(range(len(self._channels) - 1)):
            weight = weights[f"decoder.conv.{i}.weight"]
            bias = weights[f"decoder.conv.{i}.bias"]
            maps = conv_transpose(maps, weight, bias, self._sizes[i])
            maps = activate(maps) if i else maps
        return self._add_linear(weights, maps.flatten(-3), z)


@dataclass(frozen=True)
class NetworkWrapper(Network):
    """A network that is made of another one, and has its sizes.

    Parameters
    ----------
    network : Network
    """

    network: Network

    # To mypy an attribute can be set, and a property cannot; nobody sets these.
    @property
    def n_features(self) -> int:  # type: ignore[override]
        return self.network.n_features

    @property
    def n_components(self) -> int:  # type: ignore[override]
        return self.network.n_components

    @property
    def block(self) -> int:  # type: ignore[override]
        return self.network.block


@dataclass(frozen=True)
class PointPosterior(NetworkWrapper):
    """A network whose encoder is as good as deterministic: the least variance there is.

    Parameters
    ----------
    network : Network
        Gives all but the variance.
    """

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature

    @property
    def multiplications(self) -> int:
        return self.network.multiplications

    def lr_multiplier(self, name: str) -> float:
        return self.network.lr_multiplier(name)

    @property
    def decoder_layers(self) -> list[dict[str, object]] | None:
        return self.network.decoder_layers

    def draw(self, generator: torch.Generator) -> Weights:
        return self.network.draw(generator)

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.network.encode(weights, x)
        return mean, 0 * log_var + (LOG_VAR_CENTRE - LOG_VAR_RADIUS)

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        return self.network.decode(weights, z)

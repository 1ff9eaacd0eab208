"""Convolutional networks, and their layers for a stack of models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ._axes import LATENT, Layers, Parameters, Shapes
from ._dense import ACTIVATIONS, PLAIN, Dense, Weights, draw_normal
from ._networks import LinearPathNetwork


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
    """Apply K transposed convolutions, from (K, B, C, h, w) to (K, B, O, *size)."""
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


@dataclass(frozen=True)
class ConvNet(LinearPathNetwork):
    """The convolutional encoder and decoder of Kim & Mnih (2018), Appendix A.

    At 64 x 64: four 4 x 4 convolutions of stride 2 with 32, 32, 64 and 64 channels, a
    dense layer of 128, and the mirrored decoder. Smaller images use fewer convolutions,
    so that the last map stays at 4 x 4 or more where that is possible.

    Parameters
    ----------
    image_shape : tuple (channels, height, width)
        Shape of an image; its product is ``n_features``.
    """

    image_shape: tuple[int, int, int]

    CHANNELS = (32, 32, 64, 64)
    WIDTH = 128
    width = WIDTH

    @property
    def block_size(self) -> int:
        return 64

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
        return Dense(
            "encoder",
            sizes,
            self.activation,
            final_activation=True,
            axes=("map", "h"),
        )

    @cached_property
    def _stem(self) -> Dense:
        sizes = (self.n_components, self.WIDTH, math.prod(self._map))
        return Dense(
            "decoder",
            sizes,
            self.activation,
            final_activation=True,
            axes=(LATENT, "map"),
        )

    @property
    def multiplications(self) -> int:
        maps = sum(
            16 * a * b * math.prod(size)
            for a, b, size in zip(
                self._channels[:-1], self._channels[1:], self._sizes[1:], strict=True
            )
        )
        return 2 * maps + self._trunk.multiplications + self._stem.multiplications

    @property
    def hidden_parameters(self) -> tuple[Parameters, Parameters]:
        depth = len(self._channels) - 1
        maps = [_conv_parameters(role, depth) for role in ("encoder", "decoder")]
        return (
            {**maps[0], **self._trunk.parameters},
            {**self._stem.parameters, **maps[1]},
        )

    @property
    def decoder_ends(self) -> tuple[str, str]:
        return self._stem.names[0], "decoder.conv.0.weight"

    def draw(self, generator: torch.Generator) -> Weights:
        weights: Weights = {}
        depth = len(self._channels) - 1
        for i in range(depth):
            a, b = self._channels[i : i + 2]
            a *= 1 + (self.has_mask_inputs and i == 0)
            weights[f"encoder.conv.{i}.weight"] = draw_normal(
                (b, a, 4, 4), 16 * a, 2.0, generator
            )
            weights[f"encoder.conv.{i}.bias"] = torch.zeros(b, **PLAIN)
        # Weights of the indicator of missing values.
        weights["encoder.conv.0.weight"][:, self.image_shape[0] :] = 0.0
        weights |= self._trunk.draw(generator)
        weights |= self._draw_head(self.WIDTH, generator)
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
    def hidden_shapes(self) -> Shapes:
        shapes = {**self._trunk.shapes, **self._stem.shapes}
        for i in range(len(self._channels) - 1):
            a, b = self._channels[i : i + 2]
            n_inputs = a * (1 + (self.has_mask_inputs and i == 0))
            for role, bias, width in (("encoder", b, n_inputs), ("decoder", a, a)):
                shapes[f"{role}.conv.{i}.weight"] = (b, width, 4, 4)
                shapes[f"{role}.conv.{i}.bias"] = (bias,)
        return shapes

    @property
    def hidden_layers(self) -> Layers:
        channels, *size = self.image_shape
        channels *= 1 + self.has_mask_inputs
        shape: dict[str, object] = {"kind": "reshape", "shape": (channels, *size)}
        maps: Layers = [
            {"kind": "conv", "name": f"encoder.conv.{i}", "is_activated": True}
            for i in range(len(self._channels) - 1)
        ]
        return [shape, *maps, *self._trunk.layers]

    @property
    def decoder_layers(self) -> Layers:
        maps: Layers = [
            {
                "kind": "conv_transpose",
                "name": f"decoder.conv.{i}",
                "size": self._sizes[i],
                **({"is_activated": True} if i else {}),
            }
            for i in reversed(range(len(self._channels) - 1))
        ]
        shape: dict[str, object] = {"kind": "reshape", "shape": self._map}
        return [*self._stem.layers, shape, *maps, *self._linear_layers(self.LINEAR[1])]

    def hidden(self, weights: Weights, x: Tensor) -> Tensor:
        activate = ACTIVATIONS[self.activation].apply
        maps = x.unflatten(-1, (-1, *self.image_shape[1:]))
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


def _conv_parameters(role: str, depth: int) -> Parameters:
    """Declare the convolutions of the encoder or the decoder."""
    own: Parameters = {}
    for i in range(depth):
        own[f"{role}.conv.{i}.weight"] = ("deep channel", "channel", "height", "width")
        bias = "deep channel" if role == "encoder" else "channel"
        own[f"{role}.conv.{i}.bias"] = (bias,)
    return own

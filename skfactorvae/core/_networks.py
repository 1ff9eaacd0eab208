"""Networks as functions of stacked weights.

A network owns no weights. It draws those of one model, and encodes and decodes with
those of a stack: every weight it is handed has a leading model axis ``K``.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._dense import ACTIVATIONS, PLAIN, Dense, Weights, add_product, draw_normal

LATENT_AXES = {
    "encoder.head.weight": -1,  # (h, 2, d)
    "encoder.head.bias": -1,  # (2, d)
    "encoder.linear.weight": -1,  # (p, d)
    "encoder.frame": -1,  # (d, d)
    "decoder.frame": -2,  # (d, d)
    "decoder.0.weight": -2,  # (d, h)
    "decoder.linear.weight": -2,  # (d, p)
    "discriminator.0.weight": -2,  # (d, h)
    "head.0.weight": -2,  # (m, d, c)
    "opponent.0.weight": -2,  # (m, d, h)
}
"""Weights with an axis of latents. Padding and reordering read nothing else."""

HEAD_BIAS = "encoder.head.bias"  # (2, d)

LOG_VAR_CENTRE, LOG_VAR_RADIUS = -3.0, 7.0
FIRST_LOG_VAR = -2.0


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
    n_aside = 0
    """Normal numbers that :meth:`generate` takes beside those of the components."""

    surcharge = 0.0
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
        self, weights: Weights, z: Tensor, aside: Tensor, *, noise: bool = True
    ) -> Tensor:
        """Decode draws from the prior.

        Parameters
        ----------
        weights : Weights
        z : Tensor of shape (K, B, d)
            Latents.
        aside : Tensor of shape (K, B, n_aside)
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
        bias[1] = _raw_log_var(FIRST_LOG_VAR)
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


def _raw_log_var(log_var: float) -> float:
    """Undo :func:`bound_log_var`."""
    return LOG_VAR_RADIUS * math.atanh((log_var - LOG_VAR_CENTRE) / LOG_VAR_RADIUS)


@dataclass(frozen=True)
class MLP(_Linear):
    """Dense encoder and mirrored dense decoder."""

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


Build = Callable[[int, int], tuple[nn.Module, nn.Module]]

OWN = "own"
"""Stands before the names of a user's weights, which are thus never taken for ours."""

MIXING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_global_generator = threading.Lock()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let modules draw from torch's global state: one at a time, and put back after.

    ``torch.manual_seed`` would seed every other device, too.
    """
    with _global_generator, torch.random.fork_rng(devices=[]):
        dtype = torch.get_default_dtype()
        torch.default_generator.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@dataclass(frozen=True)
class Modules(Network):
    """An encoder and a decoder brought by the user as plain ``torch.nn`` modules.

    They are called in evaluation mode and vectorised over the stack by
    :func:`torch.func.vmap`. A signed permutation, the frame, stands between them and
    the latents, so that these can be reordered without touching the modules.

    Parameters
    ----------
    build : callable (n_features, n_components) -> (encoder, decoder)
        The encoder maps (B, p) to (B, 2 d), means first and then log-variances; the
        decoder maps (B, d) to (B, p).
    """

    n_features: int
    n_components: int
    build: Build

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.n_features, self.n_components, self.build

    @property
    def multiplications(self) -> int:
        return sum(p.numel() for m in self._structure.values() for p in m.parameters())

    @cached_property
    def _structure(self) -> dict[str, nn.Module]:
        return self._build(seed=0, device="meta")

    def _build(self, seed: int, device: str) -> dict[str, nn.Module]:
        with _seeded(seed), torch.device(device):
            made = self.build(self.n_features, self.n_components)
        is_pair = isinstance(made, tuple | list) and len(made) == 2
        if not is_pair or not all(isinstance(m, nn.Module) for m in made):
            raise ValueError(
                f"network={self.build!r} must return a pair (encoder, decoder) of "
                f"torch.nn.Module; got {made!r}."
            )
        modules = dict(zip(("encoder", "decoder"), made, strict=True))
        for role, module in modules.items():
            self._check_rows_stay_apart(role, module)
            module.eval()
        return modules

    def _check_rows_stay_apart(self, role: str, module: nn.Module) -> None:
        is_mixing = any(isinstance(part, MIXING) for part in module.modules())
        if is_mixing or next(module.buffers(), None) is not None:
            raise ValueError(
                f"The {role} built by network={self.build!r} keeps buffers, or uses "
                "batch normalisation. Rows would then depend on each other. Use "
                "modules without buffers, for instance LayerNorm."
            )

    def draw(self, generator: torch.Generator) -> Weights:
        seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
        modules = self._build(seed, device="cpu")
        weights = {
            f"{role}.{OWN}.{name}": parameter.detach().clone()
            for role, module in modules.items()
            for name, parameter in module.named_parameters()
        }
        eye = torch.eye(self.n_components, **PLAIN)
        return {**weights, "encoder.frame": eye, "decoder.frame": eye.clone()}

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        head = self._call("encoder", weights, x, 2 * self.n_components)
        mean, raw = head.chunk(2, dim=-1)
        frame = weights["encoder.frame"]
        return mean @ frame, bound_log_var(raw @ frame.abs())

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        codes = z @ weights["decoder.frame"]
        return self._call("decoder", weights, codes, self.n_features)

    def _call(self, role: str, weights: Weights, x: Tensor, width: int) -> Tensor:
        module = self._structure[role]
        own = {
            name: weights[f"{role}.{OWN}.{name}"]
            for name, _ in module.named_parameters()
        }

        def call(one: Weights, rows: Tensor) -> Tensor:
            y = torch.func.functional_call(module, one, (rows,))
            if not isinstance(y, Tensor):
                raise ValueError(
                    f"The {role} built by network={self.build!r} returned a "
                    f"{type(y).__name__}; expected one tensor of shape "
                    f"{(len(rows), width)}."
                )
            return y

        if len(x) == 1:
            y = call({k: v[0] for k, v in own.items()}, x[0])[None]
        else:
            y = torch.func.vmap(call)(own, x)
        if y.shape != (*x.shape[:2], width):
            raise ValueError(
                f"The {role} built by network={self.build!r} turned {x.shape[1]} rows "
                f"of {x.shape[2]} values into an array of shape {tuple(y.shape[1:])}; "
                f"expected {(x.shape[1], width)}."
            )
        return y


@dataclass(frozen=True)
class PointPosterior(Network):
    """A network whose encoder is as good as deterministic: the least variance there is.

    Parameters
    ----------
    network : Network
        Gives all but the variance.
    """

    network: Network

    @property
    def n_features(self) -> int:  # type: ignore[override]
        return self.network.n_features

    @property
    def n_components(self) -> int:  # type: ignore[override]
        return self.network.n_components

    @property
    def block(self) -> int:  # type: ignore[override]
        return self.network.block

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature

    @property
    def multiplications(self) -> int:
        return self.network.multiplications

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


FIXED = ("encoder.frame", "decoder.frame")
"""Weights that training leaves alone."""


# -------------------------------------------------------- the axis of latents
def widen(name: str, weight: Tensor, n_components: int) -> Tensor:
    """Pad one model's weight with zeros to a larger number of latents."""
    axis = LATENT_AXES.get(name)
    if axis is None:
        return weight
    shape = list(weight.shape)
    shape[axis] = n_components - shape[axis]
    return torch.cat([weight, weight.new_zeros(shape)], dim=axis)


def narrow(name: str, weight: Tensor, n_components: int) -> Tensor:
    """Undo :func:`widen`."""
    axis = LATENT_AXES.get(name)
    return weight if axis is None else weight.narrow(axis, 0, n_components)


def without_latents(weights: Mapping[str, np.ndarray], n: int) -> Mapping:
    """Return one model's weights without its first n latents, which are then zero."""
    return {
        name: np.delete(array, range(n), axis=LATENT_AXES[name])
        if n and name in LATENT_AXES
        else array
        for name, array in weights.items()
    }


def silenced(
    weights: Mapping[str, np.ndarray], latents: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Return one model's weights with some latents' posteriors equal to the prior.

    Modules of the user's own stay as they are.
    """
    if HEAD_BIAS not in weights:
        return weights
    quiet = dict(weights)
    names = ("encoder.head.weight", HEAD_BIAS, "encoder.linear.weight")
    for name in quiet.keys() & set(names):
        quiet[name] = quiet[name].copy()
        quiet[name][..., latents] = 0.0
    quiet[HEAD_BIAS][1, latents] = _raw_log_var(0.0)
    return quiet


def reorder(name: str, weight: Tensor, order: Tensor, sign: Tensor) -> Tensor:
    """Permute and negate the latents of one model's weight, exactly.

    Latent j of the result is ``sign[j]`` times latent ``order[j]`` of the argument.
    """
    axis = LATENT_AXES.get(name)
    if axis is None:
        return weight
    factor = sign
    if name.startswith("encoder.head"):  # a log-variance has no sign
        factor = torch.stack([sign, torch.ones_like(sign)])
    elif axis == -2:
        factor = sign[:, None]
    return weight.index_select(axis, order) * factor

"""InfoGAN's networks: a generator, and a discriminator that also predicts codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ._axes import Layers, Parameters, Shapes
from ._conv_net import ConvNet
from ._dense import PLAIN, Dense, Weights, add_product, draw_normal
from ._networks import MLP
from ._tables import one_hot
from ._wrappers import NetworkWrapper

MIN_VARIANCE = 1e-6
"""Lower bound of the variance of a level's indicator; its logarithm is finite."""


class DiscriminatorOutput(NamedTuple):
    """The output of the discriminator and of Q for a batch of rows."""

    logits: Tensor  # (K, B) log-odds that a row is real
    mean: Tensor  # (K, B, d) of the latents' posterior
    log_var: Tensor  # (K, B, d)
    log_probabilities: Tensor  # (K, B, c) of each level of each category


@dataclass(frozen=True)
class GAN(NetworkWrapper):
    """The networks of an InfoGAN, built from those of an autoencoder.

    The decoder is the generator; its first layer also takes noise, and the levels of
    categories, one column each. The encoder's hidden layers are those of the
    discriminator; they have two heads, Q, which is the encoder's, and the critic. A
    code is the latents, followed by the probabilities of the levels. The generator's
    initial output is zero, the mean of standardised rows.

    Parameters
    ----------
    network : MLP or ConvNet
        Without a linear path. Its multipliers of the learning rate are not used:
        generator and discriminator have one rate each.
    n_noise : int
        Noise inputs that are not part of a code, m.
    levels : tuple of int
        Number of levels of each category; they sum to c.
    """

    network: MLP | ConvNet
    n_noise: int
    levels: tuple[int, ...] = ()

    LEVEL_HEAD = "encoder.levels.weight", "encoder.levels.bias"
    INPUTS = "decoder.levels.weight", "decoder.noise.weight"

    @property
    def n_columns(self) -> int:
        return self.n_components + sum(self.levels)

    @property
    def n_auxiliary(self) -> int:
        return len(self.levels) + self.n_noise

    @property
    def categorical_kl(self) -> float:
        """KL divergence of one certain level of each category from equal ones, nats."""
        return math.fsum(math.log(n) for n in self.levels)

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature, self.n_noise, self.levels

    @property
    def multiplications(self) -> int:
        return 2 * self.network.multiplications

    @property
    def encoder_parameters(self) -> Parameters:
        """Names and axes of the discriminator's weights, with those of Q."""
        head = zip(self.LEVEL_HEAD, [("h", "c"), ("c",)], strict=True)
        return {
            **self.network.encoder_parameters,
            **(dict(head) if self.levels else {}),
            **self._critic.parameters,
        }

    @property
    def decoder_parameters(self) -> Parameters:
        """Names and axes of the generator's weights."""
        inputs: Parameters = dict.fromkeys(self._inputs, ("input", "h"))
        return {**self.network.decoder_parameters, **inputs}

    @property
    def shapes(self) -> Shapes:
        h, c = self.network.width, sum(self.levels)
        first, _ = self.network.decoder_ends
        own = self.network.shapes
        head = dict(zip(self.LEVEL_HEAD, [(h, c), (c,)], strict=True))
        inputs = {name: (n, own[first][1]) for name, n in self._inputs.items()}
        return {
            **own,
            **(head if self.levels else {}),
            **self._critic.shapes,
            **inputs,
        }

    @property
    def encoder_layers(self) -> Layers:
        name = self.LEVEL_HEAD[0].removesuffix(".weight")
        levels: dict[str, object] = {
            "kind": "levels",
            "name": name,
            "levels": self.levels,
        }
        return self.network.encoder_layers + [levels] * bool(self.levels)

    @property
    def decoder_layers(self) -> Layers:
        """Description of :meth:`decode`, with the noise at zero."""
        first, *others = self.network.decoder_layers
        more = {"more_inputs": self.INPUTS[0]} if self.levels else {}
        return [{**first, **more}, *others]

    def lr_multiplier(self, name: str) -> float:
        """Return one: generator and discriminator have one learning rate each."""
        return 1.0

    @cached_property
    def _critic(self) -> Dense:
        sizes = (self.network.width, 1)
        return Dense("critic", sizes, "relu", zero_output=True, axes=("h", "logit"))

    @cached_property
    def _inputs(self) -> dict[str, int]:
        """Weights of the first layer beside the latents', and their numbers of rows."""
        sizes = zip(self.INPUTS, (sum(self.levels), self.n_noise), strict=True)
        return {name: n for name, n in sizes if n}

    def draw(self, generator: torch.Generator) -> Weights:
        weights = self.network.draw(generator)
        first, last = self.network.decoder_ends
        fan_in = self.n_columns + self.n_noise
        weights[first] = weights[first] * math.sqrt(self.n_components / fan_in)
        for name, n in self._inputs.items():
            shape = n, weights[first].shape[1]
            weights[name] = draw_normal(shape, fan_in, 2.0, generator)
        if self.levels:
            c, h = sum(self.levels), self.network.width
            zeros = torch.zeros(h, c, **PLAIN), torch.zeros(c, **PLAIN)
            weights |= dict(zip(self.LEVEL_HEAD, zeros, strict=True))
        weights[last] = torch.zeros_like(weights[last])
        return weights | self._critic.draw(generator)

    def discriminate(self, weights: Weights, x: Tensor) -> DiscriminatorOutput:
        """Return the logits of rows (K, B, p) and the posterior of their codes."""
        hidden = self.network.hidden(weights, x)
        logits = self._critic(weights, hidden).squeeze(-1)
        moments = self.network.posterior(weights, hidden, x)
        log_probabilities = self._log_probabilities(weights, hidden)
        return DiscriminatorOutput(logits, *moments, log_probabilities)

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of each column of a code, (K, B, d + c)."""
        hidden = self.network.hidden(weights, x)
        mean, log_var = self.network.posterior(weights, hidden, x)
        if not self.levels:
            return mean, log_var
        probabilities = self._log_probabilities(weights, hidden).exp()
        variance = (probabilities * (1 - probabilities)).clamp(min=MIN_VARIANCE)
        return (
            torch.cat([mean, probabilities], dim=-1),
            torch.cat([log_var, variance.log()], dim=-1),
        )

    def _log_probabilities(self, weights: Weights, hidden: Tensor) -> Tensor:
        if not self.levels:
            return hidden[..., :0]
        weight, bias = (weights[name] for name in self.LEVEL_HEAD)
        logits = add_product(bias.unsqueeze(1), hidden, weight)
        parts = logits.split(self.levels, dim=-1)
        return torch.cat([part.log_softmax(-1) for part in parts], dim=-1)

    def draw_codes(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
        """Draw the latents; of each category, take the most probable level."""
        d = self.n_components
        z = self.network.draw_codes(mean[..., :d], log_var[..., :d], noise)
        if not self.levels:
            return z
        parts = mean[..., d:].split(self.levels, dim=-1)
        levels = [
            one_hot(part.argmax(-1), n, z)
            for part, n in zip(parts, self.levels, strict=True)
        ]
        return torch.cat([z, *levels], dim=-1)

    def one_hot_levels(self, auxiliary_noise: Tensor) -> Tensor:
        """Turn standard normal numbers into one-hot levels, (K, B, c)."""
        uniform = torch.special.ndtr(auxiliary_noise)
        columns = [
            one_hot((uniform[..., i] * n).long().clamp(0, n - 1), n, auxiliary_noise)
            for i, n in enumerate(self.levels)
        ]
        return torch.cat([auxiliary_noise[..., :0], *columns], dim=-1)

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        """Generate rows from codes (K, B, d + c), with the noise at zero, its mean."""
        zero_noise = z.new_zeros(*z.shape[:-1], self.n_noise)
        return self._generate(weights, torch.cat([z, zero_noise], dim=-1))

    def generate(
        self,
        weights: Weights,
        z: Tensor,
        auxiliary_noise: Tensor,
        *,
        noise: bool = True,
    ) -> Tensor:
        levels = self.one_hot_levels(auxiliary_noise)
        inputs = [z, levels, auxiliary_noise[..., len(self.levels) :] * noise]
        return self._generate(weights, torch.cat(inputs, dim=-1))

    def _generate(self, weights: Weights, inputs: Tensor) -> Tensor:
        first, _ = self.network.decoder_ends
        parts = [weights[name] for name in (first, *self._inputs)]
        joined = {first: torch.cat(parts, dim=-2)}
        return self.network.decode(weights | joined, inputs)

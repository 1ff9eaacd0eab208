"""A generator, and a discriminator whose trunk also reads the codes of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ._dense import PLAIN, Dense, Weights, add_product, draw_normal
from ._networks import MLP, ConvNet, NetworkWrapper

LEAST_VARIANCE = 1e-6
"""Of the indicator of a level, so that its logarithm is finite."""


class Look(NamedTuple):
    """What one pass through the trunk says of rows."""

    logits: Tensor  # (K, B) log-odds that a row is real
    mean: Tensor  # (K, B, d) of the latents' posterior
    log_var: Tensor  # (K, B, d)
    log_shares: Tensor  # (K, B, c) log-probability of each level of each category


@dataclass(frozen=True)
class GAN(NetworkWrapper):
    """The networks of an InfoGAN, out of those of an autoencoder.

    The decoder is the generator; its first layer also takes noise, and the levels of
    categories, one column each. The encoder is the head Q on the trunk that it shares
    with the discriminator, whose own head is the critic. A code is the latents and then
    the probabilities of the levels. The generator starts as the constant zero, which is
    the mean of standardised rows.

    Parameters
    ----------
    network : MLP or ConvNet
        Without a linear path. Its pace does not count: generator and discriminator move
        at one rate each.
    n_noise : int
        Noise that no code holds, m.
    levels : tuple of int
        Number of levels of each category; they sum to c.
    """

    network: MLP | ConvNet
    n_noise: int
    levels: tuple[int, ...] = ()

    @property
    def n_columns(self) -> int:
        return self.n_components + sum(self.levels)

    # These take the place of attributes, as the sizes of NetworkWrapper do.
    @property
    def n_auxiliary(self) -> int:  # type: ignore[override]
        return len(self.levels) + self.n_noise

    @property
    def categorical_kl(self) -> float:  # type: ignore[override]
        """A level taken for certain, against levels that are equally likely."""
        return math.fsum(math.log(n) for n in self.levels)

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature, self.n_noise, self.levels

    @property
    def multiplications(self) -> int:
        return 2 * self.network.multiplications

    @property
    def decoder_layers(self) -> list[dict[str, object]] | None:
        return None if self.levels else self.network.decoder_layers

    @cached_property
    def _critic(self) -> Dense:
        return Dense("critic", (self.network.width, 1), "relu", zero_output=True)

    @cached_property
    def _inputs(self) -> dict[str, int]:
        """Weights of the first layer beside the latents', and their rows."""
        rows = {
            "decoder.levels.weight": sum(self.levels),
            "decoder.noise.weight": self.n_noise,
        }
        return {name: n for name, n in rows.items() if n}

    def draw(self, generator: torch.Generator) -> Weights:
        weights = self.network.draw(generator)
        first = weights["decoder.0.weight"]
        fan_in = self.n_columns + self.n_noise
        weights["decoder.0.weight"] = first * math.sqrt(self.n_components / fan_in)
        for name, n in self._inputs.items():
            weights[name] = draw_normal((n, first.shape[1]), fan_in, 2.0, generator)
        if self.levels:
            c, h = sum(self.levels), self.network.width
            weights["encoder.levels.weight"] = torch.zeros(h, c, **PLAIN)
            weights["encoder.levels.bias"] = torch.zeros(c, **PLAIN)
        last = self.network.output
        weights[last] = torch.zeros_like(weights[last])
        return weights | self._critic.draw(generator)

    def look(self, weights: Weights, x: Tensor) -> Look:
        """Say of rows (K, B, p) whether they are real, and what their codes are."""
        hidden = self.network.hidden(weights, x)
        logits = self._critic(weights, hidden).squeeze(-1)
        moments = self.network.posterior(weights, hidden, x)
        return Look(logits, *moments, self._log_shares(weights, hidden))

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of each column of a code, (K, B, d + c)."""
        hidden = self.network.hidden(weights, x)
        mean, log_var = self.network.posterior(weights, hidden, x)
        if not self.levels:
            return mean, log_var
        shares = self._log_shares(weights, hidden).exp()
        variance = (shares * (1 - shares)).clamp(min=LEAST_VARIANCE)
        return (
            torch.cat([mean, shares], dim=-1),
            torch.cat([log_var, variance.log()], dim=-1),
        )

    def _log_shares(self, weights: Weights, hidden: Tensor) -> Tensor:
        if not self.levels:
            return hidden[..., :0]
        scores = add_product(
            weights["encoder.levels.bias"].unsqueeze(1),
            hidden,
            weights["encoder.levels.weight"],
        )
        parts = scores.split(self.levels, dim=-1)
        return torch.cat([part.log_softmax(-1) for part in parts], dim=-1)

    def draw_codes(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
        """Draw the latents; of the levels, take the most probable."""
        d = self.n_components
        z = super().draw_codes(mean[..., :d], log_var[..., :d], noise)
        if not self.levels:
            return z
        parts = mean[..., d:].split(self.levels, dim=-1)
        levels = [
            F.one_hot(part.argmax(-1), n).to(z)
            for part, n in zip(parts, self.levels, strict=True)
        ]
        return torch.cat([z, *levels], dim=-1)

    def levels_of(self, auxiliary_noise: Tensor) -> Tensor:
        """Turn standard normal numbers into indicators of levels, (K, B, c)."""
        uniform = torch.special.ndtr(auxiliary_noise)
        columns = [
            F.one_hot((uniform[..., i] * n).long().clamp(0, n - 1), n).to(
                auxiliary_noise
            )
            for i, n in enumerate(self.levels)
        ]
        return torch.cat([auxiliary_noise[..., :0], *columns], dim=-1)

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        """Generate rows from codes (K, B, d + c), with the noise at its mean."""
        silence = z.new_zeros(*z.shape[:-1], self.n_noise)
        return self._generate(weights, torch.cat([z, silence], dim=-1))

    def generate(
        self,
        weights: Weights,
        z: Tensor,
        auxiliary_noise: Tensor,
        *,
        noise: bool = True,
    ) -> Tensor:
        sound = auxiliary_noise[..., len(self.levels) :] * noise
        return self._generate(
            weights, torch.cat([z, self.levels_of(auxiliary_noise), sound], dim=-1)
        )

    def _generate(self, weights: Weights, inputs: Tensor) -> Tensor:
        names = ["decoder.0.weight", *self._inputs]
        first = torch.cat([weights[name] for name in names], dim=-2)
        return self.network.decode(weights | {names[0]: first}, inputs)

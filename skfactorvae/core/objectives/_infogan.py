"""InfoGAN: a generator whose codes can be read off what it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .._dense import Weights
from .._generators import GAN, Look
from ._base import WEIGHT, AdversarialObjective, Forward, Terms
from ._discriminator import discriminator_accuracy, discriminator_loss


@dataclass(frozen=True, kw_only=True)
class InfoGAN(AdversarialObjective):
    r"""A generator that deceives a discriminator, with codes that Q reads off its rows.

    .. math:: \mathbb{E}[-\log D(G(c, n))] - \lambda\,
        \bigl(H(c) + \mathbb{E}[\log Q(c\,|\,G(c, n))]\bigr)

    The second part is a lower bound of the mutual information of codes and rows. The
    adversary, discriminator and Q on one trunk, minimises its cross-entropy, minus the
    same bound, plus a penalty on the slope of its logits at real rows. The network must
    be a :class:`GAN`.

    The one thing learned from the reconstruction of rows is the scale of the
    likelihood, a stand-in for the noise; neither group sees it.

    Parameters
    ----------
    lambda_ : float, or Tensor of shape (K,)
        Weight of the information, >= 0.
    gradient_penalty : float, or Tensor of shape (K,)
        Weight of half the squared slope, >= 0.
    learning_rate : float
        The discriminator's, and Q's.

    References
    ----------
    Chen et al. (2016), "InfoGAN", Eq. 5 and 6; Goodfellow et al. (2014), "Generative
    Adversarial Nets", Section 3, for the generator's loss; Mescheder et al. (2018),
    "Which Training Methods for GANs do actually Converge?", Eq. 9, for the penalty.
    """

    lambda_: Any = field(metadata=WEIGHT)
    gradient_penalty: Any = field(metadata=WEIGHT)
    learning_rate: float

    def weights(self, ramp: Tensor) -> Terms:
        return {"mutual_information": -self.lambda_}

    def moves(self, name: str) -> bool:
        return name.startswith(("encoder.", "critic."))

    def terms(self, forward: Forward) -> Terms:
        with torch.no_grad():
            output = forward.network.decode(forward.weights, forward.z)
        nll = forward.likelihood.nll(forward.weights, output, forward.x)
        return {"reconstruction": nll.mean(-1)}

    def play(
        self, forward: Forward, adversary: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        network, weights, batch = forward.network, forward.weights, forward.batch
        assert isinstance(network, GAN)
        z, levels = batch.noise[:, 1], network.levels_of(batch.auxiliary_noise)
        x = forward.x.detach().requires_grad_()
        real = network.look(weights, x)
        made = network.look(
            weights, network.generate(weights, z, batch.auxiliary_noise)
        )
        logits = torch.cat([real.logits, made.logits], dim=1)
        information = network.categorical_kl - divergence(made, z, levels, forward.mask)
        slope = squared_slope(real.logits, x)
        loss = discriminator_loss(logits)
        penalty = 0.5 * self.gradient_penalty * slope
        total = loss + penalty - self.lambda_ * information
        # By the adversary's weights alone; the generator's follow from the terms below.
        found = torch.autograd.grad(
            total.sum(), list(adversary.values()), retain_graph=True
        )
        for name, gradient in zip(adversary, found, strict=True):
            gradients[name].copy_(gradient)
        terms = {
            "generator_loss": F.softplus(-made.logits).mean(1),
            "mutual_information": information,
        }
        record = {
            "discriminator_loss": loss.detach(),
            "discriminator_accuracy": discriminator_accuracy(logits.detach()),
            "gradient_penalty": slope.detach(),
        }
        return terms, record


def divergence(made: Look, z: Tensor, levels: Tensor, mask: Tensor | None) -> Tensor:
    r"""How little of the codes can be read off what was made of them, nats, (K,).

    .. math:: -\mathbb{E}[\log Q(c\,|\,G(c, n))] - \tfrac d2 \log 2 \pi e

    The last term is the entropy of the latents, so that zero means that nothing is said
    of them; levels add their cross-entropy.

    Parameters
    ----------
    made : Look
        What was read.
    z : Tensor of shape (K, B, d)
        Latents that rows were made of.
    levels : Tensor of shape (K, B, c)
        Indicators of the levels.
    mask : Tensor of shape (K, 1, d) or None
        One where a latent exists.
    """
    squares = (z - made.mean).square() * torch.exp(-made.log_var)
    latents = 0.5 * (squares + made.log_var - 1)  # (K, B, d)
    if mask is not None:
        latents = latents * mask
    missed = latents.sum(-1) - (levels * made.log_shares).sum(-1)
    return missed.mean(1)


def squared_slope(logits: Tensor, x: Tensor) -> Tensor:
    """Mean squared norm of the gradient of logits (K, B) by their rows, (K,)."""
    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return slope.square().sum(-1).mean(1)

"""InfoGAN: a generator whose codes can be predicted from its output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .._axes import Parameters
from .._dense import Weights
from .._generators import GAN, DiscriminatorOutput
from .._networks import Network
from ._base import WEIGHT, Adversary, Objective, Terms, write_gradients
from ._discriminator import discriminator_accuracy, discriminator_loss
from ._forward import Forward


@dataclass(frozen=True, kw_only=True)
class InfoGAN(Objective):
    r"""Loss of a generator against a discriminator, minus the information of its codes.

    .. math:: \mathbb{E}[-\log D(G(c, n))] - \lambda\,
        \bigl(H(c) + \mathbb{E}[\log Q(c\,|\,G(c, n))]\bigr)

    The second part is a lower bound of the mutual information of codes and generated
    rows. The adversary consists of the discriminator and Q, which share hidden layers:
    see :class:`InfoGANDiscriminator`. The network must be a :class:`GAN`.

    The scale of the likelihood, which stands in for the noise, is the only weight that
    is trained on the reconstruction of rows.

    Parameters
    ----------
    lambda_ : float, or Tensor of shape (K,)
        Weight of the mutual information, >= 0.
    gradient_penalty : float, or Tensor of shape (K,)
        Weight of half the squared gradient norm, >= 0.
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

    @property
    def adversary(self) -> InfoGANDiscriminator:
        return InfoGANDiscriminator(
            self.lambda_, self.gradient_penalty, self.learning_rate
        )

    def weights(self, ramp: Tensor) -> Terms:
        return {"mutual_information": -self.lambda_}

    def terms(self, forward: Forward) -> Terms:
        with torch.no_grad():
            output = forward.network.decode(forward.weights, forward.z)
        nll = forward.likelihood.nll(forward.weights, output, forward.x)
        return {"reconstruction": nll.mean(-1)}


@dataclass(frozen=True)
class InfoGANDiscriminator(Adversary):
    """The discriminator between real and generated rows, and Q.

    Its loss is the discriminator's cross-entropy, minus the weighted bound of the
    mutual information, plus a penalty on the gradient of the logits at real rows.

    Parameters
    ----------
    lambda_, gradient_penalty, learning_rate
        As those of :class:`InfoGAN`.
    """

    lambda_: Any
    gradient_penalty: Any
    learning_rate: float

    def parameters(self, network: Network) -> Parameters:
        return network.encoder_parameters

    def run(
        self, forward: Forward, weights: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        network, batch = forward.network, forward.batch
        auxiliary_noise = batch.extras.auxiliary_noise
        assert isinstance(network, GAN)
        assert auxiliary_noise is not None
        z, levels = batch.noise[:, 1], network.one_hot_levels(auxiliary_noise)
        x = forward.x.detach().requires_grad_()
        generated = network.generate(forward.weights, z, auxiliary_noise)
        real = network.discriminate(forward.weights, x)
        fake = network.discriminate(forward.weights, generated)
        logits = torch.cat([real.logits, fake.logits], dim=1)
        information = network.categorical_kl - divergence(fake, z, levels, forward.mask)
        squared_norm = squared_gradient_norm(real.logits, x)
        loss = discriminator_loss(logits)
        penalty = 0.5 * self.gradient_penalty * squared_norm
        total = loss + penalty - self.lambda_ * information
        # By the adversary's weights alone; the generator's follow from the terms below.
        write_gradients(total, weights, gradients, weights)
        terms = {
            "generator_loss": F.softplus(-fake.logits).mean(1),
            "mutual_information": information,
        }
        record = {
            "discriminator_loss": loss.detach(),
            "discriminator_accuracy": discriminator_accuracy(logits.detach()),
            "gradient_penalty": squared_norm.detach(),
        }
        return terms, record


def divergence(
    fake: DiscriminatorOutput, z: Tensor, levels: Tensor, mask: Tensor | None
) -> Tensor:
    r"""Return the cross-entropy of codes under Q, minus the latents' entropy, nats.

    .. math:: -\mathbb{E}[\log Q(c\,|\,G(c, n))] - \tfrac d2 \log 2 \pi e

    Without categories it is zero if Q does not depend on the rows and equals the prior.
    Levels add their cross-entropy.

    Parameters
    ----------
    fake : DiscriminatorOutput
        For generated rows.
    z : Tensor of shape (K, B, d)
        Latents from which these rows were generated.
    levels : Tensor of shape (K, B, c)
        One-hot levels.
    mask : Tensor of shape (K, 1, d) or None
        One where a latent exists.

    Returns
    -------
    Tensor of shape (K,)
    """
    squares = (z - fake.mean).square() * torch.exp(-fake.log_var)
    latents = 0.5 * (squares + fake.log_var - 1)  # (K, B, d)
    if mask is not None:
        latents = latents * mask
    total = latents.sum(-1) - (levels * fake.log_probabilities).sum(-1)
    return total.mean(1)


def squared_gradient_norm(logits: Tensor, x: Tensor) -> Tensor:
    """Return the mean squared norm of the gradient of logits (K, B) by x, (K,)."""
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().sum(-1).mean(1)

"""Objectives: named terms of shape (K,), and the adversaries that some of them need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ._dense import Dense, Weights
from ._networks import discriminator
from ._random import permute_dims

Terms = dict[str, Tensor]

LOGIT_BOUND = 10.0
SAFE_LOGIT = 60.0
"""Where single precision still holds both exp(logit) and its inverse."""


@dataclass(frozen=True)
class Forward:
    """What one step knows: rows have gone through the encoder and the decoder."""

    nll: Tensor  # (K, B) -log p(x | z), nats
    mean: Tensor  # (K, B, d)
    log_var: Tensor  # (K, B, d)
    z: Tensor  # (K, B, d) codes, sampled
    order: Tensor  # (K, B, d) a permutation of the batch for each latent
    mask: Tensor | None  # (K, 1, d) one where a latent exists; None if all do
    second_codes: Callable[[], Tensor]  # (K, B, d) codes of an independent batch


WEIGHT = {"is_weight": True}
"""Marks a field that may differ over a stack: a float, in use a tensor (K,)."""


class Objective(ABC):
    """Named terms whose weighted sum a fit minimises.

    Fields marked by :data:`WEIGHT` may differ over a stack; all others are structure,
    in which the models of a stack must agree.
    """

    @abstractmethod
    def weights(self, ramp: float) -> Terms:
        """Weight of each term that has one, (K,); the others count once.

        Parameters
        ----------
        ramp : float in [0, 1]
            How far the warm-up has come; penalties grow with it.
        """

    @abstractmethod
    def terms(self, forward: Forward) -> Terms:
        """Return each term of the loss, (K,), in nats per row."""

    @classmethod
    def stack(cls, objectives: Sequence[Self], like: Tensor) -> Self:
        """Join the objectives of K models; their weights become tensors (K,)."""
        weights = {
            f.name: like.new_tensor([getattr(o, f.name) for o in objectives])
            for f in fields(cls)  # type: ignore[arg-type]
            if f.metadata.get("is_weight")
        }
        return cls(**objectives[0].structure, **weights)

    @property
    def structure(self) -> dict[str, Any]:
        """What two objectives of one class must share to be stacked."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)  # type: ignore[arg-type]
            if not f.metadata.get("is_weight")
        }


class AdversarialObjective(Objective):
    """An objective that plays against a second set of weights, the adversary's.

    The adversary has a loss of its own. It is computed from codes cut off from the
    encoder, so that no gradient of it can reach the model; and its gradient is asked
    for with respect to the adversary alone.

    Attributes
    ----------
    learning_rate : float
        Adam's, for the adversary.
    """

    learning_rate: float

    @abstractmethod
    def adversary(self, n_components: int) -> Dense:
        """Return the adversary's network."""

    @abstractmethod
    def play(
        self, forward: Forward, adversary: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        """Let the adversary answer one forward pass.

        Parameters
        ----------
        forward : Forward
            The model's side.
        adversary : Weights
            The adversary's weights.
        gradients : Weights
            Where the gradient of the adversary's own loss is to be written.

        Returns
        -------
        terms : dict of str to Tensor of shape (K,)
            What the adversary adds to the model's loss.
        record : dict of str to Tensor of shape (K,)
            What else the history should hold.
        """


def kl_divergence(forward: Forward) -> Tensor:
    r"""KL from the standard normal prior, summed over latents, averaged over rows.

    .. math:: \tfrac12 \sum_j (\mu_j^2 + \sigma_j^2 - \log\sigma_j^2 - 1)

    Returns
    -------
    Tensor of shape (K,), nats per row.
    """
    return masked_kl(forward.mean, forward.log_var, forward.mask).sum(-1).mean(-1)


def masked_kl(mean: Tensor, log_var: Tensor, mask: Tensor | None) -> Tensor:
    """KL of each latent, (K, B, d), zero where there is no latent."""
    kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1)
    return kl if mask is None else kl * mask


@dataclass(frozen=True, kw_only=True)
class VAE(Objective):
    r"""The (beta-weighted) evidence lower bound.

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))

    Parameters
    ----------
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0. One gives the VAE.

    References
    ----------
    Kingma & Welling (2014), "Auto-Encoding Variational Bayes", Eq. 3; Higgins et al.
    (2017), "beta-VAE", Eq. 4.
    """

    beta: Any = field(metadata=WEIGHT)

    def weights(self, ramp: float) -> Terms:
        return {"kl": self.beta}

    def terms(self, forward: Forward) -> Terms:
        return {"reconstruction": forward.nll.mean(-1), "kl": kl_divergence(forward)}


@dataclass(frozen=True, kw_only=True)
class FactorVAE(AdversarialObjective):
    r"""ELBO plus :math:`\gamma` times the total correlation of the codes.

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \gamma\,\mathrm{TC}(q(z))

    TC is estimated by a discriminator that tells codes from dimension-wise permuted
    codes of an independent batch. Not to be confused with beta-TCVAE, which estimates
    TC from the batch and has no discriminator.

    Parameters
    ----------
    gamma : float, or Tensor of shape (K,)
        Weight of the total correlation, >= 0. Zero gives a VAE.
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0.
    hidden_layer_sizes : tuple of int
        Hidden layers of the discriminator.
    learning_rate : float
        The discriminator's.

    References
    ----------
    Kim & Mnih (2018), "Disentangling by Factorising", Eq. 2 and Algorithm 2.
    """

    gamma: Any = field(metadata=WEIGHT)
    beta: Any = field(metadata=WEIGHT)
    hidden_layer_sizes: tuple[int, ...]
    learning_rate: float

    def weights(self, ramp: float) -> Terms:
        return {"kl": self.beta, "total_correlation": self.gamma * ramp}

    def adversary(self, n_components: int) -> Dense:
        return discriminator(n_components, self.hidden_layer_sizes)

    def terms(self, forward: Forward) -> Terms:
        return {"reconstruction": forward.nll.mean(-1), "kl": kl_divergence(forward)}

    def play(
        self, forward: Forward, adversary: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        z = forward.z
        network = self.adversary(z.shape[-1])
        layers = [adversary[name] for name in network.names]
        into = [gradients[name] for name in network.names]
        with torch.no_grad():  # the adversary's graph is written out: nothing can leak
            permuted = permute_dims(forward.second_codes(), forward.order)
            both = torch.cat([z, permuted], dim=1)  # (K, 2 B, d)
            output, trace = network.forward(layers, both)
            logits = output.squeeze(-1)
            slope = discriminator_slope(logits).unsqueeze(-1)
            pull = network.backward(layers, trace, output, slope, into)
            record = {
                "discriminator_loss": discriminator_loss(logits),
                "discriminator_accuracy": discriminator_accuracy(logits),
            }
        n_rows = z.shape[1]
        term = density_ratio_term(logits[:, :n_rows], pull[:, :n_rows], z)
        return {"total_correlation": term}, record


def discriminator_loss(logits: Tensor) -> Tensor:
    r"""Cross-entropy of a discriminator, nats; log 2 where it sees no difference.

    .. math:: -\tfrac{1}{2B}\sum_i \log D(z_i) + \log(1 - D(z'_i))

    Parameters
    ----------
    logits : Tensor of shape (K, 2 B)
        Of B codes, and then of B codes that should look different.
    """
    real, fake = logits.chunk(2, dim=1)
    return 0.5 * (F.softplus(-real) + F.softplus(fake)).mean(1)


def discriminator_slope(logits: Tensor) -> Tensor:
    """Return the derivative of :func:`discriminator_loss` by each logit, (K, 2 B)."""
    probability = torch.sigmoid(logits)
    n_rows = logits.shape[1] // 2
    # sigmoid(l) - 1 loses all digits of a confident logit; -sigmoid(-l) keeps them.
    probability[:, :n_rows] = -torch.sigmoid(-logits[:, :n_rows])
    return probability.div_(logits.shape[1])


def discriminator_accuracy(logits: Tensor) -> Tensor:
    """Share of the logits (K, 2 B) on the right side of zero, (K,)."""
    real, fake = logits.chunk(2, dim=1)
    return (torch.cat([real, -fake], dim=1) > 0).to(logits.dtype).mean(1)


def density_ratio_term(logits: Tensor, pull: Tensor, z: Tensor) -> Tensor:
    r"""Total correlation as the mean log density ratio of the codes.

    .. math:: \mathrm{TC}(q(z)) \approx \tfrac1B \sum_i \log\frac{D(z_i)}{1 - D(z_i)}

    The value is the discriminator's mean logit. The gradient is that of the logits
    passed through 10 tanh(. / 10), which keeps one confident logit from throwing the
    encoder; it is handed to ``z`` as a constant: the discriminator's graph ends here.

    No second pass through the discriminator is needed. A row's logit depends on that
    row's code alone, so the gradients of any two functions of the logit differ by a
    factor: here the ratio of the slopes of the bounded logit and of the discriminator's
    loss.

    Parameters
    ----------
    logits : Tensor of shape (K, B)
        The discriminator's logits of ``z``.
    pull : Tensor of shape (K, B, d)
        Gradient of :func:`discriminator_loss` with respect to the codes.
    z : Tensor of shape (K, B, d)
        The codes, still tied to the encoder.

    Returns
    -------
    Tensor of shape (K,), nats.
    """
    slope = 1 - torch.tanh(logits / LOGIT_BOUND).square()
    inverse = 1 + logits.clamp(max=SAFE_LOGIT).exp()  # of sigmoid(-logit)
    factor = -2 * slope * inverse  # the loss has slope -sigmoid(-logit) / 2
    surrogate = (pull * factor.unsqueeze(-1) * z).sum((1, 2))
    return logits.mean(1) + surrogate - surrogate.detach()

"""A discriminator between two sets of codes, and its gradient for the encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .._axes import LATENT
from .._dense import Dense, Weights
from .._products import lowered
from ._base import Terms

LOGIT_BOUND = 10.0
MAX_LOGIT = 60.0
"""Where single precision still represents both exp(logit) and its inverse."""


CACHE_BYTES = 2**20
"""Approximate size of a core's cache."""


@dataclass(frozen=True)
class DiscriminatorPass:
    """The result of one forward and backward pass of a discriminator.

    The encoder needs no second pass. A row's logit depends on that row's code alone, so
    the gradients of any two functions of the logit differ by a factor: the ratio of
    their derivatives.
    """

    z: Tensor  # (K, B, d) the codes, with the encoder's graph
    logits: Tensor  # (K, B) log-odds that a code is one of z
    grad_codes: Tensor  # (K, B, d) gradient of the discriminator's loss by z
    record: Terms

    def term(self, value: Tensor, slope: Tensor) -> Tensor:
        """Return a term of the loss from its value and its derivative by the logits.

        The gradient by ``z`` is a constant: the discriminator's graph ends here.

        Parameters
        ----------
        value : Tensor of shape (K,)
            Mean of some function of the logits.
        slope : Tensor of shape (K, B)
            Derivative of that function at each logit.
        """
        # Relative to the derivative of the discriminator's loss, -sigmoid(-logit) / 2.
        factor = -2 * slope * (1 + self.logits.clamp(max=MAX_LOGIT).exp())
        surrogate = (self.grad_codes * factor.unsqueeze(-1) * self.z).sum((1, 2))
        return value + surrogate - surrogate.detach()

    def log_ratio(self) -> Tensor:
        r"""Return the KL divergence of the codes from the others, as a mean log ratio.

        .. math:: \mathrm{KL} \approx \tfrac{1}{B} \sum_i \log\frac{D(z_i)}{1 - D(z_i)}

        The value is the mean logit, in nats. The gradient is that of
        10 tanh(logit / 10), which bounds the influence of one confident logit on the
        encoder.

        Returns
        -------
        Tensor of shape (K,)
        """
        slope = 1 - torch.tanh(self.logits / LOGIT_BOUND).square()
        return self.term(self.logits.mean(1), slope)

    def cross_entropy(self) -> Tensor:
        r"""Return the cross-entropy of taking the codes for the others, nats.

        .. math:: -\tfrac{1}{B} \sum_i \log(1 - D(z_i))

        It is log 2 where the discriminator cannot distinguish them.

        Returns
        -------
        Tensor of shape (K,)
        """
        value = F.softplus(self.logits).mean(1)
        return self.term(value, torch.sigmoid(self.logits))


def run_discriminator(
    network: Dense, weights: Weights, gradients: Weights, z: Tensor, others: Tensor
) -> DiscriminatorPass:
    """Run a discriminator on two sets of codes, and write the gradients of its loss.

    Parameters
    ----------
    network : Dense
        The discriminator: one logit for each code.
    weights, gradients : Weights
        Its weights, and where their gradients are written.
    z, others : Tensor of shape (K, B, d)
        Codes, and the codes to distinguish them from.
    """
    layers = [weights[name] for name in network.names]
    into = [gradients[name] for name in network.names]
    n_rows = z.shape[1]
    with torch.no_grad():  # with an explicit backward pass, no gradient reaches z
        both = torch.cat([z, others], dim=1)  # (K, 2 B, d)
        logits, grad_codes = both.new_empty(both.shape[:2]), torch.empty_like(both)
        for some in _blocks(network, both):
            own = [lowered(layer[some]) for layer in layers]
            output, trace = network.forward(own, both[some])
            logits[some] = output.squeeze(-1)
            slope = discriminator_slope(logits[some]).unsqueeze(-1)
            part = [gradient[some] for gradient in into]
            grad_codes[some] = network.backward(own, trace, output, slope, part)
        record = {
            "discriminator_loss": discriminator_loss(logits),
            "discriminator_accuracy": discriminator_accuracy(logits),
        }
    return DiscriminatorPass(z, logits[:, :n_rows], grad_codes[:, :n_rows], record)


def _blocks(network: Dense, rows: Tensor) -> list[slice]:
    """Split a stack into blocks of models whose values fit into a core's cache."""
    n_models, n_rows, _ = rows.shape
    if not rows.is_cpu:
        return [slice(None)]
    values = network.multiplications + 2 * n_rows * sum(network.sizes)
    width = max(1, CACHE_BYTES // (values * rows.element_size()))
    return [slice(k, k + width) for k in range(0, n_models, width)]


def discriminator(n_components: int, hidden_layer_sizes: tuple[int, ...]) -> Dense:
    """Return a network of one logit, log q(z) - log q'(z), initially zero.

    It has no normalisation, which would make the logits of a batch depend on each
    other.
    """
    sizes = (n_components, *hidden_layer_sizes, 1)
    return Dense(
        "discriminator",
        sizes,
        "leaky_relu",
        zero_output=True,
        axes=(LATENT, "logit"),
    )


def discriminator_loss(logits: Tensor) -> Tensor:
    r"""Return the cross-entropy of a discriminator, nats; log 2 at chance level.

    .. math:: -\tfrac{1}{2B}\sum_i \log D(z_i) + \log(1 - D(z'_i))

    Parameters
    ----------
    logits : Tensor of shape (K, 2 B)
        Of B codes, followed by those of the B codes to distinguish them from.
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
    """Return the fraction of logits (K, 2 B) with the correct sign, (K,)."""
    real, fake = logits.chunk(2, dim=1)
    return (torch.cat([real, -fake], dim=1) > 0).to(logits.dtype).mean(1)

"""A discriminator between two sets of codes, and what the encoder learns from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .._dense import Dense, Weights
from ._base import Terms

LOGIT_BOUND = 10.0
SAFE_LOGIT = 60.0
"""Where single precision still holds both exp(logit) and its inverse."""


CACHE = 2**20
"""Bytes near a core, about."""


@dataclass(frozen=True)
class DiscriminatorPass:
    """What one pass through a discriminator, and back, says of codes.

    No second pass is needed for the encoder's sake. A row's logit depends on that row's
    code alone, so the gradients of any two functions of the logit differ by a factor:
    the ratio of their slopes.
    """

    z: Tensor  # (K, B, d) the codes, still tied to the encoder
    logits: Tensor  # (K, B) log-odds that a code is one of z
    pull: Tensor  # (K, B, d) gradient of the discriminator's loss by z
    record: Terms

    def term(self, value: Tensor, slope: Tensor) -> Tensor:
        """Return a term with a value, and a gradient by ``z``, of the codes' logits.

        The gradient is handed to ``z`` as a constant: the discriminator's graph ends
        here.

        Parameters
        ----------
        value : Tensor of shape (K,)
            Mean of some function of the logits.
        slope : Tensor of shape (K, B)
            Slope of that function at each logit.
        """
        # Relative to the slope of the discriminator's loss, -sigmoid(-logit) / 2.
        factor = -2 * slope * (1 + self.logits.clamp(max=SAFE_LOGIT).exp())
        surrogate = (self.pull * factor.unsqueeze(-1) * self.z).sum((1, 2))
        return value + surrogate - surrogate.detach()

    def log_ratio(self) -> Tensor:
        r"""Divergence of the codes from the others, as the mean log density ratio.

        .. math:: \mathrm{KL} \approx \tfrac{1}{B} \sum_i \log\frac{D(z_i)}{1 - D(z_i)}

        The value is the mean logit, in nats. The gradient is that of the logits passed
        through 10 tanh(. / 10), which keeps one confident logit from throwing the
        encoder.

        Returns
        -------
        Tensor of shape (K,)
        """
        slope = 1 - torch.tanh(self.logits / LOGIT_BOUND).square()
        return self.term(self.logits.mean(1), slope)

    def cross_entropy(self) -> Tensor:
        r"""How surely the codes are told from the others; nats, log 2 if not at all.

        .. math:: -\tfrac{1}{B} \sum_i \log(1 - D(z_i))

        Returns
        -------
        Tensor of shape (K,)
        """
        value = F.softplus(self.logits).mean(1)
        return self.term(value, torch.sigmoid(self.logits))


def run_discriminator(
    network: Dense, weights: Weights, gradients: Weights, z: Tensor, others: Tensor
) -> DiscriminatorPass:
    """Show a discriminator codes and others; leave the gradient of its loss.

    Parameters
    ----------
    network : Dense
        The discriminator: one logit a code.
    weights, gradients : Weights
        Its weights, and where their gradients go.
    z, others : Tensor of shape (K, B, d)
        Codes, and the codes that they should be told from.
    """
    layers = [weights[name] for name in network.names]
    into = [gradients[name] for name in network.names]
    n_rows = z.shape[1]
    with torch.no_grad():  # the pass back is written out: nothing can leak
        both = torch.cat([z, others], dim=1)  # (K, 2 B, d)
        logits, pull = both.new_empty(both.shape[:2]), torch.empty_like(both)
        for some in _blocks(network, both):
            own = [layer[some] for layer in layers]
            output, trace = network.forward(own, both[some])
            logits[some] = output.squeeze(-1)
            slope = discriminator_slope(logits[some]).unsqueeze(-1)
            part = [gradient[some] for gradient in into]
            pull[some] = network.backward(own, trace, output, slope, part)
        record = {
            "discriminator_loss": discriminator_loss(logits),
            "discriminator_accuracy": discriminator_accuracy(logits),
        }
    return DiscriminatorPass(z, logits[:, :n_rows], pull[:, :n_rows], record)


def _blocks(network: Dense, rows: Tensor) -> list[slice]:
    """Cut a stack into models that a processor's cache holds, with all they need."""
    n_models, n_rows, _ = rows.shape
    if not rows.is_cpu:
        return [slice(None)]
    values = network.multiplications + 2 * n_rows * sum(network.sizes)
    width = max(1, CACHE // (values * rows.element_size()))
    return [slice(k, k + width) for k in range(0, n_models, width)]


def discriminator(n_components: int, hidden_layer_sizes: tuple[int, ...]) -> Dense:
    """One logit, log q(z) - log q'(z), starting at zero; no normalisation."""
    sizes = (n_components, *hidden_layer_sizes, 1)
    return Dense("discriminator", sizes, "leaky_relu", zero_output=True)


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

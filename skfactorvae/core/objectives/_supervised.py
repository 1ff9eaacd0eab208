"""Supervised FactorVAE: attributes in latents of their own, and in no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._axes import LATENT, Parameters
from .._dense import PLAIN, Dense, Weights
from .._networks import Network
from .._priors import PRIORS
from ._base import WEIGHT, Adversary, Objective, Terms, warmed_up, write_gradients
from ._blocks import BlockReadout, Blocks
from ._discriminator import discriminator, run_discriminator
from ._forward import Forward, Labelled
from ._groups import permute_groups
from ._predictions import (
    confusion,
    cross_entropy,
    label_target,
    n_outputs,
    predicted_target,
)

MIN_STD = 1e-2
"""Its square is added to the variance of codes before they are standardised."""

HEAD = "head"
"""Name of the linear predictors of attributes."""

HIDDEN_KL_WEIGHT = 6.0
"""Additional weight of the KL divergence of hidden latents."""


@dataclass(frozen=True, kw_only=True)
class SupervisedFactorVAE(Objective):
    r"""ELBO with attributes predicted from own latents, and masked in all others.

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \sum_j \bigl(\alpha\,\mathbb{E}[-\log P_j(a_j | z_{S_j})]
        + \delta\,\mathrm{KL}(\hat p(a_j)\,\|\,A_j(z_{T_j}))\bigr)
        + \gamma\,\mathrm{TC}(q(z_{S_1}), ..., q(z_{S_m}), q(z_R))

    Attribute j is predicted by a linear head P from its own latents S, drawn from the
    posterior, on rows that have its label. The adversarial predictor A predicts it from
    the latents T, all returned latents except S: see :class:`AttributeAdversary`. R are
    the latents of no attribute; TC is that between the blocks.

    The KL divergence of hidden latents has a weight that is larger by six, so that they
    contain no information that returned latents could contain.

    Latents come in blocks: those of hidden attributes, those of the other attributes,
    and R.

    Parameters
    ----------
    gamma : float, or Tensor of shape (K,)
        Weight of the total correlation between blocks, >= 0.
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0.
    supervision : float, or Tensor of shape (K,)
        Weight of the heads' cross-entropy, >= 0.
    masking : float, or Tensor of shape (K,)
        Weight of the confusion of the adversarial predictors, >= 0.
    marginals : nested tuple of float, or Tensor of shape (K, m, c)
        Marginal distribution of each attribute: the probabilities of its levels, or the
        mean and variance of a continuous one; padded with zeros.
    levels : tuple of m int
        Number of levels of each attribute; zero for a continuous one.
    widths : tuple of m int
        Latents of each attribute.
    n_hidden : int
        Attributes, the first ones, whose latents the estimator does not return.
    hidden_layer_sizes, opponent_layer_sizes : tuple of int
        Hidden layers of the discriminator, and of the adversarial predictors.
    learning_rate : float
        That of the discriminator and of the adversarial predictors.

    References
    ----------
    Creager et al. (2019), "Flexibly Fair Representation Learning by Disentanglement",
    Eq. 3, for blocks and their total correlation; Edwards & Storkey (2016), "Censoring
    Representations with an Adversary", for masking.
    """

    gamma: Any = field(metadata=WEIGHT)
    beta: Any = field(metadata=WEIGHT)
    supervision: Any = field(metadata=WEIGHT)
    masking: Any = field(metadata=WEIGHT)
    marginals: Any = field(metadata=WEIGHT)
    levels: tuple[int, ...]
    widths: tuple[int, ...]
    n_hidden: int
    hidden_layer_sizes: tuple[int, ...]
    opponent_layer_sizes: tuple[int, ...]
    learning_rate: float

    @property
    def kl_weight(self) -> float:
        return float(self.beta)

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks of latents."""
        return Blocks(self.widths, self.n_hidden)

    @property
    def readout(self) -> BlockReadout:
        return BlockReadout(blocks=self.blocks)

    @cached_property
    def heads(self) -> AttributeHeads:
        """The heads, which the model trains."""
        return AttributeHeads(self.levels, self.blocks)

    @property
    def adversary(self) -> AttributeAdversary:
        return AttributeAdversary(
            self.hidden_layer_sizes,
            self.opponent_layer_sizes,
            self.learning_rate,
            self.marginals,
            self.heads,
        )

    @property
    def parameters(self) -> Parameters:
        return self.heads.parameters

    def draw(self, n_components: int) -> Weights:
        return self.heads.draw(n_components)

    def weights(self, ramp: Tensor) -> Terms:
        return {
            "kl": warmed_up(self.beta, ramp),
            "supervision": self.supervision,
            "confusion": self.masking * ramp,
            "hidden_kl": HIDDEN_KL_WEIGHT * ramp,
            "total_correlation": self.gamma * ramp,
        }

    def terms(self, forward: Forward) -> Terms:
        predictions = self.heads.predict(forward.weights, forward.once(labelled_codes))
        values = labelled(forward).values
        losses = [
            cross_entropy(n, prediction, label_target(n, values[:, j]))
            for j, (n, prediction) in enumerate(
                zip(self.levels, predictions, strict=True)
            )
        ]
        terms = {
            "reconstruction": forward.reconstruction,
            "kl": forward.kl,
            "supervision": torch.stack(losses).mean(-1).sum(0),
        }
        if self.n_hidden:
            terms["hidden_kl"] = self._hidden_kl(forward)
        return terms

    def _hidden_kl(self, forward: Forward) -> Tensor:
        """Return the KL divergence of the hidden latents, nats per row, (K,)."""
        hidden = slice(self.blocks.n_hidden_components)
        kl = PRIORS[self.prior].kl(
            forward.mean[..., hidden], forward.log_var[..., hidden]
        )
        return kl.sum(-1).mean(-1)


# ------------------------------------------------------------------- labelled rows
def labelled(forward: Forward) -> Labelled:
    """Return the labels of a step.

    Raises
    ------
    ValueError
        If the job has no labels.
    """
    found = forward.batch.extras.labelled
    if found is None:
        raise ValueError(
            "This objective learns from labels, but the job has labels=None. Pass an "
            "array of shape (n, m), NaN where a label is unknown."
        )
    return found


def labelled_moments(forward: Forward) -> tuple[Tensor, Tensor]:
    """Return posterior means and log-variances of labelled rows, each (K, m, B, d)."""
    rows = labelled(forward).rows
    moments = forward.network.encode(forward.weights, rows.flatten(1, 2))
    mean, log_var = (part.unflatten(1, rows.shape[1:3]) for part in moments)
    return mean, log_var


def labelled_codes(forward: Forward) -> Tensor:
    """Draw codes from the posteriors of labelled rows, (K, m, B, d)."""
    moments = forward.once(labelled_moments)
    return forward.network.draw_codes(*moments, labelled(forward).noise)


# ---------------------------------------------------------------------- predictors
def predict(
    network: Dense,
    weights: Weights,
    levels: tuple[int, ...],
    codes: Tensor,
    visible: Tensor,
) -> list[Tensor]:
    """Predict each attribute by a network of its own, from part of the latents.

    Parameters
    ----------
    network : Dense
        Its weights have an axis of attributes, (K, m, ...).
    weights : Weights
    levels : tuple of m int
    codes : Tensor of shape (K, m or 1, B, d)
    visible : Tensor of shape (m, 1, d)
        One where an attribute's network uses a latent.

    Returns
    -------
    list of m Tensor of shape (K, B, n_outputs)
    """
    outputs = run_each(network, weights, codes * visible)
    return [outputs[:, j, :, : n_outputs(n)] for j, n in enumerate(levels)]


def run_each(network: Dense, weights: Weights, inputs: Tensor) -> Tensor:
    """Run the network of each attribute on inputs of its own.

    Parameters
    ----------
    network : Dense
        Its weights have an axis of attributes, (K, m, ...).
    weights : Weights
    inputs : Tensor of shape (K, m, B, i)

    Returns
    -------
    Tensor of shape (K, m, B, c)
    """
    layers = [weights[name].flatten(0, 1) for name in network.names]
    outputs, _ = network.forward(layers, inputs.flatten(0, 1))
    return outputs.unflatten(0, inputs.shape[:2])


def with_attributes(network: Dense) -> Parameters:
    """Declare one network for each attribute."""
    return {name: ("m", *axes) for name, axes in network.parameters.items()}


@dataclass(frozen=True)
class AttributeHeads:
    """Linear predictors of each attribute from its own latents.

    Parameters
    ----------
    levels, blocks
        As those of :class:`SupervisedFactorVAE`.
    """

    levels: tuple[int, ...]
    blocks: Blocks

    @property
    def n_outputs(self) -> int:
        """Largest number of outputs of an attribute, c."""
        return max(map(n_outputs, self.levels))

    def network(self, n_components: int) -> Dense:
        """Return the linear map of all attributes."""
        return Dense(HEAD, (n_components, self.n_outputs), "relu", axes=(LATENT, "c"))

    @property
    def parameters(self) -> Parameters:
        """Names and axes of the weights."""
        return with_attributes(self.network(1))

    def draw(self, n_components: int) -> Weights:
        """Return heads that increase with the first latent of their block."""
        m, c = len(self.levels), self.n_outputs
        weight = torch.zeros(m, n_components, c, **PLAIN)
        for j, (n_levels, start) in enumerate(
            zip(self.levels, self.blocks.starts, strict=True)
        ):
            slopes = (
                torch.linspace(-1, 1, n_levels, **PLAIN)
                if n_levels
                else torch.eye(2, **PLAIN)[0]
            )
            weight[j, start, : n_outputs(n_levels)] = slopes
        values = weight, torch.zeros(m, c, **PLAIN)
        return dict(zip(self.parameters, values, strict=True))

    def predict(self, weights: Weights, codes: Tensor) -> list[Tensor]:
        """Predict each attribute from codes (K, m or 1, B, d)."""
        network = self.network(codes.shape[-1])
        return predict(network, weights, self.levels, codes, self.blocks.own(codes))

    @torch.no_grad()
    def targets(self, forward: Forward) -> list[Tensor]:
        """Return each attribute's target for all rows, then for its labelled rows.

        For rows without a label it is the prediction of the head.

        Returns
        -------
        list of m Tensor of shape (K, 2 B, n_outputs)
        """
        predictions = self.predict(forward.weights, forward.mean.unsqueeze(1))
        labels = labelled(forward)
        targets = []
        for j, (n, prediction) in enumerate(zip(self.levels, predictions, strict=True)):
            known = labels.known[..., j]
            first = torch.where(
                known.isnan().unsqueeze(-1),
                predicted_target(n, prediction),
                label_target(n, known),
            )
            second = label_target(n, labels.values[:, j])
            targets.append(torch.cat([first, second], dim=1))
        return targets


@dataclass(frozen=True)
class AttributeAdversary(Adversary):
    """A discriminator between blocks, and an adversarial predictor for each attribute.

    The discriminator is that of FactorVAE, for blocks of latents. The predictors use
    draws of all returned latents except an attribute's own, standardised over the
    batch. Their targets are the labels: of labelled rows, and of all rows, where the
    prediction of the head replaces unknown labels.

    Parameters
    ----------
    hidden_layer_sizes, predictor_layer_sizes : tuple of int
        Hidden layers of the discriminator, and of the predictors.
    learning_rate : float
    marginals : nested tuple of float, or Tensor of shape (K, m, c)
    heads : AttributeHeads
    """

    hidden_layer_sizes: tuple[int, ...]
    predictor_layer_sizes: tuple[int, ...]
    learning_rate: float
    marginals: Any
    heads: AttributeHeads

    def discriminator(self, n_components: int) -> Dense:
        """Return the discriminator between blocks."""
        return discriminator(n_components, self.hidden_layer_sizes)

    def predictor(self, n_components: int) -> Dense:
        """Return the adversarial predictor of one attribute."""
        sizes = (n_components, *self.predictor_layer_sizes, self.heads.n_outputs)
        return Dense(
            "opponent", sizes, "leaky_relu", zero_output=True, axes=(LATENT, "c")
        )

    def parameters(self, network: Network) -> Parameters:
        d = network.n_components
        return {
            **self.discriminator(d).parameters,
            **with_attributes(self.predictor(d)),
        }

    def draw(self, n_components: int, generator: torch.Generator) -> Weights:
        weights = self.discriminator(n_components).draw(generator)
        predictor = self.predictor(n_components)
        drawn = [predictor.draw(generator) for _ in self.heads.levels]
        return weights | {n: torch.stack([w[n] for w in drawn]) for n in drawn[0]}

    def multiplications(self, n_components: int) -> int:
        own = self.predictor(n_components), self.heads.network(n_components)
        count = len(self.heads.levels) * sum(d.multiplications for d in own)
        return count + self.discriminator(n_components).multiplications

    def run(
        self, forward: Forward, weights: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        z, others = forward.discriminator_input, forward.second_discriminator_input
        d = z.shape[-1]
        sizes = self.heads.blocks.sizes(d)
        permuted = permute_groups(others, forward.batch.order, sizes)
        result = run_discriminator(
            self.discriminator(d), weights, gradients, z, permuted
        )
        confused, loss = self.run_predictors(forward, weights)
        write_gradients(loss, weights, gradients, self.predictor(d).names)
        terms = {"total_correlation": result.log_ratio(), "confusion": confused}
        record = {
            "discriminator_loss": result.record["discriminator_loss"],
            "opponent_loss": loss.detach(),
        }
        return terms, record

    def run_predictors(
        self, forward: Forward, weights: Weights
    ) -> tuple[Tensor, Tensor]:
        """Return the confusion of the predictors, and their loss, each (K,)."""
        z, own = forward.z, forward.once(labelled_codes).detach()
        both = torch.cat([z.unsqueeze(1).expand_as(own), own], dim=2)
        levels, visible = self.heads.levels, self.heads.blocks.complement(z)
        predictions = predict(
            self.predictor(z.shape[-1]), weights, levels, standardised(both, z), visible
        )
        targets = self.heads.targets(forward)
        confusions, losses = [], []
        for j, (n, prediction) in enumerate(zip(levels, predictions, strict=True)):
            marginal = self.marginals[:, j, : n_outputs(n)]
            confusions.append(confusion(n, prediction.chunk(2, dim=1)[0], marginal))
            losses.append(cross_entropy(n, prediction, targets[j]))
        return (
            torch.stack(confusions).mean(-1).sum(0),
            torch.stack(losses).mean(-1).sum(0),
        )


def standardised(codes: Tensor, by: Tensor) -> Tensor:
    """Shift and scale each latent by the mean and standard deviation of other codes.

    Parameters
    ----------
    codes : Tensor of shape (K, m, B, d)
    by : Tensor of shape (K, B, d)
    """
    variance = by.var(1, unbiased=False) + MIN_STD**2
    centred = codes - by.mean(1)[:, None, None]
    return centred * variance.rsqrt()[:, None, None]


def attribute_heads(weights: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes (m, d, c) and offsets (m, c) of the trained linear predictors."""
    slopes, offsets = (weights[name] for name in Dense(HEAD, (1, 1), "relu").names)
    return slopes, offsets

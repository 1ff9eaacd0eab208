"""Supervised FactorVAE: latents that hold what is labelled, and no others do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._dense import PLAIN, Dense, Weights
from .._priors import PRIORS
from ._answers import (
    believed,
    certain,
    confusion,
    cross_entropy,
    n_outputs,
)
from ._base import WEIGHT, AdversarialObjective, Forward, Terms, warmed_up
from ._discriminator import discriminator, run_discriminator
from ._groups import order_within_groups, permute_groups

SMALLEST_SPREAD = 1e-2
"""Added, in squares, to the spread of codes before opponents see them."""


HIDDEN_COST = 6.0
"""Weight of the KL divergence of hidden latents, beside that which all bear."""

LEAST_KL = 0.2
"""Nats below which a latent of no attribute is put at the prior.

Its codes are noise nearly, of which opponents can tell nothing; but its means would
tell all, to whoever scales them up.
"""


@dataclass(frozen=True, kw_only=True)
class SupervisedFactorVAE(AdversarialObjective):
    r"""ELBO with attributes in latents of their own, and masked in all others.

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \sum_j \bigl(\alpha\,\mathbb{E}[-\log P_j(a_j | z_{S_j})]
        + \delta\,\mathrm{KL}(\hat p(a_j)\,\|\,A_j(z_{T_j}))\bigr)
        + \gamma\,\mathrm{TC}(q(z_{S_1}), ..., q(z_{S_m}), q(z_R))

    Attribute j is predicted by a linear head P from the latents S of its own, drawn
    from the posterior, on rows that have its label. Its opponent A predicts it from
    draws of T, all latents that are shown but S, brought to variance one: on rows that
    have the label, and on all rows with the label or, where there is none, with what
    the head believes. R are the latents of no attribute; TC is that between the blocks.

    The KL divergence of hidden latents counts six times more than that of others, so
    that they hold nothing that shown ones could.

    Latents come in blocks, those of hidden attributes first, then those of the other
    attributes, then R.

    Parameters
    ----------
    gamma : float, or Tensor of shape (K,)
        Weight of the total correlation between blocks, >= 0.
    beta : float, or Tensor of shape (K,)
        Weight of the KL divergence, >= 0.
    supervision : float, or Tensor of shape (K,)
        Weight of the heads' cross-entropy, >= 0.
    masking : float, or Tensor of shape (K,)
        Weight of the opponents' confusion, >= 0.
    marginals : nested tuple of float, or Tensor of shape (K, m, c)
        What is known of each attribute without a row: the shares of its levels, or the
        mean and variance of a real one; padded with zeros.
    levels : tuple of m int
        Number of levels of each attribute; zero for a real one.
    widths : tuple of m int
        Latents of each attribute.
    n_hidden : int
        Attributes, of the first, whose latents are not shown.
    hidden_layer_sizes, opponent_layer_sizes : tuple of int
        Hidden layers of the discriminator, and of the opponents.
    learning_rate : float
        The discriminator's and the opponents'.

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

    def weights(self, ramp: Tensor) -> Terms:
        return {
            "kl": warmed_up(self.beta, ramp),
            "supervision": self.supervision,
            "confusion": self.masking * ramp,
            "hidden_kl": HIDDEN_COST * ramp,
            "total_correlation": self.gamma * ramp,
        }

    def moves(self, name: str) -> bool:
        return name.startswith(("discriminator.", "opponent."))

    # ------------------------------------------------------------------- networks
    @property
    def _n_outputs(self) -> int:
        return max(map(n_outputs, self.levels))

    def _head(self, n_components: int) -> Dense:
        return Dense("head", (n_components, self._n_outputs), "relu")

    def _opponent(self, n_components: int) -> Dense:
        sizes = (n_components, *self.opponent_layer_sizes, self._n_outputs)
        return Dense("opponent", sizes, "leaky_relu", zero_output=True)

    def draw_adversary(self, n_components: int, generator: torch.Generator) -> Weights:
        """Draw discriminator, opponents, and the heads, which are the model's."""
        weights = discriminator(n_components, self.hidden_layer_sizes).draw(generator)
        opponent = self._opponent(n_components)
        drawn = [opponent.draw(generator) for _ in self.levels]
        weights |= {name: torch.stack([w[name] for w in drawn]) for name in drawn[0]}
        return weights | self._first_heads(n_components)

    def _first_heads(self, n_components: int) -> Weights:
        """Heads that rise with the first latent of their block."""
        m, c = len(self.levels), self._n_outputs
        weight = torch.zeros(m, n_components, c, **PLAIN)
        for j, (n_levels, start) in enumerate(
            zip(self.levels, self.starts, strict=True)
        ):
            slopes = (
                torch.linspace(-1, 1, n_levels, **PLAIN)
                if n_levels
                else torch.eye(2, **PLAIN)[0]
            )
            weight[j, start, : n_outputs(n_levels)] = slopes
        return {"head.0.weight": weight, "head.0.bias": torch.zeros(m, c, **PLAIN)}

    def multiplications(self, n_components: int) -> int:
        count = discriminator(n_components, self.hidden_layer_sizes).multiplications
        own = self._opponent(n_components), self._head(n_components)
        return count + len(self.levels) * sum(d.multiplications for d in own)

    # --------------------------------------------------------------------- blocks
    @property
    def starts(self) -> tuple[int, ...]:
        """First latent of each attribute."""
        return tuple(int(i) for i in np.cumsum([0, *self.widths[:-1]]))

    @property
    def n_hidden_components(self) -> int:
        """Latents that are not shown; they are the first."""
        return sum(self.widths[: self.n_hidden])

    def groups(self, n_components: int) -> tuple[int, ...]:
        """Sizes of the blocks, the rest's last; they sum to the number of latents."""
        rest = n_components - sum(self.widths)
        return (*self.widths, rest) if rest else self.widths

    def own(self, like: Tensor) -> Tensor:
        """Return one where a latent is an attribute's own, (m, 1, d)."""
        latent = torch.arange(like.shape[-1], device=like.device)
        blocks = [
            (start <= latent) & (latent < start + width)
            for start, width in zip(self.starts, self.widths, strict=True)
        ]
        return torch.stack(blocks).to(like).unsqueeze(1)

    def complement(self, like: Tensor) -> Tensor:
        """Return one where a latent is shown and not an attribute's own, (m, 1, d)."""
        is_shown = torch.arange(like.shape[-1], device=like.device)
        is_shown = is_shown >= self.n_hidden_components
        return (1 - self.own(like)) * is_shown.to(like)

    def latent_order(self, kl: np.ndarray) -> np.ndarray:
        return order_within_groups(kl, self.groups(len(kl)))

    def inactive_latents(self, kl: np.ndarray) -> np.ndarray:
        rest = sum(self.widths)
        return rest + np.flatnonzero(kl[rest:] < LEAST_KL)

    def sign_targets(self, labels: np.ndarray | None) -> np.ndarray | None:
        return None if labels is None else np.repeat(labels, self.widths, axis=1)

    # ---------------------------------------------------------------------- terms
    def terms(self, forward: Forward) -> Terms:
        z = forward.labelled_codes
        answers = self._answer(self._head(z.shape[-1]), forward.weights, z, self.own(z))
        values = forward.labelled.values
        surprises = [
            cross_entropy(n, answer, certain(n, values[:, j]))
            for j, (n, answer) in enumerate(zip(self.levels, answers, strict=True))
        ]
        terms = {
            "reconstruction": forward.reconstruction,
            "kl": forward.kl,
            "supervision": torch.stack(surprises).mean(-1).sum(0),
        }
        if self.n_hidden:
            terms["hidden_kl"] = self._hidden_kl(forward)
        return terms

    def _hidden_kl(self, forward: Forward) -> Tensor:
        """KL of the latents that are not shown, nats per row, (K,)."""
        hidden = slice(self.n_hidden_components)
        kl = PRIORS[self.prior].kl(
            forward.mean[..., hidden], forward.log_var[..., hidden]
        )
        return kl.sum(-1).mean(-1)

    def _answer(
        self, network: Dense, weights: Weights, codes: Tensor, visible: Tensor
    ) -> list[Tensor]:
        """Ask each attribute's network, which sees codes (K, m or 1, B, d) in part.

        Returns m answers (K, B, n_outputs).
        """
        seen = codes * visible  # (K, m, B, d)
        layers = [weights[name].flatten(0, 1) for name in network.names]
        answers, _ = network.forward(layers, seen.flatten(0, 1))
        answers = answers.unflatten(0, seen.shape[:2])  # (K, m, B, c)
        return [answers[:, j, :, : n_outputs(n)] for j, n in enumerate(self.levels)]

    def play(
        self, forward: Forward, adversary: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        z = forward.discriminator_input
        d = z.shape[-1]
        permuted = permute_groups(
            forward.second_discriminator_input, forward.batch.order, self.groups(d)
        )
        critic = discriminator(d, self.hidden_layer_sizes)
        ended = run_discriminator(critic, adversary, gradients, z, permuted)
        confused, loss = self._oppose(forward, adversary)
        opponents = [name for name in adversary if name.startswith("opponent.")]
        found = torch.autograd.grad(
            loss.sum(), [adversary[name] for name in opponents], retain_graph=True
        )
        for name, gradient in zip(opponents, found, strict=True):
            gradients[name].copy_(gradient)
        terms = {"total_correlation": ended.log_ratio(), "confusion": confused}
        record = {
            "discriminator_loss": ended.record["discriminator_loss"],
            "opponent_loss": loss.detach(),
        }
        return terms, record

    def _oppose(self, forward: Forward, adversary: Weights) -> tuple[Tensor, Tensor]:
        """Return the confusion of the opponents, and their loss, each (K,)."""
        z, labelled = forward.z, forward.labelled_codes.detach()
        opponent = self._opponent(z.shape[-1])
        both = torch.cat([z.unsqueeze(1).expand_as(labelled), labelled], dim=2)
        answers = self._answer(
            opponent, adversary, whitened(both, z), self.complement(z)
        )
        beliefs = self._beliefs(forward)
        confusions, losses = [], []
        for j, (n, answer) in enumerate(zip(self.levels, answers, strict=True)):
            marginal = self.marginals[:, j, : n_outputs(n)]
            confusions.append(confusion(n, answer.chunk(2, dim=1)[0], marginal))
            losses.append(cross_entropy(n, answer, beliefs[j]))
        return (
            torch.stack(confusions).mean(-1).sum(0),
            torch.stack(losses).mean(-1).sum(0),
        )

    @torch.no_grad()
    def _beliefs(self, forward: Forward) -> list[Tensor]:
        """Return what opponents should say of all rows, and of labelled ones.

        Each attribute's own, (K, 2 B, n_outputs).
        """
        mean, labelled = forward.mean.unsqueeze(1), forward.labelled
        head = self._head(mean.shape[-1])
        answers = self._answer(head, forward.weights, mean, self.own(mean))
        beliefs = []
        for j, (n, answer) in enumerate(zip(self.levels, answers, strict=True)):
            known = labelled.known[..., j]
            first = torch.where(
                known.isnan().unsqueeze(-1), believed(n, answer), certain(n, known)
            )
            beliefs.append(torch.cat([first, certain(n, labelled.values[:, j])], dim=1))
        return beliefs


def whitened(codes: Tensor, by: Tensor) -> Tensor:
    """Bring each latent to mean zero and variance one, by the moments of others.

    Parameters
    ----------
    codes : Tensor of shape (K, m, B, d)
    by : Tensor of shape (K, B, d)
    """
    variance = by.var(1, unbiased=False) + SMALLEST_SPREAD**2
    centred = codes - by.mean(1)[:, None, None]
    return centred * variance.rsqrt()[:, None, None]

"""What an objective is: named terms of shape (K,), and an adversary for some."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from .._dense import Weights
from .._likelihoods import Likelihood
from .._networks import Network
from .._priors import PRIORS

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Labelled:
    """What one step knows of m attributes; each has a batch of its own of rows."""

    rows: Tensor  # (K, m, B, p) rows whose label of an attribute is known
    noise: Tensor  # (K, m, B, d) standard normal
    values: Tensor  # (K, m, B) those labels
    known: Tensor  # (K, B, m) labels of the first batch; NaN where unknown


@dataclass(frozen=True)
class Batch:
    """The rows and the random numbers of one step."""

    rows: Tensor  # (K, 2, B, p) two independent batches
    noise: Tensor  # (K, 2, B, d) standard normal
    auxiliary_noise: (
        Tensor  # (K, B, a) standard normal, for what a network draws beside codes
    )
    order: Tensor  # (K, B, d) a permutation of the batch for each latent
    numbers: Tensor  # (K, B) which rows of its model's table the first batch holds
    table_shares: Tensor  # (K, n) probability of drawing each row of a table
    instance_noise: (
        Tensor  # (K,) deviation of the noise on codes that a discriminator sees
    )
    input_noise: Tensor  # (K, 2, B, p) noise on batches that the encoder sees, or none
    conditional_noise_std: Tensor  # (K, 1, p) what is its unit at most
    labelled: Labelled | None = None

    @property
    def shares(self) -> Tensor:
        """Probability of drawing each row of the first batch, (K, B)."""
        return self.table_shares.gather(1, self.numbers)


@dataclass(frozen=True)
class Forward:
    """One step as an objective sees it; what it does not ask for is not computed."""

    network: Network
    likelihood: Likelihood
    weights: Weights
    batch: Batch
    mask: Tensor | None = None  # (K, 1, d) one where a latent exists; None if all do
    ramp: Tensor | float = 1.0  # (K,) how far the warm-up has come, in [0, 1]

    @property
    def x(self) -> Tensor:
        """Rows of the first batch, (K, B, p)."""
        return self.batch.rows[:, 0]

    @cached_property
    def _posterior(self) -> tuple[Tensor, Tensor]:
        return self.network.encode(self.weights, self._disturbed(0))

    def _disturbed(self, number: int) -> Tensor:
        """Return rows of a batch as the encoder sees them, (K, B, p)."""
        rows = self.batch.rows[:, number]
        if not self.batch.input_noise.numel():
            return rows
        noise = self.batch.input_noise[:, number]
        return self.likelihood.disturbed(
            self.weights, rows, noise, self.batch.conditional_noise_std
        )

    @property
    def mean(self) -> Tensor:
        """Posterior means, (K, B, d)."""
        return self._posterior[0]

    @property
    def log_var(self) -> Tensor:
        """Logarithms of the posterior variances, (K, B, d)."""
        return self._posterior[1]

    @cached_property
    def z(self) -> Tensor:
        """Codes drawn from the posterior, (K, B, d)."""
        noise = self.batch.noise[:, 0]
        return self.network.draw_codes(self.mean, self.log_var, noise)

    @cached_property
    def output(self) -> Tensor:
        """What the decoder makes of the codes, (K, B, p)."""
        return self.network.decode(self.weights, self.z)

    @cached_property
    def nll(self) -> Tensor:
        """Return -log p(x | z) in nats, (K, B)."""
        return self.likelihood.nll(self.weights, self.output, self.x)

    @cached_property
    def discriminator_input(self) -> Tensor:
        """Codes as a discriminator sees them, blurred and turned down, (K, B, d)."""
        return self._scaled_draw(self.mean, self.log_var, self.batch.noise[:, 0])

    @cached_property
    def second_discriminator_input(self) -> Tensor:
        """Those of the second batch, (K, B, d), cut off from the encoder."""
        with torch.no_grad():
            moments = self.network.encode(self.weights, self._disturbed(1))
            return self._scaled_draw(*moments, self.batch.noise[:, 1])

    def _scaled_draw(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
        added = 2 * self.batch.instance_noise.log()[:, None, None]
        log_var = torch.logaddexp(log_var, added)  # variances add up
        return self.network.draw_codes(mean, log_var, noise) * self._informativeness

    @cached_property
    def _informativeness(self) -> Tensor:
        r"""Correlation of a code with what it tells, were it normal, (K, 1, d).

        A share :math:`1 - e^{-2 \mathrm{KL}}` of its variance is told by the row. The
        total correlation does not depend on scales; what a discriminator's errors do
        to a latent does, and by this idle ones come to rest.
        """
        with torch.no_grad():
            kl = PRIORS["normal"].kl(self.mean, self.log_var)  # (K, B, d)
            told = -torch.expm1(-2 * kl.mean(1, keepdim=True))
            return told.clamp(min=0).sqrt()  # rounding can leave less than nothing

    @property
    def labelled(self) -> Labelled:
        """What is known of attributes.

        Raises
        ------
        ValueError
            If the job came without labels.
        """
        if self.batch.labelled is None:
            raise ValueError("This objective learns from labels; the job has none.")
        return self.batch.labelled

    @cached_property
    def labelled_moments(self) -> tuple[Tensor, Tensor]:
        """Posterior means and log-variances of labelled rows, each (K, m, B, d)."""
        rows = self.labelled.rows
        moments = self.network.encode(self.weights, rows.flatten(1, 2))
        mean, log_var = (part.unflatten(1, rows.shape[1:3]) for part in moments)
        return mean, log_var

    @cached_property
    def labelled_codes(self) -> Tensor:
        """Codes drawn from the posteriors of labelled rows, (K, m, B, d)."""
        return self.network.draw_codes(*self.labelled_moments, self.labelled.noise)

    @property
    def reconstruction(self) -> Tensor:
        """Mean of -log p(x | z) over the batch, (K,)."""
        return self.nll.mean(-1)

    @property
    def kl(self) -> Tensor:
        r"""KL from the standard normal prior, summed over latents, averaged over rows.

        .. math:: \tfrac{1}{2} \sum_j (\mu_j^2 + \sigma_j^2 - \log\sigma_j^2 - 1)

        Nats per row, (K,).
        """
        kl = PRIORS["normal"].kl(self.mean, self.log_var)  # (K, B, d)
        return (kl if self.mask is None else kl * self.mask).sum(-1).mean(-1)


def warmed_up(weight: Any, ramp: Tensor) -> Any:
    """Return a weight of the KL divergence on its way from one, the ELBO's."""
    return 1 + (weight - 1) * ramp


WEIGHT = {"is_weight": True}
"""Marks a field that may differ over a stack: a float, in use a tensor (K,)."""


class Objective(ABC):
    """Named terms whose weighted sum a fit minimises.

    Fields marked by :data:`WEIGHT` may differ over a stack; all others are structure,
    in which the models of a stack must agree.

    Attributes
    ----------
    prior : {"normal", "uniform"}
        Distribution of the codes before any row is seen.
    n_hidden_components : int
        Latents, of the first, that are not shown.
    """

    prior: str = "normal"

    @property
    def kl_weight(self) -> float:
        """What a nat of information costs."""
        return 1.0

    @property
    def n_hidden_components(self) -> int:
        """Latents, of the first, that are not shown."""
        return 0

    @abstractmethod
    def weights(self, ramp: Tensor) -> Terms:
        """Weight of each term that has one, (K,); the others count once.

        A term named ``reconstruction`` is left to the loop, which tempers it.

        Parameters
        ----------
        ramp : Tensor of shape (K,), in [0, 1]
            How far the warm-up has come, or a tempered likelihood has cooled where
            that is less; penalties grow with it.
        """

    @abstractmethod
    def terms(self, forward: Forward) -> Terms:
        """Return each term of the loss, (K,), in nats per row."""

    def latent_order(self, kl: np.ndarray) -> np.ndarray:
        """Return the order in which a fitted model shows its latents.

        Parameters
        ----------
        kl : ndarray of shape (d,)
            Information of each latent, nats.
        """
        return np.argsort(-kl, kind="stable")

    def sign_targets(self, labels: np.ndarray | None) -> np.ndarray | None:
        """Return what the first latents are to rise with, (n, a), if anything."""
        return None

    def inactive_latents(self, kl: np.ndarray) -> np.ndarray:
        """Return the latents that a fitted model is to put at the prior, by number.

        Parameters
        ----------
        kl : ndarray of shape (d,)
            Information of each latent in the order shown, nats.
        """
        return np.array([], dtype=int)

    def convergence_warning(self, history: Mapping[str, np.ndarray]) -> str | None:
        """Say what a finished fit suffered from, if anything."""
        return None

    @classmethod
    def stack(cls, objectives: Sequence[Self], like: Tensor) -> Self:
        """Join the objectives of K models; their weights become tensors (K,)."""
        weights = {
            f.name: like.new_tensor([getattr(o, f.name) for o in objectives])
            for f in fields(cls)  # type: ignore[arg-type] # subclasses are dataclasses
            if f.metadata.get("is_weight")
        }
        return cls(**objectives[0].structure, **weights)

    @property
    def structure(self) -> dict[str, Any]:
        """What two objectives of one class must share to be stacked."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)  # type: ignore[arg-type] # as above
            if not f.metadata.get("is_weight")
        }


class AdversarialObjective(Objective):
    """An objective that plays against a second set of weights, the adversary's.

    The adversary has a loss of its own, and its gradient is asked for with respect to
    the adversary alone: none of it can reach the model.

    Attributes
    ----------
    learning_rate : float
        Adam's, for the adversary.
    """

    learning_rate: float

    def moves(self, name: str) -> bool:
        """Tell whether the adversary moves a weight of this name; else the model does.

        By default these are the weights that :meth:`draw_adversary` adds.
        """
        return name.startswith("discriminator.")

    def draw_adversary(self, n_components: int, generator: torch.Generator) -> Weights:
        """Draw what the adversary needs beside the network, for one model."""
        return {}

    def multiplications(self, n_components: int) -> int:
        """Multiplications with which that looks at one code."""
        return 0

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

"""One training step as objectives use it: the batch, and values computed from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from .._dense import Weights
from .._distributed import ALONE, Ranks
from .._likelihoods import Likelihood
from .._missing import Observations, split_errors
from .._networks import Network
from .._priors import PRIORS

T = TypeVar("T")


@dataclass(frozen=True)
class Labelled:
    """Labels of m attributes, each with a batch of its own of labelled rows."""

    rows: Tensor  # (K, m, B, p or 2 p) rows whose label of an attribute is known
    noise: Tensor  # (K, m, B, d) standard normal
    values: Tensor  # (K, m, B) the labels of those rows
    known: Tensor  # (K, B, m) labels of the first batch; NaN where unknown


@dataclass(frozen=True)
class Extras:
    """Inputs of a step that only some objectives use."""

    auxiliary_noise: Tensor | None = None  # (K, B, a) standard normal
    labelled: Labelled | None = None


@dataclass(frozen=True)
class InputNoise:
    """Noise on the encoder's input, in units of the likelihood's scale."""

    noise: Tensor  # (K, b, B, p) normal, of all batches
    max_std: Tensor  # (K, 1, p) upper bound of that unit


@dataclass(frozen=True)
class Batch:
    """The rows and the random numbers of one step, for b batches.

    Two batches are independent. Where rows have partners, those of the first batch are
    a third one.
    """

    rows: Tensor  # (K, b, B, p or 2 p)
    noise: Tensor  # (K, b, B, d) standard normal
    order: Tensor  # (K, B, d) a permutation of the batch for each latent
    row_numbers: Tensor  # (K, B) of the first batch, in its model's table
    table_probabilities: Tensor  # (K, n) probability of drawing each row of a table
    instance_noise: Tensor  # (K,) standard deviation of noise on discriminator inputs
    input_noise: InputNoise | None = None
    extras: Extras = Extras()
    is_paired: Tensor | None = None  # (K, B) whether the partner is another row

    @property
    def partners(self) -> Batch:
        """The partners of the first batch, as the first batch of another step."""
        noise = self.input_noise
        if noise is not None:
            noise = replace(noise, noise=noise.noise[:, 2:])
        rows, own = self.rows[:, 2:], self.noise[:, 2:]
        return replace(self, rows=rows, noise=own, input_noise=noise)

    @property
    def row_probabilities(self) -> Tensor:
        """Probability of drawing each row of the first batch, (K, B)."""
        return self.table_probabilities.gather(1, self.row_numbers)


@dataclass(frozen=True)
class Forward:
    """The forward pass of one step; each value is computed when it is first used.

    Parameters
    ----------
    network : Network
        Encoder and decoder.
    likelihood : Likelihood
        Distribution of rows given codes.
    weights : dict of str to Tensor
        Weights of all networks, each with the leading axis K.
    batch : Batch
        Rows and random numbers of the step.
    mask : Tensor of shape (K, 1, d) or None
        One where a latent exists; None if all do.
    ramp : float, or Tensor of shape (K,), in [0, 1]
        Completed fraction of the warm-up.
    posterior : tuple of two Tensors of shape (K, B, d), or None
        Means and log-variances in place of those of the encoder.
    ranks : Ranks
        Processes that each encode, decode and score a share of the rows.
    """

    network: Network
    likelihood: Likelihood
    weights: Weights
    batch: Batch
    mask: Tensor | None = None
    ramp: Tensor | float = 1.0
    posterior: tuple[Tensor, Tensor] | None = None
    ranks: Ranks = ALONE
    _results: dict[Any, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def once(self, function: Callable[[Forward], T]) -> T:
        """Return ``function(self)``, computed at most once in this step.

        An objective and its adversary can thus share what only they compute.

        Parameters
        ----------
        function : callable (Forward) -> object
            Function of the forward pass.

        Returns
        -------
        result : object
            What the function returned at its first call.
        """
        if function not in self._results:
            self._results[function] = function(self)
        return self._results[function]

    @cached_property
    def partners(self) -> Forward:
        """The forward pass of the partners of the first batch's rows."""
        return replace(self, batch=self.batch.partners)

    def with_posterior(self, mean: Tensor, log_var: Tensor) -> Forward:
        """Return the forward pass of these rows with another posterior, (K, B, d)."""
        return replace(self, posterior=(mean, log_var))

    @property
    def x(self) -> Tensor:
        """Rows of the first batch, (K, B, p); zero where missing."""
        return self._observations.values

    @property
    def observed(self) -> Tensor | None:
        """One where these values are observed, else zero, (K, B, p); None: all are."""
        return self._observations.observed

    @cached_property
    def _observations(self) -> Observations:
        rows = self.batch.rows[:, 0]
        if not self.network.takes_missing:
            return Observations(rows)
        return Observations.of(rows, self.network.n_features)

    @cached_property
    def _posterior(self) -> tuple[Tensor, Tensor]:
        if self.posterior is not None:
            return self.posterior
        return self._encoded(self._encoder_inputs[:, 0])

    def _encoded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the moments of rows as the encoder takes them, (K, B, .)."""
        share = self.ranks.share(rows)
        mean, log_var = self.network.encode_completed(self._own_weights, share)
        return self._gathered(mean), self._gathered(log_var)

    @cached_property
    def _own_weights(self) -> Weights:
        """Weights with which this process computes its share of the rows."""
        return self.ranks.weights(self.weights)

    def _gathered(self, own: Tensor) -> Tensor:
        """Return the rows of all processes, given those of this one."""
        return self.ranks.gather(own, self.batch.rows.shape[2])

    @cached_property
    def _encoder_inputs(self) -> Tensor:
        """Rows of all batches as the encoder takes them, (K, b, B, .)."""
        return self.network.completed(self.weights, self._noisy_rows)

    @property
    def _noisy_rows(self) -> Tensor:
        """Rows of all batches with noise on their values, (K, b, B, p or 2 p)."""
        rows, added = self.batch.rows, self.batch.input_noise
        if added is None:
            return rows
        values, errors = split_errors(rows, self.network.n_features)
        noisy = self.likelihood.add_input_noise(
            self.weights, values.flatten(1, 2), added.noise.flatten(1, 2), added.max_std
        ).view(values.shape)
        return noisy if errors is None else torch.cat([noisy, errors], dim=-1)

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
        """The decoder's output for the codes, (K, B, p)."""
        return self._gathered(self._own_output)

    @cached_property
    def _own_output(self) -> Tensor:
        """The part of the output that this process computes, (K, b, p)."""
        return self.network.decode(self._own_weights, self.ranks.share(self.z))

    @cached_property
    def nll(self) -> Tensor:
        """Return -log p(x | z) in nats, (K, B)."""
        known = [self.ranks.share(part) for part in self._observations.known]
        own = self.likelihood.nll(self._own_weights, self._own_output, *known)
        return self._gathered(own)

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
        kl = self._kl if self.mask is None else self._kl * self.mask
        return kl.sum(-1).mean(-1)

    @cached_property
    def _kl(self) -> Tensor:
        """KL divergence of each latent of each row, (K, B, d)."""
        return PRIORS["normal"].kl(self.mean, self.log_var)

    @cached_property
    def discriminator_input(self) -> Tensor:
        """Codes with instance noise, scaled by their informativeness, (K, B, d)."""
        drawn = self._noisy_draw(self.mean, self.log_var, self.batch.noise[:, 0])
        return drawn * self._informativeness

    @cached_property
    def second_discriminator_input(self) -> Tensor:
        """The same for the second batch, without gradient, (K, B, d)."""
        scale = self._informativeness
        with torch.no_grad():
            moments = self._encoded(self._encoder_inputs[:, 1])
            return self._noisy_draw(*moments, self.batch.noise[:, 1]) * scale

    def _noisy_draw(self, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
        added = 2 * self.batch.instance_noise.log()[:, None, None]
        log_var = torch.logaddexp(log_var, added)  # variances add up
        return self.network.draw_codes(mean, log_var, noise)

    @cached_property
    def _informativeness(self) -> Tensor:
        r"""Correlation of each latent with its input, were both normal, (K, 1, d).

        :math:`\sqrt{1 - e^{-2 \mathrm{KL}}}`. The total correlation does not depend on
        the scale of a latent; the gradient of a discriminator's errors does. Scaling
        removes that gradient from inactive latents, which therefore stay inactive.
        """
        kl = self._kl.detach().mean(1, keepdim=True)
        explained = -torch.expm1(-2 * kl)
        return explained.clamp(min=0).sqrt()  # rounding can make it negative

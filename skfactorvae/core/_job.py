"""Jobs, records of their progress, and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from ._axes import Parameters
from ._likelihoods import Likelihood
from ._missing import split_errors
from ._networks import Network
from ._sampling import CHUNK
from ._schedule import Schedule
from .objectives import Objective

Arrays = Mapping[str, np.ndarray]

Status = Literal["budget", "early_stopping", "stopped", "diverged"]
"""How the training of a model ended; see :class:`Fit`."""


@dataclass(frozen=True)
class HeldOut:
    """Rows that are not trained on, their weights (m,), labels, and pairs.

    Rows have the shape (m, p), or (m, 2 p) with known errors, as those of a job.
    """

    rows: Any
    row_weights: np.ndarray
    labels: np.ndarray | None = None
    pairs: np.ndarray | None = None


@dataclass(frozen=True)
class Job:
    """One model to be fitted.

    Parameters
    ----------
    network, likelihood, objective
        The model, and the loss that it minimises.
    rows : ndarray of shape (n, p) or (n, 2 p), or RowTable of shape (n, p)
        Standardised rows, NaN where missing; their dtype is the precision of the
        training. The standard deviations of known errors follow, if there are any.
    row_weights : ndarray of shape (n,)
        Positive weights of the rows.
    seed : int
        Seed of every draw.
    start : mapping of str to ndarray
        Initial weights; those that are missing are drawn.
    held_out : HeldOut or None
        Rows on which the ELBO is recorded, for early stopping.
    temperature : float, default=1
        Temperature T of the likelihood at the first step, >= 1. The reconstruction
        then has the weight 1 / T, which rises to one over the first 80 % of the steps,
        linearly in its logarithm. The weights of penalties never exceed it meanwhile.
    labels : ndarray of shape (n, m) or None
        Attributes of each row; NaN where unknown.
    pairs : ndarray of shape (n, c) or None
        Number of each row's group in c pairings, -1 for none: rows of one group are
        partners of each other.
    input_noise : float, default=0
        Standard deviation of the noise that is added to the encoder's input, in units
        of the likelihood's own standard deviation. It is multiplied by the square root
        of the reconstruction's weight, so that its variance is annealed with it.
    conditional_noise_std : ndarray of shape (p,) or None
        Upper bound of the likelihood's standard deviation in that unit, by feature.
    weight_decay : float, default=0
        Decoupled weight decay of the network's :attr:`~Network.decayed` weights: a step
        of learning rate r multiplies them by exp(-r * weight_decay).
    hidden_fraction : float in [0, 0.5], default=0
        Share of the values of a batch that are treated as missing. That of a row is
        uniform between zero and twice this number. It needs a network that takes
        missing values.
    stream_size : float or None
        Effective number of samples of the stream that the rows are a block of; None
        for rows that are no block.
    criterion : callable (weights, device) -> float, or None
        Compares the weights of some steps, the first ones included; the last ones with
        at least 98 % of the largest value are returned. It has no effect with rows that
        are held out.
    """

    network: Network
    likelihood: Likelihood
    objective: Objective
    rows: Any
    row_weights: np.ndarray
    seed: int
    start: Arrays = field(default_factory=dict)
    held_out: HeldOut | None = None
    temperature: float = 1.0
    labels: np.ndarray | None = None
    pairs: np.ndarray | None = None
    input_noise: float = 0.0
    conditional_noise_std: np.ndarray | None = None
    weight_decay: float = 0.0
    hidden_fraction: float = 0.0
    stream_size: float | None = None
    criterion: Callable[[Arrays, torch.device], float] | None = None

    def is_warmed_up(self, schedule: Schedule, step: int) -> bool:
        """Return whether all weights of the objective have their final values."""
        tempered = self.temperature != 1
        return schedule.ramp(step) >= 1 and (
            not tempered or schedule.annealing(step) >= 1
        )

    @property
    def signature(self) -> tuple[object, ...]:
        """Properties in which jobs must agree to be fitted as one stack."""
        return (
            self.network.signature,
            self.likelihood,
            type(self.objective),
            tuple(self.objective.structure.items()),
            self.rows.dtype,
            self.rows.shape[1],
            self.labels is None,
            self.pairs is None,
        )

    @property
    def representative(self) -> Job:
        """The job with the rows over which the moments of its codes are taken.

        These are all rows, or a random sample of a table that is read in the order in
        which it is stored.
        """
        n_leading = getattr(self.rows, "n_leading", len(self.rows))
        if n_leading == len(self.rows):
            return self
        some = slice(n_leading)
        labels = None if self.labels is None else self.labels[some]
        pairs = None if self.pairs is None else self.pairs[some]
        rows, row_weights = self.rows[some], self.row_weights[some]
        return replace(
            self, rows=rows, row_weights=row_weights, labels=labels, pairs=pairs
        )

    @property
    def sample_size(self) -> float:
        """Effective number of samples: of the rows, or of the stream they belong to."""
        if self.stream_size is not None:
            return self.stream_size
        return effective_sample_size(self.row_weights)

    @property
    def values(self) -> np.ndarray:
        """The rows without the columns of known errors, (n, p)."""
        return split_errors(self.rows, self.network.n_features)[0]

    @property
    def errors(self) -> np.ndarray | None:
        """Standard deviations of the values' known errors, (n, p); None without."""
        return split_errors(self.rows, self.network.n_features)[1]

    @property
    def multiplications(self) -> int:
        """Multiplications of a training step for one row, approximately."""
        count = 4 * self.network.multiplications
        if self.objective.adversary is not None:
            d = self.network.n_components
            count += 7 * self.objective.adversary.multiplications(d)
        return count

    @property
    def training_weights(self) -> tuple[str, ...]:
        """Names of the weights that only training needs: those the adversary adds."""
        adversary = self.objective.adversary
        added = adversary.parameters(self.network) if adversary else {}
        return tuple(name for name in added if name not in self.network.parameters)

    @property
    def parameters(self) -> Parameters:
        """Names and axes of all weights of the model, the adversary's included."""
        adversary = self.objective.adversary
        return {
            **self.network.parameters,
            **self.likelihood.parameters,
            **self.objective.parameters,
            **(adversary.parameters(self.network) if adversary else {}),
        }


@dataclass(frozen=True)
class Fit:
    """The result of a job.

    Attributes
    ----------
    weights : dict of str to ndarray
        The trained weights, adversary included. Latents are ordered and signed, and
        inactive ones set to the prior, as the objective's readout determines.
    kl : ndarray of shape (d,)
        Mean KL divergence of each latent from a standard normal prior over the job's
        rows, nats; zero for inactive latents. Hidden latents are included.
    variance : ndarray of shape (d,)
        Variance of each latent's posterior mean; zero for inactive latents.
    history : dict of str to ndarray of shape (n_records,)
        ``step``, and the mean of each named term since the record before.
    status : {"budget", "early_stopping", "stopped", "diverged"}
        How training ended: after all steps, because the held-out ELBO did not improve,
        because the watch function requested it, or because of a value that was not
        finite or too large.
    n_iter : int
        Steps made.
    kept_step : int
        Step whose weights these are: the last, the best on held-out rows or by the
        job's criterion, or the last finite one.
    diverged_at : int or None
        Step at which divergence was found; None unless the status is "diverged".
    """

    weights: dict[str, np.ndarray]
    kl: np.ndarray
    variance: np.ndarray
    history: dict[str, np.ndarray]
    status: Status
    n_iter: int
    kept_step: int
    diverged_at: int | None


@dataclass(frozen=True)
class Record:
    """The state of a stack at one step of its training."""

    step: int
    terms: list[dict[str, float]]  # K
    weights: Callable[[int], dict[str, np.ndarray]]  # current ones, of model k
    is_last: list[bool]  # K, whether training ends here without being stopped


Watch = Callable[[Record], Sequence[bool]]
"""Called with each record; returns for each model whether to stop it."""


def least_memory(
    network: Network,
    objective: Objective,
    n_weights: int,
    schedule: Schedule,
    dtype: np.dtype,
) -> int:
    """Return a lower bound of the memory that a fit needs, bytes.

    It counts weights with their gradients and moments, the draws of several steps, the
    codes of one, and the directions of the score's cubature.

    Parameters
    ----------
    network : Network
    objective : Objective
    n_weights : int
        Number of weights of encoder and decoder, at least.
    schedule : Schedule
        Gives the batch size.
    dtype : dtype
        Precision of the training.
    """
    d, n_rows = network.n_components, schedule.batch_size
    if objective.adversary is not None:
        n_weights += objective.adversary.multiplications(d)
    draws = CHUNK * n_rows * (2 * d + network.n_auxiliary)
    codes = n_rows * network.n_columns
    return dtype.itemsize * (4 * n_weights + codes) + 4 * draws + 8 * d**2


def effective_sample_size(row_weights: np.ndarray) -> float:
    """Return Kish's effective sample size, at most the number of rows.

    Weights are divided by a power of two, exactly, so that no square underflows.
    """
    share = np.ldexp(row_weights, -np.frexp(row_weights.max())[1])
    return float(share.sum() ** 2 / np.square(share).sum())

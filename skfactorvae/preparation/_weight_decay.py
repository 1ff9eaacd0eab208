"""Weight decay and noise scale, chosen on held-out samples.

Networks that are flexible enough for a curved table memorise a small noisy one. How
flexible they may be is therefore decided by samples that are not trained on: the model
is fitted to a share of the samples with each of a few weight decays, as one stack, and
for few steps. The best one on the held-out samples is then fitted to all samples. With
a given weight decay, fits with this one compare initialisations only.

Axes: ``n`` samples, ``p`` features, ``c`` candidates, ``m`` held-out samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import core
from .._moments import trimmed_mean
from ._comparison import (
    Comparison,
    Regularization,
    as_compared,
    as_recorded,
    has_diverged,
    largest_loss,
)
from ._length import compare_lengths
from ._rows import split_groups

CANDIDATES = (0.0, 1.0, 3.0, 10.0)
"""Weight decays that are compared. With the largest, the model is nearly linear."""

COMPARISON_SOLVER = "adam"
"""Solver of the fits that are compared, and of the final one where decay is chosen."""

COMPARISON_STEPS = 500
"""Steps of the fits that are compared, and of the final one where decay is chosen."""

MIN_EPOCHS = {"adam": 30, "soap": 10}
"""Passes over the samples below which a fit does not memorise samples, by solver."""

MIN_STEPS = 300
"""Number of steps below which a fit does not memorise samples."""

MIN_ROWS = 20
"""Number of distinct samples below which none is held out."""

HELD_OUT_FRACTION = 0.2
"""Share of the samples that is held out."""

MIN_HELD_OUT = 4
"""Samples that are held out, at least: groups may leave fewer."""

MAX_HELD_OUT = 1000
"""Samples that are held out, at most."""

FEW_ROWS = 320
"""Number of samples below which two different shares are held out in turn."""

DECAYED_INPUT_NOISE = 0.5
"""Share of the default input noise that is kept beside weight decay."""

MIN_GAIN = 0.02
"""Advantage of weight decay, nats per feature, below which networks that show no sign
of memorising samples are fitted without it."""

MAX_LOSS = 1 / 5
"""Difference of training and held-out bound, as a share of the advantage of the former
over independent features, from which on more steps would mean memorising samples."""

CLEAR_LOSS = 1 / 50
"""The same share, up to which more steps are made without a comparison."""


@dataclass(frozen=True)
class DecayComparison(Comparison):
    """Fits with each of the candidates to shares of the samples."""

    purpose = "choosing weight decay"

    @property
    def decays(self) -> tuple[float, ...]:
        """Weight decay of each candidate."""
        return CANDIDATES

    @np.errstate(over="ignore", invalid="ignore")  # candidates may have diverged
    def choose(self, fits: Sequence[core.Fit], device: Any) -> Regularization:
        """Return the candidate that describes held-out samples best.

        Networks without weight decay make all steps if they show no sign of memorising
        samples: their held-out bound was still rising at the end, and hardly anything
        of what they learned may be lost on held-out samples. Unless much is lost,
        longer fits are compared with the best candidate.

        Parameters
        ----------
        fits : sequence of core.Fit
            Of the jobs.
        device : torch.device
        """
        found, compared = self.evaluate(fits, device)
        lost = max(largest_loss(*self.lost_share(e[0])) for e in (found, compared))
        is_all = as_recorded(self.schedule, self.free) == self.free
        is_clear = found[0].is_rising and lost <= CLEAR_LOSS and not is_all
        best = choose_candidate(
            np.stack([e.bounds for e in compared]),
            np.array([e.penalty for e in compared]),
            self.held_out_weight,
            margin=MIN_GAIN * self.jobs[0].network.n_features if is_clear else None,
        )
        chosen = self.result(best, found[best], compared[best], fits, device)
        if is_clear and best == 0:
            return replace(chosen, schedule=self.free)
        is_sound = not has_diverged(fits[:: len(self.decays)])
        if lost < MAX_LOSS and is_sound and not is_all:
            return compare_lengths(self, chosen, compared[0])
        return chosen


@dataclass(frozen=True)
class GivenDecay(Comparison):
    """Fits with a given weight decay, by which initialisations are compared.

    Attributes
    ----------
    decay : float
        Weight decay of the networks.
    """

    purpose = "choosing the initialisation"

    decay: float

    @property
    def decays(self) -> tuple[float, ...]:
        """Weight decay of the only candidate."""
        return (self.decay,)

    def choose(self, fits: Sequence[core.Fit], device: Any) -> Regularization:
        """Return the fit to all samples as it was asked for."""
        _, (compared,) = self.evaluate(fits, device)
        return Regularization(self.decay, self.free, compared)


def compare_decays(
    job: core.Job,
    schedule: Callable[..., core.Schedule],
    start: Callable[..., Any],
    *,
    groups: np.ndarray | None = None,
    with_decay: Callable[[core.Job, float], core.Job],
    given: float | None = None,
) -> Comparison | None:
    """Plan the fits to shares of the samples; None if no sample can be held out.

    Parameters
    ----------
    job : core.Job
        The fit to all samples.
    schedule : callable (solver=None) -> core.Schedule
        Returns the schedule of a fit by the given solver, or by its own.
    start : callable (rows, row_weights, labels) -> mapping of str to ndarray
        Returns initial weights for some of the samples.
    groups : ndarray of shape (n,) or None
        Samples of one group are held out together. With a single group there is
        no comparison.
    with_decay : callable (job, weight_decay) -> core.Job
        Returns a job with a weight decay.
    given : float or None, default=None
        Weight decay that is not to be chosen. None compares the candidates.
    """
    n_rows, free, short = len(job.rows), schedule(), schedule(COMPARISON_SOLVER)
    n_splits = 2 if n_rows < FEW_ROWS else 1
    fraction = min(HELD_OUT_FRACTION, MAX_HELD_OUT / n_rows)
    parts = split_groups(n_rows, groups, fraction, n_splits, job.seed)
    splits = [held_out for held_out in parts if len(held_out) >= MIN_HELD_OUT]
    if not splits:
        return None
    few_steps = as_compared(short, min(short.max_iter, COMPARISON_STEPS))
    most = n_rows if given is None else few_steps.max_iter * few_steps.batch_size
    jobs = [
        with_decay(part, decay)
        for part in [_without(job, held_out, start, most) for held_out in splits]
        for decay in (CANDIDATES if given is None else (given,))
    ]
    if given is None:
        return DecayComparison(jobs, few_steps, free, with_decay)
    return GivenDecay(jobs, few_steps, free, with_decay, given)


def can_compare(n_rows: int, schedule: core.Schedule) -> bool:
    """Return whether a fit is long enough, of enough samples, for a comparison."""
    return schedule.max_iter >= MIN_STEPS and n_rows >= MIN_ROWS


def can_memorise(n_rows: int, schedule: core.Schedule) -> bool:
    """Return whether a fit passes so often over its samples that it may memorise."""
    epochs = schedule.max_iter * schedule.batch_size / n_rows
    return can_compare(n_rows, schedule) and epochs >= MIN_EPOCHS[schedule.solver]


def with_weight_decay(
    job: core.Job, weight_decay: float, *, keeps_input_noise: bool
) -> core.Job:
    """Return a job with a weight decay, which halves the default input noise.

    Parameters
    ----------
    job : core.Job
    weight_decay : float
        Zero leaves the input noise as it is.
    keeps_input_noise : bool
        Whether input noise stays as it is beside weight decay.
    """
    share = 1.0 if keeps_input_noise or not weight_decay else DECAYED_INPUT_NOISE
    noise = share * job.input_noise
    return replace(job, weight_decay=weight_decay, input_noise=noise)


def choose_candidate(
    bounds: np.ndarray,
    penalties: np.ndarray,
    weight: np.ndarray,
    margin: float | None = None,
) -> int:
    """Return the number of the best candidate, where the first is no weight decay.

    Parameters
    ----------
    bounds : ndarray of shape (c, m)
        ELBO of each held-out sample, nats.
    penalties : ndarray of shape (c,)
        What the objective adds to the negative ELBO.
    weight : ndarray of shape (m,)
        Weights of the samples.
    margin : float or None, default=None
        By how much the best of the others must exceed the first, nats. None asks for
        the contrary: the first must exceed it by one standard error of the difference.

    Returns
    -------
    int
    """
    moments = [trimmed_mean(b - bounds[0], weight) for b in bounds]
    gains = np.array([mean for mean, _ in moments]) - (penalties - penalties[0])
    gains = np.where(np.isfinite(gains), gains, -np.inf)
    best = 1 + int(np.argmax(gains[1:]))
    least = -moments[best][1] if margin is None else margin
    return best if gains[best] > least else 0


# ------------------------------------------------------------------ inner functions
def _without(job: core.Job, held_out: np.ndarray, start, most: int) -> core.Job:
    """Return the job without the rows that are held out, and of ``most`` others.

    Longer fits may follow those that choose a weight decay, and take all rows; those
    with a given one take no more rows than their batches have.
    """
    is_kept = np.ones(len(job.rows), dtype=bool)
    is_kept[held_out] = False
    kept = np.flatnonzero(is_kept)
    if len(kept) > most:
        rng = np.random.RandomState(job.seed % 2**32)
        kept = np.sort(rng.choice(kept, most, replace=False))
    labels, pairs = job.labels, job.pairs
    rows, row_weights = core.select_rows(job.rows, kept), job.row_weights[kept]
    kept_labels = None if labels is None else labels[kept]
    return replace(
        job,
        rows=rows,
        row_weights=row_weights,
        labels=kept_labels,
        pairs=None if pairs is None else pairs[kept],
        start=start(rows, row_weights, kept_labels),
        held_out=core.HeldOut(
            job.rows[held_out],
            job.row_weights[held_out],
            None if labels is None else labels[held_out],
            None if pairs is None else pairs[held_out],
        ),
    )

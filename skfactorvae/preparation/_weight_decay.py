"""Weight decay, number of steps and noise scale, chosen on held-out samples.

Networks that are flexible enough for a curved table memorise a small noisy one. How
flexible they may be is therefore decided by samples that are not trained on: the model
is fitted to a share of the samples with each of a few weight decays, as one stack, and
for few steps. The best one on the held-out samples is then fitted to all samples.

Axes: ``n`` samples, ``p`` features, ``c`` candidates, ``m`` held-out samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import core
from .._moments import trimmed_mean
from ._calibration import (
    calibrate,
    few_rows,
    held_out_of,
    noise_inflation,
)
from ._column_scores import column_scores
from ._errors import precision_weights
from ._noise_levels import discrete_variance, has_few_levels, resolution_variance
from ._references import first_component_r2, independent_score, linear_score
from ._rows import split_groups

CANDIDATES = (0.0, 1.0, 3.0, 10.0)
"""Weight decays that are compared. With the largest, the model is nearly linear."""


COMPARISON_SOLVER = "adam"
"""Solver of the fits that are compared, and of the final one where decay is chosen."""

COMPARISON_STEPS = 500
"""Steps of the fits that are compared, and of the final one where decay is chosen."""

LEAST_STEPS = {"adam": 500, "soap": 200}
"""Steps of a fit without weight decay, at least, by solver."""

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

N_RECORDS = 20
"""Records of the held-out bound."""

MAX_LOSS = 1 / 12
"""Difference of training and held-out bound, as a share of the advantage of the former
over independent features, above which more steps would mean memorising samples."""


@dataclass(frozen=True)
class Regularization:
    """How far a fit may bend, and what held-out samples say about it.

    Attributes
    ----------
    weight_decay : float
        Weight decay of the networks.
    schedule : core.Schedule
        That of the fit to all samples.
    inflation : ndarray of shape (p,) or None
        Ratio of held-out to training variance of the residuals, >= 1.
    report : dict of str to float
        Scores of the chosen candidate; empty if no samples were held out.
    column_scores : dict of str to ndarray of shape (p,)
        Its scores by feature.
    """

    weight_decay: float
    schedule: core.Schedule
    inflation: np.ndarray | None = None
    report: Any = None
    column_scores: Any = None


@dataclass(frozen=True)
class Evaluation:
    """One candidate on the held-out samples of one or several splits.

    Attributes
    ----------
    bounds : ndarray of shape (m,)
        ELBO of each held-out sample with the calibrated noise, nats.
    penalty : float
        What the objective adds to the negative ELBO, nats.
    inflation : ndarray of shape (p,) or None
        Ratio of held-out to training variance of the residuals, >= 1.
    training_bound : float
        Trimmed mean ELBO of the training samples with the calibrated noise, nats.
    residual : ndarray of shape (m,)
        Squared residuals of each held-out sample, summed over features.
    is_rising : bool
        Whether the held-out bound was highest at the end of training.
    """

    bounds: np.ndarray
    penalty: float
    inflation: np.ndarray | None
    training_bound: float
    residual: np.ndarray
    is_rising: bool


@dataclass(frozen=True)
class Comparison:
    """Fits of the candidates to shares of the samples.

    Attributes
    ----------
    jobs : list of core.Job
        Split by split, each with all candidates.
    decays : tuple of c floats
    schedule : core.Schedule
    with_decay : callable (job, weight_decay) -> core.Job
    """

    jobs: list[core.Job]
    decays: tuple[float, ...]
    schedule: core.Schedule
    with_decay: Callable[[core.Job, float], core.Job]

    @np.errstate(over="ignore", invalid="ignore")  # candidates may have diverged
    def choose(
        self, fits: Sequence[core.Fit], free: core.Schedule, device: Any
    ) -> Regularization:
        """Return the candidate that describes held-out samples best.

        Networks without weight decay have the longer schedule if they show no sign of
        memorising samples: their held-out bound was still rising at the end, and little
        of what they learned may be lost on held-out samples.

        Parameters
        ----------
        fits : sequence of core.Fit
            Of the jobs.
        free : core.Schedule
            The longer schedule; its steps are reduced the more is lost.
        device : torch.device
        """
        n_features = self.jobs[0].network.n_features
        found, compared = self.evaluate(fits, device)
        short = replace(
            self.schedule, max_records=free.max_records, patience=free.patience
        )
        losses = [largest_loss(*self.lost_share(e[0])) for e in (found, compared)]
        lost = max(losses) if found[0].is_rising else math.inf
        memorises = lost >= MAX_LOSS or free == short
        best = choose_candidate(
            np.stack([e.bounds for e in compared]),
            np.array([e.penalty for e in compared]),
            self.held_out_weight,
            margin=None if memorises else MIN_GAIN * n_features,
        )
        c, inflation = len(self.decays), found[best].inflation
        pairs = zip(self.jobs[best::c], fits[best::c], strict=True)
        weights = [_calibrated(job, fit, inflation, device) for job, fit in pairs]
        return Regularization(
            self.decays[best],
            short if best or memorises else shortened(free, lost),
            inflation,
            _report(self.jobs[::c], found[best], self.held_out_weight),
            column_scores(self.jobs[best::c], weights, device),
        )

    def held_out_bounds(self, fits: Sequence[core.Fit], device: Any) -> np.ndarray:
        """Return the ELBO of each held-out sample without weight decay, (m,), nats.

        It has the noise by which weight decays are compared.
        """
        _, compared = self.evaluate(fits, device)
        return compared[0].bounds

    @property
    def held_out_weight(self) -> np.ndarray:
        """Weights of the held-out samples of all splits, (m,)."""
        held_out = [held_out_of(job) for job in self.jobs[:: len(self.decays)]]
        return np.concatenate([part.row_weights for part in held_out])

    def evaluate(
        self, fits: Sequence[core.Fit], device: Any
    ) -> tuple[list[Evaluation], list[Evaluation]]:
        """Return each candidate's scores on the held-out samples, twice.

        The first are those of the calibrated noise. In the second, by which candidates
        are compared, columns of few levels have at least the noise of
        :func:`discrete_variance`; without such columns both are the same.
        """
        c = len(self.decays)
        penalties = core.held_out_penalties(
            self.jobs, fits, self.schedule, device=device
        )

        def with_noise(least_variance):
            return [
                _evaluate(
                    self.jobs[k::c], fits[k::c], penalties[k::c], device, least_variance
                )
                for k in range(c)
            ]

        found = with_noise(resolution_variance)
        if not has_few_levels(self.jobs[0]):
            return found, found
        return found, with_noise(discrete_variance)

    def lost_share(self, candidate: Evaluation) -> tuple[float, float]:
        """Return the share of what a candidate learned that new samples do not show.

        What it learned is the advantage of its training bound over independent
        features. The second number is the standard error that the share has from that
        of the held-out bound.
        """
        held_out_bound, error = trimmed_mean(candidate.bounds, self.held_out_weight)
        learned = candidate.training_bound - independent_score(self.jobs[0])
        if not learned > 0:
            return math.inf, 0.0
        return (candidate.training_bound - held_out_bound) / learned, error / learned


def compare_decays(
    job: core.Job,
    schedule: Callable[..., core.Schedule],
    start: Callable[..., Any],
    *,
    groups: np.ndarray | None = None,
    with_decay: Callable[[core.Job, float], core.Job],
) -> Comparison | None:
    """Plan the comparison of weight decays; None for a fit that cannot memorise.

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
    """
    n_rows, free, short = len(job.rows), schedule(), schedule(COMPARISON_SOLVER)
    epochs = free.max_iter * free.batch_size / n_rows
    if free.max_iter < MIN_STEPS or epochs < MIN_EPOCHS[free.solver]:
        return None
    if n_rows < MIN_ROWS:
        return None
    n_splits = 2 if n_rows < FEW_ROWS else 1
    fraction = min(HELD_OUT_FRACTION, MAX_HELD_OUT / n_rows)
    parts = split_groups(n_rows, groups, fraction, n_splits, job.seed)
    splits = [held_out for held_out in parts if len(held_out) >= MIN_HELD_OUT]
    if not splits:
        return None
    jobs = [
        with_decay(part, decay)
        for part in [_without(job, held_out, start) for held_out in splits]
        for decay in CANDIDATES
    ]
    return Comparison(
        jobs,
        CANDIDATES,
        replace(
            short,
            max_iter=min(short.max_iter, COMPARISON_STEPS),
            patience=None,
            max_records=N_RECORDS,
        ),
        with_decay,
    )


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


def largest_loss(share: float, error: float) -> float:
    """Return the share of what was learned that may be lost on new samples.

    It is one standard error above the share that was found, which counts as zero where
    it is negative: a few held-out samples do not show that nothing was memorised.
    """
    return max(0.0, share) + error


def shortened(free: core.Schedule, lost: float) -> core.Schedule:
    """Return a schedule with the steps that a share of lost learning allows."""
    least = min(LEAST_STEPS[free.solver], free.max_iter)
    return replace(free, max_iter=allowed_steps(lost, least, free.max_iter))


def allowed_steps(lost: float, least: int, most: int) -> int:
    """Return the number of steps that a share of lost learning allows.

    It is ``most`` up to a share of 1 / 24, and falls linearly to ``least`` at 1 / 12.
    """
    part = float(np.clip(2 * (1 - lost / MAX_LOSS), 0.0, 1.0))
    return least + round(part * (most - least))


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
def _without(job: core.Job, held_out: np.ndarray, start) -> core.Job:
    """Return the job without some of its rows, which are held out."""
    is_kept = np.ones(len(job.rows), dtype=bool)
    is_kept[held_out] = False
    kept = np.flatnonzero(is_kept)
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


def _evaluate(jobs, fits, penalties, device, least_variance) -> Evaluation:
    """Evaluate one candidate, fitted to one or several shares of the samples."""
    inflation = noise_inflation(jobs, fits, device)
    bounds, trained, residual = [], [], []
    for job, fit in zip(jobs, fits, strict=True):
        few, rows = few_rows(job), held_out_of(job).rows
        weights = _calibrated(job, fit, inflation, device, least_variance)
        bounds.append(_elbo(job, weights, rows, device))
        own = _elbo(job, weights, few.rows, device)
        trained.append(trimmed_mean(own, few.row_weights)[0])
        residual.append(_squared_residuals(job, weights, rows, device))
    return Evaluation(
        np.concatenate(bounds),
        float(np.mean(penalties)),
        inflation,
        float(np.mean(trained)),
        np.concatenate(residual),
        all(_is_rising(fit) for fit in fits),
    )


def _calibrated(
    job, fit, inflation, device, least_variance=resolution_variance
) -> core.Arrays:
    """Return the weights of a fit, with its noise scale corrected."""
    if inflation is None:
        return fit.weights
    return calibrate(few_rows(job), fit.weights, inflation, device, least_variance)


def _elbo(job, weights, rows, device) -> np.ndarray:
    """Return the evidence lower bound of each row, in float64, (n,)."""
    bounds = core.elbo(
        job.network,
        job.likelihood,
        weights,
        rows,
        prior=job.objective.prior,
        device=device,
    )
    return bounds.astype(np.float64)


def _squared_residuals(job, weights, rows, device) -> np.ndarray:
    """Return the squared error of each row's reconstruction, (n,)."""
    codes, _ = core.encode(job.network, weights, rows, device=device)
    back = core.decode(job.network, job.likelihood, weights, codes, device=device)
    return _sum_of_squares(rows, job.network.n_features, back)


def _sum_of_squares(rows, n_features, origin=0.0) -> np.ndarray:
    """Return the sum of each row's squares that are not missing, (n,).

    They are taken around an origin. Values with known errors count the less, the larger
    these are.
    """
    values, errors = core.split_errors(rows, n_features)
    squares = np.square(values - origin, dtype=np.float64)
    squares *= precision_weights(errors)
    return np.nan_to_num(squares, nan=0.0, posinf=np.inf).sum(axis=1)


def _is_rising(fit: core.Fit) -> bool:
    """Return whether the held-out bound was highest in the last tenth of a fit."""
    bounds = fit.history["validation_elbo"]
    tenth = max(1, len(bounds) // 10)
    means = [bounds[i : i + tenth].mean() for i in range(0, len(bounds), tenth)]
    return fit.status == "budget" and int(np.argmax(means)) == len(means) - 1


def _report(jobs, chosen: Evaluation, weight) -> dict[str, float]:
    """Return the chosen candidate's scores, beside those of linear models."""
    rows = np.concatenate([held_out_of(job).rows for job in jobs]).astype(np.float64)
    p = jobs[0].network.n_features
    total = weight @ _sum_of_squares(rows, p)
    r2 = [first_component_r2(job.rows, held_out_of(job).rows, p) for job in jobs]
    linear = [linear_score(job, held_out_of(job)) for job in jobs]
    return {
        "n_samples": len(rows),
        "score": trimmed_mean(chosen.bounds, weight)[0],
        "training_score": chosen.training_bound,
        "r2": float(1 - weight @ chosen.residual / total) if total > 0 else math.nan,
        "first_component_r2": float(np.mean(r2)),
        "factor_analysis_score": float(np.mean(linear)),
    }

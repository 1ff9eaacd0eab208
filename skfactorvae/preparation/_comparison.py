"""Fits to shares of the samples, compared on the samples that are held out.

Axes: ``p`` features, ``c`` candidates, ``m`` held-out samples.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from .. import core
from .._moments import trimmed_mean
from ._calibration import calibrate, few_rows, held_out_of, noise_inflation
from ._column_scores import column_scores
from ._errors import precision_weights
from ._noise_levels import discrete_variance, has_discrete_noise, resolution_variance
from ._references import first_component_r2, independent_score, linear_score

N_RECORDS = 20
"""Records of the held-out bound."""


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
class Regularization:
    """How far a fit may bend, and what held-out samples say about it.

    Attributes
    ----------
    weight_decay : float
        Weight decay of the networks.
    schedule : core.Schedule
        That of the fit to all samples.
    compared : Evaluation
        Scores on the held-out samples, with the noise by which fits are compared.
    inflation : ndarray of shape (p,) or None
        Ratio of held-out to training variance of the residuals, >= 1.
    report : dict of str to float
        Scores of the chosen candidate; empty if nothing was chosen between.
    column_scores : dict of str to ndarray of shape (p,)
        Its scores by feature.
    further : Comparison or None
        Fits that are needed before this can be decided.
    """

    weight_decay: float
    schedule: core.Schedule
    compared: Evaluation
    inflation: np.ndarray | None = None
    report: Mapping[str, float] = field(default_factory=dict)
    column_scores: Any = None
    further: Comparison | None = None


@dataclass(frozen=True)
class Comparison(ABC):
    """Fits of some candidates to shares of the samples.

    Attributes
    ----------
    jobs : list of core.Job
        Split by split, each with all candidates.
    schedule : core.Schedule
        That of these fits.
    free : core.Schedule
        That of a fit to all samples that nothing limits.
    with_decay : callable (job, weight_decay) -> core.Job
        Returns a job with a weight decay.
    """

    purpose: ClassVar[str]
    """What is decided, as a progress bar says it."""

    jobs: list[core.Job]
    schedule: core.Schedule
    free: core.Schedule
    with_decay: Callable[[core.Job, float], core.Job]

    @property
    @abstractmethod
    def decays(self) -> tuple[float, ...]:
        """Weight decay of each candidate."""

    @abstractmethod
    def choose(self, fits: Sequence[core.Fit], device: Any) -> Regularization:
        """Return what the fits of the jobs decide, or what has to be fitted next.

        Parameters
        ----------
        fits : sequence of core.Fit
            Of the jobs.
        device : torch.device
        """

    @property
    def held_out_weight(self) -> np.ndarray:
        """Weights of the held-out samples of all splits, (m,)."""
        held_out = [held_out_of(job) for job in self.jobs[:: len(self.decays)]]
        return np.concatenate([part.row_weights for part in held_out])

    def held_out_bounds(self, fits: Sequence[core.Fit], device: Any) -> np.ndarray:
        """Return the ELBO of each held-out sample with the first decay, (m,), nats.

        It has the noise by which candidates are compared.
        """
        _, compared = self.evaluate(fits, device)
        return compared[0].bounds

    @np.errstate(over="ignore", invalid="ignore")  # candidates may have diverged
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
        if not has_discrete_noise(self.jobs[0]):
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

    @np.errstate(over="ignore", invalid="ignore")  # candidates may have diverged
    def gain(self, one: Evaluation, other: Evaluation) -> tuple[float, float]:
        """Return by how much one candidate's objective exceeds another's.

        That of held-out samples, nats, with its standard error.
        """
        gain, error = trimmed_mean(one.bounds - other.bounds, self.held_out_weight)
        return float(gain - (one.penalty - other.penalty)), float(error)

    def result(
        self,
        k: int,
        found: Evaluation,
        compared: Evaluation,
        fits: Sequence[core.Fit],
        device: Any,
    ) -> Regularization:
        """Return candidate k as the one to be fitted to all samples.

        Parameters
        ----------
        k : int
        found : Evaluation
            Its scores on the held-out samples.
        compared : Evaluation
            The same, with the noise by which candidates are compared.
        fits : sequence of core.Fit
            Of the jobs.
        device : torch.device
        """
        c = len(self.decays)
        pairs = zip(self.jobs[k::c], fits[k::c], strict=True)
        weights = [_calibrated(job, fit, found.inflation, device) for job, fit in pairs]
        return Regularization(
            self.decays[k],
            as_recorded(self.schedule, self.free),
            compared,
            found.inflation,
            _report(self.jobs[::c], found, self.held_out_weight),
            column_scores(self.jobs[k::c], weights, device),
        )


def as_compared(schedule: core.Schedule, max_iter: int) -> core.Schedule:
    """Return the schedule of fits that are compared, with this number of steps."""
    return replace(schedule, max_iter=max_iter, patience=None, max_records=N_RECORDS)


def as_recorded(schedule: core.Schedule, free: core.Schedule) -> core.Schedule:
    """Return the schedule of a compared fit, recorded and stopped as another one."""
    return replace(schedule, max_records=free.max_records, patience=free.patience)


def largest_loss(share: float, error: float) -> float:
    """Return the share of what was learned that may be lost on new samples.

    It is one standard error above the share that was found, which counts as zero where
    it is negative: a few held-out samples do not show that nothing was memorised.
    """
    return max(0.0, share) + error


def has_diverged(fits: Sequence[core.Fit]) -> bool:
    """Return whether one of the fits has diverged; its weights are earlier ones."""
    return any(fit.status == "diverged" for fit in fits)


# ------------------------------------------------------------------ inner functions
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

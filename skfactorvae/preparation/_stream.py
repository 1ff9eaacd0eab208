"""What is kept between the blocks of a stream, beside the fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import core
from ._job import Prepared
from ._noise_levels import default_input_noise
from ._standardized import with_rows

MAX_HELD_OUT = 500
"""Held-out samples that are kept of a stream, at most."""

STREAM_RATE = 1e-3
"""Learning rate of a stream without an end, by default."""


@dataclass(frozen=True)
class Stream:
    """State of a stream: what the next block needs, beside the fitted model.

    Attributes
    ----------
    seed : int
        Of everything random.
    horizon : int or None
        Steps over which learning rates decay; None for a stream without an end.
    validation_fraction : float
        Share of the samples of each block that is held out, in [0, 1).
    temperature : float
        Of the likelihood at the first step.
    conditional_noise_std : ndarray of shape (p,) or None
        Of the first block, see :class:`core.Job`.
    held_out : ndarray of shape (n_held_out, q)
        A random sample of all held-out samples, standardised by the first block.
    keys : ndarray of shape (n_held_out,)
        Random numbers by which they were chosen.
    n_samples : int
        Samples seen, held-out ones included.
    sample_size : float
        Their effective number.
    step : int
        Steps made.
    arrays, values : mapping
        State of the training.
    orientation : tuple (order, sign) or None
        Order and signs of the latents, those after the first block.
    rotation : ndarray of shape (d, d) or None
        Rotation of the components after the first block.
    """

    seed: int
    horizon: int | None
    validation_fraction: float
    temperature: float
    conditional_noise_std: np.ndarray | None
    held_out: np.ndarray
    keys: np.ndarray
    n_samples: int = 0
    sample_size: float = 0.0
    step: int = 0
    arrays: Mapping[str, np.ndarray] | None = None
    values: Mapping[str, Any] | None = None
    orientation: tuple[np.ndarray, np.ndarray] | None = None
    rotation: np.ndarray | None = None

    @classmethod
    def begin(
        cls,
        prepared: Prepared,
        seed: int,
        total_samples: int | None,
        validation_fraction: float,
        fitted: Mapping[str, np.ndarray] | None = None,
    ) -> Stream:
        """Return the state before the first block.

        Parameters
        ----------
        prepared : Prepared
            The first block.
        seed : int
        total_samples : int or None
            Samples over which learning rates decay.
        validation_fraction : float
        fitted : mapping of str to ndarray, or None
            Weights of the fit that the stream continues, whose components keep their
            order; None for a stream that begins.
        """
        d = prepared.job.network.n_components
        job, batch_size = prepared.job, prepared.schedule.batch_size
        return cls(
            seed=seed,
            horizon=None if total_samples is None else -(-total_samples // batch_size),
            validation_fraction=validation_fraction,
            temperature=job.temperature if total_samples is not None else 1.0,
            conditional_noise_std=job.conditional_noise_std,
            held_out=np.empty((0, job.rows.shape[1]), job.rows.dtype),
            keys=np.zeros(0),
            orientation=None if fitted is None else (np.arange(d), np.ones(d)),
            rotation=None if fitted is None else core.rotation_of(fitted),
        )

    @property
    def state(self) -> core.State | None:
        """State of the training; None before the first block."""
        if self.arrays is None or self.values is None:
            return None
        return core.State(self.arrays, self.values)

    def with_block(self, prepared: Prepared, n_samples: int) -> tuple[Stream, core.Job]:
        """Return the stream with a block, and the job of the samples to train on.

        Parameters
        ----------
        prepared : Prepared
            The block, standardised as the first one.
        n_samples : int
            Number of its samples of positive weight.
        """
        job, spec = prepared.job, prepared.spec
        rng = np.random.default_rng([self.seed, self.n_samples])
        n_rows = len(job.rows)
        wanted = rng.binomial(n_rows, self.validation_fraction)
        chosen = rng.permutation(n_rows) < min(wanted, max(n_rows - 2, 0))
        if job.labels is not None:
            chosen &= ~_only_labelled(job.labels, chosen)
        keys = np.concatenate([self.keys, rng.random(chosen.sum())])
        kept = np.sort(np.argsort(keys)[:MAX_HELD_OUT])
        size = self.sample_size + core.effective_sample_size(job.row_weights)
        stream = replace(
            self,
            held_out=self._held_out_with(job.rows, np.flatnonzero(chosen), kept),
            keys=keys[kept],
            n_samples=self.n_samples + n_samples,
            sample_size=size,
        )
        noise = job.input_noise
        if noise and prepared.has_default_noise:
            sizes = spec.n_features, spec.n_components
            noise = default_input_noise(size, *sizes, job.objective.kl_weight)
        trained = replace(
            job,
            rows=core.select_rows(job.rows, np.flatnonzero(~chosen)),
            row_weights=job.row_weights[~chosen],
            labels=None if job.labels is None else job.labels[~chosen],
            seed=self.seed,
            temperature=self.temperature,
            conditional_noise_std=self.conditional_noise_std,
            input_noise=noise if self.conditional_noise_std is not None else 0.0,
            stream_size=size,
        )
        return stream, trained

    def _held_out_with(
        self, rows: Any, chosen: np.ndarray, kept: np.ndarray
    ) -> np.ndarray:
        """Return the held-out samples that are kept, of which few are read.

        Parameters
        ----------
        rows : ndarray or StandardizedRows of shape (n, q)
            The block.
        chosen : ndarray of int
            Its held-out samples.
        kept : ndarray of int, sorted
            Those that are kept, of the earlier held-out samples before these.
        """
        n_earlier = len(self.held_out)
        earlier, own = np.split(kept, [np.searchsorted(kept, n_earlier)])
        return np.concatenate([self.held_out[earlier], rows[chosen[own - n_earlier]]])

    def described(self, job: core.Job) -> core.Job:
        """Return a job whose rows are those of its block and the held-out ones.

        Rows with labels stay those of the block. A random sample stands for a table
        that is read in the order in which it is stored; held-out rows then count as
        much less as it is smaller than the block.

        Parameters
        ----------
        job : core.Job
        """
        if job.labels is not None:
            return job
        n_rows, job = len(job.rows), job.representative
        held_out_weight = np.full(len(self.keys), len(job.rows) / n_rows)
        return replace(
            job,
            rows=with_rows(job.rows, self.held_out),
            row_weights=np.concatenate([job.row_weights, held_out_weight]),
        )

    def schedule(self, schedule: core.Schedule, n_samples: int) -> core.StreamSchedule:
        """Return the schedule of one pass over a block.

        Parameters
        ----------
        schedule : core.Schedule
            Batch size and first learning rate.
        n_samples : int
            Samples of the block.
        """
        return core.StreamSchedule(
            max_iter=self.step + -(-n_samples // schedule.batch_size),
            batch_size=schedule.batch_size,
            learning_rate=schedule.learning_rate,
            warmup=schedule.warmup,
            solver=schedule.solver,
            first=self.step,
            horizon=self.horizon,
        )


def drift(newest: np.ndarray, earlier: np.ndarray) -> dict[str, float]:
    """Compare scores of the newest samples with those of earlier held-out ones.

    Parameters
    ----------
    newest, earlier : ndarray of shape (n,)
        Scores by a model that was trained on neither, nats.

    Returns
    -------
    dict of str to float
        ``score`` and ``earlier_score``, means; their ``difference``, and its
        ``standard_error``. Empty for fewer than two samples of either.
    """
    if min(len(newest), len(earlier)) < 2:
        return {}
    means = [float(scores.mean(dtype=np.float64)) for scores in (newest, earlier)]
    variance = sum(
        scores.var(ddof=1, dtype=np.float64) / len(scores)
        for scores in (newest, earlier)
    )
    return {
        "score": means[0],
        "earlier_score": means[1],
        "difference": means[0] - means[1],
        "standard_error": float(np.sqrt(variance)),
    }


def _only_labelled(labels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return a row of each attribute whose labelled rows are all chosen, (n,).

    Parameters
    ----------
    labels : ndarray of shape (n, m)
        NaN where unknown.
    chosen : ndarray of bool of shape (n,)
    """
    found = np.zeros(len(chosen), dtype=bool)
    for is_known in ~np.isnan(labels.T):
        if not (is_known & ~chosen).any():
            found[np.flatnonzero(is_known)[:1]] = True
    return found

"""Penalties of an objective on rows that are not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ._devices import process_settings, undisturbed
from ._job import Fit, Job
from ._schedule import Schedule
from ._training import _noise_std, _Stack

PENALTY_BATCHES = 32
"""Batches of held-out rows over which penalties are averaged."""


def held_out_penalties(
    jobs: Sequence[Job],
    fits: Sequence[Fit],
    schedule: Schedule,
    *,
    device: torch.device,
    n_threads: int | None = None,
) -> np.ndarray:
    """Return what each objective adds to the negative ELBO of held-out rows, (K,).

    These are the penalties of the objective, with their final weights, as the trained
    discriminators estimate them. The mean over batches of held-out rows is taken. Jobs
    of one seed get the same batches.

    Parameters
    ----------
    jobs : sequence of K Job
        With held-out rows.
    fits : sequence of K Fit
        Their results.
    schedule : Schedule
        Batch size.
    device : torch.device
    n_threads : int or None

    Returns
    -------
    ndarray of shape (K,)
        Nats per row.
    """
    held_out = [_on_held_out(job, fit) for job, fit in zip(jobs, fits, strict=True)]
    work = len(jobs) * schedule.batch_size * jobs[0].multiplications
    with undisturbed(), process_settings(n_threads, work, device):
        stack = _Stack(held_out, schedule, device)
        noise = [_noise_std(job.sample_size) for job in jobs]
        stack.instance_noise = stack.rows.new_tensor(noise)  # as in training
        batches = [stack.penalty() for _ in range(PENALTY_BATCHES)]
        return torch.stack(batches).mean(0).cpu().double().numpy()


def _on_held_out(job: Job, fit: Fit) -> Job:
    """Return a trained job with its held-out rows in place of the training rows."""
    held_out = job.held_out
    if held_out is None:
        raise ValueError("Penalties on held-out rows need jobs with held-out rows.")
    return replace(
        job,
        rows=held_out.rows,
        row_weights=held_out.row_weights,
        labels=held_out.labels,
        pairs=held_out.pairs,
        start=fit.weights,
        input_noise=0.0,
    )

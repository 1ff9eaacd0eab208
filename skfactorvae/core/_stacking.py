"""The number of models to train as one stack."""

from __future__ import annotations

import torch

from ._job import Job
from ._schedule import Schedule

MAX_WIDTH = {"cpu": 24}
"""Models above which a wider stack is no faster; 256 on other devices."""

LARGE_WORK = 500_000_000
"""Multiplications of a model's step above which stacking on a CPU saves no time.

A stack saves the overhead of calls, and time in small matrix products. Three layers of
1000 units, and convolutions, have little of either (``benchmarks/sweep_time.py``).
"""


def effort(job: Job, schedule: Schedule) -> int:
    """Return the multiplications of a whole fit, approximately."""
    return schedule.max_iter * schedule.batch_size * job.multiplications


def stack_width(job: Job, schedule: Schedule, device: torch.device) -> int:
    """Return the number of models like this one to train as one stack.

    Parameters
    ----------
    job : Job
        One of the jobs, which share a signature.
    schedule : Schedule
        The schedule that they share.
    device : torch.device
        Where they are trained.
    """
    if device.type == "cpu" and schedule.batch_size * job.multiplications > LARGE_WORK:
        return 1
    return MAX_WIDTH.get(device.type, 256)

"""How many models are trained best as one stack."""

from __future__ import annotations

import torch

from ._job import Job
from ._schedule import Schedule

WIDEST = {"cpu": 24}
"""Models above which a stack gains nothing more; 256 on other devices."""

LARGE = 500_000_000
"""Multiplications of a model's step above which a processor gains nothing by stacking.

What a stack saves is the time around the products, and small products' own; three
layers of 1000 and convolutions have little of either (``benchmarks/sweep_time.py``).
"""


def effort(job: Job, schedule: Schedule) -> int:
    """Return the multiplications of a whole fit, roughly."""
    return schedule.max_iter * schedule.batch_size * job.multiplications


def stack_width(job: Job, schedule: Schedule, device: torch.device) -> int:
    """Return how many models like this one are trained best as one stack.

    Parameters
    ----------
    job : Job
        One of the jobs, which share a signature.
    schedule : Schedule
        Their budget.
    device : torch.device
        Where they are to be trained.
    """
    if device.type == "cpu" and schedule.batch_size * job.multiplications > LARGE:
        return 1
    return WIDEST.get(device.type, 256)

"""How many models are trained best as one stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ._training import Job, Plan, work_of_a_row

WIDEST = {"cpu": 24}
"""Models of a stack above which a processor gains nothing more."""


def effort(job: Job, plan: Plan) -> int:
    """Return the multiplications of a whole fit, roughly."""
    return plan.max_iter * plan.batch_size * work_of_a_row(job)


def stack_width(jobs: Sequence[Job], plan: Plan, device: torch.device) -> int:
    """Return how many of these jobs are trained best as one stack.

    Parameters
    ----------
    jobs : sequence of Job
        Jobs of one signature.
    plan : Plan
        Their budget.
    device : torch.device
        Where they are to be trained.
    """
    return min(len(jobs), WIDEST.get(device.type, len(jobs)))

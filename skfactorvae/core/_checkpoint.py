"""What a fit returns of each model of a stack, while the stack is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .._moments import trimmed_mean
from ._inference import elbo
from ._job import Fit, Job, Status
from ._latents import Orientation, order_latents
from ._parameter_groups import ParameterGroup
from ._schedule import Schedule
from ._state import Restoring

LOSS = 0.02
"""Share of the largest value of a criterion that later weights may lack."""


class Stack(Protocol):
    """Models in training, as far as a checkpoint needs them."""

    @property
    def jobs(self) -> Sequence[Job]:
        """Jobs of the models."""

    @property
    def schedule(self) -> Schedule:
        """Schedule that they share."""

    @property
    def device(self) -> torch.device:
        """Where they are trained."""

    @property
    def parameter_groups(self) -> Mapping[str, ParameterGroup]:
        """Weights of all models, by the loss that they minimise."""

    def export(self, k: int) -> dict[str, np.ndarray]:
        """Copy the current weights of model k to arrays."""


class Checkpoint:
    """The weights to return for one model, its history, and how its training ended."""

    def __init__(self, stack: Stack, k: int):
        self.stack, self.k, self.job = stack, k, stack.jobs[k]
        self.kept = self._copy()
        self.weights: dict[str, np.ndarray] = {}
        self.history: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.best, self.kept_step = -math.inf, 0
        self.n_iter = 0
        self.diverged_at: int | None = None
        self.status: Status = "budget"
        self.is_done = False
        is_validated = self.job.held_out is not None
        self.has_criterion = self.job.criterion is not None and not is_validated
        if self.has_criterion:
            self.best = self._judge()

    def _copy(self) -> list[list[Tensor]]:
        return [p.copy(self.k) for p in self.stack.parameter_groups.values()]

    def end(self, status: Status) -> None:
        """End the training of the model, unless it has ended already."""
        if not self.is_done:
            self.status, self.is_done = status, True

    def update(self, step: int, record: dict[str, float], is_finite: bool) -> None:
        """Process a record, unless the training of the model has ended."""
        if self.is_done:
            return
        more = [] if self.job.held_out is None else ["validation_elbo"]
        names = ["step", *record, *more]
        if self.history and self.names != names:
            raise ValueError(
                f"The history that was restored has the terms {self.names}; expected "
                f"{names}."
            )
        self.n_iter, self.names = step, names
        if not is_finite:
            self.diverged_at = step
            self.end("diverged")
            return
        if self.has_criterion:
            self._compare(step)
        elif self.job.held_out is None:
            self.kept, self.kept_step = self._copy(), step
        else:
            record = {**record, "validation_elbo": self._validate(step)}
        self.history.append({"step": step, **record})

    def _judge(self) -> float:
        """Return the value of the job's criterion for the current weights."""
        assert self.job.criterion is not None
        return self.job.criterion(self.stack.export(self.k), self.stack.device)

    def _compare(self, step: int) -> None:
        """Keep the current weights unless earlier ones are better by the criterion.

        They are compared at the records whose number is a power of four, and after the
        last step.
        """
        number = math.ceil(step / self.stack.schedule.record_every)
        is_power = number.bit_count() == 1 and number.bit_length() % 2 == 1
        if not (is_power or step == self.stack.schedule.max_iter):
            return
        value = self._judge()
        self.best = max(self.best, value)
        if value >= self.best - LOSS * max(self.best, 0.0):
            self.kept, self.kept_step = self._copy(), step

    def _validate(self, step: int) -> float:
        schedule, stack = self.stack.schedule, self.stack
        weights = stack.export(self.k)
        held_out = self.job.held_out
        assert held_out is not None
        elbos = elbo(
            self.job.network,
            self.job.likelihood,
            weights,
            held_out.rows,
            n_directions=1,
            prior=self.job.objective.prior,
            device=stack.device,
        )
        score, _ = trimmed_mean(elbos.astype(np.float64), held_out.row_weights)
        is_warmed_up = self.job.is_warmed_up(schedule, step)
        is_chosen = schedule.patience is not None and is_warmed_up
        if not is_chosen or score > self.best:
            self.kept, self.kept_step = self._copy(), step
            self.best = score if is_chosen else -math.inf
        if step - self.kept_step >= (schedule.patience or math.inf):
            self.end("early_stopping")
        return score

    @property
    def numbers(self) -> list[float]:
        """What determines the weights to return, as numbers."""
        diverged_at = -1 if self.diverged_at is None else self.diverged_at
        return [self.best, self.kept_step, self.n_iter, diverged_at]

    @property
    def table(self) -> np.ndarray:
        """The history, (n_records, n_names)."""
        rows = [[record[name] for name in self.names] for record in self.history]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))

    @property
    def values(self) -> dict[str, Any]:
        """Names in the history, and how training ended."""
        return {"names": self.names, "status": self.status, "is_done": self.is_done}

    def resume(
        self, restoring: Restoring, numbers: np.ndarray, values: dict[str, Any]
    ) -> None:
        """Restore what is kept of the model from a state."""
        self.names, self.status = values["names"], values["status"]
        self.is_done = values["is_done"]
        self.best = float(numbers[0])
        self.kept_step, self.n_iter, diverged_at = map(int, numbers[1:])
        self.diverged_at = None if diverged_at < 0 else diverged_at
        self.history = restoring.history(f"history/{self.k}", self.names)
        self.kept = [
            [
                restoring.model(f"kept/{role}/{name}", self.k, like=leaf)
                for name, leaf in group.leaves.items()
            ]
            for role, group in self.stack.parameter_groups.items()
        ]

    def restore(self) -> None:
        """Put the kept weights back into the stack, and export them."""
        groups = self.stack.parameter_groups.values()
        for group, kept in zip(groups, self.kept, strict=True):
            group.restore(self.k, kept)
        self.weights = self.stack.export(self.k)

    def fit(self, device: torch.device, orientation: Orientation | None = None) -> Fit:
        """Return the result, with ordered latents."""
        weights, kl, variance = order_latents(
            self.job, self.weights, device, orientation
        )
        return Fit(
            weights=weights,
            kl=kl,
            variance=variance,
            history={n: np.array([r[n] for r in self.history]) for n in self.names},
            status=self.status,
            n_iter=self.n_iter,
            kept_step=self.kept_step,
            diverged_at=self.diverged_at,
        )

"""The training schedule: budget, learning rate, warm-up and annealing."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

MAX_RECORDS = 200
"""Entries of a history, at most, by default."""

DECAY_POWER = {"adam": 1.0, "soap": 1.5}
"""Power of the cosine, from 1 to 0.02, by which learning rates decay."""

ANNEALING_FRACTION = 0.8
"""Fraction of the steps after which a tempered likelihood has its full weight."""


@dataclass(frozen=True)
class Schedule:
    """Budget, batch size and learning rate of a fit; shared by a stack.

    Parameters
    ----------
    max_iter : int
        Gradient steps.
    batch_size : int
        Samples in a batch, B.
    learning_rate : float
        Initial learning rate of the model.
    warmup : float in [0, 1]
        Fraction of the steps over which the weights of the penalties rise linearly.
    patience : int or None
        Steps without a better held-out ELBO after which a model stops; the best weights
        are then returned. With None it is recorded only.
    max_records : int, default=200
        Entries of a history, at most.
    solver : {"adam", "soap"}, default="adam"
        Optimiser of the matrices of encoder and decoder; Adam updates all else.
    products : {"float32", "float64", "bfloat16"}, default="float32"
        Type in which a step multiplies large matrices: bfloat16, else their own.
    """

    max_iter: int
    batch_size: int
    learning_rate: float
    warmup: float
    patience: int | None = None
    max_records: int = MAX_RECORDS
    solver: str = "adam"
    products: str = "float32"

    @property
    def n_pass_steps(self) -> int:
        """Steps that pass over the rows once; zero where rows are drawn anew."""
        return 0

    @property
    def record_every(self) -> int:
        """Steps between two records."""
        return math.ceil(self.max_iter / self.max_records)

    def ramp(self, step: int) -> float:
        """Return the completed fraction of the warm-up, in [0, 1]."""
        return min(1.0, step / max(1.0, self.warmup * self.max_iter))

    def annealing(self, step: int) -> float:
        """Return the completed fraction of the likelihood annealing, in [0, 1]."""
        return min(1.0, step / max(1.0, ANNEALING_FRACTION * self.max_iter))

    def decay(self, step: int) -> float:
        """Return the decay of the learning rates, from 1: a power of a cosine."""
        cosine = 0.51 + 0.49 * math.cos(math.pi * step / self.max_iter)
        return cosine ** DECAY_POWER[self.solver]


@dataclass(frozen=True, kw_only=True)
class StreamSchedule(Schedule):
    """Schedule of one block of a stream, whose training goes on after ``max_iter``.

    Rows are drawn without replacement.

    Parameters
    ----------
    first : int
        Steps that were made before this block.
    horizon : int or None
        Steps over which learning rates decay, and warm-up and annealing take place.
        None has constant rates, and all weights at their final values.
    """

    first: int
    horizon: int | None

    @property
    def n_pass_steps(self) -> int:
        """Steps of this block."""
        return self.max_iter - self.first

    @property
    def record_every(self) -> int:
        """Steps between two records: one record a block."""
        return self.max_iter

    @property
    def _whole(self) -> Schedule | None:
        """The schedule over the whole stream; None without a horizon."""
        if self.horizon is None:
            return None
        own = {f.name: getattr(self, f.name) for f in fields(Schedule)}
        return Schedule(**{**own, "max_iter": self.horizon})

    def ramp(self, step: int) -> float:
        """Return the completed fraction of the warm-up, in [0, 1]."""
        whole = self._whole
        return 1.0 if whole is None else whole.ramp(step)

    def annealing(self, step: int) -> float:
        """Return the completed fraction of the likelihood annealing, in [0, 1]."""
        whole = self._whole
        return 1.0 if whole is None else whole.annealing(step)

    def decay(self, step: int) -> float:
        """Return the decay of the learning rates, constant after the horizon."""
        whole = self._whole
        return 1.0 if whole is None else whole.decay(min(step, whole.max_iter))

"""Number of steps of a fit without weight decay, chosen on held-out samples.

After few steps it is often unclear whether more of them would describe new samples
better, or memorise the training samples. Longer fits to the same share of the samples
then decide: each has three times the steps of the one before, until held-out samples no
longer gain or all steps are made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import core
from ._comparison import Comparison, Evaluation, Regularization, as_compared

LENGTHENING = 3
"""Steps of a fit as a multiple of those of the one before."""

CLEAR_GAIN = 0.2
"""Advantage over the fit before, nats per feature, from which on all steps are made
without a comparison of further fits."""

FIRST_STEPS = {"adam": 500, "soap": 200}
"""Steps that count as made before the first longer fit, by solver."""


@dataclass(frozen=True)
class LengthComparison(Comparison):
    """A longer fit without weight decay to shares of the samples.

    Attributes
    ----------
    best : Regularization
        That of the best fit so far.
    shorter : Evaluation
        Scores of the fit before this one.
    """

    purpose = "choosing the number of steps"

    best: Regularization
    shorter: Evaluation

    @property
    def decays(self) -> tuple[float, ...]:
        """Weight decay of the only candidate: none."""
        return (0.0,)

    def choose(self, fits: Sequence[core.Fit], device: Any) -> Regularization:
        """Return the best fit, or what has to be fitted next to find it."""
        (found,), (compared,) = self.evaluate(fits, device)
        is_best = self.is_better(compared, self.best.compared)
        best = self.result(0, found, compared, fits, device) if is_best else self.best
        gain, error = self.gain(compared, self.shorter)
        if self.schedule.max_iter >= self.free.max_iter or not gain > error:
            return best
        if is_best and gain > CLEAR_GAIN * self.jobs[0].network.n_features:
            return replace(best, schedule=self.free)
        return replace(self, best=best, shorter=compared).lengthened()

    def lengthened(self) -> Regularization:
        """Return the best fit so far, and the next longer one to be compared."""
        steps = next_length(self.schedule.max_iter, self.free.max_iter)
        longer = replace(self, schedule=as_compared(self.free, steps))
        return replace(self.best, further=longer)


def compare_lengths(
    comparison: Comparison, best: Regularization, shorter: Evaluation
) -> Regularization:
    """Return the best fit so far, and the first longer one to be compared.

    Parameters
    ----------
    comparison : Comparison
        Short fits; the first candidate of each split has no weight decay.
    best : Regularization
        That of the best of these fits.
    shorter : Evaluation
        Scores of the candidate without weight decay on the held-out samples.
    """
    free = comparison.free
    made = as_compared(free, FIRST_STEPS[free.solver])
    jobs = comparison.jobs[:: len(comparison.decays)]
    first = LengthComparison(jobs, made, free, comparison.with_decay, best, shorter)
    return first.lengthened()


def next_length(steps: int, most: int) -> int:
    """Return the number of steps of the next longer fit.

    It is ``most`` where these would be less than sqrt(3) times as many as three times
    the steps.
    """
    longer = LENGTHENING * steps
    return longer if longer * math.sqrt(LENGTHENING) <= most else most

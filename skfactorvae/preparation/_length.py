"""Number of steps of a fit without weight decay, chosen on held-out samples.

After few steps it is often unclear whether more of them would describe new samples
better, or memorise the training samples. Longer fits to the same share of the samples
then decide: each has three times the steps of the one before, until held-out samples no
longer gain or all steps are made. Among fits that are about equally good there, the
longer one is used, unless it memorised much: on noisy nonlinear mixtures and on images
it recovers the factors better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import core
from ._comparison import (
    Comparison,
    Evaluation,
    Regularization,
    as_compared,
    has_diverged,
    largest_loss,
)

LENGTHENING = 3
"""Steps of a fit as a multiple of those of the one before."""

CLEAR_GAIN = 0.2
"""Advantage over the fit before, nats per feature, above which all steps are made
without a comparison of further fits."""

CLEAR_LOSS = 1 / 20
"""Share of what was learned that is lost on held-out samples, below which a gain is
clear."""

TIE = 1 / 200
"""Difference of the objective on held-out samples, nats per feature, within which the
longer of two fits is preferred."""

TIE_LOSS = 1 / 8
"""Share of what a longer fit learned that is lost on held-out samples, above which it
has to be better than a shorter one."""

SOAP_STEPS = 200
"""Steps of SOAP that count as made after short fits with Adam."""


@dataclass(frozen=True)
class LengthComparison(Comparison):
    """A longer fit without weight decay to shares of the samples.

    Attributes
    ----------
    best : Regularization
        That of the best fit so far.
    highest : Evaluation
        Scores of the fit so far with the largest objective, from which the best one may
        differ by a tie.
    shorter : Evaluation
        Scores of the fit before this one.
    competes : bool
        Whether the best fit is compared with that from another start. All longer fits
        are then made, even after a clear gain.
    """

    purpose = "choosing the number of steps"

    best: Regularization
    highest: Evaluation
    shorter: Evaluation
    competes: bool = False

    @property
    def decays(self) -> tuple[float, ...]:
        """Weight decay of the only candidate: none."""
        return (0.0,)

    def choose(self, fits: Sequence[core.Fit], device: Any) -> Regularization:
        """Return the best fit, or what has to be fitted next to find it."""
        if has_diverged(fits):
            return self.best
        (found,), (compared,) = self.evaluate(fits, device)
        is_best = self._is_preferred(found, compared)
        best = self.result(0, found, compared, fits, device) if is_best else self.best
        gain, error = self.gain(compared, self.shorter)
        if self.schedule.max_iter >= self.free.max_iter or not gain > error:
            return best
        if is_best and not self.competes and self._is_clear(gain, compared):
            return replace(best, schedule=self.free)
        steps = next_length(self.schedule.max_iter, self.free.max_iter)
        longer = as_compared(self.free, steps)
        is_highest = self.gain(compared, self.highest)[0] > 0
        further = replace(
            self,
            schedule=longer,
            best=best,
            highest=compared if is_highest else self.highest,
            shorter=compared,
        )
        return replace(best, further=further)

    def _is_preferred(self, found: Evaluation, compared: Evaluation) -> bool:
        """Return whether a fit is better than all before, or as good and longer."""
        gain, error = self.gain(compared, self.highest)
        if gain > error:
            return True
        lost = max(largest_loss(*self.lost_share(e)) for e in (found, compared))
        return lost < TIE_LOSS and gain > -TIE * self.jobs[0].network.n_features

    def _is_clear(self, gain: float, compared: Evaluation) -> bool:
        """Return whether a gain is large, and little is lost on held-out samples."""
        is_large = gain > CLEAR_GAIN * self.jobs[0].network.n_features
        return is_large and largest_loss(*self.lost_share(compared)) < CLEAR_LOSS


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
    free, short = comparison.free, comparison.schedule
    made = short.max_iter if free.solver == short.solver else SOAP_STEPS
    longer = as_compared(free, next_length(made, free.max_iter))
    jobs = comparison.jobs[:: len(comparison.decays)]
    with_decay = comparison.with_decay
    further = LengthComparison(
        jobs, longer, free, with_decay, best, best.compared, shorter
    )
    return replace(best, further=further)


def next_length(steps: int, most: int) -> int:
    """Return the number of steps of the next longer fit.

    It is ``most`` where these would be less than sqrt(3) times as many as three times
    the steps.
    """
    longer = LENGTHENING * steps
    return longer if longer * math.sqrt(LENGTHENING) <= most else most

"""What surrounds a fit: its callbacks and printed lines, and the way back."""

from __future__ import annotations

import functools
import math

from ._compat import has_callbacks

LINES = 10
"""Lines that ``verbose=1`` prints, about; ``verbose=2`` prints every record."""


def all_or_nothing(fit):
    """Leave the estimator's attributes as they were if a fit fails.

    This comes around scikit-learn's own context, which needs the attributes of a
    failed fit to tear its callbacks down.
    """

    @functools.wraps(fit)
    def wrapped(estimator, *args, **kwargs):
        before = dict(estimator.__dict__)
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            estimator.__dict__.clear()
            estimator.__dict__.update(before)
            raise

    return wrapped


class Progress:
    """Reports one fit to its callbacks, and hears from them when to stop.

    Parameters
    ----------
    estimator : estimator
        With scikit-learn's callback support.
    X, y : array-like
        What ``fit`` was given.
    plan : Plan
        Budget of the fit.
    attributes : callable (weights) -> dict
        What a fitted estimator needs to be rebuilt from weights in mid-fit.
    """

    def __init__(self, estimator, X, y, plan, attributes):
        self.estimator, self.plan, self.attributes = estimator, plan, attributes
        self.data = {"X": X, "y": y}
        self.n_records = math.ceil(plan.max_iter / plan.record_every)
        self.context = estimator._init_callback_context(max_subtasks=self.n_records)
        self.context.call_on_fit_task_begin(estimator=estimator, **self.data)
        self.is_followed = bool(estimator.verbose) or has_callbacks(estimator)
        self.task = self._begin()

    def __call__(self, record):
        """See a record of a stack of one; return whether to stop it."""
        self._print(record)
        stop = self.task.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self.attributes(record.weights(0)),
        )
        if not stop and not record.is_last[0]:
            self.task = self._begin()
        return [bool(stop)]

    def end(self, weights):
        """Report that the fit is over."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self.attributes(weights),
        )

    def _begin(self):
        task = self.context.subcontext(task_name="steps")
        return task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def _print(self, record):
        verbose = int(self.estimator.verbose)
        if not verbose:
            return
        number = math.ceil(record.step / self.plan.record_every)
        every = 1 if verbose > 1 else math.ceil(self.n_records / LINES)
        if number % every and record.step < self.plan.max_iter:
            return
        terms = "  ".join(f"{k} {v:.4g}" for k, v in record.terms[0].items())
        name = type(self.estimator).__name__
        width = len(str(self.plan.max_iter))
        print(f"[{name}] step {record.step:{width}d}/{self.plan.max_iter}  {terms}")

"""Callbacks and printed progress of a fit, and recovery from a failed one."""

from __future__ import annotations

import functools
import math

from .. import core
from .._compat import has_callbacks

N_LINES = 10
"""Lines that ``verbose=1`` prints, approximately; ``verbose=2`` prints every record."""


def restore_on_error(fit):
    """Decorate ``fit`` so that it restores the estimator's attributes if it fails.

    This decorator comes outside scikit-learn's own fit context, which needs the
    attributes of a failed fit to end its callbacks.

    Parameters
    ----------
    fit : callable (estimator, ...) -> estimator
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


class FitCallbacks:
    """Report the progress of one fit to its callbacks, which can stop it.

    Parameters
    ----------
    estimator : estimator
        With scikit-learn's callback support.
    X, y : array-like
        Arguments of ``fit``.
    schedule : core.Schedule
        Budget of the fit.
    fitted : callable (weights) -> dict
        Returns the fitted attributes for weights in mid-training.
    """

    def __init__(self, estimator, X, y, schedule, fitted):
        self.estimator, self.schedule, self.fitted = estimator, schedule, fitted
        self.data = {"X": X, "y": y}
        self.n_records = math.ceil(schedule.max_iter / schedule.record_every)
        self.context = estimator._init_callback_context(max_subtasks=self.n_records)
        self.context.call_on_fit_task_begin(estimator=estimator, **self.data)
        verbose = estimator.verbose
        is_printing = verbose != "auto" and core.current_ranks().is_first
        self.verbosity = int(verbose) if is_printing else 0
        self.is_active = self.verbosity > 0 or has_callbacks(estimator)
        self.task = self._begin()

    def __call__(self, record):
        """Report a record of a stack of one model; return whether to stop it."""
        self._print(record)
        stop = self._end(lambda: self.fitted(record.weights(0)))
        if not stop and not record.is_last[0]:
            self.task = self._begin()
        return [bool(stop)]

    def end(self, attributes):
        """Report the end of the fit, with a function that returns what is fitted.

        A task has begun and not ended where training was finished before, and was read
        from a checkpoint.
        """
        if self.task is not None:
            self._end(attributes)
        self.context.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=attributes,
        )

    def _begin(self):
        task = self.context.subcontext(task_name="steps")
        return task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def _end(self, fitted):
        """Report the end of a task; return whether to stop the fit."""
        task, self.task = self.task, None
        return task.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes=fitted
        )

    def _print(self, record):
        """Print a line on a record, where ``verbose`` asks for it."""
        if not self.verbosity:
            return
        number = math.ceil(record.step / self.schedule.record_every)
        every = 1 if self.verbosity > 1 else math.ceil(self.n_records / N_LINES)
        if number % every and record.step < self.schedule.max_iter:
            return
        terms = "  ".join(f"{k} {v:.4g}" for k, v in record.terms[0].items())
        name = type(self.estimator).__name__
        width = len(str(self.schedule.max_iter))
        max_iter = self.schedule.max_iter
        print(f"[{name}] step {record.step:{width}d}/{max_iter}  {terms}")

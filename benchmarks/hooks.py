"""Access to what an estimator trains, for benchmarks.

``fit`` of an estimator makes one job and one schedule and trains them. A subclass of
:class:`Hooked` can change the job, the schedule, the training or the finished fit;
:func:`untrained` returns job and schedule without training.
"""

from __future__ import annotations

import threading

from skfactorvae import FactorVAETransformer
from skfactorvae.estimators import _base

_train = _base.train
_current = threading.local()


class Hooked(FactorVAETransformer):
    """FactorVAE whose subclasses can change its training."""

    def fit(self, X, y=None, sample_weight=None):
        """Fit as FactorVAE does, with the methods below around the training."""
        _current.estimator = self
        try:
            return super().fit(X, y, sample_weight)
        finally:
            del _current.estimator

    def change_job(self, job):
        """Return the job to be trained."""
        return job

    def change_schedule(self, schedule):
        """Return the schedule of the training."""
        return schedule

    def train(self, job, schedule, **options):
        """Return the finished fit of a job."""
        return _train(job, schedule, **options)

    def change_fit(self, fit):
        """Return the fit that the fitted attributes are made of."""
        return fit


def _train_hooked(job, schedule, **options):
    """Train one job, with the hooks of the estimator that is fitted in this thread."""
    estimator = getattr(_current, "estimator", None)
    if estimator is None:
        return _train(job, schedule, **options)
    job, schedule = estimator.change_job(job), estimator.change_schedule(schedule)
    return estimator.change_fit(estimator.train(job, schedule, **options))


_base.train = _train_hooked


class _UntrainedError(Exception):
    """Ends a fit before the training, with its job and schedule."""


class _Stopped(Hooked):
    def train(self, job, schedule, **options):
        raise _UntrainedError(job, schedule)


def untrained(X, **parameters):
    """Return the job and the schedule of a FactorVAE fit, without training."""
    try:
        _Stopped(**parameters).fit(X)
    except _UntrainedError as stopped:
        return stopped.args
    raise RuntimeError("A fit has ended without training.")

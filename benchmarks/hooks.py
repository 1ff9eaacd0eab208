"""Access to what an estimator trains, for benchmarks.

``fit`` of an estimator makes jobs and a schedule and trains them: those that compare
weight decays, and the final one. A subclass of :class:`Hooked` can change each job, the
schedule, the training or the finished fits; :func:`untrained` returns the final job and
its schedule without training.
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
        """Return a job to be trained."""
        return job

    def change_schedule(self, schedule):
        """Return the schedule of the training."""
        return schedule

    def train(self, jobs, schedule, **options):
        """Return the finished fits of jobs."""
        return _train(jobs, schedule, **options)

    def change_fit(self, fit):
        """Return a fit as the estimator uses it."""
        return fit


def _train_hooked(jobs, schedule, **options):
    """Train jobs, with the hooks of the estimator that is fitted in this thread."""
    estimator = getattr(_current, "estimator", None)
    if estimator is None:
        return _train(jobs, schedule, **options)
    jobs = [estimator.change_job(job) for job in jobs]
    fits = estimator.train(jobs, estimator.change_schedule(schedule), **options)
    return [estimator.change_fit(fit) for fit in fits]


_base.train = _train_hooked


class _UntrainedError(Exception):
    """Ends a fit before the training, with its job and schedule."""


class _Stopped(Hooked):
    def train(self, jobs, schedule, **options):
        (job,) = jobs
        raise _UntrainedError(job, schedule)


def untrained(X, **parameters):
    """Return the job and the schedule of a FactorVAE fit, without training."""
    try:
        _Stopped(**{"weight_decay": 0.0, "init": "pca"} | parameters).fit(X)
    except _UntrainedError as stopped:
        return stopped.args
    raise RuntimeError("A fit has ended without training.")

"""Private names of scikit-learn and joblib that this package uses, by version.

No other module imports a private name of these libraries.
"""

from __future__ import annotations

from joblib.parallel import (
    FallbackToBackend,
    LokyBackend,
    ParallelBackendBase,
    SequentialBackend,
    ThreadingBackend,
)
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class _SilentContext:
        """Context of a fit without callbacks: ignores all reports."""

        def subcontext(self, **_):
            return self

        def call_on_fit_task_begin(self, **_):
            return self

        def call_on_fit_task_end(self, **_):
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replacement of scikit-learn's mixin for versions without callbacks."""

        def set_callbacks(self, *callbacks):
            """Raise an error: callbacks need scikit-learn 1.9."""
            raise NotImplementedError(
                "Callbacks need scikit-learn >= 1.9. Upgrade scikit-learn, or use "
                "verbose=1 to see the progress of a fit."
            )

        def _init_callback_context(self, **_):
            return _SilentContext()


def has_callbacks(estimator):
    """Return whether an estimator has callbacks."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


def is_local(backend):
    """Return whether a backend of joblib's runs processes or threads of this machine.

    Parameters
    ----------
    backend : joblib backend
    """
    return type(backend) in (LokyBackend, SequentialBackend, ThreadingBackend)


def with_copies(backend, arrays):
    """Return a backend each of whose workers has a copy of arrays, as far as it can.

    joblib sends an array to one worker of a Dask cluster, from which others receive it.
    If that worker is killed before, its tasks cannot be run again.

    Parameters
    ----------
    backend : joblib backend
    arrays : list of ndarray
    """
    client = getattr(backend, "client", None)
    if client is None or not arrays:
        return backend
    return type(backend)(
        client=client,
        scatter=arrays,
        wait_for_workers_timeout=backend.wait_for_workers_timeout,
        **backend.submit_kwargs,
    )


__all__ = [
    "CallbackSupportMixin",
    "FallbackToBackend",
    "Interval",
    "ParallelBackendBase",
    "RealNotInt",
    "SequentialBackend",
    "StrOptions",
    "_fit_context",
    "has_callbacks",
    "is_local",
    "with_copies",
]

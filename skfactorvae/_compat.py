"""Private names of scikit-learn and joblib that this package uses, by version.

No other module imports a private name of these libraries.
"""

from __future__ import annotations

from joblib.parallel import FallbackToBackend, ParallelBackendBase, SequentialBackend
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
]

"""Every private scikit-learn name we touch, and the version gates.

Nothing else in the package imports a private name of another library.
"""

from __future__ import annotations

from joblib.parallel import FallbackToBackend, ParallelBackendBase, SequentialBackend
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class _SilentContext:
        """Takes every report of a fit and says nothing."""

        def subcontext(self, **_):
            return self

        def call_on_fit_task_begin(self, **_):
            return self

        def call_on_fit_task_end(self, **_):
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin where it has no callbacks yet."""

        def set_callbacks(self, *callbacks):
            """Refuse callbacks: they came with scikit-learn 1.9."""
            raise NotImplementedError(
                "Callbacks need scikit-learn >= 1.9. Upgrade scikit-learn, or use "
                "verbose=1 to see the progress of a fit."
            )

        def _init_callback_context(self, **_):
            return _SilentContext()


def has_callbacks(estimator):
    """Tell whether anybody listens to an estimator's fits."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


__all__ = [
    "CallbackSupportMixin",
    "FallbackToBackend",
    "Interval",
    "ParallelBackendBase",
    "SequentialBackend",
    "StrOptions",
    "_fit_context",
    "has_callbacks",
]

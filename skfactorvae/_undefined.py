"""Warnings of scores that are undefined on given data, and their collection."""

import warnings
from contextlib import contextmanager
from contextvars import ContextVar

from sklearn.exceptions import UndefinedMetricWarning

_collected: ContextVar[list[str] | None] = ContextVar(
    "skfactorvae_undefined", default=None
)


def warn_undefined(message):
    """Warn that a score, or a part of it, is undefined on these data."""
    messages = _collected.get()
    if messages is None:
        warnings.warn(message, UndefinedMetricWarning, stacklevel=3)
    else:
        messages.append(message)


@contextmanager
def collected_undefined():
    """Collect the messages of :func:`warn_undefined` in a list, without warnings.

    The filters of warnings belong to the whole process, and other threads may change
    them at the same time; the list belongs to this thread.
    """
    messages: list[str] = []
    token = _collected.set(messages)
    try:
        yield messages
    finally:
        _collected.reset(token)

"""Locks between the threads of a process."""

from __future__ import annotations

import os
import threading


class ProcessLock:
    """Lock between threads that is free in a forked process.

    A fork copies the calling thread alone: a lock that another thread holds at that
    moment would never be released in the copy.
    """

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        if self._lock.locked():  # not if this thread was copied while it held the lock
            self._lock.release()

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


class FolderLock:
    """Lock between processes that is free once its holder has ended, or was killed.

    It is a lock on a file. Where the system or the file system has none, it is free.

    Parameters
    ----------
    path : path-like
        The file, which is created.

    Raises
    ------
    OSError
        If the file cannot be created.
    """

    def __init__(self, path: str | os.PathLike):
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)

    def __enter__(self) -> bool:
        """Return whether the lock was free."""
        try:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            return False
        except (ImportError, OSError):
            self._close()  # an open file cannot be removed everywhere
        return True

    def __exit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

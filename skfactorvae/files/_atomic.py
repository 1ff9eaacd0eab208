"""Writing of files that are either complete or absent."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

Bytes = bytes | bytearray | memoryview


def write_atomically(path: str | os.PathLike, parts: Iterable[Bytes]) -> None:
    """Write a file as a whole: after an error or a crash, the old file is still there.

    The parts are written to a new file in the same folder, which is synchronised with
    the disk and then renamed. The permissions of a file that is replaced are kept.

    Parameters
    ----------
    path : str or path-like
        Where to write; a symbolic link is followed.
    parts : iterable of bytes-like
        Content, in order.

    Raises
    ------
    OSError
        If the folder cannot be written to, or the disk is full.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    mode = _mode_of(target)
    # Not of the target's name, which may be as long as a name can be.
    temporary = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _synchronise(folder)


def _mode_of(path: str) -> int | None:
    """Return the permissions of a file; None if there is none."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None


def _synchronise(folder: str) -> None:
    """Write a folder's entries to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Download of files that are complete and correct, or absent.

A file is received under the name ``<name>.part``, compared with its checksum and then
renamed. An interrupted download continues where it stopped.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ._sources import Source

logger = logging.getLogger(__name__)

BLOCK = 1 << 20  # bytes that are read at once
TIMEOUT = 60.0  # seconds without a byte
GONE = {401, 403, 404, 410, 451}  # answers that a further attempt does not change
PARTIAL, RANGE_INVALID = 206, 416


def obtain(
    sources: Sequence[Source],
    folder: Path,
    *,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
    homepage: str,
) -> list[Path]:
    """Return the paths of files in a folder, after downloading those that are missing.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded, or is not to be.
    """
    missing = [s for s in sources if not (folder / s.name).exists()]
    if missing and not download_if_missing:
        names = ", ".join(s.name for s in missing)
        raise OSError(
            f"{names} not found in {folder}, and download_if_missing=False. Pass "
            "download_if_missing=True, or path= with a local copy."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for source in missing:
        _download(source, folder, n_retries, delay, homepage)
    return [folder / s.name for s in sources]


def _download(
    source: Source, folder: Path, n_retries: int, delay: float, homepage: str
) -> None:
    """Download one file from the first of its addresses that serves it."""
    part, problems = folder / f"{source.name}.part", []
    with _exclusive(folder / f"{source.name}.lock"):
        for url in source.urls:
            for attempt in range(n_retries + 1):
                if attempt:
                    time.sleep(delay)
                try:
                    _receive(url, part)
                    _verify(part, source)
                    os.replace(part, folder / source.name)
                    return
                except (OSError, HTTPException) as error:
                    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                        raise
                    problems.append(f"{url}: {error or type(error).__name__}")
                    if isinstance(error, HTTPError) and error.code in GONE:
                        break
    raise OSError(
        f"{source.name} could not be downloaded:\n  "
        + "\n  ".join(problems)
        + f"\nIf the file was moved, {homepage} may name its new address. Pass path= "
        "with a local copy; what was received so far is kept and continued by the "
        "next call."
    )


def _receive(url: str, part: Path) -> None:
    """Receive a file, or what is missing of it."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    logger.info("Downloading %s from byte %d", url, have)
    try:
        answer = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == RANGE_INVALID and have:
            _check_complete(part, have, error.headers.get("Content-Range", ""))
            return
        raise
    with answer:
        length = int(answer.headers.get("Content-Length") or 0)
        check_space(part.parent, length, f"the download of {url}")
        continues = have and answer.status == PARTIAL
        with open(part, "ab" if continues else "wb") as file:
            shutil.copyfileobj(answer, file, BLOCK)
            received = file.tell() - (have if continues else 0)
    if received < length:
        raise OSError(f"the connection ended after {received} of {length} bytes.")


def _check_complete(part: Path, have: int, content_range: str) -> None:
    """Remove a partial file that is longer than the file that is served."""
    if content_range.rpartition("/")[2] != str(have):
        part.unlink()
        raise OSError(
            f"the partial file of {have} bytes does not belong to the file that is "
            f"served ({content_range or 'of unknown length'}); it was removed."
        )


def _verify(part: Path, source: Source) -> None:
    """Remove a file whose checksum is wrong, and raise OSError."""
    algorithm, expected = source.checksum.split(":")
    found = digest(part, algorithm)
    if found != expected:
        part.unlink()
        raise OSError(
            f"the {algorithm} checksum is {found}; expected {expected}. The file was "
            "removed."
        )


def digest(path: Path, algorithm: str) -> str:
    """Return the hexadecimal checksum of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def check_space(folder: Path, n_bytes: int, what: str) -> None:
    """Raise OSError if a disk has less space than `n_bytes`."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise OSError(
            errno.ENOSPC,
            f"{what} needs {n_bytes / 1e9:.2f} GB; {folder} has {free / 1e9:.2f} GB "
            "left. Make room, or pass data_home= a folder on another disk",
        )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a lock, so that two processes do not write one partial file.

    On systems without ``fcntl`` there is no lock.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(
                f"Another process is downloading {path.stem}; wait until it has ended, "
                "and call again."
            ) from error
        yield

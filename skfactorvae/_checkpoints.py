"""Checkpoints of fits: a folder from which interrupted training goes on.

Training is a function of jobs and a schedule, and preparation one of the data and the
parameters. A checkpoint therefore holds training alone: a file for each stack, with its
state between two steps, or with its result. The same program, run again, trains the
same stacks, which go on from their files. This is the same for a fit, an ensemble and a
search, and for a fit that trains several times, as to choose a weight decay.

A stack's file is named by a digest of what determines its training. In a program that
is run again, the first stack without a file comes after all those with one; if it does
not, the files are those of other data or parameters.
"""

from __future__ import annotations

import contextvars
import dataclasses
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import core
from ._locks import FolderLock
from ._version import __version__
from .files import (
    ModelFileError,
    check_seal,
    parse_json,
    read_container,
    write_sealed,
)

FORMAT, FORMAT_VERSION = "skfactorvae checkpoint", "1"

OWN_FILE = re.compile(r"[0-9a-f]{32}\.safetensors|\.[0-9a-f]{16}\.tmp|\.lock")
"""Names of the files in a folder of checkpoints; those with a point are temporary."""

SUFFIX, LOCK = ".safetensors", ".lock"

AGAIN = (
    "To continue it, give the same data, parameters and random_state. To begin anew, "
    "delete the folder or give another one."
)

clock = time.monotonic

_current: contextvars.ContextVar[Folder | None] = contextvars.ContextVar(
    "skfactorvae_checkpoints", default=None
)

Stack = tuple[Sequence[core.Job], core.Schedule]
"""Jobs that are trained together, and their schedule."""


class CheckpointError(ValueError):
    """Error about checkpoints that cannot be written, read, or continued.

    Parameters
    ----------
    message : str
        Names the folder or the file, what was found, and what to do.

    References
    ----------
    .. [1] The safetensors format. https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import skfactorvae
    >>> try:
    ...     with skfactorvae.checkpoints(skfactorvae.__file__):
    ...         pass
    ... except skfactorvae.CheckpointError:
    ...     print("not a folder")
    not a folder
    """

    def __init__(self, message: str):
        super().__init__(message)


@contextmanager
def checkpoints(path, *, every=60.0):
    """Write checkpoints of all fits in the block, and continue interrupted ones.

    If the process is killed, or a fit in the block fails, run the same program again:
    what was trained is not trained again, and what was being trained goes on from the
    last checkpoint. The result equals that of the uninterrupted program bit for bit, on
    the same machine with the same number of threads. It works for every fit of this
    package: alone, in a pipeline, of an ensemble, in batched searches and in
    ``select_gamma``.

    The folder is removed at the end of the block, if no error ended it. Save what was
    fitted inside the block.

    Parameters
    ----------
    path : str or path-like
        Folder of the checkpoints, for this block alone; it is created if missing.
    every : float, default=60.0
        Seconds between two checkpoints of a stack of models, >= 0. They are written
        between chunks of 32 steps.

    Returns
    -------
    block : context manager
        Its value is not used.

    Raises
    ------
    CheckpointError
        At the beginning of the block, if the folder cannot be used: it holds other
        files, is read-only, or another process uses it. In a fit, if the checkpoints in
        it are those of other data, parameters or seeds, or of another version of this
        package, are damaged, or cannot be written, as on a full disk; or if
        ``random_state`` is None. A file that was written before is kept. At the end of
        the block, if it was caught in between. A subclass of ValueError.

    See Also
    --------
    skfactorvae.model_selection.batched_fits : Train the fits of a search together.

    Notes
    -----
    The files contain no code, and none of the samples: weights, the state of the
    optimiser, and states of random generators, in the safetensors format. Data are
    recognised by digests.

    Preparation, such as the initialisation and scores of a search, is computed again,
    and callbacks get the records of the steps that are made now. Fits in other
    processes, as by ``GridSearchCV(n_jobs=2)``, have no checkpoints, other than those
    by ``BatchedGridSearchCV`` and in blocks of ``batched_fits``, whose ``n_jobs`` must
    then be the same.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skfactorvae
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = skfactorvae.FactorVAETransformer(3, max_iter=50, random_state=0)
    >>> folder = Path(tempfile.mkdtemp())
    >>> with skfactorvae.checkpoints(folder / "peaks.checkpoints"):
    ...     _ = vae.fit(X).save(folder / "peaks.safetensors")
    >>> [path.name for path in folder.iterdir()]
    ['peaks.safetensors']
    """
    if not isinstance(every, int | float | np.number) or not every >= 0:
        raise ValueError(
            f"every must be a number of seconds of at least 0; got {every!r}."
        )
    folder = Folder(Path(path).absolute(), float(every))
    with folder.locked():
        token = _current.set(folder)
        try:
            yield
        finally:
            _current.reset(token)
        folder.finish()


# ------------------------------------------------------------------ for fits
def fail(message: str, cause: Exception | None = None) -> NoReturn:
    """Raise an error, and again at the end of the block, if a search catches it.

    Parameters
    ----------
    message : str
    cause : Exception or None
    """
    error, folder = CheckpointError(message), _current.get()
    if folder is not None and folder.failure is None:
        folder.failure = error
    raise error from cause


def is_resumable() -> bool:
    """Return whether this code runs in a block of :func:`checkpoints`."""
    return _current.get() is not None


def check_seed(random_state: Any) -> None:
    """Raise if the fit is in a block of checkpoints, and has no seed to repeat it.

    Parameters
    ----------
    random_state : int, RandomState instance or None

    Raises
    ------
    CheckpointError
        If ``random_state`` is None.
    """
    if _current.get() is not None and random_state is None:
        fail(
            "A fit with random_state=None cannot be continued, since its seed differs "
            "each time. Set random_state to an integer."
        )


def stored(
    stacks: Sequence[Stack], *, is_part: bool = False
) -> list[StackFile] | list[None]:
    """Return where the states of stacks are kept; None for each outside of a block.

    Parameters
    ----------
    stacks : sequence of (jobs, schedule)
        All that are trained next, in any order.
    is_part : bool, default=False
        Whether they are parts of a stack that failed as a whole.

    Raises
    ------
    CheckpointError
        If the folder holds states of others.
    """
    folder = _current.get()
    return [None] * len(stacks) if folder is None else folder.open(stacks, is_part)


# ------------------------------------------------------------------- a stack
@dataclass
class StackFile:
    """The file of one stack, as :class:`core.Storage`.

    Attributes
    ----------
    path : Path
    identity : dict
        What determines the training of the stack, by digests.
    every : float
        Seconds between two states.
    is_part : bool
        Whether it is a part of a stack that failed as a whole.
    """

    path: Path
    identity: dict[str, Any]
    every: float
    is_part: bool = False
    written: float = field(default_factory=clock)

    def read(self) -> core.State | None:
        """Return the state that was written last; None if there is none."""
        self.written = clock()
        if not self.path.parent.is_dir():
            fail(
                f"The folder {str(self.path.parent)!r} of checkpoints does not exist "
                "where a stack is trained. Give a folder on a file system that is "
                "shared by all workers, or train without checkpoints."
            )
        if not self.path.exists():
            return None
        arrays, metadata = _read(self.path)
        if _parsed(self.path, metadata, "identity") != self.identity:
            self.refuse("it is the checkpoint of another stack.")
        values = _parsed(self.path, metadata, "values")
        if not isinstance(values, dict):
            self.refuse("its values are not named.")
        return core.State(arrays, values)

    def is_due(self) -> bool:
        """Return whether the last state was written long enough ago."""
        return clock() - self.written >= self.every

    def write(self, state: core.State) -> None:
        """Write a state, in place of the one before."""
        metadata = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": __version__,
            "identity": json.dumps(self.identity),
            "is_part": json.dumps(self.is_part),
            "values": json.dumps(state.values),
        }
        try:
            write_sealed(self.path, state.arrays, metadata)
        except OSError as error:
            fail(
                f"The checkpoint {str(self.path)!r} cannot be written after step "
                f"{state.values['step']} ({error}). What was written before is kept. "
                "Make room, or make the folder writable, and run the program again: it "
                "goes on from there.",
                error,
            )
        self.written = clock()

    def refuse(self, what: str) -> NoReturn:
        """Raise an error about the file."""
        _refuse(self.path, what)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return arrays and metadata of a checkpoint, checked."""
    try:
        container = read_container(path)
        metadata = container.metadata
        if metadata.get("format") != FORMAT:
            _refuse(path, "it is a file of another kind.")
        found = metadata.get("format_version"), metadata.get("version")
        if found != (FORMAT_VERSION, __version__):
            fail(
                f"The checkpoint {str(path)!r} was written by version "
                f"{str(found[1])[:20]!r} of skfactorvae, and this is version "
                f"{__version__!r}, which may train in another way. Continue with that "
                "version, or delete the folder to begin anew."
            )
        check_seal(path, container)
    except ModelFileError as error:
        _refuse(path, error.reason)
    except OSError as error:
        fail(f"The checkpoint {str(path)!r} cannot be read ({error}).", error)
    if missing := {"identity", "is_part", "values"} - metadata.keys():
        _refuse(path, f"it lacks {', '.join(sorted(missing))}.")
    return container.arrays, metadata


def _parsed(path: Path, metadata: dict[str, str], name: str) -> Any:
    """Return a part of the metadata, which is JSON."""
    try:
        return parse_json(path, metadata[name], f"its {name}")
    except ModelFileError as error:
        _refuse(path, error.reason)


def _differences(path: Path, metadata: dict[str, str], expected: dict) -> list[str]:
    try:
        return differing(_parsed(path, metadata, "identity"), expected)
    except (LookupError, TypeError, AttributeError):
        _refuse(path, "what it says of its stack is not complete.")


def _refuse(path: Path, what: str) -> NoReturn:
    fail(
        f"The checkpoint {str(path)!r} cannot be continued: {what} Delete this file "
        "and run the program again: the training that it holds begins anew, and others "
        "are kept."
    )


# ------------------------------------------------------------------- a folder
class Folder:
    """Files of the stacks that are trained in one block.

    Parameters
    ----------
    path : Path
    every : float
        Seconds between two states of a stack.
    """

    def __init__(self, path: Path, every: float):
        self.path, self.every = path, every
        self.requested: dict[str, None] = {}
        self.failure: CheckpointError | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder, and use it in this process alone."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._check_names()
            lock = FolderLock(self.path / LOCK)
        except OSError as error:
            raise CheckpointError(
                f"{str(self.path)!r} cannot be used as a folder of checkpoints "
                f"({error}). Give a folder that can be written to."
            ) from error
        with lock as is_free:
            if not is_free:
                raise CheckpointError(
                    f"The checkpoints in {str(self.path)!r} are used by another "
                    "process or block. Wait for its end, or give another folder."
                )
            self._remove(is_temporary)
            try:
                yield
            finally:
                with suppress(OSError):
                    self._remove_if_empty()

    def _check_names(self) -> None:
        """Raise if the folder holds anything else than checkpoints."""
        others = [n for n in os.listdir(self.path) if not OWN_FILE.fullmatch(n)]
        if others:
            raise CheckpointError(
                f"The folder {str(self.path)!r} holds {min(others)!r}, which is no "
                "checkpoint. Give a new folder, or the one of an interrupted program."
            )

    def open(self, stacks: Sequence[Stack], is_part: bool) -> list[StackFile]:
        """Return the files of stacks, which may exist already."""
        if self.failure is not None:
            raise self.failure
        files = [self._file(*stack, is_part) for stack in stacks]
        self.requested |= dict.fromkeys(file.path.name for file in files)
        new = [file for file in files if not file.path.exists()]
        if new and not is_part:
            self._check_rest(new)
        return files

    def _file(self, jobs, schedule, is_part: bool) -> StackFile:
        identity = identity_of(jobs, schedule)
        name = f"{_digest(json.dumps(identity).encode())}{SUFFIX}"
        return StackFile(self.path / name, identity, self.every, is_part)

    def _check_rest(self, new: Sequence[StackFile]) -> None:
        """Raise if there are files of stacks that were not requested so far."""
        names = (n for n in os.listdir(self.path) if n.endswith(SUFFIX))
        rest = [self.path / name for name in sorted(set(names) - self.requested.keys())]
        differences: list[list[str]] = [
            _differences(path, metadata, file.identity)
            for path, (_, metadata) in zip(rest, map(_read, rest), strict=True)
            if not _parsed(path, metadata, "is_part")
            for file in new
        ]
        if differences:
            fewest = min(differences, key=len) or ["the name of its file"]
            fail(
                f"The checkpoints in {str(self.path)!r} are of another fit, which "
                f"differs in {', '.join(fewest)}. {AGAIN}"
            )

    def finish(self) -> None:
        """Remove the files: all that was trained in the block was used."""
        if self.failure is not None:
            raise self.failure
        with suppress(OSError):
            self._remove(lambda name: name not in self.requested)
            # The last first: what is left by a killed process has no gap.
            for name in reversed(self.requested):
                (self.path / name).unlink(missing_ok=True)

    def _remove(self, is_removed: Callable[[str], bool]) -> None:
        for name in os.listdir(self.path):
            if name != LOCK and OWN_FILE.fullmatch(name) and is_removed(name):
                os.unlink(self.path / name)

    def _remove_if_empty(self) -> None:
        """Remove the folder, if it holds no checkpoint."""
        if os.listdir(self.path) == [LOCK]:
            os.unlink(self.path / LOCK)
            self.path.rmdir()


def is_temporary(name: str) -> bool:
    """Return whether a file is what a killed process had not written to its end."""
    return name.endswith(".tmp")


# -------------------------------------------------------- what determines training
def identity_of(jobs: Sequence[core.Job], schedule: core.Schedule) -> dict[str, Any]:
    """Return digests of all that determines the training of a stack.

    Parameters
    ----------
    jobs : sequence of core.Job
    schedule : core.Schedule
    """
    known: dict[int, str] = {}
    return {
        "schedule": _described(schedule, known),
        "jobs": [
            {name: _described(part, known) for name, part in _parts(job).items()}
            for job in jobs
        ],
    }


def _parts(job: core.Job) -> dict[str, Any]:
    """Return what determines the training of a job, by names for messages."""
    held_out = job.held_out
    rows, weights, labels, pairs = (
        [getattr(part, name) for part in (job, held_out) if part is not None]
        for name in ("rows", "row_weights", "labels", "pairs")
    )
    return {
        "X": rows,
        "sample_weight": weights,
        "y": labels,
        "pairs": pairs,
        "the network": [job.network, job.network.shapes],
        "the likelihood": job.likelihood,
        "the objective": job.objective,
        "random_state": job.seed,
        "the initialisation": [dict(job.start), job.temperature],
        "noise levels": [
            job.input_noise,
            job.conditional_noise_std,
            job.hidden_fraction,
        ],
        "weight_decay": job.weight_decay,
    }


def differing(found: Any, expected: dict[str, Any]) -> list[str]:
    """Return the names of the parts in which two identities differ.

    Parameters
    ----------
    found, expected : dict
        As :func:`identity_of` returns them.
    """
    names = ["the schedule"] if found["schedule"] != expected["schedule"] else []
    pairs = found["jobs"], expected["jobs"]
    if len(pairs[0]) != len(pairs[1]):
        numbers = f"({len(pairs[0])}, not {len(pairs[1])}; n_jobs, max_models)"
        return [*names, f"the number of models trained together {numbers}"]
    return names + [
        name
        for name in expected["jobs"][0]
        if any(a.get(name) != b[name] for a, b in zip(*pairs, strict=True))
    ]


def _described(value: Any, known: dict[int, str]) -> Any:
    """Return a value in JSON: arrays as digests, objects by their fields.

    Digests of arrays are kept in ``known``, since the jobs of a stack share arrays.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, np.ndarray | core.RowTable):
        if id(value) not in known:
            known[id(value)] = array_digest(value)
        return known[id(value)]
    if dataclasses.is_dataclass(value):
        own = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return [type(value).__qualname__, _described(own, known)]
    if isinstance(value, dict):
        return {str(k): _described(v, known) for k, v in sorted(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value) if isinstance(value, set | frozenset) else value
        return [_described(part, known) for part in ordered]
    owner = value if hasattr(value, "__qualname__") else type(value)
    return f"{owner.__module__}.{owner.__qualname__}"


def array_digest(array: np.ndarray | core.RowTable) -> str:
    """Return a text that arrays share if they are equal in shape, type and content.

    Parameters
    ----------
    array : ndarray or core.RowTable
        Of a table that is not in memory, no row is read.
    """
    if not isinstance(array, np.ndarray):
        own = "; ".join(map(array_digest, array.parts))
        return f"{array.shape} {array.dtype.str} read in parts {_digest(own.encode())}"
    content = _digest(np.ascontiguousarray(array).data)
    return f"{array.shape} {array.dtype.str} {content}"


def _digest(content: Any) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()

"""Workers of joblib's active backend: processes and threads, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from joblib.parallel import get_active_backend

from . import core
from ._compat import is_local, with_copies

TABLES = "rows", "row_weights", "labels"
"""Fields of a job, and of its held-out samples, that jobs of a search share."""

Call = tuple[tuple[Any, ...], Sequence[np.ndarray]]
"""Arguments of one call, and the arrays that follow them, which calls can share."""


def count_cores(n_jobs: int | None) -> int:
    """Return the number that scikit-learn's ``n_jobs`` stands for; one for None.

    It is at most the number of CPU cores: more processes or threads are slower.
    """
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning; use None, 1, 2, ..., or -1.")
    if n_jobs is None:
        return 1
    n_cores = cpu_count()
    return min(int(n_jobs), n_cores) if n_jobs > 0 else max(n_cores + 1 + n_jobs, 1)


@dataclass(frozen=True)
class Workers:
    """What trains stacks side by side.

    Attributes
    ----------
    backend : joblib backend
        Processes of this machine by default; else what ``joblib.parallel_config`` was
        given, such as threads, or the workers of a Dask or Ray cluster.
    n_jobs : int or None
        Number of stacks that are trained at the same time, unless a call of joblib's
        has a number of its own.
    """

    backend: Any
    n_jobs: int | None

    @classmethod
    def active(cls, n_jobs: int | None) -> Workers:
        """Return the workers of the active backend.

        Parameters
        ----------
        n_jobs : int or None
            None takes the number that the backend was activated with.
        """
        backend, configured = get_active_backend()
        own = configured if n_jobs is None else n_jobs
        return cls(backend, backend.default_n_jobs if own is None else own)

    def count(self, n_jobs: int | None) -> int:
        """Return the number of workers that ``n_jobs`` stands for."""
        if is_local(self.backend):
            return count_cores(n_jobs)
        n_workers = max(1, self.backend.effective_n_jobs(n_jobs))
        is_number = n_jobs is not None and n_jobs > 0
        return min(n_jobs, n_workers) if is_number else n_workers

    def map(
        self, function: Callable, calls: Sequence[Call], n_workers: int
    ) -> Iterator[tuple[int, Any]]:
        """Yield number and result of each call, in the order in which they end.

        Each array is sent to a worker once, however many calls share it.

        Parameters
        ----------
        function : callable
            Can be imported by the workers.
        calls : sequence of (arguments, arrays)
        n_workers : int
        """
        arrays = {id(array): array for _, own in calls for array in own}
        backend = with_copies(self.backend, list(arrays.values()))
        is_stream = backend.supports_return_generator
        parallel = Parallel(
            n_jobs=n_workers,
            backend=backend,
            mmap_mode="c",
            return_as="generator_unordered" if is_stream else "list",
        )
        yield from parallel(
            delayed(_numbered)(number, function, arguments, *own)
            for number, (arguments, own) in enumerate(calls)
        )


def _numbered(number, function, arguments, *arrays):
    """Call a function in a worker; return the number of the call with the result."""
    return number, function(*arguments, *map(_writeable, arrays))


def _writeable(array: Any) -> Any:
    """Return an array that torch takes without a warning; it is not written to.

    A table that is read in parts is returned as it is.
    """
    is_array = isinstance(array, np.ndarray)
    return np.require(array, requirements="W") if is_array else array


# --------------------------------------------------------------------- what is sent
def without_tables(
    jobs: Sequence[core.Job],
) -> tuple[list[core.Job], list[np.ndarray]]:
    """Return jobs with numbers in place of their tables, and the distinct tables.

    Parameters
    ----------
    jobs : sequence of core.Job
    """
    tables: dict[int, np.ndarray] = {}

    def number(array: np.ndarray) -> int:
        tables.setdefault(id(array), array)
        return list(tables).index(id(array))

    return [_exchanged(job, number) for job in jobs], list(tables.values())


def with_tables(
    jobs: Sequence[core.Job], tables: Sequence[np.ndarray]
) -> list[core.Job]:
    """Return the jobs that :func:`without_tables` was given.

    Parameters
    ----------
    jobs : sequence of core.Job
    tables : sequence of ndarray
    """
    return [_exchanged(job, tables.__getitem__) for job in jobs]


def _exchanged(owner: Any, exchange: Callable[[Any], Any]) -> Any:
    """Return a job, or held-out samples, with other values in place of its tables."""
    found = {name: getattr(owner, name) for name in TABLES}
    changes = {k: exchange(v) for k, v in found.items() if v is not None}
    if getattr(owner, "held_out", None) is not None:
        changes["held_out"] = _exchanged(owner.held_out, exchange)
    return replace(owner, **changes)

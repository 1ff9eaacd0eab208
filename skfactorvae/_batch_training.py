"""Training of requested fits as stacks: here, or by other processes and machines."""

from __future__ import annotations

import contextvars
import itertools
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import core
from ._batch_progress import BatchProgress, StackProgress
from ._checkpoints import CheckpointError, fail, stored
from ._compat import is_local
from ._workers import Workers, with_tables, without_tables

PROCESS_EFFORT = 1e11
"""Multiplications below which starting other processes takes longer than it saves."""

MAX_ATTEMPTS = 3
"""How often stacks are sent to a cluster that does not return them."""

LOST = (
    "{n_lost} of {n} stacks of models were not trained by the workers of {backend}, "
    "and are trained in this process ({error}). Check that each worker can import "
    "skfactorvae and what the estimators use, and has enough memory."
)
"""Warning about workers of a cluster that fail."""


@dataclass(eq=False)
class FitRequest:
    """A requested fit and its result."""

    job: core.Job
    schedule: core.Schedule
    devices: tuple[Any, ...]
    n_threads: int | None
    watch: core.Watch | None
    progress: BatchProgress | None = None
    result: core.Fit | BaseException | None = None
    seen: int = 0  # step of the last record that was reported
    is_over: bool = False  # whether that record was the last one

    def can_join(self, other: FitRequest) -> bool:
        """Return whether two jobs can be trained as one stack."""
        return (self.schedule, self.devices, self.job.signature) == (
            other.schedule,
            other.devices,
            other.job.signature,
        )


def train_together(
    requests: Sequence[FitRequest], workers: Workers, n_workers: int
) -> None:
    """Train all requests, in few stacks.

    Parameters
    ----------
    requests : sequence of FitRequest
        They receive their results.
    workers : Workers
        Other processes or machines.
    n_workers : int
        How many of them; with one, all is trained in this process.
    """
    here: list[list[FitRequest]] = []
    elsewhere: list[list[FitRequest]] = []
    for group in _groups(requests):
        is_sent = n_workers > 1 and _suits_workers(group)
        n_shares = n_workers if is_sent else len(_devices_of(group))
        (elsewhere if is_sent else here).extend(_cut(group, n_shares))
    storages = _storages([*here, *elsewhere])
    with _progress_of([*here, *elsewhere]) as shown:
        if here:
            _train_on_devices(here, storages[: len(here)], shown)
        if elsewhere:
            sent = elsewhere, storages[len(here) :]
            _train_elsewhere(*sent, workers, n_workers, shown)


def _storages(stacks: list[list[FitRequest]], *, is_part: bool = False) -> list[Any]:
    """Return where the states of stacks are kept, if anywhere."""
    parts = [([r.job for r in stack], stack[0].schedule) for stack in stacks]
    return list(stored(parts, is_part=is_part))


def _progress_of(stacks: list[list[FitRequest]]) -> StackProgress:
    """Return the progress of stacks, by the display of the first that has one."""
    requests = [request for stack in stacks for request in stack]
    display = next((r.progress for r in requests if r.progress is not None), None)
    return StackProgress(display, len(requests), sum(map(_n_steps, stacks)))


def _n_steps(stack: list[FitRequest]) -> int:
    return stack[0].schedule.max_iter


def _train_one_by_one(
    stacks: list[list[FitRequest]], storages: Sequence[Any], shown: StackProgress
) -> None:
    """Train stacks in this process, with the progress of all."""
    show = None if shown.progress is None else shown.advance
    for stack, storage in zip(stacks, storages, strict=True):
        _train_here(stack, storage, show)
        shown.finish(_n_steps(stack), is_shown=True)


class _Stopped(BaseException):
    """Ends the training of a stack, in the thread of its device."""


def _train_on_devices(
    stacks: list[list[FitRequest]], storages: Sequence[Any], shown: StackProgress
) -> None:
    """Train stacks in this process; those of several devices, by a thread for each."""
    pairs = list(zip(stacks, storages, strict=True))
    divided = [pair for pair in pairs if len(_devices_of(pair[0])) > 1]
    others = [pair for pair in pairs if len(_devices_of(pair[0])) == 1]
    if others:
        _train_one_by_one([s for s, _ in others], [f for _, f in others], shown)
    if divided:
        _train_by_threads(divided, shown)


def _train_by_threads(
    pairs: Sequence[tuple[list[FitRequest], Any]], shown: StackProgress
) -> None:
    """Train stacks by one thread for each of their devices, in turn."""
    is_over = threading.Event()

    def check(record: core.Record) -> None:
        if is_over.is_set():
            raise _Stopped

    with ExitStack() as threads:
        pools: dict[int, ThreadPoolExecutor] = {}
        waiting = {}
        for number, (stack, storage) in enumerate(pairs):
            devices = _devices_of(stack)
            place = number % len(devices)
            if place not in pools:
                pools[place] = threads.enter_context(ThreadPoolExecutor(1))
            own = contextvars.copy_context().run
            train = partial(_train_here, stack, storage, check, devices[place])
            waiting[pools[place].submit(own, train)] = stack
        try:
            for done in as_completed(waiting):
                done.result()
                shown.finish(_n_steps(waiting[done]), is_shown=False)
        except BaseException:
            is_over.set()
            for future in waiting:
                future.cancel()
            raise


def _groups(requests: Sequence[FitRequest]) -> list[list[FitRequest]]:
    groups: list[list[FitRequest]] = []
    for request in requests:
        group = next((g for g in groups if g[0].can_join(request)), None)
        if group is None:
            groups.append([request])
        else:
            group.append(request)
    return groups


def _cut(group: list[FitRequest], n_shares: int) -> list[list[FitRequest]]:
    """Cut a group into stacks of nearly equal size, some for each worker or device."""
    first = group[0]
    width = core.stack_width(first.job, first.schedule, first.devices[0])
    n_stacks = -(-len(group) // width)
    n_stacks = min(len(group), -(-n_stacks // n_shares) * n_shares)
    edges = [len(group) * i // n_stacks for i in range(n_stacks + 1)]
    return [group[a:b] for a, b in itertools.pairwise(edges)]


def _suits_workers(group: list[FitRequest]) -> bool:
    """Return whether other workers can train a group, and faster."""
    effort = sum(core.effort(request.job, request.schedule) for request in group)
    is_on_cpu = group[0].devices[0].type == "cpu"
    return _is_unwatched(group) and is_on_cpu and effort >= PROCESS_EFFORT


def _is_unwatched(group: list[FitRequest]) -> bool:
    return all(request.watch is None for request in group)


def _devices_of(group: list[FitRequest]) -> tuple[Any, ...]:
    """Return where a group is trained; fits that are watched, on one device."""
    devices = group[0].devices
    return devices if _is_unwatched(group) else devices[:1]


def _train_here(
    stack: list[FitRequest],
    storage: core.Storage | None = None,
    show: Callable[[core.Record], None] | None = None,
    device: Any = None,
) -> None:
    """Train a stack in this process; in halves, if it fails as a whole.

    It is trained on the first of its devices, unless another one is given.
    """
    device = stack[0].devices[0] if device is None else device

    def watch(record: core.Record) -> list[bool]:
        if show is not None:
            show(record)
        return [_report(request, record, k) for k, request in enumerate(stack)]

    is_watched = show is not None or any(r.watch is not None for r in stack)
    threads = [request.n_threads for request in stack if request.n_threads is not None]
    try:
        fits = core.fit_stack(
            [request.job for request in stack],
            stack[0].schedule,
            device=device,
            n_threads=max(threads, default=None),
            watch=watch if is_watched else None,
            storage=storage,
        )
    except CheckpointError:  # which ends the search, not a candidate
        raise
    except Exception as error:
        fits = []
        if len(stack) == 1:
            stack[0].result = stack[0].result or error
            return
    # Outside the handler, where the error no longer refers to the stack's memory.
    if not fits:
        halves = [stack[: len(stack) // 2], stack[len(stack) // 2 :]]
        for half, own in zip(halves, _storages(halves, is_part=True), strict=True):
            _train_here(half, own, show, device)
    for request, fit in zip(stack, fits, strict=False):
        request.result = request.result or fit


def _report(request: FitRequest, record: core.Record, k: int) -> bool:
    """Report model k's part of a record to its watch; return whether to stop it."""
    if request.watch is None or request.is_over or record.step <= request.seen:
        return request.is_over and record.step >= request.seen
    terms, is_last = [record.terms[k]], [record.is_last[k]]
    alone = core.Record(record.step, terms, lambda _: record.weights(k), is_last)
    try:
        (stop,) = request.watch(alone)
    except Exception as error:  # of this model alone
        request.result, stop = error, True
    request.seen, request.is_over = record.step, stop or record.is_last[k]
    return stop


def _train_elsewhere(
    stacks: list[list[FitRequest]],
    storages: Sequence[Any],
    workers: Workers,
    n_workers: int,
    shown: StackProgress,
) -> None:
    """Train stacks by other workers; in this process, what they fail to return."""
    calls = []
    for stack, storage in zip(stacks, storages, strict=True):
        jobs, tables = without_tables([request.job for request in stack])
        threads = [request.n_threads or 1 for request in stack]
        calls.append(((jobs, threads, stack[0].schedule, storage), tables))
    error = None
    for _ in range(1 if is_local(workers.backend) else MAX_ATTEMPTS):
        rest = [i for i, stack in enumerate(stacks) if stack[0].result is None]
        error = _try_elsewhere(stacks, calls, rest, workers, n_workers, shown)
        if error is None:
            return
    rest = [i for i, stack in enumerate(stacks) if stack[0].result is None]
    if not is_local(workers.backend):
        warnings.warn(
            LOST.format(
                n_lost=len(rest),
                n=len(stacks),
                backend=type(workers.backend).__name__,
                error=f"{type(error).__name__}: {error}",
            ),
            UserWarning,
            stacklevel=2,
        )
    own = [stacks[i] for i in rest], [storages[i] for i in rest]
    _train_one_by_one(*own, shown)


def _try_elsewhere(
    stacks: list[list[FitRequest]],
    calls: Sequence[Any],
    rest: Sequence[int],
    workers: Workers,
    n_workers: int,
    shown: StackProgress,
) -> Exception | None:
    """Train some of the stacks by other workers; return what went wrong, if anything.

    A worker died, with data that only it had, or something cannot be sent to it.
    """
    try:
        sent = [calls[i] for i in rest]
        for number, results in workers.map(_train_stack, sent, n_workers):
            stack = stacks[rest[number]]
            for request, result in zip(stack, results, strict=True):
                request.result = result
            shown.finish(_n_steps(stack), is_shown=False)
    except CheckpointError as error:
        fail(str(error), error)
    except Exception as error:
        return error
    return None


def _train_stack(jobs, threads, schedule, storage, *tables):
    """Train jobs in a worker; return a fit or an error for each."""
    devices = core.resolve_devices("cpu")
    requests = [
        FitRequest(job, schedule, devices, n_threads, None)
        for job, n_threads in zip(with_tables(jobs, tables), threads, strict=True)
    ]
    _train_here(requests, storage)
    return [request.result for request in requests]

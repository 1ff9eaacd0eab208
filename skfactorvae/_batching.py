"""Fits that are requested together, and trained together as stacks.

A meta-estimator hands its tasks to joblib; the backend of this module hands them to a
:class:`Scheduler`. Each task has a thread of its own, but only one thread runs at a
time: a task runs until it requests a fit, submits tasks of its own, or ends. When no
task can run, all fits that can be requested have been: they are trained, and the tasks
continue.

There is no deadlock: a task that has not ended is new, ready to continue, waiting for a
fit, or waiting for tasks of its own. Tasks form a finite tree, so that below each
waiting task there is one that does not wait for tasks; the scheduler runs what is new
or ready, and trains what is requested. The exception is a task that holds a lock of its
own while it requests a fit, if another task needs that lock.

Since one thread runs at a time, in the order of submission, the global state of Python,
such as warning filters or random states, changes as if tasks ran one after another.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import os
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend

from . import core
from ._batch_progress import BatchProgress
from ._batch_training import FitRequest, train_together
from ._checkpoints import (
    array_digest,
    differing,
    identity_of,
    is_resumable,
    stored,
)
from ._compat import FallbackToBackend, ParallelBackendBase, SequentialBackend
from ._workers import Workers, count_cores

MEMORY_SHARE = 0.25
"""Share of the free memory that the tables of waiting fits can occupy."""

UNKNOWN_MEMORY = 4 * 2**30
"""Free memory, bytes, assumed where the system does not report it."""

_current: contextvars.ContextVar[Task | None] = contextvars.ContextVar(
    "skfactorvae_task", default=None
)


# ------------------------------------------------------ functions for estimators
def train(
    jobs: Sequence[core.Job],
    schedule: core.Schedule,
    *,
    devices: Sequence[Any],
    n_jobs: int | None,
    watch: core.Watch | None = None,
) -> list[core.Fit]:
    """Train jobs as a stack: at once, or together with the requests of other tasks.

    Parameters
    ----------
    jobs, schedule, watch
        As :func:`core.fit_stack` takes them. In a task, ``watch`` is for a single job,
        or a :class:`BatchProgress`; else it gets the records of one stack after
        another.
    devices : sequence of torch.device
        Where to train. The stacks of a task are divided between them; else the first
        is taken.
    n_jobs : int or None
        CPU threads, as the parameter of an estimator; None chooses.
    """
    task = _task_of_this_thread()
    if task is not None:
        n_threads = None if n_jobs is None else count_cores(n_jobs)
        progress = watch if isinstance(watch, BatchProgress) else None
        own = None if progress is not None else watch
        return task.request(
            [
                FitRequest(job, schedule, tuple(devices), n_threads, own, progress)
                for job in jobs
            ]
        )
    _check_ranks_are_equal(jobs, schedule)
    n_threads = None if n_jobs is None else _n_threads(n_jobs)
    width = core.stack_width(jobs[0], schedule, devices[0])
    stacks = [jobs[i : i + width] for i in range(0, len(jobs), width)]
    storages = stored([(stack, schedule) for stack in stacks])
    return [
        fit
        for stack, storage in zip(stacks, storages, strict=True)
        for fit in core.fit_stack(
            stack,
            schedule,
            device=devices[0],
            n_threads=n_threads,
            watch=watch,
            storage=storage,
        )
    ]


def check_ranks_can_join(device: Any) -> None:
    """Raise if a fit is one of several at once, which no other process would join.

    Parameters
    ----------
    device : object
        Parameter of an estimator.

    Raises
    ------
    ValueError
        If it names ``torchrun``, and a scheduler or a worker of joblib runs the fit.
    """
    is_one_of_several = is_in_task() or get_active_backend()[0].nesting_level
    if core.is_torchrun(device) and is_one_of_several:
        raise ValueError(
            f"device={device!r} divides the batches of one fit between processes, and "
            "this fit is one of several that are trained at once. Set another device "
            "for searches, ensembles and select_gamma, and divide their fits by n_jobs "
            "or by a list of devices."
        )


def _check_ranks_are_equal(jobs: Sequence[core.Job], schedule: core.Schedule) -> None:
    """Raise if the processes that train together differ in what they train."""
    ranks = core.current_ranks()
    if ranks.size == 1:
        return
    if schedule.batch_size < ranks.size:
        raise ValueError(
            f"batch_size={schedule.batch_size} is less than the number of processes, "
            f"{ranks.size}. Each needs a sample: raise batch_size, or start fewer."
        )
    first, *others = ranks.all(identity_of(jobs, schedule))
    for rank, own in enumerate(others, start=1):
        if names := differing(own, first):
            raise ValueError(
                f"Ranks 0 and {rank} differ in {', '.join(names)}. Every process must "
                "fit the same samples with the same parameters, random_state an "
                "integer, on processors of one kind."
            )


def _n_threads(n_jobs: int) -> int:
    """Return the number of threads of a fit, given the parameter ``n_jobs``.

    In a process that joblib started beside others, it is at most the process's share of
    the cores, to which joblib limits torch.
    """
    n_threads = effective_n_jobs(count_cores(n_jobs))
    backend, _ = get_active_backend()
    return min(n_threads, core.torch_threads()) if backend.nesting_level else n_threads


def shared_array(array: Any) -> Any:
    """Return an equal array that a task of this scheduler uses already, or this one."""
    task = _task_of_this_thread()
    return array if task is None else task.scheduler.arrays.find(array)


def memoized(function: Callable, *args: Any) -> Any:
    """Call a function of arrays and plain values; in a task, once for equal ones."""
    task = _task_of_this_thread()
    if task is None:
        return function(*args)
    key = function, *(array_digest(a) if _is_table(a) else a for a in args)
    known = task.scheduler.results
    if key not in known:
        known[key] = function(*args)
    return known[key]


def _is_table(value: Any) -> bool:
    return isinstance(value, np.ndarray | core.RowTable)


def is_in_task() -> bool:
    """Return whether a scheduler runs this code, as one of its tasks."""
    return _task_of_this_thread() is not None


def _task_of_this_thread() -> Task | None:
    """Return the task that runs in this thread; None in threads started by a task."""
    task = _current.get()
    return task if task and task.thread is threading.current_thread() else None


class SharedArrays:
    """Find equal arrays in use, so that each is in memory once."""

    def __init__(self) -> None:
        self.arrays: weakref.WeakValueDictionary = weakref.WeakValueDictionary()

    def find(self, array: Any) -> Any:
        """Return the first array seen that is equal to this one and still in use."""
        return self.arrays.setdefault(array_digest(array), array)


# ----------------------------------------------------------------------- the tasks
class TaskCancelled(BaseException):
    """Raised in a task whose result is no longer needed."""


class Task:
    """One of joblib's tasks, in a thread that the scheduler resumes."""

    def __init__(self, function, callback, scheduler, parent, level, number):
        self.function, self.callback = function, callback
        self.scheduler, self.parent = scheduler, parent
        self.rank = (-level, number)
        self.children: set[Task] = set()
        self.has_failed_child = self.is_cancelled = False
        self.state = "new"  # and then running, paused, running, ..., ended
        self.changed = threading.Condition()
        self.context = contextvars.copy_context()
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.outcome: Any = None

    def __lt__(self, other):
        return self.rank < other.rank

    # --------------------------------------------- called by the running thread
    def resume(self) -> None:
        """Run the task until it pauses or ends."""
        with _own_warnings():
            is_new = self.state == "new"
            self._set("running")
            if is_new:
                self.thread.start()
            self._wait_while("running")

    def cancel(self) -> None:
        """End the task at its current request."""
        self.is_cancelled = True
        self._wait_while("running")  # where its scheduler was interrupted
        while self.state == "paused":
            self.resume()
        self.state = "ended"

    # --------------------------------------------------------- called by the task
    def request(self, requests: Sequence[FitRequest]) -> list[core.Fit]:
        """Pause until the requested fits are trained, and return them."""
        self.scheduler.requests += [(self, request) for request in requests]
        while any(request.result is None for request in requests):
            self._pause()
        fits = []
        for request in requests:
            if isinstance(request.result, BaseException):
                raise request.result
            assert request.result is not None
            fits.append(request.result)
        return fits

    def wait_for_children(self) -> None:
        """Pause until all submitted tasks have ended, or one has failed."""
        while self.children and not self.has_failed_child:
            self._pause()

    def _pause(self) -> None:
        if not self.is_cancelled:
            with _own_warnings():
                self._set("paused")
                self._wait_while("paused")
        if self.is_cancelled:
            raise TaskCancelled

    def _live(self) -> None:
        """Run the function and keep its outcome: the body of the thread."""
        try:
            self.outcome = self.context.run(self._call), None
        except BaseException as error:
            self.outcome = None, error
        self._set("ended")

    def _call(self):
        _current.set(self)
        return self.function()

    def _set(self, state: str) -> None:
        with self.changed:
            self.state = state
            self.changed.notify_all()

    def _wait_while(self, state: str) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.state != state)


class _NeverWarned(Warning):
    """Category of a filter that has no effect."""


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Restore the warning filters at the end of the block.

    They are global, and the blocks in which tasks change them overlap.
    """
    names = "filters", "showwarning", "_showwarnmsg_impl"
    kept = {name: getattr(warnings, name) for name in names}
    try:
        yield
    finally:
        # A change of the filters invalidates the record of warnings that were shown.
        warnings.filters = list(kept["filters"])
        warnings.simplefilter("ignore", _NeverWarned, append=True)
        for name, value in kept.items():
            setattr(warnings, name, value)


# ------------------------------------------------------------------- the scheduler
class Scheduler:
    """Run tasks one at a time, and train the fits that they request.

    Parameters
    ----------
    max_models : int
        Number of fits that can wait at once.
    workers : Workers
        Other processes or machines that can train stacks.
    """

    def __init__(self, max_models: int, workers: Workers):
        self.max_models, self.workers = max_models, workers
        self.n_workers = 1
        self.numbers = itertools.count()
        self.new: list[Task] = []  # a heap: the deepest first, then in order
        self.ready: deque[Task] = deque()
        self.requests: list[tuple[Task, FitRequest]] = []
        self.children: set[Task] = set()
        self.has_failed_child = False
        self.arrays = SharedArrays()
        self.results: dict[tuple, Any] = {}
        # Stacks that can be continued are cut in the same way each time.
        memory = _total_memory() if is_resumable() else _free_memory()
        self.budget = MEMORY_SHARE * memory

    def submit(self, function, callback, parent: Task | None, level: int) -> Task:
        """Queue a task."""
        task = Task(function, callback, self, parent, level, next(self.numbers))
        (parent or self).children.add(task)
        heapq.heappush(self.new, task)
        return task

    def run(self) -> None:
        """Run until all tasks have ended, or one of the outermost has failed."""
        while self.children and not self.has_failed_child:
            if self.ready:
                self._run(self.ready.popleft())
            elif self.new and not self._is_full():
                self._run(heapq.heappop(self.new))
            else:
                self._train_requested()

    def _run(self, task: Task) -> None:
        if task.state == "ended":  # cancelled in the meantime
            return
        task.resume()
        if task.state == "ended":
            self._end(task)

    def _end(self, task: Task) -> None:
        owner = task.parent or self
        owner.children.discard(task)
        owner.has_failed_child |= task.outcome[1] is not None
        task.callback(task)
        parent = task.parent
        is_awaited = parent and (parent.has_failed_child or not parent.children)
        if is_awaited and parent not in self.ready:
            self.ready.append(parent)

    def _is_full(self) -> bool:
        tables = {id(r.job.rows): r.job.rows.nbytes for _, r in self.requests}
        return (
            len(self.requests) >= self.max_models or sum(tables.values()) > self.budget
        )

    def _train_requested(self) -> None:
        requests, self.requests = self.requests, []
        self.results.clear()  # memoized for the preparation of these fits
        asked = [request for _, request in requests]
        train_together(asked, self.workers, self.n_workers)
        self.ready.extend(dict.fromkeys(task for task, _ in requests))

    def cancel(self, owner: Scheduler | Task) -> None:
        """End all tasks of an owner, and theirs, without a result."""
        for task in list(owner.children):
            self.cancel(task)
            task.cancel()
        gone, owner.children, owner.has_failed_child = owner.children, set(), False
        self.new = [task for task in self.new if task not in gone]
        heapq.heapify(self.new)
        self.ready = deque(task for task in self.ready if task not in gone)
        self.requests = [pair for pair in self.requests if pair[0] not in gone]


def _free_memory() -> int:
    return _memory("SC_AVPHYS_PAGES")


def _total_memory() -> int:
    return _memory("SC_PHYS_PAGES")


def _memory(pages: str) -> int:
    try:
        return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_MEMORY


class BatchedBackend(ParallelBackendBase):
    """Joblib backend that hands tasks to a scheduler.

    All tasks of a call are submitted before the first one runs. The scheduler limits
    the number of waiting fits and their memory.
    """

    supports_retrieve_callback = True
    supports_timeout = False  # joblib then warns that a timeout is not used
    supports_sharedmem = True
    uses_threads = True

    def __init__(self, scheduler: Scheduler, nesting_level: int = 0):
        super().__init__(nesting_level=nesting_level)
        self.scheduler = scheduler

    def effective_n_jobs(self, n_jobs):
        """Return at least two: with one, joblib would run the tasks itself."""
        return max(2, count_cores(n_jobs))

    def configure(self, n_jobs=1, parallel=None, **_):
        """Prepare for the calls of one ``Parallel``."""
        if parallel.return_generator:  # results are needed before all are there
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if _task_of_this_thread() is None:
            self.scheduler.n_workers = self.scheduler.workers.count(n_jobs)
        parallel.pre_dispatch = "all"
        return self.effective_n_jobs(n_jobs)

    def submit(self, func, callback=None):
        """Submit a task."""
        task = _task_of_this_thread()
        return self.scheduler.submit(func, callback, task, self.nesting_level)

    @contextmanager
    def retrieval_context(self):
        """Run all tasks; joblib enters this context once it has submitted them."""
        task = _task_of_this_thread()
        if task is None:
            self.scheduler.run()
        else:
            task.wait_for_children()
        yield

    def retrieve_result_callback(self, out):
        """Return a task's result, or raise its error."""
        result, error = out.outcome
        if error is not None:
            raise error
        return result

    def abort_everything(self, ensure_ready=True):
        """Cancel the remaining tasks after one has failed."""
        self.scheduler.cancel(_task_of_this_thread() or self.scheduler)

    def get_nested_backend(self):
        """Return a backend that submits the tasks' own tasks to the same scheduler."""
        return BatchedBackend(self.scheduler, self.nesting_level + 1), None


@contextmanager
def batched_fits(*, n_jobs=None, max_models=512):
    """Train all fits of a scikit-learn meta-estimator together, as stacks.

    Inside the block, ``GridSearchCV``, ``cross_validate``, ``HalvingGridSearchCV`` and
    all others that make their fits through joblib work as usual, with one difference:
    each fit of one of this package's transformers, alone or in a pipeline, waits until
    all fits that can be requested have been, and these are then trained together. Each
    result is that of a separate fit, to rounding.

    Fits of equal networks, budgets and precision share a stack; they can differ in
    data, seed, ``n_components`` and the weights of their objective's terms.

    Parameters
    ----------
    n_jobs : int, default=None
        Workers that train stacks on the CPU, with one thread each; -1 uses all. They
        are processes, or what ``joblib.parallel_config`` around the block has
        activated: threads, or the workers of a Dask or Ray cluster. None takes one
        process, or what the backend was activated with: of a Dask cluster, all. An
        ``n_jobs`` of the meta-estimator takes precedence. It has no effect on a GPU,
        nor on fits that print or have callbacks, nor where the stacks are so small that
        sending them takes longer; these are trained in this process.
    max_models : int, default=512
        Number of fits that can wait at once. Fewer are trained together where memory is
        short.

    Returns
    -------
    block : context manager
        Its value is not used.

    Warns
    -----
    UserWarning
        If workers of a cluster did not return stacks, which this process then trains.

    See Also
    --------
    BatchedGridSearchCV : A search with this behaviour.

    Notes
    -----
    A fit's time, as in ``cv_results_``, includes the waiting time. Tasks run one after
    another, except for training; estimators of other packages take as long as with
    ``n_jobs=1``. ``pre_dispatch`` has no effect, nor has ``timeout``, of which joblib
    warns: all tasks wait for the training of all fits.

    A function of your own must not hold a lock while it calls ``fit``: the fit waits
    for the other tasks, and a task that needs the lock would wait for it without end.
    Release the lock before ``fit``, or train such fits outside of the block.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.model_selection import batched_fits
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(n_components=5, max_iter=50, random_state=0)
    >>> with batched_fits():
    ...     scores = cross_validate(vae, X, cv=4)
    >>> scores["test_score"].shape
    (4,)
    """
    task = _task_of_this_thread()
    level = 0 if task is None else 1 - task.rank[0]
    if task is None:
        workers = _workers(n_jobs)
        scheduler, n_jobs = Scheduler(max_models, workers), workers.n_jobs
    else:
        scheduler = task.scheduler
    with parallel_config(backend=BatchedBackend(scheduler, level), n_jobs=n_jobs):
        yield


def _workers(n_jobs: int | None) -> Workers:
    """Return the workers of the active backend; of a block, those around it."""
    workers = Workers.active(n_jobs)
    if not isinstance(workers.backend, BatchedBackend):
        return workers
    around = workers.backend.scheduler.workers
    return Workers(around.backend, workers.n_jobs)

"""Fits that are asked for together, and trained together as stacks.

A meta-estimator hands its tasks to joblib; here, joblib hands them to a
:class:`Meeting`. Each task has a thread of its own, but only one thread runs at a time:
a task runs until it asks for a fit, or for tasks of its own, or ends. When no task can
run, every fit that can be asked for has been: all of them are trained, and the tasks
go on.

Why nothing waits forever: a task that has not ended is new, ready to go on, asks for a
fit, or waits for tasks of its own. Tasks are a finite tree, so that below each task
that waits there is one that does not; and the meeting runs what is new or ready, and
trains what is asked for. Only a task that keeps a lock of its own while it asks for a
fit, and which another task needs, can stop it.

As one thread runs at a time, and in the order of submission, the global state of
Python, such as a random state or warning filters, changes as if tasks ran one after
another.
"""

from __future__ import annotations

import contextvars
import hashlib
import heapq
import itertools
import os
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_config

from . import core
from ._compat import FallbackToBackend, ParallelBackendBase, SequentialBackend

MEMORY_SHARE = 0.25
"""Share of the free memory that the tables of waiting fits may take."""

UNKNOWN_MEMORY = 4 * 2**30
"""Bytes taken for free where the system does not tell."""

PROCESS_EFFORT = 1e11
"""Multiplications below which other processes take longer to start than they save."""

_current: contextvars.ContextVar[Task | None] = contextvars.ContextVar(
    "skfactorvae_task", default=None
)


# ------------------------------------------------------------- what an estimator asks
def train(
    job: core.Job,
    plan: core.Schedule,
    *,
    device: Any,
    n_jobs: int | None,
    watch: core.Watch | None,
) -> core.Fit:
    """Train one job: at once, or together with all that other tasks ask for.

    Parameters
    ----------
    job, plan, device, watch
        As :func:`core.fit_stack` takes them.
    n_jobs : int or None
        CPU threads as the user said it; None chooses.
    """
    task = _task_of_this_thread()
    if task is not None:
        n_threads = None if n_jobs is None else count_cores(n_jobs)
        return task.ask(Ask(job, plan, device, n_threads, watch))
    n_threads = None if n_jobs is None else effective_n_jobs(n_jobs)
    (fit,) = core.fit_stack(
        [job], plan, device=device, n_threads=n_threads, watch=watch
    )
    return fit


def held_once(array: np.ndarray) -> np.ndarray:
    """Return an equal array that a task of this meeting holds already, or this one."""
    task = _task_of_this_thread()
    return array if task is None else task.meeting.tables.find(array)


def computed_once(function: Callable, *args: Any) -> Any:
    """Call a function of arrays and plain values; in a meeting, once for equal ones."""
    task = _task_of_this_thread()
    if task is None:
        return function(*args)
    key = (function, *(_digest(a) if isinstance(a, np.ndarray) else a for a in args))
    known = task.meeting.computed
    if key not in known:
        known[key] = function(*args)
    return known[key]


def count_cores(n_jobs: int | None) -> int:
    """Return the number that scikit-learn's ``n_jobs`` stands for; one for None."""
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning; use None, 1, 2, ..., or -1.")
    if n_jobs is None:
        return 1
    return n_jobs if n_jobs > 0 else max(cpu_count() + 1 + n_jobs, 1)


def _task_of_this_thread() -> Task | None:
    """Return the task that this thread runs; threads of its own are not the task."""
    task = _current.get()
    return task if task and task.thread is threading.current_thread() else None


def _digest(array: np.ndarray) -> tuple[object, ...]:
    content = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16)
    return array.shape, array.dtype.str, content.digest()


class Tables:
    """Finds the arrays in use that are equal, so that each is held once."""

    def __init__(self) -> None:
        self.arrays: weakref.WeakValueDictionary = weakref.WeakValueDictionary()

    def find(self, array: np.ndarray) -> np.ndarray:
        """Return the first array seen that is equal to this one and still in use."""
        return self.arrays.setdefault(_digest(array), array)


@dataclass(eq=False)
class Ask:
    """A fit that is asked for, and what became of it."""

    job: core.Job
    plan: core.Schedule
    device: Any
    n_threads: int | None
    watch: core.Watch | None
    answer: core.Fit | BaseException | None = None
    seen: int = 0  # step of the last record that was shown
    is_over: bool = False  # whether that record was the last one

    def can_join(self, other: Ask) -> bool:
        """Tell whether two jobs can be trained as one stack."""
        return (self.plan, self.device, self.job.signature) == (
            other.plan,
            other.device,
            other.job.signature,
        )


# ----------------------------------------------------------------------- the tasks
class Withdrawn(BaseException):
    """Ends a task whose result nobody waits for any more."""


class Task:
    """A task of joblib's, in a thread that runs only when it is told to."""

    def __init__(self, function, callback, meeting, parent, level, number):
        self.function, self.callback = function, callback
        self.meeting, self.parent = meeting, parent
        self.rank = (-level, number)
        self.children: set[Task] = set()
        self.has_failed_child = self.is_withdrawn = False
        self.state = "new"  # and then running, paused, running, ..., ended
        self.changed = threading.Condition()
        self.context = contextvars.copy_context()
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.outcome: Any = None

    def __lt__(self, other):
        return self.rank < other.rank

    # ------------------------------------------------- called by who holds the baton
    def resume(self) -> None:
        """Let the task run until it pauses or ends."""
        with _own_warnings():
            is_new = self.state == "new"
            self._set("running")
            if is_new:
                self.thread.start()
            self._wait_while("running")

    def withdraw(self) -> None:
        """End the task wherever it stands."""
        self.is_withdrawn = True
        self._wait_while("running")  # it is, if its meeting was interrupted
        while self.state == "paused":
            self.resume()
        self.state = "ended"

    # --------------------------------------------------------- called by the task
    def ask(self, ask: Ask) -> core.Fit:
        """Pause until the fit that is asked for is there."""
        self.meeting.asks.append((self, ask))
        while ask.answer is None:
            self._pause()
        if isinstance(ask.answer, BaseException):
            raise ask.answer
        return ask.answer

    def wait_for_children(self) -> None:
        """Pause until the tasks that this one submitted have ended, or one failed."""
        while self.children and not self.has_failed_child:
            self._pause()

    def _pause(self) -> None:
        if not self.is_withdrawn:
            with _own_warnings():
                self._set("paused")
                self._wait_while("paused")
        if self.is_withdrawn:
            raise Withdrawn

    def _live(self) -> None:
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


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Find the warning filters as they were, whatever others do in the meantime.

    They are global, and the blocks in which tasks change them overlap.
    """
    names = "filters", "showwarning", "_showwarnmsg_impl"
    kept = {name: getattr(warnings, name) for name in names}
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(warnings, name, value)
        with warnings.catch_warnings():  # says that the filters have changed
            pass


# --------------------------------------------------------------------- the meeting
class Meeting:
    """Runs tasks one at a time, and trains the fits that they ask for.

    Parameters
    ----------
    max_models : int
        Fits that may wait at once.
    """

    def __init__(self, max_models: int):
        self.max_models = max_models
        self.n_jobs = 1
        self.numbers = itertools.count()
        self.new: list[Task] = []  # a heap: the deepest first, then in order
        self.ready: deque[Task] = deque()
        self.asks: list[tuple[Task, Ask]] = []
        self.children: set[Task] = set()
        self.has_failed_child = False
        self.tables = Tables()
        self.computed: dict[tuple, Any] = {}
        self.budget = MEMORY_SHARE * _free_memory()

    def submit(self, function, callback, parent: Task | None, level: int) -> Task:
        """Take a task in; it runs later."""
        task = Task(function, callback, self, parent, level, next(self.numbers))
        (parent or self).children.add(task)
        heapq.heappush(self.new, task)
        return task

    def conduct(self) -> None:
        """Run until all tasks have ended, or one of the outermost failed."""
        while self.children and not self.has_failed_child:
            if self.ready:
                self._run(self.ready.popleft())
            elif self.new and not self._is_full():
                self._run(heapq.heappop(self.new))
            else:
                self._train_asked()

    def _run(self, task: Task) -> None:
        if task.state == "ended":  # withdrawn in the meantime
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
        tables = {id(ask.job.rows): ask.job.rows.nbytes for _, ask in self.asks}
        return len(self.asks) >= self.max_models or sum(tables.values()) > self.budget

    def _train_asked(self) -> None:
        asks, self.asks = self.asks, []
        self.computed.clear()
        train_together([ask for _, ask in asks], self.n_jobs)
        self.ready.extend(task for task, _ in asks)

    def withdraw(self, owner: Meeting | Task) -> None:
        """End all tasks of an owner, and theirs, without a result."""
        for task in list(owner.children):
            self.withdraw(task)
            task.withdraw()
        gone, owner.children, owner.has_failed_child = owner.children, set(), False
        self.new = [task for task in self.new if task not in gone]
        heapq.heapify(self.new)
        self.ready = deque(task for task in self.ready if task not in gone)
        self.asks = [pair for pair in self.asks if pair[0] not in gone]


def _free_memory() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_MEMORY


class BatchedBackend(ParallelBackendBase):
    """Joblib's door to a meeting.

    All tasks of a call are submitted before the first one runs. How many fits wait at
    once, and in how much memory, is for the meeting to say.
    """

    supports_retrieve_callback = True
    supports_sharedmem = True
    uses_threads = True

    def __init__(self, meeting: Meeting, nesting_level: int = 0):
        super().__init__(nesting_level=nesting_level)
        self.meeting = meeting

    def effective_n_jobs(self, n_jobs):
        """Return at least two: joblib would run the tasks by itself for one."""
        return max(2, count_cores(n_jobs))

    def configure(self, n_jobs=1, parallel=None, **_):
        """Prepare for the calls of one ``Parallel``."""
        if parallel.return_generator:  # results are wanted before all are there
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if _task_of_this_thread() is None:
            self.meeting.n_jobs = count_cores(n_jobs)
        parallel.pre_dispatch = "all"
        return self.effective_n_jobs(n_jobs)

    def submit(self, func, callback=None):
        """Take a task in."""
        task = _task_of_this_thread()
        return self.meeting.submit(func, callback, task, self.nesting_level)

    @contextmanager
    def retrieval_context(self):
        """Run all tasks: joblib comes here once it has submitted them."""
        task = _task_of_this_thread()
        if task is None:
            self.meeting.conduct()
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
        """End the tasks that are left after one has failed."""
        self.meeting.withdraw(_task_of_this_thread() or self.meeting)

    def get_nested_backend(self):
        """Let the tasks' own tasks come to the same meeting."""
        return BatchedBackend(self.meeting, self.nesting_level + 1), None


@contextmanager
def batched_fits(*, n_jobs=None, max_models=512):
    """Train all fits that a scikit-learn meta-estimator makes at once, as stacks.

    Inside the block, ``GridSearchCV``, ``cross_validate``, ``HalvingGridSearchCV`` and
    whatever else makes its fits through joblib run as ever, but for one thing: each fit
    of one of this package's transformers, alone or in a pipeline, waits until all that
    can be asked for have been, and then they are trained together. The result of each
    is what it would be alone, up to rounding.

    Fits of equal networks, budgets and precision share a stack; they may differ in
    data, seed, ``n_components`` and the weights of their objective's terms.

    Parameters
    ----------
    n_jobs : int, default=None
        Processes that train stacks on the CPU; -1 takes all cores, None one. An
        ``n_jobs`` of the meta-estimator itself goes before this one. It is of no use
        on a GPU, nor to fits that print or have callbacks, which stay in this process.
    max_models : int, default=512
        Fits that may wait at once. Fewer are trained together where memory is short.

    Returns
    -------
    block : context manager
        Nothing is needed of it inside the block.

    See Also
    --------
    BatchedGridSearchCV : A search that does this by itself.

    Notes
    -----
    A fit's time, as in ``cv_results_``, includes that of waiting for the others. Tasks
    run one after another, except for the training; estimators that are not of this
    package take as long as with ``n_jobs=1``. ``pre_dispatch`` has no effect.

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
    meeting = Meeting(max_models) if task is None else task.meeting
    with parallel_config(backend=BatchedBackend(meeting, level), n_jobs=n_jobs):
        yield


# ---------------------------------------------------------------------- the training
def train_together(asks: list[Ask], n_jobs: int) -> None:
    """Answer each ask, by as few stacks as are good."""
    quiet: list[list[Ask]] = []
    for group in _groups(asks):
        stacks = _cut(group, n_jobs)
        if n_jobs > 1 and _suits_processes(group):
            quiet += stacks
            continue
        for stack in stacks:
            _train_here(stack)
    if quiet:
        _train_elsewhere(quiet, n_jobs)


def _groups(asks: list[Ask]) -> list[list[Ask]]:
    groups: list[list[Ask]] = []
    for ask in asks:
        group = next((g for g in groups if g[0].can_join(ask)), None)
        if group is None:
            groups.append([ask])
        else:
            group.append(ask)
    return groups


def _cut(group: list[Ask], n_jobs: int) -> list[list[Ask]]:
    """Cut a group into stacks of nearly equal size, some for each process."""
    first = group[0]
    width = core.stack_width(first.job, first.plan, first.device)
    n_stacks = -(-len(group) // width)
    if _suits_processes(group):
        n_stacks = min(len(group), -(-n_stacks // n_jobs) * n_jobs)
    edges = [len(group) * i // n_stacks for i in range(n_stacks + 1)]
    return [group[a:b] for a, b in itertools.pairwise(edges)]


def _suits_processes(group: list[Ask]) -> bool:
    """Tell whether a group can, and should, be trained by other processes."""
    is_quiet = all(ask.watch is None for ask in group)
    effort = sum(core.effort(ask.job, ask.plan) for ask in group)
    return is_quiet and group[0].device.type == "cpu" and effort >= PROCESS_EFFORT


def _train_here(stack: list[Ask]) -> None:
    def watch(record: core.Record) -> list[bool]:
        return [_show(ask, record, k) for k, ask in enumerate(stack)]

    is_watched = any(ask.watch is not None for ask in stack)
    asked = [ask.n_threads for ask in stack if ask.n_threads is not None]
    try:
        fits = core.fit_stack(
            [ask.job for ask in stack],
            stack[0].plan,
            device=stack[0].device,
            n_threads=max(asked, default=None),
            watch=watch if is_watched else None,
        )
    except Exception as error:
        fits = []
        if len(stack) == 1:
            stack[0].answer = stack[0].answer or error
            return
    if not fits:  # out here, where the error keeps no memory of the stack's
        _train_here(stack[: len(stack) // 2])
        _train_here(stack[len(stack) // 2 :])
    for ask, fit in zip(stack, fits, strict=False):
        ask.answer = ask.answer or fit


def _show(ask: Ask, record: core.Record, k: int) -> bool:
    """Show model k's part of a record to its watch; return whether it is to stop."""
    if ask.watch is None or ask.is_over or record.step <= ask.seen:
        return ask.is_over and record.step >= ask.seen
    terms, is_last = [record.terms[k]], [record.is_last[k]]
    alone = core.Record(record.step, terms, lambda _: record.weights(k), is_last)
    try:
        (stop,) = ask.watch(alone)
    except Exception as error:  # it is this model's alone
        ask.answer, stop = error, True
    ask.seen, ask.is_over = record.step, stop or record.is_last[k]
    return stop


def _train_elsewhere(stacks: list[list[Ask]], n_jobs: int) -> None:

    try:
        workers = Parallel(n_jobs=n_jobs, backend="loky", mmap_mode="c")
        answered = workers(
            delayed(_train_stack)([(a.job, a.n_threads) for a in s], s[0].plan)
            for s in stacks
        )
    except Exception:  # a process died, or something cannot be sent to it
        for stack in stacks:
            _train_here(stack)
        return
    for stack, answers in zip(stacks, answered, strict=True):
        for ask, answer in zip(stack, answers, strict=True):
            ask.answer = answer


def _train_stack(jobs, plan):
    """Train jobs in another process; return a fit or an error for each."""
    device = core.resolve_device("cpu")
    asks = [Ask(job, plan, device, n_threads or 1, None) for job, n_threads in jobs]
    _train_here(asks)
    return [ask.answer for ask in asks]

"""Progress bar of a fit, or of fits that are trained together."""

from __future__ import annotations

import math
import multiprocessing
import sys
import threading
import time
from typing import Any

from .. import core
from .._batch_progress import BatchProgress
from .._batching import is_in_task
from .._compat import has_callbacks

MIN_SECONDS = 3.0
"""Estimated duration of a fit, seconds, from which a bar is shown."""

MEASURED_SECONDS = 0.5
"""Time between records, seconds, from which the duration is estimated."""

clock = time.monotonic


class FitProgress:
    """Progress bar of one fit: a context that closes the bar however the fit ends.

    Parameters
    ----------
    estimator : estimator
        Where its ``verbose`` is "auto", a bar can appear; else nothing is watched.
    """

    def __init__(self, estimator):
        self.is_in_batch = is_in_task()
        self.bar_class = _bar_class() if _suits_bar(estimator) else None
        self.bar: Any = None
        self.started = clock()

    def __enter__(self) -> FitProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stage(
        self, name: str, schedule: core.Schedule, n_models: int = 1
    ) -> core.Watch | BatchProgress | None:
        """Begin a stage of the fit; return what watches it, None without a bar.

        Parameters
        ----------
        name : str
            Shown beside the bar.
        schedule : core.Schedule
            Budget of each model.
        n_models : int, default=1
            Models that are trained, in one or several stacks.
        """
        self.close()
        if self.bar_class is None:
            return None
        if self.is_in_batch:
            return _BatchStage(self, name)
        return _Stage(self, name, schedule.max_iter, n_models)

    def is_long(self, step: int, total: int, first: tuple[int, float]) -> bool:
        """Return whether the estimated duration of the fit is long enough for a bar.

        Parameters
        ----------
        step, total : int
            Steps made in this stage, and all of them.
        first : tuple (step, time)
            Of the first record; the steps before it are slower than others.
        """
        now = clock()
        if now - self.started >= MIN_SECONDS:
            return True
        first_step, first_time = first
        measured = now - first_time
        if step == first_step or measured < MEASURED_SECONDS:
            return False
        remaining = measured * (total - step) / (step - first_step)
        return now - self.started + remaining >= MIN_SECONDS

    def show(self, name: str, step: int, total: int, status: str) -> None:
        """Show a number of steps, in a new bar if there is none."""
        if self.bar is None and self.bar_class is not None:
            self.bar = self.bar_class(
                desc=name,
                initial=step,
                total=total,
                unit=" steps",
                file=sys.stderr,
                leave=False,
                miniters=1,
                dynamic_ncols=True,
            )
        self.bar.set_postfix_str(status, refresh=False)
        self.bar.update(step - self.bar.n)

    def close(self) -> None:
        """Close the bar, if there is one."""
        if self.bar is not None:
            self.bar.close()
        self.bar = None


class _Stage:
    """Watch of one stage: it counts the steps of its stacks, one after another."""

    def __init__(self, progress: FitProgress, name: str, max_iter: int, n_models: int):
        self.progress, self.name = progress, name
        self.max_iter, self.n_models = max_iter, n_models
        self.total = self.step = self.n_finished = 0
        self.first: tuple[int, float] | None = None

    def __call__(self, record: core.Record) -> list[bool]:
        """Show a record; return for each model that it is not stopped."""
        width = len(record.terms)
        if self.first is None:
            self.first = record.step, clock()
            self.total = math.ceil(self.n_models / width) * self.max_iter
        if record.step <= self.step:  # the first record of the next stack
            self.n_finished += 1
        self.step = record.step
        step = self.n_finished * self.max_iter + record.step
        progress = self.progress
        is_shown = progress.bar is not None
        if is_shown or progress.is_long(step, self.total, self.first):
            progress.show(self.name, step, self.total, _status(record))
        return [False] * width


class _BatchStage(BatchProgress):
    """Progress of one stage of fits that are trained together."""

    def __init__(self, progress: FitProgress, name: str):
        self.progress, self.name = progress, name
        self.total = 0
        self.first: tuple[int, float] | None = None

    def begin(self, n_models: int, total: int) -> None:
        """Begin to train a number of models, in a number of steps of their stacks."""
        self.total, self.first = total, None
        self.progress.started = clock()
        models = "1 model" if n_models == 1 else f"{n_models} models"
        self.label = f"{self.name}, {models}"

    def advance(self, step: int, record: core.Record | None) -> None:
        """Show the number of steps made, with the record of the current stack."""
        self.first = self.first or (step, clock())
        progress = self.progress
        is_shown = progress.bar is not None
        if is_shown or progress.is_long(step, self.total, self.first):
            progress.show(self.label, step, self.total, _status(record))

    def end(self) -> None:
        """Close the bar."""
        self.progress.close()


class PlainBar:
    """A line of text with the steps made and the time left, without tqdm.

    Parameters
    ----------
    desc : str
        Shown at the start of the line.
    initial, total : int
        Steps made when the line appears, and all of them.
    file : file
        Terminal.
    """

    def __init__(self, *, desc, initial, total, file, **_):
        self.desc, self.n, self.total, self.file = desc, initial, total, file
        self.first, self.started = initial, clock()
        self.width = 0

    def set_postfix_str(self, status, refresh=False):
        """Ignore the status: the line has the time left."""

    def update(self, n):
        """Show that further steps were made."""
        self.n += n
        seconds = clock() - self.started
        made = max(self.n - self.first, 1)
        left = seconds * (self.total - self.n) / made
        share = self.n / max(self.total, 1)
        line = f"{self.desc}: {self.n} of {self.total} steps ({share:.0%})"
        self._write(f"{line}, about {left:.0f} s left")

    def close(self):
        """Clear the line."""
        self._write("")
        self.file.write("\r")

    def _write(self, line):
        self.file.write("\r" + line.ljust(self.width))
        self.file.flush()
        self.width = len(line)


def _status(record: core.Record | None) -> str:
    """Return the first term of the loss, averaged over models, with its name."""
    if record is None:
        return ""
    name = next(iter(record.terms[0]))
    mean = sum(terms[name] for terms in record.terms) / len(record.terms)
    return f"{name} {mean:.4g}"


def _suits_bar(estimator) -> bool:
    """Return whether a bar would be visible, and alone."""
    # The scheduler of tasks shows the progress of all, in the thread that it runs in.
    if not core.current_ranks().is_first:
        return False
    is_alone = multiprocessing.parent_process() is None and (
        is_in_task() or threading.current_thread() is threading.main_thread()
    )
    is_automatic = estimator.verbose == "auto" and not has_callbacks(estimator)
    return is_automatic and is_alone and (_is_terminal(sys.stderr) or _is_notebook())


def _is_terminal(stream) -> bool:
    """Return whether a stream, such as standard error, is an open terminal."""
    is_open = hasattr(stream, "isatty") and not getattr(stream, "closed", False)
    return is_open and stream.isatty()


def _is_notebook() -> bool:
    """Return whether the code runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _bar_class() -> Any:
    """Return tqdm's class of bars for this terminal or notebook, or a plain one."""
    try:
        from tqdm import notebook, std
    except ImportError:
        return PlainBar
    has_widgets = _is_notebook() and notebook.IProgress is not None
    bar = notebook.tqdm if has_widgets else std.tqdm
    # Without tqdm's own thread, which is for bars that are rarely updated.
    return type("ProgressBar", (bar,), {"monitor_interval": 0})

"""Display of the progress of fits that are trained together."""

from __future__ import annotations

from abc import ABC, abstractmethod

from . import core


class BatchProgress(ABC):
    """Display of the progress of fits that are trained together.

    The scheduler calls it, in its own thread, for the first of the fits that has one.
    """

    @abstractmethod
    def begin(self, n_models: int, total: int) -> None:
        """Begin to train a number of models, in a number of steps of their stacks."""

    @abstractmethod
    def advance(self, step: int, record: core.Record | None) -> None:
        """Show the number of steps made, with the record of the current stack.

        There is no record of stacks that other processes or machines train.
        """

    @abstractmethod
    def end(self) -> None:
        """End the display, whatever happened."""

    def __call__(self, record: core.Record) -> list[bool]:
        """Stop no model: a fit that is trained alone takes it as its watch."""
        return [False] * len(record.terms)


class StackProgress:
    """Progress of several stacks in one display: a context that ends it.

    Parameters
    ----------
    progress : BatchProgress or None
        The display; None for none.
    n_models : int
        Models of all stacks.
    total : int
        Steps of all stacks.
    """

    def __init__(self, progress: BatchProgress | None, n_models: int, total: int):
        self.progress, self.n_models, self.total = progress, n_models, total
        self.done = 0

    def __enter__(self) -> StackProgress:
        if self.progress is not None:
            self.progress.begin(self.n_models, self.total)
        return self

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.progress.end()

    def advance(self, record: core.Record) -> None:
        """Show a record of the stack that is trained here."""
        if self.progress is not None:
            self.progress.advance(self.done + record.step, record)

    def finish(self, n_steps: int, *, is_shown: bool) -> None:
        """Count the steps of a finished stack, and show them if they were not."""
        self.done += n_steps
        if self.progress is not None and not is_shown:
            self.progress.advance(self.done, None)

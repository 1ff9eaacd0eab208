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
    def advance(self, step: int, record: core.Record) -> None:
        """Show the number of steps made, with the record of the current stack."""

    @abstractmethod
    def end(self) -> None:
        """End the display, whatever happened."""

    def __call__(self, record: core.Record) -> list[bool]:
        """Stop no model: a fit that is trained alone takes it as its watch."""
        return [False] * len(record.terms)

"""State of a stack between two steps, from which its training can go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from ._distributed import Ranks
from ._job import Status
from ._sampling import Streams


@dataclass(frozen=True)
class State:
    """State of a stack: all that its next steps depend on, beside its jobs.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Weights, moments of the optimiser, states of generators, and histories.
    values : dict of str to object
        Plain values: numbers, strings, and lists and dicts of them.
    """

    arrays: Mapping[str, np.ndarray]
    values: Mapping[str, Any]


class Storage(Protocol):
    """Where the state of one stack is kept while it is trained."""

    def read(self) -> State | None:
        """Return the state that was written last; None if there is none."""

    def is_due(self) -> bool:
        """Return whether the state should be written now."""

    def write(self, state: State) -> None:
        """Write a state, in place of the one before."""

    def refuse(self, what: str) -> NoReturn:
        """Raise an error that says what is wrong with the state that was read."""


def storage_of_ranks(ranks: Ranks, storage: Storage | None) -> Storage | None:
    """Return the storage of the first of several processes, for all of them.

    Parameters
    ----------
    ranks : Ranks
    storage : Storage or None
        That of this process.
    """
    if ranks.size == 1:
        return storage
    is_stored = ranks.first(storage is not None)
    return _FirstStorage(ranks, storage) if is_stored else None


@dataclass(frozen=True)
class _FirstStorage:
    """Storage that the first process reads and writes, for all."""

    ranks: Ranks
    own: Storage | None

    def read(self) -> State | None:
        return self.ranks.first(self._first.read() if self._first else None)

    def is_due(self) -> bool:
        return self._first is not None and self._first.is_due()

    def write(self, state: State) -> None:
        if self._first is not None:
            self._first.write(state)

    def refuse(self, what: str) -> NoReturn:
        if self._first is not None:
            self._first.refuse(what)
        raise ValueError(f"The checkpoint of rank 0 cannot be continued: {what}")

    @property
    def _first(self) -> Storage | None:
        return self.own if self.ranks.is_first else None


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array, which may share its memory."""
    return tensor.detach().cpu().numpy()


class Restoring:
    """Restore tensors from the arrays of a state, in place.

    Parameters
    ----------
    state : State
    storage : Storage
        It raises the error where an array does not fit.
    """

    def __init__(self, state: State, storage: Storage):
        self.state, self.storage = state, storage

    def integer(self, name: str) -> int:
        """Return a value that must be an integer of at least zero."""
        value = self.state.values.get(name)
        if type(value) is not int or value < 0:
            self.storage.refuse(f"{name!r} is not a number of steps.")
        return value

    def numbers(self, n_models: int) -> np.ndarray:
        """Return the numbers that are kept of each model, (n_models, 4)."""
        numbers = self.array("numbers", (n_models, 4), np.float64)
        if not np.isfinite(numbers[:, 1:]).all():
            self.storage.refuse("'numbers' holds steps that are not finite.")
        return numbers

    def models(self, n_models: int) -> list[dict[str, Any]]:
        """Return what is kept of each model as plain values."""
        models = self.state.values.get("models")
        if not isinstance(models, list) or len(models) != n_models:
            self.storage.refuse(f"it does not hold {n_models} models.")
        if not all(_is_model(model) for model in models):
            self.storage.refuse("what it holds of a model is not complete.")
        return models

    def array(self, name: str, shape: tuple[int | None, ...], dtype: Any) -> np.ndarray:
        """Return an array, which must have a type and a shape; None is any length."""
        array = self.state.arrays.get(name)
        if array is None:
            self.storage.refuse(f"it lacks {name!r}.")
        fits = array.ndim == len(shape) and all(
            size in (None, n) for size, n in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype != np.dtype(dtype):
            self.storage.refuse(
                f"{name!r} has shape {array.shape} and dtype {array.dtype}; expected "
                f"{shape} and {np.dtype(dtype)}."
            )
        return array

    def history(self, name: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the records of a model, whose step is an integer."""
        table = self.array(name, (None, len(names)), np.float64)
        if not np.isfinite(table[:, :1]).all() or (len(table) and not names):
            self.storage.refuse(f"{name!r} has records without a step.")
        records = [dict(zip(names, row, strict=True)) for row in table]
        return [record | {"step": int(record["step"])} for record in records]

    def tensor(self, name: str, like: Tensor) -> Tensor:
        """Return an array as a tensor of the type, shape and device of another one."""
        array = self.array(name, tuple(like.shape), as_array(like).dtype)
        return torch.tensor(array, device=like.device)

    def model(self, name: str, k: int, like: Tensor) -> Tensor:
        """Return the part of model k of an array with the axis K of another tensor."""
        array = self.array(name, tuple(like.shape), as_array(like).dtype)
        return torch.tensor(array[k], device=like.device)

    def generators(self, name: str, streams: Sequence[Streams], like: Tensor) -> None:
        """Set the states of all generators."""
        try:
            for own, state in zip(streams, self.tensor(name, like), strict=True):
                own.restore(state)
        except ValueError as error:
            self.storage.refuse(f"{name!r} holds no states of generators ({error}).")

    @torch.no_grad()
    def copy_to(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy arrays into the tensors of the same names."""
        for name, tensor in tensors.items():
            tensor.copy_(self.tensor(name, tensor))


def _is_model(values: Any) -> bool:
    """Return whether values are those that are kept of a model."""
    if not isinstance(values, dict):
        return False
    names = values.get("names")
    return (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and (not names or names[0] == "step")
        and values.get("status") in get_args(Status)
        and isinstance(values.get("is_done"), bool)
    )

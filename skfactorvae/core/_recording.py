"""Training steps on the CPU as lists of calls that work on fixed memory.

A step of a small model consists of some hundred operations on small tensors. Python,
the graph of the derivatives, and the allocation of results take longer than the
operations themselves. A recording repeats the operations alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import _compat
from ._compat import Effect, OperationRecorder

Step = Callable[..., dict[str, Tensor]]
Call = Callable[[], object]

FIRST_RECORDED = 2
"""Number of the first call that is recorded: at the first, state is made."""

RECORDED_STEPS = 60
"""Steps of a fit from which on a recording saves more time than it takes."""

RECORDED_VALUES = 400_000
"""Values of the batches of a step above which it is not recorded.

While a step is recorded, all its intermediate values are in memory.
"""


class NotRepeatableError(Exception):
    """A step cannot be repeated from its operations."""


class Operation(NamedTuple):
    """An operation that a step called, with its arguments and results."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    results: tuple[Tensor, ...]

    @property
    def tensors(self) -> Iterator[Tensor]:
        """All tensors among arguments and results."""
        yield from _tensors(self.arguments)
        yield from _tensors(tuple(self.keywords.values()))
        yield from self.results


class Recording:
    """Run a training step by repeating the operations that it calls.

    The second and the third call of a step are recorded. If both called the same
    operations on the same tensors with the same numbers, later calls repeat these,
    without Python's part of the step and without a graph of derivatives: results are
    the same, bit for bit. A step with operations that cannot be repeated, or that
    differ, is run as it is.

    Every call must pass the same step: a function of tensors, of the same shapes in
    every call, that only computes and changes other tensors in place. Results may be
    overwritten by the next call.

    Parameters
    ----------
    kept : callable () -> sequence of Tensor
        Tensors beside the results that are read after a call.
    """

    def __init__(self, kept: Callable[[], Sequence[Tensor]]):
        self.kept = kept
        self.n_calls = 0
        self.inputs: list[Tensor] = []
        self.results: dict[str, Tensor] = {}
        self.first: list[tuple[Any, ...]] = []
        self.calls: list[Call] = []

    def __call__(self, step: Step, *inputs: Tensor) -> dict[str, Tensor]:
        if self.calls:
            return self._repeat(inputs)
        self.n_calls += 1
        if not FIRST_RECORDED <= self.n_calls <= FIRST_RECORDED + 1:
            return step(*inputs)
        if not self.inputs:
            self.inputs = [value.clone() for value in inputs]
        self._copy(inputs)
        with OperationRecorder() as recorder:
            results = step(*self.inputs)
        if recorder.reads_values:
            self.n_calls = FIRST_RECORDED + 1
        else:
            operations = [Operation(*call) for call in recorder.calls]
            self._prepare(operations, results)
        return results

    def _prepare(
        self, operations: Sequence[Operation], results: dict[str, Tensor]
    ) -> None:
        kept = [*results.values(), *self.kept()]
        try:
            described = _describe(operations, kept)
            if self.first == described:
                self.calls = list(_calls(operations, kept))
        except NotRepeatableError:
            self.n_calls = FIRST_RECORDED + 1
            return
        self.first = described
        self.results = {name: value.detach() for name, value in results.items()}

    def _copy(self, inputs: Sequence[Tensor]) -> None:
        for place, value in zip(self.inputs, inputs, strict=True):
            if value.numel():
                place.copy_(value)

    def _repeat(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            self._copy(inputs)
            for call in self.calls:
                call()
        return self.results


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples and lists."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)


def _map(function: Callable[[Tensor], Tensor], values: Any) -> Any:
    """Apply a function to the tensors in nested tuples and lists."""
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, tuple | list):
        return type(values)(_map(function, value) for value in values)
    return values


def _place(tensor: Tensor) -> int:
    """Return the address of the memory of a tensor and all its views; zero if empty."""
    if tensor.layout != torch.strided or tensor.is_conj() or tensor.is_neg():
        raise NotRepeatableError("a tensor that is more than its memory")
    return tensor.untyped_storage().data_ptr()


# ------------------------------------------------------------------ comparison
def _describe(
    operations: Sequence[Operation], kept: Sequence[Tensor] = ()
) -> list[tuple[Any, ...]]:
    """Describe operations such that equal descriptions mean the same computation.

    Tensors that an operation made are described by their order, and all others by their
    address. What is read later is described as well.
    """
    numbers: dict[int, int] = {}

    def describe(value: Any) -> Any:
        if isinstance(value, Tensor):
            place = _place(value)
            own = ("made", numbers[place]) if place in numbers else ("given", place)
            layout = value.storage_offset(), value.shape, value.stride()
            return (*own, layout, value.dtype)
        if isinstance(value, tuple | list):
            return tuple(describe(v) for v in value)
        return repr(value)  # NaN equals itself

    described: list[tuple[Any, ...]] = []
    for function, arguments, keywords, results in operations:
        if _compat.is_constant(function):  # made of Python's numbers
            numbers.setdefault(_place(results[0]), len(numbers))
            described.append((function, str(results[0].tolist())))
            continue
        given = {_place(t) for t in _tensors((arguments, *keywords.values()))}
        for result in results:
            place = _place(result)
            if place and place not in given:
                numbers.setdefault(place, len(numbers))
        own = describe(arguments), describe(tuple(keywords.items())), describe(results)
        described.append((function, *own))
    return [*described, describe(tuple(kept))]


# --------------------------------------------------------------------- calls
def _calls(operations: Sequence[Operation], kept: Sequence[Tensor]) -> Iterator[Call]:
    """Yield calls without arguments that repeat operations, on memory of their own.

    Views are not repeated: memory does not move.
    """
    moved = _moved(operations, {_place(tensor) for tensor in kept})
    constants = {_place(o.results[0]) for o in operations if _compat.is_constant(o[0])}
    for function, arguments, keywords, results in operations:
        effect = _compat.effect(function)
        if effect is Effect.UNKNOWN:
            raise NotRepeatableError(str(function))
        is_view = effect is Effect.NEW and _are_views(results, arguments)
        if is_view or effect in (Effect.VIEW, Effect.ALLOCATION):
            continue
        own = _map(moved, arguments)
        named = {name: _map(moved, value) for name, value in keywords.items()}
        if effect is Effect.CHANGE:
            changed = _compat.changed(function, arguments, keywords)
            if not constants.isdisjoint(map(_place, _tensors(changed))):
                raise NotRepeatableError("a constant is changed")
            yield partial(_compat.call(function), *own, **named)
            continue
        targets = [moved(result) for result in results]
        writing = _compat.writing_form(function)
        if writing is None or len(writing.names) != len(targets):
            yield partial(_assign, _compat.call(function), own, named, targets)
        else:
            named |= dict(zip(writing.names, targets, strict=True))
            own = _compat.as_arguments(writing.function, own, targets[0])
            yield partial(_compat.call(writing.function), *own, **named)


def _assign(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    targets: Sequence[Tensor],
) -> None:
    """Call a function and copy its results to targets."""
    results = function(*arguments, **keywords)
    for target, result in zip(targets, _tensors((results,)), strict=True):
        target.copy_(result)


def _are_views(results: Sequence[Tensor], arguments: tuple[Any, ...]) -> bool:
    """Return whether results are views, whatever the operation declares."""
    given = {_place(tensor) for tensor in _tensors(arguments)}
    return all(_place(result) in given for result in results)


# -------------------------------------------------------------------- memory
def _moved(
    operations: Sequence[Operation], kept: set[int]
) -> Callable[[Tensor], Tensor]:
    """Return a function from a recorded tensor to the one that calls use.

    What operations made is moved to memory that is used again after the last operation
    that needs it, as in a step that frees what it does not need. All other tensors stay
    where they are.
    """
    homes = _homes(operations, kept)
    known: dict[int, Tensor] = {}

    def moved(tensor: Tensor) -> Tensor:
        if id(tensor) not in known:
            home = homes.get(_place(tensor))
            known[id(tensor)] = tensor.detach() if home is None else _at(tensor, home)
        return known[id(tensor)]

    return moved


def _at(tensor: Tensor, home: Tensor) -> Tensor:
    """Return a tensor of the same type and layout in other memory."""
    empty = torch.empty(0, dtype=tensor.dtype, device=home.device)
    storage, offset = home.untyped_storage(), tensor.storage_offset()
    return empty.set_(storage, offset, tensor.shape, tensor.stride())


def _homes(operations: Sequence[Operation], kept: set[int]) -> dict[int, Tensor]:
    """Assign memory to all that operations made and that is not read after them.

    Parameters
    ----------
    operations : sequence of Operation
    kept : set of int
        Addresses of what is read later.

    Returns
    -------
    dict of int to Tensor
        By address, bytes that hold at least as many.
    """
    made, last = _made(operations), _last_uses(operations)
    homes: dict[int, Tensor] = {}
    free: list[Tensor] = []
    for number, operation in enumerate(operations):
        for tensor in operation.results:
            place, size = _place(tensor), tensor.untyped_storage().nbytes()
            if place in homes or place in kept or made.get(place) != number:
                continue
            fitting = [home for home in free if size <= home.numel() <= 2 * size]
            home = min(fitting, key=Tensor.numel, default=None)
            if home is None:
                home = torch.empty(size, dtype=torch.uint8, device=tensor.device)
            else:
                free = [other for other in free if other is not home]
            homes[place] = home
        ending = {_place(t) for t in operation.tensors}
        free += [homes[p] for p in ending if p in homes and last[p] == number]
    return homes


def _made(operations: Sequence[Operation]) -> dict[int, int]:
    """Return the number of the operation that made a memory, by its address."""
    seen: set[int] = {0}
    made: dict[int, int] = {}
    for number, operation in enumerate(operations):
        seen |= {_place(t) for t in _tensors(operation.arguments)}
        seen |= {_place(t) for t in _tensors(tuple(operation.keywords.values()))}
        for place in map(_place, operation.results):
            if place not in seen:
                made[place] = number
                seen.add(place)
    return made


def _last_uses(operations: Sequence[Operation]) -> dict[int, int]:
    """Return the number of the last operation that uses a memory, by its address."""
    return {
        _place(tensor): number
        for number, operation in enumerate(operations)
        for tensor in operation.tensors
    }

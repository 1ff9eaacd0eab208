"""Private names of torch that this package calls.

Backward functions of activations, the kernel of the fused Adam, and what operations
declare about themselves are exposed by ``torch.ops.aten`` only, and what a processor
can do by private functions. Nothing else in the package uses a private name of torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten


def relu_backward(gradient: Tensor, y: Tensor) -> Tensor:
    """Return the gradient by x of ``relu(x) = y``."""
    return _aten.threshold_backward(gradient, y, 0)


def leaky_relu_backward(gradient: Tensor, y: Tensor, slope: float) -> Tensor:
    """Return the gradient by x of ``leaky_relu(x, slope) = y``."""
    return _aten.leaky_relu_backward(gradient, y, slope, True)


def elu_backward(gradient: Tensor, y: Tensor) -> Tensor:
    """Return the gradient by x of ``elu(x) = y``."""
    return _aten.elu_backward(gradient, 1, 1, 1, True, y)


def silu_backward(gradient: Tensor, x: Tensor) -> Tensor:
    """Return the gradient by x of ``silu(x)``."""
    return _aten.silu_backward(gradient, x)


def gelu_backward(gradient: Tensor, x: Tensor) -> Tensor:
    """Return the gradient by x of ``gelu(x)``."""
    return _aten.gelu_backward(gradient, x)


def tanh_backward(gradient: Tensor, y: Tensor) -> Tensor:
    """Return the gradient by x of ``tanh(x) = y``."""
    return _aten.tanh_backward(gradient, y)


def fused_adam(
    leaves: list[Tensor],
    gradients: list[Any],
    first: list[Tensor],
    second: list[Tensor],
    steps: list[Tensor],
    *,
    lr: Any,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Make a step of Adam in place.

    Parameters
    ----------
    leaves, gradients : list of Tensor
        Weights of one type on one device, and their gradients, of the same layout.
    first, second : list of Tensor
        Moving averages of the gradients and of their squares.
    steps : list of Tensor of shape ()
        Steps that were made, this one included, on the device of the weights.
    lr : float or Tensor
        Learning rate; a tensor is read on its device.
    betas : tuple of two floats
        Decay rates of the averages.
    epsilon : float
        Number that is added to the root of the second moment.
    """
    beta1, beta2 = betas
    adam = _aten._fused_adam_
    step = adam.tensor_lr if isinstance(lr, Tensor) else adam.default
    step(
        leaves,
        gradients,
        first,
        second,
        [],
        steps,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


class OperationRecorder(TorchDispatchMode):
    """Record the operations that are called inside a block, those of autograd included.

    Attributes
    ----------
    calls : list of tuple
        Function, arguments, keywords, and a tuple of results of each operation.
    reads_values : bool
        Whether an operation returned a number, on which later ones can depend.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.reads_values = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: the wrapper it would ask for imports torch's compiler."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and record it."""
        keywords = kwargs or {}
        result = func(*args, **keywords)
        results = result if isinstance(result, tuple | list) else (result,)
        made = tuple(value for value in results if isinstance(value, Tensor))
        self.reads_values |= len(made) < sum(value is not None for value in results)
        self.calls.append((func, args, keywords, made))
        return result


class Effect(Enum):
    """What an operation does with memory."""

    NEW = "computes new tensors"
    CHANGE = "changes arguments in place"
    VIEW = "returns views of arguments"
    ALLOCATION = "returns memory that is not initialised"
    UNKNOWN = "something else"


ALLOCATIONS = {
    "aten::empty",
    "aten::empty_like",
    "aten::empty_strided",
    "aten::new_empty",
    "aten::new_empty_strided",
}
"""Operations that compute nothing."""

_TAG = torch.Tag
UNREPEATABLE = (
    _TAG.data_dependent_output,
    _TAG.dynamic_output_shape,
    _TAG.inplace_view,
    _TAG.nondeterministic_seeded,
)
"""Tags of operations whose results a repetition would not give."""


@lru_cache(maxsize=1024)
def effect(function: Any) -> Effect:
    """Return what an operation does with memory, by its declaration."""
    schema = function._schema
    if any(tag in function.tags for tag in UNREPEATABLE):
        return Effect.UNKNOWN
    is_alias = [value.alias_info is not None for value in schema.returns]
    if any(a.alias_info and a.alias_info.is_write for a in schema.arguments):
        return Effect.CHANGE if all(is_alias) else Effect.UNKNOWN
    if schema.name in ALLOCATIONS:
        return Effect.ALLOCATION
    if not schema.returns or any(is_alias) != all(is_alias):
        return Effect.UNKNOWN
    return Effect.VIEW if any(is_alias) else Effect.NEW


def is_constant(function: Any) -> bool:
    """Return whether an operation makes a tensor of Python's numbers."""
    return function is _aten.lift_fresh.default


class WritingForm(NamedTuple):
    """The form of an operation that writes its results into given tensors."""

    function: Any
    names: tuple[str, ...]  # of the arguments for these tensors


@lru_cache(maxsize=1024)
def writing_form(function: Any) -> WritingForm | None:
    """Return the writing form of an operation; None if it would have to copy.

    It takes tensors in place of numbers, if the operation has no form with numbers.
    """
    wanted = _types(function._schema.arguments)
    forms = [*_writing_forms(function)]
    exact = (form for form, types in forms if types == wanted)
    as_tensors = [(name, kind.replace("number", "Tensor")) for name, kind in wanted]
    similar = (form for form, types in forms if types == as_tensors)
    return next(exact, None) or next(similar, None)


def _writing_forms(
    function: Any,
) -> Iterator[tuple[WritingForm, list[tuple[str, str]]]]:
    """Yield native forms that write as many results, with the types of the rest."""
    packet = function.overloadpacket
    for name in packet.overloads():
        form = getattr(packet, name)
        arguments = form._schema.arguments
        targets = tuple(a.name for a in arguments if a.is_out)
        is_native = _TAG.generated not in form.tags
        if is_native and len(targets) == len(function._schema.returns):
            rest = [a for a in arguments if not a.is_out]
            yield WritingForm(form, targets), _types(rest)


def _types(arguments: Iterable[Any]) -> list[tuple[str, str]]:
    return [(a.name, str(a.type)) for a in arguments]


def as_arguments(
    function: Any, values: tuple[Any, ...], result: Tensor
) -> tuple[Any, ...]:
    """Return positional arguments, numbers as tensors where these are declared.

    A number is converted to the type of the result, as torch does: it never changes
    that type.
    """
    declared = function._schema.arguments
    return tuple(
        torch.tensor(value, device="cpu", dtype=result.dtype)
        if isinstance(value, int | float) and str(argument.type) == "Tensor"
        else value
        for argument, value in zip(declared, values, strict=False)
    )


def changed(
    function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> list[Any]:
    """Return the arguments that an operation changes."""
    declared = [a.name for a in function._schema.arguments]
    written = {
        a.name
        for a in function._schema.arguments
        if a.alias_info and a.alias_info.is_write
    }
    named = dict(zip(declared, arguments, strict=False)) | keywords
    return [value for name, value in named.items() if name in written]


def call(function: Any) -> Any:
    """Return what calls an operation with the least overhead."""
    return function._op


BFLOAT16_TESTS = "_is_amx_tile_supported", "_is_avx512_bf16_supported"
"""Functions of ``torch.cpu`` by which processors multiply bfloat16 faster."""


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for products of bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tests = (getattr(torch.cpu, name, None) for name in BFLOAT16_TESTS)
    return device.type == "cpu" and any(test() for test in tests if test is not None)


MT_WORDS = 624
"""Words of the state of torch's generator, the Mersenne Twister."""


def set_generator_state(generator: torch.Generator, state: torch.Tensor) -> None:
    """Set the state of a CPU generator, checked.

    torch compares neither the place in the state with the words that are left, beyond
    which it would read, nor takes a view of another tensor.

    Parameters
    ----------
    generator : torch.Generator
    state : Tensor of shape (n_bytes,), uint8

    Raises
    ------
    ValueError
        If it is not the state of such a generator.
    """
    left = int(state[8:12].clone().view(torch.int32))
    place = int(state[16:24].clone().view(torch.int64))
    is_new = (left, place) == (1, 0)
    if not is_new and (not 1 <= left <= MT_WORDS or left + place != MT_WORDS + 1):
        raise ValueError(f"{left} words are left at place {place}")
    try:
        generator.set_state(state.clone())
    except RuntimeError as error:
        raise ValueError(str(error)) from error

"""One model that several processes train together, each with a share of the batches.

The processes are the ranks of ``torch.distributed``. All make the same draws. Encoder,
decoder and likelihood compute a rank's share of the rows of a batch, and what they
return is gathered; all else, such as penalties and discriminators, every rank computes
from all rows. Objectives therefore need no knowledge of ranks, and a step equals that
of a single process, to rounding.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from ._dense import Weights
from ._devices import TORCHRUN, is_torchrun, resolve_device

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)
"""How long a rank waits for the others."""

LOST = (
    "Rank {rank} of {size} lost the others ({error}). One of these processes ended, or "
    "failed with an error of its own, which is in its output. Start the program again; "
    "with skfactorvae.checkpoints, the fit goes on from its last checkpoint."
)
"""Error of the ranks that another one leaves."""

_numbers = itertools.count()


@dataclass(frozen=True)
class Ranks:
    """The processes that train a model together; by default, this one alone.

    Every method must be called by all ranks, in the same order.

    Parameters
    ----------
    rank : int
        Number of this process, from zero.
    size : int
        Number of processes, R.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process prints, warns, and writes checkpoints."""
        return self.rank == 0

    def weights(self, weights: Weights) -> Weights:
        """Return weights to compute a share with; their gradients are summed."""
        trained = {k: w for k, w in weights.items() if w.requires_grad}
        if self.size == 1 or not trained:
            return weights
        own = _Weights.apply(self, *trained.values())
        return {**weights, **dict(zip(trained, own, strict=True))}

    def share(self, rows: Tensor) -> Tensor:
        """Return this rank's share of the rows, (K, b, ...) of (K, B, ...)."""
        return rows if self.size == 1 else _Share.apply(self, rows)

    def gather(self, own: Tensor, n_rows: int) -> Tensor:
        """Return the rows of all ranks, (K, B, ...), given their shares and B."""
        return own if self.size == 1 else _Gathered.apply(self, own, n_rows)

    def slice(self, n_rows: int) -> slice:
        """Return which of the rows of a batch are this rank's."""
        first, last = (n_rows * (self.rank + i) // self.size for i in (0, 1))
        return slice(first, last)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over ranks, in place."""
        try:
            distributed.all_reduce(tensor)
        except RuntimeError as error:
            self._fail(error)
        return tensor

    def first(self, value: T) -> T:
        """Return the value of the first rank, which is sent to all."""
        if self.size == 1:
            return value
        values = [value]  # replaced by that of the first rank
        try:
            distributed.broadcast_object_list(values, src=0)
        except RuntimeError as error:
            self._fail(error)
        return values[0]

    def all(self, value: T) -> list[T]:
        """Return the values of all ranks, (R,)."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        try:
            distributed.all_gather_object(values, value)
        except RuntimeError as error:
            self._fail(error)
        return values

    def align(self, tensors: Iterable[Tensor]) -> None:
        """Copy the tensors of the first rank to those of the others.

        Processors of several kinds round differently, and differences would grow.
        """
        if self.size == 1:
            return
        try:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)
        except RuntimeError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        reason = str(error).splitlines()[0]
        message = LOST.format(rank=self.rank, size=self.size, error=reason)
        raise RuntimeError(message) from error


ALONE = Ranks()

_current: ContextVar[Ranks] = ContextVar("skfactorvae_ranks", default=ALONE)


def current_ranks() -> Ranks:
    """Return the processes that train the present fit."""
    return _current.get()


@contextmanager
def joined_ranks(device: str | Sequence[str]) -> Iterator[Ranks]:
    """Train fits in the block together with the other processes of ``torchrun``.

    The process group is made here, unless there is one, and destroyed at the end.

    Parameters
    ----------
    device : str or sequence of str
        Parameter of an estimator. Of any other than "torchrun", the block is trained by
        this process alone.

    Yields
    ------
    ranks : Ranks
    """
    if not is_torchrun(device):
        yield ALONE
        return
    is_own, hook = not distributed.is_initialized(), sys.excepthook
    if is_own:
        _begin(resolve_device(TORCHRUN))
    ranks = Ranks(distributed.get_rank(), distributed.get_world_size())
    token = _current.set(ranks)
    try:
        yield ranks
    finally:
        _current.reset(token)
        if is_own:
            distributed.destroy_process_group()
            sys.excepthook = hook  # which torch changes with each group


def _begin(device: torch.device) -> None:
    """Make the process group, by the environment that torchrun sets."""
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    try:
        address = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
        store = _store(*address, rank, size)
        own = distributed.PrefixStore(f"skfactorvae/{next(_numbers)}", store)
        distributed.init_process_group(
            backend, store=own, rank=rank, world_size=size, timeout=TIMEOUT
        )
    except RuntimeError as error:
        Ranks(rank, size)._fail(error)


@cache
def _store(address: str | None, port: str | None, rank: int, size: int) -> Any:
    """Return where ranks publish their addresses, for all groups of this process.

    Of one that ends with its group, a rank could reach that of the group before.
    """
    store, *_ = next(distributed.rendezvous("env://", rank, size))
    return store


# -------------------------------------------------------------- with derivatives
class _Weights(torch.autograd.Function):
    """Weights as they are; their gradients are summed over ranks, all at once."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.ranks = ranks
        ctx.set_materialize_grads(False)
        return tuple(weight.view_as(weight) for weight in weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        given = [gradient for gradient in gradients if gradient is not None]
        flat = ctx.ranks.sum(torch.cat([gradient.flatten() for gradient in given]))
        parts = iter(flat.split([gradient.numel() for gradient in given]))
        return (None, *(g if g is None else next(parts).view_as(g) for g in gradients))


class _Share(torch.autograd.Function):
    """One rank's rows of all; the gradients of all are gathered."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, rows: Tensor) -> Tensor:
        ctx.ranks, ctx.n_rows = ranks, rows.shape[1]
        return rows[:, ranks.slice(ctx.n_rows)].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, _joined(ctx.ranks, gradient, ctx.n_rows)


class _Gathered(torch.autograd.Function):
    """The rows of all ranks; every rank has the same gradient, and takes its own."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, own: Tensor, n_rows: int) -> Tensor:
        ctx.ranks, ctx.n_rows = ranks, n_rows
        return _joined(ranks, own, n_rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        return None, gradient[:, ctx.ranks.slice(ctx.n_rows)].contiguous(), None


def _joined(ranks: Ranks, own: Tensor, n_rows: int) -> Tensor:
    """Return the rows of all ranks; a sum, in which those of others are zero."""
    rows = own.new_zeros((own.shape[0], n_rows, *own.shape[2:]))
    rows[:, ranks.slice(n_rows)] = own
    return ranks.sum(rows)

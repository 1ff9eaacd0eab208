"""Randomness and devices: every draw comes from a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CHUNK = 32
"""Steps drawn at once. Fixed, so that a model's draws never depend on its stack."""

STREAMS = ("network", "adversary", "rows", "noise", "order", "labels", "row_noise")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute as if nobody had switched gradients off, or mixed precision on."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@dataclass(frozen=True)
class Streams:
    """The independent generators of one model, one for each use.

    Separate streams make a fit with an idle adversary equal the fit without one.
    """

    network: torch.Generator
    adversary: torch.Generator
    rows: torch.Generator
    noise: torch.Generator
    order: torch.Generator
    labels: torch.Generator
    row_noise: torch.Generator

    @classmethod
    def from_seed(cls, seed: int) -> Streams:
        """Derive every stream from one integer."""
        states = np.random.SeedSequence(seed).generate_state(len(STREAMS), np.uint64)
        return cls(*(torch.Generator().manual_seed(int(s) >> 1) for s in states))


@dataclass(frozen=True)
class Draws:
    """The random numbers of one step of a stack."""

    rows: Tensor  # (K, 2, B) row numbers of two independent batches
    noise: Tensor  # (K, 2, B, d) standard normal
    aside: Tensor  # (K, B, a) standard normal, beside the latents
    order: Tensor  # (K, B, d) a permutation of the batch for each latent
    labelled: Tensor  # (K, m, B) numbers of rows labelled in each attribute
    label_noise: Tensor  # (K, m, B, d) standard normal
    row_noise: Tensor  # (K, 2, B, q) standard normal, for q features


def draw_steps(
    streams: Sequence[Streams],
    cdfs: Sequence[Tensor],
    offsets: Sequence[int],
    widths: Sequence[int],
    batch_size: int,
    *,
    n_aside: int = 0,
    label_cdfs: Sequence[Sequence[Tensor]] = (),
    n_disturbed: int = 0,
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[Draws]:
    """Yield the draws of each step, without end.

    Each model draws from its own streams, with its own width, in chunks of fixed
    length. What it sees is therefore the same alone and in a stack. Draws are made on
    the CPU, so that every device trains on the same batches.

    Parameters
    ----------
    streams : sequence of K Streams
        Generators of each model.
    cdfs : sequence of K tensors of shape (n_k,)
        Cumulative probability of each model's rows, float64.
    offsets : sequence of K ints
        First row of each model's table in the stack's table.
    widths : sequence of K ints
        Latents of each model; narrower models are padded with zeros.
    batch_size : int
        Rows of a batch, B.
    n_aside : int, default=0
        Normal numbers of a row beside those of its latents, a.
    label_cdfs : sequence of K sequences of m tensors of shape (n_k,)
        For each attribute, cumulative probability of the rows that have its label.
    n_disturbed : int, default=0
        Features that get noise, q. It is drawn step by step: a chunk would be large.
    device, dtype : torch.device, torch.dtype
        Where the draws are wanted, and the type of the noise.
    """
    width = max(widths)
    label_cdfs = label_cdfs or [()] * len(streams)
    while True:
        rows = [
            draw_rows(s.rows, cdf, (CHUNK, 2, batch_size)) + offset
            for s, cdf, offset in zip(streams, cdfs, offsets, strict=True)
        ]
        noise = [
            _widen(_normal(s.noise, (CHUNK, 2, batch_size, d), dtype), width)
            for s, d in zip(streams, widths, strict=True)
        ]
        aside = [_normal(s.noise, (CHUNK, batch_size, n_aside), dtype) for s in streams]
        order = [
            _widen(_orders(s.order, (CHUNK, batch_size, d)), width)
            for s, d in zip(streams, widths, strict=True)
        ]
        labelled = [
            _labelled_rows(s.labels, own, batch_size) + offset
            for s, own, offset in zip(streams, label_cdfs, offsets, strict=True)
        ]
        label_noise = [
            _widen(_normal(s.labels, (CHUNK, len(own), batch_size, d), dtype), width)
            for s, own, d in zip(streams, label_cdfs, widths, strict=True)
        ]
        parts = (rows, noise, aside, order, labelled, label_noise)
        chunk = [torch.stack(part).to(device) for part in parts]
        shape = (2, batch_size, n_disturbed)
        for t in range(CHUNK):
            row_noise = [_normal(s.row_noise, shape, dtype) for s in streams]
            step = [*(part[:, t] for part in chunk), torch.stack(row_noise).to(device)]
            yield Draws(*step)


def draw_rows(
    generator: torch.Generator, cdf: Tensor, shape: tuple[int, ...]
) -> Tensor:
    """Draw row numbers from a weighted empirical distribution, by inverse CDF."""
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
    return torch.searchsorted(cdf, u, right=True).clamp_(max=len(cdf) - 1)


def _labelled_rows(
    generator: torch.Generator, cdfs: Sequence[Tensor], batch_size: int
) -> Tensor:
    """Draw a batch of rows for each attribute, (CHUNK, m, B)."""
    rows = [draw_rows(generator, cdf, (CHUNK, batch_size)) for cdf in cdfs]
    none = torch.zeros((CHUNK, 0, batch_size), dtype=torch.int64, device="cpu")
    return torch.stack(rows, dim=1) if rows else none


def resolve_device(name: str, *, fall_back: bool = False) -> torch.device:
    """Turn ``"auto"`` into the best device there is.

    Parameters
    ----------
    name : str
        ``"auto"``, or a torch device name.
    fall_back : bool, default=False
        Whether to take the CPU where the named device is missing.

    Raises
    ------
    ValueError
        If the name is not that of a device, or, without ``fall_back``, if this machine
        has no such device.
    """
    if name == "auto":
        name = next((d for d in ("cuda", "mps") if _is_available(d)), "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(
            f"device={name!r} is not a device name. Use 'auto', 'cpu', 'cuda', "
            "'cuda:0', 'mps', ..."
        ) from error
    if fall_back and not _is_available(device.type):
        return torch.device("cpu")
    if not _is_available(device.type):
        raise ValueError(
            f"device={name!r} was asked for, but torch finds no such device on this "
            "machine. Use device='auto' to take the best one there is."
        )
    return device


def _is_available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu"


def _normal(
    generator: torch.Generator, shape: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    draws = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
    return draws.to(dtype)


def _orders(generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    draws = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
    return draws.argsort(dim=-2)


def _widen(part: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(part, (0, width - part.shape[-1]))

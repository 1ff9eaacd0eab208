"""Random draws of a training step, each kind from a stream of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._compat import set_generator_state
from ._pairs import PairTable
from ._tables import Reader, rows_of

CHUNK = 32
"""Steps drawn at once. Fixed, so that a model's draws never depend on its stack."""

MIN_PATTERNS, MAX_PATTERNS = 16, 32
"""Patterns of hidden values of a batch, where rows share them."""

N_BLOCKS = 32
"""Blocks of consecutive rows from which the rows of a few steps are drawn, where rows
cannot be read one by one."""


@dataclass(frozen=True)
class Streams:
    """The independent generators of one model, one for each use.

    Because streams are separate, a fit whose adversary has weight zero equals the fit
    without an adversary, bit for bit.
    """

    network: torch.Generator
    adversary: torch.Generator
    rows: torch.Generator
    noise: torch.Generator
    order: torch.Generator
    labels: torch.Generator
    input_noise: torch.Generator
    hiding: torch.Generator
    pairs: torch.Generator

    @classmethod
    def from_seed(cls, seed: int) -> Streams:
        """Derive all streams from one integer."""
        n_streams = len(fields(cls))
        states = np.random.SeedSequence(seed).generate_state(n_streams, np.uint64)
        return cls(*(torch.Generator().manual_seed(int(s) >> 1) for s in states))

    @property
    def state(self) -> Tensor:
        """States of all generators, uint8 of shape (n_streams, n_bytes)."""
        generators = [getattr(self, f.name) for f in fields(self)]
        return torch.stack([generator.get_state() for generator in generators])

    def restore(self, state: Tensor) -> None:
        """Set the states of all generators.

        Raises
        ------
        ValueError
            If they are not states of such generators.
        """
        for f, own in zip(fields(self), state, strict=True):
            set_generator_state(getattr(self, f.name), own)


class Draws(NamedTuple):
    """The random numbers of one step of a stack, for b batches.

    Two batches are independent. Where rows have partners, those of the first batch are
    a third one.
    """

    rows: Tensor  # (K, b, B) row numbers
    noise: Tensor  # (K, b, B, d) standard normal
    auxiliary_noise: Tensor  # (K, B, a) standard normal, beside that of the latents
    order: Tensor  # (K, B, d) a permutation of the batch for each latent
    labelled: Tensor  # (K, m, B) numbers of rows whose label of an attribute is known
    label_noise: Tensor  # (K, m, B, d) standard normal
    input_noise: Tensor  # (K, b, B, q) standard normal, for q features
    hiding: Tensor  # (K, m, q + 1) uniform, for q features in each of m patterns
    values: Tensor  # (K, 2 B + m B, p) rows that are not in memory; else (K, 0, p)

    def drawn_from(self, table: Tensor) -> Tensor:
        """Return the rows of both batches, (K, 2, B, p), of a table (N, p) or read."""
        if not self.values.shape[1]:
            return rows_of(table, self.rows)
        n_drawn = self.rows[0].numel()
        return self.values[:, :n_drawn].unflatten(1, self.rows.shape[1:])

    def labelled_from(self, table: Tensor) -> Tensor:
        """Return the rows that have labels, (K, m, B, p), in the same way."""
        if not self.values.shape[1]:
            return rows_of(table, self.labelled)
        n_drawn = self.rows[0].numel()
        return self.values[:, n_drawn:].unflatten(1, self.labelled.shape[1:])


def draw_steps(
    streams: Sequence[Streams],
    cdfs: Sequence[Tensor],
    offsets: Sequence[int],
    widths: Sequence[int],
    batch_size: int,
    *,
    n_pass_steps: int = 0,
    n_auxiliary: int = 0,
    label_cdfs: Sequence[Sequence[Tensor]] = (),
    pair_tables: Sequence[PairTable] = (),
    n_noisy_features: int = 0,
    n_hidden_features: int = 0,
    reader: Reader | None = None,
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[Draws]:
    """Yield the draws of each step, without end.

    Each model draws from its own streams, with its own number of latents, in chunks of
    fixed length. Its draws are therefore the same alone and in a stack. Draws are made
    on the CPU, so that every device trains on the same batches.

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
    n_pass_steps : int, default=0
        Steps, the first ones, whose batches pass over the rows once, each row as often
        as its probability requires. Later rows are drawn with replacement.
    n_auxiliary : int, default=0
        Normal numbers of a row beside those of its latents, a.
    label_cdfs : sequence of K sequences of m tensors of shape (n_k,)
        For each attribute, cumulative probability of the rows that have its label.
    pair_tables : sequence of K PairTable
        Partners of each model's rows; empty where rows have none.
    n_noisy_features : int, default=0
        Features that receive input noise, q. This noise is drawn step by step, since a
        chunk of it would be large.
    n_hidden_features : int, default=0
        Features whose values can be hidden, q; also drawn step by step.
    reader : Reader or None, default=None
        Reads the rows that are drawn, where they are not in memory.
    device, dtype : torch.device, torch.dtype
        Where the draws are moved to, and the type of the noise.
    """
    width = max(widths)
    label_cdfs = label_cdfs or [()] * len(streams)
    reader = reader or Reader.of_memory(len(streams))
    tables = list(zip(cdfs, reader.block_rows, strict=True))
    pairings: Sequence[PairTable | None] = pair_tables or [None] * len(streams)
    models = list(zip(streams, tables, offsets, widths, label_cdfs, strict=True))
    n_batches = 3 if pair_tables else 2
    n_together = reader.steps_at_once(n_batches * batch_size)
    input_shape = (n_batches, batch_size, n_noisy_features)
    n_hiding = n_hidden_features + 1 if n_hidden_features else 0
    hiding_shape = (n_patterns(batch_size), n_hiding)
    passes = [
        pass_rows(stream.rows, cdf, (n_pass_steps, 2, batch_size)) + offset
        for stream, (cdf, _), offset, *_ in models
    ]
    for first in itertools.count(0, CHUNK):
        drawn = [
            _draw_chunk(
                *model, pairs, n_together, width, batch_size, n_auxiliary, dtype
            )
            for model, pairs in zip(models, pairings, strict=True)
        ]
        for (rows, *_), own in zip(drawn, passes, strict=True):
            rows[: len(own) - first, :2] = own[first : first + CHUNK]
        stacked = [torch.stack(part) for part in zip(*drawn, strict=True)]
        rows, labelled = (stacked[i].flatten(2) for i in (0, 4))  # (K, CHUNK, .)
        read = reader.ahead(torch.cat([rows, labelled], dim=-1), n_together)
        chunk = [part.to(device) for part in stacked]
        for t in range(CHUNK):
            noises = [_normal(s.input_noise, input_shape, dtype) for s in streams]
            input_noise = torch.stack(noises).to(device)
            hidings = [_uniform(s.hiding, hiding_shape, dtype) for s in streams]
            hiding = torch.stack(hidings).to(device)
            values = next(read).to(device)
            parts = (part[:, t] for part in chunk)
            yield Draws._make([*parts, input_noise, hiding, values])


def n_patterns(batch_size: int) -> int:
    """Return how many patterns of hidden values a batch has; it divides its size.

    A pattern for each row would take a tenth of the time of a step to draw.
    """
    few = (m for m in range(MIN_PATTERNS, MAX_PATTERNS + 1) if not batch_size % m)
    return max(few, default=batch_size)


def _draw_chunk(
    streams: Streams,
    table: tuple[Tensor, int | None],
    offset: int,
    d: int,
    label_cdfs: Sequence[Tensor],
    pairs: PairTable | None,
    n_together: int,
    width: int,
    batch_size: int,
    n_auxiliary: int,
    dtype: torch.dtype,
) -> tuple[Tensor, ...]:
    """Return one model's draws of CHUNK steps: ``Draws`` but the last three fields.

    Latents are padded with zeros from ``d`` to ``width``.
    """
    cdf, block_rows = table
    shape = (CHUNK, 2, batch_size)
    if block_rows is None:
        rows = draw_rows(streams.rows, cdf, shape)
    else:
        rows = draw_blocks(streams.rows, cdf, block_rows, shape, n_together)
    noise = _normal(streams.noise, (CHUNK, 2, batch_size, d), dtype)
    if pairs is not None:
        partners = pairs.draw(streams.pairs, rows[:, :1])
        own = _normal(streams.pairs, (CHUNK, 1, batch_size, d), dtype)
        rows, noise = torch.cat([rows, partners], 1), torch.cat([noise, own], 1)
    auxiliary_noise = _normal(streams.noise, (CHUNK, batch_size, n_auxiliary), dtype)
    order = _permutations(streams.order, (CHUNK, batch_size, d))
    labelled = _labelled_rows(streams.labels, label_cdfs, batch_size) + offset
    label_shape = (CHUNK, len(label_cdfs), batch_size, d)
    label_noise = _normal(streams.labels, label_shape, dtype)
    return (
        rows + offset,
        _pad(noise, width),
        auxiliary_noise,
        _pad(order, width),
        labelled,
        _pad(label_noise, width),
    )


def draw_rows(
    generator: torch.Generator, cdf: Tensor, shape: tuple[int, ...]
) -> Tensor:
    """Draw row numbers from a weighted empirical distribution, by inverse CDF."""
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
    return torch.searchsorted(cdf, u, right=True).clamp_(max=len(cdf) - 1)


def draw_blocks(
    generator: torch.Generator,
    cdf: Tensor,
    block_rows: int,
    shape: tuple[int, int, int],
    n_together: int,
) -> Tensor:
    """Draw row numbers from a few blocks of consecutive rows at a time.

    Blocks are drawn in proportion to the sums of their weights, and rows of a block to
    their weights, so that each row has the same probability as by :func:`draw_rows`.

    Parameters
    ----------
    generator : torch.Generator
    cdf : Tensor of shape (n,)
        Cumulative probability of the rows, float64.
    block_rows : int
        Rows of a block.
    shape : tuple (steps, 2, B)
        Shape of the result.
    n_together : int
        Steps that are drawn from the same 32 blocks.

    Returns
    -------
    Tensor of shape (steps, 2, B)
    """
    n_pools = -(-shape[0] // n_together)
    blocks = draw_rows(generator, cdf, (n_pools, N_BLOCKS)) // block_rows
    chosen = torch.randint(
        N_BLOCKS, (n_pools, n_together, *shape[1:]), generator=generator, device="cpu"
    )
    own = blocks.gather(1, chosen.flatten(1)).flatten()
    first = own * block_rows
    last = (first + block_rows).clamp_(max=len(cdf)) - 1
    low = torch.where(first > 0, cdf[(first - 1).clamp_(min=0)], 0.0)
    u = torch.rand(len(own), generator=generator, dtype=torch.float64, device="cpu")
    rows = torch.searchsorted(cdf, low + u * (cdf[last] - low), right=True)
    rows = torch.minimum(torch.maximum(rows, first), last)
    return rows.view(-1, *shape[1:])[: shape[0]]


def pass_rows(
    generator: torch.Generator, cdf: Tensor, shape: tuple[int, int, int]
) -> Tensor:
    """Draw row numbers that pass over the rows, for each batch of a step.

    Each row has its share of all draws, rounded up or down: the distribution function
    is inverted at one random number in each of equal intervals, in random order.

    Parameters
    ----------
    generator : torch.Generator
    cdf : Tensor of shape (n,)
        Cumulative probability of the rows, float64.
    shape : tuple (n_steps, n_batches, batch_size)
    """
    n_steps, n_batches, batch_size = shape
    n = n_steps * batch_size
    drawn = []
    for _ in range(n_batches):
        order = torch.randperm(n, generator=generator, device="cpu")
        u = torch.rand(n, generator=generator, dtype=torch.float64, device="cpu")
        rows = torch.searchsorted(cdf, (order + u) / max(n, 1), right=True)
        drawn.append(rows.clamp_(max=len(cdf) - 1).reshape(n_steps, batch_size))
    return torch.stack(drawn, dim=1)


def _labelled_rows(
    generator: torch.Generator, cdfs: Sequence[Tensor], batch_size: int
) -> Tensor:
    """Draw a batch of rows for each attribute, (CHUNK, m, B)."""
    rows = [draw_rows(generator, cdf, (CHUNK, batch_size)) for cdf in cdfs]
    none = torch.zeros((CHUNK, 0, batch_size), dtype=torch.int64, device="cpu")
    return torch.stack(rows, dim=1) if rows else none


def _normal(
    generator: torch.Generator, shape: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    draws = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
    return draws.to(dtype)


def _uniform(
    generator: torch.Generator, shape: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    draws = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
    return draws.to(dtype)


def _permutations(generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    draws = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
    return draws.argsort(dim=-2)


def _pad(part: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(part, (0, width - part.shape[-1]))

"""Likelihoods of columns of several types in numpy.

Rows are standardised: a feature is ``(t - offset) / step`` for its target t.

Axes: ``n`` rows, ``w`` features of a block of columns of one likelihood, ``c`` columns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._functions import lgamma, log_sigmoid, sigmoid, softmax, softplus

MAX_LOGIT, MAX_LOG_RATE = 40.0, 15.0
"""Bounds of logits, and of the logarithms of rates relative to the mean rate."""

TINY = 1e-5
"""Probability of a level, at least."""

FAR = 1e4
"""Threshold that no output reaches."""

RATE = 10.0
"""Factor between weights and the scales, thresholds or dispersions that they give."""

MIN_SCALE, MIN_FREEDOM, LEAST_GAP = 0.01, 2.1, 1e-3
ORDINAL_GAIN = math.pi / math.sqrt(3)
LOG_SIZES = -5.0, 10.0


@dataclass(frozen=True)
class StudentT:
    """Heavy-tailed noise around the decoder's output."""

    scale: np.ndarray
    freedom: np.ndarray

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        return output

    def terms(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z) of each feature, nats, (n, w)."""
        df = self.freedom
        constant = lgamma(df / 2) - lgamma((df + 1) / 2) + 0.5 * np.log(df * math.pi)
        squares = np.square((x - output) / self.scale)
        return constant + np.log(self.scale) + 0.5 * (df + 1) * np.log1p(squares / df)


@dataclass(frozen=True)
class Normal:
    """Normal noise around the decoder's output."""

    scale: np.ndarray

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        return output

    def terms(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z) of each feature, nats, (n, w)."""
        constant = np.log(self.scale) + 0.5 * math.log(2 * math.pi)
        return 0.5 * np.square((x - output) / self.scale) + constant


@dataclass(frozen=True)
class Standardised:
    """A likelihood of targets that rows hold in standardised units."""

    offset: np.ndarray
    step: np.ndarray

    def targets(self, x: np.ndarray) -> np.ndarray:
        """Return the targets of rows."""
        return self.offset + x * self.step

    def standardised(self, targets: np.ndarray) -> np.ndarray:
        """Return targets in the units of rows."""
        return (targets - self.offset) / self.step


@dataclass(frozen=True)
class Binary(Standardised):
    """Binary features."""

    def _logits(self, output):
        p = np.clip(self.offset, TINY, 1 - TINY)
        logit = np.log(p / (1 - p)) + output / np.sqrt(p * (1 - p))
        return _bounded(logit, MAX_LOGIT)

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        return self.standardised(sigmoid(self._logits(output)))

    def terms(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z) of each feature, nats, (n, w)."""
        logit = self._logits(output)
        return softplus(logit) - self.targets(x) * logit


@dataclass(frozen=True)
class Categorical(Standardised):
    """Columns of levels: each feature is the indicator of a level."""

    sizes: tuple[int, ...]

    def _by_column(self, output):
        p = np.maximum(self.offset, TINY)
        logits = _bounded(np.log(p) + output / np.sqrt(p), MAX_LOGIT)
        return np.split(logits, np.cumsum(self.sizes)[:-1], axis=-1)

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        chances = [softmax(part) for part in self._by_column(output)]
        return self.standardised(np.concatenate(chances, axis=-1))

    def terms(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z) of each column, at its first feature, nats, (n, w)."""
        found = np.where(np.isnan(x), np.nan, 0.0)
        ends = np.cumsum(self.sizes)[:-1]
        targets = np.split(self.targets(x), ends, axis=-1)
        firsts = itertools.accumulate(self.sizes[:-1], initial=0)
        for first, logit, target in zip(
            firsts, self._by_column(output), targets, strict=True
        ):
            normaliser = np.log(np.exp(logit).sum(axis=-1))
            found[..., first] = normaliser - (target * logit).sum(axis=-1)
        return found


@dataclass(frozen=True)
class Ordinal(Standardised):
    """Ordered levels by cumulative logits; ``bounds`` are (w, levels + 1)."""

    bounds: np.ndarray
    sizes: tuple[int, ...]

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        eta = ORDINAL_GAIN * output[..., None]
        exceeded = sigmoid(eta - self.bounds[:, 1:-1]).sum(axis=-1)
        return self.standardised(exceeded)

    def terms(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z) of each feature, nats, (n, w)."""
        level = np.rint(np.nan_to_num(self.targets(x))).astype(int)
        level = np.clip(level, 0, np.array(self.sizes) - 1)
        each = np.arange(len(self.sizes))
        below, above = self.bounds[each, level], self.bounds[each, level + 1]
        eta = ORDINAL_GAIN * output
        log_gap = np.log(-np.expm1(below - above))
        found = -log_sigmoid(above - eta) - log_sigmoid(eta - below) - log_gap
        return np.where(np.isnan(x), np.nan, found)


@dataclass(frozen=True)
class Poisson(Standardised):
    """Counts c whose target is log(1 + c); ``size`` None, or of a negative binomial."""

    log_mean: np.ndarray
    size: np.ndarray | None = None

    def _log_rates(self, output):
        gain = self.step * (1 + np.exp(-self.log_mean))
        return self.log_mean + _bounded(output * gain, MAX_LOG_RATE)

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return log(1 + E[c | z]) for the decoder's output, standardised."""
        return self.standardised(np.log1p(np.exp(self._log_rates(output))))

    def terms(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z) of each feature, nats, (n, w)."""
        counts = np.maximum(np.expm1(self.targets(x)), 0.0)
        log_rate = self._log_rates(output)
        constant = lgamma(np.nan_to_num(counts) + 1)
        if self.size is None:
            return np.exp(log_rate) - counts * log_rate + constant
        log_total = np.log(self.size + np.exp(log_rate))
        return (
            constant
            + lgamma(self.size)
            - lgamma(np.nan_to_num(counts) + self.size)
            - self.size * (np.log(self.size) - log_total)
            - counts * (log_rate - log_total)
        )


Scales = tuple[np.ndarray, np.ndarray]
Arrays = Callable[[str], np.ndarray]
Block = StudentT | Normal | Binary | Categorical | Ordinal | Poisson


@dataclass(frozen=True)
class Columns:
    """Likelihoods of adjacent blocks of features.

    Attributes
    ----------
    blocks : tuple of (Block, slice)
        Likelihoods with their features.
    """

    blocks: tuple[tuple[Block, slice], ...]

    def mean(self, output: np.ndarray) -> np.ndarray:
        """Return E[x | z] for the decoder's output."""
        parts = [block.mean(output[..., own]) for block, own in self.blocks]
        return np.concatenate(parts, axis=-1).astype(output.dtype)

    def nll(self, output: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return -log p(x | z), summed over the features that are not NaN, nats."""
        return sum(
            np.nansum(block.terms(output[..., own], x[..., own]), axis=-1)
            for block, own in self.blocks
        )


def make_columns(parts: Any, weights: Mapping[str, np.ndarray]) -> Columns:
    """Return the likelihood of columns of a description.

    Parameters
    ----------
    parts : list of dict
        Kind, number of features and constants of each block.
    weights : mapping of str to ndarray

    Raises
    ------
    ValueError
        If a kind is not known, or arrays have other shapes.
    """
    widths = [int(part["width"]) for part in parts]
    ends = list(itertools.accumulate(widths))
    return Columns(
        tuple(
            (_make_block(part, width, weights), slice(end - width, end))
            for part, width, end in zip(parts, widths, ends, strict=True)
        )
    )


def _make_block(part: Any, width: int, weights: Mapping[str, np.ndarray]) -> Block:
    kind = part["kind"]

    def array(name: str) -> np.ndarray:
        found = weights[name].astype(np.float64)
        if found.shape[:1] not in ((width,), (1,)):
            raise ValueError(f"a weight {name[:60]!r} of shape {found.shape}")
        return found

    if kind == "gaussian":
        if "name" not in part:
            return Normal(np.full(width, float(part["scale"])))
        raw = part["multiplier"] * array(part["name"])
        return Normal(softplus(raw) + part["minimum"])
    if kind == "student_t":
        scale, freedom = (
            softplus(RATE * array(f"likelihood.student_t.{name}"))
            for name in ("raw_scale", "raw_df")
        )
        return StudentT(scale + MIN_SCALE, freedom + MIN_FREEDOM)
    if kind not in MAKERS:
        raise ValueError(f"the likelihood {str(kind)[:40]!r}")

    def own(name: str) -> np.ndarray:
        return array(f"{part['name']}.{name}")

    return MAKERS[kind](part, (own("offset"), own("step")), own)


def _categorical(part: Any, scales: Scales, array: Arrays) -> Block:
    sizes = tuple(part["sizes"])
    if sum(sizes) != len(scales[0]):
        raise ValueError(f"levels of {len(sizes)} columns that are not its features")
    return Categorical(*scales, sizes)


def _ordinal(part: Any, scales: Scales, array: Arrays) -> Block:
    raw, sizes = RATE * array("thresholds"), np.array(part["sizes"])
    if len(sizes) != len(raw) or raw.shape[1] != max(1, sizes.max() - 1):
        raise ValueError(f"thresholds of shape {raw.shape}")
    steps = np.hstack([raw[:, :1], softplus(raw[:, 1:]) + LEAST_GAP])
    inner = np.cumsum(steps, axis=1)
    number = np.arange(1, inner.shape[1] + 1)
    inner = np.where(number >= sizes[:, None], FAR, inner)
    far = np.full((len(inner), 1), FAR)
    return Ordinal(*scales, np.hstack([-far, inner, far]), tuple(part["sizes"]))


def _negative_binomial(part: Any, scales: Scales, array: Arrays) -> Block:
    size = np.exp(np.clip(RATE * array("log_size"), *LOG_SIZES))
    return Poisson(*scales, array("log_mean"), size)


def _binary(part: Any, scales: Scales, array: Arrays) -> Block:
    return Binary(*scales)


def _poisson(part: Any, scales: Scales, array: Arrays) -> Block:
    return Poisson(*scales, array("log_mean"))


MAKERS: dict[str, Callable[..., Block]] = {
    "binary": _binary,
    "categorical": _categorical,
    "ordinal": _ordinal,
    "poisson": _poisson,
    "negative_binomial": _negative_binomial,
}
"""Blocks of targets, by the kind of their description."""


def _bounded(values: np.ndarray, bound: float) -> np.ndarray:
    return bound * np.tanh(values / bound)

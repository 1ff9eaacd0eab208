"""What every maker shares: parameter rules, factors, noise and the way out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_array, gen_batches

ROWS_AT_ONCE = 64  # bounds the temporaries of a render or a noise draw


@dataclass(frozen=True)
class Rule:
    """The interval a numeric parameter must lie in, and what to do when it does not."""

    kind: type
    low: float
    high: float
    advice: str

    def check(self, name: str, value: Any) -> None:
        """Raise TypeError or ValueError unless `value` obeys the rule."""
        noun = "an integer" if self.kind is Integral else "a number"
        bound = (
            f">= {self.low}"
            if self.high == math.inf
            else f"in [{self.low}, {self.high}]"
        )
        expected = f"{name} must be {noun} {bound}"
        of_kind = isinstance(value, self.kind) and not isinstance(value, bool)
        if not of_kind:
            got = f"{value!r} of type {type(value).__name__}"
            raise TypeError(f"{expected}; got {got}. {self.advice}")
        if not self.low <= value <= self.high or value == math.inf:
            raise ValueError(f"{expected}; got {value!r}. {self.advice}")


RULES = {
    "n_samples": Rule(
        Integral, 1, math.inf, "Pass the number of rows to draw, such as 1000."
    ),
    "n_features": Rule(
        Integral, 2, math.inf, "Pass the number of columns of X, such as 50."
    ),
    "noise": Rule(
        Real, 0, math.inf, "Pass 0 for a table that is a function of its factors."
    ),
    "t_max": Rule(Real, 1e-6, math.inf, "Pass the last observed time, such as 5.0."),
    "initial_width": Rule(
        Real, 1e-6, 1.0, "Pass a standard deviation in lengths of the rod."
    ),
    "missing_rate": Rule(
        Real, 0.0, 1.0, "Pass the share of entries to replace by NaN, or 0 for none."
    ),
    "image_size": Rule(
        Integral, 8, math.inf, "Pass the height and width in pixels, such as 64."
    ),
    "antialias": Rule(
        Real, 0, math.inf, "Pass the width of the edges in pixels, or 0 for hard ones."
    ),
    "n_squares": Rule(
        Integral, 1, math.inf, "Pass the number of squares and channels, such as 3."
    ),
    "square_size": Rule(Integral, 1, math.inf, "Pass the side of a square in pixels."),
    "spacing": Rule(Integral, 1, math.inf, "Pass the step of the positions in pixels."),
    "n_sources": Rule(
        Integral, 1, math.inf, "Pass the number of independent sources, such as 4."
    ),
    "n_layers": Rule(
        Integral, 1, math.inf, "Pass 1 for a linear mixing, 2 or more to bend it."
    ),
    "n_segments": Rule(
        Integral, 0, math.inf, "Pass 0 for stationary sources, 2 or more for segments."
    ),
    "slope": Rule(
        Real,
        1e-6,
        1.0,
        "Pass the slope of the negative half; 1 makes every layer linear.",
    ),
}


def check_parameters(**parameters: Any) -> None:
    """Check each named parameter against its entry in `RULES`."""
    for name, value in parameters.items():
        RULES[name].check(name, value)


def check_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raise ValueError unless `value` is one of `options`."""
    if value not in options:
        expected = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {expected}; got {value!r}.")


@dataclass(frozen=True)
class Factor:
    """A ground-truth factor: its column name, its range and its law."""

    name: str
    low: float
    high: float
    draw: Callable[[np.random.RandomState, int], np.ndarray]
    discrete: bool = False


def uniform(name: str, low: float, high: float) -> Factor:
    """Return a factor uniform on [low, high]."""
    return Factor(name, low, high, lambda rng, n: rng.uniform(low, high, n))


def log_uniform(name: str, low: float, high: float) -> Factor:
    """Return a factor whose logarithm is uniform on [log low, log high]."""

    def draw(rng, n):
        logs = rng.uniform(np.log(low), np.log(high), n)
        return np.clip(np.exp(logs), low, high)  # exp(log(low)) may round below low

    return Factor(name, low, high, draw)


def levels(name: str, n_levels: int) -> Factor:
    """Return an integer factor uniform on 0, 1, ..., n_levels - 1."""
    return Factor(
        name, 0, n_levels - 1, lambda rng, n: rng.randint(n_levels, size=n), True
    )


def take_factors(
    spec: Sequence[Factor], factors: Any, n_samples: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the caller's `factors`, checked, or `n_samples` drawn rows of them.

    Shape (n_samples, len(spec)); int64 when every factor is discrete, else float64.
    """
    dtype = np.int64 if all(f.discrete for f in spec) else np.float64
    if factors is None:
        columns = [f.draw(rng, n_samples) for f in spec]
        return np.column_stack(columns).astype(dtype, copy=False)
    return _check_factors(spec, factors).astype(dtype)


def _check_factors(spec: Sequence[Factor], factors: Any) -> np.ndarray:
    values = check_array(factors, dtype=np.float64, input_name="factors")
    names = [f.name for f in spec]
    if values.shape[1] != len(names):
        raise ValueError(
            f"factors must have {len(names)} columns, {names}; got "
            f"{values.shape[1]}. Pass one column per factor, in this order."
        )
    for f, column in zip(spec, values.T, strict=True):
        _check_column(f, column)
    return values


def _check_column(factor: Factor, column: np.ndarray) -> None:
    noun = "integers" if factor.discrete else "values"
    expected = (
        f"factors column {factor.name!r} must hold {noun} "
        f"in [{factor.low}, {factor.high}]"
    )
    if column.min() < factor.low or column.max() > factor.high:
        raise ValueError(
            f"{expected}; got values from {column.min():g} to {column.max():g}. "
            "Clip or rescale the column to this range."
        )
    if factor.discrete and np.any(column != np.round(column)):
        raise ValueError(f"{expected}; got fractions. Round the column to its levels.")


def add_noise(X: np.ndarray, noise: float, rng: np.random.RandomState) -> np.ndarray:
    """Add white noise of standard deviation `noise` to `X`, in place."""
    if noise:
        for rows in gen_batches(len(X), ROWS_AT_ONCE):
            X[rows] += noise * rng.standard_normal(X[rows].shape)
    return X


def deliver(
    X: np.ndarray,
    factors: np.ndarray,
    spec: Sequence[Factor],
    *,
    feature_names: Sequence[str],
    as_frame: bool,
    return_bunch: bool,
    **extras: Any,
) -> Any:
    """Return ``(X, factors)`` or a Bunch of them, as arrays or as DataFrames."""
    feature_names, factor_names = list(feature_names), [f.name for f in spec]
    data, truth = X, factors
    if as_frame:
        data, truth = _frame(X, feature_names), _frame(factors, factor_names)
    if not return_bunch:
        return data, truth
    return Bunch(
        data=data,
        factors=truth,
        feature_names=feature_names,
        factor_names=factor_names,
        factor_ranges=np.array([(f.low, f.high) for f in spec]),  # (n_factors, 2)
        discrete_factors=np.array([f.discrete for f in spec]),  # (n_factors,)
        **extras,
    )


def _frame(values: np.ndarray, names: list[str]) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs pandas, which is not installed. Install it with "
            "`pip install pandas`, or pass as_frame=False for numpy arrays."
        ) from error
    return pd.DataFrame(values, columns=names)


def numbered(prefix: str, n: int) -> list[str]:
    """Return the names prefix0, prefix1, ..., as scikit-learn numbers features."""
    return [f"{prefix}{i}" for i in range(n)]

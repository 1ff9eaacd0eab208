"""Common parts of all makers: parameter rules, factors, noise and output."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_array, gen_batches

from .._pandas import import_pandas

ROWS_AT_ONCE = 64  # bounds the temporary arrays of rendering and noise


@dataclass(frozen=True)
class Rule:
    """The valid interval of a numeric parameter, and advice when it is violated."""

    kind: type
    low: float
    advice: str
    high: float = math.inf
    above: bool = False  # strictly above `low`

    def check(self, name: str, value: Any) -> None:
        """Raise TypeError or ValueError unless `value` obeys the rule."""
        expected = f"{name} must be {self._describe()}"
        of_kind = isinstance(value, self.kind) and not isinstance(value, bool)
        if not of_kind:
            got = f"{value!r} of type {type(value).__name__}"
            raise TypeError(f"{expected}; got {got}. {self.advice}")
        high_enough = value > self.low if self.above else value >= self.low
        if not (high_enough and value <= self.high and value != math.inf):
            raise ValueError(f"{expected}; got {value!r}. {self.advice}")

    def _describe(self) -> str:
        noun = "an integer" if self.kind is Integral else "a number"
        low = f"{'>' if self.above else '>='} {self.low}"
        return f"{noun} {low}" + (
            "" if self.high == math.inf else f" and <= {self.high}"
        )


RULES = {
    "n_samples": Rule(Integral, 1, "Pass the number of samples to draw, such as 1000."),
    "n_features": Rule(Integral, 2, "Pass the number of columns of X, such as 50."),
    "noise": Rule(Real, 0, "Pass 0 for data without measurement noise."),
    "t_max": Rule(Real, 0, "Pass the last observed time, such as 5.0.", above=True),
    "initial_width": Rule(
        Real, 0, "Pass a standard deviation in lengths of the rod.", above=True
    ),
    "n_sources": Rule(
        Integral, 1, "Pass the number of independent sources, such as 4."
    ),
    "n_layers": Rule(
        Integral, 1, "Pass 1 for a linear mixing, 2 or more for a nonlinear one."
    ),
    "n_segments": Rule(
        Integral, 0, "Pass 0 for stationary sources, 2 or more for segments."
    ),
    "slope": Rule(
        Real, 0, "Pass 1 for linear layers, or less for nonlinear ones.", 1, above=True
    ),
    "missing_rate": Rule(
        Real, 0, "Pass the share of entries to replace by NaN, or 0 for none.", 1
    ),
    "image_size": Rule(Integral, 8, "Pass the height and width in pixels, such as 64."),
    "antialias": Rule(
        Real, 0, "Pass the width of the edges in pixels, or 0 for hard ones."
    ),
    "n_squares": Rule(
        Integral, 1, "Pass the number of squares and channels, such as 3."
    ),
    "square_size": Rule(Integral, 1, "Pass the side of a square in pixels."),
    "spacing": Rule(Integral, 1, "Pass the step of the positions in pixels."),
}


def check_parameters(**parameters: Any) -> None:
    """Check each named parameter against its entry in `RULES`."""
    for name, value in parameters.items():
        RULES[name].check(name, value)


def check_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raise ValueError unless `value` is one of `options`."""
    if not (isinstance(value, str) and value in options):
        expected = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {expected}; got {value!r}.")


@dataclass(frozen=True)
class Factor:
    """A generating factor: its column name, its range and its distribution."""

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

    def draw(rng, n):
        return rng.randint(n_levels, size=n, dtype=np.int64)  # as on every platform

    return Factor(name, 0, n_levels - 1, draw, discrete=True)


def take_factors(
    spec: Sequence[Factor], factors: Any, n_samples: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the user's `factors` after validation, or `n_samples` random ones.

    The shape is (n_samples, len(spec)); the dtype is int64 when every factor is
    discrete, else float64. Columns of a data frame are taken by name, if their names
    are text, and those of an array by position.
    """
    dtype = np.int64 if all(f.discrete for f in spec) else np.float64
    if factors is None:
        columns = [f.draw(rng, n_samples) for f in spec]
        return np.column_stack(columns).astype(dtype, copy=False)
    return _check_factors(spec, factors).astype(dtype)


def _check_factors(spec: Sequence[Factor], factors: Any) -> np.ndarray:
    names = [f.name for f in spec]
    factors = _in_order(factors, names)
    values = check_array(factors, dtype=np.float64, input_name="factors")
    if values.shape[1] != len(names):
        raise ValueError(
            f"factors must have {len(names)} columns, {names}; got "
            f"{values.shape[1]}. Pass one column per factor, in this order."
        )
    for f, column in zip(spec, values.T, strict=True):
        _check_column(f, column)
    return values


def _in_order(factors: Any, names: list[str]) -> Any:
    """Return a data frame with its columns in the order of names; others unchanged."""
    given = list(getattr(factors, "columns", ()))
    is_named = given and all(isinstance(name, str) for name in given)
    if not is_named or given == names or len(given) != len(names):
        return factors
    if sorted(given) != sorted(names):
        raise ValueError(
            f"factors must have the columns {names}, in any order; got {given}. "
            "Rename the columns, or pass an array with them in this order."
        )
    return factors[names]


def _check_column(factor: Factor, column: np.ndarray) -> None:
    noun = "integers" if factor.discrete else "values"
    expected = (
        f"factors column {factor.name!r} must hold {noun} "
        f"in [{factor.low}, {factor.high}]"
    )
    # NumPy writes the smallest integer for a NaN that it converts to an integer.
    if np.isnan(column).any() or column.min() == np.iinfo(np.int64).min:
        raise ValueError(
            f"{expected}; got NaN, or NaN converted to integers. Leave out the samples "
            "of unknown factors."
        )
    if column.min() < factor.low or column.max() > factor.high:
        raise ValueError(
            f"{expected}; got values from {column.min():g} to {column.max():g}. "
            "Clip or rescale the column to this range."
        )
    if factor.discrete and np.any(column != np.round(column)):
        raise ValueError(f"{expected}; got fractions. Round the column to its levels.")


def render(
    draw: Callable[[np.ndarray], np.ndarray],
    factors: np.ndarray,
    n_features: int,
    dtype: type,
) -> np.ndarray:
    """Return `draw` of the factors, flattened to shape (n_samples, n_features).

    `draw` maps (m, n_factors) to (m, ...) and gets few samples at a time, so that its
    temporary arrays stay small for any number of samples.
    """
    X: np.ndarray = np.empty((len(factors), n_features), dtype=dtype)
    for rows in gen_batches(len(X), ROWS_AT_ONCE):
        X[rows] = draw(factors[rows]).reshape(-1, n_features)
    return X


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
    feature_names: Iterable[str],
    as_frame: bool,
    return_bunch: bool,
    dtypes: Mapping[str, Any] | None = None,
    **extras: Any,
) -> Any:
    """Return ``(X, factors)`` or a Bunch of them, as arrays or as DataFrames.

    Parameters
    ----------
    dtypes : mapping of str to (str or sequence), or None
        Types of columns of a DataFrame: pandas' name, or the levels whose numbers the
        column holds, of which those that are numbers have an order.
    """
    if not (as_frame or return_bunch):
        return X, factors  # before thousands of pixels are named
    feature_names, factor_names = list(feature_names), [f.name for f in spec]
    data, truth = X, factors
    if as_frame:
        data, truth = _frame(X, feature_names), _frame(factors, factor_names)
        for name, dtype in (dtypes or {}).items():
            data[name] = _typed(data[name], dtype)
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
    pd = import_pandas("as_frame=True", "Or pass as_frame=False for numpy arrays.")
    return pd.DataFrame(values, columns=names)


def _typed(column: Any, dtype: Any) -> Any:
    """Return a column of a DataFrame with another type."""
    import pandas as pd

    if isinstance(dtype, str):
        return column.astype(dtype)
    levels = list(dtype)
    codes = column.fillna(-1).astype(int)
    is_ordered = not isinstance(levels[0], str)
    return pd.Series(pd.Categorical.from_codes(codes, levels, ordered=is_ordered))


def numbered(prefix: str, n: int) -> Iterator[str]:
    """Yield the names prefix0, prefix1, ..., as scikit-learn numbers features."""
    return (f"{prefix}{i}" for i in range(n))

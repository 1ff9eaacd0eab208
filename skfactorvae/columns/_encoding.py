"""One column as features of a model, and features as a column.

Axes: ``n`` samples, ``w`` features of the column.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._inputs import BOOLEAN, CATEGORY, FLOAT, INTEGER, TEXT, TIME, Column
from .._text_arrays import holds_text

LIKELIHOODS = (
    "gaussian",
    "lognormal",
    "student_t",
    "bernoulli",
    "categorical",
    "ordinal",
    "poisson",
    "negative_binomial",
)
"""Likelihoods of a column, in the order of their features."""

CONTINUOUS = ("gaussian", "lognormal", "student_t")
"""Likelihoods that are densities: their score depends on the unit of the column."""

COUNTS = ("poisson", "negative_binomial")

WHOLE = ("bernoulli", *COUNTS)
"""Likelihoods of numbers whose draws are whole."""

MAX_LEVELS = 255
"""Levels of a column, at most; rarer ones are merged."""

IDENTIFIER_SHARE = 0.5
"""Levels per sample from which a column looks like an identifier."""

MIN_IDENTIFIER_LEVELS = 50
"""Levels below which it does not."""

ROUNDING = 1e-9
"""Rounding error of a sum of weights, relative."""


Clip = Callable[[np.ndarray, str], np.ndarray]
"""How numbers of a Bernoulli column, (n,), and its name become values in [0, 1]."""


def to_unit_interval(values: np.ndarray, _name: str) -> np.ndarray:
    """Return values clipped to [0, 1], without a warning."""
    return values.clip(0.0, 1.0)


def _none() -> np.ndarray:
    """Return the levels of a column of numbers."""
    return np.zeros(0, dtype=int)


@dataclass(frozen=True, eq=False)
class ColumnEncoding:
    """How a column becomes features.

    Attributes
    ----------
    name : str
    likelihood : str
        One of :data:`LIKELIHOODS`.
    content : str
        What the column holds: "boolean", "integer", "float", "category" or "text".
    levels : ndarray of shape (n_levels,)
        Levels in order, those of merged ones last; none if the column is of numbers.
    level_of : ndarray of int, same shape
        Number of each level in the model. Merged levels share one.
    zero : float
        What stands for zero in a lognormal column.
    declared : ndarray
        Levels of a categorical type of which the fit has no sample.
    is_empty : bool
        Whether the fit has no value of the column, so that all are missing.
    """

    name: str
    likelihood: str
    content: str
    levels: np.ndarray = field(default_factory=_none)
    level_of: np.ndarray = field(default_factory=_none)
    zero: float = 0.0
    declared: np.ndarray = field(default_factory=_none)
    is_empty: bool = False

    def check(self) -> None:
        """Raise if the attributes are not those of an encoding.

        Raises
        ------
        ValueError
        """
        places = np.unique(self.level_of)
        is_valid = (
            isinstance(self.name, str)
            and self.likelihood in LIKELIHOODS
            and self.content in (BOOLEAN, INTEGER, FLOAT, CATEGORY, TEXT)
            and self.levels.ndim == self.level_of.ndim == 1
            and _are_levels(self.levels)
            and self.level_of.dtype.kind == "i"
            and len(self.levels) == len(self.level_of)
            and np.array_equal(places, np.arange(len(places)))
            and isinstance(self.zero, float)
            and isinstance(self.declared, np.ndarray)
            and isinstance(self.is_empty, bool)
        )
        if not is_valid:
            raise ValueError(f"column {str(self.name)[:40]!r} is not valid")

    @property
    def n_levels(self) -> int:
        """Number of levels of the model; one for numbers."""
        return int(self.level_of.max(initial=0)) + 1

    @property
    def width(self) -> int:
        """Number of features, w."""
        return self.n_levels if self.likelihood == "categorical" else 1

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, such as "mode = eco"."""
        if not len(self.levels) or self.likelihood == "ordinal":
            return [self.name]
        if self.likelihood == "bernoulli":
            is_true = self.content == BOOLEAN
            return [self.name if is_true else f"{self.name} = {self.levels[1]}"]
        return [f"{self.name} = {text}" for text in self._texts()]

    def _texts(self) -> list[str]:
        counts = np.bincount(self.level_of)
        texts = [""] * len(counts)
        for level, feature in zip(self.levels, self.level_of, strict=True):
            n = counts[feature]
            texts[feature] = str(level) if n == 1 else f"one of {n} rare levels"
        return texts

    def encode(
        self, column: Column, handle_unknown: str, clip: Clip = to_unit_interval
    ) -> np.ndarray:
        """Return the features of a column, (n, w), NaN where missing.

        Parameters
        ----------
        column : Column
        handle_unknown : {"error", "missing"}
            What is done with levels that the fit did not see. Those that a categorical
            type declares are missing in any case.
        clip : callable (values, name) -> ndarray, default=no warning
            What is done with numbers of a Bernoulli column.

        Raises
        ------
        ValueError
            If values cannot be encoded; the message names the column.
        """
        if self.is_empty:
            return self._encode_empty(column, handle_unknown)
        if len(self.levels):
            return self._encode_levels(column, handle_unknown)
        values = numbers_of(column, self.name, self.likelihood, UNLIKE_THE_FIT)
        if self.likelihood == "lognormal":
            check_not_negative(values, self.name, self.likelihood, UNLIKE_THE_FIT)
            values = np.log(np.where(values == 0, self.zero, values))
        if self.likelihood == "bernoulli":
            values = clip(values, self.name)
        if self.likelihood in COUNTS:  # expectations are not whole numbers
            check_not_negative(values, self.name, self.likelihood, UNLIKE_THE_FIT)
            values = np.log1p(values)
        return values[:, None]

    def _encode_empty(self, column: Column, handle_unknown: str) -> np.ndarray:
        """Return a column of which the fit has no value, (n, 1): numbers, or NaN."""
        self._check_no_times(column)
        if column.content in (BOOLEAN, INTEGER, FLOAT):  # are standardised to NaN
            return numbers_of(column, self.name, self.likelihood)[:, None]
        if handle_unknown == "error":
            unknown = self._undeclared(column.as_levels()[1])
            if len(unknown):
                raise ValueError(
                    f"Column {self.name!r} of X has no value in the fit, but holds "
                    f"{', '.join(sorted(_as_texts(unknown))[:5])}. Leave it out, fit "
                    "samples with such values, or set handle_unknown='missing' to "
                    "treat them as missing."
                )
        return np.full((len(column.values), 1), np.nan)

    def _check_no_times(self, column: Column) -> None:
        """Raise if a column without times in the fit holds some."""
        if column.content == TIME and not np.isnan(column.values).all():
            first = [f"levels such as {v!r}" for v in self.levels[:1].tolist()]
            held = "no value" if self.is_empty else first[0]
            raise ValueError(
                f"Column {self.name!r} of X holds times, but held {held} in the fit. "
                "Convert or correct it, or fit a new model."
            )

    def _undeclared(self, levels: np.ndarray) -> np.ndarray:
        """Return which levels the categorical type of the fit does not declare."""
        declared = {str(level) for level in self.declared.tolist()}
        is_declared = [str(level) in declared for level in levels.tolist()]
        return levels[~np.array(is_declared, dtype=bool)]

    def _encode_levels(self, column: Column, handle_unknown: str) -> np.ndarray:
        self._check_no_times(column)
        values, levels = column.as_levels()
        place = {_key(level): k for k, level in enumerate(self.levels.tolist())}
        found = np.array([place.get(_key(v), -1) for v in levels.tolist()], dtype=int)
        unknown = self._undeclared(levels[found < 0])
        if len(unknown) and handle_unknown == "error":
            raise ValueError(
                f"{self._about_unknown(unknown)} Set handle_unknown='missing' to treat "
                "such values as missing."
            )
        if len(unknown) and (found < 0).all():
            warnings.warn(
                f"{self._about_unknown(unknown)} None of its levels is known: all of "
                "its values are treated as missing.",
                UserWarning,
                stacklevel=11,  # at the call of transform
            )
        feature = np.where(found < 0, np.nan, self.level_of[found].astype(np.float64))
        known = ~np.isnan(values)
        codes = np.full(len(values), np.nan)
        codes[known] = feature[values[known].astype(np.intp)]
        if self.likelihood != "categorical":
            return codes[:, None]
        indicators = (codes[:, None] == np.arange(self.n_levels)).astype(np.float64)
        indicators[np.isnan(codes)] = np.nan
        return indicators

    def _about_unknown(self, unknown: np.ndarray) -> str:
        """Return an error about levels that the fit did not see, (n_unknown,)."""
        is_other_type = holds_text(unknown) != holds_text(self.levels)
        show = _with_types if is_other_type else _as_texts
        advice = f" {self._conversion(unknown)}" if is_other_type else ""
        return (
            f"Column {self.name!r} of X has levels that the fit did not see: "
            f"{', '.join(sorted(show(unknown))[:5])}; expected some of "
            f"{', '.join(show(self.levels[:10]))}.{advice}"
        )

    def _conversion(self, unknown: np.ndarray) -> str:
        """Return how levels of another type become those of the fit."""
        column = f"X[{self.name!r}]"
        if self.levels.dtype.kind == "b":
            call = f"{column}.map({{'True': True, 'False': False}})"
        elif not holds_text(self.levels):
            call = f"pandas.to_numeric({column})"
        elif unknown.dtype.kind == "f" and (unknown == np.rint(unknown)).all():
            call = f"{column}.astype('Int64').astype('string')"
        else:
            call = f"{column}.astype('string')"
        return f"Convert them to the type of the fit, for instance by {call}."

    def numbers(self, features: np.ndarray) -> np.ndarray:
        """Return features in the units of the column, (n, w).

        Numbers, probabilities of levels, and numbers of ordered levels.

        Parameters
        ----------
        features : ndarray of shape (n, w)

        Raises
        ------
        ValueError
            If numbers are too large to be finite; the message names the column.
        """
        if self.likelihood not in ("lognormal", *COUNTS):
            return features
        inverse = np.exp if self.likelihood == "lognormal" else np.expm1
        with np.errstate(over="ignore"):  # is reported below
            numbers = inverse(features)
        self._check_not_infinite(numbers)
        return numbers

    def _check_not_infinite(self, numbers: np.ndarray) -> None:
        """Raise if a number is infinite; missing ones are NaN."""
        is_lost = np.isinf(numbers).any(axis=1)
        if is_lost.any():
            raise ValueError(
                f"The values of column {self.name!r} of {is_lost.sum()} of "
                f"{len(numbers)} samples, the first of them number {is_lost.argmax()}, "
                f"are not finite: they are too large to compute with in "
                f"{numbers.dtype}. Expected samples and codes like those of the fit. "
                f"Remove these samples, or fit {self.name!r} with another likelihood "
                f"than {self.likelihood!r}."
            )

    def values(self, numbers: np.ndarray, *, is_drawn: bool) -> np.ndarray:
        """Return what the user's column would hold, (n,).

        Parameters
        ----------
        numbers : ndarray of shape (n, w)
            As :meth:`numbers` returns them.
        is_drawn : bool
            Whether they are draws, of which whole numbers are rounded, or expectations.
        """
        if not len(self.levels):
            values = numbers[:, 0]
            if is_drawn and (self.content == INTEGER or self.likelihood in WHOLE):
                return np.rint(values) + 0.0  # no negative zeros
            return values
        missing = np.isnan(numbers).any(axis=1)
        numbers = np.where(np.isnan(numbers), 0.0, numbers)
        if self.likelihood == "categorical":
            feature = numbers.argmax(axis=1)
        else:
            last = self.n_levels - 1
            feature = np.clip(np.rint(numbers[:, 0]), 0, last).astype(int)
        _, first = np.unique(self.level_of, return_index=True)
        return _with_missing(self.levels[first[feature]], missing)


def _are_levels(values: np.ndarray) -> bool:
    """Return whether an array is of numbers or of text."""
    if not holds_text(values):
        return values.dtype.kind in "biuf"
    return all(isinstance(value, str) for value in values.tolist())


def _with_missing(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    if not missing.any():
        return values
    values = values.astype(object)
    values[missing] = None
    return values


def _as_texts(levels: np.ndarray) -> list[str]:
    """Return levels as messages show them."""
    return [repr(str(level)) for level in levels.tolist()]


def _with_types(levels: np.ndarray) -> list[str]:
    """Return levels with their type, as messages show them."""
    name = "str" if holds_text(levels) else levels.dtype.name
    return [f"{level!r} ({name})" for level in levels.tolist()]


def _key(level: Any) -> Any:
    """Return what equal levels of different types have in common.

    Numbers are equal as float64, but for integers that float64 would round.
    """
    if not isinstance(level, bool | int | float):
        return str(level)
    number = float(level)
    return level if isinstance(level, int) and number != level else number


def fit_column(
    column: Column,
    name: str,
    likelihood: str,
    weight: np.ndarray,
    min_frequency: Any,
    warn: Callable[[str], None],
) -> ColumnEncoding:
    """Determine how a column becomes features.

    Parameters
    ----------
    column : Column
    name : str
    likelihood : str
        One of :data:`LIKELIHOODS`.
    weight : ndarray of shape (n,)
        Weights of the samples; those of weight zero do not count.
    min_frequency : int, float or None
        Total weight, or its share, below which levels of a categorical column are
        merged.
    warn : callable (str)
        Is called with a warning.

    Raises
    ------
    ValueError
        If the column cannot have this likelihood; the message names it.
    """
    if is_empty(column, weight):
        declared = column.levels if column.content == CATEGORY else None
        declared = _none() if declared is None else declared
        return ColumnEncoding(name, "gaussian", FLOAT, declared=declared, is_empty=True)
    if likelihood in ("categorical", "ordinal") or _is_of_levels(column, likelihood):
        return _fit_levels(column, name, likelihood, weight, min_frequency, warn)
    values = numbers_of(column, name, likelihood)[weight > 0]
    zero = 0.0
    if likelihood == "bernoulli":
        _check_unit_interval(values, name)
    if likelihood == "lognormal":
        zero = _replacement_of_zero(values, name)
    if likelihood in COUNTS:
        check_counts(values, name, likelihood)
    content = column.content if column.content == INTEGER else FLOAT
    return ColumnEncoding(name, likelihood, content, zero=zero)


def is_empty(column: Column, weight: np.ndarray) -> bool:
    """Return whether no sample that counts has a value of the column.

    Parameters
    ----------
    column : Column
    weight : ndarray of shape (n,)
        Weights of the samples; those of weight zero do not count.
    """
    return bool(np.isnan(column.values[weight > 0]).all())


def _is_of_levels(column: Column, likelihood: str) -> bool:
    return likelihood == "bernoulli" and column.content not in (INTEGER, FLOAT)


def _fit_levels(column, name, likelihood, weight, min_frequency, warn):
    """Return the encoding of a column by its levels."""
    values, levels = column.as_levels()
    present = ~np.isnan(values) & (weight > 0)
    totals = np.bincount(
        values[present].astype(np.intp), weight[present], minlength=len(levels)
    )
    levels, totals = levels[totals > 0], totals[totals > 0]
    declared = _none()
    if column.content == CATEGORY and column.levels is not None:
        is_seen = np.isin(np.arange(len(column.levels)), column.values[present])
        declared = column.levels[~is_seen]
    if likelihood == "bernoulli":
        if column.content == BOOLEAN:
            levels = np.array([False, True])
        if len(levels) != 2:
            raise ValueError(
                f"likelihood='bernoulli' needs two levels, but column {name!r} of X "
                f"has {len(levels)}. Use 'categorical' for it."
            )
        level_of = np.arange(2)
    if likelihood == "ordinal":
        if column.content == TEXT or not column.is_ordered:
            raise ValueError(
                f"likelihood='ordinal' needs levels with an order, but those of column "
                f"{name!r} of X are names. Convert it to an ordered pandas.Categorical "
                "or to numbers, or use 'categorical'."
            )
        if len(levels) > MAX_LEVELS:
            raise ValueError(
                f"Column {name!r} of X has {len(levels)} ordered levels; expected at "
                f"most {MAX_LEVELS}. Use 'gaussian' for its numbers."
            )
        level_of = np.arange(len(levels))
    if likelihood != "categorical":
        return ColumnEncoding(
            name, likelihood, column.content, levels, level_of, declared=declared
        )
    n_present = int(present.sum())
    if len(levels) > max(MIN_IDENTIFIER_LEVELS, IDENTIFIER_SHARE * n_present):
        warn(
            f"Column {name!r} of X looks like an identifier: {len(levels)} levels in "
            f"{n_present} samples. Leave it out of X."
        )
    is_rare = _rare_levels(totals, min_frequency, name, warn)
    order = np.concatenate([np.flatnonzero(~is_rare), _by_total(is_rare, totals)])
    n_kept = int((~is_rare).sum())
    level_of = np.minimum(np.arange(len(levels)), n_kept)
    return ColumnEncoding(
        name, likelihood, column.content, levels[order], level_of, declared=declared
    )


def _by_total(chosen: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return the chosen levels, the one of largest weight first."""
    found = np.flatnonzero(chosen)
    return found[np.argsort(-totals[found], kind="stable")]


def _rare_levels(totals, min_frequency, name, warn) -> np.ndarray:
    """Return which levels are merged into one; none, if it were a single one."""
    least = 0.0
    if min_frequency is not None:
        is_share = isinstance(min_frequency, float)
        least = min_frequency * totals.sum() if is_share else float(min_frequency)
    is_rare = totals < least * (1 - ROUNDING)
    if (~is_rare).sum() + is_rare.any() > MAX_LEVELS:
        # The rank of a total, at least the second: one sample shows nothing.
        ordered = np.sort(totals)[::-1]
        limit = max(ordered[MAX_LEVELS - 1], ordered[-1])
        is_rare = totals <= limit
        warn(
            f"Column {name!r} of X has {len(totals)} levels, of which at most "
            f"{MAX_LEVELS} are possible: the {int(is_rare.sum())} of a weight of "
            f"at most {limit:.6g} each are merged into one, so that "
            f"{int((~is_rare).sum()) + 1} remain (levels of equal weight stay "
            "together). Group them before, or set min_frequency to merge more."
        )
    return is_rare if is_rare.sum() > 1 else np.zeros_like(is_rare)


# ------------------------------------------------------------------------- numbers
UNLIKE_THE_FIT = (
    "The column of the fit had no such values. Convert or correct it, or fit a new "
    "model with another likelihood of this column."
)
"""What to do about values of a new table that those of the fit exclude."""


def numbers_of(
    column: Column,
    name: str,
    likelihood: str,
    remedy: str = "Use likelihood='auto' or 'categorical' for it, or convert it.",
) -> np.ndarray:
    """Return the entries of a column as numbers, (n,), NaN where missing.

    Raises
    ------
    ValueError
        If they are not numbers, or infinite.
    """
    values = column_numbers(column)
    if values is None:
        first = "" if column.levels is None else f", such as {str(column.levels[0])!r}"
        raise ValueError(
            f"likelihood={likelihood!r} needs numbers, but column {name!r} of X holds "
            f"{column.content}{first}. {remedy}"
        )
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise ValueError(
            f"Input X contains infinity in column {name!r} of sample {row}. Replace "
            "such values by numbers, or by NaN where they are missing."
        )
    return values


def column_numbers(column: Column) -> np.ndarray | None:
    """Return numbers, truth values or categories that are numbers; None for others."""
    if column.content == BOOLEAN:
        return column.values
    levels = column.levels
    if levels is None or column.content != CATEGORY:
        return column.as_numbers()
    if levels.dtype.kind not in "biuf":
        return None
    known = ~np.isnan(column.values)
    values = np.full(len(column.values), np.nan)
    values[known] = levels[column.values[known].astype(np.intp)]
    return values


def check_not_negative(
    values: np.ndarray,
    name: str,
    likelihood: str,
    remedy: str = "Use 'gaussian' or 'student_t' for it.",
) -> None:
    """Raise if a number is negative."""
    if (values < 0).any():
        raise ValueError(
            f"likelihood={likelihood!r} needs numbers >= 0, but column {name!r} of X "
            f"holds {np.nanmin(values):g}. {remedy}"
        )


def check_counts(values: np.ndarray, name: str, likelihood: str) -> None:
    """Raise if a number is negative or not whole."""
    check_not_negative(values, name, likelihood)
    known = values[~np.isnan(values)]
    if (known != np.rint(known)).any():
        first = known[known != np.rint(known)][0]
        raise ValueError(
            f"likelihood={likelihood!r} needs whole numbers, but column {name!r} of X "
            f"holds {first:g}. Use 'lognormal' or 'gaussian' for it."
        )


def _check_unit_interval(values: np.ndarray, name: str) -> None:
    known = values[~np.isnan(values)]
    if ((known < 0) | (known > 1)).any():
        raise ValueError(
            f"likelihood='bernoulli' needs values in [0, 1], but column {name!r} of X "
            f"ranges from {known.min():g} to {known.max():g}. Use 'categorical' or "
            "'gaussian' for it."
        )


def _replacement_of_zero(values: np.ndarray, name: str) -> float:
    """Return half of the smallest positive number."""
    check_not_negative(values, name, "lognormal")
    positive = values[values > 0]
    if not len(positive):
        raise ValueError(
            f"likelihood='lognormal' needs positive numbers, but column {name!r} of X "
            "has none. Use 'gaussian' for it, or leave it out."
        )
    return float(positive.min() / 2)

"""Labels beside rows: what they say, entry by entry, and what a fit makes of them.

Axes: ``n`` rows, ``m`` attributes. A label that is unknown is NaN, or None among
objects. Everything depends on the values of the rows that count alone, and on neither
their order nor their number, so that weights stay exact.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_LEVELS = 20
"""Whole numbers of more levels are taken for a real attribute."""

KINDS = ("auto", "discrete", "real")


@dataclass(frozen=True)
class Attribute:
    """One column of labels.

    Attributes
    ----------
    name : str
        The column's, or its number.
    column : int
        Its number.
    labels : ndarray of shape (n,)
        Numbers of levels, or values, in float64; NaN where unknown.
    levels : ndarray of shape (n_levels,) or None
        What the numbers stand for, in order; None for a real attribute.
    is_sensitive : bool
        Whether it is to be removed from all that is shown.
    """

    name: str
    column: int
    labels: np.ndarray
    levels: np.ndarray | None
    is_sensitive: bool

    @property
    def n_levels(self) -> int:
        """Number of levels; zero for a real attribute."""
        return 0 if self.levels is None else len(self.levels)


# ------------------------------------------------------------------------ reading
def read_labels(y: Any, weight: np.ndarray, kinds: Any, sensitive: Any):
    """Return the attributes that the columns of y hold, sensitive ones first.

    Parameters
    ----------
    y : array-like or frame of shape (n,) or (n, m)
    weight : ndarray of shape (n,)
        Labels of rows of no weight are unknown.
    kinds : str, or sequence of m str
        Kind of each attribute, or of all.
    sensitive : int, str, or sequence of them, or None
        Numbers or names of columns.

    Raises
    ------
    ValueError
        If y is of the wrong length or shape, or a column has no label, or no two
        different ones, or values that are neither numbers nor names.
    """
    columns, names = _columns(y)
    if len(columns[0]) != len(weight):
        raise ValueError(
            f"y has {len(columns[0])} rows and X has {len(weight)}; both need one "
            "row per sample, in the same order. Write NaN for a label that is unknown."
        )
    asked = _kinds(kinds, len(columns))
    chosen = _chosen(sensitive, names)
    found = [
        _attribute(name, j, column, weight > 0, kind, j in chosen)
        for j, (name, column, kind) in enumerate(
            zip(names, columns, asked, strict=True)
        )
    ]
    return tuple(sorted(found, key=lambda a: not a.is_sensitive))


def _columns(y: Any) -> tuple[list[np.ndarray], list[str]]:
    """Return the columns of y as arrays, and their names."""
    if hasattr(y, "toarray"):
        raise ValueError("y is sparse; expected a dense array. Call y.toarray() first.")
    if hasattr(y, "columns"):
        names = [str(name) for name in y.columns]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                "y must have at least one column, and no two of the same name; got "
                f"columns {names}. Rename them, or leave some out."
            )
        return [_array(y[name]) for name in y.columns], names
    name = getattr(y, "name", None)
    values = _array(y)
    if values.ndim == 1:
        return [values], ["0" if name is None else str(name)]
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(
            "y must have shape (n_samples,) or (n_samples, n_attributes) with at least "
            f"one attribute; got shape {values.shape}."
        )
    return list(values.T), [str(j) for j in range(values.shape[1])]


def _array(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        return np.asarray(values, dtype=object)  # numbers beside names stay numbers
    return array


def _kinds(kinds: Any, n_attributes: int) -> list[str]:
    asked = [kinds] * n_attributes if isinstance(kinds, str) else list(kinds)
    if len(asked) != n_attributes or not set(asked) <= set(KINDS):
        raise ValueError(
            f"attribute_types must be one of {KINDS}, or hold one of them for each of "
            f"the {n_attributes} columns of y; got {kinds!r}."
        )
    return asked


def _chosen(sensitive: Any, names: list[str]) -> set[int]:
    """Return the numbers of the columns that are sensitive."""
    if sensitive is None:
        return set()
    is_one = isinstance(sensitive, str | numbers.Integral)
    wanted = [sensitive] if is_one else list(sensitive)
    places: dict[Any, int] = {name: j for j, name in enumerate(names)}
    places |= {j: j for j in range(-len(names), len(names))}
    unknown = [w for w in wanted if isinstance(w, bool) or w not in places]
    if unknown:
        raise ValueError(
            f"sensitive={sensitive!r} must hold numbers or names of columns of y; y "
            f"has {len(names)} columns, named {names}, and {unknown} is none of them."
        )
    return {places[w] % len(names) for w in wanted}


def _attribute(name, number, column, is_present, kind, is_sensitive) -> Attribute:
    is_known = is_present & ~_is_missing(column)
    known = column[is_known]
    if not len(known):
        raise ValueError(
            f"Attribute {name!r} of y has no label: every row is NaN, None or of no "
            "weight. Label some rows, or leave the column out."
        )
    comparable = _comparable(name, known)
    if comparable.dtype.kind == "f" and not np.isfinite(comparable).all():
        raise ValueError(
            f"Attribute {name!r} of y holds infinity. Write NaN for what is unknown."
        )
    levels, numbers_ = np.unique(comparable, return_inverse=True)
    if len(levels) < 2:
        raise ValueError(
            f"Attribute {name!r} of y has one level or value, {levels[0]!r}, on all "
            f"{len(known)} rows that are labelled; two are the least there is to "
            "learn. Label others, or leave the column out."
        )
    values = np.full(len(column), np.nan)
    if _is_discrete(name, levels, kind):
        values[is_known] = numbers_.reshape(-1)
        return Attribute(name, number, values, levels, is_sensitive)
    values[is_known] = known.astype(np.float64)
    return Attribute(name, number, values, None, is_sensitive)


def _is_missing(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        return np.array([_is_nothing(value) for value in column], dtype=bool)
    return np.zeros(len(column), dtype=bool)


def _is_nothing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def _comparable(name: str, known: np.ndarray) -> np.ndarray:
    """Return labels as one array of booleans, of numbers or of strings."""
    if known.dtype.kind in "US":
        return _names(name, known)
    if known.dtype.kind in "biuf":
        return known
    if known.dtype.kind == "O":
        if all(isinstance(value, bool | np.bool_) for value in known):
            return known.astype(bool)
        if all(isinstance(value, numbers.Real) for value in known):
            return known.astype(np.float64)
        if all(isinstance(value, str) for value in known):
            return _names(name, known.astype(str))
    kinds = sorted({type(value).__name__ for value in known})
    raise ValueError(
        f"Attribute {name!r} of y must hold numbers, or booleans, or strings, all of "
        "one kind, and NaN or None for what is unknown; got values like "
        f"{known[0]!r}, of {' and '.join(kinds)}."
    )


def _names(name: str, known: np.ndarray) -> np.ndarray:
    """Refuse strings that are what numpy has made of numbers."""
    texts = np.unique(known).astype(str)
    is_number = len(texts) > MAX_LEVELS and all(map(_reads_as_number, texts))
    if is_number or "nan" in texts:
        example = "nan" if "nan" in texts else str(known[0])
        raise ValueError(
            f"Attribute {name!r} of y holds numbers, or NaN, as strings, such as "
            f"{example!r}: so does numpy write them in an array that holds strings as "
            "well. Pass y as a pandas DataFrame, or with dtype=object, numbers as "
            "numbers, and NaN or None for what is unknown."
        )
    return known


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_discrete(name: str, levels: np.ndarray, kind: str) -> bool:
    """Few whole numbers are levels, and so are booleans and strings."""
    is_number = levels.dtype.kind in "iuf"
    if kind == "real" and not is_number:
        raise ValueError(
            f"Attribute {name!r} of y holds {levels[0]!r}, ..., which are not "
            "numbers, so its type cannot be 'real'. Say 'auto' or 'discrete'."
        )
    is_whole = not is_number or bool((levels == np.rint(levels)).all())
    is_few = not is_number or len(levels) <= MAX_LEVELS
    return kind == "discrete" or (kind == "auto" and is_whole and is_few)

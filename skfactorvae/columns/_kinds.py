"""The likelihood of each column, by its type or as the user asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from .._inputs import BOOLEAN, CATEGORY, FLOAT, INTEGER, OTHER, TEXT, TIME, Column
from ._encoding import LIKELIHOODS
from ._texts import content_of_text, is_number

BY_CONTENT = {
    BOOLEAN: "bernoulli",
    TEXT: "categorical",
    INTEGER: "gaussian",
    FLOAT: "gaussian",
}
"""Likelihood of a column by what it holds."""


NUMBERS = (
    "Convert it by pandas.to_numeric(X[name], errors='coerce'), by which what is no "
    "number is missing"
)
"""What to do about numbers beside a few other objects."""

CATEGORIES = (
    "Convert it by pandas.to_numeric if it is of numbers, or by X[name].astype(str) if "
    "it is of categories"
)
"""What to do about objects of several types."""


def _refused_objects(column: Column, name: str) -> str:
    """Return the error about a column of objects of several types."""
    levels = [] if column.levels is None else column.levels.tolist()
    others = [level for level in levels if not is_number(level)]
    example = str((others or levels or [""])[0])[:40]
    advice = NUMBERS if 2 * len(others) < len(levels) else CATEGORIES
    return (
        f"Column {name!r} of X holds objects of several types, or nested ones, such as "
        f"{example!r}; expected numbers, booleans, strings or a categorical dtype. "
        f"{advice}, or leave it out."
    )


def automatic(column: Column, name: str) -> str:
    """Return the likelihood that follows from the type of a column.

    Raises
    ------
    ValueError
        If the column holds times or periods, or objects of several types.
    """
    if column.content == CATEGORY:
        return "ordinal" if column.is_ordered else "categorical"
    levels = column.levels if column.content == OTHER else None
    held = None if levels is None else content_of_text(levels)
    if column.content == TIME or held == "dates":
        raise ValueError(
            f"Column {name!r} of X holds times, which have no likelihood. Replace it "
            "by numbers or categories, such as the days since a date, the hour of the "
            "day or the month, or leave it out."
        )
    if column.content == OTHER:
        raise ValueError(_refused_objects(column, name))
    return BY_CONTENT[column.content]


def likelihood_of_each(
    likelihood: Any, names: tuple[str, ...], table: Any
) -> list[str | None]:
    """Return the likelihood that is asked for, for each column; None: by its type.

    Parameters
    ----------
    likelihood : str or mapping
        A name for all columns, or "auto"; or a mapping from names, positions or
        selectors of columns, such as scikit-learn's ``make_column_selector``, to names.
        What a mapping does not mention is "auto".
    names : tuple of p str
        Names of the columns.
    table : frame or array of shape (n, p)
        What selectors are called with.

    Raises
    ------
    ValueError
        If a column is not in the table, or a name is unknown.
    """
    if not isinstance(likelihood, Mapping):
        return [None if likelihood == "auto" else likelihood] * len(names)
    found: list[str | None] = [None] * len(names)
    for key, value in likelihood.items():
        if value not in ("auto", *LIKELIHOODS):
            raise ValueError(
                f"likelihood asks for {value!r} for {_shown(key)}; expected 'auto' or "
                f"one of {', '.join(map(repr, LIKELIHOODS))}."
            )
        for position in _positions(key, names, table):
            found[position] = None if value == "auto" else value
    return found


def _positions(key: Any, names: tuple[str, ...], table: Any) -> list[int]:
    """Return the positions of the columns that a key of the mapping stands for."""
    if callable(key):
        return [_position(name, names) for name in key(table)]
    if isinstance(key, tuple):
        return [_position(part, names) for part in key]
    return [_position(key, names)]


def _position(key: Any, names: tuple[str, ...]) -> int:
    if isinstance(key, str) and key in names:
        return names.index(key)
    is_number = isinstance(key, Integral) and not isinstance(key, bool)
    if is_number and str(key) in names:  # columns named by numbers
        return names.index(str(key))
    if is_number and -len(names) <= key < len(names):
        return int(key) % len(names)
    known = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    raise ValueError(
        f"likelihood names column {key!r}, which X does not have; expected a name or a "
        f"position of its {len(names)} columns: {known}."
    )


def _shown(key: Any) -> str:
    return "the columns of a selector" if callable(key) else f"column {key!r}"

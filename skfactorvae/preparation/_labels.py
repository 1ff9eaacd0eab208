"""Labels of samples: the attributes in the columns of y.

Axes: ``n`` samples, ``m`` attributes. A label that is unknown is NaN, or None among
objects. Everything depends only on the distinct samples of positive weight, and on
neither their order nor their repetition, so that an integer weight equals repetition.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs import (
    BOOLEAN,
    CONTINUOUS,
    DISCRETE,
    MANY_LEVELS,
    OTHER,
    TEXT,
    TIME,
    Column,
    columns,
    read_column,
)
from ._rows import canonical_rows, with_label_columns

KINDS = ("auto", DISCRETE, CONTINUOUS)

MAX_LABEL = 1e300
"""Magnitude of labels, at most; predictions may exceed the labels they learn from."""


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
        Indices of levels, or values, in float64; NaN where unknown.
    levels : ndarray of shape (n_levels,) or None
        The levels in order; None for a continuous attribute.
    is_sensitive : bool
        Whether it is to be removed from all components that ``transform`` returns.
    """

    name: str
    column: int
    labels: np.ndarray
    levels: np.ndarray | None
    is_sensitive: bool

    @property
    def n_levels(self) -> int:
        """Number of levels; zero for a continuous attribute."""
        return 0 if self.levels is None else len(self.levels)


def read_labels(
    X: np.ndarray,
    y: Any,
    weight: np.ndarray,
    kinds: Any,
    sensitive: Any,
    known_levels: Sequence[np.ndarray | None] | None = None,
):
    """Return the attributes in the columns of y, sensitive ones first.

    Whether a column is discrete is decided by its values at the distinct samples of
    positive weight, by the rule of the metrics (:meth:`Column.kind`). Neither weights
    nor repeated samples change the answer.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Samples, which are distinct if they differ in X or in y.
    y : array-like or frame of shape (n,) or (n, m)
    weight : ndarray of shape (n,)
        Labels of samples of weight zero count as unknown.
    kinds : str, or sequence of m str
        Kind of each attribute, or of all.
    sensitive : int, str, or sequence of them, or None
        Numbers or names of columns.
    known_levels : sequence of m (ndarray or None), or None
        Levels of the attributes of a fit that is continued, None for continuous ones.
        The types of attributes are then those of that fit, and labels may lack some of
        the levels.

    Raises
    ------
    ValueError
        If y is of the wrong length or shape, or a column has no label, or no two
        different ones, or values that are neither numbers nor names, or levels other
        than the known ones.
    """
    raw, names = columns(y, "y")
    if len(raw[0]) != len(weight):
        raise ValueError(
            f"y has {len(raw[0])} rows and X has {len(weight)}; both need one "
            "row per sample, in the same order. Write NaN for a label that is unknown."
        )
    is_first = known_levels is None
    if known_levels is None:
        known_levels, asked = [None] * len(raw), _kinds(kinds, len(raw))
    else:
        asked = _known_kinds(known_levels, len(raw))
    chosen = _chosen(sensitive, names)
    present = np.flatnonzero(weight > 0)
    found = [
        _labels(name, column, present, is_first=is_first)
        for name, column in zip(names, raw, strict=True)
    ]
    if "auto" in asked:
        entries = [column.values for column in found]
        distinct = distinct_samples(X, entries, weight, present)
        asked = [
            column.kind(distinct) if kind == "auto" else kind
            for column, kind in zip(found, asked, strict=True)
        ]
    attributes = []
    for j, (name, column, kind) in enumerate(zip(names, found, asked, strict=True)):
        values = np.full(len(weight), np.nan)
        values[present], levels = _values(name, column, kind, known_levels[j])
        attributes.append(Attribute(name, j, values, levels, j in chosen))
    return tuple(sorted(attributes, key=lambda a: not a.is_sensitive))


def distinct_samples(X, labels, weight, present) -> np.ndarray:
    """Return distinct samples among those of positive weight, as numbers among these.

    Parameters
    ----------
    X : ndarray or SourceTable of shape (n, p)
    labels : sequence of m ndarrays of shape (k,)
        Of the samples at ``present``.
    weight : ndarray of shape (n,)
    present : ndarray of shape (k,)
    """
    table = with_label_columns(X[present], labels)
    return canonical_rows(table, weight[present])[0]


def _kinds(kinds: Any, n_attributes: int) -> list[str]:
    asked = [kinds] * n_attributes if isinstance(kinds, str) else list(kinds)
    if len(asked) != n_attributes or not set(asked) <= set(KINDS):
        raise ValueError(
            f"attribute_types must be one of {KINDS}, or hold one of them for each of "
            f"the {n_attributes} columns of y; got {kinds!r}."
        )
    return asked


def _known_kinds(levels: Sequence[np.ndarray | None], n_attributes: int) -> list[str]:
    """Return the kinds of the attributes of a fit that is continued."""
    if len(levels) != n_attributes:
        raise ValueError(
            f"y has {n_attributes} columns, but the fit that is continued had "
            f"{len(levels)}. Pass the same attributes in the same order."
        )
    return [CONTINUOUS if own is None else DISCRETE for own in levels]


def _chosen(sensitive: Any, names: tuple[str, ...]) -> set[int]:
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
            f"sensitive={sensitive!r} must be positions or names of columns of y; "
            f"{unknown} are not. The names are {list(names)}; for names of your own, "
            "pass y as a data frame."
        )
    return {places[w] % len(names) for w in wanted}


def _labels(name: str, raw: Any, present: np.ndarray, *, is_first: bool) -> Column:
    """Return the labels of the samples that count, if a model can learn them.

    A first fit needs labels, and two different ones.
    """
    column = read_column(raw, f"Attribute {name!r} of y", present)
    known = column.values[~np.isnan(column.values)]
    if not len(known):
        advice = "leave the column out" if is_first else "join the block with others"
        raise ValueError(
            f"Attribute {name!r} of y has no label: every entry is NaN, None or of no "
            f"weight. Label some samples, or {advice}."
        )
    if column.content in (TIME, OTHER):
        is_time = column.content == TIME
        what = "dates or durations" if is_time else "objects"
        to = "numbers, such as days since the first one" if is_time else "one kind"
        raise ValueError(
            f"Attribute {name!r} of y must hold numbers, or booleans, or strings, all "
            "of one kind, and NaN or None for what is unknown; got "
            f"{what} such as {_first(raw, present)!r}. Convert them to {to}."
        )
    if np.isinf(known).any():
        raise ValueError(
            f"Attribute {name!r} of y holds infinity. Write NaN for what is unknown."
        )
    if (largest := np.abs(known).max()) > MAX_LABEL:
        raise ValueError(
            f"Attribute {name!r} of y holds values of magnitude {largest:.4g}, and "
            f"predictions of it could overflow; at most {MAX_LABEL:g} is supported. "
            "Divide it by a constant."
        )
    levels = column.as_levels()[1]
    if is_first and len(levels) < 2:
        raise ValueError(
            f"Attribute {name!r} of y has one level or value, {levels[0]}, on all "
            f"{len(known)} samples that are labelled; at least two are needed. Label "
            "others, or leave the column out."
        )
    if column.content == TEXT:
        _check_texts(name, levels)
    return column


def _first(raw: Any, present: np.ndarray) -> Any:
    return next(v for v in np.asarray(raw, dtype=object)[present] if v is not None)


def _check_texts(name: str, texts: np.ndarray) -> None:
    """Raise if strings are numbers that numpy has converted."""
    words = [
        text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        for text in texts
    ]
    is_number = len(words) > MANY_LEVELS and all(map(_reads_as_number, words))
    if is_number or "nan" in words:
        example = "nan" if "nan" in words else words[0]
        raise ValueError(
            f"Attribute {name!r} of y holds numbers, or NaN, as strings, such as "
            f"{example!r}; numpy converts numbers to strings in an array that also "
            "holds strings. Pass y as a pandas DataFrame, or with dtype=object, "
            "numbers as numbers, and NaN or None for what is unknown."
        )


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values(name: str, column: Column, kind: str, known: np.ndarray | None):
    """Return an attribute's labels as float64, and its levels if it is discrete."""
    if kind == DISCRETE:
        labels, levels = column.as_levels()
        if known is None:
            return labels, levels
        return _among(labels, levels, known, name), known
    is_boolean = column.content == BOOLEAN
    values = column.values if is_boolean else column.as_numbers()
    if values is None:
        first = column.as_levels()[1].tolist()[0]  # as Python shows it
        raise ValueError(
            f"Attribute {name!r} of y holds {first!r}, ..., which are not numbers, so "
            "its type cannot be 'continuous'. Convert the column to numbers, or set "
            "its type to 'discrete' where the estimator has attribute_types."
        )
    return values, None


def _among(labels, levels, known, name: str) -> np.ndarray:
    """Return labels as indices of known levels, float64, NaN where unknown.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Indices of ``levels``.
    levels, known : ndarray
    name : str
        Of the attribute.
    """
    place = {level: float(k) for k, level in enumerate(known.tolist())}
    if new := [level for level in levels.tolist() if level not in place]:
        shown = ", ".join(map(repr, new[:5])) + (", ..." if len(new) > 5 else "")
        expected = ", ".join(map(repr, known[:10].tolist()))
        more = ", ..." if len(known) > 10 else ""
        raise ValueError(
            f"Attribute {name!r} of y holds levels that the fit which is continued did "
            f"not have: {shown}; expected some of {expected}{more}. Write NaN for "
            "them, or fit anew to samples of all levels."
        )
    places = np.array([place[level] for level in levels.tolist()] + [np.nan])
    return places[np.where(np.isnan(labels), -1, labels).astype(np.intp)]

"""Text in arrays, whose memory is in proportion to the text.

Axes: ``n`` levels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_WIDTH = 64
"""Characters of the longest text up to which texts are an array of fixed width."""


def as_array(data: Any) -> np.ndarray:
    """Return an array in which numbers beside strings are still numbers.

    Strings are objects, unless they are an array of fixed width already.
    """
    is_list = isinstance(data, list | tuple)
    if is_list or str(getattr(data, "dtype", "")) == "String":  # of polars
        objects = np.asarray(data, dtype=object)
        if not is_list or _are_texts(objects.ravel()):
            return objects
    return np.asarray(data)


def _are_texts(entries: np.ndarray) -> bool:
    """Return whether some entries are strings, and none is a list."""
    is_text = any(isinstance(entry, str | bytes) for entry in entries)
    return is_text and not any(isinstance(e, list | tuple) for e in entries)


def text_array(texts: list[Any]) -> np.ndarray:
    """Return strings as an array of fixed width, or of objects if one is long.

    An array of fixed width needs as much memory for each entry as for the longest one.

    Parameters
    ----------
    texts : list of n str, or of n bytes

    Returns
    -------
    ndarray of shape (n,)
    """
    if max(map(len, texts), default=0) > MAX_WIDTH:
        return np.array(texts, dtype=object)
    return np.array(texts, dtype=type(texts[0]) if texts else str)


def holds_text(levels: np.ndarray) -> bool:
    """Return whether levels are text, in an array that :func:`text_array` returns."""
    return levels.dtype.kind in "UO"


def text_of(value: Any) -> str:
    """Return the text of a value, as an array of fixed width has it: no NUL ends it."""
    return str(value).rstrip("\0")


def texts_of(levels: np.ndarray, name: str) -> np.ndarray:
    """Return the text of levels of any types, which are distinct.

    Parameters
    ----------
    levels : ndarray of shape (n,)
    name : str
        Name of the column, for the message.

    Raises
    ------
    ValueError
        If two levels have the same text, such as 1 and "1".
    """
    first: dict[str, Any] = {}
    for level in levels:
        other = first.setdefault(text_of(level), level)
        if other is not level:
            raise ValueError(
                f"{name} has the levels {_shown(other)} and {_shown(level)}, which "
                "have the same text; expected levels of different text. Rename one of "
                "them, for instance by rename_categories, or, if they mean the same, "
                "convert them to text and back to categories."
            )
    return text_array(list(first))


def _shown(level: Any) -> str:
    """Return a level and its type, as messages show them."""
    return f"{repr(level)[:40]} ({type(level).__name__})"

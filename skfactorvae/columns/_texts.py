"""Text that holds numbers or dates."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from .._inputs import TEXT, Column

NUMBER = re.compile(
    r"[-+]?[$€£¥]?\s*(\d+([.,']\d{3})*([.,]\d+)?|[.,]\d+)([eE][-+]?\d+)?\s*[%$€£¥]?"
)
"""A number with signs of decimals, thousands, currencies or percentages."""

PADDED = re.compile(r"0\d+")
"""A code such as 007, whose digits are a name."""

DATE = re.compile(
    r"\d{4}[-/](0?[1-9]|1[0-2])([-/]\d{1,2}([T ]\d{1,2}:\d{2}.*)?)?"
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
    r"|\d{4}-?Q[1-4]"
)
"""A date of several orders, a month or a quarter."""

MISSING = {"", "?", "-", ".", "na", "n/a", "nan", "nat", "null", "none", "<na>"}
"""Words for a missing value, in small letters."""

MIN_SHARE = 0.9
"""Share of the levels that are numbers or dates, from which the column is of them."""

MAX_CODES = 20
"""Levels up to which whole numbers may be codes of categories."""

NUMBERS_AS_TEXT = (
    "Columns of X hold numbers as text, which is fitted as categories: {shown}. "
    "Convert them by pandas.to_numeric(X[name], errors='coerce'), after signs such as "
    "'$' and commas are replaced by X[name].str.replace; what is no number is then "
    "missing. If the numbers are names of categories, use X[name].astype('category')."
)
"""Warning about columns of numbers as text."""

DATES_AS_TEXT = (
    "Columns of X hold dates as text, which is fitted as categories: {shown}. "
    "Convert them by pandas.to_datetime(X[name]) and use numbers, such as the days "
    "since a date or the month. If the dates are names of categories, use "
    "X[name].astype('category')."
)
"""Warning about columns of dates as text."""

ABOUT = {"numbers": NUMBERS_AS_TEXT, "dates": DATES_AS_TEXT}
"""Warning about columns of text, by what it holds."""


def is_number(text: str) -> bool:
    """Return whether text is a number, such as "1.5", "22,7", "$195" or "12 %"."""
    return NUMBER.fullmatch(text.strip()) is not None


def content_of_text(levels: np.ndarray) -> str | None:
    """Return "numbers" or "dates" if nearly all levels are; None for others.

    At most 20 whole numbers, and numbers with leading zeros, may be codes.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
        Levels of a column of text; words for missing values do not count.
    """
    texts = [text for level in levels.tolist() if (text := str(level).strip())]
    texts = [text for text in texts if text.lower() not in MISSING]
    least = max(1.0, MIN_SHARE * len(texts))
    if sum(DATE.fullmatch(text) is not None for text in texts) >= least:
        return "dates"
    if any(PADDED.fullmatch(text) for text in texts):
        return None
    if sum(map(is_number, texts)) < least:
        return None
    is_code = len(texts) <= MAX_CODES and all(map(str.isdigit, texts))
    return None if is_code else "numbers"


def misread_columns(
    read: Iterable[Column], names: Iterable[str], asked: Iterable[str | None]
) -> dict[str, str]:
    """Return what columns of text hold, "numbers" or "dates", by their names.

    Parameters
    ----------
    read : iterable of p Column
    names : iterable of p str
    asked : iterable of p (str or None)
        Likelihoods that the user asks for; such columns are left out.
    """
    return {
        name: held
        for column, name, own in zip(read, names, asked, strict=True)
        if own is None and column.content == TEXT and column.levels is not None
        if (held := content_of_text(column.levels)) is not None
    }


def about_misread(
    misread: dict[str, str], read: Iterable[Column], names: Iterable[str]
) -> list[str]:
    """Return one warning for all columns of numbers, and one for all of dates.

    Parameters
    ----------
    misread : dict
        Of :func:`misread_columns`.
    read : iterable of p Column
    names : iterable of p str
    """
    found: dict[str, list[str]] = {}
    for column, name in zip(read, names, strict=True):
        if name in misread and column.levels is not None:
            shown = f"{name!r}, such as {str(column.levels[-1])!r}"
            found.setdefault(misread[name], []).append(shown)
    return [ABOUT[held].format(shown=_listed(shown)) for held, shown in found.items()]


def _listed(shown: list[str]) -> str:
    """Return the first five of a list, and the number of others."""
    more = f"; and {len(shown) - 5} more" if len(shown) > 5 else ""
    return "; ".join(shown[:5]) + more

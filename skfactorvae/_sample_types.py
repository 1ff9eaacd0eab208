"""Samples of types that an estimator does not take: what they are, and what to do.

Axes: ``n`` samples, ``p`` features.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ._inputs import is_series


def check_sample_type(X: Any) -> None:
    """Raise if samples are an object of another type than an array or a data frame.

    Parameters
    ----------
    X : array-like
        Samples, as the user passed them.

    Raises
    ------
    TypeError
        If samples are an AnnData object, a table of Arrow, a lazy frame, a mapping, a
        list of mappings, text or an iterator.
    ValueError
        If samples are a Series or an array of times, have more than two axes, or cannot
        be read.
    """
    _check_readable(X)
    if _is_annotated(X):
        raise TypeError(
            f"X is an {type(X).__name__} object, expected an array or a data frame of "
            "shape (n_samples, n_features). Pass adata.to_df(), which keeps the names "
            "of the variables, or adata.X, which may be sparse; counts should be "
            "normalised and log-transformed first."
        )
    if (unread := _unread_type(X)) is not None:
        what, advice = unread
        raise TypeError(
            f"X is {what}, expected an array or a data frame of shape (n_samples, "
            f"n_features). {advice}"
        )
    if is_series(X):
        raise ValueError(
            f"Expected 2D array, got 1D array instead: X is a {type(X).__name__}, one "
            "column; expected an array or a data frame of shape (n_samples, "
            "n_features). Select columns by a list, as X[['a', 'b']], or pass "
            "X.to_frame() for a table of this column alone."
        )
    if getattr(X, "ndim", 2) > 2 and hasattr(X, "reshape"):
        raise ValueError(_about_axes(X))
    if getattr(getattr(X, "dtype", None), "kind", "") in TIME_KINDS:
        raise ValueError(_about_times("0", X[:, 0] if X.ndim == 2 else X))


def _check_readable(X: Any) -> None:
    """Raise if samples have attributes that cannot be read, as those of a closed file.

    Raises
    ------
    ValueError
    """
    try:
        for name in ("dtype", "ndim", "shape"):
            getattr(X, name, None)
    except Exception as error:  # of any library
        kind = type(X)
        raise ValueError(
            f"X, a {kind.__module__.split('.')[0]}.{kind.__name__}, cannot be read: "
            f"{error} Check that its file is open."
        ) from error


def _is_annotated(X: Any) -> bool:
    """Return whether samples are an AnnData object, or a similar one."""
    return all(hasattr(X, name) for name in ("obs", "var", "X", "n_obs"))


def _unread_type(X: Any) -> tuple[str, str] | None:
    """Return what samples are that are no table, and what to do; None for others."""
    advice = "Pass pandas.DataFrame(X)."
    if issparse(X):  # some kinds are mappings
        return None
    if isinstance(X, Mapping):
        return f"a {type(X).__name__}", advice
    if isinstance(X, list | tuple) and len(X) and isinstance(X[0], Mapping):
        return f"a {type(X).__name__} of {type(X[0]).__name__} objects", advice
    if isinstance(X, str | bytes):
        return "text", "Read the file first, for instance by pandas.read_csv."
    if hasattr(X, "to_pandas") and hasattr(X, "column_names"):  # of Arrow
        advice = "Pass X.to_pandas(), or pyarrow.dataset.dataset(X) if it is large."
        return f"a {type(X).__name__} of Arrow", advice
    if hasattr(X, "collect") and hasattr(X, "collect_schema"):  # of polars
        return f"a {type(X).__name__}, which is not computed yet", "Pass X.collect()."
    if isinstance(X, Iterator):
        return f"a {type(X).__name__}, an iterator", "Pass list(X)."
    return None


def _about_axes(X: Any) -> str:
    n, *rest = X.shape
    n_features = int(np.prod(rest))
    shown = ", ".join(map(str, rest))
    options = f"images with image_shape=({shown})"
    if len(rest) == 2:
        options += f", windows (n_times, n_channels) with window_shape=({shown})"
    return (
        f"Found array with dim {X.ndim}: X has shape ({n}, {shown}), expected "
        "(n_samples, n_features). Make each sample one row: X.reshape(len(X), -1), of "
        f"{n_features} features; reconstructions become windows or images again by "
        f".reshape(-1, {shown}), and plots show {options}."
    )


TIME_TYPES = (
    datetime.date,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
)
"""Types of objects that are times, dates or durations."""

OF_FIT = (
    "The columns of the fit held numbers alone. Convert it, for instance by "
    "pandas.to_numeric, or fit a new model"
)
"""What to do about text in new samples."""

OF_SEVERAL_TYPES = (
    "Convert it by pandas.to_numeric(X[name], errors='coerce'), by which what is no "
    "number is missing; or pass a data frame in which a column of categories is of "
    "text alone"
)
"""What to do about text beside numbers in one column, where categories are taken."""

OF_OTHER_LIKELIHOODS = (
    "Categories need likelihood='auto'; else encode them as numbers first "
    "(OneHotEncoder, OrdinalEncoder), or leave the column out"
)
"""What to do about text, where categories are not taken."""


TIMES = "Convert it to numbers first, such as days since the first one, or leave it out"
"""What to do about times."""

TIME_KINDS = ("m", "M")
"""Kinds of types that are times or durations, as numpy names them."""


NESTED = "Make each of its entries a column of its own, or leave it out"
"""What to do about lists, arrays and structures in a column."""


def about_times(X: Any) -> str | None:
    """Return which column of samples holds times; None if none does.

    Text is not read as times.

    Parameters
    ----------
    X : array-like of shape (n, p)
    """
    if not _may_hold_times(X):
        return None
    for name, column in _columns(X):
        kind = _kind_of(column)
        if kind is not None and kind[0] == "times":
            return _about_times(name, column)
    return None


def _about_times(name: str, column: Any) -> str:
    """Return an error about a column of times."""
    kind = _kind_of(column)
    example = f", such as {kind[1]!r}" if kind is not None and kind[1] else ""
    return f"Column {name} of X holds times{example}. {TIMES}."


def _may_hold_times(X: Any) -> bool:
    """Return whether a type of samples is one of times, or of any objects."""
    if isinstance(X, list | tuple):
        rows = (row for row in X if isinstance(row, list | tuple))
        return any(_is_time(entry) for row in rows for entry in row)
    is_frame = hasattr(X, "columns")
    dtypes: Any = getattr(X, "dtypes", ()) if is_frame else [getattr(X, "dtype", None)]
    return any(
        dtype.is_temporal()
        if hasattr(dtype, "is_temporal")  # of polars
        else getattr(dtype, "kind", "") in (*TIME_KINDS, "O")
        for dtype in dtypes
    )


def _is_time(entry: Any) -> bool:
    """Return whether an object is a time, a date or a duration, and not missing."""
    return isinstance(entry, TIME_TYPES) and bool(entry == entry)


def about_text(X: Any, advice: str) -> str | None:
    """Return which columns hold text, times or nested values; None if none does.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Samples that could not be converted to numbers.
    advice : str
        What to do about text, such as :data:`OF_FIT`.
    """
    found = [(name, kind) for name, column in _columns(X) if (kind := _kind_of(column))]
    if not found:
        return None
    (name, (what, example)), *others = found
    more = f" (and {len(others)} more)" if others else ""
    own = {"times": TIMES, "nested values": NESTED}.get(what, advice)
    return f"Column {name} of X holds {what}, such as {example!r}{more}. {own}."


def _columns(X: Any) -> list[tuple[str, Any]]:
    """Return columns with their names, as messages show them."""
    if hasattr(X, "iloc"):
        return [(repr(name), X.iloc[:, j]) for j, name in enumerate(X.columns)]
    if hasattr(X, "columns"):  # polars
        return [(repr(name), X[name]) for name in X.columns]
    if not isinstance(X, np.ndarray | list | tuple):
        return []
    array = np.asarray(X) if isinstance(X, np.ndarray) else np.asarray(X, dtype=object)
    return (
        [(str(j), column) for j, column in enumerate(array.T)]
        if array.ndim == 2
        else []
    )


def _kind_of(column: Any) -> tuple[str, str] | None:
    """Return what a column holds that is no number, with an example; else None."""
    entries = np.asarray(column)
    if entries.dtype.kind in TIME_KINDS:
        known = entries[~np.isnat(entries)]
        return "times", str(known[0]) if len(known) else ""
    if entries.ndim > 1 or entries.dtype.kind == "V":
        return "nested values", str(entries[0].tolist())[:40] if len(entries) else ""
    if entries.dtype.kind not in "OSU":
        return None
    for entry in entries:
        if hasattr(entry, "__len__") and not isinstance(entry, str | bytes):
            return "nested values", str(entry)[:40]
        if _is_time(entry):
            return "times", str(entry)
        if isinstance(entry, str | bytes) and not _is_number(entry):
            return "text", str(entry)
    return None


def _is_number(entry: str | bytes) -> bool:
    try:
        float(entry)
    except ValueError:
        return False
    return True

"""Data frames of pandas and polars, with the types of the frame of a fit."""

from __future__ import annotations

import datetime
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._inputs import (
    CATEGORY,
    EXACT_INTEGERS,
    INTEGER,
    Column,
    is_series,
    read_column,
)
from .._text_arrays import holds_text, text_array

LIBRARIES = ("pandas", "polars")

PLAIN = (bool, int, float, str)
"""Types of the labels of columns that are stored, and of the entries of tuples."""

DATE = "date"
"""Name of the type of levels that are dates of Python's own."""

ARROW = "[pyarrow]"
"""End of the name of a type of Arrow in a pandas data frame."""

DICTIONARY = re.compile(r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>")
"""Name of a type of Arrow whose values are numbers of levels."""


def library_of(data: Any) -> str | None:
    """Return "pandas" or "polars" for a frame or column of its class, None for others.

    Classes that are derived from theirs count.
    """
    roots = [base.__module__.partition(".")[0] for base in type(data).__mro__]
    return next((root for root in roots if root in LIBRARIES), None)


@dataclass(frozen=True, eq=False)
class FrameType:
    """Library of a data frame, and the types of its columns.

    Attributes
    ----------
    library : {"pandas", "polars"}
    dtypes : tuple of p str
        Names of the types of the columns.
    categories : tuple of p (ndarray or None)
        All levels of each column of a categorical type, in order.
    is_ordered : tuple of p bool
        Whether these have an order.
    is_integer : tuple of p bool
        Whether columns hold integers.
    level_types : tuple of p str
        Names of the types of levels that ``categories`` holds as text, such as
        "datetime64[us]"; empty for levels that are text or numbers themselves.
    labels : tuple of p (bool, int, float, str or tuple)
        Labels of the columns; empty if all are text, or some are other objects.
    label_type : str
        Name of the type of labels that come back from their text, such as
        "datetime64[us]"; empty for others.
    """

    library: str
    dtypes: tuple[str, ...]
    categories: tuple[np.ndarray | None, ...]
    is_ordered: tuple[bool, ...]
    is_integer: tuple[bool, ...]
    level_types: tuple[str, ...] = ()
    labels: tuple[Any, ...] = ()
    label_type: str = ""

    def check(self, n_columns: int) -> None:
        """Raise if the attributes are not those of a frame of that many columns.

        Raises
        ------
        ValueError
        """
        each = self.dtypes, self.categories, self.is_ordered, self.is_integer
        is_valid = (
            self.library in LIBRARIES
            and all(len(values) == n_columns for values in each)
            and all(isinstance(dtype, str) for dtype in self.dtypes)
            and all(c is None or c.ndim == 1 for c in self.categories)
            and len(self.level_types) in (0, n_columns)
            and all(isinstance(dtype, str) for dtype in self.level_types)
            and isinstance(self.labels, tuple)
            and len(self.labels) in (0, n_columns)
            and all(map(_is_plain, self.labels))
            and isinstance(self.label_type, str)
        )
        if not is_valid:
            raise ValueError("the types of the data frame are not valid")

    def of_numbers(self, numbers: frozenset[int]) -> FrameType:
        """Return the type of a frame in which some columns hold numbers, not levels.

        Parameters
        ----------
        numbers : frozenset of int
            Positions of these columns.
        """
        each = enumerate(self.categories)
        return replace(
            self, categories=tuple(None if j in numbers else c for j, c in each)
        )

    def of_values(self, other: FrameType | None) -> FrameType:
        """Return the type of a frame of this kind with values of another one's levels.

        Parameters
        ----------
        other : FrameType or None
            Of another library; None for an array.
        """
        p = len(self.dtypes)
        theirs = (None,) * p if other is None else other.categories
        pairs = zip(self.categories, theirs, strict=True)
        return replace(
            self,
            categories=tuple(None if own is None else c for own, c in pairs),
            is_ordered=(False,) * p if other is None else other.is_ordered,
            level_types=(),
        )

    def frame(
        self,
        names: Sequence[str],
        values: Sequence[np.ndarray],
        *,
        restores_numbers: bool,
    ) -> Any:
        """Return columns as a data frame.

        Parameters
        ----------
        names : sequence of p str
        values : sequence of p ndarrays or columns of a frame, of shape (n,)
            Columns of a frame keep their type.
        restores_numbers : bool
            Whether integers get their type back; expectations are not whole numbers.
        """
        library = importlib.import_module(self.library)
        make = self._pandas if self.library == "pandas" else self._polars
        frame = library.DataFrame(
            {
                name: _column_of(library, column)
                if is_series(column)
                else make(library, j, column, restores_numbers)
                for j, (name, column) in enumerate(zip(names, values, strict=True))
            }
        )
        if self.labels:
            frame.columns = library.Index(list(self.labels))
        elif self.label_type:
            frame.columns = _typed(frame.columns, self.label_type)
        return frame

    def filled(
        self,
        X: Any,
        values: Sequence[np.ndarray],
        gaps: np.ndarray,
        *,
        restores_numbers: bool,
        numbers: frozenset[int] = frozenset(),
    ) -> Any:
        """Return a data frame with other values in its gaps; the rest is unchanged.

        Parameters
        ----------
        X : frame of shape (n, p)
        values : sequence of p ndarrays or columns of a frame, of shape (n,)
            Columns of a frame keep their type.
        gaps : ndarray of shape (n, p), bool
        restores_numbers : bool
            Whether integers get their type back.
        numbers : frozenset of int, default=none
            Positions of columns whose values are numbers also where X has a categorical
            type, which such a column loses.
        """
        names = [str(name) for name in X.columns]
        own = self.of_numbers(numbers)
        other = own.frame(names, values, restores_numbers=restores_numbers)
        changed = np.flatnonzero(gaps.any(axis=0)).tolist()
        if self.library == "polars":
            columns_ = [
                _filled_polars(X[X.columns[j]], other[names[j]], gaps[:, j])
                for j in changed
            ]
            return X.with_columns(columns_)
        filled = X.copy()
        for j in changed:
            old, new = X.iloc[:, j], other.iloc[:, j].set_axis(X.index)
            column = _filled_pandas(old, new, gaps[:, j], of_numbers=j in numbers)
            filled.isetitem(j, column)
        return filled

    def _pandas(self, pandas, j, values, restores_numbers):
        categories = self.categories[j]
        if categories is not None:
            found = pandas.Categorical(
                values, categories=categories.tolist(), ordered=self.is_ordered[j]
            )
            dtype = self.level_types[j] if self.level_types else ""
            texts = found.categories
            return found.rename_categories(_typed(texts, dtype)) if dtype else found
        if values.dtype.kind in "iuf":
            is_whole = restores_numbers and self.is_integer[j]
            is_whole = is_whole and np.isfinite(values).all()
            if not is_whole:
                return values
            with np.errstate(invalid="ignore"):  # values out of the range of the type
                whole = _pandas_array(values, self.dtypes[j])
            is_equal = np.array_equal(np.asarray(whole, dtype=np.float64), values)
            return whole if is_equal else values
        return _pandas_array(values.tolist(), self.dtypes[j])

    def _polars(self, polars, j, values, restores_numbers):
        if values.dtype.kind in "iuf":
            is_whole = restores_numbers and self.is_integer[j]
            is_whole = is_whole and np.isfinite(values).all()
            series = polars.Series(values)
            if not is_whole:
                return series
            whole = series.cast(getattr(polars, self.dtypes[j]), strict=False)
            return series if whole.has_nulls() else whole  # null: out of its range
        categories = self.categories[j]
        if categories is not None:
            levels = polars.Enum(list(map(str, categories.tolist())))
            return polars.Series(values.tolist(), dtype=levels)
        series = polars.Series(values.tolist())
        is_category = self.dtypes[j].startswith("Categorical")
        return series.cast(polars.Categorical) if is_category else series


def frame_type_of(X: Any, found: list[Any], read: list[Column]) -> FrameType | None:
    """Return the type of a data frame; None for arrays and other frames.

    Parameters
    ----------
    X : frame or array-like
    found : list of p array-likes
        Its columns.
    read : list of p Column
        The same, read.
    """
    library = library_of(X)
    if library is None:
        return None
    labels = _plain_labels(X.columns)
    return FrameType(
        library,
        tuple(str(column.dtype) for column in found),
        tuple(map(_categories_of, found, read)),
        tuple(column.content == CATEGORY and column.is_ordered for column in read),
        tuple(column.content == INTEGER for column in read),
        tuple(map(_level_type_of, found, read)),
        labels,
        "" if labels else _label_type(X.columns),
    )


def _is_plain(label: Any) -> bool:
    """Return whether a label is a number, a text, or a tuple of them."""
    if type(label) is tuple:
        return all(map(_is_plain, label))
    return type(label) in PLAIN


def _plain_labels(labels: Any) -> tuple[Any, ...]:
    """Return labels of columns as plain values; none if all are text or one cannot be.

    Parameters
    ----------
    labels : iterable of p objects
    """
    values = [v.item() if isinstance(v, np.generic) else v for v in labels]
    is_text = all(isinstance(value, str) for value in values)
    return tuple(values) if all(map(_is_plain, values)) and not is_text else ()


def _label_type(labels: Any) -> str:
    """Return the type of labels that text determines; empty if they are text.

    Parameters
    ----------
    labels : Index, or list of str
    """
    texts = [str(label) for label in labels]
    if list(labels) == texts:
        return ""
    return _type_by_text(labels, np.array(texts, dtype=object))


def _categories_of(column: Any, read: Column) -> np.ndarray | None:
    """Return all levels of a column of a categorical type; None for other types."""
    dtype: Any = getattr(column, "dtype", None)
    if str(dtype) == "category":  # of pandas
        return read.levels
    if str(dtype).startswith("Enum"):  # of polars
        return text_array(dtype.categories.to_list())
    return None


def _level_type_of(column: Any, read: Column) -> str:
    """Return the type of levels that are read as text, if text can be converted back.

    Empty for levels of text or numbers, and of objects that text does not determine.
    """
    if str(getattr(column, "dtype", "")) != "category" or read.levels is None:
        return ""
    if not holds_text(read.levels):
        return ""
    return _type_by_text(getattr(column, "cat", column).categories, read.levels)


def _type_by_text(levels: Any, texts: np.ndarray) -> str:
    """Return the type of levels, if text can be converted to it; else an empty text.

    Parameters
    ----------
    levels : pandas Index of shape (n,)
    texts : ndarray of shape (n,)
    """
    dtype = str(levels.dtype)
    if dtype == "object" and all(type(level) is datetime.date for level in levels):
        dtype = DATE
    if dtype in ("object", "str", "string"):
        return ""
    try:
        back = _typed(type(levels[:0].astype(object))(texts.astype(object)), dtype)
    except (TypeError, ValueError):
        return ""
    return dtype if back.equals(levels) else ""


def _typed(texts: Any, dtype: str) -> Any:
    """Return levels of times, dates, durations, periods or intervals from their text.

    Parameters
    ----------
    texts : pandas Index of str
    dtype : str
        Name of the type of the levels.
    """
    if dtype == DATE:
        return texts.map(datetime.date.fromisoformat)
    if not dtype.startswith("interval"):
        return texts.astype(dtype)
    pandas = importlib.import_module("pandas")
    own = pandas.api.types.pandas_dtype(dtype)
    ends = [str(text)[1:-1].split(", ") for text in texts]
    left, right = (
        pandas.Index(end).astype(own.subtype) for end in zip(*ends, strict=True)
    )
    return pandas.IntervalIndex.from_arrays(left, right, closed=own.closed)


def _column_of(library: Any, column: Any) -> Any:
    """Return a column of a frame for one of a library; of another one, as text."""
    if library_of(column) != library.__name__:
        missing = np.isnan(read_column(column, "a column of X").values)
        texts = zip(column, missing, strict=True)
        column = library.Series([None if gap else str(v) for v, gap in texts])
    return column.array if library.__name__ == "pandas" else column


def _pandas_array(values: Any, dtype: str) -> Any:
    """Return a pandas array of a type; of the type of the values if that is impossible.

    Parameters
    ----------
    values : ndarray of numbers, or list of others, of shape (n,)
    dtype : str
        Name of the type.
    """
    pandas = importlib.import_module("pandas")
    try:
        own = _pandas_type(pandas, dtype)
        if isinstance(values, np.ndarray) or own.kind not in "iuf":
            return pandas.array(values, dtype=own)
    except (ImportError, TypeError, ValueError, NotImplementedError):
        pass  # no pyarrow, a type that pandas does not know, or values of another one
    return values if isinstance(values, np.ndarray) else pandas.array(values)


def _pandas_type(pandas: Any, dtype: str) -> Any:
    """Return the type of a pandas column from its name, also if it is one of Arrow."""
    name = dtype.removesuffix(ARROW)
    if name == dtype:
        return pandas.api.types.pandas_dtype(dtype)
    arrow = importlib.import_module("pyarrow")
    found = DICTIONARY.fullmatch(name)
    if found is None:
        return pandas.ArrowDtype(arrow.type_for_alias(name))
    values, indices, is_ordered = found.groups()
    types = arrow.type_for_alias(indices), arrow.type_for_alias(values)
    return pandas.ArrowDtype(arrow.dictionary(*types, ordered=is_ordered == "1"))


def like_frame(values: np.ndarray, X: Any, replaced: np.ndarray) -> Any:
    """Return values as a data frame, if X is one.

    Parameters
    ----------
    values : ndarray of shape (n, p)
    X : array-like of shape (n, p)
        A pandas or polars data frame, or an array.
    replaced : ndarray of shape (n, p), bool
        Entries that differ from those of X. Other columns keep their types, and so do
        integers that float64 would round.
    """
    changed = np.flatnonzero(replaced.any(axis=0))
    if hasattr(X, "isetitem"):
        X = X.copy()
        for j in changed:
            old, new = X.iloc[:, j], values[:, j]
            if _holds_long_integers(old):
                new = _filled_integers(old, type(old)(new, old.index), replaced[:, j])
            X.isetitem(j, new)
        return X
    if hasattr(X, "with_columns"):  # polars
        columns_ = []
        for j in changed:
            old = X[X.columns[j]]
            new = type(old)(old.name, values[:, j])
            is_long = _holds_long_integers(old)
            columns_.append(
                _filled_polars(old, new, replaced[:, j]) if is_long else new
            )
        return X.with_columns(columns_)
    return values


def _has_categories(column: Any) -> bool:
    """Return whether a column is of a categorical type of pandas or polars."""
    dtype = str(getattr(column, "dtype", ""))
    return dtype == "category" or dtype.startswith(("Categorical", "Enum"))


def is_of_levels(column: Any) -> bool:
    """Return whether the type of a frame's column is one of text or categories."""
    dtype = str(getattr(column, "dtype", ""))
    of_text = ("string", "String", "Utf8", "large_string", "dictionary")
    return dtype == "str" or dtype.startswith(of_text) or _has_categories(column)


def _filled_pandas(old: Any, new: Any, gaps: np.ndarray, *, of_numbers: bool) -> Any:
    """Return a pandas Series with entries of another one in its gaps.

    Parameters
    ----------
    old, new : Series of shape (n,)
        Of one index.
    gaps : ndarray of shape (n,), bool
    of_numbers : bool
        Whether entries are numbers also where the old column has a categorical type.
    """
    if getattr(new.dtype, "kind", "O") == "f" and new.isna().all():
        return old  # the fit had no value
    if of_numbers and _has_categories(old):
        old = old.astype(np.float64)
    if _has_categories(old):
        new = _with_levels_of(old, new.astype("category"))
        joined = _joined_type(old.dtype, new.dtype)
        old, new = old.astype(joined), new.astype(joined)
    elif gaps.all() and old.dtype.kind in "iufbO" and not _is_text(old):
        return new  # the type of a column without values tells nothing
    elif _holds_long_integers(old):
        return _filled_integers(old, new, gaps)
    elif getattr(new.dtype, "kind", "O") in "iuf" and old.dtype != new.dtype:
        return old.astype(object).mask(gaps, new).astype(new.dtype)
    elif _has_categories(new):
        new = new.astype(object)
    return old.mask(gaps, new)


def _holds_long_integers(column: Any) -> bool:
    """Return whether a column of integers has some that float64 would round."""
    is_integer = getattr(column.dtype, "is_integer", None)  # of polars
    kind = getattr(column.dtype, "kind", "O")
    if not (kind in "iu" if is_integer is None else is_integer()):
        return False
    known = column.dropna() if is_integer is None else column.drop_nulls()
    return len(known) > 0 and max(-int(known.min()), int(known.max())) > EXACT_INTEGERS


def _whole(column: Any, kind: str) -> Any:
    """Return a column of floats rounded to whole numbers of 64 bits."""
    limits = np.iinfo(np.uint64 if kind == "u" else np.int64)
    return column.clip(float(limits.min), np.nextafter(float(limits.max), 0)).round()


def _filled_integers(old: Any, new: Any, gaps: np.ndarray) -> Any:
    """Return a pandas Series of integers with rounded numbers in its gaps."""
    return old.mask(gaps, _whole(new, old.dtype.kind).astype(old.dtype))


def _is_text(column: Any) -> bool:
    """Return whether a pandas Series is of a type of text."""
    return str(column.dtype).startswith("str")


def _with_levels_of(old: Any, new: Any) -> Any:
    """Return a categorical Series whose levels are those of another of equal text."""
    own = {str(level): level for level in old.cat.categories}
    levels = new.cat.categories.tolist()
    if not set(levels) <= set(own.values()):
        new = new.cat.rename_categories([own.get(str(v), v) for v in levels])
    return new


def _joined_type(own: Any, fitted: Any) -> Any:
    """Return a categorical type of the levels of two, those of the fit first.

    A type that has all levels of the fit stays as it is. The order of levels is kept if
    the fit knows all of them.
    """
    if fitted.categories.isin(own.categories).all():
        return own
    is_new = ~own.categories.isin(fitted.categories)
    levels = fitted.categories
    if is_new.any():
        levels = levels.append(own.categories[is_new])
    is_ordered = own.ordered and fitted.ordered and not is_new.any()
    return type(own)(levels, ordered=bool(is_ordered))


def _filled_polars(old: Any, new: Any, gaps: np.ndarray) -> Any:
    """Return a polars Series with entries of another one in its gaps.

    Parameters
    ----------
    old, new : Series of shape (n,)
    gaps : ndarray of shape (n,), bool
    """
    polars = importlib.import_module("polars")
    if new.dtype.is_float() and new.is_nan().all():
        return old  # the fit had no value
    if isinstance(old.dtype, polars.Enum):
        first = new.dtype if isinstance(new.dtype, polars.Enum) else old.dtype
        texts = new.cast(polars.String)
        levels = [*first.categories, *old.dtype.categories, *texts.drop_nulls()]
        joined = polars.Enum(list(dict.fromkeys(levels)))
        is_known = set(joined.categories) == set(old.dtype.categories)
        joined = old.dtype if is_known else joined
        old, new = old.cast(joined), texts.cast(joined)
    elif _has_categories(new) and old.null_count() == len(old):
        old = polars.Series(old.name, [None] * len(old), dtype=new.dtype)
    elif _has_categories(old):
        new = new.cast(polars.String).cast(old.dtype)
    elif _holds_long_integers(old):
        new = _whole(new, "u" if old.dtype.is_unsigned_integer() else "i")
        new = new.cast(old.dtype)
    elif new.dtype.is_numeric() and old.dtype != new.dtype:
        old = old.cast(new.dtype)
    return new.zip_with(polars.Series(gaps), old).alias(old.name)

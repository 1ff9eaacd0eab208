"""Data frames of pandas and polars, with the types of the frame of a fit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs import CATEGORY, INTEGER, Column, is_series, read_column


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
    """

    library: str
    dtypes: tuple[str, ...]
    categories: tuple[np.ndarray | None, ...]
    is_ordered: tuple[bool, ...]
    is_integer: tuple[bool, ...]
    level_types: tuple[str, ...] = ()

    def check(self, n_columns: int) -> None:
        """Raise if the attributes are not those of a frame of that many columns.

        Raises
        ------
        ValueError
        """
        each = self.dtypes, self.categories, self.is_ordered, self.is_integer
        is_valid = (
            self.library in ("pandas", "polars")
            and all(len(values) == n_columns for values in each)
            and all(isinstance(dtype, str) for dtype in self.dtypes)
            and all(c is None or c.ndim == 1 for c in self.categories)
            and len(self.level_types) in (0, n_columns)
            and all(isinstance(dtype, str) for dtype in self.level_types)
        )
        if not is_valid:
            raise ValueError("the types of the data frame are not valid")

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
        return library.DataFrame(
            {
                name: _column_of(library, column)
                if is_series(column)
                else make(library, j, column, restores_numbers)
                for j, (name, column) in enumerate(zip(names, values, strict=True))
            }
        )

    def filled(
        self,
        X: Any,
        values: Sequence[np.ndarray],
        gaps: np.ndarray,
        *,
        restores_numbers: bool,
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
        """
        names = [str(name) for name in X.columns]
        other = self.frame(names, values, restores_numbers=restores_numbers)
        changed = np.flatnonzero(gaps.any(axis=0)).tolist()
        if self.library == "polars":
            columns_ = [
                _filled_polars(X[X.columns[j]], other[names[j]], gaps[:, j])
                for j in changed
            ]
            return X.with_columns(columns_)
        filled = X.copy()
        for j in changed:
            new = other.iloc[:, j].set_axis(X.index)
            filled.isetitem(j, _filled_pandas(X.iloc[:, j], new, gaps[:, j]))
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
            return pandas.array(values, dtype=self.dtypes[j]) if is_whole else values
        return pandas.array(values.tolist(), dtype=self.dtypes[j])

    def _polars(self, polars, j, values, restores_numbers):
        if values.dtype.kind in "iuf":
            is_whole = restores_numbers and self.is_integer[j]
            is_whole = is_whole and np.isfinite(values).all()
            dtype = getattr(polars, self.dtypes[j]) if is_whole else None
            series = polars.Series(values)
            return series.cast(dtype) if is_whole else series
        categories = self.categories[j]
        if categories is not None:
            return polars.Series(
                values.tolist(), dtype=polars.Enum(categories.tolist())
            )
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
    library = type(X).__module__.partition(".")[0]
    if library not in ("pandas", "polars"):
        return None
    return FrameType(
        library,
        tuple(str(column.dtype) for column in found),
        tuple(map(_categories_of, found, read)),
        tuple(column.content == CATEGORY and column.is_ordered for column in read),
        tuple(column.content == INTEGER for column in read),
        tuple(map(_level_type_of, found, read)),
    )


def _categories_of(column: Any, read: Column) -> np.ndarray | None:
    """Return all levels of a column of a categorical type; None for other types."""
    dtype: Any = getattr(column, "dtype", None)
    if str(dtype) == "category":  # of pandas
        return read.levels
    if str(dtype).startswith("Enum"):  # of polars
        return np.array(dtype.categories.to_list(), dtype=str)
    return None


def _level_type_of(column: Any, read: Column) -> str:
    """Return the type of levels that are read as text, if text can be converted back.

    Empty for levels of text or numbers, and of objects that text does not determine.
    """
    if str(getattr(column, "dtype", "")) != "category" or read.levels is None:
        return ""
    levels = getattr(column, "cat", column).categories
    if read.levels.dtype.kind != "U" or levels.dtype in ("object", "str", "string"):
        return ""
    texts = type(levels[:0].astype(object))(read.levels.astype(object))
    try:
        back = _typed(texts, str(levels.dtype))
    except (TypeError, ValueError):
        return ""
    return str(levels.dtype) if back.equals(levels) else ""


def _typed(texts: Any, dtype: str) -> Any:
    """Return levels of times, durations, periods or intervals from their text.

    Parameters
    ----------
    texts : pandas Index of str
    dtype : str
        Name of the type of the levels.
    """
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
    if type(column).__module__.partition(".")[0] != library.__name__:
        missing = np.isnan(read_column(column, "a column of X").values)
        texts = zip(column, missing, strict=True)
        column = library.Series([None if gap else str(v) for v, gap in texts])
    return column.array if library.__name__ == "pandas" else column


def _has_categories(column: Any) -> bool:
    """Return whether a column is of a categorical type of pandas or polars."""
    dtype = str(getattr(column, "dtype", ""))
    return dtype == "category" or dtype.startswith(("Categorical", "Enum"))


def _filled_pandas(old: Any, new: Any, gaps: np.ndarray) -> Any:
    """Return a pandas Series with entries of another one in its gaps.

    Parameters
    ----------
    old, new : Series of shape (n,)
        Of one index.
    gaps : ndarray of shape (n,), bool
    """
    if _has_categories(old):
        new = _with_levels_of(old, new.astype("category"))
        joined = _joined_type(old.dtype, new.dtype)
        old, new = old.astype(joined), new.astype(joined)
    elif gaps.all() and old.dtype.kind in "iufbO" and not _is_text(old):
        return new  # the type of a column without values tells nothing
    elif getattr(new.dtype, "kind", "O") in "iuf" and old.dtype != new.dtype:
        return old.astype(object).mask(gaps, new).astype(new.dtype)
    return old.mask(gaps, new)


def _is_text(column: Any) -> bool:
    """Return whether a pandas Series is of a type of text."""
    return str(column.dtype).startswith("str")


def _with_levels_of(old: Any, new: Any) -> Any:
    """Return a categorical Series whose levels are those of another of equal text."""
    own = {str(level): level for level in old.cat.categories}
    levels = new.cat.categories
    if not levels.isin(old.cat.categories).all():
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
    elif new.dtype.is_numeric() and old.dtype != new.dtype:
        old = old.cast(new.dtype)
    return new.zip_with(polars.Series(gaps), old).alias(old.name)

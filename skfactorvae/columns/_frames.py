"""Data frames of pandas and polars, with the types of the frame of a fit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs import CATEGORY, INTEGER, Column


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
    """

    library: str
    dtypes: tuple[str, ...]
    categories: tuple[np.ndarray | None, ...]
    is_ordered: tuple[bool, ...]
    is_integer: tuple[bool, ...]

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
        values : sequence of p ndarrays of shape (n,)
        restores_numbers : bool
            Whether integers get their type back; expectations are not whole numbers.
        """
        library = importlib.import_module(self.library)
        make = self._pandas if self.library == "pandas" else self._polars
        return library.DataFrame(
            {
                name: make(library, j, column, restores_numbers)
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
        values : sequence of p ndarrays of shape (n,)
        gaps : ndarray of shape (n, p), bool
        restores_numbers : bool
            Whether integers get their type back.
        """
        names = [str(name) for name in X.columns]
        other = self.frame(names, values, restores_numbers=restores_numbers)
        filled = X.copy() if self.library == "pandas" else X
        for j in np.flatnonzero(gaps.any(axis=0)).tolist():
            own = X.columns[j]
            if self.library == "polars":
                old, new = X[own], other[names[j]]
                if new.dtype.is_numeric() and old.dtype != new.dtype:
                    old = old.cast(new.dtype)
                kept = new.zip_with(
                    importlib.import_module("polars").Series(gaps[:, j]), old
                )
                filled = filled.with_columns(kept.alias(own))
                continue
            column, new = X.iloc[:, j], other.iloc[:, j].set_axis(X.index)
            if values[j].dtype.kind in "iuf" and column.dtype != new.dtype:
                column = column.astype(new.dtype)
            filled.isetitem(j, column.mask(gaps[:, j], new))
        return filled

    def _pandas(self, pandas, j, values, restores_numbers):
        categories = self.categories[j]
        if categories is not None:
            return pandas.Categorical(
                values, categories=categories.tolist(), ordered=self.is_ordered[j]
            )
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
    )


def _categories_of(column: Any, read: Column) -> np.ndarray | None:
    """Return all levels of a column of a categorical type; None for other types."""
    dtype: Any = getattr(column, "dtype", None)
    if str(dtype) == "category":  # of pandas
        return read.levels
    if str(dtype).startswith("Enum"):  # of polars
        return np.array(dtype.categories.to_list(), dtype=str)
    return None

"""A table of columns of several types as features of a model, and back.

Axes: ``n`` samples, ``p`` columns of the table, ``q`` features: as many of a
categorical column as it has levels, and one of each other. Features are ordered by
likelihood, then by column.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._inputs import (
    BOOLEAN,
    CATEGORY,
    FLOAT,
    INTEGER,
    OTHER,
    TEXT,
    TIME,
    columns,
    read_column,
)
from .._text_arrays import as_array
from ._encoding import (
    CONTINUOUS,
    LIKELIHOODS,
    Clip,
    ColumnEncoding,
    fit_column,
    is_empty,
    to_unit_interval,
)
from ._frames import FrameType, frame_type_of, is_of_levels, library_of
from ._kinds import automatic, likelihood_of_each
from ._texts import about_misread, misread_columns

NUMBERS = "iuf"
"""Kinds of types that are numbers, as numpy names them."""


@dataclass(frozen=True, eq=False)
class TableEncoding:
    """How a table becomes features.

    Attributes
    ----------
    columns : tuple of p ColumnEncoding
        In the order of the table.
    frame_type : FrameType or None
        Library and types of a data frame; None for an array.
    """

    columns: tuple[ColumnEncoding, ...]
    frame_type: FrameType | None = None

    @cached_property
    def _order(self) -> list[int]:
        """Columns in the order of their features, (p,)."""
        return sorted(
            range(len(self.columns)),
            key=lambda j: LIKELIHOODS.index(self.columns[j].likelihood),
        )

    @cached_property
    def _slices(self) -> list[slice]:
        """Features of each column, (p,)."""
        widths = [self.columns[j].width for j in self._order]
        ends = itertools.accumulate(widths)
        found = [slice(end - w, end) for end, w in zip(ends, widths, strict=True)]
        place = dict(zip(self._order, found, strict=True))
        return [place[j] for j in range(len(self.columns))]

    @property
    def firsts(self) -> list[int]:
        """First feature of each column, (p,)."""
        return [own.start for own in self._slices]

    @cached_property
    def _numbers(self) -> frozenset[int]:
        """Positions of the columns that are encoded as numbers, not as levels."""
        each = enumerate(self.columns)
        return frozenset(j for j, column in each if not len(column.levels))

    @cached_property
    def _fitted_type(self) -> FrameType | None:
        """Type of the data frames that are returned; None for arrays.

        Categories that are encoded as numbers are returned as numbers.
        """
        if self.frame_type is None:
            return None
        return self.frame_type.of_numbers(self._numbers)

    @property
    def n_features(self) -> int:
        """Number of features, q."""
        return sum(column.width for column in self.columns)

    @property
    def kinds(self) -> tuple[tuple[str, int], ...]:
        """Likelihood and number of levels of each column, in the order of features.

        A lognormal column is Gaussian in its logarithm, which is its feature.
        """
        ordered = [self.columns[j] for j in self._order]
        return tuple(
            ("gaussian" if c.likelihood == "lognormal" else c.likelihood, c.n_levels)
            for c in ordered
        )

    @property
    def order(self) -> np.ndarray:
        """Feature that each of the numbers of :meth:`numbers` is of, (q,)."""
        places = [np.arange(own.start, own.stop) for own in self._slices]
        return np.concatenate(places)

    @property
    def number_levels(self) -> list[list[str] | None]:
        """Levels whose number each of the numbers is; None where it is none, (q,)."""
        return [
            [str(v) for v in c.levels.tolist()] if c.likelihood == "ordinal" else None
            for c in self.columns
            for _ in range(c.width)
        ]

    @property
    def feature_names(self) -> list[str]:
        """Names of the numbers of :meth:`numbers`, (q,), column by column."""
        return [name for column in self.columns for name in column.feature_names]

    @property
    def ordered_names(self) -> list[str]:
        """Names of features, (q,), in their own order."""
        ordered = [self.columns[j] for j in self._order]
        return [name for column in ordered for name in column.feature_names]

    @property
    def is_continuous(self) -> np.ndarray:
        """Whether each feature has a density, (q,)."""
        ordered = [self.columns[j] for j in self._order]
        return np.array(
            [c.likelihood in CONTINUOUS for c in ordered for _ in range(c.width)]
        )

    @property
    def log_features(self) -> list[int]:
        """Features that are logarithms of lognormal columns."""
        pairs = zip(self.columns, self.firsts, strict=True)
        return [first for column, first in pairs if column.likelihood == "lognormal"]

    def log_jacobian(self, features: np.ndarray) -> np.ndarray:
        """Return what turns densities of features into those of columns, (n,), nats.

        Parameters
        ----------
        features : ndarray of shape (n, q)
            NaN where missing.
        """
        return -np.nan_to_num(features[:, self.log_features]).sum(axis=1)

    # ------------------------------------------------------------------ plain values
    def as_state(self) -> dict[str, Any]:
        """Return all attributes as plain values and arrays."""
        return {
            "columns": [_plain(column) for column in self.columns],
            "frame_type": None if self.frame_type is None else _plain(self.frame_type),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableEncoding:
        """Return the encoding whose attributes these are."""
        frame_type = state["frame_type"]
        return cls(
            tuple(ColumnEncoding(**column) for column in state["columns"]),
            None if frame_type is None else FrameType(**frame_type),
        )

    def check(self) -> None:
        """Raise if the attributes are not those of an encoding.

        Raises
        ------
        ValueError
        """
        for column in self.columns:
            column.check()
        if self.frame_type is not None:
            self.frame_type.check(len(self.columns))

    # ---------------------------------------------------------------- to features
    def encode(
        self, X: Any, handle_unknown: str = "error", clip: Clip = to_unit_interval
    ) -> np.ndarray:
        """Return the features of a table, (n, q) float64, NaN where missing.

        Parameters
        ----------
        X : frame or array-like of shape (n, p)
            Columns in the order of the fit.
        handle_unknown : {"error", "missing"}
            What is done with levels that the fit did not see.
        clip : callable (values, name) -> ndarray, default=no warning
            How numbers of Bernoulli columns become values in [0, 1].

        Raises
        ------
        ValueError
            If values cannot be encoded; the message names the column.
        """
        found, _ = columns(X, "X")
        if len(found) != len(self.columns):
            raise ValueError(
                f"X has {len(found)} columns, expected {len(self.columns)}, as in fit."
            )
        out = np.empty((n_rows(X), self.n_features))
        for column, encoding, own in zip(
            found, self.columns, self._slices, strict=True
        ):
            read = read_column(column, f"Column {encoding.name!r} of X")
            out[:, own] = encoding.encode(read, handle_unknown, clip)
        return out

    # -------------------------------------------------------------- from features
    def numbers(self, features: np.ndarray) -> np.ndarray:
        """Return features in the units of the table, column by column, (n, q).

        These are numbers, probabilities of levels, and numbers of ordered levels.
        Their names are ``feature_names``.

        Parameters
        ----------
        features : ndarray of shape (n, q)
        """
        parts = [
            encoding.numbers(features[:, own])
            for encoding, own in zip(self.columns, self._slices, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def decode(
        self, features: np.ndarray, *, is_drawn: bool = False, codes: Any = None
    ) -> Any:
        """Return a table like the one of the fit, (n, p).

        The most probable level of a category, the level nearest to the expectation of
        ordered ones, and numbers in their units.

        Parameters
        ----------
        features : ndarray of shape (n, q)
            Expectations or draws.
        is_drawn : bool, default=False
            Whether they are draws, of which integers are rounded and have the type of
            the fit.
        codes : frame or array-like of shape (n, d), default=None
            What the features are decoded from. If both it and the table are data frames
            of pandas, the table has its index.
        """
        values = self._values(features, is_drawn=is_drawn)
        table = self.table(values, is_drawn=is_drawn)
        if library_of(codes) == library_of(table) == "pandas":
            return table.set_axis(codes.index)
        return table

    def _values(self, features: np.ndarray, *, is_drawn: bool) -> list[np.ndarray]:
        """Return what each column of the user's table would hold, p of shape (n,)."""
        return [
            encoding.values(encoding.numbers(features[:, own]), is_drawn=is_drawn)
            for encoding, own in zip(self.columns, self._slices, strict=True)
        ]

    def fill(
        self,
        X: Any,
        features: np.ndarray,
        missing: np.ndarray,
        *,
        is_drawn: bool = False,
    ) -> Any:
        """Return a table with other values where some are missing.

        Parameters
        ----------
        X : frame or array-like of shape (n, p)
        features : ndarray of shape (n, q)
            Of all values.
        missing : ndarray of shape (n, q)
            Which features are missing in X.
        is_drawn : bool, default=False
            Whether missing ones are draws.
        """
        gaps = missing[:, self.firsts]  # (n, p)
        decoded = self._values(features, is_drawn=is_drawn)
        frame_type = self._frame_type_of(X)
        if frame_type is not None:
            return frame_type.filled(
                X, decoded, gaps, restores_numbers=is_drawn, numbers=self._numbers
            )
        array = np.array(X, dtype=object)
        for j, column in enumerate(decoded):
            if not self.columns[j].is_empty:
                array[gaps[:, j], j] = column[gaps[:, j]]
        dtype = _common_type(decoded)
        return array if dtype is None else array.astype(dtype)

    def _frame_type_of(self, X: Any) -> FrameType | None:
        """Return the type of a data frame, with the levels of the fit, else None.

        It is that of the frame of the fit, if both are of one library.
        """
        own, library = self._fitted_type, library_of(X)
        if library is None:
            return None
        if own is not None and own.library == library:
            return own
        found, _ = columns(X, "X")
        read = [read_column(column, "a column of X") for column in found]
        given = frame_type_of(X, found, read)
        return None if given is None else given.of_values(own)

    def table(self, values: Sequence[np.ndarray], *, is_drawn: bool = False) -> Any:
        """Return columns as a data frame, or as an array, like that of the fit."""
        if self._fitted_type is not None:
            names = [column.name for column in self.columns]
            return self._fitted_type.frame(names, values, restores_numbers=is_drawn)
        if _common_type(values) is not None:
            return np.column_stack(values)
        out = np.empty((len(values[0]), len(values)), dtype=object)
        for j, column in enumerate(values):
            out[:, j] = column
        return out


def _plain(part: ColumnEncoding | FrameType) -> dict[str, Any]:
    """Return the attributes of a part of the encoding, but for later ones at defaults.

    Earlier versions read the file of a table that does not need these.
    """
    later = {"is_empty": False, "labels": (), "label_type": ""}
    each = vars(part).items()
    return {k: v for k, v in each if k not in later or v != later[k]}


def _common_type(values: Sequence[np.ndarray]) -> Any:
    """Return the type of an array of columns, if all are numbers, or all booleans."""
    if all(column.dtype.kind in NUMBERS for column in values):
        return np.float64
    return np.bool_ if all(column.dtype.kind == "b" for column in values) else None


def is_typed(X: Any, likelihood: Any) -> bool:
    """Return whether columns of a table may have to be encoded.

    Not so for arrays and frames of numbers with one likelihood for all.

    Parameters
    ----------
    X : frame or array-like of shape (n, p)
    likelihood : str or mapping
    """
    if likelihood in ("gaussian", "bernoulli"):
        return False
    return likelihood != "auto" or _has_other_types(X)


def _has_other_types(X: Any) -> bool:
    """Return whether a column is of another type than numbers."""
    if hasattr(X, "columns") and hasattr(X, "__getitem__"):
        return any(not _is_number(X[name]) for name in X.columns)
    if isinstance(X, list | tuple):
        try:
            X = as_array(X)
        except ValueError:  # rows of several lengths: a check will say so
            return False
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUb"


def _is_number(column: Any) -> bool:
    """Return whether the type of a frame's column is one of numbers."""
    dtype: Any = getattr(column, "dtype", None)
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric())
    return getattr(dtype, "kind", "O") in NUMBERS


def check_no_levels(X: Any, owner: str) -> None:
    """Raise if a column of a data frame holds times or levels.

    Parameters
    ----------
    X : frame or array-like of shape (n, p)
    owner : str
        Class that takes the table, for the message.

    Raises
    ------
    ValueError
        If it does; the message names the column.
    """
    if not (hasattr(X, "columns") and _has_other_types(X)):
        return
    for column, name in zip(*columns(X, "X"), strict=True):
        content = read_column(column, f"Column {name!r} of X").content
        if content not in (BOOLEAN, INTEGER, FLOAT):
            raise ValueError(
                f"{owner} takes numbers alone, but column {name!r} of X holds "
                f"{content} values. Encode it before, for instance by OneHotEncoder, "
                "or use FactorVAETransformer."
            )


def fit_table(
    X: Any,
    likelihood: Any,
    weight: np.ndarray,
    min_frequency: Any,
    warn: Callable[[str], None],
) -> TableEncoding | None:
    """Determine how a table becomes features; None if all columns are numbers.

    Parameters
    ----------
    X : frame or array-like of shape (n, p)
    likelihood : str or mapping
        As :func:`likelihood_of_each` takes it.
    weight : ndarray of shape (n,)
        Weights of the samples.
    min_frequency : int, float or None
        Of levels of categorical columns; rarer ones are merged.
    warn : callable (str)
        Is called with warnings.

    Raises
    ------
    ValueError
        If a column cannot have its likelihood; the message names it.
    """
    found, names = columns(X, "X")
    is_frame = hasattr(X, "columns")
    names = names if is_frame else tuple(f"x{j}" for j in range(len(found)))
    read = [
        read_column(column, f"Column {name!r} of X")
        for column, name in zip(found, names, strict=True)
    ]
    empty = [is_empty(column, weight) for column in read]
    if not is_frame and any(column.content == OTHER for column in read):
        return None  # the check of arrays of numbers says what is wrong
    asked = likelihood_of_each(likelihood, names, X)
    chosen = [
        "gaussian"
        if no_value and column.content != TIME
        else own or automatic(column, name)
        for no_value, own, column, name in zip(empty, asked, read, names, strict=True)
    ]
    # Later values of an empty column of text are not numbers.
    is_plain = not any(
        is_of_levels(column)
        if np.isnan(own.values).all()
        else own.content in (BOOLEAN, CATEGORY, TEXT)
        for column, own in zip(found, read, strict=True)
    )
    if is_plain and set(chosen) == {"gaussian"}:
        return None
    misread = misread_columns(read, names, asked)
    for message in about_misread(misread, read, names):
        warn(message)
    encodings = tuple(
        fit_column(
            column,
            name,
            kind,
            weight,
            min_frequency,
            _ignored if name in misread else warn,
        )
        for column, name, kind in zip(read, names, chosen, strict=True)
    )
    return TableEncoding(encodings, frame_type_of(X, found, read))


def _ignored(message: str) -> None:
    """Do nothing, in place of a warning on the levels of a column that is misread."""


def n_rows(X: Any) -> int:
    """Return the number of rows of a frame or an array-like."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)

"""Columns of labels, factors and codes, and sample weights, as arrays.

Every part of the library reads such input here, so that a column has the same values,
missing entries, levels and kind wherever it is passed. Axes: ``n`` samples.
"""

from __future__ import annotations

import datetime
import numbers
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from ._text_arrays import as_array, text_array, text_of, texts_of

DISCRETE, CONTINUOUS = "discrete", "continuous"

MANY_LEVELS = 20
"""Integers of more levels are continuous if most samples have a level of their own."""

MAX_FLOAT_LEVELS = 50
"""Levels up to which floats that are whole numbers are discrete."""

MIN_SAMPLES_PER_LEVEL = 5
"""Samples per level, on average, from which such floats are discrete."""

EXACT_INTEGERS = 2**53
"""Magnitude up to which float64 represents all integers."""

BOOLEAN, INTEGER, FLOAT = "boolean", "integer", "float"
TIME, CATEGORY, TEXT, OTHER = "time", "category", "text", "other"


@dataclass(frozen=True)
class Column:
    """The entries of one column as float64.

    Attributes
    ----------
    values : ndarray of shape (n,)
        Numbers; times in steps since the earliest one; else the index of each entry's
        level. NaN where the entry is missing.
    content : str
        "boolean", "integer", "float", "time", "category", "text" or "other".
    is_ordered : bool
        False where levels are names without an order.
    levels : ndarray of shape (n_levels,) or None
        The levels that ``values`` index, in order; None if values are themselves
        numbers or times.
    dtype : numpy dtype or None
        Type of the numbers; None if ``levels`` are given.
    """

    values: np.ndarray
    content: str
    is_ordered: bool = True
    levels: np.ndarray | None = None
    dtype: Any = None

    def kind(self, index: Any = slice(None), weight: Any = None) -> str:
        """Return "discrete" or "continuous", by the values at some samples.

        Booleans, categories and all that are neither numbers nor times are discrete;
        times are continuous. Integers are discrete, unless they have more than 20
        levels and fewer than two samples per level. Floats are continuous, unless
        all are whole numbers, of at most 50 levels, with at least five samples per
        level on average.

        Parameters
        ----------
        index : slice or ndarray, default=all samples
            Samples that count; entries that are missing do not.
        weight : ndarray of shape (n,), default=None
            Sample weights. An integer counts as so many samples; of smaller weights,
            each sample counts once.
        """
        if self.content not in (INTEGER, FLOAT):
            return CONTINUOUS if self.content == TIME else DISCRETE
        values = self.values[index]
        known = ~np.isnan(values)
        n_samples = float(np.count_nonzero(known))
        if weight is not None:
            n_samples = max(n_samples, weight[index][known].sum())
        kind = _integer_kind if self.content == INTEGER else _float_kind
        return kind(values[known], n_samples)

    def as_levels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each entry's index among the levels that occur, and these levels.

        Indices are float64 of shape (n,), NaN where missing. Levels are in order.
        """
        known = ~np.isnan(self.values)
        present, index = np.unique(self.values[known], return_inverse=True)
        labels = np.full(len(self.values), np.nan)
        labels[known] = index.reshape(-1)
        if self.levels is None:
            return labels, present.astype(self.dtype)
        return labels, self.levels[present.astype(np.intp)]

    def as_numbers(self) -> np.ndarray | None:
        """Return the entries as numbers, NaN where missing; None if they are not."""
        if self.content not in (INTEGER, FLOAT):
            return None
        if self.levels is None:
            return self.values
        known = ~np.isnan(self.values)
        numbers_ = np.full(len(self.values), np.nan)
        numbers_[known] = self.levels[self.values[known].astype(np.intp)]
        return numbers_


# -------------------------------------------------------------------- sample weights
def check_sample_weight(sample_weight: Any, n_samples: int) -> np.ndarray:
    """Return the weights as float64 of shape (n_samples,); ones for None.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        A number is the weight of every sample.
    n_samples : int

    Raises
    ------
    ValueError
        If weights are of another shape, complex, negative, not finite, or all zero.
    """
    if sample_weight is None:
        return np.ones(n_samples)
    weight = np.asarray(sample_weight)
    if np.iscomplexobj(weight):
        raise ValueError("sample_weight is complex; expected real numbers >= 0.")
    weight = _as_floats(weight)
    if np.ma.isMaskedArray(sample_weight):
        weight = np.where(np.ma.getmaskarray(sample_weight), np.nan, weight)
    if weight.ndim == 0:
        weight = np.full(n_samples, float(weight))
    if weight.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weight.ndim}D array."
        )
    if len(weight) != n_samples:
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(n_samples,)}! Give one "
            "weight per sample."
        )
    if not np.isfinite(weight).all():
        raise ValueError(
            "sample_weight contains NaN or infinity; expected finite numbers >= 0. "
            "Give samples that should not count the weight zero."
        )
    if (weight < 0).any():
        raise ValueError(
            "Negative values in data passed to `sample_weight`; expected numbers >= 0."
        )
    if not weight.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number, and all are "
            "zero."
        )
    return weight


def _as_floats(array: np.ndarray) -> np.ndarray:
    """Return numbers as float64; infinity where they are too large for it."""
    with np.errstate(over="ignore"):
        try:
            return array.astype(np.float64)
        except OverflowError:  # of integers of Python's
            return np.array([_as_float(value) for value in array.flat])


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def check_sample_groups(
    sample_groups: Any, sample_weight: np.ndarray
) -> np.ndarray | None:
    """Return the group of each sample as an integer, (n_samples,); None for None.

    Groups are numbered in the order of their labels, so that numbers move with the
    samples. Samples of weight zero have no effect on the numbers; their own is zero.

    Parameters
    ----------
    sample_groups : array-like of shape (n_samples,) or None
        Labels: numbers, strings, times or categories.
    sample_weight : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If labels are of another shape, or missing.
    """
    if sample_groups is None:
        return None
    found, _ = columns(sample_groups, "sample_groups")
    if len(found) != 1:
        raise ValueError(
            f"sample_groups has {len(found)} columns, expected one. Give one label per "
            "sample; join several columns into one first."
        )
    column = read_column(found[0], "sample_groups")
    n_given, n_samples = len(column.values), len(sample_weight)
    if n_given != n_samples:
        raise ValueError(
            f"sample_groups has {n_given} labels, but X has {n_samples} samples. Give "
            "one label per sample."
        )
    n_missing = int(np.isnan(column.values).sum())
    if n_missing:
        raise ValueError(
            f"sample_groups has {n_missing} missing labels, expected one for every "
            "sample. Give samples that belong to no group a label of their own."
        )
    groups = np.zeros(n_samples, dtype=int)
    is_present = sample_weight > 0
    _, index = np.unique(_ranks_of_labels(column)[is_present], return_inverse=True)
    groups[is_present] = index.reshape(-1)
    return groups


def _ranks_of_labels(column: Column) -> np.ndarray:
    """Return the entries of a column, with names in place of categories sorted."""
    if column.levels is None:
        return column.values
    ranks = np.empty(len(column.levels))
    ranks[np.argsort(column.levels, kind="stable")] = np.arange(len(ranks))
    return ranks[column.values.astype(np.intp)]


# --------------------------------------------------------------------------- tables
def columns(data: Any, name: str, stem: str = "") -> tuple[list[Any], tuple[str, ...]]:
    """Return the columns of an array-like, frame or Series, and their names.

    Parameters
    ----------
    data : array-like or frame of shape (n, m) or (n,)
        One dimension is one column. Masked entries are missing.
    name : str
        Name of the data in error messages.
    stem : str, default=""
        Columns without a name are called by this stem and their number.

    Returns
    -------
    columns : list of m array-likes of shape (n,)
        For :func:`read_column`.
    names : tuple of m str

    Raises
    ------
    TypeError
        If data are sparse.
    ValueError
        If there is no column, or another number of dimensions, or two columns have
        one name.
    """
    if hasattr(data, "tocsr"):  # of scipy.sparse, which need not be installed
        raise TypeError(
            f"{name} must be dense, got a sparse matrix; call .toarray() first."
        )
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        names = tuple(str(column) for column in data.columns)
        _check_unique(names, name)
        found = [data[column] for column in data.columns]
    elif is_series(data):
        title = getattr(data, "name", None)
        names = (f"{stem}0" if title is None or title == "" else str(title),)
        found = [data]
    else:
        matrix = _matrix(data, name)
        names = tuple(f"{stem}{j}" for j in range(matrix.shape[1]))
        found = list(matrix.T)
    if not found:
        raise ValueError(f"{name} must have at least one column, got none.")
    return found, names


def is_series(data: Any) -> bool:
    """Return whether data are a Series, an Index, or an array of pandas' own."""
    return hasattr(data, "to_frame") or hasattr(
        getattr(data, "dtype", None), "na_value"
    )


def _check_unique(names: tuple[str, ...], name: str) -> None:
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise ValueError(
            f"{name} must not have two columns of the same name, got several called "
            f"{', '.join(map(repr, repeated))}. Rename them."
        )


def _matrix(data: Any, name: str) -> np.ndarray:
    """Return an array-like as (n, m)."""
    if np.ma.isMaskedArray(data):
        data = _without_mask(data)
    array = as_array(data)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(
            f"{name} must have shape (n_samples, n_columns) or (n_samples,), got shape "
            f"{array.shape}."
        )
    return array


def _without_mask(data: Any) -> np.ndarray:
    """Return a masked array as one whose masked entries are None or NaT."""
    mask = np.ma.getmaskarray(data)
    is_time = data.dtype.kind in "mM"
    filled = np.array(data.data, dtype=data.dtype if is_time else object)
    filled[mask] = "NaT" if is_time else None
    return filled


# -------------------------------------------------------------------------- columns
def read_column(column: Any, name: str, index: Any = slice(None)) -> Column:
    """Return the entries of a column at some samples.

    None, NaN, NaT and pandas.NA are missing. The levels of a pandas Categorical keep
    the order of its categories. Levels of strings, and of objects that are neither
    numbers, strings nor times, are sorted by their text.

    Parameters
    ----------
    column : array-like of shape (n,)
    name : str
        Name of the column in error messages.
    index : slice or ndarray, default=all samples
        Samples to read.

    Raises
    ------
    ValueError
        If an entry is a complex number, or two levels of a pandas Categorical have
        the same text.
    """
    if _is_categorical(column):
        return _categorical(getattr(column, "cat", column), name, index)
    array = as_array(column)[index]
    if array.ndim > 1 or array.dtype.kind == "V":  # lists of one length, or structures
        array = _as_objects(array)
    if array.dtype.kind == "b":
        return Column(array.astype(np.float64), BOOLEAN, dtype=array.dtype)
    if array.dtype.kind in "iu":
        return _integers(array)
    if array.dtype.kind == "f":
        content = INTEGER if _is_nullable_integer(column) else FLOAT
        return Column(array.astype(np.float64), content, dtype=array.dtype)
    if array.dtype.kind in "mM":
        return Column(_steps(array), TIME, dtype=np.float64)
    if array.dtype.kind in "US":
        return _texts(array.tolist(), np.zeros(len(array), dtype=bool))
    return _objects(array.astype(object), name)


def _is_nullable_integer(column: Any) -> bool:
    """Return whether a pandas or polars column is of integers, some of them missing."""
    dtype: Any = getattr(column, "dtype", None)
    if hasattr(dtype, "is_integer"):  # polars
        return bool(dtype.is_integer())
    return hasattr(dtype, "numpy_dtype") and dtype.kind in "iu"


def _is_categorical(column: Any) -> bool:
    return str(getattr(column, "dtype", "")) == "category"


def _categorical(categorical: Any, name: str, index: Any) -> Column:
    """Return a pandas Categorical, or what a Series of them calls ``cat``."""
    codes = np.asarray(categorical.codes, dtype=np.float64)[index]
    values = np.where(codes < 0, np.nan, codes)
    levels = np.asarray(categorical.categories)
    if levels.dtype.kind not in "biuf":
        levels = texts_of(levels, name)
    return Column(values, CATEGORY, bool(categorical.ordered), levels)


def _integers(array: np.ndarray) -> Column:
    """Return integers; beyond 2**53 as levels, which stay distinct."""
    largest = max(abs(int(array.min())), abs(int(array.max()))) if len(array) else 0
    if largest <= EXACT_INTEGERS:
        return Column(array.astype(np.float64), INTEGER, dtype=array.dtype)
    levels, index = np.unique(array, return_inverse=True)
    return Column(index.reshape(-1).astype(np.float64), INTEGER, True, levels)


def _steps(array: np.ndarray) -> np.ndarray:
    """Return times as float64 steps since the earliest one; NaT becomes NaN."""
    missing = np.isnat(array)
    if missing.all():
        return np.full(len(array), np.nan)
    steps = (array - array[~missing].min()).astype(np.int64).astype(np.float64)
    return np.where(missing, np.nan, steps)


def _texts(texts: list[Any], missing: np.ndarray, content: str = TEXT) -> Column:
    """Return strings, those that are not missing, as indices of the sorted ones."""
    levels = sorted(set(texts))
    place = {level: float(k) for k, level in enumerate(levels)}
    values = np.full(len(missing), np.nan)
    values[~missing] = [place[text] for text in texts]
    return Column(values, content, False, text_array(levels))


def _objects(array: np.ndarray, name: str) -> Column:
    """Return objects as booleans, numbers or times if all are, else by their text."""
    missing = np.array([_is_missing(value) for value in array], dtype=bool)
    present = array[~missing]
    if any(isinstance(value, complex | np.complexfloating) for value in present):
        raise ValueError(
            f"{name} holds complex numbers; expected real numbers, booleans, strings "
            "or times."
        )
    values = np.full(len(array), np.nan)
    if all(isinstance(value, bool | np.bool_) for value in present):
        values[~missing] = present.astype(bool)
        return Column(values, BOOLEAN, dtype=np.dtype(bool))
    if all(isinstance(value, numbers.Real | Decimal) for value in present):
        values[~missing] = _as_floats(present)
        is_whole = all(isinstance(value, numbers.Integral) for value in present)
        return Column(values, INTEGER if is_whole else FLOAT, dtype=np.float64)
    times = _times(present)
    if times is not None:
        values[~missing] = _steps(times)
        return Column(values, TIME, dtype=np.float64)
    is_text = all(isinstance(value, str) for value in present)
    texts = [text_of(value) for value in present]
    return _texts(texts, missing, TEXT if is_text else OTHER)


def _as_objects(rows: np.ndarray) -> np.ndarray:
    """Return the entries of nested rows as one list for each row, (n,)."""
    objects = np.empty(len(rows), dtype=object)
    objects[:] = [row.tolist() for row in rows]
    return objects


def _times(present: np.ndarray) -> np.ndarray | None:
    """Return dates and times, or durations, as numpy's; None if there are others."""
    if all(isinstance(v, np.datetime64 | datetime.date) for v in present):
        return np.array([_as_datetime64(v) for v in present])
    if all(isinstance(v, np.timedelta64 | datetime.timedelta) for v in present):
        return np.array([_as_timedelta64(v) for v in present])
    return None


def _as_datetime64(value: Any) -> np.datetime64:
    """Return a date or time as numpy's, in UTC if it has a time zone."""
    if hasattr(value, "to_datetime64"):  # a pandas Timestamp, to the nanosecond
        return value.to_datetime64()
    if getattr(value, "tzinfo", None) is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value)


def _as_timedelta64(value: Any) -> np.timedelta64:
    if hasattr(value, "to_timedelta64"):
        return value.to_timedelta64()
    return np.timedelta64(value)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    n_axes: Any = getattr(value, "ndim", None)
    if hasattr(value, "__len__") and n_axes != 0:  # text, a list or an array
        return False
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA has no truth value
        return True


# ---------------------------------------------------------------------------- kinds
def _integer_kind(values: np.ndarray, n_samples: float) -> str:
    n_levels = level_index(values)[1]
    is_nearly_unique = n_levels > MANY_LEVELS and n_samples < 2 * n_levels
    return CONTINUOUS if is_nearly_unique else DISCRETE


def _float_kind(values: np.ndarray, n_samples: float) -> str:
    if not _is_whole(values):
        return CONTINUOUS
    n_levels = level_index(values)[1]
    is_frequent = n_samples >= MIN_SAMPLES_PER_LEVEL * n_levels
    return DISCRETE if n_levels <= MAX_FLOAT_LEVELS and is_frequent else CONTINUOUS


def level_index(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the index (n,) of each value among the sorted levels, and their number.

    Integers of a small range take a counting pass instead of a sort.
    """
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    if high > low + 4 * len(values) + 1000 or not _is_whole(values):
        levels, index = np.unique(values, return_inverse=True)
        return index.reshape(-1), len(levels)
    shifted = (values - low).astype(np.intp) if len(values) else values.astype(np.intp)
    present = np.bincount(shifted) > 0
    return (np.cumsum(present) - 1)[shifted], int(present.sum())


def _is_whole(values: np.ndarray) -> bool:
    return bool(np.all(values == np.rint(values)))


# -------------------------------------------------------------- missing values of X
def with_nan(X: Any) -> Any:
    """Return samples in which missing values are NaN, for a check by scikit-learn.

    Entries that are masked become NaN, and so do None, NaT and pandas.NA in columns of
    objects and of text, which text of numbers may be.

    Parameters
    ----------
    X : array-like
        Samples.

    Returns
    -------
    X : array-like
        The samples themselves, where nothing has to be replaced.
    """
    if np.ma.isMaskedArray(X):
        return np.ma.filled(X.astype(np.result_type(X.dtype, np.float32)), np.nan)
    if isinstance(X, np.ndarray) and X.dtype == object:
        return _objects_with_nan(X)
    if hasattr(X, "isetitem"):  # a pandas DataFrame
        for j, dtype in enumerate(X.dtypes):
            is_object = getattr(dtype, "kind", "") == "O" and isinstance(
                dtype, np.dtype
            )
            if is_object or str(dtype).startswith("string"):
                X = X.copy(deep=False)
                X.isetitem(j, _objects_with_nan(X.iloc[:, j].to_numpy(dtype=object)))
    return X


def _objects_with_nan(objects: np.ndarray) -> np.ndarray:
    missing = np.frompyfunc(_is_missing, 1, 1)(objects).astype(bool)
    return np.where(missing, np.nan, objects) if missing.any() else objects


def check_entries(
    X: np.ndarray, names: Any, owner: str, *, allow_nan: bool, start: int | None = None
) -> None:
    """Raise if values of samples are infinite, or missing where they may not be.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    names : sequence of p str, or None
        Names of the columns, for the message.
    owner : str
        Class that takes the samples, for the message.
    allow_nan : bool
        Whether values may be missing (NaN).
    start : int or None, default=None
        Number of the first sample, if these are some of a larger table.

    Raises
    ------
    ValueError
        Names the columns.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return
    if (is_bad := np.isinf(X)).any():
        what = f"infinity or a value too large for {X.dtype}"
        advice = "Replace such values by numbers" + (
            ", or by NaN where they are missing." if allow_nan else "."
        )
    elif allow_nan or not (is_bad := np.isnan(X)).any():
        return
    else:
        what = "NaN"
        advice = (
            f"{owner} does not take missing values: impute them first, for instance by "
            "FactorVAETransformer.impute, or use a variational autoencoder."
        )
    rows, columns_ = np.nonzero(is_bad)
    first = columns_[0] if names is None else repr(names[columns_[0]])
    n_columns = len(np.unique(columns_))
    offset = 0 if start is None else start
    where = "" if start is None else f" of samples {start} to {start + len(X) - 1}"
    raise ValueError(
        f"Input X contains {what}: {len(rows)} values in {n_columns} columns{where}, "
        f"the first of them in column {first} of sample {rows[0] + offset}. {advice}"
    )

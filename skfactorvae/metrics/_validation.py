"""Input checking for every metric: one table of factors beside one of codes.

Axes: ``n`` rows, ``D`` codes, ``K`` factors. A factor is held as one float64 column
in which NaN means unlabelled; discrete factors keep their numbers where they have
numbers (so that correlations see them) and the rank of their level where they have
not.
"""

import numbers
import warnings
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import UndefinedMetricWarning

DISCRETE, CONTINUOUS = "discrete", "continuous"
MAX_AUTO_LEVELS = 50
MIN_ROWS_PER_LEVEL = 5
MANY_LEVELS = 20
EXACT_INTEGERS = 2**53


class Table(NamedTuple):
    """Factors and codes that passed the door, row by row."""

    factors: np.ndarray  # (n, K) float64, NaN = unlabelled
    kinds: tuple[str, ...]  # K times "discrete" or "continuous"
    ordered: tuple[bool, ...]  # K; False: levels are names without an order
    names: tuple[str, ...]  # K
    codes: np.ndarray  # (n, D) float32 or float64, finite
    code_names: tuple[str, ...]  # D


class Column(NamedTuple):
    """One factor on its way in."""

    values: np.ndarray  # (n,) float64
    kind: str
    ordered: bool


def warn_undefined(message):
    """Say that a score, or a part of it, has no value on these data."""
    warnings.warn(message, UndefinedMetricWarning, stacklevel=3)


def check_choice(name, value, options):
    """Raise unless `value` is one of the strings in `options`."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {sorted(options)}, got {value!r}.")


def check_int(name, value, minimum):
    """Raise unless `value` is an integer of at least `minimum`."""
    integral = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not integral or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}.")


def check_real(name, value, low, high, inclusive_low=True):
    """Raise unless `value` is a number from `low` to `high`."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    above = real and (low <= value if inclusive_low else low < value)
    if not (above and value <= high):
        bracket = "[" if inclusive_low else "("
        raise ValueError(
            f"{name} must be a number in {bracket}{low}, {high}], got {value!r}."
        )


def check_table(factors, codes, factor_types="auto"):
    """Return the :class:`Table` of two array-likes with one row per sample.

    A table made before passes as it is, whatever the other arguments.
    """
    if isinstance(factors, Table):
        return factors
    code_values, code_names = check_codes(codes)
    raw, names = _columns(factors, "factors", "factor")
    n_rows = len(raw[0])
    if n_rows != len(code_values):
        raise ValueError(
            f"factors have {n_rows} rows and codes have {len(code_values)}; both need "
            "one row per sample, in the same order. The order of the arguments is "
            "(factors, codes), like (y_true, y_pred)."
        )
    types = _requested_types(factor_types, len(raw))
    columns = [
        _factor(column, kind, name)
        for column, kind, name in zip(raw, types, names, strict=True)
    ]
    return Table(
        np.column_stack([column.values for column in columns]),
        tuple(column.kind for column in columns),
        tuple(column.ordered for column in columns),
        names,
        code_values,
        code_names,
    )


def check_codes(codes, name="codes"):
    """Return finite float codes of shape (n, D) and their D names."""
    raw, names = _columns(codes, name, "code")
    values = _float_matrix(codes, raw, name)
    if len(values) < 2:
        raise ValueError(
            f"{name} have n_samples={len(values)}; at least 2 rows are needed to "
            "measure anything."
        )
    _check_finite(values, names, name)
    return values, names


def check_sample_weight(sample_weight, n_rows):
    """Return weights of shape (n,), >= 0 with a positive sum, or None."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), got {weight.shape}."
        )
    if not np.all(np.isfinite(weight)) or np.any(weight < 0):
        raise ValueError("sample_weight must be finite and >= 0.")
    if not np.any(weight > 0):
        raise ValueError("sample_weight is zero for every row; give one a weight.")
    return weight


def weighted_table(factors, codes, factor_types, sample_weight):
    """Return the table without its rows of zero weight, and the weights left."""
    table = check_table(factors, codes, factor_types)
    weight = check_sample_weight(sample_weight, len(table.codes))
    if weight is None or np.all(weight > 0):
        return table, weight
    kept = weight > 0
    return take_rows(table, kept), weight[kept]


def take_rows(table, rows):
    """Return the table restricted to `rows`."""
    return table._replace(factors=table.factors[rows], codes=table.codes[rows])


def take_factors(table, kept):
    """Return the table restricted to the factors at the indices `kept`."""
    return table._replace(
        factors=table.factors[:, kept],
        kinds=tuple(table.kinds[k] for k in kept),
        ordered=tuple(table.ordered[k] for k in kept),
        names=tuple(table.names[k] for k in kept),
    )


def varying(columns):
    """Return the boolean mask (D,) of the columns that are not constant."""
    return np.array([column.min() < column.max() for column in columns.T], dtype=bool)


def constant_factors(table):
    """Return the indices of the factors with fewer than two different labels."""
    return [k for k in range(len(table.names)) if not _varies(table.factors[:, k])]


def defined_factors(table, score):
    """Return the indices of the factors with two labels or more; warn of the rest."""
    constant = constant_factors(table)
    if constant:
        names = ", ".join(table.names[k] for k in constant)
        warn_undefined(
            f"{score} is undefined for factors that are constant or unlabelled on "
            f"these rows, which are left out: {names}."
        )
    return [k for k in range(len(table.names)) if k not in constant]


def check_average(average):
    """Raise unless `average` is "macro" or None."""
    if average is not None:
        check_choice("average", average, {"macro"})


def average_over(values, kept, average, score):
    """Return `values`, or the mean of those at `kept`; NaN and a warning if none."""
    if average is None:
        return values
    if len(kept) == 0:
        warn_undefined(f"{score} is undefined without a factor that varies: NaN.")
        return float("nan")
    return float(np.clip(np.mean(values[kept]), 0.0, 1.0))


def labelled_groups(values):
    """Yield (rows, factor indices) for the factors labelled on the same rows.

    `rows` is a slice where every row is labelled, so that taking it copies nothing.
    """
    labelled = ~np.isnan(values)  # (n, K)
    groups = {}
    for k in range(values.shape[1]):
        groups.setdefault(labelled[:, k].tobytes(), []).append(k)
    for members in groups.values():
        mask = labelled[:, members[0]]
        yield (slice(None) if mask.all() else np.flatnonzero(mask)), members


def level_index(values):
    """Return the index (n,) of each value among the sorted levels, and their count.

    Small integers take a counting pass instead of a sort.
    """
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    if high - low > 4 * len(values) + 1000 or not _integer_valued(values):
        levels, index = np.unique(values, return_inverse=True)
        return index.reshape(-1), len(levels)
    shifted = (values - low).astype(np.intp) if len(values) else values.astype(np.intp)
    present = np.bincount(shifted) > 0
    return (np.cumsum(present) - 1)[shifted], int(present.sum())


def _varies(column):
    labelled = column[~np.isnan(column)]
    return len(labelled) > 0 and labelled.min() < labelled.max()


def _check_finite(values, names, what):
    """Raise if a code is NaN or infinite; one sum settles the common case."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    finite = [np.isfinite(column).all() for column in values.T]
    bad = ", ".join(n for n, fine in zip(names, finite, strict=True) if not fine)
    if bad:
        raise ValueError(
            f"{what} contain NaN or infinity in {bad}. Factors may be NaN "
            "(unlabelled), codes may not: drop these rows or repair the model. The "
            "order of the arguments is (factors, codes)."
        )


def _integer_valued(values):
    return bool(np.all(values == np.rint(values)))


def _float_matrix(codes, raw, name):
    """Return (n, D) floats; a float32 or float64 array comes back uncopied."""
    plain = isinstance(codes, np.ndarray) and not np.ma.isMaskedArray(codes)
    if plain and codes.dtype in (np.float32, np.float64):
        return codes.reshape(len(codes), len(raw))
    try:
        return np.column_stack([_as_float(column) for column in raw])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be real numbers, got {np.asarray(raw[0]).dtype} values. "
            f"Categorical {name} need a number per level first; and the order of the "
            "arguments is (factors, codes)."
        ) from error


def _as_float(column):
    if np.iscomplexobj(column):
        raise ValueError("complex numbers")
    return np.asarray(column).astype(np.float64)


def _columns(data, name, stem):
    """Return the columns of an array-like or data frame, and their names."""
    if issparse(data):
        raise TypeError(f"{name} must be dense; call .toarray() on them first.")
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        names = tuple(str(column) for column in data.columns)
        _check_unique(names, name)
        columns = [data[column] for column in data.columns]
    elif hasattr(data, "cat") or (hasattr(data, "dtype") and hasattr(data, "name")):
        names = (str(data.name if data.name is not None else f"{stem}0"),)
        columns = [data]
    else:
        array = _matrix(data, name)
        names = tuple(f"{stem}{j}" for j in range(array.shape[1]))
        columns = list(array.T)
    if not columns:
        raise ValueError(f"{name} have no column; at least one is needed.")
    return columns, names


def _check_unique(names, what):
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"{what} have several columns of the same name: {', '.join(repeated)}. "
            "Rename them, so that each can be told from the others."
        )


def _matrix(data, name):
    """Return an array-like as (n, columns); one dimension is read as one column."""
    if np.ma.isMaskedArray(data):
        data = np.where(data.mask, None, data.data.astype(object))  # unlabelled
    array = np.asarray(data)
    if array.dtype.kind in "US" and not isinstance(data, np.ndarray):
        array = np.asarray(data, dtype=object)  # keep numbers beside strings numbers
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(
            f"{name} must have shape (n_samples, n_columns) or (n_samples,), got "
            f"{array.shape}."
        )
    return array


def _requested_types(factor_types, n_factors):
    options = {"auto", DISCRETE, CONTINUOUS}
    if isinstance(factor_types, str):
        check_choice("factor_types", factor_types, options)
        return [factor_types] * n_factors
    if isinstance(factor_types, dict) or not np.iterable(factor_types):
        raise ValueError(
            f"factor_types must be one of {sorted(options)} or a sequence with one "
            f"per factor, got {factor_types!r}."
        )
    types = list(factor_types)
    if len(types) != n_factors:
        raise ValueError(
            f"factor_types has {len(types)} entries for {n_factors} factors; give one "
            "per factor, or a single string."
        )
    for kind in types:
        check_choice("each entry of factor_types", kind, options)
    return types


def _factor(column, requested, name):
    """Return one factor as float64 with its kind; NaN, None, NA, NaT = unlabelled."""
    values, guess, ordered = _numbers(column)
    if not ordered and requested == CONTINUOUS:
        raise ValueError(
            f"{name} holds labels without an order, so it cannot be 'continuous'; "
            "leave its factor type to 'auto' or 'discrete'."
        )
    if np.any(np.isinf(values)):
        raise ValueError(f"{name} contains infinity; use NaN for unlabelled rows.")
    kind = guess(values[~np.isnan(values)]) if requested == "auto" else requested
    return Column(values, kind, ordered)


def _numbers(column):
    """Return (float64 values, rule that guesses the kind, has an order)."""
    if str(getattr(column, "dtype", "")) == "category":
        codes = np.asarray(column.cat.codes, dtype=np.float64)
        return np.where(codes < 0, np.nan, codes), _always_discrete, column.cat.ordered
    array = np.asarray(column)
    if array.dtype.kind == "b":
        return array.astype(np.float64), _always_discrete, True
    if array.dtype.kind in "iu":
        return _integers(array), _integer_kind, True
    if array.dtype.kind == "f":
        return array.astype(np.float64), _float_kind, True
    if array.dtype.kind in "mM":
        return _times(array), _always_continuous, True
    return _objects(array.astype(object))


def _integers(array):
    """Return integers as float64; beyond 2**53, their ranks, which stay distinct."""
    if (
        len(array)
        and max(abs(int(array.min())), abs(int(array.max()))) > EXACT_INTEGERS
    ):
        return np.unique(array, return_inverse=True)[1].reshape(-1).astype(np.float64)
    return array.astype(np.float64)


def _times(array):
    """Return times as float64 steps since the first one; NaT becomes NaN."""
    missing = np.isnat(array)
    if missing.all():
        return np.full(len(array), np.nan)
    steps = (array - array[~missing].min()).astype(np.int64).astype(np.float64)
    return np.where(missing, np.nan, steps)


def _objects(array):
    """Return an object column as numbers if all are, else as ranks of its strings."""
    missing = np.array([_is_missing(value) for value in array], dtype=bool)
    values = np.full(len(array), np.nan)
    present = array[~missing]
    if any(isinstance(value, complex) for value in present):
        raise ValueError("factors must be real numbers or labels, got complex numbers.")
    if all(isinstance(value, numbers.Real | Decimal) for value in present):
        values[~missing] = present.astype(np.float64)
        whole = all(isinstance(value, numbers.Integral) for value in present)
        return values, (_integer_kind if whole else _float_kind), True
    if all(isinstance(value, np.datetime64 | np.timedelta64) for value in present):
        return _times(array), _always_continuous, True
    if all(hasattr(value, "to_datetime64") for value in present):
        times = np.full(len(array), "NaT", dtype="datetime64[ns]")
        times[~missing] = [value.to_datetime64() for value in present]
        return _times(times), _always_continuous, True
    levels = np.array([str(value) for value in present])
    values[~missing] = np.unique(levels, return_inverse=True)[1].reshape(-1)
    return values, _always_discrete, False


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA refuses to be true or false
        return True


def _always_discrete(values):
    return DISCRETE


def _always_continuous(values):
    return CONTINUOUS


def _integer_kind(values):
    """Integers are labels, unless most rows have one of their own."""
    n_levels = level_index(values)[1]
    nearly_unique = n_levels > MANY_LEVELS and len(values) < 2 * n_levels
    return CONTINUOUS if nearly_unique else DISCRETE


def _float_kind(values):
    """Floats are continuous, unless they are a few whole numbers seen often."""
    if not _integer_valued(values):
        return CONTINUOUS
    n_levels = level_index(values)[1]
    frequent = len(values) >= MIN_ROWS_PER_LEVEL * n_levels
    return DISCRETE if n_levels <= MAX_AUTO_LEVELS and frequent else CONTINUOUS

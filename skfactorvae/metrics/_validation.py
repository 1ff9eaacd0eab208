"""Input validation for every metric: a table of factors and one of codes.

Axes: ``n`` samples, ``D`` components, ``K`` factors. A factor is one float64 column in
which NaN means unlabelled. Discrete factors that are numbers keep their values, so that
correlations can be computed; others are represented by the index of their level.
"""

import numbers
from typing import NamedTuple

import numpy as np

from .._inputs import (
    CONTINUOUS,
    DISCRETE,
    check_sample_weight,
    columns,
    read_column,
)
from .._undefined import warn_undefined


class Table(NamedTuple):
    """Validated factors and codes of the same samples."""

    factors: np.ndarray  # (n, K) float64, NaN = unlabelled
    kinds: tuple[str, ...]  # K times "discrete" or "continuous"
    ordered: tuple[bool, ...]  # K; False if levels are names without an order
    names: tuple[str, ...]  # K
    codes: np.ndarray  # (n, D) float32 or float64, finite
    code_names: tuple[str, ...]  # D


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


def check_table(factors, codes, factor_types="auto", sample_weight=None):
    """Return the :class:`Table` of two array-likes with one row per sample.

    If `factors` is a Table, it is returned as it is; other arguments are ignored. Types
    of factors are those of the samples with a positive weight.
    """
    if isinstance(factors, Table):
        return factors
    code_values, code_names = check_codes(codes)
    raw, names = columns(factors, "factors", "factor")
    n_rows = len(raw[0])
    if n_rows != len(code_values):
        raise ValueError(
            f"factors have {n_rows} rows and codes have {len(code_values)}; both need "
            "one row per sample, in the same order. The order of the arguments is "
            "(factors, codes), like (y_true, y_pred)."
        )
    types = _requested_types(factor_types, len(raw))
    read = [read_column(column, name) for column, name in zip(raw, names, strict=True)]
    return Table(
        np.column_stack([column.values for column in read]),
        tuple(
            _kind(*each, sample_weight) for each in zip(read, types, names, strict=True)
        ),
        tuple(column.is_ordered for column in read),
        names,
        code_values,
        code_names,
    )


def check_codes(codes, name="codes"):
    """Return finite float codes of shape (n, D) and their D names."""
    raw, names = columns(codes, name, "component")
    values = _float_matrix(codes, raw, name)
    if len(values) < 2:
        raise ValueError(
            f"{name} have n_samples={len(values)}; at least 2 samples are needed."
        )
    _check_finite(values, names, name)
    return values, names


def weighted_table(factors, codes, factor_types, sample_weight):
    """Return the table without samples of zero weight, and the other weights."""
    table = check_table(factors, codes, factor_types, sample_weight)
    if sample_weight is None:
        return table, None
    weight = check_sample_weight(sample_weight, len(table.codes))
    if np.all(weight > 0):
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
    """Return the indices of factors with at least two labels; warn of the others."""
    constant = constant_factors(table)
    if constant:
        names = ", ".join(table.names[k] for k in constant)
        warn_undefined(
            f"{score} is undefined for factors that are constant or unlabelled on "
            f"these samples, which are left out: {names}."
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
    """Yield (rows, factor indices) for the factors labelled on the same samples.

    `rows` is a slice if all samples are labelled, so that indexing does not copy.
    """
    labelled = ~np.isnan(values)  # (n, K)
    groups: dict[bytes, list[int]] = {}
    for k in range(values.shape[1]):
        groups.setdefault(labelled[:, k].tobytes(), []).append(k)
    for members in groups.values():
        mask = labelled[:, members[0]]
        yield (slice(None) if mask.all() else np.flatnonzero(mask)), members


def _varies(column):
    labelled = column[~np.isnan(column)]
    return len(labelled) > 0 and labelled.min() < labelled.max()


def _check_finite(values, names, what):
    """Raise if a code is NaN or infinite; a finite sum is the common case."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    finite = [np.isfinite(column).all() for column in values.T]
    bad = ", ".join(n for n, fine in zip(names, finite, strict=True) if not fine)
    if bad:
        raise ValueError(
            f"{what} contain NaN or infinity in {bad}. Factors may be NaN "
            "(unlabelled), codes may not: remove these samples or check the model. The "
            "order of the arguments is (factors, codes)."
        )


def _float_matrix(codes, raw, name):
    """Return (n, D) floats; a float32 or float64 array is not copied."""
    plain = isinstance(codes, np.ndarray) and not np.ma.isMaskedArray(codes)
    if plain and codes.dtype in (np.float32, np.float64):
        return codes.reshape(len(codes), len(raw))
    try:
        return np.column_stack([_as_float(column) for column in raw])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be real numbers, got {np.asarray(raw[0]).dtype} values. "
            f"Encode categorical {name} as numbers first. The order of the arguments "
            "is (factors, codes)."
        ) from error


def _as_float(column):
    if np.iscomplexobj(column):
        raise ValueError("complex numbers")
    return np.asarray(column).astype(np.float64)


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


def _kind(column, requested, name, sample_weight):
    """Return the kind of a factor, as requested or by its values."""
    if not column.is_ordered and requested == CONTINUOUS:
        raise ValueError(
            f"{name} holds labels without an order, so it cannot be 'continuous'; "
            "leave its factor type to 'auto' or 'discrete'."
        )
    if np.any(np.isinf(column.values)):
        raise ValueError(f"{name} contains infinity; use NaN for unlabelled samples.")
    if requested != "auto":
        return requested
    if sample_weight is None:
        return column.kind()
    weight = check_sample_weight(sample_weight, len(column.values))
    return column.kind(weight > 0, weight)

"""The argument ``error_scale``: known errors of single values of X."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array

from .._inputs import with_nan

NOT_TAKEN = (
    "{owner} does not take error_scale: its discriminator compares samples as they "
    "are with generated ones. Leave it out, or use a variational autoencoder."
)
"""Error of a model without a likelihood of samples."""

FITTED_WITHOUT = (
    "This {owner} was fitted without error_scale, and its encoder and its noise scale "
    "treat the errors of the samples as part of them. Fit it with error_scale, which "
    "may be zero where values are exact, or leave it out here."
)
"""Error of a fitted model whose encoder takes no errors."""

OF_NUMBERS = (
    "error_scale needs a table of numbers with a Gaussian likelihood, but columns of "
    "this one have several types. Fit its columns of numbers alone, or leave "
    "error_scale out."
)
"""Error about errors of columns of several types."""


def read_errors(error_scale, X, names):
    """Return samples and the standard deviations of their errors, as arrays.

    Values of infinite error are missing.

    Parameters
    ----------
    error_scale : array-like of shape (n, p)
        Standard deviations in the units of X, >= 0; infinite where a value is missing.
    X : ndarray of shape (n, p)
        Samples, NaN where missing. The error of a missing value has no effect.
    names : sequence of p str, or None
        Names of the columns of X.

    Returns
    -------
    X, errors : ndarray of shape (n, p)
        NaN and zero where a value is missing.

    Raises
    ------
    ValueError
        If the errors cannot be read, have another shape or other columns than X, or are
        negative or missing; the message names the column.
    """
    _check_names(error_scale, names)
    with np.errstate(over="ignore"):
        errors = check_array(
            with_nan(error_scale),
            dtype=X.dtype,
            ensure_all_finite=False,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_samples=0,
            input_name="error_scale",
        )
    if errors.shape != X.shape:
        raise ValueError(
            f"error_scale has the shape {errors.shape}, expected that of X, {X.shape}: "
            "the standard deviation of each value's error. Repeat one number for each "
            "column or sample by numpy.broadcast_to(error_scale, X.shape)."
        )
    missing = np.isnan(X)
    _check_values(errors, missing, names)
    missing |= np.isinf(errors)
    return np.where(missing, np.nan, X), np.where(missing, 0, errors)


def _check_names(error_scale, names):
    """Raise if a data frame of errors has other columns than X."""
    columns = getattr(error_scale, "columns", None)
    if columns is None or names is None or list(columns) == list(names):
        return
    pairs = zip(columns, names, strict=False)
    first = next(
        (i for i, (a, b) in enumerate(pairs) if a != b),
        min(*map(len, (columns, names))),
    )
    raise ValueError(
        "The columns of error_scale differ from those of X, from number "
        f"{first} on. Expected the same names in the same order: pass "
        "error_scale[list(X.columns)]."
    )


def _check_values(errors, missing, names):
    """Raise if an error is negative, or is itself missing for a value that is not."""
    is_bad = ~((errors >= 0) | missing)
    if not is_bad.any():
        return
    rows, columns = np.nonzero(is_bad)
    column = columns[0] if names is None else repr(names[columns[0]])
    raise ValueError(
        f"error_scale has {len(rows)} values that are negative or missing (NaN), the "
        f"first of them {errors[rows[0], columns[0]]} in column {column} of sample "
        f"{rows[0]}; expected standard deviations >= 0. Pass 0 where a value is exact, "
        "and infinity where nothing is known of it."
    )

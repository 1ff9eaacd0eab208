"""Tables of columns of several types: as numbers for a model, and back.

Each column has a likelihood, by its type or by name. :class:`TableEncoding` turns a
table into numbers, one feature for each number, and as many as there are levels for a
category, and numbers back into a table like the one that it was fitted to.
"""

from ._encoding import (
    CONTINUOUS,
    COUNTS,
    LIKELIHOODS,
    ColumnEncoding,
    column_numbers,
)
from ._frames import frame_type_of, like_frame
from ._kinds import likelihood_of_each
from ._redundant import about_redundant
from ._report import ColumnReport, column_dtypes
from ._suggestions import Suggestion, suggest_likelihood
from ._table import TableEncoding, check_no_levels, fit_table, is_typed, n_rows

__all__ = [
    "CONTINUOUS",
    "COUNTS",
    "LIKELIHOODS",
    "ColumnEncoding",
    "ColumnReport",
    "Suggestion",
    "TableEncoding",
    "about_redundant",
    "check_no_levels",
    "column_dtypes",
    "column_numbers",
    "fit_table",
    "frame_type_of",
    "is_typed",
    "like_frame",
    "likelihood_of_each",
    "n_rows",
    "suggest_likelihood",
]

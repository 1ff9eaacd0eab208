"""Joint diagonalisation of covariances within conditions, or at lags in time.

Independence alone identifies no components of normal data. Conditions under which
components differ in spread do: the matrix that makes components uncorrelated under all
conditions is unique up to order, sign and scale.
"""

from ._condition_effects import ConditionEffects, checked_codes
from ._condition_table import ConditionTable
from ._conditional_prior import ConditionalPrior
from ._conditions import (
    LAGS,
    Auxiliary,
    Conditions,
    TimeOrder,
    known_rows,
    read_auxiliary,
    read_columns,
    refuse_times,
)
from ._diagonalisation import diagonalise, rotate_to_diagonal
from ._rotation import LEVEL, best_rotation
from ._separation import Separation, compare_shapes, spreads_of

__all__ = [
    "LAGS",
    "LEVEL",
    "Auxiliary",
    "ConditionEffects",
    "ConditionTable",
    "ConditionalPrior",
    "Conditions",
    "Separation",
    "TimeOrder",
    "best_rotation",
    "checked_codes",
    "compare_shapes",
    "diagonalise",
    "known_rows",
    "read_auxiliary",
    "read_columns",
    "refuse_times",
    "rotate_to_diagonal",
    "spreads_of",
]

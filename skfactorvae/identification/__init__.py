"""Components that known conditions, or an order in time, identify.

Independence alone identifies no components of normal data. Conditions under which
components differ in spread do. Several conditions at once, such as
doses and sites, have separate effects on components.
"""

from .._joint_diagonalisation import ConditionalPrior, ConditionEffects
from ._alignment import align_codes
from ._effects import condition_effects

__all__ = [
    "ConditionEffects",
    "ConditionalPrior",
    "align_codes",
    "condition_effects",
]

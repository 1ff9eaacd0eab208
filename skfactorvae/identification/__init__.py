"""Components that known conditions, or an order in time, identify.

Independence alone identifies no components of normal data. Conditions under which
components differ in spread do.
"""

from .._joint_diagonalisation import ConditionalPrior
from ._alignment import align_codes

__all__ = ["ConditionalPrior", "align_codes"]

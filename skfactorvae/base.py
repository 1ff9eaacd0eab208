"""Building blocks of your own estimators and objectives: see ``docs/extending.md``.

An objective is a class of named terms; an estimator is a class of declared parameters
that returns an objective. Everything else is inherited.
"""

from .core import WEIGHT, Adversary, Forward, Objective
from .estimators import (
    BaseLatentTransformer,
    BaseVAETransformer,
    declared,
    parameter,
    with_default,
)

__all__ = [
    "WEIGHT",
    "Adversary",
    "BaseLatentTransformer",
    "BaseVAETransformer",
    "Forward",
    "Objective",
    "declared",
    "parameter",
    "with_default",
]

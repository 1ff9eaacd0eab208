"""Building blocks of your own estimators and objectives: see ``docs/extending.md``.

An objective is a class of named terms; an estimator is a class of declared parameters
that returns an objective. Everything else is inherited.
"""

from .core import WEIGHT, AdversarialObjective, Forward, Objective
from .estimators import (
    BaseLatentTransformer,
    BaseVAETransformer,
    declared,
    parameter,
    with_default,
)

__all__ = [
    "WEIGHT",
    "AdversarialObjective",
    "BaseLatentTransformer",
    "BaseVAETransformer",
    "Forward",
    "Objective",
    "declared",
    "parameter",
    "with_default",
]

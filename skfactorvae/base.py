"""What an estimator of one's own is made of: see ``docs/extending.md``.

An objective is a class of named terms; an estimator is a class of declared parameters
that answers with an objective. Everything else is inherited.
"""

from ._autoencoder import BaseVAETransformer
from ._estimator import BaseLatentTransformer
from ._parameters import declared, parameter, with_default
from .core import WEIGHT, AdversarialObjective, Forward, Objective

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

"""Disentangled latent factors in the scikit-learn way.

:class:`FactorVAETransformer` wraps the FactorVAE of Kim & Mnih (2018): a variational
autoencoder whose codes are pushed towards independence by a penalty on their total
correlation. :mod:`skfactorvae.inspection` shows what each factor does,
:mod:`skfactorvae.metrics` measures the result, and :mod:`skfactorvae.datasets`
simulates tables whose factors are known.
"""

__version__ = "0.1.0.dev0"

from . import datasets, inspection, metrics, model_selection
from ._models import (
    AAETransformer,
    BetaTCVAETransformer,
    BetaVAETransformer,
    DIPVAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
)
from ._supervised import SupervisedFactorVAETransformer

__all__ = [
    "AAETransformer",
    "BetaTCVAETransformer",
    "BetaVAETransformer",
    "DIPVAETransformer",
    "FactorVAETransformer",
    "InfoGANTransformer",
    "SupervisedFactorVAETransformer",
    "datasets",
    "inspection",
    "metrics",
    "model_selection",
]

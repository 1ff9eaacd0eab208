"""Estimators: the scikit-learn interface, one public class a file.

A class declares its parameters and returns its objective; the stages of ``fit`` and all
that a fitted estimator does are in the base classes.
"""

from ._aae import AAETransformer
from ._auxiliary_vae import AuxiliaryVAETransformer
from ._base import BaseLatentTransformer
from ._base_vae import BaseVAETransformer
from ._beta_tcvae import BetaTCVAETransformer
from ._beta_vae import BetaVAETransformer
from ._causal_vae import CausalVAETransformer
from ._dip_vae import DIPVAETransformer
from ._factor_vae import FactorVAETransformer
from ._infogan import InfoGANTransformer
from ._paired_vae import PairedVAETransformer
from ._parameters import declared, parameter, with_default
from ._supervised_factor_vae import SupervisedFactorVAETransformer

__all__ = [
    "AAETransformer",
    "AuxiliaryVAETransformer",
    "BaseLatentTransformer",
    "BaseVAETransformer",
    "BetaTCVAETransformer",
    "BetaVAETransformer",
    "CausalVAETransformer",
    "DIPVAETransformer",
    "FactorVAETransformer",
    "InfoGANTransformer",
    "PairedVAETransformer",
    "SupervisedFactorVAETransformer",
    "declared",
    "parameter",
    "with_default",
]

"""Objectives: the loss that a fit minimises, one final class each."""

from ._aae import AAE
from ._auxiliary import (
    CONDITIONAL_PRIOR,
    AuxiliaryVAE,
    conditional_prior,
)
from ._base import WEIGHT, Adversary, Objective, Terms
from ._beta_tcvae import BetaTCVAE
from ._causal import CausalVAE, structural_moments
from ._dip_vae import DIPVAE
from ._factor_vae import FactorVAE
from ._forward import Batch, Extras, Forward, InputNoise, Labelled
from ._infogan import InfoGAN
from ._paired import PairedVAE
from ._readout import Readout
from ._supervised import SupervisedFactorVAE, attribute_heads
from ._vae import VAE, CapacityVAE

__all__ = [
    "AAE",
    "CONDITIONAL_PRIOR",
    "DIPVAE",
    "VAE",
    "WEIGHT",
    "Adversary",
    "AuxiliaryVAE",
    "Batch",
    "BetaTCVAE",
    "CapacityVAE",
    "CausalVAE",
    "Extras",
    "FactorVAE",
    "Forward",
    "InfoGAN",
    "InputNoise",
    "Labelled",
    "Objective",
    "PairedVAE",
    "Readout",
    "SupervisedFactorVAE",
    "Terms",
    "attribute_heads",
    "conditional_prior",
    "structural_moments",
]

"""Objectives: what a fit minimises, one final class each."""

from ._aae import AAE
from ._base import (
    WEIGHT,
    AdversarialObjective,
    Batch,
    Forward,
    Labelled,
    Objective,
    Terms,
)
from ._beta_tcvae import BetaTCVAE
from ._dip_vae import DIPVAE
from ._factor_vae import FactorVAE
from ._infogan import InfoGAN
from ._supervised import SupervisedFactorVAE
from ._vae import VAE, CapacityVAE

__all__ = [
    "AAE",
    "DIPVAE",
    "VAE",
    "WEIGHT",
    "AdversarialObjective",
    "Batch",
    "BetaTCVAE",
    "CapacityVAE",
    "FactorVAE",
    "Forward",
    "InfoGAN",
    "Labelled",
    "Objective",
    "SupervisedFactorVAE",
    "Terms",
]

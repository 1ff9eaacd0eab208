"""The torch room: networks, likelihoods, objectives, and the one training loop.

Everything here works on a stack of models: the leading axis ``K`` of every tensor.
Arrays enter and leave as numpy. A single fit is a stack of one.

Axes: ``K`` models, ``B`` rows of a batch, ``d`` latents, ``p`` features.
"""

from ._dense import ACTIVATIONS
from ._generators import GAN
from ._inference import decode, elbo, encode, order_latents, sample
from ._latent_axes import can_be_silenced, silenced, without_latents
from ._likelihoods import Bernoulli, Gaussian, Likelihood
from ._modules import Modules
from ._networks import MLP, ConvNet, Network, PointPosterior
from ._priors import PRIORS
from ._random import resolve_device
from ._stacking import effort, stack_width
from ._training import (
    COOLED,
    Fit,
    HeldOut,
    Job,
    Plan,
    Record,
    Watch,
    effective_rows,
    fit_stack,
)
from .objectives import (
    AAE,
    DIPVAE,
    VAE,
    WEIGHT,
    AdversarialObjective,
    BetaTCVAE,
    CapacityVAE,
    FactorVAE,
    Forward,
    InfoGAN,
    Objective,
    SupervisedFactorVAE,
)

__all__ = [
    "AAE",
    "ACTIVATIONS",
    "COOLED",
    "DIPVAE",
    "GAN",
    "MLP",
    "PRIORS",
    "VAE",
    "WEIGHT",
    "AdversarialObjective",
    "Bernoulli",
    "BetaTCVAE",
    "CapacityVAE",
    "ConvNet",
    "FactorVAE",
    "Fit",
    "Forward",
    "Gaussian",
    "HeldOut",
    "InfoGAN",
    "Job",
    "Likelihood",
    "Modules",
    "Network",
    "Objective",
    "Plan",
    "PointPosterior",
    "Record",
    "SupervisedFactorVAE",
    "Watch",
    "can_be_silenced",
    "decode",
    "effective_rows",
    "effort",
    "elbo",
    "encode",
    "fit_stack",
    "order_latents",
    "resolve_device",
    "sample",
    "silenced",
    "stack_width",
    "without_latents",
]

"""The torch room: networks, likelihoods, objectives, and the one training loop.

Everything here works on a stack of models: the leading axis ``K`` of every tensor.
Arrays enter and leave as numpy. A single fit is a stack of one.

Axes: ``K`` models, ``B`` rows of a batch, ``d`` latents, ``p`` features.
"""

from ._dense import ACTIVATIONS
from ._devices import resolve_device
from ._generators import GAN
from ._inference import decode, elbo, encode, order_latents, sample
from ._job import Fit, HeldOut, Job, Record, Watch, effective_sample_size
from ._latent_axes import can_set_to_prior, set_to_prior, without_latents
from ._likelihoods import Bernoulli, Gaussian, Likelihood
from ._modules import Modules
from ._networks import MLP, ConvNet, Network, PointPosterior
from ._priors import PRIORS
from ._schedule import ANNEALING_FRACTION, Schedule
from ._stacking import effort, stack_width
from ._training import fit_stack
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
    "ANNEALING_FRACTION",
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
    "PointPosterior",
    "Record",
    "Schedule",
    "SupervisedFactorVAE",
    "Watch",
    "can_set_to_prior",
    "decode",
    "effective_sample_size",
    "effort",
    "elbo",
    "encode",
    "fit_stack",
    "order_latents",
    "resolve_device",
    "sample",
    "set_to_prior",
    "stack_width",
    "without_latents",
]

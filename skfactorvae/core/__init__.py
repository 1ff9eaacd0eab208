"""Networks, likelihoods, objectives and the training loop, in torch.

Everything here works on a stack of models: the leading axis ``K`` of every tensor. A
single fit is a stack of one. Arrays enter and leave as numpy.

Axes: ``K`` models, ``B`` rows of a batch, ``d`` latents, ``p`` features.
"""

from ._column_likelihoods import Composite, by_column
from ._column_scores import independent_scores, noise_parameters, predicted_scores
from ._conv_net import ConvNet
from ._dense import ACTIVATIONS
from ._devices import (
    TORCHRUN,
    is_torchrun,
    resolve_device,
    resolve_devices,
    torch_threads,
    torch_version,
)
from ._distributed import current_ranks, joined_ranks
from ._factor_analysis import (
    IncompleteFactorAnalysis,
    fit_incomplete_factor_analysis,
)
from ._first_weights import has_large_layer
from ._generators import GAN
from ._inference import (
    decode,
    elbo,
    encode,
    impute,
    residual_squares,
    sample,
)
from ._job import (
    Arrays,
    Fit,
    HeldOut,
    Job,
    Record,
    Watch,
    effective_sample_size,
    least_memory,
)
from ._latents import order_latents, without_latents
from ._likelihoods import Bernoulli, Gaussian, Likelihood, Link
from ._missing import DecoderFilling, FactorFilling, split_errors
from ._mixing import can_mix, mix_latents
from ._modules import Modules
from ._networks import MLP, Network
from ._penalties import held_out_penalties
from ._priors import PRIORS
from ._products import LOW_SIDE, check_products
from ._rotation import (
    Rotated,
    keep_rotation,
    mean_loadings,
    rotate_latents,
    rotation_of,
    without_rotation,
)
from ._schedule import ANNEALING_FRACTION, Schedule, StreamSchedule
from ._stacking import effort, stack_width
from ._state import State, Storage
from ._stream import continue_fit
from ._tables import RowTable, select_rows
from ._training import fit_stack
from ._wrappers import PointPosterior
from .objectives import (
    AAE,
    CONDITIONAL_PRIOR,
    DIPVAE,
    VAE,
    WEIGHT,
    Adversary,
    AuxiliaryVAE,
    BetaTCVAE,
    CapacityVAE,
    CausalVAE,
    FactorVAE,
    Forward,
    InfoGAN,
    Objective,
    PairedVAE,
    SupervisedFactorVAE,
    attribute_heads,
    conditional_prior,
    structural_moments,
)

__all__ = [
    "AAE",
    "ACTIVATIONS",
    "ANNEALING_FRACTION",
    "CONDITIONAL_PRIOR",
    "DIPVAE",
    "GAN",
    "LOW_SIDE",
    "MLP",
    "PRIORS",
    "TORCHRUN",
    "VAE",
    "WEIGHT",
    "Adversary",
    "Arrays",
    "AuxiliaryVAE",
    "Bernoulli",
    "BetaTCVAE",
    "CapacityVAE",
    "CausalVAE",
    "Composite",
    "ConvNet",
    "DecoderFilling",
    "FactorFilling",
    "FactorVAE",
    "Fit",
    "Forward",
    "Gaussian",
    "HeldOut",
    "IncompleteFactorAnalysis",
    "InfoGAN",
    "Job",
    "Likelihood",
    "Link",
    "Modules",
    "Network",
    "Objective",
    "PairedVAE",
    "PointPosterior",
    "Record",
    "Rotated",
    "RowTable",
    "Schedule",
    "State",
    "Storage",
    "StreamSchedule",
    "SupervisedFactorVAE",
    "Watch",
    "attribute_heads",
    "by_column",
    "can_mix",
    "check_products",
    "conditional_prior",
    "continue_fit",
    "current_ranks",
    "decode",
    "effective_sample_size",
    "effort",
    "elbo",
    "encode",
    "fit_incomplete_factor_analysis",
    "fit_stack",
    "has_large_layer",
    "held_out_penalties",
    "impute",
    "independent_scores",
    "is_torchrun",
    "joined_ranks",
    "keep_rotation",
    "least_memory",
    "mean_loadings",
    "mix_latents",
    "noise_parameters",
    "order_latents",
    "predicted_scores",
    "residual_squares",
    "resolve_device",
    "resolve_devices",
    "rotate_latents",
    "rotation_of",
    "sample",
    "select_rows",
    "split_errors",
    "stack_width",
    "structural_moments",
    "torch_threads",
    "torch_version",
    "without_latents",
    "without_rotation",
]

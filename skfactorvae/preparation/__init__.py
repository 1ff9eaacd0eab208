"""Preparation: from samples, labels and weights to a training job.

Samples are made distinct and put in canonical order, standardised, and given an
initialisation, a temperature and noise levels; held-out samples choose weight decay and
number of steps. Needs numpy and scikit-learn; the job it makes is one of
:mod:`skfactorvae.core`.
"""

from ._data import TrainingData
from ._errors import with_errors
from ._incomplete import has_missing
from ._job import Prepared, PreviousFit, prepare
from ._labels import Attribute, distinct_samples, read_labels
from ._model_spec import ModelSpec, check_state
from ._noise_levels import information_of_noise
from ._options import FitOptions
from ._parallel_analysis import n_components_by_parallel_analysis
from ._rows import rescale_weights
from ._scaling import Scaling
from ._stream import STREAM_RATE, Stream, drift
from ._targets import check_widths

__all__ = [
    "STREAM_RATE",
    "Attribute",
    "FitOptions",
    "ModelSpec",
    "Prepared",
    "PreviousFit",
    "Scaling",
    "Stream",
    "TrainingData",
    "check_state",
    "check_widths",
    "distinct_samples",
    "drift",
    "has_missing",
    "information_of_noise",
    "n_components_by_parallel_analysis",
    "prepare",
    "read_labels",
    "rescale_weights",
    "with_errors",
]

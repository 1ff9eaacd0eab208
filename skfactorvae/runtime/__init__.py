"""Saved models without torch and scikit-learn: numpy alone computes what they do.

:func:`load` reads a file that an estimator's ``save`` wrote. The model that it returns
transforms, reconstructs and scores samples, for dense and convolutional networks and
all likelihoods. Importing this module imports numpy and the standard library only.
"""

from ..files import ModelFileError
from ._model import RuntimeModel, load

__all__ = ["ModelFileError", "RuntimeModel", "load"]

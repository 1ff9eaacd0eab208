"""Model selection: searches with batched training, and label-free selection.

No score or rule in this module uses factors. See :mod:`skfactorvae.metrics` for scores
that do.
"""

from .._batching import batched_fits
from ._constraints import best_under_constraint
from ._ensemble import SeedEnsemble
from ._path import GammaPath, gamma_path
from ._report import LatentReport, latent_report
from ._scorers import (
    audit_scorer,
    copula_scorer,
    elbo_scorer,
    explained_rows,
    explained_scorer,
    udr_scorer,
)
from ._search import BatchedGridSearchCV, BatchedRandomizedSearchCV
from ._select import GammaSelection, select_gamma

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "GammaPath",
    "GammaSelection",
    "LatentReport",
    "SeedEnsemble",
    "audit_scorer",
    "batched_fits",
    "best_under_constraint",
    "copula_scorer",
    "elbo_scorer",
    "explained_rows",
    "explained_scorer",
    "gamma_path",
    "latent_report",
    "select_gamma",
    "udr_scorer",
]

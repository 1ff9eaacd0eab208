"""Choosing a model without labels, and saying what it is worth.

Nothing here sees factors. See :mod:`skfactorvae.metrics` for scores that do.
"""

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
from ._select import GammaSelection, best_under_constraint, select_gamma

__all__ = [
    "GammaPath",
    "GammaSelection",
    "LatentReport",
    "SeedEnsemble",
    "audit_scorer",
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

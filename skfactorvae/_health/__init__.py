"""Checks of a fitted estimator: its training record, and its held-out scores.

The warnings of ``fit``, :func:`~skfactorvae.inspection.health_marks` and
:func:`~skfactorvae.model_selection.latent_report` all take their verdicts from here, so
that they agree on every fit. What needs samples is :func:`check_audit` and
:func:`check_samples`, of which only the report makes use.
"""

from ._checks import check_fit, fit_warnings
from ._discriminators import CHANCE_ACCURACY, CHANCE_LOSS, DEPENDENT_AUC, check_audit
from ._held_out import (
    MAX_R2_LOSS,
    MAX_WEIGHTED_R2_LOSS,
    check_reconstruction,
    check_samples,
    matches_factor_analysis,
)
from ._verdict import LEVELS

__all__ = [
    "CHANCE_ACCURACY",
    "CHANCE_LOSS",
    "DEPENDENT_AUC",
    "LEVELS",
    "MAX_R2_LOSS",
    "MAX_WEIGHTED_R2_LOSS",
    "check_audit",
    "check_fit",
    "check_reconstruction",
    "check_samples",
    "fit_warnings",
    "matches_factor_analysis",
]

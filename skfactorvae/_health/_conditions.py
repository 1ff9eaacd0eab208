"""Check of the conditions that a model was fitted with."""

from __future__ import annotations

from typing import Any

from .._joint_diagonalisation import LEVEL
from ._verdict import Verdict


def check_conditions(model: Any) -> Verdict | None:
    """Check that conditions differ in the shape of covariances, more than by chance."""
    p_value = (getattr(model, "init_criteria_", None) or {}).get("conditions_p")
    if p_value is None:
        return None
    if p_value <= LEVEL:
        message = f"Conditions differ in the spread of components (p = {p_value:.2g})."
        return Verdict("conditions", "fine", message)
    return Verdict(
        "conditions",
        "warning",
        "Conditions identify no components: the spreads of principal components differ "
        f"between them no more than between permuted ones (p = {p_value:.2g}, expected "
        f"at most {LEVEL}).",
        "Pass conditions in aux that change the standard deviation of some factors "
        "relative to others, or more samples.",
    )

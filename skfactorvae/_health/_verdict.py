"""Outcome of a check, and what several checks read of a fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

TAIL = 0.1
"""Share of the records, the last ones, whose mean is taken for a term's final value.

A record is a mean over the steps since the one before, and there are at most 200: 20 of
them average the noise of batches away. Learning rates have nearly reached their end.
"""

FEATURE_NOISE = ("auto", "feature")
"""Values of ``noise_scale`` with a learned scale for each feature."""

LEVELS = ("warning", "note", "fine")
"""From the most to the least urgent."""


class Verdict(NamedTuple):
    """Outcome of one check.

    Attributes
    ----------
    name : str
        What was checked.
    level : {"warning", "note", "fine"}
    message : str
        What was found.
    advice : str
        What to do; may be empty.
    """

    name: str
    level: str
    message: str
    advice: str = ""


def final_value(history: Mapping[str, Any], term: str) -> float | None:
    """Return the mean of a term over the last tenth of its records; None without."""
    values = np.asarray(history.get(term, ()), dtype=np.float64)
    if not len(values):
        return None
    return float(values[-max(1, int(TAIL * len(values))) :].mean())


def count_active(model: Any) -> int | None:
    """Return the number of active components; None where it is not known."""
    active = getattr(model, "active_components_", None)
    return None if active is None else len(active)

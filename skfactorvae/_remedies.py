"""What limited a fit, and which parameters can be changed.

Public attributes and parameters of a fitted estimator are read, as far as it has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def held_out_scores(model: Any) -> Mapping[str, float]:
    """Return the scores of held-out samples; empty if there are none."""
    return getattr(model, "held_out_", {})


def allowed_steps(model: Any) -> float:
    """Return the number of steps that a fit may make; infinity without ``max_iter``.

    It is less than ``max_iter`` where held-out samples limited it.
    """
    return held_out_scores(model).get("max_iter", max_iter_of(model))


def is_limited(model: Any) -> bool:
    """Return whether held-out samples limited the steps or the weights of a fit."""
    has_decay = getattr(model, "weight_decay_", 0) > 0
    return bool(held_out_scores(model)) and (has_decay or is_shortened(model))


def max_iter_of(model: Any) -> float:
    """Return the number of steps that is asked for; infinity without."""
    max_iter = getattr(model, "max_iter", np.inf)
    return model.max_iter_ if max_iter == "auto" else max_iter


def is_stream(model: Any) -> bool:
    """Return whether a model was trained on a stream, by ``partial_fit``."""
    return hasattr(model, "n_samples_seen_")


def is_shortened(model: Any) -> bool:
    """Return whether held-out samples limited the steps of a fit."""
    return allowed_steps(model) < max_iter_of(model)


def linear_advantage(model: Any) -> float | None:
    """Return how much better FactorAnalysis describes held-out samples.

    Nats per feature; None where it was not compared.
    """
    held_out = held_out_scores(model)
    if not held_out:
        return None
    gap = held_out["factor_analysis_score"] - held_out["score"]
    return None if np.isnan(gap) else float(gap / model.n_features_in_)


def noise_scale_of(model: Any) -> Any:
    """Return the parameter of a Gaussian likelihood; None for others."""
    is_gaussian = getattr(model, "likelihood", None) in ("auto", "gaussian")
    return getattr(model, "noise_scale", None) if is_gaussian else None


def lower(model: Any, name: str, above: float) -> list[str]:
    """Return the advice to lower a weight of the objective, if it is above a value."""
    value = getattr(model, name, above)
    return [f"lower {name} (now {value:g})"] if value > above else []


def more_steps(model: Any) -> str:
    """Return how to make more steps than a fit has made."""
    if is_shortened(model):
        return f"set weight_decay=0 (it makes all {max_iter_of(model)} steps)"
    return "raise max_iter"


def sentence(remedies: list[str]) -> str:
    """Return a sentence of alternatives."""
    *others, last = remedies
    text = f"{', '.join(others)}, or {last}" if others else last
    return f"{_capital(text)}."


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def rounded(gap: float) -> str:
    """Return a difference with two decimals, without a negative zero."""
    return f"{round(gap, 2) + 0.0:.2f}"

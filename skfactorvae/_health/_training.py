"""Checks of the training record: whether it is complete, and has converged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._remedies import allowed_steps, is_limited, is_stream, max_iter_of
from ._verdict import TAIL, Verdict

FEWEST_RECORDS = 2
"""Records in a tail below which its noise cannot be estimated."""

NOISE_FACTOR = 3.0
"""Standard errors above which a fall of the reconstruction is not noise."""

LEAST_FALL = 0.02
"""Share of the fall of the whole fit below which a fall of the last tenth is small."""


def check_training(model: Any, history: Mapping[str, Any]) -> Verdict | None:
    """Check that training neither diverged nor ended early.

    A fit stores no record of a step with values that are not finite, so that its
    records end before its last step.
    """
    n_iter = getattr(model, "n_iter_", None)
    max_iter, limit = max_iter_of(model), allowed_steps(model)
    if n_iter is None or max_iter == np.inf:
        return None
    steps = history.get("step")
    if steps is not None and (not len(steps) or steps[-1] < n_iter):
        kept = int(steps[-1]) if len(steps) else 0
        return Verdict(
            "training",
            "warning",
            f"Training diverged at step {n_iter}; the last finite record is of step "
            f"{kept}.",
            "Lower learning_rate, look for outliers, or raise noise_scale.",
        )
    if is_stream(model):  # of no given number of steps
        message = f"{n_iter} steps were made, on {model.n_samples_seen_} samples."
        return Verdict("training", "fine", message)
    if n_iter >= max_iter:
        return Verdict("training", "fine", f"All {n_iter} steps were made.")
    if n_iter >= limit:
        message = (
            f"{n_iter} of at most {max_iter} steps were made, as held-out samples "
            f"favoured (weight_decay_ = {getattr(model, 'weight_decay_', 0.0):g})."
        )
        return Verdict("training", "fine", message)
    if getattr(model, "early_stopping", False):
        message = f"Stopped early, after {n_iter} of {limit} steps."
        return Verdict("training", "fine", message)
    return Verdict(
        "training",
        "warning",
        f"Training ended after {n_iter} of {limit} steps, without early stopping.",
        "If no callback was meant to stop it, fit again.",
    )


def check_convergence(model: Any, history: Mapping[str, Any]) -> Verdict | None:
    """Compare the reconstruction of the last tenth with that of the tenth before.

    A fall of the last tenth that noise could explain still counts if the last fifth is
    clearly below the fifth before. Where held-out samples limited the fit, more steps
    would memorise samples.
    """
    if "reconstruction" not in history:
        return None
    advice = "Train on more blocks." if is_stream(model) else "Raise max_iter."
    loss = np.asarray(history["reconstruction"], dtype=np.float64)
    n = int(TAIL * len(loss))
    if n < FEWEST_RECORDS:
        if is_stream(model):  # a record for each block
            return None
        return Verdict(
            "convergence",
            "warning",
            f"The {len(loss)} records are too few to judge convergence.",
            advice,
        )
    fall, is_clear = _last_fall(loss, n)
    steps = f"by {fall:.3g} nats over the last {TAIL:.0%} of the steps"
    if fall <= 0:
        message = "The reconstruction error no longer falls."
    elif fall <= LEAST_FALL * abs(loss[:n].mean() - loss[-n:].mean()):
        message = f"The reconstruction error hardly falls any more: {steps}."
    elif not (is_clear or _last_fall(loss, 2 * n)[1]):
        message = f"The reconstruction error fell {steps}, which its noise can explain."
    elif is_limited(model):
        message = (
            f"The reconstruction error still fell {steps}; held-out samples decided "
            "against more steps."
        )
    else:
        message = f"The reconstruction error still fell {steps}."
        return Verdict("convergence", "warning", message, advice)
    return Verdict("convergence", "fine", message)


def _last_fall(loss: np.ndarray, n: int) -> tuple[float, bool]:
    """Return how far the last n records are below the n before, and if beyond noise."""
    last, before = loss[-n:], loss[-2 * n : -n]
    fall = float(before.mean() - last.mean())
    noise = float(np.sqrt((last.var() + before.var()) / n))
    return fall, fall > NOISE_FACTOR * noise

"""Check of the components: whether some are active, and why none is."""

from __future__ import annotations

from typing import Any

from .._remedies import (
    linear_advantage,
    lower,
    more_steps,
    noise_scale_of,
    rounded,
    sentence,
)
from ._held_out import LIKELIHOOD_GAP
from ._verdict import FEATURE_NOISE, Verdict, count_active

SHORT_TRAINING = 300
"""Number of steps below which a model without active components is barely trained."""


def check_components(model: Any) -> Verdict | None:
    """Check that some components are active, and that some are not."""
    kl, n_active = getattr(model, "kl_per_component_", None), count_active(model)
    if kl is None or n_active is None:
        return None
    if n_active == 0:
        return Verdict(
            "components", "warning", _collapse_message(model), _collapse_advice(model)
        )
    n_columns = getattr(model, "n_features_in_", len(kl))
    if len(kl) > n_columns:
        return Verdict(
            "components",
            "note",
            f"There are more components ({len(kl)}) than columns ({n_columns}); "
            f"{n_active} are active.",
            f"Set n_components to at most {n_columns}: further ones have nothing of "
            "their own to hold.",
        )
    if n_active == len(kl) and getattr(model, "n_components", None) == "auto":
        message = (
            f"All {len(kl)} components are active, as many as n_components='auto' "
            "chose."
        )
        return Verdict("components", "fine", message)
    if n_active == len(kl):
        return Verdict(
            "components",
            "note",
            f"All {len(kl)} components are active.",
            "Raise n_components to see whether more become active.",
        )
    message = f"{n_active} of {len(kl)} components are active."
    return Verdict("components", "fine", message)


def _collapse_message(model: Any) -> str:
    """Return that no component is active, and what is known of the reason."""
    message = (
        "No component holds more information than noise would: the posterior has "
        "collapsed."
    )
    if _is_short(model):
        return f"{message} Training was short: {model.n_iter_} steps."
    gap = linear_advantage(model)
    if gap is None:
        return message
    if gap > LIKELIHOOD_GAP:
        return (
            f"{message} The features are related: FactorAnalysis describes held-out "
            f"samples better, by {gap:.2f} nats per feature."
        )
    return (
        f"{message} FactorAnalysis hardly describes held-out samples better (by "
        f"{rounded(gap)} nats per feature): the features are nearly uncorrelated, so "
        "that the noise alone describes them."
    )


def _collapse_advice(model: Any) -> str:
    """Return what to do about a collapse, the likely remedy first."""
    gap = linear_advantage(model)
    is_related = gap is not None and gap > LIKELIHOOD_GAP
    is_fixed = not isinstance(noise_scale_of(model), str | None)
    advice = []
    if _is_short(model):
        advice.append("Raise max_iter.")
    if not is_related and noise_scale_of(model) in FEATURE_NOISE:
        advice.append(
            "If features are uncorrelated, as after PCA, set standardize='global' and "
            "noise_scale='shared'."
        )
    if not is_related:
        advice.append("If features were whitened, fit the original ones.")
    remedies = [
        *lower(model, "beta", 1),
        *(lower(model, "noise_scale", 0) if is_fixed else []),
        *(["set input_noise=0"] if getattr(model, "input_noise", 0) else []),
        *(["set init='pca'"] if getattr(model, "init_", "pca") == "ica" else []),
        *lower(model, "gamma", 0),
        *([] if _is_short(model) else [more_steps(model)]),
        "use more samples",
    ]
    return " ".join([*advice, sentence(remedies)])


def _is_short(model: Any) -> bool:
    return getattr(model, "n_iter_", SHORT_TRAINING) < SHORT_TRAINING

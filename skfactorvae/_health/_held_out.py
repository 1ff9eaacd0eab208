"""Checks of scores and reconstructions of samples that were not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._remedies import (
    held_out_scores,
    linear_advantage,
    lower,
    more_steps,
    noise_scale_of,
    rounded,
    sentence,
)
from ._verdict import FEATURE_NOISE, Verdict, count_active

LARGE_GAP = 0.25
"""Mean score of training samples above that of new ones, nats per feature: a note.

Where the learned noise has the variance of the held-out residuals, and this is k times
that of the training residuals, the gap is (1 - 1 / k) / 2: here k is 2. Tables of some
hundred noisy samples have gaps of 0.05 to 0.17.
"""

OVERFITTING_GAP = 0.4
"""The same difference from which a fit overfits: the residual variance is 5 times."""

LIKELIHOOD_GAP = 0.05
"""Nats per feature by which FactorAnalysis may exceed a fit on held-out samples.

A fit is scored by a lower bound, and makes a limited number of steps: some hundredths
are no fault.
"""

MAX_R2_LOSS = 0.05
"""Share of the variance that codes may explain less than principal components."""

MAX_WEIGHTED_R2_LOSS = 0.1
"""The same share for a fit that matches FactorAnalysis' held-out likelihood.

A likelihood weights features by their noise, and its posterior means are shrunk: even
the true model of one factor in four features reconstructs 0.06 less.
"""


def matches_factor_analysis(model: Any) -> bool:
    """Return whether the held-out score is known to be that of FactorAnalysis."""
    gap = linear_advantage(model)
    return gap is not None and gap <= LIKELIHOOD_GAP


def max_r2_loss(model: Any) -> float:
    """Return what codes may explain less than principal components, in [0, 1]."""
    return MAX_WEIGHTED_R2_LOSS if matches_factor_analysis(model) else MAX_R2_LOSS


def check_generalisation(model: Any) -> Verdict | None:
    """Compare the scores of held-out and training samples."""
    held_out = held_out_scores(model)
    if not held_out:
        return None
    return _compare_scores(
        "generalisation",
        model,
        "Held-out samples",
        held_out["score"],
        held_out["training_score"],
        "the model overfits",
        "Use fewer components, more samples, or a larger weight_decay (now "
        f"{getattr(model, 'weight_decay_', 0.0):g}), and check X for outliers.",
    )


def check_samples(model: Any, score: float) -> Verdict | None:
    """Compare the mean score of samples with that of the training samples.

    Parameters
    ----------
    model : object
        Fitted, with ``fit_score_`` and ``n_features_in_``, or without.
    score : float
        Mean score of samples that may be others than the training samples, nats.

    Returns
    -------
    verdict : Verdict or None
        None where there is nothing to compare with.
    """
    training = getattr(model, "fit_score_", None)
    if training is None:
        return None
    return _compare_scores(
        "overfitting",
        model,
        "These samples",
        score,
        training,
        "the model overfits, or these samples have another distribution",
        "Use fewer components, a larger weight_decay, more samples, or "
        "early_stopping=True.",
    )


def _compare_scores(
    name, model, samples, score, training, meaning, advice
) -> Verdict | None:
    """Compare the mean score of samples with that of the training samples, nats."""
    gap = (training - score) / model.n_features_in_
    if np.isnan(gap):
        return None
    message = (
        f"{samples} have a mean score of {score:.1f} nats, and training samples of "
        f"{training:.1f}, a difference of {rounded(gap)} nats per feature"
    )
    if gap <= LARGE_GAP:
        return Verdict(name, "fine", f"{message}.")
    level = "warning" if gap > OVERFITTING_GAP else "note"
    return Verdict(name, level, f"{message}: {meaning}.", advice)


def check_likelihood(model: Any) -> Verdict | None:
    """Compare the held-out score with that of FactorAnalysis."""
    gap = linear_advantage(model)
    if gap is None or count_active(model) == 0:
        return None
    held_out = held_out_scores(model)
    scores = (
        f"a score of {held_out['factor_analysis_score']:.1f} nats, and this model of "
        f"{held_out['score']:.1f}"
    )
    if gap <= LIKELIHOOD_GAP:
        message = f"On held-out samples, FactorAnalysis has {scores}."
        return Verdict("likelihood", "fine", message)
    remedies = ["use FactorAnalysis", "raise n_components", more_steps(model)]
    remedies = [*lower(model, "beta", 1), *remedies, "check X for outliers"]
    return Verdict(
        "likelihood",
        "warning",
        f"FactorAnalysis describes held-out samples better: it has {scores}, "
        f"{gap:.2f} nats per feature less.",
        sentence(remedies),
    )


def check_reconstruction(model: Any) -> Verdict | None:
    """Compare the reconstruction of held-out samples with one principal component's."""
    held_out = held_out_scores(model)
    if not held_out or count_active(model) == 0:
        return None
    r2, linear = held_out["r2"], held_out["first_component_r2"]
    if np.isnan(linear - r2):
        return None
    if r2 >= linear - max_r2_loss(model):
        message = (
            f"{r2:.0%} of the variance of held-out samples is reconstructed; by one "
            f"principal component {linear:.0%}."
        )
        return Verdict("reconstruction", "fine", message)
    remedies = [
        *lower(model, "beta", 1),
        "raise n_components",
        more_steps(model),
        *(
            ["set noise_scale='shared'"]
            if noise_scale_of(model) in FEATURE_NOISE
            else []
        ),
        "check X for outliers",
    ]
    return Verdict(
        "reconstruction",
        "warning",
        f"Only {r2:.0%} of the variance of held-out samples is reconstructed, less "
        f"than by one principal component ({linear:.0%}).",
        sentence(remedies),
    )

"""Checks of a fitted estimator: its training record, and its held-out scores.

The warnings of ``fit``, :func:`~skfactorvae.inspection.health_marks` and
:func:`~skfactorvae.model_selection.latent_report` all take their verdicts from here, so
that they agree on every fit. What needs samples is :func:`check_audit` and
:func:`check_samples`, of which only the report makes use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ._remedies import (
    allowed_steps,
    held_out_scores,
    is_limited,
    linear_advantage,
    lower,
    max_iter_of,
    more_steps,
    noise_scale_of,
    rounded,
    sentence,
)

CHANCE_LOSS = float(np.log(2))
"""Cross-entropy of a discriminator at chance level, nats."""

CHANCE_ACCURACY = 0.5
"""Its accuracy: both classes are equally frequent."""

TAIL = 0.1
"""Share of the records, the last ones, whose mean is taken for a term's final value.

A record is a mean over the steps since the one before, and there are at most 200: 20 of
them average the noise of batches away. Learning rates have nearly reached their end.
"""

FEWEST_RECORDS = 2
"""Records in a tail below which its noise cannot be estimated."""

NOISE_FACTOR = 3.0
"""Standard errors above which a fall of the reconstruction is not noise."""

LEAST_FALL = 0.02
"""Share of the fall of the whole fit below which a fall of the last tenth is small."""

STRONG_LOSS = 0.20
"""Loss below which a discriminator rarely errs: an accuracy of about 92 %.

Its logits then saturate, and their gradient no longer shows how to reduce the term.
"""

HIGH_ACCURACY = 0.8
"""Accuracy above which the two classes are clearly different.

That of the best classifier of two unit normal distributions 1.7 standard deviations
apart.
"""

LOW_ACCURACY = 0.6
"""Accuracy below which they differ little: two such distributions 0.5 apart."""

FLAT = 1e-4
"""Relative distance from the chance level within which a loss counts as unchanged.

A discriminator that does not learn stays within 1e-5. One that learns from independent
codes does not: the noise of batches alone moves its loss by 1e-3 and more.
"""

LARGE_SELF_WEIGHT = 0.9
"""Share of a code's density from its own sample above which the rest does not count.

The estimate of the total correlation then measures how narrow the posteriors are. Fits
warn from the same share on.
"""

INDEPENDENT_AUC = 0.55
"""AUC of the audit below which codes count as independent.

Over 1000 held-out samples, its standard error is about 0.01 to 0.02.
"""

DEPENDENT_AUC = 0.60
"""AUC of the audit above which codes count as dependent."""

WEAK_LOSS = 0.65
"""Loss above which a discriminator finds hardly any dependence: accuracy about 62 %."""

DEPENDENT_LOSS = 0.55
"""Loss below which a discriminator claims clear dependence: accuracy about 72 %."""

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

SHORT_TRAINING = 300
"""Number of steps below which a model without active components is barely trained."""

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


def check_fit(model: Any) -> list[Verdict]:
    """Return the verdicts on a fitted estimator, one for each check that applies.

    Parameters
    ----------
    model : object
        Fitted. Public attributes and parameters are read, as far as there are any:
        ``history_``, ``n_iter_``, ``max_iter``, ``early_stopping``,
        ``kl_per_component_``, ``active_components_``, ``held_out_``,
        ``weight_decay_``, ``n_features_in_``, and parameters such as ``gamma``.

    Returns
    -------
    verdicts : list of Verdict
        Names are unique.
    """
    history = getattr(model, "history_", {})
    found = [
        _check_training(model, history),
        _check_convergence(model, history),
        _check_components(model),
        _check_generalisation(model),
        _check_likelihood(model),
        _check_reconstruction(model),
        _check_discriminator(history, getattr(model, "gamma", 1), _n_active(model)),
        _check_batch_size(history),
    ]
    return [verdict for verdict in found if verdict is not None]


def fit_warnings(model: Any) -> list[str]:
    """Return what ``fit`` warns of: collapse, an overfit, or a worse fit than linear.

    Parameters
    ----------
    model : object
        Fitted, as for :func:`check_fit`.

    Returns
    -------
    messages : list of str
        One for each finding, with the advice. A model without active components has
        this one alone: the others follow from it.
    """
    checks = (
        _check_components,
        _check_generalisation,
        _check_likelihood,
        _check_reconstruction,
    )
    found = [verdict for check in checks if (verdict := check(model)) is not None]
    return [f"{v.message} {v.advice}" for v in found if v.level == "warning"]


def matches_factor_analysis(model: Any) -> bool:
    """Return whether the held-out score is known to be that of FactorAnalysis."""
    gap = linear_advantage(model)
    return gap is not None and gap <= LIKELIHOOD_GAP


def max_r2_loss(model: Any) -> float:
    """Return what codes may explain less than principal components, in [0, 1]."""
    return MAX_WEIGHTED_R2_LOSS if matches_factor_analysis(model) else MAX_R2_LOSS


def final_value(history: Mapping[str, Any], term: str) -> float | None:
    """Return the mean of a term over the last tenth of its records; None without."""
    values = np.asarray(history.get(term, ()), dtype=np.float64)
    if not len(values):
        return None
    return float(values[-max(1, int(TAIL * len(values))) :].mean())


# ------------------------------------------------------------------------- the record
def _check_training(model: Any, history: Mapping[str, Any]) -> Verdict | None:
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


def _check_convergence(model: Any, history: Mapping[str, Any]) -> Verdict | None:
    """Compare the reconstruction of the last tenth with that of the tenth before.

    Where held-out samples limited the fit, more steps would memorise samples.
    """
    if "reconstruction" not in history:
        return None
    loss = np.asarray(history["reconstruction"], dtype=np.float64)
    n = int(TAIL * len(loss))
    if n < FEWEST_RECORDS:
        return Verdict(
            "convergence",
            "warning",
            f"The {len(loss)} records are too few to judge convergence.",
            "Raise max_iter.",
        )
    last, before = loss[-n:], loss[-2 * n : -n]
    fall = before.mean() - last.mean()
    noise = np.sqrt((last.var() + before.var()) / n)
    whole = abs(loss[:n].mean() - last.mean())
    if fall > NOISE_FACTOR * noise and fall > LEAST_FALL * whole:
        message = (
            f"The reconstruction error still fell by {fall:.3g} nats over the last "
            f"{TAIL:.0%} of the steps"
        )
        if is_limited(model):
            message += "; held-out samples decided against more steps."
            return Verdict("convergence", "fine", message)
        return Verdict("convergence", "warning", f"{message}.", "Raise max_iter.")
    return Verdict("convergence", "fine", "The reconstruction error no longer falls.")


def _n_active(model: Any) -> int | None:
    active = getattr(model, "active_components_", None)
    return None if active is None else len(active)


def _check_components(model: Any) -> Verdict | None:
    """Check that some components are active, and that some are not."""
    kl, n_active = getattr(model, "kl_per_component_", None), _n_active(model)
    if kl is None or n_active is None:
        return None
    if n_active == 0:
        return Verdict(
            "components", "warning", _collapse_message(model), _collapse_advice(model)
        )
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


# ------------------------------------------------------------------ held-out samples
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


def _check_generalisation(model: Any) -> Verdict | None:
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


def _check_likelihood(model: Any) -> Verdict | None:
    """Compare the held-out score with that of FactorAnalysis."""
    gap = linear_advantage(model)
    if gap is None or _n_active(model) == 0:
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


def _check_reconstruction(model: Any) -> Verdict | None:
    """Compare the reconstruction of held-out samples with one principal component's."""
    held_out = held_out_scores(model)
    if not held_out or _n_active(model) == 0:
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


# ------------------------------------------------------------------- discriminators
class _Task(NamedTuple):
    """Two classes of a discriminator, and the meaning of a high accuracy."""

    classes: str
    meaning: str
    advice: str
    goal: str = ""


CODES_AND_PERMUTED = _Task(
    "codes from permuted ones",
    "components depend on each other, or it memorises the samples",
    "Raise gamma or train longer; for a small data set, use a smaller discriminator.",
    ", as for independent components",
)
CODES_AND_PRIOR = _Task(
    "codes from draws of the prior",
    "the codes do not have the distribution of the prior",
    "Raise gamma, train longer, or use fewer components.",
)
REAL_AND_GENERATED = _Task(
    "real samples from generated ones",
    "generated samples are not like real ones",
    "Raise max_iter or lower lambda_.",
)


def _task(history: Mapping[str, Any]) -> _Task:
    if "prior_mismatch" in history:
        return CODES_AND_PRIOR
    return REAL_AND_GENERATED if "generator_loss" in history else CODES_AND_PERMUTED


def _check_discriminator(
    history: Mapping[str, Any], gamma: float, n_active: int | None
) -> Verdict | None:
    """Check what the discriminator separates at the end of the training.

    Without its penalty (``gamma=0``), it has no effect and is not judged.
    """
    loss = final_value(history, "discriminator_loss")
    if loss is None or not gamma:
        return None
    task = _task(history)
    accuracy = final_value(history, "discriminator_accuracy")
    scores = f"loss {loss:.2f} (chance {CHANCE_LOSS:.2f})"
    if accuracy is not None:
        scores = f"accuracy {accuracy:.0%} (chance {CHANCE_ACCURACY:.0%}), {scores}"
    if loss < STRONG_LOSS and task is CODES_AND_PERMUTED:
        return Verdict(
            "discriminator",
            "warning",
            f"The discriminator is too strong: {scores}. Its gradient no longer shows "
            "how to reduce the total correlation.",
            "Lower gamma or discriminator_learning_rate, or raise warmup.",
        )
    is_accurate = accuracy is not None and accuracy > HIGH_ACCURACY
    if loss < STRONG_LOSS or is_accurate:
        return Verdict(
            "discriminator",
            "warning",
            f"The discriminator separates {task.classes}: {scores}; {task.meaning}.",
            task.advice,
        )
    may_depend = n_active is None or n_active > 1
    if task is CODES_AND_PERMUTED and may_depend and _is_flat(history):
        return Verdict(
            "discriminator",
            "warning",
            f"The discriminator did not learn: {scores}; its loss never differed from "
            f"chance level by more than {FLAT:.2%}.",
            "Raise discriminator_learning_rate or max_iter.",
        )
    message = f"The discriminator partly separates {task.classes}: {scores}."
    if _is_low(loss, accuracy):
        message = f"The discriminator hardly separates {task.classes}{task.goal}: "
        message += f"{scores}."
    return Verdict("discriminator", "fine", message)


def _is_low(loss: float, accuracy: float | None) -> bool:
    return loss > WEAK_LOSS if accuracy is None else accuracy < LOW_ACCURACY


def _is_flat(history: Mapping[str, Any]) -> bool:
    loss = np.asarray(history["discriminator_loss"], dtype=np.float64)
    return bool(np.abs(loss / CHANCE_LOSS - 1).max() < FLAT)


def _check_batch_size(history: Mapping[str, Any]) -> Verdict | None:
    shares = history.get("self_weight")
    if shares is None or not len(shares):
        return None
    share = float(shares[-1])
    message = f"{share:.0%} of the density of a code comes from its own sample"
    if share > LARGE_SELF_WEIGHT:
        return Verdict(
            "batch_size",
            "warning",
            f"{message}: batches are too small to estimate the total correlation.",
            "Raise batch_size or beta, or use fewer components.",
        )
    message = f"{message}; batches are large enough."
    return Verdict("batch_size", "fine", message)


# ------------------------------------------------------------- the record and samples
def check_audit(model: Any, auc: float) -> Verdict | None:
    """Compare a discriminator of total correlation with an audit of the codes.

    Parameters
    ----------
    model : object
        Fitted, as for :func:`check_fit`.
    auc : float
        AUC of a classifier that was trained afresh to separate codes from permuted
        ones, on samples that it was not trained on.

    Returns
    -------
    verdict : Verdict or None
        None where the two agree, or where there is no such discriminator. A
        discriminator that is too strong is the record's to find: see
        :func:`check_fit`.
    """
    history = getattr(model, "history_", {})
    loss = final_value(history, "discriminator_loss")
    if loss is None or not getattr(model, "gamma", 1) or loss < STRONG_LOSS:
        return None
    if _task(history) is not CODES_AND_PERMUTED:
        return None
    scores = (
        f"its loss is {loss:.2f} (chance {CHANCE_LOSS:.2f}), and a classifier trained "
        "for this report separates codes from permuted ones with AUC"
    )
    if loss > WEAK_LOSS and auc > DEPENDENT_AUC:
        return Verdict(
            "audit",
            "warning",
            f"The discriminator is too weak: {scores} {auc:.2f} (chance 0.5). It "
            "misses dependence between components, so that gamma has little effect.",
            "Raise discriminator_learning_rate, discriminator_hidden_layer_sizes or "
            "max_iter; a larger gamma does not help.",
        )
    if loss < DEPENDENT_LOSS and auc < INDEPENDENT_AUC:
        return Verdict(
            "audit",
            "warning",
            f"The discriminator memorises samples: {scores} {auc:.2f} (chance 0.5). It "
            "finds dependence that these samples do not show.",
            "Use more samples, a smaller discriminator, or a smaller "
            "discriminator_learning_rate.",
        )
    return None


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

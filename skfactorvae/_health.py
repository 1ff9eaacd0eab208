"""Checks of the training record of a fitted estimator.

:func:`~skfactorvae.inspection.health_marks` and
:func:`~skfactorvae.model_selection.latent_report` both take their verdicts from here,
so that they agree on every fit. What needs samples is :func:`check_audit`, of which
only the report makes use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

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

FLAT = 0.005
"""Relative distance from the chance level within which a loss counts as unchanged.

A discriminator that does not learn stays within 1e-5. One of independent codes can stay
within this distance, too, so that the verdict names both.
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
        ``kl_per_component_``, ``active_components_`` and ``gamma``.

    Returns
    -------
    verdicts : list of Verdict
        Names are unique.
    """
    history = getattr(model, "history_", {})
    kl: Any = getattr(model, "kl_per_component_", None)
    n_active = None if kl is None else len(model.active_components_)
    found = [
        _check_training(model, history),
        _check_convergence(history),
        None if n_active is None else check_components(n_active, len(kl)),
        _check_discriminator(history, getattr(model, "gamma", 1), n_active),
        _check_batch_size(history),
    ]
    return [verdict for verdict in found if verdict is not None]


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
    max_iter = getattr(model, "max_iter", None)
    if n_iter is None or max_iter is None:
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
    if getattr(model, "early_stopping", False):
        message = f"Stopped early, after {n_iter} of {max_iter} steps."
        return Verdict("training", "fine", message)
    return Verdict(
        "training",
        "warning",
        f"Training ended after {n_iter} of {max_iter} steps, without early stopping.",
        "If no callback was meant to stop it, fit again.",
    )


def _check_convergence(history: Mapping[str, Any]) -> Verdict | None:
    """Compare the reconstruction of the last tenth with that of the tenth before."""
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
        return Verdict(
            "convergence",
            "warning",
            f"The reconstruction error still fell by {fall:.3g} nats over the last "
            f"{TAIL:.0%} of the steps.",
            "Raise max_iter.",
        )
    return Verdict("convergence", "fine", "The reconstruction error no longer falls.")


def check_components(n_active: int, n_components: int) -> Verdict:
    """Check that some components are active, and that some are not."""
    if n_active == 0:
        return Verdict(
            "components",
            "warning",
            "No component holds more information than noise would: the posterior has "
            "collapsed.",
            "Lower beta or gamma, lower noise_scale, start from init='pca', train "
            "longer, or use more samples; check that the features are related at all.",
        )
    if n_active == n_components:
        return Verdict(
            "components",
            "note",
            f"All {n_components} components are active.",
            "Raise n_components to see whether more become active.",
        )
    message = f"{n_active} of {n_components} components are active."
    return Verdict("components", "fine", message)


class _Task(NamedTuple):
    """Two classes of a discriminator, and the meaning of a high accuracy."""

    classes: str
    meaning: str
    advice: str


CODES_AND_PERMUTED = _Task(
    "codes from permuted ones",
    "components depend on each other, or it memorises the samples",
    "Raise gamma or train longer; for a small data set, use a smaller discriminator.",
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
            f"The discriminator stayed at chance level throughout: {scores}. Either "
            "the components were independent from the start, or it did not learn.",
            "Raise discriminator_learning_rate, and see whether that changes it.",
        )
    separates = "hardly separates" if _is_low(loss, accuracy) else "partly separates"
    message = f"The discriminator {separates} {task.classes}: {scores}."
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

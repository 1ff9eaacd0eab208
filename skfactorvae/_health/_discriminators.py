"""Checks of what estimates the penalty: a discriminator, or the batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ._verdict import Verdict, final_value

CHANCE_LOSS = float(np.log(2))
"""Cross-entropy of a discriminator at chance level, nats."""

CHANCE_ACCURACY = 0.5
"""Its accuracy: both classes are equally frequent."""

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


def check_discriminator(
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


def check_batch_size(history: Mapping[str, Any]) -> Verdict | None:
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


def _task(history: Mapping[str, Any]) -> _Task:
    if "prior_mismatch" in history:
        return CODES_AND_PRIOR
    return REAL_AND_GENERATED if "generator_loss" in history else CODES_AND_PERMUTED


def _is_low(loss: float, accuracy: float | None) -> bool:
    return loss > WEAK_LOSS if accuracy is None else accuracy < LOW_ACCURACY


def _is_flat(history: Mapping[str, Any]) -> bool:
    loss = np.asarray(history["discriminator_loss"], dtype=np.float64)
    return bool(np.abs(loss / CHANCE_LOSS - 1).max() < FLAT)

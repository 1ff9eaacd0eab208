"""Checks of a fitted transformer on samples, and what they find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from .._health import (
    DEPENDENT_AUC,
    MAX_R2_LOSS,
    MAX_WEIGHTED_R2_LOSS,
    check_audit,
    check_fit,
    check_reconstruction,
    check_samples,
    matches_factor_analysis,
)
from .._pipelines import (
    active_columns,
    number_names,
)
from .._remedies import is_limited, lower, more_steps, sentence
from .._simple_structure import are_as_independent, are_nearly_normal, non_normality
from ..columns import suggest_likelihood

SAME = 0.98
"""Absolute rank correlation from which two components count as the same."""

UNEVEN = 30.0
"""Ratio of a feature's standard deviation to the median one, too large for one scale.

The squared error of such a feature weighs 900 times that of a median one.
"""

FAR = 50.0
"""Standard deviations from the median at which a value is an outlier.

At most one value in 2400 can be that far away, whatever the distribution (Chebyshev).
"""

SIMPLER = 0.05
"""Difference of the index of simplicity that is reported."""

MAX_SUGGESTIONS = 12
"""Columns of which likelihoods other than Bernoulli are suggested, and columns that are
listed, at most: the channels of spectra and series are of one kind."""

FOLLOWS_GAPS = 0.5
"""Correlation of a component with an indicator of missing values to be reported."""

STABLE = 0.5
"""Share of the other seeds that must find a component for it to count as stable."""


@dataclass(frozen=True)
class Finding:
    """Result of one check: its topic, its level, what was found, and what to do."""

    topic: str
    level: str
    message: str
    advice: str = ""

    def __str__(self):
        return f"[{self.level}] {self.topic}: {self.message} {self.advice}".rstrip()


def _check_training(subject):
    """Report what the training record shows, except what is fine."""
    for verdict in check_fit(subject.model):
        if verdict.level != "fine":
            yield Finding(*verdict)


def _check_codes(subject):
    fitted = active_columns(subject.model)
    if (fitted is None or len(fitted)) and not subject.active.any():
        yield Finding(
            "codes",
            "warning",
            "The codes of all these samples are the same.",
            "Check that X has the features and units of the training samples.",
        )


def _check_audit(subject):
    if subject.sampled_audit is None:
        return
    verdict = check_audit(subject.model, subject.sampled_audit.auc)
    if verdict is not None:
        yield Finding(*verdict)


def _check_dependence(subject):
    audit = subject.sampled_audit or subject.audit
    if subject.active.sum() < 2:
        return
    least = audit.auc - 2 * audit.auc_std_error
    scores = f"AUC {audit.auc:.2f}, copula {audit.gaussian_copula_tc:.2f} nats"
    if least <= 0.5:
        message = f"No dependence between components was found ({scores})."
        yield Finding("dependence", "fine", message)
        return
    fault = next(_check_audit(subject), None)  # of the discriminator
    remedy = "Raise gamma" if fault is None else "Improve the discriminator first"
    yield Finding(
        "dependence",
        "warning" if least > DEPENDENT_AUC else "note",
        "Components depend on each other: a classifier separates their codes from "
        f"permuted ones ({scores}).",
        f"{remedy}, or interpret them together; factors that are dependent in the data "
        "cannot be made independent without loss.",
    )


def _check_baselines(subject):
    if not subject.active.any():
        return
    for name, what, match in (
        ("PCA", "principal", subject.pca),
        ("FastICA", "FastICA", subject.ica),
        ("FactorAnalysis with varimax", "rotated factor analysis", subject.varimax),
    ):
        if match is None:
            continue
        same = match.correlation[subject.active] >= SAME
        if same.all():
            yield Finding(
                "baseline",
                "warning",
                f"This is {name}: each active component is a {what} component "
                f"(correlation {SAME}).",
                f"Use {name}, or train longer, with a larger network."
                if not is_limited(subject.model)
                else f"Use {name}: held-out samples favour a nearly linear model.",
            )
            return
        if same.any():
            yield Finding(
                "baseline",
                "note",
                f"{same.sum()} of {len(same)} active components match {what} "
                f"components (rank correlation at least {SAME}).",
                f"{name} finds these without a nonlinear model.",
            )


def _check_structure(subject):
    """Report simpler structure of rotated components where independence is no guide."""
    codes, factors = (subject.simplicity.get(k) for k in ("codes", "varimax"))
    if factors is None or not factors > codes + SIMPLER:
        return
    sources, rotated = (
        non_normality(subject.baselines[name]) for name in ("ica", "varimax")
    )
    if are_nearly_normal(sources) or are_as_independent(rotated, sources):
        yield Finding(
            "structure",
            "note",
            "FactorAnalysis with varimax has simpler structure (Kaiser's index "
            f"{factors:.2f}; the codes: {codes:.2f}), and independence does not decide "
            "between them: FastICA's components are nearly normal, or no farther "
            "from normal than those of FactorAnalysis.",
            "If features should depend on few components each, set init='varimax', or "
            "use FactorAnalysis(rotation='varimax').",
        )


def _check_explanation(subject):
    codes, pca = subject.explained["codes"], subject.explained["pca"]
    if subject.active.any() and codes < pca - MAX_R2_LOSS:
        message = (
            f"The codes explain {codes:.2f} of the samples' variance, and as many "
            f"principal components {pca:.2f}."
        )
        is_small = codes >= pca - MAX_WEIGHTED_R2_LOSS
        if is_small and matches_factor_analysis(subject.model):
            yield Finding(
                "fit",
                "note",
                message,
                "A likelihood weights features by their noise, and that of held-out "
                "samples is as high as FactorAnalysis'.",
            )
            return
        if number_names(subject.model) is not None and _reconstructs(subject.model):
            yield Finding(
                "fit",
                "note",
                message,
                "Principal components maximise this share, and likelihoods of columns "
                "of several types do not. column_report_ says which columns the others "
                f"predict; if one matters that they do not, {_more(subject.model)}.",
            )
            return
        yield Finding("fit", "warning", message, _fit_advice(subject.model))


def _reconstructs(model):
    """Return whether held-out samples are known to be reconstructed well."""
    verdict = check_reconstruction(model)
    return verdict is not None and verdict.level == "fine"


def _fit_advice(model):
    """Return what may raise the variance that codes explain, as far as it is open."""
    if not hasattr(model, "history_"):
        return sentence([_more(model)])
    weights = [*lower(model, "beta", 1), *lower(model, "gamma", 0)]
    steps = [] if is_limited(model) else [more_steps(model)]
    return sentence([_more(model), *weights, *steps])


def _more(model):
    """Return the advice to raise the number of components."""
    if getattr(model, "n_components", None) != "auto":
        return "raise n_components"
    return f"set n_components above the {model.n_components_} that 'auto' chose"


def _check_scale(subject):
    if subject.params.get("standardize", "auto") in ("auto", "feature"):
        return
    is_gaussian = subject.params.get("likelihood", "auto") in ("auto", "gaussian")
    if not is_gaussian or number_names(subject.model) is not None:
        return
    spread = subject.completed.std(axis=0)
    usual = np.median(spread[spread > 0]) if spread.any() else 1.0
    if subject.params["standardize"] is None and not 0.1 < usual < 10:
        yield Finding(
            "scale",
            "warning",
            f"Features have a standard deviation of about {usual:.3g}, and the model "
            "does not standardize.",
            "Set standardize='feature' (tables) or 'global' (spectra, images).",
        )
    elif spread.max() > UNEVEN * usual:
        yield Finding(
            "scale",
            "warning",
            f"The standard deviation of feature {spread.argmax()} is "
            f"{spread.max() / usual:.0f} times the median one, so that it dominates "
            "the reconstruction error.",
            "Set standardize='feature', or scale the features.",
        )


def _check_columns(subject):
    """Suggest likelihoods for numeric columns that are far from normal."""
    likelihood = subject.params.get("likelihood")
    if likelihood not in ("auto", "gaussian") and not isinstance(likelihood, Mapping):
        return
    found = {
        name: suggested.likelihood
        for name, values in zip(subject.names, subject.unscaled.T, strict=True)
        if subject.likelihood_of(name) == "gaussian"
        and (suggested := suggest_likelihood(values)) is not None
    }
    binary = {name: kind for name, kind in found.items() if kind == "bernoulli"}
    if len(found) > MAX_SUGGESTIONS:  # series and spectra are alike
        found = binary
    if not found:
        return
    kinds = "zeros and ones"
    if found != binary:
        kinds = "skewness, counts, zeros and ones, or heavy tails"
    p = len(subject.names)
    asked = "'bernoulli'" if len(binary) == p else f"{{{_first_of(found.items())}}}"
    names = _first_of((name,) for name in found)
    yield Finding(
        "columns",
        "note",
        f"Columns of numbers with {kinds}: {len(found)} of {p} ({names}).",
        f"Consider likelihood={asked}{_without(subject.scalers)}.",
    )


def _without(scalers):
    """Return that likelihoods need the units in which columns were judged."""
    if not scalers:
        return ""
    steps = ", ".join(map(repr, scalers))
    return f" without the scaling before ({steps}): the model scales columns itself"


def _first_of(entries):
    """Return the first entries as text, with an ellipsis if there are more."""
    shown = [": ".join(map(repr, entry)) for entry in entries]
    return ", ".join(shown[:MAX_SUGGESTIONS] + ["..."] * (len(shown) > MAX_SUGGESTIONS))


def _check_outliers(subject):
    spread = subject.completed.std(axis=0)
    varies = spread > 0
    if not varies.any():
        return
    centred = np.abs(subject.completed - np.median(subject.completed, axis=0))[
        :, varies
    ]
    extent = (centred / spread[varies]).max(axis=0)
    if extent.max() > FAR:
        yield Finding(
            "outliers",
            "warning",
            f"Feature {np.flatnonzero(varies)[extent.argmax()]} has a value "
            f"{extent.max():.0f} standard deviations from its median.",
            "Remove it, or transform the feature (log, QuantileTransformer).",
        )


def _check_missing(subject):
    """Report components that follow the pattern of missing values, or the errors."""
    missing = np.isnan(subject.rows).astype(np.float64)
    for j, feature, correlation in _followed(subject, missing):
        yield Finding(
            "missing values",
            "warning",
            f"{_titled(subject, j)} follows the pattern of missing values: its "
            f"correlation with an indicator of those of feature {feature} is "
            f"{correlation:.2f}.",
            "Ask why these values are missing, and interpret the component as the "
            "reason, or leave the feature out.",
        )
    if not subject.known:
        return
    errors = np.asarray(subject.known["error_scale"], dtype=np.float64)
    ranks = rankdata(np.where(np.isfinite(errors), errors, np.inf), axis=0)
    for j, feature, correlation in _followed(subject, ranks):
        yield Finding(
            "known errors",
            "warning",
            f"{_titled(subject, j)} follows the sizes of known errors: its correlation "
            f"with the ranks of those of feature {feature} is {correlation:.2f}.",
            "Ask what the precision of a sample depends on, and interpret the "
            "component as that, or compare samples of one precision.",
        )


def _titled(subject, j):
    """Return the name of a component as the first words of a sentence."""
    name = str(subject.component_names[j])
    return f"{name[0].upper()}{name[1:]}"


def _followed(subject, table):
    """Yield components, the feature whose column each follows, and the correlation."""
    columns = np.flatnonzero(np.ptp(table, axis=0) > 0)
    if not len(columns) or not subject.active.any():
        return
    codes = np.where(subject.active, subject.codes, 0.0)
    for j, row in enumerate(np.abs(correlations(codes, table[:, columns]))):
        if row.max() > FOLLOWS_GAPS:
            yield j, columns[row.argmax()], row.max()


def correlations(codes, others):
    """Return the correlation of each code with each of other columns, (d, m)."""
    units = []
    for table in codes, others:
        centred = table - table.mean(axis=0)
        norm = np.sqrt(np.square(centred).sum(axis=0))
        units.append(centred / np.where(norm > 0, norm, 1.0))
    return units[0].T @ units[1]


def _check_overfitting(subject):
    """Compare the mean score of these samples with that of the training samples."""
    if not hasattr(subject.model, "fit_score_"):
        return
    scores = subject.model.score_samples(subject.inputs, **subject.known)
    score = float(np.mean(scores))
    verdict = check_samples(subject.model, score)
    if verdict is not None and verdict.level != "fine":
        yield Finding(*verdict)


def check_stability(subject, stability):
    if stability is None or not subject.active.any():
        return []
    values = np.asarray(stability)[subject.active]
    weak = np.flatnonzero(subject.active & (np.asarray(stability) < STABLE))
    if not len(weak):
        message = (
            "Every active component is found by most other seeds (by a share of "
            f"{values.min():.2f} or more)."
        )
        advice = "This is necessary, not sufficient: seeds can share an error."
        return [Finding("stability", "fine", message, advice)]
    named, it = (
        ", ".join(subject.component_names[weak]),
        "it" if len(weak) == 1 else "them",
    )
    return [
        Finding(
            "stability",
            "warning",
            f"Most other seeds do not find {named}.",
            f"Do not interpret {it}; SeedEnsemble(keep='stable') leaves {it} out.",
        )
    ]


CHECKS = (
    _check_training,
    _check_codes,
    _check_scale,
    _check_columns,
    _check_outliers,
    _check_missing,
    _check_audit,
    _check_overfitting,
    _check_dependence,
    _check_baselines,
    _check_structure,
    _check_explanation,
)

"""A report on the components of a fitted model, with findings and advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_random_state

from .._health import (
    DEPENDENT_AUC,
    LEVELS,
    MAX_R2_LOSS,
    MAX_WEIGHTED_R2_LOSS,
    check_audit,
    check_fit,
    check_samples,
    matches_factor_analysis,
)
from .._linear_models import fit_factor_analysis, ica_rotation
from .._pipelines import (
    active_columns,
    category_columns,
    flatten,
    kl_of_columns,
    number_names,
    numbers_of,
)
from .._remedies import is_limited
from .._simple_structure import is_undecided, non_normality, orthomax, simplicity
from .._undefined import collected_undefined
from ..columns import suggested_likelihood
from ..metrics import match_codes, total_correlation_audit
from ._members import (
    active_mask,
    codes_with,
    find_ensemble,
    find_latent_model,
    merge_categories,
    subsample,
)
from ._scorers import explained_rows

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

ICA_TOLERANCE, ICA_STEPS = 1e-4, 500
"""Change of direction of the last step of FastICA, and its steps, at most."""

MAX_FACTOR_FEATURES = 300
"""Features up to which factor analysis is compared with."""

SIMPLER = 0.05
"""Difference of the index of simplicity that is reported."""

LEAST_STD = 1e-9
"""Standard deviation, relative to the largest, of a principal component that varies."""

MAX_SUGGESTIONS = 12
"""Columns of which likelihoods are suggested, at most: the channels of spectra and
series are of one kind."""

FOLLOWS_GAPS = 0.5
"""Correlation of a component with an indicator of missing values to be reported."""

STABLE = 0.5
"""Share of the other seeds that must find a component for it to count as stable."""


def latent_report(estimator, X, *, error_scale=None, random_state=0):
    """Report on the components of a fitted model, and on the fit.

    The report lists the active components and the information in each. It tests
    whether they depend on each other, with a classifier trained for the purpose;
    whether they are those of PCA, of FastICA or of factor analysis with varimax on the
    same samples, and whether these have simpler structure where independence does not
    decide; which of them other seeds find as well, for a :class:`SeedEnsemble`; and
    whether training was healthy, by the checks of
    :func:`~skfactorvae.inspection.health_marks`. Every finding comes with advice.

    Parameters
    ----------
    estimator : estimator
        A fitted transformer, a :class:`SeedEnsemble`, or a pipeline that ends with
        either. Checks that need an attribute it does not have (``history_``, for
        example) are left out of the report.
    X : array-like of shape (n_samples, n_features)
        At least 20 samples, preferably held-out ones. At most 10,000 are used.
    error_scale : array-like of shape (n_samples, n_features), default=None
        Known standard deviations of the errors of X, for a model that was fitted with
        such; not for a pipeline, after whose other steps errors have other units.
    random_state : int, RandomState instance or None, default=0
        Seed of the audit and of FastICA.

    Returns
    -------
    report : LatentReport
        Arrays and findings; ``print`` it for a summary.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If there are fewer than 20 samples, or ``error_scale`` cannot be used.

    See Also
    --------
    skfactorvae.metrics.disentanglement_report : A report for known factors.
    skfactorvae.inspection.health_marks : The checks of the training alone.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.model_selection import latent_report
    >>> X, _ = make_gaussian_peaks(400, random_state=0)
    >>> report = latent_report(PCA(3, whiten=True).fit(X), X)
    >>> first = report.findings[0]
    >>> first.topic, first.level
    ('baseline', 'warning')
    >>> print(first.message)
    This is PCA: each active component is a principal component (correlation 0.98).
    """
    rows, member, stability = subsample(X), estimator, None
    found = find_ensemble(estimator)
    if found is not None:
        rows, member = found.transform_before(rows), found.model.estimator_
        stability = found.model.component_stability_
    known = {}
    if error_scale is not None:
        for whole in (estimator, member):
            _check_no_steps(whole)
        known = {"error_scale": subsample(error_scale)}
    subject = _Subject(member, rows, random_state, known)
    findings = [finding for check in CHECKS for finding in check(subject)]
    findings += _check_stability(subject, stability)
    return LatentReport(
        active=subject.active,
        kl=subject.kl,
        pca=subject.pca,
        ica=subject.ica,
        varimax=subject.varimax,
        simplicity=subject.simplicity,
        stability=stability,
        audit=subject.audit,
        sampled_audit=subject.sampled_audit,
        explained=subject.explained,
        findings=sorted(findings, key=lambda f: LEVELS.index(f.level)),
    )


@dataclass(frozen=True)
class Finding:
    """Result of one check: its topic, its level, what was found, and what to do."""

    topic: str
    level: str
    message: str
    advice: str = ""

    def __str__(self):
        return f"[{self.level}] {self.topic}: {self.message} {self.advice}".rstrip()


@dataclass(frozen=True)
class LatentReport:
    """Result of :func:`latent_report`.

    Parameters
    ----------
    active : ndarray of bool, shape (n_components,)
        Whether each component is active.
    kl : ndarray of shape (n_components,) or None
        Information in each component, nats per sample, if the estimator has
        ``kl_per_component_``; NaN for the levels of a category.
    pca, ica : Bunch
        Comparison with PCA and FastICA of as many components as are active:
        ``component`` and ``correlation``, each of shape (n_components,): the PCA or
        FastICA component that each is matched with, one to one (-1 if none), and the
        absolute rank correlation of the two, in [0, 1].
    varimax : Bunch or None
        The same comparison with factor analysis rotated by varimax; None with more than
        300 features, or as many components as features.
    simplicity : dict of str to float
        Kaiser's index of factorial simplicity, in [0, 1], of the squared correlations
        of features with the active "codes", and with the components of "pca", "ica" and
        "varimax": one if each feature correlates with one component; NaN with fewer
        than two.
    stability : ndarray of shape (n_components,) or None
        Share of the other seeds that find the component, in [0, 1]; of an ensemble
        only.
    audit : Bunch
        Dependence between the codes (posterior means): see
        :func:`~skfactorvae.metrics.total_correlation_audit`.
    sampled_audit : Bunch or None
        Dependence between draws from the posteriors, on which the findings are based:
        a discriminator is trained on draws, too, and the posterior mean of a component
        with next to no information is a function of the others, which its posterior
        noise hides.
    explained : dict of str to float
        Share of the samples' variance that the "codes" and as many components of "pca"
        explain, in [0, 1], by the same regression.
    findings : list of Finding
        Each with ``topic``, ``level`` ("warning", "note" or "fine"), ``message`` and
        ``advice``; warnings first.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations"; Kaiser (1974), "An index of factorial
    simplicity".

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.model_selection import latent_report
    >>> X, _ = make_gaussian_peaks(400, random_state=0)
    >>> report = latent_report(PCA(3, whiten=True).fit(X), X)
    >>> report.active, report.pca.component
    (array([ True,  True,  True]), array([0, 1, 2]))
    """

    active: np.ndarray
    kl: Any
    pca: Bunch
    ica: Bunch
    varimax: Any
    simplicity: dict[str, float]
    stability: Any
    audit: Bunch
    sampled_audit: Any
    explained: dict[str, float]
    findings: list[Finding]

    def __str__(self):
        shares = ", ".join(f"{k} {v:.3f}" for k, v in self.explained.items())
        indices = ", ".join(f"{k} {v:.2f}" for k, v in self.simplicity.items())
        return "\n".join(
            [
                f"{self.active.sum()} of {len(self.active)} components are active.",
                *self._table(),
                f"Variance of the samples explained: {shares}.",
                f"Simplicity of the structure: {indices}.",
                *self._dependence(),
                *map(str, self.findings),
            ]
        )

    def to_frame(self):
        """Return a DataFrame with one row per component.

        Returns
        -------
        frame : DataFrame
            Columns ``active``, ``kl``, ``pca``, ``pca_correlation``, ``ica``,
            ``ica_correlation``, ``varimax``, ``varimax_correlation`` and ``stability``,
            without those that are None. Needs pandas.
        """
        import pandas as pd

        return pd.DataFrame(self._columns())

    def _dependence(self):
        audits = {"codes": self.audit, "draws from posteriors": self.sampled_audit}
        for name, audit in audits.items():
            if audit is not None:
                yield (
                    f"Dependence of {name}: AUC {audit.auc:.3f} of a classifier (0.5: "
                    f"none), Gaussian copula {audit.gaussian_copula_tc:.3f} nats (0: "
                    "none)."
                )

    def _columns(self):
        columns = {
            "active": self.active,
            "kl": self.kl,
            "pca": self.pca.component,
            "pca_correlation": self.pca.correlation,
            "ica": self.ica.component,
            "ica_correlation": self.ica.correlation,
            "varimax": self.varimax and self.varimax.component,
            "varimax_correlation": self.varimax and self.varimax.correlation,
            "stability": self.stability,
        }
        return {name: v for name, v in columns.items() if v is not None}

    def _table(self):
        columns = {n: v for n, v in self._columns().items() if n != "active"}
        yield "component " + " ".join(f"{name:>15}" for name in columns)
        for i in np.flatnonzero(self.active):
            cells = (_cell(np.asarray(v)[i]) for v in columns.values())
            yield f"{i:9d} " + " ".join(f"{cell:>15}" for cell in cells)


def _cell(value):
    if isinstance(value, np.integer):
        return f"{value}"
    return "-" if np.isnan(value) else f"{value:.2f}"


def _check_no_steps(estimator):
    """Raise if there are steps before the model: its errors are in other units."""
    names = [name for name, _ in flatten(estimator)]
    if len(names) > 1:
        raise ValueError(
            "error_scale has the units of X, but a pipeline passes X on in others: got "
            f"the steps {names}. Report on the model itself, its last step, with the "
            "samples and the errors that it receives."
        )


# --------------------------------------------------------------- what is reported on
class _Subject:
    """A fitted transformer, its codes of the samples, and linear models of them."""

    def __init__(self, member, X, random_state, known):
        found = find_latent_model(member)
        inputs = found.transform_before(X)
        self.model, self.known, self.inputs = found.model, known, inputs
        self.rows = numbers_of(self.model, inputs)
        self.names = _names_of(self.model, self.rows.shape[1])
        self.values = self._shrunk()
        self.completed = self._completed_rows()
        self.codes = codes_with(self.model, inputs, known)
        self.active = active_mask(self.model, self.codes)
        self.kl = kl_of_columns(self.model)
        self.params = self.model.get_params()
        n_rows = len(self.rows)
        n_free = self.active.sum() - sum(
            self.active[group].all() for group in category_columns(self.model)
        )  # probabilities add up to one
        self.n_baseline = int(min(n_free, n_rows, self.rows.shape[1]))
        self.random_state = random_state
        self.audit = self._audited(self.codes)
        self.sampled_audit = self._audited(self._sampled())
        self.baselines = self._baselines()
        self.pca, self.ica = (self._matched(self.baselines[k]) for k in ("pca", "ica"))
        factors = self.baselines.get("varimax")
        self.varimax = None if factors is None else self._matched(factors)
        known = {"codes": self.codes[:, self.active], **self.baselines}
        self.simplicity = {
            name: simplicity(np.square(_correlations(codes, self.completed)).T)
            for name, codes in known.items()
        }
        self.explained = {
            "codes": explained_rows(
                self.values, np.where(self.active, self.codes, 0.0)
            ),
            "pca": explained_rows(self.values, self.baselines["pca"]),
        }

    def likelihood_of(self, name):
        """Return the likelihood of a column of numbers."""
        chosen = getattr(self.model, "column_likelihoods_", {})
        return chosen.get(name, "gaussian")

    def _shrunk(self):
        """Return the samples, those with known errors shrunk to the mean by these."""
        if not self.known:
            return self.rows
        mean, scale = self.model.mean_, self.model.scale_
        errors = np.asarray(self.known["error_scale"], dtype=np.float64)
        return mean + (self.rows - mean) / (1 + np.square(errors / scale))

    def _sampled(self):
        """Return a draw from each sample's posterior; None without posteriors."""
        if not hasattr(self.model, "posterior"):
            return None
        mean, std = self.model.posterior(self.inputs, **self.known)
        noise = np.random.RandomState(0).normal(size=mean.shape)
        if getattr(self.model, "rotation_", None) is None:
            return mean + std * noise
        _, covariance = self.model.posterior(self.inputs, **self.known, return_cov=True)
        roots = np.linalg.cholesky(covariance.astype(np.float64))
        return mean + (roots @ noise[:, :, None])[:, :, 0]

    def _audited(self, codes):
        if codes is None:
            return None
        masked = merge_categories(self.model, np.where(self.active, codes, 0.0))
        with collected_undefined():
            return total_correlation_audit(masked, random_state=self.random_state)

    def _baselines(self):
        """Return the codes of linear models, on samples scaled as for the model."""
        if not self.n_baseline:
            return dict.fromkeys(("pca", "ica"), np.zeros((len(self.rows), 1)))
        rows = self.completed
        if number_names(self.model) is not None:
            rows = StandardScaler().fit_transform(rows)
        elif hasattr(self.model, "scale_") and hasattr(self.model, "mean_"):
            rows = (rows - np.nan_to_num(self.model.mean_)) / self.model.scale_
        pca = PCA(self.n_baseline, random_state=self.random_state)
        codes = pca.fit_transform(rows)
        std = codes.std(axis=0)
        white = codes / np.where(std > LEAST_STD * std.max(), std, 1.0)
        rng = check_random_state(self.random_state)
        rotation = ica_rotation(white, rng, tol=ICA_TOLERANCE, max_iter=ICA_STEPS)
        found = {"pca": codes, "ica": white @ rotation.T}
        if self.n_baseline < rows.shape[1] <= MAX_FACTOR_FEATURES:
            found["varimax"] = _rotated_factors(rows, self.n_baseline)
        return found

    def _completed_rows(self):
        """Return the samples; the model replaces what is missing, or else the mean."""
        rows = self.values
        if not np.isnan(rows).any():
            return rows
        if hasattr(self.model, "impute"):
            full = numbers_of(self.model, self.model.impute(self.inputs, **self.known))
            rows = np.where(np.isnan(rows), full, rows)
        return SimpleImputer(keep_empty_features=True).fit_transform(rows)

    def _matched(self, baseline):
        match = match_codes(baseline, np.where(self.active, self.codes, 0.0))
        component = np.where(self.active, match.order, -1)
        return Bunch(component=component, correlation=match.correlation)


def _names_of(model, n_columns):
    """Return the names of the numbers that a model reads, (p,)."""
    names = number_names(model)
    if names is None:
        names = getattr(model, "feature_names_in_", None)
    return [f"x{j}" for j in range(n_columns)] if names is None else list(names)


def _rotated_factors(rows, n_factors):
    """Return expected factors of factor analysis, rotated by varimax, (n, d)."""
    model = fit_factor_analysis(rows, n_factors)
    signal, std = np.sqrt(model.variances - 1), np.sqrt(model.noise)
    loadings = std[:, None] * model.directions * signal
    units = (rows - model.mean) / std
    scores = units @ (model.directions * (signal / model.variances))
    return scores @ orthomax(loadings)


# ------------------------------------------------------------------------ the checks
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
    """Report simpler structure of rotated factors where independence is no guide."""
    codes, factors = (subject.simplicity.get(k) for k in ("codes", "varimax"))
    if factors is None or not factors > codes + SIMPLER:
        return
    sources, rotated = (
        non_normality(subject.baselines[name]) for name in ("ica", "varimax")
    )
    if is_undecided(sources, rotated):
        yield Finding(
            "structure",
            "note",
            "FactorAnalysis with varimax has simpler structure (Kaiser's index "
            f"{factors:.2f}; the codes: {codes:.2f}), and independence does not decide "
            "between them: FastICA's components are nearly normal, or no farther "
            "from normal than its factors.",
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
        yield Finding(
            "fit",
            "warning",
            message,
            "Train longer, lower gamma and beta, or raise n_components.",
        )


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
        name: suggested
        for name, values in zip(subject.names, subject.rows.T, strict=True)
        if (suggested := suggested_likelihood(values)) is not None
        and subject.likelihood_of(name) == "gaussian"
    }
    if not found or len(found) > MAX_SUGGESTIONS:  # series and spectra are alike
        return
    yield Finding(
        "columns",
        "note",
        f"{len(found)} columns of numbers are skewed, counts or have heavy tails: "
        f"{', '.join(map(repr, found))}.",
        f"Consider likelihood={found}.",
    )


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
            f"Component {j} follows the pattern of missing values: its correlation "
            f"with an indicator of those of feature {feature} is {correlation:.2f}.",
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
            f"Component {j} follows the sizes of known errors: its correlation with "
            f"the ranks of those of feature {feature} is {correlation:.2f}.",
            "Ask what the precision of a sample depends on, and interpret the "
            "component as that, or compare samples of one precision.",
        )


def _followed(subject, table):
    """Yield components, the feature whose column each follows, and the correlation."""
    columns = np.flatnonzero(np.ptp(table, axis=0) > 0)
    if not len(columns) or not subject.active.any():
        return
    codes = np.where(subject.active, subject.codes, 0.0)
    for j, row in enumerate(np.abs(_correlations(codes, table[:, columns]))):
        if row.max() > FOLLOWS_GAPS:
            yield j, columns[row.argmax()], row.max()


def _correlations(codes, others):
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


def _check_stability(subject, stability):
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
    named, it = ", ".join(map(str, weak)), "it" if len(weak) == 1 else "them"
    return [
        Finding(
            "stability",
            "warning",
            f"Most other seeds do not find component{'s' * (len(weak) > 1)} {named}.",
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

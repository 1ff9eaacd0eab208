"""What a fitted model has found, whether to believe it, and what to do next."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.utils import Bunch

from ..metrics import match_codes, total_correlation_audit
from ._members import (
    active_mask,
    at_the_door,
    codes_of,
    last_step,
    some_rows,
)
from ._scorers import explained_rows

SAME = 0.98
"""Rank correlation from which a component is a principal one, under another name."""

CLEAR_AUC, FAILED_AUC = 0.55, 0.60
"""Areas of the audit below which codes pass for independent, and above which not."""

WEAK_LOSS, STRONG_LOSS = 0.65, 0.20
"""Losses of a discriminator that sees next to nothing, and hardly errs (chance .69)."""

UNEVEN = 30.0
"""Ratio of a feature's spread to the median one that one scale cannot serve."""

FAR = 50.0
"""Standard deviations at which a value is an outlier, whatever the distribution."""


def latent_report(estimator, X, *, random_state=0):
    """Report what the components of a fitted model are, and whether to believe them.

    Says which components are active and what each holds; whether they depend on each
    other, by a fresh audit; whether they are more than PCA or FastICA finds on the
    same rows; which of them come back from other seeds, for a :class:`SeedEnsemble`;
    and whether training was healthy. Every finding says what to do next.

    Parameters
    ----------
    estimator : estimator
        A fitted transformer, a :class:`SeedEnsemble`, or a pipeline that ends with
        either. What it does not have (``history_``, say) is left out of the report.
    X : array-like of shape (n_samples, n_features)
        Rows, at least 20, preferably not those of the fit. At most 10,000 are used.
    random_state : int, RandomState instance or None, default=0
        Seeds the audit and FastICA.

    Returns
    -------
    report : LatentReport
        Arrays, findings, and a summary when printed.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If there are fewer than 20 rows.

    See Also
    --------
    skfactorvae.metrics.disentanglement_report : The report where factors are known.

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
    ensemble = last_step(estimator)
    rows = some_rows(X)
    member = estimator
    if hasattr(ensemble, "estimators_"):
        rows, member = at_the_door(estimator, rows), ensemble.estimator_
    subject = _Subject(member, rows, random_state)
    stability = getattr(ensemble, "component_stability_", None)
    findings = [finding for look in LOOKS for finding in look(subject)]
    findings += _look_at_stability(subject, stability)
    return LatentReport(
        active=subject.active,
        kl=subject.kl,
        pca=subject.pca,
        ica=subject.ica,
        stability=stability,
        audit=subject.audit,
        sampled_audit=subject.sampled_audit,
        explained=subject.explained,
        findings=sorted(findings, key=lambda f: LEVELS.index(f.level)),
    )


LEVELS = ("warning", "note", "fine")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, what was seen, and what to do about it."""

    topic: str
    level: str
    message: str
    advice: str = ""

    def __str__(self):
        return f"[{self.level}] {self.topic}: {self.message} {self.advice}".rstrip()


@dataclass(frozen=True)
class LatentReport:
    """What :func:`latent_report` saw.

    Parameters
    ----------
    active : ndarray of bool, shape (n_components,)
        Components that carry something.
    kl : ndarray of shape (n_components,) or None
        Information of each, in nats per row, where the estimator knows.
    pca, ica : Bunch
        Beside PCA and FastICA of as many components as are active: ``component`` and
        ``correlation``, each of shape (n_components,): the component of theirs that
        each matches one to one (-1 if none), and the absolute rank correlation.
    stability : ndarray of shape (n_components,) or None
        Share of the other seeds that hold the component; of an ensemble only.
    audit : Bunch
        Dependence of the codes: see
        :func:`~skfactorvae.metrics.total_correlation_audit`.
    sampled_audit : Bunch or None
        Likewise of draws from the posteriors, which is what a discriminator sees, and
        what findings go by: the mean of a component that holds next to nothing is a
        function of the others, which its noise drowns.
    explained : dict of str to float
        Share of the rows' variance that "codes" and as many components of "pca"
        explain, in [0, 1], by the same regression.
    findings : list of Finding
        With ``topic``, ``level`` ("warning", "note" or "fine"), ``message`` and
        ``advice``; warnings first.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations".

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
    stability: Any
    audit: Bunch
    sampled_audit: Any
    explained: dict[str, float]
    findings: list[Finding]

    def __str__(self):
        shares = ", ".join(f"{k} {v:.3f}" for k, v in self.explained.items())
        return "\n".join(
            [
                f"{self.active.sum()} of {len(self.active)} components are active.",
                *self._table(),
                f"Variance of the rows explained: {shares}.",
                *self._dependence(),
                *map(str, self.findings),
            ]
        )

    def to_frame(self):
        """Return a table with a row per component.

        Returns
        -------
        frame : DataFrame
            Columns ``active``, ``kl``, ``pca``, ``pca_correlation``, ``ica``,
            ``ica_correlation`` and ``stability``, as far as known. Needs pandas.
        """
        import pandas as pd

        return pd.DataFrame(self._columns())

    def _dependence(self):
        audits = {"codes": self.audit, "draws from posteriors": self.sampled_audit}
        for name, audit in audits.items():
            if audit is not None:
                yield (
                    f"Dependence of {name}: AUC {audit.auc:.3f} (0.5: none), Gaussian "
                    f"copula {audit.gaussian_copula_tc:.3f} nats."
                )

    def _columns(self):
        columns = {
            "active": self.active,
            "kl": self.kl,
            "pca": self.pca.component,
            "pca_correlation": self.pca.correlation,
            "ica": self.ica.component,
            "ica_correlation": self.ica.correlation,
            "stability": self.stability,
        }
        return {name: v for name, v in columns.items() if v is not None}

    def _table(self):
        columns = {n: v for n, v in self._columns().items() if n != "active"}
        yield "component " + " ".join(f"{name:>15}" for name in columns)
        for i in np.flatnonzero(self.active):
            cells = (
                f"{v[i]:15d}" if v.dtype.kind == "i" else f"{v[i]:15.2f}"
                for v in map(np.asarray, columns.values())
            )
            yield f"{i:9d} " + " ".join(cells)


# ----------------------------------------------------------------------- the subject
class _Subject:
    """A fitted transformer, its codes of some rows, and what they are compared with."""

    def __init__(self, member, X, random_state):
        self.model = last_step(member)
        self.rows = np.asarray(at_the_door(member, X), dtype=np.float64)
        self.codes = codes_of(member, X)
        self.active = active_mask(member, self.codes)
        self.kl = getattr(self.model, "kl_per_component_", None)
        self.params = self.model.get_params()
        self.history = getattr(self.model, "history_", {})
        n_rows = len(self.rows)
        self.n_baseline = int(min(self.active.sum(), n_rows, self.rows.shape[1]))
        self.random_state = random_state
        self.audit = self._audited(self.codes)
        self.sampled_audit = self._audited(self._sampled())
        baselines = self._baselines()
        self.pca, self.ica = (self._matched(codes) for codes in baselines)
        self.explained = {
            "codes": explained_rows(self.rows, np.where(self.active, self.codes, 0.0)),
            "pca": explained_rows(self.rows, baselines[0]),
        }

    def last(self, name):
        """Return the mean of a term over the last tenth of training; None without."""
        values = self.history.get(name)
        if values is None or not len(values):
            return None
        return float(np.mean(values[-max(1, len(values) // 10) :]))

    def _sampled(self):
        """Return one draw from each posterior; None where there are none."""
        if not hasattr(self.model, "posterior"):
            return None
        mean, std = self.model.posterior(self.rows)
        return mean + std * np.random.RandomState(0).normal(size=mean.shape)

    def _audited(self, codes):
        if codes is None:
            return None
        masked = np.where(self.active, codes, 0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            return total_correlation_audit(masked, random_state=self.random_state)

    def _baselines(self):
        """Return the codes of PCA and of FastICA, on rows scaled as the model's are."""
        if not self.n_baseline:
            return np.zeros((len(self.rows), 1)), np.zeros((len(self.rows), 1))
        rows = self.rows
        if hasattr(self.model, "scale_") and hasattr(self.model, "mean_"):
            rows = (rows - self.model.mean_) / self.model.scale_
        pca = PCA(self.n_baseline, random_state=self.random_state)
        ica = FastICA(self.n_baseline, random_state=self.random_state, max_iter=500)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return pca.fit_transform(rows), ica.fit_transform(rows)

    def _matched(self, baseline):
        match = match_codes(baseline, np.where(self.active, self.codes, 0.0))
        component = np.where(self.active, match.order, -1)
        return Bunch(component=component, correlation=match.correlation)


# ------------------------------------------------------------------------- the looks
def _look_at_activity(subject):
    n_active, n_components = int(subject.active.sum()), len(subject.active)
    if n_active == 0:
        yield Finding(
            "collapse",
            "warning",
            "No component holds more than noise would: the posterior collapsed.",
            "Lower beta or gamma, lower noise_scale, start from init='pca', use more "
            "rows, or look whether the features have anything in common.",
        )
    elif subject.kl is not None and n_active == n_components:
        yield Finding(
            "components",
            "note",
            f"All {n_components} components are active.",
            "Raise n_components, and see whether more wake up.",
        )


def _look_at_dependence(subject):
    audit = subject.sampled_audit or subject.audit
    if subject.active.sum() < 2:
        return
    least = audit.auc - 2 * audit.auc_std_error
    seen = f"AUC {audit.auc:.2f}, copula {audit.gaussian_copula_tc:.2f} nats"
    if least <= 0.5:
        message = f"No dependence among components was found ({seen})."
        yield Finding("dependence", "fine", message)
        return
    yield Finding(
        "dependence",
        "warning" if least > FAILED_AUC else "note",
        f"Components depend on each other: a fresh classifier tells their codes from "
        f"permuted ones ({seen}).",
        "Raise gamma, or read them together; factors that depend on each other in "
        "truth cannot be made independent without loss.",
    )


def _look_at_baselines(subject):
    if not subject.active.any():
        return
    for name, match in (("PCA", subject.pca), ("FastICA", subject.ica)):
        same = match.correlation[subject.active] >= SAME
        what = "principal" if name == "PCA" else "FastICA"
        if same.all():
            yield Finding(
                "baseline",
                "warning",
                f"This is {name}: each active component is a {what} component "
                f"(correlation {SAME}).",
                f"Prefer {name}, or train longer, with a larger network.",
            )
            return
        if same.any():
            yield Finding(
                "baseline",
                "note",
                f"{same.sum()} of {len(same)} active components are {what} components "
                f"(rank correlation at least {SAME}).",
                f"They need no nonlinear model: {name} finds them.",
            )


def _look_at_explanation(subject):
    codes, pca = subject.explained["codes"], subject.explained["pca"]
    if subject.active.any() and codes < pca - 0.05:
        yield Finding(
            "fit",
            "warning",
            f"The codes explain {codes:.2f} of the rows' variance, as many principal "
            f"components {pca:.2f}.",
            "Train longer, lower gamma and beta, or raise n_components.",
        )


def _look_at_scale(subject):
    if subject.params.get("standardize", "feature") == "feature":
        return
    if subject.params.get("likelihood", "gaussian") != "gaussian":
        return
    spread = subject.rows.std(axis=0)
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
            f"Feature {spread.argmax()} varies {spread.max() / usual:.0f} times as "
            "much as the median one, and outvotes the others.",
            "Set standardize='feature', or scale the features.",
        )


def _look_at_outliers(subject):
    spread = subject.rows.std(axis=0)
    varies = spread > 0
    if not varies.any():
        return
    centred = np.abs(subject.rows - np.median(subject.rows, axis=0))[:, varies]
    extent = (centred / spread[varies]).max(axis=0)
    if extent.max() > FAR:
        yield Finding(
            "outliers",
            "warning",
            f"Feature {np.flatnonzero(varies)[extent.argmax()]} has a value "
            f"{extent.max():.0f} standard deviations off.",
            "Remove it, or transform the feature (log, QuantileTransformer).",
        )


def _look_at_training(subject):
    steps = subject.history.get("step")
    n_iter = getattr(subject.model, "n_iter_", None)
    if steps is not None and (not len(steps) or steps[-1] < n_iter):
        yield Finding(
            "training",
            "warning",
            f"Training diverged at step {n_iter}; the weights are those of step "
            f"{int(steps[-1]) if len(steps) else 0}.",
            "Lower learning_rate, look for outliers, or raise noise_scale.",
        )


def _look_at_discriminator(subject):
    loss = subject.last("discriminator_loss")
    if loss is None or subject.sampled_audit is None or not subject.params.get("gamma"):
        return
    auc = subject.sampled_audit.auc
    seen = f"its loss is {loss:.2f} (chance 0.69), the audit's AUC {auc:.2f}"
    if loss < STRONG_LOSS:
        yield Finding(
            "discriminator",
            "warning",
            f"The discriminator is too strong: {seen}. Its gradient no longer says "
            "where independence lies.",
            "Lower gamma or discriminator_learning_rate, or raise warmup.",
        )
    elif loss > WEAK_LOSS and auc > FAILED_AUC:
        yield Finding(
            "discriminator",
            "warning",
            f"The discriminator is too weak: {seen}. It overlooks dependence that is "
            "there, so gamma has no hold.",
            "Raise discriminator_learning_rate, discriminator_hidden_layer_sizes or "
            "max_iter; a larger gamma does not help.",
        )
    elif loss < WEAK_LOSS - 0.1 and auc < CLEAR_AUC:
        yield Finding(
            "discriminator",
            "warning",
            f"The discriminator memorises rows: {seen}, so it reports dependence that "
            "rows it has not seen do not show.",
            "Use more rows, a smaller discriminator, or a smaller "
            "discriminator_learning_rate.",
        )


def _look_at_memory(subject):
    """Compare the ELBO of these rows with that of those of the fit."""
    trained = getattr(subject.model, "fit_score_", None)
    if trained is None:
        return
    lost = trained - float(np.mean(subject.model.score_samples(subject.rows)))
    allowed = max(1.0, 0.1 * subject.rows.shape[1])
    if lost > allowed:
        yield Finding(
            "memory",
            "warning",
            f"These rows are described worse than those of the fit, by {lost:.1f} nats "
            "each: the model has learnt its rows by heart, or these are others.",
            "Use more rows, a smaller network, fewer steps, more input_noise, or "
            "early_stopping=True.",
        )


def _look_at_stability(subject, stability):
    if stability is None or not subject.active.any():
        return []
    values = np.asarray(stability)[subject.active]
    weak = np.flatnonzero(subject.active & (np.asarray(stability) < 0.5))
    if not len(weak):
        message = f"Every active component comes back ({values.min():.2f} or more)."
        advice = "That is necessary, not sufficient: seeds can share an error."
        return [Finding("stability", "fine", message, advice)]
    named = ", ".join(map(str, weak))
    return [
        Finding(
            "stability",
            "warning",
            f"Most other seeds do not find component {named}.",
            "Do not interpret what does not return; keep='stable' leaves it out.",
        )
    ]


LOOKS = (
    _look_at_activity,
    _look_at_training,
    _look_at_scale,
    _look_at_outliers,
    _look_at_discriminator,
    _look_at_memory,
    _look_at_dependence,
    _look_at_baselines,
    _look_at_explanation,
)

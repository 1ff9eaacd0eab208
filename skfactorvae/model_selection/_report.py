"""A report on the components of a fitted model, with findings and advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from .._health import (
    LEVELS,
)
from .._pandas import import_pandas
from .._pipelines import (
    flatten,
)
from ._findings import CHECKS, Finding, check_stability
from ._members import (
    find_ensemble,
    subsample,
)
from ._subject import Origin, Subject


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
    table, outer = rows, ()
    found = find_ensemble(estimator)
    if found is not None:
        rows, member = found.transform_before(rows), found.model.estimator_
        outer = found.before
        stability = found.model.component_stability_
    known = {}
    if error_scale is not None:
        for whole in (estimator, member):
            _check_no_steps(whole)
        known = {"error_scale": subsample(error_scale)}
    subject = Subject(member, rows, random_state, known, Origin(table, outer))
    findings = [finding for check in CHECKS for finding in check(subject)]
    findings += check_stability(subject, stability)
    return LatentReport(
        names=subject.component_names,
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
        ima_contrast=subject.ima_contrast,
        findings=sorted(findings, key=lambda f: LEVELS.index(f.level)),
    )


@dataclass(frozen=True)
class LatentReport:
    r"""Result of :func:`latent_report`.

    Parameters
    ----------
    names : ndarray of str, shape (n_components,)
        Names of the components, as ``set_component_names`` set them.
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
    ima_contrast : float
        How far the directions in which active components change a standardised sample
        are from orthogonal, nats, >= 0: zero for PCA. The contrast of independent
        mechanism analysis, the mean of :math:`\sum_j \log\lVert J_j \rVert -
        \tfrac{1}{2} \log|J^T J|` over 100 samples. NaN with fewer than two such
        components, without a decoder, and for columns that are not all numbers.
    findings : list of Finding
        Each with ``topic``, ``level`` ("warning", "note" or "fine"), ``message`` and
        ``advice``; warnings first.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations"; Kaiser (1974), "An index of factorial
    simplicity"; Gresele et al. (2021), "Independent mechanism analysis, a new
    concept?"

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

    names: np.ndarray
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
    ima_contrast: float
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
                *self._directions(),
                *self._dependence(),
                *map(str, self.findings),
            ]
        )

    def _directions(self):
        if np.isnan(self.ima_contrast):
            return []
        return [
            "Distance of the components' directions from orthogonal (IMA contrast): "
            f"{self.ima_contrast:.3f} nats (0: orthogonal)."
        ]

    def to_frame(self):
        """Return a DataFrame with one row per component.

        Returns
        -------
        frame : DataFrame
            Columns ``component``, its name, ``active``, ``kl``, ``pca``,
            ``pca_correlation``, ``ica``, ``ica_correlation``, ``varimax``,
            ``varimax_correlation`` and ``stability``, without those that are None.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas("to_frame()", "str() gives the same in sentences.")

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
            "component": self.names,
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
        columns = self._columns()
        names = [str(name) for name in columns.pop("component")]
        active = np.flatnonzero(columns.pop("active"))
        width = max(len(name) for name in ("component", *names))
        yield f"{'component':{width}} " + " ".join(f"{name:>15}" for name in columns)
        for i in active:
            cells = (_cell(np.asarray(v)[i]) for v in columns.values())
            yield f"{names[i]:{width}} " + " ".join(f"{cell:>15}" for cell in cells)


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

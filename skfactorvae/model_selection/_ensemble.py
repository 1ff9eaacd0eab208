"""Fit an estimator from several seeds, and measure which components are stable."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin
from sklearn.utils import check_array, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import StrOptions, _fit_context
from .._pipelines import component_names, flatten, number_names
from .._validation import FRACTION, at_least
from ..metrics import match_codes, udr_score
from ..persistence import Array, Chosen, Entry, Estimators, Plain, Savable
from ._members import (
    active_codes,
    clones_with_seeds,
    codes_with,
    find_latent_model,
    fit_all,
    keeps_active,
    subsample,
)


def _estimator_has(name):
    def check(ensemble):
        getattr(getattr(ensemble, "estimator_", ensemble.estimator), name)
        return True

    return check


FITTED_STATE: dict[str, Entry] = {
    "estimators_": Estimators(),
    "agreement_": Array(axes=("seeds", "seeds")),
    "central_": Plain(types=(int,)),
    "estimator_": Chosen(list="estimators_", index="central_"),
    "orders_": Array(axes=("seeds", "d"), kinds="i"),
    "signs_": Array(axes=("seeds", "d"), kinds="if"),
    "component_stability_": Array(axes=("d",)),
    "component_correlation_": Array(axes=("d",)),
    "stable_components_": Array(axes=("stable",), kinds="i"),
    "code_means_": Array(axes=("d",)),
}
"""Fitted attributes of an ensemble, which a file of it holds."""


class SeedEnsemble(Savable, MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    r"""Ensemble of fits from several seeds, with the stability of each component.

    The components of a nonlinear model depend on its initialisation. The ensemble fits
    the same estimator from `n_seeds` seeds and matches the components of every pair of
    fits one to one (:func:`~skfactorvae.metrics.match_codes`). The stability of a
    component is the share of the other fits that have a matching component.
    ``transform`` is that of the central fit: the fit with the highest total agreement
    with the others.

    A component that is not stable should not be interpreted. A stable component may
    still be wrong: fits that share an initialisation, such as FastICA's components,
    agree for that reason alone.

    Parameters
    ----------
    estimator : estimator
        Transformer to be fitted from several seeds, or a pipeline that ends with one.
        The ensemble sets every ``random_state`` in it, including nested ones.
    n_seeds : int, default=5
        Number of fits, at least 2.
    threshold : float, default=0.8
        Absolute rank correlation from which two components match, in [0, 1].
    min_stability : float, default=0.75
        Share of the other fits that must have a matching component for a component to
        be stable, in [0, 1].
    keep : {"all", "stable"}, default="all"
        Which components ``transform`` returns.
    n_jobs : int, default=None
        Number of processes that fit at the same time; -1 uses all cores, None one.
    random_state : int, RandomState instance or None, default=None
        Determines the seeds of the fits.

    Attributes
    ----------
    estimators_ : list of estimator
        The fits, one per seed.
    central_ : int
        Index of the central fit.
    estimator_ : estimator
        The central fit.
    agreement_ : ndarray of shape (n_seeds, n_seeds)
        Sum of the matched absolute rank correlations of two fits, divided by the larger
        number of active components, in [0, 1].
    component_stability_ : ndarray of shape (n_components,)
        Share of the other fits that have a matching component, in [0, 1]; 0 for
        inactive components of the central fit.
    component_correlation_ : ndarray of shape (n_components,)
        Mean absolute rank correlation with the matched components of the other fits,
        in [0, 1].
    stable_components_ : ndarray of int
        Components whose stability reaches `min_stability`.
    orders_ : ndarray of int, shape (n_seeds, n_components)
        The component of each fit that is matched with each component of the central
        fit; -1 where there is none.
    signs_ : ndarray of shape (n_seeds, n_components)
        1 or -1: the sign that makes the matched correlation positive.
    code_means_ : ndarray of shape (n_components,)
        Mean codes of the central fit. ``inverse_transform`` uses them for components
        that were not kept.
    component_names_ : ndarray of str, shape (n_kept,)
        Names of the components that ``transform`` returns, as set in the central fit.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    skfactorvae.metrics.udr_score : The score of ``score``.
    latent_report : Report on the components of a fitted model, stability included.

    Notes
    -----
    Rank correlations are computed on at most 10,000 of the training samples. Active
    components are those in the model's ``active_components_`` if it has that attribute,
    and those that vary otherwise.

    References
    ----------
    .. [1] Duan, S. et al. (2020). "Unsupervised Model Selection for Variational
       Disentangled Representation Learning." ICLR. https://arxiv.org/abs/1905.12614
    .. [2] Himberg, J., Hyvarinen, A. & Esposito, F. (2004). "Validating the
       independent components of neuroimaging time series via clustering and
       visualization." NeuroImage 22.

    Examples
    --------
    >>> from sklearn.decomposition import FastICA
    >>> from skfactorvae.datasets import make_nonlinear_ica
    >>> from skfactorvae.model_selection import SeedEnsemble
    >>> X, sources = make_nonlinear_ica(500, n_layers=1, random_state=0)
    >>> ica = FastICA(4, max_iter=1000)
    >>> ensemble = SeedEnsemble(ica, n_seeds=3, random_state=0).fit(X)
    >>> ensemble.component_stability_
    array([1., 1., 1., 1.])
    >>> ensemble.transform(X).shape
    (500, 4)
    """

    _fitted_state = FITTED_STATE

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [BaseEstimator],
        "n_seeds": [at_least(2)],
        "threshold": [FRACTION],
        "min_stability": [FRACTION],
        "keep": [StrOptions({"all", "stable"})],
        "n_jobs": [int, np.integer, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        n_seeds=5,
        threshold=0.8,
        min_stability=0.75,
        keep="all",
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_seeds = n_seeds
        self.threshold = threshold
        self.min_stability = min_stability
        self.keep = keep
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Fit the estimator from every seed and match the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Passed to the estimator.
        **params : dict
            Metadata, such as ``sample_weight``, passed to the estimator's ``fit``. If
            metadata routing is enabled, only requested metadata are passed.

        Returns
        -------
        self : object
            The fitted ensemble.

        Raises
        ------
        TypeError
            If the estimator has no ``transform``.
        ValueError
            If the estimator has no ``random_state``, or ``keep="active"``, or the fits
            differ in their number of components.
        """
        if not hasattr(self.estimator, "transform"):
            raise TypeError(
                f"{type(self.estimator).__name__} has no transform: SeedEnsemble needs "
                "a transformer or a pipeline that ends with one. Put a classifier "
                "after the ensemble instead."
            )
        if any(map(keeps_active, (step for _, step in flatten(self.estimator)))):
            raise ValueError(
                "The estimator has keep='active', so that its fits can have different "
                "numbers of columns, which cannot be matched. Set keep='all' in it; "
                "SeedEnsemble(keep='stable') returns the components that are found "
                "again."
            )
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        clones = clones_with_seeds(self.estimator, self.random_state, self.n_seeds)
        members = fit_all(clones, X, y, params, self.n_jobs)
        return self._match(members, X, params.get("error_scale"))

    def fit_transform(self, X, y=None, **params):
        """Fit the ensemble, and return the codes of the central fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Passed to the estimator.
        **params : dict
            As in ``fit``; an ``error_scale`` is passed to ``transform``, too.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_kept)
            Those of ``transform``.
        """
        known = _known(params.get("error_scale"))
        return self.fit(X, y, **params).transform(X, **known)

    def _match(self, members, X, error_scale=None):
        """Match the components of the fits on X, and set the fitted attributes."""
        rows = subsample(X)
        known = _known(None if error_scale is None else subsample(error_scale))
        tables = [active_codes(member, rows, known) for member in members]
        widths = sorted({table.shape[1] for table in tables})
        if len(widths) > 1:
            raise ValueError(
                f"The fits have {widths} components; matching needs the same number in "
                "all of them. Set n_components to a fixed number."
            )
        agreement = _agreements(tables)
        central = int(np.argmax(agreement.sum(axis=1)))
        matches = [match_codes(table, tables[central]) for table in tables]
        means = codes_with(members[central], rows, known).mean(axis=0)
        validate_data(self, X, skip_check_array=True)
        self.estimators_ = members
        self.agreement_, self.central_ = agreement, central
        self.estimator_ = members[central]
        self.orders_ = np.array([match.order for match in matches])
        self.signs_ = np.array([match.sign for match in matches])
        others = np.delete([match.correlation for match in matches], central, 0)
        self.component_stability_ = (others >= self.threshold).mean(axis=0)
        self.component_correlation_ = others.mean(axis=0)
        self.stable_components_ = np.flatnonzero(
            (self.component_stability_ >= self.min_stability)
            & tables[central].any(axis=0)
        )
        self.code_means_ = means
        return self

    @property
    def _kept(self):
        everything = np.arange(len(self.component_stability_))
        return self.stable_components_ if self.keep == "stable" else everything

    @property
    def component_names_(self):
        """Names of the components that ``transform`` returns, ndarray of str."""
        check_is_fitted(self)
        model = find_latent_model(self.estimator_).model
        return component_names(model, len(self.component_stability_))[self._kept]

    def transform(self, X, error_scale=None):
        """Return the codes of the central fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known errors of X, for an estimator that takes them.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_kept)
            All components, or the stable ones, in the order of the central fit.

        Raises
        ------
        NotFittedError
            If the ensemble is not fitted.
        """
        check_is_fitted(self)
        codes = self.estimator_.transform(X, **_known(error_scale))
        if self.keep == "all":
            return codes
        return getattr(codes, "iloc", codes)[:, self._kept.tolist()]

    def transform_all(self, X, error_scale=None):
        """Return the codes of every fit, in the order and sign of the central fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known errors of X, for an estimator that takes them.

        Returns
        -------
        codes : ndarray of shape (n_seeds, n_samples, n_components)
            Component k of every fit is the one that was matched with component k of
            the central fit; NaN where there is none.

        Raises
        ------
        NotFittedError
            If the ensemble is not fitted.
        """
        check_is_fitted(self)
        known = _known(error_scale)
        tables = (codes_with(member, X, known) for member in self.estimators_)
        return np.array(
            [
                np.where(order >= 0, codes[:, order] * sign, np.nan)
                for codes, order, sign in zip(
                    tables, self.orders_, self.signs_, strict=True
                )
            ]
        )

    @available_if(_estimator_has("inverse_transform"))
    def inverse_transform(self, X):
        """Return the reconstruction of codes by the central fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_kept)
            Codes. Components that were not kept are set to their mean.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructed samples.

        Raises
        ------
        NotFittedError
            If the ensemble is not fitted.
        ValueError
            If X does not have one column for each component that was kept, or values
            that are not finite numbers.
        """
        check_is_fitted(self)
        return self.estimator_.inverse_transform(self._all_codes(X))

    def _all_codes(self, X):
        """Return codes of all components, from those that were kept."""
        if self.keep == "all":
            return X
        kept = check_array(X, dtype=[np.float64, np.float32], ensure_min_features=0)
        if kept.shape[1] != len(self._kept):
            raise ValueError(
                f"X has {kept.shape[1]} columns, but {len(self._kept)} components were "
                "kept: expected codes as transform returns them."
            )
        codes = np.tile(self.code_means_, (len(kept), 1)).astype(kept.dtype)
        codes[:, self._kept] = kept
        return codes

    @property
    def number_names_(self):
        """Names of the numbers that the central fit reads; None without its own."""
        check_is_fitted(self)
        return number_names(self.estimator_)

    @property
    def column_likelihoods_(self):
        """Likelihood of each column of the central fit; empty for numbers."""
        check_is_fitted(self)
        return getattr(self.estimator_, "column_likelihoods_", {})

    @available_if(_estimator_has("numbers"))
    def numbers(self, X):
        """Return a table as numbers, as the central fit reads it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        numbers : ndarray of shape (n_samples, n_numbers)
            Their names are ``number_names_``.

        Raises
        ------
        NotFittedError
            If the ensemble is not fitted.
        """
        check_is_fitted(self)
        return self.estimator_.numbers(X)

    @available_if(_estimator_has("expected_numbers"))
    def expected_numbers(self, Z):
        """Return the expected numbers of codes, by the central fit.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_kept)
            Codes. Components that were not kept are set to their mean.

        Returns
        -------
        numbers : ndarray of shape (n_samples, n_numbers)
            Their names are ``number_names_``.

        Raises
        ------
        NotFittedError
            If the ensemble is not fitted.
        ValueError
            If Z does not have one column for each component that was kept, or values
            that are not finite numbers.
        """
        check_is_fitted(self)
        return self.estimator_.expected_numbers(self._all_codes(Z))

    def score(self, X, y=None, error_scale=None):
        """Return the agreement of the fits on X (UDR).

        Fits whose components agree one to one score 1. Scores of different numbers of
        components are not comparable: fewer components agree more easily.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, preferably held-out ones.
        y : None
            Ignored.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known errors of X, for an estimator that takes them.

        Returns
        -------
        udr : float
            Mean over the fits of :func:`~skfactorvae.metrics.udr_score`, in [0, 1], 1
            is best.

        Raises
        ------
        NotFittedError
            If the ensemble is not fitted.
        """
        check_is_fitted(self)
        known = _known(error_scale)
        tables = [active_codes(member, X, known) for member in self.estimators_]
        return float(udr_score(tables).mean())

    def get_feature_names_out(self, input_features=None):
        """Return the names of the components that ``transform`` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Passed to the estimator.

        Returns
        -------
        names : ndarray of str
            Names from the central fit.

        Raises
        ------
        NotFittedError
            If the ensemble is not fitted.
        """
        check_is_fitted(self)
        names = self.estimator_.get_feature_names_out(input_features)
        return np.asarray(names, dtype=object)[self._kept]

    def get_metadata_routing(self):
        """Return the metadata routing of the ensemble.

        Returns
        -------
        routing : MetadataRouter
            Metadata of ``fit`` are passed to the estimator's ``fit``.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(
            estimator=self.estimator, method_mapping=mapping
        )

    def _checked_sizes(self, state, reader):
        sizes = dict(super()._checked_sizes(state, reader))
        lengths = {"seeds": "estimators_", "d": "component_stability_"}
        for axis, name in lengths.items():
            if isinstance(state.get(name), list | np.ndarray):
                sizes[axis] = len(state[name])
        return sizes

    def __sklearn_is_fitted__(self):
        return "estimators_" in self.__dict__

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        steps = [step for _, step in flatten(self.estimator) if step is not None]
        # A Pipeline does not say so, but passes them on.
        tags.input_tags.allow_nan = all(
            get_tags(step).input_tags.allow_nan for step in steps
        )
        tags.target_tags = inner.target_tags
        if inner.transformer_tags is not None:
            tags.transformer_tags = inner.transformer_tags
        tags.non_deterministic = inner.non_deterministic
        tags.array_api_support = False
        return tags


def _known(error_scale):
    """Return the arguments by which an estimator's methods take known errors."""
    return {} if error_scale is None else {"error_scale": error_scale}


def _agreements(tables):
    """Return the agreement of every pair of tables of codes, (n_tables, n_tables).

    The sum of the matched correlations over the larger number of active components.
    """
    widths = [max(int(table.any(axis=0).sum()), 1) for table in tables]
    agreement = np.eye(len(tables))
    for a in range(len(tables)):
        for b in range(a):
            matched = match_codes(tables[a], tables[b]).correlation.sum()
            agreement[a, b] = agreement[b, a] = matched / max(widths[a], widths[b])
    return agreement

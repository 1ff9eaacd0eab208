"""Several fits of one setting: which of its components come back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import StrOptions, _fit_context
from .._validation import FRACTION, at_least
from ..metrics import match_codes, udr_score
from ._members import (
    active_codes,
    codes_of,
    fit_all,
    reseeded,
    some_rows,
)


def _central_has(name):
    def check(ensemble):
        getattr(getattr(ensemble, "estimator_", ensemble.estimator), name)
        return True

    return check


class SeedEnsemble(MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    r"""Fits of one transformer from several seeds, and which components come back.

    What a nonlinear model finds depends on where it starts. This fits the same
    estimator `n_seeds` times, matches the components of every pair of fits one to one
    (:func:`~skfactorvae.metrics.match_codes`), and says of each component how many
    other fits have it too. ``transform`` is that of the most central fit, the one
    that agrees best with the others.

    A component that does not come back should not be interpreted. One that does may
    still be wrong, every time in the same way: fits that start at the same place, such
    as FastICA's components, agree for that reason alone.

    Parameters
    ----------
    estimator : estimator
        Transformer to be fitted from several seeds, or a pipeline that ends with one.
        Every ``random_state`` in it, nested ones too, is set by the ensemble.
    n_seeds : int, default=5
        Number of fits, at least 2.
    threshold : float, default=0.8
        Absolute rank correlation from which two components match, in [0, 1].
    min_stability : float, default=0.75
        Share of the other fits that must hold a component for it to be stable, in
        [0, 1].
    keep : {"all", "stable"}, default="all"
        Which components ``transform`` returns.
    n_jobs : int, default=None
        Fits at the same time, as processes.
    random_state : int, RandomState instance or None, default=None
        Draws the seeds of the fits.

    Attributes
    ----------
    estimators_ : list of estimator
        The fits.
    central_ : int
        Number of the most central fit.
    estimator_ : estimator
        The most central fit.
    agreement_ : ndarray of shape (n_seeds, n_seeds)
        Sum of the matched correlations of two fits, over the larger number of active
        components, in [0, 1].
    component_stability_ : ndarray of shape (n_components,)
        Share of the other fits that hold a component that matches, in [0, 1]; 0 for
        components of the central fit that carry nothing.
    component_correlation_ : ndarray of shape (n_components,)
        Mean correlation with the matched components of the other fits, in [0, 1].
    stable_components_ : ndarray of int
        Components whose stability reaches `min_stability`.
    orders_ : ndarray of int, shape (n_seeds, n_components)
        The component of each fit that goes with each component of the central one; -1
        where there is none.
    signs_ : ndarray of shape (n_seeds, n_components)
        1 or -1, which gives it the same direction.
    code_means_ : ndarray of shape (n_components,)
        Mean codes of the central fit: what ``inverse_transform`` takes for components
        that were not kept.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    skfactorvae.metrics.udr_score : What ``score`` measures.
    latent_report : Says which components are stable, among much else.

    Notes
    -----
    Correlations are of ranks, on at most 10,000 of the rows that were fitted. Active
    components are the estimator's ``active_components_``, where it has them, and those
    that vary otherwise.

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
        """Fit the estimator from every seed, and match the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to learn from.
        y : array-like of shape (n_samples,), default=None
            Passed to the estimator.
        **params : dict
            Metadata, such as ``sample_weight``: passed to the estimator's ``fit``; with
            metadata routing enabled, what it requests.

        Returns
        -------
        self : object
            The fitted ensemble.

        Raises
        ------
        ValueError
            If the estimator has no ``random_state``, or fits differ in their number of
            components.
        """
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        clones = reseeded(self.estimator, self.random_state, self.n_seeds)
        members = fit_all(clones, X, y, params, self.n_jobs)
        validate_data(self, X, skip_check_array=True)
        return self._accept(members, X)

    def _accept(self, members, X):
        """Take fitted members in, and match their components on the rows of X."""
        rows = some_rows(X)
        tables = [active_codes(member, rows) for member in members]
        widths = sorted({table.shape[1] for table in tables})
        if len(widths) > 1:
            raise ValueError(
                f"The fits have {widths} components; they can only be matched when all "
                "have the same number. Fix n_components."
            )
        self.estimators_ = members
        self.agreement_ = _agreements(tables)
        self.central_ = int(np.argmax(self.agreement_.sum(axis=1)))
        self.estimator_ = members[self.central_]
        matches = [match_codes(table, tables[self.central_]) for table in tables]
        self.orders_ = np.array([match.order for match in matches])
        self.signs_ = np.array([match.sign for match in matches])
        others = np.delete([match.correlation for match in matches], self.central_, 0)
        self.component_stability_ = (others >= self.threshold).mean(axis=0)
        self.component_correlation_ = others.mean(axis=0)
        self.stable_components_ = np.flatnonzero(
            (self.component_stability_ >= self.min_stability)
            & tables[self.central_].any(axis=0)
        )
        self.code_means_ = codes_of(self.estimator_, rows).mean(axis=0)
        return self

    @property
    def _kept(self):
        everything = np.arange(len(self.component_stability_))
        return self.stable_components_ if self.keep == "stable" else everything

    def transform(self, X):
        """Return the codes of the most central fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_kept)
            All components, or the stable ones, in the central fit's order.
        """
        check_is_fitted(self)
        codes = self.estimator_.transform(X)
        if self.keep == "all":
            return codes
        columns = np.asarray(codes)[:, self._kept]
        return columns if not hasattr(codes, "iloc") else codes.iloc[:, self._kept]

    def transform_all(self, X):
        """Return the codes of every fit, in the order and with the signs of one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        codes : ndarray of shape (n_seeds, n_samples, n_components)
            Component k of every fit is the one that was matched with component k of
            the central fit; NaN where there is none.
        """
        check_is_fitted(self)
        return np.array(
            [
                np.where(order >= 0, codes_of(member, X)[:, order] * sign, np.nan)
                for member, order, sign in zip(
                    self.estimators_, self.orders_, self.signs_, strict=True
                )
            ]
        )

    @available_if(_central_has("inverse_transform"))
    def inverse_transform(self, X):
        """Return the row of each code, by the most central fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_kept)
            Codes. Components that were not kept are put at their mean.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Rows.
        """
        check_is_fitted(self)
        if self.keep == "all":
            return self.estimator_.inverse_transform(X)
        kept = np.asarray(X)
        codes = np.tile(self.code_means_, (len(kept), 1)).astype(kept.dtype)
        codes[:, self._kept] = kept
        return self.estimator_.inverse_transform(codes)

    def score(self, X, y=None):
        """Return how well the fits agree on these rows (UDR).

        Components that agree one to one score 1. Not comparable across numbers of
        components: fewer agree more easily.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, preferably not those of the fit.
        y : None
            Ignored.

        Returns
        -------
        udr : float
            Mean over the fits of :func:`~skfactorvae.metrics.udr_score`, in [0, 1].
        """
        check_is_fitted(self)
        tables = [active_codes(member, X) for member in self.estimators_]
        return float(udr_score(tables).mean())

    def get_feature_names_out(self, input_features=None):
        """Return the names of the codes.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Passed to the estimator.

        Returns
        -------
        names : ndarray of str
            The central fit's names of the components that are kept.
        """
        check_is_fitted(self)
        names = self.estimator_.get_feature_names_out(input_features)
        return np.asarray(names, dtype=object)[self._kept]

    def get_metadata_routing(self):
        """Return what the ensemble passes on, and to whom.

        Returns
        -------
        routing : MetadataRouter
            Metadata of ``fit`` go to the estimator's ``fit``.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(
            estimator=self.estimator, method_mapping=mapping
        )

    def __sklearn_is_fitted__(self):
        return "estimators_" in self.__dict__

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        if inner.transformer_tags is not None:
            tags.transformer_tags = inner.transformer_tags
        tags.non_deterministic = inner.non_deterministic
        tags.array_api_support = False
        return tags


def _agreements(tables):
    """Return the matched correlation of every pair of tables, over the larger width."""
    widths = [max(int(table.any(axis=0).sum()), 1) for table in tables]
    agreement = np.eye(len(tables))
    for a in range(len(tables)):
        for b in range(a):
            matched = match_codes(tables[a], tables[b]).correlation.sum()
            agreement[a, b] = agreement[b, a] = matched / max(widths[a], widths[b])
    return agreement

"""Label-free scorers: the variance that codes explain, and how independent they are."""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.validation import check_array, check_consistent_length

from .._inputs import with_nan
from .._undefined import collected_undefined
from ..metrics import total_correlation_audit, udr_score
from ._members import (
    active_codes,
    find_ensemble,
    find_latent_model,
    finite_samples,
    merge_categories,
)

MAX_QUADRATIC_CODES = 40
"""Largest number of codes whose squares and products enter the regression."""

AUDIT_SAMPLES = 4000


def explained_rows(X, codes):
    r"""Return the share of the variance of X that codes explain on held-out samples.

    A ridge regression on the codes, their squares and their products is fitted to one
    half of the samples and scored on the other half. The halves are drawn at random, by
    a fixed seed and the values of the samples: the order of the samples has no effect.
    The score is the mean of :math:`R^2` over the features that vary. The decoder is not
    used, so transformers without a decoder can be compared. Constant codes and pure
    noise explain nothing. With more than 40 codes, squares and products are left out.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples; NaN where a value is missing. Only observed values count.
    codes : array-like of shape (n_samples, n_codes)
        Codes of the samples, finite.

    Returns
    -------
    explained : float
        In [0, 1], 1 is best. 0 if no code or no feature varies.

    Raises
    ------
    ValueError
        If there are fewer than four samples, X and codes differ in their number, or
        values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.model_selection import explained_rows
    >>> X = np.random.default_rng(0).normal(size=(400, 4))
    >>> round(explained_rows(X, X[:, :2]), 1), explained_rows(X, np.ones((400, 1)))
    (0.5, 0.0)
    """
    X = check_array(
        with_nan(X),
        dtype=np.float64,
        ensure_min_samples=4,
        ensure_all_finite="allow-nan",
    )
    codes = check_array(codes, dtype=np.float64, ensure_min_samples=4)
    check_consistent_length(X, codes)
    train, test = _halves(X, codes)
    codes = codes[:, np.ptp(codes[train], axis=0) > 0]
    X = X[:, (_spread(X[train]) > 0) & (_spread(X[test]) > 0)]
    if not codes.shape[1] or not X.shape[1]:
        return 0.0
    if np.isnan(X).any():
        scores = [_explained_column(x, codes, train, test) for x in X.T]
        return max(float(np.mean(scores)), 0.0)
    model = _ridge_regression(codes.shape[1])
    scale = StandardScaler().fit(X[train])
    model.fit(codes[train], scale.transform(X[train]))
    predicted = model.predict(codes[test]).reshape(-1, X.shape[1])
    return max(float(r2_score(scale.transform(X[test]), predicted)), 0.0)


def _explained_column(x, codes, train, test):
    """Return the R2 of one incomplete feature, by the samples that have it."""
    train, test = (half[~np.isnan(x[half])] for half in (train, test))
    model = _ridge_regression(codes.shape[1]).fit(codes[train], x[train])
    return r2_score(x[test], model.predict(codes[test]))


def _spread(X):
    """Return the range of each feature's values that are not missing, (n_features,).

    It is zero, or NaN, for fewer than two values.
    """
    return np.fmax.reduce(X, axis=0) - np.fmin.reduce(X, axis=0)


def _halves(X, codes):
    """Return two random halves of the samples, whatever the order of the samples."""
    order = np.argsort(_ranks_of_rows(np.hstack([X, codes])), kind="stable")
    shuffled = order[np.random.RandomState(0).permutation(len(X))]
    return np.split(shuffled, [(len(X) + 1) // 2])


def _ranks_of_rows(table):
    """Return the rank of each row in lexicographic order, (n,); equal rows share one.

    Most tables need their first column only.
    """
    rank = np.zeros(len(table), dtype=np.intp)
    for column in np.where(np.isnan(table), -np.inf, table).T:
        if rank.max() == len(table) - 1:
            break
        order = np.lexsort((column, rank))
        ordered = column[order]
        is_new = (np.diff(rank[order]) > 0) | (ordered[1:] > ordered[:-1])
        rank[order] = np.concatenate([[0], np.cumsum(is_new)])
    return rank


def _ridge_regression(n_codes):
    """Return a ridge regression, quadratic in the codes if there are few."""
    degree = 2 if n_codes <= MAX_QUADRATIC_CODES else 1
    return make_pipeline(
        StandardScaler(),
        PolynomialFeatures(degree, include_bias=False),
        StandardScaler(),
        RidgeCV(np.logspace(-2, 4, 7)),
    )


def independence(codes):
    r"""Return two measures of the independence of codes: by a copula, by a classifier.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_codes)
        Codes. Constant codes are left out.

    Returns
    -------
    copula : float in [0, 1]
        :math:`\exp(-2\,\mathrm{TC}/D)`, where TC is the total correlation of the
        Gaussian copula of the D codes that vary, in nats: the D-th root of the
        determinant of the correlation matrix of their normal scores. 1 is best.
    audit : float in [0, 1]
        :math:`2\,(1 - \mathrm{AUC})` of a classifier that discriminates codes from
        permuted codes. 1 is best.
    """
    with collected_undefined():
        found = total_correlation_audit(codes, max_samples=AUDIT_SAMPLES)
    copula = np.exp(-2 * max(found.gaussian_copula_tc, 0.0) / max(found.n_codes, 1))
    return float(copula), float(np.clip(2 * (1 - found.auc), 0.0, 1.0))


def score_codes(X, codes, merged=None):
    """Return the explained variance, alone and times each measure of independence.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Samples.
    codes : ndarray of shape (n_samples, n_codes)
        Codes of the samples, zero for inactive components.
    merged : ndarray of shape (n_samples, n_components), default=None
        Codes with one column for each category, whose dependence is measured. None
        takes `codes`.

    Returns
    -------
    scores : dict of str to float in [0, 1]
        ``explained``, ``copula`` and ``audit``.
    """
    explained = explained_rows(X, codes)
    merged = codes if merged is None else merged
    copula, audit = independence(merged) if explained else (0.0, 0.0)
    return {
        "explained": explained,
        "copula": explained * copula,
        "audit": explained * audit,
    }


def score_fit(estimator, X, codes):
    """Return the scores of :func:`score_codes` for a fit and its codes of X."""
    merged = merge_categories(estimator, codes)
    return score_codes(finite_samples(estimator, X), codes, merged)


class _LabelFreeScorer:
    """Scorer of a fitted transformer. The score of an ensemble is the mean of its fits.

    Only observed values of X count, or, after an imputer, imputed ones, too.
    """

    def __init__(self, name, function):
        self.name = name
        self._function = function
        self.__doc__ = f"{function.__doc__}\n\n{type(self).__doc__}"

    def __call__(self, estimator, X, y=None):
        """Return the score of the codes of X.

        Parameters
        ----------
        estimator : object
            A fitted transformer, a :class:`SeedEnsemble`, or a pipeline that contains
            one. The codes are the output of the last transformer; a classifier after
            it is ignored.
        X : array-like of shape (n_samples, n_features)
            Samples, preferably held-out ones.
        y : None
            Ignored.

        Returns
        -------
        score : float
            Higher is better. In nats per sample for ``elbo_scorer``, in [0, 1] for all
            others.

        Raises
        ------
        TypeError
            If the estimator contains no transformer, or none that this score needs.
        """
        return float(np.mean(self._function(*ensemble_members(estimator, X))))

    def _accept_sample_weight(self):
        """Return False: weights are passed to ``fit`` only."""
        return False

    def __repr__(self):
        return self.name

    def __reduce__(self):
        return self.name


def ensemble_members(estimator, X):
    """Return the fits of an ensemble, or the estimator itself, and their input."""
    ensemble = find_ensemble(estimator)
    if ensemble is None:
        return [estimator], X
    return ensemble.model.estimators_, ensemble.transform_before(X)


def _score_codes(members, X):
    return [score_fit(member, X, active_codes(member, X)) for member in members]


def _explained_scores(members, X):
    """Explained variance: the share of the variance of X that the codes explain."""
    return [
        explained_rows(finite_samples(member, X), active_codes(member, X))
        for member in members
    ]


def _copula_scores(members, X):
    """Explained variance times the independence of the codes by a Gaussian copula."""
    return [scores["copula"] for scores in _score_codes(members, X)]


def _audit_scores(members, X):
    """Explained variance times the independence of the codes by a classifier."""
    return [scores["audit"] for scores in _score_codes(members, X)]


def _udr_scores(members, X):
    """Agreement of fits from several seeds (UDR) times the explained variance."""
    if len(members) < 2:
        raise TypeError(
            f"udr_scorer compares fits from several seeds, got one "
            f"{type(members[0]).__name__}. Wrap it: SeedEnsemble(estimator)."
        )
    tables = [active_codes(member, X) for member in members]
    return udr_score(tables) * _explained_scores(members, X)


def _elbo_scores(members, X):
    """Mean evidence lower bound (ELBO) of the samples, in nats per sample."""
    found = [find_latent_model(member) for member in members]
    for each in found:
        if not hasattr(each.model, "score_samples"):
            raise TypeError(
                f"elbo_scorer needs score_samples, which {type(each.model).__name__} "
                "does not have. Use explained_scorer instead."
            )
    return [
        np.mean(each.model.score_samples(each.transform_before(X))) for each in found
    ]


explained_scorer = _LabelFreeScorer("explained_scorer", _explained_scores)
elbo_scorer = _LabelFreeScorer("elbo_scorer", _elbo_scores)
copula_scorer = _LabelFreeScorer("copula_scorer", _copula_scores)
audit_scorer = _LabelFreeScorer("audit_scorer", _audit_scores)
udr_scorer = _LabelFreeScorer("udr_scorer", _udr_scores)

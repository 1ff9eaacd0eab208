"""Scorers without labels: how much codes know of the rows, and how independently."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.validation import check_array

from ..metrics import total_correlation_audit, udr_score
from ._members import active_codes, at_the_door, last_step

MOST_QUADRATIC = 40
"""Codes up to which squares and products take part; beyond, codes alone."""

AUDIT_ROWS = 4000


def explained_rows(X, codes):
    r"""Return the share of the rows' variance that codes explain, on held-out rows.

    A fresh ridge regression on codes, their squares and products learns half of the
    rows, and is scored on the other half: the mean of :math:`R^2` over the features
    that vary. It knows nothing of the decoder, so transformers without one can be
    compared; constant codes and noise explain nothing.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows.
    codes : array-like of shape (n_samples, n_codes)
        Their codes, finite.

    Returns
    -------
    explained : float
        In [0, 1], 1 is best. 0 if no code varies.

    Raises
    ------
    ValueError
        If there are fewer than four rows, or values are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.model_selection import explained_rows
    >>> X = np.random.default_rng(0).normal(size=(400, 4))
    >>> round(explained_rows(X, X[:, :2]), 1), explained_rows(X, np.ones((400, 1)))
    (0.5, 0.0)
    """
    X = check_array(X, dtype=np.float64, ensure_min_samples=4)
    codes = check_array(codes, dtype=np.float64, ensure_min_samples=4)
    train, test = slice(0, None, 2), slice(1, None, 2)
    codes = codes[:, np.ptp(codes[train], axis=0) > 0]
    X = X[:, (np.ptp(X[train], axis=0) > 0) & (np.ptp(X[test], axis=0) > 0)]
    if not codes.shape[1] or not X.shape[1]:
        return 0.0
    model = _surface(codes.shape[1])
    scale = StandardScaler().fit(X[train])
    model.fit(codes[train], scale.transform(X[train]))
    predicted = model.predict(codes[test]).reshape(-1, X.shape[1])
    return max(float(r2_score(scale.transform(X[test]), predicted)), 0.0)


def _surface(n_codes):
    """Return a regression on codes, and on their squares and products if few."""
    degree = 2 if n_codes <= MOST_QUADRATIC else 1
    return make_pipeline(
        StandardScaler(),
        PolynomialFeatures(degree, include_bias=False),
        StandardScaler(),
        RidgeCV(np.logspace(-2, 4, 7)),
    )


def independence(codes):
    r"""Return how independent codes are, by a copula and by a classifier.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_codes)
        Codes; those that do not vary are left out.

    Returns
    -------
    copula : float in [0, 1]
        :math:`\exp(-2\,\mathrm{TC}/D)`, where TC is that of the Gaussian copula of
        the D codes that vary: the D-th root of the determinant of the correlations of
        their normal scores.
    audit : float in [0, 1]
        :math:`2\,(1 - \mathrm{AUC})` of a classifier that tells codes from permuted
        ones.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        found = total_correlation_audit(codes, max_samples=AUDIT_ROWS)
    copula = np.exp(-2 * max(found.gaussian_copula_tc, 0.0) / max(found.n_codes, 1))
    return float(copula), float(np.clip(2 * (1 - found.auc), 0.0, 1.0))


class _LabelFreeScorer:
    """A scorer of any fitted transformer, or the mean over an ensemble's members."""

    def __init__(self, name, function):
        self.name = name
        self._function = function
        self.__doc__ = f"{function.__doc__}\n\n{type(self).__doc__}"

    def __call__(self, estimator, X, y=None):
        """Score what the estimator makes of X.

        Parameters
        ----------
        estimator : object
            A fitted transformer, a pipeline that ends with one, or a
            :class:`SeedEnsemble` of them.
        X : array-like of shape (n_samples, n_features)
            Rows, preferably not those of the fit.
        y : None
            Ignored.

        Returns
        -------
        score : float
            Higher is better.
        """
        return float(np.mean(self._function(*members_of(estimator, X))))

    def __repr__(self):
        return self.name

    def __reduce__(self):
        return self.name


def members_of(estimator, X):
    """Return the fits of an ensemble, or the one fit; and the rows they take."""
    ensemble = last_step(estimator)
    if not hasattr(ensemble, "estimators_"):
        return [estimator], X
    return ensemble.estimators_, at_the_door(estimator, X)


def measured(X, codes):
    """Return what codes explain, alone and times each measure of independence.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    codes : ndarray of shape (n_samples, n_codes)
        Codes, zero where they carry nothing.

    Returns
    -------
    scores : dict of str to float in [0, 1]
        ``explained``, ``copula`` and ``audit``.
    """
    explained = explained_rows(X, codes)
    copula, audit = independence(codes) if explained else (0.0, 0.0)
    return {
        "explained": explained,
        "copula": explained * copula,
        "audit": explained * audit,
    }


def _explained_scores(members, X):
    """Explained share of the rows' variance."""
    return [explained_rows(X, active_codes(member, X)) for member in members]


def _copula_scores(members, X):
    """Explained share of the rows, times the codes' independence by a copula."""
    return [measured(X, active_codes(member, X))["copula"] for member in members]


def _audit_scores(members, X):
    """Explained share of the rows, times the codes' independence by a classifier."""
    return [measured(X, active_codes(member, X))["audit"] for member in members]


def _udr_scores(members, X):
    """Agreement of fits from several seeds (UDR), times the explained share."""
    if len(members) < 2:
        raise TypeError(
            f"udr_scorer compares fits from several seeds, got one "
            f"{type(members[0]).__name__}. Wrap it: SeedEnsemble(estimator)."
        )
    tables = [active_codes(member, X) for member in members]
    return udr_score(tables) * _explained_scores(members, X)


def _elbo_scores(members, X):
    """Mean evidence lower bound of the rows, in nats."""
    for member in members:
        if not hasattr(last_step(member), "score_samples"):
            raise TypeError(
                f"elbo_scorer needs score_samples, which "
                f"{type(last_step(member)).__name__} has not. Score it with "
                "explained_scorer."
            )
    return [
        np.mean(last_step(member).score_samples(at_the_door(member, X)))
        for member in members
    ]


explained_scorer = _LabelFreeScorer("explained_scorer", _explained_scores)
elbo_scorer = _LabelFreeScorer("elbo_scorer", _elbo_scores)
copula_scorer = _LabelFreeScorer("copula_scorer", _copula_scores)
audit_scorer = _LabelFreeScorer("audit_scorer", _audit_scores)
udr_scorer = _LabelFreeScorer("udr_scorer", _udr_scores)

LABEL_FREE_SCORERS = {
    "explained": explained_scorer,
    "elbo": elbo_scorer,
    "copula": copula_scorer,
    "audit": audit_scorer,
    "udr": udr_scorer,
}

"""Estimate of the dependence among components by a new classifier, without labels."""

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import Bunch, check_random_state

from .._undefined import warn_undefined
from ._prediction import check_test_size, one_vs_rest_areas, scale_by, split_rows
from ._unsupervised import (
    normal_scores,
    total_correlation_bias,
    total_correlation_of,
)
from ._validation import check_codes, check_int, varying

MIN_ROWS = 20
MIN_TRAIN = 6  # below it, early stopping lacks a validation sample of each class
LEAST_PROBABILITY = 1e-6


def total_correlation_audit(
    codes,
    *,
    classifier=None,
    max_samples=10_000,
    test_size=1 / 2,
    random_state=0,
):
    r"""Measure the dependence among components with a newly trained classifier.

    The classifier is trained on one part of the samples to distinguish codes from
    codes whose columns are permuted independently. It is scored on the other part:

    .. math:: \mathrm{AUC} = P\bigl(s(z) > s(\tilde z)\bigr), \qquad
              \widehat{\mathrm{TC}} = \mathrm{E}_{z} \log \frac{s(z)}{1 - s(z)}

    The area is 0.5 for independent components. The log-ratio estimates the total
    correlation in nats; a classifier that underfits underestimates it, and one that
    overfits can make it negative. The total correlation of the Gaussian copula of the
    codes is returned as well, less its exact mean for independent Gaussian codes of
    the same shape. It measures monotone dependence only, but needs no classifier.

    Not to be confused with the total correlation in the history of a FactorVAE, which
    comes from the training discriminator. When that discriminator fails, its estimate
    is near zero whatever the dependence. Do not use it as a score.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes, one column per component, finite. Components that are constant on the
        samples used are left out.
    classifier : estimator, default=None
        Classifier with ``predict_proba``; it is cloned. None means histogram gradient
        boosting with early stopping.
    max_samples : int, default=10000
        Number of samples used, drawn at random if there are more.
    test_size : float, default=1/2
        Fraction of the samples on which the classifier is scored.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw of samples and of permutations.

    Returns
    -------
    audit : Bunch
        ``auc`` : float in [0, 1], 0.5 is independence.
        ``auc_std_error`` : float, by Hanley & McNeil's formula.
        ``log_ratio`` : float, in nats, about 0 for independence.
        ``log_ratio_std_error`` : float.
        ``gaussian_copula_tc`` : float, in nats, mean 0 for independence, so it may be
        slightly negative; infinite if a component is a monotone function of another, or
        if there are no more samples than components.
        ``gaussian_copula_tc_bias`` : float, the mean that was subtracted.
        ``n_train``, ``n_test``, ``n_codes`` : int, samples and components used.

    Raises
    ------
    ValueError
        If codes are not finite, have fewer than 20 samples, fewer than 6 of them for
        training, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If fewer than two components vary: the area is then 0.5, and all other values
        are 0. If the copula's total correlation is infinite.

    References
    ----------
    Kim & Mnih (2018), "Disentangling by factorising", Eq. 3, for the density ratio.
    Hanley & McNeil (1982), "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve".

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import total_correlation_audit
    >>> z = np.random.default_rng(0).normal(size=(1000, 2))
    >>> audit = total_correlation_audit(np.column_stack([z, z[:, 0] ** 2]))
    >>> audit.auc > 0.9, abs(audit.gaussian_copula_tc) < 0.01
    (True, True)
    """
    check_int("max_samples", max_samples, MIN_ROWS)
    check_test_size(test_size)
    values = check_codes(codes)[0]
    if len(values) < MIN_ROWS:
        raise ValueError(
            f"The classifier of dependence needs at least {MIN_ROWS} samples, got "
            f"n_samples={len(values)}."
        )
    rng = check_random_state(random_state)
    seed = rng.randint(np.iinfo(np.int32).max)
    train, test = split_rows(min(len(values), max_samples), test_size, False, None)
    if len(train) < MIN_TRAIN:
        raise ValueError(
            f"test_size={test_size} leaves n_train={len(train)} training samples; at "
            f"least {MIN_TRAIN} are needed. Lower test_size or raise max_samples."
        )
    values = values[rng.permutation(len(values))[: len(train) + len(test)]]
    values = values[:, varying(values)].astype(np.float64)
    if values.shape[1] < 2:
        warn_undefined("Fewer than two components vary, so the dependence is set to 0.")
        return _independent(len(train), len(test), values.shape[1])
    model = _default_classifier(seed) if classifier is None else clone(classifier)
    real, fake = _score(model, values[train], values[test], rng)
    return Bunch(
        **_summary(real, fake),
        **_copula(values),
        n_train=len(train),
        n_test=len(test),
        n_codes=values.shape[1],
    )


def _default_classifier(seed):
    return HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.1,
        max_leaf_nodes=15,
        l2_regularization=1.0,
        early_stopping=True,
        random_state=seed,
    )


def _score(model, train, test, rng):
    """Return the log-odds of being unpermuted, for test samples and permuted ones."""
    real, fake = scale_by(train, train), scale_by(train, _permuted(train, rng))
    model.fit(np.vstack([real, fake]), np.repeat([1, 0], len(train)))
    real, fake = scale_by(train, test), scale_by(train, _permuted(test, rng))
    return _log_odds(model, real), _log_odds(model, fake)


def _permuted(values, rng):
    """Return the values with each column permuted independently."""
    return np.column_stack([rng.permutation(column) for column in values.T])


def _log_odds(model, values):
    p = np.clip(
        model.predict_proba(values)[:, 1], LEAST_PROBABILITY, 1 - LEAST_PROBABILITY
    )
    return np.log(p) - np.log1p(-p)


def _summary(real, fake):
    """Return the area under the curve and the mean log-ratio, with standard errors."""
    n = len(real)
    labels = np.repeat([1, 0], n)
    area = one_vs_rest_areas(labels, np.concatenate([real, fake])[:, None].repeat(2, 1))
    auc = float(area[1])
    both, same = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n - 1) * (both + same - 2 * auc**2)
    return {
        "auc": auc,
        "auc_std_error": float(np.sqrt(max(variance, 0.0)) / n),
        "log_ratio": float(real.mean()),
        "log_ratio_std_error": float(real.std() / np.sqrt(n)),
    }


def _copula(values):
    """Return the total correlation of normal scores less its bias, and the bias."""
    bias = (
        total_correlation_bias(*values.shape) if len(values) > values.shape[1] else 0.0
    )
    raw = total_correlation_of(normal_scores(values))
    if np.isinf(raw):
        warn_undefined(
            "The copula's total correlation is infinite: a component is a monotone "
            "function of another, or there are no more samples than components."
        )
    return {"gaussian_copula_tc": raw - bias, "gaussian_copula_tc_bias": bias}


def _independent(n_train, n_test, n_codes):
    return Bunch(
        auc=0.5,
        auc_std_error=0.0,
        log_ratio=0.0,
        log_ratio_std_error=0.0,
        gaussian_copula_tc=0.0,
        gaussian_copula_tc_bias=0.0,
        n_train=n_train,
        n_test=n_test,
        n_codes=n_codes,
    )

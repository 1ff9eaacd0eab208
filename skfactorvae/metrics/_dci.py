"""Disentanglement, completeness and informativeness, from importances of components."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Lasso
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from .._inputs import DISCRETE
from .._undefined import warn_undefined
from ._binning import check_binning, factor_index
from ._correlation import numeric_factors
from ._mutual_information import information
from ._prediction import check_test_size, scale_by, split_rows
from ._validation import (
    check_choice,
    check_int,
    check_table,
    defined_factors,
    take_factors,
)

ESTIMATORS = {
    "gradient_boosting": (GradientBoostingClassifier(), GradientBoostingRegressor()),
    "hist": (
        HistGradientBoostingClassifier(l2_regularization=3.0, early_stopping=False),
        HistGradientBoostingRegressor(l2_regularization=3.0, early_stopping=False),
    ),
    "random_forest": (
        RandomForestClassifier(max_depth=8),
        RandomForestRegressor(max_depth=8),
    ),
    "extra_trees": (
        ExtraTreesClassifier(max_depth=8),
        ExtraTreesRegressor(max_depth=8),
    ),
    "lasso": (Lasso(alpha=0.01), Lasso(alpha=0.01)),
}
NAMES = {*ESTIMATORS, "mutual_info"}
PUBLISHED = ("gradient_boosting", "random_forest", "lasso")
"""Predictors of publications, whose importances are left as they are."""

TINY = 1e-11
LEARNED = 3.0
"""Standard errors by which a predictor must be better than a constant prediction."""

PERMUTED_ROWS = 1000


def dci_scores(
    factors,
    codes,
    *,
    estimator="gradient_boosting",
    n_bins=20,
    strategy="uniform",
    factor_types="auto",
    n_jobs=None,
    max_samples=None,
    test_size=1 / 3,
    shuffle=True,
    random_state=0,
):
    r"""Compute disentanglement, completeness and informativeness (DCI).

    Each factor is predicted from all components; :math:`R_{dk}` is the importance of
    component :math:`d` for factor :math:`k`.

    .. math:: D = \sum_d \rho_d \bigl(1 - H_K(R_{d\cdot})\bigr), \qquad
              C = \sum_k w_k \bigl(1 - H_D(R_{\cdot k})\bigr)

    with entropies of normalised rows to base :math:`K` and of columns to base
    :math:`D` (the number of all components, constant ones included), and weights
    proportional to the row and column sums. Informativeness is the mean test accuracy
    or :math:`R^2`.

    The value depends on the estimator. On the same data, disentanglement is 0.393 with
    gradient boosting, 0.479 with histogram boosting, and 0.673 if ordered factors are
    regressed. Report the estimator with the score; only
    "gradient_boosting" is comparable with published numbers.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    estimator : str or estimator, default="gradient_boosting"
        Predictors, classifiers for discrete and regressors for continuous factors:

        - "gradient_boosting": the published choice; minutes for 10,000 samples.
        - "hist": histogram boosting, with permutation importances on test samples.
        - "random_forest", "extra_trees": 100 trees of depth 8.
        - "lasso": regression of every factor on standardised codes (alpha 0.01).
        - "mutual_info": no predictor; :math:`R` is the binned mutual information over
          its column sums (MED).

        An estimator object is cloned for every factor. A classifier predicts
        continuous factors in quantile bins; a regressor predicts levels as numbers.
        Importances are its ``feature_importances_``, else ``abs(coef_)``, else
        permutation importances.

        For "hist", "extra_trees" and an estimator object, all importances are zero
        for a factor that is predicted no better than by a constant (by 3 standard
        errors, on test samples): those of a predictor that has learned nothing are few
        or one, by chance, and would count as disentangled. The others are left as
        published.
    n_bins : int, default=20
        Bins for "mutual_info", and of continuous factors for a given classifier.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width or of equal count for "mutual_info".
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    n_jobs : int, default=None
        Number of factors fitted in parallel.
    max_samples : int, default=None
        Number of samples to fit and test on, drawn at random; None uses all. With the
        default predictor, five factors and ten components take about 1.3 seconds for
        each 1,000 samples on one core, half an hour for a million.
    test_size : float, default=1/3
        Fraction of the samples on which informativeness is measured.
    shuffle : bool, default=True
        Draw test samples at random; if False, they are the last ones.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw of samples and of the predictors.

    Returns
    -------
    scores : Bunch
        ``disentanglement`` and ``completeness`` : float in [0, 1], 1 is best.
        ``informativeness`` : float, at most 1, 1 is best; for "mutual_info" the mean
        over factors of the largest mutual information with a component, divided by
        the entropy of the factor.
        ``importances`` : ndarray of shape (n_codes, n_factors), zero for constant
        components and NaN for factors left out.
        ``per_code``, ``per_factor``, ``informativeness_per_factor`` : ndarrays.
        ``estimator`` : str, the estimator used.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out; if fewer than two remain (disentanglement is NaN); if
        there is one component (completeness is NaN); if all importances are zero.

    References
    ----------
    Eastwood & Williams (2018), "A framework for the quantitative evaluation of
    disentangled representations", section 2. Cao et al. (2022), "An empirical study
    on disentanglement of negative-free contrastive learning", for "mutual_info".

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import dci_scores
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> scores = dci_scores(factors, factors, estimator="mutual_info")
    >>> round(scores.disentanglement, 3), round(scores.completeness, 3)
    (1.0, 1.0)
    """
    _check_parameters(estimator, n_bins, strategy, max_samples, test_size)
    table = check_table(factors, codes, factor_types)
    kept = _measured_factors(table, estimator)
    kept_table = take_factors(table, kept)
    importances = np.full((table.codes.shape[1], len(table.names)), np.nan)
    quality = np.full(len(table.names), np.nan)
    if isinstance(estimator, str) and estimator == "mutual_info":
        importances[:, kept], quality[kept] = _shares(kept_table, n_bins, strategy)
    elif kept:
        split = {"test_size": test_size, "shuffle": shuffle}
        fits = _fit_all(
            kept_table, estimator, n_bins, max_samples, split, random_state, n_jobs
        )
        importances[:, kept] = np.column_stack([fit[0] for fit in fits])
        quality[kept] = [fit[1] for fit in fits]
    return _summary(importances, quality, kept, estimator)


def dci_disentanglement_score(factors, codes, **kwargs):
    """Compute DCI disentanglement: whether each component holds one factor.

    It is ``dci_scores(...).disentanglement``; see :func:`dci_scores`.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    **kwargs : dict
        Passed to :func:`dci_scores`.

    Returns
    -------
    score : float
        In [0, 1], 1 is best. NaN with fewer than two factors that vary.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import dci_disentanglement_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> twice = np.hstack([factors, factors])
    >>> score = dci_disentanglement_score(factors, twice, estimator="mutual_info")
    >>> round(score, 3)
    1.0
    """
    return dci_scores(factors, codes, **kwargs).disentanglement


def dci_completeness_score(factors, codes, **kwargs):
    """Compute DCI completeness: whether each factor is held by one component.

    It is ``dci_scores(...).completeness``; see :func:`dci_scores`.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    **kwargs : dict
        Passed to :func:`dci_scores`.

    Returns
    -------
    score : float
        In [0, 1], 1 is best. NaN with a single component.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import dci_completeness_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> twice = np.hstack([factors, factors])
    >>> score = dci_completeness_score(factors, twice, estimator="mutual_info")
    >>> round(score, 3)
    0.5
    """
    return dci_scores(factors, codes, **kwargs).completeness


def dci_informativeness_score(factors, codes, **kwargs):
    """Compute DCI informativeness: how well codes predict factors.

    It is ``dci_scores(...).informativeness``; see :func:`dci_scores`.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    **kwargs : dict
        Passed to :func:`dci_scores`.

    Returns
    -------
    score : float
        Mean test accuracy or R squared, at most 1, 1 is best. For discrete factors
        chance is the proportion of the most frequent level, not 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import dci_informativeness_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> dci_informativeness_score(factors, factors, estimator="extra_trees")
    1.0
    """
    return dci_scores(factors, codes, **kwargs).informativeness


def disentanglement_of(importances):
    """Return (score, value per component) of an importance matrix (D, K).

    Components without importance get 0 and no weight.
    """
    n_factors = importances.shape[1]
    if n_factors < 2:
        return float("nan"), np.full(len(importances), np.nan)
    total = importances.sum(axis=1)
    per_code = np.where(total > 0, 1.0 - _row_entropy(importances, n_factors), 0.0)
    if not np.any(total > 0):
        return 0.0, per_code
    return float(np.average(per_code, weights=total)), per_code


def completeness_of(importances):
    """Return (score, value per factor) of an importance matrix (D, K)."""
    return disentanglement_of(importances.T)


def _row_entropy(matrix, base):
    """Return the entropy to `base` of each normalised row, in [0, 1]."""
    share = (matrix + TINY) / (matrix + TINY).sum(axis=1, keepdims=True)
    return np.clip(-(share * np.log(share)).sum(axis=1) / np.log(base), 0.0, 1.0)


def _check_parameters(estimator, n_bins, strategy, max_samples, test_size):
    if isinstance(estimator, str):
        check_choice("estimator", estimator, NAMES)
    elif not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise ValueError(
            f"estimator must be one of {sorted(NAMES)} or a scikit-learn classifier or "
            f"regressor, got {estimator!r}."
        )
    check_binning(n_bins, strategy)
    check_test_size(test_size)
    if max_samples is not None:
        check_int("max_samples", max_samples, 2)


def _measured_factors(table, estimator):
    """Return the indices of the factors that `estimator` can predict."""
    if _reads_levels(estimator):
        return defined_factors(table, "DCI")
    return numeric_factors(table, "DCI by regression")


def _reads_levels(estimator):
    """Return whether discrete factors are predicted as classes."""
    if isinstance(estimator, str):
        return estimator != "lasso"
    return is_classifier(estimator)


def _shares(table, n_bins, strategy):
    """Return (importances, quality) from mutual information, without a predictor."""
    if not table.names:
        return np.zeros((table.codes.shape[1], 0)), np.zeros(0)
    found = information(table, n_bins, strategy)
    total = found.mutual.sum(axis=0)
    shares = found.mutual / np.where(total > 0, total, 1.0)
    return shares, found.mutual.max(axis=0) / found.factor_entropy


def _fit_all(table, estimator, n_bins, max_samples, split, random_state, n_jobs):
    """Return (importances, quality) of every factor, fitted in parallel."""
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    codes = table.codes.astype(np.float64)
    needs_skill = not (isinstance(estimator, str) and estimator in PUBLISHED)
    jobs = []
    for k in range(len(table.names)):
        model, as_classes = _model(estimator, table.kinds[k], seed)
        labelled = np.flatnonzero(~np.isnan(table.factors[:, k]))
        target = table.factors[labelled, k]
        if as_classes:
            target = factor_index(target, table.kinds[k], n_bins, "quantile")[0]
        rows = split_rows(len(labelled), **split, random_state=seed)
        jobs.append(
            (model, codes, labelled, target, rows, max_samples, seed, needs_skill)
        )
    return Parallel(n_jobs=n_jobs)(delayed(_fit_one)(*job) for job in jobs)


def _model(estimator, kind, seed):
    """Return (an unfitted predictor for this kind of factor, is it a classifier)."""
    if isinstance(estimator, str):
        model = clone(ESTIMATORS[estimator][0 if kind == DISCRETE else 1])
    else:
        model = clone(estimator)
    if "random_state" in model.get_params() and isinstance(estimator, str):
        model.set_params(random_state=seed)
    return model, is_classifier(model)


def _fit_one(model, codes, labelled, target, rows, max_samples, seed, needs_skill):
    """Return (importances of components, test score) of one factor."""
    train, test = _subsampled(rows, max_samples, seed)
    y_train, y_test = target[train], target[test]
    z_train = scale_by(codes[labelled[train]], codes[labelled[train]])
    z_test = scale_by(codes[labelled[train]], codes[labelled[test]])
    varies = z_train.min(axis=0) < z_train.max(axis=0)
    if y_train.min() == y_train.max() or not varies.any():
        constant = np.full(len(y_test), _constant(model, y_train))
        return np.zeros(codes.shape[1]), _quality(model, y_test, constant)
    if not is_classifier(model):
        y_train, y_test = (
            _standardized(y_train, y_train),
            _standardized(y_train, y_test),
        )
    predicted = np.ravel(model.fit(z_train, y_train).predict(z_test))
    quality = _quality(model, y_test, predicted)
    constant = _constant(model, y_train)
    if needs_skill and not _has_learned(model, y_test, predicted, constant):
        return np.zeros(codes.shape[1]), quality
    importances = _importances(model, z_test, y_test, seed)
    return np.where(varies, importances, 0.0), quality


def _has_learned(model, y_test, predicted, constant):
    """Return whether test samples are predicted clearly better than by a constant."""
    gain = _loss(model, y_test, constant) - _loss(model, y_test, predicted)
    return gain.mean() > LEARNED * gain.std() / np.sqrt(len(gain))


def _loss(model, truth, predicted):
    """Return the loss of each sample: zero-one, or the squared error."""
    if is_classifier(model):
        return (truth != predicted).astype(np.float64)
    return np.square(truth - predicted)


def _standardized(train, values):
    return scale_by(train[:, None], values[:, None])[:, 0]


def _subsampled(rows, max_samples, seed):
    """Return (train, test), subsampled to `max_samples` in all."""
    train, test = rows
    n_rows = len(train) + len(test)
    if max_samples is None or max_samples >= n_rows:
        return rows
    n_test = min(max(round(max_samples * len(test) / n_rows), 1), max_samples - 1)
    rng = np.random.RandomState(seed)
    n_train = max_samples - n_test
    return rng.permutation(train)[:n_train], rng.permutation(test)[:n_test]


def _importances(model, codes_test, target_test, seed):
    """Return the importance of every component, >= 0."""
    if hasattr(model, "feature_importances_"):
        return np.abs(model.feature_importances_)
    if hasattr(model, "coef_"):
        return np.abs(np.atleast_2d(model.coef_)).mean(axis=0)
    rows = slice(None, PERMUTED_ROWS)  # samples are in random order, or in the user's
    found = permutation_importance(
        model, codes_test[rows], target_test[rows], n_repeats=5, random_state=seed
    )
    clear = found.importances_mean > 2 * found.importances_std
    return np.where(clear, np.maximum(found.importances_mean, 0.0), 0.0)


def _quality(model, truth, predicted):
    """Return the accuracy or R squared of predictions."""
    if is_classifier(model):
        return float(np.mean(predicted == truth))
    return _r_squared(truth, predicted)


def _constant(model, y_train):
    """Return the best constant prediction: the most frequent level, or the mean."""
    if is_classifier(model):
        values, counts = np.unique(y_train, return_counts=True)
        return values[counts.argmax()]
    return y_train.mean()


def _r_squared(truth, predicted):
    """Return the fraction of variance explained; 0 if there is no variance."""
    total = np.sum((truth - truth.mean()) ** 2)
    return float(1 - np.sum((truth - predicted) ** 2) / total) if total > 0 else 0.0


def _summary(importances, quality, kept, estimator):
    """Return the Bunch of scores; warn of those that are undefined."""
    disentanglement, per_code = disentanglement_of(importances[:, kept])
    completeness, of_kept = completeness_of(importances[:, kept])
    per_factor = np.full(importances.shape[1], np.nan)
    per_factor[kept] = of_kept
    _warn_of_undefined(importances[:, kept])
    return Bunch(
        disentanglement=disentanglement,
        completeness=completeness if kept else float("nan"),
        informativeness=float(np.mean(quality[kept])) if kept else float("nan"),
        importances=importances,
        per_code=per_code,
        per_factor=per_factor,
        informativeness_per_factor=quality,
        estimator=estimator if isinstance(estimator, str) else repr(estimator),
    )


def _warn_of_undefined(importances):
    """Warn of the scores that are undefined for importances (D, K)."""
    n_codes, n_factors = importances.shape
    if n_factors < 2:
        warn_undefined("DCI disentanglement is NaN with fewer than two factors.")
    if n_codes < 2:
        warn_undefined("DCI completeness is NaN with a single component.")
    if n_factors and not importances.sum() > 0:
        warn_undefined("DCI is 0: no component is important for any factor.")

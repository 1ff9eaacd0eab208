"""Explicitness: how well linear classifiers predict each level of each factor."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from ._binning import check_binning, labels_of
from ._prediction import check_test_size, one_vs_rest_areas, scale_by, split_rows
from ._validation import (
    average_over,
    check_average,
    check_table,
    defined_factors,
)


def explicitness_score(
    factors,
    codes,
    *,
    scaled=True,
    n_bins=10,
    factor_types="auto",
    average="macro",
    test_size=1 / 3,
    shuffle=True,
    random_state=0,
):
    r"""Compute explicitness: the area under the ROC curve of logistic regressions.

    .. math:: E = \frac{1}{K} \sum_k \frac{1}{|V_k|} \sum_{v \in V_k}
              \bigl(2\, \mathrm{AUC}_{kv} - 1\bigr)

    where AUC is that of level :math:`v` of factor :math:`k` against all others, by a
    logistic regression on all components. It measures linear predictability, not
    alignment with components: a rotation scores 1. Report it with
    :func:`modularity_score`.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    scaled : bool, default=True
        If True, return ``2 AUC - 1``, for which chance is 0; if False, the mean AUC,
        for which chance is 0.5.
    n_bins : int, default=10
        Quantile bins of continuous factors, used as levels.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    average : {"macro"} or None, default="macro"
        "macro" is the mean over factors; None returns one value per factor (NaN
        where undefined).
    test_size : float, default=1/3
        Fraction of the samples on which AUCs are measured.
    shuffle : bool, default=True
        Draw test samples at random; if False, they are the last ones.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw of test samples.

    Returns
    -------
    score : float or ndarray of shape (n_factors,)
        1 is best. The mean is clipped to [0, 1]; if `scaled`, the value of a single
        factor below chance is negative. NaN if no factor varies.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out because it does not vary.

    References
    ----------
    Ridgeway & Mozer (2018), "Learning deep disentangled embeddings with the
    F-statistic loss", section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import explicitness_score
    >>> shape = np.tile(["square", "heart"], 50)
    >>> explicitness_score(shape, shape == "heart")
    1.0
    """
    check_average(average)
    check_binning(n_bins, "quantile")
    check_test_size(test_size)
    table = check_table(factors, codes, factor_types)
    kept = defined_factors(table, "Explicitness")
    areas = np.full(len(table.names), np.nan)
    split = {"test_size": test_size, "shuffle": shuffle, "random_state": random_state}
    for k in kept:
        areas[k] = _area(table, k, n_bins, split)
    scores = 2 * areas - 1 if scaled else areas
    return average_over(scores, kept, average, "Explicitness")


def _area(table, k, n_bins, split):
    """Return the mean one-versus-rest area of the levels of factor `k`.

    Levels that do not occur among both training and test samples are left out; if
    none remains, the area is 0.5.
    """
    rows, labels, n_levels = labels_of(table, k, n_bins, "quantile")
    codes = table.codes[rows].astype(np.float64)
    train, test = split_rows(len(labels), **split)
    if labels[train].min() == labels[train].max():
        return 0.5
    scores = level_scores(codes[train], labels[train], codes[test], n_levels)
    areas = one_vs_rest_areas(labels[test], scores)
    seen = np.bincount(labels[train], minlength=n_levels) > 0
    measured = areas[seen & ~np.isnan(areas)]
    return float(measured.mean()) if len(measured) else 0.5


def level_scores(codes, labels, codes_test, n_levels):
    """Return the predicted probability (samples, levels) of test samples."""
    model = LogisticRegression(max_iter=1000).fit(scale_by(codes, codes), labels)
    scores = np.zeros((len(codes_test), n_levels))
    scores[:, model.classes_] = model.predict_proba(scale_by(codes, codes_test))
    return scores

"""Explicitness: whether a linear reader finds each level of each factor."""

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
    r"""Explicitness: area under the ROC curve of a logistic reader of all codes.

    .. math:: E = \frac{1}{K} \sum_k \frac{1}{|V_k|} \sum_{v \in V_k}
              \bigl(2\, \mathrm{AUC}_{kv} - 1\bigr)

    It measures how much the codes say, and nothing of how they are arranged: a
    rotation scores 1. Read it beside :func:`modularity_score`.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN is unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        The codes, finite.
    scaled : bool, default=True
        Return ``2 AUC - 1``, in which chance is 0, or the mean AUC, in which chance
        is 0.5.
    n_bins : int, default=10
        Quantile bins that make levels of continuous factors.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        How to read the factors. See :func:`mutual_information_matrix`.
    average : {"macro"} or None, default="macro"
        The mean over factors, or one value per factor (NaN where undefined).
    test_size : float, default=1/3
        Share of the rows on which areas are measured.
    shuffle : bool, default=True
        Whether test rows are drawn at random, or are the last ones.
    random_state : int, RandomState instance or None, default=0
        Draws the test rows.

    Returns
    -------
    score : float or ndarray of shape (n_factors,)
        1 is best. The mean is in [0, 1]: if `scaled`, below chance counts as chance
        there; a single factor below chance is negative. NaN if no factor varies.

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

    Levels missing among the training or the test rows cannot be measured; if none
    can, the area is that of chance.
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
    """Return the logistic probability (rows, levels) of every level on test rows."""
    model = LogisticRegression(max_iter=1000).fit(scale_by(codes, codes), labels)
    scores = np.zeros((len(codes_test), n_levels))
    scores[:, model.classes_] = model.predict_proba(scale_by(codes, codes_test))
    return scores

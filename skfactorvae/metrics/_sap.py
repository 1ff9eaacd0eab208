"""Separated attribute predictability: gap between the two best components."""

import numpy as np
from sklearn.svm import LinearSVC

from .._inputs import CONTINUOUS
from ._binning import bin_index, check_binning, labels_of
from ._correlation import absolute_correlations
from ._prediction import check_test_size, split_rows
from ._validation import (
    average_over,
    check_average,
    check_choice,
    check_table,
    defined_factors,
    take_factors,
    varying,
)

LARGEST = 1e3  # beyond it the penalty is negligible and the solver may not converge


def sap_score(
    factors,
    codes,
    *,
    classifier="linear_svc",
    chance_corrected=False,
    chance_floor=True,
    n_bins=20,
    factor_types="auto",
    average="macro",
    test_size=1 / 3,
    shuffle=True,
    random_state=0,
):
    r"""Compute the separated attribute predictability (SAP) score.

    .. math:: \mathrm{SAP} = \frac{1}{K} \sum_k \left(S_{(1)k} - S_{(2)k}\right)

    where :math:`S_{(1)k}` and :math:`S_{(2)k}` are the two largest of the scores
    :math:`S_{dk}` of component :math:`d` for factor :math:`k`: the squared Pearson
    correlation for a continuous factor, and the test accuracy of a classifier on
    component :math:`d` alone for a discrete one. The accuracy of predicting the most
    frequent level is the lower limit for every component, as for a constant one.
    Unused components therefore do not change the score, and its maximum for discrete
    factors is one minus chance. ``chance_floor=False`` is the published score, without
    this limit: the published classifier weighs levels equally, so that a component
    without information is less accurate than that for an unbalanced factor.

    The published classifier, a linear SVM on one variable, cannot separate interior
    levels: a perfect component of an ordered factor scores 0.495 with 2 levels, 0.390
    with 5, 0.118 with 10 and 0.031 with 40. Multiplication by 100 changes 0.118 to
    0.215. ``classifier="threshold"`` predicts the majority level of each bin and
    scores 0.495, 0.787, 0.904 and 0.488 (each of 20 bins holds two of 40 levels); it
    does not depend on the scale.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    classifier : {"linear_svc", "threshold"}, default="linear_svc"
        Classifier of a discrete factor from one component.
    chance_corrected : bool, default=False
        Replace each accuracy ``a`` by ``max(0, (a - c) / (1 - c))``, where ``c`` is
        the accuracy of predicting the most frequent level.
    chance_floor : bool, default=True
        Whether ``c`` is the lower limit of each accuracy. False gives the published
        score; with a single component, the second best is then 0. It has no effect
        with ``chance_corrected``.
    n_bins : int, default=20
        Quantile bins of the threshold classifier.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    average : {"macro"} or None, default="macro"
        "macro" is the mean over factors; None returns one value per factor (NaN
        where undefined).
    test_size : float, default=1/3
        Fraction of the samples on which accuracies are measured.
    shuffle : bool, default=True
        Draw test samples at random; if False, they are the last ones.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw of test samples.

    Returns
    -------
    score : float or ndarray of shape (n_factors,)
        In [0, 1], 1 is best. With a single component, the second best is the
        prediction of the most frequent level, unless ``chance_floor=False``. NaN if no
        factor varies.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, or if none varies.

    References
    ----------
    Kumar, Sattigeri & Balakrishnan (2018), "Variational inference of disentangled
    latent concepts from unlabeled observations", section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import sap_score
    >>> factors = np.random.default_rng(0).normal(size=(300, 2))
    >>> round(sap_score(factors, factors), 2)
    1.0
    """
    check_average(average)
    check_choice("classifier", classifier, {"linear_svc", "threshold"})
    check_binning(n_bins, "quantile")
    check_test_size(test_size)
    table = check_table(factors, codes, factor_types)
    kept = defined_factors(table, "SAP")
    predict = _linear_svc if classifier == "linear_svc" else _majority_per_bin(n_bins)
    gaps = np.full(len(table.names), np.nan)
    split = {"test_size": test_size, "shuffle": shuffle, "random_state": random_state}
    for k in kept:
        gaps[k] = _gap(
            take_factors(table, [k]), predict, chance_corrected, chance_floor, split
        )
    return average_over(gaps, kept, average, "SAP")


def _gap(table, predict, chance_corrected, chance_floor, split):
    """Return the gap of a table of one factor."""
    if table.kinds[0] == CONTINUOUS:
        active = table._replace(codes=table.codes[:, varying(table.codes)])
        strength, floor = absolute_correlations(active, "pearson")[:, 0] ** 2, 0.0
    else:
        strength, floor = _accuracies(table, predict, split)
        if chance_corrected:
            strength = np.maximum(strength - floor, 0.0) / max(1.0 - floor, 1e-12)
            floor = 0.0
        floor *= chance_floor
    second, best = np.sort(np.append(strength, [floor, floor]))[-2:]
    return best - second


def _accuracies(table, predict, split):
    """Return the test accuracy (D,) of every component, and that of chance."""
    rows, labels, n_levels = labels_of(table, 0, 2, "quantile")
    train, test = split_rows(len(labels), **split)
    codes = table.codes[rows].astype(np.float64)
    majority = np.bincount(labels[train], minlength=n_levels).argmax()
    chance = np.mean(labels[test] == majority)
    strength = [
        np.mean(predict(z[train], labels[train], z[test]) == labels[test])
        if z[train].min() < z[train].max()
        else chance
        for z in codes.T
    ]
    return np.array(strength), chance


def _linear_svc(z, labels, z_test):
    """Return the labels that a linear SVM predicts from one component."""
    if labels.min() == labels.max():
        return np.full(len(z_test), labels[0])
    scale = max(np.abs(z).max() / LARGEST, 1.0)
    z, z_test = z / scale, z_test / scale
    model = LinearSVC(C=0.01, class_weight="balanced", dual=False, max_iter=10_000)
    return model.fit(z[:, None], labels).predict(z_test[:, None])


def _majority_per_bin(n_bins):
    """Return a predictor of the most frequent label in the bin of the component."""

    def predict(z, labels, z_test):
        bins = bin_index(np.append(z, z_test), n_bins, "quantile")
        counts = np.zeros((bins.max() + 1, labels.max() + 1))
        np.add.at(counts, (bins[: len(z)], labels), 1)
        counts[counts.sum(axis=1) == 0] = np.bincount(labels)
        return counts.argmax(axis=1)[bins[len(z) :]]

    return predict

"""Mean correlation coefficient of factors and the components matched to them."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from .._undefined import warn_undefined
from ._binning import code_columns
from ._validation import (
    check_choice,
    defined_factors,
    labelled_groups,
    take_factors,
    varying,
    weighted_table,
)

SCORE = "The mean correlation"


def mean_correlation_score(
    factors,
    codes,
    *,
    method="spearman",
    over="matched",
    factor_types="auto",
    sample_weight=None,
):
    r"""Compute the mean correlation coefficient (MCC) of matched components.

    .. math:: \mathrm{MCC} = \frac{1}{M} \max_\pi \sum_{(d, k) \in \pi}
              |\operatorname{corr}(z_d, y_k)|

    where :math:`\pi` matches each component to at most one factor, one to one, and M
    is the number of matched pairs. The score measures whether each factor has one
    component; it does not depend on the components that are not matched. A component
    that is a non-monotone function of a factor (an angle, a square) scores low, even
    if it determines the factor. Not to be confused with Matthews' correlation
    coefficient.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. Strings and unordered categories
        are used only if they have two levels.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite. Constant components are left out.
    method : {"spearman", "pearson"}, default="spearman"
        Correlation of ranks, which is invariant to monotone transformations, or of
        values.
    over : {"matched", "factors"}, default="matched"
        Divide by the number of matched pairs (``min(n_codes, n_factors)`` without
        constants), as in the literature, or by the number of factors. With
        "matched", a single component that holds one factor scores 1; use "factors"
        to compare models.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0. An integer weight equals repetition of the sample.

    Returns
    -------
    score : float
        In [0, 1], 1 is best. 0 if every component is constant, NaN if no factor varies.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is constant, unlabelled or without an order (it is left out), or
        if all components are constant.

    References
    ----------
    Hyvarinen & Morioka (2016), "Unsupervised feature extraction by time-contrastive
    learning and nonlinear ICA"; Khemakhem, Kingma, Monti & Hyvarinen (2020),
    "Variational autoencoders and nonlinear ICA", section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import mean_correlation_score
    >>> factors = np.random.default_rng(0).normal(size=(100, 2))
    >>> round(mean_correlation_score(factors, -np.exp(factors[:, ::-1])), 6)
    1.0
    """
    check_choice("method", method, {"spearman", "pearson"})
    check_choice("over", over, {"matched", "factors"})
    table, weight = weighted_table(factors, codes, factor_types, sample_weight)
    table = take_factors(table, numeric_factors(table))
    if not table.names:
        warn_undefined(f"{SCORE} is undefined without a factor that varies: NaN.")
        return float("nan")
    table = table._replace(codes=table.codes[:, varying(table.codes)])
    if table.codes.shape[1] == 0:
        warn_undefined(f"{SCORE} is 0 because every component is constant.")
        return 0.0
    strength = absolute_correlations(table, method, weight)  # (D, K)
    matched = strength[linear_sum_assignment(strength, maximize=True)]
    return float(matched.sum() / len(matched if over == "matched" else table.names))


def numeric_factors(table, score=SCORE):
    """Return the indices of the factors that vary and are ordered; warn if not all.

    Two levels are ordered, up to a sign.
    """
    kept = defined_factors(table, score)
    nominal = [k for k in kept if not table.ordered[k] and _n_levels(table, k) > 2]
    if nominal:
        names = ", ".join(table.names[k] for k in nominal)
        warn_undefined(
            f"{score} needs numbers; factors whose levels are without an order are "
            f"left out: {names}."
        )
    return [k for k in kept if k not in nominal]


def absolute_correlations(table, method, weight=None):
    """Return |correlation| (D, K) of codes and factors, on labelled samples."""
    strength = np.zeros((table.codes.shape[1], len(table.names)))
    for rows, members in labelled_groups(table.factors):
        w = None if weight is None else weight[rows]
        targets = [_scores(table.factors[rows, k], method, w) for k in members]
        for d, column in enumerate(code_columns(table.codes[rows])):
            strength[d, members] = np.abs(
                np.array(targets) @ _scores(column, method, w)
            )
    return np.minimum(strength, 1.0)


def _n_levels(table, k):
    column = table.factors[:, k]
    return len(np.unique(column[~np.isnan(column)]))


def _scores(column, method, weight):
    """Return the column (or its ranks) centred and scaled to unit length, or zeros.

    The dot product of two such columns is their correlation.
    """
    scores = _ranks(column, weight) if method == "spearman" else _shrunk(column)
    centred = scores - np.average(scores, weights=weight)
    if weight is not None:
        centred = centred * np.sqrt(weight)
    length = np.linalg.norm(centred)
    constant = column.min() == column.max() or length == 0
    return np.zeros_like(centred) if constant else centred / length


def _shrunk(column):
    """Return the column over its largest magnitude, to avoid overflow of squares."""
    return column / max(np.abs(column).max(), np.finfo(np.float64).tiny)


def _ranks(column, weight):
    """Return average ranks; with weights, those of the repeated column."""
    if weight is None:
        return rankdata(column)
    _, level = np.unique(column, return_inverse=True)
    size = np.bincount(level.reshape(-1), weight)
    return (np.cumsum(size) - size / 2)[level.reshape(-1)]

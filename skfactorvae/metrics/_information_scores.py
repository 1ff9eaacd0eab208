"""Scores computed from the matrix of mutual information."""

import numpy as np

from .._undefined import warn_undefined
from ._chance import significant
from ._mutual_information import (
    chance_corrected,
    information,
    top_gap,
)
from ._validation import (
    average_over,
    check_average,
    check_choice,
    defined_factors,
    take_factors,
    varying,
    weighted_table,
)


def modularity_score(
    factors,
    codes,
    *,
    n_bins=20,
    strategy="uniform",
    factor_types="auto",
    average="weighted",
    adjusted=True,
    sample_weight=None,
):
    r"""Compute modularity: whether each component holds one factor and no other.

    .. math:: m_d = 1 - \frac{\sum_{k \neq k^*} I_{dk}^2}{(K - 1)\, I_{dk^*}^2},
              \qquad k^* = \arg\max_k I_{dk}

    The published score is the unweighted mean of :math:`m_d` over all components, with
    plug-in mutual information. Pure noise then scores 0.688, and a perfect model with
    four unused components of seven 0.429. By default, information that is not
    significantly above chance is set to zero, its expectation under independence is
    subtracted from the rest, and the mean is weighted by the information of each
    component. ``average="macro", adjusted=False`` is the published score. Both are
    insensitive to rotations (0.680 for 45 degrees): report informativeness and MIG as
    well.

    Not to be confused with the modularity of a graph, nor with
    :func:`mutual_info_gap_score`, which measures whether each factor is held by one
    component.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    n_bins : int, default=20
        Bins per component and per continuous factor.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width or of equal count.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    average : {"weighted", "macro"} or None, default="weighted"
        Mean weighted by information, unweighted mean, or one value per component.
    adjusted : bool, default=True
        Remove the information expected by chance. Not with `sample_weight`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0, with ``adjusted=False``.

    Returns
    -------
    score : float or ndarray of shape (n_codes,)
        In [0, 1], 1 is best. A component without information scores 0. If no
        component has any, the score is 0. NaN with fewer than two factors that vary.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, if fewer than two remain, or if no component is
        informative.

    References
    ----------
    Ridgeway & Mozer (2018), "Learning deep disentangled embeddings with the
    F-statistic loss", section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import modularity_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> modularity_score(factors, factors)
    1.0
    """
    if average is not None:
        check_choice("average", average, {"weighted", "macro"})
    table, weight = weighted_table(factors, codes, factor_types, sample_weight)
    table = take_factors(table, defined_factors(table, "Modularity"))
    if len(table.names) < 2:
        warn_undefined("Modularity is undefined with fewer than two factors: NaN.")
        return _undefined(average, table.codes.shape[1])
    found = information(table, n_bins, strategy, weight, adjusted=adjusted)
    matrix = informative_part(found) if adjusted else found.mutual
    return _modularity(matrix, average)


def mig_sup_score(
    factors,
    codes,
    *,
    n_bins=20,
    strategy="uniform",
    factor_types="auto",
    normalize="factor",
    average="macro",
    sample_weight=None,
):
    r"""Compute MIG-sup: the gap of each component between its two best factors.

    .. math:: \frac{1}{D} \sum_d \left(\max_k N_{dk} -
              \operatorname{second}_k N_{dk}\right),
              \qquad N_{dk} = \frac{I(z_d; y_k)}{H(y_k)}

    It is the supplement of :func:`mutual_info_gap_score`, which compares components
    for each factor: here factors are compared for each component. Components without
    information have a gap near zero and lower the mean; constant ones are left out.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    n_bins : int, default=20
        Bins per component and per continuous factor.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width or of equal count.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    normalize : {"factor", "code"}, default="factor"
        Divide by the entropy of the factor, or by that of the binned component, as in
        one widely used implementation.
    average : {"macro"} or None, default="macro"
        "macro" is the mean over components; None returns one value per component (NaN
        for constant ones).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0. An integer weight equals repetition of the sample.

    Returns
    -------
    score : float or ndarray of shape (n_codes,)
        In [0, 1], 1 is best. With a single factor, the second best counts as 0.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, if none varies, or if all components are constant (0).

    References
    ----------
    Li, Murkute, Gyawali & Wang (2020), "Progressive learning and disentanglement of
    hierarchical representations", section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import mig_sup_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> mig_sup_score(factors, np.column_stack([factors, factors]))
    1.0
    """
    check_average(average)
    check_choice("normalize", normalize, {"factor", "code"})
    score = "MIG-sup"
    table, weight = weighted_table(factors, codes, factor_types, sample_weight)
    table = take_factors(table, defined_factors(table, score))
    active = varying(table.codes)
    if not table.names:
        warn_undefined(f"{score} is undefined without a factor that varies: NaN.")
        return _undefined(average, len(active))
    found = information(table, n_bins, strategy, weight)
    entropy = found.factor_entropy if normalize == "factor" else found.code_entropy
    share = _ratio(found.mutual, np.broadcast_to(entropy, found.mutual.shape))
    gaps = np.where(active, top_gap(share.T), np.nan)
    return _mean_of_active(gaps, active, average, score)


def dcimig_score(
    factors,
    codes,
    *,
    n_bins=20,
    strategy="uniform",
    factor_types="auto",
    sample_weight=None,
):
    r"""Compute DCIMIG (3CharM): the information gaps of components, by factor.

    .. math:: \frac{\sum_k \max_{d: k^*(d) = k}
              \left(I_{dk} - \operatorname{second}_l I_{dl}\right)}{\sum_k H(y_k)}

    Each component is assigned to the factor with which it has most information, with
    the gap to the second factor; each factor takes its largest gap. A factor without
    an assigned component counts as 0, so that all factors must be found.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    n_bins : int, default=20
        Bins per component and per continuous factor.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width or of equal count.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0. An integer weight equals repetition of the sample.

    Returns
    -------
    score : float
        In [0, 1], 1 is best. NaN if no factor varies.

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
    Sepliarskaia, Kiseleva & de Rijke (2019), "How to not measure disentanglement",
    section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import dcimig_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> round(dcimig_score(factors, factors), 6)
    1.0
    """
    table, weight = weighted_table(factors, codes, factor_types, sample_weight)
    table = take_factors(table, defined_factors(table, "DCIMIG"))
    if not table.names:
        warn_undefined("DCIMIG is undefined without a factor that varies: NaN.")
        return float("nan")
    found = information(table, n_bins, strategy, weight)
    credit = np.zeros(len(table.names))
    np.maximum.at(credit, found.mutual.argmax(axis=1), top_gap(found.mutual.T))
    return float(min(credit.sum() / found.factor_entropy.sum(), 1.0))


def jemmig_score(
    factors,
    codes,
    *,
    n_bins=20,
    strategy="uniform",
    factor_types="auto",
    average="macro",
    sample_weight=None,
):
    r"""Compute JEMMIG: the MIG with a penalty on the entropy of the best component.

    .. math:: \frac{1}{K} \sum_k \left(1 - \frac{H(y_k, z^*) - I(y_k; z^*) +
              I(y_k; z_{(2)})}{H(y_k) + \log B}\right)

    where :math:`z^*` is the component with most information on factor :math:`k` (of
    equal ones, that of least entropy), :math:`z_{(2)}` the second, and :math:`B` the
    number of bins. As :math:`H(y_k, z^*)` grows with the entropy of :math:`z^*`, a
    component with finer detail than its factor scores below 1: a perfect component of
    a 5-level factor has 5 distinct values. Among components with little information,
    those with few values score higher. A factor without information in any component
    scores 0, where the formula would favour a constant.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    n_bins : int, default=20
        Bins per component and per continuous factor.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width or of equal count.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    average : {"macro"} or None, default="macro"
        "macro" is the mean over factors; None returns one value per factor (NaN
        where undefined).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0. An integer weight equals repetition of the sample.

    Returns
    -------
    score : float or ndarray of shape (n_factors,)
        In [0, 1], 1 is best. NaN if no factor varies.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out of the mean, or if none varies.

    References
    ----------
    Do & Tran (2020), "Theory and evaluation metrics for learning disentangled
    representations", section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import jemmig_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> round(jemmig_score(factors, factors), 3)
    1.0
    """
    check_average(average)
    table, weight = weighted_table(factors, codes, factor_types, sample_weight)
    kept = defined_factors(table, "JEMMIG")
    found = information(table, n_bins, strategy, weight)
    columns = np.arange(len(table.names))
    best = _best_component(found)
    gap = top_gap(found.mutual)
    best_entropy = found.code_entropy[best, columns]
    joint = found.factor_entropy + best_entropy - found.mutual[best, columns]
    scores = 1.0 - (joint - gap) / (found.factor_entropy + np.log(n_bins))
    scores = np.where(found.mutual[best, columns] > 0, scores, 0.0)
    scores[[k for k in columns if k not in kept]] = np.nan
    return average_over(scores, kept, average, "JEMMIG")


def informative_part(found):
    """Return the information (D, K) beyond chance where significant; zero elsewhere."""
    return np.where(significant(found), chance_corrected(found), 0.0)


def per_code_modularity(matrix):
    """Return the modularity (D,) of each row of an information matrix (D, K)."""
    best = matrix.max(axis=1)
    relative = _ratio(matrix, np.repeat(best[:, None], matrix.shape[1], axis=1))
    others = (relative**2).sum(axis=1) - 1.0
    return np.where(best > 0, 1.0 - others / (matrix.shape[1] - 1), 0.0)


def _best_component(found):
    """Return the component (K,) of most information on each factor.

    Of equal ones, that of least entropy is taken.
    """
    equal = found.mutual >= found.mutual.max(axis=0) - 1e-12
    return np.where(equal, found.code_entropy, np.inf).argmin(axis=0)


def _modularity(matrix, average):
    scores = per_code_modularity(matrix)
    if average is None:
        return scores
    weights = matrix.sum(axis=1) if average == "weighted" else np.ones(len(matrix))
    if not np.any(matrix > 0):
        warn_undefined(
            "Modularity is set to 0: no component has more information on a factor "
            "than expected by chance."
        )
        return 0.0
    return float(np.clip(np.average(scores, weights=weights), 0.0, 1.0))


def _mean_of_active(values, active, average, score):
    """Return `values`, or their mean over active components; 0 if there is none."""
    if average is None:
        return values
    if not active.any():
        warn_undefined(f"{score} is 0 because every component is constant.")
        return 0.0
    return float(np.clip(values[active].mean(), 0.0, 1.0))


def _undefined(average, n_values):
    return np.full(n_values, np.nan) if average is None else float("nan")


def _ratio(numerator, denominator):
    """Return the ratio, 0 where the denominator is 0."""
    out = np.zeros(numerator.shape)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)

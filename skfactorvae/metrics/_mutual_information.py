"""The mutual-information matrix, and the mutual information gap read off it."""

from typing import NamedTuple

import numpy as np

from ._binning import bin_index, check_binning, code_columns, factor_index
from ._chance import expected_information
from ._validation import (
    average_over,
    check_average,
    defined_factors,
    labelled_groups,
    weighted_table,
)


class Information(NamedTuple):
    """What the contingency tables of codes and factors say, in nats."""

    mutual: np.ndarray  # (D, K) plug-in mutual information, >= 0
    expected: np.ndarray | None  # (D, K) its mean if the rows of a factor are shuffled
    dof: np.ndarray  # (D, K) degrees of freedom of the tables
    code_entropy: np.ndarray  # (D, K) of the binned code, on the rows factor k labels
    factor_entropy: np.ndarray  # (K,)
    n_rows: np.ndarray  # (K,) labelled rows


def mutual_information_matrix(
    factors,
    codes,
    *,
    n_bins=20,
    strategy="quantile",
    factor_types="auto",
    adjusted=False,
    sample_weight=None,
):
    r"""Mutual information of every code with every factor, in nats.

    .. math:: I(z_d; y_k) = \sum_{b, v} p(b, v) \log \frac{p(b, v)}{p(b)\, p(v)}

    where :math:`b` runs over the bins of code :math:`d` and :math:`v` over the levels
    of factor :math:`k` (the bins of a continuous factor). This is the plug-in
    estimate: it is biased upwards by about ``dof / (2 n)``, in every entry.

    Not to be confused with :func:`sklearn.feature_selection.mutual_info_classif`,
    which estimates by nearest neighbours, without bins
    (see :func:`infomec_scores`).

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors. Numbers, strings, booleans, dates; NaN, None, NaT are
        unlabelled and drop the row for that factor alone.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        The codes, finite.
    n_bins : int, default=20
        Bins per code and per continuous factor, >= 2. Scores depend on it: report it.
    strategy : {"uniform", "quantile"}, default="quantile"
        Bins of equal width, or of equal count. Equal width is what the literature
        prints; equal counts resist outliers and monotone warps.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        How to read the factors, in one word or one word each. "auto" calls booleans,
        strings, categoricals and integers discrete; dates continuous; floats
        continuous, unless they are whole numbers with at most 50 levels and at least
        5 rows per level on average. Integers with more than 20 levels and fewer than
        2 rows per level are continuous.
    adjusted : bool, default=False
        Subtract from each entry its exact expectation when the rows of the factor are
        shuffled, and clip at zero. Independent codes then score about zero at any
        sample size. Takes no `sample_weight`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0. Integers act as repeated rows.

    Returns
    -------
    mutual_information : ndarray of shape (n_codes, n_factors)
        In nats, in [0, entropy]. A constant code or factor has zeros.
    entropies : ndarray of shape (n_factors,)
        Entropy of every factor as it was discretised, in nats.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import mutual_information_matrix
    >>> shape = np.tile(["square", "heart"], 50)
    >>> codes = np.column_stack([shape == "heart", np.zeros(100)])
    >>> matrix, entropies = mutual_information_matrix(shape, codes)
    >>> matrix.round(3)
    array([[0.693],
           [0.   ]])
    >>> entropies.round(3)
    array([0.693])
    """
    table, weight = weighted_table(factors, codes, factor_types, sample_weight)
    found = information(table, n_bins, strategy, weight, adjusted=adjusted)
    matrix = chance_corrected(found) if adjusted else found.mutual
    return matrix, found.factor_entropy


def mutual_info_gap_score(
    factors,
    codes,
    *,
    n_bins=20,
    strategy="uniform",
    factor_types="auto",
    average="macro",
    sample_weight=None,
):
    r"""Mutual information gap (MIG): whether each factor is in one code and no other.

    .. math:: \mathrm{MIG} = \frac{1}{K} \sum_k
              \frac{I(z_{(1)}; y_k) - I(z_{(2)}; y_k)}{H(y_k)}

    where :math:`z_{(1)}` and :math:`z_{(2)}` are the two codes that know most of
    factor :math:`k`. A factor written into two codes scores low although nothing
    mixes (see :func:`mig_sup_score` for the other direction). Never compare values
    across sample sizes or numbers of bins: on linear codes of continuous factors, 5,
    20 and 100 bins give 0.751, 0.652 and 0.288.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN is unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        The codes, finite.
    n_bins : int, default=20
        Bins per code and per continuous factor.
    strategy : {"uniform", "quantile"}, default="uniform"
        "uniform" is the literature's; one row of 50 standard deviations in each code
        takes the score from 0.652 to 0.250. "quantile" resists: 0.659 and 0.659.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        How to read the factors. See :func:`mutual_information_matrix`.
    average : {"macro"} or None, default="macro"
        The mean over factors, or one value per factor (NaN where undefined).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0. Integers act as repeated rows.

    Returns
    -------
    score : float or ndarray of shape (n_factors,)
        In [0, 1], 1 is best. With a single code, the second best counts as 0. NaN if
        no factor varies.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is constant or unlabelled; it is left out of the mean.

    References
    ----------
    Chen, Li, Grosse & Duvenaud (2018), "Isolating sources of disentanglement in
    variational autoencoders", Eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import mutual_info_gap_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 3)
    >>> float(mutual_info_gap_score(factors, factors))
    1.0
    >>> mixed = factors @ np.array([[1.0, 1.0], [1.0, -1.0]])
    >>> round(mutual_info_gap_score(factors, mixed), 3)
    0.0
    """
    check_average(average)
    table, weight = weighted_table(factors, codes, factor_types, sample_weight)
    found = information(table, n_bins, strategy, weight)
    kept = defined_factors(table, "The mutual information gap")
    gaps = np.full(len(table.names), np.nan)
    gaps[kept] = top_gap(found.mutual)[kept] / found.factor_entropy[kept]
    return average_over(gaps, kept, average, "The mutual information gap")


def top_gap(matrix):
    """Return the largest entry of each column less the second, or less 0 if alone."""
    best_two = np.sort(np.vstack([matrix, np.zeros_like(matrix[:1])]), axis=0)[-2:]
    return best_two[1] - best_two[0]


def information(table, n_bins, strategy, weight=None, *, adjusted=False):
    """Return the :class:`Information` of a table, one code in memory at a time."""
    check_binning(n_bins, strategy)
    if adjusted and weight is not None:
        raise ValueError(
            "adjusted=True shuffles rows of equal weight and takes no sample_weight; "
            "drop one of the two."
        )
    shape = table.codes.shape[1], table.factors.shape[1]
    found = Information(
        np.zeros(shape),
        np.zeros(shape) if adjusted else None,
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape[1]),
        (~np.isnan(table.factors)).sum(axis=0),
    )
    for rows, members in labelled_groups(table.factors):
        _fill(found, table, rows, members, n_bins, strategy, weight)
    return found


def chance_corrected(found):
    """Return the information beyond what shuffled rows would show, >= 0."""
    return np.maximum(found.mutual - found.expected, 0.0)


def entropy_of(counts):
    """Return the entropy in nats of a vector of counts or weights."""
    total = counts.sum()
    return float(np.log(total) - xlogx(counts).sum() / total) if total > 0 else 0.0


def xlogx(counts):
    """Return ``x log x`` entry by entry, 0 at 0."""
    return counts * np.log(np.where(counts > 0, counts, 1.0))


def pair_counts(left, n_left, right, n_right, weight=None):
    """Return the contingency table of two integer labels; see `_joint` for large."""
    flat = np.bincount(left * n_right + right, weight, minlength=n_left * n_right)
    return flat.reshape(n_left, n_right)


def _fill(found, table, rows, members, n_bins, strategy, weight):
    """Write the columns `members` of `found`, which share their labelled rows."""
    if found.n_rows[members[0]] == 0:
        return
    weight = None if weight is None else weight[rows]
    labels = {
        k: factor_index(
            table.factors[rows, k], table.kinds[k], n_bins, strategy, weight
        )
        for k in members
    }
    margins = {k: np.bincount(label, weight) for k, (label, _) in labels.items()}
    for k in members:
        found.factor_entropy[k] = entropy_of(margins[k])
    for d, column in enumerate(code_columns(table.codes[rows])):
        bins = bin_index(column, n_bins, strategy, weight)
        size = np.bincount(bins, weight)
        for k, (label, n_levels) in labels.items():
            _fill_entry(found, d, k, bins, size, label, n_levels, margins[k], weight)


def _fill_entry(found, d, k, bins, size, label, n_levels, margin, weight):
    """Write the entry of code `d` and factor `k`."""
    total = size.sum()
    joint = _joint_xlogx(bins, len(size), label, n_levels, weight)
    margin_terms = xlogx(size).sum() + xlogx(margin).sum()
    mutual = (joint - margin_terms) / total + np.log(total)
    found.code_entropy[d, k] = entropy_of(size)
    ceiling = min(found.code_entropy[d, k], found.factor_entropy[k])
    found.mutual[d, k] = np.clip(mutual, 0.0, max(ceiling, 0.0))
    found.dof[d, k] = (np.count_nonzero(size) - 1) * (np.count_nonzero(margin) - 1)
    if found.expected is not None:
        found.expected[d, k] = expected_information(size, margin)


def _joint_xlogx(bins, n_bins, label, n_levels, weight):
    """Return the sum of ``c log c`` over the cells of a contingency table.

    A table with far more cells than rows is never laid out.
    """
    if n_bins * n_levels <= 4 * len(bins) + 10_000:
        return xlogx(pair_counts(bins, n_bins, label, n_levels, weight)).sum()
    _, cell = np.unique(bins * n_levels + label, return_inverse=True)
    return xlogx(np.bincount(cell.reshape(-1), weight)).sum()

"""Interventional robustness: how constant a component is when its factor is fixed."""

import numpy as np

from .._inputs import CONTINUOUS
from .._undefined import warn_undefined
from ._binning import check_binning, labels_of
from ._validation import (
    check_real,
    check_table,
    defined_factors,
    take_factors,
    take_rows,
    varying,
)


def interventional_robustness_score(
    factors,
    codes,
    *,
    quantile=0.99,
    n_bins=20,
    strategy="quantile",
    factor_types="auto",
    average="weighted",
):
    r"""Compute the interventional robustness score (IRS).

    .. math:: \mathrm{IRS}_d = \max_k \left(1 - \frac{\operatorname{mean}_v\,
              q_{.99}\bigl(|z_d - \mathrm{E}[z_d | y_k = v]|\bigr)}
              {\max |z_d - \mathrm{E} z_d|}\right)

    and the score is the mean over components weighted by :math:`\max |z_d -
    \mathrm{E} z_d|`. It measures how little a component varies when its factor is
    fixed, and depends on the scale of each component. Pure noise does not score 0
    (0.327): within a level, the 99th percentile of noise is below its maximum.

    "Interventional" is the term of the paper. On a table of samples, factors are
    conditioned on, so that for correlated factors the score measures association.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    quantile : float, default=0.99
        Quantile of the deviations within a level, in (0, 1].
    n_bins : int, default=20
        Bins of continuous factors.
    strategy : {"uniform", "quantile", "published"}, default="quantile"
        Bins of equal width or of equal count, for continuous factors; discrete ones
        keep their levels. "published" divides all factors, discrete ones too, into bins
        of equal width, as disentanglement_lib does: levels beyond 20 are merged.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    average : {"weighted"} or None, default="weighted"
        "weighted" is the weighted mean over components; None returns one value per
        component (NaN for constant ones).

    Returns
    -------
    score : float or ndarray of shape (n_codes,)
        In [0, 1], 1 is best. 0 if every component is constant, NaN if no factor varies.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, if none varies, or if every component is constant.

    References
    ----------
    Suter, Miladinovic, Scholkopf & Bauer (2019), "Robustly disentangled causal
    mechanisms", section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import interventional_robustness_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> round(interventional_robustness_score(factors, factors), 6)
    1.0
    """
    check_real("quantile", quantile, 0.0, 1.0, inclusive_low=False)
    is_published = isinstance(strategy, str) and strategy == "published"
    strategy = "uniform" if is_published else strategy
    check_binning(n_bins, strategy)
    if average not in ("weighted", None):
        raise ValueError(f"average must be 'weighted' or None, got {average!r}.")
    table = check_table(factors, codes, factor_types)
    if is_published:
        table = table._replace(kinds=(CONTINUOUS,) * len(table.kinds))
    table = take_factors(table, defined_factors(table, "IRS"))
    scores = np.full(table.codes.shape[1], np.nan)
    if not table.names:
        warn_undefined("IRS is undefined without a factor that varies: NaN.")
        return scores if average is None else float("nan")
    labelled = ~np.isnan(table.factors).all(axis=1)
    table = take_rows(table, labelled)
    active = varying(table.codes)
    if not active.any():
        warn_undefined("IRS is 0 because every component is constant.")
        return scores if average is None else 0.0
    table = table._replace(codes=table.codes[:, active].astype(np.float64))
    each = range(len(table.names))
    moved = [_deviation(table, k, quantile, n_bins, strategy) for k in each]
    scores[active] = np.clip(1.0 - np.min(moved, axis=0), 0.0, 1.0)
    return scores if average is None else _weighted(scores[active], _reach(table.codes))


def _reach(codes):
    """Return the largest deviation (D,) from the mean."""
    return np.abs(codes - codes.mean(axis=0)).max(axis=0)


def _weighted(scores, reach):
    return float(np.average(scores, weights=reach / reach.max()))


def _deviation(table, k, quantile, n_bins, strategy):
    """Return the deviation (D,) within levels of factor `k`, over the largest overall.

    Within levels it is a quantile, averaged over the levels.
    """
    rows, labels, n_levels = labels_of(table, k, n_bins, strategy)
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=n_levels))[:-1]
    groups = np.split(table.codes[rows][order], ends)
    within = np.mean([_spread(group, quantile) for group in groups], axis=0)
    reach = _reach(table.codes[rows])
    return np.divide(within, reach, out=np.ones_like(within), where=reach > 0)


def _spread(group, quantile):
    deviations = np.abs(group - group.mean(axis=0))
    return np.quantile(deviations, quantile, axis=0)

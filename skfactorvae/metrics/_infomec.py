"""InfoMEC: modularity, explicitness and compactness from mutual information."""

import numpy as np
from scipy.special import digamma
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch, check_random_state

from .._undefined import warn_undefined
from ._binning import check_binning, code_columns, factor_index, labels_of
from ._chance import significant
from ._mutual_information import entropy_of, information
from ._prediction import scale_by
from ._validation import (
    check_choice,
    check_int,
    check_table,
    defined_factors,
    labelled_groups,
    take_factors,
    varying,
)

JITTER = 1e-10
RIDGE = 1e4


def infomec_scores(
    factors,
    codes,
    *,
    estimator="knn",
    n_neighbors=10,
    n_bins=20,
    strategy="uniform",
    active="varying",
    adjusted=True,
    factor_types="auto",
    random_state=0,
):
    r"""Compute InfoM, InfoE and InfoC: modularity, explicitness, compactness.

    With :math:`N_{dk} = I(z_d; y_k) / H(y_k)`, over active components,

    .. math:: \mathrm{InfoM} = \frac{\bar m - 1/K}{1 - 1/K}, \quad
              \bar m = \operatorname{mean}_d \frac{\max_k N_{dk}}{\sum_k N_{dk}},
              \qquad
              \mathrm{InfoC} = \frac{\bar c - 1/D}{1 - 1/D}, \quad
              \bar c = \operatorname{mean}_k \frac{\max_d N_{dk}}{\sum_d N_{dk}}

    and InfoE is one minus the ratio of two cross-entropies: that of a logistic
    regression on all components, and that of a uniform prediction. InfoE is measured
    on the samples it is fitted to, and is therefore too high on small data sets.
    Repeated samples (oversampling) bias the nearest-neighbour estimates upwards,
    because copies share every factor. Pass distinct samples, or use
    ``estimator="bins"``.

    The published ratios are undefined if an active component has no information, and
    InfoC is 0.663 on pure noise (the median of ten draws). By default, information that
    is not significantly above chance is set to zero, and components and factors are
    weighted by their information. ``adjusted=False`` gives the published means.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    estimator : {"knn", "bins"}, default="knn"
        Mutual information by nearest neighbours, or by quantile bins.
    n_neighbors : int, default=10
        Neighbours of "knn".
    n_bins : int, default=20
        Bins of continuous factors, and of components for "bins" and for significance.
    strategy : {"uniform", "quantile"}, default="uniform"
        How continuous factors are binned.
    active : {"varying", "range", "iqr"}, default="varying"
        Components that are active: all that are not constant; those whose range
        exceeds 1/20 of the largest; those whose interquartile range exceeds 1/10 of
        the largest. The last two are published, and depend on the scale of each
        component.
    adjusted : bool, default=True
        Set information that is not significant to zero, and weight by information.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    random_state : int, RandomState instance or None, default=0
        Seed of the noise that breaks ties among equal codes, for "knn".

    Returns
    -------
    scores : Bunch
        ``infom``, ``infoe``, ``infoc`` : float in [0, 1], 1 is best. ``nmi`` : ndarray
        of shape (n_codes, n_factors), normalised information before any adjustment,
        zero for inactive components, NaN for factors left out. ``active`` :
        bool ndarray of shape (n_codes,).

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out; if fewer than two factors (InfoM) or active components
        (InfoC) remain (the score is NaN); if no component is informative (it is 0).

    References
    ----------
    Hsu, Dorrell, Whittington, Wu & Finn (2023), "Disentanglement via latent
    quantization", section 5. Ross (2014), "Mutual information between discrete and
    continuous data sets", Eq. 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import infomec_scores
    >>> factors = np.array([[i, j] for i in range(3) for j in range(4)] * 20)
    >>> codes = factors + np.random.default_rng(0).normal(scale=0.1, size=(240, 2))
    >>> scores = infomec_scores(factors, codes)
    >>> round(scores.infom, 2), round(scores.infoe, 2), round(scores.infoc, 2)
    (1.0, 1.0, 1.0)
    """
    check_choice("estimator", estimator, {"knn", "bins"})
    check_choice("active", active, {"varying", "range", "iqr"})
    check_int("n_neighbors", n_neighbors, 1)
    check_binning(n_bins, strategy)
    table = check_table(factors, codes, factor_types)
    kept = defined_factors(table, "InfoMEC")
    mask = active_codes(table.codes, active)
    nmi = np.full((len(mask), len(table.names)), np.nan)
    nmi[:, kept] = 0.0
    if not kept or not mask.any():
        return _degenerate(nmi, mask, kept)
    part = take_factors(table, kept)._replace(codes=table.codes[:, mask])
    binned = information(part, n_bins, "quantile", adjusted=adjusted)
    if estimator == "knn":
        rng = check_random_state(random_state)
        shares = neighbor_information(part, n_neighbors, n_bins, strategy, rng)
    else:
        shares = np.clip(binned.mutual / binned.factor_entropy, 0.0, 1.0)
    nmi[np.ix_(mask, kept)] = shares
    if adjusted:
        shares = np.where(significant(binned), shares, 0.0)
    return Bunch(
        infom=_concentration(shares, adjusted, "InfoM", "factors"),
        infoe=_explained(part, n_bins, strategy),
        infoc=_concentration(shares.T, adjusted, "InfoC", "active components"),
        nmi=nmi,
        active=mask,
    )


def active_codes(codes, rule):
    """Return the mask (D,) of the active components."""
    varies = varying(codes)
    if rule == "varying":
        return varies
    if rule == "range":
        spread, share = np.ptp(codes.astype(np.float64), axis=0), 1 / 20
    else:
        low, high = np.quantile(codes, [0.25, 0.75], axis=0)
        spread, share = high - low, 1 / 10
    return varies & (spread > share * spread.max())


def neighbor_information(table, n_neighbors, n_bins, strategy, rng):
    """Return nearest-neighbour information over factor entropy, (D, K), in [0, 1]."""
    shares = np.zeros((table.codes.shape[1], len(table.names)))
    for rows, members in labelled_groups(table.factors):
        labels = [
            factor_index(table.factors[rows, k], table.kinds[k], n_bins, strategy)
            for k in members
        ]
        entropies = np.array([entropy_of(np.bincount(label)) for label, _ in labels])
        for d, column in enumerate(code_columns(table.codes[rows])):
            z = _untied(column, rng)
            order = np.argsort(z)
            found = [
                _information(z[order], label[order], n_levels, n_neighbors)
                for label, n_levels in labels
            ]
            shares[d, members] = np.clip(found / entropies, 0.0, 1.0)
    return shares


def _untied(column, rng):
    """Return the standardised column, with ties broken by noise of 1e-10.

    Without noise, a column with repeated values has neighbours at distance zero, and
    the estimate of its information is zero.
    """
    z = scale_by(column[:, None], column[:, None])[:, 0]
    in_order = np.sort(z)
    if np.all(in_order[1:] > in_order[:-1]):
        return z
    return z + JITTER * rng.standard_normal(len(z))


def _information(z, labels, n_levels, n_neighbors):
    """Return the mutual information (nats) of sorted values `z` and labels, >= 0.

    Levels with a single sample have no neighbours and are left out.
    """
    sizes = np.bincount(labels, minlength=n_levels)
    order = np.argsort(labels, kind="stable")
    order = order[sizes[labels[order]] > 1]
    if len(order) == 0:
        return 0.0
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    counts = np.diff(np.append(starts, len(order)))
    grouped = z[order]  # level after level, sorted within
    reach = np.minimum(n_neighbors, counts - 1)
    radius = np.nextafter(_kth_distance(grouped, starts, counts, reach), 0)
    kept = np.sort(order)
    inside = _count_within(z[kept], grouped, radius)
    n_rows = len(order)
    known = (counts * (digamma(reach) - digamma(counts))).sum() / n_rows
    return max(digamma(n_rows) + known - digamma(inside).mean(), 0.0)


def _kth_distance(grouped, starts, counts, reach):
    """Return the distance of each value to its k-th neighbour within its level.

    In sorted order, the k nearest neighbours of a value form a window of k + 1 values
    that contains it. Of the k + 1 such windows, the one with the nearest far end is
    taken.
    """
    index = np.arange(len(grouped))
    first = np.repeat(starts, counts)
    last = np.repeat(starts + counts - 1, counts)
    k = np.repeat(reach, counts)
    best = np.full(len(grouped), np.inf)
    for back in range(int(reach.max()) + 1):
        left, right = index - back, index - back + k
        fits = (left >= first) & (right <= last) & (back <= k)
        far = np.maximum(
            grouped - grouped[np.where(fits, left, index)],
            grouped[np.where(fits, right, index)] - grouped,
        )
        np.minimum(best, np.where(fits, far, np.inf), out=best)
    return best


def _count_within(z, centers, radius):
    """Return how many of the sorted `z` lie within `radius` of each centre.

    The sum of centre and radius is rounded, so the values on either side of the result
    are compared by their exact distance.
    """
    padded = np.concatenate([[-np.inf], z, [np.inf]])
    high = np.searchsorted(z, centers + radius, side="right")
    high -= padded[high] - centers > radius
    high += padded[high + 1] - centers <= radius
    low = np.searchsorted(z, centers - radius, side="left")
    low += centers - padded[low + 1] > radius
    low -= centers - padded[low] <= radius
    return high - low


def _concentration(shares, adjusted, score, what):
    """Return how concentrated rows of (D, K) are: 0 if uniform, 1 if in one column."""
    n_columns = shares.shape[1]
    if n_columns < 2:
        warn_undefined(f"{score} is undefined with fewer than two {what}: NaN.")
        return float("nan")
    total = shares.sum(axis=1)
    if not np.any(total > 0):
        warn_undefined(f"{score} is set to 0: no component is informative.")
        return 0.0
    peak = np.divide(
        shares.max(axis=1), total, out=np.zeros(len(total)), where=total > 0
    )
    peak = np.where(total > 0, peak, 1 / n_columns)
    mean = np.average(peak, weights=total) if adjusted else peak.mean()
    return float(np.clip((mean - 1 / n_columns) / (1 - 1 / n_columns), 0.0, 1.0))


def _explained(table, n_bins, strategy):
    """Return the mean over factors of the fraction of cross-entropy explained."""
    shares = []
    for k in range(len(table.names)):
        rows, labels, n_levels = labels_of(table, k, n_bins, strategy)
        codes = table.codes[rows].astype(np.float64)
        shares.append(_explained_entropy(scale_by(codes, codes), labels, n_levels))
    return float(np.mean(shares))


def _explained_entropy(unit, labels, n_levels):
    """Return one minus the balanced cross-entropy over that of a uniform prediction."""
    model = LogisticRegression(
        C=RIDGE, class_weight="balanced", max_iter=2000, tol=1e-3
    ).fit(unit, labels)
    p = model.predict_proba(unit)[np.arange(len(labels)), labels]
    log_p = np.log(np.maximum(p, np.finfo(np.float64).eps))  # keep the loss finite
    per_level = np.bincount(labels, log_p) / np.bincount(labels)
    return float(np.clip(1.0 + per_level.mean() / np.log(n_levels), 0.0, 1.0))


def _degenerate(nmi, mask, kept):
    """Return the scores if no factor varies or no component is active."""
    value = 0.0 if kept else float("nan")
    reason = "no component is active" if kept else "no factor varies"
    warn_undefined(f"The InfoMEC scores are {value}: {reason}.")
    return Bunch(infom=value, infoe=value, infoc=value, nmi=nmi, active=mask)

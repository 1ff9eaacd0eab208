"""Scores of predicting which factor is fixed in a batch of samples.

The papers generate new samples with one factor fixed (an intervention). On a given
table, samples that share a value of the factor are drawn instead (conditioning). The
two have the same distribution for a full factorial design; for correlated factors,
conditioning measures association.
"""

from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state

from .._undefined import warn_undefined
from ._binning import check_binning, labels_of
from ._prediction import scale_by
from ._validation import (
    check_int,
    check_real,
    check_table,
    defined_factors,
    take_factors,
    varying,
)

CACHED = 64  # votes whose samples are gathered at a time
ROUNDING = 1e-12


class Groups(NamedTuple):
    """The labelled samples of every factor, sorted by factor and level."""

    rows: np.ndarray  # (m,) indices of samples
    start: np.ndarray  # (m,) position in `rows` where the level of each entry begins
    size: np.ndarray  # (m,) number of entries of that level
    base: np.ndarray  # (K,) position in `rows` where each factor begins
    total: np.ndarray  # (K,) number of entries of each factor


def factor_vae_score(
    factors,
    codes,
    *,
    batch_size=64,
    n_train=10_000,
    n_eval=5_000,
    n_bins=20,
    min_std=0.0,
    factor_types="auto",
    random_state=0,
):
    r"""Compute the FactorVAE score (Z-min) of Kim & Mnih.

    For each vote, a factor :math:`k` and a batch of samples that share its value are
    drawn. The vote goes to the component with the least relative variance,

    .. math:: d^* = \arg\min_d \operatorname{Var}_{batch}(z_d) / \operatorname{Var}(z_d)

    Each component predicts the factor for which it had most training votes; the score
    is the accuracy of this majority vote on new votes. Continuous factors share a value
    within a quantile bin.

    Chance is one over the number of factors, not zero. The score is insensitive to
    rotations (0.92 for random rotations of four factors, where MIG is 0.26) and to a
    missing factor (0.839 if no component holds one of four). With few samples per
    level, batches repeat samples and the score exceeds chance on noise.

    Not to be confused with the objective of a FactorVAE: the score applies to any
    codes.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    batch_size : int, default=64
        Samples per vote, drawn with replacement, >= 2.
    n_train : int, default=10000
        Number of training votes.
    n_eval : int, default=5000
        Number of votes that are scored. The standard error is
        ``sqrt(p (1 - p) / n_eval)``.
    n_bins : int, default=20
        Quantile bins of continuous factors.
    min_std : float, default=0.0
        Components with a standard deviation at or below it are left out. The value
        0.05 of the literature applies to codes on the scale of a unit-variance prior.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    random_state : int, RandomState instance or None, default=0
        Seed of the votes. Keep it fixed to compare models.

    Returns
    -------
    score : float
        In [0, 1], 1 is best, 1 / n_factors is chance. 0 if no component is left. NaN
        with fewer than two factors that vary.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, fewer than two remain, or no component is left.

    References
    ----------
    Kim & Mnih (2018), "Disentangling by factorising", section 4 and appendix B.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import factor_vae_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> factor_vae_score(factors, factors, n_train=500, n_eval=500)
    1.0
    """
    check_int("batch_size", batch_size, 2)
    check_real("min_std", min_std, 0.0, np.inf)
    setup = _prepare(
        factors,
        codes,
        factor_types,
        n_train,
        n_eval,
        n_bins,
        min_std,
        "FactorVAE score",
    )
    if isinstance(setup, float):
        return setup
    unit, groups = setup
    rng = _generator(random_state)
    fixed, winner = _votes(unit, groups, n_train, batch_size, rng)
    counts = np.zeros((unit.shape[1], len(groups.total)))
    np.add.at(counts, (winner, fixed), 1)
    fixed, winner = _votes(unit, groups, n_eval, batch_size, rng)
    return float(np.mean(counts.argmax(axis=1)[winner] == fixed))


def beta_vae_score(
    factors,
    codes,
    *,
    batch_size=64,
    n_train=10_000,
    n_eval=5_000,
    n_bins=20,
    factor_types="auto",
    random_state=0,
):
    r"""Compute the BetaVAE score (Z-diff) of Higgins et al.

    A point is the mean of :math:`|z - z'|` over a batch of pairs of samples that share
    the value of one factor. The score is the accuracy of a logistic regression that
    predicts this factor from the point. Codes are standardised first, so that it does
    not depend on their units.

    Chance is one over the number of factors. The score is insensitive: random
    rotations of four factors score 0.96, where MIG is 0.26, and codes without one of
    four factors 1.000. Pure noise exceeds chance on small tables (0.388 with five
    factors of 50 levels and 200 samples).

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    batch_size : int, default=64
        Pairs per point, drawn with replacement, >= 1.
    n_train : int, default=10000
        Number of points to fit the regression.
    n_eval : int, default=5000
        Number of points that are scored. The standard error is
        ``sqrt(p (1 - p) / n_eval)``.
    n_bins : int, default=20
        Quantile bins of continuous factors.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each. See :func:`mutual_information_matrix`.
    random_state : int, RandomState instance or None, default=0
        Seed of the points. Keep it fixed to compare models.

    Returns
    -------
    score : float
        In [0, 1], 1 is best, 1 / n_factors is chance. 0 if every component is constant.
        NaN with fewer than two factors that vary.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, fewer than two remain, or every component is constant.

    References
    ----------
    Higgins et al. (2017), "beta-VAE: learning basic visual concepts with a
    constrained variational framework", section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import beta_vae_score
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 10)
    >>> beta_vae_score(factors, factors, n_train=500, n_eval=500)
    1.0
    """
    check_int("batch_size", batch_size, 1)
    setup = _prepare(
        factors, codes, factor_types, n_train, n_eval, n_bins, 0.0, "BetaVAE score"
    )
    if isinstance(setup, float):
        return setup
    unit, groups = setup
    rng = _generator(random_state)
    fixed, points = _differences(unit, groups, n_train, batch_size, rng)
    fixed_eval, points_eval = _differences(unit, groups, n_eval, batch_size, rng)
    if fixed.min() == fixed.max():
        return float(np.mean(fixed_eval == fixed[0]))
    model = LogisticRegression(max_iter=1000, tol=1e-3).fit(points, fixed)
    return float(model.score(points_eval, fixed_eval))


def _prepare(factors, codes, factor_types, n_train, n_eval, n_bins, min_std, score):
    """Return (standardised codes, groups per factor), or the score if undefined."""
    check_int("n_train", n_train, 1)
    check_int("n_eval", n_eval, 1)
    check_binning(n_bins, "quantile")
    table = check_table(factors, codes, factor_types)
    table = take_factors(table, defined_factors(table, f"The {score}"))
    if len(table.names) < 2:
        warn_undefined(f"The {score} is undefined with fewer than two factors: NaN.")
        return float("nan")
    active = _active(table.codes, min_std)
    if not active.any():
        warn_undefined(
            f"The {score} is 0: no component has a standard deviation above "
            f"min_std={min_std}."
        )
        return 0.0
    values = table.codes[:, active].astype(np.float64)
    unit = np.ascontiguousarray(scale_by(values, values))  # rows are gathered below
    return unit, _groups(table, n_bins)


def _generator(random_state):
    """Return a numpy Generator seeded by `random_state`."""
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return np.random.default_rng(seed)


def _active(codes, min_std):
    """Return the mask (D,) of components with a standard deviation above `min_std`."""
    spread = codes.std(axis=0, ddof=1, dtype=np.float64) if min_std > 0 else np.inf
    return varying(codes) & (spread > min_std)


def _groups(table, n_bins):
    """Return the :class:`Groups` of a table."""
    parts = [
        _factor_groups(*labels_of(table, k, n_bins, "quantile"))
        for k in range(len(table.names))
    ]
    count = np.array([len(rows) for rows, _, _ in parts])
    base = np.cumsum(count) - count
    start = [start + offset for (_, start, _), offset in zip(parts, base, strict=True)]
    rows, _, size = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Groups(rows, np.concatenate(start), size, base, count)


def _factor_groups(rows, labels, n_levels):
    """Return (rows, start, size) of the levels of one factor."""
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=n_levels)
    level = labels[order]
    return rows[order], (np.cumsum(sizes) - sizes)[level], sizes[level]


def _votes(unit, groups, n_votes, batch_size, rng):
    """Return the fixed factor and the component of least variance of each vote.

    Votes are sorted by the shared level, so that its samples are still in cache.
    """
    fixed = rng.integers(len(groups.total), size=n_votes)
    at = np.sort(_drawn_entries(groups, fixed, rng.random(n_votes)))
    winner = np.empty(n_votes, dtype=np.intp)
    buffer = np.empty((CACHED, batch_size, unit.shape[1]))
    for part in _chunks(n_votes, CACHED):
        u = rng.random((len(at[part]), batch_size))
        rows = _partners(groups, at[part, None], u)
        batches = unit.take(rows, axis=0, out=buffer[: len(rows)], mode="clip")
        winner[part] = _variances(batches).argmin(axis=1)
    return np.searchsorted(groups.base, at, side="right") - 1, winner


def _differences(unit, groups, n_points, batch_size, rng):
    """Return the factor shared in each point and its mean differences (points, D).

    Single precision halves the memory traffic; its rounding error, 1e-7 standard
    deviations, is negligible in a regression on the means.
    """
    unit = unit.astype(np.float32)
    fixed = np.sort(rng.integers(len(groups.total), size=n_points))
    points = np.empty((n_points, unit.shape[1]))
    buffers = np.empty((2, CACHED, batch_size, unit.shape[1]), dtype=unit.dtype)
    for part in _chunks(n_points, CACHED):
        u = rng.random((2, len(fixed[part]), batch_size))
        at = _drawn_entries(groups, fixed[part, None], u[0])
        left, right = groups.rows.take(at), _partners(groups, at, u[1])
        one = unit.take(left, axis=0, out=buffers[0, : len(left)], mode="clip")
        other = unit.take(right, axis=0, out=buffers[1, : len(left)], mode="clip")
        np.abs(np.subtract(one, other, out=one), out=one)
        points[part] = _sum(one) / batch_size
    return fixed, points


def _drawn_entries(groups, fixed, u):
    """Return entries of the groups, uniform over the samples of the factors `fixed`.

    Levels are therefore drawn in proportion to their frequency.
    """
    return groups.base[fixed] + (u * groups.total[fixed]).astype(np.intp)


def _partners(groups, at, u):
    """Return samples of the levels of the entries `at`."""
    return groups.rows.take(groups.start[at] + (u * groups.size[at]).astype(np.intp))


def _chunks(n, size):
    """Yield slices of at most `size` items that cover `n` items."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _sum(batches):
    """Return the sum (votes, D) over the samples of batches (votes, samples, D).

    A product with ones is several times faster than a sum over the middle axis.
    """
    ones = np.ones((1, batches.shape[1]), dtype=batches.dtype)
    return np.matmul(ones, batches)[:, 0]


def _variances(batches):
    """Return the sum of squared deviations (votes, D) of batches (votes, samples, D).

    It is exactly zero for a component that is constant within a batch, in spite of
    rounding. The batches are overwritten.
    """
    total = _sum(batches)
    squares = _sum(np.multiply(batches, batches, out=batches))
    deviations = squares - total**2 / batches.shape[1]
    return np.where(deviations > ROUNDING * squares, deviations, 0.0)

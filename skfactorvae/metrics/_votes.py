"""Scores that hold one factor still and ask which factor it was.

The papers intervene: they draw new samples with one factor fixed. On a table that
becomes conditional sampling: rows that share the factor's value. The two agree in law
on a full factorial design; where factors are correlated, the conditional version
measures association.
"""

from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state

from ._binning import check_binning, labels_of
from ._prediction import scale_by
from ._validation import (
    check_int,
    check_real,
    check_table,
    defined_factors,
    take_factors,
    varying,
    warn_undefined,
)

CACHED = 64  # votes whose rows are gathered at a time
ROUNDING = 1e-12


class Groups(NamedTuple):
    """The labelled rows of every factor, level after level, factor after factor."""

    rows: np.ndarray  # (m,) rows of the table
    start: np.ndarray  # (m,) where in `rows` the level of each entry begins
    size: np.ndarray  # (m,) and how many entries it has
    base: np.ndarray  # (K,) where in `rows` each factor begins
    total: np.ndarray  # (K,) and how many entries it has


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
    r"""FactorVAE score (Z-min): whether the stillest code betrays the fixed factor.

    A vote draws a factor :math:`k`, a batch of rows that share its value, and names
    the code with the least relative variance,

    .. math:: d^* = \arg\min_d \operatorname{Var}_{batch}(z_d) / \operatorname{Var}(z_d)

    Each code is given the factor it was named for most often in the training votes;
    the score is the accuracy of that rule on fresh votes. Values of continuous
    factors are shared within quantile bins.

    Chance is one over the number of factors, not zero. The score hardly punishes
    rotations (0.86 for random rotations of four factors, where MIG is 0.20) and does
    not notice a factor that no code holds (0.872 with one of four missing). With a
    few rows per level, batches repeat rows and the score exceeds chance on noise.

    Not to be confused with the objective of a FactorVAE, which this score does not
    use: it applies to any codes.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN is unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        The codes, finite.
    batch_size : int, default=64
        Rows per vote, drawn with replacement, >= 2.
    n_train : int, default=10000
        Votes that build the rule.
    n_eval : int, default=5000
        Votes that measure it. The standard error is ``sqrt(p (1 - p) / n_eval)``.
    n_bins : int, default=20
        Quantile bins of continuous factors.
    min_std : float, default=0.0
        Codes with a standard deviation at or below it take no part. The literature's
        0.05 supposes codes on the scale of a unit-variance prior.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        How to read the factors. See :func:`mutual_information_matrix`.
    random_state : int, RandomState instance or None, default=0
        Draws the votes. Keep it fixed when comparing models.

    Returns
    -------
    score : float
        In [0, 1], 1 is best, 1 / n_factors is chance. 0 if no code takes part. NaN
        with fewer than two factors that vary.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, fewer than two remain, or no code takes part.

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
    r"""BetaVAE score (Z-diff): whether differences within pairs betray what they share.

    A point is the mean of :math:`|z - z'|` over a batch of pairs that share the value
    of one factor; a logistic regression tells which. Codes are standardised first, so
    that units do not matter.

    Chance is one over the number of factors. The score is lenient: random rotations
    of four factors score 0.95 where MIG is 0.20, and codes that miss one of four
    factors altogether 0.998. Pure noise in small tables exceeds chance (0.574 with
    five factors and 200 rows).

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN is unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        The codes, finite.
    batch_size : int, default=64
        Pairs per point, drawn with replacement, >= 1.
    n_train : int, default=10000
        Points that train the regression.
    n_eval : int, default=5000
        Points that measure it. The standard error is ``sqrt(p (1 - p) / n_eval)``.
    n_bins : int, default=20
        Quantile bins of continuous factors.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        How to read the factors. See :func:`mutual_information_matrix`.
    random_state : int, RandomState instance or None, default=0
        Draws the points. Keep it fixed when comparing models.

    Returns
    -------
    score : float
        In [0, 1], 1 is best, 1 / n_factors is chance. 0 if every code is constant.
        NaN with fewer than two factors that vary.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Warns
    -----
    UndefinedMetricWarning
        If a factor is left out, fewer than two remain, or every code is constant.

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
    """Return (standardised codes, groups per factor), or the score if it is settled."""
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
        warn_undefined(f"The {score} is 0: no code varies more than min_std={min_std}.")
        return 0.0
    values = table.codes[:, active].astype(np.float64)
    unit = np.ascontiguousarray(scale_by(values, values))  # rows will be gathered
    return unit, _groups(table, n_bins)


def _generator(random_state):
    """Return a fast generator seeded by `random_state`."""
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return np.random.default_rng(seed)


def _active(codes, min_std):
    """Return the mask (D,) of codes that vary, and by more than `min_std`."""
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
    """Return the factor held fixed in each vote and the code that moved least.

    Votes come sorted by the level they share: its rows are then still in cache.
    """
    fixed = rng.integers(len(groups.total), size=n_votes)
    at = np.sort(_anchors(groups, fixed, rng.random(n_votes)))
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

    Single precision halves what is gathered; its rounding, a ten-millionth of a
    standard deviation, is far below what a regression on the means can see.
    """
    unit = unit.astype(np.float32)
    fixed = np.sort(rng.integers(len(groups.total), size=n_points))
    points = np.empty((n_points, unit.shape[1]))
    buffers = np.empty((2, CACHED, batch_size, unit.shape[1]), dtype=unit.dtype)
    for part in _chunks(n_points, CACHED):
        u = rng.random((2, len(fixed[part]), batch_size))
        at = _anchors(groups, fixed[part, None], u[0])
        left, right = groups.rows.take(at), _partners(groups, at, u[1])
        one = unit.take(left, axis=0, out=buffers[0, : len(left)], mode="clip")
        other = unit.take(right, axis=0, out=buffers[1, : len(left)], mode="clip")
        np.abs(np.subtract(one, other, out=one), out=one)
        points[part] = _sum(one) / batch_size
    return fixed, points


def _anchors(groups, fixed, u):
    """Return entries of the groups, uniform over the rows of the factors `fixed`.

    So levels come up as often as they occur.
    """
    return groups.base[fixed] + (u * groups.total[fixed]).astype(np.intp)


def _partners(groups, at, u):
    """Return rows of the levels of the entries `at`."""
    return groups.rows.take(groups.start[at] + (u * groups.size[at]).astype(np.intp))


def _chunks(n, size):
    """Yield slices that cut `n` items into pieces of `size`."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _sum(batches):
    """Return the sum (votes, D) over the rows of batches (votes, rows, D).

    A product with ones is several times faster than a sum over a middle axis.
    """
    ones = np.ones((1, batches.shape[1]), dtype=batches.dtype)
    return np.matmul(ones, batches)[:, 0]


def _variances(batches):
    """Return the sum of squared deviations (votes, D) within batches (votes, rows, D).

    A code that does not move gets exactly zero, not what rounding leaves of it. The
    batches are overwritten.
    """
    total = _sum(batches)
    squares = _sum(np.multiply(batches, batches, out=batches))
    deviations = squares - total**2 / batches.shape[1]
    return np.where(deviations > ROUNDING * squares, deviations, 0.0)

"""Noise levels: of pure noise in a sample, of input noise, of features, of a signal.

Axes: ``n`` samples, ``p`` features, ``d`` components.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.utils.extmath import randomized_svd

from ._incomplete import has_missing
from ._rows import subsample
from ._scaling import column_moments

CONDITIONAL_NOISE_ROWS = 2000
"""Samples from which the correlation of features is estimated, at most."""

SIGNAL_ROWS = 2000
"""Samples from which the variance of the first principal direction is estimated."""

MAX_SINGULAR_VALUE = 1e8
"""Upper bound of the singular value behind a temperature, for a noise near zero."""

RESOLUTION_ROWS = 2000
"""Samples among which the smallest difference of a column is looked for, at most."""

SHARE_OF_LEVELS = 0.8
"""Share of the values of a column that its most frequent ones make up where they count
as its levels."""

MAX_LEVELS = 20
"""Number of distinct values up to which the entropy of a column is computed, and of
frequent values that count as levels."""

SAME_VALUE = 1e-6
"""Difference, relative to the largest magnitude, of values that count as equal."""

UNCORRELATED = 0.1
"""Mean squared correlation, times the number of samples, below which columns count as
uncorrelated; it is about one for independent columns."""

EQUAL_STD = 1.01
"""Ratio of standard deviations below which those of whitened columns count as equal."""

MIN_COLUMNS = 3
"""Columns below which correlation is not judged."""

FIRST_COLUMNS = 8
"""Columns, evenly spread, that are correlated first; they decide about most tables."""

MAX_COMPARED = 2048
"""Columns up to which each is compared with all others."""

COMPARED_ROWS = 300
"""Samples by which the most correlated of more columns is looked for."""

N_ORDERS = 8
"""Random orders in which neighbours are compared."""

BLOCK = 256
"""Columns that are correlated with all others at once."""


def noise_edge(n_rows: float, n_features: int) -> float:
    r"""Compute the largest variance of a direction of pure noise in a sample.

    .. math:: \lambda = (1 + \sqrt{p / n})^2

    in units of the noise variance, for n samples of p independent features (Marchenko &
    Pastur 1967). A linear model treats directions of larger variance as signal.
    """
    return (1 + math.sqrt(n_features / n_rows)) ** 2


def information_of_noise(n_rows: float, n_features: int) -> float:
    r"""Compute the KL divergence that a linear component can have on pure noise, nats.

    .. math:: \tfrac{1}{2} \log\lambda

    with :math:`\lambda` of :func:`noise_edge`.
    """
    return 0.5 * math.log(noise_edge(n_rows, n_features))


def default_input_noise(
    n_rows: float, n_features: int, n_components: int, kl_weight: float = 1.0
) -> float:
    r"""Compute the input noise at which no component of pure noise lowers the loss.

    .. math:: t^2 = \lambda (\lambda / \beta - 1), \quad
        t^2 \le \frac{p - d}{2 d}

    A linear encoder of inputs with added noise of variance t**2 explains
    :math:`\lambda^2 / (\lambda + t^2)` of a direction of variance :math:`\lambda`, of
    :func:`noise_edge`. A component lowers the loss where that exceeds ``kl_weight``.
    The noise passes through d of p directions and inflates the residuals from which the
    noise scale is learned: by the second condition, to at most twice the variance, if
    features are alike. It is the only one where ``kl_weight`` is zero.

    Parameters
    ----------
    n_rows : float
        Number of samples, n; the effective number where they have weights.
    n_features, n_components : int
        p and d. The result is zero where p <= d.
    kl_weight : float, default=1
        Weight of the KL divergence, beta.

    Returns
    -------
    float
        Standard deviation of the input noise, in units of the noise's own, t.
    """
    edge = noise_edge(n_rows, n_features)
    ratio = edge / kl_weight if kl_weight else math.inf
    spare = (n_features - n_components) / (2 * n_components)
    return math.sqrt(max(0.0, min(edge * (ratio - 1), spare)))


def conditional_noise_std(rows, weight, seed):
    """Compute each column's residual standard deviation given one other column, (p,).

    The other column is the one with the largest absolute correlation. Input noise of
    this size preserves factors of as few as two columns; the learned noise scale can be
    larger, where the model does not yet represent such a factor. At most 2,000 samples
    are used, drawn by weight where weights differ. With more than 2,048 columns, each
    one is compared with about 2,300 others at most: the cost is linear in their number.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Standardised samples.
    weight : ndarray of shape (n,)
    seed : int
    """
    rng = np.random.RandomState(seed % 2**32)
    sample = subsample(rows, weight, CONDITIONAL_NOISE_ROWS, rng)
    is_wide = rows.shape[1] > MAX_COMPARED
    sample = sample.astype(rows.dtype if is_wide else np.float64)
    sample -= sample.mean(axis=0, dtype=np.float64)
    std = np.sqrt(np.mean(sample**2, axis=0))
    sample /= np.where(std > 0, std, 1)
    sample /= math.sqrt(len(sample))
    best = (_best_of_some if is_wide else _best_of_all)(sample, rng)
    return std * np.sqrt(np.clip(1 - best, 0, 1))


def _best_of_all(units, rng):
    """Return each column's largest squared correlation with another one, (p,)."""
    best = np.zeros(units.shape[1])
    for start in range(0, len(best), BLOCK):
        block = slice(start, start + BLOCK)
        squares = (units[:, block].T @ units) ** 2
        squares[np.arange(len(squares)), np.arange(len(best))[block]] = 0.0
        best[block] = squares.max(axis=1)
    return best


def _best_of_some(units, rng):
    """Return each column's largest squared correlation with one of some others, (p,).

    Columns are compared with their neighbours in several orders, on a part of the
    samples; the correlation with the best one is that of all samples.
    """
    n_rows, n_columns = units.shape
    few = np.ascontiguousarray(units[rng.permutation(n_rows)[:COMPARED_ROWS]].T)
    norms = np.sqrt(np.einsum("ij,ij->i", few, few))
    few /= np.where(norms > 0, norms, 1)[:, None]
    largest = np.zeros(n_columns, dtype=few.dtype)
    partner = np.arange(n_columns)
    for order in [np.arange(n_columns), *_orders_by_similarity(few, rng)]:
        for start in range(0, n_columns, BLOCK):
            block = order[start : start + BLOCK]
            squares = (few[block] @ few[block].T) ** 2
            np.fill_diagonal(squares, 0.0)
            found = squares.argmax(axis=1)
            values = squares[np.arange(len(block)), found]
            is_better = values > largest[block]
            largest[block[is_better]] = values[is_better]
            partner[block[is_better]] = block[found[is_better]]
    best = np.zeros(n_columns)
    for start in range(0, n_columns, BLOCK):
        block = slice(start, start + BLOCK)
        others = units[:, partner[block]]
        best[block] = np.einsum("ij,ij->j", units[:, block], others) ** 2
    return np.where(partner == np.arange(n_columns), 0.0, best)


def _orders_by_similarity(few, rng):
    """Yield orders of columns in which similar or opposite ones are often close.

    Columns are sorted by the signs of random projections (Charikar 2002, "Similarity
    estimation techniques from rounding algorithms"), relative to the first sign.
    """
    n_signs = math.ceil(math.log2(len(few) / BLOCK)) + 1
    for _ in range(N_ORDERS):
        directions = rng.normal(size=(few.shape[1], n_signs + 1)).astype(few.dtype)
        signs = few @ directions > 0
        code = (signs[:, 1:] != signs[:, :1]) @ (1 << np.arange(n_signs))
        yield np.lexsort((rng.uniform(size=len(code)), code))


@np.errstate(over="ignore", invalid="ignore")  # values of any size
def are_uncorrelated(X, index, weight):
    """Test whether columns are uncorrelated as principal components of X are.

    The mean squared correlation of independent columns is 1 / n in a sample. It is much
    smaller only after a transformation that removes correlation from this very sample.

    Parameters
    ----------
    X : ndarray or SourceTable of shape (n, p)
    index : ndarray of shape (m,)
        Samples to use.
    weight : ndarray of shape (m,)
        Their weights.

    Returns
    -------
    bool
        False for fewer than three columns that vary, and for incomplete samples.
    """
    if has_missing(X):
        return False
    columns = np.flatnonzero(_vary(X))
    if not MIN_COLUMNS <= len(columns) < len(index):
        return False
    places = np.linspace(0, len(columns) - 1, min(FIRST_COLUMNS, len(columns)))
    few = columns[places.astype(int)]  # most tables are decided without a copy
    if not isinstance(X, np.ndarray):
        places = np.linspace(0, len(columns) - 1, min(MAX_COMPARED, len(columns)))
        columns = columns[places.astype(int)]
        return all(
            _mean_square_in_parts(X, index, weight, chosen) < UNCORRELATED
            for chosen in (few, columns)
        )
    return all(
        _mean_square_correlation(_centred(X, index, weight, chosen)) < UNCORRELATED
        for chosen in (few, columns)
    )


def _vary(X):
    """Return which columns have more than one value, (p,)."""
    if isinstance(X, np.ndarray):
        return X.max(axis=0) > X.min(axis=0)
    return X.high > X.low


def _mean_square_in_parts(X, index, weight, columns):
    """Return the same as :func:`_mean_square_correlation` of a table read in parts.

    It is read once, in the order in which it is stored.
    """
    share = np.zeros(len(X))
    share[index] = weight / weight.sum()
    middle = X.low[columns] / 2 + X.high[columns].astype(np.float64) / 2
    mean = np.zeros(len(columns))
    products = np.zeros((len(columns), len(columns)))
    for start, rows in X.blocks():
        part = share[start : start + len(rows)]
        shifted = rows[:, columns] - middle
        mean += part @ shifted
        products += (shifted * part[:, None]).T @ shifted
    products -= np.outer(mean, mean)
    std = np.sqrt(np.maximum(np.diag(products), 0.0))
    correlation = products[np.ix_(std > 0, std > 0)]
    correlation /= np.outer(std[std > 0], std[std > 0])
    n_columns = len(correlation)
    if n_columns < MIN_COLUMNS or not np.isfinite(correlation).all():
        return np.inf
    total = np.square(correlation).sum() - n_columns
    return len(index) * total / (n_columns * (n_columns - 1))


def _centred(X, index, weight, columns):
    """Return columns around their means, times the square root of the weights."""
    share = weight / weight.sum()
    sample = X[np.ix_(index, columns)].astype(np.float64)
    return (sample - share @ sample) * np.sqrt(share)[:, None]


def _mean_square_correlation(centred):
    """Return the mean squared correlation of columns, times the number of samples."""
    std = np.sqrt(np.square(centred).sum(axis=0))
    units = centred[:, std > 0] / std[std > 0]
    n_rows, n_columns = units.shape
    if n_columns < MIN_COLUMNS or not np.isfinite(units).all():
        return np.inf
    blocks = (slice(i, i + BLOCK) for i in range(0, n_columns, BLOCK))
    total = sum(np.square(units[:, block].T @ units).sum() for block in blocks)
    return n_rows * (total - n_columns) / (n_columns * (n_columns - 1))


@np.errstate(over="ignore", invalid="ignore")
def have_equal_variance(X, index, weight):
    """Test whether all columns that vary have the same variance, as after whitening.

    Parameters
    ----------
    X : ndarray or SourceTable of shape (n, p)
    index : ndarray of shape (m,)
        Samples to use.
    weight : ndarray of shape (m,)
        Their weights.

    Returns
    -------
    bool
    """
    columns = np.flatnonzero(_vary(X))
    if isinstance(X, np.ndarray):
        squares = np.square(_centred(X, index, weight, columns))
        std = np.sqrt(squares.sum(axis=0))
    else:
        std = column_moments(X, index, weight)[1][columns]
    return bool(std.max(initial=0.0) < EQUAL_STD * std.min(initial=np.inf))


def resolution_variance(rows, weight, seed):
    r"""Compute the variance of the rounding of each column, (p,).

    .. math:: \min(g^2 / 12,\; s^2)

    for the smallest difference g of two distinct values, the variance of a uniform
    distribution of that width, and at most the variance of the column. A rounded or
    discrete column that is reconstructed exactly has no density, and a smaller noise
    would not describe it better. At most 2,000 samples are used.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Standardised samples.
    weight : ndarray of shape (n,)
    seed : int
    """
    return _resolution_variance(_sorted_columns(rows, weight, seed))


def discrete_variance(rows, weight, seed):
    r"""Compute the least noise variance of columns of few levels, (p,).

    .. math:: s^2 \min(1,\; e^{1 - 2 H})

    for the variance :math:`s^2` of a column and the entropy H of its values, nats. With
    this noise variance the exact reconstruction of the column is as much more likely
    than the column's mean as a code of the values saves, which is H. With a smaller one
    the density of reconstructed levels grows without bound, and networks that describe
    samples value by value would be preferred. Columns of more than 20 distinct values
    have the variance of their rounding. At most 2,000 samples are used.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Standardised samples.
    weight : ndarray of shape (n,)
    seed : int
    """
    columns = _sorted_columns(rows, weight, seed)
    share = np.zeros(columns.shape[1])  # of the variance of each column
    is_new = _gaps(columns) > 0  # (m - 1, p)
    for j in np.flatnonzero(is_new.sum(axis=0) < MAX_LEVELS):
        n_observed = np.count_nonzero(~np.isnan(columns[:, j]))
        starts = np.flatnonzero(is_new[:, j]) + 1
        shares = np.diff([0, *starts, n_observed]) / max(1, n_observed)
        entropy = -float(shares @ np.log(np.where(shares > 0, shares, 1.0)))
        share[j] = min(1.0, math.exp(1 - 2 * entropy))
    return np.maximum(_resolution_variance(columns), share * _variance(columns))


def has_discrete_noise(job) -> bool:
    """Return whether a column of a job has a discrete variance above its rounding."""
    sample = job.values, job.row_weights, job.seed
    return bool((discrete_variance(*sample) > resolution_variance(*sample)).any())


def have_few_levels(rows, weight, seed) -> np.ndarray:
    """Return which columns have at least two values, most of them from 20, (p,).

    The 20 most frequent values make up at least four fifths of the observed ones: a
    column of levels counts even if some of its values were imputed.
    """
    columns = _sorted_columns(rows, weight, seed)
    is_new = _gaps(columns) > 0  # (m - 1, p)
    found = np.zeros(columns.shape[1], dtype=bool)
    for j, starts in enumerate(is_new.T):
        n_observed = np.count_nonzero(~np.isnan(columns[:, j]))
        counts = np.diff([0, *(np.flatnonzero(starts) + 1), n_observed])
        n_frequent = np.sort(counts)[-MAX_LEVELS:].sum()
        found[j] = len(counts) > 1 and n_frequent >= SHARE_OF_LEVELS * n_observed
    return found


def share_of_few_levels(job) -> float:
    """Return the share of the columns of a job that have few levels."""
    return float(np.mean(have_few_levels(job.values, job.row_weights, job.seed)))


def _sorted_columns(rows, weight, seed) -> np.ndarray:
    """Return the sorted values of some samples, (m, p); missing values are the last."""
    rng = np.random.RandomState(seed % 2**32)
    sample = subsample(rows, weight, RESOLUTION_ROWS, rng).astype(np.float64)
    return np.sort(sample, axis=0)


def _gaps(columns) -> np.ndarray:
    """Return differences of successive values, zero where they count as equal."""
    gaps = np.diff(columns, axis=0)
    least = SAME_VALUE * np.fmax.reduce(np.abs(columns), axis=0, initial=1.0)
    return np.where(gaps > least, gaps, 0.0)  # those of missing values are NaN


def _resolution_variance(columns) -> np.ndarray:
    """Return the variance of the rounding of sorted columns, (p,)."""
    gaps = _gaps(columns)
    smallest = np.where(gaps > 0, gaps, np.inf).min(axis=0, initial=np.inf)
    rounding = np.where(np.isfinite(smallest), smallest, 0.0) ** 2 / 12
    return np.minimum(rounding, _variance(columns))


def _variance(columns) -> np.ndarray:
    """Return the variance of the observed values of each column, (p,)."""
    n_observed = np.maximum(1, (~np.isnan(columns)).sum(axis=0))
    mean = np.nansum(columns, axis=0) / n_observed
    return np.nansum(np.square(columns - mean), axis=0) / n_observed


def signal_to_noise(rows, weight, likelihood, noise_scale, seed):
    r"""Compute the variance of the first principal direction, in units of the noise.

    .. math:: \lambda_1(D^{-1/2}\, \Sigma\, D^{-1/2})

    for the covariance :math:`\Sigma` of the samples and a diagonal matrix D of the
    noise variances of a model without active latents: a column's variance, the mean of
    these where the noise has one scale, or :math:`m (1 - m)` for a binary column of
    mean m. A linear latent reduces the reconstruction term by half of this value, in
    nats. At most 2,000 samples are used, drawn by weight where weights differ.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Samples as the model receives them.
    weight : ndarray of shape (n,)
    likelihood : {"gaussian", "bernoulli"}
    noise_scale : {"feature", "shared"} or float
        Noise scale of the Gaussian likelihood; a float is a standard deviation.
    seed : int

    Returns
    -------
    float
    """
    rng = np.random.RandomState(seed % 2**32)
    sample = subsample(rows, weight, SIGNAL_ROWS, rng)
    sample = sample[:, np.ptp(sample, axis=0) > 0].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = sample.mean(axis=0), sample.var(axis=0)
        if likelihood == "bernoulli":
            noise = mean * (1 - mean)
        elif noise_scale == "feature":
            noise = variance
        else:
            is_shared = noise_scale == "shared"
            mean_variance = variance.sum() / rows.shape[1]  # constant columns, too
            alike = mean_variance if is_shared else np.square(noise_scale)
            noise = np.full_like(variance, alike)
        sample -= mean
        sample /= np.sqrt(np.maximum(noise, np.finfo(np.float64).tiny))
    if not sample.size or not np.isfinite(sample).all():
        return 0.0
    _, (largest,), _ = randomized_svd(sample, 1, random_state=rng)
    return float(min(largest, MAX_SINGULAR_VALUE) ** 2 / len(sample))

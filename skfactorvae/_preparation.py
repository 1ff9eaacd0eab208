"""What happens to a table before it is trained on: canonical rows, scale, and start."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.utils.extmath import randomized_svd

CHUNK = 4096
CONSTANT = 1e-14
"""Spread relative to the largest magnitude up to which a column is constant."""

ICA_ROWS = 10_000

ROWS_PER_SQUARE = 20
"""Rows that ICA needs for the square of its components: 20 to 30 by EEGLAB's tutorial,
chapter 9, "Decomposing data using ICA"."""

COMPANION_ROWS = 2000
"""That tell how much of a column another one explains."""

DIRECTION_ROWS = 2000
"""That tell how much the first principal direction carries."""

LARGEST = 1e8
"""Singular value, at most, that a temperature follows: that of a noise of nothing."""

BLOCK = 256
"""Columns that are compared with all others at once."""

RUNS = 3
"""Of FastICA, of each kind; the best is kept."""

NORMAL_LOG_COSH = 0.3745672075
"""Expectation of log cosh of a standard normal number."""

FEWEST_ROWS, MOST_ROWS = 200, 3000
"""That tell whether components are independent."""

TOLD_BY = 10
"""Principal directions that tell it of models without a linear start."""

INDEPENDENT_AUC = 0.9
"""How well a classifier may tell rows from shuffled ones if they are. Of mixtures of
sources it reaches .5 to .9, of curves .92 to 1: see the page on defaults."""


@dataclass(frozen=True)
class Start:
    """Where a fit begins: a kind, weights, and a temperature of the likelihood."""

    kind: str
    weights: dict
    temperature: float = 1.0


@dataclass(frozen=True)
class Table:
    """A job, and what a fitted estimator remembers of the table it came from."""

    job: Any
    mean: np.ndarray
    scale: np.ndarray
    architecture: dict
    known: dict

    def attributes(self, weights):
        """Return what an estimator needs to transform."""
        return {
            "mean_": self.mean,
            "scale_": self.scale,
            "weights_": weights,
            "_architecture": self.architecture,
            **self.known,
        }


# ------------------------------------------------------------------------ rows
def without_unit(weight):
    """Scale weights to a largest one near one, by a power of two and so exactly."""
    return np.ldexp(weight, -np.frexp(weight.max())[1])


def canonical_rows(X, weight):
    """Sort distinct rows into an order that depends on their values alone.

    Equal rows become one row that carries the sum of their weights, and rows without
    weight go. A fit on the result can therefore not tell an integer weight from
    repetition, nor one order of the rows from another.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    weight : ndarray of shape (n,)

    Returns
    -------
    index : ndarray of shape (m,)
        Numbers of the distinct rows of ``X``, in canonical order.
    weight : ndarray of shape (m,)
        Their weights, positive.
    """
    present = np.flatnonzero(weight > 0)
    key = _row_keys(X)[present]
    # Weights of equal rows are added up in an order of their own: sums are rounded.
    order = np.lexsort((weight[present], key))
    index, key = present[order], key[order]
    is_first = np.ones(len(index), dtype=bool)
    tied = np.flatnonzero(key[1:] == key[:-1]) + 1
    is_first[tied] = (X[index[tied]] != X[index[tied - 1]]).any(axis=1)
    starts = np.flatnonzero(is_first)
    return index[starts], np.add.reduceat(weight[index], starts)


def _row_keys(X):
    """Hash each row to 64 bits, by exact integer arithmetic on its bits, (n,)."""
    bits = np.uint32 if X.dtype == np.float32 else np.uint64
    rng = np.random.RandomState(0)
    factor = rng.randint(0, 2**62, size=(2, X.shape[1]), dtype=np.uint64) * 2 + 1
    keys = np.empty(len(X), dtype=np.uint64)
    for start in range(0, len(X), CHUNK):
        block = X[start : start + CHUNK] + 0.0  # a copy in which -0.0 is 0.0
        h = np.ascontiguousarray(block).view(bits).astype(np.uint64)
        h = (h ^ (h >> np.uint64(31))) * factor[0]
        h = (h ^ (h >> np.uint64(29))) * factor[1]
        keys[start : start + CHUNK] = h.sum(axis=1, dtype=np.uint64)
    return keys


# ----------------------------------------------------------------------- scale
def column_moments(X, index, weight):
    """Weighted mean and standard deviation of each column, in float64.

    Columns are first divided by a power of two near their largest magnitude, so that
    values near the ends of the floating-point range neither overflow nor vanish.
    Moments are taken around one row. A constant column has therefore exactly its
    constant for a mean, and a standard deviation of exactly zero.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    index : ndarray of shape (m,)
        Rows that count.
    weight : ndarray of shape (m,)
        Their weights.

    Returns
    -------
    mean, std : ndarray of shape (p,)
    """
    share = weight / weight.sum()
    largest = np.zeros(X.shape[1])
    for rows, _ in _chunks(X, index, share):
        np.maximum(largest, np.abs(rows).max(axis=0), out=largest)
    power = np.frexp(largest)[1]
    origin = np.ldexp(X[index[0]].astype(np.float64), -power)

    def shifted():
        for rows, part in _chunks(X, index, share):
            yield np.ldexp(rows, -power) - origin, part

    mean = sum(part @ rows for rows, part in shifted())
    std = np.sqrt(sum(part @ (rows - mean) ** 2 for rows, part in shifted()))
    std = np.where(std > CONSTANT, std, 0.0)
    return np.ldexp(origin + mean, power), np.ldexp(std, power)


def _chunks(X, index, share):
    for start in range(0, len(index), CHUNK):
        chosen = slice(start, start + CHUNK)
        yield X[index[chosen]].astype(np.float64), share[chosen]


def choose_scale(standardize, mean, std):
    """Return the offset and scale that ``standardize`` asks for, each (p,).

    A constant column keeps the scale one.
    """
    if standardize is None:
        return np.zeros_like(mean), np.ones_like(std)
    if standardize == "global":
        overall = _root_mean_square(std)
        return mean, np.full_like(std, overall if overall > 0 else 1.0)
    return mean, np.where(std > 0, std, 1.0)


def _root_mean_square(std):
    largest = std.max()
    return largest * np.sqrt(np.mean((std / largest) ** 2)) if largest > 0 else 0.0


def standardized(X, mean, scale, dtype, index=None):
    """Return ``(X - mean) / scale`` in a new array, chunk by chunk.

    Raises
    ------
    ValueError
        If ``dtype`` cannot hold a value of the result.
    """
    n_rows = len(X) if index is None else len(index)
    out = np.empty((n_rows, X.shape[1]), dtype=dtype)
    for start in range(0, n_rows, CHUNK):
        chosen = slice(start, start + CHUNK)
        rows = X[chosen] if index is None else X[index[chosen]]
        with np.errstate(over="ignore"):
            out[chosen] = (rows.astype(np.float64) - mean) / scale
        _check_range(out[chosen], rows)
    return out


def _check_range(block, rows):
    if not np.isfinite(block).all():
        column = np.flatnonzero(~np.isfinite(block).all(axis=0))[0]
        raise ValueError(
            f"Column {column} of X holds values up to "
            f"{np.abs(rows[:, column]).max():.4g}, too large for {block.dtype} once "
            "they are standardised. Remove outliers, rescale X, or use "
            "precision='float64'."
        )


# ----------------------------------------------------------------------- noise
def noise_edge(n_rows: float, n_features: int) -> float:
    r"""Return the largest variance that a direction of pure noise has in a sample.

    .. math:: \lambda = (1 + \sqrt{p / n})^2

    in units of the noise's own, for n rows of p independent features (Marchenko &
    Pastur 1967). A linear model takes what exceeds one for a signal.
    """
    return (1 + math.sqrt(n_features / n_rows)) ** 2


def information_of_noise(n_rows: float, n_features: int) -> float:
    r"""Return what a linear component can hold of pure noise, nats.

    .. math:: \tfrac{1}{2} \log\lambda

    with :math:`\lambda` of :func:`noise_edge`.
    """
    return 0.5 * math.log(noise_edge(n_rows, n_features))


def enough_input_noise(
    n_rows: float, n_features: int, n_components: int, price: float = 1.0
) -> float:
    r"""Return the noise on rows with which no component pays that holds noise alone.

    .. math:: t^2 = \lambda (\lambda / \beta - 1), \quad
        t^2 \le \frac{p - d}{2 d}

    A linear encoder that sees rows with noise of variance t**2 added explains
    :math:`\lambda^2 / (\lambda + t^2)` of a direction of variance :math:`\lambda`, of
    :func:`noise_edge`, and a component pays where that exceeds the price. The noise
    passes d of p directions, and swells the residuals that tell the noise's scale: to
    no more than twice the variance, by the second condition, if features are alike.

    Parameters
    ----------
    n_rows : float
        Rows, n; effective ones, where they have weights.
    n_features, n_components : int
        p and d. With no more features than components, there is no noise.
    price : float, default=1
        What a nat of information costs, beta.

    Returns
    -------
    float
        Deviation, in units of the noise's own, t.
    """
    edge = noise_edge(n_rows, n_features)
    spare = (n_features - n_components) / (2 * n_components)
    return math.sqrt(max(0.0, min(edge * (edge / price - 1), spare)))


def companions_residual(rows, weight, seed):
    """Return each column's deviation from what its best companion tells of it, (p,).

    The companion is the column that is correlated most with it. Noise of that size
    leaves even a factor of two columns to be found; what a model has learned of the
    noise may be more, where the model has missed such a factor. At most 2,000 rows are
    used, drawn by weight where weights differ.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Standardised rows.
    weight : ndarray of shape (n,)
    seed : int
    """
    rng = np.random.RandomState(seed % 2**32)
    sample = _subsample(rows, weight, COMPANION_ROWS, rng).astype(np.float64)
    sample -= sample.mean(axis=0)
    spread = np.sqrt(np.mean(sample**2, axis=0))
    units = sample / np.where(spread > 0, spread, 1.0) / math.sqrt(len(sample))
    best = np.zeros(len(spread))
    for start in range(0, len(best), BLOCK):
        block = slice(start, start + BLOCK)
        squares = (units[:, block].T @ units) ** 2
        squares[np.arange(len(squares)), np.arange(len(best))[block]] = 0.0
        best[block] = squares.max(axis=1)
    return spread * np.sqrt(np.clip(1 - best, 0, 1))


def largest_signal(rows, weight, likelihood, noise_scale, seed):
    r"""Return the variance of the first principal direction, in units of the noise.

    .. math:: \lambda_1(D^{-1/2}\, \Sigma\, D^{-1/2})

    for the covariance :math:`\Sigma` of the rows, and on the diagonal of D what a model
    takes for noise as long as no latent tells it anything: a column's variance, or the
    mean of them where the noise has one scale, or :math:`m (1 - m)` of a binary column
    of mean m. A linear latent gains by half of that, in nats, less what it costs. At
    most 2,000 rows are used, drawn by weight where weights differ.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Rows as the model sees them.
    weight : ndarray of shape (n,)
    likelihood : {"gaussian", "bernoulli"}
    noise_scale : {"feature", "shared"} or float
        Of the Gaussian likelihood; a number is that of the noise's deviation.
    seed : int

    Returns
    -------
    float
    """
    rng = np.random.RandomState(seed % 2**32)
    sample = _subsample(rows, weight, DIRECTION_ROWS, rng)
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
    return float(min(largest, LARGEST) ** 2 / len(sample))


# ----------------------------------------------------------------------- start
@dataclass(frozen=True)
class LinearStart:
    """A linear encoder and decoder to start from.

    Attributes
    ----------
    kind : {"ica", "pca"}
        What they are.
    encoder : ndarray of shape (p, d)
        Codes are ``x @ encoder``.
    decoder : ndarray of shape (d, p)
        Rows are ``z @ decoder``.
    """

    kind: str
    encoder: np.ndarray
    decoder: np.ndarray


def linear_start(kind, rows, weight, n_components, seed):
    """Fit PCA or FastICA, and return it as the linear path's first weights.

    Only directions that carry more variance than an average feature are taken, and for
    FastICA at most sqrt(n / 20) of them; the other latents start at zero, and wake up
    if the data want them. At most 10,000 rows
    are used, drawn by weight where weights differ.

    Parameters
    ----------
    kind : {"ica", "pca", "auto"}
        "auto" takes FastICA where its components are independent, and else PCA.
    rows : ndarray of shape (n, p)
        Standardised rows.
    weight : ndarray of shape (n,)
    n_components : int
        Latents, d.
    seed : int

    Returns
    -------
    LinearStart
    """
    kind, directions, spread, rotation = _turned_axes(
        kind, rows, weight, n_components, ICA_ROWS, seed
    )
    encoder = np.zeros((rows.shape[1], n_components))
    decoder = np.zeros((n_components, rows.shape[1]))
    encoder[:, : len(spread)] = (directions / spread[:, None]).T @ rotation.T
    decoder[: len(spread)] = rotation @ (directions * spread[:, None])
    return LinearStart(kind, encoder, decoder)


def is_mixture(rows, weight, seed):
    """Tell whether FastICA's components of the rows come out independent.

    It is what ``init="auto"`` asks of a table, of the first ten principal directions,
    for models that have no linear start. At most 3,000 rows are used, drawn by weight
    where weights differ.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
    weight : ndarray of shape (n,)
    seed : int

    Returns
    -------
    bool
    """
    kind, *_ = _turned_axes("auto", rows, weight, TOLD_BY, MOST_ROWS, seed)
    return kind == "ica"


def _turned_axes(kind, rows, weight, n_axes, most, seed):
    """Return the kind of a start, r directions (r, p), their spread, and a rotation."""
    rng = np.random.RandomState(seed % 2**32)
    sample = _subsample(rows, weight, most, rng).astype(np.float64)
    directions, spread = _principal_axes(sample, n_axes, rng)  # (r, p), (r,)
    white = (sample - sample.mean(axis=0)) @ (directions / spread[:, None]).T
    n_rows = min(len(rows), len(sample))  # a row drawn twice is one row still
    kind, rotation = _choose_rotation(kind, white, n_rows, rng)
    return kind, directions, spread, rotation


def _subsample(rows, weight, most, rng):
    """Return all rows, where they are not too many and count alike, or draw some."""
    is_uniform = (weight == weight[0]).all()
    if is_uniform and len(rows) <= most:
        return rows
    cdf = np.cumsum(weight)
    u = rng.uniform(size=most) * cdf[-1]
    return rows[np.minimum(np.searchsorted(cdf, u, side="right"), len(rows) - 1)]


def _principal_axes(sample, n_components, rng):
    """Return the principal directions that matter, (r, p), and their spread, (r,).

    Kaiser's rule: a direction matters if it carries more variance than a feature does
    on average. Whitening the others would hand their noise to ICA as so many sources.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        average = sample.var(axis=0).mean()
    if not 0 < average < np.inf:  # nothing varies, or more than can be squared
        return np.zeros((0, sample.shape[1])), np.zeros(0)
    pca = PCA(min(n_components, *sample.shape), random_state=rng).fit(sample)
    matters = pca.explained_variance_ > (1 - 1e-9) * average
    return pca.components_[matters], np.sqrt(pca.explained_variance_[matters])


def _choose_rotation(kind, scores, n_rows, rng):
    """Return which start it is, and the orthogonal matrix that makes it of PCA's.

    FastICA turns as many of the first scores as it has rows for: with too few, it finds
    directions in which the sample is far from normal by chance. The others stay PCA's.
    """
    n_scores = scores.shape[1]
    rotation = np.eye(n_scores)
    if kind == "pca" or n_scores < 2:
        return ("ica" if kind == "auto" else kind), rotation
    leading = scores[:, : max(1, math.isqrt(n_rows // ROWS_PER_SQUARE))]
    turn = _rotation(leading, rng) if leading.shape[1] > 1 else np.eye(1)
    if kind == "auto" and not are_independent(leading @ turn.T, rng):
        return "pca", rotation
    rotation[: len(turn), : len(turn)] = turn
    return "ica", rotation


def _rotation(scores, rng):
    """Return the orthogonal matrix that turns white scores into FastICA's sources.

    FastICA ends in one of several optima, or in none. Of some runs, component by
    component and all at once, the one with the largest negentropy is kept.
    """
    runs = ("parallel", "deflation") * RUNS
    found = [_fast_ica(scores, algorithm, rng) for algorithm in runs]
    return max(found, key=lambda rotation: negentropy(scores @ rotation.T))


def _fast_ica(scores, algorithm, rng):
    ica = FastICA(algorithm=algorithm, whiten=False, tol=1e-3, random_state=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica.fit(scores)
    return ica.components_


def negentropy(sources):
    r"""Return how far from normal white sources are, up to a factor.

    .. math:: \sum_j (\mathbb{E}[\log\cosh s_j] - \mathbb{E}[\log\cosh\nu])^2

    for a standard normal nu (Hyvarinen & Oja 2000, "Independent component analysis:
    algorithms and applications", Eq. 25).
    """
    means = np.log(np.cosh(sources)).mean(axis=0)
    return ((means - NORMAL_LOG_COSH) ** 2).sum()


def are_independent(components, rng):
    """Tell whether a classifier fails to tell rows from rows with shuffled columns.

    Rows on a curve in fewer dimensions than there are components leave most of the
    space empty, and shuffled ones do not. Fewer than 200 rows count as independent.

    Parameters
    ----------
    components : ndarray of shape (n, r)
    rng : RandomState

    Returns
    -------
    bool
    """
    components = np.unique(components, axis=0)  # a row drawn twice gives itself away
    if len(components) < FEWEST_ROWS:
        return True
    return shuffling_auc(components, rng) < INDEPENDENT_AUC


def shuffling_auc(components, rng):
    """Return the area under the ROC curve of such a classifier; .5 where it fails.

    It learns from one half of the rows and is tried on the other.
    """
    halves = np.array_split(rng.permutation(len(components))[:MOST_ROWS], 2)
    halves = [_beside_shuffled(components[half], rng) for half in halves]
    trees = ExtraTreesClassifier(100, min_samples_leaf=3, random_state=rng)
    trees.fit(*halves[0])
    rows, is_row = halves[1]
    return roc_auc_score(is_row, trees.predict_proba(rows)[:, 1])


def _beside_shuffled(rows, rng):
    """Return rows and as many with each column shuffled, and which is which."""
    shuffled = np.column_stack([rng.permutation(column) for column in rows.T])
    return np.vstack([rows, shuffled]), np.repeat([True, False], len(rows))

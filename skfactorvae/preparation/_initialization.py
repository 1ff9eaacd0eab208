"""Initialisation of the linear path by PCA, FastICA or factor analysis.

Axes: ``n`` samples, ``p`` features, ``d`` components, ``r`` retained directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.tree import ExtraTreeClassifier

from .._linear_models import fit_factor_analysis, ica_rotation
from .._locks import ProcessLock
from .._simple_structure import (
    MAX_NON_NORMALITY_OF_ITEMS,
    NEARLY_NORMAL_ITEMS,
    NORMAL_LOG_COSH,
    SIMPLE_Z,
    are_as_independent,
    are_nearly_normal,
    non_normality,
    orthomax,
    simplicity_z,
)
from ._level_effect import level_effect
from ._rows import subsample

ICA_ROWS = 10_000
"""Samples to which FastICA or PCA is fitted, at most."""

MIN_VARIANCE = 1e-60
"""Average variance of the features below which they count as constant: weights that
standardise such features could be too large for single precision."""

ROWS_PER_SQUARE = 20
"""Samples per squared number of ICA components: 20 to 30 by EEGLAB's tutorial, chapter
9, "Decomposing data using ICA"."""

RUNS = 3
"""Runs of FastICA with each algorithm; the best one is used."""

ICA_TOLERANCE = 1e-3
"""Change of the direction of a source of the last step, one minus the cosine."""

MAX_COPIED = 20_000_000
"""Values of a sample up to which PCA computes with a copy in double precision."""

POWER_STEPS, OVERSAMPLING = 3, 10
"""Iterations of the randomised PCA of larger samples, and its additional directions."""

N_TREES = 100
"""Randomised trees of the classifier in the test of independence."""

MIN_TEST_ROWS, MAX_TEST_ROWS = 200, 3000
"""Samples of the test of independence."""

N_TEST_COMPONENTS = 10
"""Principal directions used in the test for models without a linear path."""

INDEPENDENT_AUC = 0.9
"""Area under the ROC curve below which components count as independent. It is .5 to .9
for most mixtures of sources and .92 to 1 for curves with little noise: see the page on
defaults."""

CLEARLY_INDEPENDENT_AUC = 0.75
"""Area below which components count as independent without a comparison. From here on
held-out samples compare the start with PCA's, since curves with much noise have such
areas, too."""

MIN_COMPARED_ROWS = 1000
"""Samples from which they are compared: the page on defaults has what fewer gain and
lose."""

FEW_DIRECTIONS_AUC = 0.85
"""Area below which leading directions are few enough for FastICA."""

FEW_DIRECTIONS = "few"
"""Kind of the start by FastICA of so few directions."""

MAX_FACTOR_FEATURES = 300
"""Features up to which factor analysis is fitted."""

FACTOR_STEPS = 300
"""Steps of factor analysis, at most."""

_scikit_learn = ProcessLock()
"""Held while estimators of scikit-learn are fitted, one thread at a time: they change
the filters of warnings for a moment, and restore what they found. Trees are fitted
without a forest, whose tasks the scheduler of a batched search would run in threads."""


@dataclass(frozen=True)
class LinearStart:
    """Linear encoder and decoder at which training starts.

    Attributes
    ----------
    kind : {"ica", "pca", "varimax"}
        Method that they come from. With "varimax", components are rotated after the
        fit.
    encoder : ndarray of shape (p, d)
        Codes are ``x @ encoder``.
    decoder : ndarray of shape (d, p)
        Reconstructions are ``z @ decoder``.
    criteria : dict of str to float
        What the method was chosen by; empty if it was given.
    n_directions : int or None
        How many principal directions it was fitted to, where their number was chosen
        by their independence.
    alternative : tuple (kind, n_directions) or None
        Arguments of the start with which it should be compared on held-out samples.
        This start is used without such a comparison.
    """

    kind: str
    encoder: np.ndarray
    decoder: np.ndarray
    criteria: dict[str, float] = field(default_factory=dict)
    n_directions: int | None = None
    alternative: tuple[str, int | None] | None = None


@dataclass(frozen=True)
class Axes:
    """Principal directions of a sample, and their rotation by the method.

    Attributes
    ----------
    kind : {"ica", "pca"}
    directions : ndarray of shape (r, p)
    spread : ndarray of shape (r,)
        Standard deviations of the directions.
    rotation : ndarray of shape (r, r)
    leading : ndarray of shape (n, l)
        White scores of the directions that FastICA may rotate.
    area : float
        Area of the test of independence; NaN where there was none.
    """

    kind: str
    directions: np.ndarray
    spread: np.ndarray
    rotation: np.ndarray
    leading: np.ndarray
    area: float = math.nan


def linear_start(
    kind, rows, weight, n_components, seed, can_rotate=False, n_directions=None
):
    """Fit PCA, FastICA or factor analysis as the initial linear path.

    Only directions with more variance than an average feature are used, or as many as
    are asked for, and for FastICA at most sqrt(n / 20) of them; the other latents start
    at zero and can become active in training. At most 10,000 samples are used, drawn by
    weight where weights differ.

    Parameters
    ----------
    kind : {"ica", "few", "pca", "varimax", "auto"}
        "few" is FastICA of as many directions as have independent components. "auto"
        uses FastICA where its components are independent, else PCA; and factor
        analysis in place of FastICA where independence leaves the rotation open and
        loadings have simple structure. Where independence is not clear, FastICA is
        fitted to fewer directions, and PCA is named as the alternative to either.
        Where PCA is chosen, FastICA of few directions is its alternative, because
        nonlinear mixtures of few sources can have an area as large as that of curves.
    rows : ndarray of shape (n, p)
        Standardised samples.
    weight : ndarray of shape (n,)
    n_components : int
        Number of latents, d.
    seed : int
    can_rotate : bool, default=False
        Whether "auto" may use factor analysis, since components can be rotated after
        the fit.
    n_directions : int or None, default=None
        Number of directions, at most; None takes those with more variance than an
        average feature.

    Returns
    -------
    LinearStart
    """
    given = "pca" if kind in ("varimax", FEW_DIRECTIONS) else kind
    axes = _rotated_axes(
        given, rows, weight, n_components, ICA_ROWS, seed, n_directions
    )
    start = _padded(
        axes.kind,
        (axes.directions / axes.spread[:, None]).T @ axes.rotation.T,
        axes.rotation @ (axes.directions * axes.spread[:, None]),
        n_components,
    )
    if kind == "varimax":
        return _factor_start(start, rows, weight, len(axes.spread), seed)
    if kind == FEW_DIRECTIONS:
        n_few = _count_independent(axes, seed)
        start = linear_start("ica", rows, weight, n_components, seed, False, n_few)
        criteria = {"ica_directions": float(n_few)}
        return replace(start, criteria=criteria, n_directions=n_few)
    if kind != "auto":
        return start
    if can_rotate and axes.kind == "ica":
        start = _simple_start(start, rows, weight, len(axes.spread), seed)
    is_unclear = axes.area >= CLEARLY_INDEPENDENT_AUC
    if not is_unclear or len(rows) < MIN_COMPARED_ROWS:
        return start
    criteria = start.criteria | {"independence_area": axes.area}
    if start.kind == "pca":
        few = FEW_DIRECTIONS, n_directions
        return replace(start, criteria=criteria, alternative=few)
    if start.kind == "ica":
        n_few = _count_independent(axes, seed)
        criteria["ica_directions"] = float(n_few)
        if n_few < axes.leading.shape[1]:
            start = linear_start("ica", rows, weight, n_components, seed, False, n_few)
            start = replace(start, n_directions=n_few)
    return replace(start, criteria=criteria, alternative=("pca", n_directions))


def _count_independent(axes, seed):
    """Return how many leading directions have nearly independent components, >= 2.

    A nonlinear mixture has more directions of large variance than sources, and FastICA
    of all of them mixes the sources with functions of them. The area rises with the
    number of directions, so that bisection finds the largest one.
    """
    rng = np.random.RandomState(seed % 2**32)
    low, high = 2, axes.leading.shape[1] + 1  # taken, and too many
    while high - low > 1:
        n = (low + high) // 2
        scores = axes.leading[:, :n]
        with _scikit_learn:
            components = np.unique(scores @ _ica_rotation(scores, rng).T, axis=0)
            area = shuffling_auc(components, rng)
        low, high = (n, high) if area < FEW_DIRECTIONS_AUC else (low, n)
    return low


def _padded(kind, encoder, decoder, n_components, criteria=None):
    """Return a start whose further components are zero."""
    n_found = len(decoder)
    encoder = np.pad(encoder, ((0, 0), (0, n_components - n_found)))
    decoder = np.pad(decoder, ((0, n_components - n_found), (0, 0)))
    return LinearStart(kind, encoder, decoder, criteria or {})


def _factor_start(start, rows, weight, n_factors, seed):
    r"""Return the start from factor analysis in its canonical axes.

    In these axes :math:`W^T \Psi^{-1} W` is diagonal, and so is the covariance of the
    posterior: those of the bound of a model whose posterior has independent components.
    Of more than 300 features, principal directions take the place of factors.
    """
    if not n_factors or rows.shape[1] > MAX_FACTOR_FEATURES:
        return replace(start, kind="varimax")
    sample = _factor_sample(rows, weight, seed)
    encoder, decoder = _factor_maps(sample, n_factors)
    return _padded("varimax", encoder, decoder, len(start.decoder))


def _factor_sample(rows, weight, seed):
    """Return the samples to which factor analysis is fitted, in double precision."""
    rng = np.random.RandomState(seed % 2**32)
    return subsample(rows, weight, ICA_ROWS, rng).astype(np.float64)


def _factor_maps(sample, n_factors):
    """Return encoder (p, r) and loadings (r, p) of factor analysis, largest first."""
    model = fit_factor_analysis(sample, n_factors, max_iter=FACTOR_STEPS)
    signal = np.sqrt(model.variances - 1)
    std = np.sqrt(model.noise)[:, None]
    encoder = model.directions * (signal / model.variances) / std
    decoder = std * model.directions * signal
    return encoder[:, ::-1], decoder[:, ::-1].T


def _simple_start(start, rows, weight, n_factors, seed):
    """Return the start from factor analysis where independence leaves rotation open.

    It does where FastICA's components are nearly normal. Where they are not, but the
    factors of varimax are about as far from normal, either columns of few levels must
    be the reason, or loadings must be simpler than random ones. FastICA must be able to
    rotate all factors, so that as many are supported by the number of samples.
    """
    sample = _factor_sample(rows, weight, seed)
    n_rows = min(len(rows), len(sample))
    n_supported = math.isqrt(n_rows // ROWS_PER_SQUARE)
    if not 2 <= n_factors <= n_supported or n_rows < MIN_TEST_ROWS:
        return start
    if rows.shape[1] > MAX_FACTOR_FEATURES:
        return start
    encoder, decoder = _factor_maps(sample, n_factors)
    turn = orthomax(decoder.T)
    sources = non_normality(sample @ start.encoder[:, :n_factors])
    factors = non_normality(sample @ encoder @ turn)
    criteria = {
        "ica_non_normality": float(np.median(sources)),
        "negentropy_ratio": float(np.square(factors).sum() / np.square(sources).sum()),
    }
    is_open = are_nearly_normal(sources)
    if not is_open and are_as_independent(factors, sources):
        found = criteria["ica_non_normality"]
        if found < MAX_NON_NORMALITY_OF_ITEMS:
            with _scikit_learn:
                effect = level_effect(sample, n_factors, _ica_rotation, seed)
            if effect:
                criteria["level_effect"] = effect
            is_open = found - effect < NEARLY_NORMAL_ITEMS
        if not is_open:
            rng = np.random.RandomState(seed % 2**32)
            criteria["simplicity_z"] = simplicity_z(decoder.T, rng)
            is_open = criteria["simplicity_z"] >= SIMPLE_Z
    if not is_open:
        return replace(start, criteria=criteria)
    return _padded("varimax", encoder, decoder, len(start.decoder), criteria)


def has_independent_components(rows, weight, seed):
    """Test whether FastICA's components of the samples are independent.

    This is the test of ``init="auto"``, applied to the first ten principal directions,
    for models without a linear path. At most 3,000 samples are used, drawn by weight
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
    axes = _rotated_axes("auto", rows, weight, N_TEST_COMPONENTS, MAX_TEST_ROWS, seed)
    return axes.kind == "ica"


def _rotated_axes(kind, rows, weight, n_axes, n_max, seed, n_kept=None):
    """Return the axes of a sample of the rows."""
    rng = np.random.RandomState(seed % 2**32)
    sample = subsample(rows, weight, n_max, rng)
    axes = _axes_of_large_table if sample.size > MAX_COPIED else _axes_of_table
    n_rows = min(len(rows), len(sample))  # draws can repeat a sample
    with _scikit_learn:
        directions, spread, white = axes(sample, n_axes, rng, n_kept)
        n_leading = max(1, math.isqrt(n_rows // ROWS_PER_SQUARE))
        leading = white[:, :n_leading]
        kind, rotation, area = _choose_rotation(kind, leading, len(spread), rng)
    return Axes(kind, directions, spread, rotation, leading, area)


def _axes_of_table(sample, n_components, rng, n_kept):
    """Return directions (r, p), their scale (r,), and white scores (n, r)."""
    sample = sample.astype(np.float64)
    directions, spread = _principal_axes(sample, n_components, rng, n_kept)
    white = (sample - sample.mean(axis=0)) @ (directions / spread[:, None]).T
    return directions, spread, white


def _principal_axes(sample, n_components, rng, n_kept):
    """Return the retained principal directions, (r, p), and their scale, (r,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        average = sample.var(axis=0).mean()
    if not MIN_VARIANCE < average < np.inf:  # constant, or squares overflow
        return np.zeros((0, sample.shape[1])), np.zeros(0)
    pca = PCA(min(n_components, *sample.shape), random_state=rng).fit(sample)
    retained = _are_retained(pca.explained_variance_, average, n_kept)
    return pca.components_[retained], np.sqrt(pca.explained_variance_[retained])


def _are_retained(variance, average, n_kept):
    """Return which principal directions are used, of so much variance, (r,).

    Kaiser's rule: a direction is retained if it has more variance than an average
    feature. Whitening the others would present their noise to ICA as sources.
    """
    if n_kept is None:
        return variance > (1 - 1e-9) * average
    return (np.arange(len(variance)) < n_kept) & (variance > MIN_VARIANCE)


def _axes_of_large_table(sample, n_components, rng, n_kept):
    """Return the same as :func:`_axes_of_table` without a copy of the sample.

    The randomised algorithm of Halko, Martinsson & Tropp (2011), "Finding structure
    with randomness", in the precision of the sample.
    """
    table = _Centred(sample)
    average = table.average_variance()
    if not 0 < average < np.inf:
        return np.zeros((0, sample.shape[1])), np.zeros(0), np.zeros((len(sample), 0))
    width = min(n_components + OVERSAMPLING, *sample.shape)
    basis = rng.normal(size=(sample.shape[1], width))
    for _ in range(POWER_STEPS):
        scores = np.linalg.qr(table @ basis)[0]
        basis = np.linalg.qr(table.transposed_product(scores))[0]
    scores = np.linalg.qr(table @ basis)[0]
    _, values, directions = np.linalg.svd(
        table.transposed_product(scores).T, full_matrices=False
    )
    variance = values[:n_components] ** 2 / (len(sample) - 1)
    retained = _are_retained(variance, average, n_kept)
    directions = directions[:n_components][retained]
    spread = np.sqrt(variance[retained])
    return directions, spread, table @ (directions / spread[:, None]).T


class _Centred:
    """Products with a table around the means of its columns, without a copy of it."""

    def __init__(self, sample):
        self.sample, self.mean = sample, sample.mean(axis=0, dtype=np.float64)

    @np.errstate(over="ignore", invalid="ignore")
    def average_variance(self):
        """Return the mean variance of the columns."""
        squares = sum(float(np.vdot(row, row)) for row in self.sample)
        return squares / self.sample.size - np.mean(self.mean**2)

    def __matmul__(self, matrix):
        """Return the product with a matrix (p, w), (n, w), in float64."""
        product = self.sample @ matrix.astype(self.sample.dtype)
        return product.astype(np.float64) - self.mean @ matrix

    def transposed_product(self, matrix):
        """Return the product of the transposed table with a matrix (n, w), (p, w)."""
        product = self.sample.T @ matrix.astype(self.sample.dtype)
        return product.astype(np.float64) - np.outer(self.mean, matrix.sum(axis=0))


def _choose_rotation(kind, leading, n_scores, rng):
    """Return the method, its rotation of PCA's scores, and the area of the test.

    FastICA rotates as many of the first scores as the number of samples allows: with
    too few samples it finds directions that are non-normal by chance. The other scores
    remain PCA's.
    """
    rotation, area = np.eye(n_scores), math.nan
    if kind == "pca" or n_scores < 2:
        return ("ica" if kind == "auto" else kind), rotation, area
    n_leading = leading.shape[1]
    turn = _ica_rotation(leading, rng) if n_leading > 1 else np.eye(1)
    if kind == "auto":
        area = independence_area(leading @ turn.T, rng)
        if area >= INDEPENDENT_AUC:
            return "pca", rotation, area
    rotation[:n_leading, :n_leading] = turn
    return "ica", rotation, area


def _ica_rotation(scores, rng):
    """Return the orthogonal matrix that rotates white scores to FastICA's sources.

    FastICA converges to one of several optima, or not at all. Of several runs of the
    deflation and the parallel algorithm, the one with the largest negentropy is used.
    """
    found = [run(scores, rng) for run in (_parallel_ica, _deflation_ica) * RUNS]
    return max(found, key=lambda rotation: negentropy(scores @ rotation.T))


def _parallel_ica(scores, rng):
    return ica_rotation(scores, rng, tol=ICA_TOLERANCE)


def _deflation_ica(scores, rng):
    """Return the rotation by scikit-learn, which does not warn with this algorithm."""
    ica = FastICA(
        algorithm="deflation", whiten=False, tol=ICA_TOLERANCE, random_state=rng
    )
    return ica.fit(scores).components_


def negentropy(sources):
    r"""Compute the approximate negentropy of white sources, up to a factor.

    .. math:: \sum_j (\mathbb{E}[\log\cosh s_j] - \mathbb{E}[\log\cosh\nu])^2

    for a standard normal variable nu (Hyvarinen & Oja 2000, "Independent component
    analysis: algorithms and applications", Eq. 25).
    """
    means = np.log(np.cosh(sources)).mean(axis=0)
    return ((means - NORMAL_LOG_COSH) ** 2).sum()


def independence_area(components, rng):
    """Test how well a classifier separates samples from shuffled ones.

    Samples near a curve in fewer dimensions than there are components leave most of the
    space empty; samples with independently shuffled columns do not.

    Parameters
    ----------
    components : ndarray of shape (n, r)
    rng : RandomState

    Returns
    -------
    float
        Area under the ROC curve, chance level .5; NaN with fewer than 200 samples,
        whose components count as independent.
    """
    components = np.unique(components, axis=0)  # repeated draws would be recognised
    if len(components) < MIN_TEST_ROWS:
        return math.nan
    return shuffling_auc(components, rng)


def shuffling_auc(components, rng):
    """Compute the area under the ROC curve of such a classifier, chance level .5.

    It is trained on one half of the samples and evaluated on the other.
    """
    halves = np.array_split(rng.permutation(len(components))[:MAX_TEST_ROWS], 2)
    halves = [_beside_shuffled(components[half], rng) for half in halves]
    seeds = [rng.randint(np.iinfo(np.int32).max) for _ in range(N_TREES)]
    (rows, is_row), (others, is_other) = halves
    trees = (
        ExtraTreeClassifier(
            min_samples_leaf=3, max_features="sqrt", random_state=seed
        ).fit(rows, is_row, check_input=False)
        for seed in seeds
    )
    votes = sum(tree.predict_proba(others, check_input=False)[:, 1] for tree in trees)
    return area_under_curve(votes[is_other == 1], votes[is_other == 0])


def area_under_curve(positive, negative):
    """Compute the probability that a positive score is larger; ties count one half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def _beside_shuffled(rows, rng):
    """Return samples followed by shuffled ones, and an indicator of the former.

    Their types are those in which scikit-learn's trees take them.
    """
    shuffled = np.column_stack([rng.permutation(column) for column in rows.T])
    stacked = np.vstack([rows, shuffled]).astype(np.float32)
    return stacked, np.repeat([1.0, 0.0], len(rows))

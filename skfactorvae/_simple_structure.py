"""Rotation of factors to simple structure, and tests of when to rotate.

Axes: ``n`` samples, ``p`` features, ``r`` sources, ``d`` components.
"""

from __future__ import annotations

import math

import numpy as np

NORMAL_LOG_COSH = 0.3745672075
"""Expectation of log cosh of a standard normal variable."""

VARIMAX_STEPS, VARIMAX_TOLERANCE = 300, 1e-7
"""Steps of a rotation, at most, and the relative rise of its criterion of the last."""

COMPARED_TOLERANCE = 1e-5
"""That rise where only the simplicity of loadings is compared."""

N_NULL = 50
"""Random loadings with which loadings are compared."""

MAX_NULL_FEATURES = 200
"""Features whose loadings are compared with random ones, at most."""

SIMPLE_Z = 2.0
"""Standard deviations above that of random loadings at which a structure is simple."""

NEARLY_NORMAL = 0.015
"""Median non-normality of FastICA's sources below which they are nearly normal. It is
.019 to .038 for the sources of the simulated mixtures, and .011 for a questionnaire:
see the page on defaults."""

MAX_NON_NORMALITY_OF_ITEMS, NEARLY_NORMAL_ITEMS = 0.02, 0.012
"""The same for tables with columns of few levels, and less what their levels cause: it
is .001 to .011 for items made of normal factors, and .009 for right-wrong items of four
kinds."""

AS_INDEPENDENT = 0.8
"""Share of the negentropy of FastICA's sources from which rotated factors count as
equally far from normal."""


def orthomax(loadings, weight=1.0, tol=VARIMAX_TOLERANCE):
    r"""Compute the orthogonal matrix that rotates loadings to simple structure.

    It maximises, with rows scaled to norm one (Kaiser's normalisation),

    .. math:: \sum_j \Big[\sum_i b_{ij}^4
        - \frac{w}{p} \Big(\sum_i b_{ij}^2\Big)^2\Big], \quad B = L R

    Parameters
    ----------
    loadings : ndarray of shape (p, d)
        L.
    weight : float, default=1.0
        w: one gives varimax, zero quartimax.
    tol : float, default=1e-7
        Relative rise of the criterion of the last step.

    Returns
    -------
    ndarray of shape (d, d)
        R. Rotated loadings are ``loadings @ rotation``, and so are codes.

    References
    ----------
    Kaiser (1958), "The varimax criterion for analytic rotation in factor analysis";
    Harman (1976), "Modern factor analysis", Section 13.4.
    """
    norms = np.linalg.norm(loadings, axis=1, keepdims=True)
    unit = loadings / np.where(norms > 0, norms, 1.0)
    rotation, last = np.eye(loadings.shape[1]), 0.0
    for _ in range(VARIMAX_STEPS):
        rotated = unit @ rotation
        gradient = rotated**3 - weight * rotated * np.square(rotated).mean(axis=0)
        left, values, right = np.linalg.svd(unit.T @ gradient)
        rotation = left @ right
        if values.sum() <= last * (1 + tol):
            break
        last = values.sum()
    return rotation


def simplicity(squares):
    r"""Compute Kaiser's index of factorial simplicity of squared loadings.

    .. math:: \sqrt{\frac{\sum_i [d \sum_j s_{ij}^2 - (\sum_j s_{ij})^2]}
        {\sum_i (d - 1) (\sum_j s_{ij})^2}}

    Parameters
    ----------
    squares : ndarray of shape (p, d)
        Squared loadings, or the share of each feature's variance that each component
        accounts for, >= 0.

    Returns
    -------
    float
        In [0, 1]: one if each feature depends on one component, zero if all depend on
        all components equally; NaN with fewer than two components or without loadings.

    References
    ----------
    Kaiser (1974), "An index of factorial simplicity", Psychometrika 39.
    """
    n_components = squares.shape[1]
    total = np.square(squares.sum(axis=1)).sum()
    if n_components < 2 or not total > 0:
        return math.nan
    excess = n_components * np.square(squares).sum() - total
    return math.sqrt(max(0.0, excess / ((n_components - 1) * total)))


def simplicity_z(loadings, rng):
    """Compare the simplicity of loadings with that of random ones.

    The random loadings have the communalities of the features, and directions drawn
    from a normal distribution with the second moments of the directions; both are
    rotated by varimax. A table without simple structure thus has a value near zero,
    even if most features depend on one general factor. Of more than 200 features, a
    random subset is taken.

    Parameters
    ----------
    loadings : ndarray of shape (p, d)
    rng : RandomState

    Returns
    -------
    float
        Difference from the mean of the random ones, in their standard deviations; NaN
        with fewer than two components.
    """
    n_features, n_components = loadings.shape
    if n_components < 2:
        return math.nan
    chosen = rng.permutation(n_features)[:MAX_NULL_FEATURES]
    found = loadings[chosen]
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    unit = found / np.where(norms > 0, norms, 1.0)
    values, vectors = np.linalg.eigh(unit.T @ unit)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    null = []
    for _ in range(N_NULL):
        drawn = rng.normal(size=found.shape) @ root.T
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        null.append(rotated_simplicity(drawn * norms))
    spread = np.std(null)
    distance = rotated_simplicity(found) - np.mean(null)
    return float(distance / spread) if spread > 0 else math.nan


def rotated_simplicity(loadings):
    """Compute the simplicity of loadings after their rotation by varimax."""
    rotation = orthomax(loadings, tol=COMPARED_TOLERANCE)
    return simplicity(np.square(loadings @ rotation))


def non_normality(sources):
    r"""Compute how far sources are from normal, (r,), >= 0.

    .. math:: |\mathbb{E}[\log\cosh s] - \mathbb{E}[\log\cosh\nu]|

    for sources s of mean zero and variance one, and a standard normal variable nu. The
    sum of squares over sources is the approximate negentropy of Hyvarinen & Oja (2000),
    "Independent component analysis: algorithms and applications", Eq. 25.

    Parameters
    ----------
    sources : ndarray of shape (n, r)
        They are standardised here.
    """
    centred = sources - sources.mean(axis=0)
    std = centred.std(axis=0)
    unit = centred / np.where(std > 0, std, 1.0)
    return np.abs(np.log(np.cosh(unit)).mean(axis=0) - NORMAL_LOG_COSH)


def are_nearly_normal(sources):
    """Test whether FastICA's sources are nearly normal.

    Any rotation of independent normal variables is independent: that of FastICA is then
    one of chance.

    Parameters
    ----------
    sources : ndarray of shape (r,)
        Non-normality of the sources, by :func:`non_normality`.

    Returns
    -------
    bool
    """
    return bool(np.median(sources) < NEARLY_NORMAL)


def are_as_independent(factors, sources):
    """Test whether rotated factors are about as far from normal as FastICA's sources.

    Parameters
    ----------
    factors, sources : ndarray of shape (r,)
        Non-normality of the factors after their rotation by varimax, and of the
        sources.

    Returns
    -------
    bool
    """
    least = AS_INDEPENDENT * np.square(sources).sum()
    return bool(np.square(factors).sum() >= least)

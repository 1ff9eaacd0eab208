"""FastICA and factor analysis, which report convergence in no warning.

scikit-learn's warn where the last step was still large, which is of no interest where
one of several runs is chosen, or a score is compared. Such a warning cannot be ignored
safely: the filters of warnings belong to the whole process, and other threads change
them at the same time.

Axes: ``n`` samples, ``p`` features, ``r`` sources, ``d`` components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

ICA_STEPS = 200
"""Steps of FastICA, at most."""

LEAST_NOISE = 1e-12
"""Noise variance of a feature in factor analysis, at least."""


def ica_rotation(scores, rng, *, tol, max_iter=ICA_STEPS):
    r"""Compute the orthogonal matrix that rotates white scores to FastICA's sources.

    The parallel algorithm with the contrast function log cosh, as in scikit-learn.

    .. math:: B \leftarrow (A A^T)^{-1/2} A, \quad
        A = \mathbb{E}[\tanh(B x)\, x^T] - \mathbb{E}[1 - \tanh^2(B x)]\, B

    Parameters
    ----------
    scores : ndarray of shape (n, r)
        Uncorrelated columns of variance one.
    rng : RandomState
        Draws the first matrix.
    tol : float
        Change of the direction of a source, one minus the cosine, of the last step.
    max_iter : int, default=200
        Steps, at most.

    Returns
    -------
    ndarray of shape (r, r)
        Sources are ``scores @ rotation.T``.

    References
    ----------
    Hyvarinen & Oja (2000), "Independent component analysis: algorithms and
    applications", Section 6.
    """
    n_rows, width = scores.shape
    rotation = _orthogonalized(rng.normal(size=(width, width)))
    for _ in range(max_iter):
        tanh = np.tanh(np.dot(rotation, scores.T))
        slope = (1 - tanh**2).mean(axis=1)
        before = rotation
        rotation = _orthogonalized(
            np.dot(tanh, scores) / n_rows - slope[:, None] * before
        )
        cosines = np.einsum("ij,ij->i", rotation, before)
        if np.abs(np.abs(cosines) - 1).max() < tol:
            break
    return rotation


def _orthogonalized(matrix):
    """Return the orthogonal matrix that is nearest to a square one."""
    values, vectors = linalg.eigh(np.dot(matrix, matrix.T))
    values = np.maximum(values, np.finfo(np.float64).tiny)
    return np.linalg.multi_dot([vectors * (1.0 / np.sqrt(values)), vectors.T, matrix])


@dataclass(frozen=True)
class FactorModel:
    r"""Normal distribution of factor analysis.

    .. math:: \Sigma = \Psi^{1/2} (I + V (\Lambda - I) V^T) \Psi^{1/2}

    Attributes
    ----------
    mean : ndarray of shape (p,)
    noise : ndarray of shape (p,)
        Noise variances, the diagonal of Psi.
    directions : ndarray of shape (p, d)
        Orthonormal directions, V, of features in units of the noise.
    variances : ndarray of shape (d,)
        Variances in these directions, at least one.
    """

    mean: np.ndarray
    noise: np.ndarray
    directions: np.ndarray
    variances: np.ndarray

    def score_samples(self, rows):
        """Compute the log-density of each row in nats, (n,)."""
        units = (rows - self.mean) / np.sqrt(self.noise)
        inside = np.square(units @ self.directions) @ (1 - 1 / self.variances)
        log_determinant = np.log(self.noise).sum() + np.log(self.variances).sum()
        constant = len(self.mean) * math.log(2 * math.pi) + log_determinant
        return -0.5 * (constant + np.square(units).sum(axis=1) - inside)


def fit_factor_analysis(sample, n_components, *, tol=1e-2, max_iter=1000):
    """Fit factor analysis by alternating between loadings and noise variances.

    The loadings that maximise the likelihood for given noise variances are principal
    directions of the features in units of the noise.

    Parameters
    ----------
    sample : ndarray of shape (n, p)
    n_components : int
        d.
    tol : float, default=1e-2
        Rise of the log-likelihood of the sample, nats, of the last step.
    max_iter : int, default=1000
        Steps, at most.

    Returns
    -------
    FactorModel

    References
    ----------
    Barber (2012), "Bayesian Reasoning and Machine Learning", Algorithm 21.1.
    """
    n_rows, n_features = sample.shape
    mean = sample.mean(axis=0)
    centred = sample - mean
    covariance = centred.T @ centred / n_rows
    total = np.diag(covariance)
    noise, last = np.ones(n_features), -np.inf
    for _ in range(max_iter):
        std = np.sqrt(noise)
        explained, directions = linalg.eigh(
            covariance / std / std[:, None],
            subset_by_index=[n_features - n_components, n_features - 1],
        )
        variances = np.maximum(explained, 1.0)
        model = FactorModel(mean, noise, directions, variances)
        residual = (total / noise).sum() - explained.sum()
        terms = np.log(variances) + explained / variances
        log_likelihood = -0.5 * n_rows * (residual + terms.sum() + np.log(noise).sum())
        if log_likelihood - last < tol:
            break
        last = log_likelihood
        loadings = std[:, None] * directions * np.sqrt(variances - 1)
        noise = np.maximum(total - np.square(loadings).sum(axis=1), LEAST_NOISE)
    return model

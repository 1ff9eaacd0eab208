"""Rotation of the components of a fitted estimator."""

from __future__ import annotations

from copy import copy

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import core
from ._base import active_components

MAX_ERROR = 1e-5
"""Difference of a matrix times its transpose from the identity, at most."""


def rotate_components(estimator, rotation, X):
    """Rotate the components of a fitted estimator.

    Score, samples and imputed values stay as they are, to rounding: a standard normal
    prior is the same in all axes. The posterior has a covariance between components
    then, of which ``posterior`` returns the diagonal. Codes are ``codes @ rotation``,
    ordered by information, with the sign of the feature that a component correlates
    most with.

    Parameters
    ----------
    estimator : BaseLatentTransformer
        Fitted; it is not changed.
    rotation : array-like of shape (n_components, n_components)
        Orthogonal matrix.
    X : array-like of shape (n_samples, n_features)
        Samples over which the information in components is averaged, preferably those
        of the fit.

    Returns
    -------
    rotated : BaseLatentTransformer
        A fitted copy. Its ``rotation_`` is the product with a rotation that the
        estimator may have had.

    Raises
    ------
    ValueError
        If the matrix is not orthogonal, or components cannot be rotated: they belong to
        groups or attributes, or the prior or the posterior are those of an adversarial
        model.
    """
    check_is_fitted(estimator)
    plain = estimator._unrotated()
    spec = plain._spec
    rotation = _checked_rotation(rotation, spec)
    if estimator.rotation_ is not None:
        rotation = estimator.rotation_.astype(np.float64) @ rotation
    rows = plain._standardized(X)
    job = core.Job(
        network=plain._network_for(rows),
        likelihood=plain._likelihood,
        objective=plain._objective(),
        rows=rows,
        row_weights=np.ones(len(rows)),
        seed=0,
    )
    weights, kl, variance = core.rotate_latents(
        job, plain.weights_, rotation, plain._device
    )
    rotated = copy(estimator)
    rotated.weights_, rotated.kl_per_component_ = weights, kl
    rotated.active_components_ = active_components(spec, kl, variance, len(rows))
    rotated._model_spec = dict(vars(spec.rotated()))
    return rotated


def _checked_rotation(rotation, spec):
    """Return the matrix in double precision, if the model can be rotated by it."""
    if not spec.can_rotate:
        raise ValueError(
            "The components of this model cannot be rotated: they belong to groups or "
            "attributes, or their prior or posterior are those of an adversarial model."
        )
    matrix = np.asarray(rotation, dtype=np.float64)
    d = spec.n_components
    if matrix.shape != (d, d):
        raise ValueError(
            f"rotation has shape {matrix.shape}; expected ({d}, {d}), one row and one "
            "column for each component."
        )
    error = np.abs(matrix.T @ matrix - np.eye(d)).max()
    if not error < MAX_ERROR:
        raise ValueError(
            f"rotation is not orthogonal: rotation.T @ rotation differs from the "
            f"identity by {error:.2g}. Pass an orthogonal matrix, such as Q of numpy's "
            "linalg.qr."
        )
    return matrix

"""Rotation of the components of a fitted estimator."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import core
from .._joint_diagonalisation import best_rotation, read_auxiliary
from ._active_components import active_components
from ._explained_variance import explained_variance_ratio

MAX_ERROR = 1e-5
"""Difference of a matrix times its transpose from the identity, at most."""


SHOWN_ROWS = 500
"""Samples that ``explained_variance_ratio_`` is computed from, at most."""

ROTATED_KL = 0.05
"""KL divergence above which a component is rotated, nats; others stay as they are."""


class RotationMixin:
    """Estimator whose components can be rotated after a fit."""

    _unrotated: Callable[[], Any]
    posterior: Callable[..., Any]
    kl_per_component_: np.ndarray
    rotation_: Any

    def rotate(
        self,
        X,
        aux,
        *,
        kind="auto",
        lags=(1, 2, 3, 5, 8, 12, 20),
        n_permutations=200,
        random_state=0,
    ):
        r"""Rotate components such that they are uncorrelated under all conditions.

        The orthogonal matrix R minimises Pham's criterion over the covariances of codes
        drawn from the posterior within conditions, :math:`C_k = R^T (\operatorname{cov}
        \mu + \overline{\Sigma}) R`:

        .. math:: \sum_k w_k \bigl[\sum_i \log (C_k)_{ii} - \log|C_k|\bigr]

        It is unique if for any two components the ratio of their standard deviations
        changes with the condition; see :func:`skfactorvae.identification.align_codes`.
        Scores, samples and imputed values stay as they are, to rounding: a standard
        normal prior is the same in all axes. ``posterior`` returns the diagonal of a
        covariance. Components are ordered by information. Inactive ones are not
        rotated.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, preferably those of the fit.
        aux : array-like or frame of shape (n_samples,) or (n_samples, n_columns)
            Condition of each sample, such as a site, an instrument or a dose group; NaN
            where it is unknown. Combinations of several columns are conditions.
            Continuous columns are cut into at most 20 conditions of equally many
            samples. Or the time of each sample.
        kind : {"auto", "conditions", "time"}, default="auto"
            Whether aux holds conditions or times; ``"auto"`` takes one column of dates
            or durations as time, and all else as conditions. Times give an order of the
            samples, and lagged covariances take the place of those within conditions.
        lags : sequence of int, default=(1, 2, 3, 5, 8, 12, 20)
            Lags in samples, for an order in time.
        n_permutations : int, default=200
            Permutations of aux that the covariances are compared with; at least 99.
        random_state : int, RandomState instance or None, default=0
            Seed of the permutations.

        Returns
        -------
        rotated : object
            A fitted copy with ``separation_``, and with ``rotation_`` and all results
            of the rotated components; this estimator is not changed. Names of
            components are removed.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If aux is of another length, has one condition or one of too few samples; if
            conditions do not differ in the shape of their covariances (p > 0.01); if
            fewer than two components are active; or if components cannot be rotated:
            they belong to groups or attributes, or the prior or the posterior are those
            of an adversarial model.

        Warns
        -----
        UserWarning
            If some of the components are not separated from others.
        """
        check_is_fitted(self)
        plain = self._unrotated()
        check_can_rotate(plain._spec)
        mean, std = plain.posterior(X)
        auxiliary = read_auxiliary(aux, len(mean), kind, lags)
        chosen = self._rotated_latents()
        if len(chosen) < 2:
            raise ValueError(
                f"{len(chosen)} component of the model is active, with more than "
                f"{ROTATED_KL} nats; expected at least two. There is nothing to rotate."
            )
        matrix, separation = best_rotation(
            mean[:, chosen].astype(np.float64),
            auxiliary,
            np.square(std[:, chosen].astype(np.float64)),
            n_permutations=n_permutations,
            random_state=random_state,
        )
        d = len(self.kl_per_component_)
        rotation = np.eye(d)
        rotation[np.ix_(chosen, chosen)] = matrix.T
        of_latents = np.full(d, np.nan)
        of_latents[chosen] = separation.by_component
        back = np.eye(d) if self.rotation_ is None else self.rotation_.T
        rotated = rotate_components(self, back @ rotation, X)
        origin = np.abs(rotation.T @ rotated.rotation_).argmax(axis=0)  # (d,)
        rotated.separation_ = of_latents[origin]
        return rotated

    def _rotated_latents(self):
        """Return the latents that active components are made of, as indices."""
        is_active = self.kl_per_component_ > ROTATED_KL
        if self.rotation_ is None:
            return np.flatnonzero(is_active)
        return np.flatnonzero((self.rotation_[:, is_active] != 0).any(axis=1))


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
    rotated._model_spec = spec.rotated().to_state()
    # Names and separation are of other components, and a stream that goes on begins
    # from the rotated model.
    for name in ("_component_names", "separation_", "_stream"):
        rotated.__dict__.pop(name, None)
    shown = rows[:SHOWN_ROWS]
    rotated.explained_variance_ratio_ = explained_variance_ratio(
        rotated._decoded,
        rotated._encoded(shown)[0],
        core.split_errors(shown, spec.n_features)[0],
        np.ones(len(shown)),
    )
    return rotated


def check_can_rotate(spec):
    """Raise if the components of a model are distinct.

    Parameters
    ----------
    spec : ModelSpec

    Raises
    ------
    ValueError
    """
    if not spec.can_rotate:
        raise ValueError(
            "The components of this model cannot be rotated: they belong to groups or "
            "attributes, conditions or pairs identify them, or their prior or "
            "posterior are those of an adversarial model."
        )


def _checked_rotation(rotation, spec):
    """Return the matrix in double precision, if the model can be rotated by it."""
    check_can_rotate(spec)
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

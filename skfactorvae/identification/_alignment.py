"""Rotation of codes to components that are uncorrelated under all conditions.

Axes: ``n`` samples, ``K`` conditions, ``d`` components.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from .._joint_diagonalisation import (
    LAGS,
    best_rotation,
    diagonalise,
    read_auxiliary,
    rotate_to_diagonal,
    spreads_of,
)


def align_codes(
    Z: Any,
    aux: Any,
    *,
    kind: str = "auto",
    lags: Any = LAGS,
    orthogonal: bool = False,
    n_permutations: int = 200,
    random_state: Any = 0,
) -> Bunch:
    r"""Find the components of codes that are uncorrelated under all conditions.

    The matrix minimises Pham's criterion over the covariances C_k within conditions

    .. math:: \sum_k w_k \bigl[\sum_i \log (W C_k W^T)_{ii} - \log|W C_k W^T|\bigr]

    For components that are independent under each condition, it is unique up to order,
    sign and scale if for any two of them the ratio of their standard deviations changes
    with the condition (Pham & Cardoso 2001). Changes of means identify nothing here.
    For an order in time, matrices are C_0 + C_tau and C_0 - C_tau for lagged
    covariances C_tau, and the ratio of autocorrelations takes the place of that of
    spreads, as in SOBI (Belouchrani et al. 1997).

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes of a model, principal components, or any columns whose linear
        combinations are searched.
    aux : array-like or frame of shape (n_samples,) or (n_samples, n_columns)
        Condition of each sample, such as a site, an instrument or a dose group; NaN
        where it is unknown. Combinations of several columns are conditions. Continuous
        columns are cut into at most 20 conditions of equally many samples.
    kind : {"auto", "conditions", "time"}, default="auto"
        Whether aux holds conditions, or the time of each sample; ``"auto"`` takes one
        column of dates or durations as time, and all else as conditions.
    lags : sequence of int, default=(1, 2, 3, 5, 8, 12, 20)
        Lags of an order in time, in samples.
    orthogonal : bool, default=False
        Whether the matrix is a rotation, for columns whose covariance is near the
        identity, as that of the codes of a model is. Otherwise it is any matrix, and
        components have a mean variance of one within conditions.
    n_permutations : int, default=200
        Permutations of aux, for the test and for ``chance``; at least 99.
    random_state : int, RandomState instance or None, default=0
        Seed of the permutations.

    Returns
    -------
    Bunch
        ``codes``, of shape (n_samples, n_components): ``(Z - mean) @ matrix``, in
        descending order of separation; ``matrix``, of shape (n_components,
        n_components); ``mean``, of shape (n_components,); ``separation``, of shape
        (n_components,): how far the ratio of a component's spread to that of the
        nearest other one changes, the standard deviation over conditions of its
        logarithm, >= 0; ``chance``: the separation that components exceed in one of a
        hundred permutations of aux; ``p_value``: the share of the permutations under
        which covariances differ as much; ``conditions``: names of the conditions or
        lags; ``spreads``, of shape (n_conditions, n_components): standard deviation of
        each component under each condition.

    Raises
    ------
    ValueError
        If Z or aux cannot be used, a component is constant under a condition, or
        conditions do not differ in the shape of the covariances (p > 0.01).

    Warns
    -----
    UserWarning
        If some of the components are not separated from others.

    References
    ----------
    Pham, D.-T. & Cardoso, J.-F. (2001). "Blind separation of instantaneous mixtures of
    nonstationary sources." IEEE Trans. Signal Process. 49, Section III; Belouchrani, A.
    et al. (1997). "A blind source separation technique using second-order statistics."
    IEEE Trans. Signal Process. 45.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.identification import align_codes
    >>> from skfactorvae.metrics import mean_correlation_score
    >>> rng = np.random.RandomState(0)
    >>> site = np.repeat(np.arange(10), 100)
    >>> sources = rng.normal(size=(1000, 2)) * rng.uniform(0.2, 2, (10, 2))[site]
    >>> Z = sources @ [[1, 0.5], [-0.5, 1]]
    >>> aligned = align_codes(Z, site)
    >>> bool(mean_correlation_score(sources, aligned.codes) > 0.99)
    True
    """
    values = _checked_codes(Z)
    auxiliary = read_auxiliary(aux, len(values), kind, lags)
    find = rotate_to_diagonal if orthogonal else diagonalise
    matrix, separation = best_rotation(
        values, auxiliary, None, find, n_permutations, random_state
    )
    mean = values.mean(axis=0)
    order = np.argsort(-separation.by_component, kind="stable")
    matrix = matrix[order]
    strongest = np.abs(matrix).argmax(axis=1)
    matrix = matrix * np.sign(matrix[np.arange(len(matrix)), strongest])[:, None]
    covariances = auxiliary.covariances(auxiliary.centred(values))
    return Bunch(
        codes=(values - mean) @ matrix.T,
        matrix=matrix.T,
        mean=mean,
        separation=separation.by_component[order],
        chance=separation.chance,
        p_value=separation.p_value,
        conditions=auxiliary.labels,
        spreads=spreads_of(covariances, matrix),
    )


def _checked_codes(Z):
    values = np.asarray(Z, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(
            f"Z must have shape (n_samples, n_components) with at least two "
            f"components; got shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "Z contains NaN or infinity; expected finite numbers. Impute missing "
            "values, or leave these samples out."
        )
    spread = values.std(axis=0)
    if not (spread > 0).all() or np.linalg.matrix_rank(values - values.mean(0)) < len(
        spread
    ):
        raise ValueError(
            "Columns of Z are constant or linearly dependent; expected components of "
            "which none is a combination of others. Pass principal components."
        )
    return values

"""Share of the variance that each component adds to the components before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def explained_variance_ratio(
    decode: Callable[[np.ndarray], np.ndarray],
    codes: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    r"""Return the share of the variance that each component adds, (d,).

    .. math:: R^2_{0..j} - R^2_{0..j-1}, \qquad
              R^2_{0..j} = 1 - \frac{\sum_i \|x_i - f(z_{i,0..j}, \bar z_{j+1..})\|^2}
              {\sum_i \|x_i - \bar x\|^2}

    with the decoder f, and all later components at their means. Shares add up to the
    share that the reconstruction explains. For a linear decoder of uncorrelated codes
    they are those of PCA; for others one can be negative, and depends on the order.

    Parameters
    ----------
    decode : callable (n, d) -> (n, p)
    codes : ndarray of shape (n, d)
    rows : ndarray of shape (n, p)
        Samples in the units of the decoder; NaN where missing, which is left out.
    weights : ndarray of shape (n,)
    """
    observed = ~np.isnan(rows)
    each = weights[:, None] * observed  # (n, p)
    values = np.where(observed, rows, 0.0)
    mean = (each * values).sum(axis=0) / np.maximum(each.sum(axis=0), 1e-300)
    total = (each * np.square(values - mean)).sum()
    if not total > 0:
        return np.zeros(codes.shape[1])
    varied = np.tile(np.average(codes, axis=0, weights=weights), (len(codes), 1))
    explained = [0.0]
    for j in range(codes.shape[1]):
        varied[:, j] = codes[:, j]
        residual = np.where(observed, values - decode(varied), 0.0)
        explained.append(1 - (each * np.square(residual)).sum() / total)
    return np.diff(explained)

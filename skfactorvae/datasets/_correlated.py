"""Factors that depend on each other, with the values that they had."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.utils import check_array, check_random_state


def correlate_factors(
    factors: Any,
    columns: Sequence[int] = (0, 1),
    correlation: float = 0.6,
    random_state: Any = None,
) -> np.ndarray:
    r"""Return factors with values rearranged so that some of them correlate.

    Each column keeps its values, and so its distribution; they are assigned to other
    samples. The ranks are those of normal variables :math:`u_j` with

    .. math:: \mathrm{corr}(u_i, u_j) = \rho,\quad i \ne j

    (a Gaussian copula). The rank correlation is then about
    :math:`(6 / \pi)\,\arcsin(\rho / 2)`, such as .58 for :math:`\rho = .6`.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors)
        Such as those that a ``make_`` function returns. They are not modified.
    columns : sequence of int, default=(0, 1)
        Columns that correlate with each other, at least two.
    correlation : float, default=0.6
        :math:`\rho`, from -1 / (number of columns - 1) to 1.
    random_state : int, RandomState instance or None, default=None
        Determines which samples get which values.

    Returns
    -------
    ndarray of shape (n_samples, n_factors)
        To be passed to the ``make_`` function as ``factors``.

    Raises
    ------
    ValueError
        If a column does not exist or is named twice, or no such correlation exists.

    References
    ----------
    Iman, R. L. & Conover, W. J. (1982). "A distribution-free approach to inducing rank
    correlation among input variables." Communications in Statistics B 11(3).

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.datasets import correlate_factors, make_gaussian_peaks
    >>> _, factors = make_gaussian_peaks(2000, random_state=0)
    >>> related = correlate_factors(factors, (0, 1), 0.9, random_state=0)
    >>> X, related = make_gaussian_peaks(factors=related, random_state=0)
    >>> bool(np.corrcoef(related[:, 0], related[:, 1])[0, 1] > 0.85)
    True
    """
    values = check_array(factors, input_name="factors")
    chosen = _check_columns(columns, values.shape[1])
    _check_correlation(correlation, len(chosen))
    rng = check_random_state(random_state)
    # (n, c): normal variables, of exactly the correlation that is asked for
    normal = _uncorrelated(rng.standard_normal((len(values), len(chosen))))
    wanted = np.full((len(chosen),) * 2, float(correlation))
    np.fill_diagonal(wanted, 1.0)
    levels, axes = np.linalg.eigh(wanted)
    related = normal @ (axes * np.sqrt(np.maximum(levels, 0.0))).T
    found = values.copy()
    for place, column in enumerate(chosen):
        ranks = rankdata(related[:, place], method="ordinal") - 1
        found[:, column] = np.sort(values[:, column])[ranks]
    return found


def _uncorrelated(normal: np.ndarray) -> np.ndarray:
    """Return normal scores (n, c) whose correlations are zero, if n > c."""
    n = len(normal)
    scores = ndtri(rankdata(normal, axis=0) / (n + 1))
    if n <= normal.shape[1]:
        return scores
    q, r = np.linalg.qr(scores)
    return q * np.sign(np.diag(r)) * np.sqrt(n)


def _check_columns(columns: Any, n_factors: int) -> list[int]:
    """Return the columns, counted from the first one."""
    chosen = list(np.atleast_1d(np.asarray(columns, dtype=object)))
    are_numbers = all(
        isinstance(c, Integral) and not isinstance(c, bool) for c in chosen
    )
    numbers = [int(c) for c in chosen] if are_numbers else []
    places = [c % n_factors for c in numbers if -n_factors <= c < n_factors]
    if len(chosen) < 2 or len(set(places)) < len(chosen):
        raise ValueError(
            f"columns must be at least two different columns of the {n_factors} "
            f"factors; got {columns!r}. Pass their numbers, such as (0, 1)."
        )
    return places


def _check_correlation(correlation: Any, n_columns: int) -> None:
    least = -1 / (n_columns - 1)
    if not least <= correlation <= 1:
        raise ValueError(
            f"correlation must be from {least:g} to 1 for {n_columns} columns; got "
            f"{correlation!r}. Variables with other correlations do not exist."
        )

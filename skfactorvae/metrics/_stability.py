"""Unsupervised disentanglement ranking: comparison of the codes of several fits."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from sklearn.linear_model import Lasso
from sklearn.utils import Bunch

from ._unsupervised import standardized
from ._validation import check_choice, check_codes, check_real, varying


def udr_score(codes, *, kl=None, method="spearman", kl_threshold=0.01, alpha=0.1):
    r"""Compute the unsupervised disentanglement ranking (UDR) of several fits.

    .. math:: \mathrm{UDR}_{ab} = \frac{1}{2} \Bigl(
              \frac{1}{|a|} \sum_{i \in a} \frac{\max_j R_{ij}^2}{\sum_j R_{ij}} +
              \frac{1}{|b|} \sum_{j \in b} \frac{\max_i R_{ij}^2}{\sum_i R_{ij}}\Bigr)

    where :math:`R` is the similarity of the active components of fits a and b, which
    have the same parameters and different seeds. The score of a fit is the median over
    the other fits. It is high if the components of the fits correspond one to one.
    Values for different numbers of components cannot be compared: fewer components
    agree more easily.

    Parameters
    ----------
    codes : sequence of array-like of shape (n_samples, n_codes)
        Codes of at least two fits on the same samples, finite.
    kl : sequence of array-like of shape (n_codes,), default=None
        Mean KL divergence of every component from the prior, per fit, in nats.
        Components at or below `kl_threshold` are left out. None leaves out constant
        components only.
    method : {"spearman", "lasso"}, default="spearman"
        Similarity: absolute rank correlations, or absolute coefficients of lasso fits
        of each component of b on those of a. These are shrunk: equal fits score 0.9.
    kl_threshold : float, default=0.01
        Threshold on `kl`, in nats.
    alpha : float, default=0.1
        Penalty of the lasso.

    Returns
    -------
    scores : ndarray of shape (n_fits,)
        In [0, 1], 1 is best. Pairs in which a fit has no active component count as 0.

    Raises
    ------
    ValueError
        If there are fewer than two fits, the numbers of samples differ, codes are not
        finite, or a parameter is out of range.

    References
    ----------
    Duan, Matthey, Saraiva, Watters, Burgess, Lerchner & Higgins (2020), "Unsupervised
    model selection for variational disentangled representation learning", Eq. 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import udr_score
    >>> z = np.random.default_rng(0).normal(size=(400, 2))
    >>> udr_score([z, -z[:, ::-1]]).round(2)
    array([0.99, 0.99])
    """
    check_choice("method", method, {"spearman", "lasso"})
    check_real("kl_threshold", kl_threshold, 0.0, np.inf)
    check_real("alpha", alpha, 0.0, np.inf, inclusive_low=False)
    fits = _checked_fits(codes)
    masks = _active_masks(fits, kl, kl_threshold)
    prepared = [
        _prepared(fit[:, mask], method) for fit, mask in zip(fits, masks, strict=True)
    ]
    agreement = np.zeros((len(fits), len(fits)))
    for a, left in enumerate(prepared):
        for b, right in enumerate(prepared):
            if a != b:
                agreement[a, b] = _agreement(_strength(left, right, method, alpha))
    others = [np.delete(agreement[:, b], b) for b in range(len(fits))]
    return np.median(others, axis=1)


def match_codes(codes, reference):
    r"""Match the components of one fit with those of another, one to one.

    .. math:: \max_\pi \sum_i |\rho_S(r_i, z_{\pi(i)})|

    over assignments of components to reference components (the Hungarian method on
    rank correlations). Components of two fits have an arbitrary order and sign; the
    match returns both. Principal components can be compared in the same way.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes whose components are matched, finite.
    reference : array-like of shape (n_samples, n_reference)
        Codes of the other fit, on the same samples.

    Returns
    -------
    match : Bunch
        ``order`` : ndarray of int, shape (n_reference,), the component matched with
        each reference component; -1 if there is none.
        ``sign`` : ndarray of shape (n_reference,), 1 or -1; multiplied by it, the
        matched component correlates positively with its reference.
        ``correlation`` : ndarray of shape (n_reference,), absolute rank correlations
        in [0, 1]; 0 without a match, and for constant components.

    Raises
    ------
    ValueError
        If the numbers of samples differ, or codes are not finite.

    References
    ----------
    Kuhn (1955), "The Hungarian method for the assignment problem".

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import match_codes
    >>> z = np.random.default_rng(0).normal(size=(400, 2))
    >>> match = match_codes(-np.exp(z[:, ::-1]), z)
    >>> match.order, match.sign, match.correlation.round(6)
    (array([1, 0]), array([-1., -1.]), array([1., 1.]))
    """
    values, target = _checked_fits([codes, reference])
    rho = np.zeros((target.shape[1], values.shape[1]))
    rows, columns = varying(target), varying(values)
    rho[np.ix_(rows, columns)] = _rank_correlations(target[:, rows], values[:, columns])
    found, partner = linear_sum_assignment(np.abs(rho), maximize=True)
    order = np.full(len(rho), -1)
    sign, correlation = np.ones(len(rho)), np.zeros(len(rho))
    order[found] = partner
    sign[found] = np.where(rho[found, partner] < 0, -1.0, 1.0)
    correlation[found] = np.minimum(np.abs(rho[found, partner]), 1.0)
    return Bunch(order=order, sign=sign, correlation=correlation)


def _rank_correlations(left, right):
    """Return the rank correlations (components of left, components of right)."""
    return _products(_prepared(left, "spearman"), _prepared(right, "spearman"))


def _products(left, right):
    """Return the mean products of standardised columns."""
    return left.T @ right / len(left)


def _checked_fits(codes):
    if isinstance(codes, np.ndarray) and codes.ndim < 3:
        raise ValueError(
            f"codes must hold one table per fit, got a single array of shape "
            f"{codes.shape}; give a list of such arrays."
        )
    fits = [check_codes(fit, f"codes[{i}]")[0] for i, fit in enumerate(codes)]
    if len(fits) < 2:
        raise ValueError(f"codes must hold at least two fits, got {len(fits)}.")
    if len({len(fit) for fit in fits}) > 1:
        raise ValueError(
            f"all fits must have codes of the same samples, got "
            f"{[len(fit) for fit in fits]} samples."
        )
    return [fit.astype(np.float64) for fit in fits]


def _active_masks(fits, kl, kl_threshold):
    """Return the boolean mask of the active components of every fit."""
    masks = [varying(fit) for fit in fits]
    if kl is None:
        return masks
    divergences = [np.asarray(values, dtype=np.float64) for values in kl]
    shapes = [values.shape for values in divergences]
    if shapes != [mask.shape for mask in masks]:
        raise ValueError(
            f"kl must hold one value per component of each fit, shapes "
            f"{[mask.shape for mask in masks]}, got {shapes}."
        )
    pairs = zip(masks, divergences, strict=True)
    return [mask & (values > kl_threshold) for mask, values in pairs]


def _prepared(values, method):
    """Return standardised codes, or standardised ranks."""
    return standardized(rankdata(values, axis=0) if method == "spearman" else values)


def _strength(left, right, method, alpha):
    """Return the similarity (components of left, components of right)."""
    if method == "spearman" or left.shape[1] == 0 or right.shape[1] == 0:
        return np.abs(_products(left, right))
    coefficients = Lasso(alpha=alpha).fit(left, right).coef_
    return np.abs(coefficients).reshape(-1, left.shape[1]).T


def _agreement(strength):
    """Return how close a matrix of similarities is to a permutation, in [0, 1]."""
    if strength.size == 0:
        return 0.0
    return float((_sharpness(strength) + _sharpness(strength.T)) / 2)


def _sharpness(strength):
    """Return the mean over rows of max squared over sum; 0 for a row of zeros."""
    total = strength.sum(axis=1)
    peak = strength.max(axis=1) ** 2
    return np.divide(peak, total, out=np.zeros_like(peak), where=total > 0).mean()

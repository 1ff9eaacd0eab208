"""Scores of codes without factors."""

import numpy as np
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from .._undefined import warn_undefined
from ._binning import bin_index, check_binning, code_columns
from ._mutual_information import entropy_of, pair_counts, xlogx
from ._validation import check_codes, check_real, varying


def gaussian_total_correlation(codes):
    r"""Compute the total correlation of a Gaussian fitted to the codes, in nats.

    .. math:: \mathrm{TC} = \tfrac{1}{2} \Bigl(\sum_d \log \Sigma_{dd} -
              \log\det \Sigma\Bigr)

    where :math:`\Sigma` is the covariance of the codes. It measures linear dependence
    only. Collapsed codes score 0, the best value: do not select models by it alone.
    Not to be confused with the total correlation in the history of a FactorVAE, which
    is not valid when the training discriminator fails;
    :func:`total_correlation_audit` trains a new classifier.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes, one column per component, finite. Constant components are left out.

    Returns
    -------
    total_correlation : float
        In nats, in [0, inf], 0 means independence. Infinite if a component is a linear
        function of others, or if there are no more samples than components.

    Raises
    ------
    ValueError
        If codes are not finite or have fewer than two samples.

    Warns
    -----
    UndefinedMetricWarning
        If the value is infinite.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations", section 5.4.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import gaussian_total_correlation
    >>> z = np.random.default_rng(0).normal(size=(1000, 2))
    >>> round(gaussian_total_correlation(z), 3)
    0.0
    >>> z[:, 1] += z[:, 0]
    >>> round(gaussian_total_correlation(z), 2)
    0.36
    """
    value = total_correlation_of(standardized(_active_codes(codes)))
    if np.isinf(value):
        warn_undefined(
            "The Gaussian total correlation is infinite: a component is a linear "
            "function of the others, or there are no more samples than components."
        )
    return value


def gaussian_wasserstein_correlation(codes, *, normalize=True):
    r"""Compute the squared Wasserstein distance of a fitted Gaussian from independence.

    .. math:: 2 \operatorname{tr} \Sigma -
              2 \operatorname{tr} \bigl(\Delta^{1/2} \Sigma \Delta^{1/2}\bigr)^{1/2},
              \qquad \Delta = \operatorname{diag} \Sigma

    where :math:`\Sigma` is the covariance of the codes. Unlike the total correlation it
    is finite when a component is a linear function of others.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes, one column per component, finite. Constant components are left out.
    normalize : bool, default=True
        Divide by the trace of the covariance. If False, the value has the squared
        units of the codes.

    Returns
    -------
    distance : float
        >= 0, 0 means independence.

    Raises
    ------
    ValueError
        If codes are not finite or have fewer than two samples.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations", section 5.4.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import gaussian_wasserstein_correlation
    >>> z = np.random.default_rng(0).normal(size=(1000, 1))
    >>> round(gaussian_wasserstein_correlation(np.hstack([z, z])), 3)
    0.586
    """
    values = _active_codes(codes)
    if values.shape[1] == 0:
        return 0.0
    size = np.abs(values).max()  # squares of huge codes must not overflow
    covariance = np.atleast_2d(np.cov(values / size, rowvar=False))
    scale = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance * np.outer(scale, scale))
    trace = np.trace(covariance)
    distance = max(2 * trace - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum(), 0.0)
    return float(distance / trace if normalize else distance * size**2)


def code_mutual_info(codes, *, n_bins=20, strategy="uniform"):
    r"""Compute the mean mutual information of pairs of components, in nats.

    .. math:: \frac{1}{D (D - 1)} \sum_{i \neq j} I(z_i; z_j)

    It measures any dependence within pairs, but none that needs three components. The
    plug-in estimate is about ``(n_bins - 1)**2 / (2 n)`` for independent components,
    so that only values of equal sample sizes can be compared. Collapsed codes score 0,
    the best value: do not select models by it alone.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Codes, one column per component, finite. Constant components are left out.
    n_bins : int, default=20
        Bins per component.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width or of equal count.

    Returns
    -------
    mutual_information : float
        In nats, in [0, log n_bins], 0 means independence; also 0 if fewer than two
        components vary.

    Raises
    ------
    ValueError
        If codes are not finite, have fewer than two samples, or a parameter is out of
        range.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations", section 5.4.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import code_mutual_info
    >>> grid = np.array([[i, j] for i in range(5) for j in range(4)])
    >>> code_mutual_info(grid)
    0.0
    """
    check_binning(n_bins, strategy)
    columns = code_columns(_active_codes(codes, np.float32))
    bins = [bin_index(column, n_bins, strategy).astype(np.int32) for column in columns]
    pairs = [
        _pair_information(left, right, n_bins)
        for i, left in enumerate(bins)
        for right in bins[:i]
    ]
    return float(np.mean(pairs)) if pairs else 0.0


def active_units(codes, *, threshold=0.01):
    r"""Count the components whose variance over the samples exceeds a threshold.

    .. math:: \#\{d : \operatorname{Var}(\mathrm{E}[z_d | x]) > \delta\}

    The threshold applies to codes on the scale of a unit-variance prior, such as the
    posterior means of a variational autoencoder; the count changes with the scale.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes)
        Posterior means, finite.
    threshold : float, default=0.01
        Variance above which a component is active, >= 0.

    Returns
    -------
    n_active : int
        In [0, n_codes].

    Raises
    ------
    ValueError
        If codes are not finite, have fewer than two samples, or `threshold` is
        negative.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders",
    section 5.2.

    Examples
    --------
    >>> from skfactorvae.metrics import active_units
    >>> active_units([[1.0, 0.001], [-1.0, -0.001]])
    1
    """
    check_real("threshold", threshold, 0.0, np.inf)
    values = check_codes(codes)[0].astype(np.float64)
    with np.errstate(over="ignore"):  # an infinite variance is above any threshold
        return int(np.sum(values.var(axis=0) > threshold))


def total_correlation_of(unit):
    """Return the Gaussian total correlation of standardised codes, in nats."""
    if unit.shape[1] < 2:
        return 0.0
    eigenvalues = np.linalg.eigvalsh(unit.T @ unit / len(unit))
    floor = unit.shape[1] * np.finfo(np.float64).eps * 10
    singular = eigenvalues[0] <= floor or len(unit) <= unit.shape[1]
    if singular:
        return float("inf")
    return max(float(-0.5 * np.log(eigenvalues).sum()), 0.0)


def total_correlation_bias(n_rows, n_codes):
    r"""Return the mean Gaussian total correlation of independent Gaussian codes.

    .. math:: \tfrac{1}{2} \sum_{i=1}^D \Bigl[\psi\bigl(\tfrac{n-1}{2}\bigr) -
              \psi\bigl(\tfrac{n-i}{2}\bigr)\Bigr]

    It follows from the mean log-determinant of a Wishart matrix, and is exact for any
    n > D.
    """
    lost = digamma((n_rows - 1) / 2) - digamma((n_rows - np.arange(1, n_codes + 1)) / 2)
    return float(lost.sum() / 2)


def standardized(values):
    """Return columns of mean 0 and variance 1."""
    values = values / np.maximum(np.abs(values).max(axis=0), np.finfo(float).tiny)
    centred = values - values.mean(axis=0)
    return centred / centred.std(axis=0)


def normal_scores(values):
    """Return columns replaced by the normal quantiles of their ranks, standardised."""
    ranks = rankdata(values, axis=0)
    return standardized(ndtri((ranks - 0.5) / len(values)))


def _active_codes(codes, dtype=np.float64):
    """Return the components that vary; `dtype` float32 keeps the dtype of the codes."""
    values = check_codes(codes)[0]
    active = varying(values)
    values = values if active.all() else values[:, active]
    return values if dtype == np.float32 else values.astype(dtype)


def _pair_information(left, right, n_bins):
    """Return the mutual information of two binned components, in nats."""
    counts = pair_counts(left, n_bins, right, n_bins)
    joint = np.log(counts.sum()) - xlogx(counts).sum() / counts.sum()
    return max(entropy_of(counts.sum(0)) + entropy_of(counts.sum(1)) - joint, 0.0)

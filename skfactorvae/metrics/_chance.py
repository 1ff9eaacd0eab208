"""Mutual information under independence: exact expectations and significance."""

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2

LARGE_MEAN = 500.0
SPREAD = 12.0  # standard deviations of the hypergeometric distribution summed over
SIGNIFICANCE = 0.01


def expected_information(rows, columns):
    r"""Return the exact mean of the plug-in mutual information under permutation, nats.

    Under random permutation of the samples, the count in a cell with margins
    :math:`a, b` of :math:`n` samples is hypergeometric, and the mean depends only on
    :math:`E[x \log x]` of each cell. For cell means above 500 this is expanded to the
    fourth moment, with an error of about :math:`1 / \mu^2`.

    References
    ----------
    Vinh, Epps & Bailey (2010), "Information theoretic measures for clusterings
    comparison", Eq. 24.
    """
    rows, columns = rows[rows > 0], columns[columns > 0]
    total = int(rows.sum())
    if len(rows) < 2 or len(columns) < 2:
        return 0.0
    a, a_count = np.unique(rows, return_counts=True)
    b, b_count = np.unique(columns, return_counts=True)
    cells = cell_expectation(np.repeat(a, len(b)), np.tile(b, len(a)), total)
    joint = a_count @ cells.reshape(len(a), len(b)) @ b_count
    margins = (rows * np.log(rows)).sum() + (columns * np.log(columns)).sum()
    return max(float((joint - margins) / total + np.log(total)), 0.0)


def cell_expectation(a, b, total):
    """Return E[x log x] of hypergeometric counts x with margins `a`, `b` of `total`."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean = a * b / total
    large = mean > LARGE_MEAN
    out = np.empty(len(a))
    out[large] = _by_moments(a[large], b[large], total)
    for start in range(0, int((~large).sum()), 1024):
        cells = np.flatnonzero(~large)[start : start + 1024]
        out[cells] = _by_summation(a[cells], b[cells], total)
    return out


def significant(found):
    """Return the (D, K) mask of entries that are significantly above chance.

    The likelihood-ratio statistic ``2 n I`` is scaled so that its exact mean under
    permutation equals the degrees of freedom (the asymptotic mean is wrong in sparse
    tables), and compared with the chi-squared distribution at level 0.01 divided by
    the number of pairs with degrees of freedom (Bonferroni): a constant component or
    factor is no test.
    """
    mean = 2.0 * found.n_rows * found.expected
    statistic = 2.0 * found.n_rows * found.mutual
    scale = np.divide(found.dof, mean, out=np.zeros_like(mean), where=mean > 0)
    p_value = chi2.sf(statistic * scale, np.maximum(found.dof, 1.0))
    is_tested = found.dof > 0
    return is_tested & (p_value < SIGNIFICANCE / max(1, int(is_tested.sum())))


def _by_moments(a, b, total):
    """Return E[x log x] by its expansion around the mean, for large means."""
    p, q, n = a / total, b / total, float(total)
    mean = n * p * q
    variance = mean * (1 - p) * (1 - q) * n / (n - 1)
    third = variance * (1 - 2 * p) * (1 - 2 * q)
    fourth = 3 * variance**2
    correction = variance / (2 * mean) - third / (6 * mean**2) + fourth / (12 * mean**3)
    return mean * np.log(mean) + correction


def _by_summation(a, b, total):
    """Return E[x log x] by summing over the counts near the mean."""
    mean = a * b / total
    spread = np.sqrt(mean * (1 - a / total) * (1 - b / total))
    low = np.maximum(np.maximum(a + b - total, 1.0), np.floor(mean - SPREAD * spread))
    high = np.minimum(np.minimum(a, b), np.ceil(mean + SPREAD * (spread + 2.0)))
    width = int((high - low).max()) + 1
    x = low[:, None] + np.arange(width)  # (cells, width)
    inside = x <= high[:, None]
    x = np.minimum(x, high[:, None])
    log_p = _log_probability(x, a[:, None], b[:, None], total)
    return np.where(inside, np.exp(log_p) * x * np.log(np.maximum(x, 1.0)), 0.0).sum(1)


def _log_probability(x, a, b, total):
    """Return the log of the hypergeometric probability of `x`."""
    fixed = (
        gammaln(a + 1)
        + gammaln(b + 1)
        + gammaln(total - a + 1)
        + gammaln(total - b + 1)
        - gammaln(total + 1.0)
    )
    varying = (
        gammaln(x + 1)
        + gammaln(a - x + 1)
        + gammaln(b - x + 1)
        + gammaln(total - a - b + x + 1)
    )
    return fixed - varying

"""Likelihoods that the values of a numeric column suggest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MIN_VALUES = 50
"""Values below which nothing is suggested."""

SKEWED = 2.0
"""Skewness from which a positive column is suggested a logarithm."""

HEAVY = 6.0
"""Excess kurtosis from which a column has heavy tails."""

SMALL_COUNT = 20.0
"""Mean up to which whole numbers are suggested to be counts: a normal distribution
describes larger ones well, if they are not skewed."""

DISPERSED = 1.5
"""Variance of a count, in units of its mean, from which it is not Poisson."""


class Suggestion(NamedTuple):
    """A likelihood that describes a column better than a normal one, and why."""

    likelihood: str
    reason: str


def suggest_likelihood(values: np.ndarray) -> Suggestion | None:
    """Return a likelihood that describes a column better than a normal one, or None.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN where missing.

    Returns
    -------
    Suggestion or None
        "bernoulli" for zeros and ones, "poisson" or "negative_binomial" for skewed
        whole numbers from zero on, "lognormal" for skewed positive numbers,
        "student_t" for heavy tails.
    """
    values = values[~np.isnan(values)]
    if len(values) < MIN_VALUES:
        return None
    levels = np.unique(values)
    if np.array_equal(levels, [0, 1]):
        return Suggestion("bernoulli", f"zeros, and {100 * values.mean():.3g} % ones")
    if len(levels) < 3:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        centred = values - values.mean()
        variance = np.mean(centred**2)
        skewness = np.mean(centred**3) / variance**1.5
        excess = np.mean(centred**4) / variance**2 - 3
    if not np.isfinite([variance, skewness, excess]).all():
        return None
    is_count = values.min() >= 0 and np.array_equal(values, np.rint(values))
    mean = values.mean()
    if is_count and mean < SMALL_COUNT and skewness > 0.5:
        of_counts = "poisson" if variance < DISPERSED * mean else "negative_binomial"
        moments = f"a mean of {mean:.3g} and a variance of {variance:.3g}"
        return Suggestion(of_counts, f"whole numbers with {moments}")
    if values.min() > 0 and skewness > SKEWED:
        return Suggestion("lognormal", f"positive, with a skewness of {skewness:.1f}")
    if excess > HEAVY:
        return Suggestion("student_t", f"an excess kurtosis of {excess:.1f}")
    return None

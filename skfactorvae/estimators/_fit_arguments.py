"""What a fit is given: samples, and what is known of each of them."""

from typing import Any, NamedTuple


class FitArguments(NamedTuple):
    """Arguments of ``fit``, or of ``partial_fit``, as the user passed them.

    Attributes
    ----------
    X : array-like, frame or row source of shape (n, p)
    y : array-like of shape (n, m) or None
        Labels.
    sample_weight, sample_groups : array-like of shape (n,) or None
    error_scale : array-like of shape (n, p) or None
        Standard deviations of known errors.
    pairs : array-like of shape (n,) or (n, c), or None
        Pair of each sample, in c pairings.
    aux : array-like or frame of shape (n,) or (n, m), or None
        Auxiliary columns, whose combinations are conditions.
    """

    X: Any
    y: Any = None
    sample_weight: Any = None
    sample_groups: Any = None
    error_scale: Any = None
    pairs: Any = None
    aux: Any = None

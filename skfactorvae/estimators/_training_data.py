"""Training data from the arguments of ``fit``.

Axes: ``n`` samples, ``p`` features.
"""

from __future__ import annotations

from typing import Any

from .._inputs import check_sample_groups, check_sample_weight
from .._pairs import check_pairs
from ..preparation import TrainingData, rescale_weights
from ..sources import check_source


class TrainingDataMixin:
    """Estimator that reads and checks the samples that it is fitted to."""

    _large_source: Any
    _features: Any
    _with_errors: Any
    _check_width: Any
    _takes_missing: bool

    def _training_features(self, X, previous, error_scale):
        """Return X and its errors, with the features of a fit that is continued."""
        reset = previous is None
        try:
            if (source := self._large_source(X, error_scale)) is not None:
                return self._checked_source(source, reset=reset), None
            X = self._features(X, reset=reset, ensure_min_samples=2)
            return self._with_errors(X, error_scale)
        except ValueError as error:
            if previous is None:
                raise
            raise ValueError(
                f"{error} (warm_start=True and partial_fit continue the earlier fit, "
                "with its features; fit with warm_start=False starts anew.)"
            ) from error

    def _checked_source(self, source, *, reset):
        """Return a table that is read in parts, after its first pass."""
        self._check_width(source, reset=reset)
        owner = type(self).__name__
        return check_source(source, owner, allow_nan=self._takes_missing, min_rows=2)

    def _training_data(self, X, given, errors, previous) -> TrainingData:
        """Return the distinct samples, with their weights, groups and targets."""
        # Only ratios of weights matter: near one, their sums cannot overflow.
        weight = rescale_weights(check_sample_weight(given.sample_weight, len(X)))
        groups = check_sample_groups(given.sample_groups, weight)
        attributes = self._attributes(X, given, weight, previous)
        scales = None if previous is None else previous.target_scales
        pairs = check_pairs(given.pairs, weight)
        return TrainingData.from_arrays(
            X, weight, attributes, scales, groups, errors, pairs
        )

    def _attributes(self, X, given, weight, previous):
        """Return the attributes of samples; none, unless a subclass reads them.

        Parameters
        ----------
        X : ndarray or SourceTable of shape (n, p)
        given : FitArguments
        weight : ndarray of shape (n,)
        previous : PreviousFit or None
            Fit to continue.
        """
        return ()

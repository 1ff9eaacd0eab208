"""Tables of columns of several types, as the estimators take and return them."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import core
from .._inputs import check_sample_weight
from .._sample_types import check_sample_type
from .._validation import clip_to_unit_interval
from ..columns import TableEncoding, check_no_levels, fit_table, is_typed, n_rows
from ..sources import as_source

TYPED_SOURCE = (
    "X is {name}, which is read in parts, but this fit has columns of several types, "
    "which are encoded as a whole. Pass a data frame or an array of some of its rows, "
    "or use likelihood='gaussian' or 'bernoulli'."
)
"""Error about columns of several types in a table that is read in parts."""


def clip_with_warning(values: np.ndarray, name: str) -> np.ndarray:
    """Return new values of a Bernoulli column, clipped to [0, 1] with a warning.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN where missing.
    name : str
        Name of the column.
    """
    return clip_to_unit_interval(values, f"column {name!r} of X")


class TableColumnsMixin:
    """How an estimator reads tables, whose columns may be of several types.

    A table of numbers with one likelihood has no encoding: it is an array.
    """

    n_features_in_: int
    _table_state: dict[str, Any]

    @abstractmethod
    def _features(self, X, **options) -> np.ndarray:
        """Return X as an array of features."""

    @abstractmethod
    def _expected_features(self, X) -> np.ndarray:
        """Return the expected features of codes, in their units."""

    @property
    def _table(self) -> TableEncoding | None:
        """How the columns of the fit become features; None for numbers."""
        state = vars(self).get("_table_state")
        return None if state is None else TableEncoding.from_state(state)

    def _set_table(self, table: TableEncoding | None) -> None:
        """Set how the columns of a fit become features; nothing for numbers."""
        if table is None:
            vars(self).pop("_table_state", None)
        else:
            self._table_state = table.as_state()

    def _read_table(self, X, sample_weight, *, keeps: bool) -> TableEncoding | None:
        """Return how the columns of a table to be fitted become features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
        sample_weight : array-like of shape (n_samples,) or None
        keeps : bool
            Whether the fit continues another one, whose encoding is kept.
        """
        check_sample_type(X)
        if keeps:
            return self._table
        likelihood = getattr(self, "likelihood", None)
        if likelihood is None:
            check_no_levels(X, type(self).__name__)
            return None
        if not is_typed(X, likelihood):
            return None
        source = as_source(X)
        if source is not None and not source.is_small:
            raise ValueError(TYPED_SOURCE.format(name=source.name))
        self._check_n_rows(X, 1)
        weight = check_sample_weight(sample_weight, n_rows(X))
        messages: list[str] = []
        table = fit_table(
            X, likelihood, weight, getattr(self, "min_frequency", None), messages.append
        )
        for message in messages if core.current_ranks().is_first else ():
            warnings.warn(message, UserWarning, stacklevel=7)  # at the call of fit
        return table

    def _table_features(self, table: TableEncoding, X, *, reset, ensure_min_samples=1):
        """Return the features of a table, (n_samples, n_features) float64."""
        validate_data(self, X, reset=reset, skip_check_array=True)
        self._check_n_rows(X, ensure_min_samples)
        if reset:  # what a fit does not see is of samples of weight zero
            return table.encode(X, "missing")
        unknown = getattr(self, "handle_unknown", "error")
        return table.encode(X, unknown, clip_with_warning)

    def _check_n_rows(self, X, least: int) -> None:
        """Raise if a table has fewer samples than are needed."""
        n_samples = n_rows(X)
        if n_samples < least:
            raise ValueError(
                f"Found array with {n_samples} sample(s) while a minimum of "
                f"{least} is required by {type(self).__name__}."
            )

    def _table_problem(self, spec) -> str | None:
        """Return why restored columns are not those of the networks, or None.

        Parameters
        ----------
        spec : ModelSpec
        """
        try:
            table = self._table
            if table is not None:
                table.check()
            kinds = None if table is None else table.kinds
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            return f"its columns cannot be read ({str(error)[:200]})."
        n_features = self.n_features_in_ if table is None else table.n_features
        if table is not None and len(table.columns) != self.n_features_in_:
            return f"it has {len(table.columns)} columns."
        if spec.n_features != n_features:
            return f"its networks have {spec.n_features} features."
        return None if kinds == spec.columns else "its columns have other likelihoods."

    @property
    def number_names_(self) -> np.ndarray | None:
        """Names of the numbers of :meth:`numbers`, (n_numbers,).

        None for a fit to a table of numbers, which are themselves.
        """
        check_is_fitted(self)
        table = self._table
        return None if table is None else np.array(table.feature_names, dtype=object)

    @property
    def column_likelihoods_(self) -> dict[str, str]:
        """Likelihood of each column, by its name; empty for a table of numbers.

        All columns of a table of numbers have that of ``likelihood``.
        """
        check_is_fitted(self)
        table = self._table
        return {} if table is None else {c.name: c.likelihood for c in table.columns}

    def numbers(self, X):
        """Return a table as numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, of the columns of the fit.

        Returns
        -------
        numbers : ndarray of shape (n_samples, n_numbers)
            Columns of numbers, an indicator for each level of a categorical column, and
            the number of the level of an ordered one, from zero; NaN where missing.
            Their names are ``number_names_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in ``fit``, or values that cannot be used.
        """
        check_is_fitted(self)
        features = self._features(X, reset=False)
        table = self._table
        return features if table is None else table.numbers(features)

    def expected_numbers(self, Z):
        """Compute the expectation of each number of a table, given codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        numbers : ndarray of shape (n_samples, n_numbers)
            Expectations in the units of the columns (medians, of lognormal ones),
            probabilities of the levels of categorical columns, and expected numbers of
            the levels of ordered ones. Their names are ``number_names_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If Z has another number of columns than the codes, or values that are not
            finite numbers.
        """
        features = self._expected_features(Z)
        table = self._table
        return features if table is None else table.numbers(features)

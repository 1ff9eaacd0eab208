"""The samples of a fit: distinct, in canonical order, weighted, with their targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._pairs import UNPAIRED, joined_groups
from ..sources import SourceTable
from ._errors import with_errors
from ._incomplete import has_missing
from ._rows import canonical_rows, split_groups, stored_rows, with_label_columns
from ._scaling import Scaling, blocks_of
from ._standardized import StandardizedRows, n_start_rows
from ._targets import Targets, make_targets


@dataclass(frozen=True)
class TrainingData:
    """Samples of a fit, as indices into the user's table.

    Attributes
    ----------
    X : ndarray or SourceTable of shape (n, p)
        The user's table.
    index : ndarray of shape (m,)
        Distinct samples in canonical order; of a table that is read in the order in
        which it is stored, all samples, a random sample of them first.
    weight : ndarray of shape (m,)
        Their weights, positive.
    targets : Targets or None
        What is learned beside the samples.
    groups : ndarray of shape (m,) or None
        Group of each distinct sample; those of one group are held out together.
    errors : ndarray of shape (n, p) or None
        Standard deviations of the known errors of the user's table.
    n_leading : int or None
        How many of the first samples are a random sample of all; None means all.
    pairs : ndarray of shape (m, c) or None
        Number of each distinct sample's pair in c pairings, -1 for none; pairs are
        held out together.
    """

    X: Any
    index: np.ndarray
    weight: np.ndarray
    targets: Targets | None = None
    groups: np.ndarray | None = None
    errors: np.ndarray | None = None
    n_leading: int | None = None
    pairs: np.ndarray | None = None

    @classmethod
    def from_arrays(
        cls,
        X,
        weight,
        attributes=(),
        scales=None,
        groups=None,
        errors=None,
        pairs=None,
    ) -> TrainingData:
        """Find the distinct samples and the training targets.

        Samples are distinct if they differ in a feature, in what is missing, in a known
        error, in a label, or in their group or pair. Samples of which nothing is
        observed are left out.

        Parameters
        ----------
        X : ndarray or SourceTable of shape (n, p)
        weight : ndarray of shape (n,)
            Weights, >= 0, one of them positive.
        attributes : tuple of m Attribute
        scales : sequence of (mean, scale) by attribute, or None
            Those of an earlier fit that is continued.
        groups : ndarray of shape (n,) or None
            Number of each sample's group.
        errors : ndarray of shape (n, p) or None
            Standard deviations of known errors, zero where a value is missing.
        pairs : ndarray of shape (n, c) or None
            Number of each sample's pair in c pairings, -1 for none.
        """
        weight = _without_empty(X, weight)
        labels = [attribute.labels for attribute in attributes]
        own = [] if groups is None else [groups.astype(np.float64)]
        if pairs is not None:
            own += [np.where(c == UNPAIRED, np.nan, c) for c in pairs.T]
        has_errors = errors is not None and errors.any()
        known = np.hstack([X, errors]) if has_errors else X
        n_leading = None
        if isinstance(X, SourceTable) and not X.is_direct:
            index, n_leading = stored_rows(weight, n_start_rows(X.shape[1]))
            weight = weight[index]
        else:
            joined = with_label_columns(known, labels + own)
            index, weight = canonical_rows(joined, weight)
        targets = make_targets(attributes, index, weight, scales)
        kept = None if groups is None else groups[index]
        if pairs is not None:
            pairs = pairs[index]
            joint = [pairs] if kept is None else [pairs, kept[:, None]]
            kept = joined_groups(np.hstack(joint))
        return cls(X, index, weight, targets, kept, errors, n_leading, pairs)

    @cached_property
    def has_missing(self) -> bool:
        """Whether a value of a sample is missing."""
        return has_missing(self.X)

    def missing_shares(self) -> np.ndarray:
        """Compute the share of the samples without a value of each feature, (p,)."""
        found = np.zeros(self.X.shape[1])
        if self.has_missing:
            share = self.weight / self.weight.sum()
            for rows, part in blocks_of(self.X, self.index, share):
                found += part @ np.isnan(rows)
        return found

    @cached_property
    def has_errors(self) -> bool:
        """Whether a value has a known error that is not zero."""
        return self.errors is not None and bool(self.errors.any())

    @property
    def levels(self) -> tuple[Any, ...] | None:
        """Levels of each attribute; None without attributes."""
        return None if self.targets is None else self.targets.levels

    def standardized(self, scaling: Scaling, dtype: np.dtype) -> Any:
        """Return the standardised samples, beside their errors if these are known.

        Parameters
        ----------
        scaling : Scaling
        dtype : dtype

        Returns
        -------
        ndarray of shape (m, p) or (m, 2 p), or StandardizedRows of shape (m, p)
        """
        if isinstance(self.X, SourceTable):
            n_leading = len(self.index) if self.n_leading is None else self.n_leading
            return StandardizedRows(self.X, self.index, scaling, dtype, n_leading)
        rows = scaling.apply(self.X, dtype, self.index)
        if self.errors is None:
            return rows
        return with_errors(rows, self.errors[self.index], scaling.scale)

    def split(self, fraction: float, seed: int) -> tuple[TrainingData, TrainingData]:
        """Split into samples to train on and held-out samples.

        Samples of one group stay together.

        Parameters
        ----------
        fraction : float
            Share of the distinct samples that is held out, in (0, 1).
        seed : int

        Raises
        ------
        ValueError
            If no sample would be left to train on.
        """
        n_rows = len(self.index)
        if self.groups is not None and len(np.unique(self.groups)) < 2:
            raise ValueError(
                "early_stopping=True holds out whole groups, but all samples of "
                "positive weight have the same value in sample_groups; expected at "
                "least two groups. Pass finer groups, do not pass sample_groups, or "
                "set early_stopping=False."
            )
        (held_out,) = split_groups(n_rows, self.groups, fraction, 1, seed)
        if not 0 < len(held_out) < n_rows:
            raise ValueError(
                f"early_stopping=True with validation_fraction={fraction} would hold "
                f"out all of the {len(self.index)} distinct samples. Lower "
                "validation_fraction, or set early_stopping=False."
            )
        kept = np.setdiff1d(np.arange(n_rows), held_out)
        return self._at(kept), self._at(held_out)

    def _at(self, chosen) -> TrainingData:
        n_leading = self.n_leading
        if n_leading is not None:  # the others stay in stored order
            chosen = np.sort(chosen)
            n_leading = int((chosen < n_leading).sum())
        return replace(
            self,
            n_leading=n_leading,
            index=self.index[chosen],
            weight=self.weight[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            pairs=None if self.pairs is None else self.pairs[chosen],
        )


def _without_empty(X: Any, weight: np.ndarray) -> np.ndarray:
    """Return weights that are zero for samples without an observed value."""
    if not has_missing(X):
        return weight
    is_array = isinstance(X, np.ndarray)
    is_empty = np.isnan(X).all(axis=1) if is_array else X.is_empty
    weight = np.where(is_empty, 0.0, weight)
    if not weight.any():
        raise ValueError(
            "All values of X are missing, in all samples of positive weight; expected "
            "at least one number. Check how X was read, or leave out empty columns."
        )
    return weight

"""Autoencoders that learn from labels: y is needed, and read as attributes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from ._base_vae import BaseVAETransformer


class LabelledVAETransformer(BaseVAETransformer, ABC):
    """Base class of autoencoders whose y holds attributes, some of them unknown."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _attributes(self, X, given, weight, previous):
        if given.y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None. Pass labels of shape (n_samples,) or "
                "(n_samples, n_attributes), NaN where unknown; or use "
                "FactorVAETransformer, which needs none."
            )
        known = None if previous is None else previous.target_levels
        return self._read_labels(X, given.y, weight, known)

    @abstractmethod
    def _read_labels(self, X, y, weight, known_levels):
        """Return the attributes in the columns of y, a tuple of Attribute.

        Parameters
        ----------
        X : ndarray or SourceTable of shape (n, p)
        y : array-like of shape (n,) or (n, m)
        weight : ndarray of shape (n,)
        known_levels : tuple of m (ndarray or None), or None
            Levels of the attributes of a fit that is continued.
        """

    def _as_previous(self):
        return replace(
            super()._as_previous(),
            target_scales=self._attribute_scales,
            target_levels=self.attribute_levels_,
        )

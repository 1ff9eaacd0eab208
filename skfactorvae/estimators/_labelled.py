"""Autoencoders that learn from labels: y is needed, and read as attributes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from .._inputs import columns
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
        if previous is None:
            return self._read_labels(X, given.y, weight, None)
        _check_names(columns(given.y, "y")[1], self.attribute_names_)
        return self._read_labels(X, given.y, weight, previous.target_levels)

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


def _check_names(found: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Check the columns of y by name, where both these and those of the fit have one.

    Raises
    ------
    ValueError
        If names or their order differ.
    """
    is_named = all(
        names != tuple(str(j) for j in range(len(names))) for names in (found, known)
    )
    if is_named and len(found) == len(known) and found != known:
        raise ValueError(
            f"y has the columns {list(found)}, but the fit that is continued had "
            f"{list(known)}. Pass the same attributes in the same order."
        )

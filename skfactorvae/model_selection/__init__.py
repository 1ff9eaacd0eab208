"""Choosing a model: searches that train all their candidates together."""

from .._batched import batched_fits
from ._search import BatchedGridSearchCV, BatchedRandomizedSearchCV

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV", "batched_fits"]

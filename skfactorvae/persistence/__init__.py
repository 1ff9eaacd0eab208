"""Estimators that are saved to files, by a declaration of their fitted state.

:class:`Savable` writes and restores an estimator; a class declares its fitted
attributes as values of the kinds of this folder.
"""

from ._entries import (
    Array,
    Arrays,
    Chosen,
    Entry,
    Estimators,
    Labels,
    Plain,
    Requests,
    Series,
    TrainingNames,
    Unsaved,
)
from ._savable import Savable, document_of

__all__ = [
    "Array",
    "Arrays",
    "Chosen",
    "Entry",
    "Estimators",
    "Labels",
    "Plain",
    "Requests",
    "Savable",
    "Series",
    "TrainingNames",
    "Unsaved",
    "document_of",
]

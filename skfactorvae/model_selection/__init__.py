"""Choosing a model without labels, and saying what it is worth.

Nothing here sees factors. See :mod:`skfactorvae.metrics` for scores that do.
"""

from ._ensemble import SeedEnsemble

__all__ = ["SeedEnsemble"]

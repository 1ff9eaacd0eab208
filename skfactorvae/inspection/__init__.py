"""Plots, tables and an HTML page that show what each component does, in data units.

Displays follow scikit-learn's convention: ``from_estimator`` computes, without
matplotlib, and ``plot`` draws. All accept an estimator, a Pipeline or a fitted search,
and show samples in the units they had before the first step of the pipeline.
"""

from ..columns import ColumnReport
from ._downstream import SampleEfficiencyDisplay, ShiftDisplay, UnfairnessDisplay
from ._editing import edit
from ._health import health_marks
from ._loadings import Loadings, loadings
from ._matrix import FactorMatrixDisplay
from ._overview import OverviewDisplay
from ._page import explore
from ._pairs import LatentPairsDisplay
from ._reconstruction import ReconstructionDisplay
from ._search import GammaPathDisplay, SearchDisplay
from ._stability import StabilityDisplay
from ._table import FactorTable, factor_table
from ._training import TrainingDisplay
from ._traversal import LatentTraversalDisplay

__all__ = [
    "ColumnReport",
    "FactorMatrixDisplay",
    "FactorTable",
    "GammaPathDisplay",
    "LatentPairsDisplay",
    "LatentTraversalDisplay",
    "Loadings",
    "OverviewDisplay",
    "ReconstructionDisplay",
    "SampleEfficiencyDisplay",
    "SearchDisplay",
    "ShiftDisplay",
    "StabilityDisplay",
    "TrainingDisplay",
    "UnfairnessDisplay",
    "edit",
    "explore",
    "factor_table",
    "health_marks",
    "loadings",
]

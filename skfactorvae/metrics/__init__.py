"""Disentanglement metrics of two arrays, and scorers for model selection.

Every function takes ``(factors, codes)``, in the order of scikit-learn's ``(y_true,
y_pred)``: the true factors of each row and the codes a model gave it. Nothing here
knows which model that was.
"""

from ._correlation import mean_correlation_score
from ._mutual_information import mutual_info_gap_score, mutual_information_matrix
from ._scorers import make_disentanglement_scorer, mcc_scorer, mig_scorer

__all__ = [
    "make_disentanglement_scorer",
    "mcc_scorer",
    "mean_correlation_score",
    "mig_scorer",
    "mutual_info_gap_score",
    "mutual_information_matrix",
]

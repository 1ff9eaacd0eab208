"""What codes are worth in later use: learning curves, shifts and fairness.

Functions take arrays, or dicts of arrays by name, so that codes, principal components
and the columns themselves are compared on the same splits. The plots are in
:mod:`skfactorvae.inspection`.
"""

from ._fairness import count_predictions, unfairness_score
from ._sample_efficiency import sample_efficiency
from ._shift import shift_report

__all__ = [
    "count_predictions",
    "sample_efficiency",
    "shift_report",
    "unfairness_score",
]

"""Disentanglement metrics of two arrays, and scorers for model selection.

Every function takes ``(factors, codes)``, in the order of scikit-learn's ``(y_true,
y_pred)``: the true factors of each row and the codes a model gave it. Nothing here
knows which model that was.
"""

from ._correlation import mean_correlation_score
from ._explicitness import explicitness_score
from ._information_scores import (
    dcimig_score,
    jemmig_score,
    mig_sup_score,
    modularity_score,
)
from ._mutual_information import (
    mutual_info_gap_score,
    mutual_information_matrix,
)
from ._robustness import interventional_robustness_score
from ._sap import sap_score
from ._scorers import (
    make_disentanglement_scorer,
    mcc_scorer,
    mig_scorer,
)
from ._stability import udr_score
from ._unsupervised import (
    active_units,
    code_mutual_info,
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
)
from ._votes import (
    beta_vae_score,
    factor_vae_score,
)

__all__ = [
    "active_units",
    "beta_vae_score",
    "code_mutual_info",
    "dcimig_score",
    "explicitness_score",
    "factor_vae_score",
    "gaussian_total_correlation",
    "gaussian_wasserstein_correlation",
    "interventional_robustness_score",
    "jemmig_score",
    "make_disentanglement_scorer",
    "mcc_scorer",
    "mean_correlation_score",
    "mig_scorer",
    "mig_sup_score",
    "modularity_score",
    "mutual_info_gap_score",
    "mutual_information_matrix",
    "sap_score",
    "udr_score",
]

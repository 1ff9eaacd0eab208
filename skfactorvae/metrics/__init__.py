"""Disentanglement metrics of two arrays, and scorers for model selection.

Every function takes ``(factors, codes)``, in the order of scikit-learn's ``(y_true,
y_pred)``: the true factors of each sample and its codes under some model. No metric
depends on which model that is.
"""

from ._audit import total_correlation_audit
from ._benchmark import benchmark_report
from ._correlation import mean_correlation_score
from ._dci import (
    dci_completeness_score,
    dci_disentanglement_score,
    dci_informativeness_score,
    dci_scores,
)
from ._explicitness import explicitness_score
from ._infomec import infomec_scores
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
from ._report import disentanglement_report
from ._robustness import interventional_robustness_score
from ._sap import sap_score
from ._scorers import (
    active_units_scorer,
    beta_vae_scorer,
    dci_scorer,
    explicitness_scorer,
    factor_vae_scorer,
    irs_scorer,
    make_disentanglement_scorer,
    mcc_scorer,
    mig_scorer,
    mig_sup_scorer,
    modularity_scorer,
    neg_code_mutual_info_scorer,
    neg_gaussian_total_correlation_scorer,
    sap_scorer,
)
from ._stability import match_codes, udr_score
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
    "active_units_scorer",
    "benchmark_report",
    "beta_vae_score",
    "beta_vae_scorer",
    "code_mutual_info",
    "dci_completeness_score",
    "dci_disentanglement_score",
    "dci_informativeness_score",
    "dci_scorer",
    "dci_scores",
    "dcimig_score",
    "disentanglement_report",
    "explicitness_score",
    "explicitness_scorer",
    "factor_vae_score",
    "factor_vae_scorer",
    "gaussian_total_correlation",
    "gaussian_wasserstein_correlation",
    "infomec_scores",
    "interventional_robustness_score",
    "irs_scorer",
    "jemmig_score",
    "make_disentanglement_scorer",
    "match_codes",
    "mcc_scorer",
    "mean_correlation_score",
    "mig_scorer",
    "mig_sup_score",
    "mig_sup_scorer",
    "modularity_score",
    "modularity_scorer",
    "mutual_info_gap_score",
    "mutual_information_matrix",
    "neg_code_mutual_info_scorer",
    "neg_gaussian_total_correlation_scorer",
    "sap_score",
    "sap_scorer",
    "total_correlation_audit",
    "udr_score",
]

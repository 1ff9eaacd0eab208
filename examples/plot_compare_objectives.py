"""
Comparing six objectives on one table
=====================================

VAE, beta-VAE, beta-TCVAE, DIP-VAE II, AAE and FactorVAE share one network, one
likelihood and one training loop in this package. They differ in the terms that they add
to the evidence lower bound (ELBO), or replace in it. This example compares them, and
linear methods, on one table: twenty sensors, each a nonlinear function of the same
three independent sources. The sources are known, so that codes can be scored against
them.
"""

# %%
# One search over all estimators
# ------------------------------
#
# The step of a pipeline is a parameter like any other, so that one grid can contain all
# estimators. Only the scorer uses the factors, on held-out samples. Every objective has
# its default weights, and all have the same small number of steps. Convergence warnings
# are suppressed.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skfactorvae
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.metrics import (
    make_disentanglement_scorer,
    mean_correlation_score,
    mutual_info_gap_score,
)

X, factors = make_nonlinear_ica(
    n_samples=2000, n_sources=3, n_features=20, random_state=0
)
train, test = train_test_split(np.arange(2000), test_size=0.3, random_state=0)

options = {
    "n_components": 5,
    "max_iter": 700,
    "random_state": 0,
}
family = {
    "VAE": skfactorvae.BetaVAETransformer(beta=1.0, **options),
    "beta-VAE": skfactorvae.BetaVAETransformer(**options),
    "beta-TCVAE": skfactorvae.BetaTCVAETransformer(**options),
    "DIP-VAE II": skfactorvae.DIPVAETransformer(**options),
    "AAE": skfactorvae.AAETransformer(**options),
    "FactorVAE": skfactorvae.FactorVAETransformer(**options),
}
linear = {
    "PCA": PCA(5, random_state=0),
    "FastICA": FastICA(5, whiten="unit-variance", random_state=0),
    "FactorAnalysis": FactorAnalysis(5, random_state=0),
    "FactorAnalysis, varimax": FactorAnalysis(5, rotation="varimax", random_state=0),
}
pipe = Pipeline([("scale", StandardScaler()), ("codes", "passthrough")])
scores = {"correlation": mean_correlation_score, "gap": mutual_info_gap_score}
search = GridSearchCV(
    pipe,
    {"codes": [*linear.values(), *family.values()]},
    scoring=make_disentanglement_scorer(scores),
    cv=[(train, test)],
    refit=False,
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    search.fit(X, factors)

names = [*linear, *family]
print(f"{'':23}{'correlation':>12}{'gap':>8}{'seconds':>9}")
for i, name in enumerate(names):
    row = [
        search.cv_results_[column][i]
        for column in ("mean_test_correlation", "mean_test_gap", "mean_fit_time")
    ]
    print(f"{name:23}{row[0]:12.3f}{row[1]:8.3f}{row[2]:9.1f}")

# %%
# Which component follows which source
# ------------------------------------
#
# The same fits again, since a search does not keep them, and the same held-out samples:
# the rank correlation of each component with each source. A component that follows one
# source has one dark cell in its column, and a source that was found has one in its
# row. There are more components than sources on purpose: an objective may leave the
# additional ones inactive (blank here) or distribute the sources over them.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    fitted = {
        name: clone(pipe).set_params(codes=vae).fit(X[train])
        for name, vae in family.items()
    }


def rank(values):
    """Ranks of each column."""
    return values.argsort(0).argsort(0)


figure, axes = plt.subplots(2, 3, figsize=(8, 4.2), layout="constrained")
for ax, (name, model) in zip(axes.flat, fitted.items(), strict=True):
    both = np.hstack([rank(factors[test]), rank(model.transform(X[test]))])
    matrix = np.full((3, 5), np.nan)
    active = model[-1].active_components_
    matrix[:, active] = np.abs(np.corrcoef(both.T))[:3, 3 + active]
    ax.imshow(matrix, vmin=0, vmax=1, cmap="Greys")
    for k, j in np.argwhere(np.isfinite(matrix)):
        shade = "white" if matrix[k, j] > 0.5 else "black"
        ax.text(
            j, k, f"{matrix[k, j]:.2f}", ha="center", va="center", color=shade, size=8
        )
    n_active = len(active)
    ax.set(title=f"{name}: {n_active} active", xticks=range(5), yticks=range(3))
for ax in axes[:, 0]:
    ax.set_ylabel("source")
for ax in axes[1]:
    ax.set_xlabel("component")

# %%
# Evidence lower bound
# --------------------
#
# ``score`` is the same lower bound of the log-density for all objectives. A larger
# weight of the KL divergence lowers it: beta-VAE has two thirds of the VAE's KL
# divergence, and beta-TCVAE, whose penalty on dependence comes from batches, a little
# more than half of it. The penalties of DIP-VAE II and FactorVAE change the ELBO less,
# FactorVAE's hardly at all. AAE has the lowest ELBO although its codes contain most
# information: they have almost no noise, so that their KL divergence is large, and all
# five components are active, since the objective has no term that makes one inactive.

for name, model in fitted.items():
    print(
        f"{name:12} {model.score(X[test]):7.2f} nats per sample, "
        f"{len(model[-1].active_components_)} active, "
        f"{model[-1].kl_per_component_.sum():5.1f} nats in the codes"
    )
plt.show()

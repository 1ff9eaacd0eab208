"""
One table, every objective
==========================

All estimators of the library are one network, one likelihood and one loop; they differ
in what they add to the evidence lower bound. Here they meet on one table: twenty
sensors, each a smooth nonlinear function of the same three independent sources, with
noise. The sources are known, so that codes can be scored against them.
"""

# %%
# One search over the family
# --------------------------
#
# Estimators share their parameters' names, so that one grid holds them all: the step of
# a pipeline is a parameter like any other. Fits never see the factors; the scorer does.
# Every objective has its default weights, and all have the same budget, which is short.
# A training that ends with a complaint says so; beta-TCVAE's is that its batches are
# too small for what the codes hold, and on tables like this one it always is.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ShuffleSplit
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

options = {
    "n_components": 5,
    "learning_rate": 3e-3,
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
}
pipe = Pipeline([("scale", StandardScaler()), ("codes", "passthrough")])
scores = {"correlation": mean_correlation_score, "gap": mutual_info_gap_score}
search = GridSearchCV(
    pipe,
    {"codes": [*linear.values(), *family.values()]},
    scoring=make_disentanglement_scorer(scores),
    cv=ShuffleSplit(1, test_size=0.3, random_state=0),
    refit=False,
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    search.fit(X, factors)

names = [*linear, *family]
print(f"{'':12}{'correlation':>12}{'gap':>8}{'seconds':>9}")
for i, name in enumerate(names):
    row = [
        search.cv_results_[column][i]
        for column in ("mean_test_correlation", "mean_test_gap", "mean_fit_time")
    ]
    print(f"{name:12}{row[0]:12.3f}{row[1]:8.3f}{row[2]:9.1f}")

# %%
# What they found
# ---------------
#
# Rank correlation of each code with each source. A good code has one dark cell in its
# column, and a source that was found has one in its row. There are more codes than
# sources, on purpose: what matters is whether an objective leaves the others unused,
# which are blank here, or spreads the sources over them.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    fitted = {name: vae.fit(X) for name, vae in family.items()}


def rank(values):
    """Ranks of each column."""
    return values.argsort(0).argsort(0)


figure, axes = plt.subplots(2, 3, figsize=(8, 4.2), layout="constrained")
for ax, (name, vae) in zip(axes.flat, fitted.items(), strict=True):
    both = np.hstack([rank(factors), rank(vae.transform(X))])
    matrix = np.full((3, 5), np.nan)
    active = vae.active_components_
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
    ax.set_xlabel("code")

# %%
# Where the bound goes
# --------------------
#
# ``score`` is the same lower bound of the log-density for all of them, whatever they
# were trained with. A penalty on information is paid for here: beta-VAE and beta-TCVAE
# hold less, and reproduce less. A penalty on dependence alone need not cost anything.
# AAE pays most: its codes have next to no noise, which the bound charges as
# information, and it fills all five, for nothing tells it to leave any unused.

for name, vae in fitted.items():
    print(
        f"{name:12} {vae.score(X):7.2f} nats per row, "
        f"{len(vae.active_components_)} active, "
        f"{vae.kl_per_component_.sum():5.1f} nats in the codes"
    )
plt.show()

"""
Choosing gamma, with labels and without
=======================================

``gamma`` is the price of dependence. If a few rows have known factors, a grid search
can be scored with them, and it should be reported as supervision. If none have, one
can still ask whether seeds agree. Both ways are gone here on one table, side by side,
so that one sees what labels are worth.
"""

# %%
# A table from a random start
# ---------------------------
#
# Eight channels, each a smooth function of the same two independent sources. The fits
# start at random, not from linear components, as networks of one's own do: then
# gamma has something to decide.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.metrics import mean_correlation_score, mig_scorer
from skfactorvae.model_selection import BatchedGridSearchCV, batched_fits, select_gamma

X, factors = make_nonlinear_ica(
    1500, n_sources=2, n_features=8, noise=0.05, random_state=0
)
X, X_test = X[:1000], X[1000:]
factors, factors_test = factors[:1000], factors[1000:]
gammas = [0.0, 3.0, 10.0, 30.0, 100.0]
vae = FactorVAETransformer(
    n_components=2,
    init="random",
    hidden_layer_sizes=(32, 32),
    discriminator_hidden_layer_sizes=(64, 64),
    discriminator_learning_rate=2e-3,
    max_iter=800,
    random_state=0,
)

# %%
# With labels
# -----------
#
# An ordinary grid search, whose fits are trained together. Factors go to the scorer;
# no fit looks at them. Still the choice does.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    search = BatchedGridSearchCV(
        vae,
        {"gamma": gammas, "random_state": [0, 1, 2]},
        scoring=mig_scorer,
        cv=ShuffleSplit(1, test_size=0.3, random_state=0),
    ).fit(X, factors)
told = np.reshape(search.cv_results_["mean_test_score"], (len(gammas), 3))
print("gamma:                 ", *(f"{gamma:6.0f}" for gamma in gammas))
print("mutual information gap:", *(f"{gap:6.2f}" for gap in told.mean(axis=1)))

# %%
# Without
# -------
#
# ``select_gamma`` sees rows only. It asks of each gamma how well seeds agree, whether
# codes are independent, what they know of rows set aside, and says what speaks for its
# choice.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    with batched_fits():
        selection = select_gamma(vae, X, gammas, n_seeds=3, random_state=0)
print(selection)

# %%
# The picture to keep
# -------------------
#
# Every dot is a fit. The curve on the left took labels to draw; the one on the right
# did not. They need not have the same shape, only the same best region.

agreement = selection.scores["udr"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
places = np.arange(len(gammas))
axes[0].plot(places, told, "o", color="0.7", markersize=5)
axes[0].plot(places, told.mean(axis=1), color="C0")
axes[0].set(ylabel="mutual information gap", title="with labels")
axes[1].plot(places, agreement, "o", color="0.7", markersize=5)
axes[1].plot(places, agreement.mean(axis=1), color="C1")
axes[1].set(ylabel="agreement of seeds (UDR)", title="without labels")
chosen = search.best_params_["gamma"], selection.best_gamma
for ax, gamma in zip(axes, chosen, strict=True):
    ax.set_xticks(places, [f"{gamma:g}" for gamma in gammas])
    ax.set_xlabel("gamma; dotted: the choice")
    ax.axvline(gammas.index(gamma), color="0.4", linestyle=":")
plt.show()

# %%
# What each choice is worth, on rows that took part in neither
# ------------------------------------------------------------

models = {
    "gamma 0": vae.set_params(gamma=0.0).fit(X),
    "with labels": search.best_estimator_,
    "without labels": selection.best_estimator,
}
for name, model in models.items():
    score = mean_correlation_score(factors_test, model.transform(X_test))
    print(f"{name:16} gamma {model.gamma:5.1f}   rank correlation {score:.2f}")

# %%
# One table proves nothing about a rule. Thirty cases, and the ones where it fails, are
# in the guide: :doc:`/selection`.

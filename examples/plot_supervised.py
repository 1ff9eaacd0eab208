"""
Partial labels, and removal of a batch effect
=============================================

Two thousand samples were measured with twenty sensors at three sites, and each site
shifts the sensors differently. For a hundred samples the dose and the presence of an
illness are known. The aim is a representation with one component for the dose, one for
the illness, further components for the remaining variation, and no information about
the site.
"""

# %%
# The table
# ---------
#
# There are two more sources, without labels. All four act on the sensors through a
# nonlinear function. The site is known for every sample, dose and illness for one in
# twenty; ``NaN`` marks a missing label.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import SupervisedFactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica

rng = np.random.RandomState(0)
X, sources = make_nonlinear_ica(4000, n_sources=4, n_features=20, random_state=0)
site = rng.randint(3, size=len(X))
X = X + rng.normal(size=(3, 20))[site] * 0.5 * X.std(axis=0)
truth = {"dose": sources[:, 0], "ill": sources[:, 1] > 0, "site": site}

train = slice(0, 2000)
y = np.column_stack([truth["dose"], truth["ill"], site])[train]
unlabelled = rng.permutation(2000)[100:]
y[unlabelled, :2] = np.nan

# %%
# The fit
# -------
#
# ``sensitive=2`` declares the third column of ``y`` as the attribute to remove. The
# site has two components of its own in addition to the eight, which are trained but not
# part of the codes.

start = time.perf_counter()
vae = SupervisedFactorVAETransformer(8, sensitive=2, max_iter=3000, random_state=0)
vae.fit(X[train], y)
print(f"fitted in {time.perf_counter() - start:.0f} s; KL of each component, nats:")
print(vae.kl_per_component_.round(2))

# %%
# Independent probes
# ------------------
#
# The adversarial predictors of the training cannot be used for evaluation, since the
# encoder was trained against them. Instead, one linear and one nonlinear model are
# trained on half of the 2000 held-out samples and tested on the other half: how well do
# they predict an attribute from its own component, from all components, and from all
# others? The score is R2 for the dose (chance level 0) and the area under the ROC curve
# for the others (chance level .5). The same is done for the sensors.

learn, test = slice(2000, 3000), slice(3000, 4000)
codes = vae.transform(X)
own = {"dose": [0], "ill": [1], "site": []}


def probe(name, table):
    """Return the held-out scores of a linear and of a nonlinear model."""
    labels = truth[name]
    if name == "dose":
        models = Ridge(), HistGradientBoostingRegressor(random_state=0, max_iter=60)
    else:
        models = (
            LogisticRegression(max_iter=1000),
            HistGradientBoostingClassifier(random_state=0, max_iter=60),
        )
    scores = []
    for model in models:
        model = make_pipeline(StandardScaler(), model).fit(table[learn], labels[learn])
        if name == "dose":
            scores.append(r2_score(labels[test], model.predict(table[test])))
            continue
        chance = model.predict_proba(table[test])
        chance = chance if name == "site" else chance[:, 1]
        scores.append(roc_auc_score(labels[test], chance, multi_class="ovr"))
    return scores


VIEWS = "sensors", "own", "all", "others"
results = {}
print(f"{'linear / nonlinear':20}" + "".join(f"{v:>16}" for v in VIEWS))
for name, columns in own.items():
    views = {
        "sensors": X,
        "own": codes[:, columns],
        "all": codes,
        "others": np.delete(codes, columns, axis=1),
    }
    results[name] = {
        view: probe(name, table) if table.shape[1] else None
        for view, table in views.items()
    }
    cells = [
        "-" if s is None else "{:.3f} / {:.3f}".format(*s)
        for s in results[name].values()
    ]
    print(f"{name:20}" + "".join(f"{cell:>16}" for cell in cells))
for name in ("dose", "ill"):
    r = np.corrcoef(codes[2000:, own[name][0]], truth[name][2000:])[0, 1]
    print(f"correlation of {name} with its component: {r:.3f}")
limit = np.corrcoef(sources[2000:, 1], truth["ill"][2000:])[0, 1]
print(f"ill is a threshold of a source, which itself correlates with it by {limit:.3f}")

# %%
# Labelled components, and reconstructions without the site
# ---------------------------------------------------------
#
# The two components against their attributes, and the first two principal components of
# the sensors and of the reconstructions: ``inverse_transform`` sets the components of
# the site to zero, so that reconstructions do not depend on it.

figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), layout="constrained")
axes[0].scatter(truth["dose"][2000:], codes[2000:, 0], s=2, color="0.3")
axes[0].set(xlabel="dose", ylabel="component 0", title="component of the dose")
for level, shade in ((0, "0.7"), (1, "0.2")):
    axes[1].hist(
        codes[2000:][truth["ill"][2000:] == level, 1],
        40,
        color=shade,
        alpha=0.7,
        label="ill" if level else "well",
    )
axes[1].set(xlabel="component 1", title="component of the illness")
axes[1].margins(y=0.35)
axes[1].legend(fontsize="small", ncols=2, loc="upper center")
back = vae.inverse_transform(codes)
center = X[train].mean(axis=0)
axis = np.linalg.svd(X[train] - center, full_matrices=False)[2][:2].T
for ax, rows, title in ((axes[2], X, "sensors"), (axes[3], back, "without the site")):
    for s in range(3):
        dots = (rows[2000:][site[2000:] == s] - center) @ axis
        ax.scatter(*dots.T, s=2, label=f"site {s}")
    ax.set(title=title, xlabel="first axis", ylabel="second axis")
small = {"fontsize": "x-small", "markerscale": 4, "handletextpad": 0}
axes[2].legend(loc="upper left", frameon=False, **small)
plt.show()

# %%
# The site is easily predicted from the sensors, and from all eight components no better
# than by chance. Dose and illness are predicted from one component each as well as from
# all components, and hardly at all from the others.

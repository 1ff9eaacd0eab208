"""
Penguins: two components of a table with strings and missing values
===================================================================

Bill, flipper, body mass, sex and island of 344 penguins of three species in the Palmer
Archipelago (Gorman, Williams & Fraser 2014). Two penguins were not measured, and the
sex of eleven is unknown. In what does such a table vary, and does each quantity get a
component of its own? The species is left out of the fit, and compared with the
components afterwards.
"""

# %%
# The table
# ---------
#
# A data frame is fitted as it is: strings are categories, and missing values stay
# missing. The sex of 60 more penguins is hidden, to see later how well it is imputed.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skfactorvae import FactorVAETransformer
from skfactorvae.inspection import FactorMatrixDisplay, factor_table

folder = next(p for p in map(Path, ("data", "examples/data")) if p.is_dir())
penguins = pd.read_csv(folder / "penguins.csv")
known = penguins[["species", "sex"]]
X = penguins.drop(columns=["species", "year"])
rng = np.random.default_rng(0)
hidden = rng.choice(np.flatnonzero(X["sex"].notna()), 60, replace=False)
X.loc[hidden, "sex"] = None
print(pd.DataFrame({"type": X.dtypes.astype(str), "missing": X.isna().sum()}))

# %%
# Two components, in sentences
# ----------------------------

vae = FactorVAETransformer(n_components=2, max_iter=1000, random_state=0).fit(X)
print(factor_table(vae, X))

# %%
# The first sentence is about size, the second about sex. A penguin's codes are computed
# from what was observed of it; the less that is, the larger their standard deviation.

vae.set_component_names({0: "size", 1: "sex"})
codes = vae.transform(X)
_, std = vae.posterior(X)
for count, group in pd.DataFrame(std).groupby(X.isna().sum(axis=1)):
    size, sex = group.mean()
    print(f"{count} missing: standard deviation of size {size:.2f}, of sex {sex:.2f}")

# %%
# Beside linear methods
# ---------------------
#
# PCA, FastICA and rotated factor analysis need numbers without gaps: an imputer and
# indicators of the levels come before them.

numbers = make_pipeline(SimpleImputer(), StandardScaler())
levels = make_pipeline(
    SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False)
)


def prepared(*steps):
    """Return a pipeline that begins with imputed, standardised numbers and levels."""
    columns = ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("levels", levels, make_column_selector(dtype_exclude="number")),
        ]
    )
    return make_pipeline(columns, *steps)


methods = {
    "PCA": prepared(PCA(2, whiten=True)),
    "FastICA": prepared(FastICA(2, whiten="unit-variance", random_state=0)),
    "factor analysis, varimax": prepared(FactorAnalysis(2, rotation="varimax")),
}
found = {name: method.fit_transform(X) for name, method in methods.items()}
found["FactorVAE"] = codes

# %%
# Dots are penguins, coloured by species. Below, the mutual information of each
# component with species and sex, as a share of their entropy: 1 if the component
# determines it, 0 if it is independent of it.

figure, axes = plt.subplots(
    2, 4, figsize=(10.5, 5), height_ratios=(3, 1.3), layout="constrained"
)
for (top, bottom), (name, Z) in zip(axes.T, found.items(), strict=True):
    for species, group in known.groupby("species"):
        top.scatter(*Z[group.index].T, s=7, label=species)
    top.set_title(name, loc="left", fontsize=10)
    top.set(xlabel="component 0", ylabel="component 1")
    FactorMatrixDisplay.from_codes(known, Z, adjusted=True).plot(bottom)
    bottom.set_title("", loc="left")
axes[1, 0].set_title("share of entropy", loc="left", fontsize=10)
figure.legend(
    *axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3
)
plt.show()

# %%
# The accuracy of a logistic regression for species and sex, from both components and
# from each alone, in five-fold cross-validation.

both = {"both": [0, 1], "component 0": [0], "component 1": [1]}
print(f"{'':26}{'species from':>36}{'sex from':>34}")
print(f"{'':26}" + "".join(f"{name:>12}" for name in [*both, *both]))
for name, Z in found.items():
    scores = []
    for attribute in known:
        seen = known[attribute].notna()
        for chosen in both.values():
            each = cross_val_score(
                LogisticRegression(), Z[np.ix_(seen, chosen)], known[attribute][seen]
            )
            scores.append(each.mean())
    print(f"{name:26}" + "".join(f"{score:12.2f}" for score in scores))

three = prepared(PCA(3, whiten=True)).fit_transform(X)
accuracy = cross_val_score(LogisticRegression(), three, known["species"]).mean()
print(f"{'PCA with three components':26}{accuracy:12.2f}")

# %%
# The sex that was hidden
# -----------------------
#
# ``impute`` fills in what is expected given the observed values. Nothing was tuned for
# this task; a classifier that is trained for it is the natural comparison.

full = vae.impute(X)
truth = known["sex"][hidden]
trained = prepared(LogisticRegression())
seen = X["sex"].notna()
trained.fit(X[seen].drop(columns="sex"), X["sex"][seen])
predicted = trained.predict(X.loc[hidden].drop(columns="sex"))
print(
    f"accuracy of the hidden sex: imputed {(full['sex'][hidden] == truth).mean():.2f}"
)
print(
    f"                            logistic regression {(predicted == truth).mean():.2f}"
)
print("missing values left:", full.isna().sum().sum())

# %%
# What was learned
# ----------------
#
# The two components are species and sex, although the species was left out, and sex is
# one incomplete column of six. The first puts the species in a row, Adelie, Chinstrap,
# Gentoo, and each strip of Adelie penguins in the figure is an island. Two linear
# components do not separate Adelie from Chinstrap, which differ in the length of the
# bill and hardly in mass.
#
# Linear methods are the better choice for other questions. If components need not be
# readable, a third principal component separates the species as well, in no time. If
# only the sex is wanted, a logistic regression predicts it as well as the imputation.

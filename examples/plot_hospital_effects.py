"""
Hospitals and diagnoses: which component varies with which
==========================================================

Findings of 920 patients in four hospitals (Detrano et al. 1989), of whom some have a
disease of the coronary arteries. In one hospital nearly all of them are ill, in another
one a third is. If a component differs between hospitals, is that because their patients
differ, or because they measure differently? The two are not the same question, and
``condition_effects`` answers them separately.
"""

# %%
# The table
# ---------
#
# Nine findings: five numbers, and categories with labels. A cholesterol or blood
# pressure of zero was not measured. Two conditions are known of each patient.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import AuxiliaryVAETransformer
from skfactorvae.identification import condition_effects
from skfactorvae.inspection import factor_table

folder = next(p for p in map(Path, ("data", "examples/data")) if p.is_dir())
raw = pd.read_csv(folder / "heart.csv")
X = pd.DataFrame(
    {
        "age": raw["age"],
        "blood pressure": raw["trestbps"].replace(0, np.nan),
        "cholesterol": raw["chol"].replace(0, np.nan),
        "heart rate": raw["thalach"],
        "ST depression": raw["oldpeak"],
        "sex": raw["sex"].map({0: "female", 1: "male"}),
        "chest pain": raw["cp"].map(
            {1: "typical", 2: "atypical", 3: "other", 4: "none"}
        ),
        "blood sugar": raw["fbs"].map({0: "normal", 1: "high"}),
        "exercise pain": raw["exang"].map({0: "no", 1: "yes"}),
    }
)
conditions = pd.DataFrame(
    {
        "disease": np.where(raw["num"] > 0, "ill", "well"),
        "hospital": raw["site"],
    }
)
print(pd.crosstab(conditions["hospital"], conditions["disease"]))

# %%
# A model of the table, with both conditions
# ------------------------------------------
#
# Each combination of hospital and disease has a prior of its own. One has eight
# patients only, fewer than the ten that are needed; their conditions are left unknown
# in the fit.

sizes = conditions.groupby(["disease", "hospital"])["hospital"].transform("size")
known = conditions.where(sizes >= 10, None)
vae = AuxiliaryVAETransformer(n_components=3, max_iter=250, random_state=0)
vae.fit(X, aux=known)
print(factor_table(vae, X))
Z = vae.transform(X)

# %%
# Alone, and within levels of the other condition
# -----------------------------------------------
#
# Information in nats between each component and each condition. Alone, a condition has
# all effects that go with it. Within levels of the other one, hospitals are compared
# between patients of the same diagnosis, and diagnoses within hospitals.

effects = condition_effects(Z, conditions)
alone = {
    name: condition_effects(Z, conditions[[name]]).information[0] for name in conditions
}
table = pd.DataFrame(
    {
        f"{name}, {kind}": values
        for m, name in enumerate(conditions)
        for kind, values in (
            ("alone", alone[name]),
            ("within", effects.information[m]),
        )
    }
)
print(table.round(3).to_string())
print()
print(effects)

# %%
# Shifts of each hospital. Circles: means of all of its patients, which also depend on
# how many of them are ill. Dots: within diagnoses.

hospitals = condition_effects(Z, conditions[["hospital"]])
figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharex=True, layout="constrained")
for j, ax in enumerate(axes):
    ax.plot(hospitals.shift[0][:, j], range(4), "o", mfc="none", label="alone")
    ax.plot(effects.shift[1][:, j], range(4), "o", label="within diagnoses")
    ax.axvline(0, color="0.8", zorder=0)
    ax.set(title=f"component {j}", xlabel="shift", yticks=range(4))
    ax.set_yticklabels(effects.levels[1] if j == 0 else [])
axes[-1].legend(fontsize="small")
plt.show()

# %%
# Without the hospitals
# ---------------------
#
# ``remove`` subtracts the shifts of hospitals within diagnoses, so that the difference
# between ill and well patients stays. Subtracting the mean of each hospital takes a
# part of it away, since a hospital with many ill patients has another mean.


def gap(codes):
    """Return the difference of means of ill and well patients, in sd of the codes."""
    is_ill = (conditions["disease"] == "ill").to_numpy()
    return (codes[is_ill].mean(0) - codes[~is_ill].mean(0)) / Z.std(axis=0)


means = pd.DataFrame(Z).groupby(conditions["hospital"]).transform("mean").to_numpy()
versions = {
    "as they are": Z,
    "means of hospitals subtracted": Z - means,
    "remove": effects.remove(Z, "hospital", conditions["hospital"]),
}
print("difference between ill and well, by component")
for name, codes in versions.items():
    print(f"{name:30}", gap(codes).round(2))

# %%
# Beside principal components
# ---------------------------
#
# ``condition_effects`` takes any columns. The scores of PCA after imputation, of the
# numbers alone:

numbers = X.select_dtypes("number")
pca = make_pipeline(SimpleImputer(), StandardScaler(), PCA(3))
print(condition_effects(pca.fit_transform(numbers), conditions))

# %%
# What was learned
# ----------------
#
# The component of pain in exercise differs between hospitals, but within diagnoses most
# of that information is gone: hospitals differ in it because they had other patients.
# The component of sex keeps more than half of it, and that of age nearly all: the
# veterans' hospital in Long Beach examined six women among its 200 patients. Whether a
# difference within diagnoses is one of the patients or of the instruments, no table
# says.
#
# No hospital was needed for the codes. For new patients, ``remove`` needs their
# hospital, and not their diagnosis.

"""
Nests: what partners share, and in what they differ
===================================================

Of most penguins in the table of Gorman, Williams & Fraser (2014), the partner of the
same nest was measured as well. Partners are of one species and eat alike, but are of
different sex. Does it help to know who is whose partner, without knowing species or
sex? And are networks needed to make use of it?
"""

# %%
# The table
# ---------
#
# Four measures of size, and two isotopes that depend on the diet. The nest is the
# identifier of a pair. Species and sex are used for evaluation only.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.linalg import eigh
from sklearn.decomposition import PCA, FastICA
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, PairedVAETransformer
from skfactorvae.identification import condition_effects

folder = next(p for p in map(Path, ("data", "examples/data")) if p.is_dir())
nests = pd.read_csv(folder / "nests.csv").dropna()
nests = nests[nests.groupby("nest")["nest"].transform("size") == 2]
known, X = nests[["species", "sex"]], nests.iloc[:, 3:]
rows = StandardScaler().fit_transform(X)
pairs = nests["nest"].to_numpy()
members = np.argsort(pairs, kind="stable").reshape(-1, 2)  # rows of each nest
sexes = known["sex"].to_numpy()[members]
print(len(members), "nests; of different sex:", (sexes[:, 0] != sexes[:, 1]).sum())

# %%
# Two components of five methods
# ------------------------------
#
# PCA, FastICA and FactorVAE do not use the nests. PairedVAE is given them. So is a
# linear method: the combination of columns that varies most within nests, relative to
# all penguins, and the one that varies least.


def axes_of_pairs(rows, members):
    """Return the scores that vary least and most within pairs, (n, 2)."""
    differences = rows[members[:, 0]] - rows[members[:, 1]]
    within = differences.T @ differences / (2 * len(members))
    _, vectors = eigh(within, np.cov(rows.T))
    return rows @ vectors[:, [0, -1]]


options = {"max_iter": 400, "weight_decay": 0.0, "random_state": 0}
codes_of = {
    "PCA": PCA(2).fit_transform(rows),
    "FastICA": FastICA(2, random_state=0, whiten="unit-variance").fit_transform(rows),
    "axes of pairs": axes_of_pairs(rows, members),
    "FactorVAE": FactorVAETransformer(2, **options).fit_transform(X),
    "PairedVAE": PairedVAETransformer(2, **options).fit(X, pairs=pairs).transform(X),
}

# %%
# What partners have in common
# ----------------------------
#
# The correlation of partners in each component, and the information about species and
# sex in nats, each within levels of the other. A component of sex alone has partners of
# opposite sign, and no information about the species.


def partner_correlation(z):
    """Return the correlation of a component between partners, in either order."""
    both = np.concatenate([z[members], z[members[:, ::-1]]])
    return np.corrcoef(both.T)[0, 1]


print(f"{'':26}{'partners':>9}{'species':>9}{'sex':>9}")
for name, Z in codes_of.items():
    species, sex = condition_effects(Z, known).information
    for j, z in enumerate(Z.T):
        label = f"{name}, component {j}"
        shown = (partner_correlation(z), species[j], sex[j])
        print(f"{label:26}" + "".join(f"{value:9.2f}" for value in shown))

# %%
# Partners are joined by lines: nearly horizontal where the second component is common,
# and vertical where it is what distinguishes them.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, name in zip(axes, ("PCA", "axes of pairs", "PairedVAE"), strict=True):
    Z = codes_of[name]
    ax.plot(*Z[members].transpose(2, 1, 0), color="0.85", linewidth=0.6, zorder=0)
    for (species, sex), group in known.reset_index(drop=True).groupby(list(known)):
        marker = "o" if sex == "male" else "^"
        colour = {"Adelie": "C0", "Chinstrap": "C1", "Gentoo": "C2"}[species]
        chosen = group.index
        ax.scatter(
            *Z[chosen].T, s=10, marker=marker, color=colour, label=f"{species} {sex}"
        )
    ax.set(title=name, xlabel="component 0", ylabel="component 1")
axes[0].legend(fontsize="x-small")
plt.show()

# %%
# What was learned
# ----------------
#
# Pairs separate sex from species: both axes of pairs do so completely, one of which has
# information about the species alone, and one about sex alone. No method that ignores
# nests has such a component, since the species differ in the same columns as the sexes.
#
# PairedVAE gains from the nests as well: sex is in one of its components, and in both
# of FactorVAE. But that component still depends on the species, and two covariance
# matrices are the better choice here: six columns that are nearly linear in their
# causes, and 312 samples. Where columns are numbers, compare with axes of pairs always;
# ``plot_pairs.py`` has a table of motions on which a linear method is not enough.

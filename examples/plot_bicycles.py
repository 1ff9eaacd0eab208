"""
Bicycles: what the days of a rental system differ in
====================================================

Rentals of a bicycle sharing system in Washington, D.C., on each day of 2011, by casual
and by registered users, in periods of two hours (Fanaee-T & Gama 2014). How many
numbers describe a day, and what are they? The calendar and the weather are left out of
the fit, and compared with the components afterwards.
"""

# %%
# Days as windows
# ---------------
#
# A day is a window of twelve times and two channels, flattened to one row of 24
# columns. Counts are skewed, so that their square roots are taken first. One day in
# four is held out.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfactorvae import FactorVAETransformer
from skfactorvae.inspection import LatentTraversalDisplay, ReconstructionDisplay
from skfactorvae.metrics import mutual_information_matrix

folder = next(p for p in map(Path, ("data", "examples/data")) if p.is_dir())
days = pd.read_csv(folder / "bicycles.csv", index_col="date", parse_dates=True)
known = days[["working_day", "temperature", "humidity"]]
X = days.drop(columns=list(known)).astype(float)
hours = pd.Series(np.arange(1, 24, 2), name="hour of the day")
channels = ("casual", "registered")
held_out = np.zeros(len(X), bool)
held_out[np.random.default_rng(0).permutation(len(X))[: len(X) // 4]] = True
print(f"{len(X)} days of {X.shape[1]} columns, {held_out.sum()} held out")


def with_roots(*steps):
    """Return a pipeline that begins with square roots of all columns."""
    roots = FunctionTransformer(np.sqrt, inverse_func=np.square)
    return make_pipeline(roots, StandardScaler(), *steps)


# %%
# Three components
# ----------------

vae = FactorVAETransformer(n_components=3, max_iter=1000, random_state=0)
pipe = with_roots(vae).fit(X[~held_out])
print("share of the variance:", vae.explained_variance_ratio_.round(2))

# %%
# ``window_shape`` makes windows of the rows again, with a row of panels for each
# channel. Component 0 raises rentals at all hours. Component 1 goes from leisure to
# commuting: registered users have two peaks, and casual users disappear. Component 2
# has more registered users at midday and fewer casual ones in the evening.

vae.set_component_names({0: "rentals", 1: "commuting", 2: "midday"})
LatentTraversalDisplay.from_estimator(pipe, X, x=hours, window_shape=(12, 2)).plot(
    y_label=[f"{name} users" for name in channels]
)
plt.show()

# %%
# Held-out days and their reconstructions, from the best to the worst:

ReconstructionDisplay.from_estimator(
    pipe, X[held_out], x=hours, window_shape=(12, 2), n_rows=4
).plot(y_label=channels)
plt.show()

# %%
# Beside linear methods
# ---------------------
#
# With three components each: the share of the variance of held-out days that the
# reconstruction explains (R2, in square roots), and the mutual information of the
# components with the calendar and the weather, as a share of their entropy.


class Varimax(FactorAnalysis):
    """Factor analysis with varimax rotation, and reconstructions."""

    def inverse_transform(self, codes):
        return codes @ self.components_ + self.mean_


methods = {
    "PCA": with_roots(PCA(3)),
    "FastICA": with_roots(FastICA(3, random_state=0, max_iter=1000)),
    "factor analysis, varimax": with_roots(Varimax(3, rotation="varimax")),
    "FactorVAE": pipe,
}
print(f"{'':38}R2{''.join(f'{name:>13}' for name in known)}")
for name, model in methods.items():
    if model is not pipe:
        model.fit(X[~held_out])
    rows = model[:2].transform(X[held_out])
    back = model[-1].inverse_transform(model.transform(X[held_out]))
    matrix, entropy = mutual_information_matrix(
        known, model.transform(X), n_bins=10, adjusted=True
    )
    for component, shares in enumerate(matrix / entropy):
        r2 = f"{r2_score(rows, back):.3f}" if component == 0 else ""
        label = f"{name if component == 0 else '':26} {component}"
        print(f"{label:35}{r2:5}" + "".join(f"{share:13.2f}" for share in shares))

# %%
# Working days with few commuters, and other days with many
# ---------------------------------------------------------
#
# The commuting component separates working days from others. The exceptions are of
# interest: working days with few commuters, and other days with many.

commuting = pipe.transform(X)[:, 1]
is_working = known["working_day"].to_numpy(bool)
commuting *= np.sign(commuting[is_working].mean() - commuting[~is_working].mean())
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
for chosen, label in ((is_working, "working day"), (~is_working, "other day")):
    ax.scatter(X.index[chosen], commuting[chosen], s=8, label=label)
ax.set(ylabel="commuting")
ax.legend(fontsize=8)
plt.show()

code = pd.Series(commuting, X.index)
print(f"median of working days {code[is_working].median():.2f}, ", end="")
print(f"of other days {code[~is_working].median():.2f}")
for title, found in {
    "working days with the fewest commuters": code[is_working].nsmallest(4),
    "other days with the most commuters": code[~is_working].nlargest(4),
}.items():
    print(f"{title}:")
    for day, value in found.items():
        print(f"  {day:%A %d %B}  {value:5.2f}")

# %%
# What was learned
# ----------------
#
# Three numbers describe a day: how many ride, whether they commute, and how many ride
# at midday. How many ride goes with the temperature; the commuting component hardly
# does. Its exceptions have reasons that the calendar column does not show. Of the
# working days, 25 November follows Thanksgiving, and a snow storm began on 26 January.
# Of the others, 15 April (Emancipation Day) and 11 November (Veterans Day) are holidays
# on which many work.
#
# PCA finds the commuting component as well, in no time. What FactorVAE adds is a
# reconstruction that is somewhat better, and a first component that does not depend on
# the kind of day, as PCA's does. FastICA and varimax rotation spread the kind of day
# over two components: for this table, **PCA is the better choice of the linear
# methods**, and enough if the reconstruction does not matter.

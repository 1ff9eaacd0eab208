"""
A control that should fail, and does
====================================

Every method that finds factors should be shown a table in which there are none to find.
Independent Gaussian sources, mixed, look the same from every angle: any rotation of
them explains the rows as well as the truth. A model will still return independent
codes. This is how to notice.
"""

# %%
# Two tables that differ in one thing
# -----------------------------------
#
# Four sources, mixed once. In one table the sources are Laplacian
# and their directions can be found (it is what FastICA is for); in the other they are
# Gaussian, and cannot.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.inspection import StabilityDisplay
from skfactorvae.metrics import (
    gaussian_total_correlation,
    match_codes,
    mean_correlation_score,
)

tables = {
    source: make_nonlinear_ica(
        1500, source=source, n_layers=1, n_features=12, random_state=0
    )
    for source in ("laplace", "gaussian")
}

# %%
# Five seeds each, and half of the rows each
# ------------------------------------------
#
# Seeds that all start from FastICA's components of the same rows agree because they
# were started alike, not because the data say so. So each member of the control sees
# its own half of the rows: what is in the data is in every half.

vae = FactorVAETransformer(
    n_components=4,
    hidden_layer_sizes=(32, 32),
    discriminator_hidden_layer_sizes=(64, 64),
    max_iter=500,
)
rng = np.random.default_rng(0)
halves = [rng.permutation(1000)[:500] for _ in range(5)]
test = slice(1000, None)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    codes = {
        source: [
            vae.set_params(random_state=seed).fit(X[half]).transform(X[test])
            for seed, half in enumerate(halves)
        ]
        for source, (X, _) in tables.items()
    }

# %%
# What looks alike
# ----------------
#
# In both tables the codes have next to no total correlation. Independence is what was
# asked for, and what was delivered.

print(f"{'':10}{'total correlation of the codes, nats':>38}")
for source, fits in codes.items():
    tc = np.mean([gaussian_total_correlation(Z) for Z in fits])
    print(f"{source:10}{tc:38.3f}")

# %%
# The picture to keep
# -------------------
#
# For each component of the first fit, how well the other four have it: rank
# correlations after matching, a dot for each. The bar ends at their median. Blue is a
# median of .8 or more, from the dashed line on, where a component counts as one that
# comes back.
#
# Where there is something to find, everyone finds the same, and the dots lie on each
# other. Where there is not, they scatter. With four codes to choose from even strangers
# match to a degree, and single dots pass the line by chance. So may medians, if one
# takes the fit that agrees best with the others, as the display does unless it is given
# a ``reference``. Read the scatter of the dots, not only the bar, and compare with the
# last line of the table below.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, (source, fits) in zip(axes, codes.items(), strict=True):
    StabilityDisplay.from_codes(fits, reference=0).plot(ax)
    ax.set_xlabel(f"{source} sources: rank correlation with the match")
plt.show()

# %%
# And the truth, which one has in a simulation only
# -------------------------------------------------
#
# Agreement is seen without labels; the second column needs the sources. They fall
# together, which is why the first is worth its five fits. The last line is that of
# random rotations of the sources: what "nothing" looks like on this scale.

print(f"{'':10}{'seeds agree':>14}{'truth is found':>17}")
for source, fits in codes.items():
    sources = tables[source][1][test]
    agree = [match_codes(Z, fits[0]).correlation.mean() for Z in fits[1:]]
    found = [mean_correlation_score(sources, Z) for Z in fits]
    print(f"{source:10}{np.median(agree):14.2f}{np.median(found):17.2f}")

rotations = [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(50)]
nothing = [mean_correlation_score(sources, sources @ turn) for turn in rotations]
print(f"{'rotations':10}{'':14}{np.median(nothing):17.2f}")

# %%
# Matching four codes with four sources finds something in any rotation, so a
# correlation far above zero may still be nothing. And the converse does not hold: a
# model's leanings are the same in all of its fits, so what returns may be wrong every
# time in the same way.

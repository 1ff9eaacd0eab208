"""
Negative control: sources that cannot be found
==============================================

A method that finds factors should be tested on data in which they cannot be found.
Independent Gaussian sources are such a case: after mixing, any rotation of them
explains the samples as well as the sources themselves do. A model still returns
independent codes. This example shows how the agreement of several fits reveals that
they are arbitrary.
"""

# %%
# Two tables that differ only in the distribution of the sources
# --------------------------------------------------------------
#
# Four sources, mixed linearly. In one table they are Laplacian and can be found, as by
# FastICA; in the other they are Gaussian and cannot.

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
# Five fits, each to its own half of the samples
# ----------------------------------------------
#
# Fits that all start from FastICA's components of the same samples may agree only
# because of the common initialisation. Each fit therefore gets a random half of the
# samples of its own: structure of the distribution is present in every half.

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
# Total correlation does not distinguish the tables
# -------------------------------------------------
#
# For both tables the codes have almost no total correlation: they are independent, as
# the objective requires, whether or not they are the sources.

print(f"{'':10}{'total correlation of the codes, nats':>38}")
for source, fits in codes.items():
    tc = np.mean([gaussian_total_correlation(Z) for Z in fits])
    print(f"{source:10}{tc:38.3f}")

# %%
# Agreement of fits
# -----------------
#
# For each component of the first fit: its rank correlation with the matched component
# of each of the other four fits (dots) and their median (bar). Components with a median
# of at least .8 (dashed line) are blue and count as stable.
#
# Where the sources can be found, all fits find the same components and the dots
# coincide. Where they cannot, the dots scatter. With four components to choose from,
# unrelated components match to some degree, and single dots exceed the line by chance.
# Medians may exceed it as well if the reference is the fit that agrees best with the
# others, as in the display without ``reference``. Consider the scatter of the dots as
# well as the bar, and compare with the last line of the table below.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, (source, fits) in zip(axes, codes.items(), strict=True):
    StabilityDisplay.from_codes(fits, reference=0).plot(ax)
    ax.set_xlabel(f"{source} sources: rank correlation with the match")
plt.show()

# %%
# Agreement and recovery of the sources
# -------------------------------------
#
# The first column needs no labels; the second one needs the sources, which are known in
# a simulation only. Both are low for Gaussian sources, so that agreement is informative
# without labels. The last line is for random rotations of the sources, the chance level
# of this score.

print(f"{'':10}{'agreement':>14}{'recovery':>17}")
for source, fits in codes.items():
    sources = tables[source][1][test]
    agree = [match_codes(Z, fits[0]).correlation.mean() for Z in fits[1:]]
    found = [mean_correlation_score(sources, Z) for Z in fits]
    print(f"{source:10}{np.median(agree):14.2f}{np.median(found):17.2f}")

rotations = [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(50)]
nothing = [mean_correlation_score(sources, sources @ turn) for turn in rotations]
print(f"{'rotations':10}{'':14}{np.median(nothing):17.2f}")

# %%
# Matching four components with four sources gives a correlation far above zero for any
# rotation, so the score must be compared with its chance level. Agreement does not
# prove recovery: the inductive biases of a model are the same in all of its fits, so
# that a stable component may be wrong in all of them.

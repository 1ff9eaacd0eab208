"""
One table, every objective
==========================

All estimators of the library are one network, one likelihood and one loop; they differ
in what they add to the evidence lower bound. Here they meet on the same table: twenty
sensors, each a smooth nonlinear function of the same three independent sources, with
noise. The sources are known, so that codes can be scored against them.
"""

# %%
# One search over the family
# --------------------------
#
# Estimators share their parameters' names, so that one grid holds them all: the step of
# a pipeline is a parameter like any other. Fits never see the factors; the scorer does.
# Each objective has its default weights here, the same budget and the same seed.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skfactorvae
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.metrics import (
    correlation_matrix,
    mean_correlation_scorer,
    mig_scorer,
)

X, factors = make_nonlinear_ica(
    n_samples=2000, n_sources=3, n_features=20, random_state=0
)

common = {"n_components": 5, "max_iter": 1500, "random_state": 0}
family = [
    skfactorvae.BetaVAETransformer(beta=1.0, **common),
    skfactorvae.BetaVAETransformer(**common),
    skfactorvae.BetaTCVAETransformer(**common),
    skfactorvae.DIPVAETransformer(**common),
    skfactorvae.AAETransformer(**common),
    skfactorvae.FactorVAETransformer(**common),
]

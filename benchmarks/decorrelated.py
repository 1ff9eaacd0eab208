"""Measure what principal components before the model change, on simulated tables.

    python benchmarks/decorrelated.py

Each table is fitted as it is, after ``PCA(50)``, and after ``PCA(20, whiten=True)``;
with default parameters and six components. Printed are the matched correlation with the
factors and the explained variance of the original features, both of samples that were
not fitted, and the number of active components.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skfactorvae import FactorVAETransformer, datasets
from skfactorvae.metrics import mean_correlation_score

N_TRAIN, N_TEST = 900, 300
STEPS = {
    "as it is": lambda: [],
    "PCA(50)": lambda: [PCA(50, random_state=0)],
    "whitened": lambda: [PCA(20, whiten=True, random_state=0)],
}


def tables():
    """Yield the name, samples and factors of each table."""
    n = N_TRAIN + N_TEST
    counts, factors = datasets.make_cell_counts(n, random_state=0)
    yield "cells", np.log1p(counts), factors
    yield "peaks", *datasets.make_gaussian_peaks(n, random_state=0)
    yield "stellar", *datasets.make_stellar_spectra(n, 64, random_state=0)


def main() -> None:
    """Fit all, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=["cells", "peaks", "stellar"])
    chosen = parser.parse_args().tables
    warnings.simplefilter("ignore")
    for name, X, factors in tables():
        if name not in chosen:
            continue
        train, test = X[:N_TRAIN], X[N_TRAIN:]
        for label, steps in STEPS.items():
            vae = FactorVAETransformer(6, random_state=0)
            model = make_pipeline(*steps(), vae).fit(train)
            codes = model.transform(test)
            residual = test - model.inverse_transform(codes)
            r2 = 1 - np.square(residual).sum() / np.square(test - train.mean(0)).sum()
            found = mean_correlation_score(factors[N_TRAIN:], codes, over="factors")
            print(
                f"{name:8s} {label:10s} correlation {found:.3f}  R2 {r2:.3f}  "
                f"active {len(vae.active_components_)}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Measure how well a supervised network predicts each factor of the simulated tables.

The share of a factor's variance that a network with access to the factors explains is a
reference for models without labels: what it cannot predict is hardly in the data. Each
table has 1,500 samples. The columns are standardized and reduced to 20 whitened
principal components; a network with two hidden layers of 64 units, trained with early
stopping, is scored by three-fold cross-validation.

    python benchmarks/supervised.py
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial

from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import datasets

TABLES = {
    "peaks": datasets.make_gaussian_peaks,
    "oscillator, 2 factors": datasets.make_damped_oscillator,
    "oscillator, 4 factors": partial(datasets.make_damped_oscillator, variant="full"),
    "heat": datasets.make_heat_profiles,
    "spectra": datasets.make_stellar_spectra,
    "mixture, 2 layers": partial(datasets.make_nonlinear_ica, n_layers=2),
    "sensors": datasets.make_sensor_table,
    "pendulum": datasets.make_pendulum_shadow,
    "sprites, 32 pixels": partial(datasets.make_dsprites_like, image_size=32),
    "rooms, 32 pixels": partial(datasets.make_toy_shapes3d, image_size=32),
}


def explained_variance(maker, n_samples):
    """Return {factor: cross-validated R2} of a supervised network."""
    table = maker(n_samples, random_state=0, return_bunch=True)
    scaler = StandardScaler()
    factors = scaler.fit_transform(table.factors)
    n_kept = min(20, table.data.shape[1])
    network = MLPRegressor(
        hidden_layer_sizes=(64, 64),
        max_iter=500,
        early_stopping=True,
        n_iter_no_change=30,
        random_state=0,
    )
    model = make_pipeline(
        StandardScaler(), PCA(n_kept, whiten=True, random_state=0), network
    )
    folds = KFold(3, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, table.data, factors, cv=folds)
    scores = r2_score(factors, predicted, multioutput="raw_values")
    return dict(zip(table.factor_names, scores, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--samples", type=int, default=1500)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| table | explained variance of each factor |\n|---|---|")
    for name in options.tables:
        scores = explained_variance(TABLES[name], options.samples)
        cells = ", ".join(f"{factor} {r2:.2f}" for factor, r2 in scores.items())
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

"""Infer the parameters of simulators from few labelled runs.

    python benchmarks/simulators.py
    python benchmarks/simulators.py --stored

The two simulators were named before the first fit: the damped oscillator with four
parameters, and stellar spectra with four. Each is run 20,000 times. A FactorVAE with
default parameters is fitted to all runs without their parameters; 200 runs with them
train a Gaussian process for each parameter on its codes, on as many principal
components, and on the standardised columns, for five draws of these runs. On 2,000
other runs are measured the root mean squared error in standard deviations of the
parameter, the share of nominal 90 % intervals that contain it, and how far the ranks of
the true values in their posteriors are from uniform (simulation-based calibration).
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, datasets

STORED = Path(__file__).parent / "results" / "simulators.csv"
COLUMNS = ("simulator", "parameter", "draw", "representation", "error", "coverage")
COLUMNS = (*COLUMNS, "calibration")
N_RUNS, N_LABELS, N_TEST, N_DRAWS = 20_000, 200, 2000, 5
NOMINAL = 0.9

SIMULATORS = {
    "oscillator": lambda n: datasets.make_damped_oscillator(
        n, variant="full", return_bunch=True, random_state=0
    ),
    "spectra": lambda n: datasets.make_stellar_spectra(
        n, 64, return_bunch=True, random_state=0
    ),
}
KINDS = ("codes", "PCA", "columns")


def representations(X):
    """Return codes, principal components and columns of runs, by name."""
    vae = FactorVAETransformer(10, random_state=0).fit(X)
    codes = vae.transform(X)[:, vae.active_components_]
    columns = StandardScaler().fit_transform(X)
    principal = PCA(codes.shape[1], random_state=0).fit_transform(columns)
    return {"codes": codes, "PCA": principal, "columns": columns}


def posterior(Z, y, Z_test):
    """Return mean and standard deviation of a parameter, (n_test,) each.

    By a Gaussian process whose scales maximise the marginal likelihood.
    """
    scaler = StandardScaler().fit(Z)
    width = np.sqrt(Z.shape[1])
    kernel = ConstantKernel(1.0) * RBF(width, (0.05 * width, 100 * width))
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(0.1, (1e-6, 10.0)), normalize_y=True, random_state=0
    )
    process.fit(scaler.transform(Z), y)
    return process.predict(scaler.transform(Z_test), return_std=True)


def scores(truth, mean, std):
    """Return error, coverage of the nominal intervals, and calibration.

    The calibration is the largest distance of the distribution of ranks from the
    uniform one (Kolmogorov's statistic).
    """
    ranks = np.sort(norm.cdf((truth - mean) / std))
    half = norm.ppf(0.5 + NOMINAL / 2)
    places = np.arange(1, len(ranks) + 1) / len(ranks)
    return {
        "error": np.sqrt(np.mean((truth - mean) ** 2)) / truth.std(),
        "coverage": np.mean(np.abs(truth - mean) <= half * std),
        "calibration": np.abs(ranks - places).max(),
    }


def measure(name):
    """Yield the records of one simulator."""
    runs = SIMULATORS[name](N_RUNS)
    tables = representations(runs.data)
    for draw in range(N_DRAWS):
        order = np.random.RandomState(draw).permutation(N_RUNS)
        train, test = order[:N_LABELS], order[-N_TEST:]
        for k, parameter in enumerate(runs.factor_names):
            y = runs.factors[:, k]
            for kind, Z in tables.items():
                found = scores(y[test], *posterior(Z[train], y[train], Z[test]))
                known = {"simulator": name, "parameter": parameter, "draw": draw}
                rounded = {key: round(float(v), 4) for key, v in found.items()}
                yield known | {"representation": kind} | rounded


def read():
    """Return the stored records."""
    if not STORED.exists():
        return []
    with open(STORED, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def report(records):
    """Print means over draws, and the differences between representations."""
    print("| simulator | parameter | representation | error | coverage | ranks |")
    print("|---|---|---|---|---|---|")
    for name in SIMULATORS:
        own = [r for r in records if r["simulator"] == name]
        for parameter in dict.fromkeys(r["parameter"] for r in own):
            for kind in KINDS:
                some = [
                    r
                    for r in own
                    if (r["parameter"], r["representation"]) == (parameter, kind)
                ]
                error, coverage, ranks = (
                    np.mean([float(r[key]) for r in some]) for key in COLUMNS[-3:]
                )
                print(
                    f"| {name} | {parameter} | {kind} | {error:.3f} | "
                    f"{coverage:.1%} | {ranks:.3f} |"
                )


def main() -> None:
    """Measure what is not stored, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulators", nargs="*", default=list(SIMULATORS))
    parser.add_argument("--stored", action="store_true", help="print only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = read()
    done = {r["simulator"] for r in records}
    for name in [] if options.stored else options.simulators:
        if name not in done:
            records += [{k: str(v) for k, v in r.items()} for r in measure(name)]
            with open(STORED, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(records)
    report(records)


if __name__ == "__main__":
    main()

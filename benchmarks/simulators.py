"""Infer the parameters of simulators from few labelled runs.

    python benchmarks/simulators.py
    python benchmarks/simulators.py --stored

The two simulators were named before the first fit: the damped oscillator with four
parameters, and stellar spectra with four. Each is run 20,000 times. A FactorVAE with
default parameters is fitted to all runs without their parameters; 200 runs with them
train a Gaussian process for each parameter on its codes, on as many principal
components, on the standardised columns, and on columns and codes side by side, for five
draws of these runs. The kernel has either one length scale or one for each column:
neither components nor columns matter alike for a parameter. On 2,000 other runs are
measured the root mean squared error in standard deviations of the parameter, the share
of nominal 90 % intervals that contain it, and how far the ranks of the true values in
their posteriors are from uniform (simulation-based calibration).

The kernel of the recommended procedure was chosen by the rows marked ``validation``:
labelled and tested runs of another seed, two draws.

Results are added to ``benchmarks/results/simulators.csv``, and what is stored is not
repeated.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, datasets

STORED = Path(__file__).parent / "results" / "simulators.csv"
MEASURES = ("error", "coverage", "calibration")
KEYS = ("simulator", "runs", "parameter", "representation", "lengths")
COLUMNS = (*KEYS, "draw", *MEASURES)
N_RUNS, N_LABELS, N_TEST, N_DRAWS = 20_000, 200, 2000, 5
NOMINAL = 0.9
N_VALIDATION, N_VALIDATION_DRAWS = 6000, 2
MAX_UPDATES = 50
"""Quasi-Newton steps for the scales of a kernel, at most."""

SIMULATORS = {
    "oscillator": lambda n, seed=0: datasets.make_damped_oscillator(
        n, variant="full", return_bunch=True, random_state=seed
    ),
    "spectra": lambda n, seed=0: datasets.make_stellar_spectra(
        n, 64, return_bunch=True, random_state=seed
    ),
}
KINDS = ("codes", "PCA", "columns", "codes and columns")
LENGTHS = ("one", "each")


def representations(X, *others):
    """Return codes, principal components and columns of runs, by name.

    They are learned from the first table, and computed for each.
    """
    vae = FactorVAETransformer(10, random_state=0).fit(X)
    active, scaler = vae.active_components_, StandardScaler().fit(X)
    pca = PCA(len(active), random_state=0).fit(scaler.transform(X))
    return [
        {
            "codes": vae.transform(table)[:, active],
            "PCA": pca.transform(scaler.transform(table)),
            "columns": scaler.transform(table),
        }
        for table in (X, *others)
    ]


def beside(tables):
    """Return the representations, and codes and columns side by side."""
    both = np.hstack([tables["codes"], tables["columns"]])
    return {**tables, "codes and columns": both}


def few_updates(objective, start, bounds):
    """Return the scales after some quasi-Newton steps, and their objective."""
    options = {"maxiter": MAX_UPDATES}
    found = minimize(objective, start, jac=True, bounds=bounds, options=options)
    return found.x, found.fun


def posterior(Z, y, Z_test, lengths):
    """Return mean and standard deviation of a parameter, (n_test,) each.

    By a Gaussian process whose scales maximise the marginal likelihood, with one length
    scale or one for each column.
    """
    scaler = StandardScaler().fit(Z)
    width = np.sqrt(Z.shape[1])
    length = width if lengths == "one" else np.full(Z.shape[1], width)
    kernel = ConstantKernel(1.0) * RBF(length, (0.05 * width, 100 * width))
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(0.1, (1e-6, 10.0)),
        normalize_y=True,
        optimizer=few_updates,
        random_state=0,
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


def measure(name, kinds=KINDS):
    """Yield the records of one simulator: validation runs of another seed, then test.

    The estimator is fitted once, to the runs of the test.
    """
    runs, others = SIMULATORS[name](N_RUNS), SIMULATORS[name](N_VALIDATION, 1)
    tables, other_tables = map(beside, representations(runs.data, others.data))
    some = {kind: other_tables[kind] for kind in kinds}
    yield from compared(name, "validation", others, some, N_VALIDATION_DRAWS)
    some = {kind: tables[kind] for kind in kinds}
    yield from compared(name, "test", runs, some, N_DRAWS)


def compared(name, role, runs, tables, n_draws):
    """Yield a record for each draw, parameter, kernel and representation."""
    names = list(enumerate(runs.factor_names))
    cases = itertools.product(range(n_draws), names, LENGTHS, tables.items())
    for draw, (k, parameter), lengths, (kind, Z) in cases:
        order = np.random.RandomState(draw).permutation(len(runs.factors))
        train, test = order[:N_LABELS], order[-N_TEST:]
        y = runs.factors[:, k]
        found = scores(y[test], *posterior(Z[train], y[train], Z[test], lengths))
        yield {
            "simulator": name,
            "runs": role,
            "parameter": parameter,
            "representation": kind,
            "lengths": lengths,
            "draw": draw,
            **{key: round(float(value), 4) for key, value in found.items()},
        }


def read():
    """Return the stored records."""
    if not STORED.exists():
        return []
    with open(STORED, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def place(record):
    """Return the sort key of a record: by simulator, runs, draw, and representation."""
    return (
        list(SIMULATORS).index(record["simulator"]),
        record["runs"] == "test",
        int(record["draw"]),
        record["parameter"],
        LENGTHS.index(record["lengths"]),
        KINDS.index(record["representation"]),
    )


def means(records):
    """Return the means over draws of the measures, by case."""
    groups: dict[tuple[str, ...], list] = {}
    for record in records:
        case = tuple(record[key] for key in KEYS)
        groups.setdefault(case, []).append([float(record[key]) for key in MEASURES])
    return {case: np.mean(values, axis=0) for case, values in groups.items()}


def report(records):
    """Print means over draws: error, and coverage in brackets; then the aims."""
    print(f"| simulator | runs | parameter | length scales | {' | '.join(KINDS)} |")
    print("|---" * (4 + len(KINDS)) + "|")
    found = means(records)
    for *case, lengths in dict.fromkeys((*case[:3], case[4]) for case in found):
        cells = [cell(found.get((*case, kind, lengths))) for kind in KINDS]
        print(f"| {' | '.join([*case, lengths, *cells])} |")
    for name, role in dict.fromkeys(case[:2] for case in found):
        own = {case[2:]: v for case, v in found.items() if case[:2] == (name, role)}
        for kind in ("codes", "codes and columns"):
            print(f"{name}, {role}: {aim(own, kind)}")


def cell(measures):
    """Return error and coverage as text; nothing if they were not measured."""
    return "" if measures is None else f"{measures[0]:.3f} ({measures[1]:.0%})"


def aim(own, kind):
    """Say how far one representation reaches the aims.

    With a length scale for each column. It is compared with the better kernel of the
    representations without codes.
    """
    ours = {case[0]: v for case, v in own.items() if case[1:] == (kind, "each")}
    if not ours:
        return f"{kind} were not measured"
    best = {
        name: min(
            v[0]
            for (p, other, _), v in own.items()
            if p == name and "codes" not in other
        )
        for name in ours
    }
    n_lowest = sum(ours[name][0] < best[name] for name in ours)
    covered, ranks = ([v[i] for v in ours.values()] for i in (1, 2))
    return (
        f"{kind}: error lower for {n_lowest} of {len(ours)} parameters, "
        f"intervals contain {min(covered):.1%} to {max(covered):.1%}, "
        f"ranks up to {max(ranks):.3f}"
    )


def main() -> None:
    """Measure what is not stored, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulators", nargs="*", default=list(SIMULATORS))
    parser.add_argument("--stored", action="store_true", help="print only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = read()
    done = {(r["simulator"], r["representation"]) for r in records}
    for name in [] if options.stored else options.simulators:
        kinds = [kind for kind in KINDS if (name, kind) not in done]
        if kinds:
            found = list(measure(name, kinds))
            records += [{k: str(v) for k, v in r.items()} for r in found]
            records.sort(key=place)
            with open(STORED, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(records)
    report(records)


if __name__ == "__main__":
    main()

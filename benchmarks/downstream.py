"""Measure what codes are worth in later use, beside linear methods and columns.

    python benchmarks/downstream.py
    python benchmarks/downstream.py --stored

For each table a FactorVAE with default parameters is fitted to all samples without
labels. Its codes, as many principal components, as many factors of factor analysis
(without and with varimax rotation) and the standardised columns are then compared:
learning curves of each target (``sample_efficiency``), and the loss of accuracy when a
predictor that was trained on one half of the range of another factor is used on the
other (``shift_report``), each by a linear predictor and by one with a Gaussian kernel.
Printed are medians over the targets of a table of means over splits.
Tables that are stored are not measured again.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from skfactorvae import FactorVAETransformer, datasets
from skfactorvae.evaluation import sample_efficiency, shift_report

STORED = Path(__file__).parent / "results" / "downstream.csv"
FIELDS = ("table", "seed", "use", "target", "predictor", "labels", "representation")
COLUMNS = (*FIELDS, "score", "std", "seconds")
N_SAMPLES, N_COMPONENTS = 2000, 10
SIZES = (20, 100, 1000)
N_REPEATS = 10


def simulated(make, **options):
    """Return samples and factors by name."""
    table = make(N_SAMPLES, return_bunch=True, random_state=0, **options)
    return table.data, dict(zip(table.factor_names, table.factors.T, strict=True))


def measured(load):
    """Return samples and the class of a table of scikit-learn."""
    X, y = load(return_X_y=True)
    return X, {"class": y}


TABLES = {
    "peaks": lambda: simulated(datasets.make_gaussian_peaks),
    "oscillator": lambda: simulated(datasets.make_damped_oscillator, variant="full"),
    "spectra": lambda: simulated(datasets.make_stellar_spectra),
    "sensors": lambda: simulated(datasets.make_sensor_table),
    "wine": lambda: measured(load_wine),
    "cancer": lambda: measured(load_breast_cancer),
    "digits": lambda: measured(load_digits),
}


def predictors(target):
    """Return the predictors of a target, by name."""
    kernel = SVC(C=10.0)
    if len(np.unique(target)) > 20:
        kernel = TransformedTargetRegressor(SVR(C=10.0), transformer=StandardScaler())
    return {"linear": "auto", "kernel": make_pipeline(StandardScaler(), kernel)}


def representations(X, seed):
    """Return the representations by name, and the seconds of the fit."""
    start = time.perf_counter()
    vae = FactorVAETransformer(N_COMPONENTS, random_state=seed)
    codes = vae.fit(X).transform(X)[:, vae.active_components_]
    seconds = time.perf_counter() - start
    scaled = StandardScaler().fit_transform(X)
    d = codes.shape[1]
    tables = {
        "codes": codes,
        "PCA": PCA(d, random_state=0).fit_transform(scaled),
        "FactorAnalysis": FactorAnalysis(d, random_state=0).fit_transform(scaled),
        "FactorAnalysis, varimax": FactorAnalysis(
            d, rotation="varimax", random_state=0
        ).fit_transform(scaled),
        "columns": scaled,
    }
    return tables, seconds


def measure(name, seed):
    """Yield the records of one table and seed."""
    X, targets = TABLES[name]()
    tables, seconds = representations(X, seed)
    sizes = [n for n in SIZES if n <= 0.6 * len(X)]
    for target, y in targets.items():
        for predictor, estimator in predictors(y).items():
            known = {"table": name, "seed": seed, "target": target}
            known |= {"predictor": predictor, "seconds": round(seconds, 1)}
            options = {"estimator": estimator, "n_repeats": N_REPEATS}
            curves = sample_efficiency(tables, y, sizes=sizes, **options)
            for kind, found in {**curves.scores, "null": curves.null}.items():
                for n, scores in zip(curves.sizes, found, strict=True):
                    yield known | record("labels", n, kind, scores)
            yield from shifts(known, tables, targets, y, estimator)


def shifts(known, tables, targets, y, estimator):
    """Yield the scores of a target under the shift of the next factor."""
    names = list(targets)
    if len(names) == 1:
        return
    other = names[(names.index(known["target"]) + 1) % len(names)]
    options = {"factor_type": "continuous", "n_repeats": N_REPEATS // 2}
    if len(np.unique(targets[other])) < 4:
        options["factor_type"] = "discrete"
    report = shift_report(estimator, tables, y, targets[other], **options)
    for kind, found in report.scores.items():
        for place, scores in found.items():
            yield known | record(f"shift {place}", "", kind, scores.mean(axis=0))


def record(use, labels, kind, scores):
    """Return the columns of one mean over splits."""
    mean, std = round(float(np.mean(scores)), 4), round(float(np.std(scores)), 4)
    known = {"use": use, "labels": str(labels), "representation": kind}
    return known | {"score": mean, "std": std}


def read():
    """Return the stored records."""
    if not STORED.exists():
        return []
    with open(STORED, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def add(records):
    """Add records to the stored ones."""
    is_new = not STORED.exists()
    with open(STORED, "a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(records)


def cell(records, **wanted):
    """Return the median score, over targets and seeds, of records with these values."""
    scores = [
        float(r["score"])
        for r in records
        if all(r[key] == value for key, value in wanted.items())
    ]
    return float(np.median(scores)) if scores else float("nan")


KINDS = ("codes", "PCA", "FactorAnalysis", "FactorAnalysis, varimax", "columns")


def print_labels(records):
    """Print the learning curves: medians over the targets of a table, and seeds."""
    print(f"\n| table | predictor | labels | {' | '.join(KINDS)} | permuted |")
    print("|---" * (4 + len(KINDS)) + "|")
    for name in TABLES:
        for predictor in ("linear", "kernel"):
            for n in map(str, SIZES):
                known = {"table": name, "predictor": predictor, "use": "labels"}
                known["labels"] = n
                values = [
                    cell(records, representation=kind, **known)
                    for kind in (*KINDS, "null")
                ]
                if not np.isnan(values[0]):
                    cells = " | ".join(f"{v:.2f}" for v in values)
                    print(f"| {name} | {predictor} | {n} | {cells} |")


def print_shifts(records):
    """Print the scores under shifts: medians over the targets, and seeds."""
    print("\n| table | predictor | representation | inside | outside | mixed | cost |")
    print("|---|---|---|---|---|---|---|")
    for name in TABLES:
        for predictor in ("linear", "kernel"):
            for kind in KINDS:
                known = {"table": name, "predictor": predictor, "representation": kind}
                inside, outside, mixed = (
                    cell(records, use=f"shift {place}", **known)
                    for place in ("inside", "outside", "mixed")
                )
                if not np.isnan(inside):
                    print(
                        f"| {name} | {predictor} | {kind} | {inside:.2f} | "
                        f"{outside:.2f} | {mixed:.2f} | {mixed - outside:.2f} |"
                    )


def main() -> None:
    """Measure what is not stored, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--stored", action="store_true", help="print only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    stored = read()
    done = {(r["table"], r["seed"]) for r in stored}
    wanted = [(name, seed) for seed in range(options.seeds) for name in options.tables]
    for name, seed in [] if options.stored else wanted:
        if (name, str(seed)) not in done:
            add(measure(name, seed))
            print(f"{name}, seed {seed}", flush=True)
    records = read()
    print_labels(records)
    print_shifts(records)


if __name__ == "__main__":
    main()

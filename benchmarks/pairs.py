"""Measure how much pairs of samples improve the recovery of simulated factors.

Each table has pairs of samples that have the same factors but for one or two, which are
drawn anew. All methods get the same samples; the identifiers of pairs are given to
PairedVAE alone. All fits have ``weight_decay=0``. The correlation is the mean rank
correlation of each factor with the component matched to it, over 2,000 samples.

    python benchmarks/pairs.py --help
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from recovery import versions
from scipy.stats import ttest_rel
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed

import skfactorvae
from skfactorvae import datasets, metrics
from skfactorvae.model_selection import batched_fits

RESULTS = Path(__file__).parent / "results"
N_COMPONENTS = 10
SCORED_ROWS = 2000
DATA_SEED = 0


def everything(factors):
    return factors


def heat_product(factors):
    """Return kappa * time as one factor: only their product matters."""
    position, heat, kappa, moment, gradient = factors.T
    return np.column_stack([position, heat, kappa * moment, gradient])


def without_angle(factors):
    """Return scale and position: shapes have no order, and angles are circular."""
    return factors[:, [1, 3, 4]]


TABLES = {
    "oscillator": (
        partial(datasets.make_damped_oscillator, variant="scinet", noise=0.01),
        everything,
    ),
    "oscillator-full": (
        partial(datasets.make_damped_oscillator, variant="full", noise=0.01),
        everything,
    ),
    "peaks": (datasets.make_gaussian_peaks, everything),
    "heat": (datasets.make_heat_profiles, heat_product),
    "stellar": (partial(datasets.make_stellar_spectra, n_features=64), everything),
    "layers": (
        partial(datasets.make_nonlinear_ica, n_features=20, n_sources=4, n_layers=3),
        everything,
    ),
    "sensors": (datasets.make_sensor_table, everything),
    "shadows": (
        partial(datasets.make_pendulum_shadow, image_size=16, noise=0.02),
        everything,
    ),
    "sprites": (
        partial(datasets.make_dsprites_like, image_size=16, antialias=1.0),
        without_angle,
    ),
}
"""Simulator of each table, and the factors that one component can order."""

METHODS = {
    "FactorVAE": skfactorvae.FactorVAETransformer,
    "VAE": partial(skfactorvae.FactorVAETransformer, gamma=0.0),
    "PairedVAE": skfactorvae.PairedVAETransformer,
    "PairedVAE, gamma 10": partial(skfactorvae.PairedVAETransformer, gamma=10.0),
    "PairedVAE, geometric": partial(
        skfactorvae.PairedVAETransformer, average="geometric"
    ),
}


def paired_table(name, n_samples, n_redrawn):
    """Return samples, their factors, and the identifier of each sample's pair."""
    simulate, chosen = TABLES[name]
    n_pairs = n_samples // 2
    first, other = (
        simulate(n_pairs, random_state=DATA_SEED + draw)[1] for draw in range(2)
    )
    rng = np.random.default_rng(DATA_SEED)
    columns = rng.uniform(size=first.shape).argsort(axis=1)[:, :n_redrawn]
    second = first.copy()
    np.put_along_axis(second, columns, np.take_along_axis(other, columns, 1), 1)
    factors = np.concatenate([first, second])
    X, _ = simulate(factors=factors, random_state=DATA_SEED)
    return X, chosen(factors), np.tile(np.arange(n_pairs), 2)


def fit_all(name, X, pairs, n_seeds, n_steps):
    """Return one fitted model for each seed, trained together."""
    options = {"max_iter": n_steps, "weight_decay": 0.0}
    models = [
        METHODS[name](N_COMPONENTS, random_state=seed, **options)
        for seed in range(n_seeds)
    ]
    given = {"pairs": pairs} if name.startswith("Paired") else {}
    with warnings.catch_warnings(), batched_fits():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Parallel()(delayed(model.fit)(X, **given) for model in models)


def measure(options):
    """Yield one record for each table, method and seed."""
    for name in options.tables:
        X, factors, pairs = paired_table(name, options.samples, options.redrawn)
        scored = np.random.default_rng(DATA_SEED).permutation(len(X))[:SCORED_ROWS]
        for method in options.methods:
            start = time.process_time()
            models = fit_all(method, X, pairs, options.seeds, options.steps)
            seconds = (time.process_time() - start) / len(models)
            for seed, model in enumerate(models):
                codes = model.transform(X[scored])
                mcc = metrics.mean_correlation_score(
                    factors[scored], codes, over="factors"
                )
                changed = model.history_.get("changed_components", [np.nan])[-1]
                yield {
                    "table": name,
                    "redrawn": options.redrawn,
                    "method": method,
                    "seed": seed,
                    "steps": options.steps,
                    "samples": len(X),
                    "mcc": mcc,
                    "changed": float(changed),
                    "seconds": seconds,
                }


# ------------------------------------------------------------------------ reports
def write(records, path):
    stamp = versions()
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*records[0], *stamp])
        writer.writeheader()
        for record in records:
            rounded = {
                k: f"{v:.4f}" if isinstance(v, float) else v for k, v in record.items()
            }
            writer.writerow(rounded | stamp)


def read(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = {"redrawn": int, "seed": int, "steps": int, "samples": int}
    numbers |= dict.fromkeys(("mcc", "changed", "seconds"), float)
    kept = [k for k in rows[0] if k not in versions()]
    return [{k: numbers.get(k, str)(row[k]) for k in kept} for row in rows]


def joined(older, newer):
    """Return all records; newer ones replace those of the same fits."""
    keys = "table", "redrawn", "method"
    anew = {tuple(r[k] for k in keys) for r in newer}
    kept = [r for r in older if tuple(r[k] for k in keys) not in anew]
    places = {name: place for place, name in enumerate([*TABLES, *METHODS])}
    return sorted(
        [*kept, *newer],
        key=lambda r: (
            r["redrawn"],
            places[r["table"]],
            places[r["method"]],
            r["seed"],
        ),
    )


def report(records, base="FactorVAE"):
    """Print the correlations, and the share of the error that pairs remove."""
    for redrawn in sorted({r["redrawn"] for r in records}):
        chosen = [r for r in records if r["redrawn"] == redrawn]
        methods = [m for m in METHODS if m in {r["method"] for r in chosen}]
        print(f"\n{redrawn} redrawn factor(s) in each pair\n")
        print("| table | seeds | " + " | ".join(methods) + " |")
        print("|---|---|" + "---|" * len(methods))
        values = {
            (table, method): np.array(
                [
                    r["mcc"]
                    for r in chosen
                    if (r["table"], r["method"]) == (table, method)
                ]
            )
            for table in TABLES
            for method in methods
        }
        tables = [t for t in TABLES if all(len(values[t, m]) for m in methods)]
        for table in tables:
            n_seeds = min(len(values[table, method]) for method in methods)
            cells = [f"{values[table, method].mean():.3f}" for method in methods]
            print(f"| {table} | {n_seeds} | " + " | ".join(cells) + " |")
        for method in methods:
            if method.startswith("Paired") and base in methods:
                print_gain(values, tables, method, base)


def print_gain(values, tables, method, base):
    """Print the share of the error that a method removes, and where it is worse."""
    removed, worse = [], []
    for table in tables:
        n = min(len(values[table, method]), len(values[table, base]))
        own, other = values[table, method][:n], values[table, base][:n]
        removed.append(1 - (1 - own).mean() / (1 - other).mean())
        test = ttest_rel(own, other, alternative="less") if n > 1 else None
        if test is not None and test.pvalue < 0.05:
            worse.append(table)
    print(
        f"\n{method} removes {np.median(removed):.0%} of the error of {base} in median "
        f"({min(removed):.0%} to {max(removed):.0%}); significantly worse (paired t "
        f"test over seeds, .05): {', '.join(worse) or 'none'}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["FactorVAE", "PairedVAE"],
        choices=METHODS,
        help="methods; the others are variants of these",
    )
    parser.add_argument("--seeds", type=int, default=5, help="fits of each method")
    parser.add_argument("--steps", type=int, default=1000, help="max_iter")
    parser.add_argument("--samples", type=int, default=4000, help="two for each pair")
    parser.add_argument("--redrawn", type=int, default=1, help="factors that change")
    parser.add_argument("--out", type=Path, default=RESULTS / "pairs.csv")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    options = parser.parse_args()
    if not options.stored:
        older = read(options.out) if options.out.exists() else []
        records = []
        for record in measure(options):
            records.append(record)
            write(joined(older, records), options.out)
            print(
                f"{record['table']:16s} {record['method']:22s} {record['seed']} "
                f"{record['mcc']:.3f}  {record['seconds']:.1f} s",
                flush=True,
            )
    report(read(options.out))


if __name__ == "__main__":
    main()

"""Compare rules that choose gamma without labels.

Trains FactorVAE on simulated tables over a grid of 6 gammas and 5 seeds, each table
from two initialisations, and keeps the codes of held-out samples. For each rule, prints
how well the codes of the chosen gamma match the true factors, relative to the best, the
median and the worst gamma of the grid.

    python benchmarks/label_free.py train    # stacks of 30 models, about 70 s each
    python benchmarks/label_free.py score    # codes -> benchmarks/results/*.csv
    python benchmarks/label_free.py auto     # one warm-started path per table
    python benchmarks/label_free.py rules    # the table, from the CSV alone

Parts with stored results are not repeated. ``label_free.csv`` was made with former
defaults, which its first line names, in about an hour and a half on one busy core.
``label_free_ica.csv`` has the present defaults, and eleven tables from FastICA's
components (``train --starts ica``); ``label_free_random.csv`` has random
initialisations, and defaults without the longer fits that decide on the number of
steps. ``rules --results`` and the name of a file prints its table.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
import torch
from hooks import Hooked
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.parallel import Parallel, delayed

import skfactorvae
from skfactorvae import datasets
from skfactorvae.metrics import (
    dci_scores,
    mean_correlation_score,
    mutual_info_gap_score,
    udr_score,
)
from skfactorvae.model_selection import batched_fits, gamma_path
from skfactorvae.model_selection._scorers import score_codes
from skfactorvae.model_selection._select import RULES

HERE = Path(__file__).parent
GAMMAS = (0.0, 3.0, 10.0, 30.0, 100.0, 300.0)
SEEDS = range(5)
STARTS = ("ica", "random")
N_TRAIN, N_TEST = 2000, 2000
NETWORKS = {
    "n_components": 6,
    "hidden_layer_sizes": (64, 64),
    "discriminator_hidden_layer_sizes": (64, 64, 64),
    "max_iter": 4000,
    "device": "cpu",
    "n_jobs": 1,
}


# ----------------------------------------------------------------------- tables
def curves(maker, **kwargs):
    return lambda n: (*maker(n, noise=0.01, random_state=0, **kwargs), "global")


def mixture(seed, **kwargs):
    kwargs = {"noise": 0.05, "n_features": 20, "n_layers": 2} | kwargs
    return lambda n: (
        *datasets.make_nonlinear_ica(n, random_state=seed, **kwargs),
        "feature",
    )


def heat(n):
    """Conductivity and time act through their product alone: one factor."""
    X, f = datasets.make_heat_profiles(n, noise=0.01, random_state=0)
    return X, np.column_stack([f[:, :2], f[:, 2] * f[:, 3], f[:, 4]]), "global"


def sensors(n):
    X, factors = datasets.make_sensor_table(n, random_state=0)
    return X, factors, "feature"


TABLES = {
    "oscillator_2": curves(datasets.make_damped_oscillator),
    "oscillator_4": curves(datasets.make_damped_oscillator, variant="full"),
    "peaks": curves(datasets.make_gaussian_peaks, n_features=64),
    "heat": heat,
    "stellar": curves(datasets.make_stellar_spectra, n_features=64),
    "uniform_2_layers": mixture(1),
    "uniform_3_layers": mixture(2, n_layers=3),
    "uniform_noisy": mixture(3, noise=0.3),
    "laplace": mixture(4, source="laplace"),
    "five_sources": mixture(5, n_sources=5, n_features=40),
    "sensors": sensors,
    "gaussian": mixture(6, source="gaussian"),
    "fresh_three": mixture(11, n_sources=3, n_features=15, n_layers=3),
    "fresh_laplace": mixture(12, source="laplace", n_sources=5, n_features=30),
    "fresh_wide": mixture(13, n_features=60),
    "fresh_peaks": lambda n: (
        *datasets.make_gaussian_peaks(n, 80, noise=0.05, random_state=1),
        "global",
    ),
}
"""Functions n -> (X, factors, standardize). Gaussian sources cannot be found.

Fits to the "fresh" tables were made after the recommended rule had been chosen on the
others.
"""


# --------------------------------------------------------------------- training
class Recorded(Hooked):
    """FactorVAE that records whether its training diverged, as ``diverged_``."""

    def change_fit(self, fit):
        self.diverged_ = fit.diverged_at is not None
        return fit


def estimators(start, standardize):
    """Return one estimator per gamma and seed, gammas outermost."""
    settings = {**NETWORKS, "init": start, "standardize": standardize}
    return [
        Recorded(gamma=gamma, random_state=seed, **settings)
        for gamma in GAMMAS
        for seed in SEEDS
    ]


def train(name, start):
    """Train all gammas and seeds together; return what rules and scores need."""
    X, factors, standardize = TABLES[name](N_TRAIN + N_TEST)
    models = estimators(start, standardize)
    with batched_fits():
        models = Parallel()(delayed(model.fit)(X[:N_TRAIN]) for model in models)
    held_out = X[N_TRAIN:]
    moments = [model.posterior(held_out) for model in models]
    return {
        "means": np.array([mean for mean, _ in moments]),  # (30, n, d)
        "stds": np.array([std for _, std in moments]),
        "elbo": np.array([model.score_samples(held_out) for model in models]),
        "kl": np.array([model.kl_per_component_ for model in models]),
        "logged_tc": np.array(
            [model.history_["total_correlation"][-10:].mean() for model in models]
        ),
        "diverged": np.array([model.diverged_ for model in models]),
        "factors": factors[N_TRAIN:],
    }


def train_all(names, starts, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for start in starts:
        for name in names:
            path = folder / f"{name}-{start}.npz"
            if path.exists():
                continue
            begin = time.time()
            result = train(name, start)
            np.savez_compressed(path, **result)
            print(f"{name} from {start}: {time.time() - begin:.0f} s", flush=True)


# ---------------------------------------------------------------------- scoring
def truth(factors, codes):
    """Return scores of codes against the true factors."""
    gap = mutual_info_gap_score(factors, codes, strategy="quantile")
    return {
        "correlation": mean_correlation_score(factors, codes, over="factors"),
        "mig": gap,
        "dci": dci_scores(factors, codes, estimator="extra_trees").disentanglement,
    }


def score(path):
    """Return one record per model: its scores with and without labels."""
    stored = np.load(path)
    name, start = path.stem.rsplit("-", 1)
    X = TABLES[name](N_TRAIN + N_TEST)[0][N_TRAIN:]
    settings = [(gamma, seed) for gamma in GAMMAS for seed in SEEDS]
    active = stored["kl"] > 0.01
    masked = np.where(active[:, None], stored["means"], 0.0)
    n = len(SEEDS)
    udr = np.concatenate(
        [udr_score(list(masked[i : i + n])) for i in range(0, len(masked), n)]
    )
    rows = []
    for k, (gamma, seed) in enumerate(settings):
        found = score_codes(X, masked[k])
        elbo = stored["elbo"][k]
        rows.append(
            {
                "table": name,
                "start": start,
                "gamma": gamma,
                "seed": seed,
                **truth(stored["factors"], stored["means"][k]),
                **found,
                "udr": found["explained"] * udr[k],
                "elbo": elbo.mean(),
                "elbo_std_error": elbo.std() / np.sqrt(len(elbo)),
                "active": int(active[k].sum()),
                "kl": stored["kl"][k].sum(),
                "logged_tc": stored["logged_tc"][k],
                "diverged": int(stored["diverged"][k]),
            }
        )
    return rows


def score_all(folder, results):
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    done = read(results) if results.exists() else []
    known = {(row["table"], row["start"]) for row in done}
    for path in sorted(folder.glob("*.npz")):
        if tuple(path.stem.rsplit("-", 1)) not in known:
            begin = time.time()
            done += score(path)
            write(results, done)
            print(f"{path.stem}: {time.time() - begin:.0f} s", flush=True)


def versions():
    modules = (skfactorvae, torch, sklearn, scipy, np)
    named = [f"{m.__name__} {m.__version__}" for m in modules]
    return ", ".join([*named, f"python {platform.python_version()}"])


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {versions()}; {N_TRAIN} + {N_TEST} rows; {NETWORKS}\n")
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
            for row in rows
        )


def first_line(path):
    """Return how the results of a file were made."""
    with path.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()


def read(path):
    with path.open(encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    return [
        {k: v if k in ("table", "start") else float(v) for k, v in row.items()}
        for row in csv.DictReader(lines)
    ]


# ------------------------------------------------------------------ gamma = "auto"
def auto(name, start):
    """Raise gamma along one warm-started path; return a record per gamma.

    A stepwise form of the constrained objective: gamma grows until the audited total
    correlation of held-out codes is below a target.
    """
    X, factors, standardize = TABLES[name](N_TRAIN + N_TEST)
    model = estimators(start, standardize)[0]
    path = gamma_path(model, X, GAMMAS, test_size=N_TEST, random_state=0)
    held_out = {row.tobytes(): i for i, row in enumerate(X)}
    rows = [held_out[row.tobytes()] for row in path.rows]
    return [
        {
            "table": name,
            "start": start,
            "gamma": gamma,
            "seed": 0,
            **truth(np.asarray(factors)[rows], path.codes[i]),
            **{key: float(values[i]) for key, values in path.scores.items()},
        }
        for i, gamma in enumerate(GAMMAS)
    ]


def auto_all(names, starts, results):
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    done = read(results) if results.exists() else []
    known = {(row["table"], row["start"]) for row in done}
    for start in starts:
        for name in names:
            if (name, start) not in known:
                begin = time.time()
                done += auto(name, start)
                write(results, done)
                print(f"{name} from {start}: {time.time() - begin:.0f} s", flush=True)


# ------------------------------------------------------------------------- the rules
TARGET = 0.05  # nats of the copula's total correlation per component


def first_independent(scores):
    """Return the smallest gamma whose codes pass; else that of the most independent."""
    share = scores["copula"].mean(axis=1) / scores["explained"].mean(axis=1)
    passes = np.flatnonzero(share >= np.exp(-2 * TARGET))
    return int(passes[0] if len(passes) else share.argmax())


def fixed(gamma):
    return lambda scores: GAMMAS.index(gamma)


COMPARED = {
    **RULES,
    "gamma 10, always": fixed(10.0),
    "gamma 0, always": fixed(0.0),
    "first below a TC of 0.05 d": first_independent,
}
TRUTHS = ("correlation", "mig", "dci")


def cases_of(rows):
    """Return scores (n_gammas, n_seeds) by table and initialisation."""
    cases = {}
    for row in rows:
        cases.setdefault((row["table"], row["start"]), []).append(row)
    names = [k for k, v in rows[0].items() if isinstance(v, float)]
    return {
        key: {
            name: np.array([row[name] for row in found]).reshape(len(GAMMAS), -1)
            for name in names
        }
        for key, found in cases.items()
    }


def verdict(cases, rule, truth_name):
    """Return shares of the best gamma's score, and shortfalls from the median gamma."""
    shares, short = [], []
    for scores in cases.values():
        means = scores[truth_name].mean(axis=1)
        chosen = means[rule(scores)]
        shares.append(chosen / means.max())
        short.append(np.median(means) - chosen)
    return np.array(shares), np.array(short)


def line(label, cases, rule):
    cells = []
    for name in TRUTHS:
        shares, short = verdict(cases, rule, name)
        cells.append(
            f"{np.median(shares):.2f} {shares.min():.2f} "
            f"{(short > 0).sum():2d} {(short > 0.02).sum():2d}"
        )
    return f"{label:28s} | " + " | ".join(cells)


def worst(truth_name):
    return lambda scores: int(scores[truth_name].mean(axis=1).argmin())


def print_rules(results, auto_results):
    cases = cases_of(read(results))
    solvable = {k: v for k, v in cases.items() if k[0] != "gaussian"}
    fresh = {k: v for k, v in solvable.items() if k[0].startswith("fresh_")}
    solvable = {k: v for k, v in solvable.items() if k not in fresh}
    print(
        "Median and minimum over cases of the score of the chosen gamma, as a share\n"
        "of the best gamma's; number of cases below the grid's median, and by more\n"
        f"than .02. {' | '.join(TRUTHS)}."
    )
    print(first_line(results))
    groups = {
        f"from {start}": {k: v for k, v in solvable.items() if k[1] == start}
        for start in STARTS
    }
    groups |= {"from either initialisation": solvable, "of fresh tables": fresh}
    for title, some in groups.items():
        if not some:
            continue
        print(f"\n{len(some)} cases {title}")
        for name, rule in COMPARED.items():
            print(line(name, some, rule))
        for name in TRUTHS:
            shares, _ = verdict(some, worst(name), name)
            print(f"worst gamma, {name}: median share {np.median(shares):.2f}")
        print_auto(some, auto_results)
    print_choices(cases)


def print_auto(cases, auto_results):
    """Print the scores of paths stopped at the target, relative to the best gamma."""
    if not auto_results.exists():
        return
    paths = cases_of(read(auto_results))
    both = cases.keys() & paths.keys()
    if not both:
        return
    cells = []
    for name in TRUTHS:
        chosen = {k: paths[k][name][first_independent(paths[k]), 0] for k in both}
        means = {k: cases[k][name].mean(axis=1) for k in both}
        shares = [chosen[k] / means[k].max() for k in both]
        short = np.array([np.median(means[k]) - chosen[k] for k in both])
        cells.append(
            f"{np.median(shares):.2f} {np.min(shares):.2f} "
            f"{(short > 0).sum():2d} {(short > 0.02).sum():2d}"
        )
    print(f"{f'auto: {len(both)} paths':28s} | " + " | ".join(cells))


def print_choices(cases):
    print("\ntable, initialisation: chosen gamma; its MIG; best, median and worst MIG")
    for (table, start), scores in cases.items():
        means = scores["mig"].mean(axis=1)
        index = RULES["agreement"](scores)
        print(
            f"{table:17s} {start:7s} {GAMMAS[index]:4g}  {means[index]:.3f}  "
            f"{means.max():.3f} {np.median(means):.3f} {means.min():.3f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["train", "score", "auto", "rules"])
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--starts", nargs="*", default=list(STARTS))
    parser.add_argument("--codes", type=Path, default=HERE / "cache" / "label_free")
    parser.add_argument(
        "--results", type=Path, default=HERE / "results" / "label_free.csv"
    )
    args = parser.parse_args()
    if args.part == "train":
        train_all(args.tables, args.starts, args.codes)
    if args.part == "score":
        score_all(args.codes, args.results)
    beside = args.results.with_name(f"{args.results.stem}_auto.csv")
    if args.part == "auto":
        auto_all(args.tables, args.starts, beside)
    if args.part == "rules":
        print_rules(args.results, beside)


if __name__ == "__main__":
    main()

"""Measure what is found of factors that correlate, by weight of the penalty and method.

    python benchmarks/correlated.py              fit what is missing, and store it
    python benchmarks/correlated.py --stored     print what is stored

Simulated tables of ``recovery.py``, whose first two factors are rearranged so that the
normal variables of their ranks correlate by 0, .3, .6 or .9 (``correlate_factors``);
nothing else differs from there, nor between the methods. Columns of the results:

- ``matched``: mean absolute rank correlation of each factor with the component that is
  matched to it, over all factors.
- ``own``: of the two factors that correlate, and with ranks as normal scores: the mean
  absolute partial correlation of each with its component, given the other factor. A
  component that follows the other factor instead has 0; ``matched`` credits it with
  the correlation of the factors.

``groups`` leaves the first two components free to depend on each other. ``labels`` is
SupervisedFactorVAETransformer with both correlated factors known for 100 samples.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import recovery
import torch
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import ConvergenceWarning

import skfactorvae as skf
from skfactorvae import datasets
from skfactorvae.metrics import match_codes, mean_correlation_score

RESULTS = Path(__file__).parent / "results" / "correlated.csv"
FIELDS = "table", "correlation", "method", "seed", "matched", "own", "active", "seconds"
CORRELATIONS = 0.0, 0.3, 0.6, 0.9
N_LABELS = 100

MAKERS = {
    "oscillator": lambda **kw: datasets.make_damped_oscillator(
        4000, variant="scinet", noise=0.01, **kw
    ),
    "peaks": lambda **kw: datasets.make_gaussian_peaks(4000, **kw),
    "stellar": lambda **kw: datasets.make_stellar_spectra(4000, 64, **kw),
    "layers": lambda **kw: datasets.make_nonlinear_ica(
        4000, 20, n_sources=4, n_layers=3, **kw
    ),
    "sensors": lambda **kw: datasets.make_sensor_table(4000, **kw),
}


def factor_vae(**parameters):
    return lambda d, seed: skf.FactorVAETransformer(d, random_state=seed, **parameters)


METHODS = {
    "PCA": lambda d, seed: PCA(d, whiten=True),
    "FastICA": lambda d, seed: FastICA(d, max_iter=500, random_state=seed),
    "FactorAnalysis": lambda d, seed: FactorAnalysis(d, random_state=seed),
    "FactorAnalysis, varimax": lambda d, seed: FactorAnalysis(
        d, rotation="varimax", random_state=seed
    ),
    "VAE": factor_vae(gamma=0.0),
    "FactorVAE, gamma 3": factor_vae(gamma=3.0),
    "FactorVAE": factor_vae(),
    "FactorVAE, gamma 30": factor_vae(gamma=30.0),
    "FactorVAE, groups": factor_vae(groups=(2, *[1] * (recovery.N_COMPONENTS - 2))),
    "BetaTCVAE": lambda d, seed: skf.BetaTCVAETransformer(d, random_state=seed),
    "DIPVAE": lambda d, seed: skf.DIPVAETransformer(d, random_state=seed),
    "BetaVAE": lambda d, seed: skf.BetaVAETransformer(d, beta=4.0, random_state=seed),
    "labels": lambda d, seed: skf.SupervisedFactorVAETransformer(d, random_state=seed),
}
SEEDLESS = "PCA", "FactorAnalysis", "FactorAnalysis, varimax"


# -------------------------------------------------------------------------- the data
def correlated_table(name: str, correlation: float):
    """Return samples (n, p) and factors (n, k), the first two of which correlate."""
    _, factors = MAKERS[name](random_state=recovery.DATA_SEED)
    factors = datasets.correlate_factors(
        factors, (0, 1), correlation, random_state=recovery.DATA_SEED
    )
    return MAKERS[name](factors=factors, random_state=recovery.DATA_SEED)


def labels_of(factors: np.ndarray) -> np.ndarray:
    """Return the two factors that correlate (n, 2), NaN but for 100 samples."""
    labels = np.full((len(factors), 2), np.nan)
    known = np.random.default_rng(recovery.DATA_SEED).permutation(len(factors))
    labels[known[:N_LABELS]] = factors[known[:N_LABELS], :2]
    return labels


# ------------------------------------------------------------------------ the scores
def normal_scores(values: np.ndarray) -> np.ndarray:
    """Return the normal quantiles of ranks, (n, k)."""
    return ndtri(rankdata(values, axis=0) / (len(values) + 1))


def partial_correlation(x, y, given) -> float:
    """Return the absolute correlation of x and y (n,), given a third variable."""
    residuals = []
    for values in (x, y):
        slope = values @ given / (given @ given)
        residuals.append(values - slope * given)
    one, other = residuals
    norm = np.linalg.norm(one) * np.linalg.norm(other)
    return float(abs(one @ other) / norm) if norm > 0 else 0.0


def own_correlation(factors: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean partial correlation of the two factors with their components."""
    order = match_codes(codes, factors).order  # (k,), -1 without a component
    truth, found = normal_scores(factors), normal_scores(codes)
    return float(
        np.mean(
            [
                partial_correlation(truth[:, i], found[:, order[i]], truth[:, 1 - i])
                for i in (0, 1)
                if order[i] >= 0
            ]
        )
    )


def measure(name: str, correlation: float, method: str, seeds: list[int]):
    """Yield a row of the results for each seed."""
    split = recovery.Split.of(correlated_table(name, correlation))
    d = recovery.N_COMPONENTS
    if method in SEEDLESS or method == "FastICA":
        d = min(d, split.X.shape[1])
    models = [METHODS[method](d, seed) for seed in seeds]
    if method == "labels":
        y = labels_of(split.factors[split.train])
        models, seconds = recovery.fit_all(models, split.X[split.train], y)
    else:
        models, seconds = recovery.fit_all(models, split.X[split.train])
    truth = split.factors[split.scored]
    for seed, model in zip(seeds, models, strict=True):
        codes = model.transform(split.X[split.scored])
        yield {
            "table": name,
            "correlation": correlation,
            "method": method,
            "seed": seed,
            "matched": mean_correlation_score(truth, codes, over="factors"),
            "own": own_correlation(truth, codes),
            "active": recovery.used_codes(model, codes).shape[1],
            "seconds": seconds,
        }


# ----------------------------------------------------------------- what is stored
def stored() -> pd.DataFrame:
    if not RESULTS.exists():
        return pd.DataFrame(columns=FIELDS)
    return pd.read_csv(RESULTS)


def run(tables, correlations, methods, n_seeds: int) -> None:
    """Measure what is not stored."""
    for case in itertools.product(tables, correlations, methods):
        table = stored()
        mask = np.ones(len(table), dtype=bool)
        for key, value in zip(FIELDS, case, strict=False):
            mask &= (table[key] == value).to_numpy()
        done = set(table.loc[mask, "seed"])
        n_needed = 1 if case[2] in SEEDLESS else n_seeds
        missing = [seed for seed in range(n_needed) if seed not in done]
        if not missing:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            rows = list(measure(*case, missing))
        is_new = not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            if is_new:
                writer.writeheader()
            for row in rows:
                writer.writerow(
                    {
                        k: f"{v:.4f}" if isinstance(v, float) else v
                        for k, v in row.items()
                    }
                )
        found = {k: np.mean([row[k] for row in rows]) for k in FIELDS[4:]}
        print(*case, {k: round(float(v), 3) for k, v in found.items()}, flush=True)


def summarise() -> None:
    """Print the mean over seeds and tables, and each table."""
    table = stored()
    methods = [m for m in METHODS if m in set(table["method"])]
    for key in ("matched", "own"):
        means = table.pivot_table(
            index=["table", "method"], columns="correlation", values=key
        )
        complete = means.dropna()
        print(f"\n{key}, mean over tables")
        print(complete.groupby(level="method").mean().reindex(methods).round(3))
        print(f"\n{key}, by table")
        print(means.reindex(methods, level="method").round(3).to_string())
    counts = table.groupby("method")["table"].nunique().reindex(methods)
    print("\ntables:", counts.to_dict())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--tables", nargs="+", default=list(MAKERS), choices=MAKERS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--correlations", nargs="+", type=float, default=CORRELATIONS)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.stored:
        summarise()
    else:
        run(
            arguments.tables,
            arguments.correlations,
            arguments.methods,
            arguments.seeds,
        )


if __name__ == "__main__":
    main()

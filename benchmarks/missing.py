"""Measure the imputation of missing values, and recovery from incomplete tables.

    python benchmarks/missing.py                   fit what is missing, and store it
    python benchmarks/missing.py --stored          print what is stored
    python benchmarks/missing.py --anchor          MIWAE's setting, five masks
    python benchmarks/missing.py --step            time of a training step
    python benchmarks/missing.py --tables wine --methods "FactorVAE" "mean"

Real tables (see ``real_tables.py``): values are hidden at random (``random``), or by
their size (``by size``: the probability rises with the standardised value z as the
logistic function of 2 z). Features are standardised by the complete table. Columns of
the results:

- ``rmse``: root mean square error of the hidden values, in standard deviations.
- ``coverage``: share of the hidden values inside the interval between the 5 % and 95 %
  quantiles of 200 draws, where a method has draws.
- ``seconds``: time to fit and impute.

Simulated tables (``--recovery``): matched correlation of a fit to the complete table,
of one to a table of which 30 % of the values are missing, and of fits after imputers.

Results are added to ``benchmarks/results/missing.csv``, and what is stored is not
repeated.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import real_tables
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from skfactorvae import BetaVAETransformer, FactorVAETransformer
from skfactorvae.preparation._incomplete import fit_factors

RESULTS = Path(__file__).parent / "results" / "missing.csv"
FIELDS = "table", "missing", "rate", "mask", "method", "rmse", "coverage", "seconds"
RATES = 0.1, 0.3, 0.5
N_DRAWS = 200
MAX_ROWS = 1500
"""Samples of a table that are used, at most: imputers take long."""

TUNING = "wine", "breast cancer", "diabetes", "autos", "glass", "hitters"
SET_ASIDE = (
    "crabs",
    "processors",
    "cereals",
    "economy",
    "voters",
    "penguins",
    "cars",
    "tumour patients",
)
"""Tables for a final evaluation, named before any method imputed them."""


# -------------------------------------------------------------------------- methods
def impute_by(model) -> Callable:
    """Return a function (X, seed) -> (expected values, None) of an imputer."""

    def impute(X, seed):
        return model(seed).fit_transform(X), None

    return impute


def impute_by_vae(model) -> Callable:
    """Return a function (X, seed) -> (expected values, draws) of a transformer."""

    def impute(X, seed):
        vae = model(X.shape[1], seed).fit(X)
        draws = vae.impute(X, n_draws=N_DRAWS, random_state=seed)
        return vae.impute(X), draws

    return impute


def impute_by_factors(X, seed):
    """Return expected values and draws of the incomplete factor analysis."""
    model = fit_factors(X, np.ones(len(X)), seed)
    rng = np.random.RandomState(seed)
    return model.complete(X), np.stack([model.complete(X, rng) for _ in range(N_DRAWS)])


def n_components(n_features: int) -> int:
    """Return the number of components: the default, or fewer for narrow tables."""
    return max(1, min(10, n_features // 2))


def boosted(seed):
    """Return IterativeImputer with boosted trees, as MissForest has forests."""
    trees = HistGradientBoostingRegressor(max_iter=50, random_state=seed)
    return IterativeImputer(trees, max_iter=5, random_state=seed)


METHODS = {
    "FactorVAE": impute_by_vae(
        lambda p, seed: FactorVAETransformer(n_components(p), random_state=seed)
    ),
    "VAE": impute_by_vae(
        lambda p, seed: BetaVAETransformer(n_components(p), beta=1.0, random_state=seed)
    ),
    "factor analysis": impute_by_factors,
    "mean": impute_by(lambda seed: SimpleImputer()),
    "5 neighbours": impute_by(lambda seed: KNNImputer()),
    "iterative, linear": impute_by(
        lambda seed: IterativeImputer(max_iter=20, random_state=seed)
    ),
    "iterative, boosted trees": impute_by(boosted),
}


# ------------------------------------------------------------------------ the tables
def load(name: str) -> np.ndarray:
    """Return the standardised table, (n, p)."""
    X = real_tables.load(name).X.to_numpy(dtype=np.float64)
    rng = np.random.RandomState(0)
    X = X[np.sort(rng.permutation(len(X))[:MAX_ROWS])]
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def hide(X: np.ndarray, kind: str, rate: float, mask: int) -> np.ndarray:
    """Return which values are hidden, (n, p); one of each row and column is not."""
    rng = np.random.RandomState(1234 + mask)
    probability = np.full(X.shape, rate)
    if kind == "by size":
        probability = 1 / (1 + np.exp(-2 * X))
        probability = np.minimum(probability * rate / probability.mean(axis=0), 0.95)
    hidden = rng.uniform(size=X.shape) < probability
    kept = rng.randint(X.shape[1], size=len(X))
    hidden[np.arange(len(X)), kept] = False
    hidden[rng.randint(len(X), size=X.shape[1]), np.arange(X.shape[1])] = False
    return hidden


def measure(X, kind, rate, mask, method) -> dict[str, float]:
    """Return the error and the coverage of one method."""
    hidden = hide(X, kind, rate, mask)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, draws = METHODS[method](np.where(hidden, np.nan, X), mask)
    seconds = time.perf_counter() - start
    error = (expected - X)[hidden]
    coverage = np.nan
    if draws is not None:
        low, high = np.quantile(draws[:, hidden], [0.05, 0.95], axis=0)
        coverage = float(np.mean((low <= X[hidden]) & (X[hidden] <= high)))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "coverage": coverage,
        "seconds": seconds,
    }


# ------------------------------------------------------------------------- the runs
def stored() -> pd.DataFrame:
    if not RESULTS.exists():
        return pd.DataFrame(columns=FIELDS)
    return pd.read_csv(RESULTS)


def run(tables, kinds, rates, masks, methods, *, keep=True) -> None:
    """Measure what is not stored."""
    known = stored()
    keys = ["table", "missing", "rate", "mask", "method"]
    done = set(known[keys].itertuples(index=False, name=None)) if keep else set()
    for name in tables:
        X = load(name)
        for case in itertools.product(kinds, rates, range(masks), methods):
            if (name, *case) in done:
                continue
            found = measure(X, *case)
            row = dict(zip(FIELDS, (name, *case, *found.values()), strict=True))
            print(*(f"{v:.3f}" if isinstance(v, float) else v for v in row.values()))
            if keep:
                frame = pd.DataFrame([row])
                frame.round(5).to_csv(
                    RESULTS, mode="a", header=not RESULTS.exists(), index=False
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=[*TUNING, *SET_ASIDE])
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--kinds", nargs="*", default=["random", "by size"])
    parser.add_argument("--rates", nargs="*", type=float, default=RATES)
    parser.add_argument("--masks", type=int, default=1, help="masks of each kind")
    parser.add_argument("--try", dest="trial", action="store_true", help="do not store")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run(
        arguments.tables,
        arguments.kinds,
        arguments.rates,
        arguments.masks,
        arguments.methods,
        keep=not arguments.trial,
    )


if __name__ == "__main__":
    main()

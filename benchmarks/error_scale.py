"""Measure what known errors of single values are worth.

    python benchmarks/error_scale.py                  fit what is missing, and store it
    python benchmarks/error_scale.py --stored         print what is stored
    python benchmarks/error_scale.py --tables tanh --kinds samples --methods ignored

Simulated tables of ``recovery.py``, standardised, get normal errors of known standard
deviation, in standard deviations of a feature: of ``samples``, from one of three
instruments of 0.1, 1 and 3, or of ``values``, each of its own size, log-normal with the
median 0.5 and the standard deviation 1 of the logarithm. Columns of the results:

- ``mcc``: matched correlation of the factors with the codes, in [0, 1], 1 is best.
- ``rmse``: root mean square difference of the reconstruction from the values without
  errors, in standard deviations of a feature.

Methods: FactorVAE with ``error_scale``; with the errors ``ignored``; with values of
errors above 1 ``missing``; ``precise samples``, fitted to those of a median error below
0.2 alone; and ``exact``, fitted to the table without errors, once for each table.
``weighted PCA`` is factor analysis with the known errors, by expectation maximisation,
and ``weighted PCA, FastICA`` its factors, rotated.

Results are added to ``benchmarks/results/error_scale.csv``, and what is stored is not
repeated.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import recovery
import torch
from sklearn.decomposition import FastICA

from skfactorvae import FactorVAETransformer, metrics
from skfactorvae.preparation._incomplete import fit_factors

RESULTS = Path(__file__).parent / "results" / "error_scale.csv"
FIELDS = "table", "errors", "method", "seed", "mcc", "rmse"
TABLES = "laplace", "tanh"
KINDS = "samples", "values"
MAX_ROWS = 2000
"""Samples of a table that are used, at most."""

INSTRUMENTS = 0.1, 1.0, 3.0
LARGE, PRECISE = 1.0, 0.2


@dataclass
class Noisy:
    """A table with errors: true values, measured ones, errors' scale, factors."""

    truth: np.ndarray
    X: np.ndarray
    errors: np.ndarray
    factors: np.ndarray


def noisy(name: str, kind: str) -> Noisy:
    """Return a simulated table with errors of one kind."""
    split = recovery.Split.of(recovery.TABLES[name]())
    rng = np.random.RandomState(1234)
    rows = np.sort(rng.permutation(len(split.X))[:MAX_ROWS])
    truth, factors = split.X[rows], split.factors[rows]
    if kind == "samples":
        scale = np.array(INSTRUMENTS)[rng.randint(len(INSTRUMENTS), size=len(rows))]
        errors = np.tile(scale[:, None], truth.shape[1])
    else:
        errors = 0.5 * np.exp(rng.normal(size=truth.shape))
    return Noisy(truth, truth + errors * rng.normal(size=truth.shape), errors, factors)


# -------------------------------------------------------------------------- methods
def fitted(table: Noisy, seed: int, X, rows=slice(None), errors=None):
    """Return codes and reconstructions of X by a fit to some of its samples."""
    known = {} if errors is None else {"error_scale": errors}
    vae = FactorVAETransformer(recovery.N_COMPONENTS, random_state=seed)
    part = {name: values[rows] for name, values in known.items()}
    codes = vae.fit(X[rows], **part).transform(X, **known)
    return codes, vae.inverse_transform(codes)


def precise_samples(table: Noisy, seed: int):
    rows = np.median(table.errors, axis=1) < PRECISE
    return fitted(table, seed, table.X, rows)


def weighted_pca(table: Noisy, seed: int):
    """Return expected factors and values of factor analysis with known errors."""
    model = fit_factors(table.X, np.ones(len(table.X)), seed, table.errors)
    known = np.hstack([table.X, table.errors])
    return model._moments(known)[0], model.reconstruct(known)


def weighted_ica(table: Noisy, seed: int):
    factors, back = weighted_pca(table, seed)
    ica = FastICA(whiten="unit-variance", max_iter=500, random_state=seed)
    return ica.fit_transform(factors), back


METHODS = {
    "error_scale": lambda t, seed: fitted(t, seed, t.X, errors=t.errors),
    "ignored": lambda t, seed: fitted(t, seed, t.X),
    "missing": lambda t, seed: fitted(t, seed, np.where(t.errors > LARGE, np.nan, t.X)),
    "precise samples": precise_samples,
    "exact": lambda t, seed: fitted(t, seed, t.truth),
    "weighted PCA": weighted_pca,
    "weighted PCA, FastICA": weighted_ica,
}


def applies(kind: str, method: str) -> bool:
    """Return whether to use a method: whole samples are precise of one kind alone."""
    return method not in ("precise samples", "exact") or kind == "samples"


def measure(table: Noisy, method: str, seed: int) -> tuple[float, float]:
    """Return the matched correlation, and the error of the reconstruction."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes, back = METHODS[method](table, seed)
    mcc = metrics.mean_correlation_score(table.factors, codes, over="factors")
    return mcc, float(np.sqrt(np.mean((back - table.truth) ** 2)))


# ------------------------------------------------------------------------- the runs
def stored() -> pd.DataFrame:
    if not RESULTS.exists():
        return pd.DataFrame(columns=FIELDS)
    return pd.read_csv(RESULTS)


def summarise() -> None:
    """Print what is stored."""
    for score in ("mcc", "rmse"):
        known = stored()
        keys = ["errors", "table"]
        table = known.pivot_table(index=keys, columns="method", values=score)
        print(f"\n{score}")
        print(table[[m for m in METHODS if m in table]].round(3).to_string())


def run(tables, kinds, methods, seeds) -> None:
    """Measure what is not stored."""
    known = stored()[["table", "errors", "method", "seed"]]
    done = set(known.itertuples(index=False, name=None))
    for name, kind in itertools.product(tables, kinds):
        table = noisy(name, kind)
        for method, seed in itertools.product(methods, range(seeds)):
            if (name, kind, method, seed) in done or not applies(kind, method):
                continue
            found = measure(table, method, seed)
            values = (name, kind, method, seed, *found)
            row = dict(zip(FIELDS, values, strict=True))
            print(*(f"{v:.3f}" if isinstance(v, float) else v for v in values))
            frame = pd.DataFrame([row]).round(5)
            frame.to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.stored:
        summarise()
    else:
        parts = arguments.tables, arguments.kinds, arguments.methods
        run(*parts, arguments.seeds)


if __name__ == "__main__":
    main()

"""Measure what ``n_components="auto"`` chooses, and how fits with it compare.

    python benchmarks/n_components.py            print the number for each table
    python benchmarks/n_components.py --fit      fit what is missing, and store it
    python benchmarks/n_components.py --stored   print what is stored

Simulated tables are those of ``recovery.py``, with a known number of factors,
questionnaires those of ``simple_structure.py``, with a published number of scales, and
real tables those of ``real_tables.py``. "Kaiser" is the number of eigenvalues of the
correlation matrix above one.

Fits have default parameters and are compared with the stored ones of those benchmarks,
seed or split 0. For a simulated table these have ten components; compared is the mean
matched correlation of the factors. For a real one they have Kaiser's number, from 2 to
10; compared is the log-likelihood of held-out samples in nats per column, by importance
sampling. R2 is the share of the variance of held-out samples that is explained.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import real
import real_tables
import recovery
import simple_structure
import torch
from sklearn.exceptions import ConvergenceWarning

from skfactorvae import FactorVAETransformer
from skfactorvae.preparation import TrainingData, n_components_by_parallel_analysis

RESULTS = Path(__file__).parent / "results" / "n_components.csv"
FIELDS = "table", "kind", "components", "active", "score", "r2"


def kaiser(X: np.ndarray) -> int:
    """Return the number of eigenvalues of the correlation matrix above one."""
    X = X[:, X.std(axis=0) > 0]
    unit = (X - X.mean(axis=0)) / X.std(axis=0)
    return int((np.linalg.svd(unit, compute_uv=False) ** 2 / len(X) > 1).sum())


def chosen(X: np.ndarray) -> int:
    """Return the number of components that "auto" stands for."""
    data = TrainingData.from_arrays(X, np.ones(len(X)))
    return n_components_by_parallel_analysis(data.X, data.index, data.weight)


def print_numbers() -> None:
    """Print the true number of each table, Kaiser's, and that of "auto"."""
    print(f"{'table':20s} samples columns factors Kaiser   auto")
    for name, make in recovery.TABLES.items():
        X, factors = make()
        print_line(name, X, factors.shape[1])
    for name, load in simple_structure.TABLES.items():
        table = load()
        print_line(name, table.X, table.scales.shape[1])
    for name in real_tables.TABLES:
        print_line(name, real_tables.load(name).X.to_numpy(float), "")


def print_line(name: str, X: np.ndarray, n_factors: int | str) -> None:
    """Print the numbers of one table."""
    n, p = X.shape
    print(f"{name:20s} {n:7d} {p:7d} {n_factors:7} {kaiser(X):6d} {chosen(X):6d}")


# ------------------------------------------------------------------------------ fits
def fit_simulated(name: str) -> dict:
    """Return the row of a simulated table."""
    split = recovery.Split.of(recovery.TABLES[name]())
    model = FactorVAETransformer("auto", random_state=0).fit(split.X[split.train])
    scores = recovery.evaluate(model, split, with_dci=False).scores
    return row_of(name, "simulated", model, scores["mcc"], scores["reconstruction"])


def fit_real(name: str) -> dict:
    """Return the row of the first split of a real table."""
    split = real.Split.of(real_tables.load(name), 0)
    model = FactorVAETransformer("auto", random_state=0).fit(split.train)
    scores = real.evaluate(model, split)
    return row_of(name, "real", model, scores["test"], scores["r2"])


def row_of(name: str, kind: str, model, score: float, r2: float) -> dict:
    """Return a row of results."""
    return {
        "table": name,
        "kind": kind,
        "components": model.n_components_,
        "active": len(model.active_components_),
        "score": round(float(score), 4),
        "r2": round(float(r2), 4),
    }


def stored() -> pd.DataFrame:
    """Return the stored results; none if there is no file."""
    if not RESULTS.exists():
        return pd.DataFrame(columns=list(FIELDS))
    return pd.read_csv(RESULTS, comment="#")


def references() -> pd.DataFrame:
    """Return the stored results of both benchmarks, one line for each table."""
    simulated = pd.read_csv(recovery.RESULTS / "recovery.csv")
    simulated = simulated[
        (simulated["method"] == "FactorVAE") & (simulated["seed"] == 0)
    ]
    tables = real.stored()
    tables = tables[(tables["method"] == "FactorVAE") & (tables["split"] == 0)]
    names = {"mcc": "score", "test": "score", "reconstruction": "r2"}
    simulated = simulated.assign(components=recovery.N_COMPONENTS)
    both = pd.concat([simulated.rename(columns=names), tables.rename(columns=names)])
    return both.set_index("table")[["components", "score", "r2"]]


def fit_missing(names: list[str]) -> None:
    """Fit each table that is not stored, and store the results."""
    done = set(stored()["table"])
    for name in names:
        if name not in done:
            fit = fit_simulated if name in recovery.TABLES else fit_real
            store(fit(name))
            print(name, flush=True)


def store(row: dict) -> None:
    """Append a row to the file, whose first line names the versions."""
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if is_new:
            versions = ", ".join(f"{k} {v}" for k, v in recovery.versions().items())
            file.write(f"# {versions}\n")
            writer.writeheader()
        writer.writerow(row)


def print_stored() -> None:
    """Print the fits beside the stored ones, and the medians of the differences."""
    for kind, rows in stored().groupby("kind", sort=False):
        table = rows.drop(columns="kind").set_index("table")
        table = table.join(references().add_suffix(", reference"))
        print(table.to_string(float_format=lambda v: f"{v:.3f}"))
        gain = table["score"] - table["score, reference"]
        print(
            f"{kind}, score minus that of the reference: median {gain.median():+.3f}, "
            f"{gain.min():+.3f} to {gain.max():+.3f}, {len(gain)} tables\n"
        )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fit", action="store_true", help="fit what is missing")
    parser.add_argument("--tables", nargs="*", help="tables to fit; default: all")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    if arguments.fit:
        fit_missing(arguments.tables or [*recovery.TABLES, *real_tables.TABLES])
    if arguments.fit or arguments.stored:
        print_stored()
    else:
        print_numbers()


if __name__ == "__main__":
    main()

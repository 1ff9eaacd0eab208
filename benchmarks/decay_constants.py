"""Measure what the constants behind the choice of weight decay change.

    python benchmarks/decay_constants.py            fit what is missing, and store it
    python benchmarks/decay_constants.py --stored   print what is stored

Each lever changes one constant of ``skfactorvae.preparation`` and fits the default
estimator to two splits of real tables for tuning. Printed are the means over tables of
the held-out log-likelihood and the explained variance, less those of the default, in
nats per column and as shares; the lowest difference of a table; the mean number of
steps of the final fit; and what is chosen on simulated tables, for which only the
comparison is computed: weight decay and steps. Real tables that were named later
(``real_tables.py --role later``) are for the final rule, and printed below.

Results are added to ``benchmarks/results/decay_constants.csv`` one lever and table at a
time, and what is stored is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import decay_choice
import numpy as np
import pandas as pd
import real
import real_tables
import recovery
import torch

from skfactorvae.preparation import _comparison, _length, _weight_decay

RESULTS = Path(__file__).parent / "results" / "decay_constants.csv"
DEFAULT = "the default"
LEVERS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "no weight decay": {"CANDIDATES": (0.0, 0.0)},
    "candidates 0, 1": {"CANDIDATES": (0.0, 1.0)},
    "candidates 0, 3": {"CANDIDATES": (0.0, 3.0)},
    "comparison of 250 steps": {"COMPARISON_STEPS": 250},
    "comparison of 1,000 steps": {"COMPARISON_STEPS": 1000},
    "SOAP, 150 steps": {"COMPARISON_SOLVER": "soap", "COMPARISON_STEPS": 150},
    "SOAP, 200 steps": {"COMPARISON_SOLVER": "soap", "COMPARISON_STEPS": 200},
    "SOAP, 300 steps": {"COMPARISON_SOLVER": "soap", "COMPARISON_STEPS": 300},
    "input noise is not halved": {"DECAYED_INPUT_NOISE": 1.0},
    "no input noise beside weight decay": {"DECAYED_INPUT_NOISE": 0.0},
    "one split for few samples": {"FEW_ROWS": 0},
    "least advantage of 0": {"MIN_GAIN": 0.0},
    "least advantage of .05": {"MIN_GAIN": 0.05},
    "longer fits if a third may be lost": {"MAX_LOSS": 1 / 3},
    "longer fits if a twelfth may be lost": {"MAX_LOSS": 1 / 12},
    "no longer fits": {"MAX_LOSS": 0.0},
    "noise scale as trained": {"noise_inflation": lambda *_: None},
}
REAL = (
    "breast cancer",
    "wine",
    "diabetes",
    "hitters",
    "autos",
    "glass",
    "personality scales",
    "schools",
    "digits",
    "power demand",
    "personality items",
)
"""Tables for tuning that are fitted in less than a minute."""

LATER = tuple(real_tables.LATER)
"""Tables that no default was chosen by."""

SIMULATED = ("oscillator", "layers", "tanh-mixed")
N_SPLITS = 2
COLUMNS = ["lever", "table", "test", "r2", "decay", "steps"]


@contextmanager
def changed(constants: dict[str, Any]) -> Iterator[None]:
    """Set constants of the choice of weight decay in a context."""
    modules = _weight_decay, _length, _comparison
    owners = {n: next(m for m in modules if hasattr(m, n)) for n in constants}
    before = {name: getattr(owner, name) for name, owner in owners.items()}
    try:
        for name, value in constants.items():
            setattr(owners[name], name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owners[name], name, value)


def on_real(table: str) -> dict[str, float]:
    """Return the means over splits of default fits to a real table."""
    rows = pd.DataFrame(real.measure(table, "FactorVAE", list(range(N_SPLITS)), 0))
    return rows[["test", "r2", "decay", "steps"]].mean().to_dict()


def on_simulated(table: str) -> dict[str, float]:
    """Return what is chosen on a simulated table, without the final fit."""
    split = recovery.Split.of(recovery.TABLES[table]())
    choice = decay_choice.Choice(recovery.N_COMPONENTS, random_state=0)
    choice.fit(split.X[split.train])
    nothing = {"test": np.nan, "r2": np.nan}
    return {**nothing, "decay": choice.weight_decay_, "steps": choice.final_steps_}


def summary(rows: pd.DataFrame, tables: tuple[str, ...]) -> pd.DataFrame:
    """Return a row for each lever: differences from the default, and choices."""
    of_real, of_simulated = (
        rows[rows["table"].isin(names)] for names in (tables, SIMULATED)
    )
    before = of_real[of_real["lever"] == DEFAULT].set_index("table")
    lines = []
    for lever, found in of_real.groupby("lever", sort=False):
        found = found.set_index("table")
        less = (found[["test", "r2"]] - before[["test", "r2"]]).dropna()
        chosen = of_simulated[of_simulated["lever"] == lever]
        lines.append(
            {
                "lever": lever,
                "likelihood": less["test"].mean(),
                "lowest": less["test"].min(),
                "R2": less["r2"].mean(),
                "lowest R2": less["r2"].min(),
                "steps": found["steps"].mean(),
                **{
                    row.table: f"{row.decay:g}, {row.steps:g}"
                    for row in chosen.itertuples()
                },
            }
        )
    return pd.DataFrame(lines)


def stored() -> pd.DataFrame:
    """Return the stored results; none if there is no file."""
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--levers", nargs="*", default=list(LEVERS))
    parser.add_argument("--tables", nargs="*", default=[*REAL, *LATER, *SIMULATED])
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = stored()
    for lever, table in itertools.product(arguments.levers, arguments.tables):
        is_stored = ((rows["lever"] == lever) & (rows["table"] == table)).any()
        if arguments.stored or is_stored:
            continue
        measure = on_simulated if table in SIMULATED else on_real
        with changed(LEVERS[lever]):
            found = pd.DataFrame([{"lever": lever, "table": table, **measure(table)}])
        rows = pd.concat([rows, found]) if len(rows) else found
        rows.to_csv(RESULTS, index=False, float_format="%.5g")
        print(f"{lever}: {table}", flush=True)
    for tables in (REAL, LATER):
        found = summary(rows, tables)
        print(found.to_string(index=False, float_format=lambda v: f"{v:+.3f}"))


if __name__ == "__main__":
    main()

"""Follow what is lost on held-out samples when fits without weight decay get longer.

    python benchmarks/decay_lengths.py            fit what is missing, and store it
    python benchmarks/decay_lengths.py --stored   print what is stored

Where some of what a fit of 500 steps learned is lost on held-out samples, longer fits
decide on the number of steps. Here the same samples are held out, and fits of several
lengths are compared: bounds in nats per column with the calibrated
noise, the share that is lost, the median ratio of held-out to training variance of the
residuals, and the held-out explained variance. Simulated tables are those of
``recovery.py``; real ones those of ``real.py``, where the number of the split is the
seed.

Results are added to ``benchmarks/results/decay_lengths.csv`` one fit at a time. What is
stored is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import real
import real_tables
import recovery
import torch
from decay_constants import changed

from skfactorvae import FactorVAETransformer
from skfactorvae._batching import train
from skfactorvae._moments import trimmed_mean

RESULTS = Path(__file__).parent / "results" / "decay_lengths.csv"
TABLES = (("shadows", 0), ("sprites", 1), ("autos", 0), ("crabs", 4))
"""Name and seed; of the real tables, splits whose short fits lose about as much."""

STEPS = (500, 1500, 3000, 5000)
COLUMNS = ["table", "seed", "steps", "held_out", "training", "lost", "ratio", "r2"]


class Followed(FactorVAETransformer):
    """The default estimator, which keeps what it found without weight decay."""

    def _regularized(self, prepared, devices, progress):
        plan = prepared.comparison
        fits = train(plan.jobs, plan.schedule, devices=devices, n_jobs=self.n_jobs)
        (found, *_), _ = plan.evaluate(fits, devices[0])
        weight = plan.held_out_weight
        n_features = plan.jobs[0].rows.shape[1]
        rows = [job.held_out.rows for job in plan.jobs]
        total = weight @ np.square(np.concatenate(rows)).sum(axis=1)
        self.found_ = {
            "held_out": trimmed_mean(found.bounds, weight)[0] / n_features,
            "training": found.training_bound / n_features,
            "lost": plan.lost_share(found)[0],
            "ratio": float(np.median(found.inflation)),
            "r2": 1 - weight @ found.residual / total,
        }
        one_step = replace(prepared.schedule, max_iter=1)
        return replace(prepared, comparison=None, other=None, schedule=one_step)


def samples(table: str, seed: int) -> tuple[np.ndarray, int]:
    """Return the training samples of a table, and the number of components."""
    if table in recovery.TABLES:
        split = recovery.Split.of(recovery.TABLES[table]())
        return split.X[split.train], recovery.N_COMPONENTS
    X = real.Split.of(real_tables.load(table), seed).train
    return X, min(real.n_factors(X), X.shape[1])


def measure(table: str, seed: int, steps: int) -> dict:
    """Return the scores of a fit of some length on held-out samples."""
    X, d = samples(table, seed)
    with changed({"CANDIDATES": (0.0,), "COMPARISON_STEPS": steps}):
        vae = Followed(d, random_state=seed).fit(X)
    return {"table": table, "seed": seed, "steps": steps, **vae.found_}


def stored() -> pd.DataFrame:
    """Return the stored results; none if there is no file."""
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = stored()
    done = set(rows[COLUMNS[:3]].itertuples(index=False, name=None))
    for (table, seed), steps in itertools.product(TABLES, STEPS):
        if options.stored or (table, seed, steps) in done:
            continue
        found = pd.DataFrame([measure(table, seed, steps)])
        rows = pd.concat([rows, found]) if len(rows) else found
        rows.to_csv(RESULTS, index=False, float_format="%.3f", lineterminator="\n")
        print(table, steps, flush=True)
    print(rows.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()

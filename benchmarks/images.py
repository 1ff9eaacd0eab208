"""Measure what likelihood annealing is worth on images.

Simulated images with known factors, a Bernoulli likelihood, and everything else by
default. Each table is fitted with the full weight of the likelihood from the first step
(T = 1), and with annealing from the temperature that a fit chooses, or from others.

    python benchmarks/images.py --help
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import recovery
from published import summary
from sklearn.exceptions import ConvergenceWarning

from skfactorvae import FactorVAETransformer, datasets, metrics

RESULTS = recovery.RESULTS / "images.csv"
N_NEW = 2000
"""Number of images to score."""

TABLES = {
    "pendulum": (partial(datasets.make_pendulum_shadow, image_size=32), 5000, [0, 1]),
    "squares": (
        partial(
            datasets.make_xy_squares,
            image_size=32,
            n_squares=2,
            square_size=6,
            spacing=1,
        ),
        10_000,
        [0, 1, 2, 3],
    ),
    "rooms": (partial(datasets.make_toy_shapes3d, image_size=32), 10_000, [3, 5]),
    "sprites-32": (
        partial(datasets.make_dsprites_like, image_size=32, antialias=1.0),
        20_000,
        [1, 3, 4],
    ),
    "sprites-64": (datasets.make_dsprites_like, 20_000, [1, 3, 4]),
}
"""Function, number of images to fit, and the factors that one component can order."""

NETWORKS = ("mlp", "conv")


def measure(table, network, temperature, seed, max_iter):
    """Fit one model; return its scores on held-out images."""
    maker, n_rows, ordered = TABLES[table]
    seen = maker(n_rows, random_state=0, return_bunch=True)
    new = maker(N_NEW, random_state=1, return_bunch=True)
    start = time.perf_counter()
    model = FactorVAETransformer(
        recovery.N_COMPONENTS,
        network=network,
        image_shape=seen.image_shape,
        likelihood="bernoulli",
        temperature=temperature,
        max_iter=max_iter,
        random_state=seed,
    ).fit(seen.data)
    seconds = time.perf_counter() - start
    codes = model.transform(new.data)
    return {
        "table": table,
        "network": network,
        "asked": str(temperature),
        "temperature": float(model.temperature_),
        "seed": seed,
        "mcc": metrics.mean_correlation_score(
            new.factors[:, ordered], codes, over="factors"
        ),
        "mig": metrics.mutual_info_gap_score(new.factors, codes),
        "factor_vae": metrics.factor_vae_score(
            new.factors, recovery.used_codes(model, codes)
        ),
        "bound": model.score(new.data),
        "used": len(model.active_components_),
        "seconds": seconds,
    }


def print_table(records):
    """Print the means over seeds, by table, network and temperature."""
    keys = ("temperature", "mcc", "mig", "factor_vae", "bound", "used")
    names = ("images", "network", "T", "fits", "correlation", "MIG", "FactorVAE score")
    print(f"\n| {' | '.join(names)} | ELBO, nats | active |")
    print("|---" * 9 + "|")

    def of(record):
        return record["table"], record["network"], record["asked"]

    for case in dict.fromkeys(map(of, records)):
        own = [record for record in records if of(record) == case]
        first, mcc, mig, votes, bound, used = (
            np.mean([r[k] for r in own]) for k in keys
        )
        print(
            f"| {case[0]} | {case[1]} | {first:.0f} | {len(own)} | {mcc:.2f} | "
            f"{mig:.2f} | {votes:.2f} | {bound:.1f} | {used:.1f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--network", default="mlp", choices=NETWORKS)
    parser.add_argument(
        "--temperatures", nargs="+", type=recovery.temperature, default=[1.0, "auto"]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-iter", type=int, default=5000, help="steps of a fit")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--stored", action="store_true", help="only print the results stored in --out"
    )
    options = parser.parse_args()
    if options.stored:
        print_table(recovery.read(options.out))
        return
    warnings.simplefilter("ignore", ConvergenceWarning)
    records = []
    for table, temperature, seed in itertools.product(
        options.tables, options.temperatures, range(options.seeds)
    ):
        records.append(
            measure(table, options.network, temperature, seed, options.max_iter)
        )
        recovery.write(records, options.out)
        print(summary(records[-1]), flush=True)
    print_table(records)


if __name__ == "__main__":
    main()

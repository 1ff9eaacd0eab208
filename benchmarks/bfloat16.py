"""Time of a step and recovery with precision="bfloat16", beside those with float32.

    python benchmarks/bfloat16.py
    python benchmarks/bfloat16.py --recovery --seeds 3 --max-iter 600
    python benchmarks/bfloat16.py --stored

For each size of the networks, fits of 40 steps alternate between the two precisions, on
2,000 x 64 values. A step is the lower quartile of all, in milliseconds of CPU time with
one thread; "ratio" is float32 over bfloat16. With ``--recovery``, the last size is
fitted with some seeds instead, and the correlation of its components with the factors
is added. Writes benchmarks/results/bfloat16.csv.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import records_file

from skfactorvae import FactorVAETransformer
from skfactorvae.core import _training
from skfactorvae.datasets import make_gaussian_peaks
from skfactorvae.metrics import mean_correlation_score

RESULTS = Path(__file__).parent / "results" / "bfloat16.csv"
COLUMNS = ("hidden", "discriminator", "float32", "bfloat16", "ratio")
COLUMNS += ("recovery_float32", "recovery_bfloat16")

SIZES = [
    ((512, 512), (64,) * 3),
    ((1024, 1024), (64,) * 3),
    ((64, 64), (512,) * 5),
    ((64, 64), (1000,) * 5),
    ((512, 512), (1000,) * 5),
]
"""Hidden layers of encoder and decoder, and of the discriminator."""

PRECISIONS = "float32", "bfloat16"
N_STEPS, N_REPEATS = 40, 3


def fitted(X, sizes, precision, **parameters):
    hidden, discriminator = sizes
    model = FactorVAETransformer(
        5,
        hidden_layer_sizes=hidden,
        discriminator_hidden_layer_sizes=discriminator,
        precision=precision,
        weight_decay=0.0,
        verbose=0,
        **parameters,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X)


def step_times(X, sizes):
    """Return the milliseconds of a step in both precisions."""
    times = {precision: [] for precision in PRECISIONS}
    step = _training._Stack.step

    def timed(self, number):
        start = time.process_time()
        found = step(self, number)
        times[self.schedule.products].append(time.process_time() - start)
        return found

    with patch.object(_training._Stack, "step", timed):
        for _ in range(N_REPEATS):
            for precision in PRECISIONS:
                fitted(X, sizes, precision, max_iter=N_STEPS, random_state=0)
    return {name: 1e3 * np.percentile(own, 25) for name, own in times.items()}


def timed_sizes(X):
    """Return one record for each size."""
    for sizes in SIZES:
        times = step_times(X, sizes)
        yield {
            "hidden": "-".join(map(str, sizes[0])),
            "discriminator": "-".join(map(str, sizes[1])),
            **{name: round(value, 1) for name, value in times.items()},
            "ratio": round(times["float32"] / times["bfloat16"], 2),
        }


def recovery(X, Y, n_seeds, max_iter):
    """Return the mean correlation with the factors in both precisions."""
    found = {}
    for precision in PRECISIONS:
        settings = [{"max_iter": max_iter, "random_state": s} for s in range(n_seeds)]
        models = [fitted(X, SIZES[-1], precision, **own) for own in settings]
        scores = [mean_correlation_score(Y, model.transform(X)) for model in models]
        found[f"recovery_{precision}"] = round(float(np.mean(scores)), 3)
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recovery", action="store_true", help="add correlations")
    parser.add_argument("--seeds", type=int, default=3, help="fits of each precision")
    parser.add_argument("--max-iter", type=int, default=600, help="steps of a fit")
    parser.add_argument("--stored", action="store_true", help="print stored results")
    args = parser.parse_args()
    if not args.stored:
        X, Y = make_gaussian_peaks(2000, random_state=0)
        records = records_file.load(RESULTS) if args.recovery else list(timed_sizes(X))
        if args.recovery:
            records[-1] |= recovery(X, Y, args.seeds, args.max_iter)
        records_file.store(RESULTS, COLUMNS, records)
    records_file.show(COLUMNS, records_file.load(RESULTS))


if __name__ == "__main__":
    main()

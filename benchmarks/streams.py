"""Compare ``partial_fit`` on a stream with ``fit`` on all of its samples.

Simulated tables of 40,000 samples, in blocks of 500 that are each seen once: with the
number of samples known (``total_samples``) and unknown, and ``fit`` to the whole. The
score is the mean absolute rank correlation of the factors with the components matched
to them, on 2,000 further samples.

    python benchmarks/streams.py
    python benchmarks/streams.py --tables peaks --seeds 1
"""

import argparse
import csv
import time
import warnings
from pathlib import Path

from recovery import tanh_mixture
from sklearn.exceptions import ConvergenceWarning

from skfactorvae import FactorVAETransformer, datasets
from skfactorvae.metrics import mean_correlation_score

N_ROWS, N_NEW, BLOCK = 40_000, 2000, 500
N = N_ROWS + N_NEW

TABLES = {
    "oscillator": lambda: datasets.make_damped_oscillator(
        N, variant="scinet", noise=0.01, random_state=0
    ),
    "peaks": lambda: datasets.make_gaussian_peaks(N, random_state=0),
    "tanh": lambda: tanh_mixture(N, 20, ["uniform"] * 4),
}
KEYS = "table", "method", "seed"
RESULTS = Path(__file__).parent / "results" / "streams.csv"


def make_vae(seed, **parameters):
    return FactorVAETransformer(10, weight_decay=0, random_state=seed, **parameters)


def of_whole(X, seed):
    return make_vae(seed).fit(X)


def of_stream(X, seed, *, batch_size=128, **options):
    vae = make_vae(seed, batch_size=batch_size)
    for first in range(0, len(X), BLOCK):
        vae.partial_fit(X[first : first + BLOCK], **options)
    return vae


def of_stream_with_end(X, seed):
    return of_stream(X, seed, total_samples=len(X))


def of_small_batches(X, seed):
    return of_stream(X, seed, batch_size=32, total_samples=len(X))


METHODS = {
    "stream": of_stream,
    "stream, total_samples given": of_stream_with_end,
    "stream, total_samples given, batches of 32": of_small_batches,
    "fit to the whole": of_whole,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = stored()
    for name in options.tables:
        X, factors = TABLES[name]()
        known, (new, truth) = X[:N_ROWS], (X[N_ROWS:], factors[N_ROWS:])
        for (method, fit), seed in (
            ((method, METHODS[method]), seed)
            for method in options.methods
            for seed in range(options.seeds)
        ):
            start = time.process_time()
            vae = fit(known, seed)
            seconds = time.process_time() - start
            codes = vae.transform(new)
            mcc = mean_correlation_score(truth, codes, over="factors")
            found = {
                "mcc": round(float(mcc), 4),
                "score": round(float(vae.score(new)), 3),
                "steps": vae.n_iter_,
                "cpu_seconds": round(seconds, 1),
            }
            print(name, method, seed, found, flush=True)
            rows[name, method, str(seed)] = found
            write(rows)


def stored():
    """Return the results of earlier runs, by table, method and seed."""
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {tuple(row.pop(key) for key in KEYS): row for row in rows}


def write(rows):
    """Write all results."""
    lines = [dict(zip(KEYS, key, strict=True)) | rows[key] for key in sorted(rows)]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    main()

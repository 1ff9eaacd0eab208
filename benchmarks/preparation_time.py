"""Time and memory of what a fit does before its first step, by the table's shape.

    python benchmarks/preparation_time.py --shapes 2000x1250 2000x2500 2000x5000
    python benchmarks/preparation_time.py --shapes 5000x20000 --stages

Seconds are those of the processor, on one thread; memory is the peak of numpy's
allocations beside the table, in units of its copy in the precision of the fit.
"""

import argparse
import cProfile
import pstats
import time
import tracemalloc

import numpy as np
import torch

from skfactorvae import FactorVAETransformer
from skfactorvae.estimators import _base

STAGES = {
    "distinct samples": "canonical_rows",
    "test of whitening": "are_uncorrelated",
    "moments": "fit_scaling",
    "standardisation": "apply",
    "initialisation, twice": "linear_start",
    "input noise": "conditional_noise_std",
}
"""Functions whose time is shown, with what they do."""


class _PreparedError(Exception):
    """Ends a fit when its preparation is done."""


def _end(*_, **__):
    raise _PreparedError


def make_table(n_rows, n_features, n_sources=8):
    """Return float32 rows: a linear mixture of uniform sources, with noise."""
    rng = np.random.default_rng(0)
    sources = rng.uniform(-1, 1, size=(n_rows, n_sources)).astype(np.float32)
    X = sources @ rng.normal(size=(n_sources, n_features)).astype(np.float32)
    for row in X:
        row += rng.normal(size=n_features).astype(np.float32)
    return X


def prepare(X, n_components):
    """Make a fit up to its training."""
    train, _base.train = _base.train, _end
    try:
        FactorVAETransformer(n_components, random_state=0).fit(X)
    except _PreparedError:
        pass
    finally:
        _base.train = train


def seconds(X, n_components):
    """Return the processor's seconds of a preparation."""
    start = time.process_time()
    prepare(X, n_components)
    return time.process_time() - start


def copies(X, n_components):
    """Return the peak memory of a preparation, in copies of the table."""
    tracemalloc.start()
    prepare(X, n_components)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / X.nbytes


def stages(X, n_components):
    """Return the processor's seconds of each stage."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(prepare, X, n_components)
    found = dict.fromkeys(STAGES, 0.0)
    names = {function: stage for stage, function in STAGES.items()}
    for (path, _, function), record in pstats.Stats(profile).stats.items():
        if "preparation" in path and function in names:
            found[names[function]] = record[3]
    return found


def shape(text):
    """Return the numbers of rows and of columns that ``1000x50`` stands for."""
    n_rows, n_features = map(int, text.split("x"))
    return n_rows, n_features


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=shape,
        metavar="ROWSxCOLUMNS",
        default=[(2000, p) for p in (1250, 2500, 5000, 10_000)] + [(5000, 20_000)],
    )
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--stages", action="store_true", help="seconds of each stage")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prepare(make_table(100, 5), 3)  # imports
    print("| table | seconds | peak, copies of the table |\n|---|---|---|")
    for n_rows, n_features in arguments.shapes:
        X, d = make_table(n_rows, n_features), arguments.components
        used = seconds(X, d)
        print(f"| {n_rows} x {n_features} | {used:.2f} | {copies(X, d):.1f} |")
        if arguments.stages:
            for stage, part in stages(X, d).items():
                print(f"|   {stage} | {part:.2f} | |")


if __name__ == "__main__":
    main()

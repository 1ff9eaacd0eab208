"""Threads that run at the same time, and CPU time, of fits side by side.

    python benchmarks/threads.py
    python benchmarks/threads.py --stored

Each case is a process of its own, without OMP_NUM_THREADS and the like. Its fits are
made one after another with one thread, and then side by side; "alone" and "together"
are the CPU seconds of all processes, and "ratio" is together over alone. "running" is
the number of threads, of all processes, that run or wait for a core, which is exceeded
in one twentieth of the looks, one each 5 ms; "cores" is the number of cores. Writes
benchmarks/results/threads.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "threads.csv"
COLUMNS = ("case", "cores", "running", "alone", "together", "ratio")

SMALL = {"max_iter": 150, "weight_decay": 0.0, "random_state": 0, "verbose": 0}
LARGE = SMALL | {
    "max_iter": 10,
    "hidden_layer_sizes": (512, 512),
    "discriminator_hidden_layer_sizes": (1000,) * 4,
}

SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables that limit threads, which a case is run without."""


# ------------------------------------------------------------------------- the cases
def make(parameters, **more):
    from skfactorvae import FactorVAETransformer

    return FactorVAETransformer(5, **(parameters | more))


def in_threads(X, parameters, **more):
    """Make two fits in two Python threads."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda seed: make(parameters, **more).fit(X), range(2)))


def in_search(X, parameters, engine=None, **more):
    """Make two fits in a search of scikit-learn's with n_jobs=2."""
    from joblib import parallel_config
    from sklearn.model_selection import GridSearchCV

    grid, folds = {"gamma": [1.0, 2.0]}, [(np.arange(len(X)), np.arange(10))]
    search = GridSearchCV(
        make(parameters, **more), grid, cv=folds, n_jobs=2, refit=False
    )
    with parallel_config(engine) if engine else contextlib.nullcontext():
        search.fit(X)


def in_stacks(X, parameters):
    """Make two fits in a batched search with n_jobs=2."""
    from skfactorvae import _batch_training
    from skfactorvae.model_selection import BatchedGridSearchCV

    _batch_training.PROCESS_EFFORT = 0
    grid, folds = {"gamma": [1.0, 2.0]}, [(np.arange(len(X)), np.arange(10))]
    BatchedGridSearchCV(make(parameters), grid, cv=folds, n_jobs=2, refit=False).fit(X)


CASES = {
    "small, two Python threads": (in_threads, SMALL, {}),
    "small, GridSearchCV(n_jobs=2)": (in_search, SMALL, {}),
    "small, BatchedGridSearchCV(n_jobs=2)": (in_stacks, SMALL, {}),
    "small, n_jobs=2 in GridSearchCV(n_jobs=2)": (in_search, SMALL, {"n_jobs": 2}),
    "large, GridSearchCV(n_jobs=2)": (in_search, LARGE, {}),
    "large, n_jobs=2 in GridSearchCV(n_jobs=2)": (in_search, LARGE, {"n_jobs": 2}),
    "large, two Python threads": (in_threads, LARGE, {}),
    "large, n_jobs=1, two Python threads": (in_threads, LARGE, {"n_jobs": 1}),
}


# ------------------------------------------------------------------- what is measured
def processes():
    """Return the numbers of this process and of all that it has started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    own, found = {os.getpid()}, set()
    while own:
        found |= own
        own = {n for n, parent in parents.items() if parent in own}
    return found


def cpu_seconds():
    """Return the CPU time of these processes."""
    total = 0
    for number in processes():
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{number}/stat").read_text()
            total += sum(map(int, text.rpartition(")")[2].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


class Looks(threading.Thread):
    """Count the threads that run, again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.counts, self.is_over = [], threading.Event()

    def run(self):
        own, found = threading.get_native_id(), processes()
        while not self.is_over.wait(0.005):
            if len(self.counts) % 20 == 0:
                found = processes()
            self.counts.append(sum(self.running(n, own) for n in found))

    @staticmethod
    def running(number, own):
        count = 0
        for path in Path(f"/proc/{number}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                state = path.read_text().rpartition(")")[2].split()[0]
                count += state == "R" and int(path.parent.name) != own
        return count


def measure(case):
    """Make the fits of a case one after another, and side by side."""
    from joblib import cpu_count

    from skfactorvae.datasets import make_gaussian_peaks

    warnings.simplefilter("ignore")
    X, _ = make_gaussian_peaks(1000, random_state=0)
    run, parameters, more = CASES[case]
    few = parameters | {"max_iter": 2}
    make(few).fit(X)
    run(X, few, **more)  # starts processes, imports libraries
    start = cpu_seconds()
    for _ in range(2):
        make(parameters, n_jobs=1).fit(X)
    middle = cpu_seconds()
    looks = Looks()
    looks.start()
    run(X, parameters, **more)
    looks.is_over.set()
    looks.join()
    alone, together = middle - start, cpu_seconds() - middle
    return {
        "case": case,
        "cores": cpu_count(),
        "running": int(np.percentile(looks.counts, 95)),
        "alone": round(alone, 1),
        "together": round(together, 1),
        "ratio": round(together / alone, 2),
    }


# --------------------------------------------------------------------------------- all
def measured(case):
    """Measure a case in a process of its own, which stores the result."""
    environment = {k: v for k, v in os.environ.items() if k not in SETTINGS}
    command = [sys.executable, __file__, "--child", case]
    subprocess.check_output(command, env=environment, text=True)


def load():
    if not RESULTS.exists():
        return []
    with RESULTS.open() as file:
        return list(csv.DictReader(file))


def store(records):
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(records)


def show(records):
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for record in records:
        print("| " + " | ".join(str(record[name]) for name in COLUMNS) + " |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--stored", action="store_true", help="print stored results")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        record = measure(args.child)
        store([*(r for r in load() if r["case"] != record["case"]), record])
        print(json.dumps(record))
        return
    if not args.stored:
        for case in args.cases:
            measured(case)
    show(load())


if __name__ == "__main__":
    main()

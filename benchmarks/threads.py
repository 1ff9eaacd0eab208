"""Threads that run at once: fits side by side in threads, and in joblib's processes.

    python benchmarks/threads.py
    python benchmarks/threads.py --networks large --rows 2 3 --add
    python benchmarks/threads.py --stored

Two fits, one after the other and in two Python threads, and a search of four candidates
with one and two of joblib's processes, for a small and a large network. OMP_NUM_THREADS
is not set. Each row runs in a process of its own, which is observed from outside:
"running" is the number of threads that ran at once, in it and all that it has started,
in at least a tenth of the observations. Times are those after the imports. Writes
benchmarks/results/threads.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import records_file
from workers import cpu_seconds

RESULTS = Path(__file__).parent / "results" / "threads.csv"
COLUMNS = "case", "networks", "how", "wall", "cpu", "running"

NETWORKS = {
    "small": {},
    "large": {
        "hidden_layer_sizes": (512, 512),
        "discriminator_hidden_layer_sizes": (1000,) * 5,
    },
}
STEPS = {"small": 300, "large": 20}

INTERVAL = 0.01
"""Seconds between two observations."""


# -------------------------------------------------------------------- one process
def make_model(networks, steps, n_jobs):
    from skfactorvae import FactorVAETransformer

    return FactorVAETransformer(
        5,
        **networks,
        max_iter=steps,
        weight_decay=0.0,
        random_state=0,
        n_jobs=n_jobs,
        device="cpu",
        verbose=0,
    )


def one_after_the_other(X, networks, steps, n_jobs=None):
    for _ in range(2):
        make_model(networks, steps, n_jobs).fit(X)


def in_threads(X, networks, steps, n_jobs=None):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        fits = [
            pool.submit(make_model(networks, steps, n_jobs).fit, X) for _ in range(2)
        ]
        for fit in fits:
            fit.result()


def search(X, networks, steps, n_jobs):
    from sklearn.model_selection import GridSearchCV, ShuffleSplit

    model = make_model(networks, steps, None)
    options = {"cv": ShuffleSplit(1, random_state=0), "refit": False}
    grid = {"gamma": [1.0, 5.0, 10.0, 20.0]}
    GridSearchCV(model, grid, n_jobs=n_jobs, **options).fit(X)


CASES = {
    ("two fits", "one after the other"): (one_after_the_other, None),
    ("two fits", "one after the other, n_jobs=1"): (one_after_the_other, 1),
    ("two fits", "two threads"): (in_threads, None),
    ("two fits", "two threads, n_jobs=1"): (in_threads, 1),
    ("search", "n_jobs=1"): (search, 1),
    ("search", "n_jobs=2"): (search, 2),
}


def measure(case, how, networks, steps):
    """Print a line when the imports are made, and the wall and CPU seconds."""
    from joblib import Parallel, delayed

    from skfactorvae.datasets import make_gaussian_peaks

    warnings.simplefilter("ignore")
    X, _ = make_gaussian_peaks(2000, random_state=0)
    function, n_jobs = CASES[case, how]
    own = NETWORKS[networks]
    if case == "search" and n_jobs > 1:  # its processes are started before
        calls = [delayed(make_model)(own, 1, 1) for _ in range(4)]
        Parallel(n_jobs)(calls)
    make_model(own, 2, n_jobs).fit(X)
    print("begin", flush=True)
    wall, cpu = time.perf_counter(), cpu_seconds()
    function(X, own, steps, n_jobs)
    found = time.perf_counter() - wall, cpu_seconds() - cpu
    print(json.dumps(found), flush=True)


# ------------------------------------------------------------------- from outside
def running_threads(root):
    """Return how many threads of a process, and of all it has started, run."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    found, new = set(), {root}
    while new:
        found |= new
        new = {n for n, parent in parents.items() if parent in new}
    states = []
    for number in found:
        for path in Path(f"/proc/{number}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                states.append(path.read_text().rpartition(")")[2].split()[0])
    return states.count("R")


def observed(case, how, networks, steps):
    """Return one record, of a process that is observed while it runs."""
    command = [sys.executable, __file__, "--worker", case, how, networks, str(steps)]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    numbers = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        process.stdout.readline()
        while process.poll() is None:
            numbers.append(running_threads(process.pid))
            time.sleep(INTERVAL)
        wall, cpu = json.loads(process.stdout.read())
    often = sorted(numbers)[-1 - len(numbers) // 10]
    return {
        "case": case,
        "networks": networks,
        "how": how,
        "wall": round(wall, 1),
        "cpu": round(cpu, 1),
        "running": often,
    }


def place(record):
    """Return what records are ordered by."""
    case = record["case"], record["how"]
    return [*NETWORKS].index(record["networks"]), [*CASES].index(case)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    numbers = {"type": int, "nargs": "+", "default": [*range(len(CASES))]}
    parser.add_argument("--rows", **numbers, help="numbers of cases")
    parser.add_argument("--add", action="store_true", help="keep other results")
    parser.add_argument("--stored", action="store_true", help="print stored results")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        *which, steps = args.worker
        measure(*which, int(steps))
        return
    if not args.stored:
        records = records_file.load(RESULTS) if args.add and RESULTS.exists() else []
        for networks in args.networks:
            for case, how in [list(CASES)[number] for number in args.rows]:
                key = {"case": case, "networks": networks, "how": how}
                records = [r for r in records if not key.items() <= r.items()]
                records.append(observed(**key, steps=STEPS[networks]))
                records_file.store(RESULTS, COLUMNS, sorted(records, key=place))
    records_file.show(COLUMNS, records_file.load(RESULTS))


if __name__ == "__main__":
    main()

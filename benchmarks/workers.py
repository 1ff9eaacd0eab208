"""Time a search on one worker and on two, by processes, threads, Dask and Ray.

A search of 96 candidates on a table of 4,000 x 50, without the fit to all samples. Each
engine runs in a process of its own; its workers are started, and libraries imported,
before the measurement. The efficiency is that of two workers relative to twice the
speed of one: from wall times, which need two idle cores, and from CPU times of all
processes, which show what sending, waiting and smaller stacks add and nothing else.

    python benchmarks/workers.py
    python benchmarks/workers.py --engines loky dask --max-iter 300
    python benchmarks/workers.py --engines dask --max-iter 60 --add
    python benchmarks/workers.py --stored
"""

import argparse
import contextlib
import csv
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ENGINES = {"loky": None, "threading": None, "dask": "distributed", "ray": "ray"}
"""Backends of joblib, and the package that each needs."""

RESULTS = Path(__file__).parent / "results" / "workers.csv"


# ------------------------------------------------------------------------- one engine
@contextlib.contextmanager
def started(engine, n_workers):
    """Start an engine's workers, one thread each."""
    if engine == "dask":
        from distributed import Client, LocalCluster

        sizes = {"n_workers": n_workers, "threads_per_worker": 1}
        quiet = {"dashboard_address": None, "silence_logs": 50}
        with LocalCluster(**sizes, **quiet) as cluster, Client(cluster):
            yield
    elif engine == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=n_workers, include_dashboard=False, log_to_driver=False)
        register_ray()
        yield
        ray.shutdown()
    else:
        yield


def cpu_seconds():
    """Return the CPU time of this process and all that it has started."""
    times, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            number = int(path.parent.name)
            parents[number] = int(fields[1])
            times[number] = sum(map(int, fields[11:15]))  # children that ended, too
    own, found = {os.getpid()}, set()
    while own:
        found |= own
        own = {n for n, parent in parents.items() if parent in own}
    return sum(times[n] for n in found) / os.sysconf("SC_CLK_TCK")


def time_search(engine, n_workers, max_iter):
    """Return wall and CPU seconds of the search, and the sum of its scores."""
    import numpy as np
    from joblib import parallel_config
    from sklearn.model_selection import ShuffleSplit
    from sweep_time import SEARCHED, make_estimator, make_table

    from skfactorvae import _batch_training
    from skfactorvae.model_selection import BatchedGridSearchCV

    X = make_table(4000, 50)
    grid = {"gamma": np.geomspace(1, 50, 12), "random_state": range(8)}
    networks = SEARCHED["hidden 64-64, discriminator 3x64"][0]
    split = ShuffleSplit(1, random_state=0)

    def search(candidates, steps):
        vae = make_estimator(networks, max_iter=steps, weight_decay=0)
        options = {"cv": split, "refit": False, "n_jobs": n_workers}
        return BatchedGridSearchCV(vae, candidates, **options).fit(X)

    with started(engine, n_workers), parallel_config(engine):
        effort, _batch_training.PROCESS_EFFORT = _batch_training.PROCESS_EFFORT, 0
        search({"gamma": [1.0, 2.0]}, 2)
        _batch_training.PROCESS_EFFORT = effort
        wall, cpu = time.perf_counter(), cpu_seconds()
        found = search(grid, max_iter)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    return wall, cpu, float(found.cv_results_["mean_test_score"].sum())


# ------------------------------------------------------------------------------- all
def measured(engine, n_workers, max_iter):
    command = [sys.executable, __file__, "--worker", engine, str(n_workers)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--max-iter", str(max_iter)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--max-iter", type=int, default=500)
    parser.add_argument("--add", action="store_true", help="keep other engines")
    parser.add_argument("--stored", action="store_true", help="print stored results")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        engine, n_workers = options.worker
        print(json.dumps(time_search(engine, int(n_workers), options.max_iter)))
        return
    if options.stored:
        for row in load():
            print(row)
        return
    rows = []
    if options.add:
        rows = [row for row in load() if row["engine"] not in options.engines]
    for engine in options.engines:
        package = ENGINES[engine]
        if package is not None and importlib.util.find_spec(package) is None:
            print(f"{engine}: {package} is not installed")
            continue
        runs = [measured(engine, n, options.max_iter) for n in (1, 2)]
        (wall, cpu, score), (wall_2, cpu_2, score_2) = runs
        rows.append(
            {
                "engine": engine,
                "wall_1": round(wall, 1),
                "wall_2": round(wall_2, 1),
                "cpu_1": round(cpu, 1),
                "cpu_2": round(cpu_2, 1),
                "efficiency_wall": round(wall / (2 * wall_2), 2),
                "efficiency_cpu": round(cpu / cpu_2, 2),
                "score_difference": f"{abs(score - score_2):.1e}",
            }
        )
        print(rows[-1], flush=True)
        write(rows)


def load():
    with RESULTS.open() as file:
        return list(csv.DictReader(file))


def write(rows):
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

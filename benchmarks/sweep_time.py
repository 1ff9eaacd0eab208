"""Time a whole search, candidate by candidate and with all its fits trained together.

One fit, ``GridSearchCV`` on several processes and ``BatchedGridSearchCV`` on as many,
of the same estimators: 24 candidates x 3 folds on a table of 4,000 x 50. Then the time
of a training step per model by the number of models in a stack, which shows where
stacking reduces it. Each is measured in a process of its own, with one thread per
process; workers are started, and libraries imported, before the measurement. Times are
wall times and CPU times of all processes. On a machine with other load use the CPU
times.

    python benchmarks/sweep_time.py --help
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time

N_ROWS, N_FEATURES, N_FOLDS, BATCH = 4000, 50, 3, 64


def dense(width, discriminator):
    return {
        "hidden_layer_sizes": (width, width),
        "discriminator_hidden_layer_sizes": (discriminator,) * 3,
    }


def conv(size):
    return {"network": "conv", "image_shape": (1, size, size)}


SEARCHED = {
    "hidden 128-128, discriminator 3x256": (dense(128, 256), 1.5),
    "hidden 64-64, discriminator 3x64": (dense(64, 64), 3.0),
}
"""Networks, and the target for the speed-up of the batched search."""

STACKED = {
    "hidden 64-64, discriminator 3x64": (dense(64, 64), N_FEATURES),
    "hidden 128-128, discriminator 3x256": (dense(128, 256), N_FEATURES),
    "hidden 512-512, discriminator 3x512": (dense(512, 512), N_FEATURES),
    "hidden 512-512, discriminator 3x1000": (dense(512, 1000), N_FEATURES),
    "convolutions, 32 x 32": (conv(32), 32 * 32),
    "convolutions, 64 x 64": (conv(64), 64 * 64),
}
WIDTHS = (1, 2, 4, 8, 24)


def make_table(n_rows, n_features):
    import numpy as np

    rng = np.random.default_rng(0)
    sources = rng.uniform(-1.7, 1.7, size=(n_rows, 8))
    rows = np.tanh(sources @ rng.normal(size=(8, n_features)))
    return (rows + 0.1 * rng.normal(size=rows.shape)).astype(np.float32)


def make_estimator(parameters, **more):
    from skfactorvae import FactorVAETransformer

    return FactorVAETransformer(random_state=0, device="cpu", **parameters, **more)


# ------------------------------------------------------------------------- workers
def time_search(options):
    """Return the wall time and the CPU time of a search, in seconds."""
    import numpy as np
    from joblib import Parallel, delayed
    from sklearn.model_selection import GridSearchCV, KFold

    from skfactorvae.model_selection import BatchedGridSearchCV

    X = make_table(N_ROWS, N_FEATURES)
    estimator = make_estimator(SEARCHED[options.networks][0], max_iter=options.max_iter)
    if options.worker == "alone":
        fold = X[: N_ROWS * (N_FOLDS - 1) // N_FOLDS]
        make_estimator({}, max_iter=5).fit(fold)
        start, used = time.perf_counter(), time.process_time()
        estimator.fit(fold)
        return time.perf_counter() - start, time.process_time() - used

    searches = {"one by one": GridSearchCV, "batched": BatchedGridSearchCV}
    # joblib reuses its workers for calls with the same settings.
    mmap_mode = "c" if options.worker == "batched" else "r"
    workers = Parallel(options.processes, pre_dispatch="all", mmap_mode=mmap_mode)

    def used():
        clocks = workers(
            delayed(processor_of_a_worker)() for _ in range(options.processes)
        )
        return time.process_time() + sum(dict(clocks).values())

    search = searches[options.worker](
        estimator,
        {"gamma": np.geomspace(0.5, 100, options.candidates)},
        cv=KFold(N_FOLDS, shuffle=True, random_state=0),
        n_jobs=options.processes,
        refit=False,
    )
    before, start = used(), time.perf_counter()
    search.fit(X)
    seconds = time.perf_counter() - start
    return seconds, used() - before


def processor_of_a_worker():
    """Return the CPU time of a worker, after its imports."""
    import skfactorvae

    skfactorvae.FactorVAETransformer(max_iter=2).fit([[0.0, 1.0], [1.0, 0.0]])
    time.sleep(1.0)
    return os.getpid(), time.process_time()


def time_steps(options):
    """Return the wall time and the CPU time of a step per model."""
    from joblib import Parallel, delayed

    from skfactorvae import core
    from skfactorvae.model_selection import batched_fits

    parameters, n_features = STACKED[options.networks]
    X = make_table(500, n_features)
    core.stack_width = lambda *_: options.width  # the requested width

    def fit(max_iter):
        models = [
            make_estimator(parameters, init="random", gamma=float(k), max_iter=max_iter)
            for k in range(options.width)
        ]
        start, used = time.perf_counter(), time.process_time()
        with batched_fits():
            Parallel()(delayed(model.fit)(X) for model in models)
        return time.perf_counter() - start, time.process_time() - used

    n_steps = options.steps
    fit(2)
    once, often = fit(n_steps), fit(3 * n_steps)
    return [
        (b - a) / (2 * n_steps * options.width)
        for a, b in zip(once, often, strict=True)
    ]


def measure(worker, **options):
    """Run this file as a worker in a process of its own."""
    command = [sys.executable, __file__, "--worker", worker]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        env={**os.environ, **one_thread},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


# --------------------------------------------------------------------------- tables
def compare_searches(options):
    print(
        f"\n### {options.candidates} candidates x {N_FOLDS} folds, {N_ROWS} x "
        f"{N_FEATURES}, {options.max_iter} steps, {options.processes} processes\n\n"
        "| networks | one fit, s | one by one, s | batched, s | speed-up "
        f"| target | {options.candidates} fits in units of one |\n"
        "|---|---|---|---|---|---|---|"
    )
    for networks, (_, target) in SEARCHED.items():
        alone, single, batched = (
            measure(
                worker,
                networks=networks,
                candidates=options.candidates,
                max_iter=options.max_iter,
                processes=options.processes,
            )
            for worker in ("alone", "one by one", "batched")
        )
        faster = [a / b for a, b in zip(single, batched, strict=True)]
        units = [t / N_FOLDS / alone[i] for i, t in enumerate(batched)]
        cells = [
            networks,
            *("{:.1f} ({:.1f})".format(*pair) for pair in (alone, single, batched)),
            "**{:.2f} ({:.2f})**".format(*faster),
            f"{target}",
            "{:.1f} ({:.1f})".format(*units),
        ]
        print("|", " | ".join(cells), "|", flush=True)


def compare_widths(options):
    print(
        f"\n### Time of a step per model, ms, by the models in a stack (batch {BATCH},"
        " one thread)\n\n| networks | "
        + " | ".join(map(str, WIDTHS))
        + " | best |\n|---"
        + "|---" * (len(WIDTHS) + 1)
        + "|"
    )
    for networks in STACKED:
        steps = options.steps if "64-64" in networks else max(2, options.steps // 10)
        times = [
            measure("steps", networks=networks, width=width, steps=steps)
            for width in WIDTHS
        ]
        shares = ["{:.2f} ({:.2f})".format(*(1e3 * t for t in pair)) for pair in times]
        best = WIDTHS[min(range(len(WIDTHS)), key=lambda i: times[i][1])]
        print("|", " | ".join([networks, *shares, str(best)]), "|", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--candidates", type=int, default=24, help="candidates of each search"
    )
    parser.add_argument("--max-iter", type=int, default=1000, help="steps of a fit")
    parser.add_argument("--processes", type=int, default=2, help="n_jobs of a search")
    parser.add_argument(
        "--steps", type=int, default=100, help="timed steps for the widths"
    )
    parser.add_argument(
        "--only", choices=("searches", "widths"), help="one of the tables"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--networks", help=argparse.SUPPRESS)
    parser.add_argument("--width", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    if options.worker:
        run = time_steps if options.worker == "steps" else time_search
        print(json.dumps(run(options)))
        return
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores; wall time (CPU "
        "time)."
    )
    if options.only != "widths":
        compare_searches(options)
    if options.only != "searches":
        compare_widths(options)


if __name__ == "__main__":
    main()

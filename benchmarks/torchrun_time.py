"""Time of a step in one process, and in two that divide its batches.

    python benchmarks/torchrun_time.py
    python benchmarks/torchrun_time.py --networks large --processes 2 --steps 40 --add
    python benchmarks/torchrun_time.py --stored

Fits of a dense network, of a large one and of a convolutional one, in one process with
``device="cpu"`` and in two with ``device="torchrun"``, each with one thread. "wall" is
the lower quartile of the milliseconds of a step, of the slower process, and "cpu" that
of the CPU time of a step, summed over processes; "summed" are the MiB of gradients,
codes and likelihoods that are summed over processes in a step. Writes
benchmarks/results/torchrun_time.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import records_file

from skfactorvae import FactorVAETransformer
from skfactorvae.core import _distributed, _training
from skfactorvae.datasets import make_gaussian_peaks

RESULTS = Path(__file__).parent / "results" / "torchrun_time.csv"
COLUMNS = "network", "batch", "processes", "wall", "cpu", "summed"

NETWORKS = {
    "dense": {},
    "large": {
        "hidden_layer_sizes": (512, 512),
        "discriminator_hidden_layer_sizes": (1000,) * 5,
    },
    "convolutional": {"network": "conv", "image_shape": (1, 32, 32)},
}
"""Hidden layers of 128-128 and 512-512, and images of 32 x 32 pixels."""

BATCHES = (512,)


# -------------------------------------------------------------------- one process
def table(parameters):
    """Return the samples of a fit."""
    if "image_shape" in parameters:
        return np.random.default_rng(0).uniform(size=(2000, 1024)).astype(np.float32)
    return make_gaussian_peaks(2000, random_state=0)[0]


def step_times(name, batch_size, n_steps, device):
    """Return quartiles of wall and CPU milliseconds of a step, and MiB summed."""
    walls, times, summed = [], [], []
    step, add = _training._Stack.step, _distributed.Ranks.sum

    def timed(self, number):
        wall, cpu = time.perf_counter(), time.process_time()
        summed.append(0)
        found = step(self, number)
        walls.append(time.perf_counter() - wall)
        times.append(time.process_time() - cpu)
        return found

    def counted(self, tensor):
        if summed:
            summed[-1] += tensor.numel() * tensor.element_size()
        return add(self, tensor)

    model = FactorVAETransformer(
        5,
        **NETWORKS[name],
        batch_size=batch_size,
        max_iter=n_steps,
        weight_decay=0.0,
        random_state=0,
        device=device,
        verbose=0,
    )
    with (
        patch.object(_training._Stack, "step", timed),
        patch.object(_distributed.Ranks, "sum", counted),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        model.fit(table(NETWORKS[name]))
    quartiles = [1e3 * float(np.percentile(part, 25)) for part in (walls, times)]
    return [*quartiles, float(np.median(summed)) / 2**20]


# -------------------------------------------------------------------- all of them
def measured(name, batch_size, n_steps, n_processes):
    """Return wall and CPU milliseconds and MiB of each process."""
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    device = "cpu" if n_processes == 1 else "torchrun"
    own = ["--worker", name, str(batch_size), str(n_steps), device]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, *own],
            env=os.environ | place | {"RANK": str(i), "WORLD_SIZE": str(n_processes)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(n_processes)
    ]
    return [json.loads(process.communicate()[0]) for process in processes]


def timed(name, batch_size, n_processes, n_steps, n_repeats):
    """Return one record, of the fastest of several fits."""
    runs = [
        np.array(measured(name, batch_size, n_steps, n_processes))  # (processes, 3)
        for _ in range(n_repeats)
    ]
    return {
        "network": name,
        "batch": str(batch_size),
        "processes": str(n_processes),
        "wall": round(min(own[:, 0].max() for own in runs), 1),
        "cpu": round(min(own[:, 1].sum() for own in runs), 1),
        "summed": round(float(runs[0][0, 2]), 2),
    }


def place(record):
    """Return what records are ordered by."""
    name, *sizes = (record[column] for column in COLUMNS[:3])
    return [*NETWORKS].index(name), *map(int, sizes)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--add", action="store_true", help="keep other results")
    parser.add_argument("--steps", type=int, default=20, help="steps of a fit")
    parser.add_argument("--repeats", type=int, default=2, help="fits of each kind")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--stored", action="store_true", help="print stored results")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, batch_size, n_steps, device = args.worker
        print(json.dumps(step_times(name, int(batch_size), int(n_steps), device)))
        return
    if not args.stored:
        records = records_file.load(RESULTS) if args.add and RESULTS.exists() else []
        for which in itertools.product(args.networks, args.batches, args.processes):
            record = timed(*which, args.steps, args.repeats)
            key = {name: record[name] for name in COLUMNS[:3]}
            records = [r for r in records if not key.items() <= r.items()]
            records.append(record)
            records_file.store(RESULTS, COLUMNS, sorted(records, key=place))
    records_file.show(COLUMNS, records_file.load(RESULTS))


if __name__ == "__main__":
    main()

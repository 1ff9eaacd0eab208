"""Time of a step on one process, and on two that torchrun starts.

    python benchmarks/distributed.py
    python benchmarks/distributed.py --steps 40 --repeats 3
    python benchmarks/distributed.py --stored

Fits of a dense network, of a large one and of a convolutional one alternate between one
process with ``device="cpu"`` and two with ``device="torchrun"``, each with one thread.
"wall" is the lower quartile of the milliseconds of a step, of the slower process, and
"cpu" that of the CPU time of a step, summed over processes; "sent" are the MiB that a
process adds up with the other one in a step. Writes
benchmarks/results/distributed.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from skfactorvae import FactorVAETransformer
from skfactorvae.core import _distributed, _training
from skfactorvae.datasets import make_gaussian_peaks

RESULTS = Path(__file__).parent / "results" / "distributed.csv"
COLUMNS = "network", "batch", "wall_1", "wall_2", "ratio", "cpu_1", "cpu_2", "sent"

NETWORKS = {
    "dense 128-128": {},
    "dense 512-512, discriminator 5 x 1000": {
        "hidden_layer_sizes": (512, 512),
        "discriminator_hidden_layer_sizes": (1000,) * 5,
    },
    "convolutional, 32 x 32 pixels": {"network": "conv", "image_shape": (1, 32, 32)},
}
BATCHES = 128, 1024


# -------------------------------------------------------------------- one process
def table(parameters):
    """Return the samples of a fit."""
    if "image_shape" in parameters:
        return np.random.default_rng(0).uniform(size=(2000, 1024)).astype(np.float32)
    return make_gaussian_peaks(2000, random_state=0)[0]


def step_times(name, batch_size, n_steps, device):
    """Return quartiles of wall and CPU milliseconds of a step, and MiB sent."""
    walls, times, sent = [], [], []
    step, add = _training._Stack.step, _distributed.Ranks.sum

    def timed(self, number):
        wall, cpu = time.perf_counter(), time.process_time()
        sent.append(0)
        found = step(self, number)
        walls.append(time.perf_counter() - wall)
        times.append(time.process_time() - cpu)
        return found

    def counted(self, tensor):
        if sent:
            sent[-1] += tensor.numel() * tensor.element_size()
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
    return [*quartiles, float(np.median(sent)) / 2**20]


# --------------------------------------------------------------------------- both
def measured(name, batch_size, n_steps, n_ranks):
    """Return wall and CPU milliseconds and MiB of each process."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    device = "cpu" if n_ranks == 1 else "torchrun"
    own = [__file__, "--worker", name, str(batch_size), str(n_steps), device]
    command = [sys.executable, *(launcher if n_ranks > 1 else []), *own]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "["]


def timed_networks(batches, n_steps, n_repeats):
    """Return one record for each network and size of a batch."""
    for name in NETWORKS:
        for batch_size in batches:
            sizes = name, batch_size, n_steps
            runs = {1: [], 2: []}
            for _ in range(n_repeats):
                for n_ranks, found in runs.items():
                    found.append(np.array(measured(*sizes, n_ranks)))  # (ranks, 3)
            wall = [min(own[:, 0].max() for own in found) for found in runs.values()]
            cpu = [min(own[:, 1].sum() for own in found) for found in runs.values()]
            yield {
                "network": name,
                "batch": batch_size,
                "wall_1": round(wall[0], 1),
                "wall_2": round(wall[1], 1),
                "ratio": round(wall[1] / wall[0], 2),
                "cpu_1": round(cpu[0], 1),
                "cpu_2": round(cpu[1], 1),
                "sent": round(float(runs[2][0][0, 2]), 2),
            }


def load():
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
        print("| " + " | ".join(str(record[c]) for c in COLUMNS) + " |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=30, help="steps of a fit")
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
        records = []
        for record in timed_networks(args.batches, args.steps, args.repeats):
            print(record, flush=True)
            records.append(record)
        store(records)
    show(load())


if __name__ == "__main__":
    main()

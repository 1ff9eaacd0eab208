"""Time a training step on a CUDA device, with and without a CUDA graph, and on a CPU.

A step of a small model launches some hundred kernels; the library records them once in
a CUDA graph and replays it. Each row of the table gives milliseconds per step of one
stack: replayed on the device, launched kernel by kernel on the device, and on one CPU
thread. Blocks of the first two alternate; each time is the median over blocks.

    python benchmarks/cuda_time.py --help
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch
from hooks import untrained
from published import FULL, KIM_MNIH

from skfactorvae import datasets
from skfactorvae.core._replay import run_eagerly
from skfactorvae.core._training import _Stack

WARM_UP = 5
"""Number of steps that are not timed; they include the recording of the graph."""

PAPER = KIM_MNIH | FULL["model"]
STACKS = {
    "5,000 x 64, defaults": ("table", 1, {}),
    "24 of them in a stack": ("table", 24, {}),
    "sprites, the paper's networks": ("sprites", 1, PAPER),
    "2 of them in a stack": ("sprites", 2, PAPER),
}


def rows_of(kind):
    """Return the samples of a kind of stack."""
    if kind == "sprites":
        return datasets.make_dsprites_like(2000, random_state=0)[0]
    return datasets.make_stellar_spectra(5000, 64, random_state=0)[0]


class Contestant:
    """A stack that is trained on a device in timed blocks."""

    def __init__(self, jobs, schedule, device, *, is_recorded=True):
        self.stack, self.device = _Stack(jobs, schedule, device), device
        if not is_recorded:
            self.stack.run = run_eagerly
        self.n_steps, self.times = 0, []
        self.block(WARM_UP)
        self.times.clear()

    def block(self, n_steps):
        self._wait()
        start = time.perf_counter()
        for _ in range(n_steps):
            self.stack.step(self.n_steps)
            self.n_steps += 1
        self._wait()
        self.times.append((time.perf_counter() - start) / n_steps)

    def _wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    @property
    def milliseconds(self):
        return 1000 * statistics.median(self.times)


def jobs_of(kind, n_models, parameters):
    """Return the jobs of fits that differ in their seed, and their schedule."""
    X = rows_of(kind).astype(np.float32)
    job, schedule = untrained(X, random_state=0, **parameters)
    return [replace(job, seed=seed) for seed in range(n_models)], schedule


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(STACKS), choices=list(STACKS))
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each")
    parser.add_argument("--steps", type=int, default=100, help="steps of a block")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    device, processor = torch.device(options.device), torch.device("cpu")
    torch.set_num_threads(1)
    if device.type == "cuda":
        print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}\n")
    print("| stack | graph, ms | kernel by kernel, ms | ratio | CPU, ms |")
    print("|---|---|---|---|---|")
    for name in options.only:
        jobs, schedule = jobs_of(*STACKS[name])
        ours = Contestant(jobs, schedule, device)
        plain = Contestant(jobs, schedule, device, is_recorded=False)
        slow = Contestant(jobs, schedule, processor)
        for _ in range(options.blocks):
            ours.block(options.steps)
            plain.block(options.steps)
        slow.block(max(2, options.steps // 10))
        times = ours.milliseconds, plain.milliseconds, slow.milliseconds
        print(
            f"| {name} | {times[0]:.2f} | {times[1]:.2f} | {times[1] / times[0]:.1f} | "
            f"{times[2]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Time checkpoints of fits, beside the steps between them.

    python benchmarks/checkpoint_time.py

For each kind of model: milliseconds of a step, milliseconds to write one checkpoint
(copy of the state, digest, file), its bytes, the share of the time that checkpoints
take with the default interval of 60 s, and milliseconds to read the result of a
finished stack. CPU time of one thread, the least of several, without waiting for the
disk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import skfactorvae
from skfactorvae import _checkpoints
from skfactorvae.model_selection import SeedEnsemble

INTERVAL = 60.0
"""Seconds between two checkpoints by default."""


WRITTEN: list[tuple[float, float, int, int]] = []
"""Start, end, bytes and step of each state that was written."""

READ_IN: list[float] = []
"""Seconds in which results were read."""


class TimedFile(_checkpoints.StackFile):
    """A file of a stack that records when its states are read and written."""

    def write(self, state):
        """Write a state, and record start, end, bytes and step."""
        start = time.process_time()
        super().write(state)
        size, step = os.path.getsize(self.path), state.values["step"]
        WRITTEN.append((start, time.process_time(), size, step))

    def read(self):
        """Read a state, and record the seconds."""
        start = time.process_time()
        state = super().read()
        if state is not None:
            READ_IN.append(time.process_time() - start)
        return state


class StoppedError(Exception):
    """Ends a fit after some checkpoints."""


def models(n_steps: int) -> dict[str, tuple[object, int]]:
    """Return estimators and their numbers of features, by name."""
    common = {"max_iter": n_steps, "weight_decay": 0.0, "random_state": 0}
    vae = skfactorvae.FactorVAETransformer(10, **common)
    soap = skfactorvae.FactorVAETransformer(10, solver="soap", **common)
    conv = skfactorvae.FactorVAETransformer(
        10, network="conv", image_shape=(1, 32, 32), likelihood="bernoulli", **common
    )
    return {
        "default, 64 columns": (vae, 64),
        "default with SOAP, 64 columns": (soap, 64),
        "24 default models, 64 columns": (SeedEnsemble(vae, n_seeds=24), 64),
        "convolutional, 32 x 32 pixels": (conv, 1024),
    }


def rows(n_features: int) -> np.ndarray:
    """Return a table of values in [0, 1]."""
    return np.random.default_rng(0).uniform(size=(1000, n_features))


def measure(estimator, n_features: int) -> list[float]:
    """Return ms of a step and of a checkpoint, bytes, share, and ms of a read."""
    WRITTEN.clear()
    READ_IN.clear()
    X = rows(n_features)
    if hasattr(estimator, "n_seeds"):
        estimator.set_params(random_state=0)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "run"
        try:
            with _checkpoints.checkpoints(path, every=0):
                estimator.fit(X)
                raise StoppedError
        except StoppedError:
            pass
        with _checkpoints.checkpoints(path, every=0):
            estimator.fit(X)
    states = WRITTEN[:-1]  # the last one is the result
    steps = [
        (after[0] - before[1]) / (after[3] - before[3])
        for before, after in pairwise(states)
    ]
    writing = min(end - start for start, end, _, _ in states)
    size = max(size for _, _, size, _ in states)
    reading = min(READ_IN)
    return [1e3 * min(steps), 1e3 * writing, size, writing / INTERVAL, 1e3 * reading]


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--models", default="", help="those whose name holds this text")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    _checkpoints.StackFile = TimedFile
    print("| model | step, ms | checkpoint, ms | megabytes | share | result read, ms |")
    print("|---|---|---|---|---|---|")
    chosen = models(arguments.steps).items()
    for name, (estimator, n_features) in chosen:
        if arguments.models not in name:
            continue
        step, writing, size, share, reading = measure(estimator, n_features)
        cells = f"{step:.1f} | {writing:.1f} | {size / 1e6:.2f} | {share:.3%}"
        print(f"| {name} | {cells} | {reading:.1f} |", flush=True)


if __name__ == "__main__":
    main()

"""Time a saved model without torch, beside the estimator, and its file.

    python benchmarks/runtime_time.py

A default model of 64 columns, with as many records of training as there can be. Seconds
from the start of a process to the codes of one sample, the least of several processes;
milliseconds for one sample, and to save and load the file, medians. One thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import skfactorvae
from skfactorvae import runtime

START = """
import numpy as np
X = np.zeros((1, {n_features}))
{load}
model.transform(X)
"""
LOADS = {
    "runtime, numpy": "from skfactorvae import runtime\nmodel = runtime.load({path!r})",
    "estimator, torch": "import skfactorvae\nmodel = skfactorvae.load({path!r})",
}
METHODS = ("transform", "inverse_transform", "score_samples")


def make_model(n_features: int, n_components: int):
    """Return a fitted estimator whose history has 200 records."""
    X = np.random.default_rng(0).normal(size=(1000, n_features))
    model = skfactorvae.FactorVAETransformer(
        n_components, max_iter=200, weight_decay=0.0, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X)


def start_seconds(load: str, n_features: int, repeats: int) -> float:
    """Return the least time of processes that load a model and transform a sample."""
    code = START.format(load=load, n_features=n_features)
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        found.append(time.perf_counter() - start)
    return min(found)


def milliseconds(function, *arguments, repeats: int = 200) -> float:
    """Return the median time of calls."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments)
        found.append(time.perf_counter() - start)
    return 1e3 * statistics.median(found)


def weight_bytes(model) -> int:
    """Return the size of the weights that are saved."""
    left = set(model._training_weights)
    return sum(w.nbytes for name, w in model.weights_.items() if name not in left)


def print_times(model, path: Path, repeats: int) -> None:
    """Print a table of times, of numpy and of torch."""
    n_features = model.n_features_in_
    X = np.random.default_rng(1).normal(size=(1, n_features))
    codes = model.transform(X)
    heads = ["start to first codes, s", *(f"{method}, ms" for method in METHODS)]
    print("| | " + " | ".join(heads) + " |")
    print("|---|---|---|---|---|")
    models = dict(zip(LOADS, (runtime.load(path), skfactorvae.load(path)), strict=True))
    for name, load in LOADS.items():
        cells = [start_seconds(load.format(path=str(path)), n_features, repeats)]
        for method in METHODS:
            given = codes if method == "inverse_transform" else X
            cells.append(milliseconds(getattr(models[name], method), given))
        print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")


def print_file(model, path: Path, repeats: int) -> None:
    """Print the size of the file, and the times to save and load it."""
    size, weights = path.stat().st_size, weight_bytes(model)
    print(f"\nfile: {size} bytes, {size / weights:.4f} of its weights' {weights}")
    calls = {
        "save": (model.save, path),
        "load": (skfactorvae.load, path),
        "runtime.load": (runtime.load, path),
    }
    for name, call in calls.items():
        print(f"{name}: {milliseconds(*call, repeats=10 * repeats):.1f} ms")


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7, help="processes to start")
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--components", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = make_model(arguments.features, arguments.components)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        print_times(model, path, arguments.repeats)
        print_file(model, path, arguments.repeats)


if __name__ == "__main__":
    main()

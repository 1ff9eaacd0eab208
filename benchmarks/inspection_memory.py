"""Measure the memory that inspecting a large table adds to a process.

The table has 100,000 samples x 5,000 columns. It is float32 on disk, read through a
memory map. Each inspection runs in a process of its own and reports its peak memory
minus the memory before it, without the pages of the map, which belong to the file.

    python benchmarks/inspection_memory.py [--pipeline]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

BUDGET = 2 * 2**30
LOOKS = ("factor_table", "traversal", "reconstruction", "explore")


def write_table(path, n_rows, n_features):
    """Write curves of four factors, in blocks of samples."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, n_features, dtype=np.float32)
    table = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, n_features))
    for start in range(0, n_rows, 1000):
        part = table[start : start + 1000]
        position, width, height, slope = rng.uniform(
            [[0.3], [0.03], [0.5], [-0.5]], [[0.7], [0.1], [1.5], [0.5]], (4, len(part))
        )[..., None].astype(np.float32)
        part[:] = height * np.exp(-0.5 * ((grid - position) / width) ** 2)
        part += slope * (grid - 0.5)
    table.flush()


def own_bytes():
    """Return the anonymous memory of the process (not backed by a file), in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("This benchmark requires Linux: it reads /proc/self/status.")


class Peak:
    """The peak memory while a block runs, sampled every few milliseconds."""

    def __enter__(self):
        self.before = self.most = own_bytes()
        self.is_over = threading.Event()
        self.watch = threading.Thread(target=self._look)
        self.watch.start()
        return self

    def _look(self):
        while not self.is_over.wait(0.005):
            self.most = max(self.most, own_bytes())

    def __exit__(self, *_):
        self.is_over.set()
        self.watch.join()


def look(kind, path, with_scaler):
    """Fit to a thousand samples, inspect all, and print seconds and bytes."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skfactorvae import FactorVAETransformer
    from skfactorvae.inspection import (
        LatentTraversalDisplay,
        ReconstructionDisplay,
        explore,
        factor_table,
    )

    table = np.load(path, mmap_mode="r")
    vae = FactorVAETransformer(10, max_iter=50, n_jobs=1, device="cpu", random_state=0)
    model = make_pipeline(StandardScaler(), vae) if with_scaler else vae
    model.fit(np.array(table[:1000]))
    x = np.linspace(0, 1, table.shape[1])
    run = {
        "factor_table": lambda: factor_table(model, table, x=x),
        "traversal": lambda: LatentTraversalDisplay.from_estimator(model, table, x=x),
        "reconstruction": lambda: ReconstructionDisplay.from_estimator(model, table),
        "explore": lambda: explore(model, table, path.with_suffix(".html"), x=x),
    }[kind]
    start = time.perf_counter()
    with Peak() as peak:
        run()
    print(time.perf_counter() - start, peak.most - peak.before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=5_000)
    parser.add_argument("--pipeline", action="store_true", help="put a scaler before")
    parser.add_argument("--look", choices=LOOKS, help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        look(options.look, options.table, options.pipeline)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        write_table(path, options.rows, options.features)
        print(
            f"{options.rows:,} samples x {options.features:,} columns, float32: ",
            end="",
        )
        print(f"{path.stat().st_size / 2**20:,.0f} MiB")
        command = [sys.executable, __file__, "--table", str(path)]
        command += ["--pipeline"] * options.pipeline
        for kind in LOOKS:
            done = subprocess.run(
                [*command, "--look", kind], capture_output=True, text=True, check=True
            )
            seconds, size = map(float, done.stdout.split())
            verdict = "within" if size <= BUDGET else "ABOVE"
            print(
                f"{kind:15} {seconds:6.1f} s  {size / 2**20:7,.0f} MiB, {verdict} 2 GiB"
            )


if __name__ == "__main__":
    main()

"""Time and memory of fits and codes by the size of a table that is read in parts.

    python benchmarks/scale.py --shapes 1000000x100 --kinds array "memory map" CSR HDF5
    python benchmarks/scale.py --shapes 1000000x20 --kinds zarr dask Parquet --add
    python benchmarks/scale.py --shapes 20000000x20 --kinds "memory map" --add
    python benchmarks/scale.py --stored

A simulated table of float32 is written to a temporary folder, which needs as much disk,
and twice as much for HDF5, zarr and Parquet. They are stored without compression, in
chunks of 1,024 rows (256 of HDF5); dask reads the memory map in such chunks.
Each line is a process of its own, with one thread. Seconds are those of the processor,
"step" is milliseconds of one training step, "memory" the peak of the resident memory
above that after the imports, in MiB, and "read" the size of what was read, in copies of
the table. Prints a markdown table, and writes it to benchmarks/results/scale.csv.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import records_file

KINDS = ("array", "memory map", "HDF5", "zarr", "dask", "Parquet", "CSR")
SHAPES = ("10000x20", "100000x20", "1000000x20", "1000000x100", "20000x5000")
RESULTS = Path(__file__).parent / "results" / "scale.csv"
COLUMNS = ("kind", "rows", "columns", "before", "step", "fit", "transform", "memory")
COLUMNS += ("allowed", "read")

N_FACTORS = 5
WRITTEN_VALUES = 2**22
DENSITY = 0.05
CHUNK_ROWS = 1024


def write_table(folder, n_rows, n_features, kinds):
    """Write a nonlinear mixture of five factors with noise, block by block."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(N_FACTORS, n_features)).astype(np.float32)
    shape = n_rows, n_features
    table = np.lib.format.open_memmap(folder / "table.npy", "w+", np.float32, shape)
    size = max(1, WRITTEN_VALUES // n_features)
    for start in range(0, n_rows, size):
        part = table[start : start + size]
        factors = rng.standard_normal((len(part), N_FACTORS), dtype=np.float32)
        part[:] = np.tanh(factors) @ mixing
        part += 0.3 * rng.standard_normal(part.shape, dtype=np.float32)
    table.flush()
    for kind in WRITERS.keys() & set(kinds):
        WRITERS[kind](folder, table, size)


def write_hdf5(folder, table, size):
    import h5py

    chunks = min(256, len(table)), table.shape[1]
    with h5py.File(folder / "table.h5", "w") as file:
        stored = file.create_dataset("X", table.shape, np.float32, chunks=chunks)
        for start in range(0, len(table), size):
            stored[start : start + size] = table[start : start + size]


def write_zarr(folder, table, size):
    import zarr

    stored = zarr.create_array(
        str(folder / "table.zarr"),
        shape=table.shape,
        chunks=(CHUNK_ROWS, table.shape[1]),
        dtype="float32",
        compressors=None,
    )
    size = -(-size // CHUNK_ROWS) * CHUNK_ROWS
    for start in range(0, len(table), size):
        stored[start : start + size] = table[start : start + size]


def write_parquet(folder, table, size):
    import pyarrow
    from pyarrow import parquet

    names = [f"feature {j}" for j in range(table.shape[1])]
    schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
    name = folder / "table.parquet"
    options = {"compression": "none", "use_dictionary": False}
    with parquet.ParquetWriter(name, schema, **options) as writer:
        for start in range(0, len(table), size):
            columns = [np.array(column) for column in table[start : start + size].T]
            part = pyarrow.table(columns, schema=schema)
            writer.write_table(part, row_group_size=CHUNK_ROWS)


WRITERS = {"HDF5": write_hdf5, "zarr": write_zarr, "Parquet": write_parquet}


def open_table(kind, folder):
    """Return the table of a kind, the sparse one with most values zero."""
    if kind == "HDF5":
        import h5py

        return h5py.File(folder / "table.h5")["X"]
    if kind == "zarr":
        import zarr

        return zarr.open_array(str(folder / "table.zarr"), mode="r")
    if kind == "Parquet":
        from pyarrow import dataset

        return dataset.dataset(folder / "table.parquet", format="parquet")
    table = np.load(folder / "table.npy", mmap_mode="r")
    if kind == "dask":
        import dask.array

        return dask.array.from_array(table, chunks=(CHUNK_ROWS, table.shape[1]))
    if kind == "array":
        return np.array(table)
    if kind == "CSR":
        from scipy.sparse import random_array

        rng = np.random.default_rng(0)
        return random_array(
            table.shape, density=DENSITY, format="csr", dtype=np.float32, rng=rng
        )
    return table


def peak():
    """Return the peak of the resident memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(kind, folder, n_steps):
    """Fit and transform a table in this process, and return what it took."""
    from skfactorvae import FactorVAETransformer
    from skfactorvae.core import _training
    from skfactorvae.sources import RowSource

    before, n_read, starts = peak(), [], []
    checked, train = RowSource._checked, _training._Stack.train

    def counted(self, rows, *args):
        n_read.append(rows.size)
        return checked(self, rows, *args)

    def timed(self, *args):
        starts.append(time.process_time())
        found = train(self, *args)
        starts.append(time.process_time())
        return found

    model = FactorVAETransformer(
        N_FACTORS, max_iter=n_steps, weight_decay=0.0, random_state=0, verbose=0
    )
    with (
        warnings.catch_warnings(),
        patch.object(RowSource, "_checked", counted),
        patch.object(_training._Stack, "train", timed),
    ):
        warnings.simplefilter("ignore")
        X = open_table(kind, folder)
        begin = time.process_time()
        model.fit(X)
        fitted = time.process_time()
        fit_read = sum(n_read)
        model.transform(X)
        end = time.process_time()
    n_rows, n_features = np.load(folder / "table.npy", mmap_mode="r").shape
    n_weights = sum(weight.nbytes for weight in model.weights_.values())
    allowed = 4 * n_weights / 2**20 + 512 + 24 * n_rows / 2**20
    return {
        "kind": kind,
        "rows": n_rows,
        "columns": n_features,
        "before": round(starts[0] - begin, 1),
        "step": round((starts[1] - starts[0]) / n_steps * 1e3, 1),
        "fit": round(fitted - begin, 1),
        "transform": round(end - fitted, 1),
        "memory": round(peak() - before),
        "allowed": round(allowed),
        "read": round(fit_read / (n_rows * n_features), 1),
    }


def run(kind, folder, n_steps):
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--child", kind, str(folder), str(n_steps)]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def joined(records, new):
    """Return records with a new one, in place of that of the same table."""

    def key(record):
        return record["kind"], str(record["rows"]), str(record["columns"])

    return [record for record in records if key(record) != key(new)] + [new]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="rows x columns")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--steps", type=int, default=200, help="training steps")
    parser.add_argument("--folder", help="where the temporary tables are written")
    parser.add_argument("--add", action="store_true", help="keep stored results")
    parser.add_argument("--stored", action="store_true", help="print stored results")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        kind, folder, n_steps = args.child
        print(json.dumps(measure(kind, Path(folder), int(n_steps))))
        return
    if args.stored:
        records_file.show(COLUMNS, records_file.load(RESULTS))
        return
    records = records_file.load(RESULTS) if args.add else []
    for shape in args.shapes:
        n_rows, n_features = map(int, shape.split("x"))
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            write_table(Path(folder), n_rows, n_features, args.kinds)
            for kind in args.kinds:
                records = joined(records, run(kind, Path(folder), args.steps))
                records_file.store(RESULTS, COLUMNS, records)
    records_file.show(COLUMNS, records)


if __name__ == "__main__":
    main()

"""Change model files at random, and check that each is refused or loaded right.

    python benchmarks/fuzz_files.py --cases 20000   the first 20,000, but those stored
    python benchmarks/fuzz_files.py --stored        print what is stored
    python benchmarks/fuzz_files.py --case 17       repeat one case, and print it
    python benchmarks/fuzz_files.py --checkpoints 4000   cases of checkpoints

A case is determined by its number: one of the small files in ``tests/data``, and a
change: flipped bits, bytes that are lost, added, repeated or exchanged, characters of
the header, shapes, offsets and types of arrays, repeated keys, values of the parts that
are JSON, and numbers in the arrays. The last two have a digest that is right for the
change, as a forger would write. Each file is loaded as an estimator, as a mapped one,
and by ``skfactorvae.runtime``. Cases from 1,000,000 on change the checkpoint of a fit
that was interrupted, which is then continued.

A case has a fault if

* an error is not a ModelFileError or a CheckpointError; with a forged digest, that of
  a continued fit may be a ValueError about its numbers;
* a file without a forged digest is loaded and gives other output than the original;
* a file is loaded, and ``transform``, ``inverse_transform``, ``score_samples`` or
  ``repr`` raise another error than a ValueError, which is about its numbers;
* it takes more than five seconds, or needs more memory than the limit.

Cases run in blocks of 500, each in a process of its own, which can be interrupted and
continued. ``results/fuzz_files.csv`` has a line for each block and kind of change.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import multiprocessing
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import skfactorvae
from skfactorvae import CheckpointError, _checkpoints, checkpoints, runtime
from skfactorvae.files import ModelFileError, read_container, write_container
from skfactorvae.files._document import digest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
RESULTS = Path(__file__).parent / "results" / "fuzz_files.csv"
VERSIONS = {"skfactorvae": skfactorvae.__version__, "numpy": np.__version__}
COLUMNS = [
    "block",
    "change",
    "cases",
    "refused",
    "loaded",
    "faults",
    "slowest",
    "text",
    *VERSIONS,
]
BLOCK = 500
LIMIT = 5.0
"""Seconds that a case may take; most take some hundredths."""

MEMORY = 2**30
"""Bytes that a process may need beyond those it has when the first case begins."""

ALLOWED = (ModelFileError, CheckpointError)
JSON_PARTS = ("parameters", "columns", "state", "networks", "versions")
CHECKPOINT_PARTS = ("identity", "values", "is_part")

FIRST_CHECKPOINT = 1_000_000
"""Number of the first case that changes a checkpoint."""


def own_modules(n_features, n_components):
    """Return the modules of the file ``own``."""
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


@cache
def files() -> dict[str, bytes]:
    """Return the files that are changed, by name."""
    found = {p.stem: p.read_bytes() for p in sorted(DATA.glob("*.safetensors"))}
    return {
        name: raw for name, raw in found.items() if len(raw) < 30_000 or name == "conv"
    }


class StoppedError(BaseException):
    """Ends a fit after its first checkpoint."""


def continued(folder: Path):
    """Return an estimator whose fit goes on from the checkpoints in a folder."""
    X = np.random.RandomState(1).uniform(size=(20, 4))
    sizes = {"hidden_layer_sizes": 4, "discriminator_hidden_layer_sizes": 4}
    vae = skfactorvae.FactorVAETransformer(
        2, max_iter=34, batch_size=8, weight_decay=0.0, random_state=0, **sizes
    )
    with checkpoints(folder, every=0):
        return vae.fit(X)


@cache
def checkpoint() -> tuple[str, bytes]:
    """Return name and content of the checkpoint of an interrupted fit."""

    class Stopping(_checkpoints.StackFile):
        def write(self, state):
            super().write(state)
            raise StoppedError

    kept, _checkpoints.StackFile = _checkpoints.StackFile, Stopping
    with tempfile.TemporaryDirectory() as folder, quiet():
        try:
            continued(Path(folder) / "run")
        except StoppedError:
            pass
        finally:
            _checkpoints.StackFile = kept
        (path,) = Path(folder).glob("run/*.safetensors")
        return path.name, path.read_bytes()


def resume(path: Path):
    """Continue the fit of a changed checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        (run / checkpoint()[0]).write_bytes(path.read_bytes())
        return continued(run)


@cache
def samples() -> np.ndarray:
    """Return the samples that are transformed."""
    return np.random.RandomState(0).uniform(size=(3, 4))


# --------------------------------------------------------------------- bytes of a file
def flip_bits(raw: bytes, rng: np.random.Generator) -> bytes:
    """Flip up to eight bits."""
    changed = bytearray(raw)
    for _ in range(rng.integers(1, 9)):
        changed[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def move_bytes(raw: bytes, rng: np.random.Generator) -> bytes:
    """Remove, repeat, insert or exchange some bytes, or cut the file off."""
    a, b = sorted(int(v) for v in rng.integers(0, len(raw) + 1, size=2))
    kind = rng.integers(5)
    if kind == 0:
        return raw[:a]
    if kind == 1:
        return raw[:a] + raw[b:]
    if kind == 2:
        return raw[:b] + raw[a:]
    if kind == 3:
        return raw[:a] + rng.bytes(int(rng.integers(1, 64))) + raw[a:]
    return raw[:a] + rng.bytes(b - a) + raw[b:]


def join_files(raw: bytes, rng: np.random.Generator) -> bytes:
    """Put the beginning of one file before the end of another."""
    names = list(files())
    other = files()[names[rng.integers(len(names))]]
    a, b = (int(rng.integers(len(r) + 1)) for r in (raw, other))
    return raw[:a] + other[b:]


# ------------------------------------------------------------------------- the header
def split_header(raw: bytes) -> tuple[str, bytes]:
    """Return the header as text, and the bytes of the arrays."""
    length = int.from_bytes(raw[:8], "little")
    return raw[8 : 8 + length].decode(), raw[8 + length :]


def with_header(text: str, data: bytes) -> bytes:
    """Return a file with this header, whose length is right."""
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "little") + raw + data


def edit_header(raw: bytes, rng: np.random.Generator) -> bytes:
    """Replace, insert or remove characters of the header."""
    text, data = split_header(raw)
    signs = '{}[]",:0123456789eE-+.ntf\\u\x00 '
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(text)))
        new = signs[rng.integers(len(signs))] * int(rng.integers(0, 3))
        text = text[:place] + new + text[place + int(rng.integers(0, 2)) :]
    if rng.random() < 0.1:
        return int(rng.integers(2**62)).to_bytes(8, "little") + text.encode() + data
    return with_header(text, data)


def parts_of(metadata: dict[str, str]) -> tuple[str, ...]:
    """Return the names of the parts of a file that are JSON."""
    return CHECKPOINT_PARTS if "identity" in metadata else JSON_PARTS


def edit_arrays(raw: bytes, rng: np.random.Generator) -> bytes:
    """Change the shape, the type or the place of an array in the header."""
    text, data = split_header(raw)
    header = json.loads(text)
    names = [name for name in header if name != "__metadata__"]
    name = names[rng.integers(len(names))]
    key = ("dtype", "shape", "data_offsets")[rng.integers(3)]
    value = header[name][key]
    if key == "dtype":
        header[name][key] = choose(rng, ["F64", "I8", "BOOL", "F8", "", None, ["F32"]])
    elif rng.random() < 0.5 or not value:
        header[name][key] = hostile(rng)
    else:
        value[rng.integers(len(value))] = choose(rng, NUMBERS)
    if rng.random() < 0.1:
        del header[name]
    return with_header(json.dumps(header), data)


def repeat_key(raw: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a key of the header, or of a part that is JSON."""
    text, data = split_header(raw)
    header = json.loads(text)
    if rng.random() < 0.5:
        names = list(header)
        name = names[rng.integers(len(names))]
        first = json.dumps({name: header[name]})[:-1]
        return with_header(f"{first},{text.lstrip()[1:]}", data)
    parts = parts_of(header["__metadata__"])
    part = parts[rng.integers(len(parts))]
    content = header["__metadata__"][part]
    keys = list(json.loads(content) or {"a": 1})
    header["__metadata__"][part] = (
        f'{{"{keys[rng.integers(len(keys))]}":1,{content[1:]}'
    )
    return with_header(json.dumps(header), data)


# ---------------------------------------------------------------- with a forged digest
NUMBERS: list[Any] = [
    0,
    -1,
    1,
    7,
    2**31,
    2**62,
    2**63,
    10**30,
    -(2**63),
    1.5,
    1e308,
    -0.0,
    True,
    None,
    "3",
]


def choose(rng: np.random.Generator, values: list) -> Any:
    """Return one of the values."""
    return copy.deepcopy(values[rng.integers(len(values))])


def hostile(rng: np.random.Generator) -> Any:
    """Return a value that a file should not have in most places."""
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    tags = ["tuple", "array", "entries", "scalar", "random_state", "float", "estimator"]
    others = [
        [],
        {},
        "",
        "x" * 1000,
        "\ud800",
        [2**40, 2**40],
        [0, 2**61],
        [[1]],
        deep,
        {"$": "function", "of": "os.system"},
        {"$": "pickle", "of": "gASVBQ=="},
        {"$": choose(rng, tags), "of": choose(rng, [[], {}, 3, "nan", [1, 2], None])},
        {"$": "entries", "of": ["a"], "dtype": "U2000000000", "shape": [1]},
        {"$": "scalar", "of": "1e400", "dtype": "f8"},
    ]
    return choose(rng, [*others, *NUMBERS])


def places_of(node: Any) -> list[tuple[Any, Any]]:
    """Return every container in JSON with each of its keys or indices."""
    keys = node if isinstance(node, dict) else range(len(node))
    found = [(node, key) for key in keys]
    for key in keys:
        if isinstance(node[key], dict | list):
            found += places_of(node[key])
    return found


def forged(change: Callable) -> Callable[[bytes, np.random.Generator], bytes]:
    """Return a change of arrays and metadata, after which the digest is right."""

    def changed(raw: bytes, rng: np.random.Generator) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            path.write_bytes(raw)
            found = read_container(path)
            metadata = {k: v for k, v in found.metadata.items() if k != "digest"}
            arrays = dict(found.arrays)
            change(metadata, arrays, rng)
            metadata["digest"] = digest(metadata, arrays)
            write_container(path, arrays, metadata)
            return path.read_bytes()

    changed.__name__ = change.__name__
    return changed


@forged
def edit_values(metadata, arrays, rng):
    """Change values of the parts that are JSON."""
    parts = parts_of(metadata)
    part = parts[rng.integers(len(parts))]
    content = json.loads(metadata[part])
    if not isinstance(content, dict | list) or rng.random() < 0.03:
        content = hostile(rng)
    else:
        for _ in range(rng.integers(1, 3)):
            places = places_of(content)
            if not places:
                break
            node, key = places[rng.integers(len(places))]
            if isinstance(node, dict) and rng.random() < 0.2:
                del node[key]
            else:
                node[key] = choose(rng, NUMBERS) if rng.random() < 0.5 else hostile(rng)
    metadata[part] = json.dumps(content)
    if rng.random() < 0.05:
        metadata["class"] = choose(
            rng, ["os.system", "", "SeedEnsemble", "AAETransformer"]
        )


@forged
def edit_numbers(metadata, arrays, rng):
    """Change the numbers, the shape or the type of an array, or remove it."""
    names = sorted(arrays)
    name = names[rng.integers(len(names))]
    array = arrays[name]
    kind = rng.integers(6)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        arrays[name] = array.astype(
            choose(rng, ["f4", "f8", "i2", "i8", "?", "u1", "f2"])
        )
    elif kind == 2:
        arrays[name] = array.reshape(-1)[: int(rng.integers(array.size + 1))]
    elif kind == 3:
        arrays[name] = np.resize(array, tuple(rng.integers(0, 9, rng.integers(0, 5))))
    else:
        flat = array.reshape(-1).copy()
        values = [np.nan, np.inf, -np.inf, 0, -1, 1e38, 127]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chosen = rng.integers(len(flat), size=3) if len(flat) else []
            flat[chosen] = np.array(choose(rng, values)).astype(flat.dtype)
        arrays[name] = flat.reshape(array.shape)


CHANGES = {
    f.__name__: f
    for f in (
        flip_bits,
        move_bytes,
        join_files,
        edit_header,
        edit_arrays,
        repeat_key,
        edit_values,
        edit_numbers,
    )
}
FORGED = ("edit_values", "edit_numbers")
CHECKPOINT = "checkpoint"


# ------------------------------------------------------------------------------- cases
def make_case(number: int) -> tuple[str, str, bytes]:
    """Return the name of a case's file and of its change, and the changed file."""
    rng = np.random.default_rng(number)
    names, changes = list(files()), list(CHANGES)
    change = changes[number % len(changes)]
    if number >= FIRST_CHECKPOINT:
        return CHECKPOINT, change, CHANGES[change](checkpoint()[1], rng)
    name = names[rng.integers(len(names))]
    return name, change, CHANGES[change](files()[name], rng)


def outputs(model: Any) -> list[np.ndarray]:
    """Return what a model computes."""
    X = samples()
    names = getattr(model, "feature_names_in_", None)
    codes = model.transform(X)
    found = [codes, model.inverse_transform(np.asarray(codes))]
    if hasattr(model, "score_samples"):
        found.append(model.score_samples(X))
    return [*found, np.array([repr(type(names))])]


def loaders(name: str = "") -> dict[str, Callable]:
    """Return the ways to load a file of this name, by name."""
    if name == CHECKPOINT:
        return {"resume": resume}
    return {
        "load": lambda path: skfactorvae.load(path, network=own_modules),
        "mapped": lambda path: skfactorvae.load(path, mmap=True, network=own_modules),
        "runtime": runtime.load,
    }


@cache
def expected(name: str, way: str) -> list[np.ndarray] | None:
    """Return what the unchanged file gives; None if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.safetensors"
        path.write_bytes(checkpoint()[1] if name == CHECKPOINT else files()[name])
        try:
            with quiet():
                return outputs(loaders(name)[way](path))
        except ModelFileError:
            return None


@contextmanager
def quiet():
    """Ignore warnings, which are about other names of features."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def run_case(number: int, folder: str) -> tuple[str, str, list[str]]:
    """Return the change, the outcome, and the faults of a case."""
    name, change, raw = make_case(number)
    path = Path(folder) / f"{number}.safetensors"
    path.write_bytes(raw)
    outcome, faults = "refused", []
    for way, load in loaders(name).items():
        reference = expected(name, way)
        start = time.perf_counter()
        try:
            with quiet():
                model = load(path)
        except ALLOWED:
            continue
        except Exception as error:
            if name == CHECKPOINT and change in FORGED and type(error) is ValueError:
                continue
            faults.append(f"{way}: {type(error).__name__}: {str(error)[:120]}")
            continue
        outcome = "loaded"
        fault = fault_of(model, None if change in FORGED else reference)
        if fault:
            faults.append(f"{way}: {fault}")
        if time.perf_counter() - start > LIMIT:
            faults.append(f"{way}: more than {LIMIT:g} s")
    path.unlink()
    kind = " of a checkpoint" if name == CHECKPOINT else ""
    return f"{change}{kind}", outcome, faults


def fault_of(model: Any, reference: list[np.ndarray] | None) -> str | None:
    """Return what is wrong with a loaded model, or None."""
    try:
        with quiet():
            repr(model)
            found = outputs(model)
    except ValueError:  # its numbers overflow, for instance
        return None if reference is None else "raises, where the original does not"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    if reference is None:
        return None
    same = all(np.array_equal(a, b) for a, b in zip(found, reference, strict=True))
    return None if same else "other output than the original"


def limit_memory() -> None:
    """Make the allocation of much more memory than now an error, where possible."""
    try:
        import resource
    except ImportError:
        return
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run_block(block: int) -> list[dict[str, Any]]:
    """Return a record of each kind of change of a block of cases."""
    torch.set_num_threads(1)
    records: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in files():
            for way in loaders():
                expected(name, way)
        limit_memory()
        signal.signal(signal.SIGALRM, _too_long)
        for number in range(block * BLOCK, (block + 1) * BLOCK):
            start = time.perf_counter()
            signal.alarm(int(3 * LIMIT))
            change, outcome, faults = run_case(number, folder)
            signal.alarm(0)
            empty = dict.fromkeys(
                ("cases", "refused", "loaded", "faults", "slowest"), 0
            )
            record = records.setdefault(
                change, {"block": block, "change": change, **empty, "text": ""}
            )
            record["cases"] += 1
            record[outcome] += 1
            record["faults"] += bool(faults)
            record["slowest"] = max(record["slowest"], time.perf_counter() - start)
            if faults:
                record["text"] += f"{number}: {'; '.join(faults)} | "
    return [r | VERSIONS for r in records.values()]


def _too_long(*_):
    raise TimeoutError("the case takes too long")


# ------------------------------------------------------------------------------ results
def read_results() -> list[dict[str, str]]:
    """Return the stored records."""
    if not RESULTS.exists():
        return []
    with open(RESULTS, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_results(records: list[dict]) -> None:
    """Store records, in the order of blocks."""
    ordered = sorted(records, key=lambda r: (int(r["block"]), r["change"]))
    with open(RESULTS, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)


def measure(first: int, n_cases: int) -> None:
    """Run all blocks that are not stored, each in a process of its own."""
    records: list[dict] = list(read_results())
    done = {int(r["block"]) for r in records}
    context = multiprocessing.get_context("spawn")
    for block in range(first // BLOCK, (first + n_cases - 1) // BLOCK + 1):
        if block in done:
            continue
        with context.Pool(1) as pool:
            for record in pool.apply(run_block, (block,)):
                record["slowest"] = f"{record['slowest']:.3f}"
                records.append(record)
        write_results(records)
        n_faults = sum(int(r["faults"]) for r in records if int(r["block"]) == block)
        print(f"block {block}: {n_faults} faults", flush=True)


def print_results() -> None:
    """Print a table of the stored records."""
    records = read_results()
    print("| change | cases | refused | loaded | faults | slowest, s |")
    print("|---|---|---|---|---|---|")
    found = list(dict.fromkeys(r["change"] for r in records))
    for change in [*found, "all"]:
        some = [r for r in records if change in (r["change"], "all")]
        sums = [sum(int(r[k]) for r in some) for k in COLUMNS[2:6]]
        slowest = max((float(r["slowest"]) for r in some), default=0)
        row = " | ".join([change.replace("_", " "), *map(str, sums)])
        print(f"| {row} | {slowest:.2f} |")
    for record in records:
        if record["text"]:
            print(record["text"])


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--checkpoints", type=int, help="cases of checkpoints instead")
    parser.add_argument("--case", type=int, help="repeat one case, and print it")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    if arguments.case is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(make_case(arguments.case)[0], *run_case(arguments.case, folder))
        return
    if not arguments.stored:
        if arguments.checkpoints is None:
            measure(0, arguments.cases)
        else:
            measure(FIRST_CHECKPOINT, arguments.checkpoints)
    print_results()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

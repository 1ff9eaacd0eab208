"""Measure the imputation of missing values, and recovery from incomplete tables.

    python benchmarks/missing.py                   fit what is missing, and store it
    python benchmarks/missing.py --stored          print what is stored
    python benchmarks/missing.py --anchor          MIWAE's setting, five masks
    python benchmarks/missing.py --recovery        factors of simulated tables
    python benchmarks/missing.py --step            time of a training step
    python benchmarks/missing.py --tables wine --methods "FactorVAE" "mean"

Real tables (see ``real_tables.py``): values are hidden at random (``random``), or by
their size (``by size``: the probability rises with the standardised value z as the
logistic function of 2 z). Features are standardised by the complete table. Columns of
the results:

- ``rmse``: root mean square error of the hidden values, in standard deviations.
- ``coverage``: share of the hidden values inside the interval between the 5 % and 95 %
  quantiles of 200 draws, where a method has draws.
- ``seconds``: time to fit and impute.

Simulated tables of ``recovery.py`` (``--recovery``): matched correlation of a fit to
the complete table, of one to a table of which 30 % of the values are missing at random,
and of fits to that table after imputers. ``rmse`` is the correlation in these rows.

``--anchor`` is the setting of Mattei & Frellsen (2019, "MIWAE") in their notebook:
scikit-learn's breast cancer table, standardised, half of the values missing at random,
whose mean squared error is 0.2867 there.

Results are added to ``benchmarks/results/missing.csv``, and what is stored is not
repeated.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import real_tables
import recovery
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.utils.parallel import Parallel, delayed

from skfactorvae import BetaVAETransformer, FactorVAETransformer, core, metrics
from skfactorvae.core._training import _Stack
from skfactorvae.model_selection import batched_fits
from skfactorvae.preparation._incomplete import fit_factors

RESULTS = Path(__file__).parent / "results" / "missing.csv"
FIELDS = "table", "missing", "rate", "mask", "method", "rmse", "coverage", "seconds"
RATES = 0.1, 0.3, 0.5
N_DRAWS = 200
MAX_ROWS = 1500
"""Samples of a table that are used, at most: imputers take long."""

TUNING = "wine", "breast cancer", "diabetes", "autos", "glass", "hitters"
SET_ASIDE = (
    "crabs",
    "processors",
    "cereals",
    "economy",
    "voters",
    "penguins",
    "cars",
    "tumour patients",
)
"""Tables for a final evaluation, named before any method imputed them."""


# -------------------------------------------------------------------------- methods
def impute_by(model) -> Callable:
    """Return a function (X, seed) -> (expected values, None) of an imputer."""

    def impute(X, seed):
        return model(seed).fit_transform(X), None

    return impute


def impute_by_vae(model) -> Callable:
    """Return a function (X, seed) -> (expected values, draws) of a transformer."""

    def impute(X, seed):
        vae = model(X.shape[1], seed).fit(X)
        draws = vae.impute(X, n_draws=N_DRAWS, random_state=seed)
        return vae.impute(X), draws

    return impute


def impute_by_factors(X, seed):
    """Return expected values and draws of the incomplete factor analysis."""
    model = fit_factors(X, np.ones(len(X)), seed)
    rng = np.random.RandomState(seed)
    return model.complete(X), np.stack([model.complete(X, rng) for _ in range(N_DRAWS)])


def n_components(n_features: int) -> int:
    """Return the number of components: the default, or fewer for narrow tables."""
    return max(1, min(10, n_features // 2))


def forest(seed):
    """Return IterativeImputer with randomised trees, after MissForest."""
    trees = ExtraTreesRegressor(100, max_features="sqrt", random_state=seed)
    return IterativeImputer(trees, max_iter=5, random_state=seed)


def boosted(seed):
    """Return IterativeImputer with boosted trees."""
    trees = HistGradientBoostingRegressor(max_iter=50, random_state=seed)
    return IterativeImputer(trees, max_iter=5, random_state=seed)


METHODS = {
    "FactorVAE": impute_by_vae(
        lambda p, seed: FactorVAETransformer(n_components(p), random_state=seed)
    ),
    "VAE": impute_by_vae(
        lambda p, seed: BetaVAETransformer(n_components(p), beta=1.0, random_state=seed)
    ),
    "factor analysis": impute_by_factors,
    "mean": impute_by(lambda seed: SimpleImputer()),
    "5 neighbours": impute_by(lambda seed: KNNImputer()),
    "iterative, linear": impute_by(
        lambda seed: IterativeImputer(max_iter=20, random_state=seed)
    ),
    "iterative, boosted trees": impute_by(boosted),
    "iterative, randomised trees": impute_by(forest),
}


# ------------------------------------------------------------------------ the tables
def load(name: str) -> np.ndarray:
    """Return the standardised table, (n, p)."""
    X = real_tables.load(name).X.to_numpy(dtype=np.float64)
    rng = np.random.RandomState(0)
    X = X[np.sort(rng.permutation(len(X))[:MAX_ROWS])]
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def hide(X: np.ndarray, kind: str, rate: float, mask: int) -> np.ndarray:
    """Return which values are hidden, (n, p); one of each row and column is not."""
    rng = np.random.RandomState(1234 + mask)
    probability = np.full(X.shape, rate)
    if kind == "by size":
        probability = 1 / (1 + np.exp(-2 * X))
        probability = np.minimum(probability * rate / probability.mean(axis=0), 0.95)
    hidden = rng.uniform(size=X.shape) < probability
    kept = rng.randint(X.shape[1], size=len(X))
    hidden[np.arange(len(X)), kept] = False
    hidden[rng.randint(len(X), size=X.shape[1]), np.arange(X.shape[1])] = False
    return hidden


def measure(X, kind, rate, mask, method) -> dict[str, float]:
    """Return the error and the coverage of one method."""
    hidden = hide(X, kind, rate, mask)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, draws = METHODS[method](np.where(hidden, np.nan, X), mask)
    seconds = time.perf_counter() - start
    error = (expected - X)[hidden]
    coverage = np.nan
    if draws is not None:
        low, high = np.quantile(draws[:, hidden], [0.05, 0.95], axis=0)
        coverage = float(np.mean((low <= X[hidden]) & (X[hidden] <= high)))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "coverage": coverage,
        "seconds": seconds,
    }


# ----------------------------------------------------------------------- the anchor
def anchor(masks: int, methods) -> None:
    """Print the mean squared error of each method in MIWAE's setting."""
    X = load_breast_cancer().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    rows = []
    for mask in range(masks):
        hidden = np.random.RandomState(1234 + mask).uniform(size=X.shape) < 0.5
        for method in methods:
            impute = METHODS[method]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected, draws = impute(np.where(hidden, np.nan, X), mask)
            row = {"method": method, "mean": np.mean((expected - X)[hidden] ** 2)}
            if draws is not None:
                error = (draws.mean(axis=0) - X)[hidden]
                row[f"mean of {N_DRAWS} draws"] = np.mean(error**2)
            rows.append(row)
            print(mask, row, flush=True)
    print(pd.DataFrame(rows).groupby("method").agg(["mean", "std"]).round(4))


# --------------------------------------------------------------------- the recovery
FILLS = {
    "complete": None,
    "missing": None,
    "after the mean": lambda seed: SimpleImputer(),
    "after 5 neighbours": lambda seed: KNNImputer(),
    "after iterative, linear": lambda seed: IterativeImputer(
        max_iter=5, n_nearest_features=20, random_state=seed
    ),
}
"""What a table is before the model; None leaves it to the model."""


def recover(name: str, seeds: int, fills=tuple(FILLS)) -> None:
    """Measure what is not stored of one simulated table."""
    split = recovery.Split.of(recovery.TABLES[name]())
    X, train, scored = split.X, split.train, split.scored
    hidden = np.random.RandomState(1234).uniform(size=X.shape) < 0.3
    known = stored()
    done = set(known[["table", "method", "mask"]].itertuples(index=False, name=None))
    missing = [
        case
        for case in itertools.product(fills, range(seeds))
        if (name, *case) not in done
    ]
    if not missing:
        return
    start = time.perf_counter()
    with warnings.catch_warnings(), batched_fits():
        warnings.simplefilter("ignore")
        tables = [filled(X, hidden, train, *case) for case in missing]
        models = Parallel()(
            delayed(FactorVAETransformer(recovery.N_COMPONENTS, random_state=seed).fit)(
                table[train]
            )
            for (_, seed), table in zip(missing, tables, strict=True)
        )
        codes = [m.transform(t[scored]) for m, t in zip(models, tables, strict=True)]
    seconds = (time.perf_counter() - start) / len(missing)
    for (fill, seed), found in zip(missing, codes, strict=True):
        score = metrics.mean_correlation_score(
            split.factors[scored], found, over="factors"
        )
        store((name, "simulated", 0.3, seed, fill, score, np.nan, seconds))


def filled(X, hidden, train, fill: str, seed: int) -> np.ndarray:
    """Return the table (n, p) that the model gets."""
    if fill == "complete":
        return X
    table = np.where(hidden, np.nan, X)
    if make := FILLS[fill]:
        return make(seed).fit(table[train]).transform(table)
    return table


# ------------------------------------------------------------------ the time of a step
def step_times(rounds: int = 60, steps: int = 5) -> None:
    """Print processor time of a step, of complete and incomplete tables in turns.

    The lower quartile over short rounds is stated, which other programs on the machine
    change least.
    """
    rng = np.random.RandomState(0)
    schedule = core.Schedule(
        max_iter=5000, batch_size=128, learning_rate=3e-3, warmup=0.1
    )
    for p in (20, 64, 200):
        X = rng.normal(size=(2000, 10)) @ rng.normal(size=(10, p))
        X = (X / X.std(axis=0) + 0.3 * rng.normal(size=X.shape)).astype(np.float32)
        gaps = np.where(rng.uniform(size=X.shape) < 0.3, np.nan, X).astype(np.float32)
        stacks = {"complete": _Stack([step_job(X)], schedule, torch.device("cpu"))}
        for r in (2, 8, 16):
            job = step_job(gaps, r)
            stacks[f"{r} factors"] = _Stack([job], schedule, torch.device("cpu"))
        found: dict[str, list[float]] = {name: [] for name in stacks}
        for number, (name, stack) in itertools.product(range(rounds), stacks.items()):
            start = time.process_time()
            for i in range(steps):
                stack.step(number * steps + i)
            found[name].append(1e3 * (time.process_time() - start) / steps)
        quartile = {name: np.quantile(ms, 0.25) for name, ms in found.items()}
        for name, ms in quartile.items():
            ratio = ms / quartile["complete"]
            print(f"{p} columns, {name}: {ms:.2f} ms, {ratio:.2f}")


def step_job(rows, n_factors=None, *, mask_in_mean=True) -> core.Job:
    """Return a job of the default networks."""
    p, is_filled = rows.shape[1], n_factors is not None
    network = core.MLP(
        p,
        10,
        (128, 128),
        "silu",
        True,
        scale_input_lr=True,
        has_mask=is_filled,
        mask_in_mean=mask_in_mean,
    )
    if is_filled:
        network = core.FactorFilling(network, n_factors)
    return core.Job(
        network=network,
        likelihood=core.Gaussian("feature"),
        objective=FactorVAETransformer()._objective(),
        rows=rows,
        row_weights=np.ones(len(rows)),
        seed=0,
        input_noise=0.5,
        hidden_fraction=0.1 if is_filled else 0.0,
    )


# ------------------------------------------------------------------------- the runs
def stored() -> pd.DataFrame:
    if not RESULTS.exists():
        return pd.DataFrame(columns=FIELDS)
    return pd.read_csv(RESULTS)


def store(values) -> None:
    """Print a row and add it to the results."""
    row = dict(zip(FIELDS, values, strict=True))
    print(*(f"{v:.3f}" if isinstance(v, float) else v for v in row.values()))
    frame = pd.DataFrame([row]).round(5)
    frame.to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False)


def summarise() -> None:
    """Print what is stored: errors relative to the best imputer, and recovery."""
    known = stored()
    real = known[known["missing"] != "simulated"]
    keys = ["table", "missing", "rate"]
    for role, names in (("tuning", TUNING), ("set aside", SET_ASIDE)):
        part = real[real["table"].isin(names)]
        if part.empty:
            continue
        errors = part.pivot_table(index=keys, columns="method", values="rmse")
        ours = [m for m in ("FactorVAE", "VAE") if m in errors]
        others = errors.drop(columns=ours)
        best = others.min(axis=1)
        print(f"\n{role}: error relative to the best of the other methods")
        relative = errors.div(best, axis=0)
        print(relative.groupby(level=["missing", "rate"]).median().round(3).T)
        worse = relative[ours].gt(1.0).where(errors[ours].ge(errors[["mean"]].values))
        print("worse than the mean:", int(worse.notna().sum().sum()))
        coverage = part.pivot_table(
            index=["missing", "rate"], columns="method", values="coverage"
        )
        print(f"\n{role}: coverage of intervals at nominal 90 %")
        print(coverage.round(3).T)
    simulated = known[known["missing"] == "simulated"]
    if not simulated.empty:
        table = simulated.pivot_table(index="table", columns="method", values="rmse")
        print("\nmatched correlation, 30 % missing at random")
        print(table[[f for f in FILLS if f in table]].round(3).to_string())
        print((table["missing"] - table["complete"]).describe().round(3))


def run(tables, kinds, rates, masks, methods, *, keep=True) -> None:
    """Measure what is not stored."""
    known = stored()
    keys = ["table", "missing", "rate", "mask", "method"]
    done = set(known[keys].itertuples(index=False, name=None)) if keep else set()
    for name in tables:
        X = load(name)
        for case in itertools.product(kinds, rates, range(masks), methods):
            if (name, *case) in done:
                continue
            found = measure(X, *case)
            if keep:
                store((name, *case, *found.values()))
            else:
                print(name, *case, *(f"{v:.3f}" for v in found.values()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=[*TUNING, *SET_ASIDE])
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--kinds", nargs="*", default=["random", "by size"])
    parser.add_argument("--rates", nargs="*", type=float, default=RATES)
    parser.add_argument("--masks", type=int, default=1, help="masks of each kind")
    parser.add_argument("--try", dest="trial", action="store_true", help="do not store")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--anchor", action="store_true")
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--recovery", nargs="*", metavar="TABLE")
    parser.add_argument("--seeds", type=int, default=1, help="of --recovery")
    parser.add_argument(
        "--fills", nargs="*", default=list(FILLS), help="columns of --recovery"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.stored:
        summarise()
    elif arguments.anchor:
        anchor(5, arguments.methods)
    elif arguments.step:
        step_times()
    elif arguments.recovery is not None:
        for name in arguments.recovery or recovery.TABLES:
            recover(name, arguments.seeds, arguments.fills)
    else:
        run(
            arguments.tables,
            arguments.kinds,
            arguments.rates,
            arguments.masks,
            arguments.methods,
            keep=not arguments.trial,
        )


if __name__ == "__main__":
    main()

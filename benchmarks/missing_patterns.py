"""Measure whether components follow the pattern of missing values.

    python benchmarks/missing_patterns.py             fit what is missing, and store it
    python benchmarks/missing_patterns.py --stored    print what is stored

Simulated tables of ``recovery.py``, each with three kinds of patterns:

- ``random``: 30 % of the values are missing.
- ``by panel``: in half of the samples, chosen independently of the factors, every
  second column is missing; beside it 10 % of all values.
- ``by size``: 30 % of the values, with a probability that rises with the value.

A model is fitted for both values of ``mask_in_code``, and measured on test samples:

- ``recovery``: matched correlation of factors and codes.
- ``follows``: the largest correlation of an active component with an indicator of the
  missing values of a column, where the patterns were exchanged between samples, so that
  they tell nothing about the values. Mean over active components.
- ``reported``: active components whose correlation with such an indicator is above 0.5,
  with the patterns that the samples have, as ``latent_report`` names them.
- ``score``: held-out evidence lower bound of the observed values, nats per sample.
- ``rmse``: of the hidden values, in standard deviations.
- ``coverage``: share of hidden values inside the interval between the 5 % and 95 %
  quantiles of draws.
- ``code_coverage``: share of draws from the posteriors of the complete samples that are
  inside the central 90 % intervals of the posteriors of the incomplete samples.

Results are added to ``benchmarks/results/missing_patterns.csv``, and what is stored is
not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import recovery
import torch
from missing import hide

from skfactorvae import FactorVAETransformer, metrics
from skfactorvae.model_selection._findings import FOLLOWS_GAPS, correlations

RESULTS = Path(__file__).parent / "results" / "missing_patterns.csv"
KEYS = ["table", "missing", "mask_in_code", "seed"]
TABLES = "layers", "sensors"
KINDS = "random", "by panel", "by size"
N_TEST = 1000
"""Samples for the measures, at most."""

N_DRAWS = 100
HALF_WIDTH = 1.6449
"""Half of the central 90 % interval of a normal distribution, in its deviations."""


def patterns(X: np.ndarray, kind: str) -> np.ndarray:
    """Return which values are hidden, (n, p)."""
    if kind != "by panel":
        return hide(X, kind, 0.3, 0)
    hidden = hide(X, "random", 0.1, 0)
    second = np.random.RandomState(4321).uniform(size=len(X)) < 0.5
    hidden[np.ix_(second, np.arange(X.shape[1]) % 2 == 0)] = True
    hidden[second, 1] = False  # no sample is without any value
    return hidden


def followed(codes: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Return the largest correlation of each code with the gaps of a column, (d,)."""
    gaps = hidden[:, np.ptp(hidden.astype(int), axis=0) > 0].astype(np.float64)
    return np.abs(correlations(codes, gaps)).max(axis=1)


def measure(model, X, hidden, factors, rng) -> dict[str, float]:
    """Return the measures of a fitted model on complete test samples (n, p)."""
    table = np.where(hidden, np.nan, X)
    exchanged = hidden[rng.permutation(len(X))]
    active = model.active_components_
    codes, std = model.posterior(table)
    complete, complete_std = model.posterior(X)
    other = model.transform(np.where(exchanged, np.nan, X))
    drawn = complete + complete_std * rng.normal(size=complete.shape)
    is_inside = np.abs(drawn - codes) <= HALF_WIDTH * std
    draws = model.impute(table, n_draws=N_DRAWS, random_state=0)[:, hidden]
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    truth = X[hidden]
    own = followed(codes[:, active], hidden)
    return {
        "recovery": metrics.mean_correlation_score(factors, codes, over="factors"),
        "follows": followed(other[:, active], exchanged).mean(),
        "reported": int((own > FOLLOWS_GAPS).sum()),
        "active": len(active),
        "score": model.score(table),
        "rmse": np.sqrt(np.mean((model.impute(table)[hidden] - truth) ** 2)),
        "coverage": np.mean((low <= truth) & (truth <= high)),
        "code_coverage": is_inside[:, active].mean(),
    }


def run(tables, kinds, seeds: int, *, keep: bool = True) -> None:
    """Fit and measure what is not stored."""
    done = set(stored()[KEYS].itertuples(index=False, name=None)) if keep else set()
    for name in tables:
        split = recovery.Split.of(recovery.TABLES[name]())
        test = split.test[:N_TEST]
        for kind, in_code, seed in itertools.product(
            kinds, (False, True), range(seeds)
        ):
            if (name, kind, in_code, seed) in done:
                continue
            hidden = patterns(split.X, kind)
            table = np.where(hidden, np.nan, split.X)
            model = FactorVAETransformer(
                recovery.N_COMPONENTS, mask_in_code=in_code, random_state=seed
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(table[split.train])
                found = measure(
                    model,
                    split.X[test],
                    hidden[test],
                    split.factors[test],
                    np.random.RandomState(seed),
                )
            row = dict(zip(KEYS, (name, kind, in_code, seed), strict=True)) | found
            print(*row.values(), flush=True)
            if keep:
                frame = pd.DataFrame([row]).round(4)
                frame.to_csv(
                    RESULTS, mode="a", header=not RESULTS.exists(), index=False
                )


def stored() -> pd.DataFrame:
    if not RESULTS.exists():
        return pd.DataFrame(columns=KEYS)
    return pd.read_csv(RESULTS)


def chance(n_columns: int = 20, rounds: int = 200) -> float:
    """Return the mean of ``follows`` for codes that are independent of the patterns."""
    rng = np.random.RandomState(0)
    codes = rng.normal(size=(N_TEST, rounds))
    return followed(codes, rng.uniform(size=(N_TEST, n_columns)) < 0.3).mean()


def summarise() -> None:
    """Print what is stored: each measure, by table and kind of pattern."""
    known = stored().drop(columns="seed")
    means = known.groupby(["missing", "table", "mask_in_code"]).mean()
    print(means.round(3).to_string())
    print(f"follows, of independent codes: {chance():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--try", dest="trial", action="store_true", help="do not store")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.stored:
        summarise()
    else:
        run(
            arguments.tables,
            arguments.kinds,
            arguments.seeds,
            keep=not arguments.trial,
        )


if __name__ == "__main__":
    main()

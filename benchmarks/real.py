"""Measure methods on real tables: likelihood, reconstruction, use of the codes.

    python benchmarks/real.py --tables tuning    fit what is missing, and store it
    python benchmarks/real.py --stored           print what is stored

For each table, split and method, 30 % of the samples are held out. Features are
standardised by the training samples. All methods have the same number of components:
the number of eigenvalues of the correlation matrix above one, from 2 to 10.

Columns of the results:

- ``train``, ``test``: log-likelihood in nats per column of the standardised table. It
  is exact for FactorAnalysis and for PCA (the probabilistic model of Tipping & Bishop
  1999). For variational autoencoders it is estimated by importance sampling from the
  posterior (Burda et al. 2016, Eq. 8), so that it is comparable with the exact one.
- ``r2``: share of the variance of held-out samples that the reconstruction explains.
- ``linear``, ``neighbours``: held-out accuracy of logistic regression and of a
  5-nearest-neighbour classifier on the codes, where the table has classes.
- ``agreement``: mean absolute rank correlation of matched components between fits to
  bootstrap samples, on held-out samples (``--bootstraps`` fits; first split only).
- ``seconds``: time of a fit, the mean over all fits to a table; those of this package
  are trained as stacks, alone each takes about twice as long.
- ``decay``, ``steps``: weight decay and number of steps that held-out samples chose.

Results are added to ``benchmarks/results/real.csv`` one table and method at a time, and
what is stored is not repeated: an interrupted run goes on where it was. Tables that are
set aside (see ``real_tables.py``) must not be used while defaults are being chosen.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import real_tables
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.parallel import Parallel, delayed

from skfactorvae import BetaVAETransformer, FactorVAETransformer
from skfactorvae.metrics import match_codes
from skfactorvae.model_selection import batched_fits

RESULTS = Path(__file__).parent / "results" / "real.csv"
HELD_OUT = 0.3
N_DRAWS = 100
"""Draws from the posterior of each sample for its likelihood."""

SCORED_ROWS = 1000
"""Samples for which an importance-weighted likelihood is computed, at most."""

MEASURES = "train", "test", "r2", "linear", "neighbours", "agreement", "seconds"
FIELDS = (
    "table",
    "method",
    "split",
    "samples",
    "features",
    "components",
    *MEASURES,
    "decay",
    "steps",
)


class RawColumns(TransformerMixin, BaseEstimator):
    """All columns as they are, for the accuracy of classifiers."""

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def transform(self, X):
        """Return the samples."""
        return X


def make_umap(d: int, seed: int):
    """Return UMAP, without its inverse, which takes minutes; pip install umap-learn."""
    umap = importlib.import_module("umap")
    model = umap.UMAP(n_components=d, random_state=seed, n_jobs=1)
    return make_pipeline(model, FunctionTransformer(check_inverse=False))


METHODS: dict[str, Callable[[int, int], Any]] = {
    "PCA": lambda d, seed: PCA(d, random_state=seed),
    "FastICA": lambda d, seed: FastICA(d, max_iter=1000, random_state=seed),
    "FactorAnalysis": lambda d, seed: FactorAnalysis(d, random_state=seed),
    "FactorAnalysis, varimax": lambda d, seed: FactorAnalysis(
        d, rotation="varimax", random_state=seed
    ),
    "VAE": lambda d, seed: BetaVAETransformer(d, beta=1.0, random_state=seed),
    "FactorVAE": lambda d, seed: FactorVAETransformer(d, random_state=seed),
    "FactorVAE, shared noise": lambda d, seed: FactorVAETransformer(
        d, noise_scale="shared", random_state=seed
    ),
    "UMAP": lambda d, seed: make_umap(d, seed),
    "raw columns": lambda d, seed: RawColumns(),
}


# -------------------------------------------------------------------------- measures
def n_factors(X: np.ndarray) -> int:
    """Return the number of eigenvalues of the correlation matrix above one, 2 to 10."""
    unit = (X - X.mean(axis=0)) / X.std(axis=0)
    values = np.linalg.svd(unit, compute_uv=False) ** 2 / len(X)
    return int(np.clip((values > 1).sum(), 2, min(10, X.shape[1] - 1)))


def log_likelihood(model, X: np.ndarray) -> float:
    """Return the mean log-likelihood in nats per column; NaN if undefined."""
    if isinstance(model, PCA | FactorAnalysis):
        return float(model.score(X)) / X.shape[1]
    if isinstance(model, Pipeline) or not hasattr(model, "score_samples"):
        return float("nan")
    rows = X[np.linspace(0, len(X) - 1, min(len(X), SCORED_ROWS)).astype(int)]
    return float(importance_weighted(model, rows).mean()) / X.shape[1]


def importance_weighted(vae, X: np.ndarray, n_draws: int = N_DRAWS) -> np.ndarray:
    r"""Estimate the log-likelihood of samples under a variational autoencoder, nats.

    .. math:: \log \frac{1}{S} \sum_s \frac{p(x|z_s)\, p(z_s)}{q(z_s|x)}

    for S draws from the posterior q. It is a lower bound in expectation, and increases
    to the log-likelihood with S (Burda et al. 2016, Eq. 8).

    Parameters
    ----------
    vae : fitted transformer with a Gaussian likelihood and a normal prior
    X : ndarray of shape (n, p)
    n_draws : int, default=200

    Returns
    -------
    ndarray of shape (n,)
    """
    mean, std = (m.astype(np.float64) for m in vae.posterior(X))
    rows = torch.from_numpy((X - vae.mean_) / vae.scale_)[None].float()
    weights = {k: torch.tensor(w)[None].float() for k, w in vae.weights_.items()}
    likelihood = vae._likelihood
    rng = np.random.default_rng(0)
    terms = []
    for _ in range(n_draws):
        noise = rng.standard_normal(mean.shape)
        z = mean + std * noise
        decoded = (vae.inverse_transform(z) - vae.mean_) / vae.scale_
        output = torch.from_numpy(decoded)[None].float()
        log_x = -likelihood.nll(weights, output, rows)[0].double().numpy()
        log_ratio = 0.5 * (noise**2 - z**2).sum(axis=1) + np.log(std).sum(axis=1)
        terms.append(log_x + log_ratio)
    log_mean = np.logaddexp.reduce(terms, axis=0) - np.log(n_draws)
    return log_mean - np.log(vae.scale_).sum()


def explained_variance(model, X: np.ndarray, reference: np.ndarray) -> float:
    """Return the share of the variance around the training mean that is explained."""
    codes = model.transform(X)
    if isinstance(model, FactorAnalysis):
        back = codes @ model.components_ + model.mean_
    elif hasattr(model, "inverse_transform") and not isinstance(model, Pipeline):
        back = model.inverse_transform(codes)
    else:
        return float("nan")
    return 1.0 - float(((X - back) ** 2).sum() / ((X - reference) ** 2).sum())


def accuracies(train, test, y_train, y_test) -> tuple[float, float]:
    """Return held-out accuracies of a linear and a nearest-neighbour classifier."""
    classifiers = LogisticRegression(max_iter=2000), KNeighborsClassifier()
    scores = [
        make_pipeline(StandardScaler(), c).fit(train, y_train).score(test, y_test)
        for c in classifiers
    ]
    return scores[0], scores[1]


def agreement(codes: list[np.ndarray]) -> float:
    """Return the mean matched rank correlation between codes of several fits."""
    pairs = itertools.combinations(codes, 2)
    found = [match_codes(a, b).correlation.mean() for a, b in pairs]
    return float(np.mean(found)) if found else float("nan")


# ------------------------------------------------------------------------------ runs
@dataclass(frozen=True)
class Split:
    """One split of a table, standardised by its training samples."""

    train: np.ndarray
    test: np.ndarray
    y_train: np.ndarray | None
    y_test: np.ndarray | None

    @classmethod
    def of(cls, table: real_tables.RealTable, seed: int) -> Split:
        """Hold 30 % of the samples out, and leave constant features out."""
        X, y = table.X.to_numpy(), table.labels
        index = np.arange(len(X))
        train, test = train_test_split(index, test_size=HELD_OUT, random_state=seed)
        varies = X[train].std(axis=0) > 0
        X = StandardScaler().fit(X[train][:, varies]).transform(X[:, varies])
        classes = (None, None) if y is None else (y[train], y[test])
        return cls(X[train], X[test], *classes)

    def bootstrap(self, seed: int) -> np.ndarray:
        """Return training samples drawn with replacement."""
        rng = np.random.default_rng(seed)
        return self.train[rng.integers(len(self.train), size=len(self.train))]


def fit_all(models: list, tables: list[np.ndarray]) -> list:
    """Fit each model to its table; those of this package as stacks."""
    with batched_fits():
        return Parallel()(
            delayed(model.fit)(X) for model, X in zip(models, tables, strict=True)
        )


def measure(name: str, method: str, seeds: list[int], n_bootstraps: int):
    """Yield the row of results of each split of a table, given by its seed."""
    table = real_tables.load(name)
    splits = [Split.of(table, seed) for seed in seeds]
    sizes = [n_factors(split.train) for split in splits]
    make, first = METHODS[method], splits[0]
    n_bootstraps *= method != "raw columns" and 0 in seeds
    models = [make(d, seed) for d, seed in zip(sizes, seeds, strict=True)]
    models += [make(sizes[0], seed) for seed in range(n_bootstraps)]
    samples = [split.train for split in splits]
    samples += [first.bootstrap(seed) for seed in range(n_bootstraps)]
    start = time.perf_counter()
    models = fit_all(models, samples)
    seconds = (time.perf_counter() - start) / len(models)
    repeated = models[len(splits) :]
    agreed = agreement([model.transform(first.test) for model in repeated])
    for i, (split, model) in enumerate(zip(splits, models, strict=False)):
        yield {
            "table": name,
            "method": method,
            "split": seeds[i],
            "samples": len(split.train),
            "features": split.train.shape[1],
            "components": sizes[i],
            **evaluate(model, split),
            "agreement": float("nan") if seeds[i] else agreed,
            "seconds": seconds,
            "decay": getattr(model, "weight_decay_", float("nan")),
            "steps": getattr(model, "n_iter_", float("nan")),
        }


def evaluate(model, split: Split) -> dict[str, float]:
    """Return likelihood, reconstruction and accuracies of a fitted model."""
    linear = neighbours = float("nan")
    if split.y_train is not None:
        linear, neighbours = accuracies(
            model.transform(split.train),
            model.transform(split.test),
            split.y_train,
            split.y_test,
        )
    reference = split.train.mean(axis=0)
    return {
        "train": log_likelihood(model, split.train),
        "test": log_likelihood(model, split.test),
        "r2": explained_variance(model, split.test, reference),
        "linear": linear,
        "neighbours": neighbours,
    }


def stored(path: Path = RESULTS) -> pd.DataFrame:
    """Return the stored results; none if there is no file."""
    if not path.exists():
        return pd.DataFrame(columns=list(FIELDS))
    return pd.read_csv(path, comment="#")


def store(row: dict[str, Any], path: Path = RESULTS) -> None:
    """Append a row to the file, which names the versions in its first line."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        if is_new:
            names = "skfactorvae", "torch", "scikit-learn", "numpy"
            versions = ", ".join(f"{name} {version(name)}" for name in names)
            file.write(f"# {versions}\n")
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(
            {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
        )


def summary(results: pd.DataFrame) -> str:
    """Return the means over splits, one line a table and method."""
    means = results.groupby(["table", "method"], sort=False)[list(MEASURES)].mean()
    return means.to_string(float_format=lambda v: f"{v:.3f}", na_rep="")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--tables", nargs="*", default=["tuning"], help="names, tuning or set-aside"
    )
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--bootstraps", type=int, default=4)
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    arguments = parser.parse_args()
    if arguments.stored:
        print(summary(stored()))
        return
    roles = {"tuning": real_tables.TUNING, "set-aside": real_tables.SET_ASIDE}
    names = [n for t in arguments.tables for n in roles.get(t, [t])]
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    done = {tuple(key) for key in stored()[["table", "method", "split"]].to_numpy()}
    for name, method in itertools.product(names, arguments.methods):
        seeds = range(arguments.splits)
        missing = [seed for seed in seeds if (name, method, seed) not in done]
        if missing:
            for row in list(measure(name, method, missing, arguments.bootstraps)):
                store(row)
            print(f"{name:20s} {method}", flush=True)


if __name__ == "__main__":
    main()

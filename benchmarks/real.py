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
- ``seconds``: time of the fit.

Results are added to ``benchmarks/results/real.csv`` one fit at a time, and fits that
are stored are not repeated: an interrupted run goes on where it was. Tables that are
set aside (see ``real_tables.py``) must not be used while defaults are being chosen.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import real_tables
import torch
from sklearn.base import TransformerMixin
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import BetaVAETransformer, FactorVAETransformer
from skfactorvae.metrics import match_codes

RESULTS = Path(__file__).parent / "results" / "real.csv"
HELD_OUT = 0.3
N_DRAWS = 200
"""Draws from the posterior of each sample for its likelihood."""

SCORED_ROWS = 2000
"""Samples for which an importance-weighted likelihood is computed, at most."""

MEASURES = "train", "test", "r2", "linear", "neighbours", "agreement", "seconds"
FIELDS = "table", "method", "split", "samples", "features", "components", *MEASURES


class RawColumns(TransformerMixin):
    """All columns as they are, for the accuracy of classifiers."""

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def transform(self, X):
        """Return the samples."""
        return X


METHODS: dict[str, Callable[[int, int], Any]] = {
    "PCA": lambda d, seed: PCA(d, random_state=seed),
    "FastICA": lambda d, seed: FastICA(d, max_iter=1000, random_state=seed),
    "FactorAnalysis": lambda d, seed: FactorAnalysis(d, random_state=seed),
    "FactorAnalysis, varimax": lambda d, seed: FactorAnalysis(
        d, rotation="varimax", random_state=seed
    ),
    "VAE": lambda d, seed: BetaVAETransformer(d, beta=1.0, random_state=seed),
    "FactorVAE": lambda d, seed: FactorVAETransformer(d, random_state=seed),
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
    if not hasattr(model, "score_samples"):
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
    elif hasattr(model, "inverse_transform"):
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


def bootstrap_agreement(make, d: int, train, test, n_bootstraps: int) -> float:
    """Return the agreement of components of bootstrap samples, in [0, 1]."""
    rng = np.random.default_rng(0)
    codes = []
    for seed in range(n_bootstraps):
        chosen = train[rng.integers(len(train), size=len(train))]
        codes.append(np.asarray(make(d, seed).fit(chosen).transform(test), float))
    pairs = itertools.combinations(codes, 2)
    found = [match_codes(a, b).correlation.mean() for a, b in pairs]
    return float(np.mean(found)) if found else float("nan")


# ------------------------------------------------------------------------------ runs
def measure(name: str, method: str, split: int, n_bootstraps: int) -> dict[str, Any]:
    """Fit one method to one split of a table, and return its row of results."""
    table = real_tables.load(name)
    X, y = table.X.to_numpy(), table.labels
    index = np.arange(len(X))
    train, test = train_test_split(index, test_size=HELD_OUT, random_state=split)
    varies = X[train].std(axis=0) > 0
    X = StandardScaler().fit(X[train][:, varies]).transform(X[:, varies])
    d, make = n_factors(X[train]), METHODS[method]
    start = time.perf_counter()
    model = make(d, split).fit(X[train])
    seconds = time.perf_counter() - start
    linear = neighbours = agreement = float("nan")
    if y is not None:
        codes = model.transform(X)
        linear, neighbours = accuracies(codes[train], codes[test], y[train], y[test])
    if split == 0 and n_bootstraps > 1 and method != "raw columns":
        agreement = bootstrap_agreement(make, d, X[train], X[test], n_bootstraps)
    return {
        "table": name,
        "method": method,
        "split": split,
        "samples": len(train),
        "features": X.shape[1],
        "components": d,
        "train": log_likelihood(model, X[train]),
        "test": log_likelihood(model, X[test]),
        "r2": explained_variance(model, X[test], X[train].mean(axis=0)),
        "linear": linear,
        "neighbours": neighbours,
        "agreement": agreement,
        "seconds": seconds,
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
    for split, name, method in itertools.product(
        range(arguments.splits), names, arguments.methods
    ):
        if (name, method, split) not in done:
            row = measure(name, method, split, arguments.bootstraps)
            store(row)
            print("  ".join(f"{k} {row[k]}" for k in ("table", "method", "split")))


if __name__ == "__main__":
    main()

"""Measure which components are found to vary with a dose, and which with a site.

    python benchmarks/grids.py                  fit what is missing, and store it
    python benchmarks/grids.py --stored         print what is stored

Tables of 6,000 samples from 6 sites at 5 doses; low doses are frequent at some sites
and high ones at others. Four normal sources are mixed by a smooth map into 12 columns,
with 5 % of noise, as in ``identified.py``. One source varies with the dose, one with
the site, one with both and one with neither: means have a standard deviation of 0.7
over levels, and standard deviations are uniform in (.3, 1.5). Where a source does not
vary, its standard deviation is one.

Methods: columns of the table and PCA; PCA with ``align_codes``; the VAE with default
settings, alone and after ``rotate``; AuxiliaryVAE with 1,000 steps and no weight decay.
The last three are given both conditions. ``condition_effects`` then says which
components vary with which condition. Codes are posterior means of the encoder, without
conditions.

- correlation: mean absolute correlation (Pearson) of the sources with the components
  matched to them;
- decisions: share of the eight statements "the component matched to this source varies
  with this condition" that are right;
- without site: absolute correlation of the component of the source that varies with
  both conditions with this source without its shift by site: after ``remove``, after
  subtraction of the mean of each site, and as it is;
- site: accuracy of the site predicted, in five folds, by quadratic discriminant
  analysis, from all codes, and from the components that do not vary with the site.
  Doses tell of the site, as they are not balanced: the best prediction from them alone
  is printed beside it.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from identified import correlation
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from skfactorvae import AuxiliaryVAETransformer, BetaVAETransformer
from skfactorvae.identification import align_codes, condition_effects

RESULTS = Path(__file__).parent / "results" / "grids.csv"
NUMBERS = {
    "correlation": "correlation with sources",
    "decisions": "decisions right",
    "as_is": "without site: as it is",
    "centred": "without site: site means subtracted",
    "removed": "without site: `remove`",
    "site_all": "site from all codes",
    "site_rest": "site from components that do not vary with it",
    "site_dose": "site from the dose alone",
}
FIELDS = ("method", "seed", *NUMBERS, "seconds")
N_SITES, N_DOSES, N_SAMPLES, N_SEEDS = 6, 5, 6000, 5

VARIES = {"dose": np.array([1, 0, 1, 0], bool), "site": np.array([0, 1, 1, 0], bool)}
"""Whether each source varies with a condition."""

BOTH = 2
"""Source that varies with dose and site."""


@dataclass(frozen=True)
class Grid:
    """A table (n, p), its conditions, sources and their shifts by site (n, 4)."""

    X: np.ndarray
    aux: pd.DataFrame
    sources: np.ndarray
    by_site: np.ndarray


def grid(seed: int) -> Grid:
    """Return one simulated table."""
    rng = np.random.default_rng(seed)
    site = rng.integers(N_SITES, size=N_SAMPLES)
    shares = np.linspace(-1, 1, N_DOSES) * np.linspace(-1, 1, N_SITES)[:, None]
    shares = np.exp(1.5 * shares)
    shares /= shares.sum(axis=1, keepdims=True)
    dose = (rng.uniform(size=N_SAMPLES)[:, None] > shares.cumsum(axis=1)[site]).sum(1)
    means, spreads = {}, {}
    for name, k in (("site", N_SITES), ("dose", N_DOSES)):
        varies = VARIES[name]
        drawn = rng.standard_normal((k, 4))
        drawn = 0.7 * (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)
        means[name] = np.where(varies, drawn, 0)
        spreads[name] = np.where(varies, rng.uniform(0.3, 1.5, (k, 4)), 1)
    noise = rng.standard_normal((N_SAMPLES, 4))
    by_site = means["site"][site]
    sources = means["dose"][dose] + by_site
    sources = sources + spreads["site"][site] * spreads["dose"][dose] * noise
    X = smooth(rng, sources)
    names = np.array(list("ABCDEF"))
    aux = pd.DataFrame({"dose": dose, "site": names[site]})
    return Grid(X, aux, sources, by_site)


def smooth(rng, sources: np.ndarray) -> np.ndarray:
    """Return 12 columns of a smooth map of sources, with 5 % of noise."""
    d = sources.shape[1]
    hidden = np.tanh(
        0.7 * sources @ rng.standard_normal((d, 20)) + 0.3 * rng.standard_normal(20)
    )
    X = hidden @ rng.standard_normal((20, 12)) / 4
    X += 0.3 * sources @ rng.standard_normal((d, 12))
    return X + 0.05 * X.std() * rng.standard_normal(X.shape)


# --------------------------------------------------------------------------- methods
def linear(one: Grid, seed: int) -> dict[str, np.ndarray]:
    """Return the codes of linear methods, by name."""
    rows = StandardScaler().fit_transform(one.X)
    scores = PCA(4, whiten=True).fit_transform(rows)
    aligned = align_codes(scores, one.aux)
    return {"columns": rows, "PCA": scores, "PCA + align_codes": aligned.codes}


def rotated(one: Grid, seed: int) -> dict[str, np.ndarray]:
    """Return the codes of the VAE, alone and rotated."""
    fitted = BetaVAETransformer(4, beta=1.0, random_state=seed, verbose=0).fit(one.X)
    turned = fitted.rotate(one.X, one.aux)
    return {"VAE": fitted.transform(one.X), "VAE + rotate": turned.transform(one.X)}


def conditional(one: Grid, seed: int) -> dict[str, np.ndarray]:
    """Return the codes of a model with a prior for each combination."""
    model = AuxiliaryVAETransformer(
        4, max_iter=1000, weight_decay=0.0, random_state=seed, verbose=0
    )
    return {"AuxiliaryVAE": model.fit(one.X, aux=one.aux).transform(one.X)}


METHODS = {"linear": linear, "VAE": rotated, "AuxiliaryVAE": conditional}


# --------------------------------------------------------------------------- numbers
def numbers(one: Grid, codes: np.ndarray) -> dict[str, float]:
    """Return all numbers of some codes."""
    d = one.sources.shape[1]
    cross = np.abs(np.corrcoef(one.sources.T, codes.T)[:d, d:])
    own = linear_sum_assignment(-cross)[1]
    effects = condition_effects(codes, one.aux)
    found = {name: effects.varies(name) for name in VARIES}
    right = [found[name][own] == truth for name, truth in VARIES.items()]
    wanted = (one.sources - one.by_site)[:, BOTH]
    site = one.aux["site"].to_numpy()
    means = pd.DataFrame(codes).groupby(site).transform("mean").to_numpy()
    versions = {
        "as_is": codes,
        "centred": codes - means,
        "removed": effects.remove(codes, "site", site),
    }
    kept = {
        name: abs(np.corrcoef(wanted, version[:, own[BOTH]])[0, 1])
        for name, version in versions.items()
    }
    return {
        "correlation": correlation(one.sources, codes),
        "decisions": np.mean(right),
        **kept,
        "site_all": site_accuracy(codes, site),
        "site_rest": site_accuracy(codes[:, ~found["site"]], site),
        "site_dose": pd.crosstab(site, one.aux["dose"]).max().sum() / len(site),
    }


def folds() -> KFold:
    return KFold(5, shuffle=True, random_state=0)


def site_accuracy(codes: np.ndarray, site: np.ndarray) -> float:
    """Return the accuracy of predicted sites; the largest share without components."""
    if not codes.shape[1]:
        return float(pd.Series(site).value_counts(normalize=True).max())
    model = QuadraticDiscriminantAnalysis()
    return float(np.mean(cross_val_predict(model, codes, site, cv=folds()) == site))


# --------------------------------------------------------------------------- results
def stored() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def add(row: dict[str, object]) -> None:
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def measure(methods, seeds) -> None:
    """Fit what is not stored, and store it."""
    done = {(r["method"], r["seed"]) for r in stored()}
    for seed in seeds:
        one = grid(seed)
        for method in methods:
            first = "columns" if method == "linear" else method
            if (first, str(seed)) in done:
                continue
            start = time.process_time()
            found = METHODS[method](one, seed)
            seconds = round(time.process_time() - start, 1)
            for name, codes in found.items():
                values = {k: round(float(v), 4) for k, v in numbers(one, codes).items()}
                add({"method": name, "seed": seed, **values, "seconds": seconds})
                print(f"{name}, seed {seed}: {values}", flush=True)


def show() -> None:
    """Print the mean and the least of the stored results, one method a column."""
    rows = stored()
    methods = list(dict.fromkeys(r["method"] for r in rows))
    print("| | " + " | ".join(methods) + " |")
    print("|---" * (1 + len(methods)) + "|")
    for key, title in NUMBERS.items():
        cells = []
        for method in methods:
            values = [float(r[key]) for r in rows if r["method"] == method]
            worst = max if key == "site_rest" else min
            cells.append(f"{np.mean(values):.2f} ({worst(values):.2f})")
        print(f"| {title} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=range(N_SEEDS))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message=".*components are not separated")
    if not options.stored:
        measure(options.methods, options.seeds)
    show()


if __name__ == "__main__":
    main()

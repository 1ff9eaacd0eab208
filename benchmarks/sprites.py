"""Score models of sprites by the protocol of the literature, shortened for a CPU.

    python benchmarks/sprites.py            fit what is missing, and store it
    python benchmarks/sprites.py --stored   print what is stored
    python benchmarks/sprites.py --page     print it, and update the page

Images of ``make_dsprites_like`` at 32 and 64 pixels, 20,000 to fit and 20,000 others to
score. FactorVAE with gamma = 10, ten components, a Bernoulli likelihood and dense
networks without weight decay, for 5,000 steps of 64 images, with likelihood annealing
from the temperature that the images give. The paper has convolutional networks, 300,000
steps of 64 images, all 737,280 images, and the full weight of the likelihood from the
first step; ``--methods "T = 1"`` has that, too. Ten principal components and ten
factors, without and with varimax rotation, are scored beside it.

The scores are those of ``benchmark_report``: the metrics of disentanglement_lib in the
published variants, all five factors included. DCI is left out, since gradient boosting
takes longer than a fit. Added are the mean matched rank correlation of scale, x and y,
the cross entropy of an image in nats, and the number of active components. Means over
three or more seeds have a 95 % interval by Student's t. The last row has the published
means of FactorVAE on dSprites (Lin et al. 2020, "InfoGAN-CR and ModelCentrality", Table
1).

Results are added to ``benchmarks/results/sprites.csv`` one fit at a time, and what is
stored is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pages import EVIDENCE, write_block
from published import cross_entropy
from recovery import versions
from scipy import stats
from sklearn.base import clone
from sklearn.decomposition import PCA, FactorAnalysis

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_dsprites_like
from skfactorvae.metrics import benchmark_report, mean_correlation_score
from skfactorvae.metrics._benchmark import PUBLISHED

RESULTS = Path(__file__).parent / "results" / "sprites.csv"
N_IMAGES = 20_000
N_COMPONENTS = 10
ORDERED = [1, 3, 4]
"""Factors that one component can order: scale, x and y."""

SIZES = (32, 64)
LINEAR = {
    "PCA": PCA(N_COMPONENTS, random_state=0),
    "FactorAnalysis": FactorAnalysis(N_COMPONENTS, random_state=0),
    "FactorAnalysis, varimax": FactorAnalysis(
        N_COMPONENTS, rotation="varimax", random_state=0
    ),
}
TEMPERATURES = {"annealed": "auto", "T = 1": 1.0}
METHODS = (*TEMPERATURES, *LINEAR)
DEFAULT = ["annealed", *LINEAR]

METRICS = ("factor_vae", "beta_vae", "mig", "modularity", "sap", "irs")
MEASURES = (*METRICS, "correlation", "cross_entropy", "active")
HEADER = (
    "FactorVAE score",
    "BetaVAE score",
    "MIG",
    "modularity",
    "SAP",
    "IRS",
    "scale, x, y",
    "nats",
    "active",
)
DECIMALS = (2, 2, 2, 2, 2, 2, 2, 0, 1)


def images(size: int, seed: int):
    """Return sprites as a Bunch, binary, of size by size pixels."""
    return make_dsprites_like(
        N_IMAGES, image_size=size, return_bunch=True, random_state=seed
    )


def model(method: str, size: int, seed: int, max_iter: int):
    """Return the estimator of a method."""
    if method in LINEAR:
        return clone(LINEAR[method])
    return FactorVAETransformer(
        N_COMPONENTS,
        gamma=10.0,
        image_shape=(1, size, size),
        likelihood="bernoulli",
        temperature=TEMPERATURES[method],
        batch_size=64,
        weight_decay=0.0,
        max_iter=max_iter,
        random_state=seed,
    )


def measure(method: str, size: int, seed: int, max_iter: int) -> dict:
    """Fit one model, and return its scores on other images."""
    seen, new = images(size, 0), images(size, 1)
    start = time.perf_counter()
    fitted = model(method, size, seed, max_iter).fit(seen.data)
    seconds = time.perf_counter() - start
    codes = fitted.transform(new.data)
    found = benchmark_report(fitted, new, metrics=METRICS)
    ordered = new.factors[:, ORDERED]
    return {
        "size": size,
        "method": method,
        "seed": seed,
        "steps": getattr(fitted, "n_iter_", np.nan),
        "temperature": getattr(fitted, "temperature_", np.nan),
        **{name: found.scores.get(name, np.nan) for name in METRICS},
        "correlation": mean_correlation_score(ordered, codes, over="factors"),
        "cross_entropy": float(cross_entropy(new.data, fitted)),
        "active": len(getattr(fitted, "active_components_", range(N_COMPONENTS))),
        "seconds": seconds,
        **versions(),
    }


def stored() -> pd.DataFrame:
    """Return the stored results; none if there is no file."""
    if not RESULTS.exists():
        return pd.DataFrame(columns=["size", "method", "seed"])
    return pd.read_csv(RESULTS)


def is_stored(rows: pd.DataFrame, method: str, size: int, seed: int) -> bool:
    """Return whether a fit is among the stored ones."""
    same = (rows["method"] == method) & (rows["size"] == size) & (rows["seed"] == seed)
    return bool(same.any())


def interval(values: np.ndarray, decimals: int) -> str:
    """Return a mean and, of three or more values, its 95 % interval, as text."""
    mean = f"{values.mean():.{decimals}f}"
    if len(values) < 3 or np.ptp(values) == 0:
        return mean
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    low, high = values.mean() - half, values.mean() + half
    return f"{mean} [{low:.{decimals}f}, {high:.{decimals}f}]"


def table(rows: pd.DataFrame) -> str:
    """Return the means over seeds with their intervals, as a markdown table."""
    lines = [f"| pixels | model | fits | {' | '.join(HEADER)} |"]
    lines.append("|---" * (3 + len(HEADER)) + "|")
    for size, method in itertools.product(sorted(set(rows["size"])), METHODS):
        own = rows[(rows["size"] == size) & (rows["method"] == method)]
        if not len(own):
            continue
        cells = [
            interval(own[name].to_numpy(float), decimals)
            for name, decimals in zip(MEASURES, DECIMALS, strict=True)
        ]
        steps = own["steps"].iloc[0]
        name = method if method in LINEAR else f"{method}, {steps:.0f} steps"
        lines.append(f"| {size} | {name} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join([*lines, published_row()])


def published_row() -> str:
    """Return the published values of dSprites as a row of the table."""
    _, values = PUBLISHED["dsprites"]
    cells = [f"{values[name]:.2f}" if name in values else "" for name in MEASURES]
    return f"| 64 | FactorVAE, published | 10 | {' | '.join(cells)} |"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--methods", nargs="+", default=DEFAULT, choices=METHODS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-iter", type=int, default=5000, help="steps of a fit")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--page", action="store_true", help="and update the page")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = stored()
    tasks = itertools.product(range(options.seeds), options.sizes, options.methods)
    for seed, size, method in [] if options.stored or options.page else tasks:
        is_repeated = method in LINEAR and seed > 0
        if is_repeated or is_stored(rows, method, size, seed):
            continue
        found = pd.DataFrame([measure(method, size, seed, options.max_iter)])
        rows = pd.concat([rows, found]) if len(rows) else found
        rows.to_csv(RESULTS, index=False, float_format="%.5g", lineterminator="\n")
        print(f"{size} pixels, {method}, seed {seed}", flush=True)
    print(table(rows))
    if options.page:
        write_block(EVIDENCE / "published.md", "sprites-seeds", table(rows))


if __name__ == "__main__":
    main()

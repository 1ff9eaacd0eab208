"""Measure how well conditions identify the sources of simulated tables.

    python benchmarks/identified.py                  fit what is missing, and store it
    python benchmarks/identified.py --stored         print what is stored
    python benchmarks/identified.py --power          how often conditions are refused
    python benchmarks/identified.py --steps          what a fit finds after some steps

``--sets``, ``--methods`` and ``--seeds`` choose some of them. The number is the mean
absolute correlation (Pearson) of each source with the component matched to it, of all
samples; 1 is best. Codes are the posterior means of the encoder, without the condition.
There are as many components as sources. No result is chosen by the sources.

Sets, each drawn anew for each seed:

- ``mild-var``: 30 conditions of 200 samples, 3 sources with standard deviations uniform
  in (.1, 2) and means of zero, 12 columns of a smooth map with 5 % of noise;
- ``mild-laplace``: the same with sources that have Laplace distributions under each
  condition, of these standard deviations;
- ``mild-mean``: normal sources with standard normal means, and standard deviations in
  (.2, .8);
- ``ivae``: 40 conditions of 1,000 samples, 5 sources with standard deviations uniform
  in (.5, 3), three layers of mixing with tanh(x) + .1 x between them (Khemakhem et al.
  2020, "Variational Autoencoders and Nonlinear ICA", Section 5.1, with five columns);
- ``icebeem-2``, ``icebeem-4``: 20 conditions of 1,000 samples, 5 sources with standard
  deviations uniform in (.01, 3), one or three orthogonal maps, each after a leaky ReLU
  of slope .2 (Khemakhem et al. 2020, "ICE-BeeM", Section 5.1).
- ``moebius``: no conditions; 20,000 samples of 2 uniform sources, and an inversion at a
  point outside of their square, with a rotation. The map keeps angles, so that its
  derivatives are orthogonal (Reizinger et al. 2022, "Embrace the Gap: VAEs Perform
  Independent Mechanism Analysis").

Methods: columns of the table, PCA and FastICA; PCA with ``align_codes``; the VAE and
FactorVAE with default settings, alone and after ``rotate``; AuxiliaryVAE with 1,000
steps and no weight decay, also without its start (``init="random"``), and with shuffled
conditions. On ``moebius``, the VAE and FactorVAE also start at random, without weight
decay, with one scale for both columns, so that angles are kept: by default, each column
is standardised. The best of three such fits has the highest bound, which needs no
sources. AuxiliaryVAE is also fitted with a fixed standard deviation of the
noise, .1 of that of a column (``noise``), and both with four times as many steps
(``noise, longer`` and ``longer``).
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import ortho_group
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.utils.parallel import Parallel, delayed

from skfactorvae import (
    AuxiliaryVAETransformer,
    BetaVAETransformer,
    FactorVAETransformer,
)
from skfactorvae.identification import align_codes
from skfactorvae.model_selection import batched_fits

RESULTS = Path(__file__).parent / "results" / "identified.csv"
FIELDS = ("set", "method", "seed", "correlation", "seconds")
N_SEEDS = 2

POWER = ((4, 1.5), (4, 2.0), (10, 1.5), (10, 2.0), (30, 1.5))
"""Conditions of 50 samples, and the largest ratio of spreads between them."""

SHOWN = (2, 8, 16, 32, 64, 128, 200)
"""Records of a fit, of 200, after which ``--steps`` prints a line."""


@dataclass(frozen=True)
class Conditioned:
    """A table (n, p), the condition of each sample (n,), and its sources (n, d).

    Without conditions ``aux`` is None.
    """

    X: np.ndarray
    aux: np.ndarray | None
    sources: np.ndarray


# ------------------------------------------------------------------------------ sets
def mild(
    rng, low: float, high: float, mean_std: float, is_laplace: bool = False
) -> Conditioned:
    """Return 30 conditions of 200 samples, smoothly mixed, with noise."""
    aux = np.repeat(np.arange(30), 200)
    means = mean_std * rng.standard_normal((30, 3))
    spreads = rng.uniform(low, high, (30, 3))
    size = len(aux), 3
    drawn = rng.laplace(size=size) / 2**0.5 if is_laplace else rng.normal(size=size)
    sources = means[aux] + spreads[aux] * drawn
    hidden = np.tanh(
        0.7 * sources @ rng.standard_normal((3, 20)) + 0.3 * rng.standard_normal(20)
    )
    X = hidden @ rng.standard_normal((20, 12)) / 4
    X += 0.3 * sources @ rng.standard_normal((3, 12))
    return Conditioned(X + 0.05 * X.std() * rng.standard_normal(X.shape), aux, sources)


def ivae(rng) -> Conditioned:
    """Return the set of iVAE's paper: three layers of mixing."""
    aux = np.repeat(np.arange(40), 1000)
    spreads = rng.uniform(0.5, 3, (40, 5))
    sources = spreads[aux] * rng.standard_normal((len(aux), 5))
    X = sources @ well_conditioned(rng, 5)
    for _ in range(2):
        X = np.tanh(X) + 0.1 * X
        X = X @ well_conditioned(rng, 5)
    return Conditioned(X, aux, sources)


def well_conditioned(rng, d: int, n_draws: int = 2000) -> np.ndarray:
    """Return a matrix with unit columns, of the best-conditioned quarter of draws."""

    def draw():
        matrix = rng.uniform(-1, 1, (d, d))
        return matrix / np.linalg.norm(matrix, axis=0)

    limit = np.quantile([np.linalg.cond(draw()) for _ in range(n_draws)], 0.25)
    while np.linalg.cond(matrix := draw()) > limit:
        pass
    return matrix


def icebeem(rng, n_layers: int) -> Conditioned:
    """Return the set of ICE-BeeM's paper: orthogonal maps after leaky ReLUs."""
    aux = np.repeat(np.arange(20), 1000)
    spreads = rng.uniform(0.01, 3, (20, 5))
    X = sources = spreads[aux] * rng.standard_normal((len(aux), 5))
    for _ in range(n_layers - 1):
        turn = ortho_group.rvs(5, random_state=rng.integers(2**30))
        X = np.where(X > 0, X, 0.2 * X) @ turn
    return Conditioned(X, aux, sources)


def moebius(rng, n_samples: int = 20_000) -> Conditioned:
    """Return uniform sources after an inversion, which keeps angles."""
    sources = rng.uniform(-0.5, 0.5, (n_samples, 2))
    while (np.abs(point := rng.standard_normal(2)) <= 0.5).any():
        pass
    turn = ortho_group.rvs(2, random_state=rng.integers(2**30))
    return Conditioned(inverted(sources, point) @ turn, None, sources)


def inverted(sources: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the inversion of sources (n, d) at a point (d,)."""
    away = sources - point
    return away / np.square(away).sum(axis=1, keepdims=True)


SETS: dict[str, Callable[[np.random.Generator], Conditioned]] = {
    "mild-var": lambda rng: mild(rng, 0.1, 2, 0),
    "mild-laplace": lambda rng: mild(rng, 0.1, 2, 0, is_laplace=True),
    "mild-mean": lambda rng: mild(rng, 0.2, 0.8, 1),
    "icebeem-2": lambda rng: icebeem(rng, 2),
    "icebeem-4": lambda rng: icebeem(rng, 4),
    "ivae": ivae,
    "moebius": moebius,
}


# --------------------------------------------------------------------------- methods
def linear(one: Conditioned, seed: int) -> dict[str, np.ndarray]:
    """Return the codes of linear methods, by name."""
    d = one.sources.shape[1]
    rows = StandardScaler().fit_transform(one.X)
    scores = PCA(d, whiten=True).fit_transform(rows)
    plain = {
        "columns": rows,
        "PCA": scores,
        "FastICA": FastICA(d, random_state=seed, max_iter=500).fit_transform(rows),
    }
    if one.aux is None:
        return plain
    return plain | {
        "PCA + align_codes": align_codes(scores, one.aux).codes,
        "PCA + align_codes, orthogonal": align_codes(
            scores, one.aux, orthogonal=True
        ).codes,
    }


def rotated(model, name: str) -> Callable[[Conditioned, int], dict[str, np.ndarray]]:
    """Return a function that fits a model, and rotates it."""

    def codes(one: Conditioned, seed: int) -> dict[str, np.ndarray]:
        model.set_params(
            n_components=one.sources.shape[1], random_state=seed, verbose=0
        )
        fitted = model.fit(one.X)
        if one.aux is None:
            return {name: fitted.transform(one.X)}
        turned = fitted.rotate(one.X, one.aux)
        return {
            name: fitted.transform(one.X),
            f"{name} + rotate": turned.transform(one.X),
        }

    return codes


def conditional(one: Conditioned, seed: int) -> dict[str, np.ndarray]:
    """Return the codes of models with a prior for each condition."""
    if one.aux is None:
        return {}
    shuffled = np.random.default_rng(seed).permutation(one.aux)
    fits = {
        "AuxiliaryVAE": ({}, one.aux),
        "AuxiliaryVAE, random start": ({"init": "random"}, one.aux),
        "AuxiliaryVAE, shuffled conditions": ({}, shuffled),
    }
    found = {}
    for name, (options, aux) in fits.items():
        model = auxiliary(one, seed, **options).fit(one.X, aux=aux)
        found[name] = model.transform(one.X)
        for criterion, value in model.init_criteria_.items():
            print(f"{name}: {criterion} {value:.2g}")
    return found


def auxiliary(one: Conditioned, seed: int, **options) -> AuxiliaryVAETransformer:
    """Return a model with a prior for each condition, not yet fitted."""
    settings = {"max_iter": 1000, "weight_decay": 0.0, "random_state": seed}
    settings |= {"verbose": 0, **options}
    return AuxiliaryVAETransformer(one.sources.shape[1], **settings)


def varied(name: str, **options) -> Callable[[Conditioned, int], dict[str, np.ndarray]]:
    """Return a function that fits AuxiliaryVAE with other options."""

    def codes(one: Conditioned, seed: int) -> dict[str, np.ndarray]:
        if one.aux is None:
            return {}
        model = auxiliary(one, seed, **options).fit(one.X, aux=one.aux)
        return {name: model.transform(one.X)}

    return codes


def one_scale(name: str, model) -> Callable[[Conditioned, int], dict[str, np.ndarray]]:
    """Return a function that fits a model of a map that keeps angles."""
    options = {"init": "random", "standardize": "global", "weight_decay": 0.0}

    def codes(one: Conditioned, seed: int) -> dict[str, np.ndarray]:
        if one.aux is not None:
            return {}
        model.set_params(n_components=2, random_state=seed, verbose=0, **options)
        return {name: model.fit_transform(one.X)}

    return codes


def best_of_three(one: Conditioned, seed: int) -> dict[str, np.ndarray]:
    """Return the codes of the VAE of the highest bound, of three random starts."""
    if one.aux is not None:
        return {}
    options = {"init": "random", "standardize": "global", "weight_decay": 0.0}
    models = [
        BetaVAETransformer(2, beta=1.0, random_state=start, verbose=0, **options)
        for start in range(3)
    ]
    with batched_fits():
        models = Parallel()(delayed(model.fit)(one.X) for model in models)
    best = max(models, key=lambda model: model.score(one.X))
    return {"VAE, one scale, best of 3": best.transform(one.X)}


METHODS = {
    "linear": linear,
    "VAE": rotated(BetaVAETransformer(beta=1.0), "VAE"),
    "FactorVAE": rotated(FactorVAETransformer(), "FactorVAE"),
    "AuxiliaryVAE": conditional,
    "noise": varied("AuxiliaryVAE, noise .1", noise_scale=0.1),
    "longer": varied("AuxiliaryVAE, 4,000 steps", max_iter=4000),
    "noise, longer": varied(
        "AuxiliaryVAE, noise .1, 4,000 steps", noise_scale=0.1, max_iter=4000
    ),
    "VAE, one scale": one_scale("VAE, one scale", BetaVAETransformer(beta=1.0)),
    "VAE, one scale, best of 3": best_of_three,
    "FactorVAE, one scale": one_scale("FactorVAE, one scale", FactorVAETransformer()),
}


FIRST = {
    "linear": "columns",
    "noise": "AuxiliaryVAE, noise .1",
    "longer": "AuxiliaryVAE, 4,000 steps",
    "noise, longer": "AuxiliaryVAE, noise .1, 4,000 steps",
}
"""First row of a method, where it has another name."""


def correlation(sources: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean absolute correlation of sources with matched components."""
    d = sources.shape[1]
    cross = np.abs(np.corrcoef(sources.T, codes.T)[:d, d:])
    matched = linear_sum_assignment(-cross)
    return float(cross[matched].sum() / d)


# --------------------------------------------------------------------------- results
def stored() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def add(rows: list[dict[str, object]]) -> None:
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def measure(sets, methods, seeds) -> None:
    """Fit what is not stored, and store it."""
    done = {(r["set"], r["method"], r["seed"]) for r in stored()}
    for seed in seeds:
        for name in sets:
            one = SETS[name](np.random.default_rng(seed))
            for method in methods:
                first = FIRST.get(method, method)
                if (name, first, str(seed)) in done:
                    continue
                start = time.process_time()
                found = METHODS[method](one, seed)
                seconds = round(time.process_time() - start, 1)
                if not found:
                    continue
                values = {k: correlation(one.sources, z) for k, z in found.items()}
                add(
                    [
                        {
                            "set": name,
                            "method": key,
                            "seed": seed,
                            "correlation": round(value, 4),
                            "seconds": seconds,
                        }
                        for key, value in values.items()
                    ]
                )
                shown = ", ".join(f"{k} {v:.3f}" for k, v in values.items())
                print(f"{name}, seed {seed}: {shown} ({seconds} s)", flush=True)


def show() -> None:
    """Print a table of the stored results: sets by methods, seeds in a cell."""
    rows = stored()
    methods = list(dict.fromkeys(r["method"] for r in rows))
    sets = [name for name in SETS if name in {r["set"] for r in rows}]
    print("| method | " + " | ".join(sets) + " |")
    print("|---" * (1 + len(sets)) + "|")
    for method in methods:
        cells = []
        for name in sets:
            found = [r for r in rows if r["set"] == name and r["method"] == method]
            found.sort(key=lambda r: int(r["seed"]))
            cells.append(", ".join(f"{float(r['correlation']):.3f}"[1:] for r in found))
        print(f"| {method} | " + " | ".join(cells) + " |")


def power(n_draws: int = 200) -> None:
    """Print how often conditions are accepted: shuffled ones, and ones of an effect."""
    print("| conditions x samples | largest ratio of spreads | accepted | shuffled |")
    print("|---|---|---|---|")
    for n_conditions, ratio in POWER:
        accepted = np.zeros(2)
        for seed in range(n_draws):
            rng = np.random.default_rng(seed)
            aux = np.repeat(np.arange(n_conditions), 50)
            spreads = ratio ** rng.uniform(0, 1, (n_conditions, 3))
            Z = rng.standard_normal((len(aux), 3)) * spreads[aux]
            for k, given in enumerate((aux, rng.permutation(aux))):
                accepted[k] += is_accepted(Z, given)
        shown = " | ".join(f"{a / n_draws:.2f}" for a in accepted)
        print(f"| {n_conditions} x 50 | {ratio} | {shown} |", flush=True)


def is_accepted(Z, aux) -> bool:
    try:
        align_codes(Z, aux, n_permutations=99)
    except ValueError:
        return False
    return True


@dataclass
class Steps:
    """A callback that prints what a model has found after some of its steps."""

    trained: Conditioned
    others: Conditioned
    title: str
    n_records: int = 0

    max_propagation_depth = 0

    def setup(self, estimator, context) -> None:
        """Do nothing before a fit."""

    def teardown(self, estimator, context) -> None:
        """Do nothing after it."""

    def on_fit_task_begin(self, estimator, context) -> None:
        """Do nothing before steps."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator) -> None:
        """Print a line at some of the 200 records of a fit."""
        self.n_records += 1
        if self.n_records not in SHOWN:
            return
        trained, codes = (
            fitted_estimator.transform(one.X) for one in (self.trained, self.others)
        )
        aligned = align_codes(trained, self.trained.aux, n_permutations=99)
        turned = (codes - aligned.mean) @ aligned.matrix
        given = aligned.codes, self.trained.aux
        cells = [
            f"{self.n_records * estimator.max_iter // 200}",
            f"{fitted_estimator.score(self.others.X):.2f}",
            f"{correlation(self.others.sources, codes):.3f}",
            f"{correlation(self.others.sources, turned):.3f}",
            f"{log_probability(*given, turned, self.others.aux):.3f}",
        ]
        print(f"| {self.title} | {' | '.join(cells)} |", flush=True)


def log_probability(codes, aux, other_codes, other_aux) -> float:
    """Return the mean log-probability of conditions given codes, held out, nats.

    Components are normal and independent under each condition.
    """
    model = GaussianNB().fit(codes, aux)
    found = model.predict_log_proba(other_codes)
    return float(found[np.arange(len(other_aux)), other_aux].mean())


def steps(sets, seeds) -> None:
    """Print bound, correlation and what codes tell of conditions after some steps.

    A quarter of the samples is held out.
    """
    print(
        "| set, seed | steps | bound, nats per sample | correlation | after "
        "diagonalisation | log-probability of the condition |"
    )
    print("|---|---|---|---|---|---|")
    for name in sets:
        for seed in seeds:
            one = SETS[name](np.random.default_rng(seed))
            if one.aux is None:
                continue
            is_held_out = np.random.default_rng(99).uniform(size=len(one.X)) < 0.25
            trained, others = (
                Conditioned(one.X[some], one.aux[some], one.sources[some])
                for some in (~is_held_out, is_held_out)
            )
            model = auxiliary(one, seed)
            model.set_callbacks(Steps(trained, others, f"{name}, {seed}"))
            model.fit(trained.X, aux=trained.aux)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--power", action="store_true", help="shares that are refused")
    parser.add_argument(
        "--steps", action="store_true", help="steps of AuxiliaryVAE, for --sets"
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=range(N_SEEDS))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message=".*components are not separated")
    if options.power:
        power()
    elif options.steps:
        steps(options.sets, options.seeds)
    elif not options.stored:
        measure(options.sets, options.methods, options.seeds)
    if not (options.power or options.steps):
        show()


if __name__ == "__main__":
    main()

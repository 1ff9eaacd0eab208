"""Measure what quantised latents and a penalty on interactions of latents are worth.

    python benchmarks/latents.py                fit what is missing, and store it
    python benchmarks/latents.py --stored       print what is stored

``--tables``, ``--methods`` and ``--seeds`` choose some of them. These are experiments:
no parameter of an estimator switches them on. The score is the mean rank correlation of
each factor with the component matched to it, over at most 2,000 samples. All fits have
ten components, 1,000 steps and ``weight_decay=0``.

- quantised: codes are rounded to ``1 / LEVELS_PER_UNIT`` before they are decoded,
  within 2.5 of zero, and derivatives are those without rounding. The KL divergence has
  the weight .01, and so has the squared distance of codes from their rounded values,
  after QLAE (Hsu et al. 2023, "Disentanglement via Latent Quantization"), whose levels
  are learned, not fixed.
- interactions: the squared mixed difference of the decoder's output by a random pair of
  latents, divided by the sum of squares of both single differences, times 10 or 100:
  a finite version of the normalised Hessian penalty of Tripod (Hsu et al. 2024,
  "Tripod: Three Complementary Inductive Biases for Disentangled Representation
  Learning"). Few of the pairs are of two active latents.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import recovery
import torch
from sklearn.exceptions import ConvergenceWarning

from skfactorvae import BetaVAETransformer, FactorVAETransformer, core, datasets
from skfactorvae.metrics import mean_correlation_score

RESULTS = Path(__file__).parent / "results" / "latents.csv"
FIELDS = ("table", "method", "seed", "correlation")
LEVELS_PER_UNIT, LIMIT = 2, 2.5
SMALL_WEIGHT = 0.01
STEP = 0.5
"""Change of a latent, in standard deviations of the prior."""


@dataclass(frozen=True, kw_only=True)
class Quantised(core.VAE):
    """VAE whose decoder receives rounded posterior means."""

    def weights(self, ramp):
        return {"kl": SMALL_WEIGHT * ramp, "commitment": SMALL_WEIGHT}

    def terms(self, forward):
        mean = forward.mean
        rounded = (mean.detach() * LEVELS_PER_UNIT).round() / LEVELS_PER_UNIT
        rounded = rounded.clamp(-LIMIT, LIMIT)
        exact = torch.full_like(mean, -20.0)  # log-variance of a draw without noise
        given = forward.with_posterior(mean + (rounded - mean.detach()), exact)
        distance = (mean - rounded).square().sum(-1).mean(-1)
        reconstruction = given.reconstruction
        return {
            "reconstruction": reconstruction,
            "kl": forward.kl,
            "commitment": distance,
        }


@dataclass(frozen=True, kw_only=True)
class WithoutInteractions(core.VAE):
    """VAE with a penalty on the mixed differences of its decoder."""

    weight: float

    def weights(self, ramp):
        return {**super().weights(ramp), "interaction": self.weight * ramp}

    def terms(self, forward):
        z, decode = forward.z, partial(forward.network.decode, forward.weights)
        i, j = forward.batch.order[0, :2, 0] % z.shape[-1]
        first, second = (STEP * torch.eye(z.shape[-1]).to(z)[k] for k in (i, j))
        one, other = (decode(z + move) - forward.output for move in (first, second))
        both = decode(z + first + second) - forward.output
        mixed = (both - one - other).square().sum(-1)  # (K, B)
        single = one.square().sum(-1) + other.square().sum(-1) + 1e-6
        off = (i != j).to(mixed)
        return {**super().terms(forward), "interaction": off * (mixed / single).mean(1)}


class QuantisedVAE(BetaVAETransformer):
    """The VAE with quantised latents."""

    def _objective(self, targets=None):
        return Quantised(**vars(super()._objective()))


class VAEWithoutInteractions(BetaVAETransformer):
    """The VAE with a penalty on interactions."""

    WEIGHT = 10.0

    def _objective(self, targets=None):
        return WithoutInteractions(**vars(super()._objective()), weight=self.WEIGHT)


class StrongerPenalty(VAEWithoutInteractions):
    """The VAE with a penalty of a hundred times the ratio."""

    WEIGHT = 100.0


def of_vae(cls):
    return partial(cls, beta=1.0)


METHODS = {
    "VAE": of_vae(BetaVAETransformer),
    "VAE, beta 0.01": partial(BetaVAETransformer, beta=SMALL_WEIGHT),
    "FactorVAE": FactorVAETransformer,
    "quantised": of_vae(QuantisedVAE),
    "interactions": of_vae(VAEWithoutInteractions),
    "interactions, weight 100": of_vae(StrongerPenalty),
}


def sprites():
    """Return images of 16 x 16 pixels: scale and position of a shape."""
    X, factors = datasets.make_dsprites_like(
        3000, image_size=16, antialias=1.0, random_state=0
    )
    return X, factors[:, [1, 3, 4]]


TABLES = {
    "oscillator": recovery.TUNING["oscillator"],
    "layers": recovery.TUNING["layers"],
    "sprites": sprites,
}


def measure(tables, methods, seeds, n_steps=1000):
    """Fit what is not stored, and store it; seeds are fitted together."""
    done = {(r["table"], r["method"], r["seed"]) for r in stored()}
    for table in tables:
        X, factors = TABLES[table]()
        for method in methods:
            new = [s for s in seeds if (table, method, str(s)) not in done]
            options = {"max_iter": n_steps, "weight_decay": 0.0, "verbose": 0}
            models = [METHODS[method](10, random_state=s, **options) for s in new]
            if not models:
                continue
            models, _ = recovery.fit_all(models, X)
            some = np.random.default_rng(0).permutation(len(X))[: recovery.SCORED_ROWS]
            for seed, model in zip(new, models, strict=True):
                codes = model.transform(X[some])
                value = mean_correlation_score(factors[some], codes, over="factors")
                add((table, method, seed, round(float(value), 4)))
                print(f"{table}, {method}, seed {seed}: {value:.3f}", flush=True)


# --------------------------------------------------------------------------- results
def stored() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def add(row) -> None:
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(FIELDS)
        writer.writerow(row)


def show() -> None:
    """Print the mean over seeds, with the number of seeds, by table and method."""
    rows = stored()
    tables = list(dict.fromkeys(r["table"] for r in rows))
    print("| method | " + " | ".join(tables) + " |")
    print("|---" * (1 + len(tables)) + "|")
    for method in dict.fromkeys(r["method"] for r in rows):
        cells = []
        for table in tables:
            key = table, method
            own = [
                float(r["correlation"])
                for r in rows
                if (r["table"], r["method"]) == key
            ]
            cells.append(f"{np.mean(own):.3f} ({len(own)})" if own else "")
        print(f"| {method} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if not options.stored:
        measure(options.tables, options.methods, options.seeds)
    show()


if __name__ == "__main__":
    main()

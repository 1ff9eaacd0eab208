"""Measure what quantised latents, a penalty on interactions and IB-GAN are worth.

    python benchmarks/latents.py                fit what is missing, and store it
    python benchmarks/latents.py --stored       print what is stored

``--tables``, ``--methods`` and ``--seeds`` choose some of them. These are experiments:
no parameter of an estimator switches them on. The score is the mean rank correlation of
each factor with the component matched to it, over at most 2,000 samples. All fits have
ten components; VAEs make 1,000 steps with ``weight_decay=0``, and GANs 2,000 steps.

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
- IB-GAN: the code of an InfoGAN passes a stochastic bottleneck before the generator,
  two hidden layers of 32 units with normal outputs, one for each latent, in place of
  noise. The KL divergence of these outputs from standard normal ones is added to the
  loss, after Jeon et al. (2021, "IB-GAN: Disentangled Representation Learning with
  Information Bottleneck Generative Adversarial Networks"). Its weight is .14 of that of
  the mutual information, as in their experiments with sprites, or equal to it.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import recovery
import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning

from skfactorvae import (
    BetaVAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
    core,
    datasets,
)
from skfactorvae.core.objectives._infogan import InfoGANDiscriminator
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


WIDTH = 32
"""Hidden units of the bottleneck."""


def bottleneck(weights, z):
    """Return mean and log-variance of the bottleneck's output, (K, B, d) each."""
    hidden = z
    for layer in range(2):
        hidden = F.relu(hidden @ weights[f"bottleneck.{layer}"])
    return (hidden @ weights["bottleneck.2"]).chunk(2, -1)


@dataclass(frozen=True)
class BottleneckGAN(core.GAN):
    """Networks of an InfoGAN whose noise is that of the bottleneck."""

    def generate(self, weights, z, auxiliary_noise, *, noise=True):
        mean, log_var = bottleneck(weights, z)
        draw = mean + (0.5 * log_var).exp() * auxiliary_noise * noise
        return self.decode(weights, draw)


class BottleneckDiscriminator(InfoGANDiscriminator):
    """InfoGAN's discriminator of rows that are generated through the bottleneck."""

    def run(self, forward, weights, gradients):
        own = forward.network
        network = BottleneckGAN(own.network, own.n_noise, own.levels)
        given = vars(forward) | {"network": network}
        names = "network", "likelihood", "weights", "batch", "mask", "ramp"
        through = core.Forward(*(given[name] for name in names))
        terms, record = super().run(through, weights, gradients)
        mean, log_var = bottleneck(forward.weights, forward.batch.noise[:, 1])
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(-1).mean(-1)
        return {**terms, "bottleneck": kl}, record


@dataclass(frozen=True, kw_only=True)
class IBGAN(core.InfoGAN):
    """InfoGAN with a bottleneck between code and generator."""

    share: float = field(metadata={"is_weight": True})
    n_components: int

    @property
    def adversary(self):
        settings = self.lambda_, self.gradient_penalty, self.learning_rate
        return BottleneckDiscriminator(*settings)

    @property
    def parameters(self):
        return {f"bottleneck.{i}": (f"{i}", f"{i + 1}") for i in range(3)}

    def draw(self, n_components):
        sizes = n_components, WIDTH, WIDTH, 2 * n_components
        source = torch.Generator().manual_seed(0)
        return {
            f"bottleneck.{i}": (2 / n) ** 0.5 * torch.randn(n, m, generator=source)
            for i, (n, m) in enumerate(pairwise(sizes))
        }

    def weights(self, ramp):
        return {**super().weights(ramp), "bottleneck": self.share * self.lambda_}


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


class IBGANTransformer(InfoGANTransformer):
    """InfoGAN with a bottleneck, of a small weight."""

    SHARE = 0.14

    def _wrapper(self):
        return "gan", {"n_noise": self.n_components, "levels": ()}

    def _objective(self, targets=None):
        own = {"share": self.SHARE, "n_components": self.n_components}
        return IBGAN(**vars(super()._objective()), **own)


class NarrowerBottleneck(IBGANTransformer):
    """IB-GAN with the weight of the mutual information."""

    SHARE = 1.0


def of_vae(cls):
    return partial(cls, beta=1.0)


METHODS = {
    "VAE": of_vae(BetaVAETransformer),
    "VAE, beta 0.01": partial(BetaVAETransformer, beta=SMALL_WEIGHT),
    "FactorVAE": FactorVAETransformer,
    "quantised": of_vae(QuantisedVAE),
    "interactions": of_vae(VAEWithoutInteractions),
    "interactions, weight 100": of_vae(StrongerPenalty),
    "InfoGAN": InfoGANTransformer,
    "IB-GAN": IBGANTransformer,
    "IB-GAN, weight 1": NarrowerBottleneck,
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


def fitted(method, seeds, X, n_steps):
    """Return models of several seeds, fitted together."""
    models = [METHODS[method](10, random_state=seed, verbose=0) for seed in seeds]
    for model in models:
        if isinstance(model, InfoGANTransformer):
            model.set_params(max_iter=2 * n_steps)
        else:
            model.set_params(max_iter=n_steps, weight_decay=0.0)
    return recovery.fit_all(models, X)[0]


def measure(tables, methods, seeds, n_steps=1000):
    """Fit what is not stored, and store it; seeds are fitted together."""
    done = {(r["table"], r["method"], r["seed"]) for r in stored()}
    for table in tables:
        X, factors = TABLES[table]()
        for method in methods:
            new = [s for s in seeds if (table, method, str(s)) not in done]
            if not new:
                continue
            models = fitted(method, new, X, n_steps)
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

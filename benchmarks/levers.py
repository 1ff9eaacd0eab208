"""Measure what each choice behind the default estimator is worth (an ablation study).

Each row of the result changes one setting of ``FactorVAETransformer()``. The tables are
the tuning tables of ``recovery.py``; those set aside are not used.

    python benchmarks/levers.py --help
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import recovery
import torch
from hooks import Hooked

from skfactorvae import BetaVAETransformer, FactorVAETransformer, core
from skfactorvae.core._latents import order_latents
from skfactorvae.core.objectives import Forward
from skfactorvae.core.objectives._discriminator import discriminator, run_discriminator
from skfactorvae.core.objectives._factor_vae import TotalCorrelationDiscriminator
from skfactorvae.core.objectives._groups import permute_groups
from skfactorvae.preparation._initialization import linear_start, shuffling_auc
from skfactorvae.preparation._options import FIRST_RATE, MAX_ITER

RESULTS = recovery.RESULTS / "levers.csv"
SCORES = ("mcc", "mig", "reconstruction", "used", "bound")


# ------------------------------------------------- changes that are not parameters
@dataclass(frozen=True, kw_only=True)
class WithAdversary(core.FactorVAE):
    """FactorVAE with another discriminator."""

    kind: Callable

    @property
    def adversary(self):
        return self.kind(self.hidden_layer_sizes, self.learning_rate, self.groups)


class GradientPenalised(TotalCorrelationDiscriminator):
    """A discriminator with a gradient penalty on its logits at codes (R1).

    Mescheder et al. (2018), "Which Training Methods for GANs do actually Converge?",
    Eq. 9, by autograd, since the discriminator's own backward pass has no second order.
    """

    WEIGHT = 0.1

    def run(self, forward, weights, gradients):
        terms, record = super().run(forward, weights, gradients)
        z = forward.discriminator_input.detach().requires_grad_()
        network = discriminator(z.shape[-1], self.hidden_layer_sizes)
        leaves = {k: v.detach().requires_grad_() for k, v in weights.items()}
        logits = network(leaves, z).squeeze(-1)
        (slope,) = torch.autograd.grad(logits.sum(), z, create_graph=True)
        penalty = 0.5 * self.WEIGHT * slope.square().sum(-1).mean(1)
        found = torch.autograd.grad(
            penalty.sum(), list(leaves.values()), allow_unused=True
        )
        for name, gradient in zip(leaves, found, strict=True):
            if gradient is not None:
                gradients[name].add_(gradient)
        return terms, record


@dataclass(frozen=True, kw_only=True)
class Orthogonal(core.FactorVAE):
    """FactorVAE with a penalty on decoder directions that are not orthogonal.

    The penalty is the squared cosine between the derivatives of the output with respect
    to one random pair of latents per step, at each code, by finite differences.
    """

    weight: float = 10.0
    step: float = 0.1

    def weights(self, ramp):
        return {**super().weights(ramp), "cosine": self.weight * ramp}

    def terms(self, forward):
        z, d = forward.z, forward.z.shape[-1]
        i, j = forward.batch.order[0, :2, 0] % d
        tangents = []
        for k in (i, j):
            moved = z.clone()
            moved[..., k] = moved[..., k] + self.step
            tangents.append(
                forward.network.decode(forward.weights, moved) - forward.output
            )
        a, b = tangents
        norms = a.square().sum(-1) * b.square().sum(-1) + 1e-6
        cosine = (a * b).sum(-1).square() / norms  # (K, B)
        off = (i != j).to(cosine)
        return {**super().terms(forward), "cosine": off * cosine.mean(1)}


class UnscaledForward(Forward):
    """A forward pass whose discriminator inputs are not scaled by informativeness."""

    _informativeness = 1.0


class UnscaledInputs(TotalCorrelationDiscriminator):
    """A discriminator whose inputs have the scale of the codes."""

    def run(self, forward, weights, gradients):
        parts = {f.name: getattr(forward, f.name) for f in fields(forward) if f.init}
        return super().run(UnscaledForward(**parts), weights, gradients)


class NoInstanceNoise(TotalCorrelationDiscriminator):
    """A discriminator without instance noise on its inputs."""

    def run(self, forward, weights, gradients):
        sharp = torch.zeros_like(forward.batch.instance_noise)
        forward = replace(forward, batch=replace(forward.batch, instance_noise=sharp))
        return super().run(forward, weights, gradients)


class UnboundedLogits(TotalCorrelationDiscriminator):
    """A discriminator without the bound on the logits in the encoder's gradient."""

    def run(self, forward, weights, gradients):
        z, others = forward.discriminator_input, forward.second_discriminator_input
        network = discriminator(z.shape[-1], self.hidden_layer_sizes)
        permuted = permute_groups(others, forward.batch.order, self.groups)
        result = run_discriminator(network, weights, gradients, z, permuted)
        ratio = result.term(result.logits.mean(1), torch.ones_like(result.logits))
        return {"total_correlation": ratio}, result.record


MORE_STEPS: dict[torch.Tensor, torch.optim.Adam] = {}
"""The optimiser of the additional steps of a discriminator, by its first weight."""


@dataclass(frozen=True)
class TwoSteps(TotalCorrelationDiscriminator):
    """A discriminator that makes an additional step first, on swapped batches.

    That step has its own Adam optimiser, with separate moments.
    """

    schedule: core.Schedule = None

    def run(self, forward, weights, gradients):
        first, *rest = weights.values()
        if first not in MORE_STEPS:
            MORE_STEPS[first] = torch.optim.Adam([first, *rest], betas=(0.5, 0.9))
        optimiser = MORE_STEPS[first]
        done = int(optimiser.state[first].get("step", 0))
        optimiser.param_groups[0]["lr"] = self.learning_rate * self.schedule.decay(done)
        z, others = forward.discriminator_input, forward.second_discriminator_input
        network = discriminator(z.shape[-1], self.hidden_layer_sizes)
        permuted = permute_groups(z.detach(), forward.batch.order, self.groups)
        run_discriminator(network, weights, gradients, others, permuted)
        optimiser.step()
        return super().run(forward, weights, gradients)


class WithDiscriminator(FactorVAETransformer):
    """The default estimator with another discriminator."""

    def _objective(self):
        return WithAdversary(**vars(super()._objective()), kind=self.kind)


class WithGradientPenalty(WithDiscriminator):
    """The default estimator with the R1 penalty."""

    kind = GradientPenalised


class WithUnscaledInputs(WithDiscriminator):
    """The default estimator without the scaling of discriminator inputs."""

    kind = UnscaledInputs


class WithoutInstanceNoise(WithDiscriminator):
    """The default estimator without instance noise."""

    kind = NoInstanceNoise


class OrthogonalDecoder(FactorVAETransformer):
    """The default estimator with the orthogonality penalty."""

    def _objective(self):
        return Orthogonal(**vars(super()._objective()))


class WithUnboundedLogits(WithDiscriminator):
    """The default estimator without a bound on logits."""

    kind = UnboundedLogits


class TwiceTheSteps(WithDiscriminator):
    """The default estimator with two discriminator steps per model step."""

    @property
    def kind(self):
        schedule = core.Schedule(
            max_iter=MAX_ITER["adam"],
            batch_size=self.batch_size,
            learning_rate=FIRST_RATE["adam"],
            warmup=self.warmup,
        )
        return functools.partial(TwoSteps, schedule=schedule)


class ConstantSchedule(core.Schedule):
    """A schedule with constant learning rates."""

    def decay(self, step):
        return 1.0


class ConstantRates(Hooked):
    """The default estimator with constant learning rates."""

    def change_schedule(self, schedule):
        return ConstantSchedule(**vars(schedule))


class SlowScale(Hooked):
    """The default estimator with the common learning rate for the noise scale."""

    def change_job(self, job):
        return replace(job, likelihood=SlowGaussian(job.likelihood.scale))

    def change_fit(self, fit):
        weights = dict(fit.weights)
        weights["likelihood.raw_scale"] = (
            weights["likelihood.raw_scale"]
            * SlowGaussian.LR_MULTIPLIER
            / core.Gaussian.LR_MULTIPLIER
        )
        return replace(fit, weights=weights)


class SlowGaussian(core.Gaussian):
    """A Gaussian likelihood whose scale has the common learning rate."""

    LR_MULTIPLIER = 1.0


class Averaged(Hooked):
    """The default estimator with weights averaged over the last fifth of a fit."""

    def train(self, jobs, schedule, *, devices, **options):
        return [self.train_one(job, schedule, devices[0]) for job in jobs]

    def train_one(self, job, schedule, device):
        """Return the fit of one job."""
        kept = []

        def watch(record):
            if record.step > 0.8 * schedule.max_iter:
                kept.append(record.weights(0))
            return [False]

        (fit,) = core.fit_stack([job], schedule, device=device, watch=watch)
        mean = {k: np.mean([w[k] for w in kept], axis=0) for k in fit.weights}
        mean = {k: v.astype(fit.weights[k].dtype) for k, v in mean.items()}
        weights, kl, variance = order_latents(job, mean, device)
        return replace(fit, weights=weights, kl=kl, variance=variance)


class BestOfThree(FactorVAETransformer):
    """The best of three fits, by the evidence lower bound of the training samples."""

    SHARE = 1.0
    """Share of the steps that each fit gets."""

    def fit(self, X, y=None):
        parameters = self.get_params()
        steps = MAX_ITER["adam"] if self.max_iter == "auto" else self.max_iter
        parameters["max_iter"] = max(1, round(self.SHARE * steps))
        seeds = self.random_state + np.array([0, 100, 200])
        runs = [
            FactorVAETransformer(**parameters | {"random_state": int(seed)}).fit(X)
            for seed in seeds
        ]
        best = max(runs, key=lambda run: run.score(X))
        vars(self).update({k: v for k, v in vars(best).items() if k not in parameters})
        return self


class BestOfThreeShort(BestOfThree):
    """The best of three fits with a third of the steps each."""

    SHARE = 1 / 3


# -------------------------------------------------------------------------- levers
def changed(cls=FactorVAETransformer, **parameters):
    return lambda n_features, seed: cls(
        recovery.N_COMPONENTS, random_state=seed, **parameters
    )


LEVERS = {
    "the default": changed(),
    "gamma = 0": changed(gamma=0.0),
    "gamma = 3": changed(gamma=3.0),
    "gamma = 30": changed(gamma=30.0),
    "beta = 2": changed(beta=2.0),
    "beta = 4": changed(beta=4.0),
    "start: FastICA": changed(init="ica"),
    "start: PCA": changed(init="pca"),
    "start: random": changed(init="random", temperature=1.0),
    "start: random, T chosen by the fit": changed(init="random"),
    "start: random, T = 30": changed(init="random", temperature=30.0),
    "T = 1": changed(temperature=1.0),
    "capacity grows to 15 nats": changed(
        BetaVAETransformer, beta=100.0, capacity=15.0, warmup=0.8, temperature=1.0
    ),
    "T = 3": changed(temperature=3.0),
    "T = 30 from every start": changed(temperature=30.0),
    "noise scale: shared": changed(noise_scale="shared"),
    "noise scale: common learning rate": changed(SlowScale),
    "noise scale: fixed at 0.3": changed(noise_scale=0.3),
    "discriminator 3 x 256": changed(discriminator_hidden_layer_sizes=(256,) * 3),
    "discriminator 2 x 32": changed(discriminator_hidden_layer_sizes=(32, 32)),
    "discriminator: learning rate 1e-4": changed(discriminator_learning_rate=1e-4),
    "discriminator: learning rate 3e-3": changed(discriminator_learning_rate=3e-3),
    "discriminator: two steps per model step": changed(TwiceTheSteps),
    "discriminator: gradient penalty (R1)": changed(WithGradientPenalty),
    "discriminator: logits not bounded": changed(WithUnboundedLogits),
    "discriminator input: not scaled": changed(WithUnscaledInputs),
    "discriminator input: no instance noise": changed(WithoutInstanceNoise),
    "encoder input: no noise": changed(input_noise=0.0),
    "encoder input: noise of one": changed(input_noise=1.0),
    "orthogonal decoder": changed(OrthogonalDecoder),
    "no warm-up": changed(warmup=0.0),
    "warm-up over half of the steps": changed(warmup=0.5),
    "constant learning rates": changed(ConstantRates),
    "learning rate 1e-3": changed(learning_rate=1e-3),
    "learning rate 1e-2": changed(learning_rate=1e-2),
    "averaged weights": changed(Averaged),
    "2,500 steps": changed(max_iter=2500),
    "10,000 steps": changed(max_iter=10_000),
    "best of 3 fits by the ELBO": changed(BestOfThree),
    "best of 3 fits of 1,667 steps": changed(BestOfThreeShort),
    "batch of 64": changed(batch_size=64),
    "batch of 256": changed(batch_size=256),
    "ReLU": changed(activation="relu"),
    "width 64": changed(hidden_layer_sizes=(64, 64)),
    "width 256": changed(hidden_layer_sizes=(256, 256)),
}


def measure(levers, tables, n_seeds):
    """Yield one record per table, lever and seed; the fits of a table run together."""
    for table in tables:
        start = time.perf_counter()
        split = recovery.Split.of(recovery.TUNING[table]())
        runs = list(itertools.product(levers, range(n_seeds)))
        models = [LEVERS[name](split.X.shape[1], seed) for name, seed in runs]
        models, _ = recovery.fit_all(models, split.X[split.train])
        for (name, seed), model in zip(runs, models, strict=True):
            scores = recovery.evaluate(model, split, with_dci=False).scores
            del scores["dci"]
            yield {
                "lever": name,
                "table": table,
                "seed": seed,
                **scores,
                "bound": model.score(split.X[split.test]),
                "init": model.init_,
            }
        print(f"{table}: {time.perf_counter() - start:.0f} s", flush=True)


def print_table(records):
    """Print the scores of each lever, and its change of the mean over the tables."""
    names = list(dict.fromkeys(r["lever"] for r in records))
    tables = list(dict.fromkeys(r["table"] for r in records))

    def mean(key, **where):
        return np.mean(
            [r[key] for r in records if all(r[k] == v for k, v in where.items())]
        )

    print(f"\n| | {' | '.join(tables)} | mean | change | MIG | ELBO, nats |")
    print("|---|" + "---|" * (len(tables) + 4))
    for name in names:
        cells = [f"{mean('mcc', lever=name, table=t):.3f}" for t in tables]
        total, first = mean("mcc", lever=name), mean("mcc", lever=names[0])
        others = (
            f"{total:.3f} | {total - first:+.3f} | {mean('mig', lever=name):.3f} | "
            f"{mean('bound', lever=name):.1f}"
        )
        print(f"| {name} | {' | '.join(cells)} | {others} |")


def print_scores(records, key):
    """Print the mean over seeds of one score, by lever and table."""
    tables = list(dict.fromkeys(r["table"] for r in records))
    print(f"\n| {key} | {' | '.join(tables)} |\n|---|{'---|' * len(tables)}")
    for name in dict.fromkeys(r["lever"] for r in records):
        means = [
            np.mean([r[key] for r in records if (r["lever"], r["table"]) == (name, t)])
            for t in tables
        ]
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


def print_all(records, scores):
    """Print the table of all levers, or a table of each of some scores."""
    if not scores:
        print_table(records)
    for key in scores or ():
        print_scores(records, key)


def print_starts():
    """Print the test that selects the initialisation of each table."""
    print("| table | components | area | initialisation |\n|---|---|---|---|")
    for name, table in recovery.TUNING.items():
        split = recovery.Split.of(table())
        X = split.X[split.train]
        ica, auto = (
            linear_start(kind, X, np.ones(len(X)), recovery.N_COMPONENTS, seed=0)
            for kind in ("ica", "auto")
        )
        components = X @ ica.encoder[:, ica.encoder.any(axis=0)]
        area = shuffling_auc(components, np.random.RandomState(0))
        print(f"| {name} | {components.shape[1]} | {area:.2f} | {auto.kind} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levers", nargs="+", default=list(LEVERS), choices=LEVERS)
    parser.add_argument(
        "--tables",
        nargs="+",
        default=list(recovery.TUNING),
        choices=list(recovery.TUNING),
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--stored", action="store_true", help="only print the results stored in --out"
    )
    parser.add_argument(
        "--starts",
        action="store_true",
        help="only print the test that selects the initialisation",
    )
    parser.add_argument(
        "--show",
        nargs="+",
        choices=SCORES,
        help="print these scores by table, and store nothing",
    )
    options = parser.parse_args()
    if options.starts:
        print_starts()
        return
    if options.stored:
        print_all(recovery.read(options.out), options.show)
        return
    records = []
    for record in measure(options.levers, options.tables, options.seeds):
        records.append(record)
        if not options.show:
            recovery.write(records, options.out)
    print_all(records, options.show)


if __name__ == "__main__":
    main()

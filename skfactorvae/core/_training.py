"""The one loop: many fits are one fit with a longer first axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._dense import Weights
from ._inference import elbo
from ._latent_axes import narrow, widen
from ._likelihoods import Likelihood
from ._modules import FIXED
from ._networks import Network
from ._random import Draws, Streams, draw_steps, undisturbed
from ._replay import Replay, at_once, can_replay
from ._tables import LabelTable, cumulative, join_shares, join_tables
from ._threads import thread_limit
from .objectives import AdversarialObjective, Batch, Forward, Labelled, Objective

Arrays = Mapping[str, np.ndarray]

RECORDS = 200
"""Entries of a history, at most."""

COOLED = 0.8
"""Share of the steps after which a tempered likelihood has its full weight."""

BLURRED_ROWS = 400
"""Rows of a table whose codes a discriminator sees through noise of variance one."""

EXPLOSION = 1e6
"""Growth of the reconstruction error over a fit that counts as divergence."""

ADAM_BETAS = {"model": (0.9, 0.999), "adversary": (0.5, 0.9)}
"""Those of Kim & Mnih (2018), Appendix A."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train; shared by a stack.

    Parameters
    ----------
    max_iter : int
        Gradient steps.
    batch_size : int
        Rows of a batch.
    learning_rate : float
        Adam's, for the model.
    warmup : float in [0, 1]
        Share of the steps over which penalties grow from nothing.
    patience : int or None
        Steps without a better held-out ELBO after which a model stops.
    """

    max_iter: int
    batch_size: int
    learning_rate: float
    warmup: float
    patience: int | None = None

    @property
    def record_every(self) -> int:
        """Steps between two records."""
        return math.ceil(self.max_iter / RECORDS)

    def ramp(self, step: int) -> float:
        """Return how far the warm-up has come, in [0, 1]."""
        return min(1.0, step / max(1.0, self.warmup * self.max_iter))

    def cooled(self, step: int) -> float:
        """Return how far a likelihood's temperature has come to one, in [0, 1]."""
        return min(1.0, step / max(1.0, COOLED * self.max_iter))

    def decay(self, step: int) -> float:
        """Return the share of their first value that rates have left: a cosine."""
        return 0.51 + 0.49 * math.cos(math.pi * step / self.max_iter)


@dataclass(frozen=True)
class HeldOut:
    """Rows (m, p) kept back for early stopping, and their weights (m,)."""

    rows: np.ndarray
    row_weights: np.ndarray


@dataclass(frozen=True)
class Job:
    """One model to be fitted.

    Parameters
    ----------
    network, likelihood, objective
        What the model is, and what it minimises.
    rows : ndarray of shape (n, p)
        Standardised rows; their dtype is the precision of the training.
    row_weights : ndarray of shape (n,)
        Positive weights of the rows.
    seed : int
        Seed of every draw.
    start : mapping of str to ndarray
        Weights to begin with; those that are missing are drawn.
    held_out : HeldOut or None
        Rows for early stopping.
    temperature : float, default=1
        Temperature T of the likelihood at the first step, >= 1: the reconstruction
        counts 1 / T, which grows to one over the first 80 % of the steps, at a constant
        rate of its logarithm. Penalties grow with it.
    labels : ndarray of shape (n, m) or None
        What is known of each row beside its features; NaN where nothing is.
    input_noise : float, default=0
        Noise on rows that the encoder sees, in deviations of the likelihood's own.
        Where the likelihood is tempered, its variance counts as little as the
        reconstruction does.
    noise_ceiling : ndarray of shape (p,) or None
        What is taken for a feature's own noise at most.
    """

    network: Network
    likelihood: Likelihood
    objective: Objective
    rows: np.ndarray
    row_weights: np.ndarray
    seed: int
    start: Arrays = field(default_factory=dict)
    held_out: HeldOut | None = None
    temperature: float = 1.0
    labels: np.ndarray | None = None
    input_noise: float = 0.0
    noise_ceiling: np.ndarray | None = None

    def is_warm(self, plan: Plan, step: int) -> bool:
        """Tell whether the objective has come to its full form."""
        tempered = self.temperature != 1
        return plan.ramp(step) >= 1 and (not tempered or plan.cooled(step) >= 1)

    @property
    def signature(self) -> tuple[object, ...]:
        """What jobs must share to be fitted as one stack."""
        return (
            self.network.signature,
            self.likelihood,
            type(self.objective),
            tuple(self.objective.structure.items()),
            self.rows.dtype,
            self.labels is None,
        )


@dataclass(frozen=True)
class Fit:
    """What became of a job.

    Attributes
    ----------
    weights : dict of str to ndarray
        The trained weights, adversary included.
    history : dict of str to ndarray of shape (n_records,)
        ``step``, and the mean of each named term since the record before.
    n_iter : int
        Steps made.
    kept_step : int
        Step whose weights these are: the last, the best on held-out rows, or the last
        finite one.
    diverged_at : int or None
        Step at which a value was found not to be finite.
    """

    weights: dict[str, np.ndarray]
    history: dict[str, np.ndarray]
    n_iter: int
    kept_step: int
    diverged_at: int | None


@dataclass(frozen=True)
class Record:
    """A moment of training, as seen from outside."""

    step: int
    terms: list[dict[str, float]]  # K
    weights: Callable[[int], dict[str, np.ndarray]]  # of model k, now
    is_last: list[bool]  # K, whether training ends here of its own accord


Watch = Callable[[Record], Sequence[bool]]
"""Sees each record; says for each model whether to stop it."""


def fit_stack(
    jobs: Sequence[Job],
    plan: Plan,
    *,
    device: torch.device,
    n_threads: int | None = None,
    watch: Watch | None = None,
) -> list[Fit]:
    """Train K models together; the result equals training each alone.

    Parameters
    ----------
    jobs : sequence of K Job
        Jobs of one signature. They may differ in weights of terms, seed, rows and
        number of latents.
    plan : Plan
        Budget and schedule.
    device : torch.device
        Where to train.
    n_threads : int or None
        CPU threads; None takes one for small models and torch's number for large.
    watch : callable, optional
        Called with a :class:`Record` up to 200 times.

    Returns
    -------
    list of K Fit
    """
    if len({job.signature for job in jobs}) > 1:
        raise ValueError("Jobs of different signatures cannot share a stack.")
    work = len(jobs) * plan.batch_size * work_of_a_row(jobs[0])
    with undisturbed(), thread_limit(n_threads, work, device):
        return _Stack(jobs, plan, device).train(watch)


def work_of_a_row(job: Job) -> int:
    """Multiplications of one row's share of a training step, roughly."""
    count = 4 * job.network.multiplications
    if isinstance(job.objective, AdversarialObjective):
        count += 7 * job.objective.multiplications(job.network.n_components)
    return count


class _Player:
    """Weights of K models that are moved together, with one optimiser state."""

    def __init__(self, models: Sequence[Weights], like: Tensor):
        stacked = {k: torch.stack([m[k] for m in models]).to(like) for k in models[0]}
        self.leaves = {
            k: v.requires_grad_() for k, v in stacked.items() if k not in FIXED
        }
        self.fixed = {k: v for k, v in stacked.items() if k in FIXED}
        for leaf in self.leaves.values():
            leaf.grad = torch.zeros_like(leaf)

    @property
    def weights(self) -> Weights:
        """Named weights, each with the leading axis K."""
        return {**self.leaves, **self.fixed}

    @property
    def gradients(self) -> Weights:
        """Where the optimiser looks for the gradients, weight by weight."""
        # Never None: each has had its place since __init__.
        return {k: leaf.grad for k, leaf in self.leaves.items()}  # type: ignore[misc]

    def by_pace(self, network: Network) -> dict[float, list[Tensor]]:
        """Sort the weights by the share of the rate at which they move."""
        sorted_leaves: dict[float, list[Tensor]] = {}
        for name, leaf in self.leaves.items():
            sorted_leaves.setdefault(network.pace(name), []).append(leaf)
        return sorted_leaves

    def differentiate(self, loss: Tensor) -> None:
        """Leave the gradient of the loss (K,) with respect to these weights alone.

        The fused optimiser walks through memory, so gradients must lie as weights do.
        """
        leaves = list(self.leaves.values())
        gradients = torch.autograd.grad(loss.sum(), leaves)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient.contiguous()

    def copy(self, k: int) -> list[Tensor]:
        """Copy the weights of model k."""
        return [leaf[k].detach().clone() for leaf in self.leaves.values()]

    def restore(self, k: int, kept: Sequence[Tensor]) -> None:
        """Put copied weights of model k back."""
        with torch.no_grad():
            for leaf, value in zip(self.leaves.values(), kept, strict=True):
                leaf[k] = value

    def is_finite(self) -> Tensor:
        """Tell for each model whether all its weights are finite, (K,)."""
        sums = [leaf.detach().flatten(1).sum(1) for leaf in self.leaves.values()]
        return torch.stack(sums).isfinite().all(0)


class _Stack:
    """K jobs in training."""

    def __init__(self, jobs: Sequence[Job], plan: Plan, device: torch.device):
        self.jobs, self.plan, self.device = jobs, plan, device
        self.network = max((j.network for j in jobs), key=lambda n: n.n_components)
        self.likelihood = jobs[0].likelihood
        streams = [Streams.from_seed(job.seed) for job in jobs]
        self.rows, offsets = join_tables([job.rows for job in jobs], device)
        self.objective = type(jobs[0].objective).stack(
            [job.objective for job in jobs], self.rows
        )
        parts = self.network, self.likelihood, self.objective
        self.is_replayed = can_replay(device, *parts)
        self.temperature = self.rows.new_tensor([job.temperature for job in jobs])
        self.widths = [job.network.n_components for job in jobs]
        self.mask = self._mask()
        self.players = self._draw_players(streams)
        self.optimiser = self._optimiser()
        self.latest: Draws
        self.first_nll: Tensor | None = None
        row_weights = [job.row_weights for job in jobs]
        cdfs = [cumulative(weights) for weights in row_weights]
        self.offsets = torch.tensor(offsets, device=device)[:, None]  # (K, 1)
        labels = [job.labels for job in jobs if job.labels is not None]
        self.labels = LabelTable(labels, row_weights, self.rows) if labels else None
        self.shares = join_shares(row_weights).to(self.rows)
        self.blur = self.rows.new_tensor([_blur(weights) for weights in row_weights])
        self.input_noise = self.rows.new_tensor([job.input_noise for job in jobs])
        self.noise_ceiling = self._noise_ceiling()
        self.draws = draw_steps(
            streams,
            cdfs,
            offsets,
            self.widths,
            plan.batch_size,
            n_aside=self.network.n_aside,
            label_cdfs=self.labels.cdfs if self.labels else (),
            n_disturbed=self.rows.shape[1] if self.input_noise.any() else 0,
            device=device,
            dtype=self.rows.dtype,
        )
        self.run = Replay(device) if self.is_replayed else at_once

    def _mask(self) -> Tensor | None:
        d = self.network.n_components
        if all(width == d for width in self.widths):
            return None
        exists = (
            torch.arange(d, device="cpu")
            < torch.tensor(self.widths, device="cpu")[:, None]
        )  # (K, d)
        return exists[:, None].to(self.rows)

    def _noise_ceiling(self) -> Tensor:
        n_features = self.rows.shape[1]
        ceilings = [
            np.full(n_features, np.inf)
            if job.noise_ceiling is None
            else job.noise_ceiling
            for job in self.jobs
        ]
        return torch.from_numpy(np.stack(ceilings)).to(self.rows)[:, None]  # (K, 1, p)

    def _draw_players(self, streams: Sequence[Streams]) -> dict[str, _Player]:
        """Draw all weights, and deal them out to those who move them."""
        d = self.network.n_components
        models = []
        for job, stream in zip(self.jobs, streams, strict=True):
            weights = _draw_weights(job, stream)
            for name in weights.keys() & job.start.keys():
                weights[name] = torch.tensor(job.start[name], device="cpu")
            models.append({k: widen(k, v, d) for k, v in weights.items()})
        if not isinstance(self.objective, AdversarialObjective):
            return {"model": _Player(models, self.rows)}
        hands: dict[str, list[Weights]] = {"model": [], "adversary": []}
        for weights in models:
            moved = {k: v for k, v in weights.items() if self.objective.moves(k)}
            hands["adversary"].append(moved)
            kept = {k: v for k, v in weights.items() if k not in moved}
            hands["model"].append(kept)
        return {role: _Player(hand, self.rows) for role, hand in hands.items()}

    def _optimiser(self) -> torch.optim.Optimizer:
        """One Adam for all players, with groups of the same rate and moments."""
        rates = {"model": self.plan.learning_rate}
        if isinstance(self.objective, AdversarialObjective):
            rates["adversary"] = self.objective.learning_rate
        groups = [
            {
                "params": leaves,
                "betas": ADAM_BETAS[role],
                "first_lr": rates[role] * pace,
            }
            for role, player in self.players.items()
            for pace, leaves in player.by_pace(self.network).items()
        ]
        if self.is_replayed:  # such a step reads its rates where it runs
            for group in groups:
                group["lr"] = torch.zeros((), dtype=torch.float32, device=self.device)
        return torch.optim.Adam(groups, fused=True, capturable=self.is_replayed)

    # ------------------------------------------------------------------ a step
    def step(self, number: int) -> dict[str, Tensor]:
        """Move every player once; return the named terms (K,)."""
        coolness = self.temperature ** (self.plan.cooled(number) - 1)  # (K,)
        ramp = coolness.clamp(max=self.plan.ramp(number))
        self.latest = next(self.draws)
        self._slow_down(number)
        return self.run(self._move, ramp, coolness, *vars(self.latest).values())

    def _move(
        self, ramp: Tensor, coolness: Tensor, *draws: Tensor
    ) -> dict[str, Tensor]:
        """Do what a step is, given all that differs between steps as tensors."""
        forward = self._forward(Draws(*draws), ramp, coolness)
        terms = self.objective.terms(forward)
        if self.first_nll is None:
            self.first_nll = forward.nll.detach().mean(1)
        recorded: dict[str, Tensor] = {}
        if isinstance(self.objective, AdversarialObjective):
            adversary = self.players["adversary"]
            more, recorded = self.objective.play(
                forward, adversary.leaves, adversary.gradients
            )
            terms |= more
        weights = {"reconstruction": coolness, **self.objective.weights(ramp)}
        loss = _weighted_sum(terms, weights)
        self.players["model"].differentiate(loss)
        self.optimiser.step()
        return {k: v.detach() for k, v in (terms | recorded).items()}

    def _slow_down(self, number: int) -> None:
        """Set the rates of a step."""
        for group in self.optimiser.param_groups:
            rate = group["first_lr"] * self.plan.decay(number)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _forward(
        self,
        draws: Draws,
        ramp: Tensor | float = 1.0,
        coolness: Tensor | float = 0.0,
    ) -> Forward:
        """Return a step; without a coolness, the encoder sees rows as they are."""
        numbers = draws.rows[:, 0] - self.offsets
        amount = self.input_noise * coolness**0.5  # (K,)
        batch = Batch(
            rows=self.rows[draws.rows],
            noise=draws.noise,
            aside=draws.aside,
            order=draws.order,
            numbers=numbers,
            table_shares=self.shares,
            blur=self.blur,
            row_noise=draws.row_noise * amount[:, None, None, None],
            noise_ceiling=self.noise_ceiling,
            labelled=self._labelled(draws, numbers),
        )
        weights = {k: w for p in self.players.values() for k, w in p.weights.items()}
        return Forward(self.network, self.likelihood, weights, batch, self.mask, ramp)

    def _labelled(self, draws: Draws, numbers: Tensor) -> Labelled | None:
        if self.labels is None:
            return None
        chosen = draws.labelled - self.offsets.unsqueeze(-1)  # (K, m, B)
        return Labelled(
            rows=self.rows[draws.labelled],
            noise=draws.label_noise,
            values=self.labels.of_their_own(chosen),
            known=self.labels.of_all(numbers),
        )

    # ---------------------------------------------------------------- the loop
    def train(self, watch: Watch | None) -> list[Fit]:
        """Run the plan and return what became of each job."""
        keepers = [_Keeper(self, k) for k in range(len(self.jobs))]
        total, since = None, 0
        for number in range(1, self.plan.max_iter + 1):
            terms = self.step(number - 1)
            values = torch.stack(list(terms.values()))  # (terms, K)
            total = values if total is None else total.add_(values)
            since += 1
            if number % self.plan.record_every and number < self.plan.max_iter:
                continue
            self._record(number, list(terms), total / since, keepers, watch)
            total, since = None, 0
            if all(keeper.is_done for keeper in keepers):
                break
        return [keeper.fit() for keeper in keepers]

    def _record(
        self,
        number: int,
        names: list[str],
        means: Tensor,
        keepers: Sequence[_Keeper],
        watch: Watch | None,
    ) -> None:
        table = means.cpu().double().numpy()  # (terms, K)
        finite = np.isfinite(table).all(0) & self._works()
        records = [dict(zip(names, column, strict=True)) for column in table.T]
        for keeper, record, is_finite in zip(keepers, records, finite, strict=True):
            keeper.see(number, record, bool(is_finite))
        if watch is None:
            return
        is_last = [number == self.plan.max_iter or k.is_done for k in keepers]
        stops = watch(Record(number, records, self.export, is_last))
        for keeper, stop in zip(keepers, stops, strict=True):
            keeper.is_done |= stop

    def _works(self) -> np.ndarray:
        """Tell which models are finite, and no wreck, with the weights of now, (K,).

        Weights can be finite and yet too large to compute with, which only a forward
        pass shows; and a loss can explode without ever overflowing, or rows without the
        loss, where the noise scale follows them.
        """
        finite = [player.is_finite() for player in self.players.values()]
        with torch.no_grad():
            forward = self._forward(self.latest)
        nll = forward.nll.mean(1)
        assert self.first_nll is not None
        sane = nll <= EXPLOSION * self.first_nll.abs().clamp(min=self.rows.shape[1])
        largest = forward.x.abs().flatten(1).amax(1).clamp(min=1.0)
        sane &= forward.output.abs().flatten(1).amax(1) <= EXPLOSION * largest
        finite += [sane, nll.isfinite(), forward.z.flatten(1).sum(1).isfinite()]
        return torch.stack(finite).all(0).cpu().numpy()

    def export(self, k: int) -> dict[str, np.ndarray]:
        """Copy the weights of model k out of the stack."""
        return {
            name: narrow(name, w[k].detach(), self.widths[k]).cpu().numpy().copy()
            for player in self.players.values()
            for name, w in player.weights.items()
        }


class _Keeper:
    """Keeps the best weights seen of one model, and decides when it is done."""

    def __init__(self, stack: _Stack, k: int):
        self.stack, self.k, self.job = stack, k, stack.jobs[k]
        self.kept = self._copy()
        self.history: list[dict[str, Any]] = []
        self.best, self.kept_step = -math.inf, 0
        self.n_iter = 0
        self.diverged_at: int | None = None
        self.is_done = False

    def _copy(self) -> list[list[Tensor]]:
        return [p.copy(self.k) for p in self.stack.players.values()]

    def see(self, step: int, record: dict[str, float], is_finite: bool) -> None:
        """Take a record in, unless the model is done already."""
        if self.is_done:
            return
        self.n_iter, self.names = step, ["step", *record]
        if self.job.held_out is not None:
            self.names.append("validation_elbo")
        if not is_finite:
            self.diverged_at, self.is_done = step, True
            return
        if self.job.held_out is None:
            self.kept, self.kept_step = self._copy(), step
        else:
            record = {**record, "validation_elbo": self._validate(step)}
        self.history.append({"step": step, **record})

    def _validate(self, step: int) -> float:
        plan, stack = self.stack.plan, self.stack
        weights = stack.export(self.k)
        held_out = self.job.held_out
        assert held_out is not None
        elbos = elbo(
            self.job.network,
            self.job.likelihood,
            weights,
            held_out.rows,
            n_directions=1,
            prior=self.job.objective.prior,
            device=stack.device,
        )
        score = float(np.average(elbos, weights=held_out.row_weights))
        is_warm = self.job.is_warm(plan, step)
        if not is_warm or score > self.best:
            self.kept, self.kept_step = self._copy(), step
            self.best = score if is_warm else -math.inf
        self.is_done = step - self.kept_step >= (plan.patience or math.inf)
        return score

    def fit(self) -> Fit:
        """Write the kept weights back and return the outcome."""
        for player, kept in zip(self.stack.players.values(), self.kept, strict=True):
            player.restore(self.k, kept)
        history = {n: np.array([r[n] for r in self.history]) for n in self.names}
        weights = self.stack.export(self.k)
        return Fit(weights, history, self.n_iter, self.kept_step, self.diverged_at)


def _blur(row_weights: np.ndarray) -> float:
    """Return the noise that keeps a discriminator from knowing each row's code.

    It falls with the rows that weights leave, and is one, the deviation of the prior,
    for the fewest.
    """
    return min(1.0, BLURRED_ROWS / effective_rows(row_weights))


def effective_rows(row_weights: np.ndarray) -> float:
    """Return Kish's effective sample size, at most the number of rows."""
    return float(row_weights.sum() ** 2 / np.square(row_weights).sum())


def _draw_weights(job: Job, streams: Streams) -> Weights:
    """Draw all weights of one model, the adversary's last."""
    weights = job.network.draw(streams.network)
    weights |= job.likelihood.draw(job.network.n_features)
    if isinstance(job.objective, AdversarialObjective):
        d = job.network.n_components
        weights |= job.objective.draw_adversary(d, streams.adversary)
    return weights


def _weighted_sum(terms: dict[str, Tensor], weights: dict[str, Tensor]) -> Tensor:
    parts = [v * weights[k] if k in weights else v for k, v in terms.items()]
    return torch.stack(parts).sum(0)  # (K,)

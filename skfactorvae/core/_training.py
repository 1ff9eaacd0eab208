"""The one loop: many fits are one fit with a longer first axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._dense import Weights
from ._devices import thread_limit, undisturbed
from ._inference import elbo
from ._job import Fit, Job, Record, Watch, effective_sample_size
from ._latent_axes import narrow, widen
from ._modules import FIXED
from ._networks import Network
from ._replay import Replay, at_once, can_replay
from ._sampling import Draws, Streams, draw_steps
from ._schedule import Schedule
from ._tables import LabelTable, cumulative, join_shares, join_tables
from .objectives import AdversarialObjective, Batch, Forward, Labelled

FULL_NOISE_SAMPLE_SIZE = 400
"""Effective sample size up to which instance noise has standard deviation one."""

EXPLOSION = 1e6
"""Growth of the reconstruction error over a fit that counts as divergence."""

ADAM_BETAS = {"model": (0.9, 0.999), "adversary": (0.5, 0.9)}
"""Those of Kim & Mnih (2018), Appendix A."""


def fit_stack(
    jobs: Sequence[Job],
    schedule: Schedule,
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
    schedule : Schedule
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
    work = len(jobs) * schedule.batch_size * jobs[0].multiplications
    with undisturbed(), thread_limit(n_threads, work, device):
        return _Stack(jobs, schedule, device).train(watch)


class _ParameterGroup:
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

    def by_lr_multiplier(self, network: Network) -> dict[float, list[Tensor]]:
        """Sort the weights by the share of the rate at which they move."""
        sorted_leaves: dict[float, list[Tensor]] = {}
        for name, leaf in self.leaves.items():
            sorted_leaves.setdefault(network.lr_multiplier(name), []).append(leaf)
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

    def __init__(self, jobs: Sequence[Job], schedule: Schedule, device: torch.device):
        self.jobs, self.schedule, self.device = jobs, schedule, device
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
        self.parameter_groups = self._draw_groups(streams)
        self.optimiser = self._optimiser()
        self.latest: Draws
        self.first_nll: Tensor | None = None
        row_weights = [job.row_weights for job in jobs]
        cdfs = [cumulative(weights) for weights in row_weights]
        self.offsets = torch.tensor(offsets, device=device)[:, None]  # (K, 1)
        labels = [job.labels for job in jobs if job.labels is not None]
        self.labels = LabelTable(labels, row_weights, self.rows) if labels else None
        self.shares = join_shares(row_weights).to(self.rows)
        self.instance_noise = self.rows.new_tensor(
            [_instance_noise(weights) for weights in row_weights]
        )
        self.input_noise = self.rows.new_tensor([job.input_noise for job in jobs])
        self.conditional_noise_std = self._conditional_noise_std()
        self.draws = draw_steps(
            streams,
            cdfs,
            offsets,
            self.widths,
            schedule.batch_size,
            n_auxiliary=self.network.n_auxiliary,
            label_cdfs=self.labels.cdfs if self.labels else (),
            n_noisy_features=self.rows.shape[1] if self.input_noise.any() else 0,
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

    def _conditional_noise_std(self) -> Tensor:
        n_features = self.rows.shape[1]
        ceilings = [
            np.full(n_features, np.inf)
            if job.conditional_noise_std is None
            else job.conditional_noise_std
            for job in self.jobs
        ]
        return torch.from_numpy(np.stack(ceilings)).to(self.rows)[:, None]  # (K, 1, p)

    def _draw_groups(self, streams: Sequence[Streams]) -> dict[str, _ParameterGroup]:
        """Draw all weights, and deal them out to those who move them."""
        d = self.network.n_components
        models = []
        for job, stream in zip(self.jobs, streams, strict=True):
            weights = _draw_weights(job, stream)
            for name in weights.keys() & job.start.keys():
                weights[name] = torch.tensor(job.start[name], device="cpu")
            models.append({k: widen(k, v, d) for k, v in weights.items()})
        if not isinstance(self.objective, AdversarialObjective):
            return {"model": _ParameterGroup(models, self.rows)}
        hands: dict[str, list[Weights]] = {"model": [], "adversary": []}
        for weights in models:
            moved = {k: v for k, v in weights.items() if self.objective.moves(k)}
            hands["adversary"].append(moved)
            kept = {k: v for k, v in weights.items() if k not in moved}
            hands["model"].append(kept)
        return {role: _ParameterGroup(hand, self.rows) for role, hand in hands.items()}

    def _optimiser(self) -> torch.optim.Optimizer:
        """One Adam for all groups, with groups of the same rate and moments."""
        rates = {"model": self.schedule.learning_rate}
        if isinstance(self.objective, AdversarialObjective):
            rates["adversary"] = self.objective.learning_rate
        groups = [
            {
                "params": leaves,
                "betas": ADAM_BETAS[role],
                "first_lr": rates[role] * pace,
            }
            for role, group in self.parameter_groups.items()
            for pace, leaves in group.by_lr_multiplier(self.network).items()
        ]
        if self.is_replayed:  # such a step reads its rates where it runs
            for group in groups:
                group["lr"] = torch.zeros((), dtype=torch.float32, device=self.device)
        return torch.optim.Adam(groups, fused=True, capturable=self.is_replayed)

    # ------------------------------------------------------------------ a step
    def step(self, number: int) -> dict[str, Tensor]:
        """Move every group once; return the named terms (K,)."""
        reconstruction_weight = self.temperature ** (
            self.schedule.annealing(number) - 1
        )  # (K,)
        ramp = reconstruction_weight.clamp(max=self.schedule.ramp(number))
        self.latest = next(self.draws)
        self._set_learning_rates(number)
        return self.run(self._move, ramp, reconstruction_weight, *self.latest)

    def _move(
        self, ramp: Tensor, reconstruction_weight: Tensor, *draws: Tensor
    ) -> dict[str, Tensor]:
        """Do what a step is, given all that differs between steps as tensors."""
        forward = self._forward(Draws(*draws), ramp, reconstruction_weight)
        terms = self.objective.terms(forward)
        if self.first_nll is None:
            self.first_nll = forward.nll.detach().mean(1)
        recorded: dict[str, Tensor] = {}
        if isinstance(self.objective, AdversarialObjective):
            adversary = self.parameter_groups["adversary"]
            more, recorded = self.objective.play(
                forward, adversary.leaves, adversary.gradients
            )
            terms |= more
        weights = {
            "reconstruction": reconstruction_weight,
            **self.objective.weights(ramp),
        }
        loss = _weighted_sum(terms, weights)
        self.parameter_groups["model"].differentiate(loss)
        self.optimiser.step()
        return {k: v.detach() for k, v in (terms | recorded).items()}

    def _set_learning_rates(self, number: int) -> None:
        """Set the rates of a step."""
        for group in self.optimiser.param_groups:
            rate = group["first_lr"] * self.schedule.decay(number)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _forward(
        self,
        draws: Draws,
        ramp: Tensor | float = 1.0,
        reconstruction_weight: Tensor | float = 0.0,
    ) -> Forward:
        """Return a forward pass; by default without input noise."""
        numbers = draws.rows[:, 0] - self.offsets
        amount = self.input_noise * reconstruction_weight**0.5  # (K,)
        batch = Batch(
            rows=self.rows[draws.rows],
            noise=draws.noise,
            auxiliary_noise=draws.auxiliary_noise,
            order=draws.order,
            numbers=numbers,
            table_shares=self.shares,
            instance_noise=self.instance_noise,
            input_noise=draws.input_noise * amount[:, None, None, None],
            conditional_noise_std=self.conditional_noise_std,
            labelled=self._labelled(draws, numbers),
        )
        weights = {
            k: w for p in self.parameter_groups.values() for k, w in p.weights.items()
        }
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
        """Run the schedule and return what became of each job."""
        checkpoints = [_Checkpoint(self, k) for k in range(len(self.jobs))]
        total, since = None, 0
        for number in range(1, self.schedule.max_iter + 1):
            terms = self.step(number - 1)
            values = torch.stack(list(terms.values()))  # (terms, K)
            total = values if total is None else total.add_(values)
            since += 1
            if number % self.schedule.record_every and number < self.schedule.max_iter:
                continue
            self._record(number, list(terms), total / since, checkpoints, watch)
            total, since = None, 0
            if all(checkpoint.is_done for checkpoint in checkpoints):
                break
        return [checkpoint.fit() for checkpoint in checkpoints]

    def _record(
        self,
        number: int,
        names: list[str],
        means: Tensor,
        checkpoints: Sequence[_Checkpoint],
        watch: Watch | None,
    ) -> None:
        table = means.cpu().double().numpy()  # (terms, K)
        finite = np.isfinite(table).all(0) & self._is_healthy()
        records = [dict(zip(names, column, strict=True)) for column in table.T]
        for checkpoint, record, is_finite in zip(
            checkpoints, records, finite, strict=True
        ):
            checkpoint.see(number, record, bool(is_finite))
        if watch is None:
            return
        is_last = [number == self.schedule.max_iter or k.is_done for k in checkpoints]
        stops = watch(Record(number, records, self.export, is_last))
        for checkpoint, stop in zip(checkpoints, stops, strict=True):
            checkpoint.is_done |= stop

    def _is_healthy(self) -> np.ndarray:
        """Tell which models are finite, and no wreck, with the weights of now, (K,).

        Weights can be finite and yet too large to compute with, which only a forward
        pass shows; and a loss can explode without ever overflowing, or rows without the
        loss, where the noise scale follows them.
        """
        finite = [group.is_finite() for group in self.parameter_groups.values()]
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
            for group in self.parameter_groups.values()
            for name, w in group.weights.items()
        }


class _Checkpoint:
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
        return [p.copy(self.k) for p in self.stack.parameter_groups.values()]

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
        schedule, stack = self.stack.schedule, self.stack
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
        is_warmed_up = self.job.is_warmed_up(schedule, step)
        if not is_warmed_up or score > self.best:
            self.kept, self.kept_step = self._copy(), step
            self.best = score if is_warmed_up else -math.inf
        self.is_done = step - self.kept_step >= (schedule.patience or math.inf)
        return score

    def fit(self) -> Fit:
        """Write the kept weights back and return the outcome."""
        for group, kept in zip(
            self.stack.parameter_groups.values(), self.kept, strict=True
        ):
            group.restore(self.k, kept)
        history = {n: np.array([r[n] for r in self.history]) for n in self.names}
        weights = self.stack.export(self.k)
        return Fit(weights, history, self.n_iter, self.kept_step, self.diverged_at)


def _instance_noise(row_weights: np.ndarray) -> float:
    """Return the noise that keeps a discriminator from knowing each row's code.

    It falls with the rows that weights leave, and is one, the deviation of the prior,
    for the fewest.
    """
    return min(1.0, FULL_NOISE_SAMPLE_SIZE / effective_sample_size(row_weights))


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

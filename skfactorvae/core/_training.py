"""The training loop: K models are trained as one, with a leading axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import _axes
from ._adam import Adam
from ._checkpoint import Checkpoint
from ._devices import SMALL_WORK, process_settings, undisturbed
from ._distributed import current_ranks
from ._first_weights import draw_weights
from ._job import Fit, Job, Record, Watch
from ._optimiser import Optimiser
from ._pairs import PairTable
from ._parameter_groups import ParameterGroup
from ._products import large_products
from ._recording import RECORDED_STEPS, RECORDED_VALUES, Recording
from ._replay import Replay, can_replay, run_eagerly
from ._sampling import CHUNK, Draws, Streams, draw_steps
from ._schedule import Schedule
from ._soap import Soap
from ._state import Restoring, State, Storage, as_array, storage_of_ranks
from ._tables import LabelTable, Reader, cumulative, join_probabilities, join_tables
from .objectives import Batch, Extras, Forward, InputNoise, Labelled

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
    storage: Storage | None = None,
) -> list[Fit]:
    """Train K models together; the results equal those of training each alone.

    Latents of the returned weights are ordered and signed, and inactive ones are set to
    the prior, as the objective's readout determines.

    Parameters
    ----------
    jobs : sequence of K Job
        Jobs of one signature. They may differ in the weights of terms, seed, rows and
        number of latents.
    schedule : Schedule
        Budget, batch size and learning rate.
    device : torch.device
        Where to train.
    n_threads : int or None
        CPU threads. None takes one for small models and torch's own number for large.
    watch : callable, optional
        Called with a :class:`Record` up to 200 times.
    storage : Storage, optional
        Where the state of the stack is written from time to time, and at the end. If it
        holds one, training goes on from there, with the same result, bit for bit.

    Returns
    -------
    list of K Fit
    """
    if len({job.signature for job in jobs}) > 1:
        raise ValueError(
            "Jobs of different signatures cannot share a stack: they must agree in "
            "network, likelihood, kind of objective, dtype and presence of labels. "
            "Train them in separate calls."
        )
    work = len(jobs) * schedule.batch_size * jobs[0].multiplications
    with undisturbed(), process_settings(n_threads, work, device):
        checkpoints = _Stack(jobs, schedule, device).train(watch, storage)
    fits = [checkpoint.fit(device) for checkpoint in checkpoints]
    return current_ranks().first(fits)


class _Stack:
    """K jobs in training."""

    def __init__(self, jobs: Sequence[Job], schedule: Schedule, device: torch.device):
        self.jobs, self.schedule, self.device = jobs, schedule, device
        self.ranks = current_ranks()
        self.network = max((j.network for j in jobs), key=lambda n: n.n_components)
        self.likelihood = jobs[0].likelihood
        self.parameters = jobs[0].parameters
        self.streams = streams = [Streams.from_seed(job.seed) for job in jobs]
        self.rows, offsets = join_tables([job.rows for job in jobs], device)
        self.objective = type(jobs[0].objective).stack(
            [job.objective for job in jobs], self.rows
        )
        self.adversary = self.objective.adversary
        parts = self.network, self.likelihood, self.objective
        self.is_replayed = can_replay(device, *parts) and self._is_recorded()
        self.hidden_with = self._hidden_with()
        self.temperature = self.rows.new_tensor([job.temperature for job in jobs])
        self.widths = [job.network.n_components for job in jobs]
        self.mask = self._mask()
        self.parameter_groups = self._draw_groups(streams)
        self.derived = self.likelihood.derived(self.parameter_groups["model"].weights)
        self.optimiser = self._optimiser()
        self.latest: Draws
        self.first_nll: Tensor | None = None
        row_weights = [job.row_weights for job in jobs]
        cdfs = [cumulative(weights) for weights in row_weights]
        self.offsets = torch.tensor(offsets, device=device)[:, None]  # (K, 1)
        labels = [job.labels for job in jobs if job.labels is not None]
        self.labels = LabelTable(labels, row_weights, self.rows) if labels else None
        self.row_probabilities = join_probabilities(row_weights).to(self.rows)
        noise = [_noise_std(job.sample_size) for job in jobs]
        self.instance_noise = self.rows.new_tensor(noise)
        self.input_noise = self.rows.new_tensor([job.input_noise for job in jobs])
        self.max_input_noise_std = self._max_input_noise_std()
        self.weight_decay = self.rows.new_tensor([job.weight_decay for job in jobs])
        self.hidden_fraction = self.rows.new_tensor([j.hidden_fraction for j in jobs])
        self.decayed = self.network.decayed if self.weight_decay.any() else set()
        p = self.network.n_features
        self.draws = draw_steps(
            streams,
            cdfs,
            offsets,
            self.widths,
            schedule.batch_size,
            n_pass_steps=schedule.n_pass_steps,
            n_auxiliary=self.network.n_auxiliary,
            label_cdfs=self.labels.cdfs if self.labels else (),
            pair_tables=[
                PairTable(j.pairs, j.row_weights) for j in jobs if j.pairs is not None
            ],
            n_noisy_features=p if self.input_noise.any() else 0,
            n_hidden_features=p if self.hidden_fraction.any() else 0,
            reader=Reader([job.rows for job in jobs], offsets),
            device=device,
            dtype=self.rows.dtype,
        )
        self.run = self._runner()

    def _is_recorded(self) -> bool:
        """Return whether steps are worth recording; true on other devices.

        What is sent between processes is not recorded.
        """
        if self.ranks.size > 1:
            return False
        if self.device.type != "cpu":
            return True
        n_rows = len(self.jobs) * self.schedule.batch_size
        return (
            (self.schedule.n_pass_steps or self.schedule.max_iter) >= RECORDED_STEPS
            and n_rows * self.jobs[0].multiplications < SMALL_WORK
            and n_rows * self.network.n_features <= RECORDED_VALUES
        )

    def _runner(self) -> Callable[..., dict[str, Tensor]]:
        """Return what runs the function that makes a step."""
        if not self.is_replayed:
            return run_eagerly
        if self.device.type == "cuda":
            return Replay(self.device)
        leaves = self.parameter_groups["model"].leaves.values()
        return Recording(
            lambda: [leaf.grad for leaf in leaves if leaf.grad is not None]
        )

    def _hidden_with(self) -> Tensor | None:
        """For each feature, the first one that is hidden with it, (p,); None: alone."""
        firsts = self.likelihood.hidden_with
        return None if firsts is None else torch.tensor(firsts, device=self.device)

    def _mask(self) -> Tensor | None:
        d = self.network.n_components
        if all(width == d for width in self.widths):
            return None
        exists = (
            torch.arange(d, device="cpu")
            < torch.tensor(self.widths, device="cpu")[:, None]
        )  # (K, d)
        return exists[:, None].to(self.rows)

    def _max_input_noise_std(self) -> Tensor:
        bounds = [
            np.full(self.network.n_features, np.inf)
            if job.conditional_noise_std is None
            else job.conditional_noise_std
            for job in self.jobs
        ]
        return torch.from_numpy(np.stack(bounds)).to(self.rows)[:, None]  # (K, 1, p)

    def _draw_groups(self, streams: Sequence[Streams]) -> dict[str, ParameterGroup]:
        """Draw all weights, and group them by the loss that they minimise."""
        d = self.network.n_components
        models = []
        for job, stream in zip(self.jobs, streams, strict=True):
            weights = draw_weights(job, stream)
            for name in weights.keys() & job.start.keys():
                weights[name] = torch.tensor(job.start[name], device="cpu")
            models.append(
                {k: _axes.widen(self.parameters[k], v, d) for k, v in weights.items()}
            )
        fixed = self.network.fixed | self.likelihood.fixed
        if self.adversary is None:
            return {"model": ParameterGroup(models, fixed, self.rows)}
        own = self.adversary.parameters(self.network)
        rest = {k: axes for k, axes in self.parameters.items() if k not in own}
        return {
            role: ParameterGroup(
                [_axes.select(declared, w) for w in models], fixed, self.rows
            )
            for role, declared in (("model", rest), ("adversary", own))
        }

    def _optimiser(self) -> Optimiser:
        """Return one optimiser for each kind of weight, learning rate and betas."""
        rates = {"model": self.schedule.learning_rate}
        if self.adversary is not None:
            rates["adversary"] = self.adversary.learning_rate
        parts: list[tuple[Adam | Soap, float]] = []
        for role in self.parameter_groups:
            for (multiplier, is_matrix), leaves in self._sorted(role).items():
                part = Soap(leaves) if is_matrix else Adam(leaves, ADAM_BETAS[role])
                parts.append((part, rates[role] * multiplier))
        optimiser = Optimiser(parts)
        if self.is_replayed:
            optimiser.keep_rates_in_memory(self.device)
        return optimiser

    def _sorted(self, role: str) -> dict[tuple[float, bool], list[Tensor]]:
        """Sort weights by the multiplier of their rate, and whether SOAP takes them."""
        has_soap = role == "model" and self.schedule.solver == "soap"
        matrices = self.network.matrices if has_soap else frozenset()
        found: dict[tuple[float, bool], list[Tensor]] = {}
        for name, leaf in self.parameter_groups[role].leaves.items():
            key = self.network.lr_multiplier(name), name in matrices
            found.setdefault(key, []).append(leaf)
        return found

    # ------------------------------------------------------------------ a step
    def step(self, number: int) -> dict[str, Tensor]:
        """Update all weights once; return the named terms (K,)."""
        weight = self.temperature ** (self.schedule.annealing(number) - 1)  # (K,)
        ramp = weight.clamp(max=self.schedule.ramp(number))
        self.latest = next(self.draws)
        self.optimiser.set_learning_rates(self.schedule.decay(number))
        rate = self.schedule.learning_rate * self.schedule.decay(number)
        shrinkage = torch.exp(-rate * self.weight_decay)  # (K,)
        results = self.run(self._update, ramp, weight, shrinkage, *self.latest)
        self.optimiser.refresh()
        return results

    def _update(
        self,
        ramp: Tensor,
        reconstruction_weight: Tensor,
        shrinkage: Tensor,
        *draws: Tensor,
    ) -> dict[str, Tensor]:
        """Make a step, given everything that differs between steps as tensors."""
        with large_products(self.schedule.products):
            forward = self._forward(Draws(*draws), ramp, reconstruction_weight)
            terms, record = self._terms(forward)
            if self.first_nll is None:
                self.first_nll = forward.nll.detach().mean(1)
            weights = {"reconstruction": reconstruction_weight}
            weights |= self.objective.weights(ramp)
            loss = _weighted_sum(terms, weights, self.objective.recorded_only)
            self.parameter_groups["model"].differentiate(loss)
        self.optimiser.step()
        for group in self.parameter_groups.values():
            group.shrink(self.decayed, shrinkage)
        return {k: v.detach() for k, v in (terms | record).items()}

    def _terms(self, forward: Forward) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the terms of the loss and further values to record, each (K,).

        An adversary writes the gradients of its own loss.
        """
        terms = self.objective.terms(forward)
        record: dict[str, Tensor] = {}
        if self.adversary is not None:
            group = self.parameter_groups["adversary"]
            more, record = self.adversary.run(forward, group.leaves, group.gradients)
            terms |= more
        return terms, record

    def penalty(self) -> Tensor:
        """Return what the objective adds to -ELBO on one batch, (K,), nats per row."""
        forward = self._forward(next(self.draws))
        terms, _ = self._terms(forward)
        weights = self.objective.weights(torch.ones_like(self.temperature))
        loss = _weighted_sum(terms, weights, self.objective.recorded_only)
        return (loss - forward.reconstruction - forward.kl).detach()

    def _forward(
        self,
        draws: Draws,
        ramp: Tensor | float = 1.0,
        reconstruction_weight: Tensor | float = 0.0,
    ) -> Forward:
        """Return a forward pass; by default with input noise of zero."""
        row_numbers = draws.rows[:, 0] - self.offsets
        batch = Batch(
            rows=self._batch_rows(draws),
            noise=draws.noise,
            order=draws.order,
            row_numbers=row_numbers,
            table_probabilities=self.row_probabilities,
            instance_noise=self.instance_noise,
            input_noise=self._input_noise(draws, reconstruction_weight),
            extras=Extras(draws.auxiliary_noise, self._labelled(draws, row_numbers)),
            is_paired=(
                draws.rows[:, 0] != draws.rows[:, 2]
                if draws.rows.shape[1] > 2
                else None
            ),
        )
        groups = self.parameter_groups.values()
        weights = {k: w for group in groups for k, w in group.weights.items()}
        weights |= self.derived
        parts = self.network, self.likelihood, weights, batch, self.mask, ramp
        return Forward(*parts, ranks=self.ranks)

    def _batch_rows(self, draws: Draws) -> Tensor:
        """Return the rows of both batches, some of their values hidden.

        The same values are hidden in both, and in the rows of a batch that share a
        pattern. The last column of the uniform numbers gives the share of a pattern.
        """
        rows = draws.drawn_from(self.rows)
        if not draws.hiding.numel():
            return rows
        share = 2 * self.hidden_fraction[:, None, None] * draws.hiding[..., -1:]
        # NaN where hidden, else zero: faster than a choice by a condition.
        hiding = (draws.hiding[..., :-1] - share).sqrt_().mul_(0.0)
        if self.hidden_with is not None:
            hiding = hiding.index_select(-1, self.hidden_with)
        if n_errors := rows.shape[-1] - hiding.shape[-1]:
            hiding = F.pad(hiding, (0, n_errors))
        groups = rows.unflatten(2, (-1, hiding.shape[1]))
        return (groups + hiding[:, None, None]).view(rows.shape)

    def _input_noise(
        self, draws: Draws, reconstruction_weight: Tensor | float
    ) -> InputNoise | None:
        if not draws.input_noise.numel():
            return None
        std = self.input_noise * reconstruction_weight**0.5  # (K,)
        noise = draws.input_noise * std[:, None, None, None]
        return InputNoise(noise, self.max_input_noise_std)

    def _labelled(self, draws: Draws, row_numbers: Tensor) -> Labelled | None:
        if self.labels is None:
            return None
        chosen = draws.labelled - self.offsets.unsqueeze(-1)  # (K, m, B)
        return Labelled(
            rows=draws.labelled_from(self.rows),
            noise=draws.label_noise,
            values=self.labels.own_labels(chosen),
            known=self.labels.all_labels(row_numbers),
        )

    # ---------------------------------------------------------------- the loop
    def train(
        self, watch: Watch | None, storage: Storage | None = None
    ) -> list[Checkpoint]:
        """Make the steps of the schedule and return what is kept of each model."""
        checkpoints = [Checkpoint(self, k) for k in range(len(self.jobs))]
        storage = storage_of_ranks(self.ranks, storage)
        first, total, since = self._resume(storage, checkpoints)
        number = first
        while not self._is_over(number, checkpoints):
            number += 1
            terms = self.step(number - 1)
            values = torch.stack(list(terms.values()))  # (terms, K)
            total = values if total is None else total.add_(values)
            since += 1
            is_last = number == self.schedule.max_iter
            if number % self.schedule.record_every == 0 or is_last:
                self._record(number, list(terms), total / since, checkpoints, watch)
                total, since = None, 0
            if storage is not None and number % CHUNK == 0 and storage.is_due():
                storage.write(self._state(number, total, since, checkpoints))
        if storage is not None and number > first:
            storage.write(self._state(number, total, since, checkpoints))
        for checkpoint in checkpoints:
            checkpoint.restore()
        return checkpoints

    def _is_over(self, number: int, checkpoints: Sequence[Checkpoint]) -> bool:
        """Return whether no step is left after this one, in any model."""
        is_budget_spent = number >= self.schedule.max_iter
        return is_budget_spent or all(checkpoint.is_done for checkpoint in checkpoints)

    @property
    def _tensors(self) -> dict[str, Tensor]:
        """Tensors that each step changes in place, by name."""
        leaves = {
            f"weights/{role}/{name}": leaf
            for role, group in self.parameter_groups.items()
            for name, leaf in group.leaves.items()
        }
        moments = self.optimiser.tensors.items()
        return leaves | {f"optimiser/{name}": tensor for name, tensor in moments}

    def _state(
        self,
        number: int,
        total: Tensor | None,
        since: int,
        checkpoints: Sequence[Checkpoint],
    ) -> State:
        """Return the state after a step; after the last one, only what is kept.

        That of a stream is whole. Between chunks of draws, the generators determine all
        later draws.
        """
        is_over = not self.schedule.n_pass_steps and self._is_over(number, checkpoints)
        tensors: dict[str, Tensor] = {}
        if not is_over:
            assert self.first_nll is not None
            streams = torch.stack([s.state for s in self.streams])
            tensors = {**self._tensors, "streams": streams, "nll": self.first_nll}
            tensors |= {} if total is None else {"total": total}
        kept = {
            f"kept/{role}/{name}": torch.stack([c.kept[g][i] for c in checkpoints])
            for g, (role, group) in enumerate(self.parameter_groups.items())
            for i, name in enumerate(group.leaves)
        }
        arrays = {name: as_array(tensor) for name, tensor in (tensors | kept).items()}
        arrays["numbers"] = np.array([c.numbers for c in checkpoints])
        arrays |= {f"history/{c.k}": c.table for c in checkpoints}
        models = [c.values for c in checkpoints]
        return State(arrays, {"step": number, "since": since, "models": models})

    def _resume(
        self, storage: Storage | None, checkpoints: Sequence[Checkpoint]
    ) -> tuple[int, Tensor | None, int]:
        """Restore a state; return its step, and the terms since the last record."""
        state = None if storage is None else storage.read()
        if storage is None or state is None:
            return 0, None, 0
        restoring = Restoring(state, storage)
        number, since = restoring.integer("step"), restoring.integer("since")
        numbers = restoring.numbers(len(checkpoints))
        models = restoring.models(len(checkpoints))
        for checkpoint, own, values in zip(checkpoints, numbers, models, strict=True):
            checkpoint.resume(restoring, own, values)
        if self._is_over(number, checkpoints):
            return number, None, 0
        restoring.copy_to(self._tensors)
        self.optimiser.count(number)
        streams = torch.stack([s.state for s in self.streams])
        restoring.generators("streams", self.streams, like=streams)
        self.first_nll = restoring.tensor("nll", like=self.temperature)
        if not since:
            return number, None, 0
        total = restoring.array(
            "total", (None, len(checkpoints)), self.jobs[0].rows.dtype
        )
        return number, torch.tensor(total, device=self.device), since

    def _record(
        self,
        number: int,
        names: list[str],
        means: Tensor,
        checkpoints: Sequence[Checkpoint],
        watch: Watch | None,
    ) -> None:
        self.ranks.align(self._tensors.values())
        table = means.cpu().double().numpy()  # (terms, K)
        in_loss = [name not in self.objective.recorded_only for name in names]
        finite = np.isfinite(table[in_loss]).all(0) & self._is_healthy()
        records = [dict(zip(names, column, strict=True)) for column in table.T]
        for checkpoint, record, ok in zip(checkpoints, records, finite, strict=True):
            checkpoint.update(number, record, bool(ok))
        if watch is not None:
            is_budget_spent = number == self.schedule.max_iter
            is_last = [is_budget_spent or c.is_done for c in checkpoints]
            stops = watch(Record(number, records, self.export, is_last))
            for checkpoint, stop in zip(checkpoints, stops, strict=True):
                if stop and not is_budget_spent:
                    checkpoint.end("stopped")
        ends = self.ranks.first([(c.is_done, c.status) for c in checkpoints])
        for checkpoint, end in zip(checkpoints, ends, strict=True):
            checkpoint.is_done, checkpoint.status = end

    def _is_healthy(self) -> np.ndarray:
        """Return which models have not diverged, (K,).

        Weights can be finite and yet too large to compute with, which only a forward
        pass detects. A loss can explode without overflowing, and so can the output
        without the loss, where the noise scale adapts to it.
        """
        finite = [group.is_finite() for group in self.parameter_groups.values()]
        with torch.no_grad():
            forward = self._forward(self.latest)
        nll = forward.nll.mean(1)
        assert self.first_nll is not None
        sane = nll <= EXPLOSION * self.first_nll.abs().clamp(
            min=self.network.n_features
        )
        largest = forward.x.abs().flatten(1).amax(1).clamp(min=1.0)
        sane &= forward.output.abs().flatten(1).amax(1) <= EXPLOSION * largest
        finite += [sane, nll.isfinite(), forward.z.flatten(1).sum(1).isfinite()]
        return torch.stack(finite).all(0).cpu().numpy()

    def export(self, k: int) -> dict[str, np.ndarray]:
        """Copy the current weights of model k, without padding, to arrays."""
        exported = {}
        for group in self.parameter_groups.values():
            for name, stacked in group.weights.items():
                axes, weight = self.parameters[name], stacked[k].detach()
                own = _axes.narrow(axes, weight, self.widths[k])
                exported[name] = own.cpu().numpy().copy()
        return exported


def _noise_std(sample_size: float) -> float:
    """Return the standard deviation of instance noise, min(1, 400 / n).

    It keeps a discriminator from memorising the code of each row. n is the effective
    sample size; one is the standard deviation of the prior.
    """
    return min(1.0, FULL_NOISE_SAMPLE_SIZE / sample_size)


def _weighted_sum(
    terms: dict[str, Tensor], weights: dict[str, Tensor], excluded: Sequence[str]
) -> Tensor:
    """Return the loss, (K,); a weight of zero would not keep an infinite term out."""
    parts = [
        value * weights[name] if name in weights else value
        for name, value in terms.items()
        if name not in excluded
    ]
    return torch.stack(parts).sum(0)

"""Training that goes on from a stored state equals uninterrupted training."""

import numpy as np
import pytest
import torch
from _jobs import fit, make_job, make_objective, make_rows, make_schedule
from test_family import every_objective
from test_filling import fit_factors, linear_table
from test_training import assert_same_fit, stack_of_five

from skfactorvae import core
from skfactorvae.core._compat import set_generator_state
from skfactorvae.core._sampling import CHUNK

STEPS = 2 * CHUNK + 5
"""Steps of a fit: it ends between two chunks."""


class InterruptedFitError(Exception):
    """Ends a fit where a process would be killed."""


class Memory:
    """Keeps the last state in memory, as a file would, and interrupts the fit."""

    def __init__(self, interrupt_after):
        self.interrupt_after, self.state, self.steps = interrupt_after, None, []

    def read(self):
        return self.state

    def is_due(self):
        return True

    def write(self, state):
        arrays = {name: array.copy() for name, array in state.arrays.items()}
        self.state = core.State(arrays, state.values)
        self.steps.append(state.values["step"])
        if len(self.steps) == self.interrupt_after:
            raise InterruptedFitError

    def refuse(self, what):
        raise ValueError(what)


def interrupted_once(jobs, schedule):
    """Return a storage from which a fit can go on."""
    memory = Memory(interrupt_after=1)
    with pytest.raises(InterruptedFitError):
        fit(jobs, schedule, storage=memory)
    assert memory.steps == [CHUNK]
    return memory


def assert_resumed_equals_uninterrupted(jobs, schedule):
    whole = fit(jobs, schedule)
    memory = interrupted_once(jobs, schedule)
    resumed = fit(jobs, schedule, storage=memory)
    again = fit(jobs, schedule, storage=memory)  # from the result
    for one, same, third in zip(whole, resumed, again, strict=True):
        for other in (same, third):
            assert_same_fit(one, other, rtol=0, atol=0)
            assert one.history.keys() == other.history.keys()
            for name in ("status", "n_iter", "kept_step", "diverged_at"):
                assert getattr(one, name) == getattr(other, name), name
            np.testing.assert_array_equal(one.kl, other.kl)
            np.testing.assert_array_equal(one.variance, other.variance)
            for name, curve in one.history.items():
                assert curve.dtype == other.history[name].dtype
    return whole, memory


@pytest.mark.slow
@every_objective
def test_every_objective(make):
    rows = make_rows(60)
    jobs = [make_job(objective=make(w), rows=rows, seed=int(w)) for w in (1.0, 2.0)]
    assert_resumed_equals_uninterrupted(jobs, make_schedule(STEPS))


def test_models_that_differ_in_all_that_may_differ():
    """The state lies between two records, of which there are three."""
    schedule = make_schedule(STEPS, max_records=3)
    assert_resumed_equals_uninterrupted(stack_of_five(), schedule)


@pytest.mark.slow
@pytest.mark.parametrize("max_records", [200, 3])
def test_the_bases_of_soap(max_records):
    schedule = make_schedule(STEPS, solver="soap", max_records=max_records)
    assert_resumed_equals_uninterrupted(stack_of_five(), schedule)


@pytest.mark.slow
def test_held_out_rows_stop_models_at_different_steps():
    rows, others = make_rows(60), make_rows(40, seed=3)
    held_out = core.HeldOut(others, np.ones(len(others)))
    jobs = [make_job(rows=rows, seed=s, held_out=held_out) for s in range(4)]
    schedule = make_schedule(150, patience=12, learning_rate=0.1)
    fits, memory = assert_resumed_equals_uninterrupted(jobs, schedule)
    stopped = {fit.n_iter for fit in fits if fit.status == "early_stopping"}
    assert len(stopped) > 1
    assert min(stopped) < CHUNK or memory.steps[-1] > CHUNK


def test_weights_that_a_criterion_prefers():
    """Those with the smallest sum of squares, for one model before the interruption."""

    def smallness(weights, device):
        return -sum(float(np.square(w).sum()) for w in weights.values())

    rows = make_rows(60)
    jobs = [make_job(rows=rows, seed=s, criterion=smallness) for s in range(2)]
    fits, _ = assert_resumed_equals_uninterrupted(jobs, make_schedule(STEPS))
    assert min(one.kept_step for one in fits) < CHUNK


@pytest.mark.slow
def test_noise_annealing_decay_and_missing_values():
    _, _, rows = linear_table(80)
    factors = fit_factors(rows, n_steps=20)
    network = core.MLP(rows.shape[1], 3, (16,), "silu", linear_path=False)
    filled = core.FactorFilling(network, factors.n_factors)
    jobs = [
        make_job(
            rows=rows,
            network=filled,
            start=filled.filling_start(factors),
            hidden_fraction=0.2,
            input_noise=0.5,
            temperature=5.0,
            weight_decay=decay,
        )
        for decay in (0.0, 3.0)
    ]
    assert_resumed_equals_uninterrupted(jobs, make_schedule(STEPS))


@pytest.mark.slow
def test_a_diverged_model_stays_as_it_was():
    jobs = [make_job(rows=make_rows(60)), make_job(rows=1e200 * make_rows(60))]
    schedule = make_schedule(STEPS, max_records=20)
    fits, _ = assert_resumed_equals_uninterrupted(jobs, schedule)
    assert [fit.status for fit in fits] == ["budget", "diverged"]


def test_a_watch_is_called_from_where_training_goes_on():
    steps = []

    def watch(record):
        steps.append(record.step)
        return [False]

    schedule = make_schedule(STEPS, max_records=8)
    memory = interrupted_once([make_job()], schedule)
    fit([make_job()], schedule, storage=memory, watch=watch)
    assert steps == [36, 45, 54, 63, STEPS]


def test_a_model_that_was_stopped_is_not_trained_further():
    memory = Memory(0)
    schedule = make_schedule(STEPS)
    (first,) = fit([make_job()], schedule, storage=memory, watch=lambda _: [True])
    assert (first.status, memory.steps) == ("stopped", [1])
    (second,) = fit([make_job()], schedule, storage=memory)
    assert second.status == "stopped"
    assert_same_fit(first, second, rtol=0, atol=0)


# ---------------------------------------------------------------- states that are wrong
@pytest.fixture(scope="module")
def state():
    return interrupted_once([make_job()], make_schedule(STEPS)).state


def changed(state, changes):
    """Return a storage with arrays or values that are changed; None removes one."""
    parts = {**state.arrays, **state.values}
    parts |= {name: change(parts[name]) for name, change in changes.items()}
    memory = Memory(0)
    memory.state = core.State(
        {k: parts[k] for k in state.arrays if parts[k] is not None},
        {k: parts[k] for k in state.values if parts[k] is not None},
    )
    return memory


def positions(value):
    """Return a change of generators' states to another place in them."""

    def change(streams):
        streams = streams.copy()
        streams[..., 16:24] = np.frombuffer(np.int64(value).tobytes(), np.uint8)
        return streams

    return change


WRONG = {
    "a missing step": {"step": lambda _: None},
    "a negative step": {"step": lambda _: -1},
    "a step that is no number": {"step": lambda _: "3"},
    "models that are missing": {"models": lambda _: []},
    "a model without names": {"models": lambda m: [{**m[0], "names": None}]},
    "an unknown status": {"models": lambda m: [{**m[0], "status": "over"}]},
    "a missing array": {"nll": lambda _: None},
    "an array of another shape": {"nll": lambda a: np.append(a, a)},
    "an array of another type": {"nll": lambda a: a.astype(np.float16)},
    "steps that are not finite": {"numbers": lambda a: a * np.nan},
    "records without a step": {"history/0": lambda a: a * np.nan},
    "too few columns": {"history/0": lambda a: a[:, :1]},
    "generators at a place outside": {"streams": positions(2**40)},
    "generators at another place": {"streams": positions(600)},
    "generators without a state": {"streams": np.zeros_like},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_a_state_that_does_not_fit_is_refused(state, changes):
    with pytest.raises(ValueError, match=r"lacks|shape|not|hold|without"):
        fit([make_job()], make_schedule(STEPS), storage=changed(state, changes))


def test_a_state_of_other_networks_is_refused(state):
    other = make_job(objective=make_objective(1.0, hidden_layer_sizes=(9,)))
    with pytest.raises(ValueError, match=r"lacks|shape"):
        fit([other], make_schedule(STEPS), storage=changed(state, {}))


@pytest.mark.parametrize("n_draws", [0, 1, 3, 623, 624, 625, 5000])
def test_a_generator_goes_on_from_every_place(n_draws):
    generator, other = torch.Generator().manual_seed(5), torch.Generator()
    torch.rand(n_draws, generator=generator)
    set_generator_state(other, torch.stack([generator.get_state()] * 2)[1])
    same = (torch.rand(700, generator=g) for g in (generator, other))
    assert torch.equal(*same)

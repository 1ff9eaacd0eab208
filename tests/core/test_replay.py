"""Steps recorded on a CUDA device are the steps asked for one by one."""

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_plan, make_rows
from test_family import FAMILY, GROUPED
from torch import nn

from skfactorvae import core
from skfactorvae.core._replay import WARM_UP, at_once, runner
from skfactorvae.core._training import _Stack

CUDA = torch.device("cuda")
N_STEPS = WARM_UP + 9

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA device"
)
every_objective = pytest.mark.parametrize("make", (FAMILY | GROUPED).values())


def run(jobs, device, *, as_ever=False, plan=None):
    """Make some steps; return the stack, and each term at each step."""
    stack = _Stack(jobs, plan or make_plan(N_STEPS), device)
    if as_ever:
        stack.run = at_once
    terms = []
    for number in range(N_STEPS):
        values = stack.step(number)
        terms.append({k: v.cpu().numpy().copy() for k, v in values.items()})
    return stack, terms


def assert_close(ones, others, rtol):
    for one, other in zip(ones, others, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=rtol)


def test_elsewhere_a_step_is_left_as_it_is():
    assert runner(CPU) is at_once


def test_nothing_of_a_fit_outlives_it():
    stack, _ = run([make_job()], CPU)
    gone = weakref.ref(stack)
    gc.disable()
    try:
        del stack
        assert gone() is None  # at once, and not when circles are looked for
    finally:
        gc.enable()


@needs_cuda
@every_objective
def test_a_recorded_step_is_the_step(make):
    jobs = [
        make_job(objective=make(0.5), seed=0, n_components=4, input_noise=0.1),
        make_job(objective=make(2.0), seed=1, n_components=4, temperature=3.0),
    ]
    if getattr(make(1.0), "groups", None) == (2, 1):
        jobs = [make_job(objective=make(w), seed=1, n_components=3) for w in (1, 2)]
    recorded, terms = run(jobs, CUDA)
    assert recorded.run.graph is not None
    plain, expected = run(jobs, CUDA, as_ever=True)
    on_the_cpu, known = run(jobs, CPU)
    assert_close(terms, expected, 1e-8)
    assert_close(terms, known, 1e-6)
    for k in (0, 1):
        assert_close([recorded.export(k)], [plain.export(k)], 1e-7)
        assert_close([recorded.export(k)], [on_the_cpu.export(k)], 1e-5)


@needs_cuda
@pytest.mark.parametrize("n_models", [1, 2])
def test_convolutions_are_recorded(n_models):
    rows = make_rows(80, n_features=2 * 8 * 8, dtype=np.float32)
    network = core.ConvNet(128, 3, (), "relu", True, (2, 8, 8))
    jobs = [
        make_job(network=network, rows=rows, seed=seed, likelihood=likelihood)
        for seed in range(n_models)
        for likelihood in [core.Gaussian("shared")]
    ]
    stack, terms = run(jobs, CUDA)
    assert stack.run.graph is not None
    assert_close(terms, run(jobs, CUDA, as_ever=True)[1], 1e-3)


@needs_cuda
def test_the_rates_of_recorded_steps_fall():
    plan = make_plan(N_STEPS, learning_rate=1e-3)
    stack, _ = run([make_job()], CUDA, plan=plan)
    rates = {float(group["lr"]) for group in stack.optimiser.param_groups}
    assert max(rates) < 0.1 * plan.learning_rate


class LooksAtValues(nn.Linear):
    """A module that cannot be recorded."""

    def forward(self, x):
        return super().forward(x) * (1.0 if x.sum().item() < np.inf else 0.0)


def looking(n_features, n_components):
    return LooksAtValues(n_features, 2 * n_components), nn.Linear(
        n_components, n_features
    )


@needs_cuda
def test_a_step_that_looks_at_values_is_done_as_ever():
    job = make_job(network=core.Modules(6, 3, looking))
    stack, terms = run([job], CUDA)
    assert stack.run.graph is None
    assert_close(terms, run([job], CPU)[1], 1e-6)
    # Nothing is left of the attempt.
    again, _ = run([make_job()], CUDA)
    assert again.run.graph is not None


@needs_cuda
def test_threads_record_side_by_side():
    plan, found = make_plan(60), {}

    def train(seed):
        jobs = [make_job(seed=seed)]
        found[seed] = core.fit_stack(jobs, plan, device=CUDA)[0]

    threads = [threading.Thread(target=train, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        (alone,) = fit([make_job(seed=seed)], plan)
        assert_close([found[seed].history], [alone.history], 1e-3)

"""Replayed CUDA graphs give the same results as eager steps."""

import contextlib
import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from _jobs import CPU, make_job, make_rows, make_schedule
from test_family import FAMILY, GROUPED
from torch import nn

from skfactorvae import core
from skfactorvae.core import _replay
from skfactorvae.core._replay import WARM_UP, Replay, can_replay, run_eagerly
from skfactorvae.core._training import _Stack

CUDA = torch.device("cuda")
N_STEPS = WARM_UP + 9

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA device"
)
every_objective = pytest.mark.parametrize("make", (FAMILY | GROUPED).values())


def run(jobs, device, *, eagerly=False):
    """Make some steps; return the stack, and each term at each step."""
    stack = _Stack(jobs, make_schedule(N_STEPS), device)
    if eagerly:
        stack.run = run_eagerly
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


class UserObjective(core.VAE):
    """An objective that is not part of this package."""


def modules(n_features, n_components):
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


@every_objective
def test_steps_of_this_packages_models_are_repeated(make):
    job = make_job(objective=make(1.0))
    parts = job.network, job.likelihood, job.objective
    assert can_replay(CUDA, *parts)
    assert can_replay(CPU, *parts)
    assert not can_replay(torch.device("meta"), *parts)


@pytest.mark.parametrize(
    "others",
    [
        {"network": core.Modules(6, 3, modules)},
        {"network": core.PointPosterior(core.Modules(6, 3, modules))},
        {"objective": UserObjective(beta=1.0)},
    ],
)
def test_steps_with_code_of_the_user_are_run_as_they_are(others):
    job = make_job(**others)
    for device in (CPU, CUDA):
        assert not can_replay(device, job.network, job.likelihood, job.objective)
    assert run([job], CPU)[0].run is run_eagerly


class FakeGraph:
    """Replaces a CUDA graph, and counts its replays."""

    n_replays = 0

    def replay(self):
        self.n_replays += 1


@pytest.fixture
def no_device(monkeypatch):
    """Replace torch's CUDA functions, so that a replay runs on the CPU."""

    class Stream:
        def __init__(self, device=None):
            pass

        def wait_stream(self, other):
            pass

    def nothing(*_, **__):
        return contextlib.nullcontext()

    monkeypatch.setattr(_replay, "_of_this_thread", threading.local())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    for name in ("device", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, nothing)


def test_a_step_is_captured_once_and_then_replayed(no_device):
    calls = []

    def step(x):
        calls.append(x)
        return {"same": x}

    replay = Replay(CUDA)
    for number in range(WARM_UP + 4):
        result = replay(step, torch.tensor(float(number)))
        assert (
            result["same"] == number
        )  # the input was copied to where the graph reads it
    assert len(calls) == WARM_UP + 1
    assert replay.graph.n_replays == 4


def test_a_step_that_cannot_be_captured_is_run_eagerly(no_device, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    replay = Replay(CUDA)
    for number in range(WARM_UP + 5):
        result = replay(lambda x: {"twice": 2 * x}, torch.tensor(float(number)))
        assert result["twice"] == 2 * number


def test_a_stack_is_freed_after_its_fit():
    stack, _ = run([make_job()], CPU)
    reference = weakref.ref(stack)
    gc.disable()
    try:
        del stack
        assert reference() is None  # at once, without garbage collection
    finally:
        gc.enable()


@needs_cuda
@every_objective
def test_a_replayed_step_equals_the_eager_step(make):
    jobs = [
        make_job(objective=make(0.5), seed=0, n_components=4, input_noise=0.1),
        make_job(objective=make(2.0), seed=1, n_components=4, temperature=3.0),
    ]
    if getattr(make(1.0), "groups", None) == (2, 1):
        jobs = [make_job(objective=make(w), seed=1, n_components=3) for w in (1, 2)]
    replayed, terms = run(jobs, CUDA)
    assert replayed.run.graph is not None
    plain, expected = run(jobs, CUDA, eagerly=True)
    on_the_cpu, known = run(jobs, CPU)
    assert_close(terms, expected, 1e-8)
    assert_close(terms, known, 1e-6)
    for k in (0, 1):
        assert_close([replayed.export(k)], [plain.export(k)], 1e-7)
        assert_close([replayed.export(k)], [on_the_cpu.export(k)], 1e-5)


@needs_cuda
@pytest.mark.parametrize("n_models", [1, 2])
def test_convolutions_are_captured(n_models):
    rows = make_rows(80, n_features=2 * 8 * 8, dtype=np.float32)
    network = core.ConvNet(128, 3, (), "relu", True, (2, 8, 8))
    jobs = [make_job(network=network, rows=rows, seed=seed) for seed in range(n_models)]
    stack, terms = run(jobs, CUDA)
    assert stack.run.graph is not None
    assert_close(terms, run(jobs, CUDA, eagerly=True)[1], 1e-3)


@needs_cuda
def test_a_captured_step_reads_its_learning_rates():
    stack, _ = run([make_job()], CUDA)
    before = stack.export(0)
    for rate in stack.optimiser.rates:
        rate.zero_()
    ones = torch.ones(1, dtype=torch.float64, device=CUDA)
    stack.run(stack._update, ones, ones, ones, *stack.latest)
    assert stack.run.graph is not None
    assert_close([stack.export(0)], [before], 0.0)


@needs_cuda
def test_a_failed_capture_leaves_the_device_usable():
    def read_value(x):
        return {"sum": x.sum() if x.sum().item() > 0 else -x.sum()}

    replay = Replay(CUDA)
    x = torch.ones(3, device=CUDA)
    for _ in range(WARM_UP + 3):
        assert replay(read_value, x)["sum"].item() == 3
    assert replay.graph is None
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert run([make_job()], CUDA)[0].run.graph is not None


@needs_cuda
def test_modules_of_the_user_are_trained_eagerly():
    job = make_job(network=core.Modules(6, 3, modules))
    stack, terms = run([job], CUDA)
    assert stack.run is run_eagerly
    assert_close(terms, run([job], CPU)[1], 1e-6)


@needs_cuda
def test_threads_can_capture_concurrently():
    n_threads, found = 4, {}
    barrier = threading.Barrier(n_threads)

    def train(seed):
        barrier.wait()
        found[seed] = run([make_job(seed=seed)], CUDA)

    threads = [threading.Thread(target=train, args=(s,)) for s in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(n_threads):
        stack, terms = found[seed]
        assert stack.run.graph is not None
        assert_close(terms, run([make_job(seed=seed)], CPU)[1], 1e-6)


@needs_cuda
def test_repeated_fits_do_not_increase_memory():
    def allocated(n_fits):
        for seed in range(n_fits):
            core.fit_stack([make_job(seed=seed)], make_schedule(), device=CUDA)
        return torch.cuda.memory_allocated()

    first = allocated(2)
    assert allocated(8) <= first + 2**20

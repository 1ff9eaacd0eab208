"""Recorded steps give the results of the steps themselves, bit for bit."""

import numpy as np
import pandas as pd
import pytest
import torch
from _jobs import CPU, make_job, make_rows, make_schedule
from test_family import FAMILY, GROUPED
from test_filling import incomplete_job

from skfactorvae import FactorVAETransformer, core
from skfactorvae.core import _recording, _training
from skfactorvae.core._recording import RECORDED_STEPS, Recording
from skfactorvae.core._replay import run_eagerly
from skfactorvae.core._training import _Stack

N_STEPS = 12

every_objective = pytest.mark.parametrize(
    "make", (FAMILY | {f"{k}, groups": v for k, v in GROUPED.items()}).values()
)


def run(jobs, *, solver="adam", eagerly=False):
    """Make some steps; return the stack, and each term at each step."""
    stack = _Stack(jobs, make_schedule(RECORDED_STEPS, solver=solver), CPU)
    if eagerly:
        stack.run = run_eagerly
    terms = []
    for number in range(N_STEPS):
        values = stack.step(number)
        terms.append({k: v.numpy().copy() for k, v in values.items()})
    return stack, terms


def assert_recorded_equals_eager(jobs, **options):
    recorded, terms = run(jobs, **options)
    plain, expected = run(jobs, eagerly=True, **options)
    assert recorded.run.calls
    for one, other in zip(terms, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    own, others = recorded._tensors, plain._tensors
    assert own.keys() == others.keys()
    for name, tensor in own.items():
        assert torch.equal(tensor, others[name]), name


@every_objective
def test_a_recorded_step_equals_the_eager_step(make):
    groups = getattr(make(1.0), "groups", None)
    kinds = [{"temperature": 3.0}, {"weight_decay": 0.1}]
    jobs = [
        make_job(objective=make(w), seed=k, **({} if groups else kinds[k]))
        for k, w in enumerate((0.5, 2.0))
    ]
    assert_recorded_equals_eager(jobs)


@pytest.mark.parametrize("solver", ["adam", "soap"])
@pytest.mark.parametrize("n_models", [1, 3])
def test_both_solvers_are_recorded(solver, n_models):
    jobs = [make_job(seed=k, n_components=2 + k) for k in range(n_models)]
    assert_recorded_equals_eager(jobs, solver=solver)


def test_steps_with_input_noise_and_hidden_values_are_recorded():
    job = incomplete_job(hidden_fraction=0.3, input_noise=0.1)
    assert_recorded_equals_eager([job])


def test_convolutions_are_recorded():
    rows = make_rows(80, n_features=2 * 8 * 8, dtype=np.float32)
    network = core.ConvNet(128, 3, (), "relu", True, (2, 8, 8))
    assert_recorded_equals_eager([make_job(network=network, rows=rows)])


@pytest.mark.parametrize(
    "limit", [{"SMALL_WORK": 10}, {"RECORDED_VALUES": 10}, {"RECORDED_STEPS": 1000}]
)
def test_large_steps_and_short_fits_are_not_recorded(monkeypatch, limit):
    assert isinstance(run([make_job()])[0].run, Recording)
    for name, value in limit.items():
        monkeypatch.setattr(_training, name, value)
    assert run([make_job()])[0].run is run_eagerly


# ------------------------------------------------------------ any function
def counted(step):
    """Return the step, and the list of its calls."""
    calls = []

    def wrapped(*inputs):
        calls.append(inputs)
        return step(*inputs)

    return wrapped, calls


def test_a_step_is_recorded_twice_and_then_repeated():
    state = torch.zeros(3)

    def add(x):
        state.add_(x.exp())
        return {"sum": state.sum() + x[0] * 2}

    step, calls = counted(add)
    recording, expected = Recording(list), torch.zeros(3)
    for number in range(8):
        x = torch.full((3,), number / 7)
        result = recording(step, x)["sum"]
        expected = expected + x.exp()
        assert torch.equal(state, expected)
        assert torch.equal(result, expected.sum() + x[0] * 2)
    assert len(calls) == 3


def test_a_step_that_reads_a_value_is_run_as_it_is():
    step, calls = counted(lambda x: {"sum": -x.sum() if x.sum() > 0 else x.sum()})
    recording = Recording(list)
    for sign in (1, 1, 1, 1, -1, 1):
        assert recording(step, sign * torch.ones(3))["sum"] == -3
    assert len(calls) == 6


def test_a_step_whose_numbers_change_is_run_as_it_is():
    numbers = iter(range(10))
    step, calls = counted(lambda x: {"product": x * next(numbers)})
    recording = Recording(list)
    for number in range(6):
        assert recording(step, torch.ones(1))["product"] == number
    assert len(calls) == 6


@pytest.mark.parametrize(
    "random", [torch.randn_like, lambda x: x[x > 0].sum(), lambda x: x.t_()]
)
def test_operations_that_cannot_be_repeated_are_called_again(random):
    step, calls = counted(lambda x: {"result": random(x)})
    recording = Recording(list)
    for _ in range(6):
        recording(step, torch.ones(3))
    assert len(calls) == 6


def alternate(recording, step, x):
    """Return what six calls give, with and without a recording."""
    return [recording(step, x)["result"].tolist() for _ in range(6)]


def test_numbers_do_not_change_the_type_of_an_operation():
    given = torch.tensor([1.1, 2.7, 3.3])

    def step(x):
        total = x.sum()
        return {"result": torch.stack([total * 0.1, total / 3.3, 0.7 - total])}

    recording = Recording(list)
    found = alternate(recording, step, given)
    assert recording.calls
    assert found == [step(given)["result"].tolist()] * 6


def test_a_step_that_writes_to_other_tensors_in_turn_is_run_as_it_is():
    buffers, number = [torch.zeros(2), torch.zeros(2)], iter(range(10))

    def step(x):
        torch.add(x, 1.0, out=buffers[next(number) % 2])
        return {"result": buffers[0] + 0.0}

    recording = Recording(list)
    for k in range(6):
        recording(step, torch.full((2,), float(k)))
    assert [b[0] for b in buffers] == [5.0, 6.0]
    assert not recording.calls


def test_a_step_that_returns_another_tensor_is_run_as_it_is():
    number = iter(range(10))

    def step(x):
        parts = [x * 2, x * 3]
        return {"result": parts[next(number) % 2]}

    found = alternate(Recording(list), step, torch.ones(1))
    assert found == [[2.0], [3.0]] * 3


def test_a_step_that_changes_a_constant_is_run_as_it_is():
    def step(x):
        return {"result": torch.tensor([1.0, 2.0]).add_(x)}

    found = alternate(Recording(list), step, torch.ones(2))
    assert found == [[2.0, 3.0]] * 6


def test_a_step_with_sparse_tensors_is_run_as_it_is():
    recording = Recording(list)
    found = alternate(
        recording, lambda x: {"result": x.to_sparse().sum()}, torch.ones(2)
    )
    assert found == [2.0] * 6
    assert not recording.calls


def test_memory_is_used_again():
    def chain(x):
        for _ in range(20):
            x = torch.sin(x)
        return {"x": x}

    recording, given = Recording(list), torch.ones(1000)
    for _ in range(4):
        result = recording(chain, given)["x"]
    assert torch.equal(result, chain(given)["x"])
    targets = {call.keywords["out"].data_ptr() for call in recording.calls}
    assert len(recording.calls) == 20
    assert len(targets) == 3  # two in turn, and the result's own


def test_what_is_read_after_a_step_keeps_its_memory():
    kept = []

    def step(x):
        kept[:] = [x + 1]
        y = x
        for _ in range(5):
            y = y * 2
        return {"y": y}

    recording = Recording(lambda: kept)
    for number in range(6):
        recording(step, torch.full((4,), float(number)))
        assert torch.equal(kept[0], torch.full((4,), number + 1.0))


def test_views_share_the_memory_of_what_they_view():
    def step(x):
        whole = torch.zeros(2, 3)
        whole[0] = x
        whole.mT[1] = 5.0
        return {"whole": whole * 1.0}

    recording = Recording(list)
    for number in range(5):
        x = torch.full((3,), float(number))
        assert torch.equal(recording(step, x)["whole"], step(x)["whole"])


def test_equal_operations_on_other_tensors_differ():
    tensors = [torch.ones(2), torch.ones(2)]

    def describe(tensor):
        add = torch.ops.aten.add.Tensor
        result = tensor + 1
        call = _recording.Operation(add, (tensor, 1), {}, (result,))
        return _recording._describe([call])

    assert describe(tensors[0]) == describe(tensors[0])
    assert describe(tensors[0]) != describe(tensors[1])


# ------------------------------------------------------------- estimators
@pytest.fixture
def recordings(monkeypatch):
    """Return the list of all recordings that fits begin."""
    made = []

    class Listed(Recording):
        def __init__(self, kept):
            super().__init__(kept)
            made.append(self)

    monkeypatch.setattr(_training, "Recording", Listed)
    return made


def test_short_blocks_of_a_stream_are_not_recorded(recordings):
    model = FactorVAETransformer(2, batch_size=16, random_state=0)
    for seed in range(20):
        model.partial_fit(make_rows(64, seed=seed))
    assert recordings == []


def test_columns_of_several_types_with_hidden_values_are_recorded(recordings):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(make_rows(120, 4), columns=list("abcd"))
    table["kind"] = np.array(["a", "b", "c"])[rng.integers(0, 3, 120)]
    table.iloc[::5, 1] = np.nan
    FactorVAETransformer(
        2, likelihood="auto", weight_decay=0.0, max_iter=RECORDED_STEPS, random_state=0
    ).fit(table)
    assert all(recording.calls for recording in recordings)
    assert len(recordings) == 1

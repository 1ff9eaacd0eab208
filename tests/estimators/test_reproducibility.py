"""Fits depend on ``random_state`` only, and the code of a row on the row only."""

import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skfactorvae import core
from skfactorvae.core._devices import process_settings
from skfactorvae.core._precision import matmul_backends

N_ROWS = 12


def modules(n_features, n_components):
    """A user's own encoder and decoder."""
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


VARIANTS = {
    "ica": {},
    "pca": {"init": "pca"},
    "random": {"init": "random"},
    "bernoulli": {"likelihood": "bernoulli"},
    "shared noise": {"noise_scale": "shared"},
    "conv": {"network": "conv", "image_shape": (1, 4, 4)},
    "modules": {"network": modules},
    "double": {"precision": "float64"},
    "early stopping": {"early_stopping": True},
}

SLOW_VARIANTS = ("pca", "random", "shared noise")
each_variant = pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(value, id=name, marks=[pytest.mark.slow] * (name in SLOW_VARIANTS))
        for name, value in VARIANTS.items()
    ],
)


def variants(test):
    """Run a test for each variant that a transformer has."""
    return pytest.mark.takes(given=lambda parameters: parameters)(each_variant(test))


def table(n_rows=N_ROWS):
    """Rows of sixteen values in [0, 1], some of them equal."""
    rng = np.random.RandomState(1)
    rows = rng.uniform(size=(n_rows, 16)).round(2)
    rows[n_rows // 2] = rows[0]
    return rows


def state(model):
    """Return all fitted arrays by name."""
    return {
        "mean": model.mean_,
        "scale": model.scale_,
        "kl": model.kl_per_component_,
        "n_iter": model.n_iter_,
        **model.weights_,
        **{f"history of {name}": values for name, values in model.history_.items()},
    }


def assert_same_fit(a, b):
    a, b = state(a), state(b)
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def differ(a, b):
    return any(not np.array_equal(w, b.weights_[k]) for k, w in a.weights_.items())


# ------------------------------------------------------------------------- seeds
@variants
def test_the_same_seed_gives_the_same_fit_bit_for_bit(small, parameters):
    X = table()
    assert_same_fit(small(**parameters).fit(X), small(**parameters).fit(X))


@variants
def test_fitting_again_gives_the_same_fit(small, parameters):
    X = table()
    model = small(**parameters)
    first = state(model.fit(X))
    second = state(model.fit(X))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@variants
def test_different_seeds_give_different_fits(small, parameters):
    X = table()
    first = small(random_state=0, **parameters).fit(X)
    assert differ(first, small(random_state=1, **parameters).fit(X))


def test_none_differs_from_fit_to_fit(small):
    X = table()
    model = small(random_state=None)
    first = model.fit(X).weights_
    second = model.fit(X).weights_
    assert any(not np.array_equal(first[name], second[name]) for name in first)


def test_a_random_state_advances(small):
    """Two fits with one generator are the fits with its first two seeds."""
    X = table()
    generator = np.random.RandomState(3)
    first = small(random_state=generator).fit(X)
    second = small(random_state=generator).fit(X)
    assert differ(first, second)
    again = np.random.RandomState(3)
    assert_same_fit(first, small(random_state=again).fit(X))
    assert_same_fit(second, small(random_state=again).fit(X))


@pytest.mark.takes("noise_scale")
def test_fit_does_not_change_parameters(small):
    generator = np.random.RandomState(3)
    model = small(random_state=generator, device="auto", noise_scale="auto")
    before = model.get_params()
    model.fit(table())
    after = model.get_params()
    assert all(after[name] is before[name] for name in before)


@pytest.mark.parametrize("noise", [False, True])
def test_samples_follow_their_own_seed(small, noise):
    model = small().fit(table())
    draw = [model.sample(4, noise=noise, random_state=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draw[0], draw[1])
    assert not np.array_equal(draw[0], draw[2])


# ------------------------------------------------------------- global generators
def generators():
    """Return the state of every global generator."""
    state = [random.getstate(), torch.get_rng_state().numpy().tobytes()]
    name, keys, *rest = np.random.get_state()
    state += [name, keys.tobytes(), *rest]
    if torch.cuda.is_available():
        state += [s.numpy().tobytes() for s in torch.cuda.get_rng_state_all()]
    return state


@pytest.mark.one_member
@variants
@pytest.mark.parametrize("seed", [0, np.random.RandomState(0)], ids=["int", "state"])
def test_global_generators_are_unchanged(small, parameters, seed):
    X = table()
    before = generators()
    model = small(random_state=seed, **parameters).fit(X)
    model.inverse_transform(model.transform(X))
    model.posterior(X)
    model.score(X)
    model.sample(2, random_state=seed)
    assert generators() == before


@pytest.mark.takes({"network": modules})
def test_global_generators_have_no_influence(small):
    X = table()
    fits = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        fits.append(small(network=modules).fit(X))
    assert_same_fit(*fits)


@contextmanager
def double_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SURROUNDINGS = {
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "double precision": double_by_default,
    "another device": lambda: torch.device("meta"),
    "mixed precision": lambda: torch.autocast("cpu"),
}


@pytest.mark.one_member
@pytest.mark.takes(given=lambda parameters: parameters)
@pytest.mark.parametrize("surrounding", SURROUNDINGS)
@pytest.mark.parametrize("parameters", [{}, {"network": modules}], ids=["mlp", "own"])
def test_global_settings_of_torch_have_no_influence(small, surrounding, parameters):
    X = table()
    expected = small(**parameters).fit(X)
    with SURROUNDINGS[surrounding]():
        model = small(**parameters).fit(X)
        codes, rows = model.transform(X), model.sample(2, random_state=0)
    assert_same_fit(expected, model)
    np.testing.assert_array_equal(codes, expected.transform(X))
    np.testing.assert_array_equal(rows, expected.sample(2, random_state=0))


# ----------------------------------------------------------------------- threads
@pytest.fixture
def threads():
    """Set two threads for torch during a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield torch.get_num_threads
    torch.set_num_threads(before)


@pytest.mark.one_member
@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_the_number_of_threads_is_restored(small, threads, n_jobs):
    X = table()
    model = small(n_jobs=n_jobs).fit(X)
    assert threads() == 2
    model.inverse_transform(model.transform(X))
    model.score(X)
    model.sample()
    assert threads() == 2


@pytest.mark.takes({"network": modules})
def test_the_number_of_threads_is_restored_after_a_failure(small, threads):
    def build(n_features, n_components):
        return nn.Linear(n_features, 1), nn.Linear(n_components, n_features)

    with pytest.raises(ValueError, match="expected"):
        small(network=build).fit(table())
    assert threads() == 2


@pytest.mark.one_member
@pytest.mark.takes({"network": modules}, "early_stopping")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_every_step_of_a_fit_has_the_same_threads(small, threads, early_stopping):
    """Steps after an evaluation of held-out rows, too."""
    seen = set()

    class Counting(nn.Linear):
        def forward(self, x):
            if torch.is_grad_enabled():
                seen.add(threads())
            return super().forward(x)

    def build(n_features, n_components):
        encoder = Counting(n_features, 2 * n_components)
        return encoder, nn.Linear(n_components, n_features)

    small(network=build, n_jobs=2, early_stopping=early_stopping).fit(table())
    assert seen == {2}


def test_a_small_fit_does_not_depend_on_the_number_of_threads(small, threads):
    two = small().fit(table())
    torch.set_num_threads(1)
    assert_same_fit(two, small().fit(table()))


# ----------------------------------------------------------------------- weights
counts = st.lists(st.integers(0, 4), min_size=N_ROWS, max_size=N_ROWS).filter(
    lambda c: sum(k > 0 for k in c) > 3
)
orders = st.permutations(range(N_ROWS))


@variants
def test_integer_weights_are_repeated_rows(small, parameters):
    X = table()
    count = np.arange(len(X)) % 4
    weighted = small(**parameters).fit(X, sample_weight=count)
    repeated = small(**parameters).fit(np.repeat(X, count, axis=0))
    assert_same_fit(weighted, repeated)


@pytest.mark.slow
def test_integer_weights_are_repeated_rows_beyond_the_sample_of_ica(small):
    """Also if the linear initialisation uses a sample of the rows."""
    X = np.random.RandomState(0).normal(size=(11_000, 4)) ** 3
    count = np.arange(len(X)) % 3
    weighted = small().fit(X, sample_weight=count)
    repeated = small().fit(np.repeat(X, count, axis=0)[::-1])
    assert_same_fit(weighted, repeated)


@variants
def test_the_order_of_rows_has_no_effect(small, parameters):
    X = table()
    order = np.random.RandomState(0).permutation(len(X))
    assert_same_fit(small(**parameters).fit(X), small(**parameters).fit(X[order]))


@pytest.mark.one_member
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_the_order_of_rows_has_no_effect_in_any_dtype(small, dtype):
    X = (table() * 3).astype(dtype)
    assert_same_fit(small().fit(X), small().fit(X[::-1]))


def test_zeros_are_equal_whatever_their_sign(small):
    X = table().round()
    assert_same_fit(small().fit(X), small().fit(np.where(X == 0, -0.0, X)))


def test_layout_in_memory_has_no_effect(small):
    X = table()
    padded = np.zeros((2 * len(X), 32))
    padded[::2, ::2] = X
    expected = small().fit(X)
    for view in (np.asfortranarray(X), padded[::2, ::2], X.tolist()):
        assert_same_fit(expected, small().fit(view))


def test_equal_weights_equal_no_weights(small):
    X = table()
    plain = small().fit(X)
    for weight in (np.ones(len(X)), np.full(len(X), 4.0), 1.0, [1] * len(X)):
        assert_same_fit(plain, small().fit(X, sample_weight=weight))


def test_score_is_the_weighted_mean_of_score_samples(small):
    X = table()
    model = small().fit(X)
    weight = np.arange(len(X)) % 3
    repeated = model.score_samples(np.repeat(X, weight, axis=0))
    assert model.score(X, sample_weight=weight) == pytest.approx(repeated.mean())
    assert model.score(X) == pytest.approx(model.score_samples(X).mean())


@pytest.mark.hypothesis
def test_any_integer_weights_equal_repeated_rows(small):
    X = table()

    @given(count=counts, order=orders)
    def holds(count, order):
        count = np.array(count)
        weighted = small().fit(X, sample_weight=count)
        repeated = small().fit(np.repeat(X[order], count[order], axis=0))
        assert_same_fit(weighted, repeated)

    holds()


@pytest.mark.hypothesis
def test_any_weights_move_with_their_rows(small):
    """Also with equal rows, whose weights are added up in any order."""
    X = table()[np.arange(N_ROWS) % 4]
    weights = st.lists(st.floats(0.01, 100), min_size=N_ROWS, max_size=N_ROWS)

    @given(weight=weights, order=orders)
    def holds(weight, order):
        weight = np.array(weight)
        as_given = small().fit(X, sample_weight=weight)
        moved = small().fit(X[order], sample_weight=weight[order])
        assert_same_fit(as_given, moved)

    holds()


@pytest.mark.one_member
@pytest.mark.hypothesis
def test_weights_have_no_unit(small):
    """Scaling by powers of two is exact in floating point."""
    X = table()
    weight = np.random.RandomState(0).uniform(size=len(X))
    expected = small().fit(X, sample_weight=weight)

    @given(power=st.integers(-100, 100))
    def holds(power):
        scaled = small().fit(X, sample_weight=weight * 2.0**power)
        assert_same_fit(expected, scaled)

    holds()


# ------------------------------------------------------------------------- groups
N_GROUPED = 60
held_out_for = pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(
            {"max_iter": 300, "weight_decay": "auto"},
            id="comparison",
            marks=pytest.mark.slow,
        ),
        pytest.param({"early_stopping": True}, id="early stopping"),
    ],
)


def grouped():
    """Sixty samples, five of each of twelve subjects."""
    return table(N_GROUPED), np.array([f"subject {i % 12}" for i in range(N_GROUPED)])


@pytest.mark.one_member
@pytest.mark.takes("early_stopping")
@held_out_for
def test_the_order_of_grouped_rows_has_no_effect(small, parameters):
    X, groups = grouped()
    order = np.random.RandomState(0).permutation(len(X))
    a = small(**parameters).fit(X, sample_groups=groups)
    b = small(**parameters).fit(X[order], sample_groups=groups[order])
    assert_same_fit(a, b)
    assert a.held_out_ == b.held_out_


@pytest.mark.one_member
@pytest.mark.takes("early_stopping")
@held_out_for
def test_integer_weights_are_repeated_grouped_rows(small, parameters):
    """Also where a whole group has no weight, or one row is in two groups."""
    X, groups = grouped()
    X[13] = X[12]
    count = np.arange(len(X)) % 4
    count[groups == "subject 10"] = 0
    weighted = small(**parameters).fit(X, sample_weight=count, sample_groups=groups)
    rows = np.repeat(np.arange(len(X)), count)
    repeated = small(**parameters).fit(X[rows], sample_groups=groups[rows])
    assert_same_fit(weighted, repeated)


@pytest.mark.one_member
@pytest.mark.takes("early_stopping")
def test_the_names_of_groups_have_no_effect(small):
    X, groups = grouped()
    number = np.unique(groups, return_inverse=True)[1] * 10 - 7.5
    a = small(early_stopping=True).fit(X, sample_groups=groups)
    assert_same_fit(a, small(early_stopping=True).fit(X, sample_groups=number))


@pytest.mark.one_member
@pytest.mark.takes("early_stopping")
@held_out_for
def test_groups_are_held_out_together(small, parameters, monkeypatch):
    """Every job of the comparison, and that of early stopping."""
    X, groups = grouped()
    split = []
    fit_stack = core.fit_stack

    def recorded(jobs, *args, **options):
        split.extend(job for job in jobs if job.held_out is not None)
        return fit_stack(jobs, *args, **options)

    monkeypatch.setattr(core, "fit_stack", recorded)
    X[:, 0] = np.unique(groups, return_inverse=True)[1]  # tells the group of a row
    small(standardize=None, **parameters).fit(X, sample_groups=groups)
    assert split
    for job in split:
        trained, held_out = set(job.rows[:, 0]), set(job.held_out.rows[:, 0])
        assert held_out
        assert not trained & held_out


# ------------------------------------------------------------------ samples at a time
def assert_equal_to_rounding(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def methods(model):
    """Return the methods that map samples to samples."""
    return {
        "transform": model.transform,
        "deviation": lambda X: model.posterior(X)[1],
        "score_samples": model.score_samples,
        "inverse_transform": lambda X: model.inverse_transform(X[:, :3]),
    }


@pytest.mark.one_member
@variants
@pytest.mark.parametrize("method", ["transform", "deviation", "score_samples"])
def test_a_row_is_mapped_independently_of_the_others(small, parameters, method):
    X = table(300)
    function = methods(small(**parameters).fit(X))[method]
    whole = function(X)
    one_by_one = np.concatenate([function(X[i : i + 1]) for i in range(0, 300, 13)])
    assert_equal_to_rounding(one_by_one, whole[::13])
    assert_equal_to_rounding(function(X[::-1]), whole[::-1])
    assert_equal_to_rounding(function(X[:257]), whole[:257])


@pytest.mark.one_member
@pytest.mark.parametrize("hidden", [(), (8,), (300, 200)], ids=str)
@pytest.mark.parametrize("n_features", [1, 3, 16, 131])
def test_a_row_is_mapped_independently_at_every_width(small, hidden, n_features):
    X = np.random.RandomState(0).normal(size=(70, n_features))
    model = small(hidden_layer_sizes=hidden, max_iter=2).fit(X)
    whole = model.transform(X)
    assert_equal_to_rounding(model.transform(X[5:6]), whole[5:6])
    assert_equal_to_rounding(model.transform(X[::3]), whole[::3])


@pytest.mark.one_member
@pytest.mark.hypothesis
@pytest.mark.parametrize(
    "method", ["transform", "deviation", "score_samples", "inverse_transform"]
)
def test_any_selection_of_rows_is_mapped_as_in_the_whole(small, method):
    X = table(400)
    function = methods(small().fit(X))[method]
    whole = function(X)

    @given(chosen=st.lists(st.integers(0, 399), min_size=1, max_size=600))
    def holds(chosen):
        assert_equal_to_rounding(function(X[chosen]), whole[chosen])

    holds()


def test_repeated_calls_return_the_same_values(small):
    X = table()
    model = small().fit(X)
    first = [model.transform(X), model.score_samples(X)]
    second = [model.transform(X), model.score_samples(X)]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", ["fit", "transform", "score"])
def test_the_users_table_is_never_written_to(small, method):
    X = table().astype("float32")
    model = small().fit(X)
    kept = X.copy()
    X.flags.writeable = False
    getattr(model, method)(X)
    np.testing.assert_array_equal(X, kept)


# -------------------------------------------------------------- settings of the process
def set_for_all(precision):
    torch.set_float32_matmul_precision(precision)


def set_for_each(precision):
    for backend in matmul_backends():
        backend.fp32_precision = {"highest": "ieee", "high": "tf32"}[precision]


PRECISION_OF_PRODUCTS = """
import numpy as np, torch
from test_reproducibility import *
from skfactorvae import FactorVAETransformer
rows = np.random.RandomState(0).normal(size=(200, 100))
model = FactorVAETransformer(3, max_iter=6, random_state=0)
expected = model.fit(rows).transform(rows)
{set}({precision!r})
before = [backend.fp32_precision for backend in matmul_backends()]
with process_settings(1, 1, torch.device("cpu")):
    inside = [backend.fp32_precision for backend in matmul_backends()]
np.testing.assert_array_equal(model.transform(rows), expected)
np.testing.assert_array_equal(model.fit(rows).transform(rows), expected)
assert set(inside) <= {{"ieee", "none"}}, inside
assert [backend.fp32_precision for backend in matmul_backends()] == before
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "precision"),
    [("set_for_all", "high"), ("set_for_all", "medium"), ("set_for_each", "high")],
)
def test_the_precision_of_matrix_products_has_no_effect(way, precision):
    """Products of fewer digits would change codes in their third one.

    Torch does not allow both ways in one process.
    """
    script = PRECISION_OF_PRODUCTS.format(set=way, precision=precision)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr


def test_the_precision_of_matrix_products_is_restored(small, X):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with process_settings(1, 1, torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
        small().fit(X).transform(X)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)

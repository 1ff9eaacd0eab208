"""Copies by pickle, joblib, deepcopy and clone equal the original bit for bit."""

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

import skfactorvae

ABSENT = "mps" if torch.cuda.is_available() else "cuda"
"""A device that this machine does not have."""

VARIANTS = {
    "mlp": {},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "bernoulli": {"likelihood": "bernoulli"},
    "conv": {"network": "conv", "image_shape": (1, 8, 8)},
    "double": {"precision": "float64"},
    "early stopping": {"early_stopping": True},
}


def through_pickle(model, _):
    return pickle.loads(pickle.dumps(model))


def through_oldest_pickle(model, _):
    return pickle.loads(pickle.dumps(model, protocol=2))


def through_deepcopy(model, _):
    return copy.deepcopy(model)


def through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib", compress=3)
    return joblib.load(folder / "model.joblib")


def through_memory_map(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


def through_clone_and_fit(model, _):
    return clone(model).fit(table())


WAYS = [
    through_pickle,
    through_oldest_pickle,
    through_deepcopy,
    through_joblib,
    through_memory_map,
    through_clone_and_fit,
]


def table():
    """Thirty images of 8 x 8 pixels, in [0, 1]."""
    return np.random.RandomState(0).uniform(size=(30, 64))


def outputs(model):
    """Return all outputs of a fitted transformer as a list of arrays."""
    X = table()
    codes = model.transform(X)
    mean, std = model.posterior(X)
    return [
        codes,
        mean,
        std,
        model.inverse_transform(codes),
        model.score_samples(X),
        np.array(model.score(X)),
        model.sample(3, random_state=0),
        model.kl_per_component_,
        *model.history_.values(),
    ]


def assert_same_outputs(a, b):
    for expected, actual in zip(outputs(a), outputs(b), strict=True):
        assert expected.dtype == actual.dtype
        np.testing.assert_array_equal(expected, actual)


@pytest.mark.one_member
@pytest.mark.takes(given=lambda variant: VARIANTS[variant])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_copy_has_the_same_outputs_bit_for_bit(small, way, variant, tmp_path):
    model = small(**VARIANTS[variant]).fit(table())
    copied = way(model, tmp_path)
    assert copied is not model
    assert_same_outputs(model, copied)


@pytest.mark.one_member
@pytest.mark.takes(given=lambda variant: VARIANTS[variant])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("is_used", [False, True], ids=["fresh", "used"])
def test_a_pickle_has_no_torch_object(small, variant, is_used):
    model = small(**VARIANTS[variant]).fit(table())
    if is_used:
        outputs(model)
    assert b"torch" not in pickle.dumps(model)


def test_transforming_does_not_change_the_pickle(small):
    """No network is kept after a call: it would be copied and pickled, too."""
    model = small().fit(table())
    before = pickle.dumps(model)
    outputs(model)
    assert pickle.dumps(model) == before


def test_a_pickle_is_little_larger_than_its_weights(small):
    model = small(hidden_layer_sizes=(128, 128)).fit(table())
    numbers = sum(w.nbytes for w in model.weights_.values())
    assert len(pickle.dumps(model)) < 1.1 * numbers + 20_000


@pytest.mark.takes("early_stopping")
def test_fitted_state_is_plain(small):
    """Arrays, scalars, strings, and tuples and dicts of them."""
    plain = (np.ndarray, np.generic, str, int, float, bool, type(None))

    def check(value):
        if isinstance(value, dict):
            value = [*value.keys(), *value.values()]
        if isinstance(value, list | tuple):
            for part in value:
                check(part)
        else:
            assert isinstance(value, plain), value

    model = small(early_stopping=True).fit(table())
    model.transform(table())
    for value in vars(model).values():
        check(value)


@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [
        (None, ["scale_"], "lacks scale_"),
        (None, ["_model_spec", "mean_"], "lacks _model_spec, mean_"),
        ("_model_spec", ["n_hidden", "levels"], "lacks levels, n_hidden"),
        ("_model_spec", "width", "has in addition width"),
        ("weights_", ["decoder.0.bias"], r"lacks decoder\.0\.bias"),
    ],
)
def test_a_state_of_another_version_is_named_as_such(small, part, change, expected):
    state = copy.deepcopy(small().fit(table()).__getstate__()) | {"_version": "9.8.7"}
    changed = state if part is None else state[part]
    if isinstance(change, str):
        changed[change] = 1
    for name in [] if isinstance(change, str) else change:
        del changed[name]
    version = re.escape(skfactorvae.__version__)
    message = rf"version 9\.8\.7.* by version {version}: its state {expected}\. Load"
    with pytest.raises(ValueError, match=message):
        small().__setstate__(state)


def test_a_state_without_a_version_can_be_loaded(small):
    model = small().fit(table())
    state = copy.deepcopy(model.__getstate__())
    assert state.pop("_version") == skfactorvae.__version__
    older = small()
    older.__setstate__(state)
    assert_same_outputs(model, older)


def test_memory_mapped_weights_are_shared_with_the_file(small, tmp_path):
    model = through_memory_map(small().fit(table()), tmp_path)
    maps = [w for w in model.weights_.values() if isinstance(w, np.memmap)]
    assert maps
    assert not any(w.flags.writeable for w in maps)


def test_an_unfitted_transformer_survives_pickling(small):
    model = through_pickle(small(), None)
    assert not hasattr(model, "weights_")
    assert model.get_params() == small().get_params()


@pytest.mark.one_member
@pytest.mark.parametrize("way", WAYS[:-1])
def test_a_copy_can_be_fitted_further(small, way, tmp_path):
    model = small(warm_start=True).fit(table())
    copied = way(model, tmp_path)
    assert_same_outputs(model.fit(table()), copied.fit(table()))


def test_a_copy_shares_no_memory_with_the_original(small):
    model = small().fit(table())
    copied = copy.deepcopy(model)
    expected = outputs(copied)
    for weight in model.weights_.values():
        weight *= 2
    model.fit(-table())
    for before, after in zip(expected, outputs(copied), strict=True):
        np.testing.assert_array_equal(before, after)


FRESH_PROCESS = """
import pickle, sys
import numpy as np
X, codes = pickle.load(open(sys.argv[1] + "/expected.pkl", "rb"))
for i, expected in enumerate(codes):
    model = pickle.load(open(f"{sys.argv[1]}/{i}.pkl", "rb"))
    np.testing.assert_array_equal(model.transform(X), expected)
"""


def test_a_pickle_is_loaded_in_a_fresh_process(small_family, tmp_path):
    X = table()
    codes = [model.fit_transform(X) for model in small_family]
    (tmp_path / "expected.pkl").write_bytes(pickle.dumps((X, codes)))
    for i, model in enumerate(small_family):
        (tmp_path / f"{i}.pkl").write_bytes(pickle.dumps(model))
    command = [sys.executable, "-c", FRESH_PROCESS, str(tmp_path)]
    tests = Path(__file__).parents[1]  # the labelled transformer is defined there
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tests
    )
    assert done.returncode == 0, done.stderr


# ----------------------------------------------------------------------- devices
def test_a_model_of_an_absent_device_runs_on_the_cpu(small, tmp_path):
    model = small(device="cpu").fit(table())
    elsewhere = through_pickle(model, None).set_params(device=ABSENT)
    assert_same_outputs(model, elsewhere)


def test_a_fit_on_an_absent_device_is_refused(small):
    with pytest.raises(ValueError, match=rf"'{ABSENT}'.*no such device.*device='auto'"):
        small(device=ABSENT).fit(table())


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cpu cpu"])
def test_an_invalid_device_name_is_refused(small, name):
    with pytest.raises(ValueError, match=r"device=.*not a device name.*'cuda'"):
        small(device=name).fit(table())

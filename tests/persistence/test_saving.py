"""Saved estimators equal their originals; each class declares its whole state."""

import inspect
import json
import os
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.decomposition import FastICA
from sklearn.exceptions import NotFittedError
from sklearn.utils.fixes import parse_version
from torch import nn

import skfactorvae
from skfactorvae._compat import has_callbacks
from skfactorvae.files import ModelFileError, read_container, write_container
from skfactorvae.files._document import digest
from skfactorvae.inspection import explore, factor_table
from skfactorvae.model_selection import SeedEnsemble, latent_report

needs_callbacks = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn has no callbacks",
)

DATA = Path(__file__).parents[1] / "data"

VARIANTS = {
    "mlp": {},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "bernoulli": {"likelihood": "bernoulli"},
    "conv": {"network": "conv", "image_shape": (1, 8, 8)},
    "double": {"precision": "float64"},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "numbers of numpy": {"gamma": np.float32(0.1), "beta": np.longdouble("1.1")},
    "arrays": {"hidden_layer_sizes": np.array([8, 4]), "groups": [1, 2]},
    "a generator": {"random_state": np.random.RandomState(3)},
}


def table(frame=False):
    """Thirty images of 8 x 8 pixels, in [0, 1]."""
    X = np.random.RandomState(0).uniform(size=(30, 64))
    return pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)]) if frame else X


def outputs(model, X):
    """Return all outputs of a fitted estimator as a list of arrays."""
    codes = model.transform(X)
    found = [codes, model.inverse_transform(codes)]
    if hasattr(model, "score_samples"):
        found += [*model.posterior(X), model.score_samples(X)]
        found += [model.sample(3, random_state=0), *model.history_.values()]
    return found


def assert_same(a, b, X):
    for expected, actual in zip(outputs(a, X), outputs(b, X), strict=True):
        assert np.asarray(expected).dtype == np.asarray(actual).dtype
        np.testing.assert_array_equal(expected, actual)


def through_file(model, folder, **options):
    path = folder / "model.safetensors"
    assert model.save(path) is model
    return skfactorvae.load(path, **options)


def assert_equal_state(a, b):
    """Raise unless two values have equal types and equal content."""
    if isinstance(a, dict):
        assert list(a) == list(b)
        a, b = list(a.values()), list(b.values())
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
        return
    assert type(a) is type(b)
    if isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_equal_state(one, other)
    elif isinstance(a, np.random.RandomState):
        assert_equal_state(a.get_state(), b.get_state())
    elif hasattr(a, "save"):
        assert_equal_state(dict(sorted(vars(a).items())), dict(sorted(vars(b).items())))
    else:
        assert repr(a) == repr(b)


# ----------------------------------------------------------------- what is declared
SAVED = [
    member
    for module in (skfactorvae, skfactorvae.model_selection)
    for name in module.__all__
    if inspect.isclass(member := getattr(module, name))
    and hasattr(member, "transform")
    and not name.startswith("Batched")
]


@pytest.mark.parametrize("cls", SAVED, ids=lambda cls: cls.__name__)
def test_a_class_declares_every_attribute_that_a_fit_sets(cls):
    inner = skfactorvae.FactorVAETransformer(2, max_iter=2)
    wraps = "estimator" in inspect.signature(cls).parameters
    model = cls(inner, n_seeds=2) if wraps else cls(2, max_iter=2)
    model.set_params(random_state=0).fit(table(frame=True), table()[:, 0])
    attributes = vars(model).keys() - model.get_params(deep=False).keys()
    undeclared = attributes - model._declared().keys()
    assert not undeclared, f"{cls.__name__} does not declare {sorted(undeclared)}"
    needed = {k for k, entry in cls._fitted_state.items() if not entry.optional}
    assert needed <= attributes, f"{cls.__name__} has no {sorted(needed - attributes)}"


# ------------------------------------------------------------------- equal estimators
@pytest.mark.one_member
@pytest.mark.takes(given=lambda variant: VARIANTS[variant])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_loaded_estimator_has_the_same_outputs_and_state(small, variant, tmp_path):
    model = small(**VARIANTS[variant]).fit(table())
    path = tmp_path / "model"
    model.save(path, include_discriminator=True)
    loaded = skfactorvae.load(path, cls=type(model))
    assert_same(model, loaded, table())
    assert_equal_state(model, loaded)
    reprs = [re.sub(" at 0x[0-9A-F]+", "", repr(m)) for m in (model, loaded)]
    assert reprs[0] == reprs[1]


def test_a_loaded_estimator_is_as_the_original_in_every_respect(small, tmp_path):
    X = table(frame=True)
    model = small().set_output(transform="pandas").fit(X)
    loaded = through_file(model, tmp_path, cls=type(model))
    pd.testing.assert_frame_equal(model.transform(X), loaded.transform(X))
    assert list(model.get_feature_names_out()) == list(loaded.get_feature_names_out())
    assert_same(model, pickle.loads(pickle.dumps(loaded)), X)
    assert_same(clone(model).fit(X), clone(loaded).fit(X), X)
    assert factor_table(model, X).to_frame().equals(factor_table(loaded, X).to_frame())
    pages = [
        explore(m, X, tmp_path / f"{i}.html").path.read_bytes()
        for i, m in enumerate((model, loaded))
    ]
    assert pages[0] == pages[1]


@pytest.mark.slow
@pytest.mark.one_member
def test_reports_on_a_loaded_estimator_are_the_same(small, tmp_path):
    model = small(max_iter=60).fit(table())
    reports = [
        str(latent_report(m, table(), random_state=0))
        for m in (model, through_file(model, tmp_path))
    ]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("frame", [False, True])
def test_memory_mapped_arrays_give_the_same_outputs(small, tmp_path, frame):
    model = small().fit(table(frame))
    mapped = through_file(model, tmp_path, mmap=True, cls=type(model))
    assert all(isinstance(w, np.memmap) for w in mapped.weights_.values())
    assert not any(w.flags.writeable for w in mapped.weights_.values())
    assert_same(model, mapped, table(frame))
    assert_same(model, pickle.loads(pickle.dumps(mapped)), table(frame))


@pytest.mark.one_member
@pytest.mark.parametrize("include", [False, True])
def test_a_loaded_estimator_can_be_fitted_further(small, tmp_path, include):
    model = small(warm_start=True).fit(table())
    model.save(tmp_path / "model", include_discriminator=include)
    loaded = skfactorvae.load(tmp_path / "model", cls=type(model))
    prefixes = ("discriminator.", "opponent.")
    names = {name for name in model.weights_ if name.startswith(prefixes)}
    assert set(model._training_weights) == names
    assert loaded.weights_.keys() & names == (names if include else set())
    first = [m.fit(table()).transform(table()) for m in (model, loaded)]
    has_penalty = names and model.get_params().get("gamma", 1.0) > 0
    assert np.array_equal(*first) == (include or not has_penalty)
    assert names <= loaded.weights_.keys()


def test_requested_metadata_come_back(tmp_path):
    model = skfactorvae.BetaVAETransformer(2, max_iter=2).fit(table())
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True, sample_groups="subject")
        loaded = through_file(model, tmp_path)
        asked = [m.get_metadata_routing().fit.requests for m in (model, loaded)]
    assert asked[0] == asked[1]


LEVELS = {
    "strings": np.array(["b", "a", "c"])[np.arange(30) % 3],
    "objects": np.array(["b", "a", None], dtype=object)[np.arange(30) % 3],
    "integers": np.arange(30) % 3,
    "booleans": np.arange(30) % 2 == 0,
    "floats": np.where(np.arange(30) % 3 == 2, np.nan, np.arange(30) % 3),
    "categories": pd.DataFrame(
        {
            "size": pd.Categorical(
                ["low", "high", None] * 10, ["low", "high"], ordered=True
            )
        }
    ),
    "several": pd.DataFrame(
        {"size": ["low", "high", None] * 10, "dose": np.linspace(0, 1, 30)}
    ),
}


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("sensitive", [None, [0]])
def test_labels_of_all_types_come_back(kind, sensitive, tmp_path):
    model = skfactorvae.SupervisedFactorVAETransformer(
        3, hidden_layer_sizes=4, max_iter=3, sensitive=sensitive, random_state=0
    ).fit(table(), LEVELS[kind])
    loaded = through_file(model, tmp_path)
    assert_equal_state(model.attribute_levels_, loaded.attribute_levels_)
    predicted = [m.predict_attributes(table()) for m in (model, loaded)]
    assert_equal_state(*predicted)
    assert_equal_state(*(m.predict_attributes_proba(table()) for m in (model, loaded)))


@pytest.mark.parametrize("keep", ["all", "stable"])
def test_an_ensemble_comes_back_with_its_fits(keep, tmp_path):
    inner = skfactorvae.BetaVAETransformer(2, max_iter=3)
    model = SeedEnsemble(inner, n_seeds=2, keep=keep, threshold=0.0, random_state=0)
    model.fit(table(frame=True))
    model.save(tmp_path / "model", include_discriminator=True)
    loaded = skfactorvae.load(tmp_path / "model")
    assert loaded.estimator_ is loaded.estimators_[loaded.central_]
    assert_same(model, loaded, table(frame=True))
    assert_equal_state(model, loaded)
    np.testing.assert_array_equal(
        model.transform_all(table(True)), loaded.transform_all(table(True))
    )


class SavingCallback:
    """A callback that saves the estimator during the fit."""

    def __init__(self, path=None):
        self.path = path

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if self.path is not None:
            fitted_estimator.save(self.path)


@needs_callbacks
@pytest.mark.parametrize("is_ensemble", [False, True])
def test_callbacks_are_left_out_of_the_file(is_ensemble, tmp_path):
    model = skfactorvae.BetaVAETransformer(2, max_iter=2, random_state=0)
    model.set_callbacks(SavingCallback())
    if is_ensemble:
        model = SeedEnsemble(model, n_seeds=2, random_state=0)
    model.fit(table())
    loaded = through_file(model, tmp_path)
    assert_same(model, loaded, table())
    for fitted in (loaded, getattr(loaded, "estimator", loaded)):
        assert not has_callbacks(fitted)


@needs_callbacks
def test_a_callback_can_save_during_the_fit(tmp_path):
    model = skfactorvae.BetaVAETransformer(2, max_iter=2, random_state=0)
    model.set_callbacks(SavingCallback(tmp_path / "model")).fit(table())
    loaded = skfactorvae.load(tmp_path / "model")
    np.testing.assert_array_equal(model.transform(table()), loaded.transform(table()))


def test_other_estimators_in_an_ensemble_are_refused_by_name(tmp_path):
    model = SeedEnsemble(FastICA(2), n_seeds=2, random_state=0).fit(table())
    with pytest.raises(TypeError, match=r"FastICA.*skops"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", [1, -1, np.int64(2), "pixel 3", ("pixel 4", 5)])
def test_a_likelihood_of_columns_comes_back(key, tmp_path):
    model = skfactorvae.BetaVAETransformer(2, likelihood={key: "student_t"})
    X = table(frame=True)
    model.set_params(max_iter=2, random_state=0).fit(X)
    loaded = through_file(model, tmp_path)
    assert repr(loaded.likelihood) == repr(model.likelihood)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    runtime = skfactorvae.runtime.load(tmp_path / "model.safetensors")
    np.testing.assert_allclose(
        runtime.transform(X), model.transform(X), rtol=1e-4, atol=1e-4
    )


def test_a_selector_is_refused_with_what_to_do(tmp_path):
    selector = make_column_selector("pixel 1$")
    model = skfactorvae.BetaVAETransformer(2, likelihood={selector: "student_t"})
    X = table(frame=True)
    model.set_params(max_iter=2, random_state=0).fit(X)
    with pytest.raises(TypeError, match=r"likelihood.*selector.*Name the columns"):
        model.save(tmp_path / "model")
    model.set_params(likelihood={("pixel 1",): "student_t"})
    loaded = through_file(model, tmp_path)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


# --------------------------------------------------------------- code of the user's own
def own_modules(n_features, n_components):
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


def other_modules(n_features, n_components):
    encoder, decoder = own_modules(n_features, n_components)
    return nn.Sequential(encoder), decoder


class OwnTransformer(skfactorvae.BetaVAETransformer):
    """A subclass that is not of the package."""


def test_modules_of_the_user_are_passed_again(tmp_path):
    model = skfactorvae.BetaVAETransformer(2, network=own_modules, max_iter=2)
    model.set_params(random_state=0).fit(table())
    loaded = through_file(model, tmp_path, network=own_modules)
    assert loaded.network is own_modules
    assert_same(model, loaded, table())
    path = tmp_path / "model.safetensors"
    with pytest.raises(ModelFileError, match=r"own_modules.*load\(path, network="):
        skfactorvae.load(path)
    with pytest.raises(ModelFileError, match=r"encoder\.own\.0\.weight"):
        skfactorvae.load(
            path,
            network=lambda p, d: (nn.Sequential(nn.Linear(p, 2 * d)), nn.Linear(d, p)),
        )


def test_a_class_of_the_user_is_passed_again(tmp_path):
    model = OwnTransformer(2, max_iter=2, random_state=0).fit(table())
    assert_same(model, through_file(model, tmp_path, cls=OwnTransformer), table())
    path = tmp_path / "model.safetensors"
    with pytest.raises(ModelFileError, match=r"'OwnTransformer'.*cls="):
        skfactorvae.load(path)
    with pytest.raises(ModelFileError, match=r"holds a OwnTransformer, not a AAE"):
        skfactorvae.load(path, cls=skfactorvae.AAETransformer)


# ------------------------------------------------------------------------- refusals
def test_an_estimator_that_is_not_fitted_is_refused(small, tmp_path):
    with pytest.raises(NotFittedError):
        small().save(tmp_path / "model")


def test_an_undeclared_attribute_is_refused_by_name(small, tmp_path):
    model = small().fit(table())
    model.note_ = "mine"
    with pytest.raises(TypeError, match=r"'note_'.*_fitted_state"):
        model.save(tmp_path / "model")


def changed(path, **parts):
    """Write a file again with other parts, which functions make of the old ones."""
    found = read_container(path)
    metadata = {k: v for k, v in found.metadata.items() if k != "digest"}
    arrays = parts.pop("arrays", lambda arrays: arrays)(dict(found.arrays))
    for name, change in parts.items():
        old = metadata[name]
        is_json = name in ("state", "parameters", "columns", "networks")
        new = change(json.loads(old) if is_json else old)
        metadata[name] = json.dumps(new) if is_json else new
    write_container(path, arrays, metadata | {"digest": digest(metadata, arrays)})


def with_weight(array):
    return lambda arrays: {**arrays, "weights_/encoder.0.weight": array}


def with_spec(**fields):
    def change(state):
        return {**state, "_model_spec": state["_model_spec"] | fields}

    return change


FAULTS = {
    "a later format": ({"format_version": lambda _: "2"}, "version '2'.*Upgrade"),
    "another program": ({"format": lambda _: "x"}, "another program"),
    "another class": ({"class": lambda _: "os.system"}, r"'os.system'.*none of"),
    "a later parameter": (
        {"parameters": lambda p: {**p, "delta": 1}},
        "no parameter 'del",
    ),
    "a later attribute": (
        {"state": lambda s: {**s, "mask_": 1}},
        "no attribute 'mask_'",
    ),
    "a missing attribute": (
        {"state": lambda s: {k: v for k, v in s.items() if k != "scale_"}},
        "lacks scale_",
    ),
    "text for a number": (
        {"state": lambda s: {**s, "n_iter_": "9"}},
        "n_iter_ is of type",
    ),
    "a scale of zero": (
        {"arrays": lambda a: {**a, "scale_": 0 * a["scale_"]}},
        "scale_ holds numbers that are not positive",
    ),
    "an infinite mean": (
        {"arrays": lambda a: {**a, "mean_": np.inf + a["mean_"]}},
        "mean_ holds numbers that are not finite",
    ),
    "a short mean": (
        {"arrays": lambda a: {**a, "mean_": a["mean_"][:3]}},
        r"mean_ has shape \(3,\), expected \(64\)",
    ),
    "a weight of NaN": (
        {"arrays": with_weight(np.full((64, 8), np.nan, np.float32))},
        "weight.*not finite",
    ),
    "a weight of another shape": (
        {"arrays": with_weight(np.ones((64, 9), np.float32))},
        r"'encoder.0.weight' is of shape \(64, 9\), expected \(64, 8\)",
    ),
    "a weight of another type": (
        {"arrays": with_weight(np.ones((64, 8)))},
        "'encoder.0.weight' is float64",
    ),
    "an array beside": (
        {"arrays": lambda a: {**a, "more": np.ones(3)}},
        "nothing refers to its array 'more'",
    ),
    "huge networks": ({"state": with_spec(n_components=10**15)}, "kl_per_component_"),
    "a field that is missing": (
        {"state": lambda s: {**s, "_model_spec": {}}},
        "cannot be built.*lacks",
    ),
    "a field of another type": (
        {"state": with_spec(hidden_layer_sizes=8)},
        "cannot be",
    ),
    "an unknown activation": ({"state": with_spec(activation="exec")}, "activation="),
    "a list as state": ({"state": lambda _: [1]}, "lacks"),
    "series of two lengths": (
        {"state": lambda s: {**s, "history_": {"step": ["f8"]}}},
        "history_ does not hold types",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_a_fault_in_its_content_is_refused(fault, tmp_path):
    parts, message = FAULTS[fault]
    path = tmp_path / "model"
    skfactorvae.FactorVAETransformer(
        3, hidden_layer_sizes=8, max_iter=3, random_state=0
    ).fit(table()).save(path)
    changed(path, **dict(parts))
    with pytest.raises(ModelFileError, match=message):
        skfactorvae.load(path)


def test_a_changed_number_is_noticed_by_the_digest(small, tmp_path):
    path = tmp_path / "model"
    small().fit(table()).save(path)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelFileError, match=r"digest.*damaged"):
        skfactorvae.load(path)


def test_repeated_keys_in_a_part_are_refused(small, tmp_path):
    path = tmp_path / "model"
    small().fit(table()).save(path)
    found = read_container(path)
    metadata = {k: v for k, v in found.metadata.items() if k != "digest"}
    metadata["state"] = '{"n_iter_":1,' + metadata["state"][1:]
    metadata["digest"] = digest(metadata, found.arrays)
    write_container(path, found.arrays, metadata)
    with pytest.raises(ModelFileError, match="key 'n_iter_' twice"):
        skfactorvae.load(path)


def test_labels_that_do_not_fit_the_weights_are_refused(tmp_path):
    path = tmp_path / "model"
    y = LEVELS["several"]
    skfactorvae.SupervisedFactorVAETransformer(3, max_iter=2).fit(table(), y).save(path)
    changed(
        path, state=lambda s: {**s, "_attribute_places": {"$": "tuple", "of": [0, 7]}}
    )
    with pytest.raises(ModelFileError, match=r"attributes of y.*places"):
        skfactorvae.load(path)


# ------------------------------------------------------------------------ the format
@pytest.mark.slow
def test_a_file_is_little_larger_than_its_weights(tmp_path):
    X = np.random.RandomState(0).normal(size=(300, 64))
    model = skfactorvae.FactorVAETransformer(max_iter=200, weight_decay=0.0).fit(X)
    assert len(model.history_["step"]) == 200  # as many records as there can be
    model.save(tmp_path / "model")
    kept = model.weights_.keys() - set(model._training_weights)
    n_bytes = sum(model.weights_[name].nbytes for name in kept)
    assert os.path.getsize(tmp_path / "model") <= 1.05 * n_bytes


FROZEN = sorted(path.stem for path in DATA.glob("*.safetensors"))


def test_every_class_has_a_file_of_format_1():
    assert {cls.__name__ for cls in SAVED} - set(FROZEN) == {"SeedEnsemble"}
    assert "ensemble" in FROZEN


@pytest.mark.parametrize("name", FROZEN)
def test_files_of_format_1_can_be_loaded(name):
    expected = np.load(DATA / f"{name}.npz")
    X = np.random.RandomState(0).uniform(size=(40, 4))
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(4)])
    build = own_modules if name == "own" else None
    model = skfactorvae.load(DATA / f"{name}.safetensors", network=build)
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(model.transform(frame), expected["codes"], **tolerance)
    rows = model.inverse_transform(expected["codes"])
    np.testing.assert_allclose(rows, expected["rows"], **tolerance)
    if "scores" in expected:
        scores = model.score_samples(frame)
        np.testing.assert_allclose(scores, expected["scores"], rtol=1e-3, atol=1e-3)


def test_a_loaded_file_imports_nothing_by_name(tmp_path):
    before = set(sys.modules)
    path = tmp_path / "model"
    skfactorvae.BetaVAETransformer(2, max_iter=2).fit(table()).save(path)
    changed(path, **{"class": lambda _: "this.Evil"})
    with pytest.raises(ModelFileError):
        skfactorvae.load(path)
    assert "this" not in set(sys.modules) - before

"""Each estimator in each format: codes, reconstructions and scores are the same."""

import pickle

import joblib
import numpy as np
import pytest

import skfactorvae
from skfactorvae import runtime
from skfactorvae.interchange import load_skops, to_onnx

EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}

NETWORKS = {
    "dense": {},
    "conv": {"network": "conv", "image_shape": (3, 4, 5), "activation": "leaky_relu"},
    "bernoulli": {"likelihood": "bernoulli", "activation": "gelu"},
    "conv, bernoulli": {
        "network": "conv",
        "image_shape": (1, 12, 5),
        "likelihood": "bernoulli",
        "activation": "elu",
    },
    "one scale": {"noise_scale": "shared", "activation": "tanh"},
    "fixed scale": {"noise_scale": 0.5, "activation": "relu", "init": "random"},
    "double": {"precision": "float64"},
    "incomplete": {"hidden_fraction": 0.2, "init": "pca"},
    "conv, incomplete": {
        "network": "conv",
        "image_shape": (1, 12, 5),
        "hidden_fraction": 0.2,
    },
    "categories": {"n_categories": (2, 3)},
    "conv, categories": {
        "n_categories": (4,),
        "network": "conv",
        "image_shape": (1, 12, 5),
    },
}


def table():
    """Thirty samples of sixty features, in [0, 1]."""
    return np.random.RandomState(0).uniform(size=(30, 60))


def saved(model, folder):
    model.save(folder / "model.safetensors")
    return folder / "model.safetensors"


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


def by_file(model, folder):
    return skfactorvae.load(saved(model, folder), cls=type(model))


def by_mapped_file(model, folder):
    return skfactorvae.load(saved(model, folder), mmap=True, cls=type(model))


def by_skops(model, folder):
    skops_io = pytest.importorskip("skops.io")
    skops_io.dump(model, folder / "model.skops")
    own = f"{type(model).__module__}.{type(model).__name__}"  # a class of the tests
    return load_skops(folder / "model.skops", trusted=[own])


def by_runtime(model, folder):
    return runtime.load(saved(model, folder))


def by_onnx(model, folder):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    return OnnxModel(model)


class OnnxModel:
    """The methods of an estimator, computed by onnxruntime."""

    def __init__(self, model):
        self.model, self.dtype = model, model.precision

    def run(self, method, X):
        import onnxruntime

        made = to_onnx(self.model, method).SerializeToString()
        session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: X.astype(self.dtype)})

    def transform(self, X):
        return self.run("transform", X)[0]

    def posterior(self, X):
        return self.run("posterior", X)

    def inverse_transform(self, codes):
        return self.run("inverse_transform", codes)[0]


FORMATS = {
    "pickle": (by_pickle, EXACT),
    "joblib": (by_joblib, EXACT),
    "file": (by_file, EXACT),
    "mapped file": (by_mapped_file, EXACT),
    "skops": (by_skops, EXACT),
    "runtime": (by_runtime, CLOSE),
    "onnx": (by_onnx, CLOSE),
}


def assert_same(model, other, tolerance):
    X = table().astype(np.float32)
    codes = model.transform(X)
    assert other.transform(X).dtype == np.float32
    np.testing.assert_allclose(other.transform(X), codes, **tolerance)
    for one, expected in zip(other.posterior(X), model.posterior(X), strict=True):
        np.testing.assert_allclose(one, expected, **tolerance)
    rows = model.inverse_transform(codes)
    np.testing.assert_allclose(other.inverse_transform(codes), rows, **tolerance)
    if hasattr(other, "score_samples"):
        scores = model.score_samples(X)
        np.testing.assert_allclose(other.score_samples(X), scores, **tolerance)


@pytest.mark.parametrize("name", FORMATS)
def test_each_estimator_comes_back_from_each_format(small, name, tmp_path):
    way, tolerance = FORMATS[name]
    model = small().fit(table())
    assert_same(model, way(model, tmp_path), tolerance)


@pytest.mark.slow
@pytest.mark.takes(given=lambda network: NETWORKS[network])
@pytest.mark.parametrize("network", NETWORKS)
def test_all_networks_and_likelihoods_are_computed(small, network, tmp_path):
    way, tolerance = FORMATS["runtime"]
    model = small(**NETWORKS[network]).fit(table())
    assert_same(model, way(model, tmp_path), tolerance)


@pytest.mark.slow
@pytest.mark.takes(given=lambda network: NETWORKS[network])
@pytest.mark.parametrize("network", [n for n in NETWORKS if "incomplete" not in n])
def test_all_networks_and_likelihoods_are_converted(small, network, tmp_path):
    way, tolerance = FORMATS["onnx"]
    model = small(**NETWORKS[network]).fit(table())
    assert_same(model, way(model, tmp_path), tolerance)


def test_an_encoder_of_incomplete_samples_is_not_converted():
    pytest.importorskip("onnx")
    model = skfactorvae.FactorVAETransformer(3, hidden_layer_sizes=8, max_iter=6)
    model.set_params(hidden_fraction=0.1, random_state=0).fit(table())
    codes = model.transform(table())
    rows = OnnxModel(model).inverse_transform(codes)
    np.testing.assert_allclose(rows, model.inverse_transform(codes), **CLOSE)
    with pytest.raises(ValueError, match="fitted to incomplete samples"):
        to_onnx(model)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("hidden_fraction", [0.0, 0.2])
def test_missing_values_are_computed_without_torch(
    likelihood, hidden_fraction, tmp_path
):
    """By a network that was fitted to such samples, and by one that was not."""
    X = table()
    X[np.random.RandomState(1).uniform(size=X.shape) < 0.2] = np.nan
    X[3] = np.nan
    training = X if hidden_fraction else table()
    model = skfactorvae.FactorVAETransformer(
        3,
        hidden_layer_sizes=8,
        max_iter=20,
        likelihood=likelihood,
        hidden_fraction=hidden_fraction,
        random_state=0,
    ).fit(training)
    other = by_runtime(model, tmp_path)
    for name in ("transform", "score_samples"):
        found, expected = (getattr(m, name)(X) for m in (other, model))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert not other.transform(X)[3].any()


def test_a_column_without_values_is_kept_by_files(tmp_path):
    X = table()
    X[:, 2] = np.nan
    model = skfactorvae.FactorVAETransformer(
        3, hidden_layer_sizes=8, max_iter=6, random_state=0
    )
    with pytest.warns(UserWarning, match="without any observed value"):
        model.fit(X)
    rows = model.inverse_transform(model.transform(X))
    for way in by_file, by_runtime:
        other = way(model, tmp_path)
        found = other.inverse_transform(other.transform(X))
        np.testing.assert_allclose(found, rows, rtol=1e-4, atol=1e-4)
        assert np.isnan(found[:, 2]).all()


@pytest.mark.parametrize("name", ["file", "skops", "runtime", "onnx"])
def test_sensitive_attributes_stay_out_of_the_codes(name, tmp_path):
    way, tolerance = FORMATS[name]
    y = np.column_stack([np.arange(30) % 3, table()[:, 0]])
    model = skfactorvae.SupervisedFactorVAETransformer(
        3, sensitive=[0], hidden_layer_sizes=8, max_iter=6, random_state=0
    ).fit(table(), y)
    assert_same(model, way(model, tmp_path), tolerance)

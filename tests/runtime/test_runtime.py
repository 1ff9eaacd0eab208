"""Models without torch: imports, quadrature, large values, refusals by name."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import skfactorvae
from skfactorvae import FactorVAETransformer, core, runtime
from skfactorvae.files import ModelFileError, read_container, write_container
from skfactorvae.files._document import digest
from skfactorvae.model_selection import SeedEnsemble
from skfactorvae.runtime import _functions, _likelihoods, _quadrature


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).normal(size=(40, 6)) * [1, 2, 3, 1e3, 1e-3, 1] + 5


@pytest.fixture(scope="module")
def model(X):
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(6)])
    return FactorVAETransformer(
        3, hidden_layer_sizes=8, max_iter=9, random_state=0
    ).fit(frame)


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


WITHOUT_TORCH = """
import sys
import numpy as np
sys.modules.update(dict.fromkeys(["torch", "sklearn", "scipy", "joblib"]))
from skfactorvae import runtime
model = runtime.load(sys.argv[1])
X = np.load(sys.argv[2])
codes = model.transform(X)
np.savez(sys.argv[3], codes, model.inverse_transform(codes), model.score_samples(X))
"""


def test_a_process_that_cannot_import_torch_computes_the_same(model, path, X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    arguments = [path, tmp_path / "X.npy", tmp_path / "found.npz"]
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    frame = pd.DataFrame(X, columns=model.feature_names_in_)
    codes = model.transform(frame)
    expected = codes, model.inverse_transform(codes), model.score_samples(frame)
    found = np.load(tmp_path / "found.npz").values()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_dims", [*range(1, 9), 16, 17, 33, 64])
def test_points_of_the_quadrature_are_those_of_the_estimators(n_dims):
    expected = core._inference.cubature_points(n_dims).numpy()
    found = _quadrature.cubature_points(n_dims)
    np.testing.assert_allclose(found, expected, atol=1e-12)


class TestFunctions:
    VALUES = np.concatenate([np.linspace(-5, 5, 41), [-800.0, -1e-8, 0.0, 1e-8, 800.0]])

    @pytest.mark.parametrize("name", core.ACTIVATIONS)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_activations_are_those_of_torch(self, name, dtype):
        x = self.VALUES.astype(dtype)
        expected = core.ACTIVATIONS[name].apply(torch.from_numpy(x)).numpy()
        found = _functions.ACTIVATIONS[name](x)
        assert found.dtype == dtype
        tolerance = 20 * np.finfo(dtype).eps
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)

    def test_every_activation_and_prior_of_the_networks_is_there(self):
        assert _functions.ACTIVATIONS.keys() == core.ACTIVATIONS.keys()
        assert _likelihoods.KL.keys() == core.PRIORS.keys()

    @pytest.mark.parametrize("prior", core.PRIORS)
    def test_divergences_from_priors_are_those_of_the_estimators(self, prior):
        mean, log_var = np.random.RandomState(0).normal(size=(2, 3, 4))
        expected = core.PRIORS[prior].kl(*map(torch.from_numpy, (mean, log_var)))
        found = _likelihoods.KL[prior](mean, log_var)
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12)

    @pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 3)])
    def test_convolutions_are_those_of_torch(self, size):
        rng = np.random.RandomState(0)
        h, w = (s // 2 for s in size)
        x, weight, bias = (rng.normal(size=s) for s in [(2, 3, *size), (5, 3, 4, 4), 5])
        tensors = [torch.from_numpy(a) for a in (x, weight, bias)]
        expected = F.conv2d(*tensors, stride=2, padding=1).numpy()
        np.testing.assert_allclose(
            _functions.conv(x, weight, bias), expected, atol=1e-12
        )
        x, weight, bias = (rng.normal(size=s) for s in [(2, 3, h, w), (3, 5, 4, 4), 5])
        extra = [s - 2 * r for s, r in zip(size, (h, w), strict=True)]
        tensors = [torch.from_numpy(a) for a in (x, weight, bias)]
        expected = F.conv_transpose2d(*tensors, 2, 1, extra).numpy()
        found = _functions.conv_transpose(x, weight, bias, size)
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_probabilities_do_not_overflow(self):
        with np.errstate(all="raise", under="ignore"):
            assert _functions.sigmoid(self.VALUES).max() == 1
            assert _functions.softplus(self.VALUES).max() == 800
            assert _functions.softmax(self.VALUES[None]).sum() == pytest.approx(1)


class TestModel:
    def test_many_samples_are_computed_in_blocks(self, model, path, X):
        many = np.tile(X, (60, 1))
        found = runtime.load(path)
        for method in ("transform", "score_samples"):
            once = getattr(found, method)(X)
            every = getattr(found, method)(many)
            assert len(every) == len(many)
            np.testing.assert_allclose(every[-len(X) :], once, rtol=1e-5, atol=1e-5)
        mean, std = found.posterior(many)
        assert mean.shape == std.shape == (len(many), 3)

    def test_its_type_follows_that_of_the_fit(self, model, path, X):
        codes = runtime.load(path).transform(X)
        assert runtime.load(path).inverse_transform(codes).dtype == np.float64
        single = FactorVAETransformer(2, max_iter=2).fit(X.astype(np.float32))
        found = runtime.load(single.save(path) and path)
        assert found.inverse_transform(found.transform(X)).dtype == np.float32

    def test_scores_that_overflow_are_computed_in_double_precision(
        self, model, path, X
    ):
        far = X * 1e18
        frame = pd.DataFrame(far, columns=model.feature_names_in_)
        expected = model.score_samples(frame)
        found = runtime.load(path).score_samples(far)
        np.testing.assert_allclose(found, expected, rtol=1e-4)

    def test_it_maps_its_weights(self, path, X):
        mapped = runtime.load(path, mmap=True)
        assert isinstance(mapped.mean_, np.memmap)
        np.testing.assert_array_equal(
            mapped.transform(X), runtime.load(path).transform(X)
        )

    def test_it_is_shown_by_class_and_sizes(self, path):
        expected = "RuntimeModel(FactorVAETransformer, n_features=6, n_codes=3)"
        assert repr(runtime.load(path)) == expected

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda X: X[:, :5], "has 5 columns; the model expects 6 features"),
            (lambda X: X[0], r"shape \(6,\); expected \(n_samples, 6\)"),
            (lambda X: X[:0], "at least one sample"),
            (lambda X: np.where(X > 5, np.inf, X), "holds infinity"),
            (
                lambda X: np.char.add(X.astype(str), "x"),
                "cannot be read as an array of numbers",
            ),
            (lambda X: X * 1e300, "standardised values of .* are not finite"),
            (lambda X: pd.DataFrame(X), "X has the columns"),
        ],
    )
    def test_samples_that_cannot_be_used_are_refused(self, path, X, change, message):
        with pytest.raises(ValueError, match=message):
            runtime.load(path).transform(change(X))

    def test_columns_in_another_order_are_refused(self, model, path, X):
        frame = pd.DataFrame(X, columns=model.feature_names_in_)
        found = runtime.load(path)
        assert found.transform(frame).shape == (40, 3)
        with pytest.raises(ValueError, match="Select and order the columns"):
            found.transform(frame[frame.columns[::-1]])

    def test_codes_of_another_width_are_refused(self, path):
        with pytest.raises(
            ValueError, match="has 2 columns; the model expects 3 codes"
        ):
            runtime.load(path).inverse_transform(np.zeros((1, 2)))


# ------------------------------------------------------------------------- refusals
def own_modules(n_features, n_components):
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


def test_modules_of_the_user_are_refused_by_name(X, path):
    FactorVAETransformer(2, network=own_modules, max_iter=2).fit(X).save(path)
    with pytest.raises(ModelFileError, match=r"own_modules.*skfactorvae\.load"):
        runtime.load(path)


def test_an_ensemble_is_refused_by_name(X, path):
    inner = skfactorvae.BetaVAETransformer(2, max_iter=2)
    SeedEnsemble(inner, n_seeds=2, random_state=0).fit(X).save(path)
    with pytest.raises(ModelFileError, match=r"SeedEnsemble.*estimators_"):
        runtime.load(path)


def networks(**changes):
    return lambda found: {**found, **changes}


def first_layer(**changes):
    def change(found):
        first, *others = found["encoder"]
        return {**found, "encoder": [{**first, **changes}, *others]}

    return change


FAULTS = [
    (networks(encoder=[]), "no list of layers"),
    (networks(encoder=None), "no list of layers"),
    (networks(activation="exec"), "unknown activation"),
    (networks(likelihood={"kind": "poisson"}), "poisson"),
    (networks(likelihood=None), "cannot be built"),
    (networks(prior="cauchy"), "prior is not known"),
    (networks(precision="float16"), "precision"),
    (networks(sizes=[6, 10**12, 0]), "an encoder of 3 columns"),
    (networks(sizes=[6, 3, 3]), "hidden components"),
    (networks(decoder=[{"kind": "dense", "name": "decoder.0"}]), "of 8 features"),
    (networks(sizes=[5, 3, 0]), "scaling is not that of 5"),
    (first_layer(kind="exec"), "unknown layer"),
    (first_layer(name="none"), "no weight"),
    (first_layer(kind="conv"), "axes"),
    (first_layer(kind="reshape", shape=[2**30] * 3), "cannot be built"),
    (first_layer(kind="levels", levels=[8]), "encoder that ends with"),
    (lambda found: [found], "cannot be built"),
]


@pytest.mark.parametrize("case", range(len(FAULTS)))
def test_networks_with_a_fault_are_refused(path, case):
    change, message = FAULTS[case]
    found = read_container(path)
    metadata = {k: v for k, v in found.metadata.items() if k != "digest"}
    metadata["networks"] = json.dumps(change(json.loads(metadata["networks"])))
    metadata["digest"] = digest(metadata, found.arrays)
    write_container(path, found.arrays, metadata)
    with pytest.raises(ModelFileError, match=message):
        runtime.load(path)

"""Components that are rotated after a fit: what changes, and what does not."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from torch import nn

import skfactorvae
from skfactorvae import (
    AAETransformer,
    FactorVAETransformer,
    SupervisedFactorVAETransformer,
    runtime,
)
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.estimators._rotation import rotate_components
from skfactorvae.files import ModelFileError, read_document
from skfactorvae.metrics import match_codes


def normal_table(n=400, n_features=12, d=3, seed=0):
    """Normal samples of simple structure, and their factors."""
    rng = np.random.RandomState(seed)
    loadings = 0.8 * np.eye(d)[np.arange(n_features) % d]
    factors = rng.normal(size=(n, d))
    return factors @ loadings.T + 0.5 * rng.normal(size=(n, n_features)), factors


def elliptical_table(n, is_simple):
    """Factors of a common random scale, which are as far from normal in all axes."""
    rng = np.random.RandomState(0)
    factors = rng.normal(size=(n, 3)) * np.exp(0.6 * rng.normal(size=(n, 1)))
    loadings = np.kron(np.eye(3), np.ones((4, 1)))
    if not is_simple:
        loadings = rng.normal(size=(12, 3))
    return factors @ loadings.T + 0.7 * rng.normal(size=(n, 12))


def own_modules(n_features, n_components):
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


NETWORKS = {
    "dense": {},
    "double": {"precision": "float64"},
    "conv": {"network": "conv", "image_shape": (1, 4, 3)},
    "modules": {"network": own_modules},
    "incomplete": {"hidden_fraction": 0.2},
    "binary": {"likelihood": "bernoulli"},
}
SMALL = {
    "hidden_layer_sizes": 8,
    "discriminator_hidden_layer_sizes": 8,
    "max_iter": 8,
    "random_state": 0,
}


def fitted(**parameters):
    """A small model, and its samples, in [0, 1]."""
    X, _ = normal_table(60)
    X = (X - X.min()) / np.ptp(X)
    return FactorVAETransformer(3, **SMALL | parameters).fit(X), X


def orthogonal(d=3, seed=0):
    return np.linalg.qr(np.random.RandomState(seed).normal(size=(d, d)))[0]


@pytest.mark.parametrize(
    "network",
    ["dense", *(pytest.param(n, marks=pytest.mark.slow) for n in list(NETWORKS)[1:])],
)
class TestARotatedModel:
    def test_scores_samples_and_imputed_values_keep_their_bits(self, network):
        model, X = fitted(**NETWORKS[network])
        rotated = rotate_components(model, orthogonal(), X)
        gaps = np.where(np.arange(12) == 3, np.nan, X)
        for one, other in (
            (rotated.score_samples(X), model.score_samples(X)),
            (rotated.score_samples(gaps), model.score_samples(gaps)),
            (rotated.impute(gaps), model.impute(gaps)),
            (rotated.sample(5, random_state=0), model.sample(5, random_state=0)),
        ):
            np.testing.assert_array_equal(one, other)

    def test_codes_and_posteriors_are_rotated(self, network):
        model, X = fitted(**NETWORKS[network])
        rotated = rotate_components(model, orthogonal(), X)
        turn = rotated.rotation_.astype(np.float64)
        np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-6)
        mean, std = model.posterior(X)
        new_mean, cov = rotated.posterior(X, return_cov=True)
        close = {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(new_mean, mean @ turn, **close)
        expected = np.einsum("li,nl,lj->nij", turn, std.astype(float) ** 2, turn)
        np.testing.assert_allclose(cov, expected, **close)
        new_std = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        np.testing.assert_allclose(rotated.posterior(X)[1], new_std, **close)
        np.testing.assert_allclose(
            rotated.inverse_transform(new_mean), model.inverse_transform(mean), **close
        )

    def test_the_rotation_back_restores_the_components(self, network):
        model, X = fitted(**NETWORKS[network])
        rotated = rotate_components(model, orthogonal(), X)
        back = rotate_components(rotated, rotated.rotation_.T, X)
        cosine = np.corrcoef(back.transform(X).T, model.transform(X).T)[:3, 3:]
        assert np.abs(cosine).max(axis=0).min() > 0.999


class TestInformation:
    def test_components_are_ordered_and_signed_as_after_a_fit(self):
        model, X = fitted()
        rotated = rotate_components(model, orthogonal(), X)
        mean, std = (m.astype(float) for m in rotated.posterior(X))
        kl = 0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1).mean(axis=0)
        np.testing.assert_allclose(rotated.kl_per_component_, kl, rtol=1e-4)
        assert (np.diff(rotated.kl_per_component_) <= 0).all()
        correlation = np.corrcoef(mean.T, X.T)[:3, 3:]
        strongest = np.abs(correlation).argmax(axis=1)
        assert (correlation[range(3), strongest] > 0).all()

    def test_components_share_information_after_the_rotation(self):
        """Marginal divergences add up to less than the divergence of the posterior."""
        model, X = fitted()
        rotated = rotate_components(model, orthogonal(), X)
        assert rotated.kl_per_component_.sum() <= model.kl_per_component_.sum() + 1e-6


class TestFormats:
    @pytest.mark.parametrize(
        "parameters", [{}, pytest.param(NETWORKS["conv"], marks=pytest.mark.slow)]
    )
    def test_files_and_the_runtime_hold_the_rotation(self, parameters, tmp_path):
        model, X = fitted(**parameters)
        rotated = rotate_components(model, orthogonal(), X)
        rotated.save(tmp_path / "model")
        loaded = skfactorvae.load(tmp_path / "model")
        np.testing.assert_array_equal(loaded.transform(X), rotated.transform(X))
        other = runtime.load(tmp_path / "model")
        close = {"rtol": 1e-4, "atol": 1e-5}
        codes = rotated.transform(X)
        for one, expected in (
            *zip(other.posterior(X), rotated.posterior(X), strict=True),
            (other.inverse_transform(codes), rotated.inverse_transform(codes)),
            (other.score_samples(X), rotated.score_samples(X)),
        ):
            np.testing.assert_allclose(one, expected, **close)

    @pytest.mark.parametrize("side", ["encoder", "decoder"])
    def test_a_rotation_of_one_side_is_refused(self, side, tmp_path):
        model, X = fitted()
        rotate_components(model, orthogonal(), X).save(tmp_path / "model")
        document = read_document(tmp_path / "model")
        layers = document.parts["networks"][side]
        layers[:] = [layer for layer in layers if layer["kind"] != "rotation"]
        with pytest.raises(ModelFileError, match="rotation that is not that of"):
            runtime.RuntimeModel.from_document(document)

    def test_onnx_graphs_hold_the_rotation(self):
        pytest.importorskip("onnx")
        onnxruntime = pytest.importorskip("onnxruntime")
        from skfactorvae.interchange import to_onnx

        model, X = fitted()
        rotated = rotate_components(model, orthogonal(), X)
        codes = rotated.transform(X)
        for method, given, expected in (
            ("posterior", X, rotated.posterior(X)),
            ("inverse_transform", codes, (rotated.inverse_transform(codes),)),
        ):
            session = onnxruntime.InferenceSession(
                to_onnx(rotated, method).SerializeToString(),
                providers=["CPUExecutionProvider"],
            )
            name = session.get_inputs()[0].name
            found = session.run(None, {name: given.astype(np.float32)})
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)

    def test_layers_describe_the_rotation(self):
        model, X = fitted()
        rotated = rotate_components(model, orthogonal(), X)
        last, first = rotated.encoder_layers()[-1], rotated.decoder_layers()[0]
        assert last["kind"] == first["kind"] == "rotation"
        np.testing.assert_array_equal(last["weight"], rotated.rotation_)


class TestRefusals:
    def test_a_matrix_that_is_not_orthogonal_is_refused(self):
        model, X = fitted()
        with pytest.raises(ValueError, match="not orthogonal"):
            rotate_components(model, 2 * np.eye(3), X)
        with pytest.raises(ValueError, match=r"shape \(2, 2\); expected \(3, 3\)"):
            rotate_components(model, np.eye(2), X)

    def test_an_estimator_that_is_not_fitted_is_refused(self):
        with pytest.raises(NotFittedError):
            rotate_components(FactorVAETransformer(3), np.eye(3), normal_table(20)[0])

    @pytest.mark.slow
    def test_distinct_components_are_refused(self):
        X, factors = normal_table(60)
        grouped = FactorVAETransformer(3, groups=(2, 1), **SMALL)
        with pytest.raises(ValueError, match="cannot be rotated"):
            rotate_components(grouped.fit(X), np.eye(3), X)
        labelled = SupervisedFactorVAETransformer(3, **SMALL)
        for model, y in (
            (grouped.set_params(init="varimax"), None),
            (AAETransformer(3, init="varimax", **SMALL), None),
            (labelled.set_params(init="varimax"), factors[:, :1]),
        ):
            with pytest.raises(ValueError, match="init='varimax' rotates components"):
                model.fit(X, y)


class TestTheStart:
    """Normal tables of simple structure are recognised without labels."""

    X, factors = normal_table(1000)
    SETTINGS = SMALL | {"max_iter": 60}

    def test_a_small_fit_chooses_it_too(self):
        model = FactorVAETransformer(3, **SMALL).fit(self.X[:400])
        assert model.init_ == "varimax"
        assert model.rotation_ is not None

    @pytest.mark.slow
    def test_auto_chooses_varimax_and_finds_the_factors(self):
        model = FactorVAETransformer(3, **self.SETTINGS).fit(self.X)
        assert model.init_ == "varimax"
        assert model.init_criteria_["ica_non_normality"] < 0.015
        assert "simplicity_z" not in model.init_criteria_
        found = match_codes(self.factors, model.transform(self.X)).correlation
        assert found.min() > 0.9
        ica = FactorVAETransformer(3, init="ica", **self.SETTINGS).fit(self.X)
        other = match_codes(self.factors, ica.transform(self.X)).correlation
        assert other.mean() < found.mean() - 0.05

    @pytest.mark.slow
    def test_mixtures_of_sources_start_from_fastica_as_before(self):
        X, _ = make_nonlinear_ica(
            800, n_sources=3, n_features=8, n_layers=1, noise=0.1, random_state=0
        )
        auto = FactorVAETransformer(3, **SMALL).fit(X)
        assert auto.init_ == "ica"
        assert auto.rotation_ is None
        assert auto.init_criteria_.keys() == {"ica_non_normality", "negentropy_ratio"}
        ica = FactorVAETransformer(3, init="ica", **SMALL).fit(X)
        assert ica.init_criteria_ == {}
        np.testing.assert_array_equal(auto.transform(X), ica.transform(X))

    @pytest.mark.slow
    @pytest.mark.parametrize(("is_simple", "init"), [(True, "varimax"), (False, "ica")])
    def test_others_are_rotated_if_loadings_are_simple(self, is_simple, init):
        X = elliptical_table(1000, is_simple)
        model = FactorVAETransformer(3, **SMALL).fit(X)
        assert model.init_criteria_["ica_non_normality"] > 0.015
        assert (model.init_criteria_["simplicity_z"] > 2) == is_simple
        assert model.init_ == init

    @pytest.mark.parametrize("n_features", [1, 2, 12])
    def test_it_can_be_asked_for(self, n_features):
        X = self.X[:80, :n_features]
        model = FactorVAETransformer(3, **SMALL, init="varimax").fit(X)
        assert model.init_ == "varimax"
        assert np.isfinite(model.transform(X)).all()
        assert model.temperature_ == 1.0

    @pytest.mark.slow
    def test_a_fit_that_is_continued_is_rotated_again(self):
        settings = {**self.SETTINGS, "warm_start": True, "init": "varimax"}
        model = FactorVAETransformer(3, **settings).fit(self.X)
        first = model.transform(self.X)
        second = model.fit(self.X).transform(self.X)
        assert model.rotation_ is not None
        assert match_codes(first, second).correlation.min() > 0.9

    def test_other_networks_start_at_random(self):
        model, _ = fitted(init="varimax", **NETWORKS["conv"])
        assert model.init_ == "random"

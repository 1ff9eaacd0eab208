"""Loadings are the mean derivative of the decoder, in the units of the table."""

import copy

import numpy as np
import pytest
from _fits import small
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import InfoGANTransformer
from skfactorvae.inspection import loadings


@pytest.fixture(scope="module")
def linear():
    """A linear model of a linear table, and the table."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)) * [1, 2, 3, 4, 50] + 7
    model = small(hidden_layer_sizes=(), n_components=2, max_iter=40)
    return model.fit(X + 0.1 * rng.normal(size=X.shape)), X


class TestComponents:
    def test_those_of_a_linear_decoder_are_its_matrix(self, linear):
        model, _ = linear
        rows = model.inverse_transform(np.vstack([np.zeros(2), np.eye(2)]))
        np.testing.assert_allclose(
            model.components_, rows[1:] - rows[0], rtol=1e-4, atol=1e-4
        )

    def test_they_are_the_mean_of_derivatives_over_the_prior(self, vae):
        """Compared with one difference over many more codes."""
        codes = np.random.RandomState(1).normal(size=(4000, 3))
        move = np.array([0, 1e-2, 0])
        above, below = (vae.inverse_transform(codes + s * move) for s in (1, -1))
        expected = (above - below).mean(axis=0) / 2e-2
        found = vae.components_[1]
        assert np.corrcoef(found, expected)[0, 1] > 0.95
        np.testing.assert_array_equal(found, vae.components_[1])

    @pytest.mark.slow
    def test_a_tool_that_expects_loadings_takes_a_transformer(self, linear):
        """A decomposition as hyperspy makes it: scores by factors."""
        model, X = linear
        algorithm = clone(model)
        scores, factors = algorithm.fit_transform(X), algorithm.components_.T
        centred = X - X.mean(axis=0)
        product = (scores - scores.mean(axis=0)) @ factors.T
        error = np.square(product - centred).sum() / np.square(centred).sum()
        assert error < 0.05

    def test_each_code_has_a_row(self, peaks):
        gan = InfoGANTransformer(2, n_categories=(3,), max_iter=5, random_state=0)
        gan.fit(peaks.data)
        assert gan.components_.shape == (5, 30)

    def test_those_of_a_table_of_several_types_are_of_its_numbers(self, mixed):
        model, _ = mixed
        assert hasattr(model, "components_")
        assert model.components_.shape == (2, len(model.number_names_))
        levels = [name.startswith("kind =") for name in model.number_names_]
        np.testing.assert_allclose(
            model.components_[:, levels].sum(axis=1), 0, atol=1e-5
        )

    def test_it_needs_a_fit(self):
        model = small()
        assert not hasattr(model, "components_")
        with pytest.raises(NotFittedError):
            np.asarray(model.components_)


class TestLoadings:
    def test_those_of_a_table_of_several_types_are_of_its_numbers(self, mixed):
        model, X = mixed
        found = loadings(model, X)
        assert found.feature_names.tolist() == model.number_names_.tolist()
        np.testing.assert_allclose(found.feature_std, model.numbers(X).std(axis=0))
        assert 0 < found.overlap <= 1

    def test_those_of_principal_components_are_themselves(self, peaks):
        X = peaks.data
        pca = PCA(3).fit(X)
        found = loadings(pca, X)
        std = pca.transform(X).std(axis=0)
        np.testing.assert_allclose(found.unit, std)
        np.testing.assert_allclose(
            found.components, std[:, None] * pca.components_, atol=1e-8
        )
        np.testing.assert_allclose(found.linearity, 1)
        np.testing.assert_allclose(found.spread, 0, atol=1e-8)

    def test_they_are_in_the_units_of_the_table_behind_a_pipeline(self, peaks):
        X = peaks.data
        pipe = make_pipeline(StandardScaler(), PCA(2)).fit(X)
        found = loadings(pipe, X)
        std = pipe.transform(X).std(axis=0)
        expected = std[:, None] * pipe[1].components_ * X.std(axis=0)
        np.testing.assert_allclose(found.components, expected, atol=1e-8)
        assert found.overlap == pytest.approx(1)
        np.testing.assert_allclose(
            np.abs(found.principal_cosines), np.eye(2), atol=1e-6
        )

    def test_rotated_principal_components_overlap_and_have_other_angles(self, peaks):
        X = StandardScaler().fit_transform(peaks.data)
        pca = PCA(2).fit(X)
        turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
        pca.components_ = turn @ pca.components_
        found = loadings(pca, X)
        assert found.overlap == pytest.approx(1)
        np.testing.assert_allclose(np.abs(found.principal_cosines), np.abs(turn))
        np.testing.assert_allclose(found.cosines, np.eye(2), atol=1e-8)

    def test_a_nonlinear_decoder_is_less_than_linear(self, vae, peaks):
        found = loadings(vae, peaks.data)
        assert (found.linearity > 0).all()
        assert found.linearity.min() < 0.95
        assert found.spread.max() > 0
        mean, _ = vae.posterior(peaks.data)
        scale = np.square(found.components / found.feature_std).sum(axis=1)
        ratio = np.square(found.spread / found.feature_std).sum(axis=1) / scale
        np.testing.assert_allclose(found.linearity, 1 / (1 + ratio), rtol=1e-6)
        assert len(mean) > 200  # more than derivatives are averaged over

    def test_it_prints_a_line_for_each_component_and_has_a_frame(self, vae, peaks):
        found = loadings(vae, peaks.data, feature_names=[f"w{i}" for i in range(30)])
        lines = str(found).splitlines()
        assert len(lines) == 4
        assert lines[0].startswith("component 0: w")
        assert "linearity" in lines[0]
        assert lines[-1].startswith("overlap with principal components")
        frame = found.to_frame()
        assert frame.shape == (30, 3)
        assert frame.index[3] == "w3"
        np.testing.assert_array_equal(frame["component 1"], found.components[1])

    def test_names_of_components_are_those_of_the_model(self, linear):
        model, X = linear
        named = copy.deepcopy(model).set_component_names({0: "load"})
        found = loadings(named, X)
        assert str(found).startswith("load: ")
        assert list(found.to_frame()) == ["load", "component 1"]

    def test_names_of_features_are_an_array(self, mixed):
        model, X = mixed
        names = np.array([f"n{j}" for j in range(len(model.number_names_))])
        found = loadings(model, X, feature_names=names)
        assert found.feature_names.tolist() == names.tolist()

    def test_quantiles_are_no_unit_of_a_derivative(self, linear):
        with pytest.raises(ValueError, match="unit must be one of"):
            loadings(*linear, unit="quantile")

    @pytest.mark.parametrize("has_empty_column", [False, True])
    def test_it_prints_without_two_complete_samples(self, linear, has_empty_column):
        model, X = linear
        X = X.copy() if has_empty_column else X[:1]
        if has_empty_column:
            X[:, 1] = np.nan
        found = loadings(model, X)
        assert found.principal_cosines.shape == (2, 0)
        assert np.isnan(found.overlap)
        lines = str(found).splitlines()
        assert lines[0].startswith("component 0: ")
        assert "principal" not in lines[0]
        assert "no principal components" in lines[-1]

    def test_an_estimator_without_components_is_refused(self, peaks):
        with pytest.raises(TypeError, match="no components to decode"):
            loadings(LogisticRegression(), peaks.data)
        with pytest.raises(ValueError, match="unit must be one of"):
            loadings(PCA(2).fit(peaks.data), peaks.data, unit="code")

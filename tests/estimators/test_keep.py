"""Active components alone, and the share of the variance that each adds."""

import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import (
    FactorVAETransformer,
    InfoGANTransformer,
    load,
    runtime,
)
from skfactorvae.estimators._explained_variance import explained_variance_ratio
from skfactorvae.inspection import factor_table
from skfactorvae.metrics import mig_scorer
from skfactorvae.model_selection import SeedEnsemble, latent_report


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    factors = rng.uniform(-2, 2, size=(200, 2))
    X = factors @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    return X, factors


@pytest.fixture(scope="module")
def fitted(table):
    vae = FactorVAETransformer(
        4,
        hidden_layer_sizes=(8,),
        discriminator_hidden_layer_sizes=(8,),
        gamma=1,
        max_iter=250,
        random_state=0,
    )
    return vae.fit(table[0])


@pytest.fixture
def vae(fitted):
    return pickle.loads(pickle.dumps(fitted)).set_params(keep="active")


class TestActiveComponents:
    def test_transform_returns_them_alone(self, vae, fitted, table):
        X, _ = table
        active = fitted.active_components_
        assert 0 < len(active) < 4
        np.testing.assert_array_equal(vae.transform(X), fitted.transform(X)[:, active])
        names = [f"factorvaetransformer{j}" for j in active]
        assert vae.get_feature_names_out().tolist() == names
        assert vae.set_output(transform="pandas").transform(X).shape[1] == len(active)
        assert vae.posterior(X)[0].shape == (200, 4)

    def test_codes_of_both_widths_are_decoded(self, vae, fitted, table):
        codes = fitted.transform(table[0])
        np.testing.assert_array_equal(
            vae.inverse_transform(codes), fitted.inverse_transform(codes)
        )
        inactive = np.setdiff1d(range(4), fitted.active_components_)
        codes[:, inactive] = 0
        np.testing.assert_array_equal(
            vae.inverse_transform(codes[:, fitted.active_components_]),
            fitted.inverse_transform(codes),
        )
        with pytest.raises(ValueError, match="X has 5 features"):
            vae.inverse_transform(np.zeros((2, 5)))

    def test_there_may_be_none(self, vae, table):
        vae.active_components_ = np.array([], dtype=int)
        codes = vae.transform(table[0])
        assert codes.shape == (200, 0)
        assert vae.inverse_transform(codes).shape == (200, 6)

    def test_categories_are_kept(self, table):
        gan = InfoGANTransformer(
            2, n_categories=3, keep="active", max_iter=2, random_state=0
        ).fit(table[0])
        gan.active_components_ = np.array([1])
        assert gan.transform(table[0]).shape == (200, 4)

    def test_files_keep_them_too(self, vae, table, tmp_path):
        path, X = tmp_path / "kept.safetensors", table[0]
        codes = vae.save(path).transform(X)
        np.testing.assert_array_equal(load(path).transform(X), codes)
        model = runtime.load(path)
        np.testing.assert_allclose(model.transform(X), codes, atol=1e-5)
        np.testing.assert_allclose(
            model.inverse_transform(codes), vae.inverse_transform(codes), atol=1e-5
        )

    def test_tables_and_reports_are_of_all_components(self, vae, fitted, table):
        X, _ = table
        np.testing.assert_array_equal(
            factor_table(vae, X).effect, factor_table(fitted, X).effect
        )
        assert str(latent_report(vae, X)) == str(latent_report(fitted, X))

    @pytest.mark.slow
    def test_folds_of_different_widths_are_scored(self, table):
        X, factors = table
        vae = FactorVAETransformer(
            3, keep="active", hidden_layer_sizes=(8,), max_iter=60, random_state=0
        )
        pipe = make_pipeline(StandardScaler(), vae)
        grid = {"factorvaetransformer__n_components": [1, 3]}
        search = GridSearchCV(pipe, grid, scoring=mig_scorer, cv=2, error_score="raise")
        scores = search.fit(X, factors).cv_results_["mean_test_score"]
        assert np.isfinite(scores).all()

    def test_an_ensemble_refuses_them_with_advice(self, vae, table):
        with pytest.raises(ValueError, match=r"keep='active'.*SeedEnsemble\(keep="):
            SeedEnsemble(make_pipeline(vae), n_seeds=2).fit(table[0])


class TestExplainedVariance:
    def test_of_a_linear_decoder_it_is_that_of_pca(self, table):
        rows = table[0] - table[0].mean(axis=0)
        pca = PCA().fit(rows)
        codes = pca.transform(rows)
        shares = explained_variance_ratio(
            pca.inverse_transform, codes, rows, np.ones(len(rows))
        )
        np.testing.assert_allclose(shares, pca.explained_variance_ratio_, atol=1e-12)

    def test_weights_are_repetitions_and_missing_values_do_not_count(self, table):
        rows, weights = table[0][:50].copy(), np.arange(50) % 3
        rows[::7, 2] = np.nan
        pca = PCA(2).fit(table[0])
        codes = pca.transform(np.nan_to_num(rows))
        weighted = explained_variance_ratio(pca.inverse_transform, codes, rows, weights)
        repeated = (np.repeat(part, weights, axis=0) for part in (codes, rows))
        expected = explained_variance_ratio(
            pca.inverse_transform, *repeated, np.ones(weights.sum())
        )
        np.testing.assert_allclose(weighted, expected)

    def test_the_sum_is_the_r2_of_the_reconstruction(self, fitted, table):
        X, _ = table
        back = fitted.inverse_transform(fitted.transform(X))
        residual = (X - back) / fitted.scale_
        total = np.square((X - X.mean(axis=0)) / fitted.scale_).sum()
        expected = 1 - np.square(residual).sum() / total
        shares = fitted.explained_variance_ratio_
        assert shares.sum() == pytest.approx(expected, abs=1e-4)
        inactive = np.setdiff1d(range(4), fitted.active_components_)
        assert np.abs(shares[inactive]).max() < 0.01

    def test_constant_rows_have_none(self):
        shares = explained_variance_ratio(
            lambda z: z, np.zeros((3, 2)), np.ones((3, 2)), np.ones(3)
        )
        assert shares.tolist() == [0, 0]


def test_a_report_with_known_errors_has_all_components(table):
    X, _ = table
    errors = np.full(X.shape, 0.05)
    model = FactorVAETransformer(
        4, hidden_layer_sizes=8, max_iter=60, keep="active", random_state=0
    ).fit(X, error_scale=errors)
    report = latent_report(model, X, error_scale=errors)
    everything = model.set_params(keep="all")
    assert str(report) == str(latent_report(everything, X, error_scale=errors))

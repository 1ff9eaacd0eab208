"""Features that are uncorrelated, as after PCA, or whitened."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skfactorvae import FactorVAETransformer
from skfactorvae.preparation._noise_levels import (
    are_uncorrelated,
    have_equal_variance,
)


def three_sources(n_samples=200, n_features=8, seed=0):
    rng = np.random.default_rng(seed)
    mixed = rng.uniform(size=(n_samples, 3)) @ rng.normal(size=(3, n_features))
    return mixed + 0.1 * rng.normal(size=(n_samples, n_features))


def everything(X):
    return X, np.arange(len(X)), np.ones(len(X))


class TestUncorrelated:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_principal_components_are(self, dtype):
        scores = PCA().fit_transform(three_sources()).astype(dtype)
        assert are_uncorrelated(*everything(scores))
        assert not have_equal_variance(*everything(scores))

    def test_white_ones_have_equal_variance_too(self):
        white = PCA(whiten=True).fit_transform(three_sources())
        assert are_uncorrelated(*everything(white))
        assert have_equal_variance(*everything(white))

    def test_independent_and_correlated_columns_are_not(self):
        independent = np.random.default_rng(0).normal(size=(200, 8))
        for X in (independent, three_sources(), independent[:, :2]):
            assert not are_uncorrelated(*everything(X))

    def test_constant_columns_are_left_out(self):
        scores = PCA().fit_transform(three_sources())
        assert are_uncorrelated(*everything(np.hstack([scores, np.ones((200, 2))])))
        assert not are_uncorrelated(*everything(np.ones((200, 5))))


SETTINGS = {
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "random_state": 0,
}


class TestFits:
    def test_principal_components_get_one_scale_and_one_noise(self):
        vae = FactorVAETransformer(3, max_iter=200, **SETTINGS)
        pipe = make_pipeline(PCA(6), vae).fit(three_sources())
        assert len(np.unique(vae.scale_)) == 1
        assert len(vae.weights_["likelihood.raw_scale"]) == 1
        assert len(vae.active_components_) == 3
        X = three_sources(seed=0)
        residual = X - pipe.inverse_transform(pipe.transform(X))
        assert np.square(residual).sum() < 0.2 * np.square(X - X.mean(axis=0)).sum()

    def test_given_parameters_are_kept(self):
        scores = PCA(6).fit_transform(three_sources())
        vae = FactorVAETransformer(
            3, max_iter=2, standardize="feature", **SETTINGS
        ).fit(scores)
        assert len(np.unique(vae.scale_)) == 6
        assert len(vae.weights_["likelihood.raw_scale"]) == 6

    def test_a_continued_fit_keeps_its_noise_scale(self):
        X = three_sources()
        vae = FactorVAETransformer(3, max_iter=2, warm_start=True, **SETTINGS)
        vae.fit(PCA(6).fit_transform(X)).fit(X[:, :6])
        assert len(vae.weights_["likelihood.raw_scale"]) == 1

    def test_whitened_features_warn_and_name_the_remedy(self):
        white = PCA(6, whiten=True).fit_transform(three_sources())
        with pytest.warns(UserWarning, match=r"PCA\(whiten=False\)"):
            FactorVAETransformer(3, max_iter=2, **SETTINGS).fit(white)

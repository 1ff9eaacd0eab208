"""Estimators of one's own: the public base classes are complete."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skfactorvae import core
from skfactorvae.base import BaseLatentTransformer, declared, parameter
from skfactorvae.model_selection import BatchedGridSearchCV


@declared
class PlainTransformer(BaseLatentTransformer):
    """Variational autoencoder without any option of its own."""

    beta: float = parameter(
        default=1.0, kind="float", rules=[float], description="Weight of the KL, >= 0."
    )

    def _objective(self):
        return core.VAE(beta=self.beta)


@pytest.fixture(scope="module")
def X():
    sources = np.random.default_rng(0).uniform(-1, 1, size=(80, 2))
    return np.tanh(sources @ np.array([[1.0, 2, 0, -1], [0, 1, 2, 1]])) * 3 + 1


@pytest.fixture
def plain():
    return PlainTransformer(
        2, hidden_layer_sizes=8, max_iter=30, batch_size=16, random_state=0
    )


class TestASubclassThatDeclaresOneParameter:
    """It reads no attribute that only other subclasses declare."""

    def test_it_is_fitted_and_transforms_both_ways(self, plain, X):
        codes = plain.fit_transform(X)
        assert codes.shape == (80, 2)
        assert plain.inverse_transform(codes).shape == X.shape
        assert np.isfinite(plain.score(X))
        assert plain.sample(3, random_state=0).shape == (3, 4)

    def test_it_has_neutral_values_for_what_it_does_not_declare(self, plain, X):
        plain.fit(X)
        assert plain.init_ == "random"
        assert plain.temperature_ == 1.0
        assert plain.warmup_fraction_ == 0.0
        assert "validation_elbo" not in plain.history_

    def test_it_can_be_continued_cloned_and_pickled(self, plain, X):
        plain.set_params(warm_start=True).fit(X).fit(X)
        copied = pickle.loads(pickle.dumps(plain))
        np.testing.assert_array_equal(copied.transform(X), plain.transform(X))
        assert clone(plain).get_params() == plain.get_params()

    def test_it_takes_part_in_searches(self, plain, X):
        grid = {"beta": [1.0, 4.0], "n_components": [1, 2]}
        batched = BatchedGridSearchCV(plain, grid, cv=2).fit(X)
        alone = GridSearchCV(plain, grid, cv=2).fit(X)
        np.testing.assert_allclose(
            batched.cv_results_["mean_test_score"],
            alone.cv_results_["mean_test_score"],
            rtol=1e-3,
        )

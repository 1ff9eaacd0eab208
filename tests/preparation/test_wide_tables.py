"""Tables of many columns are prepared at a cost that is linear in their number."""

import numpy as np
import pytest

from skfactorvae.preparation import _initialization, _noise_levels
from skfactorvae.preparation._initialization import linear_start
from skfactorvae.preparation._noise_levels import conditional_noise_std
from skfactorvae.preparation._scaling import column_moments


def standardized(X):
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


def make_pairs(rng, n_columns):
    """Return columns of which each equals another one but for a tenth of its variance.

    Half of the pairs are opposite; partners are far apart.
    """
    common = rng.normal(size=(500, n_columns // 2))
    sign = np.where(np.arange(n_columns // 2) % 2, 1, -1)
    X = np.hstack([common, sign * common])
    X = X + rng.normal(size=X.shape) * np.sqrt(0.05)
    return standardized(X[:, rng.permutation(n_columns)])


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.fixture
def compared_with_some(monkeypatch):
    monkeypatch.setattr(_noise_levels, "MAX_COMPARED", 0)
    monkeypatch.setattr(_noise_levels, "BLOCK", 64)


class TestConditionalNoise:
    def test_partners_are_found_among_many_columns(self, rng, compared_with_some):
        X = make_pairs(rng, 600)
        found = conditional_noise_std(X, np.ones(len(X)), 0)
        true = np.sqrt(1 - (1 / 1.05) ** 2)
        assert np.mean(np.abs(found - true) < 0.05) > 0.95

    def test_it_is_not_less_than_with_all_comparisons(self, rng, monkeypatch):
        X = standardized(rng.normal(size=(500, 4)) @ rng.normal(size=(4, 600)))
        everything = conditional_noise_std(X, np.ones(len(X)), 0)
        monkeypatch.setattr(_noise_levels, "MAX_COMPARED", 0)
        monkeypatch.setattr(_noise_levels, "BLOCK", 64)
        some = conditional_noise_std(X, np.ones(len(X)), 0)
        assert (some > everything - 1e-3).all()
        assert np.median(some / everything) < 1.5

    def test_constant_columns_have_none_and_are_no_partners(
        self, rng, compared_with_some
    ):
        X = make_pairs(rng, 600)
        X[:, :3] = 0.0
        found = conditional_noise_std(X, np.ones(len(X)), 0)
        assert (found[:3] == 0).all()
        assert (found[3:] > 0).all()

    def test_a_column_is_compared_with_a_bounded_number_of_others(
        self, rng, compared_with_some, monkeypatch
    ):
        compared, fill = [], np.fill_diagonal

        def count(squares, value):
            compared.append(squares.size)
            fill(squares, value)

        monkeypatch.setattr(np, "fill_diagonal", count)
        for n_columns in (600, 1200):
            conditional_noise_std(make_pairs(rng, n_columns), np.ones(500), 0)
        n_orders = _noise_levels.N_ORDERS + 1
        assert sum(compared) <= (600 + 1200) * 64 * n_orders


class TestInitialization:
    @pytest.mark.parametrize("kind", ["pca", "ica"])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_large_table_has_the_same_start_without_a_copy(
        self, rng, monkeypatch, kind, dtype
    ):
        scale = np.array([[5.0], [4.0], [3.0]])
        X = rng.uniform(-1, 1, size=(600, 3)) @ (scale * rng.normal(size=(3, 40)))
        X = (X + 0.1 * rng.normal(size=X.shape) + 2).astype(dtype)
        expected = linear_start(kind, X, np.ones(600), 5, 0)
        monkeypatch.setattr(_initialization, "MAX_COPIED", 0)
        found = linear_start(kind, X, np.ones(600), 5, 0)
        ours, theirs = (start.encoder @ start.decoder for start in (found, expected))
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
        cosines = np.abs(
            np.corrcoef((X @ found.encoder)[:, :3].T, (X @ expected.encoder)[:, :3].T)[
                :3, 3:
            ]
        )
        np.testing.assert_allclose(np.sort(cosines.max(axis=1)), 1, atol=1e-2)

    def test_a_large_constant_table_has_no_directions(self, monkeypatch):
        monkeypatch.setattr(_initialization, "MAX_COPIED", 0)
        start = linear_start("auto", np.full((50, 4), 3.0), np.ones(50), 2, 0)
        assert not start.encoder.any()


def test_moments_of_many_columns_are_those_of_each(rng):
    X = rng.normal(size=(300, 3000)) + 1e3
    X[:, 7] = 5.0
    weight = rng.randint(1, 4, size=300).astype(float)
    mean, std = column_moments(X, np.arange(300), weight)
    few = column_moments(np.ascontiguousarray(X[:, :10]), np.arange(300), weight)
    np.testing.assert_allclose(mean[:10], few[0], rtol=1e-12)
    np.testing.assert_allclose(std[:10], few[1], rtol=1e-9)
    assert (mean[7], std[7]) == (5.0, 0.0)

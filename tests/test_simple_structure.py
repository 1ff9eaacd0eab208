"""Rotation to simple structure, its index, and the tests of when to rotate."""

import numpy as np
import pytest

from skfactorvae._simple_structure import (
    SIMPLE_Z,
    are_as_independent,
    are_nearly_normal,
    non_normality,
    orthomax,
    rotated_simplicity,
    simplicity,
    simplicity_z,
)


def simple_loadings(n_features=24, d=4, noise=0.0):
    """Loadings of .7 on one component each, and normal ones on all."""
    rng = np.random.RandomState(1)
    main = 0.7 * np.eye(d)[np.arange(n_features) % d]
    return main + noise * rng.normal(size=(n_features, d))


def turn(d, seed=0):
    return np.linalg.qr(np.random.RandomState(seed).normal(size=(d, d)))[0]


class TestOrthomax:
    @pytest.mark.parametrize("weight", [0.0, 1.0])
    def test_it_finds_simple_structure_in_any_axes(self, weight):
        loadings = simple_loadings()
        for seed in range(3):
            mixed = loadings @ turn(4, seed)
            rotation = orthomax(mixed, weight)
            np.testing.assert_allclose(rotation.T @ rotation, np.eye(4), atol=1e-9)
            assert simplicity(np.square(mixed @ rotation)) == pytest.approx(1, abs=1e-6)

    def test_varimax_finds_what_scikit_learn_finds(self):
        decomposition = pytest.importorskip("sklearn.decomposition")
        rng = np.random.RandomState(0)
        X = rng.normal(size=(500, 4)) @ simple_loadings(noise=0.1).T
        X += 0.7 * rng.normal(size=X.shape)
        plain = decomposition.FactorAnalysis(4).fit(X).components_.T
        known = decomposition.FactorAnalysis(4, rotation="varimax").fit(X).components_.T
        own = plain @ orthomax(plain)
        cosine = own.T @ known
        cosine /= np.outer(*(np.linalg.norm(m, axis=0) for m in (own, known)))
        assert np.abs(cosine).max(axis=0).min() > 0.99

    def test_features_without_loadings_have_no_effect(self):
        loadings = simple_loadings(noise=0.1)
        padded = np.vstack([loadings, np.zeros((3, 4))])
        assert rotated_simplicity(padded) == pytest.approx(rotated_simplicity(loadings))


class TestSimplicity:
    def test_it_is_one_if_each_feature_has_one_component_and_zero_if_all_alike(self):
        assert simplicity(np.eye(3)) == 1.0
        assert simplicity(np.ones((5, 3))) == 0.0

    def test_it_is_that_of_the_paper(self):
        """Kaiser (1974): the share of the variance of squared loadings in its limit."""
        squares = np.array([[0.5, 0.1], [0.2, 0.3]])
        expected = (2 * 0.26 - 0.36 + 2 * 0.13 - 0.25) / (0.36 + 0.25)
        assert simplicity(squares) == pytest.approx(np.sqrt(expected))

    @pytest.mark.parametrize("shape", [(4, 1), (4, 0)])
    def test_it_is_undefined_below_two_components(self, shape):
        assert np.isnan(simplicity(np.ones(shape)))
        assert np.isnan(simplicity_z(np.ones(shape), np.random.RandomState(0)))

    def test_it_is_undefined_without_loadings(self):
        assert np.isnan(simplicity(np.zeros((4, 2))))


class TestSimpleStructure:
    """Loadings are simple if they are simpler than random ones of their moments."""

    def found(self, loadings):
        return simplicity_z(
            loadings @ turn(loadings.shape[1]), np.random.RandomState(0)
        )

    def test_simple_loadings_are_found_in_any_axes(self):
        assert self.found(simple_loadings(noise=0.1)) > SIMPLE_Z

    def test_random_loadings_and_a_general_factor_are_not_simple(self):
        rng = np.random.RandomState(3)
        random = rng.normal(size=(40, 4))
        general = 0.1 * rng.normal(size=(40, 4)) + [1.0, 0, 0, 0]
        assert abs(self.found(random)) < SIMPLE_Z
        assert self.found(general) < SIMPLE_Z

    def test_the_result_depends_on_the_seed_only(self):
        loadings = simple_loadings(220, d=2, noise=0.2)
        first, second = (
            simplicity_z(loadings, np.random.RandomState(7)) for _ in range(2)
        )
        assert first == second


class TestUndecided:
    """Independence decides, unless sources or factors are as normal as others."""

    def test_non_normality_is_zero_for_normal_sources_of_any_scale(self):
        rng = np.random.RandomState(0)
        normal = 5 + 3 * rng.normal(size=(200_000, 2))
        uniform = rng.uniform(size=(20_000, 2))
        assert non_normality(normal).max() < 2e-3
        assert non_normality(uniform).min() > 0.02
        assert non_normality(np.ones((10, 1))) == pytest.approx(0.3745672)

    def test_the_rule(self):
        far, near = np.array([0.03, 0.03]), np.array([0.01, 0.012])
        assert are_nearly_normal(near)
        assert not are_nearly_normal(far)
        assert not are_as_independent(far / 2, far)
        assert are_as_independent(far, far)

"""Non-normality that the levels of columns cause, and the start of such tables."""

import numpy as np
import pytest

from skfactorvae.preparation._initialization import _ica_rotation, linear_start
from skfactorvae.preparation._level_effect import level_effect


def normal_factors(n=2000, n_factors=5, n_each=5, seed=0):
    """Return columns of which each has one normal factor."""
    rng = np.random.default_rng(seed)
    factors = np.repeat(rng.normal(size=(n, n_factors)), n_each, axis=1)
    return 0.65 * factors + 0.76 * rng.normal(size=factors.shape)


def answers(values, n_levels=2, seed=1):
    """Return items whose levels have unlike shares."""
    rng = np.random.default_rng(seed)
    shares = np.sort(rng.uniform(0.05, 0.95, size=(values.shape[1], n_levels - 1)))
    limits = [np.quantile(x, q) for x, q in zip(values.T, shares, strict=True)]
    columns = zip(values.T, limits, strict=True)
    found = np.stack([np.searchsorted(q, x) for x, q in columns], axis=1)
    return (found - found.mean(axis=0)) / found.std(axis=0)


def effect_of(X, n_sources=5):
    return level_effect(X, n_sources, _ica_rotation, 0)


class TestLevelEffect:
    def test_columns_of_many_values_have_none(self):
        assert effect_of(normal_factors()) == 0.0

    @pytest.mark.parametrize("n_levels", [2, 4])
    def test_it_explains_the_non_normality_of_items(self, n_levels):
        X = answers(normal_factors(), n_levels)
        criteria = linear_start("auto", X, np.ones(len(X)), 5, 0, True).criteria
        effect = effect_of(X)
        assert effect > 0.003
        assert criteria["ica_non_normality"] - effect < 0.012

    def test_it_does_not_explain_that_of_independent_sources(self):
        rng = np.random.default_rng(0)
        sources = rng.exponential(size=(2000, 5))
        X = np.round(sources @ rng.normal(size=(5, 12)))
        X = np.clip(X, np.quantile(X, 0.02, axis=0), np.quantile(X, 0.98, axis=0))
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        start = linear_start("auto", X, np.ones(len(X)), 5, 0, True)
        assert start.kind == "ica"
        effect = effect_of(X)
        assert effect != 0
        assert start.criteria["ica_non_normality"] - effect > 0.012


class TestStartOfItems:
    def test_right_wrong_items_of_normal_factors_start_from_factor_analysis(self):
        kinds, raised = set(), 0
        for seed in range(4):
            X = answers(normal_factors(1250, 4, 4, seed), seed=seed)
            start = linear_start("auto", X, np.ones(len(X)), 4, 0, True)
            kinds.add(start.kind)
            raised += "level_effect" in start.criteria
        assert kinds == {"varimax"}
        assert raised  # some are not nearly normal before their levels are considered

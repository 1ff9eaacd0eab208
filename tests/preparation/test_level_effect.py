"""Non-normality that the levels of columns cause, and the start of such tables."""

import numpy as np
import pytest

from skfactorvae import FactorVAETransformer
from skfactorvae.preparation._initialization import _ica_rotation, linear_start
from skfactorvae.preparation._level_effect import level_effect
from skfactorvae.preparation._noise_levels import have_few_levels


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


class TestFewLevels:
    def test_columns_are_judged_by_their_most_frequent_values(self):
        rng = np.random.default_rng(0)
        n = 1000
        continuous = rng.normal(size=n)
        rated = rng.integers(0, 5, size=n).astype(float)
        columns = {
            "rare": (rng.random(n) < 0.05, True),
            "rated": (rated, True),
            "with gaps": (np.where(rng.random(n) < 0.3, np.nan, rated), True),
            "imputed": (np.where(rng.random(n) < 0.05, continuous, rated), True),
            "continuous": (continuous, False),
            "half at zero": (np.where(rng.random(n) < 0.5, 0, continuous), False),
            "rounded": (np.round(continuous, 1), False),
            "constant": (np.zeros(n), False),
        }
        X = np.column_stack([values for values, _ in columns.values()]).astype(float)
        found = dict(zip(columns, have_few_levels(X, np.ones(n), 0), strict=True))
        assert found == {name: expected for name, (_, expected) in columns.items()}


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
    def test_a_few_missing_answers_do_not_change_it(self):
        X = answers(normal_factors(1250, 4, 4, 1), seed=1)
        X[np.random.default_rng(0).random(X.shape) < 0.02] = np.nan
        vae = FactorVAETransformer(4, max_iter=2, random_state=0)
        assert vae.fit(X).init_ == "varimax"

    def test_right_wrong_items_of_normal_factors_start_from_factor_analysis(self):
        kinds, raised = set(), 0
        for seed in range(4):
            X = answers(normal_factors(1250, 4, 4, seed), seed=seed)
            start = linear_start("auto", X, np.ones(len(X)), 4, 0, True)
            kinds.add(start.kind)
            raised += "level_effect" in start.criteria
        assert kinds == {"varimax"}
        assert raised  # some are not nearly normal before their levels are considered

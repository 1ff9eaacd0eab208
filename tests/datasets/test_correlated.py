"""Factors that are rearranged so that they correlate."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from skfactorvae.datasets import correlate_factors, make_damped_oscillator


@pytest.fixture(scope="module")
def factors():
    rng = np.random.RandomState(0)
    return np.column_stack(
        [rng.uniform(size=3000), rng.lognormal(size=3000), range(3000)]
    )


@pytest.mark.parametrize("rho", [-1.0, -0.5, 0.0, 0.6, 0.9, 1.0])
def test_ranks_correlate_as_those_of_normal_variables(factors, rho):
    found = correlate_factors(factors, (0, 1), rho, random_state=1)
    expected = 6 / np.pi * np.arcsin(rho / 2)
    assert spearmanr(found[:, 0], found[:, 1])[0] == pytest.approx(expected, abs=0.02)


def test_values_are_kept_and_other_columns_stay(factors):
    before = factors.copy()
    found = correlate_factors(factors, (1, 0), 0.6, random_state=1)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(factors, axis=0))
    np.testing.assert_array_equal(found[:, 2], factors[:, 2])
    np.testing.assert_array_equal(factors, before)


def test_three_columns_correlate_in_pairs(factors):
    found = correlate_factors(factors, (0, -2, 2), 0.5, random_state=0)
    ranks = spearmanr(found)[0]
    np.testing.assert_allclose(ranks[~np.eye(3, dtype=bool)], 0.483, atol=0.02)


def test_a_seed_gives_one_result(factors):
    first, second, other = (
        correlate_factors(factors, random_state=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_few_samples_and_equal_values():
    assert correlate_factors([[1, 2], [3, 4]]).shape == (2, 2)
    constant = correlate_factors(np.ones((5, 2)))
    np.testing.assert_array_equal(constant, 1)


def test_makers_take_them():
    _, factors = make_damped_oscillator(50, random_state=0)
    related = correlate_factors(factors, (0, 1), 0.9, random_state=0)
    X, found = make_damped_oscillator(factors=related, random_state=0)
    np.testing.assert_array_equal(found, related)
    assert len(X) == 50


@pytest.mark.parametrize(
    "columns", [(0,), (0, 0), (0, 3), (0, -3), ("a", "b"), (0, 1.5)]
)
def test_columns_that_do_not_exist_are_errors(factors, columns):
    with pytest.raises(ValueError, match="two different columns of the 3 factors"):
        correlate_factors(factors, columns)


@pytest.mark.parametrize(("columns", "rho"), [((0, 1), 1.1), ((0, 1, 2), -0.6)])
def test_correlations_that_do_not_exist_are_errors(factors, columns, rho):
    with pytest.raises(ValueError, match=r"correlation must be from -\d"):
        correlate_factors(factors, columns, rho)

"""Scales and noise levels of values with known errors."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skfactorvae.preparation._errors import (
    excess_variance,
    moments_with_errors,
    with_errors,
)
from skfactorvae.preparation._incomplete import complete, fit_factors
from skfactorvae.preparation._scaling import column_moments, fit_scaling


def column(n_samples=400, spread=2.0, seed=0):
    """Return values around 10 with errors of very different size, and their scale."""
    rng = np.random.default_rng(seed)
    errors = np.exp(1.5 * rng.normal(size=n_samples))
    x = 10 + spread * rng.normal(size=n_samples) + errors * rng.normal(size=n_samples)
    return x, errors


def all_of(x):
    return np.arange(len(x)), np.ones(len(x))


class TestMoments:
    def test_they_are_the_maximum_of_the_likelihood(self):
        x, errors = column()
        mean, std = moments_with_errors(x, errors, *all_of(x))

        def loss(values):
            variance = values[1] ** 2 + errors**2
            return np.sum(np.log(variance) + (x - values[0]) ** 2 / variance)

        best = minimize(loss, [mean + 0.5, 1.5 * std])
        np.testing.assert_allclose([mean, std], best.x, rtol=1e-3)
        assert std == pytest.approx(2, rel=0.1)

    def test_they_are_those_of_exact_values_where_errors_are_zero(self):
        x, _ = column()
        exact = column_moments(x[:, None], *all_of(x))
        found = moments_with_errors(x, 1e-9 + 0 * x, *all_of(x))
        np.testing.assert_allclose(found, np.ravel(exact), rtol=1e-6)

    def test_one_value_of_a_huge_error_does_not_set_the_scale(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(200, 2))
        errors = np.full_like(X, 0.1)
        X[3, 0], errors[3, 0] = 1e9, 1e9
        mean, std = moments_with_errors(X[:, 0], errors[:, 0], *all_of(X))
        assert abs(mean) < 0.3
        assert std == pytest.approx(1, rel=0.2)
        plain = fit_scaling(X, *all_of(X), "feature")
        found = fit_scaling(X, *all_of(X), "feature", errors)
        assert plain.scale[0] > 1e7
        assert found.scale[0] == pytest.approx(std)

    def test_integer_weights_equal_repetition(self):
        x, errors = column(50)
        weight = np.random.RandomState(0).randint(1, 4, size=50)
        weighted = moments_with_errors(x, errors, np.arange(50), weight.astype(float))
        x, errors = np.repeat(x, weight), np.repeat(errors, weight)
        repeated = moments_with_errors(x, errors, *all_of(x))
        np.testing.assert_allclose(weighted, repeated, rtol=1e-4)

    def test_a_column_of_errors_alone_has_a_small_positive_scale(self):
        rng = np.random.default_rng(1)
        x = rng.normal(size=1000)
        _, std = moments_with_errors(x, np.ones(1000), *all_of(x))
        assert 0.05 < std < 0.5

    @pytest.mark.parametrize(
        ("x", "errors", "expected"),
        [
            ([3.0, 3.0, 9.0], [0.0, 0.0, 5.0], (3.0, 0.0)),
            ([np.nan, np.nan], [0.0, 0.0], (np.nan, np.nan)),
        ],
    )
    def test_constant_and_empty_columns(self, x, errors, expected):
        x, errors = np.array(x), np.array(errors)
        np.testing.assert_array_equal(
            moments_with_errors(x, errors, *all_of(x)), expected
        )

    def test_columns_without_errors_keep_their_moments(self):
        X = np.column_stack([column(100)[0], column(100, seed=1)[0]])
        errors = np.zeros_like(X)
        errors[:, 1] = 1.0
        plain = fit_scaling(X, *all_of(X), "feature")
        found = fit_scaling(X, *all_of(X), "feature", errors)
        assert found.scale[0] == plain.scale[0]
        assert found.scale[1] < plain.scale[1]


class TestNoise:
    def test_the_variance_beside_errors_is_found_by_columns(self):
        rng = np.random.default_rng(0)
        error_variance = np.exp(rng.normal(size=(5000, 3)))
        noise = np.array([0.1, 1.0, 5.0])
        squares = (noise + error_variance) * rng.normal(size=(5000, 3)) ** 2
        squares[rng.uniform(size=squares.shape) < 0.2] = np.nan
        found = excess_variance(squares, error_variance, np.ones(5000))
        np.testing.assert_allclose(found, noise, rtol=0.3)

    def test_errors_of_zero_leave_the_mean_square(self):
        squares = np.random.default_rng(0).uniform(size=(50, 2))
        weight = np.arange(1.0, 51.0)
        found = excess_variance(squares, np.zeros_like(squares), weight)
        np.testing.assert_allclose(found, np.average(squares, axis=0, weights=weight))

    @pytest.mark.parametrize("value", [0.0, np.nan])
    def test_columns_without_residuals_have_a_finite_variance(self, value):
        squares = np.full((20, 2), value)
        found = excess_variance(squares, np.full((20, 2), 0.5), np.ones(20))
        assert np.isfinite(found).all()
        assert (found >= 0).all()


def test_errors_are_standardised_and_those_of_missing_values_are_zero():
    rows = np.array([[1.0, np.nan], [2.0, 3.0]], dtype=np.float32)
    errors = np.array([[4.0, 7.0], [0.0, 3e17]])
    found = with_errors(rows, errors, np.array([2.0, 10.0]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, :2], [[1, np.nan], [2, np.nan]])
    np.testing.assert_array_equal(found[:, 2:], [[2, 0], [0, 0]])


def test_factors_are_found_by_values_without_large_errors():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8))
    rows += 0.1 * rng.normal(size=rows.shape)
    errors = np.where(rng.uniform(size=rows.shape) < 0.3, 30.0, 0.01)
    noisy = rows + errors * rng.normal(size=rows.shape)
    model = fit_factors(noisy, np.ones(300), 0, errors)
    completed = model.complete(np.hstack([noisy, errors]))
    assert model.n_factors >= 2
    assert np.sqrt(np.mean((completed - rows) ** 2)) < 0.15


def test_what_stands_in_for_imprecise_samples_counts_by_its_reliability():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 1)) @ np.ones((1, 5)) + 0.5 * rng.normal(
        size=(2000, 5)
    )
    errors = np.where(np.arange(2000) % 2, 5.0, 0.05)[:, None] * np.ones_like(rows)
    noisy = rows + errors * rng.normal(size=rows.shape)
    weight = np.ones(2000)
    model = fit_factors(noisy, weight, 0, errors)
    found = complete(np.hstack([noisy, errors]), weight, model, 0)
    np.testing.assert_array_equal(found.expected, found.drawn)
    np.testing.assert_allclose(found.drawn.std(axis=0), rows.std(axis=0), rtol=0.1)
    assert found.weight.max() == 1
    assert found.weight[1::2].max() < 0.1
    plain = complete(noisy, weight, model, 0)
    assert plain.expected is noisy
    assert plain.weight is weight

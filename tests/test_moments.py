"""Sums of columns over blocks equal the moments of the whole table."""

import numpy as np
import pytest

from skfactorvae._moments import median_of_columns, sum_columns


def accumulate(rows, weight, *, origin=None, size=7):
    blocks = [slice(start, start + size) for start in range(0, len(rows), size)]
    return sum_columns(((rows[b], weight[b]) for b in blocks), origin)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(50, 3)) * [1, 10, 0.1] + [0, 5, 1e6]


@pytest.fixture
def weight():
    return np.random.default_rng(1).uniform(0, 3, 50)


def test_moments_are_those_of_weighted_samples(rows, weight):
    sums = accumulate(rows, weight)
    mean = np.average(rows, axis=0, weights=weight)
    variance = np.average((rows - mean) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(sums.mean, mean)
    np.testing.assert_allclose(sums.variance, variance)


def test_the_lower_median_counts_weights_as_repetition(rows):
    count = np.arange(50) % 4
    repeated = np.sort(np.repeat(rows, count, axis=0), axis=0)
    found = median_of_columns(rows, count.astype(float))
    np.testing.assert_array_equal(found, repeated[(len(repeated) - 1) // 2])
    odd = rows[:49]
    expected = np.median(odd, axis=0)
    np.testing.assert_array_equal(median_of_columns(odd, np.ones(49)), expected)


def test_an_integer_weight_equals_repetition(rows):
    count = np.arange(50) % 4
    repeated = np.repeat(rows, count, axis=0)
    sums = accumulate(rows, count.astype(float))
    expected = accumulate(repeated, np.ones(len(repeated)))
    np.testing.assert_allclose(sums.mean, expected.mean)
    np.testing.assert_allclose(sums.variance, expected.variance)


def test_missing_entries_have_no_weight(rows, weight):
    rows[::3, 0] = np.nan
    rows[:, 2] = np.nan
    sums = accumulate(rows, weight)
    present = ~np.isnan(rows[:, 0])
    mean = np.average(rows[present, 0], weights=weight[present])
    assert sums.mean[0] == pytest.approx(mean)
    assert sums.mean[1] == pytest.approx(np.average(rows[:, 1], weights=weight))
    assert (sums.mean[2], sums.variance[2]) == (0, 0)
    assert np.isnan(rows[:, 2]).all()  # the block is not written to


def test_an_origin_near_the_data_keeps_the_variance(weight):
    rows = np.random.default_rng(0).normal(size=(50, 1)) + 1e9
    expected = np.average((rows - rows.mean()) ** 2, axis=0)
    sums = accumulate(rows, np.ones(50))
    np.testing.assert_allclose(sums.variance, expected, rtol=1e-6)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="no samples"):
        sum_columns([])

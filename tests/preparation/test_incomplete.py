"""Preparation of incomplete tables."""

import numpy as np
import pytest

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.preparation import _incomplete
from skfactorvae.preparation._incomplete import complete, fit_factors, has_missing
from skfactorvae.preparation._noise_levels import resolution_variance
from skfactorvae.preparation._rows import canonical_rows
from skfactorvae.preparation._scaling import column_moments, fit_scaling


def rank_table(rank, n_rows=500, n_columns=12, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, rank)) @ rng.normal(size=(rank, n_columns))
    rows += 0.3 * rng.normal(size=rows.shape)
    rows /= rows.std(axis=0)
    return np.where(rng.uniform(size=rows.shape) < 0.2, np.nan, rows)


@pytest.mark.parametrize("rank", [1, 4])
def test_the_number_of_factors_is_the_one_that_predicts_hidden_values(rank):
    rows = rank_table(rank)
    assert fit_factors(rows, np.ones(len(rows)), 0).n_factors == rank


def test_at_most_some_samples_are_used(monkeypatch):
    rows = rank_table(2)
    monkeypatch.setattr(_incomplete, "FACTOR_ROWS", 50)
    few = fit_factors(rows, np.ones(len(rows)), 0)
    monkeypatch.undo()
    assert not np.allclose(few.mean, fit_factors(rows, np.ones(len(rows)), 0).mean)


def test_complete_rows_are_not_copied():
    rows = np.zeros((5, 2))
    completion = complete(rows, np.ones(5), None, 0)
    assert completion.expected is rows
    assert completion.drawn is rows


def test_draws_have_more_variance_than_expectations():
    rows = rank_table(2)
    missing = np.isnan(rows)
    model = fit_factors(rows, np.ones(len(rows)), 0)
    completion = complete(rows, np.ones(len(rows)), model, 0)
    for filled in completion.expected, completion.drawn:
        np.testing.assert_array_equal(filled[~missing], rows[~missing])
    assert np.var(completion.drawn[missing]) > np.var(completion.expected[missing])


def test_infinite_sums_are_not_missing_values():
    X = np.array([[1e308, 1e308], [1e308, -1e308]])
    assert not has_missing(X)
    X[0, 0] = np.nan
    assert has_missing(X)


def test_samples_with_equal_gaps_are_merged_and_others_are_not():
    other_bits = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]
    assert np.isnan(other_bits)
    X = np.array([[1, np.nan], [1, other_bits], [np.nan, 1], [1, 1], [1, np.nan]])
    index, weight = canonical_rows(X, np.array([1.0, 2, 4, 8, 16]))
    assert sorted(weight) == [4, 8, 19]
    assert len(index) == 3


def test_moments_are_those_of_the_observed_values():
    rows = rank_table(3) * 1e5 + 1e7
    rows[:, 4] = np.nan
    weight = np.random.default_rng(0).uniform(1, 2, len(rows))
    index = np.arange(len(rows))
    mean, std = column_moments(rows, index, weight)
    for j in (0, 11):
        seen = ~np.isnan(rows[:, j])
        expected = np.average(rows[seen, j], weights=weight[seen])
        assert mean[j] == pytest.approx(expected, rel=1e-12)
        squares = (rows[seen, j] - expected) ** 2
        assert std[j] == pytest.approx(
            np.sqrt(np.average(squares, weights=weight[seen]))
        )
    assert np.isnan(mean[4])
    for standardize in ("feature", "global", None):
        scaling = fit_scaling(rows, index, weight, standardize)
        assert np.isfinite(scaling.scale).all()
        assert (scaling.scale > 0).all()
        assert np.isnan(scaling.mean[4])
        assert np.isnan(scaling.apply(rows, np.float32)).sum() == np.isnan(rows).sum()


def test_the_resolution_of_a_column_is_that_of_its_values():
    rows = np.round(rank_table(2), 1)
    rows[:, 0] = np.nan
    variance = resolution_variance(rows, np.ones(len(rows)), 0)
    assert variance[0] == 0
    np.testing.assert_allclose(variance[1:], 0.01 / 12)


@pytest.mark.slow
def test_a_direction_of_average_variance_does_not_hide_independent_components():
    X, _ = make_nonlinear_ica(4000, 20, n_sources=4, n_layers=3, random_state=0)
    vae = FactorVAETransformer(10, max_iter=2, weight_decay=0, random_state=0)
    assert vae.fit(X).init_ == "ica"
    hidden = np.random.RandomState(1234).uniform(size=X.shape) < 0.3
    assert vae.fit(np.where(hidden, np.nan, X)).init_ == "ica"

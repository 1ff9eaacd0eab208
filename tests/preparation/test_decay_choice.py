"""Choice among weight decays, calibration of the noise, and resolution of columns."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skfactorvae import FactorVAETransformer, core
from skfactorvae._moments import trimmed_mean
from skfactorvae.preparation import _calibration
from skfactorvae.preparation._calibration import inflation_of
from skfactorvae.preparation._comparison import largest_loss
from skfactorvae.preparation._length import LengthComparison, next_length
from skfactorvae.preparation._noise_levels import (
    discrete_variance,
    resolution_variance,
)
from skfactorvae.preparation._references import (
    factor_analysis_score,
    first_component_r2,
)
from skfactorvae.preparation._rows import split_groups
from skfactorvae.preparation._weight_decay import (
    DecayComparison,
    choose_candidate,
    compare_decays,
)


def make_bounds(gains, n_samples=200, noise=0.3, seed=0):
    """Return bounds of candidates that exceed those of the first by given gains."""
    rng = np.random.default_rng(seed)
    shared = 5 * rng.normal(size=n_samples)
    own = noise * rng.normal(size=(len(gains), n_samples))
    return shared + np.array(gains)[:, None] + own


@dataclass(frozen=True)
class Table:
    """What a comparison takes of a job."""

    rows: np.ndarray
    row_weights: np.ndarray
    seed: int = 0
    labels: None = None
    pairs: None = None
    start: None = None
    held_out: None = None


class TestGivenDecay:
    def comparison(self, n_rows, decay):
        """Return the comparison for a table of so many samples."""
        table = Table(np.arange(float(n_rows))[:, None], np.ones(n_rows))
        return compare_decays(
            table,
            lambda solver=None: core.Schedule(
                max_iter=5000, batch_size=4, learning_rate=1e-3, warmup=0.0
            ),
            lambda *rows: None,
            with_decay=lambda job, decay: job,
            given=decay,
        )

    @pytest.mark.parametrize(("n_rows", "n_kept"), [(1000, 800), (9000, 2000)])
    def test_no_more_samples_are_copied_than_batches_have(self, n_rows, n_kept):
        plan = self.comparison(n_rows, 0.5)
        assert plan.decays == (0.5,)
        (job,) = plan.jobs
        assert plan.schedule.max_iter * plan.schedule.batch_size == 2000
        assert len(job.rows) == len(job.row_weights) == n_kept
        assert len(job.held_out.rows) == min(1000, n_rows // 5)
        assert not np.isin(job.rows, job.held_out.rows).any()
        assert len(np.unique(job.rows)) == n_kept

    def test_a_choice_of_weight_decay_takes_all_samples(self):
        plan = self.comparison(9000, None)
        assert {len(job.rows) for job in plan.jobs} == {8000}


class TestChoice:
    weight = np.ones(200)

    def test_the_best_candidate_is_chosen(self):
        bounds = make_bounds([0, 1, 3, 2])
        assert choose_candidate(bounds, np.zeros(4), self.weight) == 2

    def test_without_a_margin_the_first_needs_a_clear_advantage(self):
        equal = make_bounds([0, 0, 0])
        better = make_bounds([0, -1, -2])
        assert choose_candidate(equal, np.zeros(3), self.weight) > 0
        assert choose_candidate(better, np.zeros(3), self.weight) == 0

    def test_with_a_margin_the_others_need_one(self):
        bounds = make_bounds([0, 1, 2])
        assert choose_candidate(bounds, np.zeros(3), self.weight, margin=3.0) == 0
        assert choose_candidate(bounds, np.zeros(3), self.weight, margin=1.5) == 2

    def test_penalties_of_the_objective_count(self):
        bounds = make_bounds([0, 1, 2])
        penalties = np.array([0.0, 0.0, 5.0])
        assert choose_candidate(bounds, penalties, self.weight) == 1

    def test_one_outlier_does_not_decide(self):
        bounds = make_bounds([0, 1, 2])
        bounds[2, 7] = -1e12
        assert choose_candidate(bounds, np.zeros(3), self.weight) == 2

    def test_a_candidate_without_a_finite_bound_is_not_chosen(self):
        bounds = make_bounds([0, 1, 2])
        bounds[2] = -np.inf
        assert choose_candidate(bounds, np.zeros(3), self.weight) == 1


class TestSteps:
    @pytest.mark.parametrize(
        ("share", "error", "lost"),
        [(0.03, 0.01, 0.04), (-0.3, 0.01, 0.01), (np.inf, 0.0, np.inf)],
    )
    def test_few_samples_do_not_show_that_nothing_is_lost(self, share, error, lost):
        assert largest_loss(share, error) == pytest.approx(lost)

    @pytest.mark.parametrize(
        ("most", "lengths"),
        [
            (501, [501]),
            (2500, [2500]),
            (5000, [1500, 5000]),
            (10_000, [1500, 4500, 10_000]),
        ],
    )
    def test_longer_fits_end_with_all_steps(self, most, lengths):
        found = [500]
        while found[-1] != most:
            found.append(next_length(found[-1], most))
        assert found[1:] == lengths


class TestTies:
    """Which of two fits is preferred, by their bounds and what the longer one lost."""

    @pytest.mark.parametrize(
        ("gain", "lost", "is_longer"),
        [
            (2.0, 0.3, True),  # better by more than the standard error
            (0.5, 0.3, False),
            (0.5, 0.1, True),
            (-0.04, 0.1, True),  # about equal
            (-0.04, 0.13, False),  # of which much was memorised
            (-0.06, 0.0, False),
            (np.nan, 0.0, False),
        ],
    )
    def test_the_longer_of_about_equal_fits_is_preferred(self, gain, lost, is_longer):
        class Given(LengthComparison):
            def gain(self, one, other):
                return gain, 1.0

            def lost_share(self, candidate):
                return lost, 0.0

        job = SimpleNamespace(network=SimpleNamespace(n_features=10))
        best = SimpleNamespace(compared=None)
        comparison = Given([job], None, None, None, best, None, None)
        assert comparison._is_preferred(None, None) is is_longer


class TestTrimmedMean:
    @given(st.integers(0, 10**6))
    def test_it_is_the_mean_of_the_inner_samples(self, seed):
        values = np.random.default_rng(seed).standard_cauchy(400)
        mean, error = trimmed_mean(values, np.ones(400))
        assert mean == pytest.approx(stats.trim_mean(values, 0.025))
        assert error > 0

    def test_weights_are_repetitions(self):
        rng = np.random.default_rng(0)
        values, weight = rng.normal(size=100), rng.integers(1, 4, size=100)
        weighted, _ = trimmed_mean(values, weight.astype(float))
        repeated, _ = trimmed_mean(np.repeat(values, weight), np.ones(weight.sum()))
        assert weighted == pytest.approx(repeated)


class TestInflation:
    def test_it_is_the_ratio_where_samples_are_many(self):
        held_out, training = np.array([2.0, 3.0, 5.0, 8.0]), np.ones(4)
        found = inflation_of(held_out, training, np.full(4, 1e-9))
        np.testing.assert_allclose(found, held_out, rtol=1e-3)

    def test_it_is_the_common_ratio_where_samples_are_few(self):
        held_out, training = np.array([1.9, 2.0, 2.1, 9.0]), np.ones(4)
        found = inflation_of(held_out, training, np.full(4, 10.0))
        np.testing.assert_allclose(found, 2.05, rtol=0.01)

    def test_it_is_at_least_one(self):
        found = inflation_of(np.full(3, 0.5), np.ones(3), np.full(3, 0.1))
        np.testing.assert_array_equal(found, 1.0)

    def test_constant_columns_get_the_common_ratio(self):
        held_out, training = np.array([0.0, 3.0, 3.0]), np.array([0.0, 1.0, 1.0])
        found = inflation_of(held_out, training, np.full(3, 0.1))
        np.testing.assert_allclose(found, 3.0)


class TestResolution:
    def test_it_is_the_variance_of_rounding(self):
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.normal(size=500), rng.normal(size=500).round(1)])
        smooth, rounded = resolution_variance(X, np.ones(500), 0)
        assert smooth < 1e-6
        assert rounded == pytest.approx(0.1**2 / 12)

    def test_constant_columns_have_none(self):
        assert resolution_variance(np.ones((30, 1)), np.ones(30), 0) == 0
        assert discrete_variance(np.ones((30, 1)), np.ones(30), 0) == 0

    def test_it_is_at_most_the_variance_of_the_column(self):
        rare = (np.arange(1000) % 100 == 0).astype(float)[:, np.newaxis]
        rare /= rare.std()
        assert resolution_variance(rare, np.ones(1000), 0) == pytest.approx(1.0)


def log_density(residual, variance):
    return -0.5 * (residual**2 / variance + np.log(2 * np.pi * variance))


class TestColumnsOfFewLevels:
    @pytest.mark.parametrize("shares", [[5, 5], [3, 7], [1, 2, 3, 4], [1] * 10])
    def test_exact_reconstruction_gains_the_entropy_of_the_values(self, shares):
        values = np.repeat(np.arange(len(shares)), 100 * np.array(shares)).astype(float)
        X = ((values - values.mean()) / values.std())[:, np.newaxis]
        (variance,) = discrete_variance(X, np.ones(len(X)), 0)
        gain = log_density(0.0, variance) - log_density(X, 1.0).mean()
        p = np.array(shares) / sum(shares)
        assert gain == pytest.approx(-(p * np.log(p)).sum(), abs=1e-9)

    def test_rare_values_have_the_noise_of_the_whole_column(self):
        rare = (np.arange(1000) % 100 == 0).astype(float)[:, np.newaxis]
        assert discrete_variance(rare, np.ones(1000), 0) == pytest.approx(rare.var())

    def test_continuous_columns_have_the_variance_of_their_rounding(self):
        X = np.random.default_rng(0).normal(size=(500, 2)).round(2)
        found = discrete_variance(X, np.ones(500), 0)
        np.testing.assert_array_equal(found, resolution_variance(X, np.ones(500), 0))

    def test_missing_values_do_not_count(self):
        X = np.repeat([0.0, 1.0, np.nan], 300)[:, np.newaxis]
        gap = 1.0
        assert discrete_variance(X, np.ones(900), 0) == pytest.approx(
            gap**2 / 4 * np.exp(1 - 2 * np.log(2))
        )
        assert discrete_variance(np.full((9, 1), np.nan), np.ones(9), 0) == 0

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_decays_are_compared_with_their_noise(self, monkeypatch):
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.integers(2, size=(400, 3)), rng.normal(size=400)])
        monkeypatch.setattr(_calibration, "_noise_variance", no_variance)
        _, found, compared = evaluated(X, monkeypatch, noise_scale="feature")
        assert found[0].bounds.mean() != pytest.approx(compared[0].bounds.mean())
        assert found[0].penalty == compared[0].penalty

    def test_continuous_columns_are_compared_as_they_are(self, monkeypatch):
        X = np.random.default_rng(0).normal(size=(400, 2)).repeat(3, axis=1)
        _, found, compared = evaluated(X, monkeypatch)
        assert compared is found


def no_variance(job, weights, inflation, device):
    """Return the noise variances of exact reconstructions, (p,)."""
    return np.zeros(job.network.n_features)


def evaluated(X, monkeypatch, **parameters):
    """Return the comparison of a fit to X, and both evaluations of its candidates."""
    seen = []
    choose = DecayComparison.choose

    def keep(self, fits, device):
        seen.append((self, *self.evaluate(fits, device)))
        return choose(self, fits, device)

    monkeypatch.setattr(DecayComparison, "choose", keep)
    small = {"hidden_layer_sizes": (8,), "gamma": 0.0, "max_iter": 300, "init": "pca"}
    FactorVAETransformer(2, random_state=0, **small | parameters).fit(X)
    return seen[0]


class TestLinearModels:
    def test_they_are_those_of_scikit_learn(self):
        rng = np.random.default_rng(0)
        sources = rng.normal(size=(300, 2))
        rows = sources @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(300, 6))
        inside, outside = rows[:200], rows[200:]
        weight = np.ones(100)
        two = factor_analysis_score(inside, outside, weight, 2)
        one = factor_analysis_score(inside, outside, weight, 1)
        independent = stats.norm(inside.mean(axis=0), inside.std(axis=0))
        assert two > one > independent.logpdf(outside).sum(axis=1).mean()
        assert 0.3 < first_component_r2(inside, outside) < 0.9

    def test_many_features_are_not_waited_for(self):
        rows = np.zeros((10, 301))
        assert np.isnan(factor_analysis_score(rows, rows, np.ones(10), 2))

    @pytest.mark.parametrize(("inside", "outside"), [(1, 1e200), (1e160, 1)])
    def test_it_is_nan_without_a_warning_where_it_overflows(self, inside, outside):
        rows = np.random.RandomState(0).normal(size=(10, 3))
        arguments = inside * rows, outside * rows, np.ones(10), 2
        assert np.isnan(factor_analysis_score(*arguments))

    def test_constant_features_give_no_warning(self):
        rows = np.zeros((10, 3))
        assert np.isfinite(factor_analysis_score(rows, rows, np.ones(10), 2))


class TestSplits:
    @given(
        st.integers(20, 200),
        st.floats(0.05, 0.3),
        st.integers(1, 2),
        st.integers(0, 100),
        st.booleans(),
    )
    def test_parts_are_disjoint_and_of_about_equal_size(
        self, n_rows, fraction, n_splits, seed, is_grouped
    ):
        rng = np.random.default_rng(seed)
        groups = rng.integers(0, 12, size=n_rows) if is_grouped else None
        parts = split_groups(n_rows, groups, fraction, n_splits, seed)
        held_out = np.concatenate(parts)
        assert len(parts) == n_splits
        assert len(np.unique(held_out)) == len(held_out) < n_rows
        if not is_grouped:
            sizes = {len(part) for part in parts}
            assert sizes == {max(1, round(fraction * n_rows))}

"""Before training: weights, scales, noise levels and linear initialisations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.decomposition import PCA, FastICA

from skfactorvae.datasets import make_dsprites_like, make_nonlinear_ica
from skfactorvae.metrics import match_codes
from skfactorvae.preparation import information_of_noise
from skfactorvae.preparation._data import TrainingData
from skfactorvae.preparation._initialization import (
    NORMAL_LOG_COSH,
    has_independent_components,
    independence_area,
    linear_start,
    negentropy,
)
from skfactorvae.preparation._noise_levels import (
    conditional_noise_std,
    default_input_noise,
    noise_edge,
    signal_to_noise,
)
from skfactorvae.preparation._rows import canonical_rows, split_groups
from skfactorvae.preparation._scaling import Scaling, choose_scale, column_moments

tables = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 3)),
    elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, 1e12, 1e-12]),
)


def make_moving_peaks(n_rows):
    """Return peaks of one width at different positions, of shape (n_rows, 30)."""
    place = np.random.default_rng(0).uniform(0.3, 0.7, (n_rows, 1))
    return np.exp(-(((np.linspace(0, 1, 30) - place) / 0.08) ** 2))


def canonical(X, weight):
    index, weight = canonical_rows(X, np.asarray(weight, dtype=float))
    return X[index], weight


class TestCanonicalRows:
    @given(tables, st.randoms(use_true_random=False))
    def test_they_do_not_depend_on_the_order_of_the_rows(self, X, random):
        order = list(range(len(X)))
        random.shuffle(order)
        weight = np.arange(1.0, len(X) + 1)
        rows, weights = canonical(X, weight)
        other_rows, other_weights = canonical(X[order], weight[order])
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_array_equal(weights, other_weights)

    @given(tables, st.data())
    def test_an_integer_weight_is_a_repeated_row(self, X, data):
        n = len(X)
        counts = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 3)))
        counts[0] += 1
        rows, weights = canonical(X, counts)
        repeated = np.repeat(X, counts, axis=0)
        other_rows, other_weights = canonical(repeated, np.ones(len(repeated)))
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_array_equal(weights, other_weights)

    @given(tables)
    def test_rows_are_distinct_and_keep_the_total_weight(self, X):
        rows, weights = canonical(X, np.ones(len(X)))
        assert len(np.unique(rows, axis=0)) == len(rows)
        assert weights.sum() == len(X)

    def test_rows_that_differ_in_signs_only_are_distinct(self):
        X = np.array([[1.0, 2.0], [-1.0, -2.0], [-1.0, 2.0], [1.0, -2.0]])
        assert len(canonical(X, np.ones(4))[0]) == 4

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_large_table_has_no_false_ties(self, dtype):
        X = np.random.default_rng(0).normal(size=(20_000, 2)).astype(dtype)
        index, _ = canonical_rows(X, np.ones(len(X)))
        assert len(index) == len(np.unique(X, axis=0))


group_lists = st.lists(st.integers(-3, 6), min_size=1, max_size=40).map(np.array)
fractions = st.floats(0.01, 0.99)


class TestSplitGroups:
    @given(group_lists, fractions, st.integers(1, 3), st.integers(0, 99))
    def test_parts_are_disjoint_and_of_whole_groups(self, groups, fraction, n, seed):
        parts = split_groups(len(groups), groups, fraction, n, seed)
        held_out = [set(groups[part]) for part in parts]
        n_groups = len(set(groups))
        assert len(parts) == n
        assert len(set().union(*held_out)) == sum(map(len, held_out)) < n_groups
        for part, own in zip(parts, held_out, strict=True):
            np.testing.assert_array_equal(part, np.flatnonzero(np.isin(groups, [*own])))
        assert sum(len(own) > 0 for own in held_out) == min(n, n_groups - 1)

    @given(group_lists, fractions, st.integers(0, 99), st.randoms())
    def test_they_do_not_depend_on_the_order(self, groups, fraction, seed, random):
        order = list(range(len(groups)))
        random.shuffle(order)
        (part,) = split_groups(len(groups), groups, fraction, 1, seed)
        (moved,) = split_groups(len(groups), groups[order], fraction, 1, seed)
        np.testing.assert_array_equal(np.sort(np.array(order)[moved]), part)

    @given(st.integers(4, 30), st.integers(1, 9), st.integers(0, 99))
    def test_groups_of_one_size_fill_the_share(self, n_groups, size, seed):
        groups = np.repeat(np.arange(n_groups), size)
        (part,) = split_groups(len(groups), groups, 0.25, 1, seed)
        assert len(part) == size * max(1, round(0.25 * len(groups)) // size)

    def test_a_large_group_is_not_held_out(self):
        groups = np.repeat([0, 1, 2], [60, 15, 25])
        for seed in range(10):
            (part,) = split_groups(100, groups, 0.2, 1, seed)
            assert set(groups[part]) == {1}

    def test_a_small_group_alone_is_too_little(self):
        groups = np.repeat([0, 1, 2], [1, 50, 49])
        (part,) = split_groups(100, groups, 0.2, 1, 0)
        assert set(groups[part]) == {0, 2}

    def test_data_with_a_single_group_cannot_be_split(self):
        X = np.arange(8.0)[:, None]
        data = TrainingData.from_arrays(X, np.ones(8), groups=np.zeros(8, dtype=int))
        with pytest.raises(ValueError, match="at least two groups"):
            data.split(0.25, 0)


class TestColumnMoments:
    @given(st.sampled_from([1e-300, 1e-12, 1.0, 1e12, 1e300]))
    def test_they_hold_over_the_whole_floating_point_range(self, unit):
        X = np.random.default_rng(0).normal(3, 2, size=(200, 4)) * unit
        mean, std = column_moments(X, np.arange(200), np.ones(200))
        np.testing.assert_allclose(mean / unit, (X / unit).mean(0), rtol=1e-12)
        np.testing.assert_allclose(std / unit, (X / unit).std(0), rtol=1e-12)

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e12, 1e-12, -7.3])
    def test_a_constant_column_has_standard_deviation_zero(self, value):
        X = np.full((5000, 1), value)
        _, std = column_moments(X, np.arange(5000), np.ones(5000))
        assert std == 0

    def test_moments_are_weighted(self):
        X = np.array([[0.0], [1.0]])
        mean, std = column_moments(X, np.arange(2), np.array([3.0, 1.0]))
        assert mean == pytest.approx(0.25)
        assert std == pytest.approx(np.sqrt(3 / 16))


class TestScale:
    mean, std = np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 0.0])

    def test_feature_scales_each_column_and_leaves_a_constant_alone(self):
        _, scale = choose_scale("feature", self.mean, self.std)
        np.testing.assert_array_equal(scale, [3, 4, 1])

    def test_global_keeps_the_proportions_between_columns(self):
        mean, scale = choose_scale("global", self.mean, self.std)
        np.testing.assert_allclose(scale, np.sqrt(25 / 3))
        np.testing.assert_array_equal(mean, self.mean)

    def test_none_changes_nothing(self):
        mean, scale = choose_scale(None, self.mean, self.std)
        assert not mean.any()
        assert (scale == 1).all()

    def test_standardizing_is_exact_chunk_by_chunk(self):
        X = np.random.default_rng(0).normal(size=(10_000, 2))
        scaling = Scaling(X.mean(0), X.std(0))
        rows = scaling.apply(X, np.float64)
        np.testing.assert_array_equal(rows, (X - X.mean(0)) / X.std(0))
        index = np.arange(0, 10_000, 3)
        chosen = scaling.apply(X, np.float64, index)
        np.testing.assert_array_equal(chosen, rows[index])


class TestLinearStart:
    rng = np.random.default_rng(0)
    sources = rng.uniform(-1, 1, size=(2000, 3))
    X = sources @ rng.normal(size=(3, 8))
    X = (X - X.mean(0)) / X.std(0)
    ones = np.ones(2000)

    def test_pca_gives_white_scores_and_their_reconstruction(self):
        start = linear_start("pca", self.X, self.ones, 3, seed=0)
        codes = self.X @ start.encoder
        np.testing.assert_allclose(np.cov(codes.T), np.eye(3), atol=1e-6)
        np.testing.assert_allclose(codes @ start.decoder, self.X, atol=1e-6)
        expected = PCA(3, whiten=True).fit_transform(self.X)
        np.testing.assert_allclose(np.abs(codes), np.abs(expected), atol=1e-6)

    def test_ica_finds_the_sources_and_agrees_with_fastica(self):
        start = linear_start("ica", self.X, self.ones, 3, seed=0)
        codes = self.X @ start.encoder
        np.testing.assert_allclose(codes @ start.decoder, self.X, atol=1e-6)
        for other in (
            self.sources,
            FastICA(3, whiten="unit-variance", random_state=1).fit_transform(self.X),
        ):
            cross = np.abs(np.corrcoef(codes.T, other.T)[:3, 3:])
            assert cross.max(1).min() > 0.99

    def test_directions_below_the_average_variance_are_left_out(self):
        noise = np.random.default_rng(1).normal(size=self.X.shape)
        start = linear_start("ica", self.X + 0.3 * noise, self.ones, 8, seed=0)
        assert start.encoder[:, :3].any(axis=0).all()
        assert not start.encoder[:, 3:].any()

    def test_one_feature_alone_is_a_direction(self):
        start = linear_start("ica", self.X[:, :1], self.ones, 2, seed=0)
        assert start.encoder[0, 0] != 0

    def test_components_beyond_the_rank_are_initialised_with_zero(self):
        start = linear_start("ica", self.X, self.ones, 6, seed=0)
        assert start.encoder.shape == (8, 6)
        assert start.encoder[:, :3].any(axis=0).all()
        assert not start.encoder[:, 3:].any()
        assert not start.decoder[3:].any()

    @pytest.mark.parametrize("n_rows", [1, 2])
    def test_a_table_of_few_or_equal_rows_has_no_direction(self, n_rows):
        start = linear_start("ica", np.zeros((n_rows, 4)), np.ones(n_rows), 2, seed=0)
        assert not start.encoder.any()

    def test_rows_are_drawn_by_weight_where_weights_differ(self):
        """All weight on half of the rows gives the initialisation of that half."""
        weight = np.r_[np.ones(1000), np.full(1000, 1e-12)]
        X = np.r_[self.X[:1000], 100 * self.X[1000:]]
        heavy = linear_start("pca", X, weight, 3, seed=0)
        alone = linear_start("pca", self.X[:1000], np.ones(1000), 3, seed=0)
        scale = np.abs(heavy.decoder).max() / np.abs(alone.decoder).max()
        assert scale == pytest.approx(1, rel=0.1)

    @pytest.mark.parametrize(("n_rows", "n_turned"), [(2000, 3), (100, 2), (50, 1)])
    def test_ica_rotates_as_many_directions_as_it_has_rows_for(self, n_rows, n_turned):
        ica, pca = (
            linear_start(kind, self.X[:n_rows], self.ones[:n_rows], 3, seed=0)
            for kind in ("ica", "pca")
        )
        np.testing.assert_array_equal(
            ica.encoder[:, n_turned:], pca.encoder[:, n_turned:]
        )
        turn = np.linalg.lstsq(pca.encoder, ica.encoder, rcond=None)[0]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
        moved = np.abs(turn - np.eye(3)).max(axis=0) > 0.1
        assert moved.sum() == (n_turned if n_turned > 1 else 0)

    def test_the_number_of_rotated_directions_depends_on_distinct_rows(self):
        """Unequal weights make 10,000 draws of 50 rows: still 50 distinct rows."""
        weight = np.random.default_rng(2).uniform(0.5, 1.5, 50)
        ica, pca = (
            linear_start(kind, self.X[:50], weight, 3, seed=0)
            for kind in ("ica", "pca")
        )
        np.testing.assert_array_equal(
            ica.encoder, pca.encoder
        )  # one direction is not rotated

    def test_auto_chooses_fastica_for_a_mixture_of_sources(self):
        auto, ica = (
            linear_start(kind, self.X, self.ones, 3, seed=0) for kind in ("auto", "ica")
        )
        assert auto.kind == ica.kind == "ica"
        np.testing.assert_array_equal(auto.encoder, ica.encoder)

    def test_auto_chooses_pca_for_a_curved_table(self):
        """A moving peak has one parameter, for which PCA needs several directions."""
        X = make_moving_peaks(1000)
        auto, pca = (
            linear_start(kind, X, self.ones[:1000], 4, seed=0)
            for kind in ("auto", "pca")
        )
        assert auto.kind == pca.kind == "pca"
        assert auto.alternative == ("few", None)
        few = linear_start("few", X, self.ones[:1000], 4, seed=0)
        ica = linear_start(
            "ica", X, self.ones[:1000], 4, seed=0, n_directions=few.n_directions
        )
        assert few.kind == "ica"
        np.testing.assert_array_equal(few.encoder, ica.encoder)
        np.testing.assert_allclose(np.abs(auto.encoder), np.abs(pca.encoder), atol=1e-9)

    @pytest.mark.slow
    def test_where_independence_is_unclear_fastica_has_fewer_directions(self):
        """A nonlinear mixture of four sources has five directions of large variance."""
        X, sources = make_nonlinear_ica(
            3000, 20, n_sources=4, n_layers=4, random_state=52
        )
        X = (X - X.mean(0)) / X.std(0)
        auto, wide, narrow = (
            linear_start(kind, X, np.ones(3000), 6, 0, n_directions=n)
            for kind, n in (("auto", None), ("ica", None), ("ica", 4))
        )
        assert wide.encoder.any(axis=0).sum() == 5
        assert (auto.n_directions, auto.alternative) == (4, ("pca", None))
        np.testing.assert_array_equal(auto.encoder, narrow.encoder)
        assert 0.75 <= auto.criteria["independence_area"] < 0.9
        found, other = (
            match_codes(X @ start.encoder, sources).correlation.min()
            for start in (auto, wide)
        )
        assert found > 0.8 > other

    def test_auto_calls_a_table_with_one_direction_independent(self):
        start = linear_start("auto", self.X[:, :1], self.ones, 2, seed=0)
        assert start.kind == "ica"

    def test_rows_drawn_twice_do_not_look_dependent(self):
        """Unequal weights give a sample with repetition of the same few rows."""
        weight = np.random.default_rng(2).uniform(0.5, 1.5, 300)
        start = linear_start("auto", self.X[:300], weight, 3, seed=0)
        assert start.kind == "ica"

    def test_the_global_generator_of_numpy_is_unchanged(self):
        before = np.random.get_state()[1].copy()
        linear_start("auto", self.X, self.ones, 3, seed=0)
        np.testing.assert_array_equal(before, np.random.get_state()[1])


class TestInputNoise:
    @pytest.mark.parametrize(
        ("n_rows", "n_features"), [(4000, 40), (400, 100), (150, 300)]
    )
    def test_the_largest_eigenvalue_of_noise_is_at_the_edge(self, n_rows, n_features):
        noise = np.random.default_rng(0).normal(size=(n_rows, n_features))
        largest = np.linalg.norm(noise, 2) ** 2 / n_rows
        assert noise_edge(n_rows, n_features) == pytest.approx(largest, rel=0.05)

    def test_the_information_of_a_linear_component_about_noise(self):
        """It is the mutual information of a normal code and a normal row."""
        edge = noise_edge(400, 100)  # variance 2.25: 1 of noise, the rest of the code
        held = 0.5 * np.log(edge / 1)
        assert information_of_noise(400, 100) == pytest.approx(held)
        assert information_of_noise(400, 100) == pytest.approx(np.log(1.5))

    @pytest.mark.parametrize(("n_rows", "n_features"), [(1500, 100), (3000, 64)])
    def test_no_direction_of_noise_lowers_the_loss(self, n_rows, n_features):
        """A direction explains as much as regression on its noisy projections."""
        rng = np.random.default_rng(0)
        noise = rng.normal(size=(n_rows, n_features))
        amount = default_input_noise(n_rows, n_features, 5)
        direction = np.linalg.svd(noise, full_matrices=False)[2][0]
        scores = np.tile(noise @ direction, 50)
        seen = scores + amount * rng.normal(size=len(scores))
        explained = (scores @ seen) ** 2 / (seen @ seen) / len(scores)
        assert explained == pytest.approx(1.0, abs=0.05)

    def test_a_larger_kl_weight_needs_less_noise(self):
        dear, dearer, endless = (
            default_input_noise(400, 100, 5, price) for price in (1.5, 2.2, np.inf)
        )
        assert 0.0 == endless < dearer < dear < default_input_noise(400, 100, 5)

    def test_without_a_price_the_residuals_alone_limit_it(self):
        free = default_input_noise(400, 100, 5, 0.0)
        assert free == pytest.approx(np.sqrt(95 / 10))
        assert free >= default_input_noise(400, 100, 5, 1e-300)

    def test_it_falls_with_the_rows_and_rises_with_the_features(self):
        amounts = [default_input_noise(n, 50, 5) for n in (200, 1000, 5000, 10**8)]
        assert amounts == sorted(amounts, reverse=True)
        assert amounts[-1] < 0.05
        assert default_input_noise(1000, 100, 5) > default_input_noise(1000, 50, 5)

    @pytest.mark.parametrize("n_features", [2, 5])
    def test_it_is_zero_with_no_more_features_than_components(self, n_features):
        assert default_input_noise(100, n_features, 5) == 0.0

    def test_its_value_for_a_narrow_table(self):
        assert default_input_noise(100, 6, 5) == pytest.approx(np.sqrt(0.1))


class TestConditionalNoise:
    def test_the_most_correlated_column_is_found(self):
        """Also across blocks of columns, in any units."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(1500, 300))
        X[:, 299] = 0.8 * X[:, 0] + 0.6 * X[:, 299]
        units = rng.uniform(0.1, 10, 300)
        left = conditional_noise_std(X * units, np.ones(1500), 0) / units
        assert left[0] == pytest.approx(0.6, abs=0.05)
        assert left[299] == pytest.approx(0.6, abs=0.05)
        np.testing.assert_allclose(left[1:299], 1.0, atol=0.1)

    def test_a_constant_or_a_copied_column_has_none(self):
        X = np.random.default_rng(0).normal(size=(100, 4))
        X[:, 1], X[:, 2] = 1.0, X[:, 0]
        left = conditional_noise_std(X, np.ones(100), 0)
        np.testing.assert_allclose(left[:3], 0.0, atol=1e-6)
        assert left[3] > 0.8

    def test_rows_are_weighted(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(3000, 2))
        X[:1500, 1] = X[:1500, 0]
        weight = np.r_[np.ones(1500), np.full(1500, 1e-9)]
        assert conditional_noise_std(X, weight, 0).max() < 1e-6
        assert conditional_noise_std(X, np.ones(3000), 0).min() > 0.5


class TestIndependentComponents:
    @pytest.mark.slow
    def test_sources_have_them_and_images_do_not_in_any_units(self):
        X, _ = make_nonlinear_ica(1500, 12, n_sources=3, n_layers=1, random_state=0)
        images, _ = make_dsprites_like(1500, image_size=16, random_state=0)
        for seed in range(3):
            assert has_independent_components(X, np.ones(1500), seed)
            assert has_independent_components(X > 0, np.ones(1500), seed)
            assert not has_independent_components(images, np.ones(1500), seed)
            assert not has_independent_components(1e3 * images, np.ones(1500), seed)

    def test_rows_too_large_to_be_squared_have_no_directions(self):
        rows = 1e160 * make_moving_peaks(300)
        assert has_independent_components(rows, np.ones(300), 0)
        for kind in ("ica", "pca", "auto"):
            assert not linear_start(kind, rows, np.ones(300), 3, 0).encoder.any()

    def test_they_decide_the_linear_initialisation(self):
        peaks = make_moving_peaks(1500)
        assert linear_start("auto", peaks, np.ones(1500), 10, 0).kind == "pca"
        assert not has_independent_components(peaks, np.ones(1500), 0)


class TestLargestSignal:
    def test_it_is_the_first_eigenvalue_in_units_of_the_noise(self):
        rng = np.random.default_rng(0)
        X = 0.8 * rng.normal(size=(2000, 1)) + 0.6 * rng.normal(size=(2000, 40))
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        largest = np.linalg.eigvalsh(X.T @ X / len(X))[-1]
        assert largest == pytest.approx(1 + 39 * 0.64, rel=0.1)
        units, weight = rng.uniform(0.1, 10, 40), np.ones(len(X))
        for rows, scale, expected in (
            (X, "feature", largest),
            (X * units, "feature", largest),
            (3 * X, "shared", largest),
            (X, 0.5, 4 * largest),
        ):
            found = signal_to_noise(rows, weight, "gaussian", scale, 0)
            assert found == pytest.approx(expected, rel=1e-6)

    def test_binary_columns_have_the_noise_of_a_bernoulli_variable(self):
        rng = np.random.default_rng(0)
        X = np.repeat(rng.random((500, 1)) < 0.2, 12, axis=1).astype(np.float32)
        found = signal_to_noise(X, np.ones(500), "bernoulli", "feature", 0)
        assert found == pytest.approx(12)
        dimmed = signal_to_noise(0.5 * X, np.ones(500), "bernoulli", "feature", 0)
        m = X.mean()
        assert dimmed == pytest.approx(12 * 0.5 * (1 - m) / (1 - 0.5 * m))

    @pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
    @pytest.mark.parametrize("scale", ["feature", "shared", 0.3])
    def test_constant_columns_have_no_signal(self, likelihood, scale):
        X = np.tile([0.0, 0.1, 0.3], (20, 1))
        assert signal_to_noise(X, np.ones(20), likelihood, scale, 0) == 0
        bit = np.arange(20) % 2
        share = 4 if (likelihood, scale) == ("gaussian", "shared") else 1
        one = signal_to_noise(np.column_stack([bit]), np.ones(20), likelihood, scale, 0)
        found = signal_to_noise(
            np.column_stack([X, bit]), np.ones(20), likelihood, scale, 0
        )
        assert found == pytest.approx(share * one)

    @pytest.mark.parametrize("scale", ["feature", "shared", 1e-170, 1e170])
    @pytest.mark.parametrize("size", [1e-170, 1.0, 1e170])
    def test_extremes_do_not_overflow(self, scale, size):
        X = size * np.random.default_rng(0).normal(size=(50, 3))
        assert 0 <= signal_to_noise(X, np.ones(50), "gaussian", scale, 0) <= 1e16

    def test_rows_are_weighted(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(3000, 2))
        X[:1500, 1] = X[:1500, 0]
        weight = np.r_[np.ones(1500), np.full(1500, 1e-9)]
        copies = signal_to_noise(X, weight, "gaussian", "feature", 0)
        assert copies == pytest.approx(2)
        assert signal_to_noise(X, np.ones(3000), "gaussian", "feature", 0) < 1.7


class TestNegentropy:
    def test_normal_sources_have_zero_negentropy(self):
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        expected = np.log(np.cosh(nodes)) @ weights / np.sqrt(2 * np.pi)
        assert expected == pytest.approx(NORMAL_LOG_COSH, abs=1e-6)
        normal = np.random.default_rng(0).normal(size=(100_000, 2))
        assert negentropy(normal) < 1e-4

    def test_rotated_sources_have_less_negentropy(self):
        sources = np.random.default_rng(0).uniform(-1.7, 1.7, size=(5000, 2))
        turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
        assert negentropy(sources @ turn) < 0.7 * negentropy(sources)


class TestIndependence:
    def test_independent_sources_pass_and_a_circle_does_not(self):
        rng = np.random.RandomState(0)
        angle = rng.uniform(0, 2 * np.pi, 1000)
        circle = np.column_stack([np.cos(angle), np.sin(angle)])
        assert independence_area(rng.uniform(size=(1000, 2)), rng) < 0.6
        assert independence_area(rng.laplace(size=(1000, 5)), rng) < 0.6
        assert independence_area(circle, rng) > 0.9

    def test_few_rows_are_not_tested(self):
        line = np.repeat(np.linspace(0, 1, 199)[:, None], 2, axis=1)
        assert np.isnan(independence_area(line, np.random.RandomState(0)))
        longer = np.repeat(np.linspace(0, 1, 400)[:, None], 2, axis=1)
        assert independence_area(longer, np.random.RandomState(0)) > 0.9

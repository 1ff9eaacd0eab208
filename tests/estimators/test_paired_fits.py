"""Pairs of samples: identifiers, helpers, and what pairs change in a fit."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold

import skfactorvae
from skfactorvae import FactorVAETransformer, PairedVAETransformer, load
from skfactorvae._pairs import check_pairs, joined_groups
from skfactorvae.estimators._paired_vae import CHANGED
from skfactorvae.preparation import TrainingData

SMALL = {
    "n_components": 3,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 6,
    "batch_size": 16,
    "init": "pca",
    "random_state": 0,
}
N_PAIRS = 40


def table(seed=0):
    """Return 40 pairs that differ in one of three factors, and their identifiers."""
    rng = np.random.default_rng(seed)
    factors = rng.uniform(-1.7, 1.7, size=(N_PAIRS, 3))
    other = factors.copy()
    rows = np.arange(N_PAIRS)
    other[rows, rows % 3] = rng.uniform(-1.7, 1.7, size=N_PAIRS)
    both = np.concatenate([factors, other])
    mixing = np.random.default_rng(7).normal(size=(3, 6))
    X = both @ mixing + 0.1 * rng.normal(size=(2 * N_PAIRS, 6))
    return X, np.tile(rows, 2)


def fitted(X, pairs, **options):
    return PairedVAETransformer(**SMALL).fit(X, pairs=pairs, **options)


def assert_equal_weights(one, other):
    assert one.weights_.keys() == other.weights_.keys()
    for name, weight in one.weights_.items():
        np.testing.assert_array_equal(weight, other.weights_[name])


class TestFit:
    def test_without_pairs_it_is_factor_vae_bit_for_bit(self):
        X, _ = table()
        plain = FactorVAETransformer(gamma=3.0, **SMALL).fit(X)
        paired = PairedVAETransformer(gamma=3.0, **SMALL).fit(X)
        assert_equal_weights(plain, paired)

    def test_pairs_change_the_fit(self):
        X, pairs = table()
        one, other = fitted(X, pairs), fitted(X, np.roll(pairs, 1))
        assert not np.allclose(one.transform(X), other.transform(X))
        assert "changed_components" in one.history_

    def test_only_equality_and_order_of_identifiers_count(self):
        X, pairs = table()
        names = pd.Series([f"pair {p:03d}" for p in pairs], dtype="category")
        assert_equal_weights(fitted(X, pairs), fitted(X, names))
        assert_equal_weights(fitted(X, pairs), fitted(X, 2.5 * pairs - 7))

    def test_the_order_of_samples_has_no_effect(self):
        X, pairs = table()
        order = np.random.default_rng(1).permutation(len(X))
        assert_equal_weights(fitted(X, pairs), fitted(X[order], pairs[order]))

    def test_an_integer_weight_is_equivalent_to_repetition(self):
        X, pairs = table()
        weight = np.random.default_rng(1).integers(0, 3, size=len(X))
        repeated = np.repeat(np.arange(len(X)), weight)
        assert_equal_weights(
            fitted(X, pairs, sample_weight=weight),
            fitted(X[repeated], pairs[repeated]),
        )

    def test_fit_transform_equals_fit_and_transform(self):
        X, pairs = table()
        codes = PairedVAETransformer(**SMALL).fit_transform(X, pairs=pairs)
        np.testing.assert_array_equal(codes, fitted(X, pairs).transform(X))

    def test_pairs_are_held_out_as_a_whole(self):
        X, pairs = table()
        sites = np.arange(len(X)) % N_PAIRS // 3
        for groups in (None, sites):
            data = TrainingData.from_arrays(
                X, np.ones(len(X)), groups=groups, pairs=pairs[:, None]
            )
            kept, held_out = data.split(0.2, seed=0)
            assert not set(kept.pairs[:, 0]) & set(held_out.pairs[:, 0])
            np.testing.assert_array_equal(pairs[held_out.index], held_out.pairs[:, 0])
            if groups is not None:
                assert not set(sites[kept.index]) & set(sites[held_out.index])

    @pytest.mark.slow
    def test_missing_values_and_known_errors_are_accepted(self):
        X, pairs = table()
        X[::5, 2] = np.nan
        model = fitted(X, pairs, error_scale=np.full(X.shape, 0.1))
        assert np.isfinite(model.transform(X)).all()


class TestSearch:
    def test_pairs_are_routed_and_kept_whole_by_group_k_fold(self):
        X, pairs = table()
        with sklearn.config_context(enable_metadata_routing=True):
            model = PairedVAETransformer(**SMALL).set_fit_request(pairs=True)
            search = GridSearchCV(model, {"beta": [1.0, 2.0]}, cv=GroupKFold(2))
            search.fit(X, pairs=pairs, groups=pairs)
        assert "changed_components" in search.best_estimator_.history_
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_a_fold_without_whole_pairs_is_refused(self):
        X, pairs = table()
        with pytest.raises(ValueError, match="GroupKFold, which keeps pairs whole"):
            clone(PairedVAETransformer(**SMALL)).fit(X[:N_PAIRS], pairs=pairs[:N_PAIRS])


class TestRefusals:
    @pytest.mark.parametrize(
        ("pairs", "message"),
        [
            (np.zeros(3), "pairs has 3 rows, but X has 80"),
            (np.arange(80), "No two samples of positive weight have the same"),
            (np.full(80, np.nan), "No two samples of positive weight have the same"),
            (np.zeros((80, 2, 2)), "pairs must have shape"),
        ],
    )
    def test_identifiers_that_cannot_be_used(self, pairs, message):
        with pytest.raises(ValueError, match=message):
            fitted(table()[0], pairs)

    @pytest.mark.parametrize("n_changed", [3, 50])
    def test_pairs_have_a_component_in_common(self, n_changed):
        X, pairs = table()
        model = PairedVAETransformer(**SMALL, n_changed=n_changed)
        message = rf"below n_components=3, so .*; got {n_changed}\. .*n_changed=None"
        with pytest.raises(ValueError, match=message):
            model.fit(X, pairs=pairs)
        assert "weights_" not in vars(model)
        assert CHANGED not in model.fit(X).history_
        changed = model.set_params(n_changed=2).fit(X, pairs=pairs).history_[CHANGED]
        assert changed[-1] == 2

    @pytest.mark.parametrize("is_loaded", [False, True])
    def test_a_fit_to_pairs_is_not_continued_without_them(self, is_loaded, tmp_path):
        X, pairs = table()
        model = fitted(X, pairs)
        if is_loaded:
            model.save(tmp_path / "model.fvae", include_discriminator=True)
            model = load(tmp_path / "model.fvae")
        before = dict(vars(model))
        with pytest.raises(ValueError, match=r"with pairs, .* partial_fit takes none"):
            model.partial_fit(X)
        with pytest.raises(ValueError, match="only be continued with them"):
            model.set_params(warm_start=True).fit(X)
        assert dict(vars(model), warm_start=False) == before
        assert CHANGED in model.fit(X, pairs=pairs).history_
        assert CHANGED not in model.set_params(warm_start=False).fit(X).history_

    def test_a_fit_without_pairs_is_continued(self):
        X, pairs = table()
        model = PairedVAETransformer(**SMALL, warm_start=True).fit(X)
        assert model.partial_fit(X).n_samples_seen_ == len(X)
        assert CHANGED in model.fit(X, pairs=pairs).history_

    def test_components_cannot_be_rotated(self):
        X, pairs = table()
        options = SMALL | {"init": "varimax"}
        with pytest.raises(ValueError, match="pairs identify them"):
            PairedVAETransformer(**options).fit(X, pairs=pairs)

    @pytest.mark.parametrize(
        ("pairs", "message"),
        [
            ([[0, 5]], r"Pair 0 has the rows \[0, 5\], but there are n_samples=5"),
            ([[0, 1], [-1, 2]], r"Pair 1 has the rows \[-1, 2\]"),
            ([[0, 1], [2, 2]], "Pair 1 pairs row 2 with itself"),
            ([0, 1], "shape"),
            ([[0.0, 1.0]], "dtype float64"),
        ],
    )
    def test_row_numbers_that_are_no_pairs(self, pairs, message):
        with pytest.raises(ValueError, match=message):
            skfactorvae.pairs_to_groups(pairs, 5)

    @pytest.mark.parametrize("n_samples", [5.0, "5", None])
    def test_a_number_of_samples_is_an_integer(self, n_samples):
        with pytest.raises(TypeError, match="n_samples must be an instance of"):
            skfactorvae.pairs_to_groups([[0, 1]], n_samples)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([1, 2, 3], [0, 0]), "order has 3 entries and series has 2"),
            (([1, np.nan, 3],), "order has 1 missing entries"),
            (([[1, 2], [3, 4]],), "order has 2 columns"),
        ],
    )
    def test_orders_that_are_none(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            skfactorvae.successive_pairs(*arguments)


class TestHelpers:
    def test_samples_that_pairs_connect_are_one_group(self):
        groups = skfactorvae.pairs_to_groups([[4, 1], [1, 3], [0, 5]], 7)
        assert groups.tolist() == [0, 1, 2, 1, 1, 0, 3]

    def test_no_pairs_leave_each_sample_alone(self):
        nothing = np.empty((0, 2), dtype=int)
        assert skfactorvae.pairs_to_groups(nothing, 3).tolist() == [0, 1, 2]

    def test_successive_samples_share_an_identifier_in_one_column(self):
        rng = np.random.default_rng(0)
        times, series = rng.permutation(30), rng.integers(3, size=30)
        found = skfactorvae.successive_pairs(times, series)
        rows = np.lexsort((times, series))
        for one, other in pairwise(rows):
            is_pair = series[one] == series[other]
            assert (found[one] == found[other]).any() == is_pair
        for column in found.T:
            _, counts = np.unique(column[~np.isnan(column)], return_counts=True)
            assert set(counts) == {2}

    def test_they_move_with_the_samples(self):
        rng = np.random.default_rng(0)
        times, order = rng.uniform(size=20), rng.permutation(20)
        found = skfactorvae.successive_pairs(times)
        np.testing.assert_array_equal(
            found[order], skfactorvae.successive_pairs(times[order])
        )

    def test_successive_pairs_are_taken_by_fit(self):
        X, _ = table()
        pairs = skfactorvae.successive_pairs(np.arange(len(X)))
        assert fitted(X, pairs).history_["changed_components"][-1] >= 1

    def test_samples_of_weight_zero_are_no_partners(self):
        numbers = check_pairs([5, 5, 7, 7, 9], np.array([1.0, 0, 1, 1, 1]))
        assert numbers[:, 0].tolist() == [0, -1, 1, 1, 2]

    def test_groups_of_several_groupings_are_joined(self):
        numbers = np.array([[0, -1], [0, 4], [1, 4], [-1, -1], [1, -1]])
        assert joined_groups(numbers).tolist() == [0, 0, 0, 1, 0]

"""n_components="auto": the number that parallel analysis gives, wherever it is used."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skfactorvae import (
    CausalVAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
    SupervisedFactorVAETransformer,
    load,
)
from skfactorvae.model_selection import BatchedGridSearchCV, SeedEnsemble
from skfactorvae.preparation import TrainingData, n_components_by_parallel_analysis

WITH_NUMBER = (
    CausalVAETransformer,
    InfoGANTransformer,
    SupervisedFactorVAETransformer,
)
"""Members whose number of components is not chosen."""

FAST = {
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 6,
    "weight_decay": 0.0,
    "random_state": 0,
}


def linear_table(n, p, d, noise=0.3, seed=0):
    """Return samples of d factors, each of which moves every column."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, d)) @ np.linalg.qr(rng.normal(size=(p, d)))[0].T
    return X * np.sqrt(p / d) + noise * rng.normal(size=(n, p))


def number_of(X, weight=None, widths=None):
    weight = np.ones(len(X)) if weight is None else weight
    data = TrainingData.from_arrays(X, weight)
    return n_components_by_parallel_analysis(data.X, data.index, data.weight, widths)


@pytest.fixture(scope="module")
def X():
    return linear_table(150, 8, 3)


class TestParallelAnalysis:
    @pytest.mark.parametrize("d", [1, 2, 5])
    def test_it_counts_the_factors_of_linear_tables(self, d):
        assert number_of(linear_table(200, 20, d)) == d

    def test_more_columns_than_samples_are_counted_alike(self):
        assert number_of(linear_table(80, 300, 3)) == 3

    def test_independent_columns_give_one_and_many_directions_thirty(self):
        rng = np.random.RandomState(0)
        assert number_of(np.ones((9, 3))) == 1
        assert number_of(rng.normal(size=(200, 1))) == 1
        assert number_of(linear_table(400, 60, 45, noise=0.01)) == 30

    def test_units_and_the_order_of_samples_do_not_matter(self, X):
        rng = np.random.RandomState(0)
        scaled = X * 10.0 ** np.linspace(-200, 200, 8)
        assert number_of(1e9 + X) == 3
        assert number_of(scaled) == number_of(rng.permutation(X)) == 3

    def test_missing_values_do_not_add_components(self, X):
        rng = np.random.RandomState(0)
        incomplete = np.where(rng.uniform(size=X.shape) < 0.2, np.nan, X)
        incomplete[:, 0] = np.nan
        assert number_of(incomplete) == 3

    def test_a_column_that_is_rarely_other_than_zero_counts_as_any(self, X):
        """It does not vary in some of the tables that are drawn."""
        rare = np.zeros((len(X), 1))
        rare[7] = 1.0
        assert number_of(np.column_stack([X, rare])) == 3
        assert number_of(np.random.RandomState(0).normal(size=(2, 6))) == 1

    def test_levels_of_a_category_are_not_components(self):
        rng = np.random.RandomState(0)
        category = np.eye(6)[rng.randint(6, size=300)]
        table = np.column_stack([linear_table(300, 6, 1), category])
        # as separate columns, levels are correlated, since their sum is one
        assert number_of(table) > number_of(table, widths=[1] * 6 + [6]) == 1


class TestFits:
    def test_the_fit_has_that_number_and_the_parameter_stays(self, X):
        vae = FactorVAETransformer("auto", **FAST)
        assert not hasattr(vae, "n_components_")
        with pytest.raises(NotFittedError):
            vae.transform(X)
        assert vae.fit_transform(X).shape == (150, 3)
        assert vae.n_components_ == 3
        assert len(vae.get_feature_names_out()) == len(vae.kl_per_component_) == 3
        assert clone(vae).n_components == vae.n_components == "auto"

    def test_it_equals_a_fit_with_the_number(self, X):
        chosen = FactorVAETransformer("auto", **FAST).fit_transform(X)
        given = FactorVAETransformer(3, **FAST).fit_transform(X)
        np.testing.assert_array_equal(chosen, given)

    @pytest.mark.slow
    def test_a_continued_fit_keeps_its_number(self, X):
        vae = FactorVAETransformer("auto", warm_start=True, **FAST).fit(X)
        assert vae.fit(np.random.RandomState(0).normal(size=(40, 8))).n_components_ == 3

    @pytest.mark.slow
    def test_files_hold_it(self, X, tmp_path):
        vae = FactorVAETransformer("auto", **FAST).fit(X)
        vae.save(tmp_path / "model.safetensors")
        restored = load(tmp_path / "model.safetensors")
        assert (restored.n_components, restored.n_components_) == ("auto", 3)
        np.testing.assert_array_equal(restored.transform(X), vae.transform(X))

    @pytest.mark.slow
    def test_weights_equal_repetition(self, X):
        weight = np.random.RandomState(0).randint(0, 3, len(X))
        vae = FactorVAETransformer("auto", **FAST)
        weighted = clone(vae).fit(X, sample_weight=weight)
        repeated = clone(vae).fit(np.repeat(X, weight, axis=0))
        np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))

    @pytest.mark.slow
    def test_searches_and_ensembles_take_it(self, X):
        vae = FactorVAETransformer("auto", **FAST)
        search = BatchedGridSearchCV(vae, {"n_components": ["auto", 2]}, cv=2).fit(X)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert len(SeedEnsemble(vae, n_seeds=3).fit(X).component_stability_) == 3

    def test_where_a_number_is_needed_it_is_refused(self, X):
        with pytest.raises(ValueError, match=r"n_components=3 in place of \"auto\""):
            FactorVAETransformer("auto", groups=(2, 1)).fit(X)
        for cls in WITH_NUMBER:
            with pytest.raises(ValueError, match="must be an int"):
                cls("auto").fit(X, X[:, 0])


@pytest.mark.slow
def test_every_member_that_takes_it_is_fitted(small, X):
    model = small(n_components="auto")
    if isinstance(model, WITH_NUMBER):
        with pytest.raises(ValueError, match="must be an int"):
            model.fit(X)
    else:
        assert model.fit(X).n_components_ == model.transform(X).shape[1] == 3

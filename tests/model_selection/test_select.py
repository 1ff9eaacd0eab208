"""Selection without labels: constraints, rules, the selected gamma and the path."""

import pickle

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, FastICA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import BetaVAETransformer, FactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.model_selection import (
    GammaSelection,
    best_under_constraint,
    copula_scorer,
    explained_scorer,
    gamma_path,
    select_gamma,
)
from skfactorvae.model_selection._select import RULES, setting_p_value

mpl.use("Agg")

TINY = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 12,
    "batch_size": 16,
}


class Dial(TransformerMixin, BaseEstimator):
    """Transformer with noise as codes for small gamma, dependent codes for large."""

    def __init__(self, gamma=1.0, random_state=None):
        self.gamma = gamma
        self.random_state = random_state

    def fit(self, X, y=None):
        self.n_rows_ = len(X)
        self.seed_ = np.random.RandomState(self.random_state).randint(1000)
        return self

    def transform(self, X):
        noise = np.random.RandomState(self.seed_).normal(size=(len(X), 2))
        if self.gamma < 1:
            return noise
        mixing = np.array([[1, 0.0], [0, 1]]) if self.gamma < 10 else [[1, 0.9], [0, 1]]
        return X[:, :2] @ mixing


def results(**scores):
    """Return cv_results_ of two folds that agree unless a pair is given."""
    table = {}
    for name, means in scores.items():
        pairs = np.array([np.broadcast_to(m, 2) for m in means], dtype=float)
        table[f"split0_test_{name}"], table[f"split1_test_{name}"] = pairs.T
        table[f"mean_test_{name}"] = pairs.mean(axis=1)
        table[f"std_test_{name}"] = pairs.std(axis=1)
    return table


@pytest.fixture(scope="module")
def rows():
    z = np.random.RandomState(0).laplace(size=(300, 2))
    return np.hstack([z, z @ np.ones((2, 1))])


@pytest.fixture(scope="module")
def selection(rows):
    pipe = make_pipeline(StandardScaler(), FactorVAETransformer(**TINY))
    return select_gamma(pipe, rows, [10, 0], n_seeds=2, random_state=0)


@pytest.fixture(scope="module")
def X():
    return make_nonlinear_ica(200, n_sources=2, n_features=6, random_state=0)[0]


@pytest.fixture(scope="module")
def path(X):
    pipe = make_pipeline(StandardScaler(), FactorVAETransformer(**TINY, random_state=0))
    return gamma_path(pipe, X, [100, 0, 10], random_state=0)


class TestConstraints:
    def test_the_best_candidate_that_meets_the_constraint_is_selected(self):
        table = results(a=[3, 2, 1], b=[0.1, 0.6, 0.9])
        assert best_under_constraint("a", {"b": 0.5})(table) == 1
        assert best_under_constraint("a", {"b": "60%"})(table) == 1
        assert best_under_constraint("a", {"b": "70%"})(table) == 2
        assert best_under_constraint("a", {})(table) == 0

    def test_a_candidate_without_a_score_meets_no_constraint(self):
        table = {
            "mean_test_a": np.array([np.nan, 0.9, 0.8]),
            "mean_test_b": np.array([0.8, 0.1, 0.2]),
        }
        rule = best_under_constraint("a", {"b": 0.5})
        with pytest.warns(UserWarning, match="No candidate meets"):
            assert rule(table) == 1
        with pytest.warns(UserWarning, match="No candidate meets"):
            assert best_under_constraint("a", {"b": 0.5, "a": 0.95})(table) == 1

    def test_all_constraints_must_be_met(self):
        table = results(a=[3, 2, 1], b=[1, 1, 1], c=[0, 1, 1])
        assert best_under_constraint("a", {"b": 1, "c": 1})(table) == 1

    def test_one_standard_error_is_that_of_the_best_candidate(self):
        table = results(a=[9, 5, 1], b=[0.79, 0.81, (0.8, 1.0)])
        # The best mean is .9; two folds .1 off each side: a standard error of .1.
        assert best_under_constraint("a", {"b": "1se"})(table) == 1

    def test_a_candidate_whose_fit_failed_is_never_selected(self):
        table = results(a=[np.nan, 1, 2], b=[1, 1, np.nan])
        assert best_under_constraint("a", {"b": 0.5})(table) == 1

    def test_without_a_valid_candidate_it_warns_and_selects_the_fewest_violations(self):
        table = results(a=[3, 2, 1], b=[0, 1, 1], c=[0, 0, 0])
        refit = best_under_constraint("a", {"b": 1, "c": 1})
        with pytest.warns(UserWarning, match="No candidate meets"):
            assert refit(table) == 1

    @pytest.mark.parametrize("minimum", ["2se", "95", None, True, "-5%"])
    def test_an_invalid_minimum_raises(self, minimum):
        with pytest.raises(ValueError, match=r"at_least\['b'\] must be a number"):
            best_under_constraint("a", {"b": minimum})

    def test_an_unknown_score_is_named_in_the_error(self):
        with pytest.raises(ValueError, match=r"named 'b'; it has \['a'\]"):
            best_under_constraint("a", {"b": 1})(results(a=[1]))

    def test_it_is_picklable_and_works_in_a_search(self, rows):
        refit = pickle.loads(pickle.dumps(best_under_constraint("copula", {"ex": 0.9})))
        assert repr(refit) == "best_under_constraint('copula', {'ex': 0.9})"
        search = GridSearchCV(
            PCA(),
            {"n_components": [1, 2]},
            scoring={"copula": copula_scorer, "ex": explained_scorer},
            refit=refit,
            cv=KFold(2, shuffle=True, random_state=0),
        )
        assert search.fit(rows).best_params_ == {"n_components": 2}


class TestRules:
    @pytest.mark.parametrize("rule", sorted(RULES.keys() - {"elbo", "ranks"}))
    def test_every_rule_selects_informative_independent_codes(self, rule):
        rows = np.random.RandomState(0).laplace(size=(1500, 2))
        selection = select_gamma(
            Dial(), rows, [0, 5, 20], n_seeds=2, rule=rule, random_state=0
        )
        assert selection.best_gamma in (
            {"agreement": [5, 20], "udr": [5, 20]}.get(rule, [5])
        )

    @pytest.mark.parametrize("rule", sorted(RULES))
    def test_every_rule_selects_the_gamma_that_is_best_in_every_score(self, rule):
        scores = {
            name: np.array([[0.1, 0.2], [0.8, 0.9], [0.4, np.nan]])
            for name in ("udr", "elbo", "copula", "audit", "explained")
        }
        assert RULES[rule](scores) == 1

    def test_agreement_selects_the_largest_gamma_within_one_standard_error(self):
        rule = RULES["agreement"]
        udr = np.array([[0.2, 0.2], [0.5, 0.7], [0.5, 0.51], [0.48, 0.49]])
        assert rule({"udr": udr}) == 2  # .6 +- .1 is best; .505 is within, .485 is not
        assert RULES["udr"]({"udr": udr}) == 1

    def test_a_callable_rule_selects_the_index_it_returns(self, rows):
        selection = select_gamma(
            Dial(), rows, [0, 5], n_seeds=2, rule=lambda s: 0, random_state=0
        )
        assert selection.best_gamma == 0

    def test_an_unknown_rule_raises(self, rows):
        with pytest.raises(ValueError, match=r"rule must be one of .*got 'best'"):
            select_gamma(Dial(), rows, [0, 5], rule="best")


class TestFlatness:
    noise = np.random.default_rng(0).normal(size=(4, 5))

    def test_the_p_value_is_that_of_the_paired_analysis_of_variance(self):
        two = self.noise[:2] + np.array([[0.0], [1.0]])
        paired = stats.ttest_rel(two[0], two[1]).pvalue
        assert setting_p_value(two) == pytest.approx(paired)

    def test_equal_and_infinite_scores_are_flat(self):
        assert setting_p_value(np.full((3, 4), 0.3)) == 1
        assert setting_p_value(np.full((3, 4), -np.inf)) == 1

    @pytest.mark.parametrize(
        ("effect", "audit", "says"),
        [
            (0.0, 0.79, "nearly independent already"),
            (0.0, 0.2, "depend on each other"),
            (1.0, 0.79, None),
        ],
    )
    def test_a_selection_states_that_it_is_flat_and_why(self, effect, audit, says):
        values = 0.01 * self.noise + effect * np.arange(4)[:, None] / 10
        scores = {
            "udr": 0.5 + values,
            "audit": audit + 0.001 * self.noise,
            "explained": np.full((4, 5), 0.8),
        }
        gammas = np.array([0.0, 3.0, 10.0, 30.0])
        selection = GammaSelection("gamma", gammas, scores, "agreement", 0, None)
        assert selection.is_flat == (says is not None)
        assert ("Flat: no score depends on gamma" in str(selection)) == (
            says is not None
        )
        assert says is None or says in str(selection)


class TestSelection:
    def test_the_selected_gamma_is_fitted_to_all_samples(self, rows):
        settings = {"n_seeds": 2, "random_state": 0}
        assert select_gamma(
            Dial(), rows, [0, 5], **settings
        ).best_estimator.n_rows_ == len(rows)
        unfitted = select_gamma(Dial(), rows, [0, 5], refit=False, **settings)
        assert unfitted.best_estimator is None

    def test_the_step_that_has_the_parameter_is_found(self, selection):
        assert selection.param == "factorvaetransformer__gamma"
        assert selection.gammas.tolist() == [0, 10]
        best = selection.best_estimator.get_params()[selection.param]
        assert best == selection.best_gamma

    def test_there_is_a_score_for_every_fit(self, selection):
        names = {"udr", "copula", "audit", "explained", "elbo", "active"}
        assert set(selection.scores) == names
        assert {values.shape for values in selection.scores.values()} == {(2, 2)}
        frame = selection.to_frame()
        assert frame.shape == (4, 8)
        np.testing.assert_array_equal(frame["udr"], selection.scores["udr"].ravel())

    def test_it_prints_the_reasons(self, selection):
        text = str(selection)
        assert f"gamma={selection.best_gamma:g} by the rule" in text
        assert text.count("is best") == 5

    def test_it_prints_a_warning_if_seeds_hardly_agree(self, rows):
        dial = select_gamma(
            Dial(), rows, [0, 0.5], n_seeds=2, rule="copula", random_state=0
        )
        assert "hardly agree" in str(dial)

    def test_the_plot_has_a_line_for_every_score(self, selection):
        ax = selection.plot()
        labels = {text.get_text() for text in ax.get_legend().get_texts()}
        assert labels == {"udr", "copula", "audit", "explained", "selected"}
        assert selection.plot(ax=ax) is ax

    def test_an_imputer_may_precede_and_a_classifier_follow_the_model(self, X):
        gaps, y = X.copy(), X[:, 0] > X[:, 0].mean()
        gaps[::7, 1] = np.nan
        steps = [SimpleImputer(), FactorVAETransformer(**TINY), LogisticRegression()]
        found = select_gamma(
            make_pipeline(*steps), gaps, [0, 10], y=y, n_seeds=2, random_state=0
        )
        assert {values.shape for values in found.scores.values()} == {(2, 2)}
        assert found.best_estimator.predict(gaps).shape == y.shape

    @pytest.mark.slow
    def test_the_same_random_state_gives_the_same_selection(self, selection, rows):
        pipe = make_pipeline(StandardScaler(), FactorVAETransformer(**TINY))
        again = select_gamma(pipe, rows, [10, 0], n_seeds=2, random_state=0)
        assert str(again) == str(selection)
        np.testing.assert_array_equal(
            again.best_estimator.transform(rows),
            selection.best_estimator.transform(rows),
        )

    @pytest.mark.parametrize("gammas", [[], [3], [3, 3.0]])
    def test_fewer_than_two_gammas_raise(self, gammas, rows):
        with pytest.raises(ValueError, match="at least two different values"):
            select_gamma(Dial(), rows, gammas)

    def test_fewer_than_two_seeds_raise(self, rows):
        with pytest.raises(ValueError, match=r"n_seeds must be .* 2; got 1"):
            select_gamma(Dial(), rows, [0, 5], n_seeds=1)

    def test_a_transformer_without_gamma_raises(self, rows):
        with pytest.raises(ValueError, match="must have one parameter named 'gamma'"):
            select_gamma(FastICA(), rows, [0, 5])


class TestAnotherParameter:
    def test_whole_numbers_stay_whole(self, rows):
        pca = make_pipeline(StandardScaler(), PCA(random_state=0))
        for values in ([2, 1], np.linspace(1, 2, 2), [1, 2.0]):
            pca.set_params(pca__n_components=3)
            found = select_gamma(
                pca, rows, values, param="n_components", n_seeds=2, random_state=0
            )
            assert found.gammas.tolist() == [1, 2]
            assert isinstance(found.best_gamma, int)
            assert found.best_estimator[-1].n_components == found.best_gamma

    def test_it_is_called_by_its_name(self):
        scores = {"udr": np.array([[0.8, 0.9], [0.5, 0.6]])}
        found = GammaSelection("vae__weight", np.array([1, 4]), scores, "udr", 1, None)
        text = str(found)
        assert "gamma" not in text
        assert text.startswith("Selected weight=4 by")
        assert "weight=1 is best" in text
        assert "The largest weight" in text
        heads = [line for line in text.splitlines() if "udr" in line.split()]
        assert heads[0].split() == ["weight", "udr"]
        assert list(found.to_frame()) == ["weight", "seed", "udr"]

    def test_a_path_is_called_by_its_name(self, X):
        vae = BetaVAETransformer(
            2, hidden_layer_sizes=(8,), max_iter=4, batch_size=16, random_state=0
        )
        path = gamma_path(vae, X, [1, 2.5], param="beta", random_state=0)
        assert path.to_frame().columns[0] == "beta"
        assert path.plot().get_xlabel() == "beta"
        assert [fit.beta for fit in path.estimators] == [1, 2.5]

    def test_what_each_fit_sets_itself_cannot_be_compared(self, rows, X):
        with pytest.raises(ValueError, match="'random_state' cannot be compared"):
            select_gamma(Dial(), rows, [0, 1], param="random_state")
        vae = FactorVAETransformer(**TINY)
        with pytest.raises(ValueError, match="'max_iter' cannot be compared"):
            gamma_path(vae, X, [1, 5], param="max_iter")

    @pytest.mark.parametrize("values", [["relu", "tanh"], [0, np.nan], [0, np.inf]])
    def test_what_is_no_finite_number_raises(self, rows, values):
        with pytest.raises(ValueError, match="gammas must be finite numbers"):
            select_gamma(Dial(), rows, values)

    @pytest.mark.parametrize("rule", ["elbo", "ranks"])
    def test_a_rule_without_its_score_raises(self, rows, rule):
        with pytest.raises(ValueError, match="score_samples, which Dial does not have"):
            select_gamma(Dial(), rows, [0, 5], rule=rule)


class TestPath:
    def test_gammas_increase_and_each_fit_has_its_gamma(self, path):
        assert path.gammas.tolist() == [0, 10, 100]
        assert [fit[-1].gamma for fit in path.estimators] == [0, 10, 100]
        assert [fit[-1].max_iter for fit in path.estimators] == [12, 3, 3]

    def test_each_fit_starts_from_the_weights_of_the_previous_one(self, X):
        """With one step and a tiny learning rate, weights hardly change."""
        vae = FactorVAETransformer(**TINY, learning_rate=1e-12, random_state=0)
        path = gamma_path(vae, X, [0, 50], max_iter=1, random_state=0)
        np.testing.assert_allclose(path.codes[1], path.codes[0], atol=1e-4)
        assert path.continuity == pytest.approx(1, abs=1e-3)

    def test_codes_are_those_of_the_fits_up_to_order_and_sign(self, path):
        for codes, fit in zip(path.codes, path.estimators, strict=True):
            plain = fit.transform(path.rows)
            np.testing.assert_allclose(
                np.sort(np.abs(codes), axis=1), np.sort(np.abs(plain), axis=1)
            )

    def test_components_keep_their_sign_along_the_path(self, path):
        for before, after in zip(path.codes, path.codes[1:], strict=False):
            products = (before * after).sum(axis=0)
            assert (products > 0).all()

    def test_scores_are_those_of_held_out_samples(self, path, X):
        assert len(path.rows) == 60
        expected = explained_scorer(path.estimators[1], path.rows)
        assert path.scores["explained"][1] == pytest.approx(expected)
        assert path.to_frame().shape == (3, 7)

    def test_the_plot_has_a_line_for_every_score_and_component(self, path):
        ax = path.plot()
        assert len(ax.get_lines()) == 6

    def test_a_classifier_may_come_after_the_model(self, X):
        y = X[:, 0] > X[:, 0].mean()
        vae = FactorVAETransformer(**TINY, random_state=0)
        pipe = make_pipeline(vae, LogisticRegression())
        path = gamma_path(pipe, X, [0, 10], y=y, random_state=0)
        alone = gamma_path(vae, X[:140], [0, 10], random_state=0)
        assert path.codes.shape == (2, 60, 2)
        assert path.estimators[1][0].warm_start
        assert path.scores.keys() == alone.scores.keys()

    @pytest.mark.slow
    def test_later_fits_make_a_quarter_of_the_steps_of_an_automatic_number(self, X):
        vae = FactorVAETransformer(**TINY, random_state=0, weight_decay=0)
        vae.set_params(max_iter="auto")
        path = gamma_path(vae, X, [0, 10], random_state=0)
        first, later = path.estimators
        assert first.max_iter == "auto"
        assert later.max_iter == first.max_iter_ // 4

    def test_fits_of_a_pipeline_with_a_memory_are_warm_started(self, X, tmp_path):
        vae = FactorVAETransformer(**TINY, random_state=0, weight_decay=0)
        paths = [
            gamma_path(pipe, X, [0, 10], random_state=0)
            for pipe in (
                make_pipeline(vae, StandardScaler()),
                make_pipeline(vae, StandardScaler(), memory=str(tmp_path)),
            )
        ]
        np.testing.assert_array_equal(paths[0].codes, paths[1].codes)
        assert [fit[0].max_iter for fit in paths[1].estimators] == [12, 3]

    def test_a_transformer_without_warm_start_raises(self, rows):
        with pytest.raises(ValueError, match=r"Dial has no \['max_iter'"):
            gamma_path(Dial(), rows, [0, 5])

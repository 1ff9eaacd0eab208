"""FactorVAETransformer: codes, reconstructions, scores, samples and its options."""

import copy
import dataclasses
import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import (
    AAETransformer,
    BetaVAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
)
from skfactorvae.core._networks import FULL_LR_FEATURES
from skfactorvae.datasets import (
    make_dsprites_like,
    make_gaussian_peaks,
    make_nonlinear_ica,
)
from skfactorvae.metrics import match_codes, mean_correlation_score, mig_scorer
from skfactorvae.preparation import FitOptions, ModelSpec
from skfactorvae.preparation._noise_levels import default_input_noise, signal_to_noise


def make_vae(n_components=3, **parameters):
    settings = {
        "hidden_layer_sizes": (32,),
        "discriminator_hidden_layer_sizes": (32, 32),
        "max_iter": 300,
        "batch_size": 64,
        "random_state": 0,
    }
    return FactorVAETransformer(n_components, **(settings | parameters))


@pytest.fixture(scope="module")
def table():
    return make_nonlinear_ica(600, n_sources=3, n_features=8, random_state=0)


@pytest.fixture(scope="module")
def fitted(table):
    return make_vae().fit(table[0])


class TestFactorVAE:
    def test_the_readmes_search_runs_and_its_best_pipeline_inverts(self, table):
        X, factors = table
        pipe = Pipeline([("scale", StandardScaler()), ("vae", make_vae(max_iter=60))])
        search = GridSearchCV(
            pipe,
            {"vae__gamma": [0, 10], "vae__n_components": [2, 3]},
            scoring=mig_scorer,
            cv=KFold(2, shuffle=True, random_state=0),
        ).fit(X, factors)
        codes = search.best_estimator_.transform(X)
        assert codes.dtype == np.float32
        assert codes.shape == (600, search.best_params_["vae__n_components"])
        assert search.best_estimator_.inverse_transform(codes).shape == X.shape
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_it_recovers_independent_sources_better_than_chance_and_pca(self):
        from sklearn.decomposition import PCA

        X, factors = make_nonlinear_ica(
            1500, n_sources=4, n_features=20, random_state=0
        )
        vae = FactorVAETransformer(4, max_iter=1500, weight_decay=0, random_state=0)
        ours = mean_correlation_score(factors, vae.fit_transform(X))
        pca = mean_correlation_score(factors, PCA(4).fit_transform(X))
        assert ours > 0.9
        assert ours > pca + 0.05

    def test_reconstructions_are_in_the_units_of_the_data(self):
        X, _ = make_gaussian_peaks(800, random_state=0)
        X = 1e3 + 50 * X
        vae = make_vae(5, max_iter=600, weight_decay=0.0).fit(X)
        rest = ((vae.inverse_transform(vae.transform(X)) - X) ** 2).mean()
        assert rest < 0.2 * X.var(axis=0).mean()

    def test_codes_are_ordered_by_information(self, fitted):
        kl = fitted.kl_per_component_
        assert (np.diff(kl) <= 0).all()

    def test_each_code_rises_with_the_feature_it_follows_most(self, table, fitted):
        X, _ = table
        codes = fitted.transform(X)
        cross = np.corrcoef(codes.T, X.T)[:3, 3:]
        strongest = np.take_along_axis(cross, np.abs(cross).argmax(1)[:, None], axis=1)
        assert (strongest > 0).all()


class TestPosterior:
    def test_its_mean_is_the_transform(self, table, fitted):
        mean, std = fitted.posterior(table[0])
        np.testing.assert_array_equal(mean, fitted.transform(table[0]))
        assert std.shape == mean.shape
        assert (std > 0).all()

    def test_it_gives_the_reported_information(self, table, fitted):
        """kl_per_component_ is the mean of the closed form over the training rows."""
        mean, std = (m.astype(np.float64) for m in fitted.posterior(table[0]))
        kl = 0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1)
        np.testing.assert_allclose(kl.mean(axis=0), fitted.kl_per_component_, rtol=1e-5)


class TestScore:
    def test_it_is_the_mean_of_the_samples_scores(self, table, fitted):
        X, _ = table
        scores = fitted.score_samples(X)
        assert scores.shape == (600,)
        assert fitted.score(X) == pytest.approx(scores.mean())
        weight = np.arange(600)
        expected = np.average(scores, weights=weight)
        assert fitted.score(X, sample_weight=weight) == pytest.approx(expected)

    @pytest.mark.slow
    def test_it_bounds_the_log_density_of_a_linear_gaussian_table(self):
        """The bound is at most .4 nats below the known log-density of Gaussian data."""
        from scipy.stats import multivariate_normal

        rng = np.random.default_rng(0)
        loadings = rng.normal(size=(2, 5))
        X = rng.normal(size=(6000, 2)) @ loadings + 0.5 * rng.normal(size=(6000, 5))
        X, new = X[:3000], X[3000:]
        covariance = loadings.T @ loadings + 0.25 * np.eye(5)
        truth = multivariate_normal(cov=covariance).logpdf(new).mean()
        vae = FactorVAETransformer(
            2, gamma=0, noise_scale="feature", max_iter=3000, random_state=0
        ).fit(X)
        assert truth - 0.4 < vae.score(new) < truth

    def test_a_change_of_units_shifts_it_by_the_log_of_the_unit(self, table, fitted):
        X, _ = table
        other = copy.deepcopy(fitted)
        other.mean_, other.scale_ = 1024 * fitted.mean_, 1024 * fitted.scale_
        shift = X.shape[1] * np.log(1024)
        assert fitted.score(X) == pytest.approx(other.score(1024 * X) + shift)

    @pytest.mark.slow
    def test_gamma_and_beta_do_not_enter_it(self, table, fitted):
        X, _ = table
        score = fitted.score(X)
        assert clone(fitted).set_params(gamma=40, beta=3).fit(X).score(X) != score
        assert fitted.set_params(gamma=40, beta=3).score(X) == score
        fitted.set_params(gamma=10, beta=1)

    def test_a_rows_score_depends_on_that_row_alone(self, table, fitted):
        X, _ = table
        scores = fitted.score_samples(X)
        np.testing.assert_allclose(fitted.score_samples(X[7:9]), scores[7:9], rtol=1e-5)

    def test_the_fit_score_is_the_score_of_the_training_rows(self, table):
        X, _ = table
        weight = np.r_[np.ones(200), 3 * np.ones(200)]
        vae = make_vae(max_iter=20).fit(X[:400], sample_weight=weight)
        own = vae.score(X[:400], sample_weight=weight)
        assert vae.fit_score_ == pytest.approx(own, abs=1e-4)

    def test_the_fit_score_of_many_rows_is_estimated_from_a_sample(self):
        X, _ = make_nonlinear_ica(3000, n_sources=3, n_features=8, random_state=0)
        vae = make_vae(max_iter=300).fit(X)
        scores = vae.score_samples(X)
        assert vae.fit_score_ != vae.score(X)
        assert abs(vae.fit_score_ - scores.mean()) < 4 * scores.std() / np.sqrt(500)


class TestSample:
    def test_sampled_rows_have_the_moments_of_the_table(self, table, fitted):
        X, _ = table
        new = fitted.sample(2000, random_state=0)
        assert new.shape == (2000, 8)
        np.testing.assert_allclose(new.mean(0), X.mean(0), atol=0.3 * X.std())
        np.testing.assert_allclose(new.std(0), X.std(0), rtol=0.35)

    def test_a_seed_gives_the_same_rows_and_noise_can_be_left_out(self, fitted):
        once, again = (fitted.sample(5, random_state=3) for _ in range(2))
        np.testing.assert_array_equal(once, again)
        clean = fitted.sample(5, noise=False, random_state=3)
        assert not np.array_equal(clean, once)

    def test_bernoulli_rows_are_binary_and_their_means_are_probabilities(self):
        X = (np.random.default_rng(0).uniform(size=(100, 6)) < 0.3).astype(float)
        vae = make_vae(2, likelihood="bernoulli", max_iter=50).fit(X)
        assert set(np.unique(vae.sample(50, random_state=0))) <= {0.0, 1.0}
        means = vae.inverse_transform(vae.transform(X))
        assert means.min() >= 0
        assert means.max() <= 1

    def test_fewer_than_one_row_is_refused(self, fitted):
        with pytest.raises(ValueError, match="n_samples must be at least 1"):
            fitted.sample(0)


class TestHistory:
    def test_it_names_its_terms_and_ends_at_the_last_step(self, fitted):
        assert set(fitted.history_) == {
            "step",
            "reconstruction",
            "kl",
            "total_correlation",
            "discriminator_loss",
            "discriminator_accuracy",
        }
        assert fitted.history_["step"][-1] == fitted.n_iter_ == 300

    def test_training_improves_the_reconstruction(self, fitted):
        curve = fitted.history_["reconstruction"]
        assert curve[-10:].mean() < curve[:10].mean()


class TestEarlyStopping:
    @pytest.mark.slow
    def test_it_stops_before_the_budget_and_records_the_held_out_bound(self, table):
        vae = make_vae(
            max_iter=3000, early_stopping=True, n_iter_no_change=30, warmup=0.01
        ).fit(table[0])
        assert vae.n_iter_ < 3000
        assert np.isfinite(vae.history_["validation_elbo"]).all()

    def test_a_fraction_that_leaves_no_training_row_is_refused(self):
        X = np.array([[0.0, 1.0], [1.0, 0.0]])
        vae = make_vae(1, early_stopping=True, validation_fraction=0.9)
        with pytest.raises(ValueError, match="would hold out all of the 2"):
            vae.fit(X)


class TestWarmStart:
    @pytest.mark.slow
    def test_it_continues_from_the_fitted_weights(self, table):
        X, _ = table
        vae = make_vae(warm_start=True).fit(X)
        first = vae.score(X)
        vae.set_params(max_iter=1, learning_rate=1e-4).fit(X)
        assert abs(vae.score(X) - first) < 0.5
        cold = make_vae(max_iter=1).fit(X)
        assert cold.score(X) < first - 1

    def test_a_changed_network_is_refused_and_the_fit_is_kept(self, table):
        X, _ = table
        vae = make_vae(warm_start=True, max_iter=20).fit(X)
        before = vae.transform(X)
        with pytest.raises(ValueError, match="networks have changed"):
            vae.set_params(hidden_layer_sizes=(16,)).fit(X)
        np.testing.assert_array_equal(vae.transform(X), before)


class TestInit:
    def test_auto_stores_the_chosen_initialisation(self, table, fitted):
        assert fitted.init_ == "ica"
        X, _ = make_gaussian_peaks(1500, 40, random_state=0)
        assert make_vae(8, max_iter=2).fit(X).init_ == "pca"
        assert make_vae(max_iter=2, init="random").fit(X).init_ == "random"

    @pytest.mark.parametrize(
        ("init", "expected"), [("pca", 30.0), ("ica", 1.0), ("random", 1.0)]
    )
    def test_the_automatic_temperature_depends_on_the_initialisation(
        self, table, init, expected
    ):
        X, _ = table
        auto, same, other = (
            make_vae(init=init, max_iter=5, temperature=t).fit(X).transform(X)
            for t in ("auto", expected, 7.0)
        )
        np.testing.assert_array_equal(auto, same)
        assert (auto != other).any()

    @pytest.mark.slow
    @pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
    def test_without_independent_components_the_temperature_is_the_largest_signal(
        self, likelihood
    ):
        X, _ = make_dsprites_like(1500, image_size=16, antialias=1.0, random_state=0)
        settings = {"likelihood": likelihood, "init": "random"}
        vae = make_vae(10, max_iter=2, **settings).fit(X)
        scaled = (X - vae.mean_) / vae.scale_
        signal = signal_to_noise(scaled, np.ones(1500), likelihood, "feature", 0)
        assert signal > 5
        assert vae.temperature_ == pytest.approx(
            signal, rel=0.05
        )  # drawn with repetition
        conv = {"network": "conv", "image_shape": (1, 16, 16)}
        images = make_vae(10, max_iter=2, likelihood=likelihood, **conv).fit(X)
        assert images.temperature_ == vae.temperature_

    def test_independent_components_are_not_annealed_with_either_likelihood(
        self, table
    ):
        X = (table[0] > np.median(table[0], axis=0)).astype(float)
        assert make_vae(max_iter=2, likelihood="bernoulli").fit(X).temperature_ == 1

    @pytest.mark.slow
    def test_a_warm_start_is_not_annealed_again(self, table):
        X, _ = table
        vae = make_vae(init="pca", warm_start=True).fit(X)
        first = vae.score(X)
        vae.set_params(max_iter=1, learning_rate=1e-4).fit(X)
        assert vae.init_ == "pca"
        assert abs(vae.score(X) - first) < 0.5

    @pytest.mark.parametrize("temperature", [0.5, 0, -1, "hot", None])
    def test_a_temperature_below_one_is_refused(self, table, temperature):
        with pytest.raises(ValueError, match="temperature"):
            make_vae(temperature=temperature).fit(table[0])

    @pytest.mark.parametrize("init", ["ica", "pca"])
    def test_the_first_step_starts_from_the_linear_model(self, init, table):
        X, _ = table
        vae = make_vae(init=init, max_iter=1, learning_rate=1e-12).fit(X)
        rest = X - vae.inverse_transform(vae.transform(X))
        from sklearn.decomposition import PCA

        Z = StandardScaler().fit_transform(X)
        pca = PCA(3).fit(Z)
        linear = pca.inverse_transform(pca.transform(Z)) - Z
        expected = (linear**2).mean()
        assert ((rest / X.std(0)) ** 2).mean() == pytest.approx(expected, rel=1e-3)

    def test_random_has_no_linear_path(self, table):
        vae = make_vae(init="random", max_iter=1).fit(table[0])
        assert not [name for name in vae.weights_ if "linear" in name]


class TestLearningRateOfInputs:
    """Weights that multiply 700 features have a lower learning rate."""

    @pytest.mark.parametrize(
        ("estimator", "multiplier"),
        [
            (FactorVAETransformer(2), 600 / 700),
            (FactorVAETransformer(2, init="random"), 600 / 700),
            (AAETransformer(2), 600 / 700),
            (FactorVAETransformer(2, likelihood="bernoulli"), 1),
            (FactorVAETransformer(2, network="conv", image_shape=(1, 28, 25)), 1),
            (InfoGANTransformer(2), 1),
        ],
    )
    def test_it_is_lower_in_dense_networks_with_a_gaussian_likelihood(
        self, estimator, multiplier
    ):
        spec = ModelSpec.from_options(
            FitOptions.of(estimator),
            n_features=700,
            objective=estimator._objective(),
            wrapper=estimator._wrapper(),
        )
        assert spec.make_network().lr_multiplier("encoder.0.weight") == multiplier

    def test_the_documentation_states_the_number_of_features(self):
        words = " ".join(FactorVAETransformer.__doc__.split())
        assert f"more than {FULL_LR_FEATURES} features" in words
        assert f"{FULL_LR_FEATURES} / ``n_features_in_``" in words


class TestInputNoise:
    @pytest.mark.slow
    def test_noise_is_not_memorised(self):
        """No component of noise is active; without input noise all are."""
        X = np.random.default_rng(0).normal(size=(300, 60))
        auto, without = (
            make_vae(5, init="ica", max_iter=800, input_noise=t, weight_decay=0).fit(X)
            for t in ("auto", 0.0)
        )
        assert len(auto.active_components_) == 0
        assert len(without.active_components_) == 5
        fresh = np.random.default_rng(1).normal(size=(300, 60))
        assert auto.score(fresh) > without.score(fresh) + 1.0  # nats

    @pytest.mark.slow
    def test_a_component_with_no_more_information_than_noise_is_inactive(self):
        X = np.random.default_rng(0).normal(size=(300, 60))
        vae = make_vae(5, init="ica", input_noise=0.7).fit(X)
        least = np.log(1 + np.sqrt(60 / 300))
        kl = vae.kl_per_component_
        assert 0.05 < kl.min() < least
        np.testing.assert_array_equal(
            vae.active_components_, np.flatnonzero(kl > least)
        )

    @pytest.mark.slow
    def test_a_fixed_noise_scale_lowers_the_threshold_of_activity(self):
        X = np.random.default_rng(0).normal(size=(300, 60))
        vae = make_vae(5, init="ica", noise_scale=1.1).fit(X)
        kl = vae.kl_per_component_
        assert 0.05 < kl.min() < kl.max() < np.log(1 + np.sqrt(60 / 300))
        np.testing.assert_array_equal(vae.active_components_, np.arange(5))

    @pytest.mark.slow
    def test_two_correlated_columns_among_noise_are_found(self):
        """Input noise in units of the learned noise scale would hide them."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(160, 40))
        X[:, 1] = X[:, 0] + 0.2 * rng.normal(size=160)
        vae = make_vae(3, init="pca", temperature=1.0, max_iter=1000).fit(X)
        (best,) = match_codes(vae.transform(X), X[:, :1]).correlation
        assert best > 0.95
        assert vae.kl_per_component_[0] > 0.5
        np.testing.assert_array_equal(vae.active_components_, [0])

    def test_auto_uses_the_effective_sample_size(self, table):
        X, _ = table
        weight = np.r_[np.full(100, 1e3), np.full(len(X) - 100, 1.0)]
        n_rows = weight.sum() ** 2 / np.square(weight).sum()  # Kish: little over 100
        amount = default_input_noise(n_rows, X.shape[1], 3)
        assert amount > 1.1 * default_input_noise(len(X), X.shape[1], 3)
        auto, same = (
            make_vae(max_iter=5, input_noise=t).fit(X, sample_weight=weight)
            for t in ("auto", amount)
        )
        np.testing.assert_array_equal(auto.transform(X), same.transform(X))

    def test_auto_depends_on_the_weight_of_the_kl_divergence(self, table):
        X, _ = table
        auto = BetaVAETransformer(3, beta=1.2, max_iter=5, random_state=0)
        amount = default_input_noise(len(X), X.shape[1], 3, 1.2)
        same = clone(auto).set_params(input_noise=amount).fit(X).transform(X)
        np.testing.assert_array_equal(auto.fit(X).transform(X), same)

    def test_a_fixed_noise_scale_needs_no_input_noise(self, table):
        X, _ = table
        one, other = (
            make_vae(max_iter=5, noise_scale=0.5, input_noise=t).fit(X).transform(X)
            for t in (0.0, 2.0)
        )
        np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("amount", [-0.1, "much", None, np.nan])
    def test_a_negative_or_invalid_amount_is_refused(self, table, amount):
        with pytest.raises(ValueError, match="input_noise"):
            make_vae(input_noise=amount).fit(table[0])


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_codes_are_single_precision_in_any_precision(precision, table):
    vae = make_vae(precision=precision, max_iter=20).fit(table[0])
    assert vae.transform(table[0]).dtype == np.float32
    assert {w.dtype for w in vae.weights_.values()} == {np.dtype(precision)}


def test_rows_come_back_in_the_precision_they_came_in(table):
    for dtype in (np.float32, np.float64):
        X = table[0].astype(dtype)
        vae = make_vae(max_iter=5).fit(X)
        assert vae.inverse_transform(vae.transform(X)).dtype == dtype


def test_parameters_changed_after_the_fit_do_not_change_it(table):
    X, _ = table
    vae = make_vae(max_iter=20).fit(X)
    before = vae.transform(X)
    vae.set_params(hidden_layer_sizes=(5, 5), activation="tanh", n_components=1)
    np.testing.assert_array_equal(vae.transform(X), before)


@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "posterior", "score", "score_samples"]
)
def test_nothing_works_before_the_fit(method):
    with pytest.raises(NotFittedError):
        getattr(make_vae(), method)(np.zeros((2, 2)))


def test_the_signature_is_the_documented_contract():
    parameters = inspect.signature(FactorVAETransformer).parameters
    positional = [
        p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert positional == ["n_components"]
    assert parameters["n_components"].default == 10
    assert parameters["gamma"].default == 10.0
    assert parameters["init"].default == "auto"


def test_fitted_state_is_arrays_and_plain_values(fitted):
    def is_plain(value):
        if isinstance(value, dict):
            return all(map(is_plain, value.values()))
        if isinstance(value, tuple):
            return all(map(is_plain, value))
        plain = (np.ndarray, str, int, float, bool, type(None))
        return isinstance(value, plain) and not dataclasses.is_dataclass(value)

    fitted_names = vars(fitted).keys() - fitted.get_params().keys()
    assert "weights_" in fitted_names
    assert [n for n in fitted_names if not is_plain(vars(fitted)[n])] == []

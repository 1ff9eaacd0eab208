"""The choice of weight decay in ``fit``: what it changes, and what it does not."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

from skfactorvae import BetaVAETransformer, FactorVAETransformer
from skfactorvae._batching import train
from skfactorvae.estimators import _base
from skfactorvae.model_selection import batched_fits
from skfactorvae.preparation import _length
from skfactorvae.preparation import _weight_decay as choice

SHORT = {
    "n_components": 2,
    "hidden_layer_sizes": (16,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 300,
    "batch_size": 32,
    "random_state": 0,
}


def make_vae(**parameters):
    return FactorVAETransformer(**SHORT | parameters)


def noisy_table(n_samples=80, n_features=12, seed=0):
    """Return few samples of two factors with much noise."""
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(n_samples, 2))
    loadings = np.random.default_rng(1).normal(size=(2, n_features))
    return sources @ loadings + rng.normal(size=(n_samples, n_features))


def curved_table(n_samples=400, seed=0):
    """Return many samples of one factor on a curve, with little noise."""
    t = np.random.default_rng(seed).uniform(-2, 2, size=(n_samples, 1))
    noise = 0.02 * np.random.default_rng(seed + 1).normal(size=(n_samples, 4))
    return np.hstack([t, t**2, np.sin(2 * t), np.cos(t)]) + noise


@pytest.fixture(scope="module")
def fitted():
    """Return the default fit of a noisy table."""
    return make_vae().fit(noisy_table())


class TestANoisyTable:
    def test_held_out_samples_give_it_weight_decay(self, fitted):
        assert fitted.weight_decay_ in choice.CANDIDATES[1:]

    def test_new_samples_have_a_better_score_than_without(self, fitted):
        X = noisy_table(seed=5)
        free = make_vae(weight_decay=0.0).fit(noisy_table())
        assert fitted.score(X) > free.score(X)

    def test_the_held_out_score_predicts_that_of_new_samples(self, fitted):
        score = fitted.score(noisy_table(400, seed=5))
        assert fitted.held_out_["score"] == pytest.approx(score, abs=2.0)
        assert fitted.held_out_["n_samples"] == 32
        assert fitted.held_out_["r2"] > 0

    @pytest.mark.slow  # another order of the samples, and so another split
    def test_scores_are_in_the_units_of_the_table(self, fitted):
        other = make_vae().fit(1024 * noisy_table())
        for name in ("score", "training_score", "factor_analysis_score"):
            difference = fitted.held_out_[name] - other.held_out_[name]
            assert difference == pytest.approx(12 * np.log(1024), abs=2.0)

    @pytest.mark.slow
    def test_an_integer_weight_is_a_repetition_and_order_has_no_effect(self):
        X = noisy_table(60)
        weight = np.random.default_rng(2).integers(1, 4, size=60)
        weighted = make_vae().fit(X, sample_weight=weight)
        repeated = make_vae().fit(np.repeat(X, weight, axis=0)[::-1])
        np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))
        assert weighted.held_out_ == repeated.held_out_
        assert weighted.score(X) == repeated.score(X)

    @pytest.mark.slow
    def test_batched_fits_choose_as_separate_ones(self):
        X, vae = noisy_table(), make_vae()
        alone = cross_val_score(vae, X, cv=2)
        with batched_fits():
            together = cross_val_score(vae, X, cv=2)
        np.testing.assert_allclose(alone, together, rtol=1e-3)

    @pytest.mark.slow
    def test_a_continued_fit_keeps_weight_decay_and_noise(self, fitted):
        X = noisy_table()
        vae = clone(fitted).set_params(warm_start=True).fit(X)
        before = vae.weight_decay_
        vae.fit(X)
        assert vae.weight_decay_ == before
        assert vae.score(noisy_table(seed=5)) > -100

    @pytest.mark.slow
    def test_one_outlier_does_not_change_the_score_of_others(self, fitted):
        X = noisy_table()
        X[0] *= 1e3
        vae = make_vae(standardize=None).fit(noisy_table())
        with pytest.warns(ConvergenceWarning, match="check X for outliers"):
            spoiled = make_vae(standardize=None).fit(X)
        new = noisy_table(seed=5)
        assert spoiled.score(new) > 3 * vae.score(new)  # both are negative


class TestFewSamplesOfManyColumns:
    """The networks memorise the training samples, and nearly without residuals."""

    @pytest.mark.slow
    def test_the_noise_is_that_of_new_samples(self):
        rng = np.random.default_rng(0)
        loadings = rng.normal(size=(10, 120))
        sources, noise = rng.normal(size=(130, 10)), rng.normal(size=(130, 120))
        X, new = np.split(sources @ loadings + np.sqrt(10) * noise, [30])
        vae = FactorVAETransformer(10, max_iter=500, random_state=0).fit(X)
        assert vae.score(new) > vae.held_out_["factor_analysis_score"]
        assert vae.held_out_["score"] > vae.held_out_["factor_analysis_score"]


class TestACurvedTable:
    @pytest.mark.slow
    def test_the_fit_is_that_without_weight_decay_bit_for_bit(self):
        X = curved_table()
        vae = make_vae(max_iter=700).fit(X)
        plain = make_vae(max_iter=700, weight_decay=0.0).fit(X)
        assert vae.weight_decay_ == 0
        assert vae.n_iter_ == 700
        np.testing.assert_array_equal(vae.transform(X), plain.transform(X))
        for name, values in plain.history_.items():
            np.testing.assert_array_equal(values, vae.history_[name])
        assert vae.score(X) >= plain.score(X) - 0.1


class TestLongerFits:
    """Where a little of what was learned is lost on held-out samples."""

    @pytest.fixture(autouse=True)
    def always(self, monkeypatch):
        """Compare longer fits whatever is lost."""
        monkeypatch.setattr(choice, "CLEAR_LOSS", -1.0)
        monkeypatch.setattr(choice, "MAX_LOSS", np.inf)

    @pytest.fixture
    def stages(self, monkeypatch):
        """Return the numbers of models and steps of the fits that are trained."""
        seen = []

        def keep(jobs, schedule, **options):
            seen.append((len(jobs), schedule.max_iter))
            return train(jobs, schedule, **options)

        monkeypatch.setattr(_base, "train", keep)
        return seen

    @pytest.mark.slow
    def test_all_steps_are_made_while_held_out_samples_gain(self, stages):
        X, parameters = curved_table(), {"max_iter": 3000, "gamma": 0.0}
        vae = make_vae(**parameters).fit(X)
        assert stages == [(4, 500), (1, 1500), (1, 3000)]  # a clear gain
        assert vae.n_iter_ == vae.held_out_["max_iter"] == 3000
        assert vae.weight_decay_ == 0
        plain = make_vae(**parameters, weight_decay=0.0).fit(X)
        np.testing.assert_array_equal(vae.transform(X), plain.transform(X))

    def test_a_noisy_table_keeps_the_best_of_the_short_fits(self, stages):
        vae = make_vae(max_iter=800, gamma=0.0).fit(noisy_table())
        assert stages == [(8, 500), (2, 800), (1, 500)]
        assert vae.weight_decay_ > 0
        assert vae.held_out_["max_iter"] == 500

    @pytest.mark.slow
    def test_a_gain_that_is_not_clear_needs_a_fit_of_all_steps(
        self, stages, monkeypatch
    ):
        monkeypatch.setattr(_length, "CLEAR_GAIN", np.inf)
        vae = make_vae(max_iter=3000, gamma=0.0).fit(curved_table())
        assert stages == [(4, 500), (1, 1500), (1, 3000), (1, 3000)]
        assert vae.n_iter_ == 3000

    @pytest.mark.slow
    def test_the_longest_fit_is_not_made_where_a_shorter_one_is_no_better(self, stages):
        vae = make_vae(max_iter=5000, gamma=0.0).fit(noisy_table())
        assert stages == [(8, 500), (2, 1500), (1, 500)]
        assert vae.n_iter_ == 500

    def test_a_longer_fit_that_diverged_is_not_chosen(self, stages, monkeypatch):
        monkeypatch.setattr(_length, "has_diverged", lambda fits: True)
        vae = make_vae(max_iter=800, gamma=0.0).fit(curved_table())
        assert stages == [(4, 500), (1, 800), (1, 500)]
        assert vae.held_out_["max_iter"] == 500

    @pytest.mark.slow
    def test_early_stopping_is_that_of_the_final_fit(self, stages):
        parameters = {"early_stopping": True, "n_iter_no_change": 1}
        vae = make_vae(max_iter=800, gamma=0.0, **parameters).fit(curved_table())
        assert stages[:2] == [(4, 500), (1, 800)]
        assert vae.n_iter_ <= stages[-1][1] == 800

    @pytest.mark.slow
    def test_longer_fits_have_the_solver_of_the_fit(self, stages):
        vae = make_vae(max_iter=800, solver="soap", gamma=0.0).fit(curved_table())
        assert stages[:2] == [(4, 500), (1, 800)]
        assert vae.solver_ == "soap"

    @pytest.mark.slow
    def test_batched_fits_choose_as_separate_ones(self):
        X, vae = curved_table(), make_vae(max_iter=800)
        alone = cross_val_score(vae, X, cv=2)
        with batched_fits():
            together = cross_val_score(vae, X, cv=2)
        np.testing.assert_allclose(alone, together, rtol=1e-3)


class TestWhenNothingIsHeldOut:
    @pytest.mark.parametrize(
        ("parameters", "n_samples"),
        [
            ({"max_iter": 20}, 80),  # few steps
            ({"max_iter": 300, "batch_size": 2}, 80),  # few passes
            ({"max_iter": 300}, 15),  # few samples
            ({"weight_decay": 2.0}, 80),  # given
        ],
    )
    def test_there_are_no_held_out_scores(self, parameters, n_samples):
        vae = make_vae(**parameters).fit(noisy_table(n_samples))
        assert vae.held_out_ == {}
        assert vae.weight_decay_ == parameters.get("weight_decay", 0.0)
        assert vae.n_iter_ == vae.max_iter

    def test_a_large_weight_decay_gives_a_linear_model(self):
        X = noisy_table()
        codes = make_vae(weight_decay=1e4).fit(X).transform(X)
        design = np.column_stack([X, np.ones(len(X))])
        fitted = design @ np.linalg.lstsq(design, codes, rcond=None)[0]
        np.testing.assert_allclose(codes, fitted, atol=1e-3)


class TestOtherLikelihoods:
    def test_binary_tables_have_a_choice_without_noise(self):
        X = (noisy_table() > 0).astype(float)
        vae = make_vae(likelihood="bernoulli").fit(X)
        assert vae.weight_decay_ in choice.CANDIDATES
        assert np.isnan(vae.held_out_["factor_analysis_score"])
        assert np.isfinite(vae.held_out_["score"])

    @pytest.mark.slow
    def test_a_fixed_noise_stays(self):
        vae = make_vae(noise_scale=0.7).fit(noisy_table())
        assert "likelihood.raw_scale" not in vae.weights_

    @pytest.mark.slow
    def test_a_sibling_without_a_discriminator(self):
        parameters = SHORT | {"beta": 2.0}
        del parameters["discriminator_hidden_layer_sizes"]
        vae = BetaVAETransformer(**parameters).fit(noisy_table())
        score = vae.score(noisy_table(400, seed=5))
        assert vae.held_out_["score"] == pytest.approx(score, abs=2.0)

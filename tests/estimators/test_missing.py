"""Estimators on incomplete tables."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, InfoGANTransformer, load, runtime
from skfactorvae.inspection import factor_table
from skfactorvae.model_selection import (
    BatchedGridSearchCV,
    SeedEnsemble,
    explained_rows,
    latent_report,
    select_gamma,
)

NAMES = list("abcdef")
SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (16,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 40,
    "batch_size": 32,
    "random_state": 0,
}


def table(n_samples=150, seed=0):
    """Return samples of two factors, and which of their values are missing."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_samples, 2))
    X = factors @ np.random.default_rng(7).normal(size=(2, 6))
    X = 5 + 3 * (np.tanh(X) + 0.1 * rng.normal(size=X.shape))
    return X, rng.uniform(size=X.shape) < 0.3


def incomplete(n_samples=150, seed=0):
    X, hidden = table(n_samples, seed)
    return np.where(hidden, np.nan, X)


@pytest.fixture(scope="module")
def vae():
    return FactorVAETransformer(**SMALL).fit(incomplete())


@pytest.fixture(scope="module")
def complete_vae():
    return FactorVAETransformer(**SMALL | {"max_iter": 200}).fit(table()[0])


class TestInput:
    @pytest.mark.parametrize(
        "convert",
        [
            lambda X: np.ma.masked_invalid(X),
            lambda X: pd.DataFrame(X, columns=NAMES),
            lambda X: pd.DataFrame(X).convert_dtypes().set_axis(NAMES, axis=1),
            lambda X: pd.DataFrame(X, columns=NAMES).astype(object).fillna(pd.NA),
            lambda X: pd.DataFrame(X).astype(object).where(~np.isnan(X), None),
            lambda X: pl.DataFrame(X, schema=NAMES).fill_nan(None),
            lambda X: (
                pd.DataFrame(X).astype(object).where(~np.isnan(X), None).to_numpy()
            ),
            lambda X: np.where(np.isnan(X), None, X).tolist(),
        ],
        ids=["masked", "pandas", "nullable", "NA", "None", "polars", "array", "list"],
    )
    def test_missing_values_are_read_from_any_container(self, convert, vae):
        X = incomplete()
        other = clone(vae).fit(convert(X))
        assert other.score(convert(X)) == vae.score(X)

    def test_infinite_values_are_refused_by_column(self, vae):
        frame = pd.DataFrame(incomplete(), columns=NAMES)
        frame.loc[3, "d"] = np.inf
        with pytest.raises(ValueError, match=r"infinity.*column 'd' of sample 3"):
            clone(vae).fit(frame)
        with pytest.raises(ValueError, match=r"infinity.*column 3 of sample 3"):
            vae.transform(frame.to_numpy())

    def test_samples_without_any_value_are_an_error_if_all_are(self, vae):
        with pytest.raises(ValueError, match="All values of X are missing"):
            clone(vae).fit(np.full((20, 6), np.nan))

    def test_infogan_refuses_missing_values(self):
        with pytest.raises(ValueError, match=r"NaN.*InfoGANTransformer does not take"):
            InfoGANTransformer(2, max_iter=2).fit(incomplete())

    def test_hidden_fraction_is_checked(self, vae):
        with pytest.raises(ValueError, match="The 'hidden_fraction' parameter"):
            clone(vae).set_params(hidden_fraction=0.6).fit(incomplete())

    def test_a_fit_to_complete_samples_is_not_continued_with_others(self):
        model = FactorVAETransformer(**SMALL, warm_start=True).fit(table()[0])
        with pytest.raises(ValueError, match="no inputs for missing values"):
            model.fit(incomplete())

    @pytest.mark.slow
    def test_a_fit_is_continued_on_samples_of_either_kind(self):
        model = FactorVAETransformer(**SMALL, warm_start=True).fit(incomplete())
        before = model.weights_["encoder.fill.loadings"]
        for X in incomplete(seed=1), table()[0]:
            model.fit(X)
            np.testing.assert_array_equal(
                model.weights_["encoder.fill.loadings"], before
            )


class TestFit:
    def test_nothing_changes_for_complete_samples(self, complete_vae):
        assert "encoder.fill.mean" not in complete_vae.weights_
        assert not complete_vae._network.takes_missing

    def test_an_integer_weight_repeats_a_sample_with_its_gaps(self, vae):
        X = incomplete(60)
        weight = np.arange(60) % 3
        weighted = clone(vae).fit(X, sample_weight=weight)
        repeated = clone(vae).fit(np.repeat(X, weight, axis=0))
        np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))

    def test_the_order_of_samples_has_no_effect(self, vae):
        X = incomplete()
        order = np.random.default_rng(0).permutation(len(X))
        other = clone(vae).fit(X[order])
        np.testing.assert_array_equal(other.transform(X), vae.transform(X))

    def test_scales_are_those_of_the_observed_values(self, vae):
        X = incomplete()
        np.testing.assert_allclose(vae.mean_, np.nanmean(X, axis=0))
        np.testing.assert_allclose(vae.scale_, np.nanstd(X, axis=0))

    def test_a_column_without_values_comes_back_without_values(self, vae):
        X = incomplete()
        X[:, 2] = np.nan
        with pytest.warns(UserWarning, match=r"without any observed value \(1\): 2"):
            model = clone(vae).fit(X)
        back = model.inverse_transform(model.transform(X))
        is_empty = np.arange(6) == 2
        assert np.isnan(back[:, is_empty]).all()
        assert np.isfinite(back[:, ~is_empty]).all()
        assert np.isnan(model.impute(X)[:, is_empty]).all()
        assert np.isfinite(model.score(X))

    @pytest.mark.slow
    def test_every_estimator_but_infogan_takes_missing_values(self, small):
        X = incomplete(60)
        model = small(max_iter=20)
        if isinstance(model, InfoGANTransformer):
            with pytest.raises(ValueError, match="NaN"):
                model.fit(X)
        else:
            model.fit(X)
            assert np.isfinite(model.transform(X)).all()
            assert np.isfinite(model.impute(X)).all()
            assert np.isfinite(model.score(X))

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "options",
        [
            {"network": "conv", "image_shape": (1, 2, 3)},
            {"likelihood": "bernoulli"},
            {"early_stopping": True},
            {"solver": "soap"},
            {"precision": "float64"},
            {"standardize": "global"},
            {"standardize": None},
            {"init": "random"},
            {"hidden_layer_sizes": ()},
            {"mask_in_code": False},
        ],
        ids=str,
    )
    def test_with_any_option(self, options):
        X = incomplete()
        X = (X - np.nanmin(X)) / np.nanmax(X - np.nanmin(X))
        model = FactorVAETransformer(**SMALL | options).fit(X)
        full = model.impute(X)
        assert np.isfinite(full).all()
        error = np.sqrt(np.mean((full - X)[~np.isnan(X)] ** 2))
        assert error == 0

    @pytest.mark.slow
    def test_held_out_samples_choose_weight_decay(self):
        model = FactorVAETransformer(
            **SMALL | {"max_iter": 400, "batch_size": 16}, weight_decay="auto"
        ).fit(incomplete(40))
        assert model.held_out_["n_samples"] > 0
        assert all(np.isfinite(list(model.held_out_.values())))


class TestTransform:
    def test_the_code_of_a_sample_does_not_depend_on_others(self, vae):
        X = incomplete()
        np.testing.assert_allclose(
            vae.transform(X[5:6]), vae.transform(X)[5:6], rtol=1e-5, atol=1e-6
        )

    def test_without_the_mask_codes_are_those_of_the_completed_sample(self, tmp_path):
        """The variance is not: a completed sample counts as observed."""
        X = incomplete()
        blind, default = (
            FactorVAETransformer(**SMALL, mask_in_code=value).fit(X)
            for value in (False, True)
        )
        for model, is_same in ((blind, True), (default, False)):
            model.save(tmp_path / "model.safetensors")
            network = runtime.load(tmp_path / "model.safetensors").network
            rows = ((X - model.mean_) / model.scale_).astype(np.float32)
            filled = network.fill(rows)
            completed = np.where(np.isnan(X), filled * model.scale_ + model.mean_, X)
            codes, std = model.posterior(X)
            again, narrower = model.posterior(completed)
            assert np.allclose(codes, again, atol=1e-4) == is_same
            assert not np.allclose(std, narrower, atol=1e-3)

    @pytest.mark.parametrize("mask_in_code", [True, False])
    def test_a_file_computes_the_same_without_torch(self, mask_in_code, tmp_path):
        X = incomplete()
        model = FactorVAETransformer(**SMALL, mask_in_code=mask_in_code).fit(X)
        path = tmp_path / "model.safetensors"
        model.save(path)
        expected = model.posterior(X)
        for found in (runtime.load(path), load(path)):
            for one, other in zip(expected, found.posterior(X), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        (moments,) = (s for s in model.encoder_layers() if s["kind"] == "moments")
        assert ("mask" in moments) == (not mask_in_code)

    def test_a_fit_is_not_continued_with_the_other_use_of_the_mask(self):
        X = incomplete()
        model = FactorVAETransformer(**SMALL, warm_start=True).fit(X)
        with pytest.raises(ValueError, match="mask_in_code from True to False"):
            model.set_params(mask_in_code=False).fit(X)

    def test_a_sample_without_values_has_the_prior(self, vae, complete_vae):
        X = incomplete()[:5]
        X[2] = np.nan
        for model in vae, complete_vae:
            mean, std = model.posterior(X)
            assert not mean[2].any()
            assert (std[2] == 1).all()
            assert model.score_samples(X)[2] == pytest.approx(0, abs=1e-6)

    @pytest.mark.slow
    def test_the_posterior_is_wider_the_less_is_observed(self):
        model = FactorVAETransformer(
            **SMALL | {"max_iter": 400}, hidden_fraction=0.3, weight_decay=0.0
        ).fit(table(600)[0])
        X, _ = table()
        spread = []
        for n_missing in (0, 3, 5):
            some = X.copy()
            some[:, :n_missing] = np.nan
            spread.append(model.posterior(some)[1].mean())
        assert spread[0] < spread[1] < spread[2]

    def test_a_model_of_complete_samples_fills_in_with_its_decoder(self, complete_vae):
        X, hidden = table(seed=1)
        truth = complete_vae.transform(X)
        filled = complete_vae.transform(np.where(hidden, np.nan, X))
        mean = complete_vae.transform(np.where(hidden, complete_vae.mean_, X))
        errors = [np.square(codes - truth).mean() for codes in (filled, mean)]
        assert errors[0] < 0.7 * errors[1]


class TestImpute:
    def test_what_was_observed_stays_bit_for_bit(self, vae, complete_vae):
        X = incomplete(seed=1)
        observed = ~np.isnan(X)
        for model in vae, complete_vae:
            full = model.impute(X)
            assert np.isfinite(full).all()
            assert (full[observed] == X[observed]).all()
            draws = model.impute(X, n_draws=3, random_state=0)
            assert draws.shape == (3, *X.shape)
            assert (draws[:, observed] == X[observed]).all()
            assert np.ptp(draws[:, ~observed], axis=0).min() > 0

    def test_a_frame_stays_a_frame(self, vae):
        frame = pd.DataFrame(incomplete(), columns=NAMES, index=np.arange(150) + 9)
        frame["a"] = np.arange(150)
        full = clone(vae).fit(frame).impute(frame)
        assert full["a"].dtype == frame["a"].dtype
        assert list(full.columns) == NAMES
        assert full.index.equals(frame.index)
        assert not full.isna().any(axis=None)
        polars = pl.DataFrame(incomplete(), schema=NAMES)
        assert isinstance(clone(vae).fit(polars).impute(polars), pl.DataFrame)

    def test_draws_depend_on_their_seed_alone(self, vae):
        X = incomplete()
        first, second = (vae.impute(X, n_draws=2, random_state=1) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        other = vae.impute(X, n_draws=2, random_state=2)
        assert (other != first).any()
        np.testing.assert_array_equal(vae.impute(X), vae.impute(X, random_state=5))

    @pytest.mark.parametrize("n_draws", [0, 1.5, "many"])
    def test_a_number_of_draws_is_an_integer(self, vae, n_draws):
        with pytest.raises(ValueError, match="n_draws must be None or an integer"):
            vae.impute(incomplete(), n_draws=n_draws)

    def test_more_draws_than_memory_holds_are_refused(self, vae):
        with pytest.raises(ValueError, match="Draw fewer at a time"):
            vae.impute(incomplete(), n_draws=10**12)

    @pytest.mark.slow
    def test_missing_values_are_predicted_and_their_intervals_are_right(self):
        X, hidden = table(600)
        parameters = SMALL | {"max_iter": 600}
        incomplete = np.where(hidden, np.nan, X)
        model = FactorVAETransformer(**parameters).fit(incomplete)
        error = (model.impute(incomplete) - X)[hidden]
        columns = np.broadcast_to(np.nanmean(incomplete, axis=0), X.shape)
        assert np.mean(error**2) < 0.6 * np.mean((columns - X)[hidden] ** 2)
        draws = model.impute(incomplete, n_draws=200, random_state=0)[:, hidden]
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        inside = np.mean((low <= X[hidden]) & (X[hidden] <= high))
        assert 0.8 < inside < 0.97


class TestAround:
    """Scores, reports, searches and pipelines."""

    def test_only_observed_values_are_explained(self):
        X, hidden = table(2000)
        codes = table(2000)[0][:, :2]
        whole = explained_rows(X, codes)
        some = explained_rows(np.where(hidden, np.nan, X), codes)
        assert some == pytest.approx(whole, abs=0.05)
        X = np.where(hidden, np.nan, X)
        order = np.random.default_rng(0).permutation(len(X))
        assert explained_rows(X[order], codes[order]) == pytest.approx(some)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "pipeline",
        [lambda m: m, lambda m: make_pipeline(StandardScaler(), m)],
        ids=["model", "pipeline"],
    )
    def test_reports_tables_and_searches(self, vae, pipeline):
        X = incomplete()
        model = pipeline(clone(vae)).fit(X)
        assert "component" in str(latent_report(model, X))
        assert "component" in str(factor_table(model, X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.isfinite(select_gamma(model, X).gammas).all()

    def test_a_component_that_follows_the_gaps_is_reported(self, complete_vae):
        """Where a value is missing whenever a component is high."""
        X, hidden = table(400)
        high = complete_vae.transform(X)[:, 0] > 0
        X[:, 5] = np.where(high, np.nan, X[:, 5])
        text = str(latent_report(complete_vae, X))
        assert "Component 0 follows the pattern of missing values" in text
        assert "feature 5" in text
        X = np.where(hidden, np.nan, table(400)[0])
        assert "follows the pattern" not in str(latent_report(complete_vae, X))

    @pytest.mark.slow
    def test_batched_searches_and_seeds(self, vae):
        X = incomplete()
        search = BatchedGridSearchCV(clone(vae), {"gamma": [0.0, 10.0]}, cv=2).fit(X)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        ensemble = SeedEnsemble(clone(vae), n_seeds=3).fit(X)
        assert np.isfinite(ensemble.transform(X)).all()

    def test_an_imputer_before_the_model_stays_possible(self, vae):
        X = incomplete()
        pipe = make_pipeline(SimpleImputer(), clone(vae)).fit(X)
        assert "encoder.fill.mean" not in pipe[-1].weights_
        assert np.isfinite(pipe.transform(X)).all()

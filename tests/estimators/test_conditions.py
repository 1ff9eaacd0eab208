"""Conditions: how they are read, what they change in a fit, and codes given them."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import skfactorvae
from skfactorvae import AuxiliaryVAETransformer, BetaVAETransformer
from skfactorvae._health import check_fit
from skfactorvae.metrics import mean_correlation_score
from skfactorvae.model_selection import SeedEnsemble

SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "max_iter": 6,
    "batch_size": 16,
    "weight_decay": 0.0,
    "random_state": 0,
}
SPREADS = np.array([[0.4, 1.6], [1.6, 0.5], [1.0, 1.0], [0.5, 0.4]])


def table(n=60, seed=0):
    """Return samples of two mixed factors under four conditions, and all three."""
    rng = np.random.default_rng(seed)
    site = np.repeat(["a", "b", "c", "d"], n)
    factors = np.repeat(SPREADS, n, axis=0) * rng.normal(size=(4 * n, 2))
    mixing = np.random.default_rng(7).normal(size=(2, 5))
    X = factors @ mixing + 0.05 * rng.normal(size=(4 * n, 5))
    return X, site, factors


def fitted(X, aux, fit=None, **options):
    return AuxiliaryVAETransformer(**SMALL | options).fit(X, aux=aux, **fit or {})


def assert_equal_weights(one, other):
    assert one.weights_.keys() == other.weights_.keys()
    for name, weight in one.weights_.items():
        np.testing.assert_array_equal(weight, other.weights_[name])


class TestFit:
    def test_the_start_separates_factors_by_their_spreads(self):
        X, site, factors = table()
        codes = fitted(X, site, max_iter=1).transform(X)
        assert mean_correlation_score(factors, codes) > 0.98

    def test_conditions_that_do_not_differ_are_warned_of(self):
        X, site, _ = table()
        assert fitted(X, site, max_iter=1).init_criteria_["conditions_p"] == 0.01
        rng = np.random.default_rng(0)
        Z = rng.normal(size=(len(X), 2)) @ rng.normal(size=(2, 5))
        flat = Z + 0.1 * rng.normal(size=X.shape)
        with pytest.warns(ConvergenceWarning, match="identify no components"):
            model = fitted(flat, site, max_iter=1)
        verdicts = {v.name: v.level for v in check_fit(model)}
        assert verdicts["conditions"] == "warning"

    def test_the_step_whose_components_are_kept(self):
        X, site, _ = table()
        assert fitted(X, site).best_iter_ in (0, 1, 4, 6)
        assert not hasattr(fitted(X, None), "best_iter_")

    @pytest.mark.slow
    def test_the_linear_start_is_returned_where_training_mixes_components(self):
        """With a learning rate that is too high."""
        X, site, factors = table()
        model = fitted(X, site, learning_rate=0.1, max_iter=100)
        assert model.n_iter_ == 100
        assert model.best_iter_ == 0
        assert len(model.active_components_) == 2
        assert mean_correlation_score(factors, model.transform(X)) > 0.98

    @pytest.mark.slow
    def test_without_conditions_it_is_a_vae_bit_for_bit(self):
        X, *_ = table()
        plain = BetaVAETransformer(beta=1.0, temperature=1.0, **SMALL).fit(X)
        assert_equal_weights(plain, fitted(X, None))

    @pytest.mark.slow
    def test_only_equality_of_levels_counts(self):
        X, site, _ = table()
        model = fitted(X, site)
        numbers = pd.Series(site).map({"a": -3, "b": 0, "c": 7, "d": 8})
        assert_equal_weights(model, fitted(X, numbers))
        assert_equal_weights(model, fitted(X, pd.Series(site, dtype="category")))

    @pytest.mark.slow
    def test_order_and_repetition_of_samples_have_no_effect(self):
        X, site, _ = table()
        rng = np.random.default_rng(1)
        weight = rng.integers(0, 3, size=len(X))
        repeated = rng.permutation(np.repeat(np.arange(len(X)), weight))
        for aux in (site, X[:, 0]):
            assert_equal_weights(
                fitted(X, aux, {"sample_weight": weight}),
                fitted(X[repeated], aux[repeated]),
            )

    @pytest.mark.slow
    def test_the_prior_is_that_of_the_factors(self):
        X, site, factors = table(200)
        model = fitted(X, site, max_iter=60)
        codes = model.transform(X)
        corr = np.abs(np.corrcoef(factors.T, codes.T)[:2, 2:])
        expected = SPREADS / np.sqrt(np.square(SPREADS).mean(axis=0))
        found = model.conditional_prior_
        assert list(found.condition) == ["a", "b", "c", "d"]
        np.testing.assert_allclose(
            found.std, expected[:, corr.argmax(axis=0)], rtol=0.25
        )
        np.testing.assert_allclose(found.mean, 0, atol=0.2)

    @pytest.mark.slow
    def test_a_further_fit_knows_the_same_conditions(self):
        X, site, _ = table()
        model = fitted(X, X[:, 0], warm_start=True)
        labels = list(model.conditional_prior_.condition)
        model.fit(X[::2], aux=X[::2, 0])
        assert list(model.conditional_prior_.condition) == labels
        with pytest.raises(ValueError, match="holds names now; expected numbers"):
            model.fit(X, aux=site)
        assert list(model.conditional_prior_.condition) == labels

    @pytest.mark.slow
    def test_missing_values_held_out_samples_and_decay_are_accepted(self):
        X, site, _ = table()
        X[::5, 2] = np.nan
        model = fitted(
            X,
            site,
            {"error_scale": np.full(X.shape, 0.1)},
            weight_decay="auto",
            early_stopping=True,
            max_iter=60,
        )
        assert np.isfinite(model.transform(X, aux=site)).all()

    @pytest.mark.slow
    @pytest.mark.parametrize("n_direct", [10**6, 0])
    def test_tables_that_are_read_in_parts(self, n_direct, tmp_path, monkeypatch):
        X, site, factors = table()
        np.save(tmp_path / "X.npy", X)
        source = np.load(tmp_path / "X.npy", mmap_mode="r")
        monkeypatch.setattr("skfactorvae.sources._source.SMALL_BYTES", 0)
        monkeypatch.setattr("skfactorvae.sources._table.DIRECT_ROWS", n_direct)
        codes = fitted(source, site, max_iter=60).transform(source, aux=site)
        assert mean_correlation_score(factors, codes) > 0.98

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "options",
        [
            {"likelihood": "bernoulli"},
            {"init": "random"},
            {"network": "conv", "image_shape": (1, 12, 5)},
        ],
    )
    def test_models_without_a_linear_path(self, options):
        X, site, _ = table()
        X = np.tile((X - X.min()) / np.ptp(X), 12)
        model = fitted(X, site, **options)
        assert model.init_ == "random"
        assert np.isfinite(model.transform(X, aux=site)).all()


class TestCodes:
    def test_given_a_condition_codes_are_means_of_the_product(self):
        X, site, _ = table()
        model = fitted(X, site)
        aux = np.where(np.arange(len(X)) % 2, site, None)
        mean, std = (part.astype(float) for part in model.posterior(X))
        prior = model.conditional_prior_
        place = np.repeat(np.arange(4), 60)
        total = std**-2 + prior.std[place] ** -2
        joint = (mean / std**2 + prior.mean[place] / prior.std[place] ** 2) / total
        is_known = (np.arange(len(X)) % 2 == 1)[:, None]
        codes, spread = model.posterior(X, aux=aux)
        np.testing.assert_allclose(codes, np.where(is_known, joint, mean), atol=1e-5)
        np.testing.assert_allclose(
            spread, np.where(is_known, total**-0.5, std), atol=1e-5
        )
        np.testing.assert_array_equal(model.transform(X, aux=aux), codes)
        _, cov = model.posterior(X, aux=aux, return_cov=True)
        np.testing.assert_allclose(cov[:, [0, 1], [0, 1]], spread**2, rtol=1e-5)

    @pytest.mark.slow
    def test_fit_transform_equals_fit_and_transform(self):
        X, site, _ = table()
        codes = AuxiliaryVAETransformer(**SMALL).fit_transform(X, aux=site)
        np.testing.assert_array_equal(codes, fitted(X, site).transform(X, aux=site))

    @pytest.mark.slow
    def test_columns_of_a_frame_are_found_by_name(self):
        X, site, _ = table()
        half = np.arange(len(X)) % 2 == 0
        aux = pd.DataFrame({"site": site, "late": half})
        model = fitted(X, aux)
        assert model.conditional_prior_.condition[1] == "site=a, late=True"
        codes = model.transform(X, aux=aux)
        np.testing.assert_array_equal(
            model.transform(X, aux=aux[["late", "site"]]), codes
        )
        with pytest.raises(ValueError, match="expected those of fit"):
            model.transform(X, aux=aux.rename(columns={"late": "early"}))

    @pytest.mark.slow
    def test_values_beyond_those_of_fit_belong_to_the_outer_interval(self):
        X, *_ = table()
        model = fitted(X, X[:, 0])
        far = np.where(np.arange(len(X)) % 2, 1e6, -1e6)
        edge = np.where(far > 0, X[:, 0].max(), X[:, 0].min())
        np.testing.assert_array_equal(
            model.transform(X, aux=far), model.transform(X, aux=edge)
        )

    @pytest.mark.slow
    def test_numbers_are_the_same_level_as_integers_and_as_floats(self):
        X, *_ = table()
        dose = np.repeat([0, 1, 5, 20], 60)
        model = fitted(X, dose)
        some = np.where(np.arange(len(X)) % 3, dose, np.nan)
        known = ~np.isnan(some)
        codes = model.transform(X, aux=some)
        np.testing.assert_array_equal(codes[known], model.transform(X, aux=dose)[known])
        np.testing.assert_array_equal(codes[~known], model.transform(X)[~known])


class TestTable:
    def test_a_frame_has_a_row_for_each_condition_and_component(self):
        X, site, _ = table()
        prior = fitted(X, site).conditional_prior_
        frame = prior.to_frame()
        assert list(frame) == ["condition", "component", "mean", "std", "share"]
        first = frame[frame.component == 0]
        np.testing.assert_array_equal(first["std"], prior.std[:, 0])
        assert list(first.condition) == list(prior.condition)
        assert str(prior).splitlines()[3].startswith("d: components 0: ")
        assert "4 conditions, 2 components" in repr(prior)
        assert len(prior) == 4

    @pytest.mark.slow
    def test_there_is_none_after_a_fit_without_conditions(self):
        X, site, _ = table()
        model = fitted(X, site)
        assert hasattr(model, "conditional_prior_")
        model.fit(X)
        assert not hasattr(model, "conditional_prior_")
        with pytest.raises(ValueError, match="fitted without aux"):
            model.transform(X, aux=site)


class TestRouting:
    @pytest.mark.slow
    def test_conditions_are_routed_in_searches(self):
        X, site, _ = table()
        order = np.random.default_rng(0).permutation(len(X))
        with sklearn.config_context(enable_metadata_routing=True):
            model = AuxiliaryVAETransformer(**SMALL).set_fit_request(aux=True)
            search = GridSearchCV(model, {"beta": [1.0, 2.0]}, cv=2)
            search.fit(X[order], aux=site[order])
        assert len(search.best_estimator_.conditional_prior_) == 4

    @pytest.mark.slow
    def test_a_pipeline_passes_conditions_to_fit_and_transform(self):
        X, site, _ = table()
        with sklearn.config_context(enable_metadata_routing=True):
            model = AuxiliaryVAETransformer(**SMALL)
            model.set_fit_request(aux=True).set_transform_request(aux=True)
            pipeline = sklearn.pipeline.make_pipeline(
                sklearn.preprocessing.StandardScaler(), model
            )
            codes = pipeline.fit_transform(X, aux=site)
            np.testing.assert_array_equal(pipeline.transform(X, aux=site), codes)
            assert not np.array_equal(pipeline.transform(X), codes)

    @pytest.mark.slow
    def test_the_fits_of_an_ensemble_have_conditions(self):
        X, site, _ = table()
        with sklearn.config_context(enable_metadata_routing=True):
            model = AuxiliaryVAETransformer(**SMALL).set_fit_request(aux=True)
            ensemble = SeedEnsemble(model, n_seeds=2, random_state=0)
            ensemble.fit(X, aux=site)
        assert all(len(one.conditional_prior_) == 4 for one in ensemble.estimators_)


class TestFiles:
    def test_a_file_holds_the_conditions(self, tmp_path):
        X, site, _ = table()
        model = fitted(X, site)
        model.save(tmp_path / "model.safetensors")
        again = skfactorvae.load(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(
            again.transform(X, aux=site), model.transform(X, aux=site)
        )
        assert str(again.conditional_prior_) == str(model.conditional_prior_)
        assert again.best_iter_ == model.best_iter_

    @pytest.mark.slow
    def test_conditions_that_do_not_fit_the_weights_are_refused(self, tmp_path):
        X, site, _ = table()
        model = fitted(X, site)
        model._condition_shares = model._condition_shares[:3]
        model.save(tmp_path / "model.safetensors")
        with pytest.raises(ValueError, match="conditions do not fit its weights"):
            skfactorvae.load(tmp_path / "model.safetensors")


class TestRefusals:
    @pytest.mark.parametrize(
        ("aux", "message"),
        [
            (np.zeros(3), "aux has 3 rows, but X has 240"),
            (np.zeros(240), "one condition, 0.0; expected at least two"),
            (np.full(240, np.nan), "aux is missing for all samples"),
            (np.repeat([0, 1], [237, 3]), r"fewer than 10 distinct samples: 1 \(3\)"),
            (np.repeat([0, np.inf], 120), "infinity"),
            (np.arange(240).astype("datetime64[D]"), "dates or durations"),
        ],
    )
    def test_conditions_that_cannot_be_used(self, aux, message):
        with pytest.raises(ValueError, match=message):
            fitted(table()[0], aux)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("aux", "shown"),
        [
            (np.repeat("e", 240), "'e'"),
            (np.zeros(240), "0"),
            (np.repeat(True, 240), "True"),
        ],
    )
    def test_conditions_that_fit_did_not_see(self, aux, shown):
        X, site, _ = table()
        message = f"did not see.* 0 with {shown}. Known are a, b, c, d"
        with pytest.raises(ValueError, match=message):
            fitted(X, site).transform(X, aux=aux)

    @pytest.mark.slow
    def test_components_cannot_be_rotated(self):
        X, site, _ = table()
        with pytest.raises(ValueError, match="pairs identify them, or conditions do"):
            fitted(X, site, init="varimax")
        with pytest.raises(ValueError, match="conditions or pairs identify"):
            fitted(X, site).rotate(X, site)

"""Estimators on samples whose values have known errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skfactorvae
import skfactorvae.runtime
from skfactorvae import (
    BetaVAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
    SupervisedFactorVAETransformer,
)
from skfactorvae.metrics import mean_correlation_score
from skfactorvae.model_selection import BatchedGridSearchCV, SeedEnsemble, latent_report

NAMES = list("abcdef")
SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (16,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 10,
    "batch_size": 32,
    "random_state": 0,
}


def table(n_samples=120, seed=0, n_features=6):
    """Return factors, samples with errors, and the scale of these."""
    rng = np.random.default_rng(seed)
    factors = rng.uniform(-1.7, 1.7, size=(n_samples, 2))
    mixing = np.random.default_rng(7).normal(size=(2, n_features))
    X = (
        5
        + 3 * np.tanh(factors @ mixing)
        + 0.3 * rng.normal(size=(n_samples, n_features))
    )
    instrument = rng.integers(3, size=n_samples)
    errors = np.array([0.1, 2.0, 8.0])[instrument][:, None] * np.ones_like(X)
    return factors, X + errors * rng.normal(size=X.shape), errors


@pytest.fixture(scope="module")
def vae():
    _, X, errors = table()
    return FactorVAETransformer(**SMALL).fit(X, error_scale=errors)


class TestInput:
    def test_an_infinite_error_is_a_missing_value_bit_for_bit(self):
        _, X, errors = table()
        hidden = np.random.default_rng(1).uniform(size=X.shape) < 0.2
        pairs = [
            (np.where(hidden, np.nan, X), np.where(hidden, np.nan, errors)),
            (X, np.where(hidden, np.inf, errors)),
        ]
        fits = [FactorVAETransformer(**SMALL).fit(x, error_scale=s) for x, s in pairs]
        for name, weight in fits[0].weights_.items():
            np.testing.assert_array_equal(weight, fits[1].weights_[name])
        for method in ("transform", "score_samples", "impute"):
            found = [getattr(fits[0], method)(x, error_scale=s) for x, s in pairs]
            np.testing.assert_array_equal(*found)
        full = fits[0].impute(*pairs[1][:1], error_scale=pairs[1][1])
        np.testing.assert_array_equal(full[~hidden], X[~hidden])
        assert not np.isclose(full[hidden], X[hidden]).any()

    def test_data_frames_are_compared_by_their_columns(self, vae):
        _, X, errors = table()
        X, errors = (pd.DataFrame(a, columns=NAMES) for a in (X, errors))
        model = clone(vae).fit(X, error_scale=errors)
        np.testing.assert_array_equal(
            model.transform(X, error_scale=errors),
            vae.transform(X.to_numpy(), error_scale=errors.to_numpy()),
        )
        with pytest.raises(ValueError, match=r"columns of error_scale.*from number 0"):
            model.transform(X, error_scale=errors[NAMES[::-1]])
        errors.loc[3, "d"] = -1.0
        with pytest.raises(
            ValueError, match=r"negative.*-1\.0 in column 'd' of sample 3"
        ):
            model.score(X, error_scale=errors)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s[:, :3], r"shape \(120, 3\), expected that of X, \(120, 6\)"),
            (lambda s: s[0], "broadcast_to"),
            (lambda s: 1.0, "broadcast_to"),
            (lambda s: np.where(s > 5, np.nan, s), r"missing \(NaN\).*nan in column 0"),
            (lambda s: -s, "negative"),
        ],
        ids=["columns", "one row", "number", "NaN", "negative"],
    )
    def test_other_errors_are_refused(self, change, message, vae):
        _, X, errors = table()
        for method in (clone(vae).fit, vae.transform):
            with pytest.raises(ValueError, match=message):
                method(X, error_scale=change(errors))

    def test_models_without_normal_noise_refuse_errors(self):
        X = np.random.default_rng(0).uniform(size=(40, 3))
        binary = BetaVAETransformer(2, likelihood="bernoulli", max_iter=2)
        with pytest.raises(ValueError, match=r"likelihood='bernoulli'.*'gaussian'"):
            binary.fit(X, error_scale=0.1 * X)
        with pytest.raises(ValueError, match=r"InfoGANTransformer does not take error"):
            InfoGANTransformer(2, max_iter=2).fit(X, error_scale=0.1 * X)

    def test_a_model_that_was_fitted_without_errors_refuses_them(self):
        _, X, errors = table()
        model = FactorVAETransformer(**SMALL, warm_start=True).fit(X)
        with pytest.raises(ValueError, match="fitted without error_scale"):
            model.transform(X, error_scale=errors)
        with pytest.raises(ValueError, match="whether error_scale is given"):
            model.fit(X, error_scale=errors)
        np.testing.assert_array_equal(
            model.transform(X), clone(model).fit(X).transform(X)
        )


class TestFit:
    def test_errors_of_zero_give_nearly_the_same_fit(self):
        """Start, batches and loss are the same; other first weights are drawn."""
        _, X, _ = table()
        plain = FactorVAETransformer(**SMALL).fit(X)
        zero = FactorVAETransformer(**SMALL).fit(X, error_scale=np.zeros_like(X))
        np.testing.assert_array_equal(zero.scale_, plain.scale_)
        codes = [model.transform(X) for model in (zero, plain)]
        found = np.abs(np.corrcoef(codes[0].T, codes[1].T)[:2, 2:])
        assert (found.max(axis=1) > 0.99).all()  # their order can differ
        assert zero.score(X) == pytest.approx(plain.score(X), rel=0.01)

    @pytest.mark.slow
    def test_integer_weights_equal_repetition(self, vae):
        _, X, errors = table()
        weight = np.random.RandomState(0).randint(1, 4, size=len(X))
        weighted = clone(vae).fit(X, sample_weight=weight, error_scale=errors)
        X, errors = np.repeat(X, weight, axis=0), np.repeat(errors, weight, axis=0)
        repeated = clone(vae).fit(X, error_scale=errors)
        for name, array in weighted.weights_.items():
            np.testing.assert_array_equal(array, repeated.weights_[name])

    def test_equal_values_with_other_errors_are_other_samples(self):
        from skfactorvae.preparation import TrainingData

        X = np.ones((4, 2))
        errors = np.array([[1.0, 1], [1, 1], [1, 2], [0, 0]])
        data = TrainingData.from_arrays(X, np.ones(4), errors=errors)
        assert sorted(data.weight) == [1, 1, 2]

    @pytest.mark.slow
    def test_fit_transform_takes_the_errors_in_both_steps(self, vae):
        _, X, errors = table()
        np.testing.assert_array_equal(
            clone(vae).fit_transform(X, error_scale=errors),
            vae.transform(X, error_scale=errors),
        )

    def test_pickles_and_files_keep_that_errors_are_taken(self, vae, tmp_path):
        _, X, errors = table()
        expected = vae.score_samples(X, error_scale=errors)
        vae.save(tmp_path / "model.safetensors")
        loaded = skfactorvae.load(tmp_path / "model.safetensors")
        for other in (pickle.loads(pickle.dumps(vae)), loaded):
            found = other.score_samples(X, error_scale=errors)
            np.testing.assert_array_equal(found, expected)
        light = skfactorvae.runtime.load(tmp_path / "model.safetensors")
        np.testing.assert_allclose(
            light.score_samples(X), vae.score_samples(X), rtol=1e-4
        )
        with pytest.raises(TypeError, match="error_scale"):
            light.transform(X, error_scale=errors)

    @pytest.mark.slow
    def test_labels_are_predicted_from_samples_with_errors(self):
        factors, X, errors = table()
        y = factors[:, 0] > 0
        options = SMALL | {"max_iter": 5}
        model = SupervisedFactorVAETransformer(**options).fit(X, y, error_scale=errors)
        assert model.predict_attributes(X, errors).shape == (120, 1)
        (found,) = model.predict_attributes_proba(X, errors).values()
        assert not np.allclose(
            found, next(iter(model.predict_attributes_proba(X).values()))
        )

    @pytest.mark.slow
    def test_components_are_found_better_with_errors_than_without(self):
        factors, X, errors = table(600, n_features=10)
        options = SMALL | {"max_iter": 1000, "n_components": 3}
        found = {}
        for name, known in (("with", {"error_scale": errors}), ("without", {})):
            model = FactorVAETransformer(**options).fit(X, **known)
            codes = model.transform(X, **known)
            found[name] = mean_correlation_score(factors, codes)
            assert np.isfinite(list(model.held_out_.values())).all()
            if known:
                widths = [
                    model.posterior(X, error_scale=np.full_like(X, s))[1].mean()
                    for s in (0.1, 2.0, 8.0, 1e3)
                ]
                assert widths == sorted(widths)
        assert found["with"] > found["without"] + 0.1

    @pytest.mark.slow
    def test_the_noise_is_what_errors_do_not_explain(self):
        _, X, errors = table(800, n_features=10)
        options = SMALL | {"max_iter": 1500, "gamma": 0.0}
        for known, low, high in (({"error_scale": errors}, 0.2, 0.7), ({}, 2.0, 9.0)):
            model = FactorVAETransformer(**options).fit(X, **known)
            raw = 10 * model.weights_["likelihood.raw_scale"]
            noise = (np.logaddexp(0, raw) + 0.01) * model.scale_
            assert low < np.median(noise) < high


class TestSearches:
    @pytest.mark.slow
    def test_errors_are_split_with_the_samples(self, vae):
        _, X, errors = table()
        grid, cv = {"gamma": [0.0, 5.0]}, KFold(3, shuffle=True, random_state=0)
        options = {"cv": cv, "refit": False}
        with sklearn.config_context(enable_metadata_routing=True):
            model = clone(vae).set_fit_request(error_scale=True)
            model.set_score_request(error_scale=True)
            searches = [
                search(model, grid, **options).fit(X, error_scale=errors)
                for search in (GridSearchCV, BatchedGridSearchCV)
            ]
        scores = [s.cv_results_["mean_test_score"] for s in searches]
        np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)
        expected = []
        for train, test in cv.split(X):
            model = clone(vae).set_params(gamma=0.0)
            model.fit(X[train], error_scale=errors[train])
            expected.append(model.score(X[test], error_scale=errors[test]))
        assert scores[0][0] == pytest.approx(np.mean(expected), rel=1e-6)

    @pytest.mark.slow
    def test_the_last_step_of_a_pipeline_takes_them_by_its_name(self, vae):
        _, X, errors = table()
        scaler = StandardScaler().fit(X)
        pipe = make_pipeline(StandardScaler(), clone(vae))
        pipe.fit(X, factorvaetransformer__error_scale=errors / scaler.scale_)
        model = clone(vae).fit(scaler.transform(X), error_scale=errors / scaler.scale_)
        np.testing.assert_array_equal(
            pipe[-1].weights_["decoder.linear.weight"],
            model.weights_["decoder.linear.weight"],
        )


@pytest.mark.slow
class TestOtherTools:
    def test_an_ensemble_matches_and_transforms_with_errors(self, vae):
        _, X, errors = table()
        ensemble = SeedEnsemble(clone(vae), n_seeds=2, random_state=0)
        codes = ensemble.fit_transform(X, error_scale=errors)
        central = ensemble.estimator_.transform(X, error_scale=errors)
        np.testing.assert_array_equal(codes, central)
        np.testing.assert_allclose(
            ensemble.code_means_, central.mean(axis=0), atol=1e-5
        )
        tables = ensemble.transform_all(X, errors)
        np.testing.assert_array_equal(tables[ensemble.central_], central)
        assert ensemble.score(X, error_scale=errors) != ensemble.score(X)

    def test_a_report_shrinks_imprecise_values(self, vae):
        _, X, errors = table()
        known, ignored = (
            latent_report(vae, X, **options)
            for options in ({"error_scale": errors}, {})
        )
        assert known.explained["pca"] > ignored.explained["pca"] + 0.2
        X[errors > 5] = 1e6
        errors[errors > 5] = np.inf
        hidden = latent_report(vae, X, error_scale=errors)
        assert hidden.explained["codes"] > 0

    def test_a_report_names_components_that_follow_the_errors(self, vae):
        """Here by samples whose mean depends on the instrument."""
        _, X, errors = table(300)
        X = X + 20 * (errors > 1)
        model = clone(vae).set_params(max_iter=200).fit(X, error_scale=errors)
        report = latent_report(model, X, error_scale=errors)
        assert any(f.topic == "known errors" for f in report.findings)

    def test_a_report_on_a_pipeline_refuses_errors(self, vae):
        _, X, errors = table()
        pipe = make_pipeline(StandardScaler(), clone(vae)).fit(X)
        with pytest.raises(ValueError, match=r"passes X on in others.*its last step"):
            latent_report(pipe, X, error_scale=errors)

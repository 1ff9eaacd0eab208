"""The latent report: warnings for faulty models, none for healthy ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica, make_sensor_table
from skfactorvae.inspection import health_marks
from skfactorvae.metrics import match_codes, total_correlation_audit
from skfactorvae.model_selection import SeedEnsemble, latent_report

LOG_2 = np.log(2)


class SuggestingPCA(PCA):
    """PCA with a parameter of which the report suggests values."""

    def __init__(self, n_components, likelihood="auto", random_state=None):
        super().__init__(n_components, random_state=random_state)
        self.likelihood = likelihood


@pytest.fixture(scope="module")
def data():
    X, _ = make_nonlinear_ica(
        1200, n_sources=3, n_features=8, noise=0.1, random_state=0
    )
    return X[:800], X[800:]


@pytest.fixture(scope="module")
def trained(data):
    vae = FactorVAETransformer(
        3,
        hidden_layer_sizes=(16,),
        discriminator_hidden_layer_sizes=(32, 32),
        max_iter=600,
        random_state=0,
    )
    return vae.fit(data[0])


@pytest.fixture
def vae(trained):
    """A fitted model whose record can be changed."""
    twin = FactorVAETransformer(**trained.get_params())
    twin.__dict__.update(trained.__dict__)
    twin.history_ = {name: v.copy() for name, v in trained.history_.items()}
    return twin


def held_out(linear):
    """Scores of held-out samples, with that of FactorAnalysis."""
    return {
        "score": 1.0,
        "training_score": 1.0,
        "r2": 1.0,
        "first_component_r2": 0.5,
        "factor_analysis_score": linear,
    }


def findings(estimator, X):
    return {f.topic: f for f in latent_report(estimator, X).findings}


def warnings_of(estimator, X):
    found = findings(estimator, X).values()
    return {finding.topic for finding in found if finding.level == "warning"}


class TestHealth:
    def test_a_healthy_model_gets_no_warning(self, vae, data):
        assert warnings_of(vae, data[1]) == set()

    @pytest.mark.parametrize(
        ("loss", "dependent", "word"),
        [
            (0.05, False, None),
            (LOG_2, True, "too weak"),
            (0.40, False, "memorises"),
            (LOG_2, False, None),
            (0.55, True, None),
        ],
    )
    def test_the_discriminator_is_compared_with_an_audit(
        self, vae, data, loss, dependent, word
    ):
        vae.history_["discriminator_loss"][:] = loss
        rng = np.random.RandomState(0)
        z = rng.normal(size=(400, 3))
        z[:, 1] = z[:, 0] ** 2 + 0.1 * z[:, 1] if dependent else z[:, 1]
        vae.posterior = lambda X, error_scale=None: (z, np.zeros_like(z))
        found = findings(vae, data[1]).get("audit")
        if word is None:
            assert found is None
        else:
            assert word in found.message
            assert found.advice

    def test_without_a_penalty_the_discriminator_is_not_judged(self, vae, data):
        vae.history_["discriminator_loss"][:] = 0.05
        found = findings(vae.set_params(gamma=0), data[1])
        assert not {"discriminator", "audit"} & set(found)

    def test_divergence_is_reported(self, vae, data):
        vae.n_iter_ = 700
        found = findings(vae, data[1])["training"]
        assert "diverged at step 700" in found.message
        last = int(vae.history_["step"][-1])
        assert f"last finite record is of step {last}." in found.message

    def test_collapse_is_reported(self, vae, data):
        vae.active_components_ = np.array([], dtype=int)
        report = latent_report(vae, data[1])
        (found,) = (f for f in report.findings if f.topic == "components")
        assert "collapsed" in found.message
        assert report.explained == {"codes": 0.0, "pca": 0.0}
        assert report.active.sum() == 0
        assert str(report).startswith("0 of 3 components are active.")

    def test_constant_codes_are_reported(self, vae, data):
        rows = np.repeat(data[1][:1], 30, axis=0)
        found = findings(vae, rows)
        assert found["codes"].level == "warning"
        assert "components" not in {t for t, f in found.items() if f.level == "warning"}

    def test_samples_of_another_distribution_have_a_lower_score(self, vae, data):
        rng = np.random.RandomState(0)
        shuffled = np.column_stack([rng.permutation(c) for c in data[1].T])
        assert "overfitting" in warnings_of(vae, shuffled)

    @pytest.mark.parametrize(
        ("standardize", "factor", "topics"),
        [
            ("feature", 1000, set()),
            ("global", 1, set()),
            ("global", 1000, {"scale"}),
            (None, 1, set()),
        ],
    )
    def test_uneven_features_are_reported_where_all_share_one_scale(
        self, vae, data, standardize, factor, topics
    ):
        vae.set_params(standardize=standardize)
        rows = data[1] * np.r_[factor, np.ones(7)]
        assert warnings_of(vae, rows) & {"scale"} == topics

    def test_unscaled_features_without_standardization_are_reported(self, vae, data):
        vae.set_params(standardize=None)
        assert "does not standardize" in findings(vae, data[1] * 500)["scale"].message

    def test_an_outlier_is_found(self, vae, data):
        rows = np.vstack([data[1]] * 10)
        rows[5, 3] = 1e6
        assert "Feature 3 has a value" in findings(vae, rows)["outliers"].message


class TestZerosAndOnes:
    """Columns of two values that a fit took as numbers."""

    def report(self, X, likelihood="auto"):
        vae = FactorVAETransformer(
            2, hidden_layer_sizes=(), max_iter=1, likelihood=likelihood, random_state=0
        )
        return findings(vae.fit(X), X).get("columns")

    def binary(self, p):
        z = np.random.RandomState(0).normal(size=(80, p + 1))
        return (z[:, :p] + z[:, p:] > 0).astype(int)

    def test_a_likelihood_is_suggested_for_a_table_of_them(self):
        X = self.binary(15)
        found = self.report(X)
        assert "with zeros and ones: 15 of 15 ('x0', 'x1', " in found.message
        assert "'x11', ...)." in found.message
        assert found.advice == "Consider likelihood='bernoulli'."
        assert self.report(X, "bernoulli") is None

    @pytest.mark.slow
    def test_a_likelihood_is_suggested_for_some_columns(self):
        rng = np.random.RandomState(1)
        X = np.c_[self.binary(2), rng.normal(size=(80, 2))]
        found = self.report(X)
        assert "with zeros and ones: 2 of 4 ('x0', 'x1')." in found.message
        asked = {"x0": "bernoulli", "x1": "bernoulli"}
        assert found.advice == f"Consider likelihood={asked}."
        assert self.report(X, asked) is None
        wide = np.c_[self.binary(14), rng.normal(size=80), rng.lognormal(0, 2, 80)]
        found = self.report(wide)
        assert "with zeros and ones: 14 of 16 " in found.message
        assert found.advice.endswith("'x11': 'bernoulli', ...}.")
        skewed = self.report(wide[:, 10:])
        assert (
            "with skewness, counts, zeros and ones, or heavy tails: 5 of 6 ('x0', "
            in (skewed.message)
        )

    @pytest.mark.slow
    def test_indicators_of_levels_are_no_columns_of_zeros_and_ones(self):
        pd = pytest.importorskip("pandas")
        rng = np.random.RandomState(2)
        X = pd.DataFrame({"mode": rng.choice(["a", "b"], 80), "on": rng.rand(80) > 0.5})
        assert self.report(X.assign(size=rng.normal(size=80))) is None


class TestComparisons:
    def test_pca_is_recognised(self, data):
        X = StandardScaler().fit_transform(data[1])
        report = latent_report(PCA(3, whiten=True).fit(X), X)
        assert "This is PCA" in report.findings[0].message
        assert report.pca.correlation == pytest.approx(1)
        assert report.pca.component.tolist() == [0, 1, 2]
        assert report.kl is None
        assert report.sampled_audit is None
        assert report.explained["codes"] == pytest.approx(report.explained["pca"])

    def test_fastica_is_recognised(self):
        z = np.random.RandomState(0).uniform(size=(1000, 3))
        X = z @ np.random.RandomState(1).normal(size=(3, 5))
        report = latent_report(FastICA(3, random_state=1).fit(X), X)
        (found,) = (f for f in report.findings if f.topic == "baseline")
        assert "This is FastICA" in found.message

    def test_rotated_factors_are_recognised_or_recommended(self):
        rng = np.random.RandomState(0)
        loadings = 0.8 * np.eye(3)[np.arange(12) % 3] + 0.2 * np.array([1, 0, 0])
        X = rng.normal(size=(1500, 3)) @ loadings.T + 0.4 * rng.normal(size=(1500, 12))
        rotated = FactorAnalysis(3, rotation="varimax").fit(X)
        report = latent_report(rotated, X)
        (found,) = (f for f in report.findings if f.topic == "baseline")
        assert "This is FactorAnalysis with varimax" in found.message
        assert report.varimax.correlation.min() > 0.98
        plain = latent_report(PCA(3).fit(X), X)
        assert "simpler structure" in findings(PCA(3).fit(X), X)["structure"].message
        assert plain.simplicity["varimax"] > plain.simplicity["codes"] + 0.05
        assert plain.simplicity["codes"] == pytest.approx(plain.simplicity["pca"])
        assert "Simplicity of the structure: codes" in str(plain)

    def test_directions_of_principal_components_are_orthogonal(self, data):
        report = latent_report(PCA(3).fit(data[1]), data[1])
        assert report.ima_contrast == pytest.approx(0, abs=1e-9)
        assert "(IMA contrast): 0.000 nats" in str(report)

    def test_the_contrast_is_that_of_the_angle_between_directions(self):
        mixing = np.array([[1.0, 0.0], [0.6, 0.8]])
        sources = np.random.RandomState(0).uniform(-1, 1, (2000, 2))
        X = sources @ mixing
        report = latent_report(FastICA(2, random_state=0).fit(X), X)
        assert report.ima_contrast == pytest.approx(-np.log(0.8), rel=0.1)

    def test_one_component_has_no_contrast(self, data):
        report = latent_report(PCA(1).fit(data[1]), data[1])
        assert np.isnan(report.ima_contrast)

    def test_as_many_factors_as_features_are_not_compared(self, data):
        report = latent_report(PCA(8).fit(data[1]), data[1])
        assert report.varimax is None
        assert "varimax" not in report.simplicity
        assert "varimax" not in report.to_frame()

    def test_components_are_compared_one_to_one(self, vae, data):
        report = latent_report(vae, data[1])
        rows = (data[1] - vae.mean_) / vae.scale_
        pca = PCA(3, random_state=0).fit_transform(rows)
        match = match_codes(pca, vae.transform(data[1]))
        np.testing.assert_array_equal(report.pca.component, match.order)
        np.testing.assert_allclose(report.pca.correlation, match.correlation)

    def test_dependent_and_independent_components_are_distinguished(self, data):
        rng = np.random.RandomState(0)
        z = rng.normal(size=(1500, 2))
        z[:, 1] = z[:, 0] ** 2 + 0.1 * z[:, 1]
        bent = PCA(2).fit(z)
        assert findings(bent, z)["dependence"].level == "warning"
        straight = rng.normal(size=(1500, 2))
        found = findings(PCA(2).fit(straight), straight)["dependence"]
        assert found.level == "fine"

    def test_the_audit_equals_total_correlation_audit(self, vae, data):
        report = latent_report(vae, data[1])
        expected = total_correlation_audit(vae.transform(data[1]).astype(float))
        assert report.audit == expected

    def test_codes_that_explain_less_than_pca_are_reported(self, vae, data):
        vae.transform = lambda X: np.tanh(
            np.random.RandomState(0).normal(size=(400, 3))
        )
        assert "fit" in warnings_of(vae, data[1])

    @pytest.mark.parametrize("n_components", [3, "auto"])
    @pytest.mark.parametrize("is_limited", [False, True])
    def test_the_advice_for_codes_that_explain_less_can_be_followed(
        self, vae, data, n_components, is_limited
    ):
        scrambled = np.tanh(np.random.RandomState(0).normal(size=(400, 3)))
        vae.transform = lambda X: scrambled
        vae.n_components = n_components
        vae.weight_decay_ = float(is_limited)
        vae.held_out_ = held_out(linear=2.0) if is_limited else {}
        advice = findings(vae, data[1])["fit"].advice
        more = "Set n_components above the 3 that 'auto' chose"
        assert advice.startswith("Raise n_comp" if n_components == 3 else more)
        assert f"lower gamma (now {vae.gamma:g})" in advice
        assert ("raise max_iter" in advice) != is_limited

    @pytest.mark.parametrize(("r2", "level"), [(0.6, "note"), (0.1, "warning")])
    def test_less_than_pca_is_a_note_where_columns_have_types_and_the_marks_are_well(
        self, r2, level
    ):
        X, _ = make_sensor_table(200, typed=True, random_state=0)
        vae = FactorVAETransformer(2, max_iter=20, random_state=0).fit(X)
        scrambled = np.random.RandomState(0).normal(size=(200, 2))
        vae.transform, vae.active_components_ = lambda X: scrambled, np.arange(2)
        vae.held_out_ = held_out(linear=np.nan) | {"r2": r2}
        found = findings(vae, X)["fit"]
        assert found.level == level
        assert ("column_report_" in found.advice) == (level == "note")
        (mark,) = (m for m in health_marks(vae) if m.name == "reconstruction")
        assert mark.is_well == (level == "note")

    def test_a_small_difference_to_pca_is_a_note_where_the_likelihood_is_high(
        self, vae, data
    ):
        rng = np.random.RandomState(0)
        codes = vae.transform(data[1])
        vae.transform = lambda X: codes + 0.3 * rng.normal(size=codes.shape)
        for linear, level in ((0.0, "note"), (2.0, "warning")):
            vae.held_out_ = held_out(linear)
            assert findings(vae, data[1])["fit"].level == level

    def test_pca_is_not_advised_to_train_longer_where_held_out_samples_decided(
        self, data
    ):
        pca = PCA(3, whiten=True).fit(data[1])
        pca.weight_decay_ = 10.0
        pca.held_out_ = {
            "score": 1.0,
            "training_score": 1.0,
            "r2": 0.9,
            "first_component_r2": 0.5,
            "factor_analysis_score": 1.0,
        }
        advice = findings(pca, data[1])["baseline"].advice
        assert advice == "Use PCA: held-out samples favour a nearly linear model."


class TestPipelines:
    @pytest.fixture
    def table(self):
        rng = np.random.RandomState(0)
        z = rng.normal(size=(300, 1))
        logs = 2 * z + rng.normal(size=(300, 2))
        return pd.DataFrame(np.exp(logs), columns=["income", "rent"]).assign(z=z)

    @pytest.mark.parametrize("is_ensemble", [False, True])
    def test_columns_behind_a_scaler_have_the_names_and_units_of_the_table(
        self, table, is_ensemble
    ):
        model = SuggestingPCA(2)
        if is_ensemble:
            model = SeedEnsemble(model, n_seeds=2)
        pipe = make_pipeline(StandardScaler(), model).fit(table)
        found = findings(pipe, table)["columns"]
        assert "{'income': 'lognormal', 'rent': 'lognormal'}" in found.advice
        assert "without the scaling before ('standardscaler')" in found.advice
        alone = findings(SuggestingPCA(2).fit(table), table)["columns"]
        assert alone.message == found.message
        assert "without" not in alone.advice

    def test_columns_behind_another_step_are_judged_as_the_model_receives_them(
        self, table
    ):
        pipe = make_pipeline(PowerTransformer(), SuggestingPCA(2)).fit(table)
        assert "columns" not in findings(pipe, table)


class TestEnsembles:
    def test_stability_is_reported_inside_a_pipeline_too(self, data):
        ica = SeedEnsemble(
            FastICA(3, max_iter=1000, tol=1e-3), n_seeds=3, random_state=0
        )
        pipe = make_pipeline(StandardScaler(), ica).fit(data[0])
        report = latent_report(pipe, data[1])
        np.testing.assert_array_equal(report.stability, pipe[-1].component_stability_)
        found = {f.topic: f for f in report.findings}
        assert found["stability"].level == "fine"

    def test_unstable_components_are_named(self, vae, data):
        ensemble = SeedEnsemble(vae, n_seeds=2, random_state=0)
        ensemble._match([vae, vae], data[1])
        ensemble.component_stability_ = np.array([1.0, 0.0, 1.0])
        found = findings(ensemble, data[1])["stability"]
        assert found.level == "warning"
        assert "component 1." in found.message


class TestReport:
    def test_warnings_come_first(self, vae, data):
        vae.n_iter_ = 700
        levels = [f.level for f in latent_report(vae, data[1]).findings]
        order = ("warning", "note", "fine")
        assert levels == sorted(levels, key=order.index)
        assert levels[0] == "warning"

    def test_it_prints_a_line_for_every_active_component(self, vae, data):
        text = str(latent_report(vae, data[1]))
        assert text.startswith("3 of 3 components are active.\ncomponent")
        assert f"{vae.kl_per_component_[0]:15.2f}" in text
        assert "draws from posteriors" in text

    def test_it_becomes_a_frame(self, vae, data):
        frame = latent_report(vae, data[1]).to_frame()
        assert list(frame.columns) == [
            "component",
            "active",
            "kl",
            "pca",
            "pca_correlation",
            "ica",
            "ica_correlation",
            "varimax",
            "varimax_correlation",
        ]
        np.testing.assert_array_equal(frame["kl"], vae.kl_per_component_)

    def test_it_is_the_same_every_time(self, vae, data):
        first, second = (str(latent_report(vae, data[1])) for _ in range(2))
        assert first == second

    def test_an_unfitted_model_is_refused(self, data):
        with pytest.raises(NotFittedError):
            latent_report(FactorVAETransformer(), data[1])

    def test_too_few_rows_are_refused(self, vae, data):
        with pytest.raises(ValueError, match="at least 20 samples"):
            latent_report(vae, data[1][:10])

"""Label-free scorers prefer informative codes to constant codes and to noise."""

import pickle
import warnings
from copy import deepcopy

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, InfoGANTransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.metrics import gaussian_total_correlation, mcc_scorer
from skfactorvae.model_selection import (
    SeedEnsemble,
    audit_scorer,
    copula_scorer,
    elbo_scorer,
    explained_rows,
    explained_scorer,
    latent_report,
    udr_scorer,
)
from skfactorvae.model_selection._scorers import independence

GENERIC = [explained_scorer, copula_scorer, audit_scorer, udr_scorer]
SINGLE = [explained_scorer, copula_scorer, audit_scorer, elbo_scorer]
SCORERS = {
    "explained": explained_scorer,
    "elbo": elbo_scorer,
    "copula": copula_scorer,
    "audit": audit_scorer,
    "udr": udr_scorer,
}
SHUFFLED = KFold(2, shuffle=True, random_state=0)
BY_NAME = pytest.mark.parametrize("name", SCORERS)


class Coder(TransformerMixin, BaseEstimator):
    """Transformer with codes of one kind: good, partial, twisted, constant or noise."""

    def __init__(self, kind="good", random_state=None):
        self.kind = kind
        self.random_state = random_state

    def fit(self, X, y=None):
        self.seed_ = np.random.RandomState(self.random_state).randint(1000)
        return self

    def transform(self, X):
        X = np.asarray(X)
        good = X[:, :3] * np.random.RandomState(self.seed_).choice([-1, 1], 3)
        noise = np.random.RandomState(self.seed_).normal(size=(len(X), 3))
        return {
            "good": good,
            "partial": good * [1, 0, 0],
            "twisted": X[:, :3] @ [[1, 1, 1], [1, -1, 1], [0, 0.5, 0.3]],
            "constant": np.ones_like(good),
            "noise": noise,
            "one noise": noise * [1, 0, 0],
            "frozen noise": np.random.RandomState(len(X)).normal(size=(len(X), 3)),
        }[self.kind]


@pytest.fixture(scope="module")
def rows():
    sources = np.random.RandomState(0).uniform(-1, 1, size=(600, 3))
    return np.column_stack([sources, sources @ np.ones((3, 2)), sources**2])


@pytest.fixture(scope="module")
def vae(rows):
    """Return a fitted model whose third component counts as inactive."""
    vae = FactorVAETransformer(3, max_iter=20, random_state=0).fit(rows)
    vae.active_components_ = np.array([0, 1])
    return vae


@pytest.mark.parametrize("scorer", GENERIC, ids=repr)
@pytest.mark.parametrize(
    "kind", ["constant", "noise", "one noise", "frozen noise", "partial"]
)
def test_no_scorer_prefers_codes_with_little_information(scorer, kind, rows):
    """Noise is independent and a constant is stable, but neither is informative."""
    search = GridSearchCV(
        SeedEnsemble(Coder(), n_seeds=3, random_state=0),
        {"estimator__kind": [kind, "good"]},
        scoring=scorer,
        cv=SHUFFLED,
    ).fit(rows)
    assert search.best_params_ == {"estimator__kind": "good"}
    bad, good = search.cv_results_["mean_test_score"]
    assert bad < 0.5 * good


@pytest.mark.parametrize("scorer", [copula_scorer, audit_scorer], ids=repr)
def test_dependent_codes_score_lower_than_independent_ones(scorer, rows):
    good, twisted = (Coder(kind).fit(rows) for kind in ("good", "twisted"))
    assert explained_scorer(twisted, rows) > 0.8
    assert scorer(twisted, rows) < 0.8 * scorer(good, rows)


@pytest.mark.slow
def test_every_scorer_prefers_a_trained_model_that_did_not_collapse():
    X, _ = make_nonlinear_ica(600, n_sources=3, n_features=8, random_state=0)
    settings = {
        "n_components": 3,
        "init": "random",
        "hidden_layer_sizes": (32,),
        "discriminator_hidden_layer_sizes": (8,),
        "learning_rate": 1e-2,
        "max_iter": 600,
        "random_state": 0,
    }
    changes = {"good": {}, "collapsed": {"beta": 100.0}, "untrained": {"max_iter": 1}}
    models = {
        kind: FactorVAETransformer(**settings | change).fit(X[:400])
        for kind, change in changes.items()
    }
    assert len(models["collapsed"].active_components_) == 0
    for name in SCORERS.keys() - {"udr"}:
        scores = {kind: SCORERS[name](model, X[400:]) for kind, model in models.items()}
        assert max(scores, key=scores.get) == "good", (name, scores)


class Weighted(Coder):
    """The same transformer, whose fit takes weights."""

    def fit(self, X, y=None, sample_weight=None):
        self.n_weights_ = len(sample_weight)
        return super().fit(X, y)


class TestMeasures:
    def test_a_linear_code_explains_its_share_of_the_variance(self):
        X = np.random.RandomState(0).normal(size=(2000, 5))
        assert explained_rows(X, X[:, :2]) == pytest.approx(2 / 5, abs=0.01)

    def test_scales_of_samples_and_codes_have_no_effect(self, rows):
        scale = np.arange(1, 9) * 100.0
        expected = explained_rows(rows, rows[:, :2])
        actual = explained_rows(rows * scale + 7, rows[:, :2] * [1e-3, 50] - 3)
        assert actual == pytest.approx(expected, abs=1e-6)

    def test_a_quadratic_curve_is_explained_by_its_parameter(self):
        z = np.random.RandomState(0).normal(size=(500, 1))
        assert explained_rows(np.hstack([z**2, z]), z) > 0.99

    @pytest.mark.parametrize("kind", ["pairs", "blocks", "factorial", "repeated"])
    def test_the_order_of_the_samples_has_no_effect(self, kind):
        rng = np.random.RandomState(0)
        X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8))
        if kind == "pairs":  # every second sample is of another kind
            X[1::2, :4] += 6
        elif kind == "blocks":
            X[100:, :4] += 6
        elif kind == "factorial":
            X = np.array(list(np.ndindex(5, 5, 4, 2)), dtype=float)
        else:
            X = np.tile(X[:40], (5, 1))
        codes = PCA(4).fit_transform(X)
        expected = explained_rows(X, codes)
        assert expected > 0.95
        for order in (np.arange(200)[::-1], rng.permutation(200)):
            assert explained_rows(X[order], codes[order]) == expected

    def test_samples_and_codes_of_another_number_are_refused(self):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            explained_rows(np.eye(4), np.eye(5))

    def test_the_copula_score_is_a_root_of_a_determinant(self):
        rng = np.random.RandomState(0)
        z = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=4000)
        copula, audit = independence(z)
        assert copula == pytest.approx(np.sqrt(1 - 0.8**2), abs=0.02)
        tc = gaussian_total_correlation(z)
        assert copula == pytest.approx(np.exp(-tc), abs=0.02)
        assert audit < 0.8

    def test_independent_codes_score_one(self):
        z = np.random.RandomState(0).laplace(size=(4000, 3))
        assert independence(z) == pytest.approx((1, 1), abs=0.1)

    def test_many_codes_use_a_linear_regression(self):
        X = np.random.RandomState(0).normal(size=(400, 50))
        assert explained_rows(X, X) > 0.99


class TestPipelines:
    """Scorers work in pipelines with steps before and after the model."""

    @pytest.mark.parametrize("scorer", SINGLE, ids=repr)
    @pytest.mark.parametrize("end", [LogisticRegression(), StandardScaler()])
    def test_a_later_classifier_or_scaler_changes_no_score(
        self, scorer, end, vae, rows
    ):
        pipe = Pipeline([("vae", vae), ("end", end)])
        end.fit(vae.transform(rows), rows[:, 0] > 0)
        expected = scorer(vae, rows)
        assert scorer(pipe, rows) == pytest.approx(expected, rel=1e-4)

    def test_the_output_of_a_later_rotation_is_scored(self, vae, rows):
        """The list of active components does not refer to its output."""
        pca = PCA(2).fit(vae.transform(rows))
        codes = pca.transform(vae.transform(rows))
        pipe = Pipeline([("vae", vae), ("pca", pca)])
        expected = explained_rows(rows, codes)
        assert explained_scorer(pipe, rows) == pytest.approx(expected)
        assert elbo_scorer(pipe, rows) == elbo_scorer(vae, rows)

    @pytest.mark.parametrize("scorer", SINGLE, ids=repr)
    def test_missing_values_are_compared_as_imputed(self, scorer, rows):
        gaps = np.where(
            np.random.RandomState(1).uniform(size=rows.shape) < 0.1, np.nan, rows
        )
        imputer = SimpleImputer().fit(gaps)
        filled = imputer.transform(gaps)
        vae = FactorVAETransformer(3, max_iter=20, random_state=0).fit(filled)
        pipe = Pipeline([("impute", imputer), ("vae", vae)])
        assert scorer(pipe, gaps) == scorer(vae, filled)

    def test_explained_variance_is_that_of_the_input_of_the_pipeline(self, rows):
        """Samples without missing values are used before any step of the pipeline."""
        pipe = make_pipeline(PCA(2), PCA(2, whiten=True)).fit(rows)
        expected = explained_rows(rows, pipe.transform(rows))
        assert explained_scorer(pipe, rows) == expected

    def test_a_search_is_scored_by_its_best_estimator(self, rows):
        search = GridSearchCV(PCA(), {"n_components": [2]}, cv=2).fit(rows)
        assert copula_scorer(search, rows) == copula_scorer(
            search.best_estimator_, rows
        )

    def test_a_forest_after_the_model_is_not_a_seed_ensemble(self, rows):
        forest = RandomForestClassifier(2, random_state=0)
        pipe = make_pipeline(PCA(2), forest).fit(rows, rows[:, 0] > 0)
        assert explained_scorer(pipe, rows) == explained_scorer(pipe[:1], rows)

    def test_an_estimator_without_codes_raises(self, rows):
        model = LogisticRegression().fit(rows, rows[:, 0] > 0)
        with pytest.raises(TypeError, match="LogisticRegression has no codes"):
            explained_scorer(model, rows)

    def test_an_unfitted_ensemble_raises(self, rows):
        with pytest.raises(NotFittedError):
            udr_scorer(SeedEnsemble(PCA(2)), rows)


class Categorised(TransformerMixin, BaseEstimator):
    """Model of one number and one category, whose probabilities the codes hold."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        self.kl_per_component_, self.active_components_ = np.array([1.4]), np.array([0])
        self.category_columns_ = [np.array([1, 2, 3])]
        self.order_ = np.random.RandomState(self.random_state).permutation(3)
        return self

    def transform(self, X):
        return np.column_stack([X[:, 0], X[:, 1:][:, self.order_]])


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    kind = np.repeat(np.eye(3), 100, axis=0)
    return np.column_stack([rng.normal(size=300), 0.9 * kind + 0.1 / 3])


class TestCategories:
    """Categories have no KL divergence, and are part of the codes."""

    def test_they_count_as_explained(self, samples):
        model = Categorised().fit(samples)
        expected = explained_rows(samples, model.transform(samples))
        assert explained_scorer(model, samples) == expected > 0.99

    @pytest.mark.parametrize("scorer", [copula_scorer, audit_scorer])
    def test_levels_of_one_category_do_not_depend_on_each_other(self, samples, scorer):
        model = Categorised(random_state=5).fit(samples)  # keeps the order of levels
        assert scorer(model, samples) > 0.85
        dependent = samples.copy()
        dependent[:, 0] = samples[:, 1:].argmax(axis=1) + 0.1 * samples[:, 0]
        assert scorer(model, dependent) < 0.6

    def test_reports_and_ensembles_contain_them(self, samples):
        ensemble = SeedEnsemble(Categorised(), n_seeds=3, random_state=0).fit(samples)
        assert ensemble.stable_components_.tolist() == [0, 1, 2, 3]
        report = latent_report(ensemble, samples)
        assert report.active.tolist() == [True] * 4
        np.testing.assert_array_equal(report.kl, [1.4, np.nan, np.nan, np.nan])
        assert report.to_frame().shape[0] == 4
        assert report.audit.n_codes == 2
        assert "1.40" in str(report)
        assert "nan" not in str(report)

    def test_infogan_lists_its_columns(self, samples):
        options = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
        gan = InfoGANTransformer(2, n_categories=[3, 2], **options).fit(samples)
        columns = [one.tolist() for one in gan.category_columns_]
        assert columns == [[2, 3, 4], [5, 6]]
        codes = gan.transform(samples)
        for one in columns:
            np.testing.assert_allclose(codes[:, one].sum(axis=1), 1, rtol=1e-5)
        assert InfoGANTransformer(2, **options).fit(samples).category_columns_ == []
        assert not hasattr(InfoGANTransformer(), "category_columns_")


class TestEstimators:
    def test_the_score_of_an_ensemble_is_the_mean_of_its_fits(self, rows):
        ensemble = SeedEnsemble(Coder("twisted"), n_seeds=2, random_state=0).fit(rows)
        each = [copula_scorer(member, rows) for member in ensemble.estimators_]
        assert copula_scorer(ensemble, rows) == np.mean(each)

    def test_an_ensemble_in_a_pipeline_gets_the_transformed_samples(self, rows):
        ensemble = SeedEnsemble(PCA(2), n_seeds=2, random_state=0)
        pipe = make_pipeline(StandardScaler(), ensemble).fit(rows)
        inside = StandardScaler().fit_transform(rows)
        expected = udr_scorer(pipe[-1], inside)
        assert udr_scorer(pipe, rows) == expected

    def test_an_inactive_component_does_not_count(self):
        X, _ = make_nonlinear_ica(300, n_sources=2, n_features=6, random_state=0)
        vae = FactorVAETransformer(3, max_iter=20, random_state=0).fit(X)
        vae.active_components_ = np.array([0, 1])
        copula = independence(vae.transform(X)[:, :2])[0]
        masked = vae.transform(X) * [1, 1, 0]
        expected = explained_rows(X, masked) * copula
        assert copula_scorer(vae, X) == pytest.approx(expected, rel=1e-6)

    def test_agreement_needs_several_fits(self, rows):
        with pytest.raises(TypeError, match=r"SeedEnsemble\(estimator\)"):
            udr_scorer(PCA(2).fit(rows), rows)

    def test_the_elbo_needs_a_model_with_score_samples(self, rows):
        with pytest.raises(TypeError, match="score_samples, which Coder does not have"):
            elbo_scorer(Coder().fit(rows), rows)

    @BY_NAME
    def test_a_scorer_can_be_pickled(self, name):
        scorer = SCORERS[name]
        assert pickle.loads(pickle.dumps(scorer)) is scorer
        assert repr(scorer) == f"{name}_scorer"

    @pytest.mark.parametrize("is_routed", [False, True])
    def test_a_search_of_several_scores_may_have_weights(self, rows, is_routed):
        """Weights are for the fits; no score of codes takes them without routing."""
        scoring = {name: SCORERS[name] for name in ("explained", "copula", "audit")}
        scoring["mcc"] = deepcopy(mcc_scorer).set_score_request(sample_weight=False)
        grid = {"kind": ["good", "noise"]}
        options = {"scoring": scoring, "refit": "mcc", "cv": SHUFFLED}
        weight = np.arange(len(rows)) + 1.0
        coder = Weighted(random_state=0)
        with sklearn.config_context(enable_metadata_routing=is_routed):
            if is_routed:
                coder.set_fit_request(sample_weight=True)
            search = GridSearchCV(coder, grid, **options)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*does not support sample_weight")
                search.fit(rows, rows, sample_weight=weight)
        assert search.best_estimator_.n_weights_ == len(rows)
        alone = GridSearchCV(Coder(random_state=0), grid, **options)
        alone.fit(rows, rows)
        for name in scoring:
            key = f"mean_test_{name}"
            np.testing.assert_array_equal(
                search.cv_results_[key], alone.cv_results_[key]
            )

    def test_every_scorer_has_a_docstring_of_its_own(self):
        docs = {scorer.__doc__ for scorer in SCORERS.values()}
        assert len(docs) == len(SCORERS)

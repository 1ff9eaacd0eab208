"""SeedEnsemble measures which components of a transformer are stable across seeds."""

import pickle
from itertools import starmap
from unittest import SkipTest

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import NMF, PCA, FastICA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.metadata_routing import get_routing_for_object

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.inspection import factor_table
from skfactorvae.metrics import udr_score
from skfactorvae.model_selection import SeedEnsemble
from skfactorvae.model_selection._members import subsample

TINY = {
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 8,
    "batch_size": 16,
}


class Jumbled(TransformerMixin, BaseEstimator):
    """Columns of X in random order, with random signs; the last `n_noise` are noise."""

    def __init__(self, n_noise=0, blur=0.0, random_state=None):
        self.n_noise = n_noise
        self.blur = blur
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        self.sample_weight_ = sample_weight
        rng = np.random.RandomState(self.random_state)
        width = np.shape(X)[1]
        self.order_ = rng.permutation(width)
        self.sign_ = rng.choice([-1.0, 1.0], width)
        self.seed_ = rng.randint(1000)
        return self

    def transform(self, X):
        codes = np.array(X, dtype=float)
        noise = np.random.RandomState(self.seed_)
        codes += self.blur * noise.normal(size=codes.shape)
        if self.n_noise:
            codes[:, -self.n_noise :] = noise.normal(size=(len(codes), self.n_noise))
        return codes[:, self.order_] * self.sign_

    def get_feature_names_out(self, input_features=None):
        return np.array([f"jumbled{i}" for i in range(len(self.order_))], dtype=object)


@pytest.fixture
def columns():
    return np.random.RandomState(0).normal(size=(300, 4)) ** 3


def pipeline():
    return make_pipeline(StandardScaler(), FactorVAETransformer(2, **TINY))


yielded = parametrize_with_checks(
    [
        SeedEnsemble(FactorVAETransformer(2, **TINY), n_seeds=2, random_state=0),
        SeedEnsemble(PCA(), n_seeds=2, random_state=0),
        SeedEnsemble(pipeline(), n_seeds=2, random_state=0),
    ]
)
names, cases = yielded.args


def with_tier(estimator, check):
    """Return a case; fits to eight formats of sparse tables take long."""
    is_slow = "sparse_" in check.func.__name__
    marks = [pytest.mark.slow] if is_slow else []
    return pytest.param(estimator, check, marks=marks)


@pytest.mark.parametrize(names, list(starmap(with_tier, cases)), **yielded.kwargs)
def test_scikit_learns_estimator_checks_pass(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        pytest.fail(f"The check was skipped: {reason}")


class TestMatching:
    def test_components_that_every_seed_finds_are_stable(self, columns):
        ensemble = SeedEnsemble(Jumbled(), n_seeds=4, random_state=0).fit(columns)
        assert ensemble.component_stability_.tolist() == [1, 1, 1, 1]
        assert ensemble.component_correlation_ == pytest.approx(1)
        assert ensemble.agreement_ == pytest.approx(1)
        assert ensemble.score(columns) > 0.85

    def test_components_that_no_other_seed_finds_are_not_stable(self, columns):
        ensemble = SeedEnsemble(Jumbled(n_noise=1), random_state=0).fit(columns)
        noise = int(np.argmax(ensemble.estimator_.order_ == 3))
        assert ensemble.component_stability_[noise] == 0
        assert ensemble.component_correlation_[noise] < 0.3
        assert noise not in ensemble.stable_components_
        assert len(ensemble.stable_components_) == 3

    def test_aligned_codes_of_all_seeds_agree(self, columns):
        ensemble = SeedEnsemble(Jumbled(), random_state=0).fit(columns)
        codes = ensemble.transform_all(columns)
        assert codes.shape == (5, 300, 4)
        np.testing.assert_array_equal(codes, np.broadcast_to(codes[0], codes.shape))
        np.testing.assert_array_equal(codes[0], ensemble.transform(columns))

    def test_the_central_fit_is_the_one_that_agrees_best(self, columns):
        members = [
            Jumbled(blur=blur, random_state=seed).fit(columns)
            for seed, blur in enumerate([2.0, 0.1, 2.0])
        ]
        ensemble = SeedEnsemble(Jumbled(), n_seeds=3)._match(members, columns)
        agreement = ensemble.agreement_.sum(axis=1)
        assert ensemble.central_ == 1 == agreement.argmax()
        assert ensemble.estimator_ is members[1]

    def test_an_inactive_component_is_not_stable(self, columns):
        columns[:, 2] = 5.0
        ensemble = SeedEnsemble(Jumbled(), random_state=0).fit(columns)
        assert np.sort(ensemble.component_stability_).tolist() == [0, 1, 1, 1]
        assert len(ensemble.stable_components_) == 3

    def test_the_score_is_the_udr_of_the_samples_given(self, columns):
        ensemble = SeedEnsemble(Jumbled(n_noise=2), random_state=0).fit(columns[:200])
        tables = [each.transform(columns[200:]) for each in ensemble.estimators_]
        assert ensemble.score(columns[200:]) == udr_score(tables).mean()

    def test_fits_with_different_numbers_of_components_raise(self, columns):
        members = [PCA(n).fit(columns) for n in (2, 3)]
        with pytest.raises(ValueError, match=r"\[2, 3\] components"):
            SeedEnsemble(PCA(), n_seeds=2)._match(members, columns)


class TestKeepStable:
    @pytest.fixture
    def ensemble(self, columns):
        jumbled = Jumbled(n_noise=1)
        return SeedEnsemble(jumbled, keep="stable", random_state=0).fit(columns)

    def test_transform_returns_the_stable_columns(self, ensemble, columns):
        everything = ensemble.estimator_.transform(columns)
        kept = everything[:, ensemble.stable_components_]
        np.testing.assert_array_equal(ensemble.transform(columns), kept)
        assert kept.shape == (300, 3)

    def test_names_are_those_of_the_kept_components(self, ensemble, columns):
        names = [f"jumbled{i}" for i in ensemble.stable_components_]
        assert ensemble.get_feature_names_out().tolist() == names
        frame = ensemble.set_output(transform="pandas").transform(columns)
        assert list(frame.columns) == names

    def test_names_of_components_are_those_of_the_central_fit(self):
        X, _ = make_nonlinear_ica(80, n_sources=2, n_features=6, random_state=0)
        vae = FactorVAETransformer(2, **TINY, weight_decay=0)
        ensemble = SeedEnsemble(vae, n_seeds=2, random_state=0).fit(X)
        assert ensemble.component_names_.tolist() == ["component 0", "component 1"]
        ensemble.estimator_.set_component_names({1: "load"})
        ensemble.set_params(keep="stable").stable_components_ = np.array([1])
        assert ensemble.component_names_.tolist() == ["load"]
        assert factor_table(ensemble, X).names.tolist() == ["load"]

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_stable_columns_are_of_the_library_of_all(self, library):
        X, _ = make_nonlinear_ica(80, n_sources=2, n_features=6, random_state=0)
        pca = FastICA(3, random_state=0, whiten="unit-variance")
        pca.set_output(transform=library)
        ensemble = SeedEnsemble(pca, n_seeds=2, random_state=0).fit(X)
        every = ensemble.transform(X)
        ensemble.set_params(keep="stable").stable_components_ = np.array([0, 2])
        kept = ensemble.transform(X)
        assert type(kept) is type(every)
        assert list(kept.columns) == [every.columns[0], every.columns[2]]

    def test_a_fit_that_fails_leaves_the_last_one(self, columns):
        ensemble = SeedEnsemble(Jumbled(), n_seeds=2, random_state=0).fit(columns)
        before = dict(vars(ensemble))
        members = [PCA(n).fit(columns[:, :2]) for n in (1, 2)]
        with pytest.raises(ValueError, match="matching needs the same number"):
            ensemble._match(members, columns[:, :2])
        after = vars(ensemble)
        assert before.keys() == after.keys()
        assert all(after[name] is value for name, value in before.items())

    def test_inverse_transform_sets_other_components_to_their_mean(self):
        X, _ = make_nonlinear_ica(300, n_sources=2, random_state=0)
        ensemble = SeedEnsemble(PCA(3), n_seeds=2, keep="stable", random_state=0)
        ensemble.fit(X)
        assert len(ensemble.stable_components_) == 3
        ensemble.stable_components_ = np.array([1])
        codes = ensemble.transform(X)
        expected = np.zeros((300, 3))
        expected[:, 1] = codes[:, 0]
        np.testing.assert_allclose(
            ensemble.inverse_transform(codes),
            ensemble.estimator_.inverse_transform(expected),
            atol=1e-6,
        )

    @pytest.mark.parametrize("kind", [int, np.int8, bool, np.float32, list])
    def test_inverse_transform_takes_codes_of_any_number(self, kind):
        X, _ = make_nonlinear_ica(300, n_sources=2, random_state=0)
        ensemble = SeedEnsemble(NMF(3, max_iter=500), n_seeds=2, keep="stable")
        ensemble.set_params(threshold=0.0, random_state=0).fit(np.exp(X))
        ensemble.stable_components_ = np.array([1])
        codes = np.ones((2, 1))
        given = codes.tolist() if kind is list else codes.astype(kind)
        np.testing.assert_allclose(
            ensemble.inverse_transform(given),
            ensemble.inverse_transform(codes),
            rtol=1e-5,
        )

    def test_inverse_transform_refuses_codes_of_another_width(self):
        X, _ = make_nonlinear_ica(300, n_sources=2, random_state=0)
        ensemble = SeedEnsemble(PCA(3), n_seeds=2, keep="stable", random_state=0)
        with pytest.raises(ValueError, match="X has 1 columns, but 3 components"):
            ensemble.fit(X).inverse_transform([[1.0]])

    def test_inverse_transform_exists_only_if_the_estimator_has_it(self, ensemble):
        assert not hasattr(ensemble, "inverse_transform")
        assert hasattr(SeedEnsemble(PCA()), "inverse_transform")


class TestSeeds:
    def test_the_same_random_state_gives_the_same_fits(self, columns):
        twins = [SeedEnsemble(Jumbled(), random_state=3).fit(columns) for _ in range(2)]
        first, second = (twin.transform_all(columns) for twin in twins)
        np.testing.assert_array_equal(first, second)

    def test_seeds_differ_and_the_estimator_is_not_changed(self, columns):
        jumbled = Jumbled(random_state=7)
        ensemble = SeedEnsemble(jumbled, random_state=0).fit(columns)
        assert len({each.random_state for each in ensemble.estimators_}) == 5
        assert jumbled.random_state == 7
        assert not hasattr(jumbled, "order_")

    def test_seeds_reach_every_step_of_a_pipeline(self, columns):
        pipe = make_pipeline(PCA(3), FastICA(2, max_iter=1000, tol=0.1))
        ensemble = SeedEnsemble(pipe, n_seeds=2, random_state=0).fit(columns)
        for step in ("pca", "fastica"):
            states = {m[step].random_state for m in ensemble.estimators_}
            assert len(states) == 2
            assert None not in states

    def test_a_transformer_without_random_state_raises(self, columns):
        with pytest.raises(ValueError, match="StandardScaler has no parameter"):
            SeedEnsemble(StandardScaler()).fit(columns)

    def test_fits_on_two_processes_are_the_same(self, columns):
        ica = FastICA(2, max_iter=1000, tol=0.1)
        fits = [
            SeedEnsemble(ica, n_seeds=2, n_jobs=n, random_state=0).fit(columns)
            for n in (None, 2)
        ]
        first, second = (fit.transform_all(columns) for fit in fits)
        np.testing.assert_array_equal(first, second)


class TestComposition:
    def test_a_search_can_set_parameters_of_the_estimator(self, columns):
        search = GridSearchCV(
            SeedEnsemble(Jumbled(), n_seeds=3, random_state=0),
            {"estimator__n_noise": [0, 3]},
            cv=KFold(3, shuffle=True, random_state=0),
        )
        assert search.fit(columns).best_params_ == {"estimator__n_noise": 0}

    def test_a_pipeline_that_ends_with_a_classifier_raises_before_any_fit(self):
        pipe = make_pipeline(PCA(2), LogisticRegression())
        with pytest.raises(TypeError, match="Pipeline has no transform"):
            SeedEnsemble(pipe).fit(None)

    def test_it_can_be_cloned_and_pickled(self, columns):
        ensemble = SeedEnsemble(Jumbled(), random_state=0).fit(columns)
        assert clone(ensemble).get_params()["random_state"] == 0
        twin = pickle.loads(pickle.dumps(ensemble))
        np.testing.assert_array_equal(
            twin.transform(columns), ensemble.transform(columns)
        )

    @pytest.mark.parametrize("routing", [False, True])
    def test_sample_weight_reaches_every_fit(self, columns, routing):
        weight = np.arange(300.0)
        with sklearn.config_context(enable_metadata_routing=routing):
            inner = Jumbled()
            if routing:
                inner.set_fit_request(sample_weight=True)
            ensemble = SeedEnsemble(inner, n_seeds=2, random_state=0)
            ensemble.fit(columns, sample_weight=weight)
            assert get_routing_for_object(ensemble)
        for member in ensemble.estimators_:
            np.testing.assert_array_equal(member.sample_weight_, weight)

    def test_samples_of_each_kind_are_drawn(self):
        kinds = np.arange(20_000)[:, None] % 2
        assert subsample(kinds).mean() == pytest.approx(0.5, abs=0.02)

    def test_more_than_ten_thousand_samples_are_subsampled(self):
        many = np.random.RandomState(0).normal(size=(10_500, 2))
        ensemble = SeedEnsemble(Jumbled(), n_seeds=2, random_state=0).fit(many)
        assert ensemble.component_stability_.tolist() == [1, 1]

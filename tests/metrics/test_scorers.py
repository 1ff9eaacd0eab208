"""Scorers find codes and factors wherever scikit-learn uses scorers."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 # a switch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfactorvae import metrics
from skfactorvae.metrics import _scorers as scorers_module
from skfactorvae.metrics import (
    active_units,
    code_mutual_info,
    make_disentanglement_scorer,
    mcc_scorer,
    mean_correlation_score,
    mig_scorer,
    mutual_info_gap_score,
    neg_code_mutual_info_scorer,
)

SCORERS = sorted(name for name in metrics.__all__ if name.endswith("_scorer"))
SCORERS = [name for name in SCORERS if not name.startswith("make_")]
SLOW = {"dci_scorer"}
SHUFFLED = KFold(3, shuffle=True, random_state=0)


class Counting(TransformerMixin, BaseEstimator):
    """Transformer that returns the first columns, and counts its calls."""

    calls = 0

    def __init__(self, n_components=2, max_iter=1):
        self.n_components = n_components
        self.max_iter = max_iter

    def fit(self, X, y=None):
        self.saw_y_ = y is not None
        return self

    def transform(self, X):
        type(self).calls += 1
        return np.asarray(X)[:, : self.n_components]


@pytest.fixture
def data():
    rng = np.random.RandomState(0)
    factors = rng.normal(size=(150, 3)) * [1, 2, 3]
    return factors @ np.eye(3, 5), factors


@pytest.fixture(autouse=True)
def no_memory_of_other_folds():
    scorers_module._RECENT_FOLDS.clear()


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_is_a_finite_number_of_any_transformer(name, data):
    X, factors = data
    if name in SLOW:
        X, factors = X[:40], np.sign(factors[:40])
    scorer = getattr(metrics, name)
    value = scorer(PCA(2).fit(X), X, factors)
    assert isinstance(value, float)
    assert np.isfinite(value)


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_survives_pickle_and_copy(name, data):
    X, factors = data
    scorer = getattr(metrics, name)
    for twin in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
        assert repr(twin) == repr(scorer)
        if name not in SLOW:
            assert twin(Counting(), X, factors) == scorer(Counting(), X, factors)


def test_the_docstring_of_a_scorer_names_its_metric():
    metric = mutual_info_gap_score.__doc__.split("\n\n")[0]
    assert mig_scorer.__doc__.startswith(metric)
    assert neg_code_mutual_info_scorer.__doc__.split("\n\n")[0].endswith("negated.")
    assert len({getattr(metrics, name).__doc__ for name in SCORERS}) == len(SCORERS)


def test_a_scorer_is_its_metric_of_the_codes(data):
    X, factors = data
    expected = mutual_info_gap_score(factors, X[:, :2], n_bins=7)
    scorer = make_disentanglement_scorer(mutual_info_gap_score, n_bins=7)
    assert scorer(Counting(), X, factors) == expected
    assert (
        repr(scorer) == "make_disentanglement_scorer(mutual_info_gap_score, n_bins=7)"
    )


def test_smaller_is_better_flips_the_sign(data):
    X, _ = data
    expected = -code_mutual_info(X[:, :2], strategy="quantile")
    assert neg_code_mutual_info_scorer(Counting(), X) == expected


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_prefers_the_setting_that_keeps_all_factors(data, n_jobs):
    X, factors = data
    search = GridSearchCV(
        PCA(), {"n_components": [1, 3]}, scoring=mcc_scorer, cv=SHUFFLED, n_jobs=n_jobs
    )
    assert search.fit(X, factors).best_params_ == {"n_components": 3}
    assert search.score(X, factors) == mcc_scorer(search.best_estimator_, X, factors)
    assert isinstance(clone(search), GridSearchCV)


def test_randomized_search_agrees_with_grid_search(data):
    X, factors = data
    settings = {"scoring": mcc_scorer, "cv": SHUFFLED}
    grid = GridSearchCV(PCA(), {"n_components": [1, 3]}, **settings).fit(X, factors)
    some = RandomizedSearchCV(
        PCA(), {"n_components": [1, 3]}, n_iter=2, random_state=0, **settings
    ).fit(X, factors)
    assert some.best_score_ == grid.best_score_


@pytest.mark.parametrize("resource", ["n_samples", "max_iter"])
def test_halving_search_keeps_the_better_setting(data, resource):
    X, factors = data
    limits = {"max_resources": 8, "min_resources": 2} if resource == "max_iter" else {}
    search = HalvingGridSearchCV(
        Counting(),
        {"n_components": [1, 2, 3]},
        resource=resource,
        scoring=mcc_scorer,
        cv=ShuffleSplit(2, random_state=0),
        random_state=0,
        **limits,
    )
    assert search.fit(X, factors).best_params_["n_components"] == 3


def test_unlabelled_factors_pass_through_a_search(data):
    X, factors = data
    factors[::3, 0] = np.nan
    found = cross_validate(PCA(), X, factors, scoring=mig_scorer, cv=SHUFFLED)
    assert np.all(np.isfinite(found["test_score"]))


def test_codes_are_those_of_the_last_transformer_of_a_pipeline(data):
    X, factors = data
    y = factors[:, 0] > 0
    codes = PCA(2).fit_transform(StandardScaler().fit_transform(X))
    expected = mean_correlation_score(factors, codes, over="factors")
    last = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    inside = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(X, y)
    skipped = Pipeline([*last.steps, ("off", "passthrough")])
    for pipeline in (last, inside, skipped):
        assert mcc_scorer(pipeline, X, factors) == pytest.approx(expected)


def test_a_step_can_be_named_at_any_depth(data):
    X, factors = data
    y = factors[:, 0] > 0
    inner = Pipeline([("pca", PCA(2)), ("scale", StandardScaler())])
    outer = Pipeline([("head", inner), ("tail", LogisticRegression())]).fit(X, y)
    named = {"over": "factors", "method": "pearson"}
    for step in ("head__pca", "head__scale", "head"):
        scorer = make_disentanglement_scorer(mean_correlation_score, step=step, **named)
        codes = PCA(2).fit_transform(X)
        expected = mean_correlation_score(factors, codes, **named)
        assert scorer(outer, X, factors) == pytest.approx(expected)


def test_several_metrics_cost_one_transform(data):
    X, factors = data
    scorer = make_disentanglement_scorer(
        {
            "mig": mutual_info_gap_score,
            "mcc": mcc_scorer,
            "neg": neg_code_mutual_info_scorer,
        }
    )
    Counting.calls = 0
    found = scorer(Counting(), X, factors)
    assert Counting.calls == 1
    assert found["mcc"] == mcc_scorer(Counting(), X, factors)
    assert found["mig"] == mutual_info_gap_score(factors, X[:, :2])
    search = GridSearchCV(
        PCA(), {"n_components": [1, 3]}, scoring=scorer, refit="mcc", cv=SHUFFLED
    ).fit(X, factors)
    assert {"mean_test_mig", "mean_test_mcc"} <= set(search.cv_results_)


def test_a_dict_of_scorers_is_multimetric(data):
    X, factors = data
    scoring = {"mig": mig_scorer, "mcc": mcc_scorer}
    found = cross_validate(PCA(), X, factors, scoring=scoring, cv=SHUFFLED)
    assert {"test_mig", "test_mcc"} <= set(found)


@pytest.mark.parametrize("several", [False, True])
def test_routed_factors_reach_the_scorer_and_never_fit(data, several):
    """The label is y; the factors are metadata."""
    X, factors = data
    y = (factors[:, 0] > 0).astype(int)
    model = Pipeline([("vae", Counting()), ("classifier", LogisticRegression())])
    scorer = make_disentanglement_scorer(
        {"mcc": mean_correlation_score} if several else mean_correlation_score
    ).set_score_request(factors=True)
    with config_context(enable_metadata_routing=True):
        scoring = (
            scorer if several else {"mcc": scorer, "acc": make_scorer(accuracy_score)}
        )
        search = GridSearchCV(
            model,
            {"vae__n_components": [1, 2]},
            scoring=scoring,
            refit="mcc",
            cv=SHUFFLED,
        ).fit(X, y, factors=factors)
    assert search.cv_results_["mean_test_mcc"][1] == pytest.approx(1.0)


def test_routed_weights_reach_the_metric(data):
    X, factors = data
    weight = np.random.RandomState(1).randint(1, 4, size=len(X))
    scorer = copy.deepcopy(mig_scorer).set_score_request(sample_weight=True)
    expected = mutual_info_gap_score(
        factors, X[:, :2], strategy="quantile", sample_weight=weight
    )
    found = scorer(Counting(), X, factors, sample_weight=weight)
    assert found == pytest.approx(expected)
    with pytest.raises(TypeError, match="groups"):
        scorer.set_score_request(groups=True)


def test_contiguous_folds_of_a_sorted_table_are_warned_of(data):
    X, factors = data
    order = np.argsort(factors[:, 0])
    with pytest.warns(UserWarning, match="folds are contiguous.*Shuffle"):
        cross_validate(PCA(), X[order], factors[order], scoring=mcc_scorer, cv=3)


@pytest.mark.parametrize("by_factor", [False, True])
def test_shuffled_folds_or_tables_are_not_warned_of(data, by_factor):
    """KFold sorts the indices of shuffled folds: sorted factors are not enough."""
    X, factors = data
    order = np.argsort(factors[:, 0]) if by_factor else np.arange(len(X))
    cv = SHUFFLED if by_factor else 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_validate(PCA(), X[order], factors[order], scoring=mcc_scorer, cv=cv)


def test_what_cannot_be_scored_is_refused_with_advice(data):
    X, factors = data
    y = factors[:, 0] > 0
    model = LogisticRegression().fit(X, y)
    with pytest.raises(TypeError, match="LogisticRegression has no codes"):
        mig_scorer(model, X, factors)
    with pytest.raises(TypeError, match=r"no step of .* has a transform method"):
        mig_scorer(make_pipeline(LogisticRegression()).fit(X, y), X, factors)
    with pytest.raises(ValueError, match="needs factors"):
        mig_scorer(PCA().fit(X), X)
    named = make_disentanglement_scorer(mutual_info_gap_score, step="vae")
    with pytest.raises(ValueError, match="names a step of a pipeline"):
        named(PCA().fit(X), X, factors)
    with pytest.raises(ValueError, match="not a step of the pipeline"):
        named(make_pipeline(PCA()).fit(X), X, factors)
    with pytest.raises(TypeError, match="must be callable"):
        make_disentanglement_scorer("mig")


def test_a_model_that_keeps_no_component_scores_as_a_constant_one(data):
    X, factors = data
    none = FunctionTransformer(lambda X: np.asarray(X)[:, :0])
    constant = FunctionTransformer(lambda X: np.zeros((len(X), 1)))
    for scorer in (metrics.active_units_scorer, metrics.mig_scorer, metrics.mcc_scorer):
        scores = []
        for model in (none, constant):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                scores.append(scorer(model, X, factors))
        assert scores == [0.0, 0.0]


def test_a_metric_of_several_numbers_is_no_scorer(data):
    X, factors = data
    scorer = metrics.make_disentanglement_scorer(
        metrics.mutual_info_gap_score, average=None
    )
    with pytest.raises(ValueError, match=r"must return one number .* of shape"):
        scorer(PCA(2).fit(X), X, factors)


def test_a_scorer_without_factors_needs_none(data):
    X, _ = data
    scorer = make_disentanglement_scorer(active_units, needs_factors=False)
    assert scorer(Counting(3), X) == 3


def test_a_dict_refuses_a_scorer_of_other_codes():
    apart = make_disentanglement_scorer(mutual_info_gap_score, step="vae")
    with pytest.raises(ValueError, match=r"uses other codes .*step='vae'"):
        make_disentanglement_scorer({"mig": apart, "mcc": mcc_scorer})
    both = {"mig": apart, "mcc": mean_correlation_score}
    assert callable(make_disentanglement_scorer(both, step="vae"))

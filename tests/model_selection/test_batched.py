"""Batched training: results equal those of separate fits, and no task waits forever."""

import contextlib
import copy
import inspect
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 # a switch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import (
    FactorVAETransformer,
    _batch_training,
    _batching,
    _workers,
    core,
)
from skfactorvae.metrics import mig_scorer
from skfactorvae.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    batched_fits,
)

CV = KFold(3, shuffle=True, random_state=0)
GRID = {"gamma": [0.0, 2.0, 20.0], "n_components": [2, 3]}
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def make_vae(**parameters):
    small = {
        "n_components": 3,
        "hidden_layer_sizes": (8,),
        "discriminator_hidden_layer_sizes": (8,),
        "max_iter": 20,
        "batch_size": 16,
        "random_state": 0,
    }
    return FactorVAETransformer(**{**small, **parameters})


@pytest.fixture
def X():
    rng = np.random.RandomState(0)
    return rng.uniform(-1, 1, size=(60, 3)) @ rng.normal(size=(3, 5)) + [0, 1, 5, 2, 3]


@pytest.fixture
def y(X):
    return (X[:, 0] > np.median(X[:, 0])).astype(int)


@pytest.fixture
def stacks(monkeypatch):
    """Sizes of the stacks that are trained."""
    sizes, fit_stack = [], core.fit_stack

    def counted(jobs, schedule, **options):
        sizes.append(len(jobs))
        return fit_stack(jobs, schedule, **options)

    monkeypatch.setattr(core, "fit_stack", counted)
    return sizes


def in_time(function, seconds=60):
    """Return what a function returns; fail if it does not return in time."""
    outcome = []

    def call():
        outcome.append(function())

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it did not return"
    assert outcome, "it raised"
    return outcome[0]


def assert_same_table(ours, theirs):
    """Assert equal keys, order and types, and equal values except times."""
    assert list(ours) == list(theirs)
    for key, expected in theirs.items():
        value = ours[key]
        assert type(value) is type(expected), key
        if isinstance(expected, list):
            assert value == expected, key
            continue
        assert value.dtype == expected.dtype, key
        assert value.shape == expected.shape, key
        if key.startswith("rank"):
            continue  # ranks of scores that differ by rounding
        if expected.dtype.kind == "f" and not key.endswith("_time"):
            np.testing.assert_allclose(value, expected, **CLOSE, err_msg=key)
        elif expected.dtype.kind not in "f":
            assert [repr(v) for v in value] == [repr(v) for v in expected], key


def codes_match(a, b, X):
    np.testing.assert_allclose(a.transform(X), b.transform(X), rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------ the same tables
def two_scores(estimator, X, y=None):
    codes = estimator.transform(X)
    return {"spread": float(codes.std()), "elbo": estimator.score(X)}


def spread(estimator, X, y=None):
    return float(estimator.transform(X).std())


def second(results):
    """A rule for refit."""
    return 1


SCORINGS = {
    "own score": {},
    "callable": {"scoring": spread},
    "dict of callables": {
        "scoring": {"spread": spread, "elbo": lambda e, X, y=None: e.score(X)},
        "refit": "elbo",
    },
    "callable that returns a dict": {"scoring": two_scores, "refit": "spread"},
    "train scores": {"return_train_score": True},
    "a rule for refit": {"scoring": two_scores, "refit": second},
    "no refit": {"refit": False},
}
QUICK = ("own score", "dict of callables")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, id=name, marks=[pytest.mark.slow] * (name not in QUICK))
        for name, options in SCORINGS.items()
    ],
)
def test_a_batched_grid_search_has_the_results_of_the_grid_search(X, stacks, options):
    theirs = GridSearchCV(make_vae(), GRID, cv=CV, **options).fit(X)
    assert set(stacks) == {1}
    stacks.clear()
    ours = BatchedGridSearchCV(make_vae(), GRID, cv=CV, **options).fit(X)
    assert stacks[0] == 18
    assert stacks[1:] == ([1] if options.get("refit", True) else [])
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    assert ours.multimetric_ == theirs.multimetric_
    if options.get("refit", True):
        assert ours.best_index_ == theirs.best_index_
        codes_match(ours, theirs, X)


def test_a_batched_randomized_search_draws_the_same_candidates(X, stacks):
    options = {"n_iter": 4, "cv": CV, "random_state": 3}
    space = {"gamma": [1.0, 2.0, 5.0, 10.0], "random_state": [0, 1]}
    theirs = RandomizedSearchCV(make_vae(), space, **options).fit(X)
    stacks.clear()
    start = time.perf_counter()
    ours = BatchedRandomizedSearchCV(make_vae(), space, **options).fit(X)
    seconds = time.perf_counter() - start
    assert stacks == [12, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    each = ours.cv_results_["mean_fit_time"]  # a share, so that the sum is the time
    scores = 3 * ours.cv_results_["mean_score_time"].sum()
    assert 0 < 3 * each.sum() <= seconds - ours.refit_time_ - scores
    assert set(each) == {each[0]}
    assert not ours.cv_results_["std_fit_time"].any()


@pytest.mark.slow
def test_a_halving_search_trains_each_rung_together(X, stacks):
    search = HalvingGridSearchCV(
        make_vae(),
        {"gamma": [0.0, 1.0, 5.0, 50.0]},
        resource="max_iter",
        min_resources=5,
        max_resources=20,
        factor=2,
        cv=CV,
        random_state=0,
    )
    theirs = clone(search).fit(X)
    stacks.clear()
    with batched_fits():
        ours = search.fit(X)
    assert stacks == [12, 6, 3, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


def test_cross_validation_trains_its_folds_together(X, stacks):
    theirs = cross_validate(make_vae(), X, cv=CV, return_estimator=True)
    stacks.clear()
    with batched_fits():
        ours = cross_validate(make_vae(), X, cv=CV, return_estimator=True)
    assert stacks == [3]
    np.testing.assert_allclose(ours["test_score"], theirs["test_score"], **CLOSE)
    for a, b in zip(ours["estimator"], theirs["estimator"], strict=True):
        codes_match(a, b, X)
        assert a.n_iter_ == b.n_iter_
        np.testing.assert_allclose(
            a.history_["reconstruction"], b.history_["reconstruction"], rtol=1e-4
        )


@pytest.mark.slow
def test_networks_and_budgets_form_stacks_of_their_own(X, stacks):
    grid = {"hidden_layer_sizes": [(8,), (6,)], "max_iter": [10, 20], "gamma": [0, 1]}
    theirs = GridSearchCV(make_vae(), grid, cv=CV).fit(X)
    stacks.clear()
    ours = BatchedGridSearchCV(make_vae(), grid, cv=CV).fit(X)
    assert stacks == [6, 6, 6, 6, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


def test_a_search_clones_and_keeps_its_parameters():
    search = BatchedGridSearchCV(make_vae(), GRID, cv=CV, n_jobs=2, verbose=1)
    copy = clone(search)
    assert copy.get_params()["param_grid"] == GRID
    assert copy.n_jobs == 2
    signatures = map(inspect.signature, (BatchedGridSearchCV, GridSearchCV))
    assert len(set(map(str, signatures))) == 1


# ---------------------------------------------------------- estimators around ours
@pytest.mark.slow
def test_a_pipeline_keeps_its_steps_before_and_after_the_model(X, y, stacks):
    pipe = Pipeline(
        [
            ("scale", StandardScaler()),
            ("vae", make_vae()),
            ("classify", LogisticRegression()),
        ]
    )
    grid = {
        "scale": [StandardScaler(), "passthrough"],
        "vae__gamma": [0.0, 5.0],
        "classify__C": [0.1, 1.0],
    }
    options = {"cv": CV, "scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy"}
    theirs = GridSearchCV(pipe, grid, **options).fit(X, y)
    stacks.clear()
    ours = BatchedGridSearchCV(pipe, grid, **options).fit(X, y)
    assert stacks == [24, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


class Wrapped(TransformerMixin, BaseEstimator):
    """A meta-estimator that rescales the input of the transformer inside it."""

    def __init__(self, transformer):
        self.transformer = transformer

    def fit(self, X, y=None):
        self.transformer_ = clone(self.transformer).fit(np.asarray(X) * 2)
        return self

    def transform(self, X):
        return self.transformer_.transform(np.asarray(X) * 2)

    def score(self, X, y=None):
        return self.transformer_.score(np.asarray(X) * 2)


def test_transformers_inside_other_estimators_are_trained_together(X, stacks):
    grid = {"transformer__gamma": [0.0, 5.0]}
    theirs = GridSearchCV(Wrapped(make_vae()), grid, cv=CV).fit(X)
    stacks.clear()
    ours = BatchedGridSearchCV(Wrapped(make_vae()), grid, cv=CV).fit(X)
    assert stacks == [6, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


class Twice(Wrapped):
    """Two fits, one after another: the second with as many latents as were active."""

    def fit(self, X, y=None):
        first = clone(self.transformer).fit(X)
        n_active = len(first.active_components_)
        second = clone(self.transformer).set_params(n_components=n_active)
        self.transformer_ = second.fit(np.asarray(X) * 2)
        return self


@pytest.mark.slow
def test_successive_fits_of_each_task_are_trained_in_successive_stacks(X, stacks):
    grid = {"transformer__gamma": [0.0, 5.0]}
    theirs = GridSearchCV(Twice(make_vae()), grid, cv=CV).fit(X)
    stacks.clear()
    ours = in_time(lambda: BatchedGridSearchCV(Twice(make_vae()), grid, cv=CV).fit(X))
    assert stacks == [6, 6, 1, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


@pytest.mark.slow
def test_branches_of_a_feature_union_are_trained_together(X, y, stacks):
    union = FeatureUnion(
        [("a", make_vae()), ("b", make_vae(random_state=1)), ("pca", PCA(2))]
    )
    pipe = make_pipeline(union, LogisticRegression())
    grid = {"logisticregression__C": [0.1, 1.0]}
    theirs = GridSearchCV(pipe, grid, cv=CV).fit(X, y)
    stacks.clear()
    ours = in_time(lambda: BatchedGridSearchCV(pipe, grid, cv=CV).fit(X, y))
    assert stacks[0] == 12
    assert_same_table(ours.cv_results_, theirs.cv_results_)


@pytest.mark.slow
def test_a_search_inside_a_cross_validation_trains_all_at_once(X, stacks):
    search = GridSearchCV(make_vae(), {"gamma": [0.0, 5.0]}, cv=CV)
    theirs = cross_validate(search, X, cv=CV)
    stacks.clear()

    def nested():
        with batched_fits():
            return cross_validate(search, X, cv=CV)

    ours = in_time(nested)
    assert stacks == [18, 3]
    np.testing.assert_allclose(ours["test_score"], theirs["test_score"], **CLOSE)


@pytest.mark.parametrize("inner", [BatchedGridSearchCV, GridSearchCV])
def test_a_batched_search_in_a_batched_search_uses_the_same_scheduler(X, stacks, inner):
    search = inner(make_vae(), {"gamma": [0.0, 5.0]}, cv=CV)
    grid = {"estimator__n_components": [2, 3]}
    in_time(lambda: BatchedGridSearchCV(search, grid, cv=CV).fit(X))
    assert stacks == [18, 18, 6, 6, 1]  # searches, their refits; then the refit


def test_other_estimators_are_fitted_as_without_batching(X, y):
    forest = RandomForestClassifier(5, n_jobs=2, random_state=0)
    grid = {"max_depth": [1, 3]}
    theirs = GridSearchCV(forest, grid, cv=CV).fit(X, y)
    ours = in_time(lambda: BatchedGridSearchCV(forest, grid, cv=CV).fit(X, y))
    assert_same_table(ours.cv_results_, theirs.cv_results_)


class Sometimes(Wrapped):
    """Fit the transformer, do not fit it, or raise before or after the fit."""

    def __init__(self, transformer, way="fit"):
        super().__init__(transformer)
        self.way = way

    def fit(self, X, y=None):
        if self.way == "raise before":
            raise RuntimeError("before the fit")
        self.transformer_ = StandardScaler().fit(X)
        if self.way != "without":
            super().fit(X)
        if self.way == "raise after":
            raise RuntimeError("after the fit")
        return self

    def score(self, X, y=None):
        return 1.0 if self.way == "without" else super().score(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_candidates_that_request_no_fit_do_not_block_the_others(X, stacks):
    ways = ["raise before", "fit", "without", "raise after", "fit"]
    search = Sometimes(make_vae()), {"way": ways}
    theirs = GridSearchCV(*search, cv=CV, refit=False).fit(X)
    stacks.clear()
    ours = in_time(lambda: BatchedGridSearchCV(*search, cv=CV, refit=False).fit(X))
    assert stacks == [9]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


# ------------------------------------------------------------------------- failures
@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_invalid_parameters_get_error_score_and_do_not_change_the_others(X, stacks):
    grid = {"gamma": [1.0, -1.0], "n_components": [2, 0]}
    with pytest.warns(FitFailedWarning, match="9 fits failed"):
        theirs = GridSearchCV(make_vae(), grid, cv=CV, refit=False).fit(X)
    stacks.clear()
    with pytest.warns(FitFailedWarning, match="9 fits failed"):
        ours = BatchedGridSearchCV(make_vae(), grid, cv=CV, refit=False).fit(X)
    assert stacks == [3]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


def test_error_score_raise_raises_what_the_candidate_raised(X):
    search = BatchedGridSearchCV(
        make_vae(), {"gamma": [1.0, -1.0]}, cv=CV, error_score="raise"
    )
    before = threading.active_count()
    with pytest.raises(ValueError, match="gamma"):
        search.fit(X)
    assert threading.active_count() == before


def test_a_candidate_that_diverges_does_not_change_the_others(X, stacks):
    wild = X.copy()
    wild[0] = 1e30
    vae = make_vae(standardize=None)
    cv = [(np.arange(1, 60), np.arange(1, 60)), (np.arange(60), np.arange(1, 60))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = BatchedGridSearchCV(vae, {"gamma": [1.0]}, cv=cv, refit=False).fit(wild)
    assert stacks == [2]
    assert any(issubclass(w.category, ConvergenceWarning) for w in caught)
    alone = vae.fit(wild[1:])
    score = ours.cv_results_["split0_test_score"][0]
    np.testing.assert_allclose(score, alone.score(wild[1:]), **CLOSE)


def break_fits(monkeypatch, is_broken):
    """Make stacks fail for which ``is_broken(jobs)``; return their sizes."""
    fit_stack, refused = core.fit_stack, []

    def fragile(jobs, schedule, **options):
        if is_broken(jobs):
            refused.append(len(jobs))
            raise RuntimeError("out of memory")
        return fit_stack(jobs, schedule, **options)

    monkeypatch.setattr(core, "fit_stack", fragile)
    return refused


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
@pytest.mark.slow
def test_a_stack_that_fails_is_halved_until_the_failing_job_is_alone(X, monkeypatch):
    theirs = GridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)
    refused = break_fits(
        monkeypatch,
        lambda jobs: any(
            j.objective.gamma == 2.0 and j.network.n_components == 2 for j in jobs
        ),
    )
    with pytest.warns(FitFailedWarning, match="3 fits failed"):
        ours = BatchedGridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)
    assert refused[0] == 18
    assert refused.count(1) == 3
    scores = ours.cv_results_["mean_test_score"]
    assert np.isnan(scores).tolist() == [False, False, True, False, False, False]
    ok = ~np.isnan(scores)
    expected = theirs.cv_results_["mean_test_score"][ok]
    np.testing.assert_allclose(scores[ok], expected, **CLOSE)


def test_a_stack_too_large_for_the_device_is_halved_until_it_fits(X, monkeypatch):
    refused = break_fits(monkeypatch, lambda jobs: len(jobs) > 5)
    ours = BatchedGridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)
    assert refused == [18, 9, 9]
    assert np.isfinite(ours.cv_results_["mean_test_score"]).all()


# ------------------------------------------------------------- what else must work
def test_sample_weights_and_metadata_are_routed(X, stacks):
    weight = np.random.RandomState(1).uniform(size=len(X))
    vae = make_vae()
    with config_context(enable_metadata_routing=True):
        vae.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        options = {"cv": CV, "param_grid": {"gamma": [0.0, 5.0]}}
        theirs = GridSearchCV(vae, **options).fit(X, sample_weight=weight)
        stacks.clear()
        ours = BatchedGridSearchCV(vae, **options).fit(X, sample_weight=weight)
    assert stacks == [6, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    plain = BatchedGridSearchCV(vae, **options).fit(X)
    a, b = (r.cv_results_["mean_test_score"] for r in (ours, plain))
    assert not np.allclose(a, b)


def test_sample_groups_are_routed(X, stacks):
    groups = np.array([f"day {i // 5}" for i in range(len(X))])
    vae = make_vae(early_stopping=True)
    with config_context(enable_metadata_routing=True):
        vae.set_fit_request(sample_groups="groups")
        options = {"cv": GroupKFold(3), "param_grid": {"gamma": [0.0, 5.0]}}
        theirs = GridSearchCV(vae, **options).fit(X, groups=groups)
        stacks.clear()
        ours = BatchedGridSearchCV(vae, **options).fit(X, groups=groups)
    assert stacks == [6, 1]
    assert_same_table(ours.cv_results_, theirs.cv_results_)


@pytest.mark.slow
def test_early_stopping_is_decided_for_each_model(X):
    vae = make_vae(max_iter=280, early_stopping=True, n_iter_no_change=30)
    grid = {"gamma": [0.0, 50.0], "random_state": [0, 1]}
    kept = {}
    for name, block in [("alone", contextlib.nullcontext()), ("met", batched_fits())]:
        with block:
            fitted = Parallel()(
                delayed(clone(vae).set_params(gamma=g, random_state=s).fit)(X)
                for g in grid["gamma"]
                for s in grid["random_state"]
            )
        kept[name] = [(e.n_iter_, len(e.history_["step"])) for e in fitted]
    assert kept["alone"] == kept["met"]
    assert len(set(kept["met"])) > 1


@pytest.mark.slow
def test_verbose_fits_print_the_lines_that_they_print_alone(X, capsys):
    vae = make_vae(verbose=1, max_iter=40, early_stopping=True, n_iter_no_change=10)
    grid = {"gamma": [0.0, 5.0], "random_state": [0, 1]}
    GridSearchCV(vae, grid, cv=CV, refit=False).fit(X)
    alone = capsys.readouterr().out.splitlines()
    BatchedGridSearchCV(vae, grid, cv=CV, refit=False).fit(X)
    met = capsys.readouterr().out.splitlines()
    steps = [
        sorted(line.split("reconstruction")[0] for line in out) for out in (alone, met)
    ]
    assert steps[0] == steps[1]
    assert alone


def test_equal_folds_are_in_memory_once(X, monkeypatch):
    tables, fit_stack = [], core.fit_stack

    def counted(jobs, schedule, **options):
        tables.append(len({id(job.rows) for job in jobs}))
        return fit_stack(jobs, schedule, **options)

    monkeypatch.setattr(core, "fit_stack", counted)
    BatchedGridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)
    assert tables == [3]
    pipe = make_pipeline(PCA(), make_vae())
    grid = {
        "pca__n_components": [3],
        "pca__whiten": [True, False],
        "factorvaetransformer__gamma": [0.0, 1.0],
        "factorvaetransformer__standardize": [None],
    }
    BatchedGridSearchCV(pipe, grid, cv=CV, refit=False).fit(X)
    assert tables == [3, 6]


def test_the_global_random_state_is_drawn_from_in_order(X):
    search = make_vae(random_state=None), {"gamma": [0.0, 5.0]}
    tables = []
    for cls in (GridSearchCV, BatchedGridSearchCV):
        np.random.seed(0)
        tables.append(cls(*search, cv=CV).fit(X).cv_results_)
    assert_same_table(tables[1], tables[0])


def test_each_task_has_its_own_warning_filters():
    """They are restored, although blocks of tasks overlap."""
    before = list(warnings.filters)
    X = np.random.RandomState(0).normal(size=(60, 5))

    def task(k):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mine = list(warnings.filters)
            make_vae(gamma=float(k)).fit(X)
            assert warnings.filters == mine
            warnings.warn(f"from {k}", UserWarning, stacklevel=1)
        return [str(w.message) for w in caught]

    with batched_fits():
        caught = in_time(lambda: Parallel()(delayed(task)(k) for k in range(4)))
        here = Parallel()(delayed(task)(k) for k in range(4))
    assert caught == here == [[f"from {k}"] for k in range(4)]
    assert warnings.filters == before


def test_configuration_reaches_the_tasks(X):
    with config_context(transform_output="pandas"), batched_fits():
        seen = BatchedGridSearchCV(
            make_vae(),
            {"gamma": [1.0]},
            cv=CV,
            scoring=lambda e, X, y=None: float(
                get_config()["transform_output"] == "pandas"
                and hasattr(e.transform(X), "columns")
            ),
        ).fit(X)
    assert seen.best_score_ == 1.0


def test_the_block_does_not_change_a_single_fit(X, stacks):
    alone = make_vae().fit(X)
    with batched_fits():
        inside = make_vae().fit(X)
    assert stacks == [1, 1]
    np.testing.assert_array_equal(alone.transform(X), inside.transform(X))


def test_two_threads_have_schedulers_of_their_own(X, stacks):
    def search():
        return BatchedGridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)

    tables = []
    threads = [
        threading.Thread(target=lambda: tables.append(search()), daemon=True)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(tables) == 2
    assert stacks == [18, 18]
    assert_same_table(tables[0].cv_results_, tables[1].cv_results_)


def test_a_fit_in_a_thread_started_by_a_task_is_trained_at_once(X, stacks):
    def task():
        return in_time(lambda: make_vae().fit(X).transform(X))

    with batched_fits():
        codes = in_time(lambda: Parallel()(delayed(task)() for _ in range(2)))
        here = Parallel()(delayed(task)() for _ in range(2))
    assert stacks == [1] * 4
    np.testing.assert_array_equal(here[0], codes[0])


@pytest.mark.slow
def test_the_number_of_waiting_fits_is_bounded(X, stacks):
    with batched_fits(max_models=4):
        ours = GridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)
    assert stacks == [4, 4, 4, 4, 2]
    theirs = GridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)
    assert_same_table(ours.cv_results_, theirs.cv_results_)


def test_the_memory_of_waiting_tables_is_bounded(X, stacks, monkeypatch):
    monkeypatch.setattr(_batching, "_free_memory", lambda: 4 * 2 * 40 * 5 * 4)
    BatchedGridSearchCV(make_vae(), GRID, cv=CV, refit=False).fit(X)
    assert sum(stacks) == 18
    assert len(stacks) > 1


def test_a_timeout_is_not_used_and_warned_of(X):
    fits = [delayed(make_vae().fit)(X) for _ in range(2)]
    with batched_fits(), pytest.warns(UserWarning, match="does not support timeout"):
        fitted = Parallel(n_jobs=2, timeout=1e-9)(fits)
    assert [model.n_iter_ for model in fitted] == [make_vae().max_iter] * 2


def test_a_generator_of_results_is_run_lazily(X):
    with batched_fits():
        fitted = Parallel(n_jobs=2, return_as="generator")(
            delayed(make_vae(gamma=g).fit)(X) for g in (0.0, 1.0)
        )
        assert [e.gamma for e in fitted] == [0.0, 1.0]


def test_the_predictions_of_a_cross_validation_are_in_order(X, y):
    pipe = make_pipeline(make_vae(), LogisticRegression())
    theirs = cross_val_predict(pipe, X, y, cv=CV, method="predict_proba")
    with batched_fits():
        ours = cross_val_predict(pipe, X, y, cv=CV, method="predict_proba")
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------------- interruption
@pytest.fixture
def quiet_end():
    """Assert that no thread and no fit remains after the search."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_an_interrupted_training_ends_all_tasks(X, monkeypatch, quiet_end):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(core, "fit_stack", interrupted)
    vae = make_vae()
    search = BatchedGridSearchCV(vae, GRID, cv=CV)
    filters = list(warnings.filters)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X)
    assert not hasattr(search, "cv_results_")
    assert warnings.filters == filters


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a POSIX timer")
def test_an_interrupt_while_a_task_runs_waits_for_it_and_ends_the_rest(quiet_end):
    started, finished = [], []

    def task(k):
        started.append(k)
        if k == 1:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            threading.Event().wait(0.3)
        finished.append(k)

    def interrupt(*_):
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGALRM, interrupt)
    try:
        with batched_fits(), pytest.raises(KeyboardInterrupt):
            Parallel()(delayed(task)(k) for k in range(5))
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert started == finished == [0, 1]


def test_a_failed_task_ends_the_waiting_ones(X, quiet_end):
    """The error of a nested call is raised in its caller; the other tasks continue."""

    def inner(k):
        if k == 2:
            raise RuntimeError("inner")
        return make_vae(gamma=float(k)).fit(X).gamma

    def outer(j):
        try:
            return Parallel()(delayed(inner)(k) for k in range(3 if j else 2))
        except RuntimeError:
            return Parallel()(delayed(inner)(k) for k in (5, 6))

    with batched_fits():
        found = Parallel()(delayed(outer)(j) for j in range(2))
    assert found == [[0.0, 1.0], [5.0, 6.0]]


class Classifier(ClassifierMixin, BaseEstimator):
    """Interrupt its second fit."""

    fits = 0

    def fit(self, X, y):
        make_vae().fit(X)
        type(self).fits += 1
        if type(self).fits == 2:
            raise KeyboardInterrupt
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X))


def test_an_interrupt_inside_a_task_reaches_the_caller(X, y, quiet_end, monkeypatch):
    monkeypatch.setattr(Classifier, "fits", 0)
    with batched_fits(), pytest.raises(KeyboardInterrupt):
        cross_validate(Classifier(), X, y, cv=CV)
    assert Classifier.fits == 2


# ------------------------------------------------------------------ where to train
def test_networks_that_are_not_faster_in_a_stack_are_not_stacked(X, stacks):
    vae = make_vae(discriminator_hidden_layer_sizes=(1200, 1200, 1200), max_iter=2)
    wide = vae.set_params(batch_size=64)
    with batched_fits():
        cross_validate(wide, X, cv=CV)
    assert stacks == [1, 1, 1]


@pytest.mark.slow
def test_other_processes_give_the_results_of_this_one(X, monkeypatch):
    monkeypatch.setattr(_batch_training, "PROCESS_EFFORT", 0)
    here = BatchedGridSearchCV(make_vae(), GRID, cv=CV).fit(X)
    there = BatchedGridSearchCV(make_vae(), GRID, cv=CV, n_jobs=2).fit(X)
    assert_same_table(there.cv_results_, here.cv_results_)


def test_fits_that_cannot_be_sent_to_a_process_are_trained_in_this_one(
    X, stacks, monkeypatch
):
    monkeypatch.setattr(_batch_training, "PROCESS_EFFORT", 0)

    def refuse(*_, **__):
        raise RuntimeError("a worker died")

    monkeypatch.setattr(_workers, "Parallel", refuse)
    BatchedGridSearchCV(make_vae(), GRID, cv=CV, n_jobs=2, refit=False).fit(X)
    assert stacks == [9, 9]


class TestMissingFactors:
    """A scorer that needs factors is refused before anything is fitted."""

    class NeverFitted(PCA):
        def fit(self, X, y=None):
            raise AssertionError("fitted")

        fit_transform = fit

    @pytest.mark.parametrize("scoring", [mig_scorer, {"gap": mig_scorer}])
    @pytest.mark.parametrize("search", [BatchedGridSearchCV, BatchedRandomizedSearchCV])
    def test_without_factors_nothing_is_fitted(self, search, scoring):
        candidates = {"n_components": [1, 2]}
        options = {} if search is BatchedGridSearchCV else {"n_iter": 1}
        model = search(
            self.NeverFitted(), candidates, scoring=scoring, refit=False, **options
        )
        with pytest.raises(ValueError, match="needs factors: pass them as y"):
            model.fit(np.eye(9))

    def test_factors_may_be_metadata_of_another_name(self):
        scorer = copy.deepcopy(mig_scorer)
        with config_context(enable_metadata_routing=True):
            scorer.set_score_request(factors="truth")
            scorer.check_factors(None, {"truth": np.eye(3)})
            with pytest.raises(ValueError, match="needs factors"):
                scorer.check_factors(None, {"factors": np.eye(3)})

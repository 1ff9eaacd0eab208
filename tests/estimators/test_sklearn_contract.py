"""Every public transformer meets scikit-learn's requirements."""

import inspect
from unittest import SkipTest

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import skfactorvae
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.metrics import mig_scorer

SHORT = {
    "hidden_layer_sizes": (16,),
    "discriminator_hidden_layer_sizes": (16,),
    "max_iter": 20,
    "batch_size": 32,
}

TRANSFORMERS = [
    member
    for name in skfactorvae.__all__
    if inspect.isclass(member := getattr(skfactorvae, name))
    and issubclass(member, TransformerMixin)
]

each_transformer = pytest.mark.parametrize(
    "Transformer", TRANSFORMERS, ids=lambda cls: cls.__name__
)

OWN_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]
"""What scikit-learn asks of its own estimators and does not ask of others."""


def short(cls):
    known = inspect.signature(cls).parameters
    return cls(**{name: value for name, value in SHORT.items() if name in known})


def keeps(check, *arguments):
    """Run a check; a check that is skipped counts as failed."""
    try:
        check(*arguments)
    except SkipTest as reason:
        pytest.fail(f"The check was skipped: {reason}")


# ---------------------------------------------------------- scikit-learn's checks
yielded = parametrize_with_checks([short(cls) for cls in TRANSFORMERS])
names, cases = yielded.args
EIGHT_FORMATS = "check_estimator_sparse_array", "check_estimator_sparse_matrix"
"""Checks that fit eight formats of sparse tables, which takes long."""


def with_tier(estimator, check):
    marks = [pytest.mark.member(type(estimator).__name__)]
    if check.func.__name__ in EIGHT_FORMATS:
        marks.append(pytest.mark.slow)
    return pytest.param(estimator, check, marks=marks)


cases = [with_tier(*case) for case in cases]


@pytest.mark.one_member
@pytest.mark.parametrize(names, cases, **yielded.kwargs)
def test_scikit_learns_checks_hold(estimator, check):
    keeps(check, estimator)


# The checks themselves fit frames and transform arrays.
@pytest.mark.one_member
@pytest.mark.filterwarnings("ignore:X .* feature names, but:UserWarning")
@pytest.mark.parametrize("check", OWN_CHECKS)
@each_transformer
def test_scikit_learns_checks_of_its_own_estimators_hold(Transformer, check):
    keeps(getattr(estimator_checks, check), Transformer.__name__, short(Transformer))


@each_transformer
def test_no_check_is_expected_to_fail(Transformer):
    tags = get_tags(Transformer())
    assert not getattr(tags, "_xfail_checks", None)
    assert not tags._skip_test
    assert not tags.non_deterministic


@each_transformer
def test_every_parameter_has_a_constraint(Transformer):
    names = set(Transformer().get_params())
    assert set(Transformer._parameter_constraints) == names


@each_transformer
def test_only_the_number_of_components_is_positional(Transformer):
    parameters = list(inspect.signature(Transformer).parameters.values())
    assert parameters[0].name == "n_components"
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[1:])


# ------------------------------------------------------------------ composition
def test_grid_search_selects_by_factors(small):
    """A pipeline in a search, scored against known factors, and inverted."""
    X, factors = make_nonlinear_ica(n_samples=150, random_state=0)
    pipe = Pipeline([("scale", StandardScaler()), ("vae", small())])
    grid = {"vae__n_components": [2, 4]}
    if "gamma" in pipe["vae"].get_params():
        grid["vae__gamma"] = [0, 10]
    search = GridSearchCV(
        pipe, grid, scoring=mig_scorer, cv=KFold(3, shuffle=True, random_state=0)
    )
    search.fit(X, factors[:, :2])  # no more than any model has components
    width = search.best_params_["vae__n_components"]
    codes = search.best_estimator_.transform(X)
    back = search.best_estimator_.inverse_transform(codes)
    assert codes.shape == (len(X), width)
    assert codes.dtype == np.float32
    assert back.shape == X.shape
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.one_member
def test_pipeline_inverts_back_to_the_units_of_its_input(small, X):
    alone = small(max_iter=200).fit(X)
    scaled = make_pipeline(StandardScaler(), small(max_iter=200)).fit(X)
    for model in (alone, scaled):
        back = model.inverse_transform(model.transform(X))
        away = back.mean(axis=0) - X.mean(axis=0)
        assert (np.abs(away) < X.std(axis=0)).all()
        assert back.dtype == X.dtype


def test_feature_union_places_codes_side_by_side(small, X):
    union = FeatureUnion([("a", small()), ("b", small(random_state=1))]).fit(X)
    a, b = (part for _, part in union.transformer_list)
    expected = np.hstack([a.transform(X), b.transform(X)])
    np.testing.assert_array_equal(union.transform(X), expected)


def test_column_transformer_encodes_a_block_of_columns(small, X):
    frame = pd.DataFrame(X, columns=list("abcde"))
    split = ColumnTransformer([("vae", small(), list("abc"))], remainder="passthrough")
    out = split.fit_transform(frame)
    expected = small().fit_transform(frame[list("abc")])
    np.testing.assert_array_equal(out[:, :3], expected)
    np.testing.assert_array_equal(out[:, 3:], frame[["d", "e"]])


def test_cross_validation_scores_held_out_elbo(small, X):
    result = cross_validate(small(), X, cv=3, return_estimator=True)
    first, test = next(KFold(3).split(X))
    alone = small().fit(X[first])
    assert result["test_score"][0] == alone.score(X[test])


@pytest.mark.slow
def test_searches_give_the_same_scores_in_one_and_two_processes(small, X):
    grid = {"learning_rate": [1e-3, 1e-2]}
    here, there = (
        GridSearchCV(small(), grid, cv=2, n_jobs=n_jobs).fit(X) for n_jobs in (1, 2)
    )
    for name in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(here.cv_results_[name], there.cv_results_[name])


def test_frozen_transformer_is_not_fitted_again(small, X):
    fitted = small().fit(X)
    before = fitted.transform(X)
    y = np.arange(len(X)) % 2
    model = make_pipeline(FrozenEstimator(fitted), LogisticRegression()).fit(X + 1, y)
    assert model[0].estimator is fitted
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_clone_is_unfitted_and_equal_in_parameters(small, X):
    fitted = small(hidden_layer_sizes=[4, 4]).fit(X)
    copy = clone(fitted)
    assert not hasattr(copy, "weights_")
    assert copy.get_params() == fitted.get_params()


# ------------------------------------------------------------------- containers
@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_frames_are_accepted_and_returned(small, X, library):
    frame = library.DataFrame({f"f{i}": column for i, column in enumerate(X.T)})
    kind = library.__name__
    model = small().set_output(transform=kind).fit(frame)
    codes = model.transform(frame)
    assert isinstance(codes, library.DataFrame)
    assert list(codes.columns) == list(model.get_feature_names_out())
    np.testing.assert_array_equal(codes, small().fit_transform(X))


def test_feature_names_count_the_components(small, X):
    model = small(n_components=2).fit(X)
    prefix = type(model).__name__.lower()
    assert list(model.get_feature_names_out()) == [f"{prefix}0", f"{prefix}1"]


def test_renamed_columns_are_refused(small, X):
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = small().fit(frame)
    assert list(model.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame.rename(columns={"a": "z"}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_codes_are_single_and_rows_come_back_in_the_dtype_of_the_fit(small, X, dtype):
    X = X.astype(dtype)
    model = small().fit(X)
    codes = model.transform(X)
    assert codes.dtype == np.float32
    assert model.inverse_transform(codes).dtype == dtype
    assert model.sample(2).dtype == dtype


# ---------------------------------------------------------------------- weights
@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_routed_weights_reach_the_fit(small, X, routing):
    weight = np.arange(len(X), dtype=float)
    step = small().set_fit_request(sample_weight=True)
    pipe = make_pipeline(step).fit(X, sample_weight=weight)
    expected = small().fit(X, sample_weight=weight).transform(X)
    np.testing.assert_array_equal(pipe.transform(X), expected)


def test_routed_weights_reach_the_score_of_a_search(small, X, routing):
    weight = np.where(np.arange(len(X)) % 2, 1.0, 3.0)
    model = small().set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"learning_rate": [1e-2]}, cv=2)
    search.fit(X, sample_weight=weight)
    train, test = next(KFold(2).split(X))
    alone = small(learning_rate=1e-2).fit(X[train], sample_weight=weight[train])
    expected = alone.score(X[test], sample_weight=weight[test])
    assert search.cv_results_["split0_test_score"][0] == expected


@pytest.fixture
def subjects(X):
    """Group of each sample, as strings."""
    return np.array([f"subject {i}" for i in np.arange(len(X)) % 8])


@pytest.mark.takes("early_stopping")
def test_routed_groups_reach_the_fit(small, X, subjects, routing):
    step = small(early_stopping=True).set_fit_request(sample_groups=True)
    pipe = make_pipeline(StandardScaler(), step).fit(X, sample_groups=subjects)
    codes = StandardScaler().fit_transform(X)
    expected = small(early_stopping=True).fit(codes, sample_groups=subjects)
    np.testing.assert_array_equal(pipe.transform(X), expected.transform(codes))
    other = small(early_stopping=True).fit(codes)
    assert not np.array_equal(pipe.transform(X), other.transform(codes))


@pytest.mark.takes("early_stopping")
def test_groups_by_another_name_reach_the_fits_and_the_splits_of_a_search(
    small, X, subjects, routing
):
    model = small(early_stopping=True).set_fit_request(sample_groups="groups")
    cv = GroupKFold(2)
    search = GridSearchCV(model, {"learning_rate": [1e-2]}, cv=cv)
    search.fit(X, groups=subjects)
    train, test = next(cv.split(X, groups=subjects))
    alone = small(early_stopping=True, learning_rate=1e-2)
    alone.fit(X[train], sample_groups=subjects[train])
    assert search.cv_results_["split0_test_score"][0] == alone.score(X[test])


def test_groups_reach_a_fit_transform(small, X, subjects):
    codes = small().fit_transform(X, sample_groups=subjects)
    expected = small().fit(X, sample_groups=subjects).transform(X)
    np.testing.assert_array_equal(codes, expected)


def test_weights_reach_a_step_by_its_prefix(small, X):
    weight = np.arange(len(X), dtype=float)
    pipe = Pipeline([("vae", small())]).fit(X, vae__sample_weight=weight)
    expected = small().fit(X, sample_weight=weight).transform(X)
    np.testing.assert_array_equal(pipe.transform(X), expected)

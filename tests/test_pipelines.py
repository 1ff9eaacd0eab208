"""The model is found in every kind of pipeline, and the steps before it are applied."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 # a switch
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)

from skfactorvae import FactorVAETransformer
from skfactorvae._pipelines import FoundModel, find_model, flatten, is_imputer

POSTERIOR = ("posterior", "transform")


class Sampler(BaseEstimator):
    """Step that acts in ``fit`` only, as samplers of other libraries do."""

    def fit_resample(self, X, y):
        return X, y


@pytest.fixture
def X():
    return np.random.RandomState(0).normal(size=(60, 4))


@pytest.fixture
def y(X):
    return X[:, 0] > 0


def around(model):
    """Return the model alone and in pipelines of every kind."""
    inner = make_pipeline(StandardScaler(), model)
    ends_with_classifier = make_pipeline(model, LogisticRegression())
    return {
        "alone": model,
        "first": ends_with_classifier,
        "nested": Pipeline([("inner", inner), ("classifier", LogisticRegression())]),
        "nested at the end": make_pipeline(SimpleImputer(), inner),
        "scaled after": make_pipeline(model, StandardScaler(), LogisticRegression()),
        "skipped steps": Pipeline(
            [("off", "passthrough"), ("none", None), ("model", model), ("end", None)]
        ),
    }


@pytest.mark.parametrize("place", around(PCA()))
def test_the_model_is_found_at_every_place(place):
    model = FactorVAETransformer()
    assert find_model(around(model)[place], POSTERIOR).model is model


@pytest.mark.parametrize("place", around(PCA()))
def test_codes_are_those_of_the_model_applied_by_hand(place, X, y):
    estimator = around(PCA(2))[place].fit(X, y)
    found = find_model(estimator, ("explained_variance_", "transform"))
    scaled = "nested" in place
    rows = StandardScaler().fit_transform(X) if scaled else X
    expected = PCA(2).fit(rows).transform(rows)
    np.testing.assert_allclose(found.codes(X), expected, atol=1e-12)
    np.testing.assert_allclose(found.transform_before(X), rows, atol=1e-12)


def test_a_fitted_search_stands_for_its_best_estimator(X, y):
    pipe = make_pipeline(PCA(2), LogisticRegression())
    search = GridSearchCV(pipe, {"pca__whiten": [True]}, cv=2).fit(X, y)
    assert find_model(search).model is search.best_estimator_[0]
    inside = GridSearchCV(PCA(2), {"whiten": [True]}, cv=2).fit(X)
    outer = Pipeline([("search", inside), ("end", LogisticRegression())])
    assert find_model(outer).model is inside.best_estimator_
    unfitted = GridSearchCV(PCA(2), {"whiten": [True]})
    assert find_model(unfitted, ("fit",)).model is unfitted


def test_methods_are_tried_in_order_and_later_steps_win():
    steps = [FactorVAETransformer(), PCA(), StandardScaler(), LogisticRegression()]
    pipe = make_pipeline(*steps)
    assert find_model(pipe, POSTERIOR).model is steps[0]
    assert find_model(pipe, ("components_", "transform")).model is steps[2]
    assert find_model(pipe, ("predict", "transform")).model is steps[3]
    assert find_model(pipe, ("tell",)) is None
    assert find_model(LogisticRegression()) is None


class TestNamedSteps:
    @pytest.fixture
    def pipe(self):
        inner = Pipeline([("pca", PCA(2)), ("scale", StandardScaler())])
        return Pipeline(
            [("inner", inner), ("off", "passthrough"), ("end", LogisticRegression())]
        )

    @pytest.mark.parametrize(
        ("step", "name"),
        [
            ("inner__pca", "inner__pca"),
            ("inner__scale", "inner__scale"),
            ("inner", "inner__scale"),
            ("off", "inner__scale"),
        ],
    )
    def test_the_named_step_is_the_model(self, pipe, step, name):
        assert find_model(pipe, step=step).model is dict(flatten(pipe))[name]

    def test_a_named_step_without_the_method_is_not_replaced_by_another(self, pipe):
        assert find_model(pipe, step="end") is None

    def test_unknown_names_raise(self, pipe):
        with pytest.raises(ValueError, match=r"'vae' is not a step of .*inner__pca"):
            find_model(pipe, step="vae")
        with pytest.raises(ValueError, match="step='vae' names a step of a pipeline"):
            find_model(PCA(), step="vae")


class TestAroundTheModel:
    def test_steps_have_full_names(self):
        inner = Pipeline([("scale", StandardScaler()), ("pca", PCA())])
        found = find_model(Pipeline([("inner", inner), ("end", LogisticRegression())]))
        assert [name for name, _ in found.before] == ["inner__scale"]
        assert [name for name, _ in found.after] == ["end"]
        assert found.first_step is inner[0]
        assert find_model(PCA()).before == find_model(PCA()).after == ()

    def test_samplers_do_not_act_on_new_samples(self, X):
        pipe = Pipeline([("sample", Sampler()), ("pca", PCA(2).fit(X))])
        assert find_model(pipe).before == ()

    def test_sparse_codes_are_made_dense(self, X):
        pipe = make_pipeline(FunctionTransformer(np.sign), OneHotEncoder()).fit(X)
        codes = find_model(pipe).codes(X)
        assert codes.shape == (60, 8)
        assert codes.sum() == 240

    def test_other_methods_give_codes_too(self, X, y):
        pipe = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
        codes = find_model(pipe, ("predict_proba",)).codes(X, "predict_proba")
        np.testing.assert_array_equal(codes, pipe.predict_proba(X))

    @pytest.mark.parametrize(
        ("after", "expected"),
        [
            ([], True),
            ([StandardScaler(), MinMaxScaler()], True),
            ([StandardScaler(), LogisticRegression()], True),
            ([PCA()], False),
            ([StandardScaler(), PCA(), LogisticRegression()], False),
        ],
    )
    def test_scalers_keep_columns_and_rotations_do_not(self, after, expected):
        pipe = make_pipeline(FactorVAETransformer(), *after)
        assert find_model(pipe, POSTERIOR).keeps_columns() is expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (SimpleImputer(), True),
        (KNNImputer(), True),
        (IterativeImputer(), True),
        (MissingIndicator(), False),
        (StandardScaler(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_imputers_are_recognised(step, expected):
    assert is_imputer(step) is expected


class Plain(TransformerMixin, BaseEstimator):
    """Transformer of a user."""

    def transform(self, X):
        return X


def test_any_transformer_can_be_the_model():
    assert isinstance(find_model(Plain()), FoundModel)

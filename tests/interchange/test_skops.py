"""Files of skops: our classes are trusted, and others are named."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skfactorvae
from skfactorvae.files import ModelFileError
from skfactorvae.interchange import load_skops
from skfactorvae.model_selection import SeedEnsemble

skops_io = pytest.importorskip("skops.io")

CLASSES = [n for n in skfactorvae.__all__ if n.endswith("Transformer")]


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).normal(size=(40, 6))


def small(name, **parameters):
    cls = getattr(skfactorvae, name)
    return cls(3, hidden_layer_sizes=8, max_iter=4, random_state=0, **parameters)


class Foreign(TransformerMixin, BaseEstimator):
    """A class that is not of the package."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize("name", CLASSES)
def test_the_only_type_to_trust_is_the_class_itself(name, X):
    model = small(name).fit(X, (X[:, 0] > 0).astype(float))
    blob = skops_io.dumps(model)
    wanted = skops_io.get_untrusted_types(data=blob)
    assert wanted == [f"{type(model).__module__}.{name}"]
    loaded = skops_io.loads(blob, trusted=wanted)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


def test_a_pipeline_is_loaded_without_a_list(X, tmp_path):
    pipeline = make_pipeline(
        StandardScaler(), small("FactorVAETransformer"), LogisticRegression()
    ).fit(X, X[:, 0] > 0)
    skops_io.dump(pipeline, tmp_path / "model.skops")
    loaded = load_skops(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))


def test_an_ensemble_is_loaded_without_a_list(X, tmp_path):
    model = SeedEnsemble(small("BetaVAETransformer"), n_seeds=2, random_state=0).fit(X)
    skops_io.dump(model, tmp_path / "model.skops")
    loaded = load_skops(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.transform_all(X), model.transform_all(X))


def test_other_types_are_named_and_refused(X, tmp_path):
    path = tmp_path / "model.skops"
    pipeline = make_pipeline(Foreign(), small("BetaVAETransformer")).fit(X)
    skops_io.dump(pipeline, path)
    name = f"{Foreign.__module__}.Foreign"
    with pytest.raises(ModelFileError, match=rf"{name}\. Loading.*trusted=") as error:
        load_skops(path)
    assert "BetaVAETransformer" not in str(error.value)
    np.testing.assert_array_equal(
        load_skops(path, trusted=[name]).transform(X), pipeline.transform(X)
    )
    with pytest.raises(TypeError, match="list of names"):
        load_skops(path, trusted=name)

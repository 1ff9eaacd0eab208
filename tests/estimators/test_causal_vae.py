"""Interventions on labelled components, and the structural model that they follow."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

import skfactorvae
from skfactorvae import CausalVAETransformer, core
from skfactorvae.model_selection import SeedEnsemble

NAMES = ["lamp", "pole", "shadow"]
GRAPH = pd.DataFrame([[0, 0, 1], [0, 0, 1], [0, 0, 0]], NAMES, NAMES)
SMALL = {
    "n_components": 4,
    "graph": GRAPH,
    "hidden_layer_sizes": (8,),
    "structural_hidden_layer_sizes": (8,),
    "max_iter": 6,
    "batch_size": 16,
    "init": "pca",
    "random_state": 0,
}


def table(n=200, seed=0):
    """Return samples and three attributes, the third an effect of the others."""
    rng = np.random.default_rng(seed)
    lamp, pole = rng.uniform(-1, 1, size=(2, n))
    attributes = np.column_stack([lamp, pole, shadow_of(lamp, pole)])
    attributes[:, 2] += 0.05 * rng.normal(size=n)
    return samples_of(attributes, rng), pd.DataFrame(attributes, columns=NAMES)


def shadow_of(lamp, pole):
    return lamp**2 + pole


def samples_of(attributes, rng=None):
    mixing = np.random.default_rng(7).normal(size=(3, 8))
    X = np.tanh(attributes @ mixing)
    return X if rng is None else X + 0.05 * rng.normal(size=X.shape)


@pytest.fixture(scope="module")
def small():
    X, y = table()
    return CausalVAETransformer(**SMALL).fit(X, y), X


@pytest.fixture(scope="module")
def trained():
    X, y = table(1000)
    settings = {"max_iter": 1500, "weight_decay": 0.0, "random_state": 0}
    return CausalVAETransformer(4, graph=GRAPH, **settings).fit(X, y)


# ----------------------------------------------------------------------- interventions
@pytest.mark.slow
class TestTrained:
    def test_effects_follow_their_causes(self, trained):
        X, y = table(300, seed=1)
        after, found = trained.intervene({"lamp": 0.8}, X, return_attributes=True)
        expected = y.to_numpy().copy()
        expected[:, 2] += 0.8**2 - expected[:, 0] ** 2
        expected[:, 0] = 0.8
        assert r2_score(expected[:, 2], found[:, 2]) > 0.9
        assert r2_score(samples_of(expected), after) > 0.9

    def test_the_structural_model_is_sampled(self, trained):
        new = trained.predict_attributes(
            trained.sample(1000, noise=False, random_state=0)
        )
        assert r2_score(new[:, 2], shadow_of(*new[:, :2].T)) > 0.8

    def test_noise_of_an_effect_is_less_than_its_spread(self, trained):
        _, y = table(1000)
        share = trained.structural_noise_ / y.std().to_numpy()
        assert share[2] < 0.3
        np.testing.assert_allclose(share[:2], 1, atol=0.01)

    def test_attributes_are_predicted(self, trained):
        X, y = table(300, seed=1)
        assert r2_score(y, trained.predict_attributes(X)) > 0.9


def test_without_values_nothing_changes(small):
    model, X = small
    expected = model.inverse_transform(model.transform(X).astype(np.float64))
    np.testing.assert_array_equal(model.intervene({}, X), expected)


def test_causes_are_left_as_they_are(small):
    model, X = small
    before = model.predict_attributes(X)
    _, after = model.intervene({"shadow": 3.0}, X, return_attributes=True)
    np.testing.assert_array_equal(after[:, :2], before[:, :2])
    np.testing.assert_allclose(after[:, 2], 3.0)


def test_an_attribute_that_is_set_does_not_follow(small):
    model, X = small
    values = {"lamp": np.linspace(-1, 1, len(X)), "shadow": 0.0}
    _, after = model.intervene(values, X, return_attributes=True)
    np.testing.assert_allclose(after[:, 0], values["lamp"])
    np.testing.assert_allclose(after[:, 2], 0.0, atol=1e-12)


def test_the_order_of_values_does_not_matter(small):
    model, X = small
    one = model.intervene({"lamp": 0.5, "pole": -0.5}, X)
    np.testing.assert_array_equal(one, model.intervene({1: -0.5, 0: 0.5}, X))


def test_setting_an_attribute_to_its_value_changes_nothing(small):
    model, X = small
    own = model.predict_attributes(X)
    before = model.intervene({}, X)
    for j, name in enumerate(NAMES):
        after = model.intervene({name: own[:, j]}, X)
        np.testing.assert_allclose(after, before, atol=1e-5)


# ------------------------------------------------------------------------ the estimator
def test_a_graph_is_an_array_or_a_frame():
    X, y = table()
    frame = CausalVAETransformer(**SMALL).fit(X, y)
    array = CausalVAETransformer(**(SMALL | {"graph": GRAPH.to_numpy()})).fit(X, y)
    assert frame.graph_.tolist() == array.graph_.tolist()
    np.testing.assert_array_equal(frame.transform(X), array.transform(X))


def test_a_graph_changes_the_fit():
    X, y = table()
    plain = CausalVAETransformer(**(SMALL | {"graph": None})).fit(X, y)
    assert not plain.graph_.any()
    np.testing.assert_allclose(plain.structural_noise_, y.std(ddof=0))
    other = CausalVAETransformer(**SMALL).fit(X, y)
    assert not np.array_equal(plain.transform(X), other.transform(X))


def test_a_graph_is_learned_from_labels():
    X, y = table(500)
    y.iloc[400:, 2] = np.nan
    model = CausalVAETransformer(**(SMALL | {"graph": "learn"})).fit(X, y)
    assert model.graph_.tolist() == GRAPH.to_numpy().tolist()


def test_unknown_labels_are_left_out():
    X, y = table()
    y.iloc[30:] = np.nan
    model = CausalVAETransformer(**SMALL).fit(X, y)
    assert np.isfinite(model.intervene({"lamp": 0.0}, X)).all()


def test_an_integer_weight_equals_repetition():
    X, y = table(60)
    weight = np.arange(60) % 3 + 1
    weighted = CausalVAETransformer(**SMALL).fit(X, y, sample_weight=weight)
    rows = np.repeat(np.arange(60), weight)
    repeated = CausalVAETransformer(**SMALL).fit(X[rows], y.iloc[rows])
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))


def test_searches_and_ensembles_take_labels():
    X, y = table(120)
    search = GridSearchCV(
        CausalVAETransformer(**SMALL), {"supervision": [1, 5]}, cv=2
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    ensemble = SeedEnsemble(CausalVAETransformer(**SMALL), n_seeds=2).fit(X, y)
    assert ensemble.transform(X).shape[0] == 120


def test_a_fit_is_continued_with_its_graph_alone():
    X, y = table()
    model = CausalVAETransformer(**(SMALL | {"warm_start": True})).fit(X, y)
    model.fit(X, y)
    for other in (None, GRAPH.T):
        with pytest.raises(ValueError, match=r"graph': .*warm_start=False, or restore"):
            model.set_params(graph=other).fit(X, y)
    assert model.graph_.tolist() == GRAPH.to_numpy().tolist()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_learned_graph_stays_when_training_goes_on(method):
    X, y = table()
    options = SMALL | {"graph": "learn", "warm_start": True}
    model = getattr(CausalVAETransformer(**options), method)(X[:100], y[:100])
    first = model.graph_.tolist()
    shuffled = np.random.RandomState(0).permutation(100)
    getattr(model, method)(X[100:], y[100:].iloc[shuffled])
    getattr(model, method)(X[:8], y[:8])  # too few to learn one
    assert model.graph_.tolist() == first


def test_a_saved_model_intervenes_alike(small, tmp_path):
    model, X = small
    model.save(tmp_path / "model")
    again = skfactorvae.load(tmp_path / "model")
    np.testing.assert_array_equal(
        again.intervene({"lamp": 0.3}, X), model.intervene({"lamp": 0.3}, X)
    )
    assert again.graph_.tolist() == model.graph_.tolist()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"graph": np.ones((3, 3))}, "cycle"),
        ({"graph": [[0, 1], [0]]}, "rows of the same length"),
        ({"graph": [[0]]}, r"shape \(1, 1\), expected \(3, 3\)"),
        ({"graph": "guess"}, "graph"),
        ({"n_components": 2}, "take a component each, but n_components=2"),
        ({"supervision": 0}, "supervision"),
        ({"init": "varimax"}, "varimax"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(parameters, message):
    X, y = table()
    with pytest.raises(ValueError, match=message):
        CausalVAETransformer(**(SMALL | parameters)).fit(X, y)


def test_labels_that_cannot_be_used_are_refused():
    X, y = table()
    model = CausalVAETransformer(**SMALL)
    with pytest.raises(ValueError, match="requires y"):
        model.fit(X)
    with pytest.raises(ValueError, match=r"holds 'off', \.{3}, which are not numbers"):
        model.fit(X, y.assign(lamp=["on", "off"] * 100))
    learned = clone(model).set_params(graph="learn")
    y.iloc[10:, 0] = np.nan
    with pytest.raises(ValueError, match="at least 20 distinct samples"):
        learned.fit(X, y)
    with pytest.raises(ValueError, match="at most 8 attributes"):
        learned.set_params(n_components=9).fit(X, np.random.rand(200, 9))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([0.5], TypeError, "must be a dict"),
        ({"sun": 0.5}, ValueError, "'sun', expected a name of"),
        ({3: 0.5}, ValueError, "index from 0 to 2"),
        ({True: 0.5}, ValueError, "True"),
        ({"lamp": np.nan}, ValueError, "NaN or infinity"),
        ({"lamp": [0.5, 1.0]}, ValueError, "one for each of the 200 samples"),
        ({"lamp": 0.5, 0: 0.5}, ValueError, "twice"),
    ],
)
def test_values_that_cannot_be_set_are_refused(small, values, error, message):
    model, X = small
    with pytest.raises(error, match=message):
        model.intervene(values, X)


# ---------------------------------------------------------------------- the objective
def test_attributes_without_causes_have_the_standard_normal_prior(small):
    model, X = small
    graph = model.graph_
    codes = model.posterior(X)[0].astype(np.float64)[:, :3]
    expected, scale = core.structural_moments(model.weights_, graph, (8,), codes)
    assert expected[:, :2].any() == 0
    assert scale[:2].tolist() == [1, 1]
    assert scale[2] > 0.05

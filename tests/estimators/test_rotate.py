"""Fitted models whose components are rotated by conditions."""

from copy import copy

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import skfactorvae
from skfactorvae import (
    AAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
    SupervisedFactorVAETransformer,
)
from skfactorvae.metrics import mean_correlation_score

SMALL = {
    "hidden_layer_sizes": 8,
    "max_iter": 60,
    "random_state": 0,
    "weight_decay": 0.0,
}
N_EACH = 60


def table(seed=0):
    """Samples of three sources of conditional spread, the conditions and sources."""
    rng = np.random.RandomState(seed)
    aux = np.repeat(np.arange(8), N_EACH)
    spread = rng.uniform(0.2, 2, (8, 3))
    sources = rng.normal(size=(len(aux), 3)) * spread[aux]
    X = sources @ rng.normal(size=(3, 9)) + 0.1 * rng.normal(size=(len(aux), 9))
    return X, aux, sources


X, AUX, SOURCES = table()


@pytest.fixture(scope="module")
def model():
    """A model with one component more than there are sources."""
    return FactorVAETransformer(
        4, init="pca", temperature=1.0, discriminator_hidden_layer_sizes=8, **SMALL
    ).fit(X)


@pytest.fixture(scope="module")
def rotated(model):
    return model.rotate(X, AUX, n_permutations=99)


def test_components_are_the_sources(model, rotated):
    before = mean_correlation_score(SOURCES, model.transform(X))
    assert mean_correlation_score(SOURCES, rotated.transform(X)) > max(0.97, before)


def test_scores_stay_and_codes_are_rotated(model, rotated):
    np.testing.assert_array_equal(rotated.score_samples(X), model.score_samples(X))
    assert model.rotation_ is None
    np.testing.assert_allclose(
        model.transform(X) @ rotated.rotation_, rotated.transform(X), atol=1e-4
    )
    assert rotated.explained_variance_ratio_.sum() == pytest.approx(
        model.explained_variance_ratio_.sum(), abs=0.02
    )


@pytest.mark.slow
def test_separation_is_that_of_each_active_component(rotated):
    assert np.isfinite(rotated.separation_).all()
    mean, std = (m.astype(float) for m in rotated.posterior(X))
    variance = [
        mean[k == AUX].var(axis=0, ddof=1) + np.square(std[k == AUX]).mean(axis=0)
        for k in range(8)
    ]
    logs = 0.5 * np.log(variance)
    pairs = (logs[:, :, None] - logs[:, None]).std(axis=0)
    expected = (pairs + np.where(np.eye(4), np.inf, 0)).min(axis=1)
    np.testing.assert_allclose(rotated.separation_, expected, rtol=1e-3)


@pytest.mark.slow
def test_inactive_components_stay_as_they_are(model):
    quiet = copy(model)
    quiet.kl_per_component_ = np.where(np.arange(4) == 1, 0.01, model.kl_per_component_)
    rotated = quiet.rotate(X, AUX, n_permutations=99)
    turn = np.abs(rotated.rotation_)
    (place,) = np.flatnonzero(np.isnan(rotated.separation_))
    np.testing.assert_array_equal(turn[:, place], np.arange(4) == 1)
    np.testing.assert_array_equal(turn[1], np.arange(4) == place)


@pytest.mark.slow
def test_a_rotated_model_can_be_rotated_again(rotated):
    again = rotated.rotate(X, AUX, n_permutations=99)
    np.testing.assert_allclose(again.transform(X), rotated.transform(X), atol=1e-4)
    np.testing.assert_allclose(again.separation_, rotated.separation_, rtol=1e-4)


@pytest.mark.slow
def test_files_hold_the_separation(rotated, tmp_path):
    rotated.save(tmp_path / "model")
    loaded = skfactorvae.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.separation_, rotated.separation_)
    np.testing.assert_array_equal(loaded.transform(X), rotated.transform(X))


@pytest.mark.slow
def test_names_are_removed_and_a_new_fit_removes_the_separation(model):
    named = model.rotate(X, AUX, n_permutations=99)
    named.set_component_names(["a", "b", "c", "d"])
    again = named.rotate(X, AUX, n_permutations=99)
    assert again.component_names_[0] == "component 0"
    assert named.component_names_[0] == "a"
    assert not hasattr(again.set_params(max_iter=2).fit(X), "separation_")


@pytest.mark.slow
def test_shuffled_conditions_are_refused(model):
    shuffled = np.random.RandomState(0).permutation(AUX)
    with pytest.raises(ValueError, match="does not identify components"):
        model.rotate(X, shuffled, n_permutations=99)


def test_conditions_of_another_length_are_refused(model):
    with pytest.raises(ValueError, match="aux has 20 rows, but X has 480 samples"):
        model.rotate(X, AUX[:20])


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        FactorVAETransformer(3).rotate(X, AUX)


@pytest.mark.slow
def test_one_active_component_is_refused():
    one = FactorVAETransformer(1, discriminator_hidden_layer_sizes=8, **SMALL).fit(X)
    with pytest.raises(ValueError, match="There is nothing to rotate"):
        one.rotate(X, AUX)


@pytest.mark.slow
@pytest.mark.parametrize(
    "distinct",
    [
        FactorVAETransformer(3, groups=(2, 1), **SMALL),
        SupervisedFactorVAETransformer(3, **SMALL),
        AAETransformer(3, **SMALL),
        InfoGANTransformer(3, hidden_layer_sizes=8, max_iter=60, random_state=0),
    ],
)
def test_distinct_components_are_refused(distinct):
    distinct.fit(X, SOURCES[:, :1])
    with pytest.raises(ValueError, match="cannot be rotated"):
        distinct.rotate(X, AUX)


@pytest.mark.parametrize("init", ["pca", "varimax"])
def test_a_stream_goes_on_with_the_rotation(init):
    stream = FactorVAETransformer(
        3, init=init, discriminator_hidden_layer_sizes=8, **SMALL
    )
    for _ in range(5):
        stream.partial_fit(X)
    turned = stream.rotate(X, AUX, n_permutations=99)
    rotation, before = turned.rotation_, turned.transform(X)
    turned.partial_fit(X[:50])
    np.testing.assert_array_equal(turned.rotation_, rotation)
    after = turned.transform(X)
    for j in range(3):
        assert np.corrcoef(before[:, j], after[:, j])[0, 1] > 0.99
    assert not hasattr(turned, "separation_")
    assert stream.rotation_ is None or not np.allclose(stream.rotation_, rotation)

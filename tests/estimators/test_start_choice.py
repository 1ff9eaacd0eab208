"""The comparison of a start with PCA's on held-out samples."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from skfactorvae import FactorVAETransformer, SupervisedFactorVAETransformer
from skfactorvae.datasets import (
    make_damped_oscillator,
    make_heat_profiles,
    make_nonlinear_ica,
)
from skfactorvae.metrics import mean_correlation_score
from skfactorvae.model_selection import batched_fits

pytestmark = pytest.mark.slow

SHORT = {"hidden_layer_sizes": (64, 64), "max_iter": 1000, "random_state": 0}
CRITERIA = {"independence_area", "ica_directions", "gain_over_pca"}


def noisy_curves():
    """Return oscillations of four parameters, with so much noise that FastICA's
    components are hard to tell from independent ones."""
    X, _ = make_damped_oscillator(1500, variant="full", noise=0.1, random_state=61)
    return X


def mixture():
    """Return a nonlinear mixture of four sources in five directions."""
    X, _ = make_nonlinear_ica(4000, 20, n_sources=4, n_layers=3, random_state=52)
    return X


@pytest.fixture(scope="module")
def of_curves():
    return FactorVAETransformer(**SHORT).fit(noisy_curves())


@pytest.fixture(scope="module")
def of_mixture():
    return FactorVAETransformer(**SHORT).fit(mixture())


def test_factor_analysis_is_compared_with_pca_too():
    """Heat profiles with noise have loadings that look simple."""
    X, _ = make_heat_profiles(4000, 64, noise=0.1, random_state=61)
    model = FactorVAETransformer(**SHORT).fit(X[:3000])
    assert model.init_criteria_["simplicity_z"] > 2
    assert model.init_criteria_["gain_over_pca"] < 0.2
    assert model.init_ == "pca"
    assert model.rotation_ is None


def test_noisy_curves_start_from_pca(of_curves):
    assert of_curves.init_ == "pca"
    assert of_curves.temperature_ == 30
    assert of_curves.init_criteria_.keys() >= CRITERIA
    assert of_curves.init_criteria_["gain_over_pca"] < 0.2


def test_such_a_fit_is_that_of_the_start_that_was_chosen(of_curves):
    X = noisy_curves()
    given = FactorVAETransformer(**SHORT, init="pca").fit(X)
    np.testing.assert_array_equal(of_curves.transform(X), given.transform(X))
    assert given.init_criteria_ == {}
    assert given.warmup_fraction_ == of_curves.warmup_fraction_


def test_a_nonlinear_mixture_starts_from_fastica_of_fewer_directions(of_mixture):
    assert of_mixture.init_ == "ica"
    assert of_mixture.temperature_ == 1
    assert of_mixture.init_criteria_["ica_directions"] == 4
    assert of_mixture.init_criteria_["gain_over_pca"] > 0.2


def mixture_of_two():
    """Return a nonlinear mixture of two sources in four directions, which is as far
    from independent as curves are."""
    return make_nonlinear_ica(2000, 20, n_sources=2, n_layers=2, random_state=0)


def test_a_mixture_of_few_sources_starts_from_fastica_if_that_is_clearly_better():
    X, sources = mixture_of_two()
    model = FactorVAETransformer(**SHORT).fit(X)
    assert model.init_criteria_["independence_area"] >= 0.9
    assert model.init_criteria_["ica_directions"] == 2
    assert model.init_criteria_["gain_over_pca"] > 0.2
    assert model.init_ == "ica"
    assert model.temperature_ == 1
    pca = clone(model).set_params(init="pca").fit(X)
    own, other = (
        mean_correlation_score(sources, fit.transform(X), over="factors")
        for fit in (model, pca)
    )
    assert own > max(0.95, other)


GIVEN = {"weight_decay": 0.5}
FEW_PASSES = {"batch_size": 16}
"""Parameters of fits without a choice of weight decay: a given one, and fits that do
not pass over the samples often enough to memorise them."""


@pytest.mark.parametrize("parameters", [GIVEN, FEW_PASSES])
def test_starts_are_compared_without_a_choice_of_weight_decay_too(parameters):
    X, _ = mixture_of_two()
    model = FactorVAETransformer(**SHORT, **parameters).fit(X)
    assert model.init_criteria_["gain_over_pca"] > 0.2
    assert model.init_ == "ica"
    assert model.weight_decay_ == parameters.get("weight_decay", 0.0)
    assert model.n_iter_ == SHORT["max_iter"]
    assert model.held_out_ == {}


@pytest.mark.parametrize(("n_samples", "is_compared"), [(1000, True), (950, False)])
def test_starts_are_compared_from_1000_samples_on(n_samples, is_compared):
    X, _ = mixture_of_two()
    few = SHORT | {"max_iter": 300}
    model = FactorVAETransformer(**few, weight_decay=0.0).fit(X[:n_samples])
    assert ("gain_over_pca" in model.init_criteria_) == is_compared


def test_a_supervised_model_compares_starts():
    X, sources = mixture_of_two()
    some = np.full((len(X), 1), np.nan)
    some[:100] = sources[:100, :1]
    model = SupervisedFactorVAETransformer(**SHORT).fit(X, some)
    assert model.init_criteria_["gain_over_pca"] > 0.2
    assert model.init_ == "ica"
    found = mean_correlation_score(sources, model.transform(X), over="factors")
    assert found > 0.95


def test_a_stream_compares_no_starts():
    X, _ = mixture_of_two()
    model = FactorVAETransformer(**SHORT).partial_fit(X)
    assert model.init_ == "pca"
    assert model.init_criteria_ == {}


@pytest.mark.parametrize("parameters", [{"weight_decay": 0.0}, {"max_iter": 100}])
def test_where_independence_is_not_clear_a_choice_of_weight_decay_is_needed(parameters):
    model = FactorVAETransformer(**SHORT | parameters).fit(noisy_curves())
    assert model.init_ == "ica"
    assert "gain_over_pca" not in model.init_criteria_
    assert 0.75 <= model.init_criteria_["independence_area"] < 0.9


def test_fits_in_one_batch_choose_as_separate_ones(of_curves, of_mixture):
    tables = [noisy_curves(), mixture()]
    vae = FactorVAETransformer(**SHORT)
    with batched_fits():
        found = Parallel()(delayed(clone(vae).fit)(X) for X in tables)
    for one, other, X in zip(found, (of_curves, of_mixture), tables, strict=True):
        assert one.init_ == other.init_
        assert one.n_iter_ == other.n_iter_
        gains = (
            one.init_criteria_["gain_over_pca"],
            other.init_criteria_["gain_over_pca"],
        )
        assert gains[0] == pytest.approx(gains[1], abs=0.05)
        np.testing.assert_allclose(one.transform(X), other.transform(X), atol=0.05)

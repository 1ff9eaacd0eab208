"""The solver of an estimator, and what "auto" stands for with it."""

import numpy as np
import pytest

from skfactorvae import FactorVAETransformer
from skfactorvae.preparation._options import FIRST_RATE, MAX_ITER, FitOptions

SMALL = {
    "n_components": 3,
    "hidden_layer_sizes": (16,),
    "discriminator_hidden_layer_sizes": (8,),
    "batch_size": 32,
    "random_state": 0,
}


def curved_table(n_samples=600, seed=0):
    """Return many samples of one factor on a curve, with little noise."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, size=(n_samples, 1))
    noise = 0.05 * rng.normal(size=(n_samples, 5))
    return np.hstack([t, t**2, np.sin(2 * t), np.cos(t), np.exp(t / 2)]) + noise


def noisy_table(n_samples=80, n_features=12, seed=0):
    """Return few samples of two factors with much noise."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_samples, 2))
    return factors @ rng.normal(size=(2, n_features)) + rng.normal(
        size=(n_samples, n_features)
    )


@pytest.mark.parametrize("solver", ["adam", "soap"])
def test_steps_and_learning_rate_follow_the_solver(solver):
    schedule = FitOptions.of(FactorVAETransformer(solver=solver)).schedule()
    assert schedule.solver == solver
    assert schedule.max_iter == MAX_ITER[solver]
    assert schedule.learning_rate == FIRST_RATE[solver]


def test_what_is_given_stays():
    model = FactorVAETransformer(solver="soap", max_iter=70, learning_rate=0.02)
    schedule = FitOptions.of(model).schedule()
    assert (schedule.max_iter, schedule.learning_rate) == (70, 0.02)


def test_fitted_attributes_state_what_was_used():
    vae = FactorVAETransformer(**SMALL, solver="soap", max_iter=60)
    vae.fit(curved_table())
    assert vae.solver_ == "soap"
    assert vae.max_iter_ == vae.n_iter_ == 60


@pytest.mark.slow
def test_a_curve_is_described_as_well_in_a_third_of_the_steps():
    X, new = curved_table(), curved_table(seed=1)
    scores = [
        FactorVAETransformer(**SMALL, weight_decay=0.0, solver=solver, max_iter=steps)
        .fit(X)
        .score(new)
        for solver, steps in (("adam", 300), ("soap", 300), ("adam", 900))
    ]
    assert scores[1] > scores[0]
    assert scores[1] > scores[2] - 0.5


@pytest.mark.slow
def test_a_noisy_table_gets_weight_decay_and_adam():
    """The comparison, and the fit that follows from it, are those of Adam."""
    pair = [
        FactorVAETransformer(
            **SMALL, solver=solver, learning_rate=3e-3, max_iter=500
        ).fit(noisy_table())
        for solver in ("adam", "soap")
    ]
    assert pair[0].weight_decay_ > 0
    assert pair[1].solver_ == "adam"
    codes = [vae.transform(noisy_table(seed=1)) for vae in pair]
    np.testing.assert_array_equal(*codes)


@pytest.mark.slow
def test_every_estimator_is_fitted_with_soap(small, X):
    vae = small(solver="soap", max_iter=30).fit(X)
    assert vae.solver_ == "soap"
    assert np.isfinite(vae.transform(X)).all()
    assert np.isfinite(vae.inverse_transform(vae.transform(X))).all()


def modules(n_features, n_components):
    """Return networks of torch, as a user writes them."""
    import torch

    return (
        torch.nn.Linear(n_features, 2 * n_components),
        torch.nn.Linear(n_components, n_features),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [{"network": "conv", "image_shape": (1, 8, 8)}, {"network": modules}],
    ids=["conv", "modules"],
)
def test_other_networks_are_fitted_with_soap(network):
    X = np.random.default_rng(0).normal(size=(60, 64))
    vae = FactorVAETransformer(**SMALL, **network, solver="soap", max_iter=30).fit(X)
    assert vae.solver_ == "soap"
    assert np.isfinite(vae.transform(X)).all()


@pytest.mark.parametrize("name", ["solver", "max_iter", "learning_rate"])
def test_other_words_are_refused(name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        FactorVAETransformer(**SMALL, **{name: "sgd"}).fit(curved_table(30))

"""Components that are uncorrelated within conditions: found at the start, and after a
fit."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from skfactorvae import core
from skfactorvae.preparation._condition_information import (
    ConditionInformation,
    condition_information,
)
from skfactorvae.preparation._conditional_axes import diagonalised
from skfactorvae.preparation._conditional_start import (
    compare_conditions,
    conditional_start,
)
from skfactorvae.preparation._initialization import LinearStart

SPREADS = np.array([[0.3, 1.5], [1.5, 0.4], [1.0, 1.0]])
TURN = np.array([[0.8, 0.6], [-0.6, 0.8]])


def samples(n=150, seed=0):
    """Return two factors under three conditions, and the number of each condition."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3.0), n)[:, None]
    return rng.normal(size=(3 * n, 2)) * np.repeat(SPREADS, n, axis=0), labels


class TestStart:
    def test_codes_are_the_factors_with_variance_one(self):
        factors, labels = samples()
        rows = factors @ TURN
        start = LinearStart("pca", np.eye(2), np.eye(2))
        weight = np.ones(len(rows))
        found, prior = conditional_start(start, rows, labels, weight, 3)
        codes = rows @ found.encoder
        correlation = np.abs(np.corrcoef(factors.T, codes.T)[:2, 2:])
        assert correlation.max(axis=1).min() > 0.99
        np.testing.assert_allclose(codes.std(axis=0), 1)
        np.testing.assert_allclose(codes @ found.decoder, rows, atol=1e-10)
        std = np.exp(prior[core.CONDITIONAL_PRIOR][:, 1] / 2)
        own = np.stack([codes[labels[:, 0] == k].std(axis=0) for k in range(3)])
        np.testing.assert_allclose(std, own, rtol=0.15)

    def test_a_start_without_directions_is_returned(self):
        factors, labels = samples(20)
        start = LinearStart("pca", np.zeros((2, 2)), np.zeros((2, 2)))
        found, prior = conditional_start(start, factors, labels, np.ones(60), 3)
        assert found is start
        assert not prior[core.CONDITIONAL_PRIOR].any()
        assert compare_conditions(start, factors, labels, 3) == {}


class TestInformation:
    def test_it_is_that_of_a_naive_bayes_classifier(self):
        factors, labels = samples(2000)
        given = labels[:, 0].astype(int)
        groups = [np.flatnonzero(given == k) for k in range(3)]
        model = GaussianNB().fit(factors, given)
        of_true = model.predict_log_proba(factors)[np.arange(len(given)), given]
        found = condition_information(factors, np.ones(len(given)), groups)
        assert found == pytest.approx(of_true.mean() + np.log(3), abs=1e-3)

    def test_mixed_factors_have_less(self):
        factors, labels = samples(500)
        groups = [np.flatnonzero(labels[:, 0] == k) for k in range(3)]
        own, mixed = (
            condition_information(codes, np.ones(1500), groups)
            for codes in (factors, factors @ TURN)
        )
        assert mixed < own - 0.05

    def test_an_integer_weight_is_a_repeated_sample(self):
        factors, labels = samples(50)
        weight = np.random.default_rng(0).integers(1, 4, size=150)
        repeated = np.repeat(np.arange(150), weight)
        found = []
        for some, w in ((np.arange(150), weight), (repeated, np.ones(len(repeated)))):
            groups = [np.flatnonzero(labels[some, 0] == k) for k in range(3)]
            found.append(condition_information(factors[some], w, groups))
        assert found[0] == pytest.approx(found[1])

    def test_codes_that_do_not_vary_have_none(self):
        cpu = core.resolve_device("cpu")
        factors, labels = samples(50)
        network = core.MLP(2, 2, (4,), "relu", linear_path=True)
        information = ConditionInformation(
            network, factors.astype(np.float32), np.ones(150), labels, 3
        )
        job = core.Job(
            network=network,
            likelihood=core.Gaussian("feature"),
            objective=core.VAE(beta=1.0),
            rows=information.rows,
            row_weights=np.ones(150),
            seed=0,
        )
        schedule = core.Schedule(
            max_iter=1, batch_size=8, learning_rate=1e-9, warmup=0.0
        )
        (fit,) = core.fit_stack([job], schedule, device=cpu)
        zero = {name: 0 * weight for name, weight in fit.weights.items()}
        assert information(zero, cpu) == 0
        assert information({k: w + np.nan for k, w in zero.items()}, cpu) == -np.inf


@pytest.mark.slow
def test_a_trained_model_whose_latents_are_mixed_is_diagonalised():
    cpu = core.resolve_device("cpu")
    factors, labels = samples(300)
    rng = np.random.default_rng(1)
    rows = factors @ TURN @ rng.normal(size=(2, 5))
    rows = (rows + 0.05 * rng.normal(size=rows.shape)).astype(np.float32)
    svd = np.linalg.svd(rows, full_matrices=False)[2][:2]
    start = LinearStart("pca", svd.T, svd)
    weight = np.ones(len(rows))
    found, prior = conditional_start(start, rows, labels, weight, 3)
    network = core.MLP(5, 2, (8,), "relu", linear_path=True)
    job = core.Job(
        network=network,
        likelihood=core.Gaussian("feature"),
        objective=core.AuxiliaryVAE(
            beta=1.0, encoder_share=0.5, shares=(1 / 3,) * 3, n_conditions=3
        ),
        rows=rows,
        row_weights=weight,
        seed=0,
        start=prior | network.linear_start(found.encoder, found.decoder),
        labels=labels,
    )
    schedule = core.Schedule(
        max_iter=300,
        batch_size=64,
        learning_rate=1e-2,
        warmup=0.0,
    )
    (fit,) = core.fit_stack([job], schedule, device=cpu)
    mixed = core.mix_latents(job, fit.weights, TURN, cpu)
    before = replace(fit, weights=mixed)
    after = diagonalised(job, before, cpu)
    information = ConditionInformation.of(job)
    values = [information(one, cpu) for one in (fit.weights, mixed, after.weights)]
    np.testing.assert_allclose(values, values[0], atol=2e-3)  # of diagonalised codes
    least = []
    for one in (before, after):
        codes, _ = core.encode(network, one.weights, rows, device=cpu)
        correlation = np.abs(np.corrcoef(factors.T, codes.T)[:2, 2:])
        least.append(correlation.max(axis=1).min())
    assert least[0] < 0.9
    assert least[1] > 0.99
    assert diagonalised(job, after, cpu).kl.shape == (2,)

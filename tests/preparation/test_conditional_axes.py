"""Components that are uncorrelated within conditions: found at the start, and after a
fit."""

from dataclasses import replace

import numpy as np
import pytest

from skfactorvae import core
from skfactorvae.preparation._conditional_axes import _bound, diagonalised
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
    assert _bound(job, after.weights, cpu) > _bound(job, mixed, cpu)
    least = []
    for one in (before, after):
        codes, _ = core.encode(network, one.weights, rows, device=cpu)
        correlation = np.abs(np.corrcoef(factors.T, codes.T)[:2, 2:])
        least.append(correlation.max(axis=1).min())
    assert least[0] < 0.9
    assert least[1] > 0.99
    assert diagonalised(job, after, cpu).kl.shape == (2,)

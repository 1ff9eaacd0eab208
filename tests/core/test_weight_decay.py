"""Weight decay, penalties on held-out rows, and noise from residuals."""

import dataclasses

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_rows, make_schedule

from skfactorvae import core


def decayed(job, weight_decay):
    return dataclasses.replace(job, weight_decay=weight_decay)


class TestWeightDecay:
    def test_a_stack_of_decays_equals_its_models_alone(self):
        jobs = [decayed(make_job(), decay) for decay in (0.0, 1.0, 30.0)]
        for job, stacked in zip(jobs, fit(jobs), strict=True):
            (alone,) = fit([job])
            for name, array in alone.weights.items():
                np.testing.assert_allclose(
                    array, stacked.weights[name], rtol=1e-8, atol=1e-10, err_msg=name
                )

    def test_a_model_without_decay_is_the_same_beside_others_with_it(self):
        (alone,) = fit([make_job()])
        first, _ = fit([make_job(), decayed(make_job(), 3.0)])
        for name, array in alone.weights.items():
            np.testing.assert_allclose(array, first.weights[name], rtol=1e-8, atol=1e-9)

    def test_a_large_decay_shrinks_layers_and_spares_linear_path_and_biases(self):
        network = core.MLP(6, 3, (16,), "relu", linear_path=True)
        job = make_job(network=network)
        assert not any("linear" in name for name in job.network.decayed)
        assert not any("bias" in name for name in job.network.decayed)
        plain, shrunk = fit([job, decayed(job, 1e5)])
        for name in job.network.decayed:
            largest = np.abs(shrunk.weights[name]).max()
            assert largest < 0.5 * np.abs(plain.weights[name]).max(), name

    def test_one_step_multiplies_by_the_exponential_of_the_learning_rate(self):
        schedule = make_schedule(max_iter=1)
        job = make_job()
        plain, shrunk = fit([job, decayed(job, 7.0)], schedule)
        factor = np.exp(-7.0 * schedule.learning_rate * schedule.decay(0))
        name = next(n for n in sorted(job.network.decayed) if n.startswith("encoder.0"))
        np.testing.assert_allclose(
            shrunk.weights[name], factor * plain.weights[name], rtol=1e-9
        )


class TestHeldOutRows:
    def test_penalties_are_those_of_the_objective(self):
        rows = make_rows()
        held_out = core.HeldOut(rows[:40], np.ones(40))
        jobs = [
            dataclasses.replace(make_job(gamma=gamma, rows=rows), held_out=held_out)
            for gamma in (0.0, 20.0)
        ]
        schedule = make_schedule()
        fits = fit(jobs, schedule)
        none, some = core.held_out_penalties(jobs, fits, schedule, device=CPU)
        assert none == pytest.approx(0.0, abs=1e-9)
        assert some != 0.0

    def test_jobs_without_held_out_rows_raise(self):
        job, schedule = make_job(), make_schedule()
        with pytest.raises(ValueError, match="need jobs with held-out rows"):
            core.held_out_penalties([job], fit([job]), schedule, device=CPU)

    def test_without_patience_the_last_weights_are_returned(self):
        rows = make_rows()
        job = make_job(rows=rows)
        watched = dataclasses.replace(
            job, held_out=core.HeldOut(rows, np.ones(len(rows)))
        )
        (plain,), (recorded,) = fit([job]), fit([watched])
        assert "validation_elbo" in recorded.history
        for name, array in plain.weights.items():
            np.testing.assert_array_equal(array, recorded.weights[name])


class TestNoiseFromResiduals:
    def test_mean_squares_are_those_of_draws_from_the_posterior(self):
        network = core.MLP(6, 3, (16,), "relu", linear_path=True)
        job = decayed(make_job(network=network), 1e5)  # linear: the cubature is exact
        (result,) = fit([job], make_schedule(max_iter=300))
        squares = core.residual_squares(
            job.network, job.likelihood, result.weights, job.rows, device=CPU
        )
        mean, std = core.encode(job.network, result.weights, job.rows, device=CPU)
        rng = np.random.default_rng(0)
        drawn = [
            (
                job.rows
                - core.decode(
                    job.network,
                    job.likelihood,
                    result.weights,
                    mean + std * rng.standard_normal(mean.shape),
                    device=CPU,
                )
            )
            ** 2
            for _ in range(300)
        ]
        np.testing.assert_allclose(
            squares.mean(axis=0), np.mean(drawn, axis=(0, 1)), rtol=0.05
        )

    @pytest.mark.parametrize("scale", ["feature", "shared", 0.3])
    def test_the_noise_of_a_variance_is_read_back(self, scale):
        likelihood = core.Gaussian(scale)
        weights = {k: v.numpy() for k, v in likelihood.draw(4).items()}
        variance = np.array([0.04, 0.5, 1.0, 2.0])
        changed = likelihood.with_variance(weights, variance)
        stacked = {k: torch.tensor(v)[None] for k, v in changed.items()}
        found = likelihood.scales(stacked, torch.zeros(1, 1, 4)).numpy()[0, 0] ** 2
        np.testing.assert_allclose(
            np.broadcast_to(found, 4), likelihood.noise_variance(variance), rtol=1e-5
        )

    def test_a_likelihood_without_a_scale_keeps_its_weights(self):
        weights = {"some": np.ones(2)}
        assert core.Bernoulli().with_variance(weights, np.ones(3)) is weights

"""The training loop: stacks, gradients, divergence, records and results."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_objective, make_rows, make_schedule

from skfactorvae import core
from skfactorvae.core._replay import run_eagerly
from skfactorvae.core._soap import Soap
from skfactorvae.core._training import _Stack
from skfactorvae.core.objectives._discriminator import discriminator


def assert_same_fit(left, right, **tolerance):
    assert left.weights.keys() == right.weights.keys()
    for name, array in left.weights.items():
        np.testing.assert_allclose(
            array, right.weights[name], err_msg=name, **tolerance
        )
    for name, curve in left.history.items():
        np.testing.assert_allclose(
            curve, right.history[name], err_msg=name, **tolerance
        )


def stack_of_five():
    """Jobs that differ in all that may differ within a stack."""
    rows, others = make_rows(), make_rows(150, seed=1)
    weights = np.random.default_rng(0).uniform(0.1, 2, size=len(others))
    return [
        make_job(gamma=0.0, seed=0, n_components=3, rows=rows),
        make_job(gamma=5.0, seed=1, n_components=5, rows=rows),
        make_job(gamma=40.0, seed=2, n_components=2, rows=others, beta=2.0),
        make_job(gamma=10.0, seed=3, n_components=1, rows=others, row_weights=weights),
        make_job(gamma=1.0, seed=0, n_components=5, rows=rows, beta=0.5),
    ]


class TestAStackEqualsItsModelsAlone:
    def test_five_models_that_differ_in_all_that_may_differ(self):
        jobs = stack_of_five()
        together = fit(jobs)
        for job, stacked in zip(jobs, together, strict=True):
            (alone,) = fit([job])
            assert_same_fit(alone, stacked, rtol=1e-8, atol=1e-10)

    def test_the_models_do_differ(self):
        """The equality above would be empty if all models were the same."""
        fits = fit(stack_of_five())
        curves = [f.history["reconstruction"] for f in fits]
        for i, left in enumerate(curves):
            for right in curves[i + 1 :]:
                assert not np.allclose(left, right, rtol=1e-3)

    @pytest.mark.parametrize("linear_path", [False, True])
    def test_convolutional_networks(self, linear_path):
        rows = np.random.default_rng(0).uniform(size=(60, 2 * 9 * 8))

        def job(d, seed):
            network = core.ConvNet(144, d, (), "relu", linear_path, (2, 9, 8))
            return make_job(
                network=network, rows=rows, seed=seed, likelihood=core.Bernoulli()
            )

        jobs = [job(3, 0), job(2, 1)]
        schedule = make_schedule(6, learning_rate=1e-3)
        for one, stacked in zip(jobs, fit(jobs, schedule), strict=True):
            assert_same_fit(fit([one], schedule)[0], stacked, rtol=1e-7, atol=1e-9)

    def test_modules_of_the_user(self):
        def build(n_features, n_components):
            return (
                torch.nn.Sequential(
                    torch.nn.Linear(n_features, 8),
                    torch.nn.LayerNorm(8),
                    torch.nn.Linear(8, 2 * n_components),
                ),
                torch.nn.Linear(n_components, n_features),
            )

        jobs = [
            make_job(network=core.Modules(6, 3, build), seed=s, gamma=s) for s in (1, 2)
        ]
        jobs = [
            dataclasses.replace(j, objective=make_objective(float(s), 1.0, (8,)))
            for s, j in enumerate(jobs)
        ]
        for one, stacked in zip(jobs, fit(jobs), strict=True):
            assert_same_fit(fit([one])[0], stacked, rtol=1e-7, atol=1e-9)

    def test_early_stopping_is_decided_for_each_model(self):
        held_out = core.HeldOut(make_rows(40, seed=5), np.ones(40))
        jobs = [make_job(seed=s, held_out=held_out) for s in (0, 1)]
        schedule = make_schedule(120, patience=8, warmup=0.05)
        together = fit(jobs, schedule)
        for job, stacked in zip(jobs, together, strict=True):
            (alone,) = fit([job], schedule)
            assert alone.n_iter == stacked.n_iter < 120
            assert_same_fit(alone, stacked, rtol=1e-7, atol=1e-9)

    def test_jobs_of_different_networks_are_refused(self):
        wide = core.MLP(6, 3, (17,), "relu", linear_path=False)
        with pytest.raises(ValueError, match="different signatures"):
            fit([make_job(), make_job(network=wide)])


class TestTemperature:
    """The weight of the reconstruction rises from 1 / T to one at 80 % of the steps."""

    def test_it_weights_the_reconstruction_and_the_penalties(self):
        stack = _Stack([make_job(gamma=3.0, temperature=16.0)], make_schedule(20), CPU)
        stack.run = run_eagerly
        losses = []
        stack.parameter_groups["model"].differentiate = lambda loss: losses.append(
            loss.detach()
        )
        for number in (0, 4, 8, 16, 19):
            terms = stack.step(number)
            weight = 16 ** (min(1, number / 16) - 1)
            ramp = min(weight, number / 4)  # the warm-up takes 4 of the 20 steps
            expected = (
                weight * terms["reconstruction"]
                + terms["kl"]
                + 3 * ramp * terms["total_correlation"]
            )
            torch.testing.assert_close(losses.pop(), expected)

    def test_temperature_one_changes_nothing(self):
        (plain,), (tempered,) = fit([make_job()]), fit([make_job(temperature=1.0)])
        assert_same_fit(plain, tempered, rtol=0, atol=0)

    def test_an_annealed_model_in_a_stack_equals_the_model_alone(self):
        jobs = [make_job(seed=s, temperature=t) for s, t in ((0, 1.0), (1, 30.0))]
        for one, stacked in zip(jobs, fit(jobs), strict=True):
            assert_same_fit(fit([one])[0], stacked, rtol=1e-7, atol=1e-9)

    def test_it_reduces_the_kl_early_in_training(self):
        jobs = [make_job(gamma=0.0, temperature=t) for t in (1.0, 1000.0)]
        plain, annealed = fit(jobs, make_schedule(200, warmup=0.0))
        assert annealed.history["kl"][20] < 0.5 * plain.history["kl"][20]

    def test_no_model_stops_early_during_annealing(self):
        held_out = core.HeldOut(make_rows(40, seed=5), np.ones(40))
        schedule = make_schedule(100, patience=1, warmup=0.0, learning_rate=1e-30)
        plain, annealed = (
            fit([make_job(held_out=held_out, temperature=t)], schedule)[0]
            for t in (1.0, 30.0)
        )
        assert plain.n_iter < 80 <= annealed.n_iter


class TestLearningRates:
    def test_the_first_step_changes_a_weight_by_its_learning_rate(self):
        rows = make_rows(n_features=1200)
        network = core.MLP(
            1200, 3, (16,), "silu", linear_path=False, scale_input_lr=True
        )
        stack = _Stack([make_job(rows=rows, network=network)], make_schedule(), CPU)
        leaves = stack.parameter_groups["model"].leaves
        before = {name: leaf.detach().clone() for name, leaf in leaves.items()}
        stack.step(0)
        change = {
            k: (leaf - before[k]).abs().max().item() for k, leaf in leaves.items()
        }
        assert change["encoder.0.weight"] == pytest.approx(0.5e-2, rel=1e-3)
        assert change["decoder.0.weight"] == pytest.approx(1e-2, rel=1e-3)

    def test_jobs_that_differ_in_scale_input_lr_are_refused(self):
        jobs = [
            make_job(
                network=core.MLP(
                    6, 3, (16,), "silu", False, scale_input_lr=scale_input_lr
                )
            )
            for scale_input_lr in (False, True)
        ]
        with pytest.raises(ValueError, match="different signatures"):
            fit(jobs)

    @pytest.mark.parametrize(("solver", "power"), [("adam", 1.0), ("soap", 1.5)])
    def test_rates_decay_along_the_power_of_a_cosine(self, solver, power):
        schedule = make_schedule(100, solver=solver)
        fractions = [schedule.decay(step) for step in (0, 50, 100)]
        assert fractions == pytest.approx([1.0, 0.51**power, 0.02**power])


class TestSolvers:
    """SOAP updates the matrices of the model, and Adam all other weights."""

    @staticmethod
    def steps(solver, number=5):
        stack = _Stack([make_job()], make_schedule(20, solver=solver), CPU)
        for i in range(number):
            stack.step(i)
        return stack

    def test_soap_takes_the_matrices_of_the_model_only(self):
        stack = self.steps("soap", 1)
        found = [
            id(matrix.leaf)
            for part in stack.optimiser.parts
            if isinstance(part, Soap)
            for matrix in part.matrices
        ]
        leaves = stack.parameter_groups["model"].leaves
        names = {name for name, leaf in leaves.items() if id(leaf) in found}
        assert names == stack.network.matrices
        assert not any("bias" in name or "raw_scale" in name for name in names)

    def test_with_adam_no_weight_is_soaps(self):
        parts = self.steps("adam", 1).optimiser.parts
        assert not any(isinstance(part, Soap) for part in parts)

    def test_both_change_all_weights(self):
        for solver in "soap", "adam":
            before, after = self.steps(solver, 0), self.steps(solver, 12)
            for role, group in before.parameter_groups.items():
                now = after.parameter_groups[role].leaves
                for name, leaf in group.leaves.items():
                    assert not torch.equal(leaf, now[name]), (solver, name)

    def test_the_discriminators_first_step_does_not_depend_on_it(self):
        pair = [
            self.steps(s, 1).parameter_groups["adversary"] for s in ("soap", "adam")
        ]
        for name, leaf in pair[0].leaves.items():
            assert torch.equal(leaf, pair[1].leaves[name])

    @pytest.mark.parametrize("solver", ["adam", "soap"])
    def test_one_diverged_model_leaves_the_others_as_they_are_alone(self, solver):
        schedule = make_schedule(solver=solver)
        rows = make_rows()
        jobs = [make_job(seed=0), make_job(seed=1, rows=1e200 * rows), make_job(seed=2)]
        stacked = fit(jobs, schedule)
        assert stacked[1].status == "diverged"
        for k in 0, 2:
            assert_same_fit(
                fit([jobs[k]], schedule)[0], stacked[k], rtol=1e-7, atol=1e-9
            )


class TestInputNoise:
    """The encoder's input has noise, in units of the likelihood's scale."""

    def test_it_is_added_for_the_encoder_and_not_for_the_likelihood(self):
        stack = _Stack([make_job(input_noise=2.0)], make_schedule(10), CPU)
        draws = next(stack.draws)
        noisy = stack._forward(draws, reconstruction_weight=1.0)
        scale = stack.likelihood.scales(noisy.weights, noisy.x)
        x, noise = noisy.x, draws.input_noise
        expected = noisy.network.encode(noisy.weights, x + 2 * scale * noise[:, 0])
        torch.testing.assert_close((noisy.mean, noisy.log_var), expected)
        error = ((x - noisy.output) / scale).square().sum(-1)
        constant = x.shape[-1] * math.log(2 * math.pi) + 2 * scale.log().sum(-1)
        torch.testing.assert_close(noisy.nll, 0.5 * (error + constant))

    def test_its_unit_is_bounded_by_the_conditional_noise_std(self):
        bound = np.linspace(0.0, 1.0, 6)
        job = make_job(input_noise=2.0, conditional_noise_std=bound)
        stack = _Stack([job], make_schedule(10), CPU)
        draws = next(stack.draws)
        noisy = stack._forward(draws, reconstruction_weight=1.0)
        scale = stack.likelihood.scales(noisy.weights, noisy.x)
        assert (scale > 0.3).all()  # below some of the bounds, above others
        assert (scale < 0.9).all()
        own = torch.minimum(scale, torch.tensor(bound))
        rows = noisy.x + 2 * own * draws.input_noise[:, 0]
        expected = noisy.network.encode(noisy.weights, rows)
        torch.testing.assert_close((noisy.mean, noisy.log_var), expected)

    def test_both_batches_have_independent_noise(self):
        stack = _Stack([make_job(input_noise=2.0)], make_schedule(10), CPU)
        draws = next(stack.draws)
        forward = stack._forward(draws, reconstruction_weight=1.0)
        rows = stack.rows[draws.rows[:, 1]]
        scale = stack.likelihood.scales(forward.weights, rows)
        moments = forward.network.encode(
            forward.weights, rows + 2 * scale * draws.input_noise[:, 1]
        )
        expected = forward._noisy_draw(*moments, forward.batch.noise[:, 1])
        expected = expected * forward._informativeness
        torch.testing.assert_close(forward.second_discriminator_input, expected)
        assert not torch.equal(draws.input_noise[:, 0], draws.input_noise[:, 1])

    def test_the_likelihoods_scale_has_no_gradient_through_it(self):
        stack = _Stack([make_job(input_noise=2.0)], make_schedule(10), CPU)
        forward = stack._forward(next(stack.draws), reconstruction_weight=1.0)
        leaf = forward.weights["likelihood.raw_scale"]
        (gradient,) = torch.autograd.grad(forward.kl.sum(), [leaf], allow_unused=True)
        assert gradient is None

    def test_its_variance_is_annealed_with_the_reconstruction(self):
        job = make_job(input_noise=3.0, temperature=16.0)
        stack = _Stack([job], make_schedule(20), CPU)
        draws = next(stack.draws)
        first, last = (
            stack._forward(draws, reconstruction_weight=torch.tensor([weight]))
            for weight in (1 / 16, 1.0)
        )
        noise = first.batch.input_noise.noise, last.batch.input_noise.noise
        torch.testing.assert_close(4 * noise[0], noise[1])
        weights = []
        stack.run = run_eagerly
        forward = stack._forward
        stack._forward = lambda *args: weights.append(args[2]) or forward(*args)
        for number in (0, 8, 16):
            stack.step(number)
        np.testing.assert_allclose(torch.cat(weights), [1 / 16, 1 / 4, 1])

    def test_a_model_without_it_may_share_a_stack_with_one_that_has_it(self):
        jobs = [
            make_job(seed=s, input_noise=t, conditional_noise_std=bound)
            for s, t, bound in ((0, 0.0, None), (1, 2.0, np.full(6, 0.4)))
        ]
        for one, stacked in zip(jobs, fit(jobs), strict=True):
            assert_same_fit(fit([one])[0], stacked, rtol=1e-7, atol=1e-9)

    def test_it_changes_the_fit(self):
        without, with_it = fit([make_job(), make_job(input_noise=1.0)])
        name = "encoder.head.weight"
        assert (without.weights[name] != with_it.weights[name]).any()

    def test_there_is_none_if_the_likelihood_has_no_scale(self):
        rows = np.clip(make_rows(), 0, 1)
        without, with_it = (
            fit([make_job(rows=rows, likelihood=core.Bernoulli(), input_noise=t)])[0]
            for t in (0.0, 2.0)
        )
        assert_same_fit(without, with_it, rtol=0, atol=0)


class TestDivergence:
    def overflowing(self):
        """A model whose initial weights are so large that its first loss overflows."""
        weight = np.full((6, 16), 1e200)
        return make_job(start={"encoder.0.weight": weight}, seed=9)

    def test_other_models_are_bit_equal_to_a_stack_without_it(self):
        healthy = stack_of_five()
        result = fit([*healthy[:2], self.overflowing(), *healthy[2:]])
        # A healthy model in the same place, so that products have the same shapes.
        reference = fit([*healthy[:2], make_job(seed=9), *healthy[2:]])
        for i in (0, 1, 3, 4, 5):
            assert result[i].diverged_at is None
            for name, array in reference[i].weights.items():
                np.testing.assert_array_equal(array, result[i].weights[name])

    def test_the_last_finite_weights_are_returned(self):
        (result,) = fit([self.overflowing()])
        assert result.diverged_at == 1
        assert result.kept_step == 0
        assert all(np.isfinite(w).all() for w in result.weights.values())

    def test_a_late_divergence_restores_the_previous_record(self):
        (result,) = fit([make_job()], make_schedule(400, learning_rate=1e60))
        assert result.diverged_at is not None
        assert result.kept_step < result.diverged_at
        assert all(np.isfinite(w).all() for w in result.weights.values())
        assert all(np.isfinite(curve).all() for curve in result.history.values())


class TestGammaZeroIsAVAE:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_bit_for_bit(self, dtype):
        """The adversary has random streams of its own, and its term has weight zero."""
        rows = make_rows(dtype=dtype)
        schedule = make_schedule(60)
        (factor_vae,) = fit([make_job(gamma=0.0, rows=rows)], schedule)
        (vae,) = fit([make_job(objective=core.VAE(beta=1.0), rows=rows)], schedule)
        for name, array in vae.weights.items():
            np.testing.assert_array_equal(array, factor_vae.weights[name])

    def test_another_gamma_changes_the_fit(self):
        (factor_vae,) = fit([make_job(gamma=5.0)])
        (vae,) = fit([make_job(objective=core.VAE(beta=1.0))])
        assert not np.array_equal(
            vae.weights["encoder.0.weight"], factor_vae.weights["encoder.0.weight"]
        )


N_ROWS = 500


class WrittenOut:
    """A step of a model with a trained discriminator, and the same step by hand."""

    def __init__(self, gamma=3.0):
        job = make_job(gamma=gamma, rows=make_rows(N_ROWS), input_noise=1.5)
        stack = _Stack([job], make_schedule(10, warmup=0.0), CPU)
        stack.step(0)
        generator = torch.Generator().manual_seed(1)
        for group in stack.parameter_groups.values():
            for name, leaf in group.leaves.items():
                is_scale = name == "likelihood.raw_scale"
                scale = core.Gaussian.LR_MULTIPLIER if is_scale else 1.0
                noise = torch.randn(leaf.shape, generator=generator)
                leaf.data += 0.3 * noise / scale
        draws = next(stack.draws)
        stack.draws = iter([draws])
        self.stack, self.gamma = stack, gamma
        self.model = stack.parameter_groups["model"].leaves
        self.adversary = stack.parameter_groups["adversary"].leaves
        self.informativeness = None
        self.terms = [self.encode(draws, batch) for batch in (0, 1)]
        self.permuted = self.terms[1][1].detach().gather(1, draws.order)

    def encode(self, draws, batch):
        """Return the negative ELBO of each row of a batch, and discriminator inputs.

        Both batches are scaled by the informativeness of latents in the first one.
        """
        weights = self.stack.parameter_groups["model"].weights
        x = self.stack.rows[draws.rows[:, batch]]
        scale = self.stack.likelihood.scales(weights, x).detach()
        noisy = x + 1.5 * scale * draws.input_noise[:, batch]
        mean, log_var = self.stack.network.encode(weights, noisy)
        z = mean + torch.exp(0.5 * log_var) * draws.noise[:, batch]
        output = self.stack.network.decode(weights, z)
        kl = 0.5 * (mean**2 + log_var.exp() - log_var - 1)
        if self.informativeness is None:
            explained = 1 - torch.exp(-2 * kl.detach().mean(1, keepdim=True))
            self.informativeness = torch.sqrt(explained)
        wider = torch.sqrt(log_var.exp() + (400 / N_ROWS) ** 2)
        inputs = (mean + wider * draws.noise[:, batch]) * self.informativeness
        return self.stack.likelihood.nll(weights, output, x) + kl.sum(-1), inputs

    def logits(self, z):
        return discriminator(3, (24, 24))(self.adversary, z).squeeze(-1)

    def model_loss(self):
        """rec + beta kl + gamma 10 tanh(logit / 10)."""
        negative_elbo, z = self.terms[0]
        bounded = 10 * torch.tanh(self.logits(z) / 10)
        return (negative_elbo + self.gamma * bounded).mean()

    def adversary_loss(self, z):
        """Cross-entropy of distinguishing codes from permuted codes."""
        logits = self.logits(torch.cat([z, self.permuted], 1))[0]
        labels = torch.cat([torch.ones(16), torch.zeros(16)]).double()
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)

    def step(self):
        """Make the step by the training loop."""
        self.stack.step(1)


def gradients_of(leaves):
    return {name: leaf.grad.clone() for name, leaf in leaves.items()}


class TestGradientsOfModelAndDiscriminator:
    def test_model_gradients_equal_those_of_the_written_out_loss(self):
        case = WrittenOut()
        expected = torch.autograd.grad(case.model_loss(), list(case.model.values()))
        case.step()
        for gradient, truth in zip(
            gradients_of(case.model).values(), expected, strict=True
        ):
            torch.testing.assert_close(gradient, truth, rtol=1e-6, atol=1e-8)

    def test_a_leak_of_the_discriminators_loss_would_be_detected(self):
        """The gradient that some public implementations add is not negligible."""
        case = WrittenOut()
        leaking = case.model_loss() + case.adversary_loss(case.terms[0][1])
        wrong = torch.autograd.grad(leaking, list(case.model.values()))
        case.step()
        names = list(case.model)
        gradients = gradients_of(case.model)
        for name in ("encoder.0.weight", "encoder.head.weight"):
            leak = wrong[names.index(name)] - gradients[name]
            assert leak.norm() > 1e-3 * gradients[name].norm()

    def test_the_discriminators_gradients_equal_those_of_its_cross_entropy(self):
        case = WrittenOut()
        loss = case.adversary_loss(case.terms[0][1].detach())
        expected = torch.autograd.grad(loss, list(case.adversary.values()))
        case.step()
        for gradient, truth in zip(
            gradients_of(case.adversary).values(), expected, strict=True
        ):
            torch.testing.assert_close(gradient, truth, rtol=1e-7, atol=1e-10)


class TestDraws:
    def test_a_batch_may_be_larger_than_the_table(self):
        rows = make_rows(5)
        (result,) = fit([make_job(rows=rows)], make_schedule(20, batch_size=64))
        assert result.n_iter == 20
        assert np.isfinite(result.history["reconstruction"]).all()

    def test_the_two_batches_are_independent(self):
        stack = _Stack([make_job()], make_schedule(10, batch_size=400), CPU)
        rows = next(stack.draws).rows[0]
        shared = (rows[0] == rows[1]).float().mean()
        assert shared < 0.03  # one in 200 by chance

    @pytest.mark.parametrize(
        ("weights", "std"),
        [
            (np.ones(1000), 0.4),
            (7 * np.ones(1000), 0.4),  # the unit of weights does not matter
            (np.r_[np.ones(800), 1e-9 * np.ones(600)], 0.5),
            (np.ones(50), 1.0),
        ],
    )
    def test_instance_noise_is_larger_for_fewer_rows(self, weights, std):
        jobs = [
            make_job(rows=make_rows(len(w)), row_weights=w)
            for w in (weights, np.ones(2000))
        ]
        found = _Stack(jobs, make_schedule(10), CPU).instance_noise
        np.testing.assert_allclose(found, [std, 0.2], rtol=1e-6)

    def test_a_row_is_drawn_in_proportion_to_its_weight(self):
        weights = np.r_[np.ones(100), 3 * np.ones(100)]
        job = make_job(row_weights=weights)
        stack = _Stack([job], make_schedule(10, batch_size=2000), CPU)
        share = (next(stack.draws).rows >= 100).double().mean()
        assert abs(share - 0.75) < 0.03


class TestRecords:
    def test_it_names_every_term_and_has_at_most_200_entries(self):
        (result,) = fit([make_job()], make_schedule(450))
        assert set(result.history) == {
            "step",
            "reconstruction",
            "kl",
            "total_correlation",
            "discriminator_loss",
            "discriminator_accuracy",
        }
        assert len(result.history["step"]) == 150
        assert result.history["step"][-1] == 450

    def test_an_entry_is_the_mean_since_the_one_before(self):
        job, schedule = make_job(), make_schedule(400)
        (result,) = fit([job], schedule)
        stack = _Stack([job], schedule, CPU)
        first_two = [stack.step(i)["reconstruction"].item() for i in range(2)]
        assert result.history["reconstruction"][0] == pytest.approx(np.mean(first_two))

    def test_a_watch_function_stops_one_model_and_not_the_other(self):
        jobs = [make_job(seed=0), make_job(seed=1)]
        stopped, finished = fit(jobs, watch=lambda record: [record.step >= 7, False])
        assert stopped.n_iter == stopped.kept_step == 7
        assert finished.n_iter == 40
        (short,) = fit([jobs[0]], watch=lambda record: [record.step >= 7])
        assert_same_fit(short, stopped, rtol=1e-8, atol=1e-10)

    def test_a_watch_function_can_read_weights_during_the_fit(self):
        read = []
        (result,) = fit(
            [make_job()], watch=lambda record: [bool(read.append(record.weights(0)))]
        )
        np.testing.assert_array_equal(
            read[-1]["encoder.0.weight"], result.weights["encoder.0.weight"]
        )
        assert not np.array_equal(
            read[0]["encoder.0.weight"], result.weights["encoder.0.weight"]
        )


def test_early_stopping_returns_the_best_held_out_weights():
    held_out = core.HeldOut(make_rows(40, seed=5), np.ones(40))
    schedule = make_schedule(150, patience=30, warmup=0.1)
    (result,) = fit([make_job(rows=make_rows(12), held_out=held_out)], schedule)
    curve, steps = result.history["validation_elbo"], result.history["step"]
    is_warmed_up = steps >= 15
    best = curve[is_warmed_up].argmax()
    assert result.kept_step == steps[is_warmed_up][best]
    assert result.n_iter == result.kept_step + 30


class TestCriterion:
    """Weights are compared at the start, at records 1, 4, 16, ... and at the end."""

    @staticmethod
    def fitted(values, n_steps=20, **options):
        given = iter(values)
        job = make_job(criterion=lambda weights, device: next(given), **options)
        (found,) = fit([job], make_schedule(n_steps))
        return found, given

    @pytest.mark.parametrize(
        ("values", "step"),
        [
            ([5, 1, 2, 3, 4], 0),
            ([1, 5, 2, 3, 4], 1),
            ([1, 2, 3, 5, 4], 16),
            ([1, 2, 3, 4, 5], 20),
            ([5, 1, 2, 3, 4.95], 20),
            ([-1, -5, -4, -1.01, -3], 0),
        ],
    )
    def test_the_best_weights_are_returned(self, values, step):
        found, given = self.fitted(values)
        assert found.kept_step == step
        assert found.n_iter == 20
        assert next(given, None) is None

    def test_a_criterion_that_prefers_the_last_step_changes_nothing(self):
        (plain,) = fit([make_job()], make_schedule(20))
        assert_same_fit(plain, self.fitted(range(5))[0], rtol=0, atol=0)

    def test_held_out_rows_take_its_place(self):
        held_out = core.HeldOut(make_rows(40, seed=3), np.ones(40))
        found, given = self.fitted(range(5), held_out=held_out)
        assert found.kept_step == 20
        assert next(given) == 0

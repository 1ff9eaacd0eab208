"""What a fit returns, and terms, weights and adversaries that a user may add."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_rows, make_schedule
from test_family import FAMILY
from test_supervision import make_objective as make_supervised
from test_training import assert_same_fit

from skfactorvae import core
from skfactorvae.core._training import _Stack

every_objective = pytest.mark.parametrize("make", FAMILY.values(), ids=FAMILY)


class TestStatus:
    def test_a_fit_that_makes_all_steps_ends_by_its_budget(self):
        (result,) = fit([make_job()])
        assert result.status == "budget"
        assert result.n_iter == result.kept_step == 40

    def test_a_fit_without_improvement_ends_by_early_stopping(self):
        held_out = core.HeldOut(make_rows(40, seed=5), np.ones(40))
        schedule = make_schedule(120, patience=8, warmup=0.05)
        (result,) = fit([make_job(held_out=held_out)], schedule)
        assert result.status == "early_stopping"
        assert result.n_iter < 120

    def test_a_watch_function_stops_a_fit(self):
        jobs = [make_job(seed=0), make_job(seed=1)]
        stopped, other = fit(jobs, watch=lambda record: [record.step >= 7, False])
        assert (stopped.status, other.status) == ("stopped", "budget")

    def test_a_request_to_stop_at_the_last_step_changes_nothing(self):
        (result,) = fit([make_job()], watch=lambda record: [record.step == 40])
        assert result.status == "budget"

    def test_a_fit_that_overflows_has_diverged(self):
        (result,) = fit([make_job()], make_schedule(400, learning_rate=1e60))
        assert result.status == "diverged"
        assert result.diverged_at == result.n_iter


class TestLatents:
    @every_objective
    def test_kl_and_variance_are_those_of_the_returned_weights(self, make):
        job = make_job(objective=make(1.0), n_components=4)
        (result,) = fit([job])
        assert result.kl.shape == result.variance.shape == (4,)
        encoded = core.encode(job.network, result.weights, job.rows, device=CPU)
        mean, std = (moment[:, :4] for moment in encoded)
        kl = 0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1).mean(0)
        np.testing.assert_allclose(result.kl, kl, atol=1e-6)
        np.testing.assert_allclose(result.variance, mean.var(0), atol=1e-6)

    @every_objective
    def test_they_have_the_order_of_the_readout(self, make):
        job = make_job(objective=make(1.0), n_components=4)
        (result,) = fit([job])
        order = job.objective.readout.latent_order(result.kl)
        np.testing.assert_array_equal(order, np.arange(4))

    def test_inactive_ones_are_set_to_the_prior(self):
        marginals = (0.5, 0.5), (0.0, 1.0)
        objective = make_supervised(levels=(2, 0), marginals=marginals, beta=50.0)
        job = make_job(objective=objective, n_components=5)
        (result,) = fit([job], make_schedule(200))
        rest = sum(objective.widths)
        inactive = rest + np.flatnonzero(result.kl[rest:] == 0)
        assert len(inactive)
        mean, std = core.encode(job.network, result.weights, job.rows, device=CPU)
        np.testing.assert_array_equal(mean[:, inactive], 0)
        np.testing.assert_allclose(std[:, inactive], 1, rtol=1e-6)
        assert not result.variance[inactive].any()


@dataclass(frozen=True, kw_only=True)
class WithDiagnostic(core.VAE):
    """A VAE that records a term of infinite value and gradient."""

    recorded_only = ("diagnostic",)

    def terms(self, forward):
        return {**super().terms(forward), "diagnostic": forward.kl / 0.0}


@dataclass(frozen=True, kw_only=True)
class WithWeightZero(WithDiagnostic):
    """The same objective with a weight of zero for that term."""

    recorded_only = ()

    def weights(self, ramp):
        return {**super().weights(ramp), "diagnostic": 0 * self.beta}


class TestRecordedOnlyTerms:
    def gradients(self, objective):
        stack = _Stack([make_job(objective=objective)], make_schedule(), CPU)
        terms = stack.step(0)
        assert terms["diagnostic"].isinf().all()
        leaves = stack.parameter_groups["model"].leaves.values()
        return torch.cat([leaf.grad.flatten() for leaf in leaves])

    def test_an_infinite_term_leaves_the_gradients_finite(self):
        assert self.gradients(WithDiagnostic(beta=1.0)).isfinite().all()

    def test_a_weight_of_zero_does_not(self):
        assert self.gradients(WithWeightZero(beta=1.0)).isnan().any()

    def test_the_fit_is_that_without_the_term(self):
        (plain,) = fit([make_job(objective=core.VAE(beta=2.0))])
        (result,) = fit([make_job(objective=WithDiagnostic(beta=2.0))])
        assert result.status == "budget"
        assert np.isinf(result.history["diagnostic"]).all()
        del result.history["diagnostic"]
        assert_same_fit(plain, result, rtol=0, atol=0)

    @every_objective
    def test_they_have_no_weight(self, make):
        objective = type(make(1.0)).stack([make(1.0)], torch.zeros(()))
        weights = objective.weights(torch.ones(1))
        assert not weights.keys() & set(objective.recorded_only)


class TestParameters:
    """Weights are declared by name with named axes, by what draws them."""

    @every_objective
    def test_every_drawn_weight_is_declared_with_its_axes(self, make):
        jobs = [make_job(objective=make(1.0), n_components=d) for d in (3, 5)]
        narrow, wide = (_Stack([job], make_schedule(), CPU).export(0) for job in jobs)
        assert narrow.keys() == wide.keys() == jobs[0].parameters.keys()
        for name, axes in jobs[0].parameters.items():
            assert narrow[name].ndim == len(axes), name
            sizes = zip(narrow[name].shape, wide[name].shape, strict=True)
            assert [a != b for a, b in sizes] == [axis == "d" for axis in axes], name

    @every_objective
    def test_model_and_adversary_share_no_weight(self, make):
        job = make_job(objective=make(1.0))
        groups = _Stack([job], make_schedule(), CPU).parameter_groups
        names = [set(group.weights) for group in groups.values()]
        assert set.union(*names) == job.parameters.keys()
        assert sum(map(len, names)) == len(job.parameters)

    def test_weights_without_a_declaration_are_refused(self):
        @dataclass(frozen=True, kw_only=True)
        class Undeclared(core.VAE):
            def draw(self, n_components):
                return {"extra": torch.zeros(n_components)}

        with pytest.raises(ValueError, match=r"only one of both: \['extra'\]"):
            fit([make_job(objective=Undeclared(beta=1.0))])


@dataclass(frozen=True)
class LinearPredictor(core.Adversary):
    """Predicts the first feature from the codes, linearly."""

    learning_rate: float = 1e-2

    def parameters(self, network):
        return {"predictor.weight": ("d",)}

    def draw(self, n_components, generator):
        return {"predictor.weight": torch.randn(n_components, generator=generator)}

    def run(self, forward, weights, gradients):
        (weight,) = weights.values()
        target = forward.x[..., 0]

        def loss(weight, z):
            return (target - torch.einsum("kbd,kd->kb", z, weight)).square().mean(1)

        (gradient,) = torch.autograd.grad(
            loss(weight, forward.z.detach()).sum(), weight
        )
        gradients["predictor.weight"].copy_(gradient)
        error = loss(weight.detach(), forward.z)
        return {"predictability": -error}, {"predictor_loss": error.detach()}


@dataclass(frozen=True, kw_only=True)
class Unpredictive(core.VAE):
    """A VAE with an adversary of the user's own."""

    adversary = LinearPredictor()


class TestAdversaryOfTheUser:
    def test_it_is_trained_and_recorded(self):
        (result,) = fit([make_job(objective=Unpredictive(beta=1.0))])
        np.testing.assert_allclose(
            result.history["predictability"], -result.history["predictor_loss"]
        )
        (other,) = fit([make_job(objective=Unpredictive(beta=1.0))], make_schedule(1))
        name = "predictor.weight"
        assert not np.allclose(
            np.abs(result.weights[name]), np.abs(other.weights[name])
        )

    def test_models_of_different_widths_may_share_a_stack(self):
        jobs = [
            make_job(objective=Unpredictive(beta=1.0), n_components=d, seed=d)
            for d in (2, 4)
        ]
        for job, stacked in zip(jobs, fit(jobs), strict=True):
            assert_same_fit(fit([job])[0], stacked, rtol=1e-8, atol=1e-10)


class TestLinearStart:
    def test_a_point_posterior_has_that_of_its_network(self):
        network = core.MLP(6, 3, (4,), "relu", linear_path=True)
        arrays = np.ones((6, 3)), np.ones((3, 6))
        start = core.PointPosterior(network).linear_start(*arrays)
        assert start.keys() == network.linear_start(*arrays).keys()
        assert start.keys() <= network.parameters.keys()

    def test_a_network_without_a_linear_path_refuses_one(self):
        network = core.MLP(6, 3, (4,), "relu", linear_path=False)
        with pytest.raises(ValueError, match="no linear path"):
            network.linear_start(np.ones((6, 3)), np.ones((3, 6)))


@pytest.mark.parametrize("unit", [5e-324, 1e-200, 1.0, 1e200])
def test_the_unit_of_weights_has_no_effect_on_the_sample_size(unit):
    weights = unit * np.array([1.0, 1.0, 2.0])
    assert core.effective_sample_size(weights) == pytest.approx(16 / 6)


def test_values_of_a_step_are_computed_once():
    stack = _Stack([make_job()], make_schedule(), CPU)
    forward, calls = stack._forward(next(stack.draws)), []

    def total(step):
        calls.append(step)
        return step.z.sum()

    assert forward.once(total) is forward.once(total)
    assert len(calls) == 1
    fresh = dataclasses.replace(forward)
    assert fresh.once(total) == forward.once(total)
    assert len(calls) == 2

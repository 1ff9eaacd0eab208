"""Properties of every objective, alone and in a stack."""

import dataclasses

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_rows, make_schedule
from test_training import assert_same_fit

from skfactorvae import core
from skfactorvae.core._training import _Stack

DISCRIMINATOR = {"hidden_layer_sizes": (24, 24), "learning_rate": 1e-3}

FAMILY = {
    "VAE": lambda w: core.VAE(beta=w),
    "CapacityVAE": lambda w: core.CapacityVAE(beta=w, capacity=3 * w),
    "FactorVAE": lambda w: core.FactorVAE(gamma=w, beta=1 + w, **DISCRIMINATOR),
    "BetaTCVAE": lambda w: core.BetaTCVAE(alpha=w, beta=2 * w, lambda_=1 / w),
    "BetaTCVAE, minibatch": lambda w: core.BetaTCVAE(
        alpha=1, beta=w, lambda_=1, weighting="minibatch"
    ),
    "DIPVAE I": lambda w: core.DIPVAE(lambda_od=w, lambda_d=3 * w, kind="I"),
    "DIPVAE II": lambda w: core.DIPVAE(lambda_od=w, lambda_d=w, kind="II"),
    "AAE": lambda w: core.AAE(gamma=w, **DISCRIMINATOR),
    "AAE, uniform": lambda w: core.AAE(gamma=w, prior="uniform", **DISCRIMINATOR),
    "SupervisedFactorVAE": lambda w: core.SupervisedFactorVAE(
        gamma=w,
        beta=1 + w,
        supervision=2.0,
        masking=w,
        marginals=((0.5, 0.5), (0.0, 1.0)),
        levels=(2, 0),
        widths=(1, 1),
        n_hidden=1,
        opponent_layer_sizes=(12,),
        **DISCRIMINATOR,
    ),
    "CausalVAE": lambda w: core.CausalVAE(
        beta=w, supervision=1 + w, graph=((0, 1), (0, 0)), structural_layer_sizes=(4,)
    ),
    "AuxiliaryVAE": lambda w: core.AuxiliaryVAE(
        beta=w, encoder_share=w / 10, shares=(0.2, 0.3, 0.5), n_conditions=3
    ),
    "PairedVAE": lambda w: core.PairedVAE(gamma=w, beta=1 + w, **DISCRIMINATOR),
    "PairedVAE, n_changed": lambda w: core.PairedVAE(
        gamma=w, beta=w, n_changed=1, average="geometric", **DISCRIMINATOR
    ),
    "InfoGAN": lambda w: core.InfoGAN(
        lambda_=w, gradient_penalty=w, learning_rate=1e-3
    ),
}
"""Each objective, with weights that are functions of one number."""

GROUPED = {
    "FactorVAE": lambda w: core.FactorVAE(
        gamma=w, beta=1, groups=(2, 1), **DISCRIMINATOR
    ),
    "BetaTCVAE": lambda w: core.BetaTCVAE(alpha=1, beta=w, lambda_=1, groups=(2, 1)),
}

every_objective = pytest.mark.parametrize("make", FAMILY.values(), ids=FAMILY)
every_solver = pytest.mark.parametrize("solver", ["adam", "soap"])
every_grouped_objective = pytest.mark.parametrize("make", GROUPED.values(), ids=GROUPED)


def test_every_exported_objective_is_tested():
    tested = {type(make(1.0)) for make in FAMILY.values()}
    exported = (getattr(core, name) for name in core.__all__)
    objectives = {
        member
        for member in exported
        if isinstance(member, type)
        and issubclass(member, core.Objective)
        and not getattr(member, "__abstractmethods__", None)
    }
    assert tested == objectives


@every_solver
@every_objective
def test_a_model_in_a_stack_equals_the_model_alone(make, solver):
    """The models differ in weights, seed, rows, row weights and number of latents."""
    rows, others = make_rows(), make_rows(150, seed=1)
    shares = np.random.default_rng(0).uniform(0.1, 2, size=len(others))
    jobs = [
        make_job(objective=make(0.5), seed=0, n_components=4, rows=rows),
        make_job(objective=make(4.0), seed=1, n_components=2, rows=rows),
        make_job(
            objective=make(2.0),
            seed=2,
            n_components=3,
            rows=others,
            row_weights=shares,
        ),
    ]
    schedule = make_schedule(solver=solver)
    together = fit(jobs, schedule)
    for job, stacked in zip(jobs, together, strict=True):
        (alone,) = fit([job], schedule)
        assert_same_fit(alone, stacked, rtol=1e-8, atol=1e-10)


@every_grouped_objective
def test_a_model_with_groups_in_a_stack_equals_the_model_alone(make):
    jobs = [make_job(objective=make(w), seed=0) for w in (0.5, 4.0)]
    for job, stacked in zip(jobs, fit(jobs), strict=True):
        (alone,) = fit([job])
        assert_same_fit(alone, stacked, rtol=1e-8, atol=1e-10)


@every_grouped_objective
def test_groups_change_the_fit(make):
    grouped = make(4.0)
    apart = dataclasses.replace(grouped, groups=None)
    (left,), (right,) = (fit([make_job(objective=o)]) for o in (grouped, apart))
    assert not np.allclose(
        left.history["total_correlation"], right.history["total_correlation"]
    )


@every_objective
def test_weights_of_terms_change_the_fit(make):
    left, right = fit([make_job(objective=make(w)) for w in (0.5, 4.0)])
    assert not np.allclose(
        left.weights["encoder.0.weight"], right.weights["encoder.0.weight"]
    )


@every_objective
def test_divergence_of_one_model_does_not_change_the_others(make):
    """Huge values make one model diverge; the other is equal bit for bit."""
    huge = make_rows().copy()
    huge[::2] *= 1e200
    healthy = make_job(objective=make(1.0), rows=make_rows())
    diverging = make_job(objective=make(1.0), rows=huge)
    twin = make_job(objective=make(1.0), rows=make_rows())
    reference, _ = fit([healthy, twin])
    result, diverged = fit([healthy, diverging])
    assert diverged.diverged_at is not None
    assert_same_fit(reference, result, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILY.keys() - {"InfoGAN"}))
def test_the_reconstruction_improves(name):
    """Except InfoGAN's, which is not part of the generator's loss."""
    make = FAMILY[name]
    (result,) = fit([make_job(objective=make(1.0))], make_schedule(300))
    curve = result.history["reconstruction"]
    assert curve[-20:].mean() < curve[:5].mean() - 1


ADVERSARIAL = {
    name: make
    for name, make in FAMILY.items()
    if make(1.0).adversary is not None and "InfoGAN" not in name
}
"""Objectives with an adversary and terms without it, which InfoGAN does not have."""


class Step:
    """One step of a stack whose weights are away from their initial values."""

    def __init__(self, objective):
        job = make_job(objective=objective)
        stack = _Stack([job], make_schedule(10, warmup=0.0), CPU)
        stack.step(0)
        generator = torch.Generator().manual_seed(1)
        for group in stack.parameter_groups.values():
            for leaf in group.leaves.values():
                leaf.data += 0.3 * torch.randn(leaf.shape, generator=generator)
        draws = next(stack.draws)
        stack.draws = iter([draws])
        self.stack = stack

    def gradients(self, role):
        """Make the step, and return the gradients of one parameter group."""
        self.stack.step(1)
        leaves = self.stack.parameter_groups[role].leaves
        return {name: leaf.grad.clone() for name, leaf in leaves.items()}


def without_adversarial_terms(objective):
    """Return the same objective with weight zero for its adversarial terms."""
    names = {f.name for f in dataclasses.fields(objective)} & {"gamma", "masking"}
    return dataclasses.replace(objective, **dict.fromkeys(names, 0.0))


@pytest.mark.parametrize("make", ADVERSARIAL.values(), ids=ADVERSARIAL)
class TestGradientsOfModelAndAdversary:
    def test_with_weight_zero_the_model_follows_its_own_terms(self, make):
        """No gradient of the adversary's loss reaches the model."""
        step = Step(without_adversarial_terms(make(1.0)))
        stack = step.stack
        draws = next(stack.draws)
        forward = stack._forward(draws)
        terms = stack.objective.terms(forward)
        weights = stack.objective.weights(1.0)
        loss = sum(v * weights.get(k, 1.0) for k, v in terms.items())
        leaves = stack.parameter_groups["model"].leaves
        expected = torch.autograd.grad(loss.sum(), list(leaves.values()))
        stack.draws = iter([draws])
        result = step.gradients("model")
        for name, gradient in zip(leaves, expected, strict=True):
            torch.testing.assert_close(result[name], gradient, msg=name)

    def test_weights_of_terms_do_not_change_the_adversarys_gradients(self, make):
        weak, strong = (Step(make(w)).gradients("adversary") for w in (1.0, 9.0))
        for name, gradient in weak.items():
            torch.testing.assert_close(gradient, strong[name], msg=name)

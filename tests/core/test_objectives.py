"""Objectives against closed forms, brute force and a converged discriminator."""

import itertools

import numpy as np
import pytest
import torch
from _jobs import make_objective
from hypothesis import given
from hypothesis import strategies as st

from skfactorvae import core
from skfactorvae.core._networks import discriminator
from skfactorvae.core._objectives import (
    Forward,
    density_ratio_term,
    discriminator_accuracy,
    discriminator_loss,
    kl_divergence,
)
from skfactorvae.core._random import permute_dims


def make_forward(mean, log_var, mask=None):
    return Forward(
        nll=torch.zeros(mean.shape[:2]),
        mean=mean,
        log_var=log_var,
        z=mean,
        order=torch.zeros(mean.shape, dtype=torch.long),
        mask=mask,
        second_codes=lambda: mean,
    )


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


class TestKL:
    def test_it_equals_the_integral(self):
        """Against torch's own divergence of normal distributions."""
        mean, log_var = draw(2, 5, 3), draw(2, 5, 3, seed=1)
        posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_var))
        prior = torch.distributions.Normal(0.0, 1.0)
        expected = torch.distributions.kl_divergence(posterior, prior)
        result = kl_divergence(make_forward(mean, log_var))
        torch.testing.assert_close(result, expected.sum(-1).mean(-1))

    def test_a_posterior_equal_to_the_prior_costs_nothing(self):
        zeros = torch.zeros(1, 4, 2)
        assert kl_divergence(make_forward(zeros, zeros)).item() == 0

    def test_a_missing_latent_costs_nothing(self):
        mean, log_var = draw(1, 4, 3), draw(1, 4, 3, seed=1)
        mask = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 3)
        narrow = make_forward(mean[..., :2], log_var[..., :2])
        torch.testing.assert_close(
            kl_divergence(make_forward(mean, log_var, mask)), kl_divergence(narrow)
        )


class TestPermuteDims:
    @given(st.integers(2, 20), st.integers(1, 5), st.integers(0, 100))
    def test_every_column_keeps_its_values_and_columns_move_apart(self, b, d, seed):
        z = draw(2, b, d, seed=seed)
        order = torch.rand(
            (2, b, d), generator=torch.Generator().manual_seed(seed)
        ).argsort(1)
        permuted = permute_dims(z, order)
        torch.testing.assert_close(permuted.sort(1).values, z.sort(1).values)

    def test_it_runs_along_the_batch_and_never_along_the_latents(self):
        """Latent j of the result holds values of latent j alone."""
        z = torch.arange(4).repeat(1, 100, 1).double()  # column j is constant j
        order = torch.rand(1, 100, 4).argsort(1)
        torch.testing.assert_close(permute_dims(z, order), z)

    def test_it_breaks_the_dependence_between_latents(self):
        z = draw(1, 5000, 1).repeat(1, 1, 2)  # two equal latents
        order = torch.rand(z.shape, generator=torch.Generator().manual_seed(0)).argsort(
            1
        )
        permuted = permute_dims(z, order)[0]
        assert abs(np.corrcoef(permuted.T.numpy())[0, 1]) < 0.05


class TestDiscriminator:
    def test_it_starts_by_seeing_no_difference(self):
        network = discriminator(3, (8, 8))
        weights = network.draw(torch.Generator().manual_seed(0))
        stacked = {k: v[None].double() for k, v in weights.items()}
        logits = network(stacked, draw(1, 10, 3)).squeeze(-1)
        torch.testing.assert_close(logits, torch.zeros(1, 10, dtype=torch.float64))
        assert discriminator_loss(logits).item() == pytest.approx(np.log(2))

    def test_its_loss_is_the_cross_entropy_of_equal_halves(self):
        logits = 3 * draw(2, 12)
        real, fake = logits[:, :6].sigmoid(), logits[:, 6:].sigmoid()
        expected = -0.5 * (real.log().mean(1) + (1 - fake).log().mean(1))
        torch.testing.assert_close(discriminator_loss(logits), expected)

    def test_its_loss_is_finite_for_any_logit(self):
        logits = torch.tensor([[1e30, -1e30]], requires_grad=True)
        loss = discriminator_loss(logits)
        loss.backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(logits.grad).all()

    def test_its_accuracy_counts_right_sides(self):
        logits = torch.tensor([[1.0, -1.0, -2.0, -3.0]])
        assert discriminator_accuracy(logits).item() == 0.75

    def test_rows_do_not_depend_on_each_other(self):
        """No normalisation over the batch: it would destroy the density ratio."""
        network = make_objective(1.0, 1.0, (8, 8)).adversary(3)
        weights = network.draw(torch.Generator().manual_seed(0))
        weights["discriminator.2.weight"] = torch.ones(8, 1)
        stacked = {k: v[None].double() for k, v in weights.items()}
        codes = draw(1, 10, 3)
        together = network(stacked, codes)
        apart = [network(stacked, codes[:, i : i + 1]) for i in range(10)]
        torch.testing.assert_close(together, torch.cat(apart, 1))


class TestDensityRatio:
    def term(self, z, slope):
        """The term and its gradient for a discriminator with logits slope * sum(z)."""
        codes = z.detach().requires_grad_()
        fake = draw(1, z.shape[1], z.shape[2], seed=5)
        logits = slope * torch.cat([codes, fake], 1).sum(-1)
        (pull,) = torch.autograd.grad(discriminator_loss(logits).sum(), codes)
        return density_ratio_term(logits[:, : z.shape[1]].detach(), pull, z)

    @pytest.mark.parametrize("slope", [0.1, 2.0, 30.0])
    def test_its_value_is_the_mean_logit_and_its_gradient_that_of_the_bounded_one(
        self, slope
    ):
        z = draw(1, 7, 2).requires_grad_()
        term = self.term(z, slope)
        logits = slope * z.sum(-1)
        torch.testing.assert_close(term, logits.mean(1))
        (gradient,) = torch.autograd.grad(term.sum(), z)
        bounded = 10 * torch.tanh(logits / 10)
        (expected,) = torch.autograd.grad(bounded.mean(), z)
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("logit", [-1e4, -200.0, 200.0, 1e4])
    def test_it_is_finite_for_a_discriminator_that_is_certain(self, logit):
        z = torch.zeros(1, 3, 2, requires_grad=True)
        codes = z.detach().requires_grad_()
        logits = codes.sum(-1) + logit
        full = torch.cat([logits, logits], 1)
        (pull,) = torch.autograd.grad(discriminator_loss(full).sum(), codes)
        term = density_ratio_term(logits.detach(), pull, z)
        (gradient,) = torch.autograd.grad(term.sum(), z)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 1e-6

    def test_a_constant_discriminator_leaves_the_gradient_of_the_vae(self):
        z = draw(1, 7, 2).requires_grad_()
        (gradient,) = torch.autograd.grad(self.term(z, 0.0).sum(), z)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))

    @pytest.mark.parametrize("correlation", [0.6, 0.9])
    def test_a_converged_discriminator_knows_the_total_correlation(self, correlation):
        """TC of a Gaussian is -log det R / 2."""
        covariance = np.array([[1, correlation], [correlation, 1]])
        truth = -0.5 * np.log(np.linalg.det(covariance))
        estimate = converged_total_correlation(covariance)
        assert estimate == pytest.approx(truth, rel=0.15)


def converged_total_correlation(covariance, n_steps=1500, batch=512):
    """Train the package's own discriminator on Gaussian codes; average its logits."""
    generator = torch.Generator().manual_seed(0)
    root = torch.linalg.cholesky(torch.tensor(covariance, dtype=torch.float32))
    network = discriminator(2, (64, 64))
    weights = {k: v[None] for k, v in network.draw(generator).items()}
    leaves = [w.requires_grad_() for w in weights.values()]
    optimiser = torch.optim.Adam(leaves, 2e-3)

    def codes(n):
        return (torch.randn((n, 2), generator=generator) @ root.T)[None]

    for _ in range(n_steps):
        order = torch.rand((1, batch, 2), generator=generator).argsort(1)
        both = torch.cat([codes(batch), permute_dims(codes(batch), order)], 1)
        loss = discriminator_loss(network(weights, both).squeeze(-1)).sum()
        for leaf, gradient in zip(
            leaves, torch.autograd.grad(loss, leaves), strict=True
        ):
            leaf.grad = gradient
        optimiser.step()
    with torch.no_grad():
        return network(weights, codes(20_000)).mean().item()


class TestStacking:
    def test_weights_of_terms_become_vectors(self):
        stacked = core.FactorVAE.stack(
            [make_objective(1.0, 2.0, (8,)), make_objective(3.0, 4.0, (8,))],
            torch.zeros(()),
        )
        weights = stacked.weights(ramp=0.5)
        torch.testing.assert_close(
            weights["total_correlation"], torch.tensor([0.5, 1.5])
        )
        torch.testing.assert_close(weights["kl"], torch.tensor([2.0, 4.0]))

    def test_weights_may_differ_over_a_stack_and_structure_may_not(self):
        one, other, third = (
            make_objective(1.0, 1.0, (8,)),
            make_objective(2.0, 1.0, (8,)),
            make_objective(1.0, 1.0, (9,)),
        )
        assert one.structure == other.structure != third.structure
        assert core.VAE(beta=1.0).structure == {}


def test_every_objective_sums_its_terms_in_nats_per_row():
    """Doubling the columns of a table doubles the reconstruction, not the rest."""
    for likelihood, scale in itertools.product(("shared", "feature", 0.5), (1, 2)):
        gaussian = core.Gaussian(likelihood)
        weights = {k: v[None] for k, v in gaussian.draw(4 * scale).items()}
        x = torch.ones(1, 3, 4 * scale)
        nll = gaussian.nll(weights, torch.zeros_like(x), x)
        sigma = 0.5
        one = 0.5 / sigma**2 + np.log(sigma) + 0.5 * np.log(2 * np.pi)
        torch.testing.assert_close(nll, torch.full((1, 3), 4 * scale * one))

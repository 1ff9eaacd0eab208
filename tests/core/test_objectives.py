"""Objectives against closed forms, brute force and a trained discriminator."""

import itertools
import math
from types import MappingProxyType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from _jobs import make_objective
from hypothesis import given
from hypothesis import strategies as st

from skfactorvae import core
from skfactorvae.core.objectives import Batch, Forward
from skfactorvae.core.objectives._beta_tcvae import (
    _LogSumExp,
    log_normal,
    mixture_weights,
)
from skfactorvae.core.objectives._dip_vae import covariance_of_codes
from skfactorvae.core.objectives._discriminator import (
    discriminator,
    discriminator_accuracy,
    discriminator_loss,
    run_discriminator,
)
from skfactorvae.core.objectives._groups import permute_groups


class Given(core.Network):
    """A network whose rows are the posterior moments: (mean, log_var) side by side."""

    n_features = n_components = block_size = multiplications = 1
    signature = ()
    encoder_parameters = decoder_parameters = shapes = MappingProxyType({})

    def draw(self, generator):
        return {}

    def encode(self, weights, x):
        return x.chunk(2, dim=-1)

    def decode(self, weights, z):
        return torch.cat([z, z], dim=-1)


def make_forward(mean, log_var=None, *, mask=None, noise=None, ramp=1.0, **batch):
    """Make a forward pass with given posteriors; by default, codes are the means."""
    log_var = torch.zeros_like(mean) if log_var is None else log_var
    k, b, d = mean.shape
    rows = torch.cat([mean, log_var], dim=-1)
    noise = torch.zeros(k, b, d).to(mean) if noise is None else noise
    settings = {
        "rows": torch.stack([rows, rows], dim=1),
        "noise": torch.stack([noise, noise], dim=1),
        "order": torch.arange(b)[None, :, None].expand(k, b, d),
        "row_numbers": torch.arange(b).expand(k, b),
        "table_probabilities": torch.full((k, b), 1 / b, dtype=mean.dtype),
        "instance_noise": torch.zeros(k).to(mean),
    }
    batch = Batch(**(settings | batch))
    return Forward(Given(), core.Gaussian(1.0), {}, batch, mask, ramp)


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
        result = make_forward(mean, log_var).kl
        torch.testing.assert_close(result, expected.sum(-1).mean(-1))

    def test_it_is_zero_for_a_posterior_equal_to_the_prior(self):
        zeros = torch.zeros(1, 4, 2)
        assert make_forward(zeros, zeros).kl.item() == 0

    def test_it_does_not_depend_on_padding(self):
        mean, log_var = draw(1, 4, 3), draw(1, 4, 3, seed=1)
        mask = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 3)
        narrow = make_forward(mean[..., :2], log_var[..., :2])
        torch.testing.assert_close(make_forward(mean, log_var, mask=mask).kl, narrow.kl)


class TestPermutation:
    @given(st.integers(2, 20), st.integers(1, 5), st.integers(0, 100))
    def test_each_column_keeps_its_values(self, b, d, seed):
        z = draw(2, b, d, seed=seed)
        order = torch.rand(
            (2, b, d), generator=torch.Generator().manual_seed(seed)
        ).argsort(1)
        permuted = permute_groups(z, order)
        torch.testing.assert_close(permuted.sort(1).values, z.sort(1).values)

    def test_it_permutes_rows_and_not_latents(self):
        """Latent j of the result has values of latent j only."""
        z = torch.arange(4).repeat(1, 100, 1).double()  # column j is constant j
        order = torch.rand(1, 100, 4).argsort(1)
        torch.testing.assert_close(permute_groups(z, order), z)

    def test_it_removes_the_dependence_between_latents(self):
        z = draw(1, 5000, 1).repeat(1, 1, 2)  # two equal latents
        order = torch.rand(z.shape, generator=torch.Generator().manual_seed(0)).argsort(
            1
        )
        permuted = permute_groups(z, order)[0]
        assert abs(np.corrcoef(permuted.T.numpy())[0, 1]) < 0.05


class TestDiscriminator:
    def test_its_initial_logits_are_zero(self):
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

    def test_its_accuracy_is_the_fraction_of_correct_signs(self):
        logits = torch.tensor([[1.0, -1.0, -2.0, -3.0]])
        assert discriminator_accuracy(logits).item() == 0.75

    def test_rows_do_not_depend_on_each_other(self):
        """There is no normalisation over the batch, which would bias its logits."""
        network = discriminator(3, (8, 8))
        weights = network.draw(torch.Generator().manual_seed(0))
        weights["discriminator.2.weight"] = torch.ones(8, 1)
        stacked = {k: v[None].double() for k, v in weights.items()}
        codes = draw(1, 10, 3)
        together = network(stacked, codes)
        apart = [network(stacked, codes[:, i : i + 1]) for i in range(10)]
        torch.testing.assert_close(together, torch.cat(apart, 1))


class TestDiscriminatorInput:
    def test_a_code_is_scaled_by_its_correlation_with_its_mean(self):
        """A linear channel: mean of variance 1 - v, posterior of variance v."""
        v = torch.tensor([0.02, 0.5, 0.9], dtype=torch.float64)
        mean = draw(1, 200_000, 3) * torch.sqrt(1 - v)
        forward = make_forward(mean, v.log().expand_as(mean))
        factor = (forward.discriminator_input / mean).nan_to_num().mean(1)[0]
        correlation = torch.sqrt(1 - v)  # of a drawn code with its mean
        torch.testing.assert_close(factor, correlation, atol=0.01, rtol=0)

    def test_it_is_zero_for_a_latent_at_the_prior(self):
        """And so is the gradient that the encoder receives from it."""
        mean, log_var = draw(1, 6, 2), draw(1, 6, 2, seed=1)
        mean[..., 1] = log_var[..., 1] = 0
        mean.requires_grad_()
        forward = make_forward(mean, log_var, noise=draw(1, 6, 2, seed=2))
        inputs = forward.discriminator_input
        assert not inputs[..., 1].any()
        inputs.sum().backward()
        assert not mean.grad[..., 1].any()
        assert mean.grad[..., 0].all()

    def test_its_factor_is_the_same_for_both_batches_and_has_no_gradient(self):
        mean = draw(2, 8, 3).requires_grad_()
        rows = torch.cat([mean, torch.zeros_like(mean)], -1)
        other = torch.cat([draw(2, 8, 3, seed=1), torch.zeros_like(mean)], -1)
        forward = make_forward(mean, rows=torch.stack([rows, other], dim=1))
        factor = (forward.discriminator_input / mean).detach()
        torch.testing.assert_close(
            forward.second_discriminator_input, factor * other.chunk(2, -1)[0]
        )
        forward.discriminator_input.sum().backward()
        torch.testing.assert_close(mean.grad, factor)


def run_linear(z, slope, offset=0.0):
    """Run a discriminator with logits slope * sum(z) + offset."""
    network = discriminator(z.shape[-1], ())
    weights = {
        "discriminator.0.weight": torch.full((1, z.shape[-1], 1), slope).to(z),
        "discriminator.0.bias": torch.full((1, 1), offset).to(z),
    }
    gradients = {name: torch.zeros_like(w) for name, w in weights.items()}
    others = draw(*z.shape, seed=5).to(z)
    return run_discriminator(network, weights, gradients, z, others), gradients


TERMS = {
    "log_ratio": (lambda x: x.mean(1), lambda x: (10 * torch.tanh(x / 10)).mean(1)),
    "cross_entropy": (lambda x: F.softplus(x).mean(1),) * 2,
}
"""Value of each term, and the function whose gradient the codes receive."""


@pytest.mark.parametrize("name", TERMS)
class TestDiscriminatorPass:
    @pytest.mark.parametrize("slope", [0.1, 2.0, 30.0])
    def test_a_term_has_its_value_and_gradient(self, name, slope):
        z = draw(1, 7, 2).requires_grad_()
        value, source = TERMS[name]
        term = getattr(run_linear(z, slope)[0], name)()
        logits = slope * z.sum(-1)
        torch.testing.assert_close(term, value(logits))
        (gradient,) = torch.autograd.grad(term.sum(), z)
        (expected,) = torch.autograd.grad(source(logits).sum(), z)
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("logit", [-1e4, -200.0, 200.0, 1e4])
    def test_it_is_finite_for_large_logits(self, name, logit):
        z = torch.zeros(1, 3, 2, requires_grad=True)
        term = getattr(run_linear(z, 1.0, logit)[0], name)()
        (gradient,) = torch.autograd.grad(term.sum(), z)
        assert torch.isfinite(term).all()
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 1

    def test_a_constant_discriminator_has_no_gradient_for_the_model(self, name):
        z = draw(1, 7, 2).requires_grad_()
        term = getattr(run_linear(z, 0.0)[0], name)()
        (gradient,) = torch.autograd.grad(term.sum(), z)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))


class TestDiscriminatorGradients:
    def test_they_are_those_of_its_loss(self):
        z = draw(1, 7, 2)
        _, gradients = run_linear(z, 0.7, 0.2)
        weight = torch.full((1, 2, 1), 0.7).double().requires_grad_()
        bias = torch.full((1, 1), 0.2).double().requires_grad_()
        both = torch.cat([z, draw(1, 7, 2, seed=5)], 1)
        loss = discriminator_loss((both @ weight + bias).squeeze(-1)).sum()
        expected = torch.autograd.grad(loss, (weight, bias))
        torch.testing.assert_close(tuple(gradients.values()), expected)

    def test_they_do_not_depend_on_the_encoder(self):
        z = draw(1, 7, 2).requires_grad_()
        result, gradients = run_linear(z, 0.7)
        assert not any(g.requires_grad for g in gradients.values())
        assert not any(v.requires_grad for v in result.record.values())

    @pytest.mark.slow
    @pytest.mark.parametrize("correlation", [0.6, 0.9])
    def test_a_trained_discriminator_estimates_the_total_correlation(self, correlation):
        """TC of a Gaussian is -log det R / 2."""
        covariance = np.array([[1, correlation], [correlation, 1]])
        truth = -0.5 * np.log(np.linalg.det(covariance))
        root = torch.linalg.cholesky(torch.tensor(covariance, dtype=torch.float32))
        estimate = trained_total_correlation(lambda noise: noise @ root.T)
        assert estimate == pytest.approx(truth, rel=0.15)


def trained_total_correlation(codes, groups=None, n_steps=1500, batch=512):
    """Train the package's own discriminator on codes; average its logits."""
    generator = torch.Generator().manual_seed(0)

    def draw_codes(n):
        return codes(torch.randn((n, 2), generator=generator))[None]

    network = discriminator(draw_codes(1).shape[-1], (64, 64))
    weights = {k: v[None] for k, v in network.draw(generator).items()}
    leaves = [w.requires_grad_() for w in weights.values()]
    optimiser = torch.optim.Adam(leaves, 2e-3)
    for _ in range(n_steps):
        others = draw_codes(batch)
        order = torch.rand(others.shape, generator=generator).argsort(1)
        permuted = permute_groups(others, order, groups)
        logits = network(weights, torch.cat([draw_codes(batch), permuted], 1))
        loss = discriminator_loss(logits.squeeze(-1)).sum()
        for leaf, gradient in zip(
            leaves, torch.autograd.grad(loss, leaves), strict=True
        ):
            leaf.grad = gradient
        optimiser.step()
    with torch.no_grad():
        return network(weights, draw_codes(20_000)).mean().item()


def angle_and_number(noise):
    """Return a point on a circle and an independent number, (n, 3)."""
    angle = np.pi * torch.erf(noise[:, 0] / 2**0.5)
    return torch.stack([angle.cos(), angle.sin(), noise[:, 1]], dim=-1)


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
        torch.testing.assert_close(weights["kl"], torch.tensor([1.5, 2.5]))

    def test_structure_is_all_but_weights_of_terms(self):
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


class TestCapacity:
    @pytest.mark.parametrize(("capacity", "ramp"), [(5.0, 1.0), (5.0, 0.1), (0.0, 1.0)])
    def test_the_gap_is_the_distance_of_the_mean_kl_from_the_capacity(
        self, capacity, ramp
    ):
        """A row above the capacity compensates for one below."""
        forward = make_forward(draw(2, 6, 3), draw(2, 6, 3, seed=1), ramp=ramp)
        objective = core.CapacityVAE(beta=7.0, capacity=capacity)
        terms = objective.terms(forward)
        expected = (forward.kl - capacity * ramp).abs()
        torch.testing.assert_close(terms["capacity_gap"], expected)
        assert objective.weights(ramp) == {"capacity_gap": 7.0}
        assert objective.recorded_only == ("kl",)

    def test_no_capacity_and_no_warm_up_is_beta_vae(self):
        forward = make_forward(draw(1, 6, 3), draw(1, 6, 3, seed=1))
        gap = core.CapacityVAE(beta=3.0, capacity=0.0).terms(forward)["capacity_gap"]
        torch.testing.assert_close(gap, core.VAE(beta=3.0).terms(forward)["kl"])


def brute_force_mixture(forward, weights, latents):
    """Return log sum_j w_ij q(z_i | x_j) over some latents, pair by pair, (K, B)."""
    k, b, _ = forward.z.shape
    result = torch.zeros(k, b, dtype=torch.float64)
    for model, i in itertools.product(range(k), range(b)):
        total = 0.0
        for j in range(b):
            q = torch.distributions.Normal(
                forward.mean[model, j], torch.exp(0.5 * forward.log_var[model, j])
            )
            log_density = q.log_prob(forward.z[model, i])[list(latents)].sum()
            total += weights[model, i, j] * log_density.exp()
        result[model, i] = total.log()
    return result


class TestBetaTCVAE:
    def forward(self, b=6, d=3, **batch):
        return make_forward(
            draw(2, b, d),
            draw(2, b, d, seed=1) - 1,
            noise=draw(2, b, d, seed=2),
            **batch,
        )

    def objective(self, **structure):
        return core.BetaTCVAE(alpha=1.0, beta=6.0, lambda_=1.0, **structure)

    @pytest.mark.parametrize("weighting", ["stratified", "minibatch"])
    @pytest.mark.parametrize("groups", [None, (2, 1)])
    def test_its_terms_equal_brute_force(self, weighting, groups):
        probabilities = torch.tensor([[0.3, 0.1, 0.05, 0.05, 0.2, 0.1]] * 2).double()
        numbers = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 3, 2, 3, 1, 5]])
        forward = self.forward(table_probabilities=probabilities, row_numbers=numbers)
        terms = self.objective(weighting=weighting, groups=groups).terms(forward)
        weights = brute_force_weights(weighting, forward)
        joint = brute_force_mixture(forward, weights, range(3))
        parts = [[0, 1], [2]] if groups else [[0], [1], [2]]
        marginals = sum(brute_force_mixture(forward, weights, part) for part in parts)
        own = torch.distributions.Normal(
            forward.mean, torch.exp(0.5 * forward.log_var)
        ).log_prob(forward.z)
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(forward.z).sum(-1)
        own_weights = weights.diagonal(dim1=1, dim2=2)
        expected = {
            "mutual_information": own.sum(-1) - joint,
            "total_correlation": joint - marginals,
            "dimensionwise_kl": marginals - prior,
            "self_weight": own_weights * (own.sum(-1) - joint).exp(),
        }
        for name, rows in expected.items():
            torch.testing.assert_close(terms[name], rows.mean(1), msg=name)

    def test_its_gradient_equals_finite_differences(self):
        mean = draw(1, 4, 2).requires_grad_()
        log_var = (draw(1, 4, 2, seed=1) - 1).requires_grad_()
        noise = draw(1, 4, 2, seed=2)

        def penalty(mean, log_var):
            forward = make_forward(mean, log_var, noise=noise)
            terms = self.objective().terms(forward)
            return 6 * terms["total_correlation"] + terms["mutual_information"]

        assert torch.autograd.gradcheck(penalty, (mean, log_var))

    def test_single_precision_is_enough_for_the_narrowest_posteriors(self):
        mean, log_var = 3 * draw(1, 8, 2), torch.full((1, 8, 2), -9.99).double()
        z = mean + torch.exp(0.5 * log_var) * draw(1, 8, 2, seed=1)
        exact = torch.distributions.Normal(mean, torch.exp(0.5 * log_var)).log_prob(z)
        single = log_normal(z.float(), mean.float(), log_var.float())
        torch.testing.assert_close(single.double(), exact, rtol=0, atol=2e-3)

    def test_the_logarithm_of_a_sum_and_its_gradient_are_torchs(self):
        """Also with exponents of -inf, which rows have that are drawn twice."""
        x = (30 * draw(2, 5, 5)).masked_fill(draw(2, 5, 5, seed=1) > 1, -math.inf)
        assert x.isinf().any()
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        weight = draw(2, 5, seed=2)
        sums = _LogSumExp.apply(ours), torch.logsumexp(theirs, -1)
        torch.testing.assert_close(*sums)
        for one in sums:
            (weight * one).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-15)

    def test_differentiating_that_gradient_raises(self):
        x = draw(1, 3, 3).requires_grad_()
        total = _LogSumExp.apply(x).square().sum()
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.sum().backward()

    def test_its_three_terms_sum_to_the_sampled_kl(self):
        forward = self.forward()
        terms = self.objective().terms(forward)
        normal = torch.distributions.Normal
        posterior = normal(forward.mean, torch.exp(0.5 * forward.log_var))
        ratio = posterior.log_prob(forward.z) - normal(0.0, 1.0).log_prob(forward.z)
        names = ("mutual_information", "total_correlation", "dimensionwise_kl")
        together = sum(terms[name] for name in names)
        torch.testing.assert_close(together, ratio.sum(-1).mean(1))

    def test_its_terms_do_not_depend_on_padding(self):
        narrow = self.forward(d=2)
        padded = make_forward(
            F.pad(narrow.mean, (0, 1)),
            F.pad(narrow.log_var, (0, 1)),
            noise=F.pad(narrow.batch.noise[:, 0], (0, 1)),
            mask=torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 3).expand(2, 1, 3),
        )
        expected = self.objective().terms(narrow)
        for name, value in self.objective().terms(padded).items():
            if name != "reconstruction":
                torch.testing.assert_close(value, expected[name], msg=name)

    def test_a_whole_table_as_a_batch_gives_the_exact_mixture(self):
        """With each row of an unweighted table once, all weights are 1 / N."""
        numbers = torch.arange(5).expand(1, 5)
        probabilities = torch.full((1, 5), 0.2)
        weights = mixture_weights("stratified", numbers, probabilities).exp()
        torch.testing.assert_close(weights, torch.full((1, 5, 5), 0.2))

    @given(st.integers(0, 1000), st.sampled_from(["stratified", "minibatch"]))
    def test_weights_of_a_row_sum_to_one(self, seed, weighting):
        """With any repetitions, up to a batch that repeats a single row."""
        rng = np.random.default_rng(seed)
        numbers = torch.from_numpy(rng.integers(rng.integers(1, 9), size=(2, 8)))
        table = torch.from_numpy(rng.dirichlet(np.ones(9), size=2))
        probabilities = table.gather(1, numbers)
        weights = mixture_weights(weighting, numbers, probabilities).exp().sum(2)
        torch.testing.assert_close(weights, torch.ones_like(weights))

    def test_a_row_has_its_own_probability_and_its_repetitions_have_zero(self):
        numbers = torch.tensor([[4, 7, 4, 1]])
        probabilities = torch.tensor([[0.1, 0.2, 0.1, 0.5]]).double()
        weights = mixture_weights("stratified", numbers, probabilities).exp()[0]
        expected = torch.tensor([0.1, 0.45, 0.0, 0.45]).double()
        torch.testing.assert_close(weights[0], expected)
        expected = torch.tensor([0.8 / 3, 0.2, 0.8 / 3, 0.8 / 3]).double()
        torch.testing.assert_close(weights[1], expected)

    def test_the_total_correlation_is_small_if_independent_and_large_if_equal(self):
        codes = draw(1, 400, 1)
        broad = torch.zeros(1, 400, 2).double() - 2
        noise = draw(1, 400, 2, seed=4)
        apart = torch.cat([codes, draw(1, 400, 1, seed=9)], -1)
        equal = torch.cat([codes, codes], -1)
        values = [
            self.objective().terms(make_forward(mean, broad, noise=noise))
            for mean in (apart, equal)
        ]
        independent, dependent = (v["total_correlation"].item() for v in values)
        assert abs(independent) < 0.1
        assert dependent > 0.7

    def test_it_warns_if_the_self_weight_is_large(self):
        readout = self.objective().readout
        warning = readout.convergence_warning({"self_weight": np.array([0.2, 0.97])})
        assert "97%" in warning
        assert "Raise batch_size" in warning
        assert (
            readout.convergence_warning({"self_weight": np.array([0.97, 0.2])}) is None
        )
        assert readout.convergence_warning({"self_weight": np.array([])}) is None

    def test_the_self_weight_of_narrow_posteriors_is_near_one(self):
        narrow = make_forward(draw(1, 6, 3), torch.full((1, 6, 3), -9.0).double())
        assert self.objective().terms(narrow)["self_weight"].item() > 0.99


def brute_force_weights(weighting, forward):
    k, b, _ = forward.z.shape
    if weighting == "minibatch":
        return torch.full((k, b, b), 1 / b)
    weights = torch.zeros(k, b, b, dtype=torch.float64)
    for model, i in itertools.product(range(k), range(b)):
        numbers = forward.batch.row_numbers[model]
        own = forward.batch.table_probabilities[model, numbers[i]]
        others = [j for j in range(b) if numbers[j] != numbers[i]]
        weights[model, i, i] = own
        weights[model, i, others] = (1 - own) / len(others)
    return weights


class TestDIPVAE:
    def terms(self, kind, mean, log_var, **forward):
        objective = core.DIPVAE(lambda_od=2.0, lambda_d=3.0, kind=kind)
        return objective.terms(make_forward(mean, log_var, **forward))

    @pytest.mark.parametrize("kind", ["I", "II"])
    def test_its_terms_are_distances_of_the_covariance_from_the_identity(self, kind):
        mean, log_var = draw(2, 9, 3), draw(2, 9, 3, seed=1)
        terms = self.terms(kind, mean, log_var)
        for k in range(2):
            covariance = np.cov(mean[k].numpy(), rowvar=False, bias=True)
            if kind == "II":
                covariance += np.diag(log_var[k].exp().mean(0).numpy())
            diagonal = np.diag(covariance)
            off_diagonal = (covariance - np.diag(diagonal)) ** 2
            result = {name: value[k].item() for name, value in terms.items()}
            assert result["covariance_off_diagonal"] == pytest.approx(
                off_diagonal.sum()
            )
            assert result["covariance_diagonal"] == pytest.approx(
                ((diagonal - 1) ** 2).sum()
            )

    def test_type_two_is_the_covariance_of_the_codes_themselves(self):
        """By the law of total variance, for many draws."""
        mean = draw(1, 40_000, 2) @ draw(2, 2, seed=1)
        log_var = draw(1, 40_000, 2, seed=2) - 1
        forward = make_forward(mean, log_var, noise=draw(1, 40_000, 2, seed=3))
        variance, off_diagonal = covariance_of_codes(forward, "II")
        expected = torch.cov(forward.z[0].T, correction=0)
        result = off_diagonal[0] + torch.diag(variance[0])
        torch.testing.assert_close(result, expected, rtol=0.03, atol=0.03)

    @pytest.mark.parametrize("kind", ["I", "II"])
    def test_its_gradient_equals_finite_differences(self, kind):
        def penalty(mean, log_var):
            terms = self.terms(kind, mean, log_var)
            return terms["covariance_off_diagonal"] + terms["covariance_diagonal"]

        arguments = draw(1, 5, 3), draw(1, 5, 3, seed=1)
        assert torch.autograd.gradcheck(
            penalty, tuple(a.requires_grad_() for a in arguments)
        )

    def test_its_terms_are_zero_for_white_codes(self):
        white, _ = torch.linalg.qr(draw(1, 50, 4) - draw(1, 50, 4).mean(1, True))
        terms = self.terms("I", white * 50**0.5, torch.zeros(1, 50, 4).double())
        assert terms["covariance_off_diagonal"].item() < 1e-20
        assert terms["covariance_diagonal"].item() < 1e-20

    def test_its_terms_do_not_depend_on_padding(self):
        mean, log_var = draw(1, 9, 2), draw(1, 9, 2, seed=1)
        mask = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 3)
        padded = self.terms("I", F.pad(mean, (0, 1)), F.pad(log_var, (0, 1)), mask=mask)
        narrow = self.terms("I", mean, log_var)
        for name in ("covariance_off_diagonal", "covariance_diagonal"):
            torch.testing.assert_close(padded[name], narrow[name])

    def test_its_weights_rise_with_the_warm_up(self):
        objective = core.DIPVAE(lambda_od=2.0, lambda_d=3.0)
        assert objective.weights(0.5) == {
            "covariance_off_diagonal": 1.0,
            "covariance_diagonal": 1.5,
        }


class TestAAE:
    def run(self, mean, prior="normal", noise=None):
        objective = core.AAE(
            gamma=2.0, prior=prior, hidden_layer_sizes=(8,), learning_rate=1e-3
        )
        generator = torch.Generator().manual_seed(0)
        adversary = {
            name: w[None].double() + 0.3
            for name, w in objective.adversary.draw(3, generator).items()
        }
        gradients = {name: torch.zeros_like(w) for name, w in adversary.items()}
        forward = make_forward(mean, noise=noise)
        terms, record = objective.adversary.run(forward, adversary, gradients)
        return forward, adversary, gradients, terms, record

    @pytest.mark.parametrize("prior", ["normal", "uniform"])
    def test_the_encoders_term_is_the_cross_entropy_of_draws_from_the_prior(
        self, prior
    ):
        """It is -log(1 - D(z)), where D is the probability of being a code."""
        mean = draw(1, 7, 3).requires_grad_()
        noise = draw(1, 7, 3, seed=1)
        forward, adversary, gradients, terms, record = self.run(mean, prior, noise)
        network = discriminator(3, (8,))
        logits = network(adversary, forward.z).squeeze(-1)
        expected = -torch.log1p(-logits.sigmoid()).mean(1)
        torch.testing.assert_close(terms["prior_mismatch"], expected)
        (gradient,) = torch.autograd.grad(
            terms["prior_mismatch"].sum(), mean, retain_graph=True
        )
        (by_hand,) = torch.autograd.grad(expected.sum(), mean)
        torch.testing.assert_close(gradient, by_hand)
        leaves = {name: w.requires_grad_() for name, w in adversary.items()}
        draws = noise if prior == "normal" else uniform(noise)
        both = torch.cat([forward.z.detach(), draws], 1)
        loss = discriminator_loss(network(leaves, both).squeeze(-1))
        torch.testing.assert_close(record["discriminator_loss"], loss)
        expected = torch.autograd.grad(loss.sum(), list(leaves.values()))
        torch.testing.assert_close(tuple(gradients.values()), expected)

    def test_a_uniform_prior_has_variance_one_and_bounds(self):
        draws = core.PRIORS["uniform"].draw(draw(1, 100_000, 1))
        assert draws.abs().max() <= 3**0.5
        assert draws.var().item() == pytest.approx(1, abs=0.01)
        quartiles = torch.quantile(draws, torch.tensor([0.25, 0.75]).double())
        expected = torch.tensor([-1.0, 1.0]).double() * 3**0.5 / 2
        torch.testing.assert_close(quartiles, expected, atol=0.02, rtol=0)

    def test_the_divergence_from_a_uniform_prior_is_minus_the_entropy(self):
        """Up to the logarithm of the width, for a narrow posterior well inside."""
        kl = core.PRIORS["uniform"].kl(torch.zeros(1), torch.full((1,), -8.0))
        entropy = torch.distributions.Normal(0.0, np.exp(-4)).entropy()
        assert kl.item() == pytest.approx(np.log(2 * 3**0.5) - entropy.item())


def uniform(noise):
    """Uniform on (-sqrt 3, sqrt 3), by the normal distribution function."""
    return (2 * torch.distributions.Normal(0.0, 1.0).cdf(noise) - 1) * 3**0.5


class TestGroups:
    def test_latents_of_a_group_are_permuted_together(self):
        z = draw(2, 30, 4)
        order = torch.rand(2, 30, 4).argsort(1)
        permuted = permute_groups(z, order, (1, 2, 1))
        rows = {tuple(row) for row in z[0, :, 1:3].tolist()}
        assert {tuple(row) for row in permuted[0, :, 1:3].tolist()} == rows
        torch.testing.assert_close(permuted[..., 0], z[..., 0].gather(1, order[..., 0]))
        torch.testing.assert_close(permuted[..., 3], z[..., 3].gather(1, order[..., 3]))
        assert not torch.equal(permuted[..., 1], permuted[..., 0].sort(1).values)

    def test_groups_are_permuted_independently(self):
        z = draw(1, 5000, 1).repeat(1, 1, 4)  # four equal latents
        order = torch.rand(1, 5000, 4).argsort(1)
        permuted = permute_groups(z, order, (2, 2))[0].T.numpy()
        correlation = np.corrcoef(permuted)
        assert correlation[0, 1] == pytest.approx(1)
        assert correlation[2, 3] == pytest.approx(1)
        assert np.abs(correlation[:2, 2:]).max() < 0.05

    @pytest.mark.slow
    def test_a_circle_has_total_correlation_unless_its_coordinates_are_a_group(self):
        """The two coordinates depend on each other only."""
        apart = trained_total_correlation(angle_and_number)
        grouped = trained_total_correlation(angle_and_number, (2, 1))
        assert apart > 0.5
        assert abs(grouped) < 0.05

    def test_latents_are_ordered_within_their_group(self):
        grouped = make_objective(1.0, groups=(2, 3)).readout
        kl = np.array([0.1, 0.9, 0.2, 0.8, 0.5])
        np.testing.assert_array_equal(grouped.latent_order(kl), [1, 0, 3, 4, 2])
        np.testing.assert_array_equal(
            make_objective(1.0).readout.latent_order(kl), [1, 3, 4, 2, 0]
        )


def test_initial_weights_are_those_of_the_evidence_lower_bound():
    """At the start of the warm-up these objectives are the same VAE."""
    for objective in (
        core.VAE(beta=4.0),
        make_objective(5.0, 4.0),
        core.BetaTCVAE(alpha=0.5, beta=6.0, lambda_=2.0),
        core.DIPVAE(lambda_od=2.0, lambda_d=3.0),
    ):
        elbo = {"kl", "mutual_information", "dimensionwise_kl"}
        elbo |= (
            {"total_correlation"} if isinstance(objective, core.BetaTCVAE) else set()
        )
        for name, weight in objective.weights(ramp=0.0).items():
            assert weight == (name in elbo), (type(objective), name)

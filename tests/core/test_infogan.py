"""InfoGAN against brute force: gradients of both sides, codes, and its bound."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from _jobs import CPU, make_job, make_schedule
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skfactorvae import core
from skfactorvae.core._generators import DiscriminatorOutput
from skfactorvae.core._latents import order_latents
from skfactorvae.core._training import _Stack
from skfactorvae.core.objectives._infogan import divergence, squared_gradient_norm

LAMBDA, PENALTY = 0.7, 0.4
LEVELS = (3, 2)
P, D, M, H = 6, 3, 2, 16


def make_gan(n_components=D, n_noise=M, levels=LEVELS, hidden=(H,)):
    plain = core.MLP(P, n_components, hidden, "relu", linear_path=False)
    return core.GAN(plain, n_noise, levels)


def perturbed(weights, seed=1):
    """Return the weights of one model as a stack, all of them away from zero."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (w + 0.3 * torch.randn(w.shape, generator=generator))[None].double()
        for name, w in weights.items()
    }


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def weights():
    return perturbed(make_gan().draw(torch.Generator().manual_seed(0)))


class WrittenOut:
    """One step of the loop, and the same by hand, layer by layer and row by row."""

    def __init__(self, **objective):
        settings = {"lambda_": LAMBDA, "gradient_penalty": PENALTY}
        objective = core.InfoGAN(**(settings | objective), learning_rate=1e-3)
        job = make_job(objective=objective, network=make_gan())
        stack = _Stack([job], make_schedule(10), CPU)
        generator = torch.Generator().manual_seed(1)
        for group in stack.parameter_groups.values():
            for leaf in group.leaves.values():
                leaf.data += 0.3 * torch.randn(leaf.shape, generator=generator)
        self.draws = next(stack.draws)
        stack.draws = iter([self.draws])
        self.stack = stack
        self.model = stack.parameter_groups["model"].leaves
        self.adversary = stack.parameter_groups["adversary"].leaves
        self.w = {k: v[0] for k, v in (self.model | self.adversary).items()}
        self.x = stack.rows[self.draws.rows[0, 0]].clone().requires_grad_()
        self.z = self.draws.noise[0, 1]
        noise = self.draws.auxiliary_noise[0]
        levels = [
            torch.from_numpy(np.floor(stats.norm.cdf(noise[:, i]) * n)).long()
            for i, n in enumerate(LEVELS)
        ]
        self.levels = levels
        indicators = [F.one_hot(i, n) for i, n in zip(levels, LEVELS, strict=True)]
        self.inputs = [
            self.z,
            torch.cat(indicators, 1).double(),
            noise[:, 2:],
        ]

    def rows(self):
        w = self.w
        kinds = ("decoder.0.weight", "decoder.levels.weight", "decoder.noise.weight")
        first = sum(part @ w[k] for part, k in zip(self.inputs, kinds, strict=True))
        hidden = torch.relu(first + w["decoder.0.bias"])
        return hidden @ w["decoder.1.weight"] + w["decoder.1.bias"]

    def trunk(self, x):
        return torch.relu(x @ self.w["encoder.0.weight"] + self.w["encoder.0.bias"])

    def logits(self, x):
        score = self.trunk(x) @ self.w["critic.0.weight"] + self.w["critic.0.bias"]
        return score[:, 0]

    def information(self, x):
        """Return the entropy of the codes plus the mean of log Q(c | x)."""
        hidden, w = self.trunk(x), self.w
        head = torch.einsum("bh,hkd->kbd", hidden, w["encoder.head.weight"])
        mean, raw = head + w["encoder.head.bias"][:, None]
        std = torch.exp(0.5 * (7 * torch.tanh(raw / 7) - 3))
        normal = torch.distributions.Normal
        log_q = normal(mean, std).log_prob(self.z).sum(1)
        entropy = D * normal(0.0, 1.0).entropy()
        scores = hidden @ w["encoder.levels.weight"] + w["encoder.levels.bias"]
        for part, level in zip(scores.split(LEVELS, 1), self.levels, strict=True):
            log_q = log_q - F.cross_entropy(part, level, reduction="none")
            entropy = entropy + np.log(part.shape[1])
        return entropy + log_q.mean()

    def squared_norm(self):
        """Return the mean squared norm of the logit's gradient, row by row."""

        def logit(x):
            return self.logits(x[None])[0]

        rows = [
            torch.autograd.functional.jacobian(logit, x, create_graph=True)
            for x in self.x.detach()
        ]
        return torch.stack([r.square().sum() for r in rows]).mean()

    def model_loss(self):
        generated = self.rows()
        loss = -torch.sigmoid(self.logits(generated)).log().mean()
        return loss - LAMBDA * self.information(generated)

    def adversary_loss(self):
        generated = self.rows().detach()
        real, fake = self.logits(self.x).sigmoid(), self.logits(generated).sigmoid()
        loss = -0.5 * (real.log().mean() + (1 - fake).log().mean())
        loss = loss + PENALTY / 2 * self.squared_norm()
        return loss - LAMBDA * self.information(generated)


GENERATOR = [
    "decoder.0.weight",
    "decoder.0.bias",
    "decoder.1.weight",
    "decoder.1.bias",
    "decoder.levels.weight",
    "decoder.noise.weight",
]


class TestGradients:
    def test_terms_have_the_values_of_their_formulas(self):
        case = WrittenOut()
        terms = case.stack.step(0)
        case = WrittenOut()
        generated = case.rows()
        expected = {
            "generator_loss": F.softplus(-case.logits(generated)).mean(),
            "mutual_information": case.information(generated),
            "gradient_penalty": case.squared_norm(),
        }
        for name, value in expected.items():
            torch.testing.assert_close(terms[name][0], value.detach(), msg=name)

    def test_those_of_the_generator_are_of_its_own_loss_only(self):
        case = WrittenOut()
        leaves = [case.model[name] for name in GENERATOR]
        expected = torch.autograd.grad(case.model_loss(), leaves)
        case.stack.step(0)
        for name, gradient in zip(GENERATOR, expected, strict=True):
            torch.testing.assert_close(case.model[name].grad, gradient, msg=name)

    def test_those_of_discriminator_and_q_are_of_their_own_loss_only(self):
        case = WrittenOut()
        leaves = list(case.adversary.values())
        expected = torch.autograd.grad(case.adversary_loss(), leaves)
        case.stack.step(0)
        for leaf, gradient in zip(leaves, expected, strict=True):
            torch.testing.assert_close(leaf.grad, gradient)

    def test_a_leak_would_be_detected(self):
        """The generator's loss has a gradient here, too, which is not negligible."""
        case = WrittenOut()
        leaves = list(case.adversary.values())
        leaks = torch.autograd.grad(case.model_loss(), leaves)
        case.stack.step(0)
        for leaf, leak in zip(leaves, leaks, strict=True):
            assert leak.norm() > 1e-3 * leaf.grad.norm()

    def test_each_weight_is_trained_by_one_side(self):
        case = WrittenOut()
        assert set(case.model) == {*GENERATOR, "likelihood.raw_scale"}
        drawn = make_gan().draw(torch.Generator().manual_seed(0))
        assert set(case.adversary) == set(drawn) - set(GENERATOR)

    def test_that_of_the_scale_is_of_the_reconstruction_only(self):
        case = WrittenOut()
        likelihood = case.stack.likelihood
        output = make_gan().decode(case.model, draw(1, 16, D + sum(LEVELS)))
        assert output.shape == (1, 16, P)
        forward = case.stack._forward(case.draws)
        reconstruction = core.InfoGAN(
            lambda_=LAMBDA, gradient_penalty=PENALTY, learning_rate=1e-3
        ).terms(forward)["reconstruction"]
        torch.testing.assert_close(reconstruction, forward.nll.mean(1))
        leaf = case.model["likelihood.raw_scale"]
        (expected,) = torch.autograd.grad(forward.nll.mean(1).sum(), leaf)
        assert likelihood.is_learned
        case.stack.step(0)
        torch.testing.assert_close(leaf.grad, expected)

    def test_without_penalty_and_information_it_is_a_plain_gan(self):
        bare, full = (WrittenOut(lambda_=v, gradient_penalty=v) for v in (0.0, 1.0))
        for case in (bare, full):
            case.stack.step(0)
        assert bare.adversary["encoder.head.weight"].grad.norm() == 0
        assert bare.adversary["critic.0.weight"].grad.norm() > 0
        assert full.adversary["encoder.head.weight"].grad.norm() > 0


class TestDivergence:
    def test_it_is_zero_if_q_is_the_prior(self):
        """On average over the prior, up to sampling error."""
        output = self.output(torch.zeros(1, 20_000, 2), torch.zeros(1, 20_000, 2))
        result = divergence(
            output, draw(1, 20_000, 2).float(), torch.zeros(1, 1, 0), None
        )
        assert result.item() == pytest.approx(0, abs=0.02)

    def test_it_is_minus_log_100_per_latent_if_q_is_exact_to_a_hundredth(self):
        z = draw(1, 20_000, 2)
        mean = z + 0.01 * draw(1, 20_000, 2, seed=1)
        output = self.output(mean, torch.full_like(z, 2 * np.log(0.01)))
        result = divergence(output, z, z[..., :0], None)
        assert -result.item() == pytest.approx(2 * np.log(100), abs=0.02)

    def test_it_does_not_depend_on_padding(self):
        z, mean, log_var = (draw(1, 5, 3, seed=s) for s in range(3))
        mask = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 3)
        narrow = divergence(
            self.output(mean[..., :2], log_var[..., :2]), z[..., :2], z[..., :0], None
        )
        masked = divergence(self.output(mean, log_var), z, z[..., :0], mask)
        torch.testing.assert_close(masked, narrow)

    def output(self, mean, log_var):
        return DiscriminatorOutput(mean[..., 0], mean, log_var, mean[..., :0])


def test_the_gradient_of_a_linear_critic_is_its_weight():
    x = draw(2, 7, 3).requires_grad_()
    weight = draw(2, 3, 1, seed=1)
    expected = weight.square().sum((1, 2))
    torch.testing.assert_close(
        squared_gradient_norm((x @ weight).squeeze(-1), x), expected
    )


class TestCodes:
    def test_levels_are_equally_likely_and_independent(self):
        levels = make_gan().one_hot_levels(draw(1, 30_000, 2 + M))[0]
        first, second = levels.split(LEVELS, 1)
        joint = first.T @ second / len(levels)
        torch.testing.assert_close(
            joint, torch.full((3, 2), 1 / 6).double(), atol=0.01, rtol=0
        )

    @given(st.floats(-40, 40))
    def test_every_number_gives_one_level(self, number):
        levels = make_gan().one_hot_levels(torch.full((1, 1, 4), number))
        first, second = levels.split(LEVELS, -1)
        assert first.sum() == second.sum() == 1

    def test_a_code_consists_of_means_and_probabilities(self, weights):
        gan, x = make_gan(), draw(1, 9, P)
        mean, log_var = gan.encode(weights, x)
        assert mean.shape == log_var.shape == (1, 9, D + 5)
        for part in mean[..., D:].split(LEVELS, -1):
            torch.testing.assert_close(part.sum(-1), torch.ones(1, 9).double())
        p = mean[..., D:]
        torch.testing.assert_close(log_var[..., D:].exp(), p * (1 - p))
        output = gan.discriminate(weights, x)
        torch.testing.assert_close(output.mean, mean[..., :D])
        torch.testing.assert_close(output.log_probabilities.exp(), p)

    def test_decoding_is_generating_with_noise_zero(self, weights):
        gan, z, noise = make_gan(), draw(1, 9, D), draw(1, 9, 2 + M, seed=1)
        without = torch.cat([noise[..., :2], torch.zeros(1, 9, M).double()], -1)
        codes = torch.cat([z, gan.one_hot_levels(noise)], -1)
        expected = gan.decode(weights, codes)
        torch.testing.assert_close(gan.generate(weights, z, without), expected)
        torch.testing.assert_close(
            gan.generate(weights, z, noise, noise=False), expected
        )
        assert not torch.allclose(gan.generate(weights, z, noise), expected)

    def test_reordered_latents_are_the_same_function(self, weights):
        """Levels keep their order and sign."""
        gan = make_gan()
        arrays = {k: v[0].numpy() for k, v in weights.items()}
        rows = draw(200, P).numpy()
        objective = core.InfoGAN(lambda_=1.0, gradient_penalty=1.0, learning_rate=1e-3)
        job = make_job(network=gan, rows=rows, objective=objective)
        ordered, kl, variance = order_latents(job, arrays, CPU)
        assert kl.shape == variance.shape == (D,)
        before, std = core.encode(gan, arrays, rows, device=CPU)
        after, _ = core.encode(gan, ordered, rows, device=CPU)
        first_kl = 0.5 * (before**2 + std**2 - 2 * np.log(std) - 1).mean(0)[:D]
        order = np.argsort(-first_kl)
        assert order.tolist() != sorted(order)
        np.testing.assert_allclose(kl, first_kl[order])
        np.testing.assert_allclose(
            np.abs(after[:, :D]), np.abs(before[:, order]), atol=1e-12
        )
        np.testing.assert_allclose(after[:, D:], before[:, D:], atol=1e-12)
        likelihood = core.Gaussian("feature")
        back, again = (
            core.decode(gan, likelihood, w, codes, device=CPU)
            for w, codes in ((arrays, before), (ordered, after))
        )
        np.testing.assert_allclose(back, again, atol=1e-12)

    @pytest.mark.parametrize(("n_noise", "levels"), [(0, ()), (3, ()), (0, (4,))])
    def test_noise_and_categories_are_optional(self, n_noise, levels):
        gan = make_gan(n_noise=n_noise, levels=levels)
        weights = perturbed(gan.draw(torch.Generator().manual_seed(0)))
        mean, _ = gan.encode(weights, draw(1, 4, P))
        assert mean.shape == (1, 4, D + sum(levels))
        assert gan.decode(weights, mean).shape == (1, 4, P)
        assert all(w.numel() for w in weights.values())


class TestBound:
    def test_it_is_below_the_log_density(self, weights):
        """By quadrature over one latent and the levels of a category."""
        gan = make_gan(n_components=1, levels=(3,))
        weights = perturbed(gan.draw(torch.Generator().manual_seed(0)))
        arrays = {k: v[0].numpy() for k, v in weights.items()}
        scale = np.full(P, 0.8)
        raw = np.log(np.expm1(scale - core.Gaussian.MIN_SCALE))
        arrays["likelihood.raw_scale"] = raw / core.Gaussian.LR_MULTIPLIER
        rows = draw(5, P).numpy()
        bound = core.elbo(gan, core.Gaussian("feature"), arrays, rows, device=CPU)
        nodes, node_weights = np.polynomial.hermite_e.hermegauss(200)
        density = np.zeros(5)
        for level in np.eye(3):
            codes = np.column_stack([nodes, np.tile(level, (200, 1))])
            rows_of_level = core.decode(
                gan, core.Gaussian("feature"), arrays, codes, device=CPU
            )
            likelihood = stats.norm(rows_of_level[:, None], scale).pdf(rows).prod(-1)
            density += likelihood.T @ node_weights / np.sqrt(2 * np.pi) / 3
        assert (bound < np.log(density)).all()
        assert np.isfinite(bound).all()

    def test_samples_have_the_generators_noise_and_not_the_likelihoods(self, weights):
        gan = make_gan()
        arrays = {k: v[0].numpy().astype("float32") for k, v in weights.items()}
        arrays["likelihood.raw_scale"] = np.full(P, 30.0, "float32")
        likelihood = core.Gaussian("feature", is_sampled=False)
        noisy, clean = (
            core.sample(gan, likelihood, arrays, 500, noise=n, seed=0, device=CPU)
            for n in (True, False)
        )
        assert np.abs(noisy).max() < 20
        zeroed = arrays | {"decoder.noise.weight": np.zeros((M, H), "float32")}
        expected = core.sample(
            gan, likelihood, zeroed, 500, noise=True, seed=0, device=CPU
        )
        np.testing.assert_allclose(clean, expected, atol=1e-6)
        assert np.abs(noisy - clean).mean() > 0.05


def test_a_convolutional_gan_in_a_stack_equals_the_model_alone():
    rows = np.random.default_rng(0).uniform(size=(40, 2 * 9 * 8))
    objective = core.InfoGAN(lambda_=0.1, gradient_penalty=0.1, learning_rate=1e-3)

    def job(d, seed):
        plain = core.ConvNet(144, d, (), "relu", False, (2, 9, 8))
        network = core.GAN(plain, n_noise=2, levels=(3,))
        return make_job(network=network, rows=rows, seed=seed, objective=objective)

    jobs = [job(3, 0), job(2, 1)]
    schedule = make_schedule(6, learning_rate=1e-3)
    together = core.fit_stack(jobs, schedule, device=CPU)
    for one, stacked in zip(jobs, together, strict=True):
        (alone,) = core.fit_stack([one], schedule, device=CPU)
        for name, array in alone.weights.items():
            np.testing.assert_allclose(
                array, stacked.weights[name], rtol=1e-6, atol=1e-9, err_msg=name
            )


def test_different_categories_do_not_share_a_stack():
    one, other = make_gan(), make_gan(levels=(4,))
    assert one.signature != other.signature
    assert one.signature == dataclasses.replace(one).signature

"""The supervised objective against closed forms and brute force."""

import math

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_labels, make_rows, make_schedule
from scipy import stats
from test_objectives import Given, draw, make_forward

from skfactorvae import core
from skfactorvae.core._sampling import Streams, draw_rows, draw_steps
from skfactorvae.core._training import _Stack
from skfactorvae.core.objectives import Extras, Labelled
from skfactorvae.core.objectives._blocks import MIN_KL
from skfactorvae.core.objectives._predictions import (
    bounded,
    confusion,
    cross_entropy,
    entropy,
    label_target,
    predicted_target,
)
from skfactorvae.core.objectives._supervised import (
    labelled_codes,
    labelled_moments,
    standardised,
)

LEVELS, WIDTHS = (3, 0), (2, 1)
MARGINALS = ((0.5, 0.2, 0.3), (0.0, 1.0, 0.0))
D = 5


def make_objective(**changes):
    fields = {
        "gamma": 2.0,
        "beta": 1.0,
        "supervision": 3.0,
        "masking": 4.0,
        "marginals": MARGINALS,
        "levels": LEVELS,
        "widths": WIDTHS,
        "n_hidden": 1,
        "hidden_layer_sizes": (6,),
        "opponent_layer_sizes": (7,),
        "learning_rate": 1e-3,
    }
    return core.SupervisedFactorVAE(**(fields | changes))


def stacked(objective):
    return type(objective).stack([objective], torch.zeros(1, dtype=torch.float64))


def make_weights(objective, seed=0):
    """Return perturbed weights of heads, predictors and discriminator, K = 1."""
    generator = torch.Generator().manual_seed(seed)
    weights = objective.adversary.draw(D, generator) | objective.draw(D)
    return {
        name: (w + 0.4 * torch.randn(w.shape, generator=generator)).double()[None]
        for name, w in weights.items()
    }


def make_step(mean, values, known, weights, labelled_mean):
    """Make a step whose codes are given means, also for each attribute's rows."""
    rows = torch.cat([labelled_mean, torch.zeros_like(labelled_mean)], dim=-1)
    labelled = Labelled(rows, torch.zeros_like(labelled_mean), values, known)
    forward = make_forward(mean, extras=Extras(labelled=labelled))
    return core.Forward(Given(), core.Gaussian(1.0), weights, forward.batch, None)


@pytest.fixture
def step():
    """Six rows; three labels of the discrete attribute unknown, four of the other."""
    nan = math.nan
    known = torch.tensor(
        [[[0, nan], [2, 0.5], [nan, -1.0], [nan, nan], [1, nan], [nan, nan]]]
    ).double()
    values = torch.tensor([[[0, 1, 2, 2, 1, 0], [0.3, -1.2, 2.0, 0.1, 0.0, -0.4]]])
    weights = make_weights(make_objective())
    return make_step(
        draw(1, 6, D).double(),
        values.double(),
        known,
        weights,
        draw(1, 2, 6, D, seed=1).double(),
    )


class TestPredictions:
    def test_the_cross_entropy_of_a_level_is_minus_its_log_probability(self):
        logits = draw(1, 4, 3).double()
        labels = torch.tensor([[0.0, 2.0, 1.0, 2.0]])
        expected = -np.log(logits.softmax(-1)[0].numpy())[range(4), [0, 2, 1, 2]]
        found = cross_entropy(3, logits, label_target(3, labels))
        np.testing.assert_allclose(found[0], expected)

    def test_the_cross_entropy_of_a_value_is_minus_its_normal_log_density(self):
        answer = draw(1, 4, 2).double()
        labels = draw(1, 4, seed=1).double()
        mean, std = answer[0, :, 0], bounded(answer[0, :, 1]).mul(0.5).exp()
        expected = -stats.norm(mean, std).logpdf(labels[0])
        np.testing.assert_allclose(
            cross_entropy(0, answer, label_target(0, labels))[0], expected
        )

    def test_the_cross_entropy_of_a_target_is_the_mean_over_its_values(self):
        answer, mean, variance = draw(1, 1, 2).double(), 0.7, 0.3
        target = torch.tensor([[[mean, variance]]]).double()
        values = torch.from_numpy(stats.norm(mean, variance**0.5).rvs(200_000, 0))
        sampled = cross_entropy(
            0, answer.expand(1, 200_000, 2), label_target(0, values[None])
        ).mean()
        assert cross_entropy(0, answer, target).item() == pytest.approx(
            sampled.item(), rel=0.01
        )

    @pytest.mark.parametrize("n_levels", [0, 3])
    def test_the_cross_entropy_of_its_own_distribution_is_the_entropy(self, n_levels):
        answer = draw(1, 5, n_levels or 2).double()
        target = predicted_target(n_levels, answer)
        torch.testing.assert_close(
            cross_entropy(n_levels, answer, target), entropy(n_levels, target)
        )

    def test_confusion_is_the_kl_of_levels(self):
        logits, shares = draw(1, 4, 3).double(), torch.tensor([[0.5, 0.2, 0.3]])
        answers = logits.softmax(-1)[0].numpy()
        expected = stats.entropy(shares[0].numpy(), answers, axis=1)
        found = confusion(3, logits, shares.double())
        np.testing.assert_allclose(found[0], expected, rtol=1e-6)

    def test_confusion_is_the_kl_of_normal_distributions(self):
        answer = draw(1, 4, 2).double()
        mean, log_var = answer[0, :, 0], bounded(answer[0, :, 1])
        expected = 0.5 * ((1 + mean**2) / log_var.exp() + log_var - 1)
        found = confusion(0, answer, torch.tensor([[0.0, 1.0]]).double())
        torch.testing.assert_close(found[0], expected)

    def test_confusion_is_zero_for_the_marginal_and_positive_elsewhere(self):
        shares = torch.tensor([[0.5, 0.2, 0.3]], dtype=torch.float64)
        marginal = shares.log()[None]
        assert confusion(3, marginal, shares).item() == pytest.approx(0, abs=1e-12)
        assert (confusion(3, marginal + draw(1, 50, 3), shares) > 0).all()
        assert (confusion(3, marginal * 1e5, shares) > 0).all()

    def test_an_unknown_label_gives_no_nan(self):
        labels = torch.tensor([[math.nan, 1.0]])
        for n_levels in (0, 2):
            assert label_target(n_levels, labels).isfinite().all()


class TestBlocks:
    def test_they_are_consecutive_and_the_rest_is_last(self):
        blocks = make_objective().blocks
        assert blocks.starts == (0, 2)
        assert blocks.sizes(D) == (2, 1, 2)
        assert blocks.sizes(3) == (2, 1)
        assert blocks.n_hidden_components == 2

    def test_heads_use_own_latents_and_predictors_all_other_returned_ones(self):
        blocks, like = make_objective().blocks, torch.zeros(D)
        own = blocks.own(like)[:, 0].tolist()
        assert own == [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
        complement = blocks.complement(like)[:, 0].tolist()
        assert complement == [[0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]

    def test_latents_are_ordered_within_their_block(self):
        order = make_objective().readout.latent_order(
            np.array([1.0, 2.0, 0.1, 3.0, 4.0])
        )
        assert order.tolist() == [1, 0, 2, 4, 3]

    def test_latents_of_small_kl_are_inactive_unless_an_attribute_owns_them(self):
        kl = np.array([0.0, 0.0, 0.0, 1.0, MIN_KL / 2])
        assert make_objective().readout.inactive_latents(kl).tolist() == [4]

    def test_an_inactive_latent_is_at_the_prior_for_every_row(self):
        job = make_job(objective=core.VAE(beta=1.0), n_components=3)
        (result,) = fit([job])
        changed = job.network.set_to_prior(result.weights, np.array([1]))
        mean, std = core.encode(job.network, changed, job.rows, device=CPU)
        before, _ = core.encode(job.network, result.weights, job.rows, device=CPU)
        np.testing.assert_array_equal(mean[:, 1], 0)
        np.testing.assert_allclose(std[:, 1], 1, rtol=1e-6)
        np.testing.assert_array_equal(mean[:, [0, 2]], before[:, [0, 2]])


class TestTerms:
    def test_supervision_is_the_cross_entropy_on_each_attributes_rows(self, step):
        """By hand, with a linear head on the attribute's own latents."""
        found = stacked(make_objective()).terms(step)["supervision"]
        weight, bias = (step.weights[f"head.0.{p}"][0] for p in ("weight", "bias"))
        codes, values = (
            step.once(labelled_codes)[0],
            step.batch.extras.labelled.values[0],
        )
        logits = codes[0, :, :2] @ weight[0, :2] + bias[0]
        expected = -logits.log_softmax(-1)[range(6), values[0].long()].mean()
        prediction = codes[1, :, 2:3] @ weight[1, 2:3, :2] + bias[1, :2]
        std = bounded(prediction[:, 1]).mul(0.5).exp()
        expected -= stats.norm(prediction[:, 0], std).logpdf(values[1]).mean()
        assert found.item() == pytest.approx(expected.item())

    def test_the_predictors_loss_and_confusion_equal_those_by_hand(self, step):
        objective = stacked(make_objective())
        confused, loss = objective.adversary.run_predictors(step, step.weights)
        mean, std = step.z[0].mean(0), (step.z[0].var(0, unbiased=False) + 1e-4).sqrt()
        total_confusion = total_loss = 0.0
        for j, inputs in enumerate(([2, 3, 4], [3, 4])):

            def predict(codes, j=j, inputs=inputs):
                visible = torch.zeros(D).double()
                visible[inputs] = 1
                x = (codes - mean) / std * visible
                w = [
                    step.weights[f"opponent.{i}.{p}"][0, j]
                    for i in (0, 1)
                    for p in ("weight", "bias")
                ]
                hidden = torch.nn.functional.leaky_relu(x @ w[0] + w[1], 0.2)
                return (hidden @ w[2] + w[3])[None]

            n = LEVELS[j]
            width = n or 2
            own = objective.blocks.own(step.z)[j]
            head = [step.weights[f"head.0.{p}"][0, j] for p in ("weight", "bias")]
            guess = predicted_target(
                n, ((step.z * own) @ head[0] + head[1])[..., :width]
            )
            known = step.batch.extras.labelled.known[..., j]
            target = torch.where(
                known.isnan()[..., None], guess, label_target(n, known)
            )
            first = predict(step.z[0])[..., :width]
            second = predict(step.once(labelled_codes)[0, j])[..., :width]
            marginal = torch.tensor(MARGINALS[j][:width])[None].double()
            total_confusion += confusion(n, first, marginal).mean()
            truth = label_target(n, step.batch.extras.labelled.values[:, j])
            total_loss += (
                cross_entropy(n, first, target).mean()
                + cross_entropy(n, second, truth).mean()
            ) / 2
        assert confused.item() == pytest.approx(total_confusion.item())
        assert loss.item() == pytest.approx(total_loss.item())

    def test_hidden_latents_have_a_kl_term_of_their_own(self, step):
        found = stacked(make_objective()).terms(step)["hidden_kl"]
        expected = (0.5 * step.mean[0, :, :2].square()).sum(1).mean()
        assert found.item() == pytest.approx(expected.item())
        without = stacked(make_objective(n_hidden=0)).terms(step)
        assert "hidden_kl" not in without

    @pytest.mark.parametrize("term", ["supervision", "confusion"])
    def test_their_gradients_equal_finite_differences(self, step, term):
        objective = stacked(make_objective())
        labelled = step.batch.extras.labelled

        def value(mean, labelled_mean):
            moved = make_step(
                mean, labelled.values, labelled.known, step.weights, labelled_mean
            )
            if term == "supervision":
                return objective.terms(moved)["supervision"].sum()
            return objective.adversary.run_predictors(moved, step.weights)[0].sum()

        means = step.mean.clone(), step.once(labelled_moments)[0].clone()
        torch.autograd.gradcheck(value, [m.requires_grad_() for m in means])

    def test_the_predictors_loss_has_no_gradient_for_the_model(self, step):
        objective = stacked(make_objective())
        adversary = objective.adversary
        declared = adversary.parameters(step.network)
        weights = {name: step.weights[name].requires_grad_() for name in declared}
        gradients = {name: torch.zeros_like(w) for name, w in weights.items()}
        adversary.run(step, weights, gradients)
        _, loss = adversary.run_predictors(step, weights)
        names = adversary.predictor(D).names
        expected = torch.autograd.grad(loss.sum(), [weights[n] for n in names])
        for name, gradient in zip(names, expected, strict=True):
            torch.testing.assert_close(gradients[name], gradient)
        assert not declared.keys() & objective.parameters.keys()

    def test_standardised_codes_have_mean_zero_and_variance_one(self):
        codes = draw(1, 400, 3) * torch.tensor([0.5, 1.0, 9.0]) + 3
        result = standardised(codes[:, None], codes)[0, 0]
        np.testing.assert_allclose(result.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(result.std(0), 1, atol=5e-3)

    def test_a_job_without_labels_is_refused(self):
        job = make_job(objective=make_objective(), n_components=D, labels=None)
        with pytest.raises(ValueError, match="learns from labels"):
            fit([job])


class TestDraws:
    def test_labels_do_not_change_other_draws(self):
        """Labelled rows have a random stream of their own."""
        cdf = torch.linspace(0.1, 1, 10, dtype=torch.float64)

        def first(label_cdfs):
            options = {"device": CPU, "dtype": torch.float32}
            streams = [Streams.from_seed(3)]
            return next(
                draw_steps(
                    streams, [cdf], [0], [2], 8, label_cdfs=label_cdfs, **options
                )
            )

        plain, labelled = first(()), first([[cdf, cdf]])
        for name in ("rows", "noise", "auxiliary_noise", "order"):
            a, b = getattr(plain, name), getattr(labelled, name)
            torch.testing.assert_close(a, b, rtol=0, atol=0)
        assert plain.labelled.shape == (1, 0, 8)
        assert labelled.labelled.shape == (1, 2, 8)

    def test_a_row_without_weight_is_never_drawn(self):
        cdf = torch.tensor([0.0, 0.5, 0.5, 1.0, 1.0], dtype=torch.float64)
        rows = draw_rows(torch.Generator().manual_seed(0), cdf, (5000,))
        assert set(rows.tolist()) == {1, 3}

    def test_labelled_rows_are_drawn_in_proportion_to_their_weights(self):
        rows = make_rows(60)
        labels = make_labels(rows)
        labels[5:, 0], labels[:50, 1] = np.nan, np.nan
        weight = np.arange(1.0, 61.0)
        job = make_job(
            objective=make_objective(levels=(2, 0), marginals=((0.5, 0.5), (0, 1))),
            n_components=D,
            rows=rows,
            labels=labels,
            row_weights=weight,
        )
        stack = _Stack([job], make_schedule(batch_size=64), CPU)
        counts = np.zeros((2, 60))
        for _ in range(200):
            draws = next(stack.draws)
            labelled = stack._forward(draws).batch.extras.labelled
            for j in range(2):
                drawn = draws.labelled[0, j].numpy()
                counts[j] += np.bincount(drawn, minlength=60)
                np.testing.assert_array_equal(labelled.values[0, j], labels[drawn, j])
                np.testing.assert_array_equal(labelled.rows[0, j], rows[drawn])
        expected = weight * ~np.isnan(labels.T)
        np.testing.assert_allclose(
            counts / counts.sum(1, keepdims=True),
            expected / expected.sum(1, keepdims=True),
            atol=0.015,
        )

"""Priors that depend on a row's condition: their moments, and the objective's terms."""

import math

import numpy as np
import pytest
import torch
from _jobs import fit, make_conditions, make_job, make_rows, make_schedule
from test_training import assert_same_fit

from skfactorvae import core
from skfactorvae.core.objectives._auxiliary import (
    normal_kl,
    product_moments,
    standardised_prior,
)

CPU = torch.device("cpu")
SHARES = (0.2, 0.3, 0.5)


def make_objective(**options):
    options = {"beta": 1.0, "encoder_share": 0.5, "shares": SHARES} | options
    return core.AuxiliaryVAE(n_conditions=3, **options)


def normal(mean, variance):
    """Return means and log-variances of shape (1, 1, d)."""
    parts = torch.tensor([mean, variance], dtype=torch.float64)[:, None, None]
    return parts[0], parts[1].log()


class TestMoments:
    def test_precisions_of_a_product_add_up(self):
        mean, log_var = product_moments(normal([2.0], [0.5]), normal([-1.0], [0.1]))
        assert math.isclose(log_var.exp().item(), 1 / 12)
        assert math.isclose(mean.item(), (2 / 0.5 - 1 / 0.1) / 12)

    @pytest.mark.slow
    def test_the_divergence_is_that_of_torch(self):
        first, second = normal([1.0, 0.0], [0.5, 3.0]), normal([-0.5, 0.2], [2.0, 0.1])
        one, other = (
            torch.distributions.Normal(m, (v / 2).exp()) for m, v in (first, second)
        )
        expected = torch.distributions.kl_divergence(one, other)
        torch.testing.assert_close(normal_kl(first, second), expected)

    def test_the_mixture_of_standardised_priors_has_mean_zero_and_variance_one(self):
        rng = np.random.default_rng(0)
        mean, log_var = torch.from_numpy(rng.normal(2, 3, size=(2, 1, 3, 4)))
        share = torch.tensor([SHARES], dtype=torch.float64)
        m, v = standardised_prior(mean, log_var, share)
        second = (share[..., None] * (m.square() + v.exp())).sum(1)
        torch.testing.assert_close(second, torch.ones_like(second))
        first = (share[..., None] * m).sum(1)
        torch.testing.assert_close(first, torch.zeros_like(first))
        ratio = (v - log_var).exp()
        torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))


class TestObjective:
    @pytest.mark.slow
    def test_rows_of_unknown_conditions_have_the_terms_of_a_vae(self):
        unknown = make_conditions(200)
        unknown[1:] = np.nan
        weights = np.ones(200)
        weights[0] = 1e-12
        options = {"labels": unknown, "row_weights": weights}
        (found,) = fit([make_job(objective=make_objective(), **options)])
        vae = core.VAE(beta=1.0)
        (plain,) = fit([make_job(objective=vae, row_weights=weights)])
        kept = {k: found.weights[k] for k in plain.weights}
        for name, weight in kept.items():
            np.testing.assert_allclose(weight, plain.weights[name], atol=1e-6)
        np.testing.assert_allclose(
            found.history["kl"], plain.history["kl"], rtol=1e-5, atol=1e-6
        )

    def test_the_share_of_the_encoder_changes_the_divergence_alone(self):
        schedule = make_schedule(1)
        found = [
            fit([make_job(objective=make_objective(encoder_share=a))], schedule)[0]
            for a in (0.0, 0.5, 1.0)
        ]
        kl = [float(one.history["kl"][0]) for one in found]
        assert math.isclose(kl[1], (kl[0] + kl[2]) / 2, rel_tol=1e-5)
        assert kl[0] != kl[2]
        nll = {float(one.history["reconstruction"][0]) for one in found}
        assert len(nll) == 1

    def test_a_job_without_labels_is_refused(self):
        with pytest.raises(ValueError, match="labels=None"):
            fit([make_job(objective=make_objective(), labels=None)])

    @pytest.mark.slow
    def test_the_prior_is_learned_and_follows_its_latent(self):
        """The first condition shifts and widens one of two factors; order and signs of
        the latents, which are known after the fit, are those of the priors."""
        rng = np.random.default_rng(0)
        labels = np.repeat([0.0, 1.0], 300)[:, None]
        factors = rng.normal(size=(600, 2))
        factors[:300, 0] = 2 * factors[:300, 0] - 2
        rows = factors * [0.4, 1.0] + 0.1 * rng.normal(size=factors.shape)
        objective = core.AuxiliaryVAE(
            beta=1.0, encoder_share=0.5, shares=(0.5, 0.5), n_conditions=2
        )
        job = make_job(objective=objective, rows=rows, n_components=2, labels=labels)
        (found,) = fit([job], make_schedule(400, batch_size=64))
        codes, _ = core.encode(job.network, found.weights, rows, device=CPU)
        mean, std = core.conditional_prior(found.weights, np.array([0.5, 0.5]))
        for k in range(2):
            own = codes[labels[:, 0] == k]
            np.testing.assert_allclose(own.mean(axis=0), mean[k], atol=0.25)
        shifted = np.abs(mean[0]).argmax()
        assert std[0, shifted] > 1.5 * std[1, shifted]

    @pytest.mark.slow
    def test_a_start_is_the_first_step_of_the_prior(self):
        moments = np.random.default_rng(0).normal(size=(3, 2, 3))
        start = {core.CONDITIONAL_PRIOR: moments}
        job = make_job(objective=make_objective(beta=0.0), start=start)
        (found,) = fit([job], make_schedule(1, learning_rate=1e-9))
        (again,) = fit([job], make_schedule(1, learning_rate=1e-9))
        assert_same_fit(found, again, rtol=0, atol=0)
        got = np.sort(np.abs(found.weights[core.CONDITIONAL_PRIOR]), axis=None)
        np.testing.assert_allclose(got, np.sort(np.abs(moments), axis=None), atol=1e-5)

    @pytest.mark.slow
    def test_it_is_trained_on_rows_with_missing_values(self):
        rows = make_rows()
        rows[::7, 0] = np.nan
        network = core.MLP(6, 3, (16,), "relu", linear_path=False, has_mask=True)
        network = core.FactorFilling(network, 2)
        options = {"rows": rows, "network": network, "hidden_fraction": 0.1}
        (found,) = fit([make_job(objective=make_objective(), **options)])
        assert found.status == "budget"


class TestMixing:
    matrix = np.array([[1.0, 0.3, 0.0], [-0.2, 0.9, 0.1], [0.4, 0.0, -1.2]])

    def test_means_are_combined_and_the_decoder_undoes_it(self):
        (found,) = fit([job := make_job(objective=core.VAE(beta=1.0))])
        mixed = core.mix_latents(job, found.weights, self.matrix, CPU)
        rows = job.rows
        mean, std = core.encode(job.network, found.weights, rows, device=CPU)
        new_mean, new_std = core.encode(job.network, mixed, rows, device=CPU)
        np.testing.assert_allclose(new_mean, mean @ self.matrix.T, atol=1e-4)
        parts = job.network, job.likelihood
        back = core.decode(*parts, found.weights, mean, device=CPU)
        again = core.decode(*parts, mixed, new_mean, device=CPU)
        np.testing.assert_allclose(again, back, atol=1e-4)
        expected = (std**-2.0 @ np.square(np.linalg.inv(self.matrix))) ** -0.5
        np.testing.assert_allclose(new_std, expected, rtol=0.05)

    def test_the_user_s_modules_cannot_be_mixed(self):
        def build(n_features, n_components):
            outputs = torch.nn.Linear(n_features, 2 * n_components)
            return outputs, torch.nn.Linear(n_components, n_features)

        assert core.can_mix(make_job().network)
        assert not core.can_mix(core.Modules(6, 3, build))

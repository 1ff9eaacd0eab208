"""Rows whose values have known errors: factor analysis, filling and training."""

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_schedule
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from test_training import assert_same_fit

from skfactorvae import core

P, R = 6, 2


def noisy_table(n_rows=400, seed=0):
    """Return the model, the true rows, and rows with errors and their scale."""
    rng = np.random.default_rng(seed)
    model = core.IncompleteFactorAnalysis(
        rng.normal(size=P), rng.normal(size=(P, R)), rng.uniform(0.1, 0.5, size=P)
    )
    truth = model.mean + rng.normal(size=(n_rows, R)) @ model.loadings.T
    truth += np.sqrt(model.noise) * rng.normal(size=(n_rows, P))
    errors = np.exp(rng.normal(size=(n_rows, P)))
    return model, truth, truth + errors * rng.normal(size=truth.shape), errors


def linear_network(model):
    """Return a network that is this factor analysis, for rows around its mean."""
    network = core.FactorFilling(core.MLP(P, R, (4,), "relu", True, has_mask=True), R)
    scaled = model.loadings / model.noise[:, None]
    encoder = scaled @ np.linalg.inv(np.eye(R) + model.loadings.T @ scaled)
    drawn = network.draw(torch.Generator().manual_seed(0))
    weights = {k: w.double().numpy() for k, w in drawn.items()}
    weights |= network.linear_start(encoder, model.loadings.T)
    weights |= network.filling_start(model)
    return network, weights | {"encoder.fill.mean": np.zeros(P)}


def covariances(model, errors):
    """Return the covariance of each row with errors, (n, p, p)."""
    shared = model.loadings @ model.loadings.T + np.diag(model.noise)
    return shared + np.eye(P) * np.square(errors)[:, None]


def log_likelihood(model, rows, errors):
    """Compute the mean log-density of rows by their covariances."""
    covariance = covariances(model, errors)
    return np.mean(
        [
            multivariate_normal(model.mean, c).logpdf(x)
            for x, c in zip(rows, covariance, strict=True)
        ]
    )


class TestFactorAnalysis:
    def test_expectations_and_scores_are_those_of_the_normal_distribution(self):
        model, _, rows, errors = noisy_table(20)
        known = np.hstack([rows, errors])
        covariance = covariances(model, errors)
        centred = (rows - model.mean)[..., None]
        whole = model.loadings @ model.loadings.T + np.diag(model.noise)
        expected = model.mean + (whole @ np.linalg.solve(covariance, centred))[..., 0]
        np.testing.assert_allclose(model.complete(known), expected, rtol=1e-10)
        scores = model.score_samples(known)
        assert scores.mean() == pytest.approx(log_likelihood(model, rows, errors))

    def test_draws_have_the_covariance_of_values_without_errors(self):
        model, *_ = noisy_table(1)
        errors = np.full((40_000, P), 1.5)
        rng = np.random.RandomState(0)
        rows = (
            model.mean
            + rng.normal(size=errors.shape)
            @ np.linalg.cholesky(covariances(model, errors[:1])[0]).T
        )
        drawn = model.complete(np.hstack([rows, errors]), rng)
        whole = covariances(model, np.zeros((1, P)))[0]
        assert np.abs(np.cov(drawn.T) - whole).max() < 0.05 * np.abs(whole).max()

    def test_an_infinite_error_is_a_missing_value_and_zero_an_exact_one(self):
        model, _, rows, errors = noisy_table(30)
        hidden = errors > 1.5
        incomplete = np.where(hidden, np.nan, rows)
        known = np.hstack([rows, np.where(hidden, 1e9, 0.0)])
        np.testing.assert_allclose(
            model.complete(known), model.complete(incomplete), rtol=1e-9
        )
        exact = np.hstack([incomplete, np.zeros_like(rows)])
        for method in (model.complete, model.score_samples, model.reconstruct):
            np.testing.assert_array_equal(method(exact), method(incomplete))

    @pytest.mark.slow
    def test_expectation_maximisation_finds_the_maximum(self):
        """Of the likelihood with the prior of the loadings, by a general optimiser."""
        _, _, rows, errors = noisy_table(80)
        weight = np.ones(len(rows))
        found = core.fit_incomplete_factor_analysis(
            rows, weight, 1, n_steps=500, seed=0, errors=errors
        )

        def loss(values):
            mean, loadings, log_noise = values.reshape(3, P)
            model = core.IncompleteFactorAnalysis(
                mean, loadings[:, None], np.exp(log_noise) + 1e-4
            )
            scores = model.score_samples(np.hstack([rows, errors]))
            return 0.5 * np.sum(loadings**2) - scores.sum()

        parts = found.mean, found.loadings[:, 0], np.log(found.noise - 1e-4 + 1e-9)
        start = np.concatenate(parts)
        best = minimize(loss, start, method="L-BFGS-B", options={"maxfun": 2000})
        assert loss(start) - best.fun < 0.01

    def test_known_errors_are_not_part_of_the_noise(self):
        model, truth, rows, errors = noisy_table(2000)
        fits = [
            core.fit_incomplete_factor_analysis(
                rows, np.ones(len(rows)), R, n_steps=60, seed=0, errors=s
            )
            for s in (errors, None)
        ]
        noise = [np.abs(f.noise - model.noise).max() for f in fits]
        assert noise[0] < 0.3
        assert noise[1] > 1
        known = np.hstack([rows, errors])
        lost = [np.mean((f.complete(known) - truth) ** 2) for f in (model, *fits)]
        assert lost[1] < 1.05 * lost[0]
        assert lost[2] > 1.5 * lost[0]


class TestFilling:
    def test_the_linear_path_gives_the_posterior_mean_of_every_row(self):
        """With the weights for exact rows: weighted PCA with errors of any size."""
        model, _, rows, errors = noisy_table(50)
        network, weights = linear_network(model)
        known = np.hstack([rows - model.mean, errors])
        codes, _ = core.encode(network, weights, known, device=CPU)
        covariance = covariances(model, errors)
        centred = (rows - model.mean)[..., None]
        expected = (model.loadings.T @ np.linalg.solve(covariance, centred))[..., 0]
        np.testing.assert_allclose(codes, expected, atol=1e-10)

    def test_without_errors_rows_need_no_columns_for_them(self):
        model, _, rows, _ = noisy_table(50)
        network, weights = linear_network(model)
        rows[3, 2] = np.nan
        known = np.hstack([rows, np.zeros_like(rows)])
        for a, b in zip(
            core.encode(network, weights, rows, device=CPU),
            core.encode(network, weights, known, device=CPU),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


class TestLikelihood:
    def test_the_variance_of_an_error_adds_to_the_noise(self):
        generator = torch.Generator().manual_seed(0)
        x, output, error_variance = torch.rand((3, 1, 5, 4), generator=generator)
        ones = torch.ones_like(x)
        likelihood = core.Gaussian(0.5)
        found = likelihood.nll({}, output, x, ones, error_variance)
        variance = 0.25 + error_variance
        expected = ((x - output) ** 2 / variance + (2 * np.pi * variance).log()) / 2
        torch.testing.assert_close(found, expected.sum(-1))
        for observed in (None, ones):
            torch.testing.assert_close(
                likelihood.nll({}, output, x, observed, 0 * error_variance),
                likelihood.nll({}, output, x),
            )
        first = ones.clone()
        first[..., 2:] = 0
        parts = [
            likelihood.nll({}, output, x, part, error_variance)
            for part in (first, 1 - first)
        ]
        torch.testing.assert_close(sum(parts), found)

    def test_only_normal_noise_takes_errors(self):
        assert core.Gaussian("feature").takes_errors
        assert not core.Bernoulli().takes_errors


def job_with_errors(n_components=3, factor=1.0, **options):
    _, _, rows, errors = noisy_table(60)
    rows[5, 1] = np.nan
    errors[5, 1] = 0.0
    network = core.FactorFilling(
        core.MLP(P, n_components, (16,), "relu", False, has_mask=True), R
    )
    factors = core.fit_incomplete_factor_analysis(
        rows, np.ones(len(rows)), R, n_steps=5, seed=0, errors=errors
    )
    rows = np.hstack([rows, factor * errors])
    start = network.filling_start(factors)
    return make_job(rows=rows, network=network, start=start, **options)


class TestTraining:
    def test_a_model_in_a_stack_equals_the_model_alone(self):
        options = {"hidden_fraction": 0.2, "input_noise": 0.3}
        jobs = [
            job_with_errors(seed=s, n_components=d, **options)
            for s, d in ((0, 3), (1, 2))
        ]
        schedule = make_schedule(10)
        for job, stacked in zip(jobs, fit(jobs, schedule), strict=True):
            assert_same_fit(fit([job], schedule)[0], stacked, rtol=1e-7, atol=1e-9)

    def test_errors_of_zero_change_nothing_to_rounding(self):
        job = job_with_errors(factor=0.0)
        plain = make_job(rows=job.values, network=job.network, start=job.start)
        schedule = make_schedule(3)
        (found,), (expected,) = fit([job], schedule), fit([plain], schedule)
        assert_same_fit(found, expected, rtol=1e-5, atol=1e-8)

    def test_jobs_with_and_without_errors_are_not_stacked(self):
        job = job_with_errors()
        plain = make_job(rows=job.values, network=job.network, start=job.start)
        assert job.signature != plain.signature
        assert plain.errors is None
        np.testing.assert_array_equal(job.values, plain.values)

    def test_residuals_and_imputed_values_have_the_columns_of_the_values(self):
        job = job_with_errors()
        (result,) = fit([job], make_schedule(5))
        parts = job.network, job.likelihood, result.weights, job.rows
        squares = core.residual_squares(*parts, device=CPU)
        assert squares.shape == (60, P)
        assert np.isnan(squares).sum() == 1
        assert core.impute(*parts, device=CPU).shape == (60, P)
        assert core.impute(*parts, n_draws=3, device=CPU).shape == (60, 3, P)

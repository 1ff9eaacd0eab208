"""Missing values: factor analysis of what is observed, networks, likelihoods."""

import numpy as np
import pytest
import torch
from _jobs import CPU, fit, make_job, make_rows, make_schedule
from test_training import assert_same_fit

from skfactorvae import core
from skfactorvae.core._missing import split_missing
from skfactorvae.core._sampling import n_patterns

P, R = 8, 2


def linear_table(n_rows=400, noise=0.3, seed=0):
    """Return rows of two factors, their loadings, and rows with a third missing."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(P, R))
    rows = rng.normal(size=(n_rows, R)) @ loadings.T
    rows += noise * rng.normal(size=rows.shape)
    hidden = rng.uniform(size=rows.shape) < 1 / 3
    return rows, loadings, np.where(hidden, np.nan, rows)


def fit_factors(rows, n_factors=R, n_steps=200):
    return core.fit_incomplete_factor_analysis(
        rows, np.ones(len(rows)), n_factors, n_steps=n_steps, seed=0
    )


def covariance_of(model):
    return model.loadings @ model.loadings.T + np.diag(model.noise)


class TestFactorAnalysis:
    def test_the_covariance_is_found_in_spite_of_missing_values(self):
        _, loadings, incomplete = linear_table(4000)
        truth = loadings @ loadings.T + 0.09 * np.eye(P)
        error = np.abs(covariance_of(fit_factors(incomplete)) - truth).max()
        assert error < 0.05 * np.abs(truth).max()

    def test_expectations_and_densities_are_those_of_the_normal_distribution(self):
        _, _, incomplete = linear_table()
        model = fit_factors(incomplete)
        covariance = covariance_of(model)
        completed, scores = model.complete(incomplete), model.score_samples(incomplete)
        for row, full, score in zip(
            incomplete[:20], completed[:20], scores[:20], strict=True
        ):
            o, m = ~np.isnan(row), np.isnan(row)
            apart = row[o] - model.mean[o]
            inner = covariance[np.ix_(o, o)]
            weights = np.linalg.solve(inner, apart)
            expected = model.mean[m] + covariance[np.ix_(m, o)] @ weights
            np.testing.assert_allclose(full[m], expected, atol=1e-10)
            np.testing.assert_array_equal(full[o], row[o])
            log_volume = np.linalg.slogdet(2 * np.pi * inner)[1]
            assert score == pytest.approx(-0.5 * (apart @ weights + log_volume))

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize(("p", "r"), [(3, 1), (8, 2), (8, 7), (40, 4), (1, 1)])
    def test_large_directions_are_the_eigenvalues_above_their_mean(self, p, r, seed):
        rng = np.random.RandomState(seed)
        model = core.IncompleteFactorAnalysis(
            np.zeros(p), rng.normal(size=(p, r)), rng.uniform(0.1, 3.0, size=p)
        )
        values = np.linalg.eigvalsh(covariance_of(model))
        for least in (1.0, 1.1):
            expected = (values > (1 - 1e-9) * least * values.mean()).sum()
            assert model.count_directions(least) == expected

    def test_draws_have_the_variance_that_expectations_lack(self):
        rows, _, incomplete = linear_table(4000, noise=0.6)
        model, missing = fit_factors(incomplete), np.isnan(incomplete)
        expected = model.complete(incomplete)
        drawn = model.complete(incomplete, np.random.RandomState(0))
        spread = [np.var((x - rows)[missing]) for x in (expected, drawn)]
        assert spread[1] == pytest.approx(2 * spread[0], rel=0.1)

    def test_only_ratios_of_weights_matter(self):
        _, _, incomplete = linear_table(60)
        weight = np.where(np.arange(60) < 30, 1e-12, 1.0 + np.arange(60) % 3)
        models = [
            core.fit_incomplete_factor_analysis(rows, w, R, n_steps=30, seed=0)
            for rows, w in ((incomplete, weight), (incomplete, 4 * weight))
        ]
        first, second = map(covariance_of, models)
        np.testing.assert_allclose(first, second, rtol=1e-9)
        assert not np.allclose(first, covariance_of(fit_factors(incomplete)), 0.05)

    def test_a_column_without_values_keeps_variance_one(self):
        _, _, incomplete = linear_table()
        incomplete[:, 3] = np.nan
        model = fit_factors(incomplete, n_steps=20)
        assert model.mean[3] == 0
        assert model.noise[3] == 1
        assert not model.loadings[3].any()
        assert np.isfinite(model.complete(incomplete)).all()


def filling_network(n_features=6, n_components=3, n_factors=2, **options):
    inner = core.MLP(
        n_features, n_components, (16,), "relu", False, has_mask=True, **options
    )
    return core.FactorFilling(inner, n_factors)


def incomplete_rows(n_rows=200, seed=0):
    rows = make_rows(n_rows)
    hidden = np.random.default_rng(seed).uniform(size=rows.shape) < 0.3
    return np.where(hidden, np.nan, rows)


def incomplete_job(**options):
    rows = options.pop("rows", None)
    rows = incomplete_rows() if rows is None else rows
    network = filling_network(n_components=options.pop("n_components", 3))
    factors = core.fit_incomplete_factor_analysis(
        rows, np.ones(len(rows)), 2, n_steps=5, seed=0
    )
    start = network.filling_start(factors)
    return make_job(rows=rows, network=network, start=start, **options)


def linear_network(model):
    """Return a network that is this factor analysis, for rows around its mean."""
    network = core.FactorFilling(core.MLP(P, R, (4,), "relu", True, has_mask=True), R)
    scaled = model.loadings / model.noise[:, None]
    encoder = scaled @ np.linalg.inv(np.eye(R) + model.loadings.T @ scaled)
    drawn = network.draw(torch.Generator().manual_seed(0))
    weights = {k: w.double().numpy() for k, w in drawn.items()}
    weights |= network.linear_start(encoder, model.loadings.T)
    weights |= network.filling_start(model)
    weights["encoder.fill.mean"] = np.zeros(P)
    return network, weights


class TestFilling:
    def test_the_linear_path_gives_the_posterior_mean_of_factor_analysis(self):
        """For every pattern of missing values, with the weights for complete rows."""
        _, _, incomplete = linear_table()
        model = fit_factors(incomplete)
        network, weights = linear_network(model)
        codes, _ = core.encode(network, weights, incomplete - model.mean, device=CPU)
        factors, _ = model._moments(incomplete)
        np.testing.assert_allclose(codes, factors, atol=1e-10)

    def test_a_row_without_values_has_the_prior(self):
        rows = incomplete_rows()
        rows[3] = np.nan
        (result,) = fit([incomplete_job(rows=rows)])
        for network in (
            filling_network(),
            core.DecoderFilling(
                core.MLP(6, 3, (16,), "relu", False), core.Gaussian("feature")
            ),
        ):
            weights = result.weights
            if isinstance(network, core.DecoderFilling):
                (other,) = fit([make_job()])
                weights = other.weights
            mean, std = core.encode(network, weights, rows[:5], device=CPU)
            assert not mean[3].any()
            assert (std[3] == 1).all()
            assert mean[[0, 1, 2, 4]].any()

    @pytest.mark.parametrize(
        "inner",
        [
            core.MLP(12, 3, (16,), "relu", True, has_mask=True),
            core.ConvNet(12, 3, (), "relu", True, (2, 2, 3), has_mask=True),
        ],
        ids=["dense", "conv"],
    )
    def test_the_indicator_has_no_effect_at_first(self, inner):
        drawn = inner.draw(torch.Generator().manual_seed(0))
        weights = {name: weight[None] for name, weight in drawn.items()}
        rows = torch.rand((1, 5, 12), generator=torch.Generator().manual_seed(1))
        codes = [
            inner.hidden(weights, torch.cat([rows, mask], dim=-1))
            for mask in (torch.zeros_like(rows), torch.ones_like(rows))
        ]
        torch.testing.assert_close(*codes)
        assert codes[0].std() > 0

    @pytest.mark.parametrize(
        "inner",
        [
            core.MLP(12, 3, (16,), "relu", True, has_mask=True, mask_in_mean=False),
            core.ConvNet(
                12, 3, (), "relu", True, (2, 2, 3), has_mask=True, mask_in_mean=False
            ),
        ],
        ids=["dense", "conv"],
    )
    def test_without_the_mask_in_means_only_variances_depend_on_it(self, inner):
        generator = torch.Generator().manual_seed(0)
        weights = {k: w[None] for k, w in inner.draw(generator).items()}
        rows = torch.rand((1, 5, 12), generator=generator)
        masks = torch.zeros_like(rows), torch.ones_like(rows)
        inputs = [torch.cat([rows, mask], dim=-1) for mask in masks]
        (mean, log_var), (same, first) = (inner.encode(weights, x) for x in inputs)
        assert torch.equal(mean, same)
        assert torch.equal(log_var, first)  # its weights are zero at the start
        weights[inner.MASK] = torch.full_like(weights[inner.MASK], 0.1)
        (mean, log_var), (same, wider) = (inner.encode(weights, x) for x in inputs)
        assert torch.equal(mean, same)
        assert (wider > log_var + 0.1).all()
        assert {name: w.shape[1:] for name, w in weights.items()} == inner.shapes
        assert inner.MASK not in inner.decayed

    @pytest.mark.parametrize("with_errors", [False, True])
    def test_rows_are_completed_by_the_factor_analysis(self, with_errors):
        """Around a mean that is not zero, and followed by what is missing."""
        rows, _, incomplete = linear_table()
        model = fit_factors(incomplete + 2.0)
        network, weights = linear_network(model)
        weights |= network.filling_start(model)
        given = incomplete[:40] + 2.0
        if with_errors:
            given = np.hstack([given, np.abs(rows[:40])])
        stacked = {k: torch.from_numpy(w)[None] for k, w in weights.items()}
        both = network.completed(stacked, torch.from_numpy(given)[None])[0].numpy()
        expected = model.complete(given)
        np.testing.assert_allclose(both[:, :P], expected, atol=1e-10)
        np.testing.assert_allclose(both[:, P:], 1 - model.reliability(given))
        batches = torch.from_numpy(given).view(1, 2, 20, -1)
        apart = network.completed(stacked, batches)
        np.testing.assert_allclose(apart.flatten(1, 2)[0], both, atol=1e-12)

    def test_it_is_not_captured_as_a_graph(self):
        from skfactorvae.core._replay import can_replay

        cuda = torch.device("cuda")
        assert can_replay(cuda, core.MLP(6, 3, (16,), "relu", False))
        assert not can_replay(cuda, filling_network())


@pytest.mark.parametrize(
    "likelihood", [core.Gaussian("feature"), core.Gaussian(0.5), core.Bernoulli()]
)
def test_only_observed_values_enter_the_likelihood(likelihood):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((2, 5, 4), generator=generator)
    output = torch.rand((2, 5, 4), generator=generator)
    weights = {k: w.expand(2, -1) for k, w in likelihood.draw(4).items()}
    whole = likelihood.nll(weights, output, x)
    ones = torch.ones_like(x)
    torch.testing.assert_close(likelihood.nll(weights, output, x, ones), whole)
    first = ones.clone()
    first[..., 2:] = 0
    second = 1 - first
    parts = [likelihood.nll(weights, output, x, part) for part in (first, second)]
    torch.testing.assert_close(parts[0] + parts[1], whole)
    changed = torch.where(first > 0, x, 77.0)
    torch.testing.assert_close(
        likelihood.nll(weights, output, changed, first), parts[0]
    )


def test_split_missing_keeps_infinity():
    filled, observed = split_missing(torch.tensor([1.0, float("nan"), float("inf")]))
    assert filled.tolist() == [1.0, 0.0, float("inf")]
    assert observed.tolist() == [1.0, 0.0, 1.0]


class TestTraining:
    @pytest.mark.parametrize("hidden_fraction", [0.0, 0.2])
    def test_a_model_in_a_stack_equals_the_model_alone(self, hidden_fraction):
        jobs = [
            incomplete_job(seed=s, n_components=d, hidden_fraction=hidden_fraction)
            for s, d in ((0, 3), (1, 2))
        ]
        for job, stacked in zip(jobs, fit(jobs), strict=True):
            assert_same_fit(fit([job])[0], stacked, rtol=1e-7, atol=1e-9)

    def test_hiding_values_changes_a_fit_and_none_of_its_other_draws(self):
        plain, hidden = fit(
            [incomplete_job(hidden_fraction=share) for share in (0.0, 0.3)],
            make_schedule(1),
        )
        assert not np.allclose(
            plain.history["reconstruction"], hidden.history["reconstruction"]
        )
        (nothing,) = fit([incomplete_job(hidden_fraction=1e-12)], make_schedule(1))
        assert_same_fit(plain, nothing, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("batch_size", [1, 7, 16, 60, 127, 128, 512])
    def test_the_patterns_of_a_batch_divide_its_size(self, batch_size):
        m = n_patterns(batch_size)
        assert batch_size % m == 0
        assert 16 <= m <= 32 or m == batch_size

    def test_the_filling_is_not_trained(self):
        job = incomplete_job()
        (result,) = fit([job])
        for name in core.FactorFilling.FACTORS:
            np.testing.assert_array_equal(result.weights[name], job.start[name])

    def test_scores_of_rows_are_those_of_their_observed_values(self):
        job = incomplete_job()
        (result,) = fit([job])
        scores = [
            core.elbo(job.network, job.likelihood, result.weights, rows, device=CPU)
            for rows in (job.rows, job.rows[::-1].copy())
        ]
        np.testing.assert_allclose(scores[0], scores[1][::-1], rtol=1e-9)
        empty = np.full((1, 6), np.nan)
        score = core.elbo(
            job.network, job.likelihood, result.weights, empty, device=CPU
        )
        assert score == pytest.approx(0.0, abs=1e-12)


class TestImputation:
    def test_expectations_are_the_mean_of_draws_of_a_linear_model(self):
        _, _, incomplete = linear_table()
        model = fit_factors(incomplete)
        network, weights = linear_network(model)
        likelihood = core.Gaussian("feature")
        scales = {"likelihood.raw_scale": np.zeros(P)}
        weights |= likelihood.with_variance(scales, model.noise)
        centred = incomplete - model.mean
        options = {"device": CPU}
        found = core.impute(network, likelihood, weights, centred, **options)
        expected = model.complete(incomplete) - model.mean
        missing = np.isnan(centred)
        error = (found - expected)[missing]
        assert np.sqrt(np.mean(error**2)) < 0.1 * np.std(expected[missing])
        draws = core.impute(
            network, likelihood, weights, centred, n_draws=400, seed=0, **options
        )
        assert draws.shape == (len(centred), 400, P)
        error = (draws.mean(axis=1) - found)[missing]
        assert np.sqrt(np.mean(error**2)) < 0.1

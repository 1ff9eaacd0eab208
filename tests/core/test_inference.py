"""Inference: rows are independent, cubature is exact, and latents are ordered."""

import numpy as np
import pytest
import torch
from _jobs import CPU, make_job, make_rows

from skfactorvae import core
from skfactorvae.core._inference import cubature_points
from skfactorvae.core._latents import order_latents


def draw_model(n_components=3, seed=0, n_features=6):
    network = core.MLP(n_features, n_components, (16,), "relu", linear_path=False)
    likelihood = core.Gaussian("feature")
    generator = torch.Generator().manual_seed(seed)
    weights = network.draw(generator) | likelihood.draw(n_features)
    return network, likelihood, {k: v.numpy() for k, v in weights.items()}


class TestCubature:
    @pytest.mark.parametrize("n_dims", [1, 2, 3, 10])
    def test_its_points_have_the_moments_of_normal_noise(self, n_dims):
        points = cubature_points(n_dims).numpy()
        assert points.shape == (2 * n_dims, n_dims)
        np.testing.assert_allclose(points.mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(
            points.T @ points / len(points), np.eye(n_dims), atol=1e-12
        )
        cubes = np.einsum("ni,nj,nk->ijk", points, points, points)
        np.testing.assert_allclose(cubes, 0, atol=1e-10)

    def test_one_direction_changes_every_latent_by_one_standard_deviation(self):
        points = cubature_points(7, 1)
        torch.testing.assert_close(points.abs(), torch.ones(2, 7).double())

    def test_the_bound_of_a_linear_decoder_is_exact(self):
        """E|x - W z - b|^2 / s^2 has a closed form when the decoder is linear."""
        network = core.MLP(6, 3, (), "relu", linear_path=False)
        likelihood = core.Gaussian(0.7)
        weights = {
            k: v.double().numpy()
            for k, v in network.draw(torch.Generator().manual_seed(0)).items()
        }
        rows = make_rows(20)
        mean, std = core.encode(network, weights, rows, device=CPU)
        loadings = weights["decoder.0.weight"]  # (d, p)
        rest = rows - mean @ loadings - weights["decoder.0.bias"]
        error = (rest**2).sum(1) + std**2 @ (loadings**2).sum(1)
        nll = 0.5 * error / 0.49 + 6 * np.log(0.7) + 3 * np.log(2 * np.pi)
        kl = 0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1).sum(1)
        elbo = core.elbo(network, likelihood, weights, rows, device=CPU)
        np.testing.assert_allclose(elbo, -nll - kl, rtol=1e-10)


class TestRowsAreIndependent:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_row_has_the_same_result_alone_and_among_others(self, dtype):
        network, likelihood, weights = draw_model()
        rows = make_rows(700, dtype=dtype)
        mean, std = core.encode(network, weights, rows, device=CPU)
        decoded = core.decode(network, likelihood, weights, mean, device=CPU)
        elbo = core.elbo(network, likelihood, weights, rows, device=CPU)
        rng = np.random.default_rng(0)
        to_rounding = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {}
        for chosen in (
            np.array([699]),
            np.arange(3),
            rng.permutation(700),
            np.arange(100, 357),
        ):
            some_mean, some_std = core.encode(
                network, weights, rows[chosen], device=CPU
            )
            np.testing.assert_allclose(some_mean, mean[chosen], **to_rounding)
            np.testing.assert_allclose(some_std, std[chosen], **to_rounding)
            np.testing.assert_allclose(
                core.decode(network, likelihood, weights, mean[chosen], device=CPU),
                decoded[chosen],
                **to_rounding,
            )
            np.testing.assert_allclose(
                core.elbo(network, likelihood, weights, rows[chosen], device=CPU),
                elbo[chosen],
                **to_rounding,
            )


class TestWeightsAsArrays:
    @pytest.mark.parametrize("n_rows", [1, 200])
    @pytest.mark.parametrize("layout", ["read-only", "fortran", "float64"])
    def test_their_layout_and_type_do_not_matter(self, n_rows, layout):
        network, likelihood, weights = draw_model()
        rows = make_rows(n_rows, dtype=np.float32)
        other = {name: array.copy() for name, array in weights.items()}
        for name, array in other.items():
            if layout == "read-only":
                array.flags.writeable = False
            elif layout == "fortran":
                other[name] = np.asfortranarray(array)
            else:
                other[name] = array.astype(np.float64)
        found, expected = (
            core.elbo(network, likelihood, w, rows, device=CPU)
            for w in (other, weights)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_inference_leaves_them_unchanged(self):
        network, likelihood, weights = draw_model()
        before = {name: array.copy() for name, array in weights.items()}
        core.elbo(network, likelihood, weights, make_rows(2), device=CPU)
        core.encode(network, weights, make_rows(2), device=CPU)
        core.sample(network, likelihood, weights, 2, noise=True, seed=0, device=CPU)
        for name, array in weights.items():
            np.testing.assert_array_equal(array, before[name])


def order(network, weights, rows):
    job = make_job(network=network, rows=rows, objective=core.VAE(beta=1.0))
    return order_latents(job, weights, CPU)


class TestOrderLatents:
    def test_the_kl_is_descending_and_signs_follow_the_features(self):
        network, _, weights = draw_model(5)
        rows = make_rows(300)
        ordered, kl, variance = order(network, weights, rows)
        assert (np.diff(kl) <= 0).all()
        mean, _ = core.encode(network, ordered, rows, device=CPU)
        np.testing.assert_allclose(variance, mean.var(0))
        cross = np.corrcoef(mean.T, rows.T)[:5, 5:]
        strongest = np.abs(cross).argmax(1)
        assert (cross[np.arange(5), strongest] > 0).all()

    def test_the_codes_are_permuted_and_negated(self):
        network, _, weights = draw_model(5)
        rows = make_rows(300)
        ordered, _, _ = order(network, weights, rows)
        old, _ = core.encode(network, weights, rows, device=CPU)
        new, _ = core.encode(network, ordered, rows, device=CPU)
        matches = np.isclose(np.abs(old.T[:, None]), np.abs(new.T[None])).all(-1)
        assert (matches.sum(0) == 1).all()
        assert (matches.sum(1) == 1).all()


def test_samples_have_the_noise_of_the_likelihood():
    network, likelihood, weights = draw_model()
    options = {"seed": 0, "device": CPU}
    noisy = core.sample(network, likelihood, weights, 4000, noise=True, **options)
    clean = core.sample(network, likelihood, weights, 4000, noise=False, **options)
    np.testing.assert_allclose((noisy - clean).std(0), 0.5, rtol=0.05)


def test_bernoulli_nll_is_the_binary_cross_entropy():
    x = torch.rand(1, 5, 4).double()
    logits = torch.randn(1, 5, 4).double()
    nll = core.Bernoulli().nll({}, logits, x)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, x, reduction="none"
    )
    torch.testing.assert_close(nll, expected.sum(-1))

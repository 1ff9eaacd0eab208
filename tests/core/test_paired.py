"""Pairs: draws of partners, averages of posteriors, and the objective's terms."""

import math

import numpy as np
import pytest
import torch
from _jobs import fit, make_job, make_objective, make_rows, make_schedule
from test_training import assert_same_fit

from skfactorvae import core
from skfactorvae.core._pairs import PairTable
from skfactorvae.core._sampling import CHUNK, Streams, draw_steps
from skfactorvae.core.objectives._paired import (
    average_moments,
    divergence,
    mean_changed,
    shared_latents,
)

CPU = torch.device("cpu")
DISCRIMINATOR = {"hidden_layer_sizes": (24, 24), "learning_rate": 1e-3}


def moments(mean, variance):
    """Return means and log-variances of shape (1, 1, d)."""
    parts = torch.tensor([mean, variance], dtype=torch.float64)[:, None, None]
    return parts[0], parts[1].log()


class TestPairTable:
    def drawn(self, groups, weights, row, n=4000):
        table = PairTable(np.array(groups), np.array(weights, dtype=float))
        rows = torch.full((n,), row)
        partners = table.draw(torch.Generator().manual_seed(0), rows)
        return np.bincount(partners, minlength=len(groups)) / n

    def test_the_partner_in_a_group_of_two_is_the_other_row(self):
        groups = [[0], [1], [0], [1]]
        for row, other in enumerate([2, 3, 0, 1]):
            assert self.drawn(groups, [1, 2, 3, 4], row)[other] == 1

    def test_a_row_without_a_partner_is_its_own(self):
        for row in range(3):
            assert self.drawn([[-1], [-1], [5]], [1, 1, 1], row)[row] == 1

    def test_partners_are_drawn_in_proportion_to_their_weights(self):
        shares = self.drawn([[0], [0], [1], [0]], [5, 1, 9, 3], 0)
        np.testing.assert_allclose(shares, [0, 0.25, 0, 0.75], atol=0.03)

    def test_each_pairing_in_which_a_row_has_a_partner_is_equally_likely(self):
        """The first row has partners in the first and the third pairing."""
        groups = [[0, -1, 7], [0, 2, -1], [1, 2, 7], [1, -1, 7]]
        shares = self.drawn(groups, [1, 1, 1, 1], 0)
        np.testing.assert_allclose(shares, [0, 0.5, 0.25, 0.25], atol=0.03)


class TestDraws:
    def test_partners_do_not_change_other_draws(self):
        cdf = torch.linspace(0.1, 1, 10, dtype=torch.float64)
        table = PairTable(np.arange(10)[:, None] // 2, np.ones(10))

        def first(pair_tables):
            streams = [Streams.from_seed(3)]
            options = {"device": CPU, "dtype": torch.float32}
            return next(
                draw_steps(
                    streams, [cdf], [0], [2], 8, pair_tables=pair_tables, **options
                )
            )

        plain, paired = first(()), first([table])
        for name in ("rows", "noise"):
            a, b = getattr(plain, name), getattr(paired, name)
            torch.testing.assert_close(a, b[:, :2], rtol=0, atol=0)
        assert torch.equal(plain.order, paired.order)
        assert torch.equal(paired.rows[:, 0] // 2, paired.rows[:, 2] // 2)
        assert (paired.rows[:, 0] != paired.rows[:, 2]).all()
        assert len(paired.noise[0]) == 3
        assert CHUNK


class TestAverages:
    first, second = moments([0.0, 2.0], [1.0, 0.5]), moments([0.0, 4.0], [1.0, 0.1])

    def test_the_arithmetic_one_has_the_mean_of_means_and_of_variances(self):
        mean, log_var = average_moments(self.first, self.second, "arithmetic")
        torch.testing.assert_close(mean[0, 0], mean.new_tensor([0.0, 3.0]))
        torch.testing.assert_close(log_var.exp()[0, 0], mean.new_tensor([1.0, 0.3]))

    def test_the_geometric_one_has_twice_the_variance_of_the_product(self):
        mean, log_var = average_moments(self.first, self.second, "geometric")
        product = 1 / (1 / 0.5 + 1 / 0.1)
        centre = product * (2 / 0.5 + 4 / 0.1)
        torch.testing.assert_close(mean[0, 0, 1].item(), centre)
        torch.testing.assert_close(log_var.exp()[0, 0, 1].item(), 2 * product)

    @pytest.mark.parametrize("average", ["arithmetic", "geometric"])
    def test_equal_posteriors_are_their_average(self, average):
        mean, log_var = average_moments(self.second, self.second, average)
        torch.testing.assert_close(mean, self.second[0])
        torch.testing.assert_close(log_var, self.second[1])


class TestSharedLatents:
    def test_the_divergence_is_the_mean_of_both_directions(self):
        first, second = moments([1.0], [0.5]), moments([-0.5], [2.0])

        def one_way(a, b):
            (mean, log_var), (other, other_log_var) = a, b
            ratio = (log_var - other_log_var).exp()
            by_mean = (mean - other).square() / other_log_var.exp()
            return (ratio + by_mean - 1 - ratio.log()) / 2

        expected = (one_way(first, second) + one_way(second, first)) / 2
        torch.testing.assert_close(divergence(first, second), expected)

    def test_the_bound_is_the_middle_of_the_range(self):
        first = moments([0.0, 0.0, 0.0, 0.0], [1.0] * 4)
        second = moments([0.1, 2.0, 1.3, 1.5], [1.0] * 4)  # squares .01, 4, 1.69, 2.25
        shared = shared_latents(first, second, None, None)
        assert shared[0, 0].tolist() == [True, False, True, False]

    def test_with_a_known_number_that_many_differ(self):
        first, second = moments([0.0] * 3, [1.0] * 3), moments([3.0, 1.0, 2.0], [1] * 3)
        for n_changed, expected in ((1, [0, 1, 1]), (2, [0, 1, 0]), (9, [0, 0, 0])):
            shared = shared_latents(first, second, n_changed, None)
            assert shared[0, 0].tolist() == [bool(e) for e in expected]

    @pytest.mark.parametrize("n_changed", [None, 1])
    def test_latents_that_do_not_exist_are_shared_and_set_no_bound(self, n_changed):
        first, second = moments([0.0] * 3, [1.0] * 3), moments([4.0, 3.0, 0.0], [1] * 3)
        mask = torch.tensor([[[1.0, 1.0, 0.0]]], dtype=torch.float64)
        shared = shared_latents(first, second, n_changed, mask)
        assert shared[0, 0].tolist() == [False, True, True]

    def test_the_recorded_number_is_that_of_pairs_alone(self):
        shared = torch.tensor([[[True, False], [False, False]]])
        is_paired = torch.tensor([[True, False]])
        assert mean_changed(shared, is_paired, torch.zeros(1)).tolist() == [1.0]


class TestObjective:
    def test_without_pairs_it_is_factor_vae_bit_for_bit(self):
        objective = core.PairedVAE(gamma=5.0, beta=1.0, **DISCRIMINATOR)
        (paired,) = fit([make_job(objective=objective, pairs=None)])
        (plain,) = fit([make_job(objective=make_objective(5.0))])
        assert_same_fit(paired, plain, rtol=0, atol=0)

    def test_a_row_that_is_alone_has_the_terms_of_factor_vae(self):
        """Its reconstruction is the mean over two draws of noise, so that only the
        divergence of the posterior from the prior is the same."""
        objective = core.PairedVAE(gamma=0.0, beta=1.0, **DISCRIMINATOR)
        alone = np.full((200, 1), -1)
        schedule = make_schedule(1)
        (paired,) = fit([make_job(objective=objective, pairs=alone)], schedule)
        (plain,) = fit([make_job(objective=make_objective(0.0))], schedule)
        np.testing.assert_allclose(paired.history["kl"], plain.history["kl"])
        assert paired.history["changed_components"] == 0

    @pytest.mark.slow
    def test_pairs_that_agree_in_a_feature_separate_its_latent(self):
        """Rows are rotated factors of which one is redrawn in each pair: without
        pairs, no rotation of normal factors is better than another."""
        rng = np.random.default_rng(0)
        factors = rng.normal(size=(300, 2))
        other = factors.copy()
        other[np.arange(300), np.arange(300) % 2] = rng.normal(size=300)
        both = np.concatenate([factors, other])
        angle = math.pi / 5
        mixing = [
            [math.cos(angle), math.sin(angle)],
            [-math.sin(angle), math.cos(angle)],
        ]
        rows = both @ np.array(mixing) + 0.1 * rng.normal(size=both.shape)
        objective = core.PairedVAE(gamma=0.0, beta=1.0, **DISCRIMINATOR)
        job = make_job(
            objective=objective,
            rows=rows,
            n_components=2,
            pairs=np.tile(np.arange(300), 2)[:, None],
        )
        (found,) = fit([job], make_schedule(300, batch_size=64))
        codes, _ = core.encode(job.network, found.weights, rows, device=CPU)
        correlation = np.abs(np.corrcoef(both.T, codes.T)[:2, 2:])
        assert correlation.max(axis=1).min() > 0.95
        assert correlation.min(axis=1).max() < 0.25
        assert found.history["changed_components"][-1] < 1.2

    def test_it_is_trained_on_rows_with_missing_values(self):
        rows = make_rows()
        rows[::7, 0] = np.nan
        network = core.MLP(6, 3, (16,), "relu", linear_path=False, has_mask=True)
        network = core.FactorFilling(network, 2)
        objective = core.PairedVAE(gamma=1.0, beta=1.0, **DISCRIMINATOR)
        job = make_job(
            objective=objective, rows=rows, network=network, hidden_fraction=0.1
        )
        (found,) = fit([job])
        assert found.status == "budget"

"""Identities of the cell counts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfactorvae.datasets import make_cell_counts


def expected(cells, **options):
    """Return the expected counts of given cells, with the genes of seed 0."""
    options = {"random_state": 0, "n_features": 400} | options
    return make_cell_counts(factors=cells, return_bunch=True, **options).expected


def log_change(one, other, **options):
    """Return each gene's change from one cell to another, in logarithms of shares."""
    shares = expected([one, other], **options)
    return np.diff(np.log(shares / shares.sum(axis=1, keepdims=True)), axis=0)[0]


def centred(change):
    """Remove what all genes share, which the division by the sum has put there."""
    return change - np.median(change)


def test_counts_are_whole_and_not_negative():
    X, _ = make_cell_counts(50, random_state=0)
    assert_array_equal(X, np.round(X))
    assert X.min() == 0


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_mean_and_variance_are_those_of_the_negative_binomial(noise):
    """Over cells alike, the variance is mu + noise^2 mu^2, gene by gene."""
    cells = np.tile([0, 1, 0.7, 9000.0], (20_000, 1))
    table = make_cell_counts(
        n_features=60, noise=noise, factors=cells, return_bunch=True, random_state=0
    )
    mu = table.expected[0]
    common = mu > 5
    assert common.sum() > 20
    X, mu = table.data[:, common], mu[common]
    variance = mu + noise**2 * mu**2
    assert_allclose(X.mean(axis=0), mu, atol=5 * np.sqrt(variance.max() / len(X)))
    assert_allclose(X.var(axis=0), variance, rtol=0.15)


def test_without_noise_zeros_are_as_frequent_as_poisson_says():
    cells = np.tile([1, 0, 0.2, 400.0], (20_000, 1))
    table = make_cell_counts(
        n_features=200, noise=0, factors=cells, return_bunch=True, random_state=0
    )
    zeros = (table.data == 0).mean(axis=0)
    assert_allclose(zeros, np.exp(-table.expected[0]), atol=0.02)


def test_expected_counts_add_up_to_the_depth():
    table = make_cell_counts(100, return_bunch=True, random_state=0)
    assert_allclose(table.expected.sum(axis=1), table.factors[:, 3])


def test_depth_multiplies_all_genes_alike():
    shallow, deep = expected([[0, 0, 0.5, 1000.0], [0, 0, 0.5, 3000.0]])
    assert_allclose(deep, 3 * shallow)


def test_depth_has_its_median_and_its_deviation():
    _, factors = make_cell_counts(20_000, 10, random_state=0)
    logs = np.log(factors[:, 3])
    assert np.median(logs) == pytest.approx(np.log(60), abs=0.01)
    assert logs.std() == pytest.approx(0.2, abs=0.005)


def test_no_depth_no_molecules():
    X, _ = make_cell_counts(factors=[[0, 0, 0.5, 0.0]], random_state=0)
    assert X.sum() == 0


@pytest.mark.parametrize(
    ("other", "share"), [([0, 1, 0.0, 1e3], 0.2), ([0, 0, 1.0, 1e3], 0.2)]
)
def test_paths_and_steps_change_a_fifth_of_the_genes(other, share):
    """A tenth for either path; many genes, so that a tenth is a tenth."""
    change = centred(log_change([0, 0, 0.0, 1e3], other, n_features=4000))
    assert np.mean(np.abs(change) > 1e-9) == pytest.approx(share, abs=0.03)
    assert np.abs(change).max() > 0.8


def test_the_path_makes_the_same_difference_at_every_step():
    early = log_change([0, 0, 0.1, 1e3], [0, 1, 0.1, 1e3])
    late = log_change([1, 0, 0.9, 1e3], [1, 1, 0.9, 1e3])
    assert_allclose(centred(early), centred(late), atol=1e-9)


def test_batches_differ_in_every_gene_and_by_the_same_everywhere_on_the_paths():
    here = log_change([0, 0, 0.0, 1e3], [1, 0, 0.0, 1e3])
    there = log_change([0, 1, 0.9, 1e3], [1, 1, 0.9, 1e3])
    assert (np.abs(here) > 0).all()
    assert_allclose(centred(here), centred(there), atol=1e-9)
    assert here.std() == pytest.approx(0.1 * np.sqrt(2), rel=0.2)


def test_linear_steps_add_up():
    """The change over a whole path is twice that over its half, in logarithms."""
    half = log_change([0, 0, 0.0, 1e3], [0, 0, 0.5, 1e3])
    whole = log_change([0, 0, 0.0, 1e3], [0, 0, 1.0, 1e3])
    assert_allclose(centred(whole), 2 * centred(half), atol=1e-9)


def test_nonlinear_steps_bend_between_the_same_ends():
    ends = [[0, 0, 0.0, 1e3], [0, 0, 1.0, 1e3]]
    middle = [[0, 0, 0.5, 1e3]]
    assert_allclose(expected(ends), expected(ends, steps="nonlinear"))
    straight, bent = expected(middle), expected(middle, steps="nonlinear")
    assert np.abs(np.log(bent / straight)).max() > 0.1


def test_tables_of_one_seed_share_the_genes_whatever_their_size_and_noise():
    cells = [[0, 1, 0.3, 2000.0]]
    assert_array_equal(expected(cells, noise=0.0), expected(cells, noise=0.5))
    assert not np.array_equal(expected(cells), expected(cells, random_state=1))
    few = make_cell_counts(3, n_features=400, return_bunch=True, random_state=0)
    assert_array_equal(few.expected, expected(few.factors))


def test_a_vanishing_noise_is_no_noise():
    one, other = (make_cell_counts(5, noise=e, random_state=0)[0] for e in (0, 1e-200))
    assert_array_equal(one, other)


def test_unknown_steps_are_refused():
    with pytest.raises(ValueError, match=r"steps must be one of 'linear', 'nonlin"):
        make_cell_counts(steps="curved")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([2, 0, 0.5, 1e3], r"column 'batch' must hold integers in \[0, 1\]"),
        ([0, 0.5, 0.5, 1e3], r"column 'path' must hold integers .* got fractions"),
        ([0, 0, 1.5, 1e3], r"column 'step' must hold values in \[0\.0, 1\.0\]"),
        ([0, 0, 0.5, -1.0], r"column 'depth' must hold values in \[0\.0, inf\]"),
        ([0, 0, 0.5, 1e30], r"at most 1e\+15; got .* molecules of a gene"),
    ],
)
def test_cells_that_cannot_be_are_refused(cell, message):
    with pytest.raises(ValueError, match=message):
        make_cell_counts(factors=[cell])


def test_a_noise_whose_square_overflows_is_refused():
    with pytest.raises(
        ValueError, match=r"got inf molecules of a gene.*Lower the depth"
    ):
        make_cell_counts(5, noise=1e200, random_state=0)

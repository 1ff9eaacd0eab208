"""Scores of columns: what is hidden together, columns alone, and predictions."""

import numpy as np
import pytest
import torch
from scipy import stats

from skfactorvae.core import by_column, independent_scores
from skfactorvae.core._column_scores import hidden_parts


def test_each_value_is_hidden_once_and_a_column_as_a_whole():
    likelihood = by_column((("gaussian", 1), ("categorical", 3), ("ordinal", 4)), 0.5)
    part = hidden_parts(likelihood.hidden_with, 20, 5)
    assert part.shape == (20, 5)
    assert set(part.ravel()) == {0, 1, 2}
    assert (part[:, 1:4] == part[:, [1]]).all()
    assert (part[:, 0] != part[:, 1]).all()
    wide = hidden_parts(None, 400, 12)
    assert all(list(np.bincount(row)) == [3] * 4 for row in wide)
    together = (wide[:, :1] == wide[:, 1:]).mean(axis=0)
    assert together.max() < 0.5  # no two columns are always hidden together


def scores_alone(kind, targets, offset, step):
    likelihood = by_column(((kind, 1),), "feature")
    rows = (targets[:, None] - offset) / step
    weight = np.ones(len(rows))
    scales = np.array([offset]), np.array([step])
    start = likelihood.start(rows, weight, *scales)
    return independent_scores(likelihood, start, rows, weight, rows)[:, 0]


def test_a_heavy_tailed_column_alone_has_the_largest_likelihood():
    values = stats.t(3).rvs(400, random_state=0)
    found = scores_alone("student_t", values, values.mean(), values.std())
    df, loc, scale = stats.t.fit(values)
    best = stats.t(df, loc, scale).logpdf(values).mean()
    assert found.mean() - np.log(values.std()) == pytest.approx(best, abs=0.01)


def test_counts_alone_have_the_largest_likelihood():
    counts = stats.nbinom(2, 0.2).rvs(400, random_state=0)
    logs = np.log1p(counts)
    found = scores_alone("negative_binomial", logs, logs.mean(), logs.std())
    sizes = np.linspace(0.5, 6, 200)
    chance = sizes / (sizes + counts.mean())
    best = stats.nbinom(sizes[:, None], chance[:, None]).logpmf(counts).mean(axis=1)
    assert found.mean() == pytest.approx(best.max(), abs=0.01)


def test_a_column_of_numbers_alone_is_normal():
    values = np.random.RandomState(0).normal(3, 2, size=50)
    found = scores_alone("gaussian", values, 0.0, 1.0)
    expected = stats.norm(values.mean(), values.std()).logpdf(values)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_terms_add_up_to_the_likelihood():
    kinds = ("gaussian", 1), ("student_t", 1), ("bernoulli", 1), ("categorical", 3)
    kinds += ("ordinal", 4), ("poisson", 1), ("negative_binomial", 1)
    likelihood = by_column(kinds, "feature")
    generator = torch.Generator().manual_seed(0)
    weights = {k: v[None].double() for k, v in likelihood.draw(9).items()}
    output, x = torch.randn(2, 1, 6, 9, generator=generator, dtype=torch.float64)
    observed = torch.ones(1, 6, 9, dtype=torch.float64)
    observed[0, :3, 3:6] = 0
    terms = likelihood.terms(weights, output, x)
    for known in None, observed:
        kept = terms if known is None else terms * known
        nll = likelihood.nll(weights, output, x, known)
        torch.testing.assert_close(nll, kept.sum(-1))

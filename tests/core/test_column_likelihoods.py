"""Likelihoods of columns: densities of scipy, marginals, draws, masks, stacks."""

import functools

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit, log_softmax

from skfactorvae.core import by_column

KINDS = (
    ("gaussian", 1),
    ("gaussian", 1),
    ("student_t", 1),
    ("bernoulli", 1),
    ("categorical", 3),
    ("categorical", 2),
    ("ordinal", 4),
    ("ordinal", 2),
    ("poisson", 1),
    ("negative_binomial", 1),
)
WIDTHS = [size if kind == "categorical" else 1 for kind, size in KINDS]
FIRST = {kind: sum(WIDTHS[:j]) for j, (kind, _) in reversed(list(enumerate(KINDS)))}
N_ROWS = 400


@pytest.fixture(scope="module")
def table():
    """Rows in standardised units, their offsets, steps and targets."""
    rng = np.random.RandomState(0)
    parts = [
        rng.normal(size=(N_ROWS, 3)),
        rng.uniform(size=(N_ROWS, 1)) < 0.3,
        np.eye(3)[rng.choice(3, N_ROWS, p=[0.7, 0.2, 0.1])],
        np.eye(2)[rng.choice(2, N_ROWS)],
        rng.choice(4, (N_ROWS, 1), p=[0.1, 0.2, 0.3, 0.4]),
        rng.choice(2, (N_ROWS, 1)),
        np.log1p(rng.poisson(5.0, (N_ROWS, 1))),
        np.log1p(rng.negative_binomial(1, 0.2, (N_ROWS, 1))),
    ]
    targets = np.hstack(parts).astype(float)
    offset, step = targets.mean(axis=0), targets.std(axis=0)
    return (targets - offset) / step, offset, step, targets


@pytest.fixture(scope="module")
def likelihood():
    return by_column(KINDS, "feature")


def weights_of(likelihood, table):
    rows, offset, step, _ = table
    drawn = {k: v.numpy() for k, v in likelihood.draw(rows.shape[1]).items()}
    start = likelihood.start(rows, np.ones(len(rows)), offset, step)
    both = {**drawn, **start}
    return {k: torch.tensor(v, dtype=torch.float64)[None] for k, v in both.items()}


def nll_of_feature(likelihood, table, output, j, width=1):
    """Return -log p of one column alone, the others not being observed, (n,)."""
    x = torch.tensor(table[0])[None]
    observed = torch.zeros_like(x)
    observed[..., j : j + width] = 1
    found = likelihood.nll(weights_of(likelihood, table), output, x, observed)
    return found[0].numpy()


@pytest.fixture(scope="module")
def output(table):
    draws = np.random.RandomState(1).normal(size=table[0].shape)
    return torch.tensor(draws)[None]


def test_the_nll_of_all_columns_is_the_sum_of_theirs(likelihood, table, output):
    starts = np.cumsum([0, *WIDTHS])[:-1]
    parts = [
        nll_of_feature(likelihood, table, output, j, w)
        for j, w in zip(starts, WIDTHS, strict=True)
    ]
    weights, x = weights_of(likelihood, table), torch.tensor(table[0])[None]
    whole = likelihood.nll(weights, output, x)[0].numpy()
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, rtol=1e-9)


def test_student_t_is_scipys(likelihood, table, output):
    j = FIRST["student_t"]
    loc = output[0, :, j].numpy()
    expected = -stats.t.logpdf(table[0][:, j], df=5.0, loc=loc, scale=0.5)
    found = nll_of_feature(likelihood, table, output, j)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_binary_is_a_bernoulli_with_the_marginal_at_zero(likelihood, table, output):
    j = FIRST["bernoulli"]
    target, p = table[3][:, j], table[1][j]
    logit = np.log(p / (1 - p)) + output[0, :, j].numpy() / np.sqrt(p * (1 - p))
    logit = 40 * np.tanh(logit / 40)
    expected = -stats.bernoulli.logpmf(target.astype(int), expit(logit))
    found = nll_of_feature(likelihood, table, output, j)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_categorical_is_a_softmax(likelihood, table, output):
    j = FIRST["categorical"]
    p, target = table[1][j : j + 3], table[3][:, j : j + 3]
    logit = np.log(p) + output[0, :, j : j + 3].numpy() / np.sqrt(p)
    logit = 40 * np.tanh(logit / 40)
    expected = -(target * log_softmax(logit, axis=1)).sum(axis=1)
    found = nll_of_feature(likelihood, table, output, j, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_ordinal_has_cumulative_logits(likelihood, table, output):
    j = FIRST["ordinal"]
    level = table[3][:, j].astype(int)
    counts = np.bincount(level)
    below = np.cumsum(counts / counts.sum())[:-1]
    eta = np.pi / np.sqrt(3) * output[0, :, [j]].numpy().T
    cumulative = expit(np.log(below / (1 - below)) - eta.T.reshape(-1, 1))
    edges = np.hstack([np.zeros((N_ROWS, 1)), cumulative, np.ones((N_ROWS, 1))])
    expected = -np.log(np.diff(edges)[np.arange(N_ROWS), level])
    found = nll_of_feature(likelihood, table, output, j)
    np.testing.assert_allclose(found, expected, atol=0.02)  # smoothed frequencies


def rate_of(table, output, j):
    """Return the rate of a column of counts."""
    mean = np.expm1(table[3][:, j]).mean()
    gain = table[2][j] * (1 + mean) / mean
    return mean * np.exp(15 * np.tanh(gain * output[0, :, j].numpy() / 15))


def test_poisson_is_scipys(likelihood, table, output):
    j = FIRST["poisson"]
    counts = np.rint(np.expm1(table[3][:, j]))
    expected = -stats.poisson.logpmf(counts, rate_of(table, output, j))
    found = nll_of_feature(likelihood, table, output, j)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_negative_binomial_is_scipys(likelihood, table, output):
    j = FIRST["negative_binomial"]
    counts, rate = np.rint(np.expm1(table[3][:, j])), rate_of(table, output, j)
    expected = -stats.nbinom.logpmf(counts, 1.0, 1 / (1 + rate))
    found = nll_of_feature(likelihood, table, output, j)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_output_of_zero_is_the_marginal_distribution(likelihood, table):
    weights, x = weights_of(likelihood, table), torch.tensor(table[0])[None]
    mean = likelihood.mean(weights, torch.zeros_like(x))[0, 0].numpy()
    # Of counts, log(1 + mean) is not the mean of log(1 + c).
    np.testing.assert_allclose(mean[: FIRST["poisson"]], 0.0, atol=0.02)


def test_the_mean_is_that_of_draws(likelihood, table, output):
    weights = weights_of(likelihood, table)
    one = output[:, :1].expand(-1, 40_000, -1)
    drawn = likelihood.sample(weights, one, torch.Generator().manual_seed(0))
    mean = likelihood.mean(weights, one[:, :1])[0, 0]
    offset, step = table[1], table[2]
    moved, expected = (
        np.where(
            np.arange(len(step)) >= FIRST["poisson"],
            np.expm1(values.numpy() * step + offset),
            values.numpy(),
        )
        for values in (drawn[0], mean)
    )
    error = np.abs(moved.mean(axis=0) - expected)
    assert (error < 5 * moved.std(axis=0) / np.sqrt(len(moved)) + 1e-3).all()


def test_gradients_of_all_kinds_have_comparable_sizes(likelihood, table):
    weights, x = weights_of(likelihood, table), torch.tensor(table[0])[None]
    output = torch.zeros_like(x, requires_grad=True)
    likelihood.nll(weights, output, x).sum().backward()
    size = output.grad[0].square().mean(0).sqrt().numpy()
    assert size.min() > 0.4
    assert size.max() / size.min() < 10


def test_extreme_outputs_have_finite_values_and_gradients(likelihood, table):
    weights, x = weights_of(likelihood, table), torch.tensor(table[0])[None].float()
    weights = {k: v.float() for k, v in weights.items()}
    for size in (1e2, 1e4, 1e8):
        for sign in (-1, 1):
            output = torch.full_like(x, sign * size, requires_grad=True)
            nll = likelihood.nll(weights, output, x)
            nll.sum().backward()
            assert nll.isfinite().all()
            assert output.grad.isfinite().all()
            assert likelihood.mean(weights, output).isfinite().all()


def test_features_of_a_category_are_hidden_together(likelihood):
    j = FIRST["categorical"]
    firsts = likelihood.hidden_with
    assert firsts[:j] == tuple(range(j))
    assert firsts[j : j + 5] == (j, j, j, j + 3, j + 3)


def test_models_of_a_stack_have_their_own_constants(likelihood, table, output):
    rows, offset, step, targets = table
    other = (rows[:, ::1] * 1.5, offset, step / 1.5, targets)
    weights = [weights_of(likelihood, t) for t in (table, other)]
    stacked = {k: torch.cat([w[k] for w in weights]) for k in weights[0]}
    x = torch.tensor(np.stack([rows, other[0]]))
    both = likelihood.nll(stacked, output.expand(2, -1, -1), x)
    for k, alone in enumerate(weights):
        single = likelihood.nll(alone, output, x[k : k + 1])
        np.testing.assert_allclose(both[k].numpy(), single[0].numpy(), rtol=1e-12)


def seen_apart(likelihood, weights, output, x, observed):
    """Sum of each kind's own terms over what is observed, (K, B)."""
    terms = likelihood.terms(weights, output, x)
    return (terms if observed is None else terms * observed).sum(-1)


def gradients(function, likelihood, weights, output, x, observed):
    """Values and gradients by output and learned weights, each row weighted."""
    leaves = {k: v.clone() for k, v in weights.items()}
    learned = [v for k, v in leaves.items() if k not in likelihood.fixed]
    output = output.clone()
    for leaf in (output, *learned):
        leaf.requires_grad_()
    values = function(leaves, output, x, observed)
    rows = torch.linspace(0.5, 2.0, values.shape[1])
    return values, torch.autograd.grad((values * rows).sum(), [output, *learned])


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_the_gradient_is_that_of_the_terms(likelihood, table, output, share):
    """The written-out derivatives are those that torch finds, for two models."""
    weights = weights_of(likelihood, table)
    noise = torch.Generator().manual_seed(0)
    stacked = {
        k: torch.cat([v, v + 0.01 * torch.rand(v.shape, generator=noise)])
        for k, v in weights.items()
    }
    x = torch.tensor(table[0])[None].expand(2, -1, -1)
    firsts = torch.tensor(likelihood.hidden_with)
    observed = (torch.rand(x.shape, generator=noise) < share).to(x)[..., firsts]
    outputs = torch.cat([output, -output])
    arguments = likelihood, stacked, outputs, x, None if share == 1 else observed
    values, found = gradients(likelihood.nll, *arguments)
    apart = functools.partial(seen_apart, likelihood)
    expected_values, expected = gradients(apart, *arguments)
    np.testing.assert_allclose(values.detach(), expected_values.detach(), rtol=1e-9)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-8)


def test_what_is_derived_once_changes_nothing(likelihood, table, output):
    weights, x = weights_of(likelihood, table), torch.tensor(table[0])[None]
    derived = likelihood.derived(weights)
    assert not derived.keys() & weights.keys()
    nll = likelihood.nll(weights, output, x)
    assert torch.equal(likelihood.nll({**weights, **derived}, output, x), nll)
    moved = {name: value + 1 for name, value in derived.items()}
    assert not torch.equal(likelihood.nll({**weights, **moved}, output, x), nll)


def test_noise_is_added_to_columns_with_a_scale(likelihood, table):
    weights, x = weights_of(likelihood, table), torch.tensor(table[0])[None]
    bound = torch.full_like(x[:, :1], 0.25)
    noisy = likelihood.add_input_noise(weights, x, torch.ones_like(x), bound)
    is_moved = (noisy != x).all(1)[0].tolist()
    assert is_moved == [True] * 3 + [False] * (x.shape[-1] - 3)

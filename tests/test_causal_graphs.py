"""Graphs of attributes: checks, orders, and their estimation."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfactorvae._causal_graphs import (
    _best_causes,
    _subsets,
    causal_order,
    check_graph,
    effects_of,
    learn_graph,
    residual_entropy,
)

NAMES = ("dose", "age", "response")


@st.composite
def acyclic_graphs(draw):
    """Return a graph without cycles, its attributes in any order."""
    m = draw(st.integers(1, 6))
    order = draw(st.permutations(range(m)))
    bits = draw(st.lists(st.booleans(), min_size=m * m, max_size=m * m))
    upper = np.triu(np.array(bits).reshape(m, m), 1).astype(int)
    return upper[np.ix_(order, order)]


@given(acyclic_graphs())
def test_causes_come_before_effects(graph):
    place = np.argsort(causal_order(graph))
    causes, effects = np.nonzero(graph)
    assert (place[causes] < place[effects]).all()
    assert check_graph(graph, [str(j) for j in range(len(graph))]).tolist() == (
        graph.tolist()
    )


@given(acyclic_graphs())
def test_effects_are_what_can_be_reached(graph):
    m = len(graph)
    reachable = np.linalg.matrix_power(np.eye(m, dtype=int) + graph, m) > 0
    for j in range(m):
        expected = set(np.flatnonzero(reachable[j])) - {j}
        assert set(effects_of(graph, [j])) == expected


def test_effects_are_in_causal_order():
    chain = np.eye(4, k=-1, dtype=int)  # 3 -> 2 -> 1 -> 0
    assert effects_of(chain, [3]) == [2, 1, 0]
    assert effects_of(chain, [3, 1]) == [2, 0]


def test_a_data_frame_is_read_by_its_names():
    graph = pd.DataFrame(0, index=["response", "dose", "age"], columns=list(NAMES))
    graph.loc["dose", "response"] = 1
    assert check_graph(graph, NAMES).tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_no_graph_has_no_edges():
    assert not check_graph(None, NAMES).any()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (np.zeros((2, 2)), r"shape \(2, 2\), expected \(3, 3\)"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.full((3, 3), 0.5), "one where the attribute of the row"),
        (np.array([["a"] * 3] * 3), "one where the attribute of the row"),
        (np.eye(3), "cycle dose -> dose"),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], "cycle .* -> .* -> .* -> "),
        (
            pd.DataFrame(0, index=NAMES, columns=["dose", "age", "x"]),
            "expected the nam",
        ),
    ],
)
def test_other_graphs_are_refused(graph, message):
    with pytest.raises(ValueError, match=message):
        check_graph(graph, NAMES)


def test_the_cycle_of_a_message_follows_the_edges():
    graph = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    with pytest.raises(ValueError, match=r"cycle (.*), but") as error:
        check_graph(graph, NAMES)
    words = str(error.value).split("cycle ")[1].split(",")[0].split(" -> ")
    for cause, effect in itertools.pairwise(words):
        assert graph[NAMES.index(cause), NAMES.index(effect)]


def linear_effects(graph, n=2000, seed=0):
    """Return attributes (n, m), each the sum of its causes and noise."""
    rng = np.random.default_rng(seed)
    values = np.zeros((n, len(graph)))
    for j in causal_order(graph):
        values[:, j] = values @ graph[:, j] + rng.normal(size=n)
    return values


def test_a_linear_graph_is_estimated_where_it_is_determined():
    collider = np.array([[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    found = learn_graph(linear_effects(collider), np.ones(2000))
    assert found.tolist() == collider.tolist()


def test_a_curved_function_determines_the_direction():
    rng = np.random.default_rng(0)
    cause = rng.uniform(-1, 1, size=1000)
    effect = cause + cause**2 + 0.1 * rng.normal(size=1000)
    for order in ([0, 1], [1, 0]):
        values = np.column_stack([cause, effect])[:, order]
        expected = np.zeros((2, 2), dtype=int)
        expected[order.index(0), order.index(1)] = 1
        assert learn_graph(values, np.ones(1000)).tolist() == expected.tolist()


def test_the_search_finds_the_minimum():
    rng = np.random.default_rng(0)
    m = 4
    costs = {
        (j, frozenset(s)): rng.uniform() + 0.1 * len(s)
        for s in _subsets(range(m))
        for j in set(range(m)) - set(s)
    }
    found = _best_causes(costs, m)
    least = min(
        sum(
            min(costs[j, s] for k, s in costs if k == j and s <= set(order[:place]))
            for place, j in enumerate(order)
        )
        for order in itertools.permutations(range(m))
    )
    assert sum(costs[j, s] for j, s in found.items()) == pytest.approx(least)


@given(st.integers(0, 2**31))
def test_the_entropy_of_normal_noise_is_exact(seed):
    noise = np.random.default_rng(seed).normal(size=4000)
    expected = 0.5 * np.log(2 * np.pi * np.e)
    found = residual_entropy(noise - noise.mean(), np.full(4000, 1 / 4000))
    assert found == pytest.approx(expected, abs=0.1)


def test_an_integer_weight_equals_repetition():
    values = linear_effects(np.eye(3, k=1, dtype=int), n=60)
    weight = np.arange(60) % 3
    found = learn_graph(values, weight)
    assert found.tolist() == (
        learn_graph(np.repeat(values, weight, axis=0), np.ones(weight.sum())).tolist()
    )


@given(st.integers(0, 2**31))
def test_an_estimate_never_has_a_cycle(seed):
    values = np.random.default_rng(seed).normal(size=(30, 4))
    values[:, 1:] += values[:, :1]
    causal_order(learn_graph(values, np.ones(30)))

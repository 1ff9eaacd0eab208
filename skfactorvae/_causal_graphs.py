"""Directed acyclic graphs of attributes: checks, orders, and estimation from labels.

Axes: ``n`` samples, ``m`` attributes. A graph is a matrix (m, m) of zeros and ones,
with one where the attribute of the row is a cause of that of the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

LEARN = "learn"
"""Value of the parameter ``graph`` that estimates the graph from labels."""

MAX_LEARNED = 8
"""Attributes whose graph can be estimated, at most: all orders are compared."""

MIN_VARIANCE = 1e-4
"""Added to the residual variance of standardised attributes."""

NORMAL_LOG_COSH = 0.37457
"""Expectation of log cosh of a standard normal variable."""


def check_graph(graph: Any, names: Sequence[str]) -> np.ndarray:
    """Return a graph in the order of the attributes, (m, m) int.

    Parameters
    ----------
    graph : array-like of shape (m, m), or DataFrame, or None
        A data frame has the names of the attributes as index and columns, in any
        order. None has no edges.
    names : sequence of m str
        Names of the attributes.

    Raises
    ------
    ValueError
        If it has another shape or other names, entries other than zero and one, or a
        cycle.
    """
    m = len(names)
    if graph is None:
        return np.zeros((m, m), dtype=np.int64)
    entries = _entries(graph, list(names))
    if entries.shape != (m, m):
        raise ValueError(
            f"graph has shape {entries.shape}, expected ({m}, {m}): a row and a column "
            f"for each of the attributes {list(names)} of y."
        )
    if entries.dtype.kind not in "biuf" or not np.isin(entries, (0, 1)).all():
        raise ValueError(
            "graph must hold one where the attribute of the row is a cause of that of "
            "the column, and zero elsewhere; got other entries."
        )
    found = entries.astype(np.int64)
    try:
        causal_order(found)
    except CycleError as error:
        cycle = " -> ".join(str(names[j]) for j in error.args[1])
        raise ValueError(
            f"graph has the cycle {cycle}, but no attribute may be a cause of itself, "
            "directly or through others. Remove one of these edges."
        ) from None
    return found


def _entries(graph: Any, names: list[str]) -> np.ndarray:
    """Return the entries of a graph, those of a data frame in the order of names."""
    if not hasattr(graph, "columns"):
        try:
            return np.asarray(graph)
        except ValueError as error:
            raise ValueError(
                f"graph cannot be read as an array: {error} Expected rows of the same "
                "length, a row and a column for each attribute of y."
            ) from error
    rows = [str(name) for name in getattr(graph, "index", graph.columns)]
    columns = [str(name) for name in graph.columns]
    if sorted(rows) != sorted(names) or sorted(columns) != sorted(names):
        raise ValueError(
            f"graph has the index {rows} and the columns {columns}; expected the names "
            f"of the attributes of y in both, {names}. Pass y as a data frame with "
            "named columns, or graph as an array in the order of the columns of y."
        )
    order = [rows.index(name) for name in names], [columns.index(n) for n in names]
    return np.asarray(graph)[np.ix_(*order)]


def causal_order(graph: np.ndarray) -> list[int]:
    """Return the attributes in an order in which causes precede effects.

    Raises
    ------
    CycleError
        If there is none; its second argument lists a cycle.
    """
    causes = {j: np.flatnonzero(graph[:, j]).tolist() for j in range(len(graph))}
    return list(TopologicalSorter(causes).static_order())


def effects_of(graph: np.ndarray, attributes: Iterable[int]) -> list[int]:
    """Return what depends on given attributes, without these, in causal order."""
    changed = set(attributes)
    given = frozenset(changed)
    for j in causal_order(graph):
        if changed.intersection(np.flatnonzero(graph[:, j])):
            changed.add(j)
    return [j for j in causal_order(graph) if j in changed - given]


# ---------------------------------------------------------------------- estimation
def learn_graph(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    r"""Estimate a graph of attributes from samples, by comparing all graphs.

    Each attribute is a quadratic function of its causes plus independent noise of any
    distribution. The graph minimises

    .. math:: \sum_j n\, H(u_j - f_j(u_{\mathrm{pa}(j)})) + \tfrac{1}{2} k_j \log n

    with H the entropy of the residual (Hyvarinen's approximation), in nats, and k the
    number of terms of f: the Bayesian information criterion of an additive noise model,
    in which samples determine the directions of edges unless all functions are linear
    and all noise is normal. The minimum is exact, by dynamic programming over sets of
    attributes.

    Parameters
    ----------
    values : ndarray of shape (n, m)
        Labels, without missing ones; m is at most :data:`MAX_LEARNED`.
    weight : ndarray of shape (n,)
        Weights of the samples.

    Returns
    -------
    graph : ndarray of shape (m, m), int
        Without a cycle.

    References
    ----------
    Hoyer, P. et al. (2008), "Nonlinear causal discovery with additive noise models",
    NeurIPS, for the model; Silander, T. & Myllymaki, P. (2006), "A simple approach for
    finding the globally optimal Bayesian network structure", UAI, for the search;
    Hyvarinen, A. (1998), "New approximations of differential entropy", NeurIPS.
    """
    m = values.shape[1]
    share = weight / weight.sum()
    centred = values - share @ values
    scaled = centred / np.sqrt(share @ centred**2)
    costs = _local_costs(scaled, share, float(weight.sum()))
    causes = _best_causes(costs, m)
    graph = np.zeros((m, m), dtype=np.int64)
    for j, chosen in causes.items():
        graph[list(chosen), j] = 1
    return graph


Causes = frozenset[int]
Costs = dict[tuple[int, Causes], float]


def _local_costs(scaled: np.ndarray, share: np.ndarray, n: float) -> Costs:
    """Return the cost of each attribute given each set of causes, nats."""
    m = scaled.shape[1]
    sets = [frozenset(s) for s in _subsets(range(m))]
    terms = [*((i,) for i in range(m)), *combinations_with_replacement(range(m), 2)]
    features = np.column_stack([scaled[:, list(t)].prod(axis=1) for t in terms])
    features -= share @ features
    gram = (features * share[:, None]).T @ features
    costs = {}
    for causes in sets:
        chosen = [k for k, term in enumerate(terms) if causes.issuperset(term)]
        for j in set(range(m)) - causes:
            residual = scaled[:, j]
            if chosen:
                block = gram[np.ix_(chosen, chosen)]
                slope = np.linalg.lstsq(block, gram[chosen, j], rcond=1e-8)[0]
                residual = residual - features[:, chosen] @ slope
            entropy = residual_entropy(residual, share)
            costs[j, causes] = n * entropy + 0.5 * len(chosen) * np.log(n)
    return costs


def residual_entropy(residual: np.ndarray, share: np.ndarray) -> float:
    """Return the approximate entropy of a centred residual, nats.

    Parameters
    ----------
    residual : ndarray of shape (n,)
    share : ndarray of shape (n,)
        Weights of the samples, which sum to one.
    """
    variance = share @ residual**2 + MIN_VARIANCE
    u = residual / np.sqrt(variance)
    peaked = share @ np.log(np.cosh(u)) - NORMAL_LOG_COSH
    skewed = share @ (u * np.exp(-(u**2) / 2))
    normal = 0.5 * (1 + np.log(2 * np.pi * variance))
    return float(normal - 79.047 * peaked**2 - 7.4129 * skewed**2)


def _best_causes(costs: Costs, m: int) -> dict[int, Causes]:
    """Return the causes of each attribute in the graph of the least cost."""
    best: dict[tuple[int, Causes], Causes] = {}  # of an attribute within a set
    total: dict[Causes, float] = {frozenset(): 0.0}  # of the best graph of a set
    last: dict[Causes, int] = {}  # an attribute without effects in that graph
    for members in _subsets(range(m)):
        own = frozenset(members)
        for j in set(range(m)) - own:
            smaller = [best[j, own - {i}] for i in sorted(own)]
            best[j, own] = min([own, *smaller], key=lambda s: costs[j, s])
        for j in sorted(own):
            rest = own - {j}
            cost = total[rest] + costs[j, best[j, rest]]
            if own not in total or cost < total[own]:
                total[own], last[own] = cost, j
    found, left = {}, frozenset(range(m))
    while left:
        j = last[left]
        left = left - {j}
        found[j] = best[j, left]
    return found


def _subsets(members: Iterable[int]) -> list[tuple[int, ...]]:
    """Return all subsets, smaller ones first."""
    found: list[tuple[int, ...]] = [()]
    for j in members:
        found += [(*subset, j) for subset in found]
    return sorted(found, key=len)

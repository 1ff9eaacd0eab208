"""Learning curves of a predictor on codes, principal components and columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._inputs import CONTINUOUS, check_sample_groups
from ._tasks import (
    COLUMNS,
    PRINCIPAL,
    Target,
    check_count,
    check_scoring,
    check_share,
    fit_and_score,
    predictor_for,
    principal_components,
    read_representations,
    read_target,
    split_groups,
)

SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class SampleEfficiency(Bunch):
    """Result of :func:`sample_efficiency`, which prints as a table."""

    def __str__(self):
        return "\n".join(_lines(self))

    def __repr__(self):
        return str(self)


def sample_efficiency(
    codes,
    y,
    *,
    X=None,
    sizes=None,
    estimator="auto",
    target_type="auto",
    scoring=None,
    n_repeats=10,
    test_size=1 / 3,
    sample_groups=None,
    random_state=0,
):
    r"""Compute learning curves of a target on codes and on what they are made of.

    A predictor is fitted to some labelled samples of each representation, and scored on
    held-out ones. All representations have the same splits and the same training
    samples, and larger training sets contain the smaller ones. Statistical efficiency
    is the ratio of two points of a curve,

    .. math:: \mathrm{efficiency} = \frac{\mathrm{score}(n_\mathrm{smallest})}
              {\mathrm{score}(n_\mathrm{largest})}

    A ratio near 1 is no merit by itself: a representation that holds nothing of the
    target has the same score, that of chance, at all sizes. Compare the scores.

    The codes must come from a model that was not given `y`. It may have been fitted to
    all samples, the test samples included, without their labels; the principal
    components are fitted without the test samples.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_codes), or dict of str to array-like
        Codes, or several representations of the same samples by name.
    y : array-like of shape (n_samples,)
        The target; NaN where it is not known.
    X : array-like of shape (n_samples, n_features), default=None
        The columns that the codes are made of. If given, two representations are
        added: ``"columns"``, and ``"principal components"`` of the standardised
        columns, as many as the first representation has.
    sizes : sequence of int, default=None
        Numbers of training samples. None takes 10, 20, 50, 100, ... up to all.
    estimator : "auto" or predictor, default="auto"
        Fitted anew at each size. "auto" standardises, and takes logistic regression or
        ridge regression, whose penalty is chosen by leave-one-out.
    target_type : {"auto", "discrete", "continuous"}, default="auto"
        Whether y is classified or regressed.
    scoring : callable, default=None
        Function of (y_true, y_pred), larger is better. None takes the accuracy, or the
        share of the variance of y that is explained.
    n_repeats : int, default=10
        Number of random splits.
    test_size : float, default=1/3
        Share of the samples that is held out, in (0, 1).
    sample_groups : array-like of shape (n_samples,), default=None
        Samples of one group, such as a subject, are held out together.
    random_state : int, RandomState instance or None, default=0
        Seed of the splits.

    Returns
    -------
    result : SampleEfficiency
        A Bunch that prints as a table. ``sizes`` : ndarray of shape (n_sizes,).
        ``scores`` : dict of ndarray of shape (n_sizes, n_repeats) by representation.
        ``null`` : the same for the first representation with the labels of the
        training samples permuted. ``efficiency`` : dict of float. ``metric`` : str.

    Raises
    ------
    TypeError
        If the estimator is no predictor.
    ValueError
        If numbers of samples disagree, y does not vary, or a parameter is out of range.

    See Also
    --------
    skfactorvae.inspection.SampleEfficiencyDisplay : Plot of the curves.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations", Section 5.5.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.evaluation import sample_efficiency
    >>> rng = np.random.default_rng(0)
    >>> factor = rng.normal(size=300)
    >>> X = factor[:, None] + 3 * rng.normal(size=(300, 50))
    >>> result = sample_efficiency(factor[:, None], factor, X=X, sizes=[10, 200])
    >>> bool(result.scores["codes"].mean() > result.scores["columns"].mean())
    True
    """
    target = read_target(y, target_type)
    tables = _tables(codes, X, len(y))
    check_count("n_repeats", n_repeats, 1)
    check_share("test_size", test_size)
    check_scoring(scoring)
    predictor, rng = predictor_for(target, estimator), check_random_state(random_state)
    groups = _groups_of(sample_groups, target, len(y))
    splits = [
        split_groups(groups, len(target.rows), test_size, rng) for _ in range(n_repeats)
    ]
    sizes = _check_sizes(sizes, target, min(len(pool) for pool, _ in splits))
    scores: dict[str, list] = {name: [] for name in tables}
    null = []
    for pool, test in splits:
        order = _in_order(pool, target, rng)
        shuffled = target.values[order][rng.permutation(len(order))]
        made = _with_principal(tables, target.rows[test])
        for name, table in made.items():
            curve = [
                fit_and_score(predictor, table, target, order[:n], [test], scoring)[0]
                for n in sizes
            ]
            scores[name].append(curve)
        first = next(iter(made.values()))
        null.append(
            [
                fit_and_score(
                    predictor, first, target, order[:n], [test], scoring, shuffled[:n]
                )[0]
                for n in sizes
            ]
        )
    arrays = {name: np.array(curves).T for name, curves in scores.items()}
    return SampleEfficiency(
        sizes=np.array(sizes),
        scores=arrays,
        null=np.array(null).T,
        efficiency={name: _efficiency(curves) for name, curves in arrays.items()},
        metric=target.metric if scoring is None else _name_of(scoring),
        target_type=target.kind,
        n_test=len(splits[0][1]),
    )


def _tables(codes: Any, X: Any, n_samples: int) -> dict[str, Any]:
    """Return the representations, those of X among them."""
    tables = read_representations(codes, n_samples)
    if X is None:
        return tables
    taken = {COLUMNS, PRINCIPAL} & set(tables)
    if taken:
        raise ValueError(
            f"X adds {COLUMNS!r} and {PRINCIPAL!r}, but codes also has "
            f"{sorted(taken)}. Rename it, or leave X out."
        )
    (X,) = read_representations({"X": X}, n_samples).values()
    return {**tables, PRINCIPAL: None, COLUMNS: X}


def _with_principal(tables: dict[str, Any], test: np.ndarray) -> dict[str, Any]:
    """Return the tables with principal components that are fitted without the test."""
    if tables.get(PRINCIPAL, "absent") is not None:
        return tables
    X, first = tables[COLUMNS], next(iter(tables.values()))
    rows = np.setdiff1d(np.arange(X.shape[0]), test)
    return {**tables, PRINCIPAL: principal_components(X, rows, first.shape[1])}


def _groups_of(groups: Any, target: Target, n_samples: int) -> np.ndarray | None:
    """Return the group of each sample with a target, numbered from 0; or None."""
    if groups is None:
        return None
    labels = np.asarray(check_sample_groups(groups, np.ones(n_samples)))[target.rows]
    index = np.unique(labels, return_inverse=True)[1].reshape(-1)
    if index.max() == 0:
        raise ValueError("sample_groups must hold at least two groups; got one.")
    return index


def _check_sizes(sizes: Any, target: Target, n_pool: int) -> list[int]:
    """Return numbers of training samples, ascending, at most those there are."""
    if sizes is None:
        least = 10 if target.kind == CONTINUOUS else 2 * (int(target.values.max()) + 1)
        return [n for n in SIZES if least <= n < n_pool] + [n_pool]
    given = list(np.atleast_1d(sizes))
    if not given:
        raise ValueError("sizes must hold at least one number of samples; got none.")
    for n in given:
        check_count("each of sizes", n, 2)
    if max(given) > n_pool:
        raise ValueError(
            f"sizes must be at most {n_pool}, the training samples of a split; got "
            f"{max(given)}. Lower it, or test_size."
        )
    return sorted({int(n) for n in given})


def _in_order(
    pool: np.ndarray, target: Target, rng: np.random.RandomState
) -> np.ndarray:
    """Return training samples in an order whose beginnings have all levels in share."""
    if target.kind == CONTINUOUS:
        return pool
    labels = target.values[pool]
    place = np.empty(len(pool))
    for level in np.unique(labels):
        members = np.flatnonzero(labels == level)
        n = len(members)
        place[members] = (np.arange(n) + rng.uniform(size=n)) / n
    return pool[np.argsort(place, kind="stable")]


def _efficiency(curves: np.ndarray) -> float:
    """Return the score at the smallest size relative to that at the largest."""
    smallest, largest = curves.mean(axis=1)[[0, -1]]
    return float(smallest / largest) if largest > 0 else float("nan")


def _name_of(scoring: Any) -> str:
    return getattr(scoring, "__name__", type(scoring).__name__).replace("_", " ")


def _lines(result):
    names = list(result.scores)
    width = max(17, *(len(name) + 2 for name in names))
    heads = "".join(f"{name:>{width}}" for name in [*names, "null"])
    n_repeats = result.null.shape[1]
    yield f"{result.metric} of {result.n_test} held-out samples, {n_repeats} splits"
    yield f"{'labels':>8}{heads}"
    for i, size in enumerate(result.sizes):
        cells = [result.scores[name][i] for name in names] + [result.null[i]]
        texts = [f"{cell.mean():.3f} ± {cell.std():.3f}" for cell in cells]
        yield f"{size:>8}" + "".join(f"{text:>{width}}" for text in texts)
    first, *others = names
    for other in others:
        higher = result.scores[first] > result.scores[other]
        counts = ", ".join(map(str, higher.sum(axis=1)))
        yield f"splits in which {first} has more than {other}: {counts}"

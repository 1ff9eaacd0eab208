"""Prediction outside of the range of a factor on which a predictor was trained."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._inputs import DISCRETE
from ._sample_efficiency import _name_of
from ._tasks import (
    Target,
    check_count,
    check_scoring,
    check_share,
    fit_and_score,
    predictor_for,
    read_representations,
    read_target,
    split_groups,
)

MAX_LEVELS = 20
"""Levels of a discrete factor up to which each is left out in turn."""

INSIDE, OUTSIDE, MIXED = "inside", "outside", "mixed"


class Range(NamedTuple):
    """Training range of a factor: its name, and which samples are inside."""

    name: str
    inside: np.ndarray  # (n,) bool


class ShiftReport(Bunch):
    """Result of :func:`shift_report`, which prints as a table."""

    def __str__(self):
        return "\n".join(_lines(self))

    def __repr__(self):
        return str(self)


def shift_report(
    estimator,
    X,
    y,
    factor,
    *,
    quantile=0.5,
    target_type="auto",
    factor_type="auto",
    scoring=None,
    n_repeats=10,
    test_size=1 / 3,
    random_state=0,
):
    """Report how a predictor that was trained on one range of a factor does outside.

    For each range three scores of held-out samples are computed. ``inside``: trained
    and tested inside. ``outside``: trained inside, tested outside. ``mixed``: trained
    on as many samples of the whole range, and tested on the same samples outside. The
    cost of the shift is the difference of the last two; the first differs from them
    also because one part of the range may be easier than another.

    Parameters
    ----------
    estimator : "auto" or predictor
        Fitted anew to the training samples of each range and split: a pipeline of a
        transformer and a predictor is as a whole. "auto" is that of
        :func:`sample_efficiency`, for codes that were computed before.
    X : array-like of shape (n_samples, n_features), or dict of str to array-like
        Columns, codes, or several representations of the same samples by name.
    y : array-like of shape (n_samples,)
        The target; NaN where it is not known.
    factor : array-like of shape (n_samples,)
        The factor that shifts. Samples without a value are left out.
    quantile : float, default=0.5
        A continuous factor is divided at this quantile, in (0, 1): below is one range,
        above the other. Of a discrete one, the range without each level is taken.
    target_type : {"auto", "discrete", "continuous"}, default="auto"
        Whether y is classified or regressed.
    factor_type : {"auto", "discrete", "continuous"}, default="auto"
        Whether the factor has levels or a range. One of more than 20 levels is
        divided at the quantile.
    scoring : callable, default=None
        Function of (y_true, y_pred), larger is better. None takes the accuracy, or
        the share of the variance of y, over all samples, that is explained.
    n_repeats : int, default=10
        Number of random splits.
    test_size : float, default=1/3
        Share of the samples that is held out, in (0, 1).
    random_state : int, RandomState instance or None, default=0
        Seed of the splits.

    Returns
    -------
    report : ShiftReport
        A Bunch that prints as a table. ``scores`` : dict by representation of dict by
        ``"inside"``, ``"outside"`` and ``"mixed"`` of ndarray of shape (n_ranges,
        n_repeats); NaN where a split has no samples there. ``cost`` : dict by
        representation of ndarray of shape (n_ranges,), the mean of mixed minus
        outside. ``ranges`` : list of str. ``metric`` : str.

    Raises
    ------
    TypeError
        If the estimator is no predictor.
    ValueError
        If numbers of samples disagree, y or the factor does not vary, or a parameter
        is out of range.

    See Also
    --------
    skfactorvae.inspection.ShiftDisplay : Plot of the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.evaluation import shift_report
    >>> rng = np.random.default_rng(0)
    >>> factor, y = rng.uniform(size=(2, 400))
    >>> both = np.column_stack([y + factor, factor])
    >>> report = shift_report("auto", {"both": both, "sum": both[:, :1]}, y, factor)
    >>> bool(report.cost["sum"].mean() > 0.2 > report.cost["both"].mean())
    True
    """
    target = read_target(y, target_type)
    moving = read_target(factor, factor_type, "factor")
    tables = read_representations(X, len(y))
    if len(factor) != len(y):
        raise ValueError(f"factor has {len(factor)} entries and y has {len(y)}.")
    check_count("n_repeats", n_repeats, 1)
    check_share("test_size", test_size)
    check_share("quantile", quantile)
    check_scoring(scoring)
    target, levels = _both_known(target, moving)
    ranges = _ranges(levels, moving.kind, quantile)
    predictor, rng = predictor_for(target, estimator), check_random_state(random_state)
    splits = [
        split_groups(None, len(target.rows), test_size, rng) for _ in range(n_repeats)
    ]
    scores = {
        name: _scores(predictor, table, target, ranges, splits, scoring)
        for name, table in tables.items()
    }
    cost = {
        name: (found[MIXED] - found[OUTSIDE]).mean(axis=1)
        for name, found in scores.items()
    }
    return ShiftReport(
        scores=scores,
        cost=cost,
        ranges=[one.name for one in ranges],
        metric=target.metric if scoring is None else _name_of(scoring),
    )


def _both_known(target: Target, moving: Target) -> tuple[Target, np.ndarray]:
    """Return the target and the factor of the samples for which both are known."""
    rows, of_target, of_factor = np.intersect1d(
        target.rows, moving.rows, return_indices=True
    )
    if len(rows) < 4:
        raise ValueError(
            f"y and factor are both known for {len(rows)} samples; expected more."
        )
    known = Target(rows, target.values[of_target], target.kind)
    return known, moving.values[of_factor]


def _ranges(levels: np.ndarray, kind: str, quantile: float) -> list[Range]:
    """Return the training ranges of a factor."""
    distinct = np.unique(levels)
    if kind == DISCRETE and len(distinct) <= MAX_LEVELS:
        return [Range(f"not level {int(v)}", levels != v) for v in distinct]
    bound = np.quantile(levels, quantile)
    below = levels <= bound
    if below.all():
        raise ValueError(
            f"No value of the factor is above its quantile {quantile}, {bound:.4g}. "
            "Lower the quantile."
        )
    return [Range(f"<= {bound:.3g}", below), Range(f"> {bound:.3g}", ~below)]


def _scores(
    predictor: Any,
    table: Any,
    target: Target,
    ranges: list[Range],
    splits: list[tuple[np.ndarray, np.ndarray]],
    scoring: Any,
) -> dict[str, np.ndarray]:
    """Return the three scores of a representation, each (n_ranges, n_repeats)."""
    shape = (len(ranges), len(splits))
    found = {name: np.full(shape, np.nan) for name in (INSIDE, OUTSIDE, MIXED)}
    for i, one in enumerate(ranges):
        for r, (pool, test) in enumerate(splits):
            train, mixed = pool[one.inside[pool]], pool[: int(one.inside[pool].sum())]
            if len(train) < 2:
                continue
            tests = test[one.inside[test]], test[~one.inside[test]]
            found[INSIDE][i, r], found[OUTSIDE][i, r] = fit_and_score(
                predictor, table, target, train, tests, scoring
            )
            (found[MIXED][i, r],) = fit_and_score(
                predictor, table, target, mixed, tests[1:], scoring
            )
    return found


def _lines(report):
    width = max(12, *(len(name) + 2 for name in report.scores))
    yield f"{report.metric}, trained on a range of the factor"
    heads = "".join(f"{key:>9}" for key in (INSIDE, OUTSIDE, MIXED, "cost"))
    yield f"{'range':<16}{'':<{width}}{heads}"
    for i, label in enumerate(report.ranges):
        for name, found in report.scores.items():
            values = [found[key][i].mean() for key in (INSIDE, OUTSIDE, MIXED)]
            cells = "".join(f"{v:>9.3f}" for v in [*values, report.cost[name][i]])
            yield f"{label:<16}{name:<{width}}{cells}"

"""Prediction of a target from several representations of the same samples.

Axes: ``n`` samples, ``r`` splits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .._inputs import CONTINUOUS, DISCRETE, columns, level_index, read_column

TARGET_TYPES = ("auto", DISCRETE, CONTINUOUS)

COLUMNS, PRINCIPAL = "columns", "principal components"
"""Names of the representations that are made of X."""


@dataclass(frozen=True)
class Target:
    """What is predicted, for the samples for which it is known.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        Positions of these samples among all.
    values : ndarray of shape (n,)
        Indices of levels, or numbers.
    kind : str
        "discrete" or "continuous".
    """

    rows: np.ndarray
    values: np.ndarray
    kind: str

    @property
    def metric(self) -> str:
        """Name of the score: accuracy, or the explained share of the variance."""
        return "accuracy" if self.kind == DISCRETE else "explained variance"

    def score(self, predicted: np.ndarray, rows: np.ndarray, scoring: Any) -> float:
        r"""Return the score of predictions for some of the samples.

        The explained variance is :math:`1 - \mathrm{MSE} / \operatorname{var}(y)` with
        the variance over all samples, so that parts of the range can be compared.
        """
        true = self.values[rows]
        if scoring is not None:
            return float(scoring(true, predicted))
        if self.kind == DISCRETE:
            return float(np.mean(true == predicted))
        return float(1 - np.mean((true - predicted) ** 2) / self.values.var())


def read_target(y: Any, target_type: str, name: str = "y") -> Target:
    """Return a target, without the samples for which it is missing."""
    check_option("target_type", target_type, TARGET_TYPES)
    found, _ = columns(y, name)
    if len(found) != 1:
        raise ValueError(
            f"{name} must be one column, got {len(found)}. Call once for each target."
        )
    column = read_column(found[0], name)
    kind = column.kind() if target_type == "auto" else target_type
    rows = np.flatnonzero(~np.isnan(column.values))
    values = column.values[rows]
    if len(rows) == 0 or values.min() == values.max():
        raise ValueError(
            f"{name} must have at least two different values; got "
            f"{np.unique(values).tolist()} in {len(rows)} samples."
        )
    if kind == DISCRETE:
        values = level_index(values)[0]
    return Target(rows, values, kind)


def read_representations(codes: Any, n_samples: int) -> dict[str, Any]:
    """Return tables by name, each with a row for each sample; ``{"codes": ...}``."""
    tables = dict(codes) if isinstance(codes, Mapping) else {"codes": codes}
    if not tables:
        raise ValueError("codes must hold at least one table; got an empty dict.")
    for name, table in tables.items():
        length = table.shape[0] if hasattr(table, "shape") else len(table)
        if length != n_samples:
            raise ValueError(
                f"{name!r} has {length} rows and y has {n_samples}; both need one for "
                "each sample."
            )
        if not (hasattr(table, "iloc") or hasattr(table, "tocsr")):
            tables[name] = np.asarray(table)
    return tables


def take(table: Any, rows: np.ndarray) -> Any:
    """Return rows of an array, a sparse matrix or a data frame."""
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]


def principal_components(X: Any, rows: np.ndarray, n_components: int) -> np.ndarray:
    """Return the principal components of standardised columns, fitted to some rows."""
    fitted_to = take(X, rows)
    width = min(n_components, *fitted_to.shape)
    steps = make_pipeline(StandardScaler(), PCA(width, random_state=0))
    return steps.fit(fitted_to).transform(X)


def predictor_for(target: Target, estimator: Any) -> Any:
    """Return an unfitted predictor: the given one, or a linear one with a penalty."""
    if not (isinstance(estimator, str) and estimator == "auto"):
        if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise TypeError(
                "estimator must be 'auto' or have fit and predict; got "
                f"{type(estimator).__name__}."
            )
        return clone(estimator)
    if target.kind == DISCRETE:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))


def fit_and_score(
    predictor: Any,
    table: Any,
    target: Target,
    train: np.ndarray,
    tests: Sequence[np.ndarray],
    scoring: Callable | None,
    labels: np.ndarray | None = None,
) -> list[float]:
    """Return the scores of a predictor on several sets of samples.

    Parameters
    ----------
    predictor : estimator
        It is cloned. A constant is predicted where the training samples have one level.
    table : array-like of shape (n_all, p)
        A representation of all samples, those without a target included.
    target : Target
    train : ndarray of int
        Training samples, as positions among those with a target.
    tests : sequence of ndarray of int
        Test samples; the score of an empty set is NaN.
    scoring : callable or None
        Of (true, predicted); None takes the target's own.
    labels : ndarray of shape (len(train),), default=None
        Labels to learn in place of the target's.
    """
    labels = target.values[train] if labels is None else labels
    is_constant = target.kind == DISCRETE and labels.min() == labels.max()
    model = DummyClassifier(strategy="prior") if is_constant else clone(predictor)
    model.fit(take(table, target.rows[train]), labels)
    return [
        target.score(model.predict(take(table, target.rows[rows])), rows, scoring)
        if len(rows)
        else float("nan")
        for rows in tests
    ]


def split_groups(
    groups: np.ndarray | None, n: int, test_size: float, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test samples in random order, those of a group together.

    Whole groups are added to the test samples until they are at least `test_size` of
    all.
    """
    groups = np.arange(n) if groups is None else groups
    n_groups = int(groups.max()) + 1
    order = rng.permutation(n_groups)
    sizes = np.bincount(groups, minlength=n_groups)[order]
    n_test = int(np.searchsorted(np.cumsum(sizes), test_size * n)) + 1
    is_test = np.isin(groups, order[: min(n_test, n_groups - 1)])
    shuffled = rng.permutation(n)
    return shuffled[~is_test[shuffled]], shuffled[is_test[shuffled]]


def check_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raise ValueError unless a value is one of some strings."""
    if not (isinstance(value, str) and value in options):
        expected = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {expected}; got {value!r}.")


def check_count(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless a value is an integer of at least `least`."""
    is_count = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_count or int(value) < least:
        raise ValueError(f"{name} must be an integer >= {least}; got {value!r}.")


def check_share(name: str, value: Any) -> None:
    """Raise ValueError unless a value is a number between 0 and 1, both excluded."""
    if not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(
            f"{name} must be a number between 0 and 1, both excluded; got {value!r}."
        )


def check_scoring(scoring: Any) -> None:
    """Raise TypeError unless scoring is None or a function."""
    if scoring is not None and not callable(scoring):
        raise TypeError(
            "scoring must be None or a function of (y_true, y_pred), such as "
            f"sklearn.metrics.balanced_accuracy_score; got {scoring!r}."
        )

"""What an ensemble, a scorer and a report ask of any fitted transformer."""

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from .._batching import batched_fits
from .._validation import MAX_SEED

MAX_ROWS = 10_000
"""Rows on which codes are compared, at most."""


def fit_all(estimators, X, y=None, params=None, n_jobs=None):
    """Fit every estimator to the same rows, ours together; return them in order."""
    fits = (delayed(_fitted)(each, X, y, params or {}) for each in estimators)
    with batched_fits():
        return Parallel(n_jobs=n_jobs)(fits)


def split_rows(X, y, **options):
    """Split rows as ``train_test_split`` does: some, the others, and y of the some."""
    if y is None:
        return *train_test_split(X, **options), None
    train, test, y_train, _ = train_test_split(X, y, **options)
    return train, test, y_train


def reseeded(estimator, random_state, n_seeds):
    """Return clones that differ in every ``random_state`` they hold.

    Raises
    ------
    ValueError
        If the estimator has none: clones would all be the same.
    """
    names = sorted(
        name
        for name in estimator.get_params(deep=True)
        if name.split("__")[-1] == "random_state"
    )
    if not names:
        raise ValueError(
            f"{type(estimator).__name__} has no random_state, neither of its own nor "
            "in a step, so fits of it would all be the same. Give an estimator that "
            "has one."
        )
    rng = check_random_state(random_state)
    return [
        clone(estimator).set_params(**{name: rng.randint(MAX_SEED) for name in names})
        for _ in range(n_seeds)
    ]


def last_step(estimator):
    """Return the last step of a pipeline, however nested, or the estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def at_the_door(estimator, X):
    """Return X as the last step of a pipeline sees it."""
    while isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator.steps[-1][1]
    return X


def codes_of(estimator, X):
    """Return the codes of X as a float array of shape (n_samples, n_codes)."""
    codes = estimator.transform(X)
    codes = codes.toarray() if hasattr(codes, "toarray") else codes
    return np.asarray(codes, dtype=np.float64)


def active_mask(estimator, codes):
    """Return which codes carry anything, of shape (n_codes,).

    Those that the estimator calls active, where it does; else all that vary.
    """
    varies = codes.max(axis=0) > codes.min(axis=0)
    listed = getattr(last_step(estimator), "active_components_", None)
    return (
        varies if listed is None else varies & np.isin(np.arange(len(varies)), listed)
    )


def active_codes(estimator, X):
    """Return codes in which those that carry nothing are zero."""
    codes = codes_of(estimator, X)
    return np.where(active_mask(estimator, codes), codes, 0.0)


def some_rows(X):
    """Return at most 10,000 rows, evenly spaced."""
    X = X if hasattr(X, "shape") else np.asarray(X)
    if X.shape[0] <= MAX_ROWS:
        return X
    index = np.linspace(0, X.shape[0] - 1, MAX_ROWS).astype(int)
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def _fitted(estimator, X, y, params):
    return estimator.fit(X, y, **params)

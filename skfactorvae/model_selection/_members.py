"""Fit an estimator from several seeds, and compute the codes of fitted estimators."""

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._batching import batched_fits
from .._pipelines import (
    active_columns,
    category_columns,
    find_model,
    number_names,
    numbers_of,
)
from .._validation import MAX_SEED

MAX_SAMPLES = 10_000
"""Largest number of samples on which codes are compared."""


# ------------------------------------------------------------------------ fitting
def fit_all(estimators, X, y=None, params=None, n_jobs=None):
    """Fit every estimator to the same samples, and return them in order.

    Estimators of this package are trained together (see :func:`batched_fits`).
    """
    fits = (delayed(_fit)(each, X, y, params or {}) for each in estimators)
    with batched_fits():
        return Parallel(n_jobs=n_jobs)(fits)


def _fit(estimator, X, y, params):
    return estimator.fit(X, y, **params)


def split_samples(X, y, **options):
    """Return X_train, X_test and y_train of :func:`train_test_split`; y may be None."""
    if y is None:
        return *train_test_split(X, **options), None
    train, test, y_train, _ = train_test_split(X, y, **options)
    return train, test, y_train


def clones_with_seeds(estimator, random_state, n_seeds):
    """Return `n_seeds` clones with different values of every ``random_state``.

    Raises
    ------
    ValueError
        If the estimator has no ``random_state``: all clones would be equal.
    """
    names = sorted(
        name
        for name in estimator.get_params(deep=True)
        if name.split("__")[-1] == "random_state"
    )
    if not names:
        raise ValueError(
            f"{type(estimator).__name__} has no parameter random_state, nor has a step "
            "of it, so all fits would be equal. Give an estimator that has one."
        )
    rng = check_random_state(random_state)
    return [
        clone(estimator).set_params(**{name: rng.randint(MAX_SEED) for name in names})
        for _ in range(n_seeds)
    ]


# -------------------------------------------------------------- models and their codes
def find_latent_model(estimator):
    """Find the model of a pipeline: the last step with a posterior.

    Without one, the last transformer.

    Returns
    -------
    found : FoundModel

    Raises
    ------
    TypeError
        If the estimator contains no transformer.
    """
    found = find_model(estimator, ("posterior", "transform"))
    if found is None:
        raise TypeError(
            f"{type(estimator).__name__} has no codes: expected a transformer, such as "
            "FactorVAETransformer or PCA, or a Pipeline that contains one."
        )
    return found


def find_ensemble(estimator):
    """Find the :class:`SeedEnsemble` in an estimator.

    Returns
    -------
    found : FoundModel or None
        None if there is no ensemble.

    Raises
    ------
    NotFittedError
        If the ensemble is not fitted.
    """
    found = find_model(estimator, ("transform_all",))
    if found is not None:
        check_is_fitted(found.model)
    return found


def codes_of(estimator, X):
    """Return the output of the last transformer, float64 (n_samples, n_codes).

    In a pipeline that ends with a classifier, these are the features of the classifier.
    Of a model with ``keep="active"``, these are the codes of all components.
    """
    find_latent_model(estimator)
    found = find_model(estimator)
    if keeps_active(found.model) and not found.after:  # of all, so that indices agree
        codes, _ = found.model.posterior(found.transform_before(X))
        return np.asarray(codes, dtype=np.float64)
    return np.asarray(found.codes(X), dtype=np.float64)


def keeps_active(model):
    """Return whether ``transform`` of a model returns its active components only."""
    return getattr(model, "keep", None) == "active"


def active_mask(estimator, codes):
    """Return which components are active, bool of shape (n_codes,).

    A component is active if it varies and, where the model has
    ``active_components_``, is listed there or belongs to a category. That list is
    ignored if later steps of the pipeline mix the components.
    """
    varies = codes.max(axis=0) > codes.min(axis=0)
    found = find_latent_model(estimator)
    listed = active_columns(found.model)
    if listed is None or not found.keeps_columns():
        return varies
    return varies & np.isin(np.arange(len(varies)), listed)


def codes_with(estimator, X, known):
    """Return the codes of samples, given what is known of these, as an array.

    Parameters
    ----------
    estimator : estimator
    X : array-like of shape (n_samples, n_features)
    known : dict
        Further arguments of ``transform``: ``error_scale``, or nothing.
    """
    if not known:
        return codes_of(estimator, X)
    if keeps_active(estimator):  # of all, so that indices agree
        return np.asarray(estimator.posterior(X, **known)[0], dtype=np.float64)
    return np.asarray(estimator.transform(X, **known))


def active_codes(estimator, X, known=()):
    """Return the codes with inactive components set to zero, (n_samples, n_codes)."""
    codes = codes_with(estimator, X, dict(known))
    return np.where(active_mask(estimator, codes), codes, 0.0)


def merge_categories(estimator, codes):
    """Return codes with one column for each category: its most probable level.

    The probabilities of a category's levels depend on each other by definition, so that
    dependence between components is that of these columns. Levels are numbered in the
    order of their columns. Measures by ranks, such as the Gaussian copula, depend on
    it; a classifier does not. Categories are not known if later steps of the pipeline
    mix the columns.
    """
    found = find_latent_model(estimator)
    groups = category_columns(found.model) if found.keeps_columns() else []
    levels = [codes[:, group].argmax(axis=1) for group in groups]
    others = np.setdiff1d(np.arange(codes.shape[1]), np.concatenate([[], *groups]))
    return np.column_stack([codes[:, others.astype(int)], *levels])


def finite_samples(estimator, X):
    """Return X, or its imputed values, as float64 of shape (n_samples, n_features).

    X itself is returned if all its values are finite numbers. Otherwise, X after the
    fewest steps of the pipeline that make all values finite, such as an imputer.
    """
    found = find_latent_model(estimator)
    if number_names(found.model) is not None:
        return numbers_of(found.model, found.transform_before(X))
    finite = _as_finite(X)
    before = () if finite is not None else found.before
    for _, step in before:
        X = step.transform(X)
        finite = _as_finite(X)
        if finite is not None:
            break
    return X if finite is None else finite


def _as_finite(X):
    """Return X as a dense float64 array, or None if not all values are finite."""
    try:
        return check_array(X, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def subsample(X):
    """Return at most 10,000 samples, drawn by a fixed seed, in their order.

    Evenly spaced samples would be of one kind where kinds alternate.
    """
    X = X if hasattr(X, "shape") else np.asarray(X)
    if X.shape[0] <= MAX_SAMPLES:
        return X
    drawn = np.random.RandomState(0).permutation(X.shape[0])[:MAX_SAMPLES]
    index = np.sort(drawn)
    return X.iloc[index] if hasattr(X, "iloc") else X[index]

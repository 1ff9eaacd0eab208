"""Samples of a user's table with one component moved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .._pipelines import category_columns, component_index, number_names
from ..columns import like_frame
from ._edited_tables import edited_table
from ._reading import as_table, move, numbers, read, take


def edit(estimator, samples, moves, *, reference=None, keep_residual=True):
    r"""Move components of samples, and return the samples in the units of the table.

    With :math:`f` the decoder, :math:`z` the posterior mean of a sample :math:`x` and
    :math:`\delta` the move,

    .. math:: x' = x + f(z + \delta) - f(z)

    so that what the model does not reconstruct, noise and detail, is kept. Before the
    difference is added, samples pass through the steps of a pipeline, and the inverse
    of these steps follows: a column that is positive by a logarithm stays positive. A
    sample that is not moved comes back bit for bit. A missing value stays missing.

    In a fit to columns of several types, a lognormal column changes by the ratio of the
    decoded values, and a level is replaced by the most probable one where a move
    changes which one that is.

    The result is what the model expects of a sample with this code. It is not the
    effect of an intervention: components are not causes.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted. See :func:`factor_table`.
    samples : array-like of shape (n_samples, n_features)
        Samples to edit, such as one row of the table.
    moves : dict
        How far each component is moved. A key is the index of a component, the name
        that tables show, as ``"component 3"`` (or ``"component_3"``), or its name by
        ``get_feature_names_out``; a value is a number, or one for each sample.
        A single sample is repeated for several numbers.
    reference : array-like of shape (n_reference, n_features), default=None
        Samples whose standard deviation of the component is the unit, as in
        :func:`factor_table`. None takes the unit of the code, for a VAE the standard
        deviation of the prior.
    keep_residual : bool, default=True
        Whether the residual of each sample is kept. If False, return :math:`f(z +
        \delta)`, without noise.

    Returns
    -------
    edited : ndarray or DataFrame of shape (n_samples, n_features)
        A DataFrame if `samples` is one, and has not been repeated or has columns of
        several types.

    Raises
    ------
    TypeError
        If the estimator has no components that can be decoded, or `moves` is no dict.
    ValueError
        If a step of the pipeline cannot be inverted, a component is unknown, or a move
        is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.inspection import edit
    >>> X = np.array([[0.0, 0.0], [1.0, 1.1], [2.0, 1.9], [3.0, 3.0]])
    >>> pca = PCA(1).fit(X)
    >>> edit(pca, X[:1], {0: [0, 2]}, reference=X).shape
    (2, 2)
    >>> bool((edit(pca, X, {0: 0.0}, reference=X) == X).all())
    True
    """
    reading = read(estimator, None, samples)
    table = as_table(samples)
    mean, _ = reading.moments(table)
    amounts = _amounts(moves, reading, mean.shape[1])
    n = _number_of_samples(len(mean), amounts)
    codes, moved = (np.repeat(mean, n // len(mean), axis=0) for _ in range(2))
    step = _step(reading, reference, mean.shape[1])
    for latent, amount in amounts.items():
        values = codes[:, latent] + step[latent] * amount
        is_moved = np.broadcast_to(np.asarray(amount) != 0, n)
        changed = move(moved, latent, values, category_columns(reading.model))
        moved = np.where(is_moved[:, None], changed, moved)
    after = reading.model.inverse_transform(moved)
    if number_names(reading.model) is not None:
        rows = take(table, np.repeat(np.arange(len(mean)), n // len(mean)))
        before = reading.model.inverse_transform(codes)
        return edited_table(reading, rows, before, after, keep_residual=keep_residual)
    if not keep_residual:
        return _like(reading.undo(after), samples, n)
    original = np.repeat(reading.numbers(table), n // len(mean), axis=0)
    change = np.asarray(after, np.float64) - reading.model.inverse_transform(codes)
    return _like(_added(reading, table, original, change), samples, n)


def _added(reading, table, original, change):
    """Return samples with a change in the units of the model, (n, p)."""
    rows = numbers(reading.found.transform_before(table))
    rows = np.repeat(rows, len(change) // len(rows), axis=0)
    edited = rows + change
    if getattr(reading.model, "likelihood", None) == "bernoulli":
        edited = np.where(change == 0, rows, np.clip(edited, 0.0, 1.0))
    difference = reading.undo(edited) - reading.undo(rows)
    is_same = (change == 0).all(axis=1)[:, None] | (difference == 0)
    return np.where(is_same, original, original + difference)


def _amounts(moves, reading, n_latents):
    """Return the move of each component by its index, as a float or an array."""
    if not isinstance(moves, Mapping):
        raise TypeError(
            "moves must be a dict from components to numbers, as {'component_3': 1.0}; "
            f"got {type(moves).__name__}."
        )
    amounts = {}
    for key, value in moves.items():
        amount = np.asarray(value, dtype=np.float64)
        if amount.ndim > 1 or not np.isfinite(amount).all():
            raise ValueError(
                f"The move of {key!r} must be a finite number, or one for each sample; "
                f"got {value!r}."
            )
        amounts[component_index(key, reading.model, n_latents)] = amount
    return amounts


def _number_of_samples(n, amounts):
    """Return the number of edited samples: of samples, or of moves of one sample."""
    lengths = {len(a) for a in amounts.values() if a.ndim} or {n}
    if len(lengths) > 1 or (n > 1 and lengths != {n}) or not lengths.isdisjoint({0}):
        raise ValueError(
            f"moves are given for {sorted(lengths)} samples, and there are {n}. Give a "
            "number, one for each sample, or several for a single sample."
        )
    return lengths.pop()


def _step(reading, reference, n_latents):
    """Return the unit of each component, (d,)."""
    if reference is not None:
        return reading.survey(reference).step("aggregate")
    if not hasattr(reading.model, "posterior"):
        raise ValueError(
            f"{type(reading.model).__name__} has no prior that gives a unit. Pass "
            "reference= samples: their standard deviation is the unit."
        )
    return np.ones(n_latents)


def _like(edited, samples, n):
    """Return edited samples in the form of the given ones."""
    if not hasattr(samples, "columns") or len(samples) != n:
        return edited
    before = numbers(samples)
    is_same = (edited == before) | (np.isnan(edited) & np.isnan(before))
    return like_frame(edited, samples, ~is_same)

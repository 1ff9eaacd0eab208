"""Dependence of predictions on a sensitive attribute."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._inputs import DISCRETE, columns, level_index, read_column
from ._tasks import check_count, check_option

N_PERMUTATIONS = 50

AVERAGES = ("macro", "max")


def unfairness_score(
    predictions,
    sensitive,
    *,
    n_bins=10,
    average="macro",
    adjusted=False,
    random_state=0,
):
    r"""Compute the dependence of predictions on a sensitive attribute.

    .. math:: \mathrm{unfairness} = \sum_s p(s)\, \mathrm{TV}\bigl(p(\hat y),
              p(\hat y \mid s)\bigr), \qquad \mathrm{TV}(p, q) = \frac{1}{2}
              \sum_v |p_v - q_v|

    the mean total variation distance between the distribution of the predictions and
    that given each level of the attribute. It measures demographic parity. It does not
    use the true target, and does not say whether a difference is justified: if target
    and attribute are dependent, the predictions of a perfect model are not fair by it.

    The paper sets the attribute of a simulator; on a table it is conditioned on, which
    is the same for attributes that are independent of everything else. With few samples
    the score of independent predictions is above 0: 0.11 for 100 samples, ten
    predictions and two levels. `adjusted` subtracts what permuted attributes give.

    Parameters
    ----------
    predictions : array-like of shape (n_samples,)
        Predicted levels, or numbers, which are divided into bins of equal counts.
    sensitive : array-like of shape (n_samples,)
        The attribute, with levels, or numbers, which are divided likewise. Samples
        where it is missing are left out.
    n_bins : int, default=10
        Bins of a continuous column, at least 2.
    average : {"macro", "max"} or None, default="macro"
        "macro" is the mean over levels weighted by their share, "max" the largest
        distance, and None returns one for each level.
    adjusted : bool, default=False
        Subtract the mean score of 50 permutations of the attribute, and return at
        least 0.
    random_state : int, RandomState instance or None, default=0
        Seed of the permutations.

    Returns
    -------
    score : float or ndarray of shape (n_levels,)
        In [0, 1], 0 is best.

    Raises
    ------
    ValueError
        If numbers of samples disagree, predictions are missing, the attribute does not
        vary, or a parameter is out of range.

    See Also
    --------
    skfactorvae.inspection.UnfairnessDisplay : Plot of the distributions.

    References
    ----------
    Locatello et al. (2019), "On the fairness of disentangled representations",
    Section 4.

    Examples
    --------
    >>> from skfactorvae.evaluation import unfairness_score
    >>> unfairness_score([0, 1, 0, 1], ["a", "a", "b", "b"])
    0.0
    >>> unfairness_score([0, 0, 1, 1], ["a", "a", "b", "b"])
    0.5
    """
    if average is not None:
        check_option("average", average, AVERAGES)
    predicted, group = _indices(predictions, sensitive, n_bins)
    counts = _counts(predicted, group)
    distances = level_distances(counts)
    if adjusted:
        rng = check_random_state(random_state)
        null = [
            level_distances(_counts(predicted, rng.permutation(group)))
            for _ in range(N_PERMUTATIONS)
        ]
        if average == "max":
            return max(0.0, float(distances.max() - np.max(null, axis=1).mean()))
        distances = distances - np.mean(null, axis=0)
    if average is None:
        return np.maximum(distances, 0.0)
    if average == "max":
        return float(distances.max())
    shares = counts.sum(axis=0) / counts.sum()
    return max(0.0, float(shares @ distances))


def count_predictions(predictions, sensitive, *, n_bins=10):
    """Count samples by prediction and by level of a sensitive attribute.

    Parameters
    ----------
    predictions : array-like of shape (n_samples,)
        Predicted levels, or numbers, which are divided into bins of equal counts.
    sensitive : array-like of shape (n_samples,)
        The attribute, with levels, or numbers, which are divided likewise. Samples
        where it is missing are left out.
    n_bins : int, default=10
        Bins of a continuous column, at least 2.

    Returns
    -------
    counts : ndarray of shape (n_predictions, n_levels)
        Numbers of samples; rows and columns in the order of the sorted levels.

    Raises
    ------
    ValueError
        If numbers of samples disagree, predictions are missing, the attribute does not
        vary, or `n_bins` is out of range.

    Examples
    --------
    >>> from skfactorvae.evaluation import count_predictions
    >>> count_predictions([0, 0, 1, 1], ["a", "b", "b", "b"]).tolist()
    [[1, 1], [0, 2]]
    """
    return _counts(*_indices(predictions, sensitive, n_bins))


def _indices(predictions, sensitive, n_bins):
    """Return the index of the prediction and of the level of each sample, (n,) each."""
    check_count("n_bins", n_bins, 2)
    predicted = _column(predictions, "predictions")
    levels = _column(sensitive, "sensitive")
    if len(predicted.values) != len(levels.values):
        raise ValueError(
            f"predictions has {len(predicted.values)} entries and sensitive has "
            f"{len(levels.values)}; both need one for each sample."
        )
    n_missing = int(np.isnan(predicted.values).sum())
    if n_missing:
        raise ValueError(
            f"predictions has {n_missing} missing entries. Remove these samples."
        )
    known = ~np.isnan(levels.values)
    group = _index(levels, levels.values[known], n_bins)
    if len(group) == 0 or group.max() == 0:
        raise ValueError(
            "sensitive must have at least two different values; got "
            f"{np.unique(levels.values[known]).tolist()}."
        )
    return _index(predicted, predicted.values[known], n_bins), group


def _column(data: Any, name: str) -> Any:
    found, _ = columns(data, name)
    if len(found) != 1:
        raise ValueError(f"{name} must be one column; got {len(found)}.")
    return read_column(found[0], name)


def _index(column: Any, values: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the index of the level, or of the bin, of each value."""
    if column.kind() != DISCRETE and len(values):
        edges = np.quantile(values, np.arange(1, n_bins) / n_bins)
        values = np.searchsorted(np.unique(edges), values, side="left").astype(float)
    return level_index(values)[0]


def _counts(predicted: np.ndarray, sensitive: np.ndarray) -> np.ndarray:
    counts = np.zeros((predicted.max() + 1, sensitive.max() + 1), dtype=np.int64)
    np.add.at(counts, (predicted, sensitive), 1)
    return counts


def level_distances(counts: np.ndarray) -> np.ndarray:
    """Return the total variation distance of each level from all samples."""
    overall = counts.sum(axis=1) / counts.sum()
    given = counts / counts.sum(axis=0)
    return np.abs(given - overall[:, None]).sum(axis=0) / 2

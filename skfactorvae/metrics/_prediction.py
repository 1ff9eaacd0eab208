"""Functions shared by metrics with predictors: splits, areas and scaling."""

import numpy as np
from scipy.stats import rankdata
from sklearn.utils import check_random_state

from ._validation import check_real


def check_test_size(test_size):
    """Raise unless `test_size` is a proper fraction."""
    check_real("test_size", test_size, 0.0, 1.0, inclusive_low=False)
    if test_size == 1:
        raise ValueError(
            "test_size must be less than 1, got 1; no sample is left to fit."
        )


def split_rows(n_rows, test_size, shuffle, random_state):
    """Return (train, test) indices of samples; without shuffle, test ones come last."""
    n_test = int(n_rows * test_size + 1e-9)
    n_test = min(max(n_test, 1), n_rows - 1)
    order = np.arange(n_rows)
    if shuffle:
        order = check_random_state(random_state).permutation(n_rows)
    return order[:-n_test], order[-n_test:]


def one_vs_rest_areas(labels, scores):
    """Return the area under the ROC curve of each column of `scores`.

    Ties count one half. Column ``c`` is the score of label ``c``. NaN for a label
    without samples, or with all of them.
    """
    n_rows, n_labels = scores.shape
    ranks = rankdata(scores, axis=0)
    positives = np.bincount(labels, minlength=n_labels)[:n_labels].astype(np.float64)
    own = labels[:, None] == np.arange(n_labels)  # (n, labels)
    wins = np.where(own, ranks, 0.0).sum(axis=0) - positives * (positives + 1) / 2
    pairs = positives * (n_rows - positives)
    areas = np.full(n_labels, np.nan)
    return np.divide(wins, pairs, out=areas, where=pairs > 0)


def scale_by(train, values):
    """Return `values` standardised by the columns of `train`; constant ones are 0."""
    size = np.maximum(np.abs(train).max(axis=0), np.finfo(np.float64).tiny)
    train, values = train / size, values / size
    spread = train.std(axis=0)
    varies = train.min(axis=0) < train.max(axis=0)
    scale = np.where(varies & (spread > 0), spread, 1.0)
    return np.where(varies, values - train.mean(axis=0), 0.0) / scale

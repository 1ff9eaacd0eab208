"""Rules for ``refit=``: the best score among candidates that meet constraints."""

from __future__ import annotations

import re
import warnings

import numpy as np

PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


def best_under_constraint(score, at_least):
    r"""Make a ``refit=`` rule: the best score among candidates that meet constraints.

    Codes without information maximise independence, and few codes maximise agreement.
    Set a minimum for one score and maximise the other.

    Parameters
    ----------
    score : str
        Name of the score to maximise, as in the ``scoring=`` dict of a multimetric
        search.
    at_least : dict of str to float or str
        Minimum of the mean of other scores over the folds. Either a number; or "1se",
        within one standard error of the best candidate's mean; or a percentage of the
        best mean, such as "95%", for scores whose best mean is positive.

    Returns
    -------
    refit : callable
        Takes ``cv_results_`` and returns the index of the selected candidate. If no
        candidate meets all constraints, it warns and selects the best of those that
        violate the fewest. Ties are resolved in favour of the first. Picklable.

    Raises
    ------
    ValueError
        If a minimum is invalid or, when the rule is called, a score is not in the
        results.

    References
    ----------
    Breiman, Friedman, Olshen & Stone (1984), "Classification and regression trees",
    section 3.4.3, for the rule of one standard error.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.model_selection import (
    ...     best_under_constraint,
    ...     copula_scorer,
    ...     explained_scorer,
    ... )
    >>> X, _ = make_gaussian_peaks(300, random_state=0)
    >>> search = GridSearchCV(
    ...     PCA(),
    ...     {"n_components": [1, 2, 4]},
    ...     scoring={"copula": copula_scorer, "explained": explained_scorer},
    ...     refit=best_under_constraint("copula", {"explained": "95%"}),
    ... )
    >>> search.fit(X).best_params_
    {'n_components': 4}
    """
    return _BestUnderConstraint(score, dict(at_least))


class _BestUnderConstraint:
    """Callable returned by :func:`best_under_constraint`."""

    def __init__(self, score, at_least):
        for name, minimum in at_least.items():
            _check_minimum(name, minimum)
        self.score, self.at_least = score, at_least

    def __call__(self, cv_results):
        target = _column(cv_results, "mean", self.score)
        n_violated = np.zeros(len(target), dtype=int)
        for name, minimum in self.at_least.items():
            n_violated += ~_meets(cv_results, name, minimum)
        is_known = np.isfinite(target)
        fewest = n_violated[is_known].min(initial=len(self.at_least))
        if fewest > 0:
            warnings.warn(
                f"No candidate meets at_least={self.at_least!r}; selecting the best of "
                f"those that violate the fewest constraints. The best means are "
                f"{ {n: float(_best(cv_results, n)) for n in self.at_least} }; lower "
                "the minimum, or search other parameters.",
                UserWarning,
                stacklevel=2,
            )
        allowed = is_known & (n_violated == fewest)
        return int(np.argmax(np.where(allowed, target, -np.inf)))

    def __repr__(self):
        return f"best_under_constraint({self.score!r}, {self.at_least!r})"


def _check_minimum(name, minimum):
    is_number = isinstance(minimum, int | float | np.number)
    is_rule = isinstance(minimum, str) and (
        minimum == "1se" or PERCENT.fullmatch(minimum)
    )
    if isinstance(minimum, bool) or not (is_number or is_rule):
        raise ValueError(
            f"at_least[{name!r}] must be a number, '1se', or a percentage of the best "
            f"mean such as '95%'; got {minimum!r}."
        )


def _column(cv_results, statistic, name):
    key = f"{statistic}_test_{name}"
    if key not in cv_results:
        known = [k.removeprefix("mean_test_") for k in cv_results if "mean_test_" in k]
        raise ValueError(
            f"The search has no score named {name!r}; it has {known}. Pass scoring= a "
            "dict with that name."
        )
    return np.asarray(cv_results[key], dtype=float)


def _best(cv_results, name):
    mean = _column(cv_results, "mean", name)
    return np.max(mean[np.isfinite(mean)], initial=-np.inf)


def _meets(cv_results, name, minimum):
    """Return which candidates meet a constraint, bool of shape (n_candidates,)."""
    mean, best = _column(cv_results, "mean", name), _best(cv_results, name)
    if minimum == "1se":
        winner = int(np.argmax(np.where(np.isfinite(mean), mean, -np.inf)))
        n_splits = sum(
            bool(re.fullmatch(rf"split\d+_test_{re.escape(name)}", k))
            for k in cv_results
        )
        std = _column(cv_results, "std", name)[winner]
        error = std / np.sqrt(max(n_splits - 1, 1))
        return mean >= best - error
    if isinstance(minimum, str):
        return mean >= best * float(minimum.rstrip("%")) / 100
    return mean >= minimum

"""Scorers: ``scoring=`` objects that evaluate the output of ``transform``.

:func:`sklearn.metrics.make_scorer` supports ``predict`` and similar methods, but not
``transform``. The scorers here are built on the public interface of metadata routing.
"""

import inspect
import warnings
from collections import deque
from copy import deepcopy
from typing import NamedTuple

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from .._pipelines import find_model, flatten
from ._correlation import mean_correlation_score
from ._dci import dci_disentanglement_score
from ._explicitness import explicitness_score
from ._information_scores import mig_sup_score, modularity_score
from ._mutual_information import mutual_info_gap_score
from ._robustness import interventional_robustness_score
from ._sap import sap_score
from ._unsupervised import (
    active_units,
    code_mutual_info,
    gaussian_total_correlation,
)
from ._validation import check_table
from ._votes import beta_vae_score, factor_vae_score

MIN_FOLD_ROWS = 10


def make_disentanglement_scorer(
    score_func,
    *,
    greater_is_better=True,
    response_method="transform",
    needs_factors=True,
    step=None,
    **kwargs,
):
    """Make a scorer for ``scoring=`` from a metric of factors and codes.

    The scorer is called as ``scorer(estimator, X, y=None, *, factors=None,
    sample_weight=None)``. The factors are `factors` if given (by metadata routing),
    else `y`. The codes are the output of the estimator's `response_method`.

    In a :class:`~sklearn.pipeline.Pipeline` the codes are the output of the step named
    `step`. By default, they are the output of the last step that has
    `response_method`: the last step of a pipeline of transformers, or the input of
    the classifier in a pipeline that ends with a classifier.

    To choose hyper-parameters with a scorer that uses factors is supervision, even if
    ``fit`` does not use them. Report it with the result.

    Parameters
    ----------
    score_func : callable or dict of str to callable
        ``score_func(factors, codes, **kwargs)``, or ``score_func(codes, **kwargs)``
        if `needs_factors` is False. From a dict of such functions, or of scorers made
        by this function, one scorer is made that calls `response_method` once and
        returns a dict of scores.
    greater_is_better : bool, default=True
        If False, the score is negated, so that searches maximise it.
    response_method : str, default="transform"
        The estimator's method that returns codes of shape (n_samples, n_codes).
    needs_factors : bool, default=True
        Whether `score_func` takes factors.
    step : str, default=None
        Name of the pipeline step whose output are the codes; names of nested steps
        are joined by a double underscore.
    **kwargs : dict
        Passed to `score_func`, or to the functions of a dict; scorers in a dict keep
        their own.

    Returns
    -------
    scorer : callable
        Picklable. Returns a float, or a dict of floats.

    Raises
    ------
    TypeError
        If `score_func` is not callable.
    ValueError
        If a scorer in a dict has another `response_method` or `step`.

    See Also
    --------
    mig_scorer : Scorer of the mutual information gap.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV, KFold
    >>> from skfactorvae.metrics import (
    ...     make_disentanglement_scorer,
    ...     mean_correlation_score,
    ... )
    >>> factors = np.random.default_rng(0).normal(size=(200, 2)) * [1, 3]
    >>> scorer = make_disentanglement_scorer(mean_correlation_score, over="factors")
    >>> search = GridSearchCV(
    ...     PCA(),
    ...     {"n_components": [1, 2]},
    ...     scoring=scorer,
    ...     cv=KFold(5, shuffle=True, random_state=0),
    ... )
    >>> search.fit(factors, factors).best_params_
    {'n_components': 2}
    """
    settings = {
        "greater_is_better": greater_is_better,
        "response_method": response_method,
        "needs_factors": needs_factors,
        "step": step,
    }
    if not isinstance(score_func, dict):
        return DisentanglementScorer(score_func, kwargs=kwargs, **settings)
    parts = {
        name: _as_scorer(part, settings, kwargs) for name, part in score_func.items()
    }
    return MultiDisentanglementScorer(parts, response_method, step)


class _RoutedScorer:
    """Base class with the metadata requests of a scorer."""

    _request: MetadataRequest
    _needs_factors: bool

    def check_factors(self, y, metadata):
        """Raise if this scorer needs factors and there are none.

        A search calls it before anything is fitted.

        Parameters
        ----------
        y : array-like or None
            Targets.
        metadata : dict
            Metadata of the search's ``fit``.

        Raises
        ------
        ValueError
            Names the scorer.
        """
        alias = self._request.score.requests.get("factors")
        name = alias if isinstance(alias, str) else "factors"
        if self._needs_factors:
            _factors(self, y, metadata.get(name))

    def set_score_request(self, **requests):
        """Request metadata for scoring, under metadata routing.

        Parameters
        ----------
        **requests : bool, None or str
            ``factors=True`` requests metadata named "factors"; a string requests
            metadata of that name. The same holds for ``sample_weight``.

        Returns
        -------
        self : object
            The scorer.
        """
        for parameter, alias in requests.items():
            if parameter not in ("factors", "sample_weight"):
                raise TypeError(
                    f"{self!r} can request factors and sample_weight, got {parameter}."
                )
            self._request.score.add_request(param=parameter, alias=alias)
        return self

    def get_metadata_routing(self):
        """Return a copy of the requests.

        Returns
        -------
        requests : MetadataRequest
            Requests of the scorer.
        """
        return deepcopy(self._request)

    def _accept_sample_weight(self):
        """Return False: without routing, weights are passed to ``fit`` only."""
        return False


class DisentanglementScorer(_RoutedScorer):
    """Scorer of one metric of codes, made by :func:`make_disentanglement_scorer`."""

    def __init__(
        self,
        score_func,
        greater_is_better,
        response_method,
        needs_factors,
        step,
        kwargs,
    ):
        if not callable(score_func):
            raise TypeError(
                f"score_func must be callable as score_func(factors, codes), got "
                f"{score_func!r}."
            )
        self._score_func = score_func
        self._sign = 1 if greater_is_better else -1
        self._response_method = response_method
        self._needs_factors = needs_factors
        self._step = step
        self._kwargs = kwargs
        self._request = _unrequested(self)
        self.__doc__ = (
            f"{_summary(score_func)}{', negated' * (not greater_is_better)}.\n\n"
            f":func:`{_name(score_func)}` as a scorer, made by "
            ":func:`make_disentanglement_scorer`."
        )

    def __call__(self, estimator, X, y=None, *, factors=None, sample_weight=None):
        """Score the codes of `X`, given factors if the metric needs them.

        Parameters
        ----------
        estimator : object
            A fitted transformer or pipeline.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_factors), default=None
            The factors, unless `factors` are given.
        factors : array-like of shape (n_samples, n_factors), default=None
            The factors; `y` is then ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Passed to the metric.

        Returns
        -------
        score : float
            The score; negated if smaller is better.
        """
        truth = _truth(self, y, factors) if self._needs_factors else None
        codes = codes_of(estimator, X, self._response_method, self._step)
        return self._score(truth, codes, sample_weight)

    def __repr__(self):
        sign = "" if self._sign > 0 else ", greater_is_better=False"
        extra = "".join(f", {name}={value!r}" for name, value in self._kwargs.items())
        return f"make_disentanglement_scorer({_name(self._score_func)}{sign}{extra})"

    def _score(self, truth, codes, sample_weight):
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        data = (truth, codes) if self._needs_factors else (codes,)
        value = self._score_func(*data, **self._kwargs, **weighted)
        if np.ndim(value):
            raise ValueError(
                f"{getattr(self._score_func, '__name__', 'the metric')} must return "
                f"one number to be a scorer, got an array of shape {np.shape(value)}. "
                "Leave average= at its default."
            )
        return self._sign * float(value)


class MultiDisentanglementScorer(_RoutedScorer):
    """Scorer of several metrics of the same codes, which returns a dict."""

    def __init__(self, scorers, response_method, step):
        self._scorers = scorers
        self._response_method = response_method
        self._step = step
        self._needs_factors = any(part._needs_factors for part in scorers.values())
        self._request = _unrequested(self)

    def __call__(self, estimator, X, y=None, *, factors=None, sample_weight=None):
        """Score the codes of `X` by every metric.

        Parameters
        ----------
        estimator : object
            A fitted transformer or pipeline.
        X : array-like of shape (n_samples, n_features)
            Samples; they are transformed once.
        y : array-like of shape (n_samples,) or (n_samples, n_factors), default=None
            The factors, unless `factors` are given.
        factors : array-like of shape (n_samples, n_factors), default=None
            The factors; `y` is then ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Passed to every metric.

        Returns
        -------
        scores : dict of str to float
            One score per metric.
        """
        truth = _truth(self, y, factors) if self._needs_factors else None
        codes = codes_of(estimator, X, self._response_method, self._step)
        return {
            name: part._score(truth, codes, sample_weight)
            for name, part in self._scorers.items()
        }

    def __repr__(self):
        return f"make_disentanglement_scorer({self._scorers!r})"


def codes_of(estimator, X, response_method="transform", step=None):
    """Return the codes of `X` as an array or table of shape (n_samples, n_codes).

    A model that keeps none of its components has one constant code.

    Raises
    ------
    TypeError
        If the estimator, and no step of it, has `response_method`.
    ValueError
        If `step` is not a step of the estimator.
    """
    found = find_model(estimator, (response_method,), step)
    if found is None:
        raise TypeError(_no_codes(estimator, response_method, step))
    codes = found.codes(X, response_method)
    codes = codes if hasattr(codes, "columns") else np.asarray(codes)
    return codes if np.shape(codes)[1:] != (0,) else np.zeros((len(codes), 1))


def _no_codes(estimator, response_method, step):
    names = [name for name, _ in flatten(estimator)]
    part = f"the step {step!r} of {names}" if step else f"no step of {names}"
    verb = "has no" if step else "has a"
    return (
        f"{type(estimator).__name__} has no codes to score: {part} {verb} "
        f"{response_method} method. Give a transformer, a pipeline that contains one, "
        "or name another method with response_method=."
    )


def _truth(scorer, y, factors):
    """Return the factors given to a scorer; warn if folds are contiguous."""
    truth = _factors(scorer, y, factors)
    _warn_of_contiguous_folds(truth)
    return truth


def _factors(scorer, y, factors):
    """Return the factors given to a scorer, or raise if there are none."""
    truth = y if factors is None else factors
    if truth is None:
        raise ValueError(
            f"{scorer!r} needs factors: pass them as y, or as factors= with metadata "
            "routing on and scorer.set_score_request(factors=True)."
        )
    return truth


def _unrequested(owner):
    """Return the requests of a new scorer: factors and weights, neither requested."""
    request = MetadataRequest(owner=owner)
    for parameter in ("factors", "sample_weight"):
        request.score.add_request(param=parameter, alias=None)
    return request


def _as_scorer(part, settings, kwargs):
    """Return a member of a dict of metrics as a scorer."""
    if isinstance(part, DisentanglementScorer):
        if (part._response_method, part._step) != (
            settings["response_method"],
            settings["step"],
        ):
            raise ValueError(
                f"{part!r} uses other codes (response_method="
                f"{part._response_method!r}, step={part._step!r}) than the scorer of "
                f"the whole dict, which transforms once (response_method="
                f"{settings['response_method']!r}, step={settings['step']!r}). Give "
                "both the same, or make separate scorers."
            )
        return part
    return DisentanglementScorer(part, kwargs=kwargs, **settings)


def _name(function):
    return getattr(function, "__name__", repr(function))


def _summary(function):
    """Return the first sentence of a function's docstring, or its name."""
    doc = inspect.getdoc(function) if inspect.isroutine(function) else None
    return (doc or _name(function)).split("\n\n")[0].rstrip(".")


class _Fold(NamedTuple):
    """Ranges of the sorted factors of a scored fold."""

    n_rows: int
    low: tuple[float, ...]  # K, minimum of each sorted factor; NaN for others
    high: tuple[float, ...]  # K, maximum


_RECENT_FOLDS: deque[_Fold] = deque(maxlen=16)


def _warn_of_contiguous_folds(truth):
    """Warn if this fold and a recent one are slices of a table sorted by a factor.

    One fold is not enough: shuffled folds of a sorted table are sorted as well. If
    two folds are sorted by a factor and their ranges do not overlap, the folds are
    contiguous. Ranges of recent folds are stored per process.
    """
    fold = _fold(truth)
    if fold is None:
        return
    sliced = any(_are_slices(fold, other) for other in list(_RECENT_FOLDS))
    if fold not in _RECENT_FOLDS:
        _RECENT_FOLDS.append(fold)
    if sliced:
        _RECENT_FOLDS.clear()
        warnings.warn(
            "The samples are sorted by a factor and the folds are contiguous, so that "
            "each fold covers only a part of its range, and scores are not "
            "representative. Shuffle: "
            "cv=KFold(n_splits, shuffle=True, random_state=0).",
            UserWarning,
            stacklevel=4,
        )


def _fold(truth):
    """Return the summary of a fold, or None if it is too small or unsorted."""
    if len(truth) < MIN_FOLD_ROWS:
        return None
    values = check_table(truth, np.zeros(len(truth))).factors
    ascending = np.all(values[1:] >= values[:-1], axis=0)  # (K,), False where NaN
    descending = np.all(values[1:] <= values[:-1], axis=0)
    is_sorted = ascending | descending
    if not is_sorted.any():
        return None
    low = np.where(is_sorted, values.min(axis=0), np.nan)
    high = np.where(is_sorted, values.max(axis=0), np.nan)
    return _Fold(len(values), tuple(low.tolist()), tuple(high.tolist()))


def _are_slices(fold, other):
    """Return whether a factor sorts both folds and their ranges do not overlap."""
    if abs(fold.n_rows - other.n_rows) > 1 or len(fold.low) != len(other.low):
        return False
    low, high = np.array([fold.low, other.low]), np.array([fold.high, other.high])
    apart = high.min(axis=0) <= low.max(axis=0)  # False where NaN
    different = high.max(axis=0) > low.min(axis=0)
    return bool(np.any(apart & different))


_quantile = {"strategy": "quantile"}
mig_scorer = make_disentanglement_scorer(mutual_info_gap_score, **_quantile)
mig_sup_scorer = make_disentanglement_scorer(mig_sup_score, **_quantile)
modularity_scorer = make_disentanglement_scorer(modularity_score, **_quantile)
mcc_scorer = make_disentanglement_scorer(mean_correlation_score, over="factors")
sap_scorer = make_disentanglement_scorer(
    sap_score, classifier="threshold", chance_corrected=True
)
dci_scorer = make_disentanglement_scorer(dci_disentanglement_score)
factor_vae_scorer = make_disentanglement_scorer(factor_vae_score)
beta_vae_scorer = make_disentanglement_scorer(beta_vae_score)
explicitness_scorer = make_disentanglement_scorer(explicitness_score)
irs_scorer = make_disentanglement_scorer(interventional_robustness_score)
neg_code_mutual_info_scorer = make_disentanglement_scorer(
    code_mutual_info, greater_is_better=False, needs_factors=False, **_quantile
)
neg_gaussian_total_correlation_scorer = make_disentanglement_scorer(
    gaussian_total_correlation, greater_is_better=False, needs_factors=False
)
active_units_scorer = make_disentanglement_scorer(active_units, needs_factors=False)

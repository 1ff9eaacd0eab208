"""Warm-started fits along a path of gamma."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from .._matplotlib import GREY
from .._pandas import import_pandas
from .._remedies import max_iter_of
from ..metrics import match_codes
from ._members import codes_of, find_latent_model, split_samples
from ._select import (
    check_gammas,
    find_parameter,
    gamma_axes,
    score_fits,
    score_style,
    short_name,
    with_legend,
)


def gamma_path(
    estimator,
    X,
    gammas=(0.0, 3.0, 10.0, 30.0, 100.0),
    *,
    y=None,
    param="gamma",
    max_iter=None,
    test_size=0.3,
    random_state=None,
):
    """Fit a path of increasing gamma, each fit warm-started from the previous one.

    As in :func:`sklearn.linear_model.lasso_path`, the first and smallest gamma is
    fitted from scratch, and every other fit starts from the weights of the previous
    one. Components therefore keep their identity, and a change along the path is due to
    gamma. A path is much cheaper than :func:`select_gamma` but less informative: it
    compares no seeds, and the fit of a larger gamma depends on those of the smaller
    ones.

    Parameters
    ----------
    estimator : estimator
        A transformer with ``gamma``, ``warm_start``, ``max_iter`` and ``warmup``, or a
        pipeline that contains one. It is cloned, without the ``memory`` of pipelines,
        whose cached fits would not be warm-started.
    X : array-like of shape (n_samples, n_features)
        Samples.
    gammas : array-like of float, default=(0.0, 3.0, 10.0, 30.0, 100.0)
        Values of gamma, at least two different ones. They are sorted in increasing
        order.
    y : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Passed to the fits, for transformers that learn from labels.
    param : str, default="gamma"
        Name of the parameter of the transformer. In a pipeline, the prefix with the
        step's name is found if only one step has the parameter.
    max_iter : int, default=None
        Number of gradient steps for every gamma except the first, which uses the
        estimator's own. None uses a quarter of that number (of ``max_iter_``, where
        ``max_iter="auto"``), at least 1.
    test_size : float, default=0.3
        Share of the samples that is held out for scoring, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Determines the split. The seeds of the fits are the estimator's own.

    Returns
    -------
    path : GammaPath
        Codes, scores and fits along gamma.

    Raises
    ------
    TypeError
        If the estimator contains no transformer.
    ValueError
        If the transformer has no ``warm_start``, ``max_iter`` or ``warmup``, if no
        parameter or several have the name `param`, if it is a parameter that the path
        sets itself, or if there are fewer than two gammas or some are not finite.

    See Also
    --------
    select_gamma : Select gamma from independent fits of several seeds.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear
    models via coordinate descent", section 2.5, for warm starts along a path.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_nonlinear_ica
    >>> from skfactorvae.model_selection import gamma_path
    >>> X, _ = make_nonlinear_ica(200, n_sources=2, n_features=8, random_state=0)
    >>> vae = FactorVAETransformer(2, max_iter=40, random_state=0)
    >>> path = gamma_path(vae, X, [0, 10, 100], random_state=0)
    >>> path.codes.shape, path.scores["copula"].shape
    ((3, 60, 2), (3,))
    """
    name = find_parameter(estimator, param, {"max_iter", "warmup", "warm_start"})
    gammas = check_gammas(gammas, estimator.get_params()[name])
    train, test, y_train = split_samples(
        X, y, test_size=test_size, random_state=random_state
    )
    model = _without_memory(clone(estimator))
    vae = find_latent_model(model).model
    _check_warm_start(vae)
    vae.set_params(warm_start=True)
    fits = []
    for gamma in gammas:
        model.set_params(**{name: gamma})
        fits.append(deepcopy(model.fit(train, y_train)))
        if max_iter is None:
            max_iter = max(1, max_iter_of(vae) // 4)
        vae.set_params(max_iter=max_iter, warmup=0.0)
    scores = score_fits(fits, test, n_seeds=1)
    codes, continuity = _align([codes_of(fit, test) for fit in fits])
    return GammaPath(
        gammas=np.array(gammas),
        codes=codes,
        scores={key: values[:, 0] for key, values in scores.items()},
        continuity=continuity,
        estimators=fits,
        rows=test,
        param=name,
    )


@dataclass(frozen=True)
class GammaPath:
    """Result of :func:`gamma_path`: codes, scores and fits along gamma.

    Parameters
    ----------
    gammas : ndarray of shape (n_gammas,)
        Values of gamma, increasing.
    codes : ndarray of shape (n_gammas, n_test, n_components)
        Codes of the held-out samples. Component k of each gamma is the one matched with
        component k of the previous gamma, with the same sign.
    scores : dict of str to ndarray of shape (n_gammas,)
        Scores of the held-out samples, as in :class:`GammaSelection`: ``explained``,
        ``copula`` and ``audit``, in [0, 1]; ``active``, the number of active
        components; and ``elbo``, in nats per sample, if the estimator has one.
    continuity : ndarray of shape (n_gammas, n_components)
        Absolute rank correlation with the same component at the previous gamma, in
        [0, 1]; 1 at the first gamma.
    estimators : list of estimator
        The fit of each gamma.
    rows : array-like of shape (n_test, n_features)
        The held-out samples.
    param : str, default="gamma"
        Full name of the parameter. Tables and plots call it by its last part.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear
    models via coordinate descent", section 2.5, for warm starts along a path.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_nonlinear_ica
    >>> from skfactorvae.model_selection import gamma_path
    >>> X, _ = make_nonlinear_ica(200, n_sources=2, n_features=8, random_state=0)
    >>> vae = FactorVAETransformer(2, max_iter=40, random_state=0)
    >>> path = gamma_path(vae, X, [0, 10], random_state=0)
    >>> path.continuity.shape, len(path.estimators)
    ((2, 2), 2)
    """

    gammas: np.ndarray
    codes: np.ndarray
    scores: dict[str, np.ndarray]
    continuity: np.ndarray
    estimators: list[Any]
    rows: Any
    param: str = "gamma"

    def to_frame(self):
        """Return the scores as a table with a row per gamma.

        Returns
        -------
        frame : DataFrame
            Columns ``gamma`` (or the parameter's name), one per score, and
            ``continuity``, the minimum over the components.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas(
            "to_frame()", "The same numbers are in .scores and .continuity."
        )

        least = self.continuity.min(axis=1)
        columns = {short_name(self.param): self.gammas, **self.scores}
        return pd.DataFrame({**columns, "continuity": least})

    def plot(self, ax=None):
        """Plot scores and continuity along gamma.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        ax : matplotlib Axes
            The axes of the plot. The ELBO, which has other units, is left out.
        """
        ax = gamma_axes(ax, self.gammas, self.param, "path of fits")
        place = np.arange(len(self.gammas))
        for name in ("explained", "copula", "audit"):
            ax.plot(place, self.scores[name], **score_style(name))
        ax.plot(place, self.continuity, color=GREY, lw=0.8, zorder=0)
        ax.plot([], [], color=GREY, lw=0.8, label="continuity of a component")
        return with_legend(ax)


def _without_memory(estimator):
    """Return an estimator all of whose pipelines fit their steps in place."""
    cached = [n for n in estimator.get_params() if n.rpartition("__")[2] == "memory"]
    return estimator.set_params(**dict.fromkeys(cached))


def _check_warm_start(transformer):
    missing = {"warm_start", "max_iter", "warmup"} - set(transformer.get_params())
    if missing:
        raise ValueError(
            f"{type(transformer).__name__} has no {sorted(missing)}, so its fits "
            "cannot be warm-started along gamma. Compare separate fits with "
            "select_gamma instead."
        )


def _align(tables):
    """Return the codes in the order of the first table, and the matched correlations.

    Shapes (n_gammas, n_test, n_components) and (n_gammas, n_components).
    """
    aligned, continuity = [tables[0]], [np.ones(tables[0].shape[1])]
    for table in tables[1:]:
        match = match_codes(table, aligned[-1])
        aligned.append(table[:, match.order] * match.sign)
        continuity.append(match.correlation)
    return np.array(aligned), np.array(continuity)

"""One fit led along gamma, instead of many from scratch."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from ..metrics import match_codes
from ._members import codes_of, last_step, split_rows
from ._select import checked_gammas, parameter_name, scores_of


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
    """Follow one fit along gamma: each goes on from the one before.

    As :func:`sklearn.linear_model.lasso_path`: the first and smallest gamma is fitted
    from scratch, and every other starts at the weights of the one before it, so that
    components keep their identity and a change along the path is due to gamma. One
    path is much cheaper than a search, and says less: it has no seeds to agree, and
    what a larger gamma finds depends on where the smaller ones led.

    Parameters
    ----------
    estimator : estimator
        A transformer with ``gamma``, ``warm_start`` and ``max_iter``, or a pipeline
        that ends with one.
    X : array-like of shape (n_samples, n_features)
        Rows.
    gammas : array-like of float, default=(0.0, 3.0, 10.0, 30.0, 100.0)
        Points of the path; it goes upwards.
    y : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Passed to the fits, for transformers that learn from labels.
    param : str, default="gamma"
        Name of the parameter of the transformer.
    max_iter : int, default=None
        Gradient steps for every gamma but the first, which gets the estimator's own.
        None takes a quarter of those.
    test_size : float, default=0.3
        Share of the rows on which codes are scored.
    random_state : int, RandomState instance or None, default=None
        Draws the split. Seeds of the fits are the estimator's own.

    Returns
    -------
    path : GammaPath
        Codes, scores and fits along gamma.

    Raises
    ------
    ValueError
        If the transformer cannot go on from its weights (it has no ``warm_start``), or
        there are fewer than two gammas.

    See Also
    --------
    select_gamma : Chooses among fits from scratch, by several seeds.

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
    gammas = checked_gammas(gammas)
    train, test, y_train = split_rows(
        X, y, test_size=test_size, random_state=random_state
    )
    model = clone(estimator)
    name = parameter_name(model, param)
    _check_goes_on(last_step(model))
    vae = last_step(model).set_params(warm_start=True)
    later = max(1, vae.max_iter // 4) if max_iter is None else max_iter
    fits = []
    for number, gamma in enumerate(gammas):
        model.set_params(**{name: gamma})
        if number:
            vae.set_params(max_iter=later, warmup=0.0)
        fits.append(deepcopy(model.fit(train, y_train)))
    scores = scores_of(fits, test, n_seeds=1)
    codes, continuity = _aligned([codes_of(fit, test) for fit in fits])
    return GammaPath(
        gammas=np.array(gammas),
        codes=codes,
        scores={key: values[:, 0] for key, values in scores.items()},
        continuity=continuity,
        estimators=fits,
        rows=test,
    )


@dataclass(frozen=True)
class GammaPath:
    """What :func:`gamma_path` saw along gamma.

    Parameters
    ----------
    gammas : ndarray of shape (n_gammas,)
        Points of the path, upwards.
    codes : ndarray of shape (n_gammas, n_test, n_components)
        Codes of the rows held out; component k of each gamma is the one matched with
        component k of the gamma before it, with the same sign.
    scores : dict of str to ndarray of shape (n_gammas,)
        ``explained``, ``copula``, ``audit``, ``active`` and, where there is one,
        ``elbo``, of the rows held out, as in :class:`GammaSelection`.
    continuity : ndarray of shape (n_gammas, n_components)
        Absolute rank correlation with the same component at the gamma before; 1 at the
        first.
    estimators : list of estimator
        The fit at each gamma.
    rows : array-like of shape (n_test, n_features)
        The rows held out.

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

    def to_frame(self):
        """Return the scores as a table with a row per gamma.

        Returns
        -------
        frame : DataFrame
            Columns ``gamma``, one per score, and ``continuity``, the least of any
            component. Needs pandas.
        """
        import pandas as pd

        least = self.continuity.min(axis=1)
        return pd.DataFrame({"gamma": self.gammas, **self.scores, "continuity": least})

    def plot(self, ax=None):
        """Draw scores and continuity along gamma.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ax : matplotlib Axes
            Where it was drawn.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        place = np.arange(len(self.gammas))
        for name in ("explained", "copula", "audit"):
            ax.plot(place, self.scores[name], marker="o", label=name)
        ax.plot(place, self.continuity, color="0.7", linewidth=0.8, zorder=0)
        ax.plot([], [], color="0.7", linewidth=0.8, label="continuity of a component")
        ax.set_xticks(place, [f"{gamma:g}" for gamma in self.gammas])
        ax.set(xlabel="gamma", ylabel="score on rows held out", ylim=(0, 1.02))
        ax.legend(fontsize="small")
        return ax


def _check_goes_on(transformer):
    missing = {"warm_start", "max_iter", "warmup"} - set(transformer.get_params())
    if missing:
        raise ValueError(
            f"{type(transformer).__name__} has no {sorted(missing)}, so it cannot go "
            "on from one gamma to the next. Compare separate fits with select_gamma."
        )


def _aligned(tables):
    """Return codes whose components keep their place, and how well they match."""
    aligned, continuity = [tables[0]], [np.ones(tables[0].shape[1])]
    for table in tables[1:]:
        match = match_codes(table, aligned[-1])
        aligned.append(table[:, match.order] * match.sign)
        continuity.append(match.correlation)
    return np.array(aligned), np.array(continuity)

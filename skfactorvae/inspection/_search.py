"""Displays of a search: the score over gamma and the number of components."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
from sklearn.base import clone

from .._matplotlib import LEVELS, one_axes, pyplot, tidy, title
from ._matrix import draw_grid

GROUP = "n_components"
"""Parameter with one line for each value, if the search varied it."""


@dataclass(frozen=True)
class _Surface:
    """Score over two parameters, maximal over all others that were searched."""

    values: np.ndarray  # (a,) of the first parameter
    groups: np.ndarray  # (b,) of the second
    mean: np.ndarray  # (a, b), NaN for a pair that was not searched
    std: np.ndarray  # (a, b), over folds
    budget: str  # of the candidates shown, in a halving search


def _read_search(search, parameter, group, score, optional=None):
    """Return the scores of a search by two parameters.

    ``optional`` is the name of a group that need not have been searched.
    """
    if not hasattr(search, "cv_results_"):
        raise TypeError(
            f"{type(search).__name__} has no cv_results_: expected a fitted search, "
            "such as GridSearchCV."
        )
    results = search.cv_results_
    if f"mean_test_{score}" not in results:
        known = [n[10:] for n in results if n.startswith("mean_test_")]
        raise ValueError(f"score must be one of {known}, got {score!r}.")
    shown, budget = _full_budget(search, results)
    mean, std = (np.asarray(results[f"{m}_test_{score}"]) for m in ("mean", "std"))
    candidates = [results["params"][i] for i in shown]
    first = _varied_column(search, candidates, parameter)
    second = [""] * len(first)
    if group != optional or _column(search, candidates, group) is not None:
        second = _varied_column(search, candidates, group)
    return _best(first, second, mean[shown], std[shown], budget)


def _varied_column(search, candidates, parameter):
    """Return each candidate's value of a parameter; raise if it was not searched."""
    found = _column(search, candidates, parameter)
    if found is None:
        searched = _searched(search.cv_results_)
        raise ValueError(
            f"The search did not vary {parameter!r}; it varied {searched}. Name one of "
            "these."
        )
    return found


def _full_budget(search, results):
    """Return the candidates to compare, and their budget as text.

    A halving search scores most candidates with a smaller budget than the last ones, so
    that only those of its last iteration are comparable.
    """
    if "n_resources" not in results:
        return np.arange(len(results["params"])), ""
    last = np.flatnonzero(results["iter"] == np.max(results["iter"]))
    name = getattr(search, "resource", "n_resources")
    return last, f"{name}={results['n_resources'][last[0]]}"


def _searched(results):
    return [n.removeprefix("param_") for n in results if n.startswith("param_")]


def _column(search, candidates, parameter):
    """Return each candidate's value of a parameter of any step; None if not searched.

    A candidate of a list of grids that does not set the parameter has the value of the
    search's estimator.

    Raises
    ------
    ValueError
        If several steps have a parameter of this name.
    """
    searched = _searched(search.cv_results_)
    found = [n for n in searched if n == parameter] or [
        n for n in searched if n.endswith(f"__{parameter}")
    ]
    if len(found) > 1:
        raise ValueError(
            f"The search varied several parameters named {parameter!r}: {found}. Give "
            "the full name of one of them."
        )
    return (
        [_value(search, params, found[0]) for params in candidates] if found else None
    )


def _value(search, params, name):
    if name in params or not hasattr(search, "estimator"):
        return params.get(name)
    given = {key: clone(value, safe=False) for key, value in params.items()}
    return clone(search.estimator).set_params(**given).get_params().get(name)


def _best(first, second, mean, std, budget):
    values, groups = (_levels(column) for column in (first, second))
    shape = len(values), len(groups)
    surface = _Surface(
        _objects(values.values()),
        _objects(groups.values()),
        np.full(shape, np.nan),
        np.full(shape, np.nan),
        budget,
    )
    rows, columns = list(values), list(groups)
    for a, b, m, s in zip(first, second, mean, std, strict=True):
        cell = rows.index(_order(a)), columns.index(_order(b))
        if np.isfinite(m) and not m <= surface.mean[cell]:
            surface.mean[cell], surface.std[cell] = m, s
    return surface


def _levels(column):
    """Return the different values of a parameter, ascending, by their place in order.

    Values may be of any type: tuples, arrays and estimators differ if their texts do.
    """
    levels = {_order(value): value for value in reversed(column)}
    return dict(sorted(levels.items(), key=lambda level: level[0]))


def _order(value):
    is_number = isinstance(value, Real) and value == value
    return (not is_number, value if is_number else str(value))


def _objects(values):
    """Return an array of shape (n,) of values that may be sequences themselves."""
    return np.fromiter(values, dtype=object, count=len(values))


def _note(budget):
    return f"candidates with {budget}, ± one sd" if budget else "± one sd over folds"


def _tick(value):
    """Return the text of a value on an axis: of a function or a class, its name."""
    return getattr(value, "__name__", None) or f"{value}"


class GammaPathDisplay:
    """Score of a search over gamma, with a line for each number of components.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Values of the parameter, ascending.
    groups : ndarray of shape (n_groups,)
        Values of the grouping parameter; one empty string without one.
    mean, std : ndarray of shape (n_values, n_groups)
        Mean and standard deviation of the score over folds; NaN for a pair that was not
        searched. If other parameters were searched too, those of the best of them.
    labels : tuple (parameter, group, score)
        Names of the two parameters and of the score.
    budget : str, default=""
        Budget of the candidates shown, such as "max_iter=60", in a halving search.

    Attributes
    ----------
    ax_ : Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Kim & Mnih (2018), "Disentangling by Factorising", Figure 4.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import GammaPathDisplay
    >>> X, _ = make_gaussian_peaks(90, random_state=0)
    >>> vae = FactorVAETransformer(2, max_iter=20, random_state=0)
    >>> search = GridSearchCV(vae, {"gamma": [0, 1, 10]}, cv=2).fit(X)
    >>> display = GammaPathDisplay.from_estimator(search)
    >>> display.mean.shape
    (3, 1)
    """

    def __init__(self, values, groups, mean, std, labels, *, budget=""):
        self.values = values
        self.groups = groups
        self.mean = mean
        self.std = std
        self.labels = labels
        self.budget = budget

    @classmethod
    def from_estimator(cls, search, *, parameter="gamma", group=GROUP, score="score"):
        """Create a display from a fitted search.

        Parameters
        ----------
        search : GridSearchCV or another fitted search
            With ``cv_results_``. Of a halving search, the candidates of the last
            iteration are shown: the others were scored with a smaller budget.
        parameter : str, default="gamma"
            Parameter of the horizontal axis, without the name of the pipeline's step
            where only one step's parameter of this name was searched.
        group : str, default="n_components"
            Parameter with one line for each value. The default need not have been
            searched.
        score : str, default="score"
            Name of the score, if the search has several.

        Returns
        -------
        display : GammaPathDisplay
            Ready to plot.

        Raises
        ------
        TypeError
            If the search has no ``cv_results_``.
        ValueError
            If a parameter was not searched, several have its name, or the search has
            no such score.
        """
        read = _read_search(search, parameter, group, score, optional=GROUP)
        labels = (parameter, group, score)
        table = read.values, read.groups, read.mean, read.std
        return cls(*table, labels, budget=read.budget)

    def plot(self, ax=None):
        """Plot the mean scores, with error bars of one standard deviation over folds.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        self : GammaPathDisplay
            With ``ax_`` and ``figure_``.
        """
        ax = one_axes(ax, (5.6, 3.4))
        places = _places(self.values)
        ends = []
        for b, group in enumerate(self.groups):
            known = np.isfinite(self.mean[:, b])
            colour = LEVELS[b % len(LEVELS)]
            ax.errorbar(
                places[known] + 0.03 * (b - (len(self.groups) - 1) / 2),
                self.mean[known, b],
                self.std[known, b],
                color=colour,
                marker="o",
                markersize=5,
                lw=1.6,
                elinewidth=1,
                capsize=2.5,
            )
            if _tick(group) and known.any():
                ends.append((self.mean[known, b][-1], _tick(group), colour))
        ax.set_xticks(places, [_tick(value) for value in self.values])
        ax.set_xlabel(self.labels[0], fontsize=9)
        lines = f"one line per {self.labels[1]}, " if ends else ""
        title(ax, self.labels[2], f"{lines}{_note(self.budget)}")
        tidy(ax, grid="y")
        _label_lines(ax, places[-1], ends)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _places(values):
    """Return evenly spaced positions, since few searches are on a linear scale."""
    return np.arange(len(values), dtype=float)


def _label_lines(ax, right, ends):
    """Label each line at its end, with labels moved apart where they would overlap."""
    bottom, top = ax.get_ylim()
    height = 0.07 * (top - bottom)
    last = -np.inf
    for y, text, colour in sorted(ends):
        last = max(y, last + height)
        ax.annotate(
            text,
            (right, last),
            xytext=(10, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=9,
            fontweight="bold",
            annotation_clip=False,
        )


class SearchDisplay:
    """Score of a search over gamma and the number of components, as a heat map.

    Parameters
    ----------
    rows, columns : ndarray of shape (n_rows,), (n_columns,)
        Values of the two parameters, ascending.
    mean, std : ndarray of shape (n_rows, n_columns)
        Mean and standard deviation of the score over folds; NaN for a pair that was not
        searched. If other parameters were searched too, those of the best of them.
    labels : tuple (row parameter, column parameter, score)
        Names of the two parameters and of the score.
    budget : str, default=""
        Budget of the candidates shown, such as "max_iter=60", in a halving search.

    Attributes
    ----------
    ax_ : Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations", section 5.4.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import SearchDisplay
    >>> X, _ = make_gaussian_peaks(90, random_state=0)
    >>> vae = FactorVAETransformer(max_iter=20, random_state=0)
    >>> grid = {"gamma": [1, 10], "n_components": [1, 2, 3]}
    >>> display = SearchDisplay.from_estimator(GridSearchCV(vae, grid, cv=2).fit(X))
    >>> display.mean.shape
    (3, 2)
    """

    def __init__(self, rows, columns, mean, std, labels, *, budget=""):
        self.rows = rows
        self.columns = columns
        self.mean = mean
        self.std = std
        self.labels = labels
        self.budget = budget

    @classmethod
    def from_estimator(
        cls, search, *, rows="n_components", columns="gamma", score="score"
    ):
        """Create a display from a fitted search.

        Parameters
        ----------
        search : GridSearchCV or another fitted search
            With ``cv_results_``. Of a halving search, the candidates of the last
            iteration are shown: the others were scored with a smaller budget.
        rows : str, default="n_components"
            Parameter of the rows, without the name of the pipeline's step where only
            one step's parameter of this name was searched.
        columns : str, default="gamma"
            Parameter of the columns.
        score : str, default="score"
            Name of the score, if the search has several.

        Returns
        -------
        display : SearchDisplay
            Ready to plot.

        Raises
        ------
        TypeError
            If the search has no ``cv_results_``.
        ValueError
            If a parameter was not searched, several have its name, or the search has
            no such score.
        """
        read = _read_search(search, rows, columns, score)
        labels = (rows, columns, score)
        table = read.values, read.groups, read.mean, read.std
        return cls(*table, labels, budget=read.budget)

    def plot(self, ax=None, *, cmap="cividis"):
        """Plot the heat map, with a frame around the best cell.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None makes a figure.
        cmap : str or Colormap, default="cividis"
            Colours from the lowest to the highest score.

        Returns
        -------
        self : SearchDisplay
            With ``ax_`` and ``figure_``.
        """
        plt = pyplot()
        n_rows, n_columns = self.mean.shape
        ax = one_axes(ax, (1.4 + 1.15 * n_columns, 1.2 + 0.5 * n_rows))
        texts = [
            [f"{m:.3g} ± {s:.2g}" for m, s in zip(*line, strict=True)]
            for line in zip(self.mean, self.std, strict=True)
        ]
        draw_grid(ax, self.mean, "", cmap, texts=texts)
        ax.set_xticks(range(n_columns), [_tick(v) for v in self.columns])
        ax.set_yticks(range(n_rows), [_tick(v) for v in self.rows])
        ax.set_ylabel(self.labels[0], fontsize=9)
        ax.set_xlabel(self.labels[1], fontsize=9)
        if np.isfinite(self.mean).any():
            i, j = np.unravel_index(np.nanargmax(self.mean), self.mean.shape)
            frame = plt.Rectangle(
                (j - 0.5, i - 0.5),
                1,
                1,
                fill=False,
                ec=LEVELS[1],
                lw=3,
                zorder=5,
                clip_on=False,
            )
            ax.add_patch(frame)
        title(ax, self.labels[2], _note(self.budget))
        self.ax_, self.figure_ = ax, ax.figure
        return self

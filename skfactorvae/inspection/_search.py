"""Displays of a search: the score over gamma and the number of components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._matplotlib import LEVELS, one_axes, pyplot, tidy, title
from ._matrix import draw_grid


@dataclass(frozen=True)
class _Surface:
    """Score over two parameters, maximal over all others that were searched."""

    values: np.ndarray  # (a,) of the first parameter
    groups: np.ndarray  # (b,) of the second
    mean: np.ndarray  # (a, b), NaN for a pair that was not searched
    std: np.ndarray  # (a, b), over folds


def _read_search(search, parameter, group, score):
    if not hasattr(search, "cv_results_"):
        raise TypeError(
            f"{type(search).__name__} has no cv_results_: expected a fitted search, "
            "such as GridSearchCV."
        )
    results = search.cv_results_
    if f"mean_test_{score}" not in results:
        known = [n[10:] for n in results if n.startswith("mean_test_")]
        raise ValueError(f"score must be one of {known}, got {score!r}.")
    mean, std = (np.asarray(results[f"{m}_test_{score}"]) for m in ("mean", "std"))
    first = _column(results, parameter)
    if first is None:
        searched = [n[6:] for n in results if n.startswith("param_")]
        raise ValueError(
            f"The search did not vary {parameter!r}; it varied {searched}. Name one "
            "of these."
        )
    second = _column(results, group)
    if second is None:
        second = np.array([""] * len(first), dtype=object)
    return _best(first, second, mean, std)


def _column(results, parameter):
    """Return the values of a searched parameter of any step; None if not searched."""
    for name, values in results.items():
        if name == f"param_{parameter}" or (
            name.startswith("param_") and name.endswith(f"__{parameter}")
        ):
            return np.array(list(values), dtype=object)
    return None


def _best(first, second, mean, std):
    values, groups = (sorted(set(column), key=_order) for column in (first, second))
    shape = len(values), len(groups)
    surface = _Surface(
        np.array(values, dtype=object),
        np.array(groups, dtype=object),
        np.full(shape, np.nan),
        np.full(shape, np.nan),
    )
    for a, b, m, s in zip(first, second, mean, std, strict=True):
        cell = values.index(a), groups.index(b)
        if np.isfinite(m) and not m <= surface.mean[cell]:
            surface.mean[cell], surface.std[cell] = m, s
    return surface


def _order(value):
    is_number = isinstance(value, (int, float, np.number))
    return (not is_number, value if is_number else str(value))


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

    def __init__(self, values, groups, mean, std, labels):
        self.values = values
        self.groups = groups
        self.mean = mean
        self.std = std
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, search, *, parameter="gamma", group="n_components", score="score"
    ):
        """Create a display from a fitted search.

        Parameters
        ----------
        search : GridSearchCV or another fitted search
            With ``cv_results_``.
        parameter : str, default="gamma"
            Parameter of the horizontal axis, without the name of the pipeline's step.
        group : str, default="n_components"
            Parameter with one line for each value, if the search varied it.
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
            If a parameter was not searched, or the search has no such score.
        """
        read = _read_search(search, parameter, group, score)
        labels = (parameter, group, score)
        return cls(read.values, read.groups, read.mean, read.std, labels)

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
            if group != "" and known.any():
                ends.append((self.mean[known, b][-1], f"{group}", colour))
        ax.set_xticks(places, [f"{value}" for value in self.values])
        ax.set_xlabel(self.labels[0], fontsize=9)
        lines = f"one line per {self.labels[1]}, " if ends else ""
        title(ax, self.labels[2], f"{lines}± one sd over folds")
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

    def __init__(self, rows, columns, mean, std, labels):
        self.rows = rows
        self.columns = columns
        self.mean = mean
        self.std = std
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, search, *, rows="n_components", columns="gamma", score="score"
    ):
        """Create a display from a fitted search.

        Parameters
        ----------
        search : GridSearchCV or another fitted search
            With ``cv_results_``.
        rows : str, default="n_components"
            Parameter of the rows, without the name of the pipeline's step.
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
            If a parameter was not searched, or the search has no such score.
        """
        read = _read_search(search, rows, columns, score)
        labels = (rows, columns, score)
        return cls(read.values, read.groups, read.mean, read.std, labels)

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
        ax.set_xticks(range(n_columns), [f"{v}" for v in self.columns])
        ax.set_yticks(range(n_rows), [f"{v}" for v in self.rows])
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
        title(ax, self.labels[2], "± one sd over folds")
        self.ax_, self.figure_ = ax, ax.figure
        return self

"""Scatter plots of pairs of components, coloured by a column or a known factor."""

from __future__ import annotations

import numpy as np

from .._inputs import DISCRETE, FLOAT, INTEGER, TIME, columns, read_column
from .._matplotlib import BLUE, LEVELS, panels, tidy
from .._pipelines import number_names
from ._matrix import codes_of
from ._reading import as_table, names_of_codes, read

MOST_LATENTS = 4
MOST_POINTS = 3000
UNLABELLED = "#D0D4DA"
"""Colour of samples without a value of the factor: a light grey."""

MARKERS = "os^Dv"
"""Markers of levels, one for each round of the colours."""

COLUMNS = 3
"""Panels in a row."""

MOST_NAMES = 30
"""Names of columns that an error lists."""


class LatentPairsDisplay:
    """Scatter plots of pairs of components, coloured by a column or a known factor.

    Where one component represents the factor, colours change along one axis only.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_latents)
        Codes of the components shown.
    latents : ndarray of shape (n_latents,)
        Indices of these components.
    factor : array-like of shape (n_samples,), default=None
        Value that colours each sample. Samples without one (None, NaN, NaT or
        pandas.NA) are grey.
    factor_name : str, default=""
        Name of the factor.
    names : ndarray of str, shape (n_latents,), default=None
        Names of the components. None calls them by their index.

    Attributes
    ----------
    ax_ : ndarray of Axes
        One panel per pair.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Kim & Mnih (2018), "Disentangling by Factorising", Figure 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.inspection import LatentPairsDisplay
    >>> codes = np.random.default_rng(0).normal(size=(100, 5))
    >>> display = LatentPairsDisplay.from_codes(codes, codes[:, 1], latents=[0, 1, 4])
    >>> display.pairs
    [(0, 1), (0, 2), (1, 2)]
    """

    def __init__(self, codes, latents, *, factor=None, factor_name="", names=None):
        self.codes = codes
        self.latents = latents
        self.factor = factor
        self.factor_name = factor_name
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        factor=None,
        *,
        latents=None,
        factor_name=None,
        hue=None,
        c=None,
        feature_names=None,
    ):
        """Create a display from a fitted estimator.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Samples.
        factor : array-like of shape (n_samples,) or str, default=None
            Value that colours each sample: a number, a name, a boolean, a category or a
            time. Samples without one (None, NaN, NaT or pandas.NA) are grey. A string
            is the name of a column of X, or one of ``number_names_`` of the model, such
            as the level of a column.
        latents : array-like of int, default=None
            Indices of at least two components. None takes the first four active ones.
        factor_name : str, default=None
            Name of the factor. None takes the name of a Series or of the column.
        hue, c : array-like of shape (n_samples,) or str, default=None
            Other names of ``factor``, those of seaborn and of matplotlib.
        feature_names : array-like of str, default=None
            Names to use instead of those seen in ``fit`` or of the columns of X.

        Returns
        -------
        display : LatentPairsDisplay
            Ready to plot.

        Raises
        ------
        TypeError
            If the estimator has no components.
        ValueError
            If ``latents`` are not indices of at least two components, or the factor
            does not hold one value per sample.
        """
        reading = read(estimator, feature_names, X)
        factor = _only_one(factor=factor, hue=hue, c=c)
        if isinstance(factor, str):
            name = factor
            factor = _column_of(X, name, reading, feature_names)
            factor_name = name if factor_name is None else factor_name
        codes = codes_of(estimator, X)
        if latents is None:
            used = reading.used_latents(codes.shape[1])
            latents = used if len(used) > 1 else range(codes.shape[1])
            latents = list(latents)[:MOST_LATENTS]
        display = cls.from_codes(
            codes, factor, latents=latents, factor_name=factor_name
        )
        names = reading.component_names(codes.shape[1])
        display.names = names[display.latents]
        return display

    @classmethod
    def from_codes(
        cls, codes, factor=None, *, latents=None, factor_name=None, hue=None, c=None
    ):
        """Create a display from codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_codes)
            Codes, one column for each component; those of a data frame name them.
        factor : array-like of shape (n_samples,), default=None
            Value that colours each sample: a number, a name, a boolean, a category or a
            time. Samples without one (None, NaN, NaT or pandas.NA) are grey.
        latents : array-like of int, default=None
            Indices of at least two components. None takes the first four.
        factor_name : str, default=None
            Name of the factor. None takes the name of a Series.
        hue, c : array-like of shape (n_samples,), default=None
            Other names of ``factor``, those of seaborn and of matplotlib.

        Returns
        -------
        display : LatentPairsDisplay
            Ready to plot.

        Raises
        ------
        ValueError
            If ``latents`` are not indices of at least two components, or the factor
            does not hold one value per sample.
        """
        factor = _only_one(factor=factor, hue=hue, c=c)
        codes, table = np.asarray(codes), codes
        chosen = (
            np.arange(codes.shape[1])[:MOST_LATENTS] if latents is None else latents
        )
        chosen = np.asarray(list(chosen))
        is_index = np.issubdtype(chosen.dtype, np.integer) and len(chosen) > 1
        if not is_index or chosen.min() < 0 or chosen.max() >= codes.shape[1]:
            raise ValueError(
                "latents must hold at least two indices of components, from 0 to "
                f"{codes.shape[1] - 1}; got {chosen.tolist()}."
            )
        column = None if factor is None else _only_column(factor, len(codes))
        name = getattr(column, "name", None) if factor_name is None else factor_name
        name = "" if name is None else str(name)
        return cls(
            codes[:, chosen],
            chosen,
            factor=column,
            factor_name=name,
            names=names_of_codes(table, codes.shape[1])[chosen],
        )

    @property
    def pairs(self):
        """Pairs of columns of ``codes``, one for each panel."""
        n = len(self.latents)
        return [(i, j) for i in range(n) for j in range(i + 1, n)]

    def plot(self, ax=None, *, cmap="viridis"):
        """Plot one panel per pair, with at most 3000 samples, drawn at random.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            One that can be divided, or one for each pair. None makes a figure.
        cmap : str or Colormap, default="viridis"
            Colours of a continuous factor.

        Returns
        -------
        self : LatentPairsDisplay
            With ``ax_`` and ``figure_``.
        """
        axes = panels(ax, len(self.pairs), columns=COLUMNS, size=(2.7, 2.6))
        drawn = np.random.RandomState(0).permutation(len(self.codes))[:MOST_POINTS]
        shown = np.sort(drawn)
        codes = self.codes[shown]
        if self.factor is None:
            self._scatter(axes, codes, color=BLUE)
        else:
            self._plot_factor(axes, codes, shown, cmap)
        for panel, (i, j) in zip(axes, self.pairs, strict=True):
            panel.set_xlabel(self._name(i), fontsize=9)
            panel.set_ylabel(self._name(j), fontsize=9)
            tidy(panel)
        self.ax_, self.figure_ = axes, axes[0].figure
        return self

    def _name(self, i):
        return f"component {self.latents[i]}" if self.names is None else self.names[i]

    def _plot_factor(self, axes, codes, shown, cmap):
        column, label = read_column(self.factor, "factor", shown), self.factor_name
        is_known = np.isfinite(column.values)
        if not is_known.all():
            self._scatter(axes, codes[~is_known], color=UNLABELLED)
            label = f"{label} (grey: unlabelled)".lstrip()
        if not is_known.any() or _is_nominal(column):
            index, levels = column.as_levels()
            if column.content in (INTEGER, FLOAT):  # floats, where some are missing
                levels = levels.astype(int)
            self._plot_levels(axes, codes[is_known], index[is_known], levels, label)
            return
        values, entries = column.values[is_known], np.asarray(self.factor)[shown]
        bar = self._plot_numbers(axes, codes[is_known], values, cmap, label)
        if column.content == TIME:
            ends = [values.argmin(), values.argmax()]
            bar.set_ticks(
                values[ends], labels=[str(t) for t in entries[is_known][ends]]
            )

    def _plot_numbers(self, axes, codes, values, cmap, label):
        points = self._scatter(axes, codes, c=values, cmap=cmap)
        bar = axes[0].figure.colorbar(points, ax=list(axes), shrink=0.8, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label(label, fontsize=9)
        bar.ax.tick_params(labelsize=8)
        return bar

    def _plot_levels(self, axes, codes, index, levels, label):
        handles = []
        for k, level in enumerate(levels):
            turn, colour = divmod(k, len(LEVELS))
            style = {"color": LEVELS[colour], "marker": MARKERS[turn % len(MARKERS)]}
            own = codes[index == k]
            handles += [self._scatter(axes, own, alpha=0.75, label=str(level), **style)]
        # One legend, at the right of the first row of panels.
        axes[min(len(axes), COLUMNS) - 1].legend(
            handles=handles,
            title=label or None,
            loc="upper left",
            bbox_to_anchor=(1.02, 1),
            borderaxespad=0,
            frameon=False,
            markerscale=1.8,
            fontsize=8,
            title_fontsize=9,
            alignment="left",
        )

    def _scatter(self, axes, codes, *, alpha=0.8, **style):
        """Draw samples in every panel; return the points of the last one."""
        size = np.clip(12000 / min(max(len(self.codes), 1), MOST_POINTS), 4, 20)
        for panel, (i, j) in zip(axes, self.pairs, strict=True):
            points = panel.scatter(
                codes[:, i], codes[:, j], s=size, linewidths=0, alpha=alpha, **style
            )
        return points


def _only_column(factor, n_samples):
    """Return a factor of one value per sample as one column."""
    found, _ = columns(factor, "factor")
    if len(found) > 1 or len(found[0]) != n_samples:
        raise ValueError(
            f"factor must hold one value per sample, shape {(n_samples,)}; got "
            f"{(len(found[0]), len(found))[: 1 + (len(found) > 1)]}."
        )
    return found[0]


def _only_one(**given):
    """Return the one of several arguments that is not None; None if all are."""
    found = {name: value for name, value in given.items() if value is not None}
    if len(found) > 1:
        raise TypeError(
            f"{' and '.join(found)} are names of one argument; got several of them. "
            "Give one."
        )
    return next(iter(found.values()), None)


def _column_of(X, name, reading, given_names):
    """Return the column of X that has a name, or the number that a model reads from it.

    Parameters
    ----------
    X : array-like of shape (n, p)
    name : str
    reading : Reading
    given_names : array-like of str or None
        Names by the user, of which `name` then is one.
    """
    numbers = list(reading.feature_names)
    if number_names(reading.model) is None:
        return _nth_column(X, _place(name, numbers))
    own = getattr(reading.found.first_step, "feature_names_in_", None)
    found, seen = columns(X, "X", "x")
    names = list(seen if own is None else own)
    if name in names and (given_names is None or name not in numbers):
        return found[names.index(name)]
    others = [number for number in numbers if number not in names]
    _place(name, [*names, *others])  # lists both in an error
    return reading.numbers(as_table(X))[:, _place(name, numbers)]


def _nth_column(X, place):
    """Return a column of a table of numbers by its position."""
    if hasattr(X, "iloc"):
        return X.iloc[:, place]
    return X[:, place] if hasattr(X, "columns") else np.asarray(X)[:, place]


def _place(name, names):
    """Return the only position of a name.

    Raises
    ------
    ValueError
        If it is not the name of one column.
    """
    if names.count(name) == 1:
        return names.index(name)
    shown = ", ".join(map(repr, names[:MOST_NAMES]))
    rest = len(names) - MOST_NAMES
    raise ValueError(
        f"{name!r} is not the name of one column of X, which are {shown}"
        f"{f' and {rest} more' if rest > 0 else ''}. Give one of them, or an array of "
        "one value per sample."
    )


def _is_nominal(column):
    """Return whether a factor has levels: names, or few different integers."""
    is_whole = column.content == FLOAT and column.kind() == DISCRETE
    if column.content == INTEGER or is_whole:
        return len(column.as_levels()[1]) <= len(LEVELS)
    return column.content not in (FLOAT, TIME)

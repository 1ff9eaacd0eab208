"""Scatter plots of pairs of components, coloured by a known factor."""

from __future__ import annotations

import numpy as np

from .._inputs import FLOAT, INTEGER, TIME, columns, read_column
from ._matplotlib import BLUE, INK, LEVELS, panels, tidy
from ._matrix import codes_of
from ._reading import read

MOST_LATENTS = 4
MOST_POINTS = 3000
UNLABELLED = "#D0D4DA"
"""Colour of samples without a value of the factor: a light grey."""


class LatentPairsDisplay:
    """Scatter plots of pairs of components, coloured by a known factor.

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

    def __init__(self, codes, latents, *, factor=None, factor_name=""):
        self.codes = codes
        self.latents = latents
        self.factor = factor
        self.factor_name = factor_name

    @classmethod
    def from_estimator(
        cls, estimator, X, factor=None, *, latents=None, factor_name=None
    ):
        """Create a display from a fitted estimator.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Samples.
        factor : array-like of shape (n_samples,), default=None
            Value that colours each sample: a number, a name, a boolean, a category or a
            time. Samples without one (None, NaN, NaT or pandas.NA) are grey.
        latents : array-like of int, default=None
            Indices of at least two components. None takes the first four active ones.
        factor_name : str, default=None
            Name of the factor. None takes the name of a Series.

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
        codes = codes_of(estimator, X)
        if latents is None:
            used = read(estimator).used_latents(codes.shape[1])
            latents = used if len(used) > 1 else range(codes.shape[1])
            latents = list(latents)[:MOST_LATENTS]
        return cls.from_codes(codes, factor, latents=latents, factor_name=factor_name)

    @classmethod
    def from_codes(cls, codes, factor=None, *, latents=None, factor_name=None):
        """Create a display from codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_codes)
            Codes, one column for each component.
        factor : array-like of shape (n_samples,), default=None
            Value that colours each sample: a number, a name, a boolean, a category or a
            time. Samples without one (None, NaN, NaT or pandas.NA) are grey.
        latents : array-like of int, default=None
            Indices of at least two components. None takes the first four.
        factor_name : str, default=None
            Name of the factor. None takes the name of a Series.

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
        codes = np.asarray(codes)
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
        return cls(codes[:, chosen], chosen, factor=column, factor_name=name)

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
        axes = panels(ax, len(self.pairs), columns=3, size=(2.7, 2.6))
        drawn = np.random.RandomState(0).permutation(len(self.codes))[:MOST_POINTS]
        shown = np.sort(drawn)
        codes = self.codes[shown]
        if self.factor is None:
            self._scatter(axes, codes, color=BLUE)
        else:
            self._plot_factor(axes, codes, shown, cmap)
        for panel, (i, j) in zip(axes, self.pairs, strict=True):
            panel.set_xlabel(f"component {self.latents[i]}", fontsize=9)
            panel.set_ylabel(f"component {self.latents[j]}", fontsize=9)
            tidy(panel)
        self.ax_, self.figure_ = axes, axes[0].figure
        return self

    def _plot_factor(self, axes, codes, shown, cmap):
        column, label = read_column(self.factor, "factor", shown), self.factor_name
        is_known = np.isfinite(column.values)
        if not is_known.all():
            self._scatter(axes, codes[~is_known], color=UNLABELLED)
            label = f"{label} (grey: unlabelled)".lstrip()
        if not is_known.any() or _is_nominal(column):
            index, levels = column.as_levels()
            if column.content == INTEGER:  # floats, where some are missing
                levels = levels.astype(int)
            self._plot_levels(axes, codes[is_known], index[is_known], levels)
            axes[0].set_title(label, loc="left", fontsize=10)
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

    def _plot_levels(self, axes, codes, index, levels):
        middles = np.zeros((len(levels), codes.shape[1]))
        for k in range(len(levels)):
            middles[k] = np.median(codes[index == k], axis=0)
        clearest = max(range(len(axes)), key=lambda k: _room(middles, self.pairs[k]))
        for k, level in enumerate(levels):
            colour = LEVELS[k % len(LEVELS)]
            self._scatter(axes, codes[index == k], alpha=0.75, color=colour)
            axes[clearest].annotate(
                str(level),
                middles[k, list(self.pairs[clearest])],
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold",
                color=INK,
                bbox={"fc": "white", "ec": colour, "alpha": 0.85, "pad": 1.5},
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


def _room(middles, pair):
    """Return the smallest distance between labels, were they in this panel."""
    places = middles[:, list(pair)]
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return gaps[np.triu_indices(len(places), 1)].min(initial=np.inf)


def _is_nominal(column):
    """Return whether a factor has levels: names, or few different integers."""
    if column.content == INTEGER:
        return len(column.as_levels()[1]) <= len(LEVELS)
    return column.content not in (FLOAT, TIME)

"""One figure of a fitted model: codes, shares of variance and traversals."""

from __future__ import annotations

import numpy as np

from .._matplotlib import LEVELS, pyplot, show_strip, tidy, title
from ._layout import choose_layout
from ._matrix import draw_grid
from ._pairs import LatentPairsDisplay
from ._reading import check_latents, read
from ._table import tabulate
from ._traversal import LatentTraversalDisplay

MOST_LATENTS = 4
"""Components with a panel of their own."""

MOST_FEATURES = 14
"""Columns of a table whose shares are shown."""

LONG_NAME = 13
"""Characters of a column's name above which two panels of bars fill the width."""

LOWER_HEIGHT = {"curve": 2.6, "bars": 3.1, "image": 4.2}
"""Height of the traversals, inches, by the kind of layout."""


class OverviewDisplay:
    """One figure of a fitted model, for a talk or a first look.

    It has a map of two components, coloured by a column, the share of each column's
    variance that each component explains on its own, and the traversals of the most
    informative components.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    pairs : LatentPairsDisplay
        Two components, and the column that colours the samples.
    table : FactorTable
        Effects and shares of variance of all components.
    traversals : LatentTraversalDisplay
        Traversals of the components shown.

    Attributes
    ----------
    ax_ : ndarray of Axes
        The map, the shares, and a panel for each component shown.
    figure_ : Figure
        The figure of these axes.

    See Also
    --------
    explore : An interactive page of the same model.

    References
    ----------
    Higgins et al. (2017), "beta-VAE: Learning basic visual concepts with a constrained
    variational framework", for traversals; Sobol (2001), "Global sensitivity indices
    for nonlinear mathematical models", for shares of variance.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import OverviewDisplay
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> display = OverviewDisplay.from_estimator(vae, X, hue="x50")
    >>> display.table.share.shape
    (3, 100)
    """

    def __init__(self, pairs, table, traversals):
        self.pairs = pairs
        self.table = table
        self.traversals = traversals

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        hue=None,
        latents=None,
        kind="auto",
        x=None,
        feature_names=None,
        image_shape=None,
    ):
        """Create a display from a fitted estimator.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted, with at least two components.
        X : array-like of shape (n_samples, n_features)
            Samples.
        hue : str or array-like of shape (n_samples,), default=None
            Name of the column that colours the map, or a value for each sample. None
            takes the column that the first component shown explains best.
        latents : array-like of int, default=None
            Indices of at least two components: the first two span the map. None takes
            the first four active ones.
        kind : {"auto", "curve", "bars", "image"}, default="auto"
            How to draw a sample; see :class:`LatentTraversalDisplay`.
        x : array-like of shape (n_features,), default=None
            Axis of curves, such as wavelengths or times.
        feature_names : array-like of str, default=None
            Names to use instead of those seen in ``fit`` or of the columns of X.
        image_shape : tuple, default=None
            (height, width) or (channels, height, width). None takes that of the
            estimator.

        Returns
        -------
        display : OverviewDisplay
            Ready to plot.

        Raises
        ------
        TypeError
            If the estimator has no components that can be decoded.
        ValueError
            If it has fewer than two components, a step of the pipeline cannot be
            inverted, or a parameter is out of range.
        """
        reading = read(estimator, feature_names, X)
        layout = choose_layout(
            reading.feature_names,
            model=reading.model,
            kind=kind,
            x=x,
            image_shape=image_shape,
        )
        table = tabulate(reading, reading.survey(X), layout, "quantile")
        latents = _shown(latents, reading, len(table.low))
        if hue is None:
            hue = str(reading.feature_names[table.share[latents[0]].argmax()])
        pairs = LatentPairsDisplay.from_estimator(
            estimator, X, latents=latents[:2], hue=hue, feature_names=feature_names
        )
        traversals = LatentTraversalDisplay.from_estimator(
            estimator,
            X,
            latents=latents,
            kind=layout.kind,
            x=x,
            feature_names=feature_names,
            image_shape=image_shape,
        )
        return cls(pairs, table, traversals)

    def plot(self, *, x_label=None, y_label=None):
        """Plot the figure.

        Parameters
        ----------
        x_label, y_label : str, default=None
            Labels of a curve's axes, with units.

        Returns
        -------
        self : OverviewDisplay
            With ``ax_`` and ``figure_``.
        """
        plt = pyplot()
        kind = self.table.layout.kind
        shape = self._grid()
        lower = LOWER_HEIGHT[kind] * (shape[0] if kind == "bars" else 1)
        figure = plt.figure(figsize=(11, 3.9 + lower), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        rows = figure.add_gridspec(2, 1, height_ratios=(3.9, lower))
        left, right = rows[0].subgridspec(1, 2, width_ratios=(3, 5)).subplots()
        self.pairs.plot(left)
        title(left, "codes")
        self._plot_shares(right, x_label)
        lines = rows[1].subgridspec(*shape).subplots(squeeze=False).ravel()
        self.traversals.plot(lines, x_label=x_label, y_label=y_label, max_features=6)
        for panel in lines if kind == "bars" else ():
            panel.set_xlabel("")  # it is said once
        if kind == "bars":
            figure.supxlabel(
                "Change of the columns from the 2.5 % to the 97.5 % quantile of the "
                "component, in standard deviations",
                fontsize=9,
            )
        panels = self.traversals.ax_
        self.ax_, self.figure_ = np.array([left, right, *panels]), figure
        return self

    def _grid(self):
        """Return the rows and columns of the traversals' panels."""
        n, layout = len(self.traversals.latents), self.table.layout
        if layout.kind == "image":
            return n, 1
        has_long_names = max(len(str(name)) for name in layout.names) > LONG_NAME
        if layout.kind == "bars" and has_long_names:
            return -(-n // 2), min(n, 2)
        return 1, n

    def _plot_shares(self, ax, x_label):
        """Draw the share of each feature's variance by component."""
        latents, layout = self.traversals.latents, self.table.layout
        share = np.minimum(self.table.share[latents], 1.0)
        names = self.table.names[latents]
        title(ax, "share of each column's variance")
        if layout.kind == "curve":
            for j, row in enumerate(share):
                colour = LEVELS[j % len(LEVELS)]
                ax.plot(layout.x, row, color=colour, lw=1.4, label=names[j])
            tidy(ax, grid="y")
            ax.margins(x=0)
            ax.set_ylim(-0.02, 1.02)
            ax.set_xlabel(layout.x_label if x_label is None else x_label, fontsize=9)
            ax.legend(
                loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8
            )
        elif layout.kind == "image":
            middles = show_strip(ax, share, layout, 0, 1)
            ax.set_xticks(middles, names)
        else:
            shown = np.sort(np.argsort(-share.max(axis=0))[:MOST_FEATURES])
            draw_grid(ax, share[:, shown], "{:.2f}", "cividis", limits=(0, 1))
            ax.set_yticks(range(len(names)), names)
            ax.set_xticks(range(len(shown)), layout.names[shown], rotation=40)
            for tick in ax.get_xticklabels():
                tick.set_ha("right")


def _shown(latents, reading, n_latents):
    """Return the indices of the components that are shown."""
    if latents is None:
        used = reading.used_latents(n_latents)
        latents = (used if len(used) > 1 else np.arange(n_latents))[:MOST_LATENTS]
    latents = check_latents(latents, reading, n_latents)
    if len(latents) < 2:
        raise ValueError(
            f"A map needs two components; got {len(latents)}. Show a single component "
            "by LatentTraversalDisplay."
        )
    return latents

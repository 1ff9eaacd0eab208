"""Display of latent traversals: decoded samples as one component moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._layout import choose_layout
from ._matplotlib import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    diverging,
    panels,
    pyplot,
    show_strip,
    tidy,
    title,
)
from ._reading import check_latents, check_unit, read
from ._wording import pair

SPAN = 2.0
"""Standard deviations by which a component moves to either side."""


def paths(survey, latents, positions, unit):
    """Return codes in which one component moves, with the others at their means.

    Parameters
    ----------
    survey : Survey
        Moments of the codes.
    latents : ndarray of shape (l,)
        Indices of the components to move.
    positions : ndarray of shape (s,)
        Positions, in standard deviations from the mean code.
    unit : {"aggregate", "posterior"}
        Which standard deviation.

    Returns
    -------
    ndarray of shape (l, s, d)
    """
    step = survey.step(unit)
    return np.stack(
        [survey.codes_along(j, survey.centre[j] + step[j] * positions) for j in latents]
    )


class LatentTraversalDisplay:
    """Latent traversals: decoded samples as one component moves, others at their mean.

    Samples are drawn as curves (spectra, series), as bars (tables) or as strips of
    images, in the units of the data before any step of a pipeline.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    rows : ndarray of shape (n_latents, n_steps, n_features)
        Decoded samples.
    codes : ndarray of shape (n_latents, n_steps)
        Code of the component that moves.
    positions : ndarray of shape (n_steps,)
        The same in standard deviations from the mean code.
    latents : ndarray of shape (n_latents,)
        Indices of the components.
    feature_std : ndarray of shape (n_features,)
        Standard deviation of each feature in the data, the unit of a bar's length.
    layout : Layout
        Layout of a sample.
    kl : ndarray of shape (n_latents,), default=None
        Information in each component, nats per sample.
    names : ndarray of str, shape (n_latents,), default=None
        Names of the components. None calls them by their index.

    Attributes
    ----------
    ax_ : ndarray of Axes, shape (n_latents,)
        One panel per component.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Higgins et al. (2017), "beta-VAE: Learning basic visual concepts with a constrained
    variational framework", Figures 1 to 4.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import LatentTraversalDisplay
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> display = LatentTraversalDisplay.from_estimator(vae, X, latents=[0, 2])
    >>> display.rows.shape
    (2, 9, 100)
    >>> display.positions
    array([-2. , -1.5, -1. , -0.5,  0. ,  0.5,  1. ,  1.5,  2. ])
    """

    def __init__(
        self,
        rows,
        codes,
        positions,
        latents,
        feature_std,
        layout,
        *,
        kl=None,
        names=None,
    ):
        self.rows = rows
        self.codes = codes
        self.positions = positions
        self.latents = latents
        self.feature_std = feature_std
        self.layout = layout
        self.kl = kl
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        latents=None,
        n_steps=9,
        unit="aggregate",
        kind="auto",
        x=None,
        feature_names=None,
        image_shape=None,
    ):
        """Create a display from a fitted estimator.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted. The transformer may be any step of a pipeline; decoded samples are
            inverse-transformed by the steps before it.
        X : array-like of shape (n_samples, n_features)
            Samples, from which the mean and standard deviation of codes are computed.
        latents : array-like of int, default=None
            Indices of the components to move. None takes the active ones.
        n_steps : int, default=9
            Number of positions from -2 to +2 standard deviations.
        unit : {"aggregate", "posterior"}, default="aggregate"
            Standard deviation of the component over all samples, or of one sample's
            posterior. See :func:`factor_table`.
        kind : {"auto", "curve", "bars", "image"}, default="auto"
            How to draw a sample. "auto" means images if there is an image shape, curves
            if there is an axis or there are more than 40 features, and else bars.
        x : array-like of shape (n_features,), default=None
            Axis of curves, such as wavelengths or times. The name of a Series is its
            label.
        feature_names : array-like of str, default=None
            Names to use instead of those seen in ``fit`` or of the columns of X.
        image_shape : tuple, default=None
            (height, width) or (channels, height, width). None takes that of the
            estimator.

        Returns
        -------
        display : LatentTraversalDisplay
            Ready to plot.

        Raises
        ------
        ValueError
            If a step of the pipeline cannot be inverted, or a parameter is out of
            range.
        """
        check_unit(unit)
        if not isinstance(n_steps, (int, np.integer)) or n_steps < 2:
            raise ValueError(f"n_steps must be an integer >= 2, got {n_steps!r}.")
        reading = read(estimator, feature_names, X)
        layout = choose_layout(
            reading.feature_names,
            model=reading.model,
            kind=kind,
            x=x,
            image_shape=image_shape,
        )
        survey = reading.survey(X)
        latents = check_latents(latents, reading, len(survey.centre))
        positions = np.linspace(-SPAN, SPAN, n_steps)
        codes = paths(survey, latents, positions, unit)
        rows = reading.decode(codes.reshape(-1, codes.shape[-1]))
        return cls(
            rows.reshape(*codes.shape[:2], -1),
            codes[np.arange(len(latents)), :, latents],
            positions,
            latents,
            survey.feature_std,
            layout,
            kl=None if reading.kl is None else np.asarray(reading.kl)[latents],
            names=reading.component_names(len(survey.centre))[latents],
        )

    def plot(self, ax=None, *, x_label=None, y_label=None, max_features=12):
        """Plot one panel per component.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            One that can be divided, or one for each component. None makes a figure.
        x_label, y_label : str, default=None
            Labels of a curve's axes, with units.
        max_features : int, default=12
            Largest number of bars in a panel, those of the largest effects.

        Returns
        -------
        self : LatentTraversalDisplay
            With ``ax_`` and ``figure_``.
        """
        draw: dict[str, Callable[..., Any]] = {
            "curve": self._plot_curves,
            "bars": self._plot_bars,
            "image": self._plot_images,
        }
        labels = {
            "x_label": self.layout.x_label if x_label is None else x_label,
            "y_label": y_label or "",
        }
        self.ax_ = draw[self.layout.kind](ax, max_features=max_features, **labels)
        self.figure_ = self.ax_[0].figure
        for panel, name, note in zip(self.ax_, *self._titles(), strict=True):
            title(panel, name, note)
        return self

    def _titles(self):
        names = self.names
        if names is None:
            names = [f"component {j}" for j in self.latents]
        if self.kl is None:
            return names, [""] * len(names)
        return names, [f"{v:.2f} nats" if np.isfinite(v) else "" for v in self.kl]

    def _plot_curves(self, ax, *, x_label, y_label, **_):
        columns = 3 if len(self.rows) in (5, 6, 9) else min(4, len(self.rows))
        axes = panels(
            ax,
            len(self.rows),
            columns=columns,
            size=(2.9, 2.4),
            sharex=True,
            sharey=True,
        )
        colours = diverging()(np.linspace(0, 1, len(self.positions)))
        order = np.argsort(np.abs(self.positions))[::-1]
        for panel, rows in zip(axes, self.rows, strict=True):
            for step in order[::-1]:
                panel.plot(self.layout.x, rows[step], color=colours[step], lw=1.3)
            tidy(panel, grid="y")
            panel.margins(x=0)
        for i, panel in enumerate(axes):
            if i + columns >= len(axes):
                panel.set_xlabel(x_label, fontsize=9)
                panel.tick_params(labelbottom=True)
            if i % columns == 0:
                panel.set_ylabel(y_label, fontsize=9)
        _label_ends(axes[0], self.positions)
        return axes

    def _plot_bars(self, ax, *, max_features, **_):
        effects = self.rows[:, -1] - self.rows[:, 0]
        lengths = effects / self.layout.scale(self.feature_std)  # (n_latents, p)
        n_bars = min(max_features, lengths.shape[1])
        axes = panels(
            ax,
            len(self.rows),
            columns=3,
            size=(4.1, 0.9 + 0.27 * n_bars),
            sharex=True,
        )
        furthest = max(np.abs(lengths).max(), 1e-9)
        for i, panel in enumerate(axes):
            shown = np.argsort(-np.abs(lengths[i]), kind="stable")[:n_bars][::-1]
            places, values = np.arange(n_bars), lengths[i, shown]
            panel.barh(
                places, values, color=np.where(values < 0, BLUE, ORANGE), height=0.62
            )
            for place, feature in enumerate(shown):
                ends = self.rows[i, [0, -1], feature]
                panel.text(
                    2.9 * furthest,
                    place,
                    " → ".join(pair(*ends)),
                    ha="right",
                    va="center",
                    fontsize=8,
                    color=INK,
                )
            panel.set_yticks(places, self.layout.names[shown])
            panel.axvline(0, color=GREY, linewidth=0.8)
            panel.set_xlim(-1.1 * furthest, 2.9 * furthest)
            panel.xaxis.set_major_locator(_within(furthest))
            tidy(panel)
            panel.spines["left"].set_visible(False)
            panel.tick_params(axis="y", length=0)
            panel.set_xlabel("change, in standard deviations", fontsize=8)
            panel.tick_params(labelbottom=True)
        return axes

    def _plot_images(self, ax, **_):
        n_steps, shape = len(self.positions), self.layout.image_shape
        width = min(10.0, 1.05 * n_steps)
        height = width / n_steps * shape[1] / shape[2] + 0.45
        axes = panels(ax, len(self.rows), columns=1, size=(width, height))
        low, high = self.rows.min(), self.rows.max()
        for panel, rows in zip(axes, self.rows, strict=True):
            middles = show_strip(panel, rows, self.layout, low, high)
            panel.set_xticks([])
        axes[-1].set_xticks(middles, [f"{p:+.1f} sd" for p in self.positions])
        return axes


def _within(furthest):
    """Return a locator of ticks under the bars, not under the numbers beside them."""
    pyplot()
    from matplotlib.ticker import FixedLocator, MaxNLocator

    ticks = MaxNLocator(4).tick_values(-furthest, furthest)
    return FixedLocator(ticks[np.abs(ticks) <= furthest])


def _label_ends(panel, positions):
    """Label the two ends of the range, in their colours."""
    for text, place, align, colour in (
        (f"{positions[0]:+.0f} sd".replace("-", "−"), 0.02, "left", BLUE),
        (f"{positions[-1]:+.0f} sd", 0.98, "right", ORANGE),
    ):
        panel.annotate(
            text,
            (place, 0.98),
            xycoords="axes fraction",
            ha=align,
            va="top",
            color=colour,
            fontsize=9,
            fontweight="bold",
        )

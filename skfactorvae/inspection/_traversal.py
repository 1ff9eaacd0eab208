"""Display of latent traversals: decoded samples as one component moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._matplotlib import (
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
from ._editing import edit
from ._layout import choose_layout, labels_of_channels
from ._reading import check_latents, positions_of, read
from ._wording import pair

VALUES = ("auto", "samples", "differences")

SAME_SHAPE = 0.35
"""Largest movement of a curve, as a share of the range of all curves, that is drawn as
a difference: the curves themselves would coincide."""

STILL = 0.05
"""Movement, as a share of the largest one, below which a part of a curve is still."""

NARROW = 0.5
"""Share of the axis up to which the moving part of curves is shown alone."""


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
        The same as levels of quantiles, or in standard deviations from the mean code.
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
    middle : ndarray of shape (n_features,), default=None
        Sample from which differences are drawn. None takes the mean of ``rows``.
    origin : str, default="mean code"
        What that sample is: "mean code"; where components of one sample move,
        "sample", or "reconstruction of the sample" if its residual is not kept.
    unit : {"quantile", "aggregate", "posterior"}, default="quantile"
        What positions are.

    Attributes
    ----------
    ax_ : ndarray of Axes, shape (n_latents,) or (n_channels * n_latents,)
        One panel per component; of windows, one per channel and component, channel by
        channel.
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
    >>> display.positions.round(2)
    array([0.02, 0.14, 0.26, 0.38, 0.5 , 0.62, 0.74, 0.86, 0.98])
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
        middle=None,
        origin="mean code",
        unit="quantile",
    ):
        self.rows = rows
        self.codes = codes
        self.positions = positions
        self.latents = latents
        self.feature_std = feature_std
        self.layout = layout
        self.kl = kl
        self.names = names
        self.middle = rows.mean(axis=(0, 1)) if middle is None else middle
        self.origin = origin
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        latents=None,
        n_steps=9,
        unit="quantile",
        kind="auto",
        x=None,
        feature_names=None,
        image_shape=None,
        window_shape=None,
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
            Number of positions.
        unit : {"quantile", "aggregate", "posterior"}, default="quantile"
            From where to where a component moves: from the 2.5 % to the 97.5 % quantile
            of its codes; or from -2 to +2 standard deviations over all samples, or of
            one sample's posterior. See :func:`factor_table`.
        kind : {"auto", "curve", "bars", "image"}, default="auto"
            How to draw a sample. "auto" means images if there is an image shape, curves
            if there is an axis or there are more than 40 features, and else bars.
        x : array-like of shape (n_features,) or (n_times,), default=None
            Axis of curves, such as wavelengths or times. The name of a Series is its
            label.
        feature_names : array-like of str, default=None
            Names to use instead of those seen in ``fit`` or of the columns of X.
        image_shape : tuple, default=None
            (height, width) or (channels, height, width). None takes that of the
            estimator.
        window_shape : tuple, default=None
            (n_times, n_channels) of windows that were flattened by
            ``X.reshape(len(X), -1)``. Each channel is drawn as a curve in a panel of
            its own.

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
        _check_steps(n_steps)
        positions = positions_of(unit, n_steps)
        reading = read(estimator, feature_names, X)
        layout = choose_layout(
            reading.feature_names,
            model=reading.model,
            kind=kind,
            x=x,
            image_shape=image_shape,
            window_shape=window_shape,
        )
        survey = reading.survey(X)
        latents = check_latents(latents, reading, len(survey.centre))
        codes = survey.paths(latents, positions, unit)
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
            middle=reading.decode(survey.centre[None])[0],
            unit=unit,
        )

    @classmethod
    def from_sample(
        cls,
        estimator,
        sample,
        X,
        *,
        latents=None,
        n_steps=9,
        keep_residual=True,
        kind="auto",
        x=None,
        feature_names=None,
        image_shape=None,
        window_shape=None,
    ):
        """Create a display of one sample with one component moved at a time.

        The sample is edited, as by :func:`edit`: other components stay where they are
        for this sample, and with an odd `n_steps` the middle is the sample itself.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted.
        sample : array-like of shape (1, n_features) or (n_features,)
            The sample.
        X : array-like of shape (n_samples, n_features)
            Samples, whose standard deviation of each component is the unit.
        latents : array-like of int, default=None
            Indices of the components to move. None takes the active ones.
        n_steps : int, default=9
            Number of positions from -2 to +2 standard deviations.
        keep_residual : bool, default=True
            Whether what the model does not reconstruct of the sample is kept.
        kind : {"auto", "curve", "bars", "image"}, default="auto"
            How to draw a sample. See :meth:`from_estimator`.
        x : array-like of shape (n_features,) or (n_times,), default=None
            Axis of curves, such as wavelengths or times.
        feature_names : array-like of str, default=None
            Names to use instead of those seen in ``fit`` or of the columns of X.
        image_shape : tuple, default=None
            (height, width) or (channels, height, width). None takes that of the
            estimator.
        window_shape : tuple, default=None
            (n_times, n_channels) of windows that were flattened by
            ``X.reshape(len(X), -1)``. Each channel is drawn as a curve in a panel of
            its own.

        Returns
        -------
        display : LatentTraversalDisplay
            Ready to plot. ``codes`` and ``positions`` are relative to the sample.

        Raises
        ------
        ValueError
            If a step of the pipeline cannot be inverted, or a parameter is out of
            range.
        """
        _check_steps(n_steps)
        reading = read(estimator, feature_names, X)
        layout = choose_layout(
            reading.feature_names,
            model=reading.model,
            kind=kind,
            x=x,
            image_shape=image_shape,
            window_shape=window_shape,
        )
        survey = reading.survey(X)
        latents = check_latents(latents, reading, len(survey.centre))
        positions = positions_of("aggregate", n_steps)
        one = sample if hasattr(sample, "columns") else np.atleast_2d(sample)
        options = {"reference": X, "keep_residual": keep_residual}
        edited = (edit(estimator, one, {j: positions}, **options) for j in latents)
        rows = [reading.numbers(each) for each in edited]
        still = edit(estimator, one, {latents[0]: [0.0]}, **options)
        return cls(
            np.stack(rows),
            survey.step("aggregate")[latents, None] * positions,
            positions,
            latents,
            survey.feature_std,
            layout,
            kl=None if reading.kl is None else np.asarray(reading.kl)[latents],
            names=reading.component_names(len(survey.centre))[latents],
            middle=reading.numbers(still)[0],
            origin="sample" if keep_residual else "reconstruction of the sample",
            unit="aggregate",
        )

    def plot(
        self,
        ax=None,
        *,
        values="auto",
        zoom=True,
        x_label=None,
        y_label=None,
        max_features=12,
    ):
        """Plot one panel per component.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            One that can be divided, or one for each component (and channel of windows,
            channel by channel). None makes a figure.
        values : {"auto", "samples", "differences"}, default="auto"
            What curves and images show: decoded samples, or their differences from the
            decoded sample of the mean code, or from the sample that is edited. "auto"
            means differences for curves that move by less than a third of their range,
            so that they would coincide.
        zoom : bool, default=True
            Whether curves show only the part of the axis in which something moves, if
            that is less than half of it.
        x_label, y_label : str, default=None
            Labels of a curve's axes, with units. Of windows, ``y_label`` can be a
            sequence of one label for each channel.
        max_features : int, default=12
            Largest number of bars in a panel, those of the largest effects.

        Returns
        -------
        self : LatentTraversalDisplay
            With ``ax_`` and ``figure_``.

        Raises
        ------
        ValueError
            If ``values`` is unknown, or axes do not fit.
        """
        if values not in VALUES:
            raise ValueError(f"values must be one of {sorted(VALUES)}, got {values!r}.")
        draw: dict[str, Callable[..., Any]] = {
            "curve": self._plot_curves,
            "bars": self._plot_bars,
            "image": self._plot_images,
        }
        labels = {
            "x_label": self.layout.x_label if x_label is None else x_label,
            "y_label": y_label,
            "are_differences": self._are_differences(values),
            "zoom": zoom,
        }
        self.ax_ = draw[self.layout.kind](ax, max_features=max_features, **labels)
        self.figure_ = self.ax_[0].figure
        first = self.ax_[: len(self.rows)]
        for panel, name, note in zip(first, *self._titles(), strict=True):
            title(panel, name, note)
        return self

    def _titles(self):
        names = self.names
        if names is None:
            names = [f"component {j}" for j in self.latents]
        if self.kl is None:
            return names, [""] * len(names)
        return names, [f"{v:.2f} nats" if np.isfinite(v) else "" for v in self.kl]

    def _are_differences(self, values):
        """Return whether to draw differences from the middle."""
        if values == "auto":
            curves = self.layout.channels(self.rows)  # (latents, steps, times, C)
            movement = np.ptp(curves, axis=1).max(axis=(0, 1))
            is_small = movement < SAME_SHAPE * np.ptp(curves, axis=(0, 1, 2))
            return self.layout.kind == "curve" and bool(is_small.all())
        return values == "differences"

    def _drawn(self, are_differences):
        return self.rows - self.middle if are_differences else self.rows

    def _moving_part(self):
        """Return the ends of the axis between which curves move, as places of it."""
        moves = self.layout.channels(np.ptp(self.rows, axis=1).max(axis=0))
        movement = (moves / np.maximum(moves.max(axis=0), 1e-300)).max(axis=1)
        x = self.layout.x[movement > STILL * movement.max()]
        whole = np.ptp(self.layout.x)
        if not len(x) or np.ptp(x) > NARROW * whole:
            return None
        margin = 0.25 * np.ptp(x) + 0.01 * whole
        low, high = self.layout.x.min(), self.layout.x.max()
        return max(low, x.min() - margin), min(high, x.max() + margin)

    def _plot_curves(self, ax, *, x_label, y_label, are_differences, zoom, **_):
        n_latents, n_channels = len(self.rows), self.layout.n_channels
        is_window = n_channels > 1
        columns = 3 if n_latents in (5, 6, 9) else min(4, n_latents)
        columns = n_latents if is_window else columns
        axes = panels(
            ax,
            n_latents * n_channels,
            columns=columns,
            size=(2.6, 2.0) if is_window else (2.9, 2.4),
            sharex=True,
            sharey="row" if is_window else True,
        )
        n = len(self.positions)
        colours = diverging()(np.linspace(0, 1, n))
        part = self._moving_part() if zoom else None
        labels = labels_of_channels(y_label, n_channels)
        if y_label is None and are_differences:
            note = f"difference from the {self.origin}"
            labels = [f"{name}\n{note}".strip() for name in labels]
        order = np.argsort(np.abs(np.arange(n) - (n - 1) / 2), kind="stable")
        drawn = self.layout.channels(self._drawn(are_differences))
        curves = np.moveaxis(drawn, -1, 0).reshape(len(axes), n, -1)
        for panel, rows in zip(axes, curves, strict=True):
            for step in order[::-1]:
                panel.plot(self.layout.x, rows[step], color=colours[step], lw=1.3)
            tidy(panel, grid="y")
            panel.margins(x=0)
            if part is not None:
                panel.set_xlim(part)
        for i, panel in enumerate(axes):
            if i + columns >= len(axes):
                panel.set_xlabel(x_label, fontsize=9)
                panel.tick_params(labelbottom=True)
            if i % columns == 0:
                panel.set_ylabel(labels[i // n_latents], fontsize=9)
        _label_ends(axes[0], [self._position(p) for p in self.positions[[0, -1]]])
        return axes

    def _position(self, position):
        """Return a position in words."""
        if self.unit == "quantile":
            return f"{100 * position:.3g} %"
        return f"{position:+.3g} sd".replace("-", "−")

    def _plot_bars(self, ax, *, max_features, **_):
        effects = self.rows[:, -1] - self.rows[:, 0]
        lengths = effects / self.layout.scale(self.feature_std)  # (n_latents, p)
        lengths = np.nan_to_num(lengths)  # of columns without values
        n_bars = min(max_features, lengths.shape[1])
        axes = panels(
            ax,
            len(self.rows),
            columns=2 if len(self.rows) == 4 else 3,
            size=(4.1, 0.9 + 0.27 * n_bars),
            sharex=True,
        )
        furthest = max(np.abs(lengths).max(), 1e-9)
        ends = " to ".join(self._position(p) for p in self.positions[[0, -1]])
        for i, panel in enumerate(axes):
            shown = np.argsort(-np.abs(lengths[i]), kind="stable")[:n_bars][::-1]
            places, values = np.arange(n_bars), lengths[i, shown]
            panel.barh(
                places, values, color=np.where(values < 0, BLUE, ORANGE), height=0.62
            )
            for place, feature in enumerate(shown):
                there = self.rows[i, [0, -1], feature]
                panel.text(
                    2.9 * furthest,
                    place,
                    " → ".join(pair(there[0], there[1], self.feature_std[feature])),
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
            panel.set_xlabel(
                f"change from {ends}, in standard deviations",
                fontsize=8,
            )
            panel.tick_params(labelbottom=True)
        return axes

    def _plot_images(self, ax, *, are_differences, **_):
        n_steps, shape = len(self.positions), self.layout.image_shape
        width = min(10.0, 1.05 * n_steps)
        height = width / n_steps * shape[1] / shape[2] + 0.45
        axes = panels(ax, len(self.rows), columns=1, size=(width, height))
        drawn = self._drawn(are_differences)
        low, high = np.nanmin(drawn), np.nanmax(drawn)
        if are_differences:
            low, high = -np.nanmax(np.abs(drawn)), np.nanmax(np.abs(drawn))
        for panel, rows in zip(axes, drawn, strict=True):
            middles = show_strip(panel, rows, self.layout, low, high)
            panel.set_xticks([])
        axes[-1].set_xticks(middles, [self._position(p) for p in self.positions])
        return axes


def _check_steps(n_steps):
    if not isinstance(n_steps, (int, np.integer)) or n_steps < 2:
        raise ValueError(f"n_steps must be an integer >= 2, got {n_steps!r}.")


def _within(furthest):
    """Return a locator of ticks under the bars, not under the numbers beside them."""
    pyplot()
    from matplotlib.ticker import FixedLocator, MaxNLocator

    ticks = MaxNLocator(4).tick_values(-furthest, furthest)
    return FixedLocator(ticks[np.abs(ticks) <= furthest])


def _label_ends(panel, texts):
    """Label the two ends of the range, in their colours."""
    for text, place, align, colour in (
        (texts[0], 0.02, "left", BLUE),
        (texts[1], 0.98, "right", ORANGE),
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
            bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 1},
        )

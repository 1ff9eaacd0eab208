"""Display of samples and their reconstructions."""

from __future__ import annotations

import numpy as np

from .._matplotlib import (
    BLUE,
    GREY,
    ORANGE,
    one_axes,
    panels,
    show_strip,
    tidy,
    title,
)
from .._moments import sum_columns
from ._layout import choose_layout, labels_of_channels
from ._reading import as_table, name_features, numbers, read, spans, take


class ReconstructionDisplay:
    """Samples and their reconstructions, from the best to the worst.

    Parameters
    ----------
    rows, reconstructions : ndarray of shape (n_shown, n_features)
        Some samples with values, by ascending error, and their reconstructions.
    index : ndarray of shape (n_shown,)
        Their indices in X.
    errors : ndarray of shape (n_samples,)
        Root mean square error of every sample: for a table, with each feature in its
        own standard deviations; for curves and images, in the root mean square of all
        standard deviations; for windows, in that of the channel. NaN for a sample
        without values.
    r2 : ndarray of shape (n_features,)
        R² of each feature, the share of its variance that is reconstructed; at most 1,
        NaN for a constant feature.
    layout : Layout
        Layout of a sample.

    Attributes
    ----------
    ax_ : Axes or ndarray of Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Kingma & Welling (2014), "Auto-Encoding Variational Bayes", Appendix A.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import ReconstructionDisplay
    >>> X, _ = make_gaussian_peaks(100, random_state=0)
    >>> display = ReconstructionDisplay.from_estimator(PCA(20).fit(X), X)
    >>> bool(display.errors.max() < 0.2)
    True
    """

    def __init__(self, rows, reconstructions, index, errors, r2, layout):
        self.rows = rows
        self.reconstructions = reconstructions
        self.index = index
        self.errors = errors
        self.r2 = r2
        self.layout = layout

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_rows=6,
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
            Fitted. Reconstructions are inverse-transformed by the steps of a pipeline
            before the transformer.
        X : array-like of shape (n_samples, n_features)
            Samples.
        n_rows : int, default=6
            Number of samples to show: quantiles of the error, from the best to the
            worst.
        kind : {"auto", "curve", "bars", "image"}, default="auto"
            How to draw a sample; for a table, the R² of its features is drawn instead.
        x : array-like of shape (n_features,) or (n_times,), default=None
            Axis of curves.
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
        display : ReconstructionDisplay
            Ready to plot.

        Raises
        ------
        TypeError
            If the estimator has no components.
        ValueError
            If a step of the pipeline cannot be inverted, or a parameter is out of
            range.
        """
        reading = read(estimator, feature_names, X)
        layout = choose_layout(
            reading.feature_names,
            model=reading.model,
            kind=kind,
            x=x,
            image_shape=image_shape,
            window_shape=window_shape,
        )

        X = as_table(X)

        def back(rows):
            return reading.decode(reading.moments(take(X, rows))[0])

        def read_rows(rows):
            return reading.numbers(take(X, rows))

        return cls._of_rows(X.shape[0], read_rows, back, n_rows, layout)

    @classmethod
    def from_predictions(
        cls,
        X,
        reconstructions,
        *,
        n_rows=6,
        kind="auto",
        x=None,
        feature_names=None,
        image_shape=None,
        window_shape=None,
    ):
        """Create a display from samples and their reconstructions.

        Parameters
        ----------
        X, reconstructions : array-like of shape (n_samples, n_features)
            Samples, and their reconstructions.
        n_rows : int, default=6
            Number of samples to show.
        kind : {"auto", "curve", "bars", "image"}, default="auto"
            How to draw a sample.
        x : array-like of shape (n_features,) or (n_times,), default=None
            Axis of curves.
        feature_names : array-like of str, default=None
            Names of the features. None takes the columns of a DataFrame.
        image_shape : tuple, default=None
            (height, width) or (channels, height, width).
        window_shape : tuple, default=None
            (n_times, n_channels) of windows that were flattened.

        Returns
        -------
        display : ReconstructionDisplay
            Ready to plot.

        Raises
        ------
        ValueError
            If both tables are not two-dimensional and of one shape, or a parameter is
            out of range.
        """
        if np.shape(X) != np.shape(reconstructions) or len(np.shape(X)) != 2:
            raise ValueError(
                "X and reconstructions must be two-dimensional, of the same shape; got "
                f"{np.shape(X)} and {np.shape(reconstructions)}."
            )
        names = name_features(np.shape(X)[1], feature_names, X)
        layout = choose_layout(
            names, kind=kind, x=x, image_shape=image_shape, window_shape=window_shape
        )

        reconstructions = as_table(reconstructions)
        X = as_table(X)
        return cls._of_rows(
            X.shape[0],
            lambda rows: numbers(take(X, rows)),
            lambda rows: numbers(take(reconstructions, rows)),
            n_rows,
            layout,
        )

    @classmethod
    def _of_rows(cls, n_samples, given, back, n_rows, layout):
        """Compare ``given(rows)`` with ``back(rows)``, reconstructions, in chunks."""
        if not isinstance(n_rows, (int, np.integer)) or n_rows < 1:
            raise ValueError(f"n_rows must be an integer >= 1, got {n_rows!r}.")
        parts_of_table = list(spans(n_samples, len(layout.names)))
        std, is_constant = _spread(map(given, parts_of_table))
        scale = layout.scale(np.where(is_constant, 0.0, std))
        scale = np.where(np.isfinite(scale), scale, 1.0)
        misses, seen = np.zeros(len(std)), np.zeros(len(std))
        parts = []
        for rows in parts_of_table:
            miss = given(rows) - back(rows)
            misses += np.nansum(np.square(miss), axis=0)
            seen += (~np.isnan(miss)).sum(axis=0)
            parts.append(_row_errors(miss / scale))
        errors = np.concatenate(parts)
        order = np.argsort(errors, kind="stable")  # samples without values are last
        n_known = np.count_nonzero(np.isfinite(errors)) or len(errors)
        quantiles = np.linspace(0, n_known - 1, min(n_rows, n_known))
        index = order[quantiles.astype(int)]
        shown = given(index)
        variance = np.where(is_constant, np.nan, np.square(std))
        r2 = 1 - misses / np.maximum(seen, 1) / variance
        return cls(shown, back(index), index, errors, r2, layout)

    def plot(self, ax=None, *, x_label=None, y_label=None):
        """Plot samples and reconstructions; for a table, the R² of each feature.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            For curves, one that can be divided, or one for each sample (and channel of
            windows, channel by channel); else one. None makes a figure.
        x_label, y_label : str, default=None
            Labels of a curve's axes, with units. Of windows, ``y_label`` can be a
            sequence of one label for each channel.

        Returns
        -------
        self : ReconstructionDisplay
            With ``ax_`` and ``figure_``.
        """
        if self.layout.kind == "bars":
            self.ax_ = self._plot_r2(ax)
            self.figure_ = self.ax_.figure
        elif self.layout.kind == "image":
            self.ax_ = self._plot_images(ax)
            self.figure_ = self.ax_.figure
        else:
            x_label = self.layout.x_label if x_label is None else x_label
            self.ax_ = self._plot_curves(ax, x_label, y_label)
            self.figure_ = self.ax_[0].figure
        return self

    def _plot_curves(self, ax, x_label, y_label):
        n_channels, n_rows = self.layout.n_channels, len(self.rows)
        labels = labels_of_channels(y_label, n_channels)
        is_window = n_channels > 1
        columns = n_rows if is_window else min(3, n_rows)
        axes = panels(
            ax,
            n_rows * n_channels,
            columns=columns,
            size=(2.3, 1.7) if is_window else (2.9, 2.2),
            sharex=True,
            sharey="row" if is_window else True,
        )
        curves = [
            np.moveaxis(self.layout.channels(rows), -1, 0).reshape(len(axes), -1)
            for rows in (self.rows, self.reconstructions)
        ]  # (n_channels * n_rows, n_times)
        notes = self._notes()
        for i, (panel, row, back) in enumerate(zip(axes, *curves, strict=True)):
            panel.plot(self.layout.x, row, color=GREY, lw=2.2, alpha=0.7)
            panel.plot(self.layout.x, back, color=ORANGE, lw=1.2)
            tidy(panel, grid="y")
            panel.margins(x=0)
            if i < n_rows:
                title(panel, f"sample {self.index[i]}", notes[i])
            if i + columns >= len(axes):
                panel.set_xlabel(x_label, fontsize=9)
                panel.tick_params(labelbottom=True)
            if i % columns == 0:
                panel.set_ylabel(labels[i // n_rows], fontsize=9)
        for text, y, colour in (("data", 0.97, "#6A6F77"), ("model", 0.86, ORANGE)):
            axes[0].text(
                0.03,
                y,
                text,
                transform=axes[0].transAxes,
                color=colour,
                fontsize=9,
                fontweight="bold",
                va="top",
            )
        return axes

    def _plot_images(self, ax):
        shape = self.layout.image_shape
        width = min(10.0, 1.3 * len(self.rows))
        ax = one_axes(
            ax, (width, 2 * width / len(self.rows) * shape[1] / shape[2] + 0.55)
        )
        low = min(self.rows.min(), self.reconstructions.min())
        high = max(self.rows.max(), self.reconstructions.max())
        stacked = np.concatenate(
            [
                images.reshape(len(images), *shape)
                for images in (self.rows, self.reconstructions)
            ],
            axis=2,
        )
        tall = choose_layout(
            np.concatenate([self.layout.names] * 2),
            kind="image",
            image_shape=(shape[0], 2 * shape[1], shape[2]),
        )
        middles = show_strip(ax, stacked, tall, low, high)
        ax.axhline(shape[1] - 0.5, color="white", linewidth=3)
        ax.set_yticks([shape[1] / 2, 1.5 * shape[1]], ["data", "model"])
        ax.set_xticks(middles, self._notes())
        return ax

    def _plot_r2(self, ax):
        order = np.argsort(np.nan_to_num(self.r2, nan=-np.inf), kind="stable")
        ax = one_axes(ax, (5.2, 0.9 + 0.27 * len(order)))
        values = np.nan_to_num(self.r2[order])
        ax.barh(np.arange(len(order)), values, color=BLUE, height=0.62)
        for place, value in enumerate(self.r2[order]):
            text = "constant" if np.isnan(value) else f"{value:.2f}"
            ax.text(
                max(np.nan_to_num(value), 0) + 0.01,
                place,
                text,
                va="center",
                fontsize=8,
            )
        ax.set_yticks(np.arange(len(order)), self.layout.names[order])
        ax.set_xlim(min(0, values.min()), 1.08)
        ax.set_xlabel("share of variance reconstructed (R²)", fontsize=9)
        tidy(ax)
        ax.tick_params(axis="y", length=0)
        return ax

    def _notes(self):
        return [f"error {self.errors[i]:.2f} sd" for i in self.index]


def _row_errors(misses):
    """Return the root mean square of the known entries of each row; NaN without any."""
    n_known = (~np.isnan(misses)).sum(axis=1)
    total = np.nansum(np.square(misses), axis=1)
    unknown = np.full(len(misses), np.nan)
    return np.sqrt(np.divide(total, n_known, out=unknown, where=n_known > 0))


def _spread(chunks):
    """Return the standard deviation of each column, and whether it is constant."""
    sums = sum_columns((chunk, np.ones(len(chunk))) for chunk in chunks)
    std = np.sqrt(sums.variance)
    return std, std <= 1e-12 * np.abs(sums.mean)

"""Layout of a sample in a plot: a curve, bars or an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._pipelines import number_names

KINDS = ("curve", "bars", "image")
MOST_BARS = 40
"""Number of features up to which a sample without an axis is drawn as bars."""


@dataclass(frozen=True)
class Layout:
    """Layout of a sample in a plot.

    Attributes
    ----------
    kind : {"curve", "bars", "image"}
        What a sample is drawn as.
    names : ndarray of str, shape (p,)
        Names of the features.
    x : ndarray of shape (p / n_channels,)
        Positions of the features on the axis of a curve.
    x_label : str
        Label of that axis.
    image_shape : tuple (channels, height, width) or None
        Shape of an image; None for the other kinds.
    n_channels : int
        Number of curves of a sample, the last axis of a window that was flattened.
    """

    kind: str
    names: np.ndarray
    x: np.ndarray
    x_label: str
    image_shape: tuple[int, int, int] | None
    n_channels: int = 1

    def scale(self, feature_std):
        """Return the standard deviation that scales each feature's changes, (p,).

        Columns of a table differ in units, and each is scaled by its own standard
        deviation. Features of a curve or an image share a unit, and are scaled by the
        root mean square of all standard deviations; of a window, by that of its
        channel. Infinity stands for zero.
        """
        if self.kind != "bars":
            squares = np.square(self.channels(feature_std))  # (p / C, C)
            common = np.sqrt(np.mean(squares, axis=0))
            feature_std = np.broadcast_to(common, squares.shape).ravel()
        return np.where(feature_std > 0, feature_std, np.inf)

    def channels(self, rows):
        """Return samples (..., p) as curves, one for each channel, (..., p / C, C)."""
        return rows.reshape(*rows.shape[:-1], -1, self.n_channels)


def choose_layout(
    names, *, model=None, kind="auto", x=None, image_shape=None, window_shape=None
):
    """Choose the layout of samples.

    With ``kind="auto"``: curves if there is a window shape, images if there is an image
    shape, curves if ``x`` is given, the names of the features are numbers, or there are
    more than 40 features, and bars otherwise.

    Raises
    ------
    ValueError
        If shapes do not fit, or `kind` is unknown.
    """
    if kind != "auto" and kind not in KINDS:
        raise ValueError(f"kind must be 'auto' or one of {list(KINDS)}, got {kind!r}.")
    if window_shape is not None:
        return _of_windows(names, kind, x, window_shape)
    if image_shape is None and kind in ("auto", "image"):
        image_shape = getattr(model, "image_shape", None)
    axis = _axis(x, names)
    if kind == "auto":
        is_long = len(names) > MOST_BARS and number_names(model) is None
        has_axis = axis is not None or is_long
        kind = "image" if image_shape is not None else "curve" if has_axis else "bars"
    if kind == "image":
        image_shape = _checked_shape(image_shape, len(names))
    values, label = axis or (np.arange(len(names), dtype=float), "feature")
    return Layout(kind, names, values, label, image_shape if kind == "image" else None)


def _of_windows(names, kind, x, shape):
    """Return the layout of windows (n_times, n_channels) that were flattened."""
    sizes = tuple(int(size) for size in np.atleast_1d(shape))
    if len(sizes) != 2 or min(sizes) < 1 or np.prod(sizes) != len(names):
        raise ValueError(
            f"window_shape must be (n_times, n_channels), of {len(names)} values in "
            f"total; got {shape!r}. Samples are X.reshape(len(X), -1) of windows "
            "(n_samples, n_times, n_channels)."
        )
    if kind not in ("auto", "curve"):
        raise ValueError(
            f"Windows are drawn as curves: window_shape needs kind='auto' or 'curve', "
            f"got {kind!r}."
        )
    times = np.arange(sizes[0], dtype=float)
    values, label = (times, "time step") if x is None else _axis(x, times)
    return Layout("curve", names, values, label, None, sizes[1])


def _axis(x, names):
    """Return the axis of a curve and its label; None without an axis."""
    if x is None:
        return _numbers_in(names)
    values = np.asarray(x, dtype=np.float64)
    if values.shape != (len(names),) or not np.isfinite(values).all():
        raise ValueError(
            f"x must hold {len(names)} finite numbers, one for each feature, or each "
            f"time of a window; got an array of shape {values.shape}."
        )
    return values, str(getattr(x, "name", None) or "")


def _numbers_in(names):
    """Return names as an axis without a label; None unless all are finite numbers."""
    try:
        values = np.array([float(name) for name in names])
    except ValueError:
        return None
    return (values, "") if np.isfinite(values).all() else None


def _checked_shape(shape, n_features):
    shape = () if shape is None else tuple(int(size) for size in shape)
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) != 3 or shape[0] not in (1, 3) or np.prod(shape) != n_features:
        raise ValueError(
            "Images need image_shape=(height, width) or (channels, height, width), "
            f"with 1 or 3 channels and {n_features} values in total; got {shape}."
        )
    return shape


def labels_of_channels(y_label, n_channels):
    """Return the label of the y axis of each channel.

    Raises
    ------
    ValueError
        If there are several labels, but not one for each channel.
    """
    if y_label is None:
        y_label = [f"channel {c}" for c in range(n_channels)] if n_channels > 1 else ""
    labels = [y_label] * n_channels if isinstance(y_label, str) else list(y_label)
    if len(labels) != n_channels:
        raise ValueError(
            f"y_label must be a text or one for each of {n_channels} channels; got "
            f"{len(labels)}: {labels}."
        )
    return labels

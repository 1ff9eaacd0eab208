"""How a row is drawn: as a curve, as bars, or as an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("curve", "bars", "image")
MOST_BARS = 40
"""Features up to which a row without an axis is a table's, and not a curve."""


@dataclass(frozen=True)
class Layout:
    """The look of a row.

    Attributes
    ----------
    kind : {"curve", "bars", "image"}
    names : ndarray of str, shape (p,)
        Names of the features.
    x : ndarray of shape (p,)
        Where the features lie on a curve's axis.
    x_label : str
        What that axis is.
    image_shape : tuple (channels, height, width) or None
    """

    kind: str
    names: np.ndarray
    x: np.ndarray
    x_label: str
    image_shape: tuple[int, int, int] | None

    def scale(self, feature_std):
        """Return what a change of each feature is compared with, (p,); never zero.

        Columns of a table have units of their own, and are compared with their own
        standard deviations; those of a curve or an image share a unit, and are compared
        with the root mean square of all.
        """
        if self.kind != "bars":
            common = np.sqrt(np.mean(np.square(feature_std)))
            feature_std = np.full(len(feature_std), common)
        return np.where(feature_std > 0, feature_std, np.inf)


def choose_layout(names, *, model=None, kind="auto", x=None, image_shape=None):
    """Say how rows are drawn.

    With ``kind="auto"``: images where an image shape is known, curves where ``x`` is
    given, or the features' names are numbers, or there are more than 40 of them, and
    bars otherwise.

    Raises
    ------
    ValueError
        If shapes disagree, or ``kind`` is not known.
    """
    if kind != "auto" and kind not in KINDS:
        raise ValueError(f"kind must be 'auto' or one of {list(KINDS)}, got {kind!r}.")
    if image_shape is None and kind in ("auto", "image"):
        image_shape = getattr(model, "image_shape", None)
    axis = _axis(x, names)
    if kind == "auto":
        has_axis = axis is not None or len(names) > MOST_BARS
        kind = "image" if image_shape is not None else "curve" if has_axis else "bars"
    if kind == "image":
        image_shape = _checked_shape(image_shape, len(names))
    values, label = axis or (np.arange(len(names), dtype=float), "feature")
    return Layout(kind, names, values, label, image_shape if kind == "image" else None)


def _axis(x, names):
    """Return a curve's axis and its label, or None where there is none."""
    if x is None:
        try:
            return np.array([float(name) for name in names]), ""
        except ValueError:
            return None
    values = np.asarray(x, dtype=np.float64)
    if values.shape != (len(names),) or not np.isfinite(values).all():
        raise ValueError(
            f"x must hold {len(names)} finite numbers, one for each feature; got an "
            f"array of shape {values.shape}."
        )
    return values, str(getattr(x, "name", None) or "")


def _checked_shape(shape, n_features):
    shape = () if shape is None else tuple(int(size) for size in shape)
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) != 3 or shape[0] not in (1, 3) or np.prod(shape) != n_features:
        raise ValueError(
            "Images need image_shape=(height, width) or (channels, height, width), "
            f"with 1 or 3 channels and {n_features} values in all; got {shape}."
        )
    return shape

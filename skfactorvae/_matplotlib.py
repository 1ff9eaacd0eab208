"""Style shared by all plots. matplotlib is imported when one is drawn."""

from __future__ import annotations

import math

import numpy as np

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, YELLOW, GREY, INK = "#56B4E9", "#E69F00", "#8A8F98", "#22262B"
LEVELS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, INK, GREY)
"""Colours of Okabe & Ito, which colour-blind readers can distinguish."""


def pyplot():
    """Import matplotlib, or raise an error with advice."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Plotting needs matplotlib: pip install 'skfactorvae[plot]'. The numbers "
            "are in the attributes of the display, without it."
        ) from error
    return plt


def diverging():
    """Return a colour map from low to high: blue, grey, vermilion."""
    pyplot()
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("low_high", [BLUE, "#C9CCD1", ORANGE])


def one_axes(ax, size):
    """Return the axes to draw on; new ones for None."""
    plt = pyplot()
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def panels(ax, n, *, columns, size, **options):
    """Return ``n`` axes, as an array.

    Parameters
    ----------
    ax : Axes, array-like of Axes or None
        None makes a figure. One Axes is replaced by a grid of panels in its place.
        Several are used in their order.
    n : int
        Number of panels.
    columns : int
        Columns of the grid.
    size : tuple
        Width and height of a panel, inches.
    **options
        For ``subplots``.
    """
    plt = pyplot()
    columns = min(n, columns)
    grid = math.ceil(n / columns), columns
    if ax is None:
        figure, axes = plt.subplots(
            *grid,
            figsize=(size[0] * columns, size[1] * grid[0]),
            layout="constrained",
            squeeze=False,
            **options,
        )
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    elif isinstance(ax, plt.Axes):
        axes = _divided(ax, n, grid, options)
    else:
        axes = np.asarray(ax, dtype=object)
    axes = axes.ravel()
    if len(axes) < n:
        raise ValueError(
            f"This plot has {n} panels; got {len(axes)} axes. Pass one for each panel, "
            "or ax=None."
        )
    for unused in axes[n:]:
        unused.set_axis_off()
    return axes[:n]


def _divided(ax, n, grid, options):
    if n == 1:
        return np.array([ax], dtype=object)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            f"This plot has {n} panels and needs ax=None, one Axes made by subplots, "
            f"which can be divided, or {n} Axes; got one that cannot be divided."
        )
    ax.set_axis_off()
    return place.subgridspec(*grid).subplots(squeeze=False, **options)


def tidy(ax, *, grid=None):
    """Remove or lighten what is not data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(color=GREY, labelsize=8)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(axis=grid, color="#E6E8EB", linewidth=0.8)


def title(ax, text, note=""):
    """Write the title of a panel at its left, and a note at its right."""
    ax.set_title(text, loc="left", fontsize=10, fontweight="bold", color=INK)
    if note:
        ax.set_title(note, loc="right", fontsize=8, color="#5F6670")


def picture(row, layout, low, high):
    """Return a sample as an image for imshow, scaled to [0, 1]."""
    span = high - low if high > low else 1.0
    image = np.clip((row.reshape(layout.image_shape) - low) / span, 0, 1)
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)


def show_strip(ax, rows, layout, low, high):
    """Draw samples as images side by side; return their centres on the axis."""
    images = [picture(row, layout, low, high) for row in rows]
    gap = max(1, images[0].shape[1] // 12)
    white = np.ones((len(images[0]), gap, *images[0].shape[2:]))
    parts = [part for image in images for part in (white, image)][1:]
    ax.imshow(np.concatenate(parts, axis=1), cmap="gray", vmin=0, vmax=1)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=8)
    width = images[0].shape[1]
    return np.arange(len(images)) * (width + gap) + (width - 1) / 2

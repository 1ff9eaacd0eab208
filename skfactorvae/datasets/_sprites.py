r"""Images of flat shapes at different positions."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from ._base import check_parameters, levels, take_factors
from ._render import coverage, deliver_images, images_of, pixel_centres

_DSPRITES = (
    levels("shape", 3),
    levels("scale", 6),
    levels("orientation", 40),
    levels("position_x", 32),
    levels("position_y", 32),
)


def _square(u, v):
    return 9.6 - np.maximum(np.abs(u), np.abs(v))


def _ellipse(u, v):
    return 7.2 * (1 - np.hypot(u / 12.8, v / 7.2))


def _heart(u, v):
    """Convex hull of a disc and the tip, and its mirror image."""
    x, y, radius, tip = 4.6, -4.0, 5.2, 8.75
    length = np.hypot(x, tip - y)
    axis_u, axis_v = -x / length, (tip - y) / length  # from the disc to the tip
    du, dv = np.abs(u) - x, v - y
    along = du * axis_u + dv * axis_v
    across = np.abs(dv * axis_u - du * axis_v)
    sine = radius / length  # of the angle between the axis and the straight flank
    cosine = np.sqrt(1 - sine**2)
    foot = cosine * along - sine * across
    to_disc = np.hypot(along, across) - radius
    to_tip = np.hypot(along - length, across)
    to_flank = sine * along + cosine * across - radius
    return -np.where(
        foot < 0, to_disc, np.where(foot > cosine * length, to_tip, to_flank)
    )


_OUTLINES = (_square, _ellipse, _heart)  # signed distances, positive inside, scale 1


def make_dsprites_like(
    n_samples=1000,
    *,
    image_size=64,
    antialias=0.0,
    noise=0.0,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make white shapes on black in the layout of dSprites.

    The geometry is measured from published frames of dSprites [1]_; every image is
    rendered from a formula and none of the original is redistributed. The canvas is 64
    by 64 with :math:`y` downwards and pixel centres at half integers. A shape of levels
    :math:`(k_s, k_\theta, k_x, k_y)` has scale, angle and centre

    .. math::
        s = 0.5 + 0.1 k_s, \quad \theta = 2\pi k_\theta / 39, \quad
        (c_x, c_y) = (16 + 32 k_x / 31,\; 16 + 32 k_y / 31)

    and fills, in its own coordinates

    .. math::
        u &= ((x - c_x)\cos\theta - (y - c_y)\sin\theta) / s \\
        v &= ((x - c_x)\sin\theta + (y - c_y)\cos\theta) / s

    - square: :math:`\max(|u|, |v|) < 9.6`
    - ellipse: :math:`(u / 12.8)^2 + (v / 7.2)^2 < 1`
    - heart: :math:`(|u|, v)` in the convex hull of the disc of radius 5.2 around
      (4.6, -4) and the tip (0, 8.75).

    =============== ================================= =========================
    factor          levels                            meaning of a level
    =============== ================================= =========================
    ``shape``       0, 1, 2                           square, ellipse, heart
    ``scale``       0, ..., 5                         0.5 to 1 by 0.1
    ``orientation`` 0, ..., 39                        whole turn; 0 and 39 agree
    ``position_x``  0, ..., 31                        16 to 48 of 64, rightwards
    ``position_y``  0, ..., 31                        16 to 48 of 64, downwards
    =============== ================================= =========================

    All levels are equally likely and independent. Position and scale can be recovered,
    each coordinate by one component. Shape is discrete, and orientation is circular
    with a period of a quarter turn for the square and a half turn for the ellipse: one
    Gaussian component for each is impossible, so a disentanglement score of 1 on these
    images means that the metric is wrong.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images, at least 1. Ignored when `factors` is given.

    image_size : int, default=64
        Height and width in pixels, at least 8; the canvas is scaled to it.

    antialias : float, default=0.0
        Width of the edges in pixels, >= 0. With 0 the images are binary, as the
        original's. The ellipse's edge is wider at the ends of its long axis.

    noise : float, default=0.0
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors and lies in [0, 1].

    factors : array-like of shape (n, 5), default=None
        Levels within the ranges above, instead of random ones.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple.

    random_state : int, RandomState instance or None, default=None
        Determines the factors and the noise. Pass an int for reproducible output
        across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, image_size * image_size), dtype float32
        One flattened image per sample; ``X.reshape(-1, image_size, image_size)`` shows
        them.

    factors : ndarray of shape (n_samples, 5), dtype int64
        Columns shape, scale, orientation, position_x, position_y.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (5, 2),
        `discrete_factors` (boolean, shape (5,)) and `image_shape`,
        (1, image_size, image_size).

    References
    ----------
    .. [1] Matthey, Higgins, Hassabis & Lerchner (2017), "dSprites: Disentanglement
       testing Sprites dataset", https://github.com/google-deepmind/dsprites-dataset

    Examples
    --------
    >>> from skfactorvae.datasets import make_dsprites_like
    >>> X, factors = make_dsprites_like(n_samples=20, random_state=0)
    >>> X.shape, factors.shape
    ((20, 4096), (20, 5))
    >>> X, _ = make_dsprites_like(factors=[[0, 5, 0, 16, 16]])  # one upright square
    >>> int(X.sum())  # pixels, of 19.2 squared
    361
    """
    check_parameters(n_samples=n_samples, image_size=image_size, noise=noise)
    check_parameters(antialias=antialias)
    rng = check_random_state(random_state)
    factors = take_factors(_DSPRITES, factors, n_samples, rng)
    return deliver_images(
        partial(_draw_sprites, image_size=image_size, antialias=antialias),
        factors,
        _DSPRITES,
        (1, image_size, image_size),
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
    )


def _draw_sprites(levels, *, image_size, antialias):
    """Return images of shape (m, image_size, image_size)."""
    images = np.empty((len(levels), image_size, image_size), dtype=np.float32)
    for shape, outline in enumerate(_OUTLINES):
        rows = levels[:, 0] == shape
        u, v, scale = _own_coordinates(levels[rows, 1:], image_size)
        distance = outline(u, v) * scale * (image_size / 64)  # in pixels
        images[rows] = coverage(distance, antialias)
    return images


def _own_coordinates(levels, image_size):
    """Return u and v of shape (m, size, size), and the scale of shape (m, 1, 1)."""
    scale, turn, right, down = images_of(*levels.T)
    scale, angle = 0.5 + 0.1 * scale, 2 * np.pi * turn / 39
    x, y = pixel_centres(image_size, 64.0)
    dx, dy = x - (16 + 32 * right / 31), y - (16 + 32 * down / 31)
    cosine, sine = np.cos(angle), np.sin(angle)
    return (dx * cosine - dy * sine) / scale, (dx * sine + dy * cosine) / scale, scale


def make_xy_squares(
    n_samples=1000,
    *,
    image_size=64,
    n_squares=3,
    square_size=8,
    spacing=8,
    noise=0.0,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make squares that move on a grid, one colour channel each: a negative control.

    Square :math:`k` is drawn in channel :math:`k` only, so squares never occlude each
    other. Its top left pixel is at column ``spacing * x_k`` and row ``spacing * y_k``.

    ============ ====================================================== =========
    factor       levels                                                 unit
    ============ ====================================================== =========
    ``x0``, ...  0, ..., (image_size - square_size) // spacing          `spacing`
                 (8 levels by default)                                  pixels
    ``y0``, ...  the same, downwards                                    the same
    ============ ====================================================== =========

    The columns are x0, y0, x1, y1, and so on. All factors are independent and uniform,
    and the image determines them. Nevertheless, **with** ``spacing >= square_size`` **a
    variational autoencoder does not find them**: two positions of a square never
    overlap, hence any two are equally far apart in pixels, and the reconstruction loss
    carries no information about which are neighbours [1]_. With ``spacing=1`` or 2 the
    overlap provides this information. A method that succeeds at spacing 8 probably uses
    more than the reconstruction of pixels.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images, at least 1. Ignored when `factors` is given.

    image_size : int, default=64
        Height and width in pixels, at least 8.

    n_squares : int, default=3
        Number of squares, and of channels, at least 1.

    square_size : int, default=8
        Side of a square in pixels, at least 1.

    spacing : int, default=8
        Distance of neighbouring positions in pixels, at least 1.

    noise : float, default=0.0
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors and holds zeros and ones.

    factors : array-like of shape (n, 2 * n_squares), default=None
        Levels within the ranges above, instead of random ones.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple.

    random_state : int, RandomState instance or None, default=None
        Determines the factors and the noise. Pass an int for reproducible output
        across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, n_squares * image_size**2), dtype float32
        One flattened image per sample, channels first.

    factors : ndarray of shape (n_samples, 2 * n_squares), dtype int64
        Columns x0, y0, x1, y1, ...

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape
        (2 * n_squares, 2), `discrete_factors` (boolean, shape (2 * n_squares,)) and
        `image_shape`, (n_squares, image_size, image_size).

    References
    ----------
    .. [1] Michlo, Klein & James (2023), "Overlooked Implications of the Reconstruction
       Loss for VAE Disentanglement", IJCAI.

    Examples
    --------
    >>> from skfactorvae.datasets import make_xy_squares
    >>> X, factors = make_xy_squares(n_samples=20, random_state=0)
    >>> X.shape, factors.shape
    ((20, 12288), (20, 6))
    >>> int(X[0].sum())  # three squares of 8 by 8
    192
    """
    check_parameters(n_samples=n_samples, image_size=image_size, noise=noise)
    check_parameters(n_squares=n_squares, square_size=square_size, spacing=spacing)
    spec = _square_factors(image_size, n_squares, square_size, spacing)
    rng = check_random_state(random_state)
    factors = take_factors(spec, factors, n_samples, rng)
    return deliver_images(
        partial(
            _draw_squares,
            image_size=image_size,
            square_size=square_size,
            spacing=spacing,
        ),
        factors,
        spec,
        (n_squares, image_size, image_size),
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
    )


def _square_factors(image_size, n_squares, square_size, spacing):
    if square_size + spacing > image_size:
        raise ValueError(
            "square_size + spacing must be <= image_size, for a square to move; got "
            f"square_size={square_size}, spacing={spacing} and "
            f"image_size={image_size}. Lower the first two or raise the last."
        )
    n_levels = (image_size - square_size) // spacing + 1
    return [levels(f"{axis}{k}", n_levels) for k in range(n_squares) for axis in "xy"]


def _draw_squares(places, *, image_size, square_size, spacing):
    """Return images of shape (m, n_squares, image_size, image_size)."""
    offset = np.arange(image_size) - spacing * places[:, :, None]
    lit = (offset >= 0) & (offset < square_size)  # (m, 2 * n_squares, image_size)
    columns, rows = lit[:, 0::2], lit[:, 1::2]
    return rows[:, :, :, None] & columns[:, :, None, :]

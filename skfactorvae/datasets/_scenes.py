r"""Rendered scenes: a pendulum and its shadow, a coloured object in a room."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from ._base import check_parameters, levels, take_factors, uniform
from ._render import coverage, deliver_images, images_of, pixel_centres

_PENDULUM = (
    uniform("angle", -40 * np.pi / 200, 44 * np.pi / 200),
    uniform("light", 60 * np.pi / 200, 148 * np.pi / 200),
)
_PIVOT = (10.0, 10.5)
_GROUND, _SKY = -0.5, 20.5  # heights of the shadow and of the sun
_WINDOW = 22.0  # side of the square window from (-1, -1) to (21, 21)

_ROOM = (
    levels("floor_hue", 10),
    levels("wall_hue", 10),
    levels("object_hue", 10),
    levels("scale", 8),
    levels("shape", 4),
    levels("orientation", 15),
)
_BULGE = np.array([2.0, 8.0, 8.0, 4.0])  # exponent of each shape's superellipse
_ASPECT = np.array([1.0, 0.9, 0.7, 0.6])  # width over height: ball, cube, tin, pill


def make_pendulum_shadow(
    n_samples=1000,
    *,
    image_size=48,
    antialias=1.0,
    noise=0.0,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make grey images of a pendulum, the sun, and the resulting shadow.

    The scene of CausalVAE [1]_, rendered from formulas. In a window from (-1, -1) to
    (21, 21) with :math:`y` upwards, a rod hangs from the pivot (10, 10.5) and carries a
    ball of radius 1.5 at :math:`(10 + 8\sin\theta,\; 10.5 - 8\cos\theta)`. Parallel
    light of slope :math:`\tan\varphi` projects the point :math:`(x, y)` on the ground
    at

    .. math::
        S(x, y) = x - (y + \tfrac{1}{2}) \cot\varphi

    The shadow reaches from :math:`S` of the pivot to :math:`S` of the far end of the
    ball, 9.5 along the rod, and is at least 3 long. The sun is a disc of radius 3 at
    height 20.5, on the ray through the pivot.

    ========= =============== ================================== ======
    factor    symbol          distribution                       unit
    ========= =============== ================================== ======
    ``angle`` :math:`\theta`  uniform on [-40 pi/200, 44 pi/200] radian
    ``light`` :math:`\varphi` uniform on [60 pi/200, 148 pi/200] radian
    ========= =============== ================================== ======

    There are **two factors**, and both can be recovered. Length and position of the
    shadow are functions of them: a model that separates the factors has 2 active
    components and none for the shadow. Scored against all four variables, even a
    perfect model gets a low score, because the four are dependent; therefore the shadow
    is not among `factors`.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images, at least 1. Ignored when `factors` is given.

    image_size : int, default=48
        Height and width in pixels, at least 8.

    antialias : float, default=1.0
        Width of the edges in pixels, >= 0. With 0 edges are hard, and a motion of less
        than a pixel may not change the image.

    noise : float, default=0.0
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors and lies in [0, 1].

    factors : array-like of shape (n, 2), default=None
        Factor values within the ranges above, instead of random ones.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple. It includes
        the shadow's length and position.

    random_state : int, RandomState instance or None, default=None
        Determines the factors and the noise. Pass an int for reproducible output
        across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, image_size * image_size), dtype float32
        One flattened image per sample; ``X.reshape(-1, image_size, image_size)`` shows
        them.

    factors : ndarray of shape (n_samples, 2), dtype float64
        Columns angle, light.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (2, 2),
        `discrete_factors` (boolean, shape (2,)), `image_shape`,
        (1, image_size, image_size), and the dependent variables `shadow_length` and
        `shadow_position` (of its middle), each of shape (n_samples,).

    References
    ----------
    .. [1] Yang, Liu, Chen, Shen, Hao & Wang (2021), "CausalVAE: Disentangled
       Representation Learning via Neural Structural Causal Models", CVPR.

    Examples
    --------
    >>> from skfactorvae.datasets import make_pendulum_shadow
    >>> X, factors = make_pendulum_shadow(n_samples=20, random_state=0)
    >>> X.shape, factors.shape
    ((20, 2304), (20, 2))
    """
    check_parameters(n_samples=n_samples, image_size=image_size, noise=noise)
    check_parameters(antialias=antialias)
    rng = check_random_state(random_state)
    factors = take_factors(_PENDULUM, factors, n_samples, rng)
    position, length = _shadow(*factors.T)
    return deliver_images(
        partial(_draw_pendulum, image_size=image_size, antialias=antialias),
        factors,
        _PENDULUM,
        (1, image_size, image_size),
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
        shadow_length=length,
        shadow_position=position,
    )


def _along_rod(angle, distance):
    """Return x and y of the point at `distance` from the pivot."""
    x, y = _PIVOT
    return x + distance * np.sin(angle), y - distance * np.cos(angle)


def _project(x, y, *, light, height):
    """Return where the light through (x, y) crosses `height`."""
    return x + (height - y) / np.tan(light)


def _shadow(angle, light):
    """Return the middle and the length of the shadow."""
    near = _project(*_PIVOT, light=light, height=_GROUND)
    far = _project(*_along_rod(angle, 9.5), light=light, height=_GROUND)
    return (near + far) / 2, np.maximum(3.0, np.abs(far - near))


def _draw_pendulum(factors, *, image_size, antialias):
    """Return images of shape (m, image_size, image_size)."""
    angle, light = images_of(*factors.T)
    x, down = pixel_centres(image_size, _WINDOW)
    x, y = x - 1, _WINDOW - 1 - down
    ball_x, ball_y = _along_rod(angle, 8.0)
    sun_x = _project(*_PIVOT, light=light, height=_SKY)
    middle, length = _shadow(angle, light)
    beyond = np.maximum(np.abs(x - middle) - length / 2, np.abs(y - _GROUND) - 0.5)
    parts = (  # grey value, signed distance
        (1.0, 1.5 - np.hypot(x - ball_x, y - ball_y)),
        (0.8, 3.0 - np.hypot(x - sun_x, y - _SKY)),
        (0.6, 0.35 - _distance_to_rod(x, y, angle, 8.0)),
        (0.4, -beyond),
    )
    pixels = image_size / _WINDOW
    layers = [grey * coverage(inside * pixels, antialias) for grey, inside in parts]
    return np.maximum.reduce(layers)


def _distance_to_rod(x, y, angle, length):
    dx, dy = x - _PIVOT[0], y - _PIVOT[1]
    along = np.clip(dx * np.sin(angle) - dy * np.cos(angle), 0, length)
    nearest_x, nearest_y = _along_rod(angle, along)
    return np.hypot(x - nearest_x, y - nearest_y)


def make_toy_shapes3d(
    n_samples=1000,
    *,
    image_size=64,
    noise=0.0,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make colour images of an object in a room, with the six factors of 3D Shapes.

    A simplified renderer with the factors of 3D Shapes [1]_, without ray tracing and
    without images of the original. The corner of the room is drawn at the height where
    floor and walls meet; the object is a shaded superellipse in front of it.

    =============== ============= ==============================================
    factor          levels        meaning of a level
    =============== ============= ==============================================
    ``floor_hue``   0, ..., 9     tenths of the colour circle
    ``wall_hue``    0, ..., 9     tenths of the colour circle
    ``object_hue``  0, ..., 9     tenths of the colour circle
    ``scale``       0, ..., 7     half height of 0.15 to 0.28 image heights
    ``shape``       0, ..., 3     ball, cube, tin, pill
    ``orientation`` 0, ..., 14    -30 to 30 degrees: the corner moves, the light
                                  turns, the cube widens
    =============== ============= ==============================================

    All levels are equally likely and independent. Hues and orientation change many
    pixels and can be recovered, but a hue is circular: it takes two components, or one
    with a discontinuity at the red end of the circle. Shape is discrete and changes few
    pixels.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images, at least 1. Ignored when `factors` is given.

    image_size : int, default=64
        Height and width in pixels, at least 8.

    noise : float, default=0.0
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors and lies in [0, 1].

    factors : array-like of shape (n, 6), default=None
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
    X : ndarray of shape (n_samples, 3 * image_size * image_size), dtype float32
        One flat image per row, channel first: ``X.reshape(-1, 3, image_size,
        image_size)`` has red, green and blue on its second axis.

    factors : ndarray of shape (n_samples, 6), dtype int64
        Columns floor_hue, wall_hue, object_hue, scale, shape, orientation.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (6, 2),
        `discrete_factors` (boolean, shape (6,)) and `image_shape`,
        (3, image_size, image_size).

    References
    ----------
    .. [1] Burgess & Kim (2018), "3D Shapes Dataset",
       https://github.com/google-deepmind/3d-shapes

    Examples
    --------
    >>> from skfactorvae.datasets import make_toy_shapes3d
    >>> X, factors = make_toy_shapes3d(n_samples=20, random_state=0)
    >>> X.shape, factors.shape
    ((20, 12288), (20, 6))
    """
    check_parameters(n_samples=n_samples, image_size=image_size, noise=noise)
    rng = check_random_state(random_state)
    factors = take_factors(_ROOM, factors, n_samples, rng)
    return deliver_images(
        partial(_draw_room, image_size=image_size),
        factors,
        _ROOM,
        (3, image_size, image_size),
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
    )


def _draw_room(factors, *, image_size):
    """Return images of shape (m, 3, image_size, image_size)."""
    floor_hue, wall_hue, object_hue, scale, shape, orientation = factors.T
    (yaw,) = images_of(np.deg2rad(-30 + 60 * orientation / 14))
    x, y = pixel_centres(image_size, 1.0)
    corner = 0.5 + 0.45 * np.sin(yaw)
    is_floor = y > 0.55 + 0.25 * np.abs(x - corner)
    walls = _paint(wall_hue, 0.55, np.where(x < corner, 1.0, 0.8) + 0 * y)
    floor = _paint(floor_hue, 0.85, (0.75 + 0.25 * y + 0 * x)[None])
    is_object, light = _object(x, y, scale, shape, yaw)
    room = np.where(is_floor[:, None], floor, walls)
    return np.where(is_object[:, None], _paint(object_hue, 0.9, light), room)


def _object(x, y, scale, shape, yaw):
    """Return the object's mask and its brightness, each of shape (m, size, size)."""
    half_height, bulge, aspect = images_of(
        0.15 + 0.13 * scale / 7, _BULGE[shape], _ASPECT[shape]
    )
    (is_cube,) = images_of(shape == 1)
    aspect = aspect * (1 + 0.25 * is_cube * np.abs(np.sin(2 * yaw)))
    u, v = (x - 0.5) / (half_height * aspect), (y - 0.62) / half_height
    mask = np.abs(u) ** bulge + np.abs(v) ** bulge <= 1
    sideways = 0.25 * np.sin(yaw) * np.clip(u, -1, 1)
    return mask, np.clip(0.75 + sideways - 0.25 * np.clip(v, -1, 1), 0.3, 1)


def _paint(hue_level, saturation, value):
    """Return RGB of shape (m, 3, h, w) from hue levels (m,) and values (m or 1, h, w).

    HSV is linear in its value, so a hue is mixed once per image and not per pixel.
    """
    k = (np.array([5, 3, 1]) + 6 * hue_level[:, None] / 10) % 6  # (m, 3)
    tint = 1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return tint[:, :, None, None] * value[..., None, :, :]

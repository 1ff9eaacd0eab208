"""Geometric facts of the sprites and of the squares."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import ConvexHull

from skfactorvae.datasets import make_dsprites_like, make_xy_squares

SHAPES = {"square": 0, "ellipse": 1, "heart": 2}


def sprites(factors, image_size=64, **options):
    X, _ = make_dsprites_like(factors=factors, image_size=image_size, **options)
    return X.reshape(-1, image_size, image_size)


def in_hull(points, u, v):
    """Mask of (u, v) in the convex hull of points, from its half planes."""
    planes = ConvexHull(points).equations[:, :, None, None]
    return np.all([a * u + b * v + c <= 0 for a, b, c in planes], axis=0)


AREAS = {"square": 19.2**2, "ellipse": np.pi * 12.8 * 7.2}


@pytest.mark.parametrize("shape", AREAS)
@pytest.mark.parametrize("scale", range(6))
def test_the_area_of_a_sprite_is_its_formula(shape, scale):
    """The mean count of pixels over turns and places is the area, times scale^2."""
    _, factors = make_dsprites_like(200, random_state=0)
    factors[:, :2] = SHAPES[shape], scale
    area = sprites(factors).sum(axis=(1, 2)).mean()
    assert area == pytest.approx(AREAS[shape] * (0.5 + 0.1 * scale) ** 2, rel=0.01)


def test_a_heart_is_the_hull_of_a_disc_and_a_tip_with_its_mirror_image():
    (image,) = sprites([[2, 5, 0, 0, 31]], image_size=256)
    centres = (np.arange(256) + 0.5) / 4
    u, v = np.meshgrid(centres - 16, centres - 48)
    angles = np.linspace(0, 2 * np.pi, 500)
    disc = np.column_stack([4.6 + 5.2 * np.cos(angles), -4 + 5.2 * np.sin(angles)])
    heart = in_hull(np.vstack([disc, (0, 8.75)]), np.abs(u), v)
    assert (heart != image).sum() <= 4  # the disc has 500 corners here
    assert heart.sum() > 3000


@pytest.mark.parametrize("scale", range(6))
def test_an_upright_square_is_a_full_square_of_19_times_its_scale(scale):
    (image,) = sprites([[0, scale, 0, 10, 20]])
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    side = 19.2 * (0.5 + 0.1 * scale)
    for lit in (rows, columns):
        assert abs(len(lit) - side) < 1
        assert_array_equal(np.diff(lit), 1)
    assert image.sum() == len(rows) * len(columns)


@pytest.mark.parametrize("shape", SHAPES.values())
def test_orientation_levels_0_and_39_coincide(shape):
    first, last = sprites([[shape, 5, 0, 4, 9], [shape, 5, 39, 4, 9]])
    assert np.abs(first - last).sum() <= 2  # an edge may fall on a pixel centre


@pytest.mark.parametrize("shape", SHAPES.values())
def test_a_mirrored_sprite_is_the_sprite_of_the_mirrored_factors(shape):
    """x to -x turns theta into -theta and k_x into 31 - k_x: all shapes are even."""
    _, factors = make_dsprites_like(40, random_state=0)
    factors[:, 0] = shape
    mirrored = np.where([0, 0, 1, 1, 0], [0, 0, 39, 31, 0] - factors, factors)
    left, right = sprites(factors, antialias=1.0), sprites(mirrored, antialias=1.0)
    assert_allclose(left[:, :, ::-1], right, atol=1e-6)


@pytest.mark.parametrize(("shape", "is_even"), [(0, True), (1, True), (2, False)])
def test_squares_and_ellipses_alone_survive_a_flip(shape, is_even):
    _, factors = make_dsprites_like(40, random_state=0)
    factors[:, 0] = shape
    flipped = np.where([0, 0, 1, 0, 1], [0, 0, 39, 0, 31] - factors, factors)
    up, down = sprites(factors, antialias=1.0), sprites(flipped, antialias=1.0)
    assert np.allclose(up[:, ::-1], down, atol=1e-6) == is_even


@pytest.mark.parametrize(("right", "down"), [(0, 0), (31, 0), (0, 31), (17, 5)])
def test_a_square_is_centred_at_its_position(right, down):
    (image,) = sprites([[0, 5, 0, right, down]], antialias=1.0)
    centres = np.arange(64) + 0.5
    middle = [(image.sum(axis=a) @ centres) / image.sum() for a in (0, 1)]
    expected = [16 + 32 * right / 31, 16 + 32 * down / 31]
    assert_allclose(middle, expected, atol=0.05)


def test_an_ellipse_is_16_ninths_as_wide_as_high():
    (image,) = sprites([[1, 5, 0, 16, 16]], image_size=640)
    height, width = (np.count_nonzero(image.any(axis=axis)) for axis in (1, 0))
    assert width / 10 == pytest.approx(25.6, abs=0.2)
    assert height / 10 == pytest.approx(14.4, abs=0.2)


def test_a_heart_has_two_lobes_above_and_a_tip_below():
    (image,) = sprites([[2, 5, 0, 16, 16]], image_size=256)
    lit_runs = (np.diff(image, axis=1, prepend=0) > 0).sum(axis=1)
    rows = np.flatnonzero(lit_runs)
    assert lit_runs[rows[0]] == 2
    assert lit_runs[rows[-1]] == 1
    below = image[rows[-1]].sum()
    assert below < 6 < image[rows].sum(axis=1).max()


def test_no_sprite_touches_the_border():
    _, factors = make_dsprites_like(500, random_state=0)
    factors[:, 1] = 5
    images = sprites(factors)
    border = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    assert np.max(border) == 0


def test_sprites_are_binary_unless_antialiased():
    assert set(np.unique(sprites([[2, 3, 7, 8, 9]]))) == {0, 1}
    soft = sprites([[2, 3, 7, 8, 9]], antialias=1.5)
    assert len(np.unique(soft)) > 10
    assert (soft.min(), soft.max()) == (0, 1)


def test_pixels_are_named_by_row_and_column():
    table = make_dsprites_like(1, image_size=8, return_bunch=True)
    assert table.feature_names[:9:8] == ["pixel_0_0", "pixel_1_0"]
    table = make_xy_squares(1, image_size=16, return_bunch=True)
    assert table.feature_names[256] == "pixel_1_0_0"


def test_each_square_is_lit_in_its_own_channel_at_its_place():
    table = make_xy_squares(factors=[[0, 1, 2, 3, 7, 0]], return_bunch=True)
    (image,) = table.data.reshape(-1, *table.image_shape)
    for channel, (x, y) in zip(image, [(0, 1), (2, 3), (7, 0)], strict=True):
        assert channel[8 * y : 8 * y + 8, 8 * x : 8 * x + 8].all()
        assert channel.sum() == 64


def pixel_distances(spacing):
    """Distances of a square at column levels 0..7 from the one at level 0."""
    factors = [[x, 0] for x in range(8)]
    X, _ = make_xy_squares(n_squares=1, spacing=spacing, factors=factors)
    return np.linalg.norm(X - X[0], axis=1)


def test_at_spacing_8_all_other_positions_are_equally_far():
    """The negative control: pixels hold no hint of which positions are neighbours."""
    assert_allclose(pixel_distances(8)[1:], np.sqrt(2 * 64))


def test_at_spacing_1_the_distance_grows_with_the_offset():
    assert_allclose(pixel_distances(1), np.sqrt(2 * 8 * np.arange(8)), rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "spacing", "n_levels"), [(64, 8, 8), (64, 1, 57), (20, 5, 3)]
)
def test_a_square_has_as_many_positions_as_fit(size, spacing, n_levels):
    table = make_xy_squares(2, image_size=size, spacing=spacing, return_bunch=True)
    assert_array_equal(table.factor_ranges[:, 1], n_levels - 1)
    corner = np.full((1, 6), n_levels - 1)
    X, _ = make_xy_squares(image_size=size, spacing=spacing, factors=corner)
    assert X.sum() == 3 * 64


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (make_dsprites_like, {"image_size": 4}, "image_size must be an integer >= 8"),
        (make_dsprites_like, {"antialias": -1}, "antialias must be a number >= 0; got"),
        (make_dsprites_like, {"factors": [[3, 0, 0, 0, 0]]}, r"'shape' .* \[0, 2\]"),
        (make_xy_squares, {"square_size": 60}, r"square_size \+ spacing must be <= im"),
        (make_xy_squares, {"n_squares": 0}, "n_squares must be an integer >= 1"),
        (make_xy_squares, {"spacing": 0}, "spacing must be an integer >= 1"),
    ],
)
def test_a_bad_sprite_parameter_is_told_what_to_do(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters)

"""Geometric facts of the pendulum and of the coloured room."""

import colorsys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfactorvae.datasets import make_pendulum_shadow, make_toy_shapes3d


def pendulum(angle, light, image_size=220, **options):
    """Return the image at ten pixels per unit, and its table."""
    table = make_pendulum_shadow(
        factors=[[angle, light]], image_size=image_size, return_bunch=True, **options
    )
    return table.data.reshape(image_size, image_size), table


def test_a_plumb_pendulum_under_the_noon_sun():
    """theta = 0, phi = pi/2: ball at (10, 2.5), sun above, the least shadow below."""
    image, table = pendulum(0.0, np.pi / 2, antialias=0)
    assert_allclose(table.shadow_position, 10)
    assert_allclose(table.shadow_length, 3)
    rows, columns = np.nonzero(image == 1)  # the ball
    assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], [110, 185], atol=0.1)
    assert len(rows) == pytest.approx(np.pi * 15**2, rel=0.02)
    assert np.isclose(image, 0.4).sum() == 30 * 10  # the shadow, 3 by 1
    soft, _ = pendulum(0.0, np.pi / 2)
    assert_allclose(soft, soft[:, ::-1], atol=1e-6)


def test_light_of_45_degrees_throws_a_shadow_as_far_as_the_fall():
    """From the pivot, 11 above the ground, 11 to the left; tip at 10.5 - 9.5 cos."""
    table = make_pendulum_shadow(factors=[[0.0, np.pi / 2.5]], return_bunch=True)
    cotangent = 1 / np.tan(np.pi / 2.5)
    near, far = 10 - 11 * cotangent, 10 - 1.5 * cotangent
    assert_allclose(table.shadow_position, (near + far) / 2)
    assert_allclose(table.shadow_length, max(3, far - near))


def test_mirrored_causes_give_the_mirrored_image():
    image, table = pendulum(0.3, 1.4, image_size=48)
    mirrored, other = pendulum(-0.3, np.pi - 1.4, image_size=48)
    assert_allclose(image[:, ::-1], mirrored, atol=1e-6)
    assert_allclose(table.shadow_length, other.shadow_length)
    assert_allclose(table.shadow_position, 20 - other.shadow_position)


def test_the_drawn_shadow_has_the_stated_length_and_position():
    table = make_pendulum_shadow(
        50, image_size=220, antialias=0, return_bunch=True, random_state=0
    )
    ground = table.data.reshape(-1, 220, 220)[:, 214]  # y = -0.45
    centres = (np.arange(220) + 0.5) / 10 - 1
    within = np.abs(table.shadow_position - 10) + table.shadow_length / 2 < 11
    length = np.isclose(ground, 0.4).sum(axis=1) / 10
    position = (ground @ centres) / ground.sum(axis=1)
    assert within.sum() > 40
    assert_allclose(length[within], table.shadow_length[within], atol=0.11)
    assert_allclose(position[within], table.shadow_position[within], atol=0.06)


def test_antialiased_pendulums_move_in_steps_smaller_than_a_pixel():
    factors = [[0.1, 1.2], [0.10001, 1.2]]
    soft, _ = make_pendulum_shadow(factors=factors)
    hard, _ = make_pendulum_shadow(factors=factors, antialias=0)
    assert not np.array_equal(*soft)
    assert np.array_equal(*hard)


def test_pendulum_images_lie_between_black_and_white():
    X, _ = make_pendulum_shadow(50, random_state=0)
    assert (X.min(), X.max()) == (0, 1)


def room(floor=0, wall=0, thing=0, scale=0, shape=0, orientation=7, image_size=64):
    factors = [[floor, wall, thing, scale, shape, orientation]]
    X, _ = make_toy_shapes3d(factors=factors, image_size=image_size)
    return X.reshape(3, image_size, image_size)


def thing_mask(**factors):
    """Pixels that change with the hue of the thing."""
    return np.any(room(thing=0, **factors) != room(thing=5, **factors), axis=0)


@pytest.mark.parametrize("level", range(10))
def test_hues_are_tenths_of_the_colour_circle(level):
    image = room(floor=level, wall=(level + 3) % 10, thing=(level + 5) % 10)
    for pixel, hue in [
        (image[:, 63, 0], level),
        (image[:, 0, 0], (level + 3) % 10),
        (image[:, 40, 32], (level + 5) % 10),
    ]:
        measured = 10 * colorsys.rgb_to_hsv(*map(float, pixel))[0]
        assert (measured - hue + 5) % 10 == pytest.approx(5, abs=1e-4)


def test_each_hue_colours_its_own_region_only():
    """Floor, wall and thing cover the image, each pixel once."""
    base = room()
    changed = [np.any(room(**{part: 5}) != base, 0) for part in REGIONS]
    assert_array_equal(np.sum(changed, axis=0), 1)


REGIONS = ("floor", "wall", "thing")


def test_the_ball_is_a_disc_of_its_scale():
    """Half heights run from .15 to .28 of the image."""
    for scale, radius in [(0, 0.15), (7, 0.28)]:
        area = thing_mask(scale=scale, image_size=256).mean()
        assert area == pytest.approx(np.pi * radius**2, rel=0.01)


def test_the_shapes_differ_and_each_grows_with_its_scale():
    areas = np.array(
        [[thing_mask(scale=i, shape=j).sum() for i in range(8)] for j in range(4)]
    )
    assert (np.diff(areas, axis=1) > 0).all()
    masks = [thing_mask(scale=7, shape=j) for j in range(4)]
    assert all((masks[i] ^ masks[j]).sum() > 50 for i in range(4) for j in range(i))


def test_turning_the_room_widens_the_cube_alone():
    for shape in range(4):
        straight, turned = (
            thing_mask(shape=shape, scale=7, orientation=o).sum() for o in (7, 14)
        )
        assert (turned > straight) == (shape == 1)


def test_every_orientation_gives_another_image():
    images = [room(orientation=o) for o in range(15)]
    assert len({image.tobytes() for image in images}) == 15


def test_room_images_lie_between_black_and_white():
    X, _ = make_toy_shapes3d(50, random_state=0)
    assert X.min() >= 0
    assert X.max() <= 1


def test_the_image_shape_is_channel_first():
    table = make_toy_shapes3d(2, image_size=16, return_bunch=True)
    assert table.image_shape == (3, 16, 16)
    assert table.data.shape == (2, 3 * 16 * 16)

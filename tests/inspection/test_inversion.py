"""Layers that invert the steps of a pipeline in a page."""

import numpy as np
import pytest

from skfactorvae.inspection._inversion import (
    _affine,
    _is_of_columns,
    _of_columns,
    apply_columns,
)

ROWS = np.random.RandomState(0).uniform(0.5, 2, size=(40, 3))


def test_an_affine_map_is_a_scale_or_a_dense_layer():
    assert _affine(lambda X: X * [1, 2, 3] + 4, ROWS)["kind"] == "scale"
    mixed = _affine(lambda X: X @ np.ones((3, 2)) + 1, ROWS)
    assert mixed["kind"] == "dense"
    np.testing.assert_allclose(
        ROWS @ mixed["weight"] + mixed["bias"], ROWS @ np.ones((3, 2)) + 1
    )
    assert _affine(np.exp, ROWS) is None


@pytest.mark.parametrize("function", [np.exp, np.sqrt, np.log, lambda X: X**3])
def test_a_function_of_each_column_is_tabulated(function):
    layer = _of_columns(function, ROWS)
    found, expected = apply_columns(layer, ROWS), function(ROWS)
    assert np.abs(found - expected).max() <= 2e-5 * np.ptp(expected, axis=0).max()


def test_values_beyond_the_domain_are_those_at_its_end():
    with np.errstate(invalid="ignore"):
        layer = _of_columns(lambda X: np.sqrt(X - 0.7), ROWS)
    assert (layer["low"] < 0.5).all()
    assert (layer["values"].min(axis=1) >= 0).all()
    np.testing.assert_array_equal(layer["values"][:, 0], layer["values"][:, 1])


def test_columns_that_depend_on_each_other_are_noticed():
    def mixed(X):
        return X * X.sum(axis=1)[:, None]

    assert not _is_of_columns(mixed, ROWS, mixed(ROWS))
    assert _of_columns(mixed, ROWS) is None

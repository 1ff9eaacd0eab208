"""The overview shows codes, shares of variance and traversals of one model."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skfactorvae.inspection import OverviewDisplay


@pytest.fixture(scope="module")
def pca(peaks):
    return PCA(5).fit(peaks.data)


def test_its_parts_are_of_the_same_components(pca, peaks):
    display = OverviewDisplay.from_estimator(pca, peaks.data, latents=[2, 0, 1])
    assert display.pairs.latents.tolist() == [2, 0]
    assert display.traversals.latents.tolist() == [2, 0, 1]
    drawn = display.plot(x_label="wavelength").ax_
    assert len(drawn) == 2 + 3
    assert drawn[0].get_xlabel() == "component 2"
    assert [ax.get_title("left") for ax in drawn[2:]] == [
        "component 2",
        "component 0",
        "component 1",
    ]


def test_the_map_is_coloured_by_what_the_first_component_explains(pca, peaks):
    display = OverviewDisplay.from_estimator(pca, peaks.data)
    best = display.table.share[0].argmax()
    np.testing.assert_array_equal(display.pairs.factor, peaks.data[:, best])
    assert display.pairs.factor_name == f"x{best}"
    given = OverviewDisplay.from_estimator(pca, peaks.data, hue="x7")
    np.testing.assert_array_equal(given.pairs.factor, peaks.data[:, 7])


def test_the_map_is_coloured_by_the_column_of_its_label(mixed):
    model, X = mixed
    display = OverviewDisplay.from_estimator(model, X)
    place = list(model.number_names_).index(display.pairs.factor_name)
    np.testing.assert_allclose(display.pairs.factor, model.numbers(X)[:, place])


@pytest.mark.slow
def test_shares_are_a_matrix_curves_or_images(pca, peaks):
    images = {"image_shape": (5, 6)}
    for kind, n_texts, n_lines, n_images, options in (
        ("bars", 4 * 14, 0, 1, {}),
        ("curve", 0, 4, 0, {"x": np.arange(30.0)}),
        ("image", 0, 0, 1, images),
    ):
        display = OverviewDisplay.from_estimator(
            pca, peaks.data, kind=kind, **options
        ).plot()
        shares = display.ax_[1]
        found = len(shares.texts), len(shares.lines), len(shares.images)
        assert found == (n_texts, n_lines, n_images)


def test_one_component_has_no_map(peaks):
    with pytest.raises(ValueError, match="two components; got 1"):
        OverviewDisplay.from_estimator(PCA(1).fit(peaks.data), peaks.data)

"""Scatter plots of pairs of components show each sample by its label."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from skfactorvae.inspection import LatentPairsDisplay


def written(display):
    """Return the title and the entries of the only legend."""
    (legend,) = [ax.get_legend() for ax in display.ax_ if ax.get_legend()]
    return [t.get_text() for t in (legend.get_title(), *legend.get_texts())]


class TestLatentPairs:
    def test_points_are_codes_and_colours_the_factor(self, vae, peaks):
        display = LatentPairsDisplay.from_estimator(
            vae, peaks.data, peaks.factors[:, 0], latents=[0, 2], factor_name="position"
        ).plot()
        (ax,) = display.ax_
        (points,) = ax.collections
        codes = vae.transform(peaks.data)[:, [0, 2]]
        np.testing.assert_allclose(points.get_offsets(), codes, rtol=1e-6)
        np.testing.assert_array_equal(points.get_array(), peaks.factors[:, 0])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("component 0", "component 2")

    def test_levels_have_one_legend(self):
        codes = np.random.RandomState(0).normal(size=(90, 3))
        kinds = pd.Series(np.repeat(["oak", "elm", "ash"], 30), name="tree")
        display = LatentPairsDisplay.from_codes(codes, kinds).plot()
        assert written(display) == ["tree", "ash", "elm", "oak"]

    def test_whole_floats_of_few_levels_have_a_legend(self):
        codes = np.random.RandomState(0).normal(size=(90, 2))
        display = LatentPairsDisplay.from_codes(codes, np.repeat([0.0, 1.0, 2.0], 30))
        assert written(display.plot()) == ["", "0", "1", "2"]

    def test_more_levels_than_colours_have_other_markers(self):
        codes = np.random.RandomState(0).normal(size=(40, 2))
        display = LatentPairsDisplay.from_codes(codes, np.arange(40) % 10 * 0.5)
        display.factor = np.array(list("abcdefghij") * 4)
        (ax,) = display.plot().ax_
        styles = {
            (tuple(p.get_facecolor()[0]), p.get_paths()[0].vertices.tobytes())
            for p in ax.collections
        }
        assert len(styles) == 10

    def test_a_column_of_x_colours_the_points(self, vae, peaks):
        frame = pd.DataFrame(peaks.data, columns=range(100, 130))
        plots = [
            LatentPairsDisplay.from_estimator(vae, X, latents=[0, 1], **given)
            for X, given in (
                (frame, {"factor": "103"}),
                (frame, {"hue": "103"}),
                (frame, {"c": frame[103]}),
                (peaks.data, {"c": "x3", "factor_name": "103"}),
            )
        ]
        for display in plots:
            np.testing.assert_array_equal(display.factor, peaks.data[:, 3])
            assert display.factor_name == "103"

    def test_a_column_must_exist_and_colours_be_given_once(self, vae, peaks):
        with pytest.raises(ValueError, match=r"'x99' is not .*'x0', .* 'x29'\. Give"):
            LatentPairsDisplay.from_estimator(vae, peaks.data, hue="x99")
        with pytest.raises(TypeError, match="hue and c are names of one argument"):
            LatentPairsDisplay.from_codes(np.eye(3), hue=[1, 2, 3], c=[1, 2, 3])

    @pytest.mark.filterwarnings("ignore:X does not have valid feature names")
    def test_a_column_after_a_categorical_one_is_found_by_its_name(self, mixed):
        model, X = mixed
        for name in X.columns:
            display = LatentPairsDisplay.from_estimator(model, X, hue=name)
            assert display.factor.tolist() == X[name].tolist()
            array = LatentPairsDisplay.from_estimator(
                model, X.to_numpy(dtype=object), hue=name
            )
            assert list(array.factor) == X[name].tolist()

    def test_a_level_colours_by_its_indicator(self, mixed):
        model, X = mixed
        display = LatentPairsDisplay.from_estimator(model, X, hue="kind = b")
        np.testing.assert_array_equal(display.factor, X["kind"] == "b")

    def test_the_names_of_columns_are_listed_whole(self, mixed):
        model, X = mixed
        levels = "'kind = a', 'kind = b', 'kind = c'"
        listed = f"'kind', 'size', 'weight', 'is_old', {levels}"
        with pytest.raises(ValueError, match=f"which are {listed}. Give"):
            LatentPairsDisplay.from_estimator(model, X, hue="height")

    def test_given_names_are_those_of_numbers(self, mixed):
        model, X = mixed
        display = LatentPairsDisplay.from_estimator(
            model, X, hue="size", feature_names=["a", "b", "c", "weight", "size", "old"]
        )
        np.testing.assert_allclose(display.factor, X["weight"], rtol=1e-12)

    @pytest.mark.parametrize(
        ("labels", "levels"),
        [
            (np.array(["b", "a", None], dtype=object), ["a", "b"]),
            (["b", "a", np.nan], ["a", "b"]),
            (pd.Series(["b", "a", None], dtype="category"), ["a", "b"]),
            (pd.Categorical(["b", "a", None], categories=["b", "a"]), ["b", "a"]),
            (pd.Series(["b", "a", None], dtype="string"), ["a", "b"]),
            (pd.Series([True, False, None], dtype="boolean"), ["False", "True"]),
            (pd.Series([4, 3, None], dtype="Int64"), ["3", "4"]),
            (np.ma.array(["b", "a", "c"], mask=[0, 0, 1]), ["a", "b"]),
            (pd.DataFrame({"kind": ["b", "a", None]}), ["a", "b"]),
        ],
    )
    def test_samples_without_a_label_are_grey(self, labels, levels):
        codes = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 4.0]])
        display = LatentPairsDisplay.from_codes(codes, labels).plot()
        (ax,) = display.ax_
        title, *texts = written(display)
        assert texts == levels
        assert title.endswith("(grey: unlabelled)")
        grey, *coloured = ax.collections
        assert grey.get_offsets().tolist() == [[2.0, 4.0]]
        assert len(coloured) == 2

    @pytest.mark.parametrize(
        "numbers",
        [
            [0.5, 2.5, np.nan],
            [0.5, 2.5, np.inf],
            [0.5, 2.5, None],
            pd.Series([0.5, 2.5, None], dtype="Float64"),
        ],
    )
    def test_samples_without_a_number_are_grey(self, numbers):
        display = LatentPairsDisplay.from_codes(np.eye(3, 2), numbers).plot()
        grey, coloured = display.ax_[0].collections
        assert grey.get_offsets().tolist() == [[0.0, 0.0]]
        assert coloured.get_array().tolist() == [0.5, 2.5]

    @pytest.mark.parametrize(
        "times",
        [
            np.array(["2020-01-02", "2020-03-01", "NaT"], dtype="datetime64[D]"),
            [date(2020, 1, 2), date(2020, 3, 1), None],
            pd.to_datetime(pd.Series(["2020-01-02", "2020-03-01", None])),
        ],
    )
    def test_times_are_continuous(self, times):
        display = LatentPairsDisplay.from_codes(np.eye(3, 2), times).plot()
        grey, coloured = display.ax_[0].collections
        assert len(grey.get_offsets()) == 1
        bar = coloured.colorbar
        texts = [tick.get_text()[:10] for tick in bar.ax.get_yticklabels()]
        assert texts == ["2020-01-02", "2020-03-01"]

    def test_samples_may_all_be_unlabelled(self):
        display = LatentPairsDisplay.from_codes(np.eye(3), [None] * 3).plot()
        assert [len(ax.collections) for ax in display.ax_] == [1, 1, 1]

    def test_shapes_are_checked(self):
        with pytest.raises(ValueError, match="one value per sample"):
            LatentPairsDisplay.from_codes(np.eye(4), np.zeros(3))
        with pytest.raises(ValueError, match=r"one value per sample.*got \(4, 2\)"):
            LatentPairsDisplay.from_codes(np.eye(4), np.zeros((4, 2)))
        for latents in ([1], [0.5, 1.5]):
            with pytest.raises(ValueError, match="at least two indices"):
                LatentPairsDisplay.from_codes(np.eye(4), latents=latents)

"""Displays compute the right numbers, and draw them."""

import subprocess
import sys
import warnings
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from _fits import small
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 # a switch
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, ParameterGrid
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, InfoGANTransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.inspection import (
    FactorMatrixDisplay,
    GammaPathDisplay,
    LatentPairsDisplay,
    LatentTraversalDisplay,
    OverviewDisplay,
    ReconstructionDisplay,
    SearchDisplay,
    StabilityDisplay,
    TrainingDisplay,
    explore,
    factor_table,
)
from skfactorvae.inspection._health import Mark
from skfactorvae.inspection._layout import choose_layout
from skfactorvae.metrics import dci_scores, mutual_information_matrix
from skfactorvae.model_selection import SeedEnsemble


@pytest.fixture(scope="module")
def wine():
    data = load_wine()
    pipe = make_pipeline(StandardScaler(), small(max_iter=60)).fit(data.data)
    return data, pipe


def lines_of(ax):
    return [line.get_xydata().T for line in ax.get_lines()]


class TestColumnsWithoutValues:
    """They are NaN in reconstructions, and are drawn as columns without effect."""

    @pytest.fixture(scope="class")
    @staticmethod
    def fitted():
        X = np.random.RandomState(0).normal(size=(80, 2)) @ [[1, 0, 2, 1], [1, 2, 0, 1]]
        X[:, 1] = np.nan
        with pytest.warns(UserWarning, match="without any observed value"):
            return small(n_components=2, max_iter=20).fit(X), X

    def test_tables_have_no_sign_for_them(self, fitted):
        table = factor_table(*fitted)
        assert (table.sign[:, 1] == 0).all()
        assert table.sign[:, [0, 2, 3]].any(axis=0).all()
        assert "x1" not in str(table)
        assert (table.share[:, 1] == 0).all()
        assert np.isfinite(table.simplicity)

    def test_bars_and_overviews_are_drawn(self, fitted):
        drawn = LatentTraversalDisplay.from_estimator(*fitted).plot()
        assert all(np.isfinite(ax.get_xlim()).all() for ax in drawn.ax_)
        overview = OverviewDisplay.from_estimator(*fitted)
        assert overview.pairs.factor_name != "x1"
        overview.plot()

    def test_images_are_drawn(self, fitted):
        model, X = fitted
        for values in ("samples", "differences"):
            LatentTraversalDisplay.from_estimator(
                model, X, image_shape=(2, 2), kind="image"
            ).plot(values=values)

    def test_a_page_refuses_them_by_number(self, fitted, tmp_path):
        with pytest.raises(ValueError, match="the first of them column 1"):
            explore(*fitted, tmp_path / "page.html")


class TestLatentTraversal:
    def test_every_curve_is_drawn_as_it_was_decoded(self, vae, peaks):
        display = LatentTraversalDisplay.from_estimator(
            vae, peaks.data, x=peaks.grid, latents=[1], n_steps=5
        ).plot(x_label="wavelength / nm", y_label="signal")
        (ax,) = display.ax_
        drawn = sorted(tuple(y) for _, y in lines_of(ax))
        assert drawn == sorted(map(tuple, display.rows[0]))
        assert all((x == peaks.grid).all() for x, _ in lines_of(ax))
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("wavelength / nm", "signal")

    def test_the_middle_is_the_mean_code(self, vae, peaks):
        display = LatentTraversalDisplay.from_estimator(
            vae, peaks.data, n_steps=5, unit="aggregate"
        )
        mean = vae.transform(peaks.data).astype(float).mean(axis=0)
        expected = vae.inverse_transform(mean[None])[0]
        np.testing.assert_allclose(display.rows[0, 2], expected, rtol=1e-5)
        np.testing.assert_allclose(display.middle, expected, rtol=1e-5)

    def test_a_component_moves_between_quantiles_of_its_codes(self, vae, peaks):
        display = LatentTraversalDisplay.from_estimator(
            vae, peaks.data, n_steps=3, latents=[1]
        )
        codes = vae.transform(peaks.data).astype(float)
        np.testing.assert_allclose(
            display.codes[0], np.quantile(codes[:, 1], [0.025, 0.5, 0.975])
        )
        path = np.tile(codes.mean(axis=0), (3, 1))
        path[:, 1] = display.codes[0]
        expected = vae.inverse_transform(path)
        np.testing.assert_allclose(display.rows[0], expected, rtol=1e-4)

    def test_small_movements_of_curves_are_drawn_as_differences(self):
        """Of curves that coincide, nothing else would be visible."""
        mean, wave = np.linspace(0, 50, 80), np.zeros(80)
        wave[30:40] = 1
        rows = mean + np.linspace(-1, 1, 5)[:, None] * wave  # (5, 80)
        layout = choose_layout([str(i) for i in range(80)], kind="curve")
        display = LatentTraversalDisplay(
            rows[None],
            np.zeros((1, 5)),
            np.linspace(0, 1, 5),
            np.array([0]),
            np.ones(80),
            layout,
            middle=mean,
        )

        def drawn(**options):
            (ax,) = display.plot(**options).ax_
            return sorted(np.ptp(line.get_ydata()) for line in ax.lines), ax.get_xlim()

        heights, limits = drawn()
        np.testing.assert_allclose(heights, [0, 0.5, 0.5, 1, 1], atol=1e-12)
        assert 20 < limits[0] < 30 < 39 < limits[1] < 50
        heights, limits = drawn(values="samples", zoom=False)
        assert min(heights) > 45
        assert limits == (0, 79)
        with pytest.raises(ValueError, match="values must be one of"):
            display.plot(values="both")

    def test_bars_are_effects_in_standard_deviations(self, wine):
        data, pipe = wine
        display = LatentTraversalDisplay.from_estimator(
            pipe, data.data, latents=[0], feature_names=data.feature_names
        ).plot(max_features=4)
        (ax,) = display.ax_
        effects = (display.rows[0, -1] - display.rows[0, 0]) / data.data.std(axis=0)
        widths = [bar.get_width() for bar in ax.patches]
        largest = np.argsort(-np.abs(effects))[:4][::-1]
        np.testing.assert_allclose(widths, effects[largest])
        labels = [text.get_text() for text in ax.get_yticklabels()]
        assert labels == [data.feature_names[i] for i in largest]

    def test_images_come_in_strips(self, images):
        vae = small(network="conv", image_shape=(1, 6, 5), max_iter=5).fit(images)
        display = LatentTraversalDisplay.from_estimator(
            vae, images, latents=[0, 1], n_steps=3
        ).plot()
        (shown,) = display.ax_[1].get_images()
        rows, strip = display.rows, shown.get_array()
        scaled = (rows[1] - rows.min()) / (rows.max() - rows.min())
        assert strip.shape == (6, 3 * 5 + 2)
        np.testing.assert_allclose(strip[:, 6:11], scaled[1].reshape(6, 5))

    def test_only_active_components_are_shown(self, peaks):
        vae = small(n_components=3).fit(peaks.data)
        vae.active_components_ = np.array([0, 2])
        display = LatentTraversalDisplay.from_estimator(vae, peaks.data)
        assert display.latents.tolist() == [0, 2]
        assert display.kl.tolist() == vae.kl_per_component_[[0, 2]].tolist()

    @pytest.mark.parametrize("latents", [[3], [-1], [0.5], []])
    def test_invalid_indices_are_refused(self, vae, peaks, latents):
        with pytest.raises(
            ValueError, match="latents must be indices of components, from 0 to 2"
        ):
            LatentTraversalDisplay.from_estimator(vae, peaks.data, latents=latents)

    def test_numeric_names_are_an_axis(self, vae, peaks):
        names = [f"{1000 + i}.5" for i in range(30)]
        display = LatentTraversalDisplay.from_estimator(
            vae, peaks.data, feature_names=names
        )
        assert display.layout.kind == "curve"
        assert display.layout.x[1] == 1001.5

    def test_a_shape_that_does_not_fit_is_refused(self, vae, peaks):
        with pytest.raises(ValueError, match="30 values in total"):
            LatentTraversalDisplay.from_estimator(vae, peaks.data, image_shape=(6, 6))
        with pytest.raises(ValueError, match="x must hold 30 finite numbers"):
            LatentTraversalDisplay.from_estimator(vae, peaks.data, x=[1, 2])


class TestFactorMatrix:
    @pytest.mark.parametrize("method", ["mutual_info", "correlation", "dci"])
    def test_a_permutation_is_found(self, method):
        factors = np.random.RandomState(0).uniform(size=(400, 3))
        codes = np.exp(factors[:, [2, 0, 1]])
        display = FactorMatrixDisplay.from_codes(factors, codes, method=method)
        assert display.matrix.argmax(axis=1).tolist() == [2, 0, 1]

    def test_numbers_are_those_of_the_metrics(self, vae, peaks):
        codes = vae.transform(peaks.data)
        shown = FactorMatrixDisplay.from_estimator(
            vae, peaks.data, peaks.factors, n_bins=7
        )
        matrix, entropies = mutual_information_matrix(peaks.factors, codes, n_bins=7)
        np.testing.assert_allclose(shown.matrix, matrix / entropies)
        options = {"estimator": "random_forest"}
        shown = FactorMatrixDisplay.from_codes(
            peaks.factors, codes, method="dci", **options
        )
        expected = dci_scores(peaks.factors, codes, **options)["importances"]
        np.testing.assert_array_equal(shown.matrix, expected)

    def test_options_of_the_metric_may_have_the_names_of_arguments(self, vae, peaks):
        codes, data = vae.transform(peaks.data), (peaks.data, peaks.factors)
        shown = FactorMatrixDisplay.from_estimator(
            vae, *data, method="dci", estimator="lasso"
        )
        expected = dci_scores(peaks.factors, codes, estimator="lasso")["importances"]
        np.testing.assert_array_equal(shown.matrix, expected)
        shown = FactorMatrixDisplay.from_estimator(
            vae, *data, method="correlation", metric_params={"method": "pearson"}
        )
        expected = np.corrcoef(codes.T, peaks.factors.T)[:3, 3:]
        np.testing.assert_allclose(shown.matrix, np.abs(expected), rtol=1e-5)
        assert shown.measure == "absolute Pearson correlation"

    def test_cells_contain_their_numbers(self):
        factors = np.random.RandomState(0).uniform(size=(200, 2))
        display = FactorMatrixDisplay.from_codes(
            factors, factors, method="correlation", factor_names=["mass", "age"]
        ).plot()
        texts = [text.get_text() for text in display.ax_.texts]
        assert texts == [f"{v:.2f}" for v in display.matrix.ravel()]
        ticks = [tick.get_text() for tick in display.ax_.get_xticklabels()]
        assert ticks == ["mass", "age"]

    def test_names_come_from_a_frame(self):
        pd = pytest.importorskip("pandas")
        factors = pd.DataFrame({"shape": ["a", "b"] * 50, "size": range(100)})
        codes = np.arange(100.0)[:, None]
        for method in ("mutual_info", "correlation"):
            display = FactorMatrixDisplay.from_codes(factors, codes, method=method)
            assert display.factor_names.tolist() == ["shape", "size"]
        assert FactorMatrixDisplay.from_codes(factors["size"], codes).matrix.size == 1

    def test_each_factor_needs_a_name(self):
        table = np.random.default_rng(0).normal(size=(50, 2))
        with pytest.raises(ValueError, match="factor_names has 1 names for 2 factors"):
            FactorMatrixDisplay.from_codes(table, table, factor_names=["a"])

    def test_an_unknown_method_is_refused(self):
        with pytest.raises(ValueError, match="method must be one of"):
            FactorMatrixDisplay.from_codes(np.eye(3), np.eye(3), method="magic")


class TestReconstruction:
    def test_numbers_of_a_linear_model_are_known(self, peaks):
        pca = PCA(2).fit(peaks.data)
        display = ReconstructionDisplay.from_estimator(pca, peaks.data, kind="bars")
        back = pca.inverse_transform(pca.transform(peaks.data))
        misses = np.square(peaks.data - back)
        variance = peaks.data.var(axis=0)
        np.testing.assert_allclose(display.r2, 1 - misses.mean(axis=0) / variance)
        errors = np.sqrt((misses / variance).mean(axis=1))
        np.testing.assert_allclose(display.errors, errors)

    def test_rows_go_from_the_best_to_the_worst(self, vae, peaks):
        display = ReconstructionDisplay.from_estimator(vae, peaks.data, n_rows=4)
        errors = display.errors
        assert display.index[[0, -1]].tolist() == [errors.argmin(), errors.argmax()]
        np.testing.assert_array_equal(display.rows, peaks.data[display.index])
        back = vae.inverse_transform(vae.transform(peaks.data[display.index]))
        np.testing.assert_allclose(display.reconstructions, back, rtol=1e-6)

    def test_given_reconstructions_give_the_same(self, vae, peaks):
        back = vae.inverse_transform(vae.transform(peaks.data))
        one = ReconstructionDisplay.from_estimator(vae, peaks.data)
        two = ReconstructionDisplay.from_predictions(peaks.data, back)
        np.testing.assert_allclose(one.errors, two.errors, rtol=1e-6)
        np.testing.assert_array_equal(one.index, two.index)

    def test_a_sample_without_values_is_not_shown(self):
        X = np.random.default_rng(0).normal(size=(9, 3))
        X[4] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            display = ReconstructionDisplay.from_predictions(X, np.zeros_like(X))
        assert np.flatnonzero(np.isnan(display.errors)).tolist() == [4]
        assert 4 not in display.index
        assert display.index[-1] == np.nanargmax(display.errors)

    def test_a_constant_column_has_no_r2(self):
        X = np.column_stack([np.arange(9.0), np.full(9, 0.1)])
        display = ReconstructionDisplay.from_predictions(X, X)
        assert display.r2[0] == 1
        assert np.isnan(display.r2[1])

    @pytest.mark.parametrize("kind", ["curve", "bars", "image"])
    def test_each_kind_is_drawn(self, vae, peaks, kind):
        display = ReconstructionDisplay.from_estimator(
            vae, peaks.data, kind=kind, image_shape=(6, 5), n_rows=3
        ).plot()
        if kind == "curve":
            drawn = [y for _, y in lines_of(display.ax_[0])]
            np.testing.assert_array_equal(
                drawn, [display.rows[0], display.reconstructions[0]]
            )
        elif kind == "bars":
            widths = [bar.get_width() for bar in display.ax_.patches]
            np.testing.assert_array_equal(widths, np.sort(display.r2))
        else:
            (shown,) = display.ax_.get_images()
            assert shown.get_array().shape == (12, 3 * 5 + 2)

    def test_shapes_that_differ_are_refused(self):
        with pytest.raises(ValueError, match="of the same shape"):
            ReconstructionDisplay.from_predictions(np.eye(3), np.eye(4))


@pytest.fixture(scope="module")
def windows():
    """Return 60 windows of 10 times and 3 channels of different units, flattened."""
    rng = np.random.default_rng(0)
    level, slope = rng.normal(size=(2, 60, 1))
    curves = [level + np.zeros(10), 1000 * slope * np.arange(10), level - slope]
    cube = np.stack([np.broadcast_to(c, (60, 10)) for c in curves], axis=-1)
    return (cube + 0.1 * rng.normal(size=cube.shape)).reshape(60, -1)


class TestWindows:
    """Flattened windows are drawn as one curve for each channel."""

    def test_a_reconstruction_has_a_panel_for_each_channel_and_sample(self, windows):
        display = ReconstructionDisplay.from_estimator(
            PCA(2).fit(windows), windows, n_rows=4, window_shape=(10, 3)
        ).plot(y_label=("a", "b", "c"))
        cubes = [r.reshape(4, 10, 3) for r in (display.rows, display.reconstructions)]
        assert len(display.ax_) == 12
        for i, ax in enumerate(display.ax_):
            channel, sample = divmod(i, 4)
            drawn = [y for _, y in lines_of(ax)]
            expected = [cube[sample, :, channel] for cube in cubes]
            np.testing.assert_array_equal(drawn, expected)
        assert [ax.get_ylabel() for ax in display.ax_[::4]] == ["a", "b", "c"]

    def test_an_error_is_in_the_standard_deviations_of_its_channel(self, windows):
        back = windows + np.tile([0, 500.0, 0], 10)
        display = ReconstructionDisplay.from_predictions(
            windows, back, window_shape=(10, 3)
        )
        each = windows.reshape(60, 10, 3).std(axis=0)
        expected = 500 / np.sqrt((each[:, 1] ** 2).mean()) / np.sqrt(3)
        np.testing.assert_allclose(display.errors, expected)

    def test_a_traversal_has_a_panel_for_each_channel_and_component(self, windows):
        display = LatentTraversalDisplay.from_estimator(
            PCA(2).fit(windows),
            windows,
            n_steps=5,
            window_shape=(10, 3),
            x=np.linspace(0, 1, 10),
        ).plot(values="samples", zoom=False)
        assert len(display.ax_) == 6
        cube = display.rows.reshape(2, 5, 10, 3)
        for i, ax in enumerate(display.ax_):
            channel, component = divmod(i, 2)
            drawn = sorted(tuple(y) for _, y in lines_of(ax))
            assert drawn == sorted(map(tuple, cube[component, :, :, channel]))
        assert display.ax_[2].get_ylabel() == "channel 1"
        assert display.ax_[0].get_title(loc="left") == "component 0"
        assert display.ax_[2].get_title(loc="left") == ""

    def test_one_channel_is_drawn_as_a_curve(self, windows):
        display = LatentTraversalDisplay.from_sample(
            PCA(2).fit(windows), windows[0], windows, window_shape=(30, 1)
        ).plot()
        assert len(display.ax_) == 2
        assert display.ax_[0].get_ylabel() in ("", "difference from the mean code")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"window_shape": (10, 4)}, "of 30 values in total; got \\(10, 4\\)"),
            ({"window_shape": 30}, "must be \\(n_times, n_channels\\)"),
            ({"window_shape": (10, 3), "kind": "bars"}, "drawn as curves"),
            ({"window_shape": (10, 3), "x": np.arange(30)}, "x must hold 10 finite"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, windows, options, message):
        with pytest.raises(ValueError, match=message):
            ReconstructionDisplay.from_predictions(windows, windows, **options)

    def test_labels_that_do_not_fit_are_refused(self, windows):
        display = ReconstructionDisplay.from_predictions(
            windows, windows, window_shape=(10, 3)
        )
        with pytest.raises(ValueError, match="one for each of 3 channels; got 2"):
            display.plot(y_label=("a", "b"))


HELD_OUT = {
    "n_samples": 20,
    "score": 3.0,
    "training_score": 3.5,
    "r2": 0.9,
    "first_component_r2": 0.5,
    "factor_analysis_score": 2.0,
    "max_iter": 150,
}


class TestTraining:
    def test_every_term_is_drawn_as_it_was_recorded(self, vae):
        display = TrainingDisplay.from_estimator(vae).plot()
        terms = [term for term in vae.history_ if term != "step"]
        assert len(display.ax_) == len(terms)
        for ax, term in zip(display.ax_, terms, strict=True):
            x, y = lines_of(ax)[0]
            np.testing.assert_array_equal(x, vae.history_["step"])
            np.testing.assert_array_equal(y, vae.history_[term])
        written = {t.get_text().replace("\n", " ") for t in display.figure_.texts}
        assert {mark.message for mark in display.marks} <= written

    def test_only_what_is_fine_has_a_tick(self, vae):
        display = TrainingDisplay.from_estimator(vae)
        levels = ("fine", "note", "warning")
        display.marks = [Mark("training", True, level, level) for level in levels]
        texts = [t.get_text() for t in display.plot().figure_.texts]
        signs = {texts[i + 1]: texts[i] for i in range(len(texts) - 1)}
        assert [signs[level] for level in levels] == ["✓", "–", "!"]

    @pytest.mark.parametrize(
        ("options", "share"),
        [({"temperature": 1.0, "warmup": 0.3}, 0.3), ({"temperature": 5.0}, 0.8)],
    )
    def test_steps_before_the_full_form_are_shaded(self, peaks, options, share):
        vae = small(**options).fit(peaks.data)
        ax = TrainingDisplay.from_estimator(vae).plot().ax_[0]
        first = vae.history_["step"][0]
        (shade,) = ax.patches
        assert shade.get_x() == first
        assert shade.get_x() + shade.get_width() == pytest.approx(share * vae.n_iter_)

    def test_shading_ends_with_the_warm_up_of_a_fit_that_stopped_early(self, peaks):
        vae = small(temperature=1.0, warmup=0.3).fit(peaks.data)
        vae.max_iter = 200  # the fit made 150 of its steps
        display = TrainingDisplay.from_estimator(vae)
        assert display.warmup * vae.n_iter_ == pytest.approx(0.3 * 200)

    def test_shading_ends_with_the_warm_up_of_the_steps_held_out_samples_allow(
        self, peaks
    ):
        vae = small(temperature=1.0, warmup=0.3).fit(peaks.data)
        vae.max_iter, vae.held_out_ = 5000, HELD_OUT | {"max_iter": 150}
        assert TrainingDisplay.from_estimator(vae).warmup == pytest.approx(0.3)

    def test_the_held_out_score_is_a_line_in_the_panel_of_the_held_out_bound(
        self, peaks
    ):
        vae = small(early_stopping=True, warmup=0.1).fit(peaks.data)
        vae.held_out_ = HELD_OUT
        display = TrainingDisplay.from_estimator(vae).plot()
        labelled = [
            ax
            for ax in display.ax_
            if "held_out_ score " in [text.get_text() for text in ax.texts]
        ]
        (ax,) = labelled
        curve, line = lines_of(ax)
        np.testing.assert_array_equal(curve[1], vae.history_["validation_elbo"])
        score = HELD_OUT["score"] + np.log(vae.scale_).sum()
        np.testing.assert_allclose(line[1], score, rtol=1e-6)

    def test_a_fit_that_diverged_at_once_has_panels_without_curves(self, peaks):
        model = small(max_iter=30, learning_rate=1e30)
        with pytest.warns(ConvergenceWarning):
            model.fit(peaks.data)
        display = TrainingDisplay.from_estimator(model).plot()
        terms = set(model.history_) - {"step"}
        assert not len(model.history_["step"])
        assert len(display.ax_) == len(terms)
        texts = [[text.get_text() for text in ax.texts] for ax in display.ax_]
        assert texts == [["no records"]] * len(terms)

    def test_a_model_without_a_record_is_refused(self, peaks):
        with pytest.raises(TypeError, match="PCA has no training record"):
            TrainingDisplay.from_estimator(PCA(2).fit(peaks.data))


@pytest.fixture(scope="module")
def search(peaks):
    pipe = make_pipeline(StandardScaler(), small(max_iter=5))
    name = "factorvaetransformer__"
    grid = {
        f"{name}gamma": [10, 0],
        f"{name}n_components": [1, 2, 3],
        f"{name}beta": [1.0, 4.0],
    }
    return GridSearchCV(pipe, grid, cv=2).fit(peaks.data)


class TestSearches:
    def best(self, search, gamma, n_components):
        """Return mean and standard deviation of the best of two betas."""
        results, name = search.cv_results_, "param_factorvaetransformer__"
        here = (results[f"{name}gamma"] == gamma) & (
            results[f"{name}n_components"] == n_components
        )
        means = np.where(here, results["mean_test_score"], -np.inf)
        i = means.argmax()
        return results["mean_test_score"][i], results["std_test_score"][i]

    def test_lines_and_tables_hold_the_searchs_scores(self, search):
        path = GammaPathDisplay.from_estimator(search)
        table = SearchDisplay.from_estimator(search)
        assert path.values.tolist() == [0, 10]
        assert path.groups.tolist() == table.rows.tolist() == [1, 2, 3]
        for i, j in np.ndindex(2, 3):
            gamma, n = path.values[i], path.groups[j]
            expected = self.best(search, gamma, n)
            assert (path.mean[i, j], path.std[i, j]) == expected
            assert (table.mean[j, i], table.std[j, i]) == expected

    def test_error_bars_are_drawn(self, search):
        display = GammaPathDisplay.from_estimator(search).plot()
        assert len(display.ax_.containers) == 3
        bars = display.ax_.containers[1]
        (segments,) = (c.get_segments() for c in bars[2])
        for segment, mean, std in zip(
            segments, display.mean[:, 1], display.std[:, 1], strict=True
        ):
            np.testing.assert_allclose(segment[:, 1], [mean - std, mean + std])

    def test_a_table_frames_its_best_cell(self, search):
        display = SearchDisplay.from_estimator(search).plot()
        (frame,) = display.ax_.patches
        i, j = np.unravel_index(display.mean.argmax(), display.mean.shape)
        assert frame.get_xy() == (j - 0.5, i - 0.5)

    def test_parameters_that_were_not_searched_are_refused(self, search, vae):
        with pytest.raises(ValueError, match="did not vary 'alpha'"):
            GammaPathDisplay.from_estimator(search, parameter="alpha")
        with pytest.raises(ValueError, match="did not vary 'alpha'"):
            GammaPathDisplay.from_estimator(search, group="alpha")
        with pytest.raises(ValueError, match="did not vary 'gama'"):
            SearchDisplay.from_estimator(search, columns="gama")
        with pytest.raises(ValueError, match="score must be one of"):
            GammaPathDisplay.from_estimator(search, score="mig")
        with pytest.raises(TypeError, match="has no cv_results_"):
            SearchDisplay.from_estimator(vae)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(90, 6)) * np.arange(1, 7)


class TestSearchesOfEveryKind:
    """Grids of values that are no numbers, lists of grids, and halving searches."""

    def test_tuples_of_one_length_are_levels(self, rows):
        sizes = [(4, 4), (8, 8), (4, 16)]
        grid = {"gamma": [0, 10], "hidden_layer_sizes": sizes}
        search = GridSearchCV(small(max_iter=2), grid, cv=2).fit(rows)
        path = GammaPathDisplay.from_estimator(search, group="hidden_layer_sizes")
        table = SearchDisplay.from_estimator(search, rows="hidden_layer_sizes")
        assert path.groups.tolist() == table.rows.tolist() == sorted(sizes, key=str)
        np.testing.assert_array_equal(path.mean, table.mean.T)
        for i, gamma in enumerate(path.values):
            for j, size in enumerate(path.groups):
                wanted = {"gamma": gamma, "hidden_layer_sizes": size}
                k = search.cv_results_["params"].index(wanted)
                assert path.mean[i, j] == search.cv_results_["mean_test_score"][k]
        texts = [tick.get_text() for tick in table.plot().ax_.get_yticklabels()]
        assert texts == [str(size) for size in table.rows]
        path.plot()

    def test_functions_are_named(self):
        grid = {"power_t": [0.5, np.nan], "loss": [len, np.array([1, 2])]}
        display = SearchDisplay.from_estimator(
            a_search(grid), rows="loss", columns="power_t"
        ).plot()
        texts = [tick.get_text() for tick in display.ax_.get_yticklabels()]
        assert texts == ["len", "[1 2]"]
        assert np.isfinite(display.mean).all()

    def test_candidates_of_a_list_have_the_estimators_value_of_what_they_do_not_set(
        self, rows
    ):
        grids = [{"whiten": [True, False]}, {"n_components": [1, 2, 3]}]
        search = GridSearchCV(PCA(2), grids, cv=2).fit(rows)
        display = SearchDisplay.from_estimator(search, columns="whiten")
        assert display.rows.tolist() == [1, 2, 3]
        assert display.columns.tolist() == [False, True]
        assert np.isnan(display.mean[:, 1]).tolist() == [True, False, True]
        scores = search.cv_results_["mean_test_score"]
        np.testing.assert_array_equal(display.mean[[0, 2], 0], scores[[2, 4]])

    def test_a_step_that_is_replaced_has_its_own_value(self, rows):
        pipe = Pipeline([("pca", PCA(2))])
        grids = [{"pca": [PCA(3)]}, {"pca__n_components": [1]}]
        search = GridSearchCV(pipe, grids, cv=2).fit(rows)
        display = GammaPathDisplay.from_estimator(search, parameter="n_components")
        assert display.values.tolist() == [1, 3]
        assert search.param_grid[0]["pca"][0].n_components == 3

    def test_a_name_that_two_steps_have_is_refused(self, rows):
        pipe = Pipeline([("a", PCA(3)), ("b", PCA(2))])
        grid = {"a__n_components": [3, 4], "b__n_components": [1, 2]}
        search = GridSearchCV(pipe, grid, cv=2).fit(rows)
        with pytest.raises(ValueError, match="several parameters named 'n_components'"):
            GammaPathDisplay.from_estimator(search, parameter="n_components")
        names = {"rows": "a__n_components", "columns": "b__n_components"}
        assert SearchDisplay.from_estimator(search, **names).mean.shape == (2, 2)

    @pytest.mark.parametrize("resource", ["n_samples", "iterated_power"])
    def test_halving_searches_show_the_candidates_of_the_last_iteration(
        self, rows, resource
    ):
        search = HalvingGridSearchCV(
            PCA(svd_solver="randomized"),
            {"n_components": [1, 2, 3, 4]},
            resource=resource,
            min_resources=20,
            max_resources=90,
            factor=2,
            cv=2,
            random_state=0,
        ).fit(rows)
        results, last = search.cv_results_, search.n_iterations_ - 1
        is_last = results["iter"] == last
        display = GammaPathDisplay.from_estimator(search, parameter="n_components")
        expected = np.array(results["param_n_components"][is_last])
        assert display.values.tolist() == sorted(expected)
        assert sorted(display.mean.ravel()) == sorted(
            results["mean_test_score"][is_last]
        )
        budget = f"{resource}={search.n_resources_[last]}"
        assert budget in display.plot().ax_.get_title("right")
        table = SearchDisplay.from_estimator(
            search, rows="n_components", columns="n_components"
        )
        assert budget in table.plot().ax_.get_title("right")


def a_search(grid):
    """Return what a search over a grid holds, with a score for each candidate."""
    params = list(ParameterGrid(grid))
    scores = np.arange(len(params), dtype=float)
    names = {f"param_{name}": [p[name] for p in params] for name in grid}
    moments = {"mean_test_score": scores, "std_test_score": 0 * scores}
    return SimpleNamespace(cv_results_={"params": params, **names, **moments})


class TestStability:
    def test_permuted_and_negated_codes_are_the_same_fit(self):
        z = np.random.RandomState(0).normal(size=(300, 3))
        display = StabilityDisplay.from_codes([z, -z[:, ::-1], np.exp(z)])
        np.testing.assert_allclose(display.agreement, 1)

    def test_unstable_components_have_low_agreement(self):
        rng = np.random.RandomState(0)
        z = rng.normal(size=(2000, 3))
        others = [np.column_stack([z[:, 1], rng.normal(size=(2000, 2))]) for _ in "ab"]
        display = StabilityDisplay.from_codes([z, *others], reference=0)
        assert display.reference == 0
        assert display.medians[1] > 0.999
        assert display.medians[[0, 2]].max() < 0.1

    def test_a_smaller_fit_has_no_match_for_all(self):
        z = np.random.RandomState(0).normal(size=(300, 3))
        display = StabilityDisplay.from_codes([z, z[:, [2]]], reference=0)
        np.testing.assert_allclose(display.agreement[:, 0], [0, 0, 1])

    def test_inactive_components_are_left_out(self):
        z = np.random.RandomState(0).normal(size=(300, 2))
        display = StabilityDisplay.from_codes(
            [z, z], kl=[[1.0, 0.001], [1.0, 0.001]], reference=0
        )
        assert display.components.tolist() == [0]

    def test_inactive_components_take_no_part(self):
        """A component of little information, which the models do not list."""
        X, _ = make_nonlinear_ica(240, n_sources=2, n_features=6, random_state=0)
        ensemble = SeedEnsemble(
            FactorVAETransformer(
                3,
                max_iter=60,
                hidden_layer_sizes=16,
                discriminator_hidden_layer_sizes=16,
                weight_decay=0.0,
            ),
            n_seeds=3,
            random_state=0,
        ).fit(X)
        fits = ensemble.estimators_
        assert all(fit.active_components_.tolist() == [0, 1] for fit in fits)
        display = StabilityDisplay.from_estimators(fits, X, reference=ensemble.central_)
        assert display.components.tolist() == [0, 1]
        np.testing.assert_allclose(
            display.medians, ensemble.component_correlation_[:2], atol=1e-6
        )

    @pytest.mark.slow
    def test_estimators_are_compared_by_their_codes(self, peaks):
        fits = [small(random_state=seed).fit(peaks.data) for seed in range(3)]
        display = StabilityDisplay.from_estimators(fits, peaks.data)
        active = [np.isin(range(3), fit.active_components_) for fit in fits]
        expected = StabilityDisplay.from_codes(
            [fit.transform(peaks.data) for fit in fits],
            kl=[
                np.where(own, fit.kl_per_component_, 0.0)
                for fit, own in zip(fits, active, strict=True)
            ],
        )
        np.testing.assert_allclose(display.agreement, expected.agreement)
        ax = display.plot().ax_
        texts = [text.get_text() for text in ax.texts]
        assert texts == [f"{m:.2f}" for m in display.medians]


# --------------------------------------------------------------------------- all
@pytest.fixture(scope="module")
def displays(vae, peaks):
    X = peaks.data
    return [
        LatentTraversalDisplay.from_estimator(vae, X),
        LatentTraversalDisplay.from_estimator(vae, X, kind="curve"),
        FactorMatrixDisplay.from_estimator(vae, X, peaks.factors),
        ReconstructionDisplay.from_estimator(vae, X),
        TrainingDisplay.from_estimator(vae),
        StabilityDisplay.from_codes([X[:, :3], X[:, 3:6]]),
        LatentPairsDisplay.from_estimator(vae, X),
    ]


@pytest.fixture(scope="module")
def gan(peaks):
    """A model of one number and a category of three levels."""
    model = InfoGANTransformer(
        1, n_categories=3, hidden_layer_sizes=(8,), max_iter=5, random_state=0
    )
    return model.fit(peaks.data)


class TestCategories:
    def test_the_levels_of_a_category_move_together(self, gan, peaks):
        """A traversal is decoded from probabilities that add up to one."""
        means, stds = (part.astype(float) for part in gan.posterior(peaks.data))
        mean, variance = means.mean(axis=0), means.var(axis=0)
        display = LatentTraversalDisplay.from_estimator(
            gan, peaks.data, n_steps=3, unit="aggregate"
        )
        assert display.latents.tolist() == [0, 1, 2, 3]
        step = np.sqrt(variance[2] + np.square(stds[:, 2]).mean())
        code = mean.copy()
        code[2] = min(mean[2] + 2 * step, 1)
        code[[1, 3]] *= (1 - code[2]) / mean[[1, 3]].sum()
        assert code[1:].sum() == pytest.approx(1, rel=1e-5)
        expected = gan.inverse_transform(code[None])[0]
        np.testing.assert_allclose(display.rows[2, 2], expected, rtol=1e-4)
        notes = [ax.get_title("right") for ax in display.plot().ax_]
        assert [note.endswith("nats") for note in notes] == [True] + [False] * 3

    def test_they_are_shown_by_default(self, gan, peaks):
        pairs = LatentPairsDisplay.from_estimator(gan, peaks.data)
        assert pairs.latents.tolist() == [0, 1, 2, 3]
        stability = StabilityDisplay.from_estimators([gan, gan], peaks.data)
        assert stability.components.tolist() == [0, 1, 2, 3]
        table = factor_table(gan, peaks.data)
        assert len(table.summary) == 4
        assert np.isnan(table.kl).tolist() == [False, True, True, True]


def test_plot_returns_the_display_with_its_axes(displays):
    for display in displays:
        assert display.plot() is display
        axes = np.atleast_1d(display.ax_)
        assert all(ax.figure is display.figure_ for ax in axes)


def test_plots_are_drawn_in_given_axes(displays):
    for display in displays:
        figure, axes = plt.subplots(1, 2)
        display.plot(ax=axes[1])
        assert display.figure_ is figure


def test_too_few_axes_are_refused(displays):
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match="has 3 panels; got 2 axes"):
        displays[0].plot(ax=axes)
    with pytest.raises(ValueError, match="needs ax=None"):
        displays[0].plot(ax=plt.figure().add_axes((0, 0, 1, 1)))


def test_plots_are_drawn_without_a_warning(displays, tmp_path):
    """Warnings of collapsed layouts and missing glyphs are errors."""
    for i, display in enumerate(displays):
        display.plot().figure_.savefig(tmp_path / f"{i}.png", dpi=40)


def test_computing_needs_no_matplotlib_and_plotting_raises_an_import_error():
    code = """
import sys
sys.modules["matplotlib"] = None
import numpy as np
from skfactorvae.inspection import StabilityDisplay
z = np.random.RandomState(0).normal(size=(50, 2))
display = StabilityDisplay.from_codes([z, z])
try:
    display.plot()
except ImportError as error:
    assert "pip install" in str(error), error
else:
    raise SystemExit("drew without matplotlib")
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_regressor_is_refused(peaks):
    model = LinearRegression().fit(peaks.data, peaks.factors)
    with pytest.raises(TypeError, match="no components"):
        LatentPairsDisplay.from_estimator(model, peaks.data)

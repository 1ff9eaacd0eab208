"""One component of a sample is moved, in the units of the table."""

import numpy as np
import pandas as pd
import pytest
from _fits import small
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfactorvae import InfoGANTransformer
from skfactorvae.inspection import LatentTraversalDisplay, edit, factor_table
from skfactorvae.model_selection import SeedEnsemble


@pytest.fixture(scope="module")
def positive(peaks):
    """A pipeline that takes logarithms, and its samples."""
    X = 1 + np.abs(peaks.data)
    log = FunctionTransformer(np.log, inverse_func=np.exp)
    return make_pipeline(log, StandardScaler(), small(max_iter=10)).fit(X), X


class TestEdit:
    def test_a_sample_that_is_not_moved_comes_back_bit_for_bit(self, pipe, positive):
        log_pipe, X = positive
        for moves in ({}, {0: 0.0}, {"component_1": 0, 2: 0.0}):
            np.testing.assert_array_equal(edit(log_pipe, X, moves), X)
            np.testing.assert_array_equal(edit(pipe, X, moves), X)

    def test_it_is_the_sample_and_the_difference_of_two_decoded_codes(self, vae, peaks):
        X = peaks.data[:5]
        codes = vae.transform(X).astype(float)
        moved = codes + np.array([0, 1.5, 0])
        expected = X + vae.inverse_transform(moved) - vae.inverse_transform(codes)
        edited = edit(vae, X, {1: 1.5})
        np.testing.assert_allclose(edited, expected, rtol=1e-6, atol=1e-4)
        assert np.abs(edited - X).max() > 1

    def test_without_the_residual_it_is_what_is_decoded(self, pipe, peaks):
        X = peaks.data[:5]
        codes = pipe.transform(X).astype(float) + np.array([0.5, 0, 0])
        edited = edit(pipe, X, {"component_0": 0.5}, keep_residual=False)
        np.testing.assert_allclose(edited, pipe.inverse_transform(codes), rtol=1e-5)

    def test_names_are_indices_of_components(self, vae, peaks):
        X = peaks.data[:3]
        names = vae.get_feature_names_out()
        edits = [edit(vae, X, {key: 1.0}) for key in (2, "component_2", names[2])]
        np.testing.assert_array_equal(edits[0], edits[1])
        np.testing.assert_array_equal(edits[0], edits[2])

    def test_the_unit_of_a_reference_is_that_of_the_factor_table(self, vae, peaks):
        X = peaks.data
        step = factor_table(vae, X).step
        np.testing.assert_array_equal(
            edit(vae, X[:2], {0: 1.0}, reference=X), edit(vae, X[:2], {0: step[0]})
        )

    def test_one_sample_is_repeated_and_each_sample_may_have_its_move(self, vae, peaks):
        X = peaks.data[:3]
        each = edit(vae, X, {0: [0.0, 1.0, -1.0]})
        np.testing.assert_array_equal(each[0], X[0])
        several = edit(vae, X[1:2], {0: [0.0, 1.0]})
        np.testing.assert_allclose(several[1], each[1], rtol=1e-6)
        assert several.shape == (2, X.shape[1])

    def test_columns_keep_their_sign_behind_a_logarithm(self, positive):
        pipe, X = positive
        assert edit(pipe, X, {0: 8.0, 1: -8.0}).min() > -1e-6 * X.max()

    @pytest.mark.slow
    def test_what_a_lossy_step_loses_is_kept(self, peaks):
        pipe = make_pipeline(PCA(4, random_state=0), small(max_iter=40))
        pipe.fit(peaks.data)
        X = peaks.data[:4]
        lost = X - pipe[0].inverse_transform(pipe[0].transform(X))
        edited = edit(pipe, X, {0: 2.0})
        found = edited - pipe[0].inverse_transform(pipe[0].transform(edited))
        np.testing.assert_allclose(found, lost, atol=1e-6)

    @pytest.mark.slow
    def test_a_frame_keeps_its_index_columns_and_types(self, peaks):
        X = pd.DataFrame(peaks.data).add_prefix("wave_")
        X["constant"] = 7
        vae = small(max_iter=30).fit(X)
        edited = edit(vae, X[3:6], {0: 1.0})
        assert edited.index.tolist() == [3, 4, 5]
        assert edited.columns.tolist() == X.columns.tolist()
        assert edited["constant"].dtype == int
        pd.testing.assert_frame_equal(edit(vae, X, {}), X)

    @pytest.mark.slow
    def test_missing_values_stay_missing(self, peaks):
        X = peaks.data.copy()
        X[0, 3] = np.nan
        pipe = make_pipeline(SimpleImputer(), small(max_iter=30)).fit(X)
        edited = edit(pipe, X[:2], {0: 1.0})
        assert np.isnan(edited[0, 3])
        assert np.isfinite(edited).sum() == edited.size - 1

    def test_binary_images_stay_in_their_range(self):
        X = (np.random.default_rng(0).uniform(size=(60, 8)) > 0.5).astype(float)
        vae = small(likelihood="bernoulli", max_iter=30).fit(X)
        edited = edit(vae, X, {0: 3.0})
        assert edited.min() >= 0
        assert edited.max() <= 1

    def test_the_levels_of_a_category_share_what_is_left(self, peaks):
        gan = InfoGANTransformer(2, n_categories=(3,), max_iter=10, random_state=0)
        gan.fit(peaks.data)
        X = peaks.data[:2]
        codes = gan.transform(X).astype(float)
        moved = codes.copy()
        level = gan.category_columns_[0][0]
        others = gan.category_columns_[0][1:]
        moved[:, level] = 1.0
        moved[:, others] = 0.0
        edited = edit(gan, X, {int(level): 2.0}, keep_residual=False)
        np.testing.assert_allclose(edited, gan.inverse_transform(moved), rtol=1e-5)

    @pytest.mark.parametrize(
        ("moves", "error", "message"),
        [
            ([1.0], TypeError, "moves must be a dict"),
            ({3: 1.0}, ValueError, "integer from 0 to 2, or one of the names 'comp"),
            (
                {"component_9": 1.0},
                ValueError,
                "integer from 0 to 2, or one of the names 'comp",
            ),
            ({True: 1.0}, ValueError, "integer from 0 to 2, or one of the names 'comp"),
            ({0: np.nan}, ValueError, "must be a finite number"),
            ({0: [1.0, 2.0, 3.0]}, ValueError, "for [3] samples, and there are 2"),
            ({0: [1.0, 2.0], 1: [1.0]}, ValueError, "are given for"),
        ],
    )
    def test_bad_moves(self, vae, peaks, moves, error, message):
        with pytest.raises(error, match=message.replace("[3]", r"\[3\]")):
            edit(vae, peaks.data[:2], moves)

    def test_a_model_without_a_prior_needs_a_reference(self, peaks):
        pca = PCA(2).fit(peaks.data)
        with pytest.raises(ValueError, match="Pass reference="):
            edit(pca, peaks.data, {0: 1.0})
        edited = edit(pca, peaks.data, {0: 1.0}, reference=peaks.data)
        std = pca.transform(peaks.data).std(axis=0)[0]
        np.testing.assert_allclose(
            edited - peaks.data, np.tile(std * pca.components_[0], (300, 1)), atol=1e-8
        )


def moved_numbers(model, X, latent, amount):
    """Return decoded numbers without and with a move, each (n, q)."""
    codes = model.transform(X).astype(float)
    move = np.eye(codes.shape[1])[latent] * amount
    return model.expected_numbers(codes), model.expected_numbers(codes + move)


class TestColumnsOfSeveralTypes:
    def test_a_sample_that_is_not_moved_comes_back(self, mixed):
        model, X = mixed
        pd.testing.assert_frame_equal(edit(model, X, {0: 0.0}), X)

    def test_numbers_move_by_differences_and_lognormal_ones_by_ratios(self, mixed):
        model, X = mixed
        names = list(model.number_names_)
        before, after = moved_numbers(model, X, 0, 3.0)
        edited = edit(model, X, {0: 3.0})
        size, weight = names.index("size"), names.index("weight")
        np.testing.assert_allclose(
            edited["size"] - X["size"], (after - before)[:, size], atol=1e-4
        )
        np.testing.assert_allclose(
            edited["weight"] / X["weight"], (after / before)[:, weight], rtol=1e-4
        )
        assert (edit(model, X, {0: -9.0, 1: 9.0})["weight"] > 0).all()

    def test_levels_follow_the_most_probable_one(self, mixed):
        model, X = mixed
        expected = [
            model.inverse_transform(model.transform(X) + np.array([move, 0.0]))["kind"]
            for move in (0.0, 5.0)
        ]
        edited = edit(model, X, {0: 5.0})["kind"]
        is_moved = (expected[0] != expected[1]).to_numpy()
        assert 0 < is_moved.sum() < len(X)
        assert edited[is_moved].tolist() == expected[1][is_moved].tolist()
        assert edited[~is_moved].tolist() == X["kind"][~is_moved].tolist()

    def test_types_index_and_missing_values_are_kept(self, mixed):
        model, X = mixed
        rows = X.iloc[5:9].copy()
        rows["kind"] = rows["kind"].astype("category")
        rows.loc[6, "kind"] = None
        rows.loc[7, "size"] = np.nan
        edited = edit(model, rows, {0: 9.0})
        assert edited.index.tolist() == [5, 6, 7, 8]
        assert edited.dtypes.tolist() == rows.dtypes.tolist()
        pd.testing.assert_frame_equal(edited.isna(), rows.isna())

    def test_a_table_of_fewer_levels_moves_to_those_of_the_fit(self, mixed):
        model, X = mixed
        expected = edit(model, X, {0: 5.0})["kind"]
        first = X["kind"][(expected != X["kind"]).to_numpy()].iloc[0]
        rows = X[X["kind"] == first]
        moved = edit(model, rows.astype({"kind": "category"}), {0: 5.0})["kind"]
        assert moved.tolist() == expected[X["kind"] == first].tolist()
        typed = small(n_components=2, max_iter=10).fit(X.astype({"kind": "category"}))
        expected = edit(typed, X.astype({"kind": "category"}), {0: 5.0})
        first = X["kind"][(expected["kind"] != X["kind"]).to_numpy()].iloc[0]
        rows = X[X["kind"] == first]
        moved = edit(typed, rows.astype({"kind": "category"}), {0: 5.0})
        pd.testing.assert_frame_equal(moved, expected.loc[rows.index])

    def test_without_the_residual_it_is_what_is_decoded(self, mixed):
        model, X = mixed
        edited = edit(model, X[:5], {1: 1.0}, keep_residual=False)
        decoded = model.inverse_transform(model.transform(X[:5]) + np.array([0.0, 1.0]))
        pd.testing.assert_frame_equal(edited, decoded, rtol=1e-5)

    def test_an_array_comes_back_as_an_array(self, mixed):
        _, X = mixed
        values = X[["size", "weight"]].to_numpy()
        model = small(n_components=2, likelihood={"x1": "lognormal"}, max_iter=10)
        edited = edit(model.fit(values), values[:3], {0: 1.0})
        before, after = moved_numbers(model, values[:3], 0, 1.0)
        np.testing.assert_allclose(edited[:, 1], values[:3, 1] * (after / before)[:, 1])

    def test_units_are_those_of_the_table_behind_a_step(self, mixed):
        _, X = mixed
        values = X[["size", "weight"]].to_numpy()
        model = small(n_components=2, likelihood={"x1": "student_t"}, max_iter=10)
        pipe = make_pipeline(StandardScaler(), model).fit(values)
        scaled = pipe[0].transform(values)
        before, after = moved_numbers(model, scaled, 0, 1.0)
        np.testing.assert_allclose(
            edit(pipe, values, {0: 1.0}), values + (after - before) * pipe[0].scale_
        )

    def test_an_ensemble_edits_as_its_central_fit(self, mixed):
        _, X = mixed
        model = small(n_components=2, max_iter=5)
        ensemble = SeedEnsemble(model, n_seeds=2).fit(X)
        assert ensemble.column_likelihoods_ == ensemble.estimator_.column_likelihoods_
        edited = edit(ensemble, X[:3], {0: 1.0}, reference=X)
        step = ensemble.transform(X).std(axis=0)[0]
        expected = edit(ensemble.estimator_, X[:3], {0: step})
        pd.testing.assert_frame_equal(edited, expected, rtol=1e-4)

    def test_one_sample_is_repeated(self, mixed):
        model, X = mixed
        several = edit(model, X[3:4], {0: [0.0, 1.0]})
        pd.testing.assert_frame_equal(several[:1], X[3:4])
        pd.testing.assert_frame_equal(several[1:], edit(model, X[3:4], {0: 1.0}))

    def test_lists_are_edited_as_an_array(self, mixed):
        _, X = mixed
        values = X.to_numpy(dtype=object)
        model = small(n_components=2, max_iter=10).fit(values)
        edited = edit(model, values[:3].tolist(), {0: 1.0})
        np.testing.assert_array_equal(edited, edit(model, values[:3], {0: 1.0}))

    # scikit-learn 1.6 does not read the names of these frames.
    @pytest.mark.filterwarnings("ignore:X does not have valid feature names")
    def test_a_frame_of_polars_keeps_its_types(self, mixed):
        polars = pytest.importorskip("polars")
        model, X = mixed
        frame = polars.DataFrame(X.to_dict("list"))
        edited = edit(model, frame, {0: 5.0})
        assert edited.schema == frame.schema
        assert edited["kind"].to_list() == edit(model, X, {0: 5.0})["kind"].tolist()

    @pytest.mark.parametrize("keep_residual", [True, False])
    def test_categories_that_are_modelled_as_numbers_move(self, keep_residual):
        rng = np.random.default_rng(0)
        z = rng.normal(size=80)
        rating = np.clip(np.round(z + 3), 1, 5).astype(int)
        X = pd.DataFrame({"size": z, "kind": np.where(z > 0, "a", "b")})
        X["rating"] = pd.Categorical(rating, ordered=True)
        model = small(likelihood={"rating": "gaussian"}, max_iter=20).fit(X)
        options = {"reference": X, "keep_residual": keep_residual}
        table = edit(model, X[:4], {0: 1.0}, **options)["rating"]
        assert np.isfinite(table.to_numpy(float)).all()
        if keep_residual:
            still = edit(model, X[:4], {0: 0.0}, **options)["rating"]
            assert still.tolist() == X["rating"][:4].tolist()

    def test_a_traversal_starts_from_a_sample(self, mixed):
        model, X = mixed
        display = LatentTraversalDisplay.from_sample(model, X[3:4], X, n_steps=3)
        np.testing.assert_allclose(display.rows[0, 1], model.numbers(X[3:4])[0])


class TestStrip:
    def test_the_middle_of_a_traversal_from_a_sample_is_the_sample(self, vae, peaks):
        sample = peaks.data[7]
        display = LatentTraversalDisplay.from_sample(
            vae, sample, peaks.data, latents=[0, 1], n_steps=5
        )
        assert display.rows.shape == (2, 5, 30)
        np.testing.assert_array_equal(display.rows[:, 2], [sample, sample])
        assert len(display.plot().ax_) == 2

    def test_it_is_labelled_in_standard_deviations_from_the_sample(self, vae, peaks):
        display = LatentTraversalDisplay.from_sample(
            vae, peaks.data[7], peaks.data, latents=[0, 1], n_steps=5, kind="curve"
        ).plot(values="differences")
        first = display.ax_[0]
        assert [text.get_text() for text in first.texts] == ["−2 sd", "+2 sd"]
        assert first.get_ylabel() == "difference from the sample"
        decoded = LatentTraversalDisplay.from_sample(
            vae, peaks.data[7], peaks.data, latents=[0], keep_residual=False
        )
        assert decoded.origin == "reconstruction of the sample"
        np.testing.assert_array_equal(display.rows[0, 2], display.middle)
        bars = LatentTraversalDisplay.from_sample(
            vae, peaks.data[7], peaks.data, latents=[0], kind="bars"
        ).plot()
        assert bars.ax_[0].get_xlabel().startswith("change from −2 sd to +2 sd")

    def test_images_are_strips(self, images):
        vae = small(network="conv", image_shape=(1, 6, 5), max_iter=5).fit(images)
        display = LatentTraversalDisplay.from_sample(
            vae, images[0], images, latents=[0], n_steps=3
        ).plot()
        (shown,) = display.ax_[0].get_images()
        assert shown.get_array().shape == (6, 3 * 5 + 2)

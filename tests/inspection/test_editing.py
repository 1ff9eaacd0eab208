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


class TestStrip:
    def test_the_middle_of_a_traversal_from_a_sample_is_the_sample(self, vae, peaks):
        sample = peaks.data[7]
        display = LatentTraversalDisplay.from_sample(
            vae, sample, peaks.data, latents=[0, 1], n_steps=5
        )
        assert display.rows.shape == (2, 5, 30)
        np.testing.assert_array_equal(display.rows[:, 2], [sample, sample])
        assert len(display.plot().ax_) == 2

    def test_images_are_strips(self, images):
        vae = small(network="conv", image_shape=(1, 6, 5), max_iter=5).fit(images)
        display = LatentTraversalDisplay.from_sample(
            vae, images[0], images, latents=[0], n_steps=3
        ).plot()
        (shown,) = display.ax_[0].get_images()
        assert shown.get_array().shape == (6, 3 * 5 + 2)

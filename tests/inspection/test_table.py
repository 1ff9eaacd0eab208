"""The factor table: numbers against closed forms, and sentences against curves."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skfactorvae.datasets import make_gaussian_peaks
from skfactorvae.inspection import factor_table
from skfactorvae.inspection._wording import pair


class Decoder:
    """A transformer whose code is the first column, decoded by a given function."""

    def __init__(self, function, n_features_in_, std=0.0):
        self.function, self.n_features_in_, self.std = function, n_features_in_, std

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        return PCA().__sklearn_tags__()

    def transform(self, X):
        return np.asarray(X)[:, :1]

    def posterior(self, X):
        codes = self.transform(X)
        return codes, np.full_like(codes, self.std)

    def inverse_transform(self, codes):
        return self.function(codes[:, 0])


GRID = np.linspace(-1, 1, 201)


def columns(*functions):
    return lambda z: np.column_stack([function(z) for function in functions])


def test_effect_sign_and_monotone_of_known_functions():
    z = np.random.RandomState(0).normal(size=(4000, 1))
    X = np.hstack([z, -z, z**2, 0 * z])
    decoder = Decoder(columns(lambda z: z, lambda z: -z, np.square, np.zeros_like), 4)
    table = factor_table(decoder, X, unit="aggregate")
    s = z.std()
    np.testing.assert_allclose(table.effect[0, :2], [4 * s, -4 * s])
    np.testing.assert_allclose(table.low[0, 0], z.mean() - 2 * s)
    assert table.sign[0, :2].tolist() == [1, -1]
    assert table.monotone[0].tolist() == [True, True, False, True]
    # 65 quantiles omit the tails of a normal distribution
    np.testing.assert_allclose(table.share[0, :2], 1, atol=0.03)
    np.testing.assert_allclose(table.share[0, 3], 0)


def test_the_ends_are_quantiles_so_that_two_levels_stay_two_levels():
    """Two standard deviations from the mean are beyond both levels."""
    z = (np.arange(400) % 4 == 0).astype(float)[:, None]
    decoder = Decoder(columns(lambda z: z), 1)
    table = factor_table(decoder, z)
    np.testing.assert_allclose([table.low, table.high], [[[0]], [[1]]])
    assert factor_table(decoder, z, unit="aggregate").low < -0.5


def test_a_small_movement_turns_nowhere():
    """A wave of a tenth of the feature's spread is not said to turn."""
    z = np.random.RandomState(0).normal(size=(500, 1))
    wave = columns(lambda z: 0.08 * np.sin(3 * z), lambda z: 0.4 * np.sin(3 * z))
    table = factor_table(Decoder(wave, 2), np.hstack([z, z]))
    assert table.monotone[0].tolist() == [True, False]


def test_what_has_no_effect_turns_nowhere():
    """A wave of a thousandth of the feature's spread is no change of direction."""
    z = np.random.RandomState(0).normal(size=(500, 1))
    X = np.hstack([z, z, z])
    wave = columns(lambda z: 1e-3 * np.sin(9 * z), lambda z: np.sin(3 * z), lambda z: z)
    table = factor_table(Decoder(wave, 3), X)
    assert table.monotone[0].tolist() == [True, False, True]


def test_share_is_of_the_features_variance():
    rng = np.random.RandomState(0)
    z = rng.uniform(size=(5000, 1))
    noise = rng.normal(size=(5000, 1)) * z.std()
    table = factor_table(
        Decoder(columns(lambda z: z, lambda z: z), 2), np.hstack([z, z + noise])
    )
    np.testing.assert_allclose(table.share, [[1.0, 0.5]], atol=0.03)


def test_the_step_is_that_of_the_aggregate_posterior():
    z = np.random.RandomState(0).normal(size=(500, 1))
    decoder = Decoder(columns(lambda z: z), 1, std=2.0)
    both = np.sqrt(z.var() + 4)
    table = factor_table(decoder, z, unit="aggregate")
    np.testing.assert_allclose(table.step, both)
    np.testing.assert_allclose(table.effect, [[4 * both]])
    np.testing.assert_allclose(factor_table(decoder, z, unit="posterior").effect, 8)


def test_a_bad_unit_is_refused():
    with pytest.raises(ValueError, match="unit must be one of"):
        factor_table(Decoder(columns(lambda z: z), 1), np.eye(3), unit="prior")


# ----------------------------------------------------------------------- sentences
@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((111.4, 15023.0), ("110", "15,000")),
        ((5.5, 1209.0), ("5.5", "1200")),
        ((24.2, 3324.0), ("24", "3300")),
        ((3324.0, 24.2), ("3300", "24")),
        ((-0.31, 1200.0), ("0", "1200")),
        ((0.004, 1.23), ("0.0040", "1.2")),
        ((0.87, 3.46), ("0.9", "3.5")),
        ((1e-9, 3.46), ("0.0", "3.5")),
        ((0.0, 1209.0), ("0", "1200")),
        ((-3.0, 5.0), ("-3.0", "5.0")),
    ],
)
def test_the_smaller_of_two_numbers_is_not_rounded_away(ends, expected):
    assert pair(*ends) == expected


def test_numbers_that_differ_by_noise_have_no_more_digits():
    assert pair(-0.31, 0.42, least=1200.0) == ("0", "0")


def bell(position=0.0, height=1.0, width=0.1, base=0.0):
    return base + height * np.exp(
        -0.5 * np.square((GRID[None] - np.c_[position]) / np.c_[width])
    )


SENTENCES = {
    "moves the peak from -0.40 to 0.40": lambda z: bell(position=0.2 * np.c_[z]),
    "raises the peak: height from 0.60 to 1.40": lambda z: bell(
        height=1 + 0.2 * np.c_[z]
    ),
    "lowers the peak: height from 1.40 to 0.60": lambda z: bell(
        height=1 - 0.2 * np.c_[z]
    ),
    "widens the peak from 0.14 to 0.33 at half height": lambda z: bell(
        width=0.1 + 0.02 * np.c_[z]
    ),
    "moves the dip from -0.40 to 0.40": lambda z: 2 - bell(position=0.2 * np.c_[z]),
    "deepens the dip: depth from 0.60 to 1.40": lambda z: (
        2 - bell(height=1 + 0.2 * np.c_[z])
    ),
    "raises all values, at -1.00 from -2.0 to 2.0": lambda z: bell() + np.c_[z],
    "lowers the values at -1.00 to -0.50, at -1.00 from 2.0 to -2.0 and raises the "
    "values at 0.50 to 1.00, at 1.00 from -2.0 to 2.0": lambda z: (
        bell() + np.c_[z] * GRID
    ),
    "raises the value at 0.50 from -2.0 to 2.0": lambda z: (
        bell() + np.c_[z] * (np.abs(GRID - 0.5) < 1e-6)
    ),
    "has hardly any effect": lambda z: bell() + 1e-3 * np.c_[z],
}


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_describes_the_change_of_a_curve(text):
    """A component of unit standard deviation changes one property of a curve."""
    z = np.array([-1.0, 1.0] * 50)
    spread = np.random.RandomState(0).normal(size=(100, 200)) * 0.5
    X = np.column_stack([z, spread])
    table = factor_table(Decoder(SENTENCES[text], 201), X, x=GRID, unit="aggregate")
    assert str(table) == f"component 0 {text}"


def test_positions_are_those_of_the_simulated_peak():
    """Of curves of which only the peak moves."""
    factors = [[p, 0.05, 1, 0] for p in np.linspace(0.3, 0.7, 400)]
    X = make_gaussian_peaks(factors=factors, noise=0)[0]
    at = np.linspace(0, 1, 100)

    def decode(z):
        return make_gaussian_peaks(
            factors=[[p, 0.05, 1, 0] for p in np.clip(z, 0.3, 0.7)], noise=0
        )[0]

    class Located(Decoder):
        def transform(self, X):
            return at[np.asarray(X).argmax(axis=1)][:, None]

    assert str(factor_table(Located(decode, 100), X, x=at)) == (
        "component 0 moves the peak from 0.31 to 0.69"
    )


def test_columns_are_named_in_the_order_of_their_change():
    decoder = Decoder(columns(lambda z: 100 * z, lambda z: -z, lambda z: 0.1 * z), 3)
    z = np.array([-1.0, 1.0] * 50)[:, None]
    X = np.hstack([z, -0.5 * z, 5 * z])
    table = factor_table(decoder, X, feature_names=["mass", "length", "age"])
    assert str(table) == "component 0 raises mass from -100 to 100"
    X[:, 1] /= 200
    table = factor_table(decoder, X, feature_names=["mass", "length", "age"])
    assert str(table).startswith("component 0 lowers length from")


def test_the_frame_has_a_row_for_each_component_and_feature(vae, peaks):
    pytest.importorskip("pandas")
    table = factor_table(vae, peaks.data)
    frame = table.to_frame()
    assert len(frame) == 3 * 30
    line = frame[(frame.latent == 2) & (frame.feature == "x7")].iloc[0]
    assert line.effect == table.effect[2, 7] == line.high - line.low
    assert line.monotone == table.monotone[2, 7]


def test_simplicity_is_that_of_the_shares_of_components_with_an_effect():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 3)) * [3.0, 2.0, 1.0]
    simple = factor_table(PCA(3).fit(X), X)
    assert simple.simplicity > 0.95
    turn = np.linalg.qr(np.random.RandomState(1).normal(size=(3, 3)))[0]
    mixed = factor_table(PCA(3).fit(X @ turn), X @ turn)
    assert mixed.simplicity < simple.simplicity - 0.1
    assert np.isnan(factor_table(PCA(1).fit(X), X).simplicity)

"""Invalid or extreme input raises a clear error or gives a finite fit."""

import re
import warnings

import _labelled
import numpy as np
import pandas as pd
import pytest
import torch
from _labelled import LABELLED
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch import nn


def normal(n_rows=40, n_features=5, seed=0):
    return np.random.RandomState(seed).normal(size=(n_rows, n_features))


def with_column(values):
    """Return a table of five features with given values in the second one."""
    X = normal()
    X[:, 1] = values
    return X


def one_outlier(size):
    column = np.full(40, 3.0)
    column[7] = size
    return with_column(column)


def assert_valid_fit(model, X):
    """Assert that codes, rows, scores and history are finite and of the right shape."""
    X = np.asarray(X, dtype=float)
    codes = model.transform(X)
    assert codes.shape == (len(X), model.n_components)
    mean, std = model.posterior(X)
    outputs = {
        "codes": codes,
        "means": mean,
        "deviations": std,
        "rows": model.inverse_transform(codes),
        "scores": model.score_samples(X),
        "samples": model.sample(5, random_state=0),
        "kl": model.kl_per_component_,
        "mean": model.mean_,
        "scale": model.scale_,
        **model.weights_,
        **model.history_,
    }
    for name, values in outputs.items():
        assert np.isfinite(values).all(), name
    assert outputs["rows"].shape == X.shape
    assert (std > 0).all()
    assert (model.scale_ > 0).all()
    n_own = sum(
        map(len, getattr(model, "attribute_components_", ()))
    )  # are not ordered
    assert (np.diff(model.kl_per_component_[n_own:]) <= 0).all()


# --------------------------------------------------------- tables that can be fitted
TABLES = {
    "constant column": with_column(4.0),
    "zero column": with_column(0.0),
    "tiny constant column": with_column(1e-300),
    "constant column of 1e12": with_column(1e12),
    "constant column of 1e20": with_column(1e20),
    "constant column of 1e300": with_column(1e300),
    "constant table": np.full((40, 5), 0.1),
    "zero table": np.zeros((40, 5)),
    "two equal rows": np.ones((2, 5)),
    "many equal rows": np.tile(normal(1), (40, 1)),
    "two rows": normal(2),
    "three rows": normal(3),
    "two distinct rows, often": np.tile(normal(2), (20, 1)),
    "one feature": normal(n_features=1),
    "one constant feature": np.ones((40, 1)),
    "more features than rows": normal(6, 50),
    "copied column": normal()[:, [0, 0, 0, 1, 1]],
    "1e12": normal() * 1e12,
    "1e-12": normal() * 1e-12,
    "1e30": normal() * 1e30,
    "1e-30": normal() * 1e-30,
    "1e150": normal() * 1e150,
    "1e-150": normal() * 1e-150,
    "1e-300": normal() * 1e-300,
    "1e300": np.clip(normal(), -1, 1) * 1e300,
    "far from zero": normal() + 1e9,
    "mixed by column": normal() * [1e12, 1e-12, 1, 1e30, 1e-30],
    "mixed by row": normal() * np.where(np.arange(40) % 2, 1e12, 1e-12)[:, None],
    "outlier in a constant column": one_outlier(4),
    "outlier of 1e6": one_outlier(1e6),
    "outlier of 1e30": one_outlier(1e30),
    "outlier of 1e300": one_outlier(1e300),
    "single precision": normal().astype("float32"),
    "single precision 1e30": normal().astype("float32") * np.float32(1e30),
    "single precision 1e-30": normal().astype("float32") * np.float32(1e-30),
    "single precision subnormal": (normal() * 1e-42).astype("float32"),
    "half precision": normal().astype("float16"),
    "integers": (normal() * 5).astype(int),
    "large integers": (normal() * 1e17).astype("int64"),
    "unsigned": (normal() ** 2 * 50).astype("uint8"),
    "heavy tails": np.random.RandomState(0).standard_cauchy((200, 5)) ** 3,
}


@pytest.mark.one_member
@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_finite_numbers_is_fitted(small, name):
    assert_valid_fit(small(max_iter=30).fit(TABLES[name]), TABLES[name])


@pytest.mark.one_member
@pytest.mark.takes("init")
@pytest.mark.parametrize("init", ["ica", "pca", "random"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "name", ["constant table", "two equal rows", "two rows", "more features than rows"]
)
def test_a_degenerate_table_is_fitted_from_every_initialisation(
    small, name, init, precision
):
    model = small(init=init, precision=precision)
    assert_valid_fit(model.fit(TABLES[name]), TABLES[name])


@pytest.mark.one_member
@pytest.mark.parametrize("standardize", ["feature", "global", None])
@pytest.mark.parametrize("name", ["1e12", "1e-12", "constant table", "outlier of 1e6"])
def test_codes_are_finite_with_every_standardisation(small, name, standardize):
    """Without it a fit may diverge; then it warns, and the kept weights are finite."""
    X = TABLES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = small(max_iter=30, standardize=standardize).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert all(np.isfinite(w).all() for w in model.weights_.values())


@pytest.mark.one_member
@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_units_have_no_effect(small, scale, offset):
    """Codes of the table in other units differ by rounding only."""
    X = normal()
    offset *= scale
    rows = X * scale + offset
    codes = small(max_iter=30).fit(X).transform(X)
    other = small(max_iter=30).fit(rows).transform(rows)
    kinship = np.abs(np.corrcoef(codes.T, other.T)[:3, 3:])
    assert kinship.max(axis=0).min() > 0.99


@pytest.mark.takes("init")
def test_score_changes_with_the_units_by_their_logarithm(small):
    X = normal()
    untrained = {"learning_rate": 1e-30, "init": "pca"}
    scores = small(**untrained).fit(X).score_samples(X)
    thousandfold = small(**untrained).fit(1024 * X).score_samples(1024 * X)
    np.testing.assert_allclose(scores - thousandfold, 5 * np.log(1024), rtol=1e-4)


@pytest.mark.one_member
@pytest.mark.parametrize("constant", [0.1, 3.0, 1e12, 1e20, -1e300])
def test_a_constant_column_is_reconstructed(small, constant):
    """Its mean is the constant itself, without rounding errors of a sum."""
    X = with_column(constant)
    model = small(max_iter=100).fit(X)
    assert model.mean_[1] == pytest.approx(constant, rel=1e-15)
    assert model.scale_[1] == 1
    back = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(back[:, 1], constant, rtol=0.01, atol=0.5)
    others = model.score_samples(X)
    assert others.min() > -100


def test_an_object_array_of_numbers_is_a_table(small):
    X = normal()
    expected = small().fit_transform(X)
    np.testing.assert_array_equal(small().fit_transform(X.astype(object)), expected)
    np.testing.assert_array_equal(small().fit_transform(X.tolist()), expected)


def test_a_frame_of_mixed_dtypes_is_a_table(small):
    frame = pd.DataFrame(
        {
            "integer": np.arange(30),
            "single": np.linspace(0, 1, 30, dtype="float32"),
            "double": np.linspace(5, 4, 30),
            "nullable": pd.array(range(30), dtype="Int64"),
        }
    )
    expected = small().fit_transform(frame.to_numpy(dtype=float))
    np.testing.assert_array_equal(small().fit_transform(frame), expected)


finite = st.floats(-1e300, 1e300, allow_nan=False)


@pytest.mark.hypothesis
def test_any_finite_table_gives_finite_codes(small):
    @given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=2, max_size=6))
    def holds(rows):
        model = small(max_iter=2).fit(rows)
        assert np.isfinite(model.transform(rows)).all()
        assert np.isfinite(model.inverse_transform(model.transform(rows))).all()

    holds()


# ----------------------------------------------------- rows far from those of the fit
@pytest.mark.one_member
@pytest.mark.parametrize("size", [1e6, 1e12, 1e30])
def test_rows_far_away_have_finite_codes(small, size):
    model = small().fit(normal())
    assert np.isfinite(model.transform(np.full((2, 5), size))).all()


@pytest.mark.one_member
@pytest.mark.parametrize("size", [1e39, 1e300, -1e300])
@pytest.mark.parametrize("method", ["transform", "posterior", "score_samples", "score"])
def test_rows_out_of_range_are_refused_or_finite(small, size, method):
    """Values that single precision cannot hold once they are standardised."""
    model = small().fit(normal())
    try:
        answer = getattr(model, method)(np.full((2, 5), size))
    except ValueError as error:
        answer = error
    if isinstance(answer, ValueError):
        assert re.search(r"large|range|overflow", str(answer))
    else:
        assert np.isfinite(answer).all()


# ------------------------------------------------------------- shapes of the network
@pytest.mark.one_member
@pytest.mark.parametrize("n_components", [1, 2, 5, 7, 30])
@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_any_number_of_components_fits_any_number_of_features(
    small, n_components, n_features
):
    X = normal(n_features=n_features)
    model = small(n_components=n_components).fit(X)
    assert_valid_fit(model, X)


@pytest.mark.parametrize("batch_size", [2, 3, 39, 40, 1000])
def test_a_batch_may_be_smaller_or_larger_than_the_table(small, batch_size):
    assert_valid_fit(small(batch_size=batch_size).fit(normal()), normal())


@pytest.mark.one_member
@pytest.mark.parametrize("max_iter", [1, 2, 199, 201])
def test_any_number_of_steps_is_run(small, max_iter):
    model = small(max_iter=max_iter).fit(normal())
    assert model.n_iter_ == max_iter
    assert model.history_["step"][-1] == max_iter
    assert len(model.history_["step"]) <= 200


SIZES = [
    (),
    [],
    (4,),
    [4, 4],
    np.array([4, 4]),
    np.array([]),
    (np.int64(4),),
    range(3, 5),
]


@pytest.mark.one_member
@pytest.mark.takes(given=lambda parameter: parameter)
@pytest.mark.parametrize("sizes", SIZES, ids=repr)
@pytest.mark.parametrize(
    "parameter", ["hidden_layer_sizes", "discriminator_hidden_layer_sizes"]
)
def test_sizes_come_in_any_sequence(small, parameter, sizes):
    expected = tuple(int(s) for s in sizes)
    X = normal()
    model = small(**{parameter: sizes}).fit(X)
    np.testing.assert_array_equal(
        model.transform(X), small(**{parameter: expected}).fit_transform(X)
    )


def test_one_number_is_one_layer(small):
    X = normal()
    np.testing.assert_array_equal(
        small(hidden_layer_sizes=7).fit_transform(X),
        small(hidden_layer_sizes=(7,)).fit_transform(X),
    )


@pytest.mark.takes(given=lambda parameter: parameter)
@pytest.mark.parametrize(
    "sizes", [0, None, "ab", (0,), (-1,), (4.5,), [[3]], (4, None)], ids=repr
)
@pytest.mark.parametrize(
    "parameter", ["hidden_layer_sizes", "discriminator_hidden_layer_sizes"]
)
def test_invalid_sizes_are_refused(small, parameter, sizes):
    with pytest.raises(ValueError, match=rf"{parameter}.*[Gg]ot "):
        small(**{parameter: sizes}).fit(normal())


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "silu", "tanh"])
def test_every_activation_fits(small, activation):
    assert_valid_fit(small(activation=activation).fit(normal()), normal())


@pytest.mark.takes("noise_scale")
@pytest.mark.parametrize("noise_scale", ["auto", "shared", "feature", 0.1, 1, 1e6])
def test_every_noise_scale_fits(small, noise_scale):
    assert_valid_fit(small(noise_scale=noise_scale).fit(normal()), normal())


# --------------------------------------------------------------------------- images
SHAPES = [
    (1, 8, 8),
    (1, 16, 16),
    (3, 32, 32),
    (1, 64, 64),
    (2, 28, 28),
    (1, 9, 9),
    (1, 13, 21),
    (3, 8, 64),
    (1, 64, 9),
    (1, 7, 5),
    (1, 4, 4),
    (1, 3, 3),
    (1, 2, 2),
    (1, 2, 64),
    (5, 8, 8),
]


@pytest.mark.one_member
@pytest.mark.takes("likelihood")
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_every_shape_are_fitted(small, shape, likelihood):
    X = np.random.RandomState(0).uniform(size=(5, np.prod(shape)))
    parameters = {"network": "conv", "image_shape": shape, "likelihood": likelihood}
    model = small(max_iter=2, batch_size=4, **parameters).fit(X)
    assert_valid_fit(model, X)


@pytest.mark.parametrize("shape", [[1, 4, 4], np.array([1, 4, 4])], ids=repr)
def test_an_image_shape_comes_in_any_sequence(small, shape):
    X = normal(n_features=16)
    assert_valid_fit(small(network="conv", image_shape=shape).fit(X), X)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (None, r"needs image_shape=\(channels, height, width\).*16 columns"),
        ((1, 4, 5), r"\(1, 4, 5\) has 20 values, but X has 16 columns"),
        ((4, 4), r"must be \(channels, height, width\).*got \(4, 4\)"),
        ((16, 1, 1), r"at least 2; got \(16, 1, 1\)"),
        ((1, 4, 4.0), r"positive integers.*got \(1, 4, 4\.0\)"),
        ((1, 0, 4), r"positive integers.*got \(1, 0, 4\)"),
        ((1, -4, -4), r"positive integers.*got \(1, -4, -4\)"),
        (16, "image_shape.*16"),
        ("1x4x4", "image_shape.*1x4x4"),
    ],
    ids=repr,
)
def test_a_wrong_image_shape_is_refused(small, shape, expected):
    with pytest.raises(ValueError, match=expected):
        small(network="conv", image_shape=shape).fit(normal(n_features=16))


# ------------------------------------------------------------- tables that are refused
def bad(value):
    X = normal()
    X[3, 2] = value
    return X


class Annotated:
    """An object with the attributes of an AnnData object."""

    def __init__(self):
        self.X = normal()
        self.obs = self.var = pd.DataFrame()
        self.n_obs = len(self.X)


REFUSED = {
    "NaN only": (np.full((5, 3), np.nan), "All values of X are missing|NaN"),
    "infinity": (bad(np.inf), "infinity"),
    "minus infinity": (bad(-np.inf), "infinity"),
    "one dimension": (np.arange(5.0), "Reshape your data"),
    "three dimensions": (np.zeros((4, 4, 4)), "3"),
    "scalar": (3.0, "scalar array"),
    "no rows": (np.zeros((0, 5)), r"0 sample\(s\)"),
    "no features": (np.zeros((5, 0)), r"0 feature\(s\)"),
    "nothing": ([], "Expected 2D array"),
    "one row": (normal(1), "1 sample"),
    "complex": (normal() + 1j, "[Cc]omplex data not supported"),
    "objects": (np.array([[{}, 1], [2, 3]], dtype=object), "argument must be"),
    "ragged": ([[1, 2], [3]], "inhomogeneous|setting an array element"),
    "sparse, infinite": (sparse.csr_matrix(bad(np.inf)), "infinity.*samples 0 to"),
    "sparse, complex": (sparse.coo_array(normal() + 1j), "[Cc]omplex data"),
    "sparse, no rows": (sparse.csr_array((0, 5)), r"0 sample\(s\)"),
    "sparse, one row": (sparse.csr_array(normal(1)), "1 sample"),
    "times": (
        pd.DataFrame(
            {"a": [1.0, 2], "t": pd.to_datetime(["2020-01-01", "2020-02-01"])}
        ),
        "[Cc]olumn 't' of X holds time",
    ),
    "windows": (
        np.zeros((4, 20, 3)),
        r"shape \(4, 20, 3\).*X\.reshape\(len\(X\), -1\), of 60.*reshape\(-1, 20, 3\)",
    ),
    "AnnData": (Annotated(), r"X is an Annotated object.*adata\.to_df\(\)"),
    "beyond double precision": (np.full((4, 2), 10**400, dtype=object), "too large"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_used_is_refused(small, name):
    X, expected = REFUSED[name]
    model = small()
    with pytest.raises((ValueError, TypeError, OverflowError), match=expected):
        model.fit(X)
    assert not hasattr(model, "weights_")
    assert not hasattr(model, "n_features_in_")


@pytest.mark.one_member
@pytest.mark.parametrize("method", ["transform", "posterior", "score_samples", "score"])
@pytest.mark.parametrize("name", ["infinity", "one dimension", "complex"])
def test_a_fitted_transformer_refuses_them_too(small, name, method):
    X, expected = REFUSED[name]
    with pytest.raises(ValueError, match=expected):
        getattr(small().fit(normal()), method)(X)


@pytest.mark.one_member
@pytest.mark.parametrize("method", ["transform", "posterior", "score_samples", "score"])
@pytest.mark.parametrize("width", [1, 4, 6])
def test_a_table_of_another_width_is_refused(small, method, width):
    with pytest.raises(ValueError, match=rf"X has {width} features, but.*expecting 5"):
        getattr(small().fit(normal()), method)(normal(n_features=width))


@pytest.mark.parametrize("width", [1, 2, 4])
def test_codes_of_another_width_are_refused(small, width):
    with pytest.raises(ValueError, match=rf"X has {width} features, but.*expecting 3"):
        small().fit(normal()).inverse_transform(normal(n_features=width))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_codes_that_are_not_finite_are_refused(small, value):
    """1e300 is infinite in single precision."""
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=r"NaN|infinity"):
        small().fit(normal()).inverse_transform(np.full((2, 3), value))


METHODS = {
    "transform": normal(),
    "inverse_transform": normal(n_features=3),
    "posterior": normal(),
    "score_samples": normal(),
    "score": normal(),
    "sample": 3,
}


@pytest.mark.parametrize("method", METHODS)
def test_an_unfitted_transformer_raises_not_fitted_error(small, method):
    with pytest.raises(NotFittedError, match="fit"):
        getattr(small(), method)(METHODS[method])


@pytest.mark.parametrize("n_samples", [0, -1, 1.5, "3", None])
def test_an_invalid_number_of_samples_is_refused(small, n_samples):
    model = small().fit(normal())
    with pytest.raises((ValueError, TypeError), match=r"n_samples.*(\d|None|'3')"):
        model.sample(n_samples)


@pytest.mark.takes("likelihood")
@pytest.mark.parametrize("low", [-0.001, 1.001])
def test_bernoulli_refuses_values_outside_the_unit_interval(small, low):
    X = np.random.RandomState(0).uniform(size=(20, 4))
    model = small(likelihood="bernoulli").fit(X)
    X[3, 2] = low
    with pytest.raises(ValueError, match=r"\[0, 1\].*ranges.*MinMaxScaler.*'gaussian'"):
        model.fit(X)


@pytest.mark.takes("likelihood")
@pytest.mark.parametrize("value", [-0.001, 7.0])
def test_bernoulli_clips_new_values_outside_the_unit_interval(small, value):
    X = np.random.RandomState(0).uniform(size=(20, 4))
    model = small(likelihood="bernoulli").fit(X)
    X[3, 2] = value
    before, clipped = X.copy(), X.clip(0, 1)
    for method in (model.transform, model.score_samples):
        with pytest.warns(UserWarning, match=r"1 of 80 values.*MinMaxScaler"):
            found = method(X)
        np.testing.assert_array_equal(found, method(clipped))
    np.testing.assert_array_equal(X, before)


@pytest.mark.takes("likelihood")
@pytest.mark.parametrize(
    "X", [np.eye(6), np.eye(6) > 0, np.zeros((6, 4)), np.ones((6, 4), dtype=int)]
)
def test_bernoulli_takes_binary_tables_of_every_dtype(small, X):
    model = small(likelihood="bernoulli").fit(X)
    assert_valid_fit(model, X)
    back = model.inverse_transform(model.transform(X))
    assert back.min() >= 0
    assert back.max() <= 1
    assert set(np.unique(model.sample(20, random_state=0))) <= {0.0, 1.0}


# --------------------------------------------------------------------------- weights
WEIGHTS = {
    "too few": (np.ones(39), r"39.*40"),
    "two dimensions": (np.ones((40, 1)), "1D"),
    "negative": (-np.ones(40), "[Nn]egative"),
    "zero": (np.zeros(40), "zero"),
    "NaN": (np.full(40, np.nan), "NaN"),
    "infinite": (np.full(40, np.inf), "infinity"),
    "words": (["a"] * 40, "could not convert"),
    "complex": (np.ones(40) * 1j, "[Cc]omplex"),
    "negative scalar": (-1.0, "[Nn]egative"),
}


@pytest.mark.one_member
@pytest.mark.parametrize("method", ["fit", "score"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_cannot_be_used_are_refused(small, name, method):
    weight, expected = WEIGHTS[name]
    model = small().fit(normal())
    with pytest.raises((ValueError, TypeError), match=expected):
        getattr(model, method)(normal(), sample_weight=weight)


GROUPS = {
    "too few": (["a"] * 39, "39 labels.*40 samples"),
    "two columns": (np.ones((40, 2)), "2 columns"),
    "missing": ([None] + ["a"] * 39, "1 missing"),
    "complex": (np.ones(40) * 1j, "[Cc]omplex"),
}


@pytest.mark.one_member
@pytest.mark.parametrize("name", GROUPS)
def test_groups_that_cannot_be_used_are_refused(small, name):
    groups, expected = GROUPS[name]
    with pytest.raises(ValueError, match=expected):
        small().fit(normal(), sample_groups=groups)


@pytest.mark.takes("early_stopping")
def test_a_single_group_cannot_be_held_out(small):
    model = small(early_stopping=True)
    with pytest.raises(ValueError, match=r"at least two groups"):
        model.fit(normal(), sample_groups=["a"] * 40)


@pytest.mark.one_member
@pytest.mark.takes("weight_decay")
@pytest.mark.parametrize("sizes", [[40], [1, 39], [1, 1, 38], [20, 20], [3, 17, 20]])
@pytest.mark.slow
def test_few_unequal_groups_give_a_finite_fit(small, sizes):
    """Without a comparison, where fewer than four samples could be held out."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    model = small(max_iter=300, weight_decay="auto")
    model.fit(normal(), sample_groups=groups)
    assert_valid_fit(model, normal())
    assert bool(model.held_out_) == (sizes[0] not in (1, 40))


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e300, 1e308])
def test_only_ratios_of_weights_matter(small, size):
    X = normal()
    weight = np.where(np.arange(40) % 2, size, size / 2)
    model = small().fit(X, sample_weight=weight)
    assert_valid_fit(model, X)
    alone = small().fit(X, sample_weight=np.where(np.arange(40) % 2, 1.0, 0.5))
    np.testing.assert_allclose(model.mean_, alone.mean_, rtol=0.01)
    scores = model.score(X, sample_weight=weight), alone.score(X)
    assert np.isfinite(scores).all()


def test_a_table_with_one_weighted_row_is_fitted_as_a_constant(small):
    X = normal()
    weight = np.eye(40)[7]
    model = small()
    if type(model) in LABELLED.values():  # nothing is learned from a single label
        with pytest.raises(ValueError, match="one level or value"):
            model.fit(X, sample_weight=weight)
    else:
        assert_valid_fit(model.fit(X, sample_weight=weight), X[[7, 7]])


def test_rows_of_zero_weight_have_no_effect(small):
    X = normal()
    weight = np.ones(40)
    weight[3] = 0
    expected = small().fit(X, sample_weight=weight).transform(X)
    Y = X.copy()
    Y[3] = 1e200
    other = small().fit(Y, sample_weight=weight)
    np.testing.assert_array_equal(other.transform(X), expected)


# ------------------------------------------------------------------ one's own modules
class Tail(nn.Module):
    """A module whose parts have the names of parts of the built-in networks."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.linear = nn.Linear(n_in, 7)
        self.head = nn.Linear(7, n_out)

    def forward(self, x):
        return self.head(self.linear(x).tanh())


def plain(p, d):
    return nn.Linear(p, 2 * d), nn.Linear(d, p)


def chains(p, d):
    encoder = nn.Sequential(nn.Linear(p, 6), nn.Tanh(), nn.Linear(6, 2 * d))
    decoder = nn.Sequential(nn.Linear(d, 6), nn.Tanh(), nn.Linear(6, p))
    return encoder, decoder


def square_chains(p, d):
    decoder = nn.Sequential(nn.Linear(d, d), nn.Tanh(), nn.Linear(d, p))
    return nn.Linear(p, 2 * d), decoder


def named_parts(p, d):
    return Tail(p, 2 * d), Tail(d, p)


def normalised(p, d):
    encoder = nn.Sequential(nn.Linear(p, 6), nn.LayerNorm(6), nn.Linear(6, 2 * d))
    return encoder, nn.Linear(d, p)


def with_dropout(p, d):
    encoder = nn.Sequential(nn.Linear(p, 2 * d), nn.Dropout(0.5))
    return encoder, nn.Linear(d, p)


def from_a_list(p, d):
    return list(chains(p, d))


BUILDERS = [
    plain,
    chains,
    square_chains,
    named_parts,
    normalised,
    with_dropout,
    from_a_list,
]


@pytest.mark.one_member
@pytest.mark.takes(given=lambda build: {"network": build})
@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_user_defined_modules_are_fitted(small, build, likelihood):
    X = np.random.RandomState(0).uniform(size=(40, 5))
    model = small(network=build, likelihood=likelihood, max_iter=20).fit(X)
    assert_valid_fit(model, X)
    np.testing.assert_allclose(
        model.transform(X[7:8]), model.transform(X)[7:8], rtol=1e-4, atol=1e-6
    )


def with_known_weights(build, seed):
    """Return a builder that makes the same modules in every call."""

    def made(p, d):
        modules = build(p, d)
        rng = np.random.RandomState(seed)
        for module in modules:
            for weight in module.parameters():
                values = torch.from_numpy(rng.normal(size=weight.shape))
                weight.data.copy_(values)
        return modules

    return made


@pytest.mark.one_member
@pytest.mark.takes(given=lambda build: {"network": build})
@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("seed", range(3))
def test_ordering_latents_does_not_change_what_the_modules_compute(small, build, seed):
    """Codes are permuted and negated, and so are the decoder's inputs."""
    X = normal()
    build = with_known_weights(build, seed)
    model = small(network=build, max_iter=1, learning_rate=1e-30).fit(X)
    encoder, decoder = (module.eval() for module in build(5, 3))
    with torch.no_grad():
        rows = torch.from_numpy((X - model.mean_) / model.scale_).float()
        codes = encoder(rows)[:, :3]
        expected = decoder(codes).numpy() * model.scale_ + model.mean_
    actual = model.transform(X)
    np.testing.assert_allclose(
        np.sort(np.abs(actual)), np.sort(np.abs(codes.numpy())), rtol=1e-4, atol=1e-5
    )
    back = model.inverse_transform(actual)
    np.testing.assert_allclose(back, expected, rtol=1e-4, atol=1e-5)


def with_batch_norm(p, d):
    encoder = nn.Sequential(nn.Linear(p, 2 * d), nn.BatchNorm1d(2 * d))
    return encoder, nn.Linear(d, p)


def with_batch_norm_without_memory(p, d):
    norm = nn.BatchNorm1d(2 * d, track_running_stats=False)
    return nn.Sequential(nn.Linear(p, 2 * d), norm), nn.Linear(d, p)


def narrow_encoder(p, d):
    return nn.Linear(p, d), nn.Linear(d, p)


def wide_decoder(p, d):
    return nn.Linear(p, 2 * d), nn.Linear(d, p + 1)


def foreign_input(p, d):
    return nn.Linear(p + 1, 2 * d), nn.Linear(d, p)


def two_outputs(p, d):
    return nn.LSTM(p, 2 * d), nn.Linear(d, p)


def three_modules(p, d):
    return nn.Linear(p, 2 * d), nn.Linear(d, p), nn.Linear(d, p)


def one_module(p, d):
    return nn.Linear(p, 2 * d)


def functions(p, d):
    return np.tanh, np.tanh


def nothing(p, d):
    return None


def no_arguments():
    return None


WRONG = {
    with_batch_norm: r"encoder.*buffers.*LayerNorm",
    with_batch_norm_without_memory: r"encoder.*[Bb]atch.*LayerNorm",
    narrow_encoder: r"encoder.*shape \(16, 3\).*expected \(16, 6\)",
    wide_decoder: r"decoder.*shape \(16, 6\).*expected \(16, 5\)",
    two_outputs: r"encoder.*tuple.*expected",
    three_modules: r"network=.*\(encoder, decoder\)",
    one_module: r"network=.*\(encoder, decoder\)",
    functions: r"network=.*torch\.nn\.Module",
    nothing: r"network=.*\(encoder, decoder\)",
}


@pytest.mark.takes(given=lambda build: {"network": build})
@pytest.mark.parametrize("build", WRONG)
def test_modules_that_cannot_be_used_are_refused(small, build):
    model = small(network=build)
    with pytest.raises((ValueError, TypeError), match=WRONG[build]):
        model.fit(normal())
    assert not hasattr(model, "weights_")


@pytest.mark.takes(given=lambda build: {"network": build})
@pytest.mark.parametrize("build", [foreign_input, no_arguments])
def test_errors_of_user_defined_modules_are_raised(small, build):
    with pytest.raises((RuntimeError, TypeError), match=r"shapes|argument"):
        small(network=build).fit(normal())


# -------------------------------------------------- what a failing fit leaves behind
FAILURES = {
    "NaN only": ({}, np.full((40, 5), np.nan)),
    "wrong parameter": ({"learning_rate": -1}, normal()),
    "wrong sizes": ({"hidden_layer_sizes": (0,)}, normal()),
    "wrong image": ({"network": "conv"}, normal()),
    "wrong modules": ({"network": wide_decoder}, normal(n_features=4)),
    "wrong range": ({"likelihood": "bernoulli"}, normal(n_features=4)),
    "nothing kept": (
        {"early_stopping": True, "validation_fraction": 0.9},
        np.ones((5, 3)),
    ),
    "other frame": ({}, pd.DataFrame({"a": [1.0, np.inf]})),
}


@pytest.mark.takes(given=lambda name: dict.fromkeys(FAILURES[name][0]))
@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_fit_leaves_a_fitted_estimator_unchanged(small, name):
    parameters, X = FAILURES[name]
    model = small().fit(normal())
    expected = model.transform(normal())
    model.set_params(**parameters)
    before = dict(vars(model))
    with pytest.raises(ValueError):
        model.fit(X)
    assert vars(model) == before
    np.testing.assert_array_equal(model.transform(normal()), expected)


@pytest.mark.takes(given=lambda name: FAILURES[name][0])
@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_fit_leaves_an_unfitted_estimator_unfitted(small, name):
    parameters, X = FAILURES[name]
    model = small(**parameters)
    before = set(vars(model))
    with pytest.raises(ValueError):
        model.fit(X)
    assert set(vars(model)) == before


# ------------------------------------------------------------------------ warm starts
def test_a_warm_start_continues_from_the_weights(small):
    """After a second fit of one small step the codes are nearly the same."""
    X = normal()
    model = small(max_iter=100, warm_start=True).fit(X)
    first = model.transform(X)
    rates = {name: 1e-7 for name in model.get_params() if "learning_rate" in name}
    model.set_params(max_iter=1, **rates).fit(X)
    np.testing.assert_allclose(np.abs(model.transform(X)), np.abs(first), atol=1e-3)


CHANGES = {
    "n_components": {"n_components": 4},
    "hidden_layer_sizes": {"hidden_layer_sizes": (9,)},
    "wider discriminator": {"discriminator_hidden_layer_sizes": (9,)},
    "deeper discriminator": {"discriminator_hidden_layer_sizes": (8, 8)},
    "activation": {"activation": "tanh"},
    "network": {"network": plain},
    "likelihood": {"likelihood": "bernoulli"},
    "noise_scale": {"noise_scale": "shared"},
    "precision": {"precision": "float64"},
    "init": {"init": "random"},
}


@pytest.mark.takes(given=lambda change: dict.fromkeys(CHANGES[change]))
@pytest.mark.parametrize("change", CHANGES)
def test_a_warm_start_of_other_networks_is_refused(small, change):
    X = np.random.RandomState(0).uniform(size=(40, 5))
    model = small(warm_start=True).fit(X)
    model.set_params(**CHANGES[change])
    before = dict(vars(model))
    refusal = r"warm_start=True.*warm_start=False|must be a str among"
    with pytest.raises(ValueError, match=refusal):
        model.fit(X)
    assert vars(model) == before


@pytest.mark.parametrize("n_features", [1, 4, 6])
def test_a_warm_start_of_another_table_is_refused(small, n_features):
    model = small(warm_start=True).fit(normal())
    with pytest.raises(ValueError, match=r"warm_start=True.*warm_start=False"):
        model.fit(normal(n_features=n_features))


def test_a_warm_start_of_the_same_columns_in_another_order_is_refused(small):
    frame = pd.DataFrame(normal(), columns=list("abcde"))
    model = small(warm_start=True).fit(frame)
    expected = model.transform(frame)
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*warm_start"):
        model.fit(frame[list("edcba")])
    np.testing.assert_array_equal(model.transform(frame), expected)


# ------------------------------------------------------------------------- divergence
DIVERGING = {
    "learning rate": {"learning_rate": 1e3},
    "very large learning rate": {"learning_rate": 1e30},
    "discriminator": {"discriminator_learning_rate": 1e30},
    "noise scale": {"noise_scale": 1e-30},
    "conv": {"network": "conv", "image_shape": (1, 4, 4), "learning_rate": 1e30},
    "modules": {"network": plain, "learning_rate": 1e30},
    "no standardisation": {"standardize": None, "init": "random"},
    "early stopping": {"early_stopping": True, "learning_rate": 1e30},
}


@pytest.mark.takes(given=lambda name: DIVERGING[name])
@pytest.mark.parametrize("max_iter", [30, 600])
@pytest.mark.parametrize("name", DIVERGING)
def test_divergence_warns_and_finite_weights_are_kept(small, name, max_iter):
    parameters = DIVERGING[name]
    X = normal(n_features=16) * (1e30 if name == "no standardisation" else 1)
    model = small(max_iter=max_iter, **parameters)
    with pytest.warns(ConvergenceWarning, match=r"diverged at step \d+.*learning_rate"):
        model.fit(X)
    assert all(np.isfinite(w).all() for w in model.weights_.values())
    assert np.isfinite(model.transform(X)).all()
    assert 1 <= model.n_iter_ <= max_iter


@pytest.mark.parametrize("max_iter", [3, 4, 5])
def test_divergence_in_the_last_step_is_detected(small, max_iter):
    """Finite weights may still be too large to compute with.

    A generator that is initially constant has a gradient from the third step on.
    """
    X = normal()
    model = small(max_iter=max_iter, learning_rate=1e30)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.kl_per_component_).all()


@pytest.mark.takes(given=lambda name: DIVERGING[name])
@pytest.mark.parametrize("name", ["very large learning rate", "noise scale"])
def test_a_diverged_fit_has_a_history_of_the_usual_names(small, name):
    model = small(**DIVERGING[name])
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(normal())
    assert list(model.history_) == list(small().fit(normal()).history_)


def test_the_warning_has_the_file_of_the_caller(small):
    model = small(learning_rate=1e30)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(normal())
    caller = _labelled.__file__ if type(model) in LABELLED.values() else __file__
    assert [w.filename for w in caught] == [caller]


def test_a_fit_with_a_too_large_learning_rate_has_a_bounded_score(small):
    """Divergence is detected although every number stays finite."""
    X = normal()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = small(max_iter=100, learning_rate=1e3).fit(X)
    assert model.score(X) > -1e6

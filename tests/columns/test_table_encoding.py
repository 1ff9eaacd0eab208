"""Tables of several types: likelihoods by type and by name, features and back."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _containers import CONTAINERS
from sklearn.compose import make_column_selector

from skfactorvae.columns import LIKELIHOODS, TableEncoding, fit_table, is_typed


def encode(X, likelihood="auto", weight=None, min_frequency=None, warned=None):
    weight = np.ones(len(X)) if weight is None else weight
    warn = (lambda _: None) if warned is None else warned.append
    return fit_table(X, likelihood, weight, min_frequency, warn)


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "count": np.arange(6),
            "real": [0.5, np.nan, 2.0, 1.0, -1.0, 3.0],
            "flag": [True, False, True, True, False, True],
            "word": ["b", "a", None, "b", "a", "c"],
            "size": pd.Categorical(
                ["s", "m", "l", None, "s", "m"], ["s", "m", "l"], ordered=True
            ),
            "kind": pd.Categorical(["u", "v", "u", "v", "u", "v"], ["v", "u", "w"]),
        }
    )


def test_types_have_their_likelihoods(frame):
    table = encode(frame)
    kinds = [column.likelihood for column in table.columns]
    assert kinds == [
        "gaussian",
        "gaussian",
        "bernoulli",
        "categorical",
        "ordinal",
        "categorical",
    ]
    assert table.feature_names == [
        "count",
        "real",
        "flag",
        "word = a",
        "word = b",
        "word = c",
        "size",
        "kind = v",
        "kind = u",
    ]


@pytest.mark.parametrize("library", ["pandas", "polars", "array"])
def test_a_table_comes_back_as_it_was(frame, library):
    if library == "polars":
        names = ["count", "real", "flag", "word"]
        objects = frame[names].astype(object).where(frame[names].notna(), None)
        frame = pl.DataFrame({name: objects[name].tolist() for name in names})
    elif library == "array":
        frame = frame[["count", "flag", "word"]].to_numpy()
    table = encode(frame)
    back = table.decode(table.encode(frame), is_drawn=True)
    assert type(back) is type(frame)
    if library == "pandas":
        pd.testing.assert_frame_equal(back, frame)
    elif library == "polars":
        assert back.with_columns(pl.col("real").fill_nan(None)).equals(frame)
    else:
        known = ~pd.isna(frame)
        assert (back[known] == frame[known]).all()
        assert pd.isna(back[~known]).all()


@pytest.mark.parametrize(
    "dtype",
    [
        "boolean",
        "Int64",
        "Float32",
        "string",
        "str",
        "category",
    ],
)
def test_types_of_pandas_return(dtype):
    values = [True, False, True] if dtype == "boolean" else [1, 2, 1]
    values = ["a", "b", "a"] if dtype.startswith(("str", "cat")) else values
    X = pd.DataFrame({"x": pd.Series(values, dtype=dtype), "w": ["p", "q", "p"]})
    table = encode(X)
    back = table.decode(table.encode(X), is_drawn=True)
    if "Float" in dtype:  # numbers that are not whole keep no type of their own
        np.testing.assert_array_equal(back["x"], values)
    else:
        pd.testing.assert_series_equal(back["x"], X["x"])


def test_an_enum_of_polars_returns_with_all_its_categories():
    sizes = pl.Series("size", ["s", "m", None, "s"], dtype=pl.Enum(["s", "m", "l"]))
    X = pl.DataFrame([sizes, pl.Series("real", [0.5, 1.0, 2.0, None])])
    table = encode(X)
    back = TableEncoding.from_state(table.as_state()).decode(table.encode(X))
    assert back["size"].equals(X["size"])
    assert back.schema == X.schema
    full = table.fill(X, np.nan_to_num(table.encode(X)), np.isnan(table.encode(X)))
    assert full.schema == X.schema
    assert full["size"][:2].to_list() == ["s", "m"]
    assert full.null_count().sum_horizontal().item() == 0


DAYS = ["2020-03-28", "2020-03-29", "2020-03-30"]
LEVELS = {
    "times": pd.to_datetime(DAYS),
    "times of a zone": pd.to_datetime(DAYS).tz_localize("Europe/Berlin"),
    "dates": pd.Index([datetime.date(2020, 1, d) for d in (1, 2, 3)], dtype=object),
    "durations": pd.to_timedelta([1, 2, 3], unit="h"),
    "periods": pd.period_range("2020-01", periods=3, freq="M"),
    "intervals": pd.IntervalIndex.from_breaks([0.1, 0.3, 1.0, 2.5], closed="left"),
    "intervals of times": pd.IntervalIndex.from_breaks(
        pd.date_range("2020-01-01", periods=4)
    ),
    "floats": pd.Index([0.5, 1.0, 2.0]),
    "text": pd.Index(["a", "b", "c"]),
}


def of_levels(levels, codes, **options):
    """Return a frame of a categorical column and numbers."""
    column = pd.Categorical.from_codes(codes, levels, **options)
    return pd.DataFrame({"level": column, "real": np.arange(len(codes)) / 2})


def filled(table, X, features):
    """Return a table whose gaps are filled with given features."""
    return table.fill(X, features, np.isnan(table.encode(X)))


@pytest.mark.parametrize("is_ordered", [False, True])
@pytest.mark.parametrize("kind", LEVELS)
def test_levels_return_in_their_own_type(kind, is_ordered):
    X = of_levels(LEVELS[kind], [0, 1, 2, 1], ordered=is_ordered)
    table = encode(X)
    features = table.encode(X)
    restored = TableEncoding.from_state(table.as_state())
    pd.testing.assert_frame_equal(restored.decode(features), X)
    gaps = X.assign(level=X["level"].where([False, True, True, True]))
    pd.testing.assert_frame_equal(filled(table, gaps, features), X)


def test_levels_of_other_objects_return_from_the_table_itself():
    pairs = pd.Index([(0, 1), (1, 2), (2, 3)], tupleize_cols=False)
    X = of_levels(pairs, [0, 1, 2, 1])
    table = encode(X)
    features = table.encode(X)
    assert table.decode(features)["level"].tolist() == [
        str(pairs[j]) for j in (0, 1, 2, 1)
    ]
    gaps = X.assign(level=X["level"].where([True, False, True, True]))
    pd.testing.assert_frame_equal(filled(table, gaps, features), X)


@pytest.mark.parametrize("kind", LEVELS)
def test_a_table_of_fewer_levels_is_filled_with_those_of_the_fit(kind):
    X = of_levels(LEVELS[kind], [0, 1, 2, 1])
    table = encode(X)
    few = X.assign(level=X["level"].where([True, True, False, False]))
    few["level"] = few["level"].cat.set_categories(LEVELS[kind][[1, 0]])
    pd.testing.assert_frame_equal(filled(table, few, table.encode(X)), X)


def test_levels_of_both_tables_are_declared_those_of_the_fit_first():
    X = of_levels(["low", "mid", "high"], [0, 1, 2, 1], ordered=True)
    table = encode(X)
    other = of_levels(["none", "mid"], [1, -1, -1, 1], ordered=True)
    joined = filled(table, other, table.encode(X))["level"]
    assert joined.tolist() == ["mid", "mid", "high", "mid"]
    assert joined.cat.categories.tolist() == ["low", "mid", "high", "none"]
    assert not joined.cat.ordered  # the place of the last one is not known
    less = of_levels(["mid"], [0, -1, -1, 0], ordered=True)
    assert filled(table, less, table.encode(X))["level"].dtype == X["level"].dtype
    more = of_levels(["none", "low", "mid", "high"], [2, -1, -1, 2], ordered=True)
    assert filled(table, more, table.encode(X))["level"].dtype == more["level"].dtype


PANDAS, POLARS = list(CONTAINERS)[:3], list(CONTAINERS)[3:]


@pytest.mark.parametrize(
    ("fitted", "given"),
    [(a, b) for own in (PANDAS, POLARS) for a in own for b in own],
)
def test_levels_are_filled_in_the_type_of_the_table(fitted, given):
    library = pd if fitted in PANDAS else pl

    def frame(kind, values):
        return library.DataFrame({"w": CONTAINERS[kind](values), "x": [1.0, 2.0, 3.0]})

    table = encode(frame(fitted, ["a", "b", "c"]))
    features = table.encode(frame(fitted, ["a", "b", "c"]))
    own = frame(given, ["a", None, None])
    back = filled(table, own, features)["w"]
    assert list(back) == ["a", "b", "c"]
    assert str(back.dtype)[:4] == str(own["w"].dtype)[:4]
    nothing = frame(given, ["a", "b", "c"]).head(0)
    assert len(filled(table, nothing, features[:0])["w"]) == 0


@pytest.mark.parametrize("library", [pd, pl])
def test_a_column_without_values_is_filled_with_levels(library):
    kind = "category" if library is pd else "enum"
    X = library.DataFrame({"w": CONTAINERS[kind](["a", "b"]), "x": [1.0, 2.0]})
    table = encode(X)
    empty = library.DataFrame({"w": [None, None], "x": [1.0, 2.0]})
    assert filled(table, empty, table.encode(X))["w"].dtype == X["w"].dtype


def test_gaps_beside_numbers_of_any_type_are_filled(frame):
    table = encode(frame)
    features = table.encode(frame.assign(real=0.5))
    for dtype in (object, "Float64", "float32"):
        some = frame.assign(real=pd.Series([1, pd.NA, 2, 3, 4, 5], dtype="Float64"))
        gaps = some.astype({"real": dtype})
        numbers = filled(table, gaps, features)["real"]
        assert numbers.tolist() == [1.0, 0.5, 2.0, 3.0, 4.0, 5.0]
        assert numbers.dtype == np.float64


def test_expectations_of_integers_stay_floats(frame):
    table = encode(frame)
    assert table.decode(table.encode(frame))["count"].dtype == float


def test_numbers_alone_have_no_encoding():
    X = np.random.RandomState(0).normal(size=(5, 2))
    for plain in (X, X.tolist(), pd.DataFrame(X), pl.DataFrame(X), X.astype(int)):
        assert not is_typed(plain, "auto")
    objects = X.astype(object)
    assert is_typed(objects, "auto")
    assert encode(objects) is None
    assert encode(pd.DataFrame(objects)) is None
    nothing = pd.DataFrame({"x": [1.0, 2.0], "y": [None, None]})
    assert encode(nothing) is None


def test_a_mapping_takes_names_positions_and_selectors(frame):
    by_type = make_column_selector(dtype_include="number")
    table = encode(frame, {by_type: "student_t", "word": "auto", 4: "categorical"})
    kinds = {column.name: column.likelihood for column in table.columns}
    assert kinds["count"] == kinds["real"] == "student_t"
    assert kinds["size"] == kinds["word"] == "categorical"


@pytest.mark.parametrize(
    ("likelihood", "expected"),
    [
        ({"nothing": "gaussian"}, "'nothing', which X does not have"),
        ({9: "gaussian"}, "9, which X does not have"),
        ({"real": "normal"}, "'normal' for column 'real'"),
        ({"word": "gaussian"}, "needs numbers, but column 'word' of X holds text"),
        ({"word": "ordinal"}, "needs levels with an order.*'word'"),
        ({"real": "poisson"}, "needs numbers >= 0, but column 'real' of X holds -1"),
        ({"real": "lognormal"}, "needs numbers >= 0, but column 'real'"),
        ({"real": "bernoulli"}, r"\[0, 1\], but column 'real' of X ranges from -1 to"),
        ({"word": "bernoulli"}, "two levels, but column 'word' of X has 3"),
    ],
)
def test_a_likelihood_that_a_column_cannot_have_is_refused(frame, likelihood, expected):
    with pytest.raises(ValueError, match=expected):
        encode(frame, likelihood)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.to_datetime(["2020-01-01"] * 3), "'x' of X holds times"),
        ([datetime.date(2020, 1, 1)] * 3, "'x' of X holds times"),
        ([[1], [2], [3]], "'x' of X holds objects"),
        (["a", 1, 2.0], "'x' of X holds objects"),
        ([np.inf, 1, 2], "infinity in column 'x' of sample 0"),
    ],
)
def test_a_column_without_a_likelihood_is_refused(values, expected):
    X = pd.DataFrame({"x": values, "w": ["a", "b", "a"]})
    with pytest.raises(ValueError, match=expected):
        encode(X).encode(X)


def test_counts_of_halves_are_refused():
    X = pd.DataFrame({"n": [0.0, 1.5, 2.0]})
    with pytest.raises(
        ValueError, match=r"whole numbers, but column 'n' of X holds 1.5"
    ):
        encode(X, {"n": "negative_binomial"})


def test_unknown_levels_are_refused_or_missing(frame):
    table = encode(frame)
    other = frame.assign(word=["z", "a", "b", "c", "a", "b"])
    with pytest.raises(ValueError, match=r"'word'.*did not see: 'z'.*'missing'"):
        table.encode(other)
    features = table.encode(other, "missing")
    place = [3, 4, 5]  # after two numbers and the flag
    np.testing.assert_array_equal(
        np.isnan(features[:, place]).all(axis=1), [1] + [0] * 5
    )


@pytest.mark.parametrize(
    ("fitted", "given", "shown"),
    [
        (["1", "2"], [1, 2], r"1 \(int64\), 2 \(int64\); .* '1' \(str\), '2' \(str\)"),
        ([1, 2], ["1", "2"], r"'1' \(str\), '2' \(str\); .* 1 \(int64\), 2 \(int64\)"),
        (["1", "2"], [1.0, 2.0], r"1\.0 \(float64\), .* '1' \(str\), '2' \(str\)"),
        ([True, False], ["True", "False"], r"'True' \(str\); .* True \(bool\)"),
    ],
)
def test_levels_of_another_type_are_told_apart_and_the_conversion_works(
    fitted, given, shown
):
    X = pd.DataFrame({"c": pd.Categorical(fitted, fitted), "x": [0.5, 1.5]})
    table = encode(X)
    other = X.assign(c=pd.Categorical(given, given))
    with pytest.raises(ValueError, match=shown) as got:
        table.encode(other)
    call = str(got.value).partition("for instance by ")[2].partition(". ")[0]
    converted = other.assign(c=eval(call, {"X": other, "pandas": pd}))
    np.testing.assert_array_equal(table.encode(converted), table.encode(X))
    with pytest.warns(UserWarning, match="None of its levels is known: all"):
        assert np.isnan(table.encode(other, "missing")).any(axis=1).all()


def test_a_column_without_values_is_not_of_unknown_levels(frame):
    table = encode(frame)
    table.encode(frame.assign(word=pd.Series([None] * 6, dtype="str")), "missing")
    table.encode(frame.assign(word=["new", "a", None, None, None, None]), "missing")


def test_levels_of_weight_zero_do_not_exist(frame):
    table = encode(frame, weight=np.array([1, 1, 1, 1, 1, 0.0]))
    assert "word = c" not in table.feature_names
    assert "kind = w" not in table.feature_names


def test_rare_levels_are_merged():
    X = pd.DataFrame({"w": list("aaaabbbcd")})
    table = encode(X, min_frequency=2)
    assert table.feature_names == ["w = a", "w = b", "w = one of 2 rare levels"]
    assert encode(X, min_frequency=0.4).feature_names[0] == "w = a"
    back = table.decode(table.encode(X))
    assert back["w"].tolist() == list("aaaabbbcc")


def test_many_levels_are_merged_and_identifiers_named():
    warned = []
    X = pd.DataFrame({"id": [f"i{k}" for k in range(2000)], "x": np.arange(2000.0)})
    table = encode(X, warned=warned)
    assert table.n_features == 2
    assert any("'id' of X looks like an identifier" in text for text in warned)
    assert np.isfinite(table.encode(X)).all()


def test_zeros_of_lognormal_columns_have_a_rule():
    X = pd.DataFrame({"x": [0.0, 0.5, 4.0]})
    table = encode(X, "lognormal")
    np.testing.assert_allclose(table.encode(X)[:, 0], np.log([0.25, 0.5, 4.0]))
    np.testing.assert_allclose(table.numbers(table.encode(X))[:, 0], [0.25, 0.5, 4.0])


def test_only_gaps_are_filled(frame):
    table = encode(frame)
    features = table.encode(frame)
    full = np.where(np.isnan(features), 1.0, features)
    filled = table.fill(frame, full, np.isnan(features))
    assert not filled.isna().to_numpy().any()
    known = frame.notna().to_numpy()
    assert (filled.to_numpy(object)[known] == frame.to_numpy(object)[known]).all()
    pd.testing.assert_series_equal(filled.dtypes, frame.dtypes)


def test_the_state_is_complete(frame):
    likelihoods = dict.fromkeys(["count"], "poisson")
    table = encode(frame, likelihoods)
    again = TableEncoding.from_state(table.as_state())
    np.testing.assert_array_equal(again.encode(frame), table.encode(frame))
    assert again.kinds == table.kinds
    assert {kind for kind, _ in table.kinds} <= set(LIKELIHOODS)

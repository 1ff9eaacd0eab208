"""Data frames that are returned: their types, labels, index and library."""

import datetime
import itertools

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _containers import CONTAINERS

from skfactorvae.columns import TableEncoding, fit_table


def encode(X, likelihood="auto", weight=None):
    weight = np.ones(len(X)) if weight is None else weight
    table = fit_table(X, likelihood, weight, None, lambda _: None)
    return TableEncoding.from_state(table.as_state())


def filled(table, X, features, **options):
    """Return a table whose gaps are filled with given features."""
    return table.fill(X, features, np.isnan(table.encode(X)), **options)


# ----------------------------------------------------------- categories of numbers
RATINGS = pd.DataFrame(
    {
        "r": pd.Categorical([1, 2, 4, None], [1, 2, 3, 4], ordered=True),
        "w": list("abab"),
    }
)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t", "poisson"])
def test_categories_that_are_fitted_as_numbers_return_as_numbers(likelihood):
    table = encode(RATINGS, {"r": likelihood})
    features = np.nan_to_num(table.encode(RATINGS))
    features[:, 0] += 0.25
    numbers = table.numbers(features)[:, 0]
    np.testing.assert_allclose(table.decode(features)["r"], numbers)
    whole = np.rint(numbers) if likelihood == "poisson" else numbers
    np.testing.assert_allclose(table.decode(features, is_drawn=True)["r"], whole)
    full = filled(table, RATINGS, features)
    np.testing.assert_allclose(full["r"], [1, 2, 4, numbers[3]])
    assert full["r"].dtype == float
    known = RATINGS.iloc[:3]
    assert filled(table, known, features[:3])["r"].dtype == RATINGS["r"].dtype


def test_numbers_that_are_fitted_as_levels_fill_a_category():
    X = RATINGS.assign(r=[1, 2, 4, 3])
    table = encode(X, {"r": "categorical"})
    few = X.assign(r=pd.Categorical([1, 2, None, None]))
    full = filled(table, few, table.encode(X))["r"]
    assert full.tolist() == [1, 2, 4, 3]
    assert full.dtype == "category"


# --------------------------------------------------------------- Bernoulli columns
def test_numbers_of_a_bernoulli_column_are_clipped_and_its_draws_are_zero_or_one():
    X = pd.DataFrame({"z": [0.0, 1.0, 0.25], "i": [0, 1, 1]})
    table = encode(X, "bernoulli")
    outside = X.assign(z=[-3.0, 7.0, 0.25])
    np.testing.assert_array_equal(table.encode(outside)[:2], table.encode(X)[:2])
    seen = []

    def clip(values, name):
        seen.append(name)
        return values

    np.testing.assert_array_equal(table.encode(outside, clip=clip), outside)
    assert seen == ["z", "i"]
    near = np.array([[-1e-9, 1 + 1e-9], [1 - 1e-9, 1e-9]])
    drawn = table.decode(near, is_drawn=True)
    assert drawn.to_numpy().tolist() == [[0, 1], [1, 0]]
    assert not np.signbit(drawn["z"]).any()
    assert drawn["i"].dtype == X["i"].dtype
    np.testing.assert_array_equal(table.decode(near)["z"], near[:, 0])


# ------------------------------------------------------------------ types of Arrow
@pytest.mark.parametrize("is_ordered", [False, True])
@pytest.mark.parametrize("kind", ["dictionary", "string", "large_string"])
def test_text_of_arrow_returns_in_its_type(kind, is_ordered):
    pa = pytest.importorskip("pyarrow", exc_type=ImportError)
    of = pa.dictionary(pa.int8(), pa.string(), is_ordered)
    dtype = pd.ArrowDtype(of if kind == "dictionary" else pa.type_for_alias(kind))
    X = pd.DataFrame({"g": pd.Series(["x", None, "y"], dtype=dtype), "a": [1.0, 2, 3]})
    table = encode(X)
    pd.testing.assert_frame_equal(table.decode(table.encode(X)), X)
    full = filled(table, X, np.nan_to_num(table.encode(X), nan=1.0))
    assert full["g"].notna().all()
    assert full["g"].dtype == dtype


@pytest.mark.parametrize("name", ["decimal128(3, 1)[pyarrow]", "of_another_library"])
def test_text_of_a_type_that_cannot_be_read_returns_as_text(name):
    X = pd.DataFrame({"g": ["x", "y", "x"], "a": [1.0, 2.0, 3.0]})
    state = encode(X).as_state()
    state["frame_type"] = {**state["frame_type"], "dtypes": (name, "float64")}
    table = TableEncoding.from_state(state)
    assert table.decode(table.encode(X))["g"].tolist() == ["x", "y", "x"]


# --------------------------------------------------------------------- libraries
def table_of(kind, values):
    """Return a table of levels and numbers; an array for the kind "array"."""
    if kind == "array":
        return np.array([values, [1.0, 2.0, 3.0]], dtype=object).T
    column = CONTAINERS[kind](values)
    library = pl if isinstance(column, pl.Series) else pd
    return library.DataFrame({"w": column, "x": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize("is_drawn", [False, True])
@pytest.mark.parametrize(
    ("fitted", "given"), list(itertools.product([*CONTAINERS, "array"], repeat=2))
)
def test_a_table_is_filled_in_its_own_library(fitted, given, is_drawn):
    table = encode(table_of(fitted, ["a", "b", "c"]))
    features = table.encode(table_of(fitted, ["a", "b", "c"]))
    for known in (["a", None, None], [None, None, None]):
        own = table_of(given, known)
        full = filled(table, own, features, is_drawn=is_drawn)
        assert type(full) is type(own)
        levels = full[:, 0] if given == "array" else full["w"]
        assert list(levels) == ["a", "b", "c"]


@pytest.mark.parametrize("fitted", [pd, pl])
def test_integers_and_booleans_are_filled_in_the_other_library(fitted):
    def make(library, **own):
        values = {"i": [1, 2, 3], "b": [True, False, True], "w": ["a", "b", "a"]}
        return library.DataFrame(values | own)

    given = pl if fitted is pd else pd
    table = encode(make(fitted))
    features = table.encode(make(fitted))
    gaps = make(given, i=[1, None, None], b=[True, None, None])
    full = filled(table, gaps, features, is_drawn=True)
    assert list(full["i"]) == [1, 2, 3]
    assert list(full["b"]) == [True, False, True]


@pytest.mark.parametrize("library", [pd, pl])
def test_a_class_derived_from_a_frame_is_of_its_library(library):
    class Table(library.DataFrame):
        @property
        def _constructor(self):
            return Table

    Table.__module__ = "of_a_laboratory"
    X = Table({"g": ["x", None, "y"], "a": [1.0, 2.0, 3.0]})
    table = encode(X)
    features = table.encode(X)
    assert isinstance(table.decode(features), library.DataFrame)
    full = filled(table, X, np.nan_to_num(features, nan=1.0))
    assert isinstance(full, library.DataFrame)
    assert list(full["a"]) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("library", [pd, pl])
def test_draws_out_of_the_range_of_their_type_return_as_floats(library):
    counts = np.array([0, 1, 2], dtype="uint8")
    X = library.DataFrame({"u": counts, "w": ["a", "b", "a"]})
    table = encode(X)
    features = table.encode(X)
    assert table.decode(features, is_drawn=True)["u"].dtype == X["u"].dtype
    features[0, 0] = -1.2
    assert list(table.decode(features, is_drawn=True)["u"]) == [-1.0, 1.0, 2.0]


# ------------------------------------------------------------------ labels and index
LABELS = {
    "integers": pd.RangeIndex(3),
    "integers of numpy": pd.Index(np.array([3, 1, 2], dtype="int16")).astype(object),
    "floats": pd.Index([0.5, 1.0, 2.0]),
    "numbers and text": pd.Index([0, "b", 2.5]),
    "tuples": pd.MultiIndex.from_tuples([("s", 1), ("s", 2), ("t", 1)]),
    "times": pd.date_range("2020-01-01", periods=3),
    "times of a zone": pd.date_range("2020-03-28", periods=3, tz="Europe/Berlin"),
    "periods": pd.period_range("2020-01", periods=3, freq="M"),
    "dates": pd.Index([datetime.date(2020, 1, d) for d in (1, 2, 3)], dtype=object),
    "text": pd.Index(["a", "b", "c"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_columns_return_with_their_labels(kind):
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1, 2, 3], "w": ["x", "y", "x"]})
    X = X.set_axis(LABELS[kind], axis=1)
    table = encode(X)
    table.check()
    back = table.decode(table.encode(X), is_drawn=True)
    assert back.columns.equals(X.columns)
    assert back.iloc[:, 2].tolist() == ["x", "y", "x"]
    gaps = X.astype(object).where(np.eye(3) == 0, None)
    assert filled(table, gaps, table.encode(X)).columns.equals(X.columns)


def test_labels_that_are_no_plain_values_return_as_text():
    X = pd.DataFrame({frozenset([1]): [1.0, 2.0], None: ["x", "y"]})
    table = encode(X)
    back = table.decode(table.encode(X))
    assert list(back.columns) == [str(label) for label in X.columns]


def test_a_table_has_the_index_of_a_frame_of_codes():
    X = pd.DataFrame({"a": [1.0, 2.0], "w": ["x", "y"]})
    table = encode(X)
    codes = pd.DataFrame({"z": [0.5, 1.0]}, index=["second", "first"])
    features = table.encode(X)
    assert table.decode(features, codes=codes).index.equals(codes.index)
    for others in (None, codes.to_numpy(), codes.to_numpy().tolist(), pl.DataFrame()):
        assert table.decode(features, codes=others).index.equals(X.index)
    of_polars = encode(pl.DataFrame(X.to_dict("list")))
    assert isinstance(of_polars.decode(features, codes=codes), pl.DataFrame)


# ------------------------------------------------------------------- empty columns
EMPTY = {
    "categories": pd.Series([None] * 3, dtype=pd.CategoricalDtype(["p", "q"])),
    "text": pd.Series([None] * 3, dtype="string"),
    "text of pandas 3": pd.Series([None] * 3, dtype="str"),
    "categories of polars": pl.Series([None] * 3, dtype=pl.Enum(["p", "q"])),
    "text of polars": pl.Series([None] * 3, dtype=pl.String),
}


def with_empty(kind):
    library = pl if isinstance(EMPTY[kind], pl.Series) else pd
    return library.DataFrame({"a": [1.0, 2.0, 3.0], "g": EMPTY[kind]})


@pytest.mark.parametrize("likelihood", ["auto", {"g": "categorical"}])
@pytest.mark.parametrize("kind", EMPTY)
def test_a_column_of_levels_without_values_is_an_empty_one(kind, likelihood):
    X = with_empty(kind)
    table = encode(X, likelihood)
    table.check()
    features = table.encode(X)
    np.testing.assert_array_equal(np.isnan(features), [[False, True]] * 3)
    later = type(X)({"a": [1.0, 2.0, 3.0], "g": ["p", "new", None]})
    np.testing.assert_array_equal(table.encode(later, "missing"), features)
    with pytest.raises(ValueError, match=r"'g' of X has no value in the fit.*'new'"):
        table.encode(later)
    full = filled(table, X, features)
    assert full["g"].dtype == X["g"].dtype
    gaps = np.isnan(table.encode(later, "missing"))
    assert list(table.fill(later, features, gaps)["a"]) == [1.0, 2.0, 3.0]


def test_levels_that_an_empty_category_declares_are_missing():
    X = with_empty("categories")
    table = encode(X)
    later = X.assign(g=pd.Categorical(["p", "q", None]))
    np.testing.assert_array_equal(table.encode(later), table.encode(X))


def test_a_column_whose_samples_have_no_weight_is_empty():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "g": ["p", None, None]})
    table = encode(X, weight=np.array([0.0, 1.0, 1.0]))
    assert np.isnan(table.encode(X, "missing")[:, 1]).all()


# ------------------------------------------------------------------------- old files
def test_the_state_of_older_files_is_read():
    X = RATINGS.assign(z=[0.0, 1.0, 1.0, 0.0])
    state = encode(X, {"z": "bernoulli", "r": "gaussian"}).as_state()
    assert not any("is_empty" in column for column in state["columns"])
    names = ("library", "dtypes", "categories", "is_ordered", "is_integer")
    state["frame_type"] = {name: state["frame_type"][name] for name in names}
    old = TableEncoding.from_state(state)
    old.check()
    back = old.decode(old.encode(X))
    assert list(back.columns) == ["r", "w", "z"]
    assert back["r"].tolist()[:3] == [1.0, 2.0, 4.0]

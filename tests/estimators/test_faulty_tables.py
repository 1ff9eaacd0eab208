"""Faulty tables of several types: a clear error, or a finite fit and a warning."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactorvae import FactorVAETransformer, InfoGANTransformer, load

N = 90
SMALL = {
    "n_components": 2,
    "max_iter": 3,
    "hidden_layer_sizes": (6,),
    "discriminator_hidden_layer_sizes": (6,),
    "random_state": 0,
    "verbose": 0,
}


def make_table():
    rng = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "weight": rng.normal(size=N),
            "mode": rng.choice(list("xyz"), N),
            "visits": rng.poisson(3, N),
        }
    )


def with_value(name, value, row=3):
    table = make_table().astype({"visits": float})
    table.loc[row, name] = value
    return table


def objects(values):
    return make_table().assign(note=pd.Series(values, dtype=object))


REFUSED = {
    "numbers and text in a column": (objects([1, "two", 3.0] * 30), "'note' .*several"),
    "booleans and text in a column": (objects([True, "yes"] * 45), "'note' .*several"),
    "lists": (objects([[1]] * N), "'note' .*nested"),
    "an infinite value": (with_value("weight", np.inf), "'weight' of sample 3"),
    "a negative infinite value": (with_value("weight", -np.inf), "'weight' of sample"),
    "an infinite count": (with_value("visits", np.inf), "'visits' of sample 3"),
    "a negative count": (with_value("visits", -1), r"'visits' .*holds -1.*'gaussian'"),
    "a fraction of a count": (with_value("visits", 1.5), "whole numbers.*'visits'"),
    "two columns of one name": (
        make_table().set_axis(["weight", "mode", "mode"], axis=1),
        "several called 'mode'",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_faulty_table_is_refused_by_name(fault):
    table, message = REFUSED[fault]
    likelihood = "auto" if "visits" not in table else {"visits": "poisson"}
    model = FactorVAETransformer(**SMALL, likelihood=likelihood)
    with pytest.raises(ValueError, match=message):
        model.fit(table)


def many_levels():
    return make_table().assign(name=[f"name {j}" for j in range(N)])


def without_values():
    table = make_table().astype({"visits": float})
    table.loc[4] = None
    return table


TAKEN = {
    "a category seen once": (with_value("mode", "only"), None),
    "a single category": (make_table().assign(mode="x"), None),
    "a sample without values": (without_values(), None),
    "a column of objects without values": (objects([None] * N), "observed.*'note'"),
    "a category without values": (
        make_table().assign(note=pd.Categorical([None] * N, ["x", "y"])),
        "observed.*'note'",
    ),
    "a column of NaN": (
        with_value("weight", np.nan, slice(None)),
        "observed.*'weight'",
    ),
    "a column of names": (many_levels(), "'name' of X looks like an identifier"),
    "huge numbers": (with_value("weight", 1e300), None),
}


@pytest.mark.parametrize("fault", TAKEN)
def test_an_unusual_table_is_fitted(fault):
    table, message = TAKEN[fault]
    model = FactorVAETransformer(**SMALL, likelihood={"visits": "poisson"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        codes = model.fit_transform(table)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.score(table))
    back = model.inverse_transform(codes)
    assert back["mode"].isin(table["mode"].dropna().unique()).all()
    texts = " ".join(str(w.message) for w in caught)
    assert message is None or re.search(message, texts)
    assert back.isna().all().equals(table.isna().all())


def test_ten_thousand_names_are_called_an_identifier():
    rng = np.random.RandomState(0)
    table = pd.DataFrame(
        {"weight": rng.normal(size=10_000), "name": [f"{j:05}" for j in range(10_000)]}
    )
    with (
        pytest.warns(UserWarning, match="'name' of X looks like an identifier"),
        pytest.warns(UserWarning, match="'name' of X has 10000 levels.*min_frequency"),
    ):
        codes = FactorVAETransformer(**SMALL).fit_transform(table)
    assert np.isfinite(codes).all()


@pytest.fixture(scope="module")
def fitted():
    likelihood = {"visits": "poisson"}
    return FactorVAETransformer(**SMALL, likelihood=likelihood).fit(make_table())


OTHERS = {
    "another order": (make_table()[["mode", "weight", "visits"]], "same order"),
    "an absent column": (make_table().drop(columns="mode"), "now missing:\n- mode"),
    "one more column": (make_table().assign(more=1), "unseen at fit time:\n- more"),
    "an unknown level": (with_value("mode", "new"), "'mode'.*'new'.*handle_unknown"),
    "text in place of numbers": (
        make_table().assign(weight="heavy"),
        "'weight' of X holds text.*had no such values",
    ),
    "a negative count": (with_value("visits", -2), "'visits' of X holds -2.*no such"),
    "an infinite value": (with_value("weight", np.inf), "'weight' of sample 3"),
    "two columns of one name": (
        make_table().set_axis(["weight", "mode", "mode"], axis=1),
        "mode|yet now missing:\n- visits",  # as scikit-learn 1.6 has it
    ),
}


@pytest.mark.parametrize("fault", OTHERS)
def test_a_new_table_unlike_that_of_the_fit_is_refused(fitted, fault):
    table, message = OTHERS[fault]
    with pytest.raises(ValueError, match=message):
        fitted.transform(table)


def rows(table):
    return table.to_dict("records")


def arrow_table(_):
    """Return what has the methods of a table of Arrow, which need not be installed."""
    return SimpleNamespace(to_pandas=make_table, column_names=["weight"])


NO_TABLES = {
    "a column": (lambda table: table["weight"], ValueError, r"is a Series.*to_frame"),
    "a list of dicts": (rows, TypeError, r"a list of dict.*pandas\.DataFrame"),
    "a dict": (
        lambda table: table.to_dict("list"),
        TypeError,
        "X is a dict.*DataFrame",
    ),
    "an iterator": (lambda table: iter(rows(table)), TypeError, r"iterator.*list\(X\)"),
    "a lazy frame": (
        lambda table: pl.from_dict(table.to_dict("list"), strict=False).lazy(),
        TypeError,
        r"not computed yet.*X\.collect\(\)",
    ),
    "a table of Arrow": (arrow_table, TypeError, r"of Arrow.*pyarrow\.dataset"),
    "a name of a file": (lambda table: "table.csv", TypeError, "text.*read_csv"),
}


@pytest.mark.parametrize("kind", NO_TABLES)
def test_what_is_no_table_is_refused_by_its_type(fitted, kind):
    made_of, error, message = NO_TABLES[kind]
    with pytest.raises(error, match=message):
        FactorVAETransformer(**SMALL).fit(made_of(make_table()))
    with pytest.raises(error, match=message):
        fitted.transform(made_of(make_table()))


def test_a_list_of_texts_is_refused():
    with pytest.raises(ValueError, match="could not convert string to float"):
        FactorVAETransformer(**SMALL).fit(["a", "b"])


def fitted_with_warnings(table, **parameters):
    """Return a fitted model, and the warnings of the fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = FactorVAETransformer(**{**SMALL, **parameters}).fit(table)
    return model, caught


def test_merged_levels_are_counted_as_the_report_does():
    """Ties at the limit are merged, too, so that far fewer than 255 levels remain."""
    values = [f"town {j % 70}" for j in range(300)] + [f"farm {j}" for j in range(300)]
    table = pd.DataFrame({"x": np.random.RandomState(0).normal(size=600), "at": values})
    model, caught = fitted_with_warnings(table)
    n_levels = model.column_report_.n_levels[1]
    text = next(str(w.message) for w in caught if "has 370 levels" in str(w.message))
    assert n_levels == 71
    assert "the 300 of a weight of at most 1 each are merged" in text
    assert f"so that {n_levels} remain" in text


def test_warnings_about_levels_are_at_the_line_of_the_caller():
    names = [f"name {j}" for j in range(300)]
    table = pd.DataFrame({"x": np.arange(300.0) % 7, "name": names})
    _, caught = fitted_with_warnings(table)
    assert len(caught) >= 2
    assert {w.filename for w in caught} == {__file__}


TEXTS = {
    "numbers": [f"{0.5 + j}" for j in range(N)],
    "decimal commas": [f"{j},7" for j in range(N)],
    "amounts": [f"${j + 100}" for j in range(N)],
    "percentages": [f"{j} %" for j in range(N)],
    "whole numbers, some missing": [str(j) if j % 30 else "?" for j in range(N)],
    "dates": pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d").tolist(),
    "months": [f"2020-{1 + j % 12:02}" for j in range(N)],
    "quarters": [f"{2000 + j // 4}Q{1 + j % 4}" for j in range(N)],
}
REMEDIES = dict.fromkeys(TEXTS, "to_numeric")
REMEDIES |= dict.fromkeys(["dates", "months", "quarters"], "to_datetime")


@pytest.mark.parametrize("kind", TEXTS)
def test_numbers_and_dates_as_text_are_named_with_their_conversion(kind):
    table = make_table().assign(note=pd.Series(TEXTS[kind], dtype=object))
    _, caught = fitted_with_warnings(table)
    (text,) = [str(w.message) for w in caught]
    assert "'note'" in text
    assert REMEDIES[kind] in text
    assert "identifier" not in text


def test_a_table_of_text_gets_one_warning():
    table = make_table()[["weight"]].assign(other=np.linspace(0, 1, N))
    for given in (table.astype(str), table.to_numpy().astype(str)):
        _, caught = fitted_with_warnings(given)
        (text,) = [str(w.message) for w in caught]
        assert "to_numeric" in text
        assert all(repr(name) in text for name in getattr(given, "columns", ["x0"]))


CATEGORIES = {
    "a few codes": [str(j % 4) for j in range(N)],
    "codes with zeros": [f"{j % 30:03}" for j in range(N)],
    "words": [f"word {j % 30}" for j in range(N)],
}


@pytest.mark.parametrize("kind", CATEGORIES)
def test_categories_are_not_taken_for_numbers(kind):
    _, caught = fitted_with_warnings(make_table().assign(note=CATEGORIES[kind]))
    assert not caught


def test_a_categorical_type_says_that_numbers_are_names():
    texts = [f"{j % 30}.5" for j in range(N)]
    table = make_table().assign(note=pd.Categorical(texts))
    assert not fitted_with_warnings(table)[1]
    named = {"note": "categorical"}
    table = table.astype({"note": object})
    assert not fitted_with_warnings(table, likelihood=named)[1]
    assert fitted_with_warnings(table)[1]


def test_a_number_beside_a_sign_is_to_become_a_number():
    with pytest.raises(ValueError, match=r"such as '\?'.*by pandas.to_numeric") as got:
        FactorVAETransformer(**SMALL).fit(objects([*range(N - 1), "?"]))
    assert "astype(str)" not in str(got.value)


def test_periods_are_times():
    months = pd.period_range("2020-01", periods=N, freq="M")
    with pytest.raises(ValueError, match="'month' of X holds times"):
        FactorVAETransformer(**SMALL).fit(make_table().assign(month=months))


def number_table():
    return make_table()[["weight", "visits"]]


@pytest.fixture(scope="module")
def of_numbers():
    return FactorVAETransformer(**SMALL).fit(number_table())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (make_table(), r"^The feature names.*unseen at fit time:\n- mode"),
        (make_table().drop(columns="visits"), r"^The feature names.*missing:\n- visit"),
        (number_table().assign(visits="many"), "'visits' of X.*fit held numbers alone"),
    ],
)
def test_text_after_a_fit_of_numbers_is_told_from_other_columns(
    of_numbers, table, message
):
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)) as got:
        of_numbers.transform(table)
    assert "likelihood=" not in str(got.value)


def test_an_array_with_more_columns_is_refused_for_its_columns():
    model = FactorVAETransformer(**SMALL).fit(number_table().to_numpy())
    with pytest.raises(ValueError, match=r"^X has 3 features, but .* expecting 2"):
        model.transform(make_table().to_numpy(dtype=object))


def test_text_beside_numbers_in_an_array_does_not_ask_for_what_is_set():
    X = make_table()[["weight", "visits"]].to_numpy(dtype=object)
    X[3, 1] = "?"
    with pytest.raises(ValueError, match=r"'\?'.*to_numeric") as got:
        FactorVAETransformer(**SMALL).fit(X)
    assert "need likelihood='auto'" not in str(got.value)


def random_table(n_missing=0):
    table = make_table()[["weight", "mode"]]
    table["height"] = np.random.RandomState(1).normal(170, 10, N)
    table.loc[: n_missing - 1, "height"] = np.nan
    return table


REDUNDANT = {
    "numbers from zero": ({"row": np.arange(N)}, r"order: 'row'\."),
    "numbers from one": ({"row": np.arange(1, N + 1)}, r"order: 'row'\."),
    "reversed numbers": ({"row": np.arange(N)[::-1]}, r"order: 'row'\."),
    "two numberings": (
        {"row": np.arange(N), "id": np.arange(N) + 1.0},
        r"order: 'row', 'id'\..*offset: 'row', 'id'\.",
    ),
    "another unit": (
        {"inches": lambda table: table["height"] / 2.54},
        r"offset: 'height', 'inches'\.",
    ),
    "another sign and offset": (
        {"below": lambda table: 200 - table["height"]},
        r"offset: 'height', 'below'\.",
    ),
}


@pytest.mark.parametrize("n_missing", [0, 3])
@pytest.mark.parametrize("only_numbers", [False, True])
@pytest.mark.parametrize("kind", REDUNDANT)
def test_numberings_and_copies_are_named(kind, only_numbers, n_missing):
    columns, message = REDUNDANT[kind]
    table = random_table(n_missing)
    table = table.drop(columns="mode") if only_numbers else table
    model = FactorVAETransformer(**SMALL).fit(table.assign(**columns))
    report = model.column_report_
    assert re.search(message, report.remark)
    assert str(report).endswith(report.remark)


ORDINARY = {
    "another order": np.random.RandomState(2).permutation(N),
    "nearly a copy": lambda table: table["height"] + np.arange(N) % 2,
    "a constant": 5.0,
    "a function": lambda table: table["height"] ** 2,
    "other missing values": lambda table: table["height"].where(np.arange(N) != 9),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_columns_are_not_called_redundant(kind):
    table = random_table().assign(more=ORDINARY[kind])
    report = FactorVAETransformer(**SMALL).fit(table).column_report_
    assert report.remark == ""


def test_the_remark_on_redundant_columns_is_saved(tmp_path):
    table = random_table().assign(row=np.arange(N))
    model = FactorVAETransformer(**SMALL).fit(table)
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert "'row'" in again.column_report_.remark
    assert "remark" not in again.column_report_.to_frame()


DATES = np.array(["2020-01-01", "NaT", "2020-03-01"] * 30, dtype="M8[D]")[:, None]
TIMES = {
    "dates": DATES,
    "durations": DATES - DATES[0],
    "masked dates": np.ma.masked_array(DATES, np.isnat(DATES)),
    "no date at all": np.full((N, 1), "NaT", dtype="M8[s]"),
    "a list of dates": DATES.tolist(),
    "objects": DATES.astype(object),
    "a frame": pd.DataFrame(DATES),
    "a frame of a time zone": pd.DataFrame(DATES).apply(
        lambda column: column.dt.tz_localize("UTC")
    ),
    "a frame of objects": pd.DataFrame(DATES).astype(object),
    "a frame of polars": pl.DataFrame(DATES, schema=["when"]),
}


@pytest.mark.parametrize("likelihood", ["auto", "gaussian", "bernoulli"])
@pytest.mark.parametrize("kind", TIMES)
def test_times_are_not_fitted_as_numbers(kind, likelihood):
    with pytest.raises(ValueError, match=r"Column .* of X holds times"):
        FactorVAETransformer(**SMALL, likelihood=likelihood).fit(TIMES[kind])
    with pytest.raises(ValueError, match="holds time"):
        InfoGANTransformer(max_iter=1).fit(TIMES[kind])


@pytest.fixture(scope="module")
def of_one_number():
    return FactorVAETransformer(**SMALL | {"n_components": 1}).fit(np.eye(N)[:, :1])


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("kind", TIMES)
def test_times_are_no_new_samples(of_one_number, kind):
    with pytest.raises(ValueError, match=r"Column .* of X holds times"):
        of_one_number.transform(TIMES[kind])


def test_other_columns_are_named_before_times(of_numbers):
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- when"):
        of_numbers.transform(number_table().assign(when=DATES[:, 0]))


ROWS = [[0.0, 1.0]] * N
NESTED = {
    "lists of polars": pl.Series(ROWS),
    "lists of several lengths": pl.Series([[1.0], None, [1.0, 2.0]] * 30),
    "arrays of polars": pl.Series(ROWS, dtype=pl.Array(pl.Float64, 2)),
    "structures": pl.Series([{"a": 1.0, "b": 2.0}] * N),
    "lists": pd.Series(ROWS, dtype=object),
    "arrays": pd.Series(list(np.zeros((N, 2))), dtype=object),
    "arrays of one NaN": pd.Series(list(np.full((N, 1), np.nan)), dtype=object),
    "mappings": pd.Series([{"a": 1}] * N, dtype=object),
}


def with_nested(kind, *names):
    """Return a frame of given columns and one of nested values."""
    table = make_table()[list(names)]
    if isinstance(NESTED[kind], pd.Series):
        return table.assign(nested=NESTED[kind])
    return pl.DataFrame(table.to_dict("list")).with_columns(
        NESTED[kind].alias("nested")
    )


# by scikit-learn 1.6, of frames of polars
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("names", [["weight"], ["weight", "mode"]])
@pytest.mark.parametrize("kind", NESTED)
def test_nested_values_are_refused_by_column(kind, names):
    table = with_nested(kind, *names)
    with pytest.raises(ValueError, match=r"'nested' of X holds .*nested.*leave it out"):
        FactorVAETransformer(**SMALL).fit(table)
    with pytest.raises(ValueError, match="column 'nested' of X holds other values"):
        InfoGANTransformer(max_iter=1).fit(table[["nested"]])
    known = make_table()[names].assign(nested=0.5 * np.arange(N))
    model = FactorVAETransformer(**SMALL).fit(known)
    with pytest.raises(ValueError, match="olumn 'nested' of X holds"):
        model.transform(table)


@pytest.mark.parametrize("kind", NESTED)
def test_nested_values_are_no_numbers(kind):
    with pytest.raises(ValueError, match=r"'nested' of X holds nested .*of its own"):
        FactorVAETransformer(**SMALL, likelihood="gaussian").fit(
            with_nested(kind, "weight")
        )


EMPTY = {
    "categories": pd.Series([None] * N, dtype="category"),
    "text": pd.Series([None] * N, dtype="string"),
    "text of pandas 3": pd.Series([None] * N, dtype="str"),
    "objects": pd.Series([None] * N, dtype=object),
    "objects of pandas.NA": pd.Series([pd.NA] * N, dtype=object),
    "integers": pd.Series([None] * N, dtype="Int64"),
    "truth values": pd.Series([None] * N, dtype="boolean"),
}


@pytest.mark.parametrize("names", [["weight", "visits"], ["weight", "mode"]])
@pytest.mark.parametrize("kind", EMPTY)
def test_a_column_without_values_is_one_of_missing_numbers(kind, names):
    X = make_table()[names].assign(empty=EMPTY[kind])
    of_numbers = X.assign(empty=np.nan)
    with pytest.warns(UserWarning, match=r"without any observed value \(1\): 'empty'"):
        model = FactorVAETransformer(**SMALL).fit(X)
    codes = model.transform(X)
    np.testing.assert_array_equal(codes, model.transform(of_numbers))
    back = np.asarray(model.inverse_transform(codes), dtype=object)[:, 2]
    assert pd.isna(back).all()
    assert model.impute(X)["empty"].isna().all()


@pytest.mark.parametrize("values", [np.arange(N) / 2, np.array(["p", "q", "q"] * 30)])
@pytest.mark.parametrize("kind", EMPTY)
def test_a_column_without_values_is_imputed(kind, values):
    X = make_table()[["weight", "visits"]].assign(known=values)
    model = FactorVAETransformer(**SMALL).fit(X)
    gaps = X.assign(known=EMPTY[kind])
    expected = model.impute(X.assign(known=pd.Series([None] * N, dtype=object)))
    assert model.impute(gaps)["known"].tolist() == expected["known"].tolist()
    assert not expected["known"].isna().any()

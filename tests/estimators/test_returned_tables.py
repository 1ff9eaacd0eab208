"""Tables that an estimator of columns of several types returns, and new samples."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import cross_val_score

import skfactorvae
from skfactorvae import FactorVAETransformer, load
from skfactorvae.inspection import edit

N = 40
SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "weight_decay": 0,
    "max_iter": 10,
    "random_state": 0,
    "verbose": 0,
}


def make_table(**others):
    rng = np.random.RandomState(0)
    x = rng.normal(size=(N, 1)) + 0.5 * rng.normal(size=(N, 3))
    numbers = {"a": x[:, 0], "b": x[:, 1], "z": (x[:, 2] > 0) * 1.0}
    return pd.DataFrame({**numbers, "g": ["x", "y"] * (N // 2), **others})


def fit(X, **parameters):
    return FactorVAETransformer(**{**SMALL, **parameters}).fit(X)


@pytest.fixture(scope="module")
def of_binary():
    return fit(make_table(), likelihood={"z": "bernoulli"})


@pytest.mark.parametrize("value", [7.0, -50.0])
def test_new_values_of_a_bernoulli_column_are_clipped_with_its_name(of_binary, value):
    outside, inside = make_table(z=value), make_table(z=float(value > 0))
    for method in (of_binary.transform, of_binary.score_samples):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = method(outside)
        texts = " ".join(str(w.message) for w in caught)
        assert "needs values in [0, 1]; 40 of 40 values" in texts
        assert "'z' of X" in texts
        np.testing.assert_array_equal(found, method(inside))


def test_the_runtime_clips_bernoulli_columns(of_binary, tmp_path):
    of_binary.save(tmp_path / "model")
    model = skfactorvae.runtime.load(tmp_path / "model")
    scores = of_binary.score_samples(make_table(z=1.0))
    np.testing.assert_allclose(
        model.score_samples(make_table(z=7.0)), scores, rtol=1e-4
    )


def test_a_sample_without_weight_may_have_other_values():
    X = make_table()
    X.loc[0, "z"] = 9.0
    model = FactorVAETransformer(**SMALL, likelihood={"z": "bernoulli"})
    model.fit(X, sample_weight=np.arange(N) > 0)
    assert model.column_likelihoods_["z"] == "bernoulli"


def test_draws_of_a_bernoulli_column_are_zero_or_one(of_binary):
    drawn = of_binary.sample(N, random_state=0)
    (full,) = of_binary.impute(make_table(z=np.nan), n_draws=1, random_state=0)
    for table in (drawn, full):
        assert set(table["z"]) == {0.0, 1.0}
    assert fit(drawn, likelihood={"z": "bernoulli"}).transform(drawn).shape == (N, 2)
    means = of_binary.sample(N, noise=False, random_state=0)["z"]
    assert ((means > 0) & (means < 1)).any()


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "student_t"])
def test_categories_of_numbers_may_have_a_likelihood_of_numbers(likelihood):
    ratings = pd.Series(pd.Categorical(np.arange(N) % 5 + 1, ordered=True))
    X = make_table(r=ratings.where(np.arange(N) > 4))
    model = fit(X, likelihood={"r": likelihood})
    codes = model.transform(X)
    back = model.inverse_transform(codes)["r"]
    place = list(model.number_names_).index("r")
    np.testing.assert_allclose(back, model.expected_numbers(codes)[:, place])
    assert model.sample(50, random_state=0)["r"].notna().all()
    full = model.impute(X)["r"]
    assert full[5:].tolist() == X["r"][5:].tolist()
    assert full.notna().all()


def test_a_table_has_the_index_of_its_codes():
    X = make_table().sample(frac=1, random_state=0)
    model = fit(X).set_output(transform="pandas")
    codes = model.transform(X)
    assert model.inverse_transform(codes).index.equals(X.index)
    assert model.inverse_transform(codes.to_numpy()).index.equals(pd.RangeIndex(N))


def test_files_hold_the_labels_of_columns(tmp_path):
    labels = pd.MultiIndex.from_tuples([("s", 1), ("s", 2.5), ("t", "z"), ("u", "v")])
    X = make_table().set_axis(labels, axis=1)
    model = fit(X)
    model.save(tmp_path / "model")
    codes = model.transform(X)
    for one in (model, load(tmp_path / "model")):
        assert one.inverse_transform(codes).columns.equals(labels)
        assert one.sample(2, random_state=0).columns.equals(labels)
    of_numbers = X.set_axis(range(4), axis=1)
    model = fit(of_numbers)
    back = model.inverse_transform(model.transform(of_numbers))
    assert model.transform(back).shape == (N, 2)  # without a warning about names


# An old scikit-learn reads no names from polars.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but")
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_table_of_another_library_is_imputed(library):
    tables = {
        "pandas": make_table(),
        "polars": pl.DataFrame(make_table().to_dict("list")),
    }
    gaps = tables.pop("polars" if library == "pandas" else "pandas")
    (X,) = tables.values()
    gaps = gaps[:N]
    if isinstance(gaps, pl.DataFrame):
        gaps = gaps.with_columns(pl.Series("g", [None] * 5 + gaps["g"].to_list()[5:]))
    else:
        gaps = gaps.assign(g=gaps["g"].where(np.arange(N) > 4))
    model = fit(X)
    for full in (model.impute(gaps), *model.impute(gaps, n_draws=2, random_state=0)):
        assert type(full) is type(gaps)
        assert set(full["g"]) == {"x", "y"}
        assert list(full["g"])[5:] == list(gaps["g"])[5:]


# ------------------------------------------------------------------- empty columns
PARTS = [(np.arange(6, N), np.arange(6)), (np.arange(30), np.arange(30, N))]
"""Folds, of which the first has no value of the column in training."""


@pytest.mark.filterwarnings("ignore:Columns of X without any observed value")
@pytest.mark.parametrize("likelihood", ["auto", {"e": "categorical"}])
@pytest.mark.parametrize(
    ("dtype", "unknown"),
    [("category", "error"), ("str", "missing"), ("string", "missing")],
)
def test_a_column_may_be_without_values_in_a_fold(dtype, unknown, likelihood):
    X = make_table(e=pd.Series(["p", "q"] * 3 + [None] * (N - 6), dtype=dtype))
    model = FactorVAETransformer(**SMALL, likelihood=likelihood, handle_unknown=unknown)
    for columns in (list(X), ["a", "b", "e"]):
        scores = cross_val_score(model, X[columns], cv=PARTS, error_score="raise")
        assert np.isfinite(scores).all()


@pytest.mark.filterwarnings("ignore:Columns of X without any observed value")
def test_files_hold_empty_columns(tmp_path):
    X = make_table(e=pd.Categorical([None] * N, ["p", "q"]))
    model = fit(X)
    model.save(tmp_path / "model")
    later = X.assign(e=pd.Categorical(["p", "q"] * (N // 2)))
    codes = model.transform(X)
    for read in (load, skfactorvae.runtime.load):
        found = read(tmp_path / "model").transform(later)
        np.testing.assert_allclose(found, codes, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Columns of X without any observed value")
@pytest.mark.parametrize("library", ["pandas", "polars", "array"])
def test_observed_values_of_an_empty_column_stay(library):
    X = make_table(e=pd.Series([None] * N, dtype="string"))
    later = X.assign(e=pd.Series(["hello"] * N, dtype="string"), a=np.nan)
    as_library = {
        "pandas": lambda frame: frame,
        "polars": lambda frame: pl.DataFrame(frame.to_dict("list")),
        "array": lambda frame: frame.to_numpy(object),
    }[library]
    model = fit(as_library(X), handle_unknown="missing")
    filled = model.impute(as_library(later))
    filled = pd.DataFrame(filled, columns=later.columns)
    assert (filled["e"] == "hello").all()
    assert filled["a"].notna().all()


@pytest.mark.filterwarnings("ignore:Columns of X without any observed value")
def test_an_empty_column_is_not_edited():
    X = make_table(e=pd.Categorical([None] * N, ["u", "v"]))
    model = fit(X)
    later = X.assign(e=pd.Categorical(["u"] * N, ["u", "v"]))
    edited = edit(model, later[:3], {0: 1.0}, reference=X)
    assert edited["e"].tolist() == ["u"] * 3
    assert not np.array_equal(edited["a"], later["a"][:3])


def test_files_hold_later_attributes_only_where_they_are_needed():
    state = fit(make_table())._table_state
    assert not any("is_empty" in column for column in state["columns"])
    assert not {"labels", "label_type"} & state["frame_type"].keys()


def test_the_warning_of_clipped_values_is_at_the_call(of_binary):
    new = make_table().assign(z=1.5)
    for method in (of_binary.transform, of_binary.score, of_binary.impute):
        with pytest.warns(UserWarning, match="column 'z' of X ranges") as caught:
            method(new)
        assert [warning.filename for warning in caught] == [__file__]


# --------------------------------------------------------------------------- errors
def test_a_table_without_samples_is_refused_as_such(of_binary):
    nothing = make_table(e=pd.Categorical(["x"] * N)).iloc[:0]
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        fit(nothing)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        of_binary.transform(make_table().iloc[:0])


@pytest.mark.parametrize("number", [True, np.True_, 0, 1.5])
def test_numbers_of_draws_are_integers(of_binary, number):
    with pytest.raises(ValueError, match="n_draws must be None or an integer"):
        of_binary.impute(make_table(), n_draws=number)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        of_binary.sample(number)

"""Columns that hold, after the fit, what only some types of numbers can hold."""

import contextlib

import numpy as np
import pandas as pd
import pytest

from skfactorvae import FactorVAETransformer, SupervisedFactorVAETransformer

N = 60
rng = np.random.default_rng(0)
QUICK = {
    "max_iter": 20,
    "hidden_layer_sizes": 8,
    "weight_decay": 0.0,
    "random_state": 0,
}


def table(**columns):
    """Return two columns of numbers beside the given ones."""
    X = rng.normal(size=(N, 2))
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], **columns})


def fitted(X, **parameters):
    return FactorVAETransformer(2, **QUICK, **parameters).fit(X)


def test_long_integers_are_levels_of_their_own():
    level = rng.integers(0, 5, N)
    X = table(number=2**60 + level)
    model = fitted(X, likelihood={"number": "categorical"})
    counts = model.numbers(X)[:, -5:].sum(axis=0)
    np.testing.assert_array_equal(counts, np.bincount(level, minlength=5))


def test_predicted_long_integers_are_levels_of_the_fit():
    X = table()
    y = np.where(X["a"] > 0, 2**53, 2**53 + 1)
    model = SupervisedFactorVAETransformer(2, **QUICK).fit(X, y)
    predicted = model.predict_attributes(X)
    assert predicted.dtype == object
    assert set(predicted.ravel()) <= {2**53, 2**53 + 1}


@pytest.mark.parametrize("kind", ["boolean", "whole", "empty"])
def test_times_are_no_levels(kind):
    values = {
        "boolean": np.arange(N) % 2 == 0,
        "whole": pd.Categorical(np.arange(N) % 2),
        "empty": np.full(N, np.nan),
    }[kind]
    X = table(column=values, level=pd.Categorical(["x", "y"] * (N // 2)))
    warned = pytest.warns(UserWarning, match="without any observed value")
    with warned if kind == "empty" else contextlib.nullcontext():
        model = fitted(X)
    with pytest.raises(ValueError, match="'column' of X holds times, but held"):
        model.transform(X.iloc[:3].assign(column=pd.Timestamp("2020-01-01")))
    model.transform(X.assign(column=pd.Series(pd.NaT, X.index)))


class TestImputedLongIntegers:
    @pytest.mark.parametrize("dtype", ["Int64", "UInt64"])
    @pytest.mark.parametrize("is_typed", [False, True])
    def test_observed_ones_stay_as_they_are(self, dtype, is_typed):
        more = {"level": pd.Categorical(["x", "y"] * (N // 2))} if is_typed else {}
        X = table(number=pd.array(rng.integers(0, 2**60, N), dtype=dtype), **more)
        X.loc[3, "number"] = pd.NA
        full = fitted(X).impute(X)["number"]
        assert full.dtype == dtype
        assert full.drop(index=3).equals(X["number"].drop(index=3))
        assert 0 <= full[3] < 2**61

    def test_of_polars_too(self):
        pl = pytest.importorskip("polars")
        numbers = rng.integers(0, 2**60, N).tolist()
        X = pl.DataFrame(
            {
                "a": rng.normal(size=N),
                "b": rng.normal(size=N),
                "number": [None, *numbers[1:]],
            }
        )
        full = fitted(X).impute(X)["number"]
        assert full.dtype == pl.Int64
        assert full[1:].to_list() == numbers[1:]
        assert full[0] is not None


def test_levels_that_are_tuples_are_imputed():
    pairs = pd.Series([("a", 1), ("b", 2)] * (N // 2), dtype=object)
    pairs[3] = None
    X = table(level=pd.Categorical(pairs))
    full = fitted(X).impute(X)["level"]
    assert full[3] in {("a", 1), ("b", 2)}
    assert full.drop(index=3).tolist() == pairs.drop(index=3).tolist()


class TestContinuedAttributes:
    def fit(self, X, y):
        return SupervisedFactorVAETransformer(3, warm_start=True, **QUICK).fit(X, y)

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize("names", [["v", "u"], ["u", "w"]])
    def test_other_names_are_refused(self, method, names):
        X = table()
        y = pd.DataFrame({"u": X["a"], "v": -X["b"], "w": X["b"]})
        model = self.fit(X, y[["u", "v"]])
        before = model.transform(X)
        with pytest.raises(ValueError, match="the fit that is continued had"):
            getattr(model, method)(X, y[names])
        np.testing.assert_array_equal(model.transform(X), before)

    def test_columns_without_names_are_taken_by_position(self):
        X = table()
        y = pd.DataFrame({"u": X["a"], "v": -X["b"]})
        self.fit(X, y).fit(X, y.to_numpy())
        self.fit(X, y.to_numpy()).fit(X, y)

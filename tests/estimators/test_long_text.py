"""Fits to tables with columns of long text."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactorvae import FactorVAETransformer, load, runtime

N = 80
LONG = "z" * 5000
SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "weight_decay": 0,
    "max_iter": 5,
    "random_state": 0,
}


def table(suffix=""):
    """Return a table with text of several types that ends with a suffix."""
    rng = np.random.RandomState(0)
    names = [name + suffix for name in "abc"]
    texts = np.array(names, dtype=object)[rng.randint(0, 3, N)]
    gaps = rng.uniform(size=(2, N)) < 0.1
    return pd.DataFrame(
        {
            "real": rng.normal(size=N),
            "text": np.where(gaps[0], None, texts),
            "kind": pd.Categorical(texts, [*names[::-1], "none" + suffix]),
            "grade": pd.Categorical(
                np.where(gaps[1], None, texts), names, ordered=True
            ),
        }
    )


def in_polars(X):
    enum = pl.Enum(X["kind"].cat.categories.tolist())
    columns = {
        name: [None if pd.isna(value) else value for value in X[name].astype(object)]
        for name in X
    }
    return pl.DataFrame(columns).with_columns(pl.col("kind").cast(enum))


def as_array(X):
    return X.drop(columns=["kind", "grade"]).to_numpy(dtype=object)


each_library = pytest.mark.parametrize(
    "library", [pd.DataFrame, in_polars, as_array], ids=["pandas", "polars", "array"]
)


def without_suffix(X):
    cells = np.array(X, dtype=object)
    shorten = np.frompyfunc(
        lambda v: v.removesuffix(LONG) if isinstance(v, str) else v, 1, 1
    )
    return pd.DataFrame(shorten(cells))


@each_library
def test_results_are_those_of_short_text(library):
    X, short = library(table(LONG)), library(table())
    one, other = (FactorVAETransformer(**SMALL).fit(x) for x in (X, short))
    codes = one.transform(X)
    np.testing.assert_array_equal(codes, other.transform(short))
    np.testing.assert_array_equal(one.numbers(X), other.numbers(short))
    for long_text, text in [
        (one.inverse_transform(codes), other.inverse_transform(codes)),
        (one.impute(X), other.impute(short)),
        (one.sample(3, random_state=0), other.sample(3, random_state=0)),
    ]:
        assert type(long_text) is type(X)
        pd.testing.assert_frame_equal(
            without_suffix(long_text), pd.DataFrame(np.array(text, dtype=object))
        )
        assert LONG in str(np.array(long_text, dtype=object).tolist())


@each_library
def test_files_hold_long_text(library, tmp_path):
    X = library(table(LONG))
    model = FactorVAETransformer(**SMALL).fit(X)
    path = tmp_path / "model.fvae"
    model.save(path)
    assert path.stat().st_size < 40 * len(LONG) + 50_000
    codes = model.transform(X)
    expected = np.array(model.inverse_transform(codes), dtype=object)
    for found in (load(path), runtime.load(path)):
        np.testing.assert_allclose(found.transform(X), codes, atol=1e-6)
        back = np.array(found.inverse_transform(codes), dtype=object)
        assert back[:, 1:].tolist() == expected[:, 1:].tolist()


def test_unknown_levels_of_long_text_are_told_from_those_of_another_type():
    model = FactorVAETransformer(**SMALL).fit(table(LONG))
    with pytest.raises(ValueError, match="has levels that the fit did not see") as info:
        model.transform(table())
    assert "Convert" not in str(info.value)
    numbers = table().assign(text=np.arange(N) % 3)
    with pytest.raises(ValueError, match=r"astype\('string'\)"):
        model.transform(numbers)


@pytest.mark.filterwarnings("ignore:.*text:UserWarning")
def test_memory_is_in_proportion_to_the_text():
    texts = [f"comment {i} " + "w" * (i % 40) for i in range(3000)] + ["z" * 50_000]
    X = pd.DataFrame({"real": np.arange(3001.0), "text": texts})
    model = FactorVAETransformer(**SMALL)
    model.fit(X.iloc[:100])  # what is imported and compiled once does not count
    for call in (model.fit, model.transform, model.impute):
        tracemalloc.start()
        call(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100 * sum(map(len, texts))

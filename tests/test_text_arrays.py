"""Levels that are text: arrays of them, and levels of the same text."""

import datetime
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactorvae._inputs import columns, read_column
from skfactorvae._text_arrays import MAX_WIDTH, holds_text, text_array

SHORT, LONG = "a" * MAX_WIDTH, "b" * (MAX_WIDTH + 1)


class TestTextArray:
    """It is of fixed width where that is narrow, and of objects elsewhere."""

    @pytest.mark.parametrize("texts", [[], ["b", ""], [SHORT], ["b", LONG], [b"b"]])
    def test_it_holds_the_texts(self, texts):
        found = text_array(texts)
        assert found.tolist() == texts
        assert found.dtype.kind == ("O" if LONG in texts else found.dtype.kind)

    def test_one_long_text_does_not_widen_the_others(self):
        texts = [*map(str, range(1000)), "z" * 10_000]
        assert text_array(texts).nbytes < 10_000

    def test_numbers_are_no_text(self):
        assert holds_text(text_array([]))
        assert holds_text(text_array([LONG]))
        assert not any(holds_text(np.arange(2).astype(t)) for t in (bool, int, float))


# ------------------------------------------------------------------- levels of columns
CONTAINERS = {
    "list": list,
    "rows": lambda texts: [[text] for text in texts],
    "array": lambda texts: np.array(texts, dtype=object),
    "pandas": pd.Series,
    "string": lambda texts: pd.Series(texts, dtype="string"),
    "Categorical": pd.Categorical,
    "polars": pl.Series,
}


def read(data):
    (column,), _ = columns(data, "y")
    return read_column(column, "y")


each_container = pytest.mark.parametrize(
    "container", CONTAINERS.values(), ids=CONTAINERS
)


@each_container
def test_long_texts_have_the_levels_of_short_ones(container):
    names = ["b", None, "é", "a", "b", "A", "a\n"]
    texts = [None if name is None else LONG + name for name in names]
    short, long = (read(container(some)) for some in (names, texts))
    np.testing.assert_array_equal(long.values, short.values)
    assert long.levels.tolist() == [LONG + level for level in short.levels.tolist()]
    assert (long.content, long.is_ordered) == (short.content, short.is_ordered)
    assert [part.tolist() for part in long.as_levels()][1] == long.levels.tolist()


@each_container
def test_memory_is_in_proportion_to_the_text(container):
    texts = [f"level {i % 700}" for i in range(2000)] + ["z" * 100_000]
    column = container(texts)
    tracemalloc.start()
    found = read(column)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * sum(map(len, texts))
    assert len(found.levels) == 701


def test_a_nul_at_the_end_does_not_make_a_level():
    """As in arrays of strings, which end at it."""
    texts = ["a\0", "a", "b\0c"]
    for column in (np.array(texts, dtype=object), np.array(texts)):
        found = read(column)
        assert found.levels.tolist() == ["a", "b\0c"]
        np.testing.assert_array_equal(found.values, [0, 0, 1])


# -------------------------------------------------------------- levels of the same text
@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ([1, "1", "b"], r"1 \(int\) and '1' \(str\)"),
        (["b", "2.5", 2.5], r"2\.5 .* and '?2\.5"),
        ([True, "True"], r"True \(bool\) and 'True' \(str\)"),
        ([datetime.date(2020, 1, 2), "2020-01-02"], r"\(date\) and '2020-01-02'"),
    ],
)
def test_levels_of_the_same_text_are_refused(levels, shown):
    X = pd.DataFrame({"code": pd.Series(levels * 2, dtype=object).astype("category")})
    message = f"'code' of X has the levels .*{shown}.* the same text.*Rename one of"
    (column,), _ = columns(X, "X")
    with pytest.raises(ValueError, match=message):
        read_column(column, "Column 'code' of X")
    mended = X["code"].astype(str).astype("category")
    assert read(mended).levels.tolist() == sorted(set(map(str, levels)))


def test_levels_of_several_types_keep_their_text():
    found = read(pd.Categorical([1, "b", 2.5, None], [2.5, "b", 1]))
    assert found.levels.tolist() == ["2.5", "b", "1"]
    np.testing.assert_array_equal(found.values, [2, 1, 0, np.nan])

"""Columns and sample weights are read alike, whatever holds them."""

import datetime

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from scipy.sparse import csr_matrix

from skfactorvae._inputs import (
    check_sample_groups,
    check_sample_weight,
    columns,
    level_index,
    read_column,
)

NAN = np.nan
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(d)) for d in range(6)]
TIMES = [datetime.datetime(day.year, day.month, day.day) for day in DAYS]


def read(column, index=slice(None)):
    (raw,), _ = columns(column, "y")
    return read_column(raw, "y", index)


class TestColumns:
    """Tables of any kind have the same columns."""

    @pytest.mark.parametrize(
        "container",
        [
            np.asarray,
            np.asfortranarray,
            lambda array: array.tolist(),
            lambda array: list(array),
            pd.DataFrame,
            polars.DataFrame,
            torch.from_numpy,
            np.ma.masked_array,
        ],
        ids=[
            "array",
            "fortran",
            "lists",
            "rows",
            "pandas",
            "polars",
            "torch",
            "masked",
        ],
    )
    def test_containers_of_one_table_have_the_same_columns(self, container):
        table = np.arange(12.0).reshape(4, 3)
        found, _ = columns(container(table), "y")
        assert len(found) == 3
        for column, expected in zip(found, table.T, strict=True):
            np.testing.assert_array_equal(read_column(column, "y").values, expected)

    @pytest.mark.parametrize(
        "container",
        [np.asarray, list, pd.Series, polars.Series, torch.as_tensor, pd.Index],
        ids=["array", "list", "pandas", "polars", "torch", "index"],
    )
    def test_one_dimension_is_one_column(self, container):
        (column,), names = columns(container(np.arange(4.0)), "y", "factor")
        assert names == ("factor0",)
        np.testing.assert_array_equal(read_column(column, "y").values, np.arange(4.0))

    def test_names_are_those_of_the_table_or_a_stem_and_a_number(self):
        table = np.zeros((4, 2))
        assert columns(table, "y")[1] == ("0", "1")
        assert columns(table, "codes", "code")[1] == ("code0", "code1")
        assert columns(pd.DataFrame(table, columns=["a", 7]), "y")[1] == ("a", "7")
        assert columns(pd.Series(np.zeros(4), name="dose"), "y")[1] == ("dose",)
        assert columns(pd.Series(np.zeros(4), name=0), "y")[1] == ("0",)

    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            (np.zeros((4, 2, 2)), ValueError, r"y must have shape.*\(4, 2, 2\)"),
            (np.float64(3), ValueError, r"got shape \(\)"),
            (np.zeros((4, 0)), ValueError, "at least one column, got none"),
            (pd.DataFrame(), ValueError, "at least one column, got none"),
            (pd.DataFrame(np.zeros((4, 2)), columns=["a", "a"]), ValueError, "'a'"),
            (csr_matrix(np.eye(4)), TypeError, "toarray"),
        ],
    )
    def test_what_is_no_table_is_refused_with_a_reason(self, data, error, message):
        with pytest.raises(error, match=message):
            columns(data, "y")


class TestEntries:
    """Entries are numbers, times, or levels; some are missing."""

    @pytest.mark.parametrize(
        ("column", "values", "content"),
        [
            ([1.5, NAN, 2.5], [1.5, NAN, 2.5], "float"),
            ([1.5, None, 2.5], [1.5, NAN, 2.5], "float"),
            ([3, None, 2], [3, NAN, 2], "integer"),
            ([3, pd.NA, 2], [3, NAN, 2], "integer"),
            (pd.array([3, None, 2], dtype="Int64"), [3, NAN, 2], "integer"),
            (polars.Series([3, None, 2]), [3, NAN, 2], "integer"),
            (polars.Series([3.0, None, 2.0]), [3, NAN, 2], "float"),
            (np.ma.masked_array([3, -999, 2], [0, 1, 0]), [3, NAN, 2], "integer"),
            (np.ma.masked_array([3.0, 1, 2], [0, 1, 0]), [3, NAN, 2], "float"),
            ([10**400, None, -(10**400)], [np.inf, NAN, -np.inf], "integer"),
            ([True, None, False], [1, NAN, 0], "boolean"),
            (np.array([np.True_, None, np.False_]), [1, NAN, 0], "boolean"),
            (["b", None, "a"], [1, NAN, 0], "text"),
            (["b", NAN, "a"], [1, NAN, 0], "text"),
            (np.ma.masked_array(["b", "-", "a"], [0, 1, 0]), [1, NAN, 0], "text"),
            (pd.Categorical(["b", None, "a"], ["b", "a"]), [0, NAN, 1], "category"),
            (["b", 3, "b"], [1, 0, 1], "other"),
        ],
        ids=str,
    )
    def test_missing_entries_are_nan(self, column, values, content):
        found = read(column)
        np.testing.assert_array_equal(found.values, values)
        assert found.content == content

    @pytest.mark.parametrize(
        "column",
        [
            DAYS,
            TIMES,
            [t.replace(tzinfo=datetime.UTC) for t in TIMES],
            pd.Series(DAYS, dtype=object),
            pd.Series(TIMES),
            pd.Series(TIMES).astype(object),
            pd.Series(TIMES).dt.tz_localize("UTC"),
            np.array(DAYS, dtype="datetime64[D]"),
            polars.Series(DAYS),
            [day - DAYS[0] for day in DAYS],
            np.ma.masked_array(np.array(TIMES, dtype="datetime64[ns]"), [0] * 6),
        ],
    )
    def test_dates_times_and_durations_are_continuous(self, column):
        found = read(column)
        assert found.content == "time"
        assert found.kind() == "continuous"
        assert found.is_ordered
        steps = found.values  # noqa: PD011
        np.testing.assert_array_equal(steps / steps[1], np.arange(6))

    @pytest.mark.parametrize("missing", [None, pd.NaT, NAN])
    def test_times_may_be_missing(self, missing):
        found = read([DAYS[0], missing, DAYS[1]])
        np.testing.assert_array_equal(found.values, [0, NAN, 1])
        masked = np.array(DAYS[:3], dtype="datetime64[ns]")
        masked = np.ma.masked_array(masked, [False, True, False])
        assert np.isnan(read(masked).values).tolist() == [False, True, False]

    def test_samples_that_are_not_read_are_without_effect(self):
        column = np.array([1, 2, "three", 4.5], dtype=object)
        assert read(column).content == "other"
        assert read(column, np.array([0, 1])).content == "integer"

    def test_complex_numbers_are_refused(self):
        for column in (np.array([1j, 2]), [1j, None]):
            with pytest.raises(ValueError, match="y holds complex numbers"):
                read(column)

    @pytest.mark.parametrize(
        ("column", "levels"),
        [
            (np.array([5, 3, 5], dtype=np.int16), np.array([3, 5], dtype=np.int16)),
            ([0.5, 1.5, NAN], np.array([0.5, 1.5])),
            ([True, False, None], np.array([False, True])),
            (["b", "a", None], np.array(["a", "b"])),
            (pd.Categorical(["b", "a"], ["c", "b", "a"]), np.array(["b", "a"])),
            (pd.Categorical([8, 4], [8, 4]), np.array([8, 4])),
            (np.array([2**60 + 1, 2**60]), np.array([2**60, 2**60 + 1])),
        ],
        ids=str,
    )
    def test_levels_are_those_that_occur_in_order_and_of_their_type(
        self, column, levels
    ):
        labels, found = read(column).as_levels()
        np.testing.assert_array_equal(found, levels)
        assert found.dtype.kind == levels.dtype.kind
        known = ~np.isnan(labels)
        entries = np.asarray(column, dtype=object)[known]
        assert found[labels[known].astype(int)].tolist() == entries.tolist()

    def test_names_have_an_order_only_as_ordered_categories(self):
        values, order = ["low", "high"], ["low", "high"]
        assert not read(values).is_ordered
        assert not read(pd.Categorical(values, order)).is_ordered
        assert read(pd.Categorical(values, order, ordered=True)).is_ordered
        assert read([True, False]).is_ordered


class TestKinds:
    """The one rule of what is discrete."""

    @pytest.mark.parametrize(
        ("column", "kind"),
        [
            (np.arange(20), "discrete"),
            (np.arange(21), "continuous"),
            (np.repeat(np.arange(21), 2), "discrete"),
            (np.repeat(np.arange(1000), 2), "discrete"),
            (np.repeat(np.arange(50.0), 5), "discrete"),
            (np.repeat(np.arange(51.0), 5), "continuous"),
            (np.repeat(np.arange(50.0), 5)[1:], "continuous"),
            (np.repeat([0.0, 0.5], 50), "continuous"),
            (np.full(9, NAN), "discrete"),
            ([None] * 9, "discrete"),
        ],
        ids=str,
    )
    def test_numbers_are_discrete_by_their_levels_and_frequency(self, column, kind):
        assert read(column).kind() == kind

    def test_the_kind_can_be_that_of_some_samples(self):
        column = read(np.repeat(np.arange(21), 2))
        assert column.kind(np.arange(0, 42, 2)) == "continuous"

    def test_level_index_counts_or_sorts_with_one_result(self):
        rng = np.random.RandomState(0)
        for values in (rng.randint(9, size=50) * 1.0, rng.randint(9, size=50) * 1e6):
            levels, expected = np.unique(values, return_inverse=True)
            index, n_levels = level_index(values)
            assert n_levels == len(levels)
            np.testing.assert_array_equal(index, expected)


class TestSampleWeight:
    def test_none_and_scalars_become_vectors(self):
        np.testing.assert_array_equal(check_sample_weight(None, 2), [1, 1])
        np.testing.assert_array_equal(check_sample_weight(3, 2), [3, 3])

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            ([[1, 1]], "must be 1D"),
            ([1, 1, 1], r"expected \(2,\)"),
            ([1, -1], "Negative"),
            ([0, 0], "non-zero"),
            ([1, np.nan], "NaN"),
            ([1, 1j], "complex"),
            (np.ma.masked_array([1, 1], [False, True]), "NaN"),
        ],
    )
    def test_what_cannot_be_a_weight_is_refused(self, weight, message):
        with pytest.raises(ValueError, match=message):
            check_sample_weight(weight, 2)


LABELS = ["b", "a", "c", "a", "b"]


class TestSampleGroups:
    @pytest.mark.parametrize(
        "groups",
        [
            LABELS,
            np.array(LABELS),
            pd.Series(LABELS, index=[9, 8, 7, 6, 5]),
            pd.Series(LABELS, dtype="category"),
            pd.Categorical(LABELS, categories=["c", "b", "a"]),
            pd.DataFrame({"subject": LABELS}),
            polars.Series(LABELS),
            polars.Series(LABELS, dtype=polars.Categorical),
            [7, -2, 2**60 + 1, -2, 7],
            [0.5, 0.25, np.inf, 0.25, 0.5],
            [DAYS[1], DAYS[0], DAYS[2], DAYS[0], DAYS[1]],
            [[1], [0], [2], [0], [1]],
        ],
    )
    def test_groups_are_numbered_in_the_order_of_their_labels(self, groups):
        found = check_sample_groups(groups, np.ones(5))
        np.testing.assert_array_equal(found, [1, 0, 2, 0, 1])
        assert found.dtype.kind == "i"

    def test_groups_without_weight_do_not_count(self):
        found = check_sample_groups(LABELS, np.array([1.0, 0, 1, 0, 2]))
        np.testing.assert_array_equal(found, [0, 0, 1, 0, 0])

    def test_none_is_no_groups(self):
        assert check_sample_groups(None, np.ones(5)) is None

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            (LABELS[:4], "4 labels, but X has 5 samples"),
            (np.ones((5, 2)), "2 columns, expected one"),
            ("b", r"got shape \(\)"),
            ([1, 2, np.nan, 1, 2], "1 missing labels"),
            (["a", None, None, "b", "c"], "2 missing labels"),
            (pd.Series([1, 2, pd.NA, 1, 2], dtype="Int64"), "missing"),
            ([1j] * 5, "[Cc]omplex"),
            (np.ones(5) * 1j, "[Cc]omplex"),
        ],
    )
    def test_what_cannot_be_a_group_is_refused(self, groups, message):
        with pytest.raises(ValueError, match=f"sample_groups.*{message}"):
            check_sample_groups(groups, np.ones(5))

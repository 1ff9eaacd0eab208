"""Tables that are read in parts: what is read, and what is refused."""

import dask.array as da
import h5py
import numpy as np
import pytest
from scipy import sparse

from skfactorvae import FactorVAETransformer
from skfactorvae.sources import SourceTable, as_source, check_source, map_blocks
from skfactorvae.sources import _table as table_module

N, P = 300, 4


def values(dtype=np.float32):
    X = np.random.RandomState(0).normal(size=(N, P)).astype(dtype)
    X[np.abs(X) < 0.5] = 0
    return X


class Sliced:
    """A table with a shape, a dtype and slices, and nothing else."""

    def __init__(self, rows):
        self.rows, self.shape, self.dtype = rows, rows.shape, rows.dtype

    def __getitem__(self, some):
        assert isinstance(some, slice)
        return self.rows[some]


def mapped(folder, X, name="table.npy"):
    np.save(folder / name, X)
    return np.load(folder / name, mmap_mode="r")


def shards(folder, X):
    parts = np.array_split(X, 3)
    for i, part in enumerate(parts):
        np.save(folder / f"{i}.npy", part)
    return [folder / "0.npy", str(folder / "1.npy"), folder / "2.npy"]


def in_hdf5(folder, X):
    with h5py.File(folder / "table.h5", "w") as file:
        file.create_dataset("X", data=X, chunks=(50, P))
    return h5py.File(folder / "table.h5")["X"]


TABLES = {
    "memory map": mapped,
    "shards": shards,
    "HDF5": in_hdf5,
    "slices": lambda _, X: Sliced(X),
    "CSR": lambda _, X: sparse.csr_array(X),
    "CSC": lambda _, X: sparse.csc_matrix(X),
    "COO": lambda _, X: sparse.coo_array(X),
}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_rows_are_those_of_the_array(make, dtype, tmp_path):
    X = values(dtype)
    source = as_source(make(tmp_path, X))
    assert source.shape == X.shape
    assert source.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_array_equal(source.read(95, 205), X[95:205])
    index = np.random.RandomState(1).randint(0, N, size=50)
    rows = source.read_at(index)
    np.testing.assert_array_equal(rows, X[index])
    assert rows.flags.c_contiguous
    assert rows.flags.writeable


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_no_rows_are_an_empty_array(make, dtype, tmp_path):
    source = as_source(make(tmp_path, values(dtype)))
    checked = check_source(source, "Model", allow_nan=False)
    none = np.zeros(0, dtype=int)
    for rows in (source.read_at(none), source.read(0, 0), source[100:100], source[N:]):
        assert (rows.shape, rows.dtype) == ((0, P), source.dtype)
    for rows in (checked[none], checked[:0]):
        assert (rows.shape, rows.dtype) == ((0, P), source.dtype)


@pytest.mark.parametrize("X", [values(), values().tolist(), np.arange(3.0), ["a", "b"]])
def test_arrays_and_lists_are_no_sources(X):
    assert as_source(X) is None


def test_single_rows_are_read_of_what_allows_it(tmp_path):
    X = values()
    direct = {
        name: as_source(make(tmp_path, X)).is_direct for name, make in TABLES.items()
    }
    assert {name for name, is_direct in direct.items() if not is_direct} == {
        "HDF5",
        "slices",
    }
    assert as_source(in_hdf5(tmp_path, X)).block_rows == 50


def test_a_first_pass_knows_range_and_missing_values(tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK_VALUES", 32 * P)
    X = values()
    X[7], X[250, 2] = np.nan, np.nan
    table = check_source(as_source(mapped(tmp_path, X)), "Model", allow_nan=True)
    np.testing.assert_array_equal(table.low, np.nanmin(X, axis=0))
    np.testing.assert_array_equal(table.high, np.nanmax(X, axis=0))
    assert table.has_missing
    assert np.flatnonzero(table.is_empty).tolist() == [7]
    assert table.value_range == (np.nanmin(X), np.nanmax(X))
    np.testing.assert_array_equal(table[5:9], X[5:9])
    np.testing.assert_array_equal(table[np.array([250, 3])], X[[250, 3]])
    np.testing.assert_array_equal(table[11], X[11])
    np.testing.assert_array_equal(np.concatenate([b for _, b in table.blocks()]), X)


@pytest.mark.parametrize(
    ("value", "allow_nan", "message"),
    [
        (np.nan, False, r"NaN.*samples 256 to 287.*column 1 of sample 260"),
        (np.inf, True, r"infinity.*samples 256 to 287.*column 1 of sample 260"),
    ],
)
def test_a_bad_value_is_found_with_its_position(
    value, allow_nan, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(table_module, "BLOCK_VALUES", 32 * P)
    X = values()
    X[260, 1] = value
    source = as_source(mapped(tmp_path, X))
    with pytest.raises(ValueError, match=message):
        check_source(source, "Model", allow_nan=allow_nan)


def test_a_table_that_changes_is_detected_with_the_sample(tmp_path):
    mapped(tmp_path, values())
    X = np.load(tmp_path / "table.npy", mmap_mode="r+")
    table = check_source(as_source(X), "Model", allow_nan=True)
    X[123, 1] += 1
    np.testing.assert_array_equal(table[:100], X[:100])
    for rows in (slice(100, 200), np.array([5, 123])):
        with pytest.raises(ValueError, match="Sample 123 of X has other values"):
            table[rows]


def test_a_file_that_is_closed_is_reported(tmp_path):
    X = in_hdf5(tmp_path, values())
    source = as_source(X)
    X.file.close()
    with pytest.raises(ValueError, match="Samples 5 to 9 of X could not be read from"):
        source.read(5, 10)
    with pytest.raises(ValueError, match=r"a h5py\.Dataset.* file is open"):
        as_source(X).read(0, 2)
    with pytest.raises(ValueError, match=r"X, a h5py\.Dataset.* file is open"):
        FactorVAETransformer(2, max_iter=5).fit(X)


def test_masked_values_of_a_table_in_parts_are_missing():
    rows = np.ma.masked_greater(values(), 1.0)
    whole_numbers = np.ma.masked_greater(values().astype(int), 1)
    for table in (rows, whole_numbers):
        source = as_source(da.from_array(table, chunks=(100, P)))
        expected = np.ma.filled(table.astype(np.float64), np.nan)
        np.testing.assert_array_equal(source.read(0, N), expected)
        np.testing.assert_array_equal(source.read_at(np.arange(9)), expected[:9])


def test_a_table_of_unknown_length_is_refused_with_advice():
    X = da.from_array(values(), chunks=(100, P))
    with pytest.raises(ValueError, match=r"not known yet.*compute_chunk_sizes\(\)"):
        as_source(X[X[:, 0] > 0])
    some = X[X[:, 0] > 0].compute_chunk_sizes()
    np.testing.assert_array_equal(as_source(some).read(0, 3), some[:3])


def test_shards_of_different_widths_are_refused(tmp_path):
    files = shards(tmp_path, values())
    np.save(tmp_path / "2.npy", values()[:, :3])
    with pytest.raises(ValueError, match=r"shard 0 .* has 4, but shard 2 .* has 3"):
        as_source(files)


def test_a_shard_that_cannot_be_read_is_named(tmp_path):
    files = shards(tmp_path, values())
    with pytest.raises(ValueError, match=r"shard 3 .*none\.npy.*\.npy file"):
        as_source([*files, tmp_path / "none.npy"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.array([["a", "b"]]), "type <U1, expected numbers"),
        (np.ones((3, 2), complex), "[Cc]omplex data"),
        (np.ones((0, 2)), r"0 sample\(s\)"),
        (np.ones((3, 0)), r"0 feature\(s\)"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        as_source(Sliced(rows))


def test_slices_that_are_no_rows_are_refused():
    class Transposed(Sliced):
        def __getitem__(self, some):
            return self.rows[:, some]

    with pytest.raises(ValueError, match=r"have shape \(300, 2\).*expected \(2, 4\)"):
        as_source(Transposed(values())).read(0, 2)


def test_results_of_blocks_are_joined(monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK_VALUES", 32 * P)
    X = values()
    first, total = map_blocks(
        lambda rows, start: (np.arange(len(rows)) + start, rows.sum(axis=1)),
        as_source(Sliced(X)),
    )
    np.testing.assert_array_equal(first, np.arange(N))
    np.testing.assert_array_equal(total, X.sum(axis=1))


def test_a_mapping_with_changes_of_its_own_keeps_them(tmp_path, monkeypatch):
    """Pages of a copy-on-write mapping are never released."""
    monkeypatch.setattr("skfactorvae.sources._adaptors.RELEASED_BYTES", 0)
    mapped(tmp_path, values())
    X = np.load(tmp_path / "table.npy", mmap_mode="c")
    X[3] = 7.0
    source = as_source(X)
    source.read(0, N)
    np.testing.assert_array_equal(source.read_at(np.array([3])), [[7.0] * P])


def test_large_tables_are_read_in_their_order(monkeypatch, tmp_path):
    table = check_source(as_source(mapped(tmp_path, values())), "M", allow_nan=True)
    assert isinstance(table, SourceTable)
    assert table.is_direct
    monkeypatch.setattr(table_module, "DIRECT_ROWS", N - 1)
    assert not table.is_direct


# ---------------------------------------------------------------- data sets of Arrow
@pytest.fixture
def arrow():
    return pytest.importorskip(
        "pyarrow.dataset", reason="needs pyarrow", exc_type=ImportError
    )


def in_parquet(folder, X, row_group_size=40, names=None):
    """Write two files of Parquet, and return their data set."""
    import pyarrow
    from pyarrow import dataset, parquet

    names = names or [f"column {j}" for j in range(X.shape[1])]
    for i, part in enumerate(np.array_split(X, 2)):
        table = pyarrow.table(dict(zip(names, part.T, strict=True)))
        name = folder / f"{i}.parquet"
        parquet.write_table(table, name, row_group_size=row_group_size)
    return dataset.dataset(folder, format="parquet")


@pytest.mark.usefixtures("arrow")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.bool_])
def test_rows_of_parquet_files_are_those_of_the_array(dtype, tmp_path):
    X = values(dtype)
    source = as_source(in_parquet(tmp_path, X))
    assert source.shape == X.shape
    assert source.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert source.block_rows == 40
    np.testing.assert_array_equal(source.read(15, 205), X[15:205])
    index = np.random.RandomState(1).randint(0, N, size=50)
    np.testing.assert_array_equal(source.read_at(index), X[index])


@pytest.mark.usefixtures("arrow")
def test_groups_of_rows_are_kept_up_to_a_size(tmp_path, monkeypatch):
    X = values()
    source = as_source(in_parquet(tmp_path, X))
    group, read = 40 * P * 4, []
    monkeypatch.setattr("skfactorvae.sources._datasets.CACHED_BYTES", 2 * group)
    rows_of = source._rows_of
    source._rows_of = lambda piece: read.append(1) or rows_of(piece)
    for _ in range(2):
        np.testing.assert_array_equal(source.read(0, 70), X[:70])
    assert len(read) == 2
    np.testing.assert_array_equal(source.read(0, N), X)
    assert len(read) == 8
    assert sum(rows.nbytes for rows in source.cache.values()) <= 3 * group


def test_nulls_of_arrow_are_missing(arrow, tmp_path):
    import pyarrow

    table = pyarrow.table({"a": [1, None, 3], "b": [0.5, 1.5, None]})
    source = as_source(arrow.dataset(table))
    expected = np.array([[1, 0.5], [np.nan, 1.5], [3, np.nan]])
    np.testing.assert_array_equal(source.read(0, 3), expected)


def test_text_in_a_data_set_is_refused_with_its_column(arrow):
    import pyarrow

    table = pyarrow.table({"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(ValueError, match=r"'b'.*string, expected numbers.*schema"):
        as_source(arrow.dataset(table))
    numbers = arrow.dataset(table).replace_schema(table.schema.remove(1))
    assert as_source(numbers).shape == (2, 1)


def test_a_filter_of_a_data_set_is_refused(arrow, tmp_path):
    dataset = in_parquet(tmp_path, values()).filter(arrow.field("column 0") > 0)
    with pytest.raises(ValueError, match=r"(?i)filter.*sample_weight=0"):
        as_source(dataset)


@pytest.mark.usefixtures("arrow")
def test_a_parquet_file_that_was_removed_is_reported(tmp_path):
    source = as_source(in_parquet(tmp_path, values()))
    (tmp_path / "1.parquet").unlink()
    np.testing.assert_array_equal(source.read(0, 10), values()[:10])
    with pytest.raises(ValueError, match="Samples 190 to 199 of X could not be read"):
        source.read(190, 200)


@pytest.mark.usefixtures("arrow")
def test_a_data_set_of_arrow_is_fitted_as_any_other_table(tmp_path, monkeypatch):
    monkeypatch.setattr("skfactorvae.sources._source.SMALL_BYTES", 0)
    X = values().astype(np.float64) + np.arange(N)[:, None] / N
    model = FactorVAETransformer(
        2, hidden_layer_sizes=8, max_iter=5, weight_decay=0, random_state=0
    )
    (tmp_path / "parquet").mkdir()
    found = model.fit(in_parquet(tmp_path / "parquet", X, 50)).transform(X)
    expected = model.fit(in_hdf5(tmp_path, X)).transform(X)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    again = model.transform(in_parquet(tmp_path / "parquet", X))
    np.testing.assert_array_equal(again, model.transform(X))


@pytest.mark.parametrize("kind", ["shards", "Parquet"])
def test_a_stream_counts_the_samples_of_files(kind, tmp_path):
    if kind == "Parquet":
        pytest.importorskip(
            "pyarrow.dataset", reason="needs pyarrow", exc_type=ImportError
        )
    make = in_parquet if kind == "Parquet" else shards
    model = FactorVAETransformer(2, hidden_layer_sizes=8, random_state=0)
    assert model.partial_fit(make(tmp_path, values())).n_samples_seen_ == N

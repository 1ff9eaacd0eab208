"""Files in the safetensors format: round trips, and what is refused."""

import json
import os

import numpy as np
import pytest

from skfactorvae.files import ModelFileError, read_container, write_container

ARRAYS = {
    "F64": np.linspace(-1, 1, 6).reshape(2, 3),
    "F32": np.array([1.5, np.inf, np.nan], np.float32),
    "F16": np.zeros((0, 4), np.float16),
    "I64": np.array(2**62),
    "I32": np.arange(-3, 3, dtype=np.int32)[::2],
    "I16": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "I8": np.array([[[-128, 127]]], np.int8),
    "U64": np.array([2**64 - 1], np.uint64),
    "U32": np.array([7], ">u4"),
    "U16": np.array([], np.uint16),
    "U8": np.arange(3, dtype=np.uint8),
    "BOOL": np.array([True, False, True]),
    "名 \N{SNOWMAN} \"'\\": np.ones(1),
}
METADATA = {"a": "text", "quotes": '"\\é\N{SNOWMAN}', "json": json.dumps({"x": [1, 2]})}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arrays.safetensors"


def content(header, data=b"", length=None):
    """Return the bytes of a file with this header, a dict or a text."""
    text = header if isinstance(header, str) else json.dumps(header)
    raw = text.encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def entry(shape=(2,), start=0, end=8, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def assert_same_arrays(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype.newbyteorder("<"), name
        assert found[name].shape == array.shape, name
        np.testing.assert_array_equal(found[name], array)


class TestRoundTrip:
    @pytest.mark.parametrize("mmap", [False, True])
    def test_arrays_and_metadata_come_back(self, path, mmap):
        write_container(path, ARRAYS, METADATA)
        found = read_container(path, mmap=mmap)
        assert_same_arrays(found.arrays, ARRAYS)
        assert found.metadata == METADATA

    def test_a_file_without_arrays_has_metadata(self, path):
        write_container(path, {}, METADATA)
        for mmap in (False, True):
            assert read_container(path, mmap=mmap).metadata == METADATA

    def test_the_official_package_reads_what_is_written(self, path):
        official = pytest.importorskip("safetensors")
        numpy_part = pytest.importorskip("safetensors.numpy")
        write_container(path, ARRAYS, METADATA)
        assert_same_arrays(numpy_part.load_file(path), ARRAYS)
        with official.safe_open(path, "numpy") as file:
            assert file.metadata() == METADATA

    def test_what_the_official_package_writes_is_read(self, path):
        numpy_part = pytest.importorskip("safetensors.numpy")
        arrays = {n: a.copy(order="C") for n, a in ARRAYS.items()}
        arrays["U32"] = arrays["U32"].astype("<u4")
        numpy_part.save_file(arrays, path, METADATA)
        found = read_container(path)
        assert_same_arrays(found.arrays, arrays)
        assert found.metadata == METADATA

    def test_mapped_arrays_are_read_only_and_aligned(self, path):
        write_container(path, ARRAYS, METADATA)
        for array in read_container(path, mmap=True).arrays.values():
            assert isinstance(array, np.memmap) or not array.size
            assert not (array.size and array.flags.writeable)
            assert array.flags.aligned

    def test_a_type_that_the_format_lacks_is_refused(self, path):
        with pytest.raises(ValueError, match=r"'z' of dtype complex128.*float64"):
            write_container(path, {"z": np.ones(2, complex)}, {})
        assert not path.exists()


EIGHT = bytes(8)
REFUSED = {
    "empty": (b"", "0 bytes"),
    "seven bytes": (b"1234567", "7 bytes"),
    "length beyond the file": (content({}, length=10**15), "gives? a header of"),
    "length beyond 64 bits": (b"\xff" * 8 + b"{}" * 9, "header of"),
    "no text": ((4).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc", "not text"),
    "no JSON": (content("{'a': 1}"), "not JSON"),
    "no object": (content("[1, 2]"), "not a JSON object"),
    "NaN": (content('{"a": NaN}'), "NaN"),
    "nested lists": (content('{"a": ' + "[" * 100_000), "not JSON"),
    "a long number": (content('{"a": ' + "9" * 10_000 + "}"), "not JSON"),
    "a repeated array": (
        content('{"a": %s, "a": %s}' % ((json.dumps(entry()),) * 2), EIGHT),
        "key 'a' twice",
    ),
    "a repeated part": (content('{"a": {"shape": [], "shape": []}}'), "'shape' twice"),
    "metadata of numbers": (content({"__metadata__": {"a": 1}}), "object of strings"),
    "metadata of a list": (content({"__metadata__": ["a"]}), "object of strings"),
    "no shape": (content({"a": {"dtype": "F32", "data_offsets": [0, 0]}}), "lacks"),
    "another part": (content({"a": {**entry(), "more": 1}}, EIGHT), "lacks"),
    "unknown dtype": (content({"a": entry(dtype="F8_E4M3")}, EIGHT), "dtype 'F8_E4M3'"),
    "a list as dtype": (content({"a": entry(dtype=["F32"])}, EIGHT), "dtype"),
    "a huge shape": (content({"a": entry([2**40, 2**40], 0, 8)}, EIGHT), "shape"),
    "a huge array": (content({"a": entry([2**50], 0, 2**52)}, EIGHT), "bytes"),
    "a huge shape of no entries": (content({"a": entry([0, 2**60], 0, 0)}), "shape"),
    "many axes": (content({"a": entry([1] * 33 + [2])}, EIGHT), "shape"),
    "a negative axis": (content({"a": entry([-2], 0, 8)}, EIGHT), "shape"),
    "a fractional axis": (content({"a": entry([2.0], 0, 8)}, EIGHT), "shape"),
    "a boolean axis": (content({"a": entry([True, 2], 0, 8)}, EIGHT), "shape"),
    "one offset": (content({"a": {**entry(), "data_offsets": [0]}}, EIGHT), "offsets"),
    "negative offsets": (content({"a": entry([2], -8, 0)}, EIGHT), "offsets"),
    "reversed offsets": (content({"a": entry([2], 8, 0)}, EIGHT), "bytes"),
    "too few bytes": (content({"a": entry([3], 0, 8)}, EIGHT), "has 8 bytes"),
    "a gap": (
        content({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)),
        "'b' leaves a gap",
    ),
    "an overlap": (
        content({"a": entry([2], 0, 8), "b": entry([1], 4, 8)}, EIGHT),
        "'b' overlaps",
    ),
    "truncated data": (content({"a": entry()}, bytes(7)), "7 follow the header"),
    "more data": (content({"a": entry()}, bytes(9)), "9 follow the header"),
    "a boolean of 2": (content({"a": entry([1], 0, 1, "BOOL")}, b"\x02"), "booleans"),
}


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_a_file_with_a_fault_is_refused_by_name(case, mmap, path):
    raw, message = REFUSED[case]
    path.write_bytes(raw)
    with pytest.raises(ModelFileError, match=message) as error:
        read_container(path, mmap=mmap)
    assert str(path) in str(error.value)
    assert "Expected" in str(error.value)


def test_what_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="not a regular file"):
        read_container(os.devnull)
    with pytest.raises(OSError, match="directory"):
        read_container(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_container(tmp_path / "none")


def test_unaligned_arrays_of_other_programs_are_copied(path):
    header = {"a": entry([1], 0, 1, "U8"), "b": entry([2], 1, 9)}
    path.write_bytes(content(header, b"\x07" + np.array([1, 2], "<f4").tobytes()))
    for mmap in (False, True):
        found = read_container(path, mmap=mmap).arrays
        assert found["b"].tolist() == [1, 2]
        assert found["b"].flags.aligned

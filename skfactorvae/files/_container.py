"""Files in the safetensors format, written and read with numpy alone.

A file is the length of its header (8 bytes, little-endian), the header, and the bytes
of the arrays. The header is a JSON object: for each array its ``dtype``, ``shape`` and
``data_offsets``, and under ``__metadata__`` an object of strings. What is read here, is
read by the official package, and the reverse, but for the types of numbers that numpy
does not have.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import numpy as np

from ._atomic import write_atomically

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
"""Types of numbers: the format's names, and numpy's."""

NAMES = {np.dtype(code).str: name for name, code in DTYPES.items()}

METADATA = "__metadata__"
LENGTH_BYTES = 8
MAX_HEADER = 100_000_000
"""Bytes of a header, at most: the limit of the official package."""

MAX_AXES = 32
MAX_SIZE = 2**58
"""Lengths, and numbers of entries, are below it, so that numpy can represent them."""

ALIGNMENT = 8


INCONSISTENT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""Errors of computing with values that are of other types or sizes than expected."""


class ModelFileError(ValueError):
    """Error about a file that is not a model file, is damaged, or cannot be used.

    Parameters
    ----------
    message : str
        Names the file, what was found, what was expected, and what to do.
    reason : str, default=""
        What was found alone.

    References
    ----------
    .. [1] The safetensors format. https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import skfactorvae
    >>> from skfactorvae.runtime import ModelFileError
    >>> try:
    ...     skfactorvae.load(skfactorvae.__file__)
    ... except ModelFileError:
    ...     print("not a model file")
    not a model file
    """

    def __init__(self, message: str, reason: str = ""):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Container:
    """Content of a file.

    Attributes
    ----------
    arrays : dict of str to ndarray
    metadata : dict of str to str
    """

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]


@dataclass(frozen=True)
class _Place:
    """Where an array lies in a file, and what it is."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    end: int


# ------------------------------------------------------------------------- writing
def write_container(
    path: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
) -> None:
    """Write arrays and strings to a file, atomically.

    Parameters
    ----------
    path : str or path-like
    arrays : mapping of str to ndarray
        Arrays of integers, booleans, or floats of at most 64 bits.
    metadata : mapping of str to str

    Raises
    ------
    ValueError
        If an array has another type.
    OSError
        If the file cannot be written.
    """
    # Wider types first, so that every array is aligned to the size of its numbers.
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    stored = {name: _little_endian(name, arrays[name]) for name in names}
    entries: dict[str, Any] = {METADATA: dict(metadata)}
    end = 0
    for name, array in stored.items():
        start, end = end, end + array.nbytes
        entries[name] = {
            "dtype": NAMES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    header = json.dumps(entries, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % ALIGNMENT)
    length = len(header).to_bytes(LENGTH_BYTES, "little")
    write_atomically(path, [length, header, *map(_bytes_of, stored.values())])


def _little_endian(name: str, array: np.ndarray) -> np.ndarray:
    """Return a contiguous array of one of the format's types."""
    stored = np.ascontiguousarray(array).reshape(array.shape)
    if stored.dtype.byteorder == ">":
        stored = stored.astype(stored.dtype.newbyteorder("<"))
    if stored.dtype.newbyteorder("<").str not in NAMES:
        raise ValueError(
            f"Array {name!r} of dtype {array.dtype} cannot be saved: expected one of "
            f"{', '.join(np.dtype(code).name for code in DTYPES.values())}."
        )
    return stored


def _bytes_of(array: Any) -> memoryview:
    return (
        memoryview(array.reshape(-1).view(np.uint8)) if array.size else memoryview(b"")
    )


# ------------------------------------------------------------------------- reading
def read_container(path: str | os.PathLike, *, mmap: bool = False) -> Container:
    """Read the arrays and strings of a file.

    Sizes are compared with that of the file before any array is allocated.

    Parameters
    ----------
    path : str or path-like
    mmap : bool, default=False
        Whether to map the file into memory instead of reading it; arrays are then
        read-only.

    Raises
    ------
    ModelFileError
        If the file does not have the format.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        size = _size_of(path, file)
        header, first = _read_header(path, file, size)
        metadata = _metadata_of(path, header)
        places = {n: _place_of(path, n, entry) for n, entry in header.items()}
        _check_places(path, places, size - first)
        if mmap and places:
            whole = np.memmap(file, dtype=np.uint8, mode="r")
            arrays = {n: _mapped(whole, first, p) for n, p in places.items()}
            for name, array in arrays.items():
                _check_booleans(path, name, array)
        else:
            arrays = _read_arrays(path, file, places)
    return Container(arrays, metadata)


def refuse(path: str | os.PathLike, what: str) -> NoReturn:
    """Raise an error about a file.

    Parameters
    ----------
    path : str or path-like
    what : str
        What is wrong with it, as a sentence.
    """
    raise ModelFileError(
        f"{os.fspath(path)!r} cannot be loaded: {what} Expected a complete file "
        "that save wrote; save the model again, or copy the file again.",
        what,
    )


def parse_json(path: str | os.PathLike, text: str, what: str) -> Any:
    """Parse a JSON text in which no key may be repeated.

    Parameters
    ----------
    path : str or path-like
        The file, for the message.
    text : str
    what : str
        What the text is, for the message.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
            refuse(path, f"{what} has the key {name[:60]!r} twice.")
        return found

    def constant(name: str) -> NoReturn:
        refuse(path, f"{what} holds {name}, which is not JSON.")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        refuse(path, f"{what} is not JSON ({error}).")


def _size_of(path: str | os.PathLike, file: BinaryIO) -> int:
    """Return the size of a regular file."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        refuse(path, "it is not a regular file.")
    return status.st_size


def _read_header(
    path: str | os.PathLike, file: BinaryIO, size: int
) -> tuple[dict[str, Any], int]:
    """Return the header as a dict, and where the arrays begin."""
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if size < LENGTH_BYTES + 2 or length > min(size - LENGTH_BYTES, MAX_HEADER):
        refuse(
            path,
            f"it has {size} bytes, and its first 8 bytes give a header of {length}.",
        )
    try:
        text = file.read(length).decode("utf-8")
    except UnicodeDecodeError:
        refuse(path, "its header is not text.")
    header = parse_json(path, text, "its header")
    if not isinstance(header, dict):
        refuse(path, "its header is not a JSON object.")
    return header, LENGTH_BYTES + length


def _metadata_of(path: str | os.PathLike, header: dict[str, Any]) -> dict[str, str]:
    """Remove the metadata from a header, and return them."""
    metadata = header.pop(METADATA, {})
    is_text = isinstance(metadata, dict) and all(
        isinstance(value, str) for value in metadata.values()
    )
    if not is_text:
        refuse(path, f"its {METADATA} is not an object of strings.")
    return metadata


def _place_of(path: str | os.PathLike, name: str, entry: Any) -> _Place:
    """Return an array's entry in the header, checked."""
    if not isinstance(entry, dict) or entry.keys() != {
        "dtype",
        "shape",
        "data_offsets",
    }:
        refuse(path, f"the header of array {name!r} lacks a part, or has others.")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        refuse(
            path, f"array {name!r} has the unknown dtype {str(entry['dtype'])[:20]!r}."
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or len(shape) > MAX_AXES or _extent(shape) >= MAX_SIZE:
        refuse(path, f"array {name!r} has an invalid shape.")
    if not _are_sizes(offsets) or len(offsets) != 2:
        refuse(path, f"array {name!r} has invalid offsets.")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    start, end = offsets
    if end - start != math.prod(shape) * dtype.itemsize:
        refuse(
            path,
            f"array {name!r} of shape {_short(shape)} and dtype {dtype} has "
            f"{_short(end - start)} bytes.",
        )
    return _Place(dtype, tuple(shape), start, end)


def _short(value: Any) -> str:
    text = str(value) if not isinstance(value, int) or value < 1e18 else "too many"
    return text if len(text) < 80 else f"{text[:77]}..."


def _are_sizes(values: Any) -> bool:
    """Return whether a value is a list of integers that a file can have."""
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < MAX_SIZE for value in values
    )


def _extent(shape: list[int]) -> int:
    """Return the number of entries of a shape, axes of length zero left out."""
    return math.prod(size for size in shape if size)


def _check_places(
    path: str | os.PathLike, places: Mapping[str, _Place], n_bytes: int
) -> None:
    """Raise unless the arrays fill the data, without gaps or overlaps."""
    end = 0
    for name, place in sorted(
        places.items(), key=lambda item: (item[1].start, item[1].end)
    ):
        if place.start != end:
            kind = "overlaps" if place.start < end else "leaves a gap after"
            refuse(path, f"array {name!r} {kind} the array before it.")
        end = place.end
    if end != n_bytes:
        refuse(path, f"its arrays have {end} bytes, and {n_bytes} follow the header.")


def _read_arrays(
    path: str | os.PathLike, file: BinaryIO, places: Mapping[str, _Place]
) -> dict[str, np.ndarray]:
    arrays = {name: np.empty(p.shape, p.dtype) for name, p in places.items()}
    for name in sorted(places, key=lambda n: places[n].start):
        if not arrays[name].size:
            continue
        buffer = _bytes_of(arrays[name])
        if file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
            refuse(path, "it got shorter while it was read.")
        _check_booleans(path, name, arrays[name])
    return arrays


def _check_booleans(path: str | os.PathLike, name: str, array: np.ndarray) -> None:
    """Raise if a boolean is neither 0 nor 1."""
    if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
        refuse(path, f"array {name!r} holds booleans that are neither 0 nor 1.")


def _mapped(whole: np.ndarray, first: int, place: _Place) -> np.ndarray:
    """Return a view of a file's bytes; a copy where numbers are not aligned."""
    part = whole[first + place.start : first + place.end]
    array = part.view(place.dtype).reshape(place.shape)
    return array if array.flags.aligned else array.copy()

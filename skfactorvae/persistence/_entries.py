"""Kinds of fitted attributes: how each is stored, restored and checked.

A class declares its fitted attributes by name, as values of these kinds. What is not
declared is not saved, and a test names the class that lacks a declaration.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..files import Reader, Writer

Sizes = Mapping[str, int]
"""Lengths of named axes: ``p`` features, ``d`` components."""

NARROWER = {"f8": ("f4",), "i8": ("i2", "i4"), "i4": ("i2",)}
"""Types of fewer bytes that are tried for a series."""


@dataclass(frozen=True, kw_only=True)
class Entry(ABC):
    """A fitted attribute.

    Parameters
    ----------
    optional : bool, default=False
        Whether some fitted estimators do not have it.
    may_be_none : bool, default=False
        Whether it can be None.
    """

    optional: bool = False
    may_be_none: bool = False

    def is_stored(self, writer: Writer, value: Any) -> bool:
        """Return whether a file holds the attribute.

        Parameters
        ----------
        writer : Writer
        value : object
        """
        return True

    def write(self, writer: Writer, state: Mapping[str, Any], name: str) -> Any:
        """Return the attribute as JSON; its arrays are added to the writer.

        Parameters
        ----------
        writer : Writer
        state : mapping of str to object
            All attributes of the estimator.
        name : str
            Name of this one.
        """
        return writer.write(state[name.rpartition("/")[2]], name)

    def read(self, reader: Reader, node: Any, name: str) -> Any:
        """Return the attribute from JSON.

        Parameters
        ----------
        reader : Reader
        node : object
            JSON.
        name : str
            Name of the attribute.
        """
        return reader.read(node, name)

    def problem(self, value: Any, sizes: Sizes) -> str | None:
        """Return what is wrong with a value, or None.

        Parameters
        ----------
        value : object
        sizes : mapping of str to int
        """
        if value is None and self.may_be_none:
            return None
        return self.problem_of(value, sizes)

    @abstractmethod
    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        """Return what is wrong with a value that is given, or None."""


@dataclass(frozen=True, kw_only=True)
class Plain(Entry):
    """A value of plain types.

    Parameters
    ----------
    types : tuple of type
        Types that it can have.
    """

    types: tuple[type, ...]

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        if type(value) in self.types:
            return None
        expected = ", ".join(t.__name__ for t in self.types)
        return f"is of type {type(value).__name__}, expected {expected}"


@dataclass(frozen=True, kw_only=True)
class TrainingNames(Plain):
    """Names of weights that only training needs, stored with these weights."""

    def is_stored(self, writer: Writer, value: Any) -> bool:
        return writer.with_discriminator


@dataclass(frozen=True, kw_only=True)
class Unsaved(Plain):
    """A value that pickles hold, and files do not."""

    def is_stored(self, writer: Writer, value: Any) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class Array(Entry):
    """An array of numbers or strings.

    Parameters
    ----------
    axes : tuple of str
        Names of the axes; a name that has no known size stands for any length.
    kinds : str, default="f"
        Kinds of numbers, as numpy's ``dtype.kind``.
    is_positive : bool, default=False
        Whether all numbers are above zero.
    may_be_nan : bool, default=False
        Whether numbers can be NaN.
    """

    axes: tuple[str, ...]
    kinds: str = "f"
    is_positive: bool = False
    may_be_nan: bool = False

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        if not isinstance(value, np.ndarray) or value.dtype.kind not in self.kinds:
            found = (
                value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            )
            return f"is of type {found}, expected an array of kind {self.kinds!r}"
        expected = tuple(
            sizes.get(a, n) for a, n in zip(self.axes, value.shape, strict=False)
        )
        if value.ndim != len(self.axes) or value.shape != expected:
            return f"has shape {value.shape}, expected {self._shape(sizes)}"
        if value.dtype.kind == "f" and not self._is_valid(value):
            return "holds numbers that are not finite"
        if self.is_positive and not (value > 0).all():
            return "holds numbers that are not positive"
        return None

    def _is_valid(self, value: np.ndarray) -> bool:
        found = value[~np.isnan(value)] if self.may_be_nan else value
        return bool(np.isfinite(found).all())

    def _shape(self, sizes: Sizes) -> str:
        return f"({', '.join(str(sizes.get(a, a)) for a in self.axes)})"


@dataclass(frozen=True, kw_only=True)
class Arrays(Entry):
    """Arrays of finite numbers by name, such as weights.

    Parameters
    ----------
    only_for_training : str
        Attribute that lists the names which only training needs: they are stored on
        request.
    """

    only_for_training: str

    def write(self, writer: Writer, state: Mapping[str, Any], name: str) -> Any:
        left = (
            () if writer.with_discriminator else state.get(self.only_for_training, ())
        )
        arrays = state[name.rpartition("/")[2]]
        stored = {k: array for k, array in arrays.items() if k not in left}
        for key, array in stored.items():
            writer.array(array, f"{name}/{key}")
        return list(stored)

    def read(self, reader: Reader, node: Any, name: str) -> Any:
        if not isinstance(node, list) or not all(isinstance(key, str) for key in node):
            reader.refuse(f"{name} is not a list of names.")
        return {key: reader.array(f"{name}/{key}") for key in node}

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        if type(value) is not dict:
            return f"is of type {type(value).__name__}, expected arrays by name"
        for name, array in value.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                return f"has {name!r}, which is not an array of floats"
            if not np.isfinite(array).all():
                return f"has {name!r}, which holds numbers that are not finite"
        return None


@dataclass(frozen=True, kw_only=True)
class Series(Entry):
    """Records by name: arrays of one length.

    They are stored in the smallest type that holds all their numbers exactly, those of
    one type as the rows of one array.
    """

    def write(self, writer: Writer, state: Mapping[str, Any], name: str) -> Any:
        node: dict[str, list[str]] = {}
        rows: dict[str, list[np.ndarray]] = {}
        for key, array in state[name.rpartition("/")[2]].items():
            small = _narrowed(array)
            rows.setdefault(_code(small), []).append(small)
            node[key] = [_code(small), _code(array)]
        for code, series in rows.items():
            writer.array(np.stack(series), f"{name}/{code}")
        return node

    def read(self, reader: Reader, node: Any, name: str) -> Any:
        if not isinstance(node, dict) or not all(map(_are_types, node.values())):
            reader.refuse(f"{name} does not hold types of numbers by name.")
        codes = {stored for stored, _ in node.values()}
        rows = {code: iter(reader.array(f"{name}/{code}")) for code in sorted(codes)}
        try:
            return {
                key: next(rows[stored]).astype(code)
                for key, (stored, code) in node.items()
            }
        except StopIteration:
            reader.refuse(f"{name} has fewer series than names.")

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        if type(value) is not dict or len({a.shape for a in value.values()}) > 1:
            return "holds series of several lengths, expected one length"
        if any(array.ndim != 1 for array in value.values()):
            return "holds arrays of several axes, expected one axis"
        return None


SERIES_TYPES = ("f8", "f4", "i8", "i4", "i2", "b1")


def _are_types(pair: Any) -> bool:
    """Return whether a value is a pair of types: as stored, and as restored."""
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(code, str) and code in SERIES_TYPES for code in pair)
    )


def _code(array: np.ndarray) -> str:
    return array.dtype.str[1:]


def _narrowed(array: np.ndarray) -> np.ndarray:
    """Return an array in the smallest type that holds its numbers exactly."""
    for code in NARROWER.get(_code(array), ()):
        with np.errstate(over="ignore"):
            small = array.astype(code)
        if small.astype(array.dtype).tobytes() == array.tobytes():
            return small
    return array


@dataclass(frozen=True, kw_only=True)
class Labels(Entry):
    """A tuple with an array, or a plain value, for each attribute of y.

    Parameters
    ----------
    types : tuple of type
        Types of the values.
    kinds : str, default=""
        Kinds of numbers of arrays, as numpy's ``dtype.kind``.
    """

    types: tuple[type, ...]
    kinds: str = ""

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        if type(value) is not tuple or not all(
            isinstance(v, self.types) for v in value
        ):
            return "is not a tuple of the expected types"
        arrays = [v for v in value if isinstance(v, np.ndarray)]
        if any(a.ndim != 1 or a.dtype.kind not in self.kinds for a in arrays):
            return f"has arrays of other kinds than {self.kinds!r}, or of several axes"
        return None


@dataclass(frozen=True, kw_only=True)
class Requests(Entry):
    """Metadata that an estimator requests, as ``set_fit_request`` sets them."""

    def write(self, writer: Writer, state: Mapping[str, Any], name: str) -> Any:
        request = state[name.rpartition("/")[2]]
        return {
            method: writer.write(dict(getattr(request, method).requests), name)
            for method in METHODS
            if hasattr(request, method)
        }

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        is_plain = type(value) is dict and all(
            method in METHODS
            and type(requests) is dict
            and all(type(r) in (str, bool, type(None)) for r in requests.values())
            for method, requests in value.items()
        )
        return None if is_plain else "does not hold requests by method"


METHODS = ("fit", "partial_fit", "transform", "inverse_transform", "score")
"""Methods whose metadata can be requested."""


@dataclass(frozen=True, kw_only=True)
class Estimators(Entry):
    """A list of estimators, each with a document of its own."""

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        is_list = type(value) is list and value
        return None if is_list else "is not a list of estimators"


@dataclass(frozen=True, kw_only=True)
class Chosen(Entry):
    """An attribute that is one of a list, and is not stored a second time.

    Parameters
    ----------
    list : str
        Attribute that holds the list.
    index : str
        Attribute that holds the number in it.
    """

    list: str
    index: str

    def write(self, writer: Writer, state: Mapping[str, Any], name: str) -> Any:
        return None

    def problem_of(self, value: Any, sizes: Sizes) -> str | None:
        return None

    def resolve(self, state: Mapping[str, Any]) -> Any:
        """Return the attribute, given the others."""
        return state[self.list][state[self.index]]

"""Plain values as JSON and arrays, and back, without the import of any name.

A value is stored as JSON has it, or as ``{"$": kind, ...}``: tuples, dicts whose keys
are not all strings, numbers and strings that are numpy's, generators of random numbers,
data frames, and arrays, whose numbers are stored apart. Functions are named, and
restored from what the caller passes.
"""

from __future__ import annotations

import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from ._container import NAMES, ModelFileError, refuse

TAG = "$"
NUMBER_KINDS = "biuf"
MAX_DEPTH = 32
"""Depth of nested values."""


class Nested(ABC):
    """An object that is stored as a document inside another one."""

    @abstractmethod
    def _to_node(self, writer: Writer, name: str) -> dict[str, Any]:
        """Return the document as JSON; its arrays are added to the writer."""

    @classmethod
    @abstractmethod
    def _from_node(cls, node: Mapping[str, Any], reader: Reader, name: str) -> Any:
        """Return the object of a document, checked."""


@dataclass
class Writer:
    """Conversion of values to JSON; their arrays are collected by name.

    Attributes
    ----------
    with_discriminator : bool
        Whether weights that only training needs are stored.
    arrays : dict of str to ndarray
        Arrays found so far.
    """

    with_discriminator: bool = False
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def write(self, value: Any, name: str) -> Any:
        """Return a value as JSON.

        Parameters
        ----------
        value : object
        name : str
            What it is, for messages and as the name of its arrays.

        Raises
        ------
        TypeError
            If the value is of a type that cannot be stored.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {TAG: "float", "of": repr(value)}
        if isinstance(value, list):
            return [self.write(v, f"{name}/{i}") for i, v in enumerate(value)]
        if type(value) is tuple:
            return {TAG: "tuple", "of": self.write(list(value), name)}
        if type(value) is dict:
            return self._dict(value, name)
        if isinstance(value, np.ndarray):
            return self.array(value, name)
        if isinstance(value, np.generic):
            return self._scalar(value, name)
        if isinstance(value, np.random.RandomState):
            return self._generator(value, name)
        if isinstance(value, Nested):
            return {TAG: "estimator", "of": value._to_node(self, f"{name}/")}
        if is_frame(value):
            return self._frame(value, name)
        if name.rpartition("/")[2] == "network" and callable(value):
            return {TAG: "function", "of": name_of(value)}
        raise TypeError(
            f"{name} is of type {type(value).__name__}, which a model file cannot "
            "hold: expected numbers, strings, None, and arrays, data frames, tuples, "
            "lists and dicts of them, or an estimator of skfactorvae. Set it to such a "
            "value, or save estimators of scikit-learn with skops."
        )

    def array(self, value: np.ndarray, name: str) -> dict[str, Any]:
        """Store an array of numbers apart, and one of strings or objects in JSON."""
        if (
            value.dtype.kind in NUMBER_KINDS
            and value.dtype.newbyteorder("<").str in NAMES
        ):
            self.arrays[name] = value
            return {TAG: "array"}
        if value.dtype.kind in "UO" or value.dtype.kind in NUMBER_KINDS:
            kind = "O" if value.dtype.kind == "O" else value.dtype.str.lstrip("<=|>")
            entries = [self.write(v, name) for v in value.reshape(-1).tolist()]
            if value.dtype.kind == "f":  # wider than a Python float
                entries = [self.write(v, name) for v in value.reshape(-1)]
            return {
                TAG: "entries",
                "of": entries,
                "dtype": kind,
                "shape": [*value.shape],
            }
        raise TypeError(
            f"{name} is an array of dtype {value.dtype}, which a model file cannot "
            "hold: expected numbers, booleans, strings or objects."
        )

    def _frame(self, value: Any, name: str) -> dict[str, Any]:
        labels = {"index": value.index, "columns": value.columns}
        parts = {key: self.write(list(names), name) for key, names in labels.items()}
        return {TAG: "frame", "of": self.array(value.to_numpy(), name), **parts}

    def _dict(self, value: dict, name: str) -> dict[str, Any]:
        if not all(type(key) is str for key in value) or TAG in value:
            return self._pairs(value, name)
        return {key: self.write(v, f"{name}/{key}") for key, v in value.items()}

    def _pairs(self, value: dict, name: str) -> dict[str, Any]:
        """Return a dict whose keys JSON cannot have, such as positions of columns."""
        if functions := [key for key in value if callable(key)]:
            raise TypeError(
                f"{name} has the key {functions[0]!r}, a function, which a model file "
                "cannot hold. Name the columns that it selects, as in "
                f"{{('height', 'width'): {value[functions[0]]!r}}}, by set_params, "
                "and save again."
            )
        pairs = [[key, entry] for key, entry in value.items()]
        return {TAG: "pairs", "of": self.write(pairs, name)}

    def _scalar(self, value: np.generic, name: str) -> dict[str, Any]:
        if value.dtype.kind not in NUMBER_KINDS + "U":
            raise TypeError(f"{name} is a number of dtype {value.dtype}.")
        code = value.dtype.str.lstrip("<=|>")
        if value.dtype.kind == "U":
            return {TAG: "scalar", "dtype": "U", "of": str(value)}
        return {TAG: "scalar", "dtype": code, "of": str(value)}

    def _generator(self, value: np.random.RandomState, name: str) -> dict[str, Any]:
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise TypeError(f"{name} is a RandomState of {state['bit_generator']}.")
        plain = {
            "key": np.asarray(state["state"]["key"], np.uint32),
            "pos": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": float(state["gauss"]),
        }
        return {TAG: "random_state", "of": self._dict(plain, name)}


def is_frame(value: Any) -> bool:
    """Return whether a value is a data frame of pandas, without importing it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def name_of(function: Callable) -> str:
    """Return a function's module and name, to be shown; it is never imported."""
    owner = function if hasattr(function, "__qualname__") else type(function)
    return f"{owner.__module__}.{owner.__qualname__}"


@dataclass
class Reader:
    """Conversion of JSON back to values.

    Attributes
    ----------
    path : str or path-like
        The file, for messages.
    arrays : mapping of str to ndarray
        Arrays of the file.
    function : callable or None
        What stands in for a function that was named.
    classes : mapping of str to type
        Classes that the file can name, from which nothing else is imported.
    used : set of str
        Names of the arrays that were read so far.
    """

    path: str | os.PathLike
    arrays: Mapping[str, np.ndarray]
    function: Callable | None = None
    classes: Mapping[str, type[Nested]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def read(self, node: Any, name: str, depth: int = 0) -> Any:
        """Return the value that JSON stands for.

        Parameters
        ----------
        node : object
            A part of a JSON text.
        name : str
            What it is, for messages.
        depth : int, default=0
            Levels above it.

        Raises
        ------
        ModelFileError
            If it is not what :class:`Writer` makes.
        """
        if depth > MAX_DEPTH:
            self.refuse(f"{name[:80]} has more than {MAX_DEPTH} levels.")
        if isinstance(node, list):
            return [self.read(v, f"{name}/{i}", depth + 1) for i, v in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if TAG not in node:
            return {k: self.read(v, f"{name}/{k}", depth + 1) for k, v in node.items()}
        kind = node[TAG]
        if not isinstance(kind, str) or kind not in KINDS:
            self.refuse(f"{name} is of an unknown kind, {str(kind)[:40]!r}.")
        try:
            return KINDS[kind](self, node, name, depth + 1)
        except (
            TypeError,
            KeyError,
            OverflowError,
            AttributeError,
            MemoryError,
        ) as error:
            self.refuse(f"{name} is not a valid {kind} ({error}).")
        except ValueError as error:
            if type(error) is ValueError:
                self.refuse(f"{name} is not a valid {kind} ({str(error)[:80]}).")
            raise

    def array(self, name: str) -> np.ndarray:
        """Return an array of the file."""
        if name not in self.arrays:
            self.refuse(f"it has no array {name[:60]!r}.")
        self.used.add(name)
        return self.arrays[name]

    def estimator(self, node: Any, name: str) -> Any:
        """Return the estimator of a document.

        Parameters
        ----------
        node : dict
            The document's class and parts.
        name : str
            What it is, as a prefix of the names of its arrays.

        Raises
        ------
        ModelFileError
            If the class is not known, or the parts are not those of it.
        """
        class_name = node.get("class") if isinstance(node, dict) else None
        if not isinstance(class_name, str) or class_name not in self.classes:
            self.refuse_class(class_name)
        return self.classes[class_name]._from_node(node, self, name)

    def refuse_class(self, class_name: Any) -> NoReturn:
        """Raise an error about a class that is not known."""
        raise ModelFileError(
            f"{os.fspath(self.path)!r} holds an estimator of class "
            f"{str(class_name)[:60]!r}, which is none of skfactorvae's: "
            f"{', '.join(sorted(self.classes))}. Files hold no code: pass your own "
            "class as load(path, cls=...), or use the version that saved the file."
        )

    def refuse(self, what: str) -> NoReturn:
        """Raise an error about the file."""
        refuse(self.path, what)

    # ------------------------------------------------------------------------- kinds
    def _float(self, node: dict, name: str, depth: int) -> float:
        if node["of"] not in ("nan", "inf", "-inf"):
            self.refuse(f"{name} is not a number.")
        return float(node["of"])

    def _tuple(self, node: dict, name: str, depth: int) -> tuple:
        return tuple(self.read(self._list(node["of"], name), name, depth))

    def _list(self, node: Any, name: str) -> list:
        if not isinstance(node, list):
            self.refuse(f"{name} is not a list.")
        return node

    def _pairs(self, node: dict, name: str, depth: int) -> dict:
        pairs = self.read(self._list(node["of"], name), name, depth)
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            self.refuse(f"{name} is not a list of keys and values.")
        found = dict(pairs)
        if len(found) < len(pairs):
            self.refuse(f"{name} has repeated keys.")
        return found

    def _array(self, node: dict, name: str, depth: int) -> np.ndarray:
        return self.array(name)

    def _frame(self, node: dict, name: str, depth: int) -> Any:
        try:
            import pandas as pd
        except ImportError:
            self.refuse(f"{name} is a data frame, which needs pandas. Install it.")
        values = self.read(node["of"], name, depth)
        if not isinstance(values, np.ndarray):
            self.refuse(f"{name} is not a data frame.")
        index, columns = (
            self.read(self._list(node[key], name), name, depth)
            for key in ("index", "columns")
        )
        return pd.DataFrame(values, index=index, columns=columns)

    def _entries(self, node: dict, name: str, depth: int) -> np.ndarray:
        entries = self.read(self._list(node["of"], name), name, depth)
        code, shape = str(node["dtype"]), tuple(self._list(node["shape"], name))
        if not all(type(n) is int and 0 <= n < 2**31 for n in shape):
            self.refuse(f"{name} has an invalid shape.")
        if math.prod(shape) != len(entries):
            self.refuse(f"{name} has {len(entries)} entries, not those of its shape.")
        if code != "O" and code[:1] not in NUMBER_KINDS + "U":
            self.refuse(f"{name} has the unknown dtype {code[:20]!r}.")
        if code[:1] == "U":
            longest = max(map(len, entries), default=0)
            # The width is what the entries need, whatever the file claims.
            code = f"U{max(min(int(code[1:]), 4 * longest + 16), longest)}"
        array = np.empty(len(entries), dtype=code)
        array[:] = entries
        return array.reshape(shape)

    def _scalar(self, node: dict, name: str, depth: int) -> Any:
        code, text = node["dtype"], node["of"]
        if not isinstance(text, str) or (len(text) > 200 and code != "U"):
            self.refuse(f"{name} is not a number.")
        if code == "U":
            return np.str_(text)
        dtype = np.dtype(str(code))
        if dtype.kind == "b":
            return np.bool_({"True": True, "False": False}[text])
        if dtype.kind not in NUMBER_KINDS:
            self.refuse(f"{name} is not a number.")
        return dtype.type(int(text) if dtype.kind in "iu" else text)

    def _random_state(self, node: dict, name: str, depth: int) -> np.random.RandomState:
        state = self.read(node["of"], name, depth)
        key, position = state["key"], state["pos"]
        if key.shape != (624,) or key.dtype != np.uint32 or not 0 <= position <= 624:
            self.refuse(f"{name} is not the state of a generator.")
        generator = np.random.RandomState(0)
        rest = state["has_gauss"], state["gauss"]
        generator.set_state(("MT19937", key.copy(), position, *rest))
        return generator

    def _function(self, node: dict, name: str, depth: int) -> Callable:
        if name.rpartition("/")[2] != "network":
            self.refuse(f"{name} is a function, which only networks can be.")
        if self.function is None:
            self.refuse_function(str(node["of"])[:120])
        return self.function

    def refuse_function(self, function: str) -> NoReturn:
        """Raise an error about a function that was not passed."""
        raise ModelFileError(
            f"{os.fspath(self.path)!r} holds the weights of modules of your own, built "
            f"by {function}. Files hold no code: pass that function, as in "
            f"load(path, network={function.rpartition('.')[2]})."
        )

    def _estimator(self, node: dict, name: str, depth: int) -> Any:
        return self.estimator(node["of"], f"{name}/")


KINDS = {
    "estimator": Reader._estimator,
    "float": Reader._float,
    "tuple": Reader._tuple,
    "pairs": Reader._pairs,
    "array": Reader._array,
    "frame": Reader._frame,
    "entries": Reader._entries,
    "scalar": Reader._scalar,
    "random_state": Reader._random_state,
    "function": Reader._function,
}
"""How each kind of value is read."""

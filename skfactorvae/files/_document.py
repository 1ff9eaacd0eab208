"""The document of a model: its class, parameters, columns and state, with versions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._container import (
    Container,
    ModelFileError,
    parse_json,
    read_container,
    refuse,
    write_container,
)

FORMAT, FORMAT_VERSION = "skfactorvae", "1"

PARTS = ("parameters", "columns", "state", "networks", "versions")
"""Parts of a document that are stored as JSON, each under a key of its own."""

DIGEST = "digest"


@dataclass(frozen=True)
class Document:
    """What a model file holds.

    Attributes
    ----------
    class_name : str
        Name of the estimator's class.
    parts : dict of str to object
        By the names of :data:`PARTS`.
    arrays : dict of str to ndarray
        Arrays that the parts refer to.
    """

    class_name: str
    parts: dict[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def node(self) -> dict[str, Any]:
        """The document as it is when it is part of another one."""
        return {"class": self.class_name, **self.parts}


def write_document(path: str | os.PathLike, document: Document) -> None:
    """Write a model file, atomically.

    Parameters
    ----------
    path : str or path-like
    document : Document

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    texts = {
        name: json.dumps(document.parts[name], separators=(",", ":"), allow_nan=False)
        for name in PARTS
    }
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "class": document.class_name,
        **texts,
    }
    write_sealed(path, document.arrays, metadata)


def read_document(path: str | os.PathLike, *, mmap: bool = False) -> Document:
    """Read a model file.

    Parameters
    ----------
    path : str or path-like
    mmap : bool, default=False
        Whether arrays are mapped into memory, and read-only.

    Raises
    ------
    ModelFileError
        If the file is not one of this format, is of a later version, or is damaged.
    OSError
        If the file cannot be read.
    """
    container = read_container(path, mmap=mmap)
    metadata = container.metadata
    if metadata.get("format") != FORMAT:
        refuse(path, "it is a safetensors file of another program.")
    version = metadata.get("format_version", "")
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{os.fspath(path)!r} has format version {version[:20]!r}; this version of "
            f"skfactorvae reads version {FORMAT_VERSION!r}. Upgrade skfactorvae, or "
            "save the model again with the version that is installed here."
        )
    missing = [name for name in ("class", DIGEST, *PARTS) if name not in metadata]
    if missing:
        refuse(path, f"it lacks {', '.join(missing)}.")
    check_seal(path, container)
    parts = {name: parse_json(path, metadata[name], f"its {name}") for name in PARTS}
    return Document(metadata["class"], parts, container.arrays)


def write_sealed(
    path: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
) -> None:
    """Write arrays, strings and their digest to a file, atomically.

    Parameters
    ----------
    path : str or path-like
    arrays : mapping of str to ndarray
    metadata : mapping of str to str

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    sealed = {**metadata, DIGEST: digest(metadata, arrays)}
    write_container(path, arrays, sealed)


def check_seal(path: str | os.PathLike, container: Container) -> None:
    """Raise unless the digest is that of the content, and remove it.

    Parameters
    ----------
    path : str or path-like
        The file, for the message.
    container : Container
        Its content.

    Raises
    ------
    ModelFileError
        If the digest is another one, or is missing.
    """
    metadata = container.metadata
    if metadata.pop(DIGEST, None) != digest(metadata, container.arrays):
        refuse(path, "its digest is not that of its content: it is damaged.")


def digest(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of metadata and arrays, which detects damage.

    Parameters
    ----------
    metadata : mapping of str to str
    arrays : mapping of str to ndarray
    """
    found = hashlib.sha256()
    about = [
        [name, a.dtype.str[1:], list(a.shape)] for name, a in sorted(arrays.items())
    ]
    found.update(json.dumps([sorted(metadata.items()), about]).encode("ascii"))
    for _, array in sorted(arrays.items()):
        stored: Any = np.ascontiguousarray(
            array.astype(array.dtype.newbyteorder("<"), copy=False)
        )
        if stored.size:
            found.update(memoryview(stored.reshape(-1).view(np.uint8)))
    return found.hexdigest()

"""Files of fitted models: arrays and plain values, in the safetensors format.

A file holds a header in JSON and the bytes of arrays; nothing in it can be executed.
:class:`Savable` declares what an estimator stores, and writes and restores it by that
declaration. Needs numpy alone, so that a file can be read without torch.
"""

from ._atomic import write_atomically
from ._container import Container, ModelFileError, read_container, write_container
from ._document import FORMAT_VERSION, Document, read_document, write_document
from ._entries import (
    Array,
    Arrays,
    Chosen,
    Entry,
    Estimators,
    Labels,
    Plain,
    Requests,
    Series,
)
from ._savable import Savable
from ._values import Reader, Writer

__all__ = [
    "FORMAT_VERSION",
    "Array",
    "Arrays",
    "Chosen",
    "Container",
    "Document",
    "Entry",
    "Estimators",
    "Labels",
    "ModelFileError",
    "Plain",
    "Reader",
    "Requests",
    "Savable",
    "Series",
    "Writer",
    "read_container",
    "read_document",
    "write_atomically",
    "write_container",
    "write_document",
]

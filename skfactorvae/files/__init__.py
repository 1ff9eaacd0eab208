"""Model files: arrays and plain values, in the safetensors format.

A file holds a header in JSON and the bytes of arrays; nothing in it can be executed.
Needs numpy alone, so that a file can be read without torch.
"""

from ._atomic import write_atomically
from ._container import (
    INCONSISTENT,
    Container,
    ModelFileError,
    parse_json,
    read_container,
    write_container,
)
from ._document import (
    FORMAT_VERSION,
    PARTS,
    Document,
    check_seal,
    digest,
    read_document,
    write_document,
    write_sealed,
)
from ._values import Nested, Reader, Writer

__all__ = [
    "FORMAT_VERSION",
    "INCONSISTENT",
    "PARTS",
    "Container",
    "Document",
    "ModelFileError",
    "Nested",
    "Reader",
    "Writer",
    "check_seal",
    "digest",
    "parse_json",
    "read_container",
    "read_document",
    "write_atomically",
    "write_container",
    "write_document",
    "write_sealed",
]

"""Tables that are read in parts: what can be read, how, and checks of what is read.

Memory-mapped arrays, files of shards, sparse matrices, and whatever has a shape, a
dtype and slices of rows, such as the data sets of h5py, zarr and dask; and data sets of
Arrow. No package but numpy and scipy is imported: tables are recognised by what they
offer.
"""

from ._adaptors import as_source
from ._keys import CACHED_VALUES, row_keys
from ._source import RowSource
from ._table import SourceTable, check_source, map_blocks

__all__ = [
    "CACHED_VALUES",
    "RowSource",
    "SourceTable",
    "as_source",
    "check_source",
    "map_blocks",
    "row_keys",
]

"""Images of a data set as one file of bytes that is mapped into memory.

Axes: ``n`` images, ``c`` channels, ``h`` rows, ``w`` columns, ``p = c h w`` features,
``k`` factors.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ._download import check_space

Block = tuple[np.ndarray, np.ndarray]
"""Images (m, c, h, w) of bytes, and the levels of their factors (m, k)."""


@dataclass(frozen=True)
class Table:
    """What a data set consists of.

    Attributes
    ----------
    factor_names : tuple of str
    factor_sizes : tuple of int
        Number of levels of each factor.
    n_images : int
    image_shape : tuple of int
        Channels, height and width in the file.
    pixel_max : int
        Value of a white pixel.
    """

    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    n_images: int
    image_shape: tuple[int, int, int]
    pixel_max: int = 255


def converted(
    folder: Path,
    files: Sequence[Path],
    table: Table,
    image_size: int,
    blocks: Iterable[Block],
) -> tuple[np.ndarray, np.ndarray]:
    """Return images and factors of a data set, read from its files on first use.

    Parameters
    ----------
    folder : Path
        Where the converted arrays are kept.
    files : sequence of Path
        Files of the data set. A file that is changed is converted again.
    table : Table
    image_size : int
        Height and width of the images that are returned.
    blocks : iterable of (images, levels)
        Content of the files; read only if there are no converted arrays.

    Returns
    -------
    data : memmap of shape (n, p), dtype uint8
    factors : ndarray of shape (n, k), dtype int64
    """
    key = _key(files, image_size)
    images, factors = folder / f"images-{key}.npy", folder / f"factors-{key}.npy"
    if not (images.exists() and factors.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        _convert(images, factors, table, image_size, blocks)
    return np.load(images, mmap_mode="r"), np.load(factors)


def _key(files: Sequence[Path], image_size: int) -> str:
    """Return a name that changes with the files and with the size of the images."""
    parts = [str(image_size)]
    for path in files:
        state = path.stat()
        parts += [str(path.resolve()), str(state.st_size), str(state.st_mtime_ns)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _convert(
    images: Path,
    factors: Path,
    table: Table,
    image_size: int,
    blocks: Iterable[Block],
) -> None:
    """Write the arrays of a data set; the images, which are last, complete them."""
    shape = (table.n_images, table.image_shape[0] * image_size**2)
    check_space(images.parent, shape[0] * shape[1], "the array of the images")
    levels = []
    with _written(images) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for block, factors_of_block in blocks:
            file.write(resized(block, image_size).tobytes())
            levels.append(np.asarray(factors_of_block, dtype=np.int64))
        found = np.concatenate(levels) if levels else np.empty((0, 0), np.int64)
        check_levels(found, table)
        with _written(factors) as other:
            np.save(other, found)


def check_levels(levels: np.ndarray, table: Table) -> None:
    """Raise ValueError unless levels (n, k) are those of a data set, each once."""
    expected = (table.n_images, len(table.factor_names))
    if levels.shape != expected:
        raise ValueError(
            f"The file holds {levels.shape[0]} images of {levels.shape[1]} factors; "
            f"expected {expected[0]} of {expected[1]}, {list(table.factor_names)}."
        )
    sizes = np.array(table.factor_sizes)
    if (levels < 0).any() or (levels >= sizes).any():
        raise ValueError(
            f"Levels lie between {levels.min(axis=0)} and {levels.max(axis=0)}; "
            f"expected 0 to {sizes - 1} for {list(table.factor_names)}."
        )
    places = np.ravel_multi_index(tuple(levels.T), table.factor_sizes)
    n_distinct = len(np.unique(places))
    if n_distinct < len(places):
        raise ValueError(
            f"Only {n_distinct} of {len(places)} images have levels of their own; "
            "expected every combination once."
        )


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that is complete, or absent after an error."""
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Return square images (m, c, h, h) at another size, by the mean over areas.

    A pixel of the result is the mean of the original over the area that it covers,
    rounded to an integer.
    """
    old = images.shape[-1]
    if old == size:
        return images
    average = area_weights(old, size)  # (size, old)
    smaller = average @ images.astype(np.float32) @ average.T
    return np.rint(smaller).astype(np.uint8)


def area_weights(old: int, new: int) -> np.ndarray:
    """Return the share of each new pixel that each old pixel covers, (new, old)."""
    edges = np.arange(new + 1) * (old / new)
    low = np.maximum(edges[:-1, None], np.arange(old))
    high = np.minimum(edges[1:, None], np.arange(1, old + 1))
    return (np.maximum(high - low, 0) * (new / old)).astype(np.float32)

"""Readers of the files of the original data sets, in blocks of images.

Layouts are those that the authors describe and that other readers of the files assume:
google-research/disentanglement_lib, tensorflow/datasets and nmichlo/disent.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ._converted import Block, Table

ROWS = 2048  # images that are read at once

NORB_TYPES = {
    0x1E3D4C51: "<f4",
    0x1E3D4C53: "<f8",
    0x1E3D4C54: "<i4",
    0x1E3D4C55: "|u1",
    0x1E3D4C56: "<i2",
}
"""Type of the values of a matrix file, by its first four bytes."""


class LayoutError(ValueError):
    """A file does not have the layout of its data set."""


@contextmanager
def readable(path: Path, expected: str) -> Iterator[None]:
    """Turn errors of readers into one that names the file and its expected layout."""
    try:
        yield
    except LayoutError as error:
        raise ValueError(f"{path}: {error} Expected {expected}.") from error
    except (
        EOFError,
        KeyError,
        NotImplementedError,
        TypeError,
        ValueError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        gzip.BadGzipFile,
    ) as error:
        raise ValueError(
            f"{path} cannot be read ({type(error).__name__}: {error}). Expected "
            f"{expected}. The file may be truncated: remove it and call again."
        ) from error


def grid(sizes: Sequence[int], rows: slice) -> np.ndarray:
    """Return the levels (m, k) of rows of a complete grid, the last factor fastest."""
    places = np.arange(rows.start, rows.stop)
    return np.column_stack(np.unravel_index(places, tuple(sizes)))


# ------------------------------------------------------------------- numpy archives
def dsprites(files: Sequence[Path], table: Table) -> Iterator[Block]:
    """Yield images and levels of ``imgs`` and ``latents_classes`` of dSprites.

    The first latent, colour, has one level and is left out. The member ``metadata``,
    a pickle, is not read.
    """
    (path,) = files
    with readable(path, "an npz archive of imgs and latents_classes"):
        with npy_member(path, "latents_classes") as (read, shape):
            levels = read(shape[0])[:, 1:]
        for images, rows in npz_images(path, "imgs", table):
            yield images[:, None], levels[rows]


def mpi3d(files: Sequence[Path], table: Table) -> Iterator[Block]:
    """Yield images of ``images`` of MPI3D, whose order is that of a complete grid."""
    (path,) = files
    with readable(path, "an npz archive of images (n, height, width, 3)"):
        for images, rows in npz_images(path, "images", table):
            yield np.moveaxis(images, -1, 1), grid(table.factor_sizes, rows)


def npz_images(
    path: Path, name: str, table: Table
) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield blocks of an array of bytes in an archive, which is not read as a whole."""
    channels, height, width = table.image_shape
    expected = (table.n_images, height, width, channels)[: 4 if channels > 1 else 3]
    with npy_member(path, name) as (read, shape):
        if shape != expected:
            raise LayoutError(f"{name} has the shape {shape}; expected {expected}.")
        for start in range(0, shape[0], ROWS):
            rows = slice(start, min(start + ROWS, shape[0]))
            yield read(rows.stop - rows.start).astype(np.uint8, copy=False), rows


@contextmanager
def npy_member(
    path: Path, name: str
) -> Iterator[tuple[Callable[[int], np.ndarray], tuple[int, ...]]]:
    """Open an array of an npz archive: how to read its next rows, and its shape."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = header(file)
        if is_fortran or dtype.hasobject or dtype.kind not in "iu":
            raise LayoutError(f"{name} holds {dtype}, not integers in C order.")
        width = int(np.prod(shape[1:]))

        def read(n_rows: int) -> np.ndarray:
            n_bytes = n_rows * width * dtype.itemsize
            content = exactly(file, n_bytes)
            return np.frombuffer(content, dtype).reshape(n_rows, *shape[1:])

        yield read, shape


def exactly(file: IO[bytes], n_bytes: int) -> bytes:
    """Read a number of bytes, or raise EOFError."""
    content = file.read(n_bytes)
    if len(content) < n_bytes:
        raise EOFError(f"it ends {n_bytes - len(content)} bytes too early")
    return content


# --------------------------------------------------------------------------- HDF5
def shapes3d(files: Sequence[Path], table: Table) -> Iterator[Block]:
    """Yield ``images`` and the ranks of ``labels`` of 3D Shapes."""
    (path,) = files
    h5py = import_h5py()
    expected = "an HDF5 file of images (n, height, width, 3) and labels (n, 6)"
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not an HDF5 file. Expected {expected}.")
    with readable(path, expected), h5py.File(path, "r") as file:
        labels = file["labels"][()]
        levels = np.column_stack(
            [np.unique(column, return_inverse=True)[1] for column in labels.T]
        )
        images, (channels, *size) = file["images"], table.image_shape
        if images.shape != (table.n_images, *size, channels):
            raise LayoutError(f"images has the shape {images.shape}.")
        for start in range(0, len(images), ROWS):
            rows = slice(start, start + ROWS)
            yield np.moveaxis(images[rows], -1, 1), levels[rows]


def import_h5py() -> Any:
    """Return h5py, or raise ImportError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "fetch_shapes3d reads an HDF5 file and needs h5py: pip install h5py, or "
            "pip install 'skfactorvae[hdf5]'."
        ) from error
    return h5py


# ------------------------------------------------------------------------- MATLAB
def cars3d(files: Sequence[Path], table: Table) -> Iterator[Block]:
    """Yield the images of each car of the archive of Cars3D.

    ``data/cars/list.txt`` has the names of the cars in order, and
    ``data/cars/<name>.mat`` an array ``im`` of shape (height, width, 3, azimuths,
    elevations). No file is extracted to the disk.
    """
    (path,) = files
    expected = "a tar archive of data/cars/list.txt and data/cars/*_mesh.mat"
    with readable(path, expected):
        order = _car_names(path)
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).stem
                if name in order and member.name.endswith(".mat"):
                    content = archive.extractfile(member).read()  # type: ignore[union-attr]
                    yield _car(content, order[name], table)


def _car_names(path: Path) -> dict[str, int]:
    """Return the position of each car in the list of an archive."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith("cars/list.txt"):
                text = archive.extractfile(member).read().decode()  # type: ignore[union-attr]
                names = [line.strip() for line in text.splitlines() if line.strip()]
                return {name: i for i, name in enumerate(names)}
    raise LayoutError("there is no cars/list.txt.")


def _car(content: bytes, place: int, table: Table) -> Block:
    """Return the images of one car, elevations slowest, and their levels."""
    from scipy.io import loadmat  # slow to import

    im = loadmat(io.BytesIO(content), variable_names=["im"])["im"]
    elevations, azimuths = table.factor_sizes[:2]
    channels, height, width = table.image_shape
    if im.shape != (height, width, channels, azimuths, elevations):
        raise LayoutError(f"im has the shape {im.shape}.")
    images = im.transpose(4, 3, 2, 0, 1).reshape(-1, *table.image_shape)
    angles = grid((elevations, azimuths), slice(0, elevations * azimuths))
    return images, np.column_stack([angles, np.full(len(angles), place)])


# ---------------------------------------------------------------- matrices of NORB
def smallnorb(files: Sequence[Path], table: Table) -> Iterator[Block]:
    """Yield the images of the left camera, and the levels of their factors.

    The files come in threes: images, categories, and instance, elevation, azimuth and
    lighting, with azimuths in units of 10 degrees, 0 to 34.
    """
    expected = "a matrix file of SmallNORB, which may be compressed by gzip"
    for dat, cat, info in zip(files[::3], files[1::3], files[2::3], strict=True):
        with readable(cat, expected), matrix(cat) as (read, shape):
            category = read(shape[0])
        with readable(info, expected), matrix(info) as (read, shape):
            levels = np.column_stack([category, read(shape[0])])
        levels[:, 3] //= 2
        with readable(dat, expected), matrix(dat) as (read, shape):
            if shape[1:] != (2, *table.image_shape[1:]) or shape[0] != len(levels):
                raise LayoutError(f"the images have the shape {shape}.")
            for start in range(0, shape[0], ROWS):
                rows = slice(start, min(start + ROWS, shape[0]))
                yield read(rows.stop - rows.start)[:, :1], levels[rows]


@contextmanager
def matrix(
    path: Path,
) -> Iterator[tuple[Callable[[int], np.ndarray], tuple[int, ...]]]:
    """Open a matrix file: how to read its next rows, and its shape.

    The file has the type of its values, the number of dimensions and at least three
    sizes, as little-endian integers of four bytes, and then the values.
    """
    opening: Any = gzip.open if path.suffix == ".gz" else open
    with opening(path, "rb") as file:
        kind, n_dims = np.frombuffer(exactly(file, 8), "<i4")
        if int(kind) not in NORB_TYPES or not 1 <= n_dims <= 8:
            raise LayoutError(f"it begins with {int(kind):#x} and {n_dims} dimensions.")
        sizes = np.frombuffer(exactly(file, 4 * max(3, n_dims)), "<i4")
        shape = tuple(sizes[:n_dims].tolist())
        dtype = np.dtype(NORB_TYPES[int(kind)])
        width = int(np.prod(shape[1:]))

        def read(n_rows: int) -> np.ndarray:
            content = exactly(file, n_rows * width * dtype.itemsize)
            return np.frombuffer(content, dtype).reshape(n_rows, *shape[1:])

        yield read, shape

"""The image data sets of the literature on disentanglement, downloaded on first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from . import _layouts
from ._base import check_option
from ._converted import Block, Table, converted
from ._download import obtain
from ._render import pixel_names
from ._sources import HOMEPAGES, SOURCES

MPI3D_VARIANTS = ("toy", "realistic", "real", "real_complex")
NORB_SUBSETS = ("all", "train", "test")

_MPI3D_FACTORS = (
    "object_color",
    "object_shape",
    "object_size",
    "camera_height",
    "background_color",
    "horizontal_axis",
    "vertical_axis",
)
_NORB_FACTORS = ("category", "instance", "elevation", "azimuth", "lighting")

TABLES = {
    "dsprites": Table(
        ("shape", "scale", "orientation", "position_x", "position_y"),
        (3, 6, 40, 32, 32),
        737_280,
        (1, 64, 64),
        pixel_max=1,
    ),
    "shapes3d": Table(
        ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation"),
        (10, 10, 10, 8, 4, 15),
        480_000,
        (3, 64, 64),
    ),
    "mpi3d": Table(_MPI3D_FACTORS, (6, 6, 2, 3, 3, 40, 40), 1_036_800, (3, 64, 64)),
    "mpi3d_complex": Table(
        _MPI3D_FACTORS, (4, 4, 2, 3, 3, 40, 40), 460_800, (3, 64, 64)
    ),
    "cars3d": Table(
        ("elevation", "azimuth", "object_type"), (4, 24, 183), 17_568, (3, 128, 128)
    ),
    "smallnorb": Table(_NORB_FACTORS, (5, 10, 9, 18, 6), 48_600, (1, 96, 96)),
    "smallnorb_half": Table(_NORB_FACTORS, (5, 10, 9, 18, 6), 24_300, (1, 96, 96)),
}
"""Factors, sizes and images of each data set."""

ABOUT = {
    "dsprites": """dSprites: 737,280 images of white shapes on black, 64 by 64 pixels.

Every combination of shape (square, ellipse, heart), 6 scales, 40 orientations and 32
by 32 positions, once. Licence: Apache 2.0 and zlib. Cite: Matthey, Higgins, Hassabis &
Lerchner (2017), "dSprites: Disentanglement testing Sprites dataset".""",
    "shapes3d": """3D Shapes: 480,000 images of an object in a room, 64 by 64 by 3.

Every combination of 10 hues of floor, wall and object, 8 scales, 4 shapes and 15
orientations, once. Licence: Apache 2.0. Cite: Burgess & Kim (2018), "3D Shapes
Dataset".""",
    "mpi3d": """MPI3D: images of a robot arm that holds an object, 64 by 64 by 3.

Every combination of the object's colour, shape and size, of camera height, background
colour and two angles of the arm, once. Licence: CC BY 4.0. Cite: Gondal et al. (2019),
"On the Transfer of Inductive Bias from Simulation to the Real World: a New
Disentanglement Dataset".""",
    "cars3d": """Cars3D: 17,568 images of 183 car models, 128 by 128 by 3.

Every combination of 4 elevations, 24 azimuths and 183 cars, once. The authors state no
licence. Cite: Reed, Zhang, Zhang & Lee (2015), "Deep Visual Analogy-Making".""",
    "smallnorb": """SmallNORB: 48,600 images of 50 toys in grey, 96 by 96 pixels.

Five categories of ten toys each, 9 elevations, 18 azimuths and 6 lightings; the images
of the left of two cameras. For research purposes, not for sale. Cite: LeCun, Huang &
Bottou (2004), "Learning methods for generic object recognition with invariance to pose
and lighting".""",
}
"""Description, licence and citation of each data set."""

Reader = Callable[[Sequence[Path], Table], Iterator[Block]]

READERS: dict[str, Reader] = {
    "dsprites": _layouts.dsprites,
    "shapes3d": _layouts.shapes3d,
    "mpi3d": _layouts.mpi3d,
    "cars3d": _layouts.cars3d,
    "smallnorb": _layouts.smallnorb,
}
"""Reader of the files of each data set."""


def fetch_dsprites(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    path=None,
    n_retries=3,
    delay=1.0,
):
    """Load the dSprites images (Matthey et al. 2017), 737,280 of 64 by 64 pixels.

    The download has 26 MB; the images are written to a file of 3.0 GB, which is
    mapped into memory. :func:`make_dsprites_like` renders similar images without a
    download. This function was not tried on the original file, only on small files of
    the same layout.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the data sets; by default that of scikit-learn,
        ``~/scikit_learn_data`` or ``SCIKIT_LEARN_DATA``. The files are in its folder
        ``skfactorvae``.
    download_if_missing : bool, default=True
        If False, raise an OSError if the file is not there.
    return_X_y : bool, default=False
        If True, return ``(data, factors)`` instead of a Bunch.
    path : str or path-like, default=None
        A local copy of ``dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz``, which is
        read in place of a download. Its checksum is not compared.
    n_retries : int, default=3
        Further attempts at each address, >= 0. Each continues where the last one
        stopped, as does the next call.
    delay : float, default=1.0
        Seconds between two attempts, >= 0.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        ``data`` : memmap of shape (737280, 4096), dtype uint8, pixels 0 and 1, to be
        divided by ``pixel_max``; ``factors`` : ndarray of shape (737280, 5), dtype
        int64, levels from 0; ``name``, ``factor_names``, ``factor_sizes``,
        ``study_factors`` (a mask of the factors that Locatello et al. (2019)
        evaluate), ``feature_names``, ``image_shape`` (channels, height, width),
        ``pixel_max``, ``filenames``, ``DESCR``.
    (data, factors) : tuple if ``return_X_y``
        The first two of them.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded, its checksum is wrong, or the
        disk is full.
    ValueError
        If a file has another layout, or a parameter is out of range.

    References
    ----------
    https://github.com/google-deepmind/dsprites-dataset

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.datasets import fetch_dsprites
    >>> sprites = fetch_dsprites()  # doctest: +SKIP
    >>> rows = np.random.default_rng(0).choice(737_280, 10_000)  # doctest: +SKIP
    >>> X = sprites.data[rows] / np.float32(sprites.pixel_max)  # doctest: +SKIP
    """
    where = _Place(data_home, download_if_missing, path, n_retries, delay)
    files = where.files("dsprites", ("dsprites",))
    return _loaded("dsprites", "dsprites", files, where, return_X_y)


def fetch_shapes3d(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    path=None,
    n_retries=3,
    delay=1.0,
):
    """Load the 3D Shapes images (Burgess & Kim 2018), 480,000 of 64 by 64 by 3.

    The download has 268 MB and needs h5py (``pip install 'skfactorvae[hdf5]'``); the
    images are written to a file of 5.9 GB, which is mapped into memory.
    :func:`make_toy_shapes3d` renders similar images without a download. This function
    was not tried on the original file, only on small files of the same layout.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the data sets; see :func:`fetch_dsprites`.
    download_if_missing : bool, default=True
        If False, raise an OSError if the file is not there.
    return_X_y : bool, default=False
        If True, return ``(data, factors)`` instead of a Bunch.
    path : str or path-like, default=None
        A local copy of ``3dshapes.h5``, which is read in place of a download.
    n_retries : int, default=3
        Further attempts at each address, >= 0.
    delay : float, default=1.0
        Seconds between two attempts, >= 0.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As of :func:`fetch_dsprites`; ``data`` has the shape (480000, 12288), channels
        first, and pixels from 0 to 255.
    (data, factors) : tuple if ``return_X_y``
        The first two of its entries.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded, its checksum is wrong, or the
        disk is full.
    ValueError
        If a file has another layout, or a parameter is out of range.
    ImportError
        If h5py is not installed.

    References
    ----------
    https://github.com/google-deepmind/3d-shapes

    Examples
    --------
    >>> from skfactorvae.datasets import fetch_shapes3d
    >>> rooms = fetch_shapes3d()  # doctest: +SKIP
    >>> rooms.data[0].reshape(rooms.image_shape).shape  # doctest: +SKIP
    (3, 64, 64)
    """
    where = _Place(data_home, download_if_missing, path, n_retries, delay)
    files = where.files("shapes3d", ("shapes3d",))
    return _loaded("shapes3d", "shapes3d", files, where, return_X_y)


def fetch_mpi3d(
    *,
    variant="toy",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    path=None,
    n_retries=3,
    delay=1.0,
):
    """Load the MPI3D images (Gondal et al. 2019), 1,036,800 of 64 by 64 by 3.

    The images are written to a file of 12.7 GB (5.7 GB for ``"real_complex"``), which
    is mapped into memory, block by block, so that they never are in memory as a whole.
    This function was not tried on the original files, only on small files of the same
    layout.

    Parameters
    ----------
    variant : {"toy", "realistic", "real", "real_complex"}, default="toy"
        Simple and realistic renderings, photographs of simple shapes, and photographs
        of four everyday objects. The last is served from a page for browsers only, and
        needs `path`.
    data_home : str or path-like, default=None
        Folder of the data sets; see :func:`fetch_dsprites`.
    download_if_missing : bool, default=True
        If False, raise an OSError if the file is not there.
    return_X_y : bool, default=False
        If True, return ``(data, factors)`` instead of a Bunch.
    path : str or path-like, default=None
        A local copy of the npz file of the variant, which is read in place of a
        download.
    n_retries : int, default=3
        Further attempts at each address, >= 0.
    delay : float, default=1.0
        Seconds between two attempts, >= 0.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As of :func:`fetch_dsprites`; ``data`` has the shape (1036800, 12288), or
        (460800, 12288), channels first, and pixels from 0 to 255.
    (data, factors) : tuple if ``return_X_y``
        The first two of its entries.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded, its checksum is wrong, or the
        disk is full.
    ValueError
        If a file has another layout, or a parameter is out of range.

    References
    ----------
    https://github.com/rr-learning/disentanglement_dataset

    Examples
    --------
    >>> from skfactorvae.datasets import fetch_mpi3d
    >>> arm = fetch_mpi3d(variant="real")  # doctest: +SKIP
    >>> arm.data.shape  # doctest: +SKIP
    (1036800, 12288)
    """
    check_option("variant", variant, MPI3D_VARIANTS)
    where = _Place(data_home, download_if_missing, path, n_retries, delay)
    table = "mpi3d_complex" if variant == "real_complex" else "mpi3d"
    files = where.files("mpi3d", (f"mpi3d_{variant}",))
    title = f"mpi3d_{variant}"
    return _loaded("mpi3d", table, files, where, return_X_y, title=title)


def fetch_cars3d(
    *,
    image_size=64,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    path=None,
    n_retries=3,
    delay=1.0,
):
    """Load the Cars3D images (Reed et al. 2015), 17,568 of 183 cars.

    The literature uses them at 64 by 64 pixels. Here each pixel is the mean over the
    area that it covers; the filter of other readers differs, and so do their pixels by
    some levels of 255. The rows are in the order of the archive; an object type is the
    position of a car in its list. This function was not tried on the original file,
    only on small files of the same layout.

    Parameters
    ----------
    image_size : int, default=64
        Height and width, from 8 to 128.
    data_home : str or path-like, default=None
        Folder of the data sets; see :func:`fetch_dsprites`.
    download_if_missing : bool, default=True
        If False, raise an OSError if the file is not there.
    return_X_y : bool, default=False
        If True, return ``(data, factors)`` instead of a Bunch.
    path : str or path-like, default=None
        A local copy of ``nips2015-analogy-data.tar.gz``, which is read in place of a
        download.
    n_retries : int, default=3
        Further attempts at each address, >= 0.
    delay : float, default=1.0
        Seconds between two attempts, >= 0.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As of :func:`fetch_dsprites`; ``data`` has the shape (17568,
        3 * image_size ** 2), channels first, and pixels from 0 to 255.
    (data, factors) : tuple if ``return_X_y``
        The first two of its entries.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded, its checksum is wrong, or the
        disk is full.
    ValueError
        If a file has another layout, or a parameter is out of range.

    References
    ----------
    https://papers.nips.cc/paper/5845-deep-visual-analogy-making

    Examples
    --------
    >>> from skfactorvae.datasets import fetch_cars3d
    >>> X, factors = fetch_cars3d(return_X_y=True)  # doctest: +SKIP
    """
    _check_size(image_size, "cars3d")
    where = _Place(data_home, download_if_missing, path, n_retries, delay)
    files = where.files("cars3d", ("cars3d",))
    return _loaded("cars3d", "cars3d", files, where, return_X_y, image_size)


def fetch_smallnorb(
    *,
    subset="all",
    image_size=64,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    path=None,
    n_retries=3,
    delay=1.0,
):
    """Load the SmallNORB images (LeCun et al. 2004), 48,600 of 50 toys.

    The images of the left camera. The literature uses them at 64 by 64 pixels; here
    each pixel is the mean over the area that it covers, see :func:`fetch_cars3d`.
    Azimuths of different toys have no common origin. This function was not tried on
    the original files, only on small files of the same layout.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        The training toys (instances 4, 6, 7, 8, 9), the test toys (0, 1, 2, 3, 5), or
        both, the training toys first. Locatello et al. (2019) use both.
    image_size : int, default=64
        Height and width, from 8 to 96.
    data_home : str or path-like, default=None
        Folder of the data sets; see :func:`fetch_dsprites`.
    download_if_missing : bool, default=True
        If False, raise an OSError if the files are not there.
    return_X_y : bool, default=False
        If True, return ``(data, factors)`` instead of a Bunch.
    path : str or path-like, default=None
        A folder with local copies of the files ``smallnorb-...-dat.mat``, ``-cat.mat``
        and ``-info.mat``, compressed (``.gz``) or not, which are read in place of a
        download.
    n_retries : int, default=3
        Further attempts at each address, >= 0.
    delay : float, default=1.0
        Seconds between two attempts, >= 0.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As of :func:`fetch_dsprites`; ``data`` has the shape (48600, image_size ** 2),
        or (24300, image_size ** 2), and pixels from 0 to 255. ``study_factors``
        excludes the instance.
    (data, factors) : tuple if ``return_X_y``
        The first two of its entries.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded, its checksum is wrong, or the
        disk is full.
    ValueError
        If a file has another layout, or a parameter is out of range.

    References
    ----------
    https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/

    Examples
    --------
    >>> from skfactorvae.datasets import fetch_smallnorb
    >>> toys = fetch_smallnorb(subset="train")  # doctest: +SKIP
    """
    check_option("subset", subset, NORB_SUBSETS)
    _check_size(image_size, "smallnorb")
    where = _Place(data_home, download_if_missing, path, n_retries, delay)
    halves = ("train", "test") if subset == "all" else (subset,)
    files = where.files("smallnorb", [f"smallnorb_{half}" for half in halves])
    table = "smallnorb" if subset == "all" else "smallnorb_half"
    return _loaded("smallnorb", table, files, where, return_X_y, image_size)


def _check_size(image_size: Any, name: str) -> None:
    """Raise ValueError unless images can be returned at a size."""
    largest = TABLES[name].image_shape[-1]
    if not isinstance(image_size, Integral) or not 8 <= int(image_size) <= largest:
        raise ValueError(
            f"image_size must be an integer from 8 to {largest}, the size of the "
            f"original images; got {image_size!r}."
        )


class _Place:
    """Where the files of a data set are, and how they are obtained.

    Parameters
    ----------
    data_home, path : str, path-like or None
    download_if_missing : bool
    n_retries : int
    delay : float
    """

    def __init__(
        self,
        data_home: Any,
        download_if_missing: bool,
        path: Any,
        n_retries: Any,
        delay: Any,
    ) -> None:
        if not isinstance(n_retries, Integral) or n_retries < 0:
            raise ValueError(f"n_retries must be an integer >= 0; got {n_retries!r}.")
        if not delay >= 0:
            raise ValueError(f"delay must be a number of seconds >= 0; got {delay!r}.")
        from sklearn.datasets import get_data_home  # slow to import

        self.home = Path(get_data_home(data_home)) / "skfactorvae"
        self.path = None if path is None else Path(os.path.expanduser(path))
        self.download_if_missing = download_if_missing
        self.n_retries = int(n_retries)
        self.delay = delay

    def files(self, name: str, parts: Sequence[str]) -> list[Path]:
        """Return the files of parts of a data set: local ones, or downloads."""
        sources = [source for part in parts for source in SOURCES[part]]
        if self.path is not None:
            return _local_files(self.path, [source.name for source in sources])
        if not sources:
            raise OSError(
                f"{', '.join(parts)} has no address for a download: it is served from "
                f"a page for browsers only, see {HOMEPAGES[name]}. Save it, and pass "
                "path= with the file."
            )
        return obtain(
            sources,
            self.home / name,
            download_if_missing=self.download_if_missing,
            n_retries=self.n_retries,
            delay=self.delay,
            homepage=HOMEPAGES[name],
        )


def _local_files(path: Path, names: Sequence[str]) -> list[Path]:
    """Return the file of the user, or the files of these names in the user's folder."""
    if path.is_file() and len(names) <= 1:
        return [path]
    if not path.is_dir():
        kind = "a folder with" if len(names) > 1 else "a file such as"
        raise OSError(f"path must be {kind} {', '.join(names)}; got {path}.")
    found = {name: _in_folder(path, name) for name in names}
    missing = [name for name, file in found.items() if file is None]
    if missing or not names:
        raise OSError(f"{path} does not contain {', '.join(missing) or 'one file'}.")
    return [file for file in found.values() if file is not None]


def _in_folder(folder: Path, name: str) -> Path | None:
    """Return a file of a folder, compressed or not; None if it is not there."""
    candidates = (folder / name, folder / name.removesuffix(".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _loaded(
    name: str,
    table_name: str,
    files: Sequence[Path],
    where: _Place,
    return_X_y: bool,
    image_size: int | None = None,
    title: str | None = None,
) -> Any:
    """Return a data set as a Bunch or a tuple, converted on first use."""
    table = TABLES[table_name]
    size = int(image_size or table.image_shape[-1])
    data, factors = converted(
        where.home / name, files, table, size, READERS[name](files, table)
    )
    if return_X_y:
        return data, factors
    image_shape = (table.image_shape[0], size, size)
    return Bunch(
        name=title or name,
        data=data,
        factors=factors,
        factor_names=list(table.factor_names),
        factor_sizes=list(table.factor_sizes),
        study_factors=np.array([n != "instance" for n in table.factor_names]),
        feature_names=list(pixel_names(image_shape)),
        image_shape=image_shape,
        pixel_max=table.pixel_max,
        filenames=[str(path) for path in files],
        DESCR=ABOUT[name],
    )

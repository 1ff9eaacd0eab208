"""Loaders of the original data sets, on small files of their layouts.

The files are served from the loopback address; the originals are never downloaded.
"""

import errno
import gzip
import importlib.util
import shutil
import sys
from collections import namedtuple

import numpy as np
import pytest
from _small_originals import (
    TABLES,
    cars3d_file,
    dsprites_classes,
    dsprites_file,
    levels,
    matrix,
    mpi3d_file,
    norb_files,
    norb_rows,
    npz,
    pixels,
    serving,
    shapes3d_file,
)
from numpy.testing import assert_array_equal

from skfactorvae import datasets
from skfactorvae.datasets import _converted, _download, _originals, _sources
from skfactorvae.datasets._sources import SOURCES

needs_h5py = pytest.mark.skipif(
    importlib.util.find_spec("h5py") is None, reason="h5py is not installed"
)
SOURCES_OF_ORIGINALS = dict(SOURCES)
LOADERS = {
    "dsprites": (datasets.fetch_dsprites, dsprites_file),
    "mpi3d_toy": (datasets.fetch_mpi3d, mpi3d_file),
    "cars3d": (datasets.fetch_cars3d, cars3d_file),
    "shapes3d": (datasets.fetch_shapes3d, shapes3d_file),
}
"""Loaders of one file each, and what makes that file."""

each_loader = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=needs_h5py if n == "shapes3d" else ()) for n in LOADERS],
)


@pytest.fixture
def server(monkeypatch):
    """A server of small files, which the loaders take for the originals."""
    monkeypatch.setattr(_originals, "TABLES", TABLES)
    monkeypatch.setattr(_download, "TIMEOUT", 5)
    for name in SOURCES:
        monkeypatch.setitem(SOURCES, name, ())
    with serving() as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path, monkeypatch):
    """Fetch a small file of a data set, from the server or from what is given."""

    def fetch(name, content=None, *, source=None, **options):
        loader, make = LOADERS[name]
        if source is None:
            source = server.source(
                f"{name}.file", make() if content is None else content
            )
        monkeypatch.setitem(SOURCES, name, (source,))
        if name == "cars3d":
            options.setdefault("image_size", 16)
        return loader(data_home=tmp_path, delay=0, **options)

    return fetch


def folder_of(tmp_path, name):
    return tmp_path / "skfactorvae" / name.split("_")[0]


class TestContent:
    def test_dsprites(self, fetch):
        table = fetch("dsprites")
        assert isinstance(table.data, np.memmap)
        assert_array_equal(table.data, pixels("dsprites").reshape(72, 64))
        assert_array_equal(table.factors, levels("dsprites"))
        assert table.pixel_max == table.data.max() == 1
        assert table.image_shape == (1, 8, 8)
        assert len(table.feature_names) == 64
        assert "zlib" in table.DESCR

    def test_mpi3d_has_the_order_of_a_grid_and_channels_first(self, fetch):
        X, factors = fetch("mpi3d_toy", return_X_y=True)
        assert_array_equal(X, pixels("mpi3d").reshape(len(X), -1))
        assert_array_equal(factors, levels("mpi3d"))

    @needs_h5py
    def test_shapes3d_has_levels_in_place_of_values(self, fetch):
        X, factors = fetch("shapes3d", return_X_y=True)
        assert_array_equal(X, pixels("shapes3d").reshape(len(X), -1))
        assert_array_equal(factors, levels("shapes3d"))

    def test_cars3d_numbers_cars_by_the_list_of_the_archive(self, fetch):
        table = fetch("cars3d")
        sizes = table.factor_sizes
        assert sizes == [2, 3, 4]
        made = pixels("cars3d").reshape(4, 2, 3, -1)  # by car, elevation, azimuth
        elevation, azimuth, car = table.factors.T
        assert_array_equal(table.data, made[car, elevation, azimuth])

    @pytest.mark.parametrize("subset", ["all", "train", "test"])
    def test_smallnorb_has_the_left_images_and_azimuths_as_levels(
        self, server, tmp_path, monkeypatch, subset
    ):
        for half in ("train", "test"):
            sources = [
                server.source(f"{half}-{i}.mat.gz", content)
                for i, content in enumerate(norb_files(half))
            ]
            monkeypatch.setitem(SOURCES, f"smallnorb_{half}", tuple(sources))
        table = datasets.fetch_smallnorb(
            subset=subset, image_size=12, data_home=tmp_path
        )
        halves = ["train", "test"] if subset == "all" else [subset]
        rows = np.concatenate([norb_rows(half) for half in halves])
        assert_array_equal(table.factors, rows)
        made = [pixels("smallnorb", len(norb_rows(half))) for half in halves]
        assert_array_equal(table.data, np.concatenate(made).reshape(len(rows), -1))
        assert_array_equal(table.study_factors, [True, False, True, True, True])

    def test_images_are_averaged_over_areas(self, fetch):
        table = fetch("cars3d", image_size=8)
        full = fetch("cars3d").data.reshape(-1, 3, 8, 2, 8, 2)
        mean = full.mean(axis=(3, 5)).reshape(len(full), -1)
        assert np.abs(table.data - mean).max() <= 0.5 + 1e-6
        assert table.image_shape == (3, 8, 8)

    def test_area_weights_keep_the_mean(self):
        weights = _converted.area_weights(96, 64)
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(weights.sum(axis=0), 64 / 96, rtol=1e-6)
        np.testing.assert_allclose(weights[0, :3], [2 / 3, 1 / 3, 0], rtol=1e-6)


class TestDownload:
    @each_loader
    def test_a_file_is_downloaded_and_converted_once(self, fetch, server, name):
        source = server.source(f"{name}.file", LOADERS[name][1]())
        first = fetch(name, source=source)
        changed = {path: path.stat().st_mtime_ns for path in self.files(first)}
        again = fetch(name, source=source, download_if_missing=False)
        assert server.requests == [(f"{name}.file", 0)]
        assert {path: path.stat().st_mtime_ns for path in self.files(first)} == changed
        assert_array_equal(first.data, again.data)

    @staticmethod
    def files(table):
        folder = _originals.Path(table.filenames[0]).parent
        files = list(folder.glob("*.npy"))
        assert len(files) == 2
        return files

    @pytest.mark.parametrize("ranges", [True, False])
    def test_an_interrupted_download_continues(self, fetch, server, ranges):
        server.cut, server.ranges = 100, ranges
        table = fetch("dsprites", n_retries=1)
        assert_array_equal(table.factors, levels("dsprites"))
        name = "dsprites.file"
        assert server.requests == [(name, 0), (name, 100 if ranges else 0)]

    def test_the_next_call_continues_a_download(self, fetch, server, tmp_path):
        server.cut = 100
        with pytest.raises(OSError, match=r"ended after 100 of \d+ bytes"):
            fetch("dsprites", n_retries=0)
        part = folder_of(tmp_path, "dsprites") / "dsprites.file.part"
        assert part.stat().st_size == 100
        fetch("dsprites", n_retries=0)
        assert server.requests[-1] == ("dsprites.file", 100)
        assert not part.exists()

    @pytest.mark.parametrize("extra", [0, 5])
    def test_a_partial_file_that_has_all_bytes_or_too_many(
        self, fetch, server, tmp_path, extra
    ):
        content = dsprites_file()
        folder = folder_of(tmp_path, "dsprites")
        folder.mkdir(parents=True)
        (folder / "dsprites.file.part").write_bytes(content + b"?" * extra)
        table = fetch("dsprites", content, n_retries=1)
        assert len(table.data) == 72
        assert len(server.requests) == (1 if extra == 0 else 2)

    def test_a_wrong_checksum_leaves_nothing(self, fetch, server, tmp_path):
        source = server.source("dsprites.file", dsprites_file(), algorithm="md5")
        server.files["dsprites.file"] = dsprites_file()[:-1] + b"?"
        with pytest.raises(OSError, match=r"md5 checksum is \w{32}; expected \w{32}"):
            fetch("dsprites", source=source, n_retries=1)
        assert len(server.requests) == 2
        left = {path.name for path in folder_of(tmp_path, "dsprites").iterdir()}
        assert left <= {"dsprites.file.lock"}

    def test_mirrors_are_tried_in_turn(self, fetch, server):
        source = server.source("dsprites.file", dsprites_file(), mirrors=3)
        fetch("dsprites", source=source, n_retries=2)
        assert [name for name, _ in server.requests] == [
            "absent0",
            "absent1",
            "dsprites.file",
        ]

    def test_a_source_that_is_gone_is_named_with_what_to_do(self, fetch, server):
        source = server.source("dsprites.file", b"")
        server.files.clear()
        with pytest.raises(OSError, match="404") as error:
            fetch("dsprites", source=source)
        for part in (server.url, "github.com/google-deepmind", "path="):
            assert part in str(error.value)

    def test_without_a_network(self, fetch, server):
        unused = "http://127.0.0.1:9/dsprites.file"  # the discard port
        source = _sources.Source("dsprites.file", (unused,), "md5:0")
        with pytest.raises(OSError, match=r"could not be downloaded[\s\S]*refused"):
            fetch("dsprites", source=source, n_retries=1)

    def test_without_space(self, fetch, monkeypatch, tmp_path):
        usage = namedtuple("usage", "free")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=10))
        with pytest.raises(OSError, match="data_home=") as error:
            fetch("dsprites")
        assert error.value.errno == errno.ENOSPC
        assert not list(folder_of(tmp_path, "dsprites").glob("*.npy"))

    def test_a_disk_that_is_full_while_converting(self, fetch, monkeypatch, tmp_path):
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(_converted, "resized", fail)
            with pytest.raises(OSError, match="No space left"):
                fetch("dsprites")
        assert not list(folder_of(tmp_path, "dsprites").glob("*np*"))
        assert len(fetch("dsprites").data) == 72

    def test_a_download_is_not_made_if_it_is_not_wanted(self, fetch, server):
        with pytest.raises(OSError, match="download_if_missing=False"):
            fetch("dsprites", download_if_missing=False)
        assert server.requests == []

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no fcntl")
    def test_two_processes_do_not_write_one_file(self, fetch, tmp_path):
        import fcntl

        lock = folder_of(tmp_path, "dsprites") / "dsprites.file.lock"
        lock.parent.mkdir(parents=True)
        with open(lock, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(OSError, match="Another process is downloading"):
                fetch("dsprites")
        assert len(fetch("dsprites").data) == 72


class TestLocalFiles:
    @each_loader
    def test_a_local_file_is_read_in_place_of_a_download(
        self, fetch, server, tmp_path, name
    ):
        path = tmp_path / "mine.bin"
        path.write_bytes(LOADERS[name][1]())
        local = fetch(name, path=path)
        assert server.requests == []
        assert_array_equal(local.data, fetch(name).data)

    def test_a_changed_file_is_converted_again(self, fetch, tmp_path):
        path = tmp_path / "mine.npz"
        path.write_bytes(mpi3d_file())
        first = fetch("mpi3d_toy", path=path).data.copy()
        images = 255 - np.moveaxis(pixels("mpi3d"), 1, -1)
        path.write_bytes(npz(images=images))
        assert_array_equal(fetch("mpi3d_toy", path=path).data, 255 - first)

    def test_the_variant_without_an_address(self, server, tmp_path):
        with pytest.raises(OSError, match="for browsers only") as error:
            datasets.fetch_mpi3d(variant="real_complex", data_home=tmp_path)
        assert "path=" in str(error.value)
        path = tmp_path / "real3d_complicated_shapes_ordered.npz"
        path.write_bytes(mpi3d_file("mpi3d_complex"))
        table = datasets.fetch_mpi3d(
            variant="real_complex", data_home=tmp_path, path=path
        )
        assert_array_equal(table.factors, levels("mpi3d_complex"))

    def test_smallnorb_reads_a_folder_of_files_without_compression(
        self, server, tmp_path, monkeypatch
    ):
        monkeypatch.setitem(
            SOURCES, "smallnorb_train", SOURCES_OF_ORIGINALS["smallnorb_train"]
        )
        files = zip(SOURCES["smallnorb_train"], norb_files("train"), strict=True)
        for source, content in files:
            name = source.name.removesuffix(".gz")
            (tmp_path / name).write_bytes(gzip.decompress(content))
        options = {"subset": "train", "data_home": tmp_path, "path": tmp_path}
        options["image_size"] = 12
        table = datasets.fetch_smallnorb(**options)
        assert_array_equal(table.factors, norb_rows("train"))
        (tmp_path / name).unlink()
        with pytest.raises(OSError, match=r"does not contain .*-training-info"):
            datasets.fetch_smallnorb(**options)

    def test_a_path_that_is_not_there(self, fetch, tmp_path):
        with pytest.raises(OSError, match="path must be a file such as dsprites"):
            fetch("dsprites", path=tmp_path / "absent.npz")


WRONG = {
    "an empty file": ("dsprites", b""),
    "a page of a server": ("dsprites", b"<html>Not found</html>"),
    "a truncated archive": ("dsprites", dsprites_file()[:-300]),
    "other arrays": ("dsprites", npz(images=np.zeros((3, 8, 8), np.uint8))),
    "floats": ("mpi3d_toy", npz(images=np.zeros((96, 8, 8, 3)))),
    "other images": ("mpi3d_toy", npz(images=np.zeros((96, 8, 8), np.uint8))),
    "fewer images": ("mpi3d_toy", npz(images=np.zeros((95, 8, 8, 3), np.uint8))),
    "no list": ("cars3d", gzip.compress(b"")),
    "a truncated tar": ("cars3d", cars3d_file()[:-2000]),
    "a car less": ("cars3d", cars3d_file(("car_a", "car_b", "car_c"))),
}


class TestLayouts:
    @pytest.mark.parametrize(("name", "content"), WRONG.values(), ids=WRONG)
    def test_another_layout_is_refused_and_leaves_no_array(
        self, fetch, tmp_path, name, content
    ):
        with pytest.raises(ValueError, match=r"[Ee]xpected"):
            fetch(name, content)
        assert not list(folder_of(tmp_path, name).glob("*np*"))

    @needs_h5py
    @pytest.mark.parametrize("make", [lambda: b"no HDF5", shapes3d_file])
    def test_another_hdf5_file_is_refused(self, fetch, monkeypatch, make):
        content = make()
        monkeypatch.setitem(TABLES, "shapes3d", TABLES["mpi3d_complex"])
        with pytest.raises(ValueError, match="Expected an HDF5 file of images"):
            fetch("shapes3d", content)

    def test_levels_that_occur_twice_are_refused(self, fetch):
        classes, imgs = dsprites_classes(), pixels("dsprites")[:, 0]
        classes[1] = classes[0]
        with pytest.raises(ValueError, match="Only 71 of 72 images"):
            fetch("dsprites", npz(imgs=imgs, latents_classes=classes))

    def test_levels_out_of_range_are_refused(self, fetch):
        classes, imgs = dsprites_classes(), pixels("dsprites")[:, 0]
        classes[0, 1] = 3
        with pytest.raises(ValueError, match="Levels lie between"):
            fetch("dsprites", npz(imgs=imgs, latents_classes=classes))

    @pytest.mark.parametrize(
        "content", [b"abc", b"\0" * 40, matrix(np.zeros((3, 2), np.int32))[:-1]]
    )
    def test_another_matrix_file_is_refused(self, tmp_path, content):
        path = tmp_path / "a.mat"
        path.write_bytes(content)
        reader = _originals._layouts.smallnorb([path] * 3, TABLES["smallnorb"])
        with pytest.raises(ValueError, match="Expected a matrix file of SmallNORB"):
            list(reader)

    def test_h5py_is_an_extra(self, fetch, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(ImportError, match=r"skfactorvae\[hdf5\]"):
            fetch("shapes3d", b"content")


class TestParameters:
    @pytest.mark.parametrize(
        ("fetch", "options", "message"),
        [
            (datasets.fetch_mpi3d, {"variant": "toys"}, "variant must be one of 'toy'"),
            (datasets.fetch_smallnorb, {"subset": 1}, "subset must be one of 'all'"),
            (datasets.fetch_smallnorb, {"image_size": 128}, "from 8 to 96"),
            (datasets.fetch_cars3d, {"image_size": 64.5}, "from 8 to 128"),
            (datasets.fetch_cars3d, {"n_retries": -1}, "n_retries must be"),
            (datasets.fetch_dsprites, {"delay": -1}, "delay must be"),
        ],
    )
    def test_values_out_of_range(self, tmp_path, fetch, options, message):
        with pytest.raises(ValueError, match=message):
            fetch(data_home=tmp_path, **options)
        assert not list(tmp_path.iterdir())

    def test_tables_are_complete_grids(self):
        for name, table in _originals.TABLES.items():
            n_images = int(np.prod(table.factor_sizes))
            assert table.n_images in (n_images, n_images // 2), name
            assert len(table.factor_names) == len(table.factor_sizes)

    def test_every_source_has_a_checksum_of_its_algorithm(self):
        lengths = {"sha256": 64, "md5": 32}
        files = [source for sources in SOURCES.values() for source in sources]
        assert len(files) == 12
        for source in files:
            algorithm, value = source.checksum.split(":")
            assert len(value) == lengths[algorithm]
            assert source.urls

"""Small files of the layouts of the original data sets, and a server of files."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from scipy.io import savemat

from skfactorvae.datasets import _originals
from skfactorvae.datasets._sources import Source

SMALL = {
    "dsprites": {"factor_sizes": (3, 2, 2, 3, 2), "image_shape": (1, 8, 8)},
    "shapes3d": {"factor_sizes": (2, 2, 3, 2, 2, 2), "image_shape": (3, 8, 8)},
    "mpi3d": {"factor_sizes": (2, 2, 2, 3, 1, 2, 2), "image_shape": (3, 8, 8)},
    "mpi3d_complex": {"factor_sizes": (2, 1, 2, 1, 3, 2, 2), "image_shape": (3, 8, 8)},
    "cars3d": {"factor_sizes": (2, 3, 4), "image_shape": (3, 16, 16)},
    "smallnorb": {"factor_sizes": (2, 10, 2, 3, 2), "image_shape": (1, 12, 12)},
    "smallnorb_half": {"factor_sizes": (2, 10, 2, 3, 2), "image_shape": (1, 12, 12)},
}
"""Sizes of small files, as those of `skfactorvae.datasets._originals.TABLES`."""


def small_tables():
    """Return the tables of the small files."""
    tables = {
        name: replace(
            _originals.TABLES[name], n_images=int(np.prod(s["factor_sizes"])), **s
        )
        for name, s in SMALL.items()
    }
    half = tables["smallnorb_half"]
    return tables | {"smallnorb_half": replace(half, n_images=half.n_images // 2)}


TABLES = small_tables()


def pixels(name, n=None):
    """Return random images (n, c, h, w) of bytes for a data set."""
    table = TABLES[name]
    shape = (n or table.n_images, *table.image_shape)
    rng = np.random.default_rng(len(name))
    return rng.integers(table.pixel_max + 1, size=shape, dtype=np.uint8)


def levels(name):
    """Return the levels (n, k) of a complete grid."""
    sizes = TABLES[name].factor_sizes
    return np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)


def npz(save=np.savez_compressed, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def dsprites_classes():
    """Return the levels of all latents, of which the first is colour."""
    known = levels("dsprites")
    return np.column_stack([np.zeros(len(known), int), known])


def dsprites_file():
    classes = dsprites_classes()
    return npz(
        imgs=pixels("dsprites")[:, 0],
        latents_classes=classes,
        latents_values=classes * 0.5,
        metadata=np.array({"a pickle": "that is not to be read"}, dtype=object),
    )


def mpi3d_file(name="mpi3d"):
    return npz(np.savez, images=np.moveaxis(pixels(name), 1, -1))


def shapes3d_file():
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["images"] = np.moveaxis(pixels("shapes3d"), 1, -1)
        file["labels"] = levels("shapes3d") * 0.1 - 0.3
    return buffer.getvalue()


def cars3d_file(names=("car_b", "car_a", "car_d", "car_c")):
    """The list is in another order than the archive, and is not its first member."""
    elevations, azimuths, _ = TABLES["cars3d"].factor_sizes
    per_car = pixels("cars3d").reshape(4, elevations, azimuths, 3, 16, 16)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in sorted(names):
            mat = io.BytesIO()
            im = per_car[names.index(name)].transpose(3, 4, 2, 1, 0)
            savemat(mat, {"im": im, "mask": im[:, :, 0]})
            add(archive, f"data/cars/{name}_mesh.mat", mat.getvalue())
        lines = "\n".join(f"{name}_mesh" for name in names)
        add(archive, "data/cars/list.txt", lines.encode())
        add(archive, "data/shapes48.mat", b"of another data set")
    return buffer.getvalue()


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


NORB_MAGIC = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}


def matrix(values):
    """Return a matrix file of the layout of SmallNORB."""
    sizes = [*values.shape, 1, 1][: max(3, values.ndim)]
    header = struct.pack(
        f"<ii{len(sizes)}i", NORB_MAGIC[values.dtype.name], values.ndim, *sizes
    )
    return header + values.tobytes()


def norb_rows(half):
    """Return the levels of one half of the toys, in random order."""
    known = levels("smallnorb")
    instances = {"train": (4, 6, 7, 8, 9), "test": (0, 1, 2, 3, 5)}[half]
    rows = known[np.isin(known[:, 1], instances)]
    return np.random.default_rng(7).permutation(rows)


def norb_files(half):
    """Return the images, categories and other factors of one half."""
    rows = norb_rows(half).astype(np.int32)
    left = pixels("smallnorb", len(rows))
    pairs = np.concatenate([left, 255 - left], axis=1)
    info = rows[:, 1:] * np.array([1, 1, 2, 1], np.int32)
    return [
        gzip.compress(matrix(part)) for part in (pairs, rows[:, 0].copy(), info.copy())
    ]


class Server:
    """Files that are served from the loopback address, and how they are served.

    Attributes
    ----------
    files : dict
        Content by name.
    requests : list of (name, first byte)
    cut : int or None
        Bytes after which an answer ends; the next answer is complete.
    ranges : bool
        Whether parts of files are served.
    """

    def __init__(self, url):
        self.url = url
        self.files, self.requests = {}, []
        self.cut, self.ranges = None, True

    def source(self, name, content, *, mirrors=1, algorithm="sha256"):
        """Serve a file, and return its source; only its last address works."""
        self.files[name] = content
        broken = [f"{self.url}/absent{i}" for i in range(mirrors - 1)]
        digest = hashlib.new(algorithm, content).hexdigest()
        urls = (*broken, f"{self.url}/{name}")
        return Source(name, urls, f"{algorithm}:{digest}")


@contextmanager
def serving():
    """Serve files on a free port of the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            name, content = self.path[1:], server.files.get(self.path[1:])
            asked = self.headers.get("Range", "bytes=0-")
            start = int(asked[6:-1]) if server.ranges else 0
            server.requests.append((name, start))
            if content is None:
                self.send_error(404)
            elif start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
            else:
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                end, server.cut = server.cut, None
                self.wfile.write(content[start:][:end])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        server = Server(f"http://127.0.0.1:{web.server_port}")
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            web.shutdown()

"""Where the files of the original data sets are served, and their checksums.

The addresses of a file are tried in turn; a mirror is one more entry. The authors of
the files publish no checksums. These are those of other readers: of dSprites, the same
in two projects that verify it; of 3D Shapes and SmallNORB, in the checksum files of
tensorflow/datasets; of MPI3D and Cars3D, in the loaders of nmichlo/disent. The
addresses of MPI3D are those that its authors gave after they moved it in 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

_GITHUB = "https://github.com/google-deepmind/dsprites-dataset/raw/master/"
_RAW = "https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master/"
_DSPRITES = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
_MPI3D = "https://storage.googleapis.com/mpi3d_disentanglement_dataset/data/"
_NORB = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"


@dataclass(frozen=True)
class Source:
    """A file: its name on the disk, its addresses, its checksum and its size.

    Attributes
    ----------
    name : str
        Name of the file in the folder of its data set.
    urls : tuple of str
        Addresses, tried in turn; empty if the file is not served at any.
    checksum : str
        Algorithm and hexadecimal digest, as ``"sha256:..."``.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str


def _norb(part: str, kind: str, digest: str) -> Source:
    name = f"smallnorb-{part}-{kind}.mat.gz"
    return Source(name, (_NORB + name,), f"sha256:{digest}")


_TRAINING, _TESTING = (
    "5x46789x9x18x6x2x96x96-training",
    "5x01235x9x18x6x2x96x96-testing",
)

SOURCES = {
    "dsprites": (
        Source(
            _DSPRITES,
            (_GITHUB + _DSPRITES, _RAW + _DSPRITES),
            "sha256:857dc001287e8efa226e0025fac6b29e5745c621b380b0d3363e4e33f4e28fa2",
        ),
    ),
    "shapes3d": (
        Source(
            "3dshapes.h5",
            ("https://storage.googleapis.com/3d-shapes/3dshapes.h5",),
            "sha256:0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
        ),
    ),
    "mpi3d_toy": (
        Source(
            "mpi3d_toy.npz",
            (_MPI3D + "mpi3d_toy.npz",),
            "md5:55889cb7c7dfc655d6e0277beee88868",
        ),
    ),
    "mpi3d_realistic": (
        Source(
            "mpi3d_realistic.npz",
            (_MPI3D + "mpi3d_realistic.npz",),
            "md5:59a6225b88b635365f70c91b3e52f70f",
        ),
    ),
    "mpi3d_real": (
        Source(
            "mpi3d_real.npz",
            (_MPI3D + "real.npz",),
            "md5:0f33f609918fb5c97996692f91129802",
        ),
    ),
    "mpi3d_real_complex": (),
    "cars3d": (
        Source(
            "nips2015-analogy-data.tar.gz",
            ("http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",),
            "md5:4e866a7919c1beedf53964e6f7a23686",
        ),
    ),
    "smallnorb_train": (
        _norb(
            _TRAINING,
            "dat",
            "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873",
        ),
        _norb(
            _TRAINING,
            "cat",
            "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa",
        ),
        _norb(
            _TRAINING,
            "info",
            "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32",
        ),
    ),
    "smallnorb_test": (
        _norb(
            _TESTING,
            "dat",
            "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474",
        ),
        _norb(
            _TESTING,
            "cat",
            "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff",
        ),
        _norb(
            _TESTING,
            "info",
            "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2",
        ),
    ),
}
"""Files of each data set, by name."""

HOMEPAGES = {
    "dsprites": "https://github.com/google-deepmind/dsprites-dataset",
    "shapes3d": "https://github.com/google-deepmind/3d-shapes",
    "mpi3d": "https://github.com/rr-learning/disentanglement_dataset",
    "cars3d": "https://papers.nips.cc/paper/5845-deep-visual-analogy-making",
    "smallnorb": "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/",
}
"""Pages that describe the data sets."""

"""Estimators from the files that their ``save`` wrote."""

from __future__ import annotations

import os

from . import estimators
from .files import INCONSISTENT, ModelFileError, Reader, read_document
from .model_selection import SeedEnsemble

FAMILY = {
    name: member
    for name, member in vars(estimators).items()
    if name in estimators.__all__ and name.endswith("Transformer")
}
CLASSES = {
    name: member for name, member in FAMILY.items() if not name.startswith("Base")
} | {"SeedEnsemble": SeedEnsemble}
"""Classes that a file can name."""


def load(path, *, mmap=False, network=None, cls=None):
    """Load an estimator from a file that its ``save`` wrote.

    Nothing in the file is executed, and nothing is imported by a name in it, so that
    files from strangers can be opened. Sizes, shapes, types and finiteness are checked
    against the header before they are used. What the file describes is not checked: a
    model by somebody else may be wrong on purpose.

    Parameters
    ----------
    path : str or path-like
        The file.
    mmap : bool, default=False
        Whether arrays are mapped into memory and read-only: processes that load one
        file then share its memory.
    network : callable, default=None
        Function (n_features, n_components) -> (encoder, decoder), for a model of
        modules of your own: the file holds their weights and the function's name.
    cls : type, default=None
        Class of the estimator, where it is your own subclass; its name must be the
        file's.

    Returns
    -------
    estimator : estimator
        The fitted estimator, with the same output, bit for bit, as the one that was
        saved.

    Raises
    ------
    ModelFileError
        If the file is not a model file, is damaged, was written by a later version, or
        needs `network` or `cls`. A subclass of ValueError.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import skfactorvae
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = skfactorvae.BetaVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> path = Path(tempfile.mkdtemp()) / "peaks.safetensors"
    >>> loaded = skfactorvae.load(vae.save(path) and path)
    >>> np.array_equal(loaded.transform(X), vae.transform(X))
    True
    """
    document = read_document(path, mmap=mmap)
    classes = CLASSES if cls is None else CLASSES | {cls.__name__: cls}
    if cls is not None and cls.__name__ != document.class_name:
        raise ModelFileError(
            f"{os.fspath(path)!r} holds a {document.class_name[:60]}, not a "
            f"{cls.__name__}. Pass the class that was saved, or load without cls."
        )
    reader = Reader(path, document.arrays, function=network, classes=classes)
    try:
        estimator = reader.estimator(document.node, "")
    except ModelFileError:
        raise
    except INCONSISTENT as error:
        reader.refuse(f"its parts do not fit each other ({str(error)[:200]}).")
    if left := sorted(document.arrays.keys() - reader.used):
        reader.refuse(f"nothing refers to its array {left[0][:60]!r}.")
    return estimator

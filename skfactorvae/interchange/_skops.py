"""Files of skops that contain estimators of this package."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .._loading import CLASSES
from ..files import ModelFileError
from ._libraries import import_library


def load_skops(path, *, trusted=()):
    """Load a skops file that needs no trust but in the classes of this package.

    skops builds objects of scikit-learn, numpy and scipy, and asks which other types
    are trusted. Those of this package are; any other type that the file wants is named,
    and the file is refused.

    Parameters
    ----------
    path : str or path-like
        File that ``skops.io.dump`` wrote.
    trusted : iterable of str, default=()
        Names of other types that you have read and trust.

    Returns
    -------
    estimator : object
        The estimator, or the pipeline, in the file.

    Raises
    ------
    ImportError
        If skops is not installed.
    ModelFileError
        If the file wants other types. A subclass of ValueError.

    Examples
    --------
    >>> from skfactorvae.interchange import load_skops
    >>> pipeline = load_skops("pipeline.skops")  # doctest: +SKIP
    """
    io = import_library("skops.io", "load_skops()", "skops")
    ours = _names_of_classes()
    wanted = io.get_untrusted_types(file=path)
    if others := sorted(set(wanted) - ours - set(_strings(trusted))):
        raise ModelFileError(
            f"{os.fspath(path)!r} wants types that are not of skfactorvae: "
            f"{', '.join(others)}. Loading calls their code: read it, and pass the "
            "names that you trust as load_skops(path, trusted=[...]); else do not load."
        )
    return io.load(path, trusted=wanted)


def _names_of_classes() -> set[str]:
    """Return the names under which skops stores the classes of this package."""
    return {f"{cls.__module__}.{cls.__qualname__}" for cls in CLASSES.values()}


def _strings(names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"trusted must be a list of names; got the string {names!r}.")
    return list(names)

"""Libraries of other formats, which are imported when one is written or read."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_library(name: str, caller: str, extra: str) -> Any:
    """Import a module, or raise an error with advice.

    Parameters
    ----------
    name : str
        Module of another library.
    caller : str
        What needs it, as the user wrote it.
    extra : str
        Extra of this package that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        library = name.partition(".")[0]
        raise ImportError(
            f"{caller} needs {library}: pip install 'skfactorvae[{extra}]'. ({error})"
        ) from error

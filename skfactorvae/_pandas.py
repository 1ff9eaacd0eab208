"""DataFrames as results. pandas is imported when one is made."""

from __future__ import annotations

from typing import Any


def import_pandas(caller: str, instead: str) -> Any:
    """Import pandas, or raise an error with advice.

    Parameters
    ----------
    caller : str
        What needs it, as the user wrote it.
    instead : str
        Sentence on where the same numbers are without it.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"{caller} needs pandas: pip install pandas. {instead}"
        ) from error
    return pd

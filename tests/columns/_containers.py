"""Columns of levels of every type, from a list of text and None."""

import pandas as pd
import polars as pl

CONTAINERS = {
    "category": lambda v: pd.Series(v, dtype="category"),
    "text": lambda v: pd.Series(v, dtype="str"),
    "objects": lambda v: pd.Series(v, dtype=object),
    "enum": lambda v: pl.Series(v, dtype=pl.Enum(sorted(set(v) - {None}))),
    "categories of polars": lambda v: pl.Series(v, dtype=pl.Categorical),
    "text of polars": lambda v: pl.Series(v, dtype=pl.String),
}

"""The outer layers of networks of columns of several types, as plain values.

Axes: ``q`` features, in the order of the decoder's outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..columns import TableEncoding
from ..core import Link


def table_layer(table: TableEncoding) -> dict[str, Any]:
    """Return the layer that turns a row of a table into features.

    Parameters
    ----------
    table : TableEncoding
    """
    described = [
        {
            "name": column.name,
            "likelihood": column.likelihood,
            "first": first,
            "size": column.width,
            "levels": [str(level) for level in column.levels.tolist()],
            "level_of": column.level_of.tolist(),
            "declared": [str(level) for level in column.declared.tolist()],
            "zero": column.zero,
        }
        for column, first in zip(table.columns, table.firsts, strict=True)
    ]
    return {"kind": "table", "activation": None, "columns": described}


def number_layer(
    table: TableEncoding, links: Sequence[Link], mean: np.ndarray, scale: np.ndarray
) -> dict[str, Any]:
    """Return the layer that turns outputs into the numbers of a table.

    Parameters
    ----------
    table : TableEncoding
    links : sequence of Link
        How outputs become expectations, by adjacent blocks of features.
    mean, scale : ndarray of shape (q,)
        Offset and scale of the standardised features.
    """
    a, m, s, bound = (
        np.concatenate([part(link) for link in links])
        for part in (
            lambda link: link.scale[0].numpy(),
            lambda link: link.mean[0].numpy(),
            lambda link: link.shift[0].numpy(),
            lambda link: np.full(link.scale.shape[1], link.bound),
        )
    )
    functions = [(link.function, size) for link in links for size in link.sizes]
    is_number = np.repeat(
        [function == "identity" for function, _ in functions],
        [size for _, size in functions],
    )
    is_log = np.isin(np.arange(len(a)), table.log_features)
    functions = [
        ("exp" if is_log[start] else function, size)
        for (function, size), start in zip(functions, _starts(functions), strict=True)
    ]
    thresholds = [t.thresholds[0].numpy() for t in links if t.thresholds is not None]
    return {
        "kind": "numbers",
        "activation": None,
        "functions": functions,
        "scale": np.where(is_number, scale, a),
        "mean": np.where(is_number, np.nan_to_num(mean), m),
        "bound": bound,
        "shift": s,
        "thresholds": np.vstack(thresholds) if thresholds else np.zeros((0, 1)),
        "order": table.order.tolist(),
        "levels": table.number_levels,
    }


def _starts(functions: Sequence[tuple[str, int]]) -> list[int]:
    """Return the first feature of each column."""
    sizes = [size for _, size in functions]
    return np.cumsum([0, *sizes[:-1]]).tolist()

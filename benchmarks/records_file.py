"""Records of a benchmark in a file of ``results``, and as a markdown table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def load(path: Path) -> list[dict[str, str]]:
    """Return the stored records."""
    with path.open() as file:
        return list(csv.DictReader(file))


def store(path: Path, columns: Sequence[str], records: Iterable[Mapping]) -> None:
    """Write records in place of those that are stored."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)


def show(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
    """Print records as a markdown table; missing values stay empty."""
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for record in records:
        cells = (record.get(column) for column in columns)
        print("| " + " | ".join("" if c is None else str(c) for c in cells) + " |")

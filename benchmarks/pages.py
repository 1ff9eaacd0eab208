"""Write measured results between marks on a page of the documentation."""

from __future__ import annotations

from pathlib import Path

EVIDENCE = Path(__file__).parents[1] / "docs" / "evidence"


def write_block(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- begin name -->`` and ``<!-- end name -->``.

    Parameters
    ----------
    page : Path
    name : str
    text : str
        Markdown.

    Raises
    ------
    ValueError
        If the page has no such marks.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    content = page.read_text("utf-8")
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no marks {begin} and {end}.")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")

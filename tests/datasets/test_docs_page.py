"""What the page on data sets says is true: its code runs, its tables are complete."""

import re
from pathlib import Path

import pytest

from skfactorvae import datasets

PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text("utf-8")


def test_every_code_block_of_the_page_runs_in_order():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) > 5
    namespace = {}
    for block in blocks:
        exec(block, namespace)


@pytest.mark.parametrize("name", [n for n in datasets.__all__ if n[:5] == "make_"])
def test_the_table_lists_every_maker_with_its_factors(name):
    row = re.search(rf"^\| `{name}` \|[^|]*\|([^|]*)\|", PAGE, re.M)
    table = getattr(datasets, name)(2, return_bunch=True, random_state=0)
    first, last = table.factor_names[0], table.factor_names[-1]
    assert first in row[1]
    assert last in row[1]

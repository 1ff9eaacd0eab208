"""The documentation page on inspection mentions every public name."""

from pathlib import Path

import pytest

from skfactorvae import inspection

PAGE = (Path(__file__).parents[2] / "docs" / "inspection.md").read_text("utf-8")


@pytest.mark.parametrize("name", inspection.__all__)
def test_every_public_name_is_on_the_page(name):
    assert f"`{name}" in PAGE or f"import {name}" in PAGE or f" {name}\n" in PAGE

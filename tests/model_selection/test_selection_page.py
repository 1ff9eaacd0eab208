"""The documentation of model selection is complete, and its examples run."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

from skfactorvae import model_selection
from skfactorvae.model_selection._select import RULES

PAGE = Path(__file__).parents[2] / "docs" / "selection.md"
MODULES = sorted(m.name for m in pkgutil.iter_modules(model_selection.__path__))
RESULTS = {"GammaPath", "GammaSelection", "LatentReport", "explained_rows"}


def test_the_page_names_every_tool_and_rule():
    text = PAGE.read_text(encoding="utf-8")
    tools = set(model_selection.__all__) - RESULTS
    assert {name for name in {*tools, *RULES} if name not in text} == set()


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.slow
def test_the_examples_of_a_module_run(name):
    module = importlib.import_module(f"skfactorvae.model_selection.{name}")
    assert doctest.testmod(module).failed == 0


def test_all_is_sorted():
    assert list(model_selection.__all__) == sorted(model_selection.__all__)

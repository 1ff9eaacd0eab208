"""The user guide runs, and so do the examples of every docstring."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from skfactorvae import metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
MODULES = sorted(module.name for module in pkgutil.iter_modules(metrics.__path__))


def test_every_code_block_of_the_page_runs_in_order(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 4
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert "{'n_components': 3}" in capsys.readouterr().out


def test_the_page_names_every_score():
    text = PAGE.read_text(encoding="utf-8")
    parts = {"dci_disentanglement_score", "dci_completeness_score"}
    parts |= {"dci_informativeness_score"}
    scores = {name for name in metrics.__all__ if name.endswith(("_score", "_scores"))}
    assert {name for name in scores - parts if name not in text} == set()


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    module = importlib.import_module(f"skfactorvae.metrics.{name}")
    assert doctest.testmod(module).failed == 0


def test_all_is_sorted_and_complete():
    assert list(metrics.__all__) == sorted(metrics.__all__)
    assert all(hasattr(metrics, name) for name in metrics.__all__)

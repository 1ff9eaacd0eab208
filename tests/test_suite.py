"""Rules for the tests themselves: each asserts something, and each is in a tier."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def own_nodes(function):
    """Yield the nodes of a function, without those of functions defined inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, FUNCTION):
            yield child
            yield from own_nodes(child)


def is_assertion(node):
    """Return whether a node is an assert, a pytest.raises, or a call that asserts."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        return "assert" in name or name in ("pytest.raises", "pytest.warns")
    return isinstance(node, ast.Assert)


def returns_early(function):
    """Return the lines of returns that come before the last assertion of a function."""
    nodes = list(own_nodes(function))
    last = max((n.lineno for n in nodes if is_assertion(n)), default=function.lineno)
    returns = (n.lineno for n in nodes if isinstance(n, ast.Return))
    return [line for line in returns if line < last]


def skips(function):
    """Return the lines in which a test skips itself.

    What a machine lacks is a mark (``skipif``) or a fixture; a case that does not exist
    is not parametrised.
    """
    return [
        node.lineno
        for node in own_nodes(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.skip"
    ]


def test_functions():
    """Return each test function with the file it is in."""
    return [
        (path.relative_to(TESTS), node)
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


test_functions.__test__ = False


@pytest.mark.parametrize("rule", [returns_early, skips])
def test_no_test_passes_or_is_skipped_before_its_last_assertion(rule):
    found = [
        f"{path}, line {line}: {function.name}"
        for path, function in test_functions()
        for line in rule(function)
    ]
    assert not found, "\n".join(found)


EXAMPLE = """
def test_returns(a):
    if a:
        return
    assert a

def test_ends(a):
    def build():
        return 3
    assert build()
    return

def test_skips():
    pytest.skip("not here")
"""


def test_an_early_return_and_a_skip_are_found():
    first, second, third = ast.parse(EXAMPLE).body
    assert returns_early(first) == [4]
    assert not returns_early(second)
    assert not skips(second)
    assert skips(third) == [14]


def collected(*options):
    """Return the tests that pytest collects in two files of several tiers."""
    files = (TESTS / "preparation", TESTS / "estimators/test_persistence.py")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *options]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
        cwd=TESTS.parent,
    )
    return {line for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.slow
def test_the_tiers_quick_and_rest_hold_every_test():
    quick, rest, everything = (
        collected("--tier", tier) for tier in ("quick", "rest", "all")
    )
    assert quick
    assert rest
    assert quick | rest == everything
    assert {test.split("::")[-2] for test in quick & rest} == {
        "TestCanonicalRows",
        "TestColumnMoments",
        "TestSplitGroups",
        "TestSplits",
        "TestTrimmedMean",
    }  # property tests, which rest runs with more examples
    assert collected("--tier", "quick", "--members", "all") > quick

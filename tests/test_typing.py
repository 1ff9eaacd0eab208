"""A user's calls pass a type checker, and a user's mistakes do not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typing"


def lines_with_errors(text):
    """Return the lines of each file in which mypy finds an error."""
    found = {}
    for name, line in re.findall(r"^(\S+\.py):(\d+): error:", text, re.M):
        found.setdefault(Path(name).name, set()).add(int(line))
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What mypy prints for the calls, and for the mistakes; checked together."""
    files = [HERE / "user_calls.py", HERE / "wrong_calls.py"]
    options = ["--config-file", HERE / "mypy.ini"]
    options += ["--cache-dir", tmp_path_factory.mktemp("mypy")]
    command = [sys.executable, "-m", "mypy", *options, *files]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_calls_of_a_user_have_no_type_errors(report):
    assert "user_calls.py" not in lines_with_errors(report), report


@pytest.mark.slow
def test_mistakes_of_a_user_are_type_errors(report):
    lines = (HERE / "wrong_calls.py").read_text("utf-8").splitlines()
    expected = {i for i, line in enumerate(lines, 1) if "# error" in line}
    assert len(expected) >= 10
    assert lines_with_errors(report)["wrong_calls.py"] == expected, report

"""Programs whose process is killed, or cannot write, go on to the same end.

Processes are forked from one that has imported everything: ``_killed_program.py``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("_killed_program.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forked processes"),
]


def ends_of(name, folder, kind, number, *limit):
    """Return the exit codes of attempts that failed, and how many reached the end."""
    command = [sys.executable, PROGRAM, name, folder, kind, str(number), *limit]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["codes"], done.stderr


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("fit", 18),
        ("early_stopping", 6),
        ("supervised", 6),
        ("search", 10),
        ("ensemble", 10),
    ],
)
def test_a_program_that_is_killed_at_random_moments(name, number, tmp_path):
    """Fifty times altogether."""
    codes, _ = ends_of(name, tmp_path, "SIGKILL", number)
    assert codes == [-9] * number


@pytest.mark.parametrize(("kind", "code"), [("SIGTERM", -15), ("SIGINT", 3)])
def test_a_program_that_is_terminated_or_interrupted(kind, code, tmp_path):
    codes, _ = ends_of("supervised", tmp_path, kind, 3)
    assert codes == [code] * 3


def test_a_system_that_refuses_to_enlarge_files(tmp_path):
    codes, errors = ends_of("supervised", tmp_path, "SIGKILL", 1, "5000")
    assert codes == [4]
    assert "cannot be written after step 32 ([Errno 27] File too large)" in errors


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 1 MB, where one can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(full_disk):
    (full_disk / "filler").write_bytes(bytes(1_000_000))
    command = [sys.executable, "-c", FULL, str(full_disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "equal" in done.stdout


FULL = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
import _killed_program as killed
import skfactorvae
disk = Path(sys.argv[1])
expected = killed.supervised()
for attempt in range(2):
    try:
        with skfactorvae.checkpoints(disk / "run", every=0):
            found = killed.supervised()
    except skfactorvae.CheckpointError as error:
        assert attempt == 0 and "No space left" in str(error), error
        (disk / "filler").unlink()
assert found == expected
print("equal")
"""

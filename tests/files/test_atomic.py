"""A file is complete or absent: full disks, crashes, folders without permission."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from skfactorvae.files import write_atomically

OLD, NEW = b"the old content", [b"the ", bytearray(b"new "), memoryview(b"content")]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(OLD)
    return path


def assert_unchanged(path):
    assert path.read_bytes() == OLD
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_parts_replace_an_older_file(path):
    write_atomically(path, NEW)
    assert path.read_bytes() == b"the new content"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_relative_path_is_written_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("here", NEW)
    assert (tmp_path / "here").read_bytes() == b"the new content"


@pytest.mark.parametrize("call", ["replace", "fsync", "open", "chmod"])
def test_a_failing_call_leaves_the_old_file(path, monkeypatch, call):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, NEW)
    assert_unchanged(path)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O"), KeyboardInterrupt()])
def test_an_error_between_two_parts_leaves_the_old_file(path, error):
    def parts():
        yield NEW[0]
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, parts())
    assert_unchanged(path)


FULL = """
import resource, signal, sys
from skfactorvae.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(sys.argv[1], [bytes(3000), bytes(3000)])
except OSError as error:
    sys.exit(f"refused: {error}")
"""

KILLED = """
import os, sys
from skfactorvae.files import write_atomically
def parts():
    yield bytes(100_000)
    os.kill(os.getpid(), 9)
write_atomically(sys.argv[1], parts())
"""


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_file_that_the_system_refuses_to_enlarge_leaves_the_old_one(path):
    done = run(FULL, path)
    assert "refused: " in done.stderr, done.stderr
    assert_unchanged(path)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_process_that_is_killed_leaves_the_old_file(path):
    done = run(KILLED, path)
    assert done.returncode == -9, done.stderr
    assert path.read_bytes() == OLD


def test_a_folder_without_permission_raises_the_error_of_the_system(path, monkeypatch):
    def refuse(name, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", name)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(PermissionError):
            write_atomically(path, NEW)
    assert_unchanged(path)


def test_a_missing_folder_raises_the_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "model", NEW)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_of_a_file_that_is_replaced_are_kept(path):
    path.chmod(0o600)
    write_atomically(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_symbolic_link_is_followed(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    write_atomically(link, NEW)
    assert link.is_symlink()
    assert path.read_bytes() == b"the new content"

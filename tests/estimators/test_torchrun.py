"""One fit by several processes: ``device="torchrun"`` equals a fit by one."""

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import _ranks_program as program
import numpy as np
import pytest
import torch

from skfactorvae import FactorVAETransformer
from skfactorvae.model_selection import batched_fits

PROGRAM = Path(program.__file__)

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="a torch without torch.distributed"
)


def environment(folder, **own):
    one = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "SCIPY_ARRAY_API": "1"}
    return os.environ | one | {"CHECKPOINTS": str(folder)} | own


def free_port():
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def results(folder, n_ranks=2):
    return [pickle.loads((folder / f"r{i}").read_bytes()) for i in range(n_ranks)]


def started(name, folder, n_ranks=2):
    """Run a program in processes without a launcher; return their ends and output."""
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    processes = [
        subprocess.Popen(
            [sys.executable, PROGRAM, name, "torchrun", folder / "r"],
            env=environment(folder, **places, RANK=str(rank), WORLD_SIZE=str(n_ranks)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n_ranks)
    ]
    outputs = [process.communicate(timeout=600) for process in processes]
    return [p.returncode for p in processes], outputs


def assert_near(found, expected, tolerance=1e-5):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_near(found[name], value, tolerance)
        else:
            np.testing.assert_allclose(found[name], value, tolerance, tolerance, True)


def assert_equal(found, expected):
    assert_near(found, expected, tolerance=0)


# ------------------------------------------------------------------ several processes
@pytest.mark.slow
def test_all_transformers_after_one_step_and_twenty(tmp_path):
    """Two processes of torchrun have the result of one, with 17 of 33 rows at most."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [sys.executable, *command, PROGRAM, "family", "torchrun", tmp_path / "r"],
        env=environment(tmp_path),
        check=True,
    )
    first, second = results(tmp_path)
    assert_equal(second, first)
    assert_near(first, program.fitted(program.family("cpu")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_networks_solvers_and_tables_of_several_kinds(tmp_path):
    codes, outputs = started("variants", tmp_path)
    assert codes == [0, 0], outputs
    first, second = results(tmp_path)
    assert_equal(second, first)
    assert_near(first, program.fitted(program.variants("cpu")))


@pytest.mark.slow
def test_the_first_process_alone_prints_and_warns(tmp_path):
    codes, [(printed, warned), others] = started("printing", tmp_path)
    assert codes == [0, 0]
    assert "step" in printed
    assert "without any observed value" in warned
    assert others == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part"), [("different", "X"), ("unseeded", "random_state")]
)
def test_processes_that_fit_different_things(name, part, tmp_path):
    codes, outputs = started(name, tmp_path)
    assert codes == [1, 1]
    for _, errors in outputs:
        assert "ValueError: Ranks 0 and 1 differ in " in errors
        assert part in errors.split("differ in ")[1].split(". ")[0]


@pytest.mark.slow
def test_an_error_in_one_process_ends_the_others(tmp_path):
    codes, [(_, first), (_, second)] = started("failing", tmp_path)
    assert codes == [1, 1]
    assert "infinity" in second
    assert "RuntimeError: Rank 0 of 2 lost the others" in first


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_fit_is_continued(tmp_path):
    """The second process is killed; the first one's checkpoint has the whole state."""
    codes, [(_, errors), _] = started("killed", tmp_path)
    assert codes == [1, -9]
    assert "RuntimeError: Rank 0 of 2 lost the others" in errors
    assert [path.name for path in (tmp_path / "0").glob("*.safetensors")]
    assert not list((tmp_path / "1").glob("*.safetensors"))
    codes, outputs = started("resumed", tmp_path)
    assert codes == [0, 0], outputs
    first, second = results(tmp_path)
    assert_equal(second, first)
    other = tmp_path / "uninterrupted"
    other.mkdir()
    assert started("resumed", other)[0] == [0, 0]
    assert_equal(first, results(other)[0])
    assert first["fit"]["n_iter_"] == 400


# ------------------------------------------------------------------------ one process
@pytest.fixture
def alone(monkeypatch):
    """Be the only process of a program that torchrun has started."""
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    for name, value in (places | {"RANK": "0", "WORLD_SIZE": "1"}).items():
        monkeypatch.setenv(name, value)


def test_one_process_is_a_fit_as_any_other(alone):
    """Two fits one after the other have groups of their own, which do not remain."""
    one = program.fitted({"fit": program.small(max_iter=5).fit(program.TABLE)})
    for _ in range(2):
        model = program.small(max_iter=5, device="torchrun").fit(program.TABLE)
        assert_equal(program.fitted({"fit": model}), one)
        assert not torch.distributed.is_initialized()


def test_a_program_without_torchrun():
    with pytest.raises(ValueError, match=r"RANK and WORLD_SIZE are not in"):
        program.small(device="torchrun").fit(program.TABLE)


def test_a_fitted_model_needs_no_other_process(alone, monkeypatch):
    model = program.small(device="torchrun").fit(program.TABLE)
    codes = model.transform(program.TABLE)
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name)
    np.testing.assert_array_equal(model.transform(program.TABLE), codes)


def test_torchrun_beside_other_devices():
    with pytest.raises(ValueError, match="beside others"):
        program.small(device=["torchrun", "cpu"]).fit(program.TABLE)


def test_fits_that_are_trained_at_once(alone):
    from sklearn.model_selection import cross_val_score

    model = program.small(device="torchrun")
    with batched_fits(), pytest.raises(ValueError, match="several that are trained"):
        cross_val_score(model, program.TABLE, cv=2, error_score="raise")


def test_a_stream(alone):
    model = FactorVAETransformer(2, device="torchrun", random_state=0)
    with pytest.raises(ValueError, match=r"partial_fit does not support device='torc"):
        model.partial_fit(program.TABLE)

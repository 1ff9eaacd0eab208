"""Model files that are changed at random are refused, or loaded right."""

import numpy as np
import pytest
from fuzz_files import (
    CHANGES,
    FIRST_CHECKPOINT,
    expected,
    fault_of,
    files,
    loaders,
    make_case,
    run_case,
)

import skfactorvae
from skfactorvae.files import ModelFileError

QUICK, SLOW = 6 * len(CHANGES), 50 * len(CHANGES)


def faults(numbers, folder):
    found = {number: run_case(number, str(folder))[2] for number in numbers}
    return {number: some for number, some in found.items() if some}


def test_changed_files_are_refused_or_loaded_right(tmp_path):
    assert faults(range(QUICK), tmp_path) == {}


@pytest.mark.slow
def test_many_changed_files_are_refused_or_loaded_right(tmp_path):
    assert faults(range(100_000, 100_000 + SLOW), tmp_path) == {}


def test_changed_checkpoints_are_refused_or_continued_right(tmp_path):
    first = FIRST_CHECKPOINT + 10_000
    assert faults(range(first, first + len(CHANGES)), tmp_path) == {}


@pytest.mark.slow
def test_many_changed_checkpoints_are_refused_or_continued_right(tmp_path):
    first = FIRST_CHECKPOINT + 20_000
    assert faults(range(first, first + 40 * len(CHANGES)), tmp_path) == {}


def test_a_linear_path_that_is_a_text_is_refused(tmp_path):
    """A case that was found at random: the runtime does not need the value."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(make_case(20_894)[2])
    with pytest.raises(ModelFileError, match="linear_path"):
        skfactorvae.load(path)
    assert run_case(20_894, str(tmp_path))[2] == []


def test_a_case_is_determined_by_its_number():
    assert make_case(11) == make_case(11)
    assert {make_case(number)[1] for number in range(len(CHANGES))} == set(CHANGES)


def test_unchanged_files_are_loaded_and_are_no_fault():
    for name in files():
        assert expected(name, "load") is not None
        assert (expected(name, "runtime") is None) == (name in ("own", "ensemble"))


class Wrong:
    """A model whose output is wrong."""

    feature_names_in_ = None

    def __init__(self, error=None):
        self.error = error

    def transform(self, X):
        if self.error is not None:
            raise self.error
        return np.zeros((len(X), 1))

    def inverse_transform(self, codes):
        return codes


def test_wrong_output_and_other_errors_are_faults():
    reference = expected("FactorVAETransformer", "load")
    assert "other output" in fault_of(Wrong(), reference)
    assert "TypeError: x" in fault_of(Wrong(TypeError("x")), reference)
    assert "raises" in fault_of(Wrong(ValueError("x")), reference)
    assert fault_of(Wrong(ValueError("x")), None) is None
    assert "IndexError" in fault_of(Wrong(IndexError("x")), None)


def test_errors_of_loading_other_than_ours_are_faults(monkeypatch, tmp_path):
    def fail(path):
        raise KeyError("weights")

    known = loaders()
    monkeypatch.setattr("fuzz_files.loaders", lambda _: {**known, "load": fail})
    _, _, found = run_case(0, str(tmp_path))
    assert found == ["load: KeyError: 'weights'"]

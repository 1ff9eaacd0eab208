"""The benchmark of later use keeps working, and its page quotes what is stored."""

import re
from pathlib import Path

import downstream
import numpy as np
import pytest

from skfactorvae import FactorVAETransformer, datasets

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")


@pytest.mark.slow
def test_a_table_is_measured_and_printed(monkeypatch, tmp_path, capsys):
    def short(*args, **options):
        return FactorVAETransformer(3, max_iter=20, random_state=0)

    def few():
        X, factors = datasets.make_gaussian_peaks(200, random_state=0)
        return X, {"position": factors[:, 0], "width": factors[:, 1]}

    monkeypatch.setattr(downstream, "FactorVAETransformer", short)
    monkeypatch.setattr(downstream, "STORED", tmp_path / "stored.csv")
    monkeypatch.setattr(downstream, "N_REPEATS", 2)
    monkeypatch.setitem(downstream.TABLES, "peaks", few)
    downstream.add(downstream.measure("peaks", 0))
    records = downstream.read()
    assert {r["representation"] for r in records} == {*downstream.KINDS, "null"}
    downstream.print_labels(records)
    downstream.print_shifts(records)
    printed = capsys.readouterr().out
    assert printed.count("| peaks |") == 2 * 2 + 2 * len(downstream.KINDS)


@pytest.mark.slow
def test_the_page_has_the_stored_numbers(capsys):
    records = downstream.read()
    downstream.print_labels(records)
    downstream.print_shifts(records)
    printed = capsys.readouterr().out.splitlines()
    quoted = re.findall(r"^\| \w+ \| (?:linear|kernel) \|.*\|$", PAGE, re.M)
    assert len(quoted) > 40
    assert set(quoted) <= set(printed)


def test_every_stored_score_is_a_number_of_a_known_table():
    records = downstream.read()
    assert {r["table"] for r in records} == set(downstream.TABLES)
    assert np.isfinite([float(r["score"]) for r in records]).all()

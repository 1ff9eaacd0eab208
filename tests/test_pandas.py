"""Methods that return DataFrames say what to do where pandas is missing."""

import sys

import numpy as np
import pytest

from skfactorvae._pandas import import_pandas
from skfactorvae.identification import condition_effects


def test_pandas_is_imported():
    import pandas

    assert import_pandas("to_frame()", "Read the arrays.") is pandas


def test_what_needs_pandas_is_named_with_a_way_without_it(monkeypatch):
    Z = np.random.default_rng(0).normal(size=(60, 2))
    effects = condition_effects(Z, np.arange(60) % 2)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ImportError,
        match=r"^to_frame\(\) needs pandas: pip install pandas\. The arrays",
    ):
        effects.to_frame()

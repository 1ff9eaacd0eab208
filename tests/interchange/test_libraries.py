"""Libraries of other formats that are not installed."""

import sys

import numpy as np
import pytest

from skfactorvae import BetaVAETransformer
from skfactorvae.interchange import load_skops, register_onnx_converters, to_onnx


def export(_):
    X = np.random.RandomState(0).normal(size=(40, 4))
    to_onnx(BetaVAETransformer(2, hidden_layer_sizes=4, max_iter=3).fit(X))


@pytest.mark.parametrize(
    ("library", "call", "extra"),
    [
        ("onnx", export, r"to_onnx\(\) needs onnx: .*skfactorvae\[onnx\]"),
        ("skl2onnx", lambda _: register_onnx_converters(), r"skl2onnx: .*\[onnx\]"),
        ("skops.io", lambda path: load_skops(path / "x.skops"), r"skops: .*\[skops\]"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_the_command(
    library, call, extra, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=extra):
        call(tmp_path)

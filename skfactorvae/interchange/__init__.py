"""Fitted models in the formats of other programs: ONNX and skops.

:func:`to_onnx` writes a model as an ONNX graph; :func:`register_onnx_converters` lets
skl2onnx convert pipelines that contain one; :func:`load_skops` loads files of skops and
names what in them is not this package's. Each needs the library that it is named for.
"""

from ._onnx import to_onnx
from ._skl2onnx import register_onnx_converters
from ._skops import load_skops

__all__ = ["load_skops", "register_onnx_converters", "to_onnx"]

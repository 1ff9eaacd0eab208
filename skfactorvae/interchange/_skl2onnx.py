"""Converters for skl2onnx, so that whole pipelines become ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._loading import FAMILY
from ._graph import Exporter, Graph
from ._libraries import import_library
from ._onnx import runtime_model

CONVERTED = {name: cls for name, cls in FAMILY.items() if not name.startswith("Base")}


def register_onnx_converters():
    """Register the estimators of this package with skl2onnx.

    ``skl2onnx.to_onnx`` then converts pipelines that contain one, such as
    ``make_pipeline(StandardScaler(), FactorVAETransformer(), LogisticRegression())``.
    Nothing is registered before the first call; further calls have no effect.

    Returns
    -------
    names : list of str
        Names of the classes that are registered.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from skfactorvae.interchange import register_onnx_converters
    >>> names = register_onnx_converters()  # doctest: +SKIP
    """
    skl2onnx = import_library("skl2onnx", "register_onnx_converters()", "onnx")
    for name, cls in CONVERTED.items():
        alias = f"Skfactorvae{name}"
        skl2onnx.update_registered_converter(cls, alias, _set_shape, _convert)
    return sorted(CONVERTED)


def _set_shape(operator) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    width = runtime_model(operator.raw_operator).n_kept
    operator.outputs[0].type = FloatTensorType([None, width])


def _convert(scope, operator, container) -> None:
    graph = _ContainerGraph(scope, container)
    model = runtime_model(operator.raw_operator)
    codes = Exporter(model, graph).transform(operator.inputs[0].full_name)
    graph.rename(codes, operator.outputs[0].full_name)


class _ContainerGraph(Graph):
    """The graph of a pipeline that skl2onnx builds."""

    def __init__(self, scope, container):
        self.scope, self.container = scope, container

    def constant(self, array: np.ndarray) -> str:
        from onnx.helper import np_dtype_to_tensor_dtype

        name = self.scope.get_unique_variable_name("constant")
        kind = np_dtype_to_tensor_dtype(array.dtype)
        self.container.add_initializer(name, kind, array.shape, array.reshape(-1))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = self.scope.get_unique_variable_name(kind.lower())
        self._add(kind, list(inputs), output, attributes)
        return output

    def rename(self, source: str, target: str) -> None:
        """Add a node that gives a result its final name."""
        self._add("Identity", [source], target, {})

    def _add(self, kind: str, inputs: list[str], output: str, attributes: dict) -> None:
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, inputs, [output], name=name, **attributes)

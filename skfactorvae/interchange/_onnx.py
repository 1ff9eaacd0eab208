"""A fitted model as an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..persistence import Savable, document_of
from ..runtime import RuntimeModel
from ._graph import OPSET, Exporter, Graph
from ._libraries import import_library

METHODS = {
    "transform": ("X", ("codes",)),
    "inverse_transform": ("codes", ("X_original",)),
    "posterior": ("X", ("mean", "std")),
}
"""Names of the input and of the outputs of each method."""

IR_VERSION = 8
"""Version of ONNX's file format that belongs to the operators."""


def to_onnx(estimator, method="transform"):
    """Convert a method of a fitted estimator to an ONNX model.

    The graph is built from the weights with ``onnx.helper``, for operators of version
    17; the number of samples is symbolic. Input has single precision, or double with
    ``precision="float64"``, and output single precision. For a whole pipeline, see
    :func:`register_onnx_converters`.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of this package.
    method : {"transform", "inverse_transform", "posterior"}, default="transform"
        What the graph computes: codes (``codes``), samples (``X_original``), or mean
        and standard deviation of the posterior (``mean``, ``std``). With
        ``keep="active"``, the graph of ``"inverse_transform"`` takes the columns that
        ``"transform"`` returns, and the other components are zero.

    Returns
    -------
    model : onnx.ModelProto
        Model for ``onnx.save`` or ``onnxruntime.InferenceSession``.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If the estimator is not one of this package.
    ValueError
        If the method is another one, or the networks are modules of your own.
    NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> from skfactorvae import BetaVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.interchange import to_onnx
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = BetaVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> model = to_onnx(vae)  # doctest: +SKIP
    """
    if method not in METHODS:
        raise ValueError(
            f"method={method!r} cannot be converted to ONNX; expected one of "
            f"{', '.join(map(repr, METHODS))}."
        )
    model = runtime_model(estimator)
    source, outputs = METHODS[method]
    graph = _OnnxGraph()
    found = getattr(Exporter(model, graph), method)(source)
    found = (found,) if isinstance(found, str) else found
    widths = {"X": model.n_features, "X_original": model.n_features}
    width = model.n_codes if method == "posterior" else model.n_kept
    sizes = {name: widths.get(name, width) for name in (source, *outputs)}
    return graph.finished(
        method, source, dict(zip(outputs, found, strict=True)), sizes, model
    )


def runtime_model(estimator) -> RuntimeModel:
    """Return the model of a fitted estimator, computed by numpy.

    Parameters
    ----------
    estimator : estimator

    Raises
    ------
    TypeError
        If the estimator is not one of this package.
    ValueError
        If its networks are the user's own modules, or it was fitted to columns of
        several types.
    """
    if not isinstance(estimator, Savable):
        raise TypeError(
            f"A {type(estimator).__name__} is not an estimator of skfactorvae. Of a "
            "pipeline, call register_onnx_converters() and then skl2onnx.to_onnx."
        )
    network = getattr(estimator, "network", None)
    if network is None:
        raise TypeError(
            f"A {type(estimator).__name__} has no networks of its own. Pass its "
            "estimator_, or one of its estimators_."
        )
    if callable(network):
        raise ValueError(
            f"network={network!r} builds modules of your own, which have no "
            "description by layers. Export them with torch.onnx, or fit with "
            "network='mlp' or 'conv'."
        )
    model = RuntimeModel.from_document(document_of(estimator), type(estimator).__name__)
    if model.table is not None:
        raise ValueError(
            "An ONNX graph takes one array of numbers, but this model was fitted to "
            "columns of several types. Use skfactorvae.runtime, which needs numpy "
            "alone, or encode the columns before a model of numbers."
        )
    return model


class _OnnxGraph(Graph):
    """A graph of its own, of onnx's protocol buffers."""

    def __init__(self):
        self.onnx = import_library("onnx", "to_onnx()", "onnx")
        self.nodes, self.constants = [], []

    def constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        made = self.onnx.helper.make_node(kind, inputs, [name], name=name, **attributes)
        self.nodes.append(made)
        return name

    def finished(self, name, source, outputs, sizes, model):
        """Return the checked model, whose outputs have names of their own."""
        helper, tensor = self.onnx.helper, self.onnx.TensorProto
        for own, computed in outputs.items():
            self.nodes.append(helper.make_node("Identity", [computed], [own], name=own))
        wide = tensor.DOUBLE if model.dtype == np.float64 else tensor.FLOAT
        infos = [
            helper.make_tensor_value_info(
                n, wide if n == source else tensor.FLOAT, ["n_samples", sizes[n]]
            )
            for n in (source, *outputs)
        ]
        graph = helper.make_graph(
            self.nodes, name, infos[:1], infos[1:], initializer=self.constants
        )
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="skfactorvae",
        )
        self.onnx.checker.check_model(made)
        return made

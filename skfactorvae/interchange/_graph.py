"""ONNX graphs of encoders and decoders, from numpy weights.

The graph is built through two functions of a :class:`Graph`, so that the same code adds
nodes to a model of its own and to that of a pipeline.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..runtime import RuntimeModel

OPSET = 17
"""Version of ONNX's operators that the graphs need, at least."""

TYPES = {"float32": 1, "float64": 11}
"""Numbers of ONNX's types: TensorProto.FLOAT and TensorProto.DOUBLE."""

Layer = Mapping[str, Any]


class Graph(ABC):
    """A graph that nodes are added to."""

    @abstractmethod
    def constant(self, array: np.ndarray) -> str:
        """Add a constant; return its name."""

    @abstractmethod
    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""

    def cast(self, x: str, dtype: str) -> str:
        """Add the conversion to a type of numbers."""
        return self.node("Cast", x, to=TYPES[dtype])


class Exporter:
    """The operations of one model as nodes of a graph.

    Parameters
    ----------
    model : RuntimeModel
    graph : Graph
    """

    def __init__(self, model: RuntimeModel, graph: Graph):
        self.model, self.graph = model, graph
        self.network, self.dtype = model.network, model.dtype.name

    # ----------------------------------------------------------------------- methods
    def posterior(self, x: str) -> tuple[str, str]:
        """Add the moments of the posterior of samples; return their names."""
        if self.network.filling is not None:
            raise ValueError(
                "The encoder was fitted to incomplete samples, or with error_scale: it "
                "solves a system of equations for each sample, for which ONNX has no "
                "operator. Convert method='inverse_transform', use "
                "skfactorvae.runtime, or fit to complete samples without error_scale."
            )
        rows = self._standardized(x)
        hidden, heads = rows, self.network.heads
        shape: tuple[int, ...] = (self.model.n_features,)
        for layer in self.network.hidden_layers:
            hidden, shape = self._layer(layer, hidden, shape)
        hidden = self._flat(hidden, shape)
        mean, log_var = self._moments(heads[0], hidden)
        for layer in heads[1:]:
            if layer["kind"] == "linear":
                path = self.network.weight_of(layer)[:, self.model.n_hidden :]
                mean = self._add(mean, self._product(rows, path))
            else:
                mean, log_var = self._with_levels(layer, hidden, mean, log_var)
        rotation = self.network.rotation
        if rotation is not None:
            mean = self._product(mean, rotation)
            variance = self.graph.node("Exp", log_var)
            variance = self._product(variance, np.square(rotation))
            std = self.graph.node("Sqrt", variance)
        else:
            half = self._scalar(0.5)
            std = self.graph.node("Exp", self.graph.node("Mul", log_var, half))
        return self.graph.cast(mean, "float32"), self.graph.cast(std, "float32")

    def transform(self, x: str) -> str:
        """Add the codes of samples; return their name."""
        codes = self.posterior(x)[0]
        if self.model.kept is None:
            return codes
        kept = self.graph.constant(self.model.kept.astype(np.int64))
        return self.graph.node("Gather", codes, kept, axis=1)

    def inverse_transform(self, codes: str) -> str:
        """Add the expected samples of codes that are kept; return their name."""
        z = self._of_all_components(self.graph.cast(codes, self.dtype))
        if self.network.rotation is not None:
            z = self._product(z, self.network.rotation.T)
        x = z
        shape: tuple[int, ...] = (self.model.n_codes,)
        for i, layer in enumerate(self.network.decoder_layers):
            if layer["kind"] == "linear":
                path = self.network.weight_of(layer)[self.model.n_hidden :]
                x, shape = self._flat(x, shape), (path.shape[1],)
                x = self._add(x, self._product(z, path))
            else:
                x, shape = self._layer(layer, x, shape, 0 if i else self.model.n_hidden)
        x = self._flat(x, shape)
        if self.model.is_binary:
            x = self.graph.node("Sigmoid", x)
        x = self.graph.cast(x, "float64")
        x = self.graph.node("Mul", x, self._array(self.model.scale_, "float64"))
        x = self.graph.node("Add", x, self._array(self.model.mean_, "float64"))
        return self.graph.cast(x, "float32")

    def _of_all_components(self, codes: str) -> str:
        """Add zeros for the components that are left out of the codes."""
        kept = self.model.kept
        if kept is None:
            return codes
        sources = np.full(self.model.n_codes, len(kept))  # a column of zeros at the end
        sources[kept] = np.arange(len(kept))
        pads = self.graph.constant(np.array([0, 0, 0, 1], dtype=np.int64))
        padded = self.graph.node("Pad", codes, pads)
        indices = self.graph.constant(sources.astype(np.int64))
        return self.graph.node("Gather", padded, indices, axis=1)

    # ------------------------------------------------------------------------ layers
    def _standardized(self, x: str) -> str:
        x = self.graph.cast(x, "float64")
        if self.model.is_binary:
            bounds = (self._array(np.array(v), "float64") for v in (0.0, 1.0))
            x = self.graph.node("Clip", x, *bounds)
        x = self.graph.node("Sub", x, self._array(self.model.mean_, "float64"))
        x = self.graph.node("Div", x, self._array(self.model.scale_, "float64"))
        return self.graph.cast(x, self.dtype)

    def _layer(
        self, layer: Layer, x: str, shape: tuple[int, ...], n_skipped: int = 0
    ) -> tuple[str, tuple[int, ...]]:
        """Add a layer; return its output's name, and the shape of one sample in it.

        The first inputs of a dense layer can be left out, as if they were zero.
        """
        kind = layer["kind"]
        if kind == "reshape":
            return self._reshaped(x, layer["shape"]), tuple(layer["shape"])
        weight, bias = (
            self.network.weight_of(layer),
            self.network.bias_of(layer),
        )
        if kind == "dense":
            y = self._affine(self._flat(x, shape), weight[n_skipped:], bias)
            shape = (weight.shape[1],)
        else:
            y, shape = self._convolution(kind, layer, x, shape, weight, bias)
        return (self._activated(y) if layer.get("is_activated") else y), shape

    def _convolution(self, kind, layer, x, shape, weight, bias):
        arrays = (self._array(a, self.dtype) for a in (weight, bias))
        options = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        if kind == "conv":
            y = self.graph.node("Conv", x, *arrays, **options)
            return y, (len(weight), shape[1] // 2, shape[2] // 2)
        size = tuple(layer["size"])
        extra = [s - 2 * r for s, r in zip(size, shape[1:], strict=True)]
        y = self.graph.node(
            "ConvTranspose", x, *arrays, **options, output_padding=extra
        )
        return y, (weight.shape[1], *size)

    def _moments(self, layer: Layer, hidden: str) -> tuple[str, str]:
        kept = slice(self.model.n_hidden, None)
        weight = self.network.weight_of(layer)[:, :, kept]
        bias = self.network.bias_of(layer)[:, kept]
        mean, raw = (self._affine(hidden, weight[:, i], bias[i]) for i in range(2))
        if "log_var" in layer:
            zero = self.graph.node("Mul", raw, self._scalar(0.0))
            return mean, self.graph.node("Add", zero, self._scalar(layer["log_var"]))
        radius = self._scalar(layer["radius"])
        bounded = self.graph.node("Tanh", self.graph.node("Div", raw, radius))
        log_var = self.graph.node("Mul", bounded, radius)
        return mean, self.graph.node("Add", log_var, self._scalar(layer["centre"]))

    def _with_levels(self, layer, hidden, mean, log_var):
        """Add the probabilities of each category's levels, and their variances."""
        weight, bias = (
            self.network.weight_of(layer),
            self.network.bias_of(layer),
        )
        ends = np.cumsum(layer["levels"])
        parts = [slice(e - n, e) for e, n in zip(ends, layer["levels"], strict=True)]
        logits = [self._affine(hidden, weight[:, part], bias[part]) for part in parts]
        found = [self.graph.node("Softmax", part, axis=1) for part in logits]
        probabilities = self.graph.node("Concat", *found, axis=1)
        others = self.graph.node("Sub", self._scalar(1.0), probabilities)
        variance = self.graph.node("Mul", probabilities, others)
        variance = self.graph.node(
            "Max", variance, self._scalar(self.network.MIN_VARIANCE)
        )
        return (
            self.graph.node("Concat", mean, probabilities, axis=1),
            self.graph.node(
                "Concat", log_var, self.graph.node("Log", variance), axis=1
            ),
        )

    def _activated(self, x: str) -> str:
        name, node = self.network.activation, self.graph.node
        if name == "silu":
            return node("Mul", x, node("Sigmoid", x))
        if name == "gelu":
            erf = node("Erf", node("Mul", x, self._scalar(math.sqrt(0.5))))
            share = node("Mul", node("Add", erf, self._scalar(1.0)), self._scalar(0.5))
            return node("Mul", x, share)
        if name == "leaky_relu":
            return node("LeakyRelu", x, alpha=self.network.LEAK)
        return node({"relu": "Relu", "elu": "Elu", "tanh": "Tanh"}[name], x)

    # ------------------------------------------------------------------------- parts
    def _arrays_of(self, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        """Return the weight and the bias of a layer."""
        return self.network.weight_of(layer), self.network.bias_of(layer)

    def _weight(self, layer: Layer) -> np.ndarray:
        weight = self.network.weights[f"{layer['name']}.weight"]
        if "more_inputs" in layer:
            weight = np.concatenate(
                [weight, self.network.weights[layer["more_inputs"]]]
            )
        return weight

    def _flat(self, x: str, shape: tuple[int, ...]) -> str:
        return x if len(shape) == 1 else self._reshaped(x, [math.prod(shape)])

    def _reshaped(self, x: str, shape: Sequence[int]) -> str:
        target = self.graph.constant(np.array([-1, *shape], dtype=np.int64))
        return self.graph.node("Reshape", x, target)

    def _affine(self, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
        arrays = (self._array(a, self.dtype) for a in (weight, bias))
        return self.graph.node("Gemm", x, *arrays)

    def _product(self, x: str, weight: np.ndarray) -> str:
        return self.graph.node("MatMul", x, self._array(weight, self.dtype))

    def _add(self, x: str, y: str) -> str:
        return self.graph.node("Add", x, y)

    def _scalar(self, value: float) -> str:
        return self._array(np.array(value), self.dtype)

    def _array(self, array: np.ndarray, dtype: str) -> str:
        return self.graph.constant(
            np.ascontiguousarray(array, dtype).reshape(array.shape)
        )

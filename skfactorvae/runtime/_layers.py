"""Encoder and decoder from their description by layers, in numpy.

A description is a list of layers that name their weights, as a model file holds it.
Each kind of layer is a function of its input and of arrays, whose shapes are checked
when the model is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._functions import ACTIVATIONS, KERNEL, LEAK, conv, conv_transpose, softmax

Weights = Mapping[str, np.ndarray]
Layer = Mapping[str, Any]

FILL = ("mean", "loadings", "noise")
"""Parts of the factor analysis that replaces missing values."""

HEADS = ("moments", "linear", "levels")
"""Kinds of layers that follow the hidden layers of an encoder."""

ROTATION = "rotation"
"""Kind of the layer between latents and components: the encoder's last, and the
decoder's first."""


@dataclass(frozen=True)
class Network:
    """Encoder and decoder of a model.

    Attributes
    ----------
    encoder, decoder : list of dict
        Descriptions of layers.
    weights : mapping of str to ndarray
        All arrays, of one type.
    activation : str
        Name of the activation.
    """

    encoder: Sequence[Layer]
    decoder: Sequence[Layer]
    weights: Weights
    activation: str

    MIN_VARIANCE = 1e-6
    LEAK = LEAK

    @property
    def hidden_layers(self) -> Sequence[Layer]:
        """Layers of the encoder before the heads of the posterior."""
        outside = (*HEADS, ROTATION, "fill")
        return [layer for layer in self.encoder if layer["kind"] not in outside]

    @property
    def decoder_layers(self) -> Sequence[Layer]:
        """Layers of the decoder of latents."""
        return [layer for layer in self.decoder if layer["kind"] != ROTATION]

    @property
    def filling(self) -> Layer | None:
        """Layer that replaces missing values; None if the network takes none."""
        return self.encoder[0] if self.encoder[0]["kind"] == "fill" else None

    @property
    def heads(self) -> Sequence[Layer]:
        """Layers that give the posterior from the output of the hidden layers."""
        return [layer for layer in self.encoder if layer["kind"] in HEADS]

    @property
    def rotation(self) -> np.ndarray | None:
        """Orthogonal matrix from latents to components, (d, d); None without one."""
        last = self.encoder[-1]
        return self.weight_of(last) if last["kind"] == ROTATION else None

    def components_of(
        self, mean: np.ndarray, log_var: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the moments of components, given those of the latents."""
        if self.rotation is None:
            return mean, log_var
        variance = np.exp(log_var) @ np.square(self.rotation)
        return mean @ self.rotation, np.log(variance)

    def latents_of(self, codes: np.ndarray) -> np.ndarray:
        """Return the latents of the components' values."""
        return codes if self.rotation is None else codes @ self.rotation.T

    def encode(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return posterior mean and log-variance of each column of a latent code.

        Parameters
        ----------
        rows : ndarray of shape (n, p)
            Standardised samples; NaN where missing, if the network has a filling.
        """
        hidden, heads = rows, self.heads
        observed = ~np.isnan(rows)
        missing = (~observed).astype(rows.dtype)
        if self.filling is not None:
            hidden = rows = self.fill(rows)
            if self.filling["has_mask"]:
                hidden = np.concatenate([rows, missing], axis=1)
        for layer in self.hidden_layers:
            hidden = self._apply(layer, hidden, rows)
        hidden = hidden.reshape(len(rows), -1)
        mean, log_var = self._moments(heads[0], hidden, missing)
        for layer in heads[1:]:
            if layer["kind"] == "linear":
                mean = mean + rows @ self.weight_of(layer)
            else:
                probabilities = self._levels(layer, hidden)
                spread = probabilities * (1 - probabilities)
                mean = np.concatenate([mean, probabilities], axis=1)
                spread = np.log(np.maximum(spread, self.MIN_VARIANCE))
                log_var = np.concatenate([log_var, spread], axis=1)
        if self.filling is not None:
            is_empty = ~observed.any(axis=1)
            mean[is_empty] = log_var[is_empty] = 0.0  # the prior
        return mean, log_var

    def fill(self, rows: np.ndarray) -> np.ndarray:
        """Replace missing values by their expectation given the others.

        Parameters
        ----------
        rows : ndarray of shape (n, p)
            Standardised samples, NaN where missing.
        """
        assert self.filling is not None
        missing = np.isnan(rows)
        if not missing.any():
            return rows
        mean, loadings, noise = (
            self.weights[f"{self.filling['name']}.{part}"] for part in FILL
        )
        scaled = loadings / noise[:, None]
        squares = (loadings[:, :, None] * scaled[:, None]).reshape(len(loadings), -1)
        r = loadings.shape[1]
        precision = ((~missing).astype(rows.dtype) @ squares).reshape(-1, r, r)
        precision += np.eye(r, dtype=rows.dtype)
        centred = np.where(missing, 0, rows - mean)
        factors = np.linalg.solve(precision, (centred @ scaled)[:, :, None])[:, :, 0]
        return np.where(missing, mean + factors @ loadings.T, rows)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the decoder's output for latent codes, (n, p)."""
        x = codes
        for layer in self.decoder_layers:
            x = self._apply(layer, x, codes)
        return x.reshape(len(x), -1)

    def _apply(self, layer: Layer, x: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Apply a layer to its input; ``first`` is the input of the network."""
        kind = layer["kind"]
        if kind == "reshape":
            return x.reshape(len(x), *layer["shape"])
        weight = self.weight_of(layer)
        if kind == "linear":
            # Columns of a code beside the latents have no linear path.
            return x.reshape(len(x), -1) + first[:, : len(weight)] @ weight
        bias = self.bias_of(layer)
        if kind == "dense":
            x = x.reshape(len(x), -1) @ weight + bias
        elif kind == "conv":
            x = conv(x, weight, bias)
        else:
            x = conv_transpose(x, weight, bias, tuple(layer["size"]))
        return ACTIVATIONS[self.activation](x) if layer.get("is_activated") else x

    def bias_of(self, layer: Layer) -> np.ndarray:
        """Return the bias of a layer."""
        return self.weights[f"{layer['name']}.bias"]

    def weight_of(self, layer: Layer) -> np.ndarray:
        """Return the weight of a layer, with the rows for all of its inputs."""
        weight = self.weights[f"{layer['name']}.weight"]
        if "more_inputs" in layer:
            weight = np.concatenate([weight, self.weights[layer["more_inputs"]]])
        return weight

    def _moments(
        self, layer: Layer, hidden: np.ndarray, missing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        weight = self.weight_of(layer)  # (h, 2, d)
        bias = self.bias_of(layer)
        both = hidden @ weight.reshape(len(weight), -1) + bias.reshape(-1)
        mean, raw = both[:, : weight.shape[2]], both[:, weight.shape[2] :]
        if "log_var" in layer:
            return mean, np.full_like(raw, layer["log_var"])
        if "mask" in layer:
            raw = raw + missing @ self.weights[layer["mask"]]
        radius = layer["radius"]
        return mean, np.tanh(raw / radius) * radius + layer["centre"]

    def _levels(self, layer: Layer, hidden: np.ndarray) -> np.ndarray:
        logits = hidden @ self.weight_of(layer) + self.bias_of(layer)
        ends = np.cumsum(layer["levels"])[:-1]
        return np.concatenate(
            [softmax(p) for p in np.split(logits, ends, axis=1)], axis=1
        )


# -------------------------------------------------------------------------- checks
def problem_of(
    encoder: Any, decoder: Any, activation: Any, weights: Weights
) -> str | None:
    """Return what is wrong with a description of networks, or None.

    Whether shapes fit each other is seen when the networks are applied to a row.

    Parameters
    ----------
    encoder, decoder : object
        Descriptions, as read from a file.
    activation : object
    weights : mapping of str to ndarray
    """
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        return f"the unknown activation {str(activation)[:40]!r}"
    for layers, kinds in ((encoder, ENCODER_KINDS), (decoder, DECODER_KINDS)):
        if not isinstance(layers, list) or not layers:
            return "no list of layers"
        for layer in layers:
            if problem := _layer_problem(layer, kinds, weights):
                return problem
    kinds_of = [layer["kind"] for layer in encoder]
    if "fill" in kinds_of[1:]:
        return "missing values that are replaced after the first layer"
    is_rotated = kinds_of[-1] == ROTATION
    in_decoder = [layer["kind"] == ROTATION for layer in decoder]
    if any(in_decoder[1:]) or in_decoder[0] != is_rotated:
        return "a rotation that is not that of encoder and decoder"
    kinds_of = kinds_of[: len(kinds_of) - is_rotated]
    n_heads = sum(kind in HEADS for kind in kinds_of)
    heads = kinds_of[len(kinds_of) - n_heads :]
    if heads not in (["moments"], ["moments", "linear"], ["moments", "levels"]):
        return f"an encoder that ends with {heads}"
    return None


DIMENSIONS = {"dense": 2, "linear": 2, "levels": 2, "moments": 3, "conv": 4}
DIMENSIONS |= {"conv_transpose": 4, ROTATION: 2}
"""Axes of the weight of each kind of layer."""

ENCODER_KINDS = ("fill", "reshape", "conv", "dense", *HEADS, ROTATION)
DECODER_KINDS = (ROTATION, "reshape", "conv_transpose", "dense", "linear")


def _layer_problem(layer: Any, kinds: Sequence[str], weights: Weights) -> str | None:
    if not isinstance(layer, dict) or layer.get("kind") not in kinds:
        kind = layer.get("kind") if isinstance(layer, dict) else layer
        return f"the unknown layer {str(kind)[:40]!r}"
    kind = layer["kind"]
    if kind == "reshape":
        return None if _are_sizes(layer.get("shape"), 3) else "an invalid shape"
    if kind == "fill":
        return _filling_problem(layer, weights)
    names = [f"{layer.get('name')}.weight"]
    names += [f"{layer.get('name')}.bias"] * (kind not in ("linear", ROTATION))
    names += [layer[key] for key in ("more_inputs", "mask") if key in layer]
    if "mask" in layer and kind != "moments":
        return f"a mask in a layer of kind {kind!r}"
    if absent := [
        name for name in names if not isinstance(name, str) or name not in weights
    ]:
        return f"no weight {str(absent[0])[:60]!r}"
    if weights[names[0]].ndim != DIMENSIONS[kind]:
        return f"a weight {names[0]!r} of {weights[names[0]].ndim} axes"
    return _constants_problem(kind, layer, [weights[name] for name in names])


def _filling_problem(layer: Layer, weights: Weights) -> str | None:
    """Return what is wrong with the factor analysis of a layer, or None."""
    names = [f"{layer.get('name')}.{part}" for part in FILL]
    if absent := [name for name in names if name not in weights]:
        return f"no weight {absent[0][:60]!r}"
    mean, loadings, noise = (weights[name] for name in names)
    shape = loadings.shape[:1]
    if loadings.ndim != 2 or not (mean.shape == noise.shape == shape):
        return f"a factor analysis of shapes {mean.shape}, {loadings.shape}"
    if not (noise > 0).all() or type(layer.get("has_mask")) is not bool:
        return "a factor analysis without noise, or without has_mask"
    return None


def _constants_problem(
    kind: str, layer: Layer, arrays: Sequence[np.ndarray]
) -> str | None:
    """Return what is wrong with the numbers of a layer, given its arrays, or None."""
    weight, *others = arrays
    if kind in ("conv", "conv_transpose") and weight.shape[2:] != (KERNEL, KERNEL):
        return f"a kernel of shape {weight.shape[2:]}"
    if kind == "conv_transpose" and not _are_sizes(layer.get("size"), 2):
        return "an invalid size"
    if kind == "levels":
        levels: Any = layer.get("levels")
        if not _are_sizes(levels) or sum(levels) != weight.shape[1]:
            return "numbers of levels that are not those of its weight"
    if kind == "moments":
        constants = ["log_var"] if "log_var" in layer else ["radius", "centre"]
        if not all(isinstance(layer.get(name), float) for name in constants):
            return "a posterior without its constants"
        if "mask" in layer and others[-1].ndim != 2:
            return "weights of missing values that are not a matrix"
    outputs = {"moments": weight.shape[1:], "conv": weight.shape[:1]}
    expected = outputs.get(kind, weight.shape[1:2])
    if others and others[0].shape != expected:
        return f"a bias of shape {others[0].shape}, expected {expected}"
    return None


def _are_sizes(values: Any, length: int | None = None) -> bool:
    return (
        isinstance(values, list)
        and len(values) == (length or len(values))
        and all(type(value) is int and 0 < value < 2**31 for value in values)
    )


# --------------------------------------------------------------------------- sizes
MAX_SIZE = 2**26
"""Numbers of one sample in any layer, at most: a file cannot ask for more memory."""


def check_sizes(network: Network, n_features: int, n_columns: int) -> None:
    """Raise unless the layers fit each other, before anything is computed.

    Parameters
    ----------
    network : Network
    n_features : int
        Features of a sample.
    n_columns : int
        Columns of a code.

    Raises
    ------
    ValueError
        If a layer has another number of inputs than the layer before it has outputs, or
        needs too much memory.
    """
    shape: tuple[int, ...] = (n_features,)
    if filling := network.filling:
        n_found = len(network.weights[f"{filling['name']}.loadings"])
        _check_inputs(filling, shape, n_found)
        shape = (n_features * (1 + filling["has_mask"]),)
    for layer in network.hidden_layers:
        shape = _output_shape(network, layer, shape)
    n_found = 0
    for layer in network.heads:
        weight = network.weight_of(layer)
        first = (n_features,) if layer["kind"] == "linear" else shape
        _check_inputs(layer, first, len(weight))
        if "mask" in layer:
            found = network.weights[layer["mask"]].shape
            if found != (n_features, weight.shape[-1]):
                raise ValueError(f"weights of missing values of shape {found}")
        n_found += 0 if layer["kind"] == "linear" else weight.shape[-1]
    if n_found != n_columns:
        raise ValueError(f"an encoder of {n_found} columns, and codes of {n_columns}")
    if (turn := network.rotation) is not None and turn.shape != (n_columns,) * 2:
        raise ValueError(f"a rotation of shape {turn.shape}, and codes of {n_columns}")
    shape = (n_columns,)
    for layer in network.decoder_layers:
        shape = _output_shape(network, layer, shape)
    if math.prod(shape) != n_features:
        raise ValueError(f"a decoder of {math.prod(shape)} features, not {n_features}")


def _output_shape(
    network: Network, layer: Layer, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the shape of one sample after a layer."""
    kind = layer["kind"]
    if kind == "reshape":
        _check_inputs(layer, shape, math.prod(layer["shape"]))
        return tuple(layer["shape"])
    weight = network.weight_of(layer)
    if kind == "linear":
        _check_inputs(layer, shape, weight.shape[1])
        return (weight.shape[1],)
    if kind == "dense":
        _check_inputs(layer, shape, len(weight))
        return (weight.shape[1],)
    return _map_shape(layer, shape, weight)


def _map_shape(
    layer: Layer, shape: tuple[int, ...], weight: np.ndarray
) -> tuple[int, ...]:
    """Return the shape of one sample after a convolution."""
    if len(shape) != 3:
        raise ValueError(f"a convolution of samples of shape {shape}")
    _check_inputs(layer, shape[:1], weight.shape[layer["kind"] == "conv"])
    outputs, height, width = weight.shape[layer["kind"] != "conv"], *shape[1:]
    if layer["kind"] == "conv":
        found = (outputs, height // 2, width // 2)
    else:
        found = (outputs, *layer["size"])
        doubled = zip(found[1:], (height, width), strict=True)
        if not all(size - 2 * before in (0, 1) for size, before in doubled):
            raise ValueError(f"a convolution from {shape} to {found}")
    if not 0 < math.prod(found) <= MAX_SIZE:
        raise ValueError(f"a layer of shape {found}")
    return found


def _check_inputs(layer: Layer, shape: tuple[int, ...], n_inputs: int) -> None:
    if math.prod(shape) != n_inputs:
        raise ValueError(
            f"a layer {str(layer.get('name'))[:60]!r} of {n_inputs} inputs after "
            f"{math.prod(shape)} outputs"
        )

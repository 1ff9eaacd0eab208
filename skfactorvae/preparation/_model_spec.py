"""Plain description of a model: its networks and its likelihood."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import numpy as np

from .. import core
from .._validation import check_image_shape, check_memory, check_sizes, stored_type
from .._version import __version__
from ..columns import CONTINUOUS, LIKELIHOODS
from ._options import FitOptions

WRAPPERS = {
    "point": core.PointPosterior,
    "gan": core.GAN,
    "rotated": core.Rotated,
}
"""Networks that are made of an encoder and a decoder, by name."""

PLAIN_NAMES = {
    "linear_path": "the linear path that init adds",
    "takes_errors": "whether error_scale is given",
}
"""How messages name a field that is not a parameter of the estimator."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Description from which networks and likelihood are rebuilt around weights.

    All fields are plain values, except a ``network`` function of the user's own.

    Attributes
    ----------
    network : {"mlp", "conv"} or callable
        Kind of networks, or a function that builds the user's modules.
    n_features : int
        Features, p: columns of the table, or of their levels.
    n_components : int
        Components that are trained, d; those of sensitive attributes included.
    n_hidden : int
        How many of the first components are not part of the codes.
    hidden_layer_sizes : tuple of int
        Hidden layers of the encoder.
    activation : str
        Name of the activation.
    image_shape : tuple (channels, height, width) or None
        Shape of images, for convolutional networks.
    linear_path : bool
        Whether encoder and decoder have a linear path beside their layers.
    wrapper : tuple (name, options) or None
        Network of :data:`WRAPPERS` around encoder and decoder, and its options.
    prior : {"normal", "uniform"}
        Prior of the codes.
    likelihood : {"gaussian", "bernoulli", "columns"}
        Distribution of a feature given the code; that of each column of ``columns``.
    noise_scale : {"feature", "shared"} or float
        Noise scale of the Gaussian likelihood.
    precision : {"float32", "float64"}
        Precision of training and inference.
    objective : dict
        Structure of the objective: what must agree for weights to be reused.
    levels : tuple or None
        Levels of each attribute of y, where there are attributes.
    columns : tuple of (str, int), or None, default=None
        Likelihood and number of levels of each column of a table of several types, in
        the order of their features.
    n_factors : int or None, default=None
        Factors of the factor analysis that replaces missing values; None for a model
        that is trained on complete samples.
    takes_errors : bool, default=False
        Whether the model is trained on samples with known errors.
    mask_in_code : bool, default=True
        Whether posterior means depend on which values are missing, beside the values
        that replace them. Models of files that do not state it do.
    """

    network: Any
    n_features: int
    n_components: int
    n_hidden: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    image_shape: tuple[int, int, int] | None
    linear_path: bool
    wrapper: tuple[str, dict] | None
    prior: str
    likelihood: str
    noise_scale: Any
    precision: str
    objective: dict
    levels: tuple | None
    n_factors: int | None = None
    columns: tuple[tuple[str, int], ...] | None = None
    takes_errors: bool = False
    mask_in_code: bool = True

    @classmethod
    def from_options(
        cls,
        options: FitOptions,
        n_features: int,
        objective: core.Objective,
        *,
        wrapper: tuple[str, dict] | None = None,
        levels: tuple | None = None,
        takes_errors: bool = False,
    ) -> ModelSpec:
        """Describe the model that the options ask for.

        Parameters
        ----------
        options : FitOptions
        n_features : int
            Features, p.
        objective : core.Objective
            What training minimises.
        wrapper : tuple (name, options) or None
            Network around encoder and decoder.
        levels : tuple or None
            Levels of each attribute of y.
        takes_errors : bool
            Whether the errors of the samples are known.

        Raises
        ------
        ValueError
            If layer sizes or the image shape cannot be used.
        """
        is_conv = options.network == "conv"
        return cls(
            network=options.network,
            n_features=n_features,
            n_components=options.n_components + objective.readout.n_hidden_components,
            n_hidden=objective.readout.n_hidden_components,
            hidden_layer_sizes=check_sizes(
                "hidden_layer_sizes", options.hidden_layer_sizes
            ),
            activation=options.activation,
            image_shape=(
                check_image_shape(options.image_shape, n_features) if is_conv else None
            ),
            linear_path=(
                options.init != "random"
                and options.network == "mlp"
                and options.likelihood != "bernoulli"
            ),
            wrapper=wrapper,
            prior=objective.prior,
            likelihood=options.likelihood,
            noise_scale=options.noise_scale,
            precision=stored_type(options.precision),
            objective={  # a learning rate is not part of the networks
                name: value
                for name, value in objective.structure.items()
                if name != "learning_rate"
            },
            levels=levels,
            columns=options.columns,
            takes_errors=takes_errors,
        )

    @classmethod
    def from_state(cls, state: Mapping[str, Any], version: str) -> ModelSpec:
        """Return the model that a fitted estimator holds as plain values.

        Parameters
        ----------
        state : mapping of str to object
            Values of the fields.
        version : str
            Version of this package that the estimator was fitted by.

        Raises
        ------
        ValueError
            If the fields are those of another version.
        """
        names = {f.name for f in fields(cls)}
        needed = {f.name for f in fields(cls) if f.default is MISSING}
        check_state(needed - state.keys(), state.keys() - names, version)
        return cls(**state)

    def to_state(self) -> dict[str, Any]:
        """Return plain values, from which :meth:`from_state` restores the model."""
        defaults = {f.name: f.default for f in fields(self)}
        return {
            name: value
            for name, value in vars(self).items()
            if value is not defaults[name]
        }

    @property
    def is_generator(self) -> bool:
        """Whether the model is a generator without an encoder trained on data."""
        return self.wrapper is not None and self.wrapper[0] == "gan"

    @property
    def has_point_posterior(self) -> bool:
        """Whether the posterior of a sample is one code."""
        return self.wrapper is not None and self.wrapper[0] == "point"

    @property
    def can_rotate(self) -> bool:
        """Whether the latents are exchangeable under rotation by the objective.

        Their prior is normal then, none of them belongs to an attribute, to a group or
        to categories, and pairs do not identify them.
        """
        is_grouped = self.objective.get("groups") is not None
        is_grouped |= "n_changed" in self.objective  # of the objective of pairs
        is_free = self.wrapper is None and self.levels is None and not self.n_hidden
        return is_free and not is_grouped and self.prior == "normal"

    @property
    def is_rotated(self) -> bool:
        """Whether components are rotated latents."""
        return self.wrapper is not None and self.wrapper[0] == "rotated"

    def rotated(self) -> ModelSpec:
        """Return the model whose components are rotated latents of this one."""
        return replace(self, wrapper=("rotated", {}))

    def unrotated(self) -> ModelSpec:
        """Return the model whose components are the latents."""
        return replace(self, wrapper=None) if self.is_rotated else self

    @property
    def learns_noise(self) -> bool:
        """Whether the likelihood has a noise scale that is learned from the data."""
        kinds = {kind for kind, _ in self.columns or [(self.likelihood, 1)]}
        return (
            not kinds.isdisjoint(("gaussian", "student_t"))
            and isinstance(self.noise_scale, str)
            and not self.is_generator
        )

    def make_network(self) -> core.Network:
        """Build the encoder and the decoder."""
        network = self._make_autoencoder()
        if self.wrapper is not None:
            name, options = self.wrapper
            network = WRAPPERS[name](network, **options)
        if self.n_factors is not None:
            network = core.FactorFilling(network, self.n_factors)
        return network

    def _make_autoencoder(self) -> core.Network:
        sizes = self.n_features, self.n_components
        if callable(self.network):
            return core.Modules(*sizes, self.network)
        shared = (*sizes, self.hidden_layer_sizes, self.activation, self.linear_path)
        has_mask, mask_in_mean = self.n_factors is not None, self.mask_in_code
        if self.image_shape is not None:
            return core.ConvNet(
                *shared, self.image_shape, has_mask=has_mask, mask_in_mean=mask_in_mean
            )
        # Binary features are not standardised, and many are nearly all zeros.
        is_scaled = self.likelihood != "bernoulli"
        return core.MLP(
            *shared,
            scale_input_lr=is_scaled,
            has_mask=has_mask,
            mask_in_mean=mask_in_mean,
        )

    def make_likelihood(self) -> core.Likelihood:
        """Build the likelihood."""
        if self.likelihood == "bernoulli":
            return core.Bernoulli()
        if self.columns is not None:
            return core.by_column(self.columns, self.noise_scale)
        return core.Gaussian(self.noise_scale, is_sampled=not self.is_generator)

    def log_scales(self, scale: np.ndarray) -> np.ndarray:
        """Return the logarithm of the unit of each feature with a density, (p,), nats.

        Parameters
        ----------
        scale : ndarray of shape (p,)
            Scale of the standardisation. Features that are discrete have no density.
        """
        log_scale = np.log(scale.astype(np.float64))
        if self.columns is None:
            return log_scale
        is_continuous = [
            kind in CONTINUOUS
            for kind, size in self.columns
            for _ in range(size if kind == "categorical" else 1)
        ]
        return np.where(is_continuous, log_scale, 0.0)

    def check_memory(self, objective: core.Objective, schedule: core.Schedule) -> None:
        """Raise if the fit of this model needs more memory than there is.

        Raises
        ------
        ValueError
            If parameters ask for networks or batches that are too large.
        """
        if callable(self.network):
            return
        is_dense = self.image_shape is None
        n_bytes = core.least_memory(
            self.make_network(),
            objective,
            self._make_autoencoder().multiplications if is_dense else 0,
            schedule,
            np.dtype(self.precision),
        )
        check_memory(
            n_bytes,
            f"A fit with n_components={self.n_components}, "
            f"batch_size={schedule.batch_size} and these layers",
            "Lower n_components, batch_size, or the sizes of hidden layers.",
        )

    def check_products(self, objective: core.Objective, precision: str) -> None:
        """Raise if no layer is large enough to gain from products of fewer digits.

        Raises
        ------
        ValueError
            If it is asked for, and no dense layer of the model is.
        """
        if precision != "bfloat16":
            return
        shapes = {} if callable(self.network) else self.make_network().shapes
        if not core.has_large_layer(objective, self.n_components, shapes):
            side = core.LOW_SIDE
            raise ValueError(
                "precision='bfloat16' speeds up dense layers with at least "
                f"{side} inputs and {side} outputs, and this model has none. Use "
                f"precision='float32', or two layers of at least {side} in "
                "hidden_layer_sizes or discriminator_hidden_layer_sizes."
            )

    def check_unchanged(self, after: ModelSpec) -> None:
        """Raise if weights of this model cannot be used in another one.

        Raises
        ------
        ValueError
            If a field differs.
        """
        before = vars(self)
        changes = [
            f"{PLAIN_NAMES.get(name, name)} from {before[name]!r} to {value!r}"
            for name, value in vars(after).items()
            if value != before[name]
        ]
        if changes:
            raise ValueError(
                "warm_start=True and partial_fit continue from the fitted weights, but "
                f"the networks have changed: {', '.join(changes)}. Fit with "
                "warm_start=False, or restore them."
            )

    def encoder_layers(self, weights) -> list[dict[str, Any]]:
        """Return the encoder as layers with their arrays, for standardised samples.

        Parameters
        ----------
        weights : dict of str to ndarray
            Trained weights.

        Raises
        ------
        ValueError
            If the networks are the user's own modules.
        """
        network = self.make_network()
        return self._layers(network, network.encoder_layers, weights)

    def decoder_layers(self, weights) -> list[dict[str, Any]]:
        """Return the decoder as layers with their arrays, in standardised units.

        Parameters
        ----------
        weights : dict of str to ndarray
            Trained weights.

        Raises
        ------
        ValueError
            If the networks are the user's own modules, or take categories.
        """
        network = self.make_network()
        described = network.decoder_layers
        takes_categories = network.n_columns > network.n_components
        layers = self._layers(network, None if takes_categories else described, weights)
        is_logit = self.likelihood == "bernoulli"
        return layers + [{"kind": "sigmoid"}] * is_logit

    def _layers(self, network, described, weights) -> list[dict[str, Any]]:
        """Return described layers with their arrays, without hidden components."""
        if described is None:
            raise ValueError(
                "The network has no description by layers: it is a module of your "
                f"own, or takes categories (network={self.network!r}). Fit with "
                "network='mlp' or 'conv', and without categories."
            )
        weights = core.without_latents(network, weights, self.n_hidden)
        return [_layer(self.activation, weights, **step) for step in described]

    def described_networks(self) -> dict[str, Any] | None:
        """Return all that encodes, decodes and scores, by layers that name weights.

        Returns
        -------
        networks : dict or None
            Plain values; None for the user's modules.
        """
        network = self.make_network()
        if network.encoder_layers is None:
            return None
        return {
            "encoder": _as_lists(network.encoder_layers),
            "decoder": _as_lists(network.decoder_layers),
            "activation": self.activation,
            "likelihood": self.make_likelihood().description,
            "prior": self.prior,
            "sizes": [self.n_features, self.n_components, self.n_hidden],
            "precision": self.precision,
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that encode, decode and score, by name."""
        shapes = self.make_network().shapes
        return {**shapes, **self.make_likelihood().shapes(self.n_features)}

    def check_fields(self) -> None:
        """Raise if a field has a value that no fit gives it.

        Raises
        ------
        ValueError
            If a field is of another type or out of range; the message names it.
        """
        sizes = (*self.hidden_layer_sizes, *(self.image_shape or (1, 2, 2)))
        is_right = {
            "network": self.network in ("mlp", "conv") or callable(self.network),
            "n_features": _is_size(self.n_features),
            "n_components": _is_size(self.n_components),
            "n_hidden": type(self.n_hidden) is int and self.n_hidden >= 0,
            "hidden_layer_sizes": all(map(_is_size, sizes)),
            "activation": self.activation in core.ACTIVATIONS,
            "image_shape": self.image_shape is None
            or math.prod(self.image_shape) == self.n_features,
            "linear_path": isinstance(self.linear_path, bool),
            "wrapper": self.wrapper is None or self.wrapper[0] in WRAPPERS,
            "prior": self.prior in core.PRIORS,
            "likelihood": self.likelihood
            in (("gaussian", "bernoulli") if self.columns is None else ("columns",)),
            "noise_scale": self.noise_scale in ("feature", "shared")
            or (
                isinstance(self.noise_scale, numbers.Real)
                and float(self.noise_scale) > 0
            ),
            "precision": self.precision in ("float32", "float64"),
        }
        is_right["columns"] = self.columns is None or _are_columns(
            self.columns, self.n_features
        )
        is_right["n_factors"] = self.n_factors is None or _is_size(self.n_factors)
        is_right["takes_errors"] = type(self.takes_errors) is bool
        is_right["mask_in_code"] = type(self.mask_in_code) is bool
        if wrong := [name for name, is_valid in is_right.items() if not is_valid]:
            raise ValueError(f"{wrong[0]}={vars(self)[wrong[0]]!r} is not valid")
        if self.n_hidden >= self.n_components:
            raise ValueError(f"n_hidden={self.n_hidden} leaves no component")


def _as_lists(layers):
    """Return layers with lists in place of tuples, as JSON has them."""
    return [
        {k: list(v) if isinstance(v, tuple) else v for k, v in layer.items()}
        for layer in layers
    ]


def _are_columns(columns: Any, n_features: int) -> bool:
    """Return whether these are likelihoods and numbers of levels of that many."""
    if not all(kind in LIKELIHOODS and _is_size(size) for kind, size in columns):
        return False
    widths = (size if kind == "categorical" else 1 for kind, size in columns)
    return sum(widths) == n_features


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def _layer(activation, weights, kind, name=None, is_activated=False, **other):
    """Return one layer of a network with its arrays."""
    arrays = {
        part: weights[f"{name}.{part}"]
        for part in ("weight", "bias", "mean", "loadings", "noise")
        if f"{name}.{part}" in weights
    }
    own = activation if is_activated else None
    if "mask" in other:
        other["mask"] = weights[other["mask"]]
    return {"kind": kind, "activation": own, **other, **arrays}


def check_state(missing: Iterable[str], unknown: Iterable[str], version: str) -> None:
    """Raise if the state of a fitted estimator is not that of this version.

    Parameters
    ----------
    missing, unknown : iterable of str
        Names that the state lacks, and names in it that this version does not have.
    version : str
        Version of this package that the estimator was fitted by.
    """
    differences = [
        f"{verb} {', '.join(sorted(names))}"
        for verb, names in (("lacks", missing), ("has in addition", unknown))
        if names
    ]
    if differences:
        raise ValueError(
            f"This estimator was fitted by version {version} of skfactorvae and cannot "
            f"be used by version {__version__}: its state {' and '.join(differences)}. "
            "Load it with the version it was fitted by, or fit it again."
        )

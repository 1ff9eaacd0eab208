"""The plain description of an estimator's networks, and the networks made from it."""

from __future__ import annotations

from . import core
from ._validation import check_image_shape, check_sizes


def describe(estimator, n_features, objective):
    """Return everything that rebuilds the networks around the weights, as plain values.

    Parameters
    ----------
    estimator : BaseLatentTransformer
        Its parameters are read.
    n_features : int
        Columns of the table.
    objective : core.Objective
        What it minimises.

    Returns
    -------
    architecture : dict
    """
    is_conv = estimator.network == "conv"
    noise_scale = estimator.noise_scale
    return {
        "network": estimator.network,
        "n_features": n_features,
        "n_components": int(estimator.n_components) + objective.n_hidden_components,
        "n_hidden": objective.n_hidden_components,
        "hidden_layer_sizes": check_sizes(
            "hidden_layer_sizes", estimator.hidden_layer_sizes
        ),
        "activation": estimator.activation,
        "image_shape": (
            check_image_shape(estimator.image_shape, n_features) if is_conv else None
        ),
        "linear_path": (
            estimator.init != "random"
            and estimator.network == "mlp"
            and estimator.likelihood == "gaussian"
        ),
        "posterior": estimator._posterior,
        "generator": estimator._generator,
        "prior": objective.prior,
        "likelihood": estimator.likelihood,
        "noise_scale": "feature" if noise_scale == "auto" else noise_scale,
        "precision": estimator.precision,
        "objective": {  # a rate is not part of the networks
            name: value
            for name, value in objective.structure.items()
            if name != "learning_rate"
        },
    }


PLAIN_NAMES = {"linear_path": "the linear path that init adds"}
"""What a user knows a part of the networks by, where it is no parameter."""


def check_unchanged(before, after):
    """Refuse to continue with weights that other networks were trained with."""
    changes = [
        f"{PLAIN_NAMES.get(name, name)} from {before[name]!r} to {after[name]!r}"
        for name in after
        if after[name] != before.get(name)
    ]
    if changes:
        raise ValueError(
            "warm_start=True continues from the fitted weights, but the networks have "
            f"changed: {', '.join(changes)}. Fit with warm_start=False, or restore "
            "them."
        )


def make_network(architecture):
    """Return the encoder and the decoder that a description is of."""
    if architecture["generator"] is not None:
        plain = make_network(architecture | {"generator": None})
        return core.GAN(plain, **architecture["generator"])
    if architecture["posterior"] == "point":
        gaussian = architecture | {"posterior": "normal"}
        return core.PointPosterior(make_network(gaussian))
    sizes = architecture["n_features"], architecture["n_components"]
    kind = architecture["network"]
    if callable(kind):
        return core.Modules(*sizes, kind)
    shared = (
        *sizes,
        architecture["hidden_layer_sizes"],
        architecture["activation"],
        architecture["linear_path"],
    )
    if kind == "conv":
        return core.ConvNet(*shared, architecture["image_shape"])
    # Rows of a Bernoulli likelihood are never standardised; many are nearly all zeros.
    return core.MLP(*shared, scale_input_lr=architecture["likelihood"] == "gaussian")


def make_likelihood(architecture):
    """Return the likelihood that a description is of."""
    if architecture["likelihood"] == "bernoulli":
        return core.Bernoulli()
    return core.Gaussian(
        architecture["noise_scale"], is_sampled=architecture["generator"] is None
    )


def learns_noise(architecture):
    """Tell whether rows have a noise whose scale is learned from them."""
    return (
        architecture["likelihood"] == "gaussian"
        and isinstance(architecture["noise_scale"], str)
        and architecture["generator"] is None
    )


def decoder_layers(architecture, weights):
    """Return the decoder as layers that hold their arrays, up to the data's scale.

    Raises
    ------
    ValueError
        If the networks are the user's own modules, or take categories.
    """
    plan = make_network(architecture).decoder_layers
    if plan is None:
        raise ValueError(
            "What the decoder computes cannot be told in layers: it is a module of "
            "your own, or takes categories (network="
            f"{architecture['network']!r}). Fit with network='mlp' or 'conv', and "
            "without categories."
        )
    weights = core.without_latents(weights, architecture["n_hidden"])
    layers = [_layer(architecture["activation"], weights, **step) for step in plan]
    is_logit = architecture["likelihood"] == "bernoulli"
    return layers + [{"kind": "sigmoid"}] * is_logit


def _layer(activation, weights, kind, name=None, is_activated=False, **shape):
    arrays = {
        part: weights[f"{name}.{part}"]
        for part in ("weight", "bias")
        if f"{name}.{part}" in weights
    }
    own = activation if is_activated else None
    return {"kind": kind, "activation": own, **shape, **arrays}

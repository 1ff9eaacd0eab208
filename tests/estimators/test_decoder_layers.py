"""``decoder_layers`` computes the same as ``inverse_transform``."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skfactorvae import FactorVAETransformer

APPLY = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "silu": F.silu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    None: lambda x: x,
}


def convolve(x, weight, bias, size):
    extra = [s - 2 * r for s, r in zip(size, x.shape[-2:], strict=True)]
    return F.conv_transpose2d(x, weight, bias, 2, 1, extra)


KINDS = {
    "dense": lambda x, z, weight, bias: x @ weight + bias,
    "linear": lambda x, z, weight: x.flatten(1) + z @ weight,
    "reshape": lambda x, z, shape: x.reshape(-1, *shape),
    "conv_transpose": lambda x, z, **layer: convolve(x, **layer),
    "sigmoid": lambda x, z: torch.sigmoid(x),
    "scale": lambda x, z, scale, mean: x.flatten(1) * scale + mean,
}


def decode(layers, codes):
    """Apply layers to codes, in double precision."""
    x = z = torch.tensor(codes, dtype=torch.float64)
    for layer in layers:
        parts = {
            name: torch.tensor(value, dtype=torch.float64)
            if isinstance(value, np.ndarray)
            else value
            for name, value in layer.items()
        }
        kind, activation = parts.pop("kind"), parts.pop("activation", None)
        x = APPLY[activation](KINDS[kind](x, z, **parts))
    return x.numpy()


def fitted(**parameters):
    X = np.random.RandomState(0).uniform(size=(20, 30))
    vae = FactorVAETransformer(
        3,
        hidden_layer_sizes=(8, 5),
        discriminator_hidden_layer_sizes=(4,),
        max_iter=5,
        random_state=0,
        **parameters,
    )
    return vae.fit(X)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"init": "random", "activation": "gelu"},
        {"likelihood": "bernoulli", "activation": "elu"},
        {"network": "conv", "image_shape": (1, 6, 5), "activation": "leaky_relu"},
        {"network": "conv", "image_shape": (3, 5, 2), "likelihood": "bernoulli"},
    ],
)
def test_layers_decode_as_the_estimator_does(parameters):
    vae = fitted(**parameters)
    codes = np.random.RandomState(1).normal(size=(7, 3))
    expected = vae.inverse_transform(codes)
    np.testing.assert_allclose(decode(vae.decoder_layers(), codes), expected, atol=1e-5)


def test_each_transformer_returns_its_decoder_in_layers(small, X):
    estimator = small().fit(X)
    codes = np.random.RandomState(1).normal(size=(7, 3))
    expected = estimator.inverse_transform(codes)
    np.testing.assert_allclose(
        decode(estimator.decoder_layers(), codes), expected, rtol=1e-5, atol=1e-5
    )


def test_modules_of_the_user_are_not_returned_in_layers():
    def build(n_features, n_components):
        return nn.Linear(n_features, 2 * n_components), nn.Linear(
            n_components, n_features
        )

    with pytest.raises(ValueError, match=r"module of your own.*build"):
        fitted(network=build).decoder_layers()

"""``encoder_layers`` computes the same as ``transform`` and ``posterior``."""

import numpy as np
import pytest
from torch import nn

import skfactorvae
from skfactorvae.runtime._functions import ACTIVATIONS, conv, softmax


def posterior(layers, X):
    """Apply layers to samples, in double precision; return mean and log-variance."""
    x = rows = np.asarray(X, np.float64)
    for layer in layers:
        kind = layer["kind"]
        if kind == "clip":
            x = np.clip(x, 0, 1)
        elif kind == "standardize":
            x = rows = (x - layer["mean"]) / layer["scale"]
        elif kind == "reshape":
            x = x.reshape(-1, *layer["shape"])
        elif kind == "conv":
            x = conv(x, layer["weight"], layer["bias"])
        elif kind == "dense":
            x = x.reshape(len(x), -1) @ layer["weight"] + layer["bias"]
        elif kind == "moments":
            hidden = x.reshape(len(x), -1)
            weight, bias = layer["weight"], layer["bias"]
            mean, raw = (hidden @ weight[:, i] + bias[i] for i in range(2))
            if "log_var" in layer:
                log_var = np.full_like(raw, layer["log_var"])
            else:
                log_var = np.tanh(raw / layer["radius"]) * layer["radius"]
                log_var += layer["centre"]
        elif kind == "linear":
            mean = mean + rows @ layer["weight"]
        else:
            assert kind == "levels"
            logits = hidden @ layer["weight"] + layer["bias"]
            parts = np.split(logits, np.cumsum(layer["levels"])[:-1], axis=1)
            mean = np.column_stack([mean, *map(softmax, parts)])
        if layer.get("activation"):
            x = ACTIVATIONS[layer["activation"]](x)
    return mean, log_var


def table():
    return np.random.RandomState(0).uniform(size=(20, 30))


@pytest.mark.takes(given=lambda parameters: parameters)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"likelihood": "bernoulli", "activation": "elu"},
        {"network": "conv", "image_shape": (1, 6, 5), "activation": "leaky_relu"},
        {"n_categories": (2, 3)},
        {"standardize": "global", "precision": "float64"},
    ],
    ids=str,
)
def test_layers_encode_as_the_estimator_does(small, parameters):
    estimator = small(**parameters).fit(table())
    X = np.random.RandomState(1).uniform(size=(7, 30))
    expected, std = estimator.posterior(X)
    mean, log_var = posterior(estimator.encoder_layers(), X)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-5)
    found = np.exp(0.5 * log_var)
    np.testing.assert_allclose(found, std[:, : found.shape[1]], rtol=1e-4, atol=1e-5)


def test_components_of_sensitive_attributes_are_left_out():
    y = np.column_stack([np.arange(20) % 3, table()[:, 0]])
    model = skfactorvae.SupervisedFactorVAETransformer(
        3, sensitive=[0], hidden_layer_sizes=8, max_iter=3, random_state=0
    ).fit(table(), y)
    mean, _ = posterior(model.encoder_layers(), table())
    assert mean.shape == (20, 3)
    np.testing.assert_allclose(mean, model.transform(table()), rtol=1e-5, atol=1e-5)


def test_modules_of_the_user_are_not_returned_in_layers():
    def build(n_features, n_components):
        return nn.Linear(n_features, 2 * n_components), nn.Linear(
            n_components, n_features
        )

    model = skfactorvae.BetaVAETransformer(2, network=build, max_iter=2).fit(table())
    with pytest.raises(ValueError, match=r"module of your own.*build"):
        model.encoder_layers()

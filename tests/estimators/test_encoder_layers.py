"""``encoder_layers`` computes the same as ``transform`` and ``posterior``."""

import numpy as np
import pandas as pd
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


def features_of(row, layer):
    """Apply a layer "table" to a row of a data frame."""
    features = {}
    for value, column in zip(row, layer["columns"], strict=True):
        if column["levels"]:
            number = column["level_of"][column["levels"].index(str(value))]
        else:
            number = float(value)
        if column["likelihood"] == "categorical":
            own = np.arange(column["size"]) == number
        elif column["likelihood"] == "lognormal":
            own = [np.log(number or column["zero"])]
        else:
            is_count = column["likelihood"] == "poisson"
            own = [np.log1p(number) if is_count else number]
        features |= {column["first"] + k: value for k, value in enumerate(own)}
    return [features[place] for place in range(len(features))]


def test_the_first_layer_of_a_table_of_several_types_makes_its_features():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "mode": rng.choice(["eco", "fast", "off"], 60),
            "count": rng.poisson(2, 60),
            "is_on": rng.uniform(size=60) > 0.4,
            "grade": pd.Categorical(rng.choice([1, 2, 3], 60), ordered=True),
            "price": np.exp(rng.normal(size=60)) * (rng.uniform(size=60) > 0.1),
            "size": rng.normal(size=60),
        }
    )
    model = skfactorvae.FactorVAETransformer(
        2,
        likelihood={"count": "poisson", "price": "lognormal"},
        hidden_layer_sizes=8,
        max_iter=5,
        random_state=0,
    ).fit(X)
    first, *layers = model.encoder_layers()
    assert first["kind"] == "table"
    assert [column["name"] for column in first["columns"]] == list(X)
    rows = [features_of(row, first) for row in X.itertuples(index=False)]
    mean, _ = posterior(layers, rows)
    np.testing.assert_allclose(mean, model.transform(X), rtol=1e-4, atol=1e-5)


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

"""Write the files of format 1 that every later version must load.

    python tests/data/write_format_1.py FOLDER

It wrote this folder once. Files of a format are never written again: a change that
cannot load them needs a new format number, and its own files beside these.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

import skfactorvae
from skfactorvae.model_selection import SeedEnsemble

SHAPE = (1, 2, 2)
"""Smaller images than these have no convolutional networks."""

SMALL = {
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "opponent_hidden_layer_sizes": (8,),
    "max_iter": 20,
    "batch_size": 16,
    "random_state": 0,
}


def own_modules(n_features, n_components):
    """Return an encoder and a decoder of torch's modules."""
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


def samples():
    """Return 40 samples of 4 named features in [0, 1]."""
    values = np.random.RandomState(0).uniform(size=(40, 4))
    return pd.DataFrame(values, columns=[f"column {i}" for i in range(4)])


def labels(X):
    """Return labels of three types, some unknown."""
    size = pd.cut(X["column 0"], 3, labels=["low", "mid", "high"]).astype(object)
    size[:5] = None
    order = pd.Categorical(size, ["low", "mid", "high"], ordered=True)
    is_ill = X["column 2"] > 0.5
    return pd.DataFrame({"size": order, "dose": X["column 1"], "is_ill": is_ill})


def conditions(X):
    """Return two conditions, some unknown."""
    dose = np.where(X["column 1"] > 0.5, 2.0, 1.0)
    dose[:5] = np.nan
    return pd.DataFrame({"dose": dose})


def small(cls, **parameters):
    known = {k: v for k, v in SMALL.items() if k in cls().get_params()}
    return cls(**{"n_components": 3, **known, **parameters})


def models():
    """Return the estimators to fit, by the names of their files."""
    names = [n for n in skfactorvae.__all__ if n.endswith("Transformer")]
    made = {name: small(getattr(skfactorvae, name)) for name in names}
    vae = skfactorvae.FactorVAETransformer
    made["conv"] = small(vae, network="conv", image_shape=SHAPE, n_components=2)
    made["bernoulli"] = small(vae, likelihood="bernoulli", activation="gelu")
    made["double"] = small(vae, precision="float64", noise_scale=0.5)
    made["own"] = small(vae, network=own_modules)
    made["incomplete"] = small(vae, hidden_fraction=0.2, init="pca")
    made["categories"] = small(skfactorvae.InfoGANTransformer, n_categories=(2, 3))
    made["CausalVAETransformer"].set_params(graph=[[0, 1], [0, 0]])
    made["ensemble"] = SeedEnsemble(small(vae), n_seeds=2, random_state=0)
    return made


def main(folder):
    X = samples()
    for name, model in models().items():
        takes_aux = name == "AuxiliaryVAETransformer"
        y = labels(X)
        if name == "CausalVAETransformer":
            y = y[["dose", "is_ill"]].astype(float)
        model.fit(X, y, **({"aux": conditions(X)} if takes_aux else {}))
        path = Path(folder) / f"{name}.safetensors"
        model.save(path)
        codes = model.transform(X)
        outputs = {"codes": codes, "rows": model.inverse_transform(codes)}
        if hasattr(model, "score_samples"):
            outputs["scores"] = model.score_samples(X)
        np.savez_compressed(Path(folder) / f"{name}.npz", **outputs)
        print(name, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1])

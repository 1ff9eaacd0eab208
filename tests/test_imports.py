"""Importing the package: torch is imported with the first estimator, not before."""

import importlib
import inspect
import pickle
import subprocess
import sys

import pytest

import skfactorvae

ESTIMATORS = [
    member
    for name in skfactorvae.__all__
    if inspect.isclass(member := getattr(skfactorvae, name))
]


def run(code, *arguments):
    """Run code in a fresh process in which warnings are errors; return its output."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


WITHOUT_TORCH = """
import sys
import skfactorvae
assert "torch" not in sys.modules, "skfactorvae"
import skfactorvae.metrics
assert "torch" not in sys.modules, "skfactorvae.metrics"
import skfactorvae.datasets
assert "torch" not in sys.modules, "skfactorvae.datasets"
names = dir(skfactorvae)
assert set(skfactorvae.__all__) <= set(names), set(skfactorvae.__all__) - set(names)
assert "torch" not in sys.modules, "dir(skfactorvae)"
skfactorvae.__version__, skfactorvae.metrics.mig_scorer
skfactorvae.datasets.make_gaussian_peaks(5)
assert "torch" not in sys.modules, "attributes"
skfactorvae.FactorVAETransformer
assert "torch" in sys.modules
"""


def test_the_package_its_metrics_and_its_datasets_do_not_import_torch():
    run(WITHOUT_TORCH)


FIRST_FITS = """
import os, sys, warnings
import numpy as np
import torch
from torch import nn
import skfactorvae
skfactorvae.FactorVAETransformer, skfactorvae.InfoGANTransformer  # and what they import
filters, environment = list(warnings.filters), dict(os.environ)

def own(n_features, n_components):
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)

X = np.random.RandomState(0).uniform(size=(30, 16))
for parameters in [{}, {"network": own}, {"network": "conv", "image_shape": (1, 4, 4)}]:
    model = skfactorvae.FactorVAETransformer(
        2, max_iter=2, hidden_layer_sizes=8, random_state=0, **parameters
    ).fit(X)
    model.score(X), model.inverse_transform(model.transform(X)), model.sample()
skfactorvae.InfoGANTransformer(2, max_iter=2, random_state=0).fit(X)
long = {"max_iter": 70, "weight_decay": 0.0, "random_state": 0}  # steps are recorded
draw = np.random.RandomState(0).normal
rows = draw(size=(300, 2)) @ draw(size=(2, 8)) + 0.1 * draw(size=(300, 8))
for parameters in [{}, {"solver": "soap"}]:
    skfactorvae.FactorVAETransformer(2, **long, **parameters).fit(rows)
added = [f for f in warnings.filters if f not in filters]
assert not added and len(filters) == len(warnings.filters), added
assert dict(os.environ) == environment, os.environ.keys() - environment.keys()
compilers = {"torch._dynamo", "torch._inductor", "sympy"} & sys.modules.keys()
assert not compilers, compilers
"""


def test_the_first_fit_neither_imports_a_compiler_nor_changes_global_settings():
    run(FIRST_FITS)


ATTRIBUTES = """
import skfactorvae
skfactorvae.inspection.explore, skfactorvae.model_selection.select_gamma
skfactorvae.metrics.mig_scorer, skfactorvae.datasets.make_gaussian_peaks
from skfactorvae import *
missing = [name for name in skfactorvae.__all__ if name not in globals()]
assert not missing, missing
"""


def test_subpackages_are_attributes_and_a_star_import_gives_every_public_name():
    run(ATTRIBUTES)


def test_dir_lists_every_public_name():
    assert set(skfactorvae.__all__) <= set(dir(skfactorvae))


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_an_estimator_is_found_in_the_module_that_it_names(cls):
    """Pickle stores a class as this module and this name."""
    assert cls.__module__.startswith("skfactorvae.")
    assert getattr(importlib.import_module(cls.__module__), cls.__name__) is cls
    assert getattr(skfactorvae, cls.__name__) is cls


LOAD = """
import pickle, sys
model = pickle.loads(bytes.fromhex(sys.argv[1]))
assert type(model).__name__ == sys.argv[2]
assert type(model) is getattr(sys.modules["skfactorvae"], sys.argv[2])
"""


def test_a_process_without_the_package_loads_a_pickled_estimator():
    model = skfactorvae.FactorVAETransformer(3)
    run(LOAD, pickle.dumps(model).hex(), type(model).__name__)


def test_an_unknown_name_is_an_attribute_error_that_names_the_module():
    with pytest.raises(AttributeError, match=r"'skfactorvae'.*'FactorVAE'"):
        skfactorvae.FactorVAE  # noqa: B018
    with pytest.raises(ImportError, match="FactorVAE"):
        from skfactorvae import FactorVAE  # noqa: F401

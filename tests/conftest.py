"""What every test shares: settings, and small members of the family."""

import os

# Read once, when scipy is first imported. With it scikit-learn checks array API input
# instead of skipping those checks.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import inspect

import numpy as np
import pytest
from _labelled import LABELLED
from hypothesis import Phase, settings
from sklearn.base import TransformerMixin

import skfactorvae

settings.register_profile(
    "reproducible",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=15,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
settings.load_profile("reproducible")

SMALL = {
    "n_components": 3,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 6,
    "batch_size": 16,
    "random_state": 0,
}
"""Parameters of a model that is fitted in a few milliseconds."""

TRANSFORMERS = [
    LABELLED.get(name, member)
    for name in skfactorvae.__all__
    if inspect.isclass(member := getattr(skfactorvae, name))
    and issubclass(member, TransformerMixin)
]


def pytest_addoption(parser):
    parser.addoption(
        "--members",
        help="with commas: what runs for each member of the family runs for these",
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--members"):
        return
    wanted = config.getoption("--members").split(",")
    unknown = set(wanted) - {cls.__name__ for cls in TRANSFORMERS}
    if unknown:
        raise pytest.UsageError(f"--members names no member of the family: {unknown}")
    wanted.append(None)  # what runs for no member
    left = [item for item in items if member_of(item) not in wanted]
    items[:] = [item for item in items if member_of(item) in wanted]
    config.hook.pytest_deselected(items=left)


def member_of(item):
    """Return the name of the member that a test runs for; None if it is for no one."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return getattr(parameters.get("Transformer"), "__name__", None)


def takes(cls, parameters):
    """Tell whether a member of the family has these parameters, and own networks."""
    known = {name for member in TRANSFORMERS for name in member().get_params()}
    assert set(parameters) <= known
    rules = cls._parameter_constraints
    if callable(parameters.get("network")) and callable not in rules["network"]:
        return False
    return set(parameters) <= set(rules)


@pytest.fixture(params=TRANSFORMERS, ids=lambda cls: cls.__name__)
def Transformer(request):
    """Each public transformer: a new member of the family is tested when exported."""
    return request.param


def small_one(cls, **parameters):
    """Return a member of the family that is fitted in a few milliseconds."""
    known = inspect.signature(cls).parameters
    common = {name: value for name, value in SMALL.items() if name in known}
    return cls(**{**common, **parameters})


@pytest.fixture
def small(Transformer):
    """Build a small transformer from the parameters that a test is about."""

    def build(**parameters):
        if not takes(Transformer, parameters):  # there is nothing to test
            pytest.skip(f"{Transformer.__name__} does not take {parameters}.")
        return small_one(Transformer, **parameters)

    return build


@pytest.fixture
def small_family():
    """One small transformer of each kind, for what is dear to do for each."""
    return [small_one(cls) for cls in TRANSFORMERS]


@pytest.fixture
def X():
    """Forty rows of five mixed, unequally scaled features."""
    rng = np.random.RandomState(0)
    sources = rng.uniform(-1, 1, size=(40, 3))
    return sources @ rng.normal(size=(3, 5)) * [1, 2, 3, 4, 50] + [0, 1, -5, 100, 7]

"""Options, settings and fixtures of all tests."""

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

for profile, n_examples in (("quick", 5), ("thorough", 15)):
    settings.register_profile(
        profile,
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=n_examples,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )

SMALL = {
    "n_components": 3,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 6,
    "batch_size": 16,
    "random_state": 0,
}
"""Parameters with which a transformer is fitted in a few milliseconds."""

TRANSFORMERS = [
    LABELLED.get(name, member)
    for name in skfactorvae.__all__
    if inspect.isclass(member := getattr(skfactorvae, name))
    and issubclass(member, TransformerMixin)
]

QUICK_MEMBERS = (
    "FactorVAETransformer",
    "SupervisedFactorVAETransformer",
    "InfoGANTransformer",
)
"""Transformers that the quick tier tests: they share the least code."""

TIERS = ("quick", "rest", "all")


# --------------------------------------------------------------- which tests are run
def pytest_addoption(parser):
    group = parser.getgroup("skfactorvae")
    group.addoption(
        "--tier",
        choices=TIERS,
        default="quick",
        help="quick (default): no slow tests, and three transformers stand for all; "
        "rest: what quick leaves out, and property tests with more examples; "
        "all: both",
    )
    group.addoption(
        "--members",
        metavar="NAMES",
        help="transformers to test, separated by commas, or 'all'; by default "
        f"{', '.join(QUICK_MEMBERS)} in the quick tier, and all in the others",
    )


def pytest_configure(config):
    is_quick = config.getoption("--tier") == "quick"
    settings.load_profile("quick" if is_quick else "thorough")
    if config.getoption("numprocesses", None):  # each worker has a core
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_report_header(config):
    members = config.getoption("--members") or "default"
    return f"tier: {config.getoption('--tier')}, members: {members}"


@pytest.hookimpl(trylast=True)  # hypothesis marks its tests before
def pytest_collection_modifyitems(config, items):
    members = selected_members(config)
    items[:] = [item for item in items if is_applicable(item)]
    selected = [item for item in items if is_selected(item, config, members)]
    left = set(items).difference(selected)
    # The longest first, so that no worker is left with one of them at the end.
    items[:] = sorted(selected, key=lambda item: "slow" not in item.keywords)
    if left:
        config.hook.pytest_deselected(items=list(left))


def selected_members(config):
    """Return the names of the transformers that ``--members`` asks for, or None."""
    option = config.getoption("--members")
    known = {cls.__name__ for cls in TRANSFORMERS}
    if option is None:
        return None
    members = known if option == "all" else set(option.split(","))
    if members - known:
        raise pytest.UsageError(f"--members: unknown transformer {members - known}")
    return members


def is_selected(item, config, members):
    """Return whether a test belongs to the tier and to the transformers asked for."""
    tier, member = config.getoption("--tier"), member_of(item)
    if members is not None and member is not None and member not in members:
        return False
    if tier == "all":
        return True
    if tier == "rest":
        return not is_quick(item, None) or "hypothesis" in item.keywords
    return is_quick(item, members)


def is_quick(item, members):
    """Return whether the quick tier runs a test; for each of these members if any."""
    if item.get_closest_marker("slow"):
        return False
    if members is None:
        one = item.get_closest_marker("one_member")
        members = QUICK_MEMBERS[:1] if one else QUICK_MEMBERS
    return member_of(item) in {None, *members}


def member_of(item):
    """Return the name of the transformer that a test is run for; None if for none."""
    if marker := item.get_closest_marker("member"):
        return marker.args[0]
    return getattr(case_of(item).get("Transformer"), "__name__", None)


def case_of(item):
    """Return the parametrised arguments of a test, by name."""
    return item.callspec.params if hasattr(item, "callspec") else {}


def is_applicable(item):
    """Return whether the transformer has the parameters that a test is marked with.

    A test of a parameter that a transformer does not have is not collected. The mark
    ``takes`` is given names of parameters, dicts of parameters, and as ``given`` a
    function of the test's parametrised arguments that returns either.
    """
    case, needed = case_of(item), {}
    for marker in item.iter_markers("takes"):
        given = list(marker.args)
        if function := marker.kwargs.get("given"):
            names = inspect.signature(function).parameters
            given.append(function(*(case[name] for name in names)))
        for one in given:
            needed |= one if isinstance(one, dict) else {one: None}
    return not needed or takes(case["Transformer"], needed)


def takes(cls, parameters):
    """Return whether a transformer has these parameters, and own networks if given."""
    known = {name for member in TRANSFORMERS for name in member().get_params()}
    assert set(parameters) <= known, set(parameters) - known
    rules = cls._parameter_constraints
    if callable(parameters.get("network")) and callable not in rules["network"]:
        return False
    return set(parameters) <= set(rules)


@pytest.fixture(params=TRANSFORMERS, ids=lambda cls: cls.__name__)
def Transformer(request):
    """Each public transformer; a new one is tested when it is exported."""
    return request.param


def small_one(cls, **parameters):
    """Return a transformer that is fitted in a few milliseconds."""
    known = inspect.signature(cls).parameters
    common = {name: value for name, value in SMALL.items() if name in known}
    return cls(**{**common, **parameters})


@pytest.fixture
def small(Transformer):
    """Return a function that builds a small transformer with the given parameters.

    A test that gives a parameter which some transformers lack is marked with ``takes``.
    """

    def build(**parameters):
        assert takes(Transformer, parameters), "mark the test with pytest.mark.takes"
        return small_one(Transformer, **parameters)

    return build


@pytest.fixture
def small_family():
    """One small transformer of each kind, for tests that are slow for each."""
    return [small_one(cls) for cls in TRANSFORMERS]


@pytest.fixture
def X():
    """Forty rows of five mixed, unequally scaled features."""
    rng = np.random.RandomState(0)
    sources = rng.uniform(-1, 1, size=(40, 3))
    return sources @ rng.normal(size=(3, 5)) * [1, 2, 3, 4, 50] + [0, 1, -5, 100, 7]

"""Docstrings agree with signatures and are complete."""

import ast
import functools
import inspect
import re
from itertools import pairwise

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

import skfactorvae
import skfactorvae.datasets
import skfactorvae.evaluation
import skfactorvae.identification
import skfactorvae.inspection
import skfactorvae.interchange
import skfactorvae.metrics
import skfactorvae.model_selection
import skfactorvae.runtime

MODULES = [
    skfactorvae,
    skfactorvae.metrics,
    skfactorvae.evaluation,
    skfactorvae.identification,
    skfactorvae.datasets,
    skfactorvae.model_selection,
    skfactorvae.inspection,
    skfactorvae.interchange,
    skfactorvae.runtime,
]

PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if name != "__version__"
}
CLASSES = {name: member for name, member in PUBLIC.items() if inspect.isclass(member)}
FUNCTIONS = {
    name: member for name, member in PUBLIC.items() if inspect.isfunction(member)
}
METHODS = {
    f"{name}.{attribute}": value
    for name, cls in CLASSES.items()
    for attribute, value in inspect.getmembers(cls, inspect.isfunction)
    if not attribute.startswith("_")
    and value.__module__.startswith("skfactorvae.")
    and value.__module__ != "skfactorvae._compat"  # replaces scikit-learn's own
}
MAKERS = {
    f"{name}.{attribute}": value
    for name, cls in CLASSES.items()
    for attribute, value in inspect.getmembers(cls, inspect.ismethod)
    if attribute.startswith("from_")
}
METHODS |= MAKERS
CALLABLES = {**CLASSES, **FUNCTIONS, **METHODS}
FITTABLE = {name: cls for name, cls in CLASSES.items() if hasattr(cls, "fit")}


def holds_for(members):
    """Turn a check of one member into a test of all that lists those that fail it."""

    def test_of(check):
        @functools.wraps(check)
        def test():
            offenders = []
            for name, member in members.items():
                try:
                    check(member)
                except (AssertionError, KeyError) as error:
                    offenders.append(f"{name}: {error}")
            assert not offenders, "\n".join(offenders)

        del test.__wrapped__  # pytest reads the arguments from it
        return test

    return test_of


def doc_of(member):
    return ClassDoc(member) if inspect.isclass(member) else FunctionDoc(member)


def documented(member):
    """Return each documented parameter's type line, by name."""
    doc = doc_of(member)
    return {
        name.strip(): parameter.type
        for section in ("Parameters", "Other Parameters")
        for parameter in doc[section]
        for name in parameter.name.split(",")
    }


def parameters_of(member):
    """Return each parameter as it is to be documented: with its stars, without self."""
    stars = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    return {
        stars.get(p.kind, "") + name: p
        for name, p in inspect.signature(member).parameters.items()
        if name != "self"
    }


def default_in(type_line):
    """Return the default that a type line ends with; None if it ends without one."""
    match = re.search(r"\bdefault\s*[=:]?\s*(.+)$", type_line)
    return match.group(1).strip() if match else None


def value_of(text):
    """Evaluate a documented default."""
    if text in ("np.inf", "inf"):
        return np.inf
    if text in ("np.nan", "nan"):
        return np.nan
    if fraction := re.fullmatch(r"(\d+) ?/ ?(\d+)", text):
        return int(fraction[1]) / int(fraction[2])
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text.strip("`")


def test_there_is_something_to_document():
    assert CLASSES
    assert FUNCTIONS
    assert METHODS


@holds_for(CALLABLES)
def test_every_parameter_is_documented_in_order(member):
    assert list(documented(member)) == list(parameters_of(member))


@holds_for(CALLABLES)
def test_a_documented_default_is_the_default(member):
    types = documented(member)
    for name, parameter in parameters_of(member).items():
        text = default_in(types[name])
        if parameter.default is inspect.Parameter.empty:
            assert text is None, f"{name} has no default; documented {text}"
        elif parameter.default is not None or text is not None:
            assert text is not None, f"{name}={parameter.default!r} is not documented"
            value = value_of(text)
            is_same = type(value) is type(parameter.default)
            is_same = is_same and repr(value) == repr(parameter.default)
            assert is_same, f"{name}={parameter.default!r}, documented {text}"


@holds_for(CALLABLES)
def test_an_optional_parameter_is_documented_as_such(member):
    """Parameters that are there for convention, as ``y : None``, are excepted."""
    types = documented(member)
    for name, parameter in parameters_of(member).items():
        if parameter.default is None and types[name] not in ("None", "Ignored"):
            assert default_in(types[name]) == "None", name


@holds_for(CALLABLES)
def test_every_parameter_is_described(member):
    for parameter in doc_of(member)["Parameters"]:
        assert parameter.type, parameter.name
        description = " ".join(parameter.desc).strip()
        assert description.endswith((".", ":", "```", ")")), parameter.name


@holds_for({**PUBLIC, **METHODS})
def test_a_docstring_begins_with_one_sentence(member):
    first = inspect.getdoc(member).split("\n\n")[0]
    assert first.endswith("."), first
    assert len(first.splitlines()) <= 2


@holds_for({**FUNCTIONS, **METHODS})
def test_what_is_returned_is_documented(member):
    returned = doc_of(member)["Returns"]
    assert returned
    for value in returned:
        assert value.type
        assert " ".join(value.desc).strip()


@pytest.fixture(params=FITTABLE.values(), ids=FITTABLE)
def fitted(request):
    """A fitted estimator: a search of one of ours, or a meta-estimator of PCA."""
    cls = request.param
    X = np.random.RandomState(0).normal(size=(9, 4))
    if issubclass(cls, GridSearchCV | RandomizedSearchCV):
        model = skfactorvae.FactorVAETransformer(max_iter=2, random_state=0)
        n_iter = {"n_iter": 1} if issubclass(cls, RandomizedSearchCV) else {}
        return cls(model, {"gamma": [1.0]}, cv=2, **n_iter).fit(X)
    wraps = "estimator" in inspect.signature(cls).parameters
    short = {"estimator": PCA(2)} if wraps else {"max_iter": 2}
    return cls(**short, random_state=0).fit(X, X[:, 0])


OPTIONAL = {
    "components_",
    "feature_names_in_",
    "n_features_in_",
    "classes_",
    "fit_score_",
    "column_report_",
    "component_names_",
    "conditional_prior_",
    "best_iter_",
    "n_samples_seen_",
    "drift_",
    "explained_variance_ratio_",
    "rotation_",
    "structural_noise_",
    "n_components_",
    "separation_",
}
"""Attributes that are there for some data or models only, or properties."""


def public_attributes(fitted):
    known = set(fitted.get_params())
    return {n for n in vars(fitted) if not n.startswith("_")} - known


def test_every_fitted_attribute_is_documented(fitted):
    names = {
        name.strip()
        for attribute in ClassDoc(type(fitted))["Attributes"]
        for name in attribute.name.split(",")
    }
    assert public_attributes(fitted) | OPTIONAL >= names >= public_attributes(fitted)


@holds_for(CLASSES)
def test_a_class_has_an_example_and_a_reference(member):
    doc = ClassDoc(member)
    assert doc["Examples"]
    assert doc["References"]


@holds_for(FUNCTIONS)
def test_a_function_has_an_example(member):
    assert FunctionDoc(member)["Examples"]


@holds_for({**PUBLIC, **METHODS})
def test_a_docstring_is_well_formed(member):
    """All sections are known to numpydoc, and none is there twice."""
    lines = inspect.getdoc(member).splitlines()
    titles = [
        title
        for title, rule in pairwise(lines)
        if re.fullmatch(r"-{3,}", rule) and title.strip()
    ]
    known = {
        "Parameters",
        "Other Parameters",
        "Attributes",
        "Returns",
        "Yields",
        "Raises",
        "Warns",
        "Warnings",
        "See Also",
        "Notes",
        "References",
        "Examples",
        "Methods",
    }
    assert len(titles) == len(set(titles))
    assert set(titles) <= known
    for title, rule in pairwise(lines):
        if title in known and re.fullmatch(r"-{3,}", rule):
            assert len(title) == len(rule)

"""Declaration of estimator parameters: name, default, rule and description at once.

:func:`declared` derives from the declarations of a class and of its bases the class's
``__init__``, scikit-learn's parameter constraints, and the docstring's list of
parameters. Each parameter is therefore described in one place, and the documented
default is the signature's.

Type checkers read the declarations as fields of a dataclass (PEP 681): an editor shows
the complete signature of a class, inherited parameters included.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import Field, dataclass, field, fields
from inspect import Parameter, Signature, cleandoc, get_annotations, isabstract
from itertools import pairwise
from typing import Any, dataclass_transform

FIRST = "n_components"
"""Name of the first parameter in every signature."""


def parameter(
    *, default: Any, kind: str, rules: list, description: str, kw_only: bool = True
) -> Any:
    """Declare a parameter of an estimator.

    All arguments are keywords: type checkers recognise a default only by its name.

    Parameters
    ----------
    default : object
        Default value; immutable.
    kind : str
        Type, as the documentation states it.
    rules : list
        Constraints of scikit-learn's parameter validation.
    description : str
        Sentences for the documentation; indentation is removed.
    kw_only : bool, default=True
        Whether the parameter can be passed by keyword only.

    Returns
    -------
    declaration : Field
        A field of a dataclass, for :func:`declared`.
    """
    about = {"kind": kind, "rules": rules, "description": description}
    return field(default=default, metadata=about, kw_only=kw_only)


def shared_parameter(description: dict[str, Any], *, default: Any) -> Any:
    """Declare a parameter that several classes describe alike.

    Parameters
    ----------
    description : dict
        The arguments of :func:`parameter` other than the default.
    default : object
        Default value in the class that is being declared.

    Returns
    -------
    declaration : Field
        As :func:`parameter` returns it.
    """
    return parameter(default=default, **description)


def with_default(base: type, name: str, *, default: Any) -> Any:
    """Declare a parameter as a base class does, with another default.

    Parameters
    ----------
    base : type
        Class that declares the parameter.
    name : str
        Name of the parameter.
    default : object
        Default value in the class that is being declared.

    Returns
    -------
    declaration : Field
        As :func:`parameter` returns it.
    """
    (declaration,) = (f for f in fields(base) if f.name == name)
    return parameter(default=default, **declaration.metadata)


@dataclass_transform(
    kw_only_default=True, field_specifiers=(parameter, shared_parameter, with_default)
)
def declared(cls: type) -> type:
    """Complete a class from its declared parameters.

    ``__init__`` takes the parameters of the class before those of its bases, and
    assigns them without any check. The docstring gets the list of parameters and the
    attributes that the bases document.

    Parameters
    ----------
    cls : type
        Class whose parameters are declared by :func:`parameter`.

    Returns
    -------
    cls : type
        The same class.
    """
    made: Any = dataclass(eq=False, repr=False, match_args=False, kw_only=True)(cls)
    own = [name for base in (made, *_bases(made)) for name in get_annotations(base)]
    names = dict.fromkeys([FIRST, *own])
    parameters = sorted(fields(made), key=lambda f: [*names].index(f.name))
    made.__init__.__signature__ = _signature(parameters)
    made._parameter_constraints = {f.name: f.metadata["rules"] for f in parameters}
    if not isabstract(made):
        made.__doc__ = _document(made, parameters)
    return made


def _signature(parameters: list[Field]) -> Signature:
    """Return ``(self, n_components=..., *, ...)``."""
    kinds = {True: Parameter.KEYWORD_ONLY, False: Parameter.POSITIONAL_OR_KEYWORD}
    return Signature(
        [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
        + [
            Parameter(f.name, kinds[bool(f.kw_only)], default=f.default)
            for f in parameters
        ]
    )


# ------------------------------------------------------------------- docstrings
ORDER = (
    "Parameters",
    "Attributes",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
)
"""Sections of a class docstring, in numpydoc's order."""


def _document(cls: type, parameters: list[Field]) -> str:
    """Return the class docstring with all parameters and attributes."""
    summary, sections = _split_docstring(cls)
    inherited = [_split_docstring(base)[1] for base in _bases(cls)]
    attributes = [s.get("Attributes") for s in (sections, *inherited)]
    sections["Parameters"] = "\n".join(map(_entry, parameters))
    sections["Attributes"] = "\n".join(filter(None, attributes))
    return "\n\n".join(
        [summary]
        + [f"{t}\n{'-' * len(t)}\n{sections[t]}" for t in ORDER if t in sections]
    )


def _bases(cls: type) -> list[type]:
    """Return the base classes that declare parameters."""
    return [base for base in cls.__mro__[1:] if "__dataclass_fields__" in vars(base)]


def _split_docstring(cls: type) -> tuple[str, dict[str, str]]:
    """Split a numpydoc docstring into its summary and its sections."""
    lines = cleandoc(cls.__doc__ or "").splitlines()
    starts = [i - 1 for i, line in enumerate(lines) if line and not line.strip("-")]
    parts = [
        (lines[a], "\n".join(lines[a + 2 : b]).strip())
        for a, b in pairwise([*starts, len(lines)])
    ]
    return "\n".join(lines[: starts[0] if starts else None]).strip(), dict(parts)


def _entry(f: Field) -> str:
    """Return the docstring entry of one parameter."""
    written = json.dumps(f.default) if isinstance(f.default, str) else repr(f.default)
    description = cleandoc(f.metadata["description"])
    return f"{f.name} : {f.metadata['kind']}, default={written}\n" + textwrap.indent(
        description, "    "
    )

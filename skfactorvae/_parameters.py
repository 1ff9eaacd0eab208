"""Parameters declared once: name, default, rule and description in one place.

From the declarations of a class and of its bases, :func:`declared` writes the class's
``__init__``, scikit-learn's table of rules, and the docstring's list of parameters.
What is documented is therefore what is, and no parameter is described twice.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import Field, dataclass, field, fields
from inspect import Parameter, Signature, cleandoc, get_annotations, isabstract
from itertools import pairwise
from typing import Any, dataclass_transform

FIRST = "n_components"
"""The one parameter that may be given by position."""


def parameter(default: Any, kind: str, rules: list, description: str) -> Any:
    """Declare a parameter of an estimator.

    Parameters
    ----------
    default : object
        Immutable.
    kind : str
        Its type, as the documentation says it.
    rules : list
        Constraints of scikit-learn's parameter validation.
    description : str
        Sentences for the documentation; the indentation does not matter.
    """
    about = {"kind": kind, "rules": rules, "description": description}
    return field(default=default, metadata=about)


def with_default(base: type, name: str, default: Any) -> Any:
    """Declare a parameter as a base does, but with another default."""
    (declaration,) = (f for f in fields(base) if f.name == name)
    return parameter(default, **declaration.metadata)


@dataclass_transform(kw_only_default=True, field_specifiers=(parameter, with_default))
def declared(cls: type) -> type:
    """Give a class what its declared parameters imply.

    ``__init__`` takes them, the first by position, a class's own before those of its
    bases. It assigns, and does nothing else. The docstring gets the list of them,
    and the attributes that its bases document.
    """
    if isinstance(first := vars(cls).get(FIRST), Field):
        first.kw_only = False
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
    kinds = {FIRST: Parameter.POSITIONAL_OR_KEYWORD}
    return Signature(
        [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
        + [
            Parameter(
                f.name,
                kinds.get(f.name, Parameter.KEYWORD_ONLY),
                default=f.default,
            )
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


def _document(cls: type, parameters: list[Field]) -> str:
    """Return a class's docstring with its parameters and all its attributes."""
    summary, sections = _take_apart(cls)
    inherited = [_take_apart(base)[1] for base in _bases(cls)]
    attributes = [s.get("Attributes") for s in (sections, *inherited)]
    sections["Parameters"] = "\n".join(map(_entry, parameters))
    sections["Attributes"] = "\n".join(filter(None, attributes))
    return "\n\n".join(
        [summary]
        + [f"{t}\n{'-' * len(t)}\n{sections[t]}" for t in ORDER if t in sections]
    )


def _bases(cls: type) -> list[type]:
    """Return the bases that declare parameters, too."""
    return [base for base in cls.__mro__[1:] if "__dataclass_fields__" in vars(base)]


def _take_apart(cls: type) -> tuple[str, dict[str, str]]:
    """Split a numpydoc docstring into what comes first, and its sections."""
    lines = cleandoc(cls.__doc__ or "").splitlines()
    starts = [i - 1 for i, line in enumerate(lines) if line and not line.strip("-")]
    parts = [
        (lines[a], "\n".join(lines[a + 2 : b]).strip())
        for a, b in pairwise([*starts, len(lines)])
    ]
    return "\n".join(lines[: starts[0] if starts else None]).strip(), dict(parts)


def _entry(f: Field) -> str:
    written = json.dumps(f.default) if isinstance(f.default, str) else repr(f.default)
    description = cleandoc(f.metadata["description"])
    return f"{f.name} : {f.metadata['kind']}, default={written}\n" + textwrap.indent(
        description, "    "
    )

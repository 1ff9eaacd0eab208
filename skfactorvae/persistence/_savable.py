"""Estimators that are saved to files, by a declaration of their fitted state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from .._version import __version__
from ..files import PARTS, Document, Nested, Reader, Writer, write_document
from ._entries import Array, Chosen, Entry, Plain, Requests, Sizes, Unsaved

COLUMNS: dict[str, Entry] = {
    "n_features_in_": Plain(types=(int,)),
    "feature_names_in_": Array(axes=("p",), kinds="O", optional=True),
}
"""Fitted attributes on the columns of X, which have a part of the file of their own."""

SETTINGS: dict[str, Entry] = {
    "_sklearn_output_config": Plain(types=(dict,), optional=True),
    "_metadata_request": Requests(optional=True),
    "_skl_callbacks": Unsaved(types=(), optional=True),
    "_skl_callbacks_to_teardown": Unsaved(types=(), optional=True),
    "_callback_fit_ctx": Unsaved(types=(), optional=True),
}
"""Attributes of scikit-learn's beside parameters; callbacks are not in files."""


class Savable(Nested):
    """Base class of estimators that can be saved to a file.

    A subclass declares its fitted attributes in ``_fitted_state``. The state is stored,
    restored and checked by that declaration alone, so that new attributes need nothing
    else.
    """

    _fitted_state: ClassVar[Mapping[str, Entry]] = {}

    def save(self, path, *, include_discriminator=False):
        """Write the fitted estimator to a file that contains no code.

        The file has the safetensors format: arrays, and parameters and other values as
        JSON. It replaces an existing file at once, so that an error or a crash leaves
        the old one. ``skfactorvae.load`` returns an estimator with the same output, bit
        for bit, and ``skfactorvae.runtime`` computes it without torch. Modules of
        your own, ``network=`` a function, are saved as weights and the function's name.

        Parameters
        ----------
        path : str or path-like
            File to write; ``.safetensors`` is the usual ending.
        include_discriminator : bool, default=False
            Whether to store the weights that only training needs: those of
            discriminators and adversarial predictors. Without them, a fit that
            continues this one, by ``warm_start``, begins with new ones.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If a parameter or an attribute is neither a plain value nor an array, or is
            not declared by the class.
        OSError
            If the file cannot be written.
        """
        write_document(path, document_of(self, bool(include_discriminator)))
        return self

    # --------------------------------------------------------------------- documents
    def _to_node(self, writer: Writer, name: str) -> dict[str, Any]:
        return {"class": type(self).__name__, **self._to_parts(writer, name)}

    def _to_parts(self, writer: Writer, name: str) -> dict[str, Any]:
        """Return the parts of the estimator's document."""
        parameters = self.get_params(deep=False)  # type: ignore[attr-defined]
        state = {k: v for k, v in vars(self).items() if k not in parameters}
        self._check_is_declared(state)
        written = {
            key: entry.write(writer, state, f"{name}{key}")
            for key, entry in self._declared().items()
            if key in state and entry.is_stored(writer, state[key])
        }
        columns = {key: written.pop(key) for key in COLUMNS if key in written}
        return {
            "parameters": {
                key: writer.write(value, f"{name}{key}")
                for key, value in parameters.items()
            },
            "columns": columns | self._column_types(),
            "state": written,
            "networks": writer.write(self._described_networks(), "networks"),
        }

    @classmethod
    def _from_node(cls, node: Mapping[str, Any], reader: Reader, name: str) -> Self:
        """Return the estimator of a document, checked."""
        parts: dict[str, Any] = {p: node.get(p) for p in PARTS if p not in UNREAD}
        if not all(isinstance(part, dict) for part in parts.values()):
            reader.refuse(f"{name or 'it'} lacks {', '.join(parts)}.")
        estimator = cls._with_parameters(parts["parameters"], reader, name)
        declared = estimator._declared()
        stored = parts["state"] | {
            k: v for k, v in parts["columns"].items() if k in COLUMNS
        }
        if unknown := sorted(stored.keys() - declared.keys()):
            reader.refuse(
                f"{cls.__name__} of version {__version__} has no attribute "
                f"{unknown[0][:60]!r}, which the file holds."
            )
        state = {
            key: declared[key].read(reader, value, f"{name}{key}")
            for key, value in stored.items()
        }
        for key, entry in declared.items():
            if isinstance(entry, Chosen) and key in state:
                state[key] = _resolved(entry, state, reader, key)
        estimator._restore(state, reader)
        return estimator

    @classmethod
    def _with_parameters(
        cls, stored: Mapping[str, Any], reader: Reader, name: str
    ) -> Self:
        """Return an estimator with the parameters of a file, not fitted."""
        known = cls._get_param_names()  # type: ignore[attr-defined]
        if unknown := sorted(set(stored) - set(known)):
            reader.refuse(
                f"{cls.__name__} of version {__version__} has no parameter "
                f"{unknown[0][:60]!r}."
            )
        return cls(**{k: reader.read(v, f"{name}{k}") for k, v in stored.items()})

    def _restore(self, state: dict[str, Any], reader: Reader) -> None:
        """Set the fitted attributes of a file, checked."""
        requests = state.pop("_metadata_request", None)
        sizes = self._checked_sizes(state, reader)
        for key, entry in self._declared().items():
            if key not in state:
                is_needed = not entry.optional and bool(state)
                if is_needed and key not in SETTINGS and self._is_fitted_by(state):
                    reader.refuse(f"it lacks {key}.")
                continue
            if problem := entry.problem(state[key], sizes):
                reader.refuse(f"{key} {problem}.")
        if requests is not None:
            self._restore_requests(requests, reader)
        vars(self).update(state)
        if self._is_fitted_by(state):
            self._check_restored(reader)

    def _restore_requests(self, requests: Any, reader: Reader) -> None:
        if problem := SETTINGS["_metadata_request"].problem(requests, {}):
            reader.refuse(f"_metadata_request {problem}.")
        routing = self.get_metadata_routing()  # type: ignore[attr-defined]
        for method, asked in requests.items():
            for parameter, alias in asked.items():
                getattr(routing, method).add_request(param=parameter, alias=alias)
        self._metadata_request = routing

    # ---------------------------------------------------------- what subclasses give
    @classmethod
    def _declared(cls) -> dict[str, Entry]:
        """Return the kind of every attribute that a fitted estimator may have."""
        return {**COLUMNS, **cls._fitted_state, **SETTINGS}

    def _checked_sizes(self, state: Mapping[str, Any], reader: Reader) -> Sizes:
        """Return the lengths of named axes, by attributes that are not checked yet."""
        return {"p": state["n_features_in_"]} if "n_features_in_" in state else {}

    def _is_fitted_by(self, state: Mapping[str, Any]) -> bool:
        """Return whether these attributes are those of a fitted estimator."""
        return bool(state.keys() & self._fitted_state.keys())

    def _check_restored(self, reader: Reader) -> None:
        """Raise if restored attributes do not fit each other."""

    def _column_types(self) -> dict[str, Any]:
        """Return what is known of the columns of X beside their names."""
        return {}

    def _described_networks(self) -> dict[str, Any] | None:
        """Return the networks as layers, for use without torch, or None."""
        return None

    def _versions(self) -> dict[str, str]:
        """Return the versions of this package and of the libraries that it uses."""
        return {"skfactorvae": __version__, "numpy": np.__version__}

    def _check_is_declared(self, state: Mapping[str, Any]) -> None:
        """Raise if the estimator has an attribute that its class does not declare."""
        unknown = sorted(state.keys() - self._declared().keys())
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has the attribute {unknown[0]!r}, which its "
                "class does not declare as fitted state: a file cannot hold it. Delete "
                "it, declare it in _fitted_state of the class, or use pickle."
            )


def document_of(estimator: Savable, include_discriminator: bool = False) -> Document:
    """Return the document of a fitted estimator.

    Parameters
    ----------
    estimator : Savable
    include_discriminator : bool, default=False
        Whether it has the weights that only training needs.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If a parameter or an attribute cannot be stored.
    """
    _check_is_fitted(estimator)
    writer = Writer(with_discriminator=include_discriminator)
    parts = estimator._to_parts(writer, "") | {"versions": estimator._versions()}
    return Document(type(estimator).__name__, parts, writer.arrays)


UNREAD = ("networks", "versions")
"""Parts that are not needed to restore an estimator."""


def _resolved(entry: Chosen, state: Mapping[str, Any], reader: Reader, key: str) -> Any:
    try:
        return entry.resolve(state)
    except (KeyError, IndexError, TypeError):
        reader.refuse(f"{key} is not one of {entry.list}.")


def _check_is_fitted(estimator: Any) -> None:
    from sklearn.utils.validation import check_is_fitted  # not needed to read a file

    check_is_fitted(estimator)

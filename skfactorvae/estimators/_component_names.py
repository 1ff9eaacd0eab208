"""Names of components, which a user sets after a look at what they do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from .._pipelines import component_index


class NamedComponents(ClassNamePrefixFeaturesOutMixin):
    """Transformer whose components can be named.

    A subclass has ``_n_codes``, the number of columns of its codes, and ``_kept``, the
    indices of those that ``transform`` returns.
    """

    def set_component_names(self, names):
        """Name components of the fitted estimator.

        The names are those of the columns of ``transform`` with ``set_output``, and are
        used by tables, plots, pages and reports. Files and pickles hold them. A new fit
        finds other components, and removes them.

        Parameters
        ----------
        names : dict of (int or str) to str, sequence of str, or None
            Names by the index of the component, or by the name that it has, as
            "component 0"; those of other components are kept.
            A sequence has a name for each component, or None where there is none. None
            removes all names.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If a name is not a string.
        ValueError
            If a key is not that of a component, or two are of the same one, a name is
            empty, two components have one name, or a sequence has another length.
        """
        check_is_fitted(self)
        given = self._by_index(names)
        for j, name in given.items():
            _check_name(j, name)
        chosen = list(self._given_names)
        if names is None:
            chosen = [None] * self._n_codes
        for j, name in given.items():
            chosen[j] = None if name is None else str(name)
        _check_distinct(_filled(chosen, "component "))
        _check_distinct(_filled(chosen, type(self).__name__.lower()))
        self._component_names = tuple(chosen)
        return self

    @property
    def component_names_(self):
        """Names of the components, ndarray of str of shape (n_components,).

        "component 0" and so on, where ``set_component_names`` gave none.
        """
        check_is_fitted(self)
        return _filled(self._given_names, "component ")

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns that ``transform`` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the features, checked against those of ``fit``.

        Returns
        -------
        names : ndarray of str
            The names of ``set_component_names``; else the name of the class, in lower
            case, and the index of the component.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the names of the features are not those of ``fit``.
        """
        super().get_feature_names_out(input_features)  # checks them
        return _filled(self._given_names, type(self).__name__.lower())[self._kept]

    def _by_index(self, names):
        """Return new names by the index of their component."""
        given: dict[int, str | None] = {}
        for key, name in _entries(names, self._n_codes).items():
            j = component_index(key, self, self._n_codes)
            if j in given:
                raise ValueError(
                    f"names has two names for component {j}: {given[j]!r}, and "
                    f"{name!r} for the key {key!r}; expected one for each component."
                )
            given[j] = name
        return given

    @property
    def _given_names(self):
        """Names that were set; None for each other component."""
        return vars(self).get("_component_names", (None,) * self._n_codes)


def _entries(names, n_codes):
    """Return names by index, or by what a dict has in its place."""
    if names is None:
        return {}
    if isinstance(names, Mapping):
        return dict(names)
    if isinstance(names, str):
        raise TypeError(
            f"names is the string {names!r}; expected a dict of indices to names, such "
            f"as {{0: {names!r}}}, or a sequence with a name for each component."
        )
    names = list(names)
    if len(names) != n_codes:
        raise ValueError(
            f"names has {len(names)} names, but there are {n_codes} components. Give "
            "one for each (None for none), or a dict of indices to names."
        )
    return dict(enumerate(names))


def _check_name(j, name):
    if name is not None and not isinstance(name, str):
        raise TypeError(
            f"The name of component {j} is {name!r}, of type {type(name).__name__}; "
            "expected a string, or None to remove it."
        )
    if name is not None and not name.strip():
        raise ValueError(
            f"The name of component {j} is empty; expected text, or None to remove it."
        )


def _check_distinct(names):
    found, counts = np.unique(names.astype(str), return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"Two components would be called {str(found[counts.argmax()])!r}; expected "
            "a name of its own for each."
        )


def _filled(names, stem):
    """Return names as an array, (n_codes,), with a stem and the index for None."""
    filled = [f"{stem}{j}" if name is None else name for j, name in enumerate(names)]
    return np.array(filled, dtype=object)

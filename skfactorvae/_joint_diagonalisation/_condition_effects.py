"""Shifts and spreads of components at the levels of several conditions.

Axes: ``n`` samples, ``d`` components.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._pandas import import_pandas
from ._condition_table import ConditionTable
from ._conditions import read_columns

LEVEL, MIN_INFORMATION = 0.01, 0.02
"""Largest p, and least information in nats, of a component that varies with a column.

A column that explains 4 % of a component's variance has 0.02 nats."""


@dataclass(frozen=True, eq=False)
class ConditionEffects:
    """Shift and spread of each component at each level of each condition.

    ``condition_effects`` computes it. ``print`` it for one line per condition.

    Parameters
    ----------
    table : ConditionTable
        Conditions and their levels, as ``condition_effects`` finds them.
    shift : tuple of ndarray, each of shape (n_levels, n_components)
        Shift of each component at each level, in the units of the codes. Weighted by
        the number of samples, shifts of a component sum to zero.
    spread : tuple of ndarray, each of shape (n_levels, n_components)
        Ratio of the standard deviation at a level to that of all samples, after all
        shifts are subtracted. Weighted by the number of samples, the mean of the
        squares is one.
    information : ndarray of shape (n_columns, n_components)
        Information about a condition in a component, within levels of the other
        conditions, nats, >= 0: the sum of that in shifts and that in spreads of normal
        distributions, less what permuted conditions have in the mean.
    p_value : ndarray of shape (n_columns, n_components)
        Share of the permutations in which any component has as much information.

    Attributes
    ----------
    columns : tuple of str
        Names of the conditions.
    levels : tuple of tuple of str
        Names of the levels of each condition.

    References
    ----------
    Anderson, M. J. & ter Braak, C. (2003). "Permutation tests for multi-factorial
    analysis of variance." J. Stat. Comput. Simul. 73, for permutations within levels.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactorvae.identification import condition_effects
    >>> rng = np.random.RandomState(0)
    >>> dose, site = rng.choice(["none", "high"], 300), rng.randint(3, size=300)
    >>> aux = pd.DataFrame({"dose": dose, "site": site})
    >>> Z = rng.normal(size=(300, 3))
    >>> Z[:, 0] += aux["dose"] == "high"
    >>> Z[:, 2] += aux["site"]
    >>> print(condition_effects(Z, aux))
    dose: component 0 (0.11 nats)
    site: component 2 (0.21 nats)
    none of them: component 1
    """

    table: ConditionTable = field(repr=False)
    shift: tuple[np.ndarray, ...]
    spread: tuple[np.ndarray, ...]
    information: np.ndarray
    p_value: np.ndarray

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(str(column.name) for column in self.table.columns)

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        return tuple(column.names for column in self.table.columns)

    def varies(
        self,
        column: Any,
        *,
        level: float = LEVEL,
        min_information: float = MIN_INFORMATION,
    ) -> np.ndarray:
        """Return which components vary with a condition.

        Parameters
        ----------
        column : str or int
            Name of a condition; its number where aux was an array.
        level : float, default=0.01
            Largest p of a component that varies.
        min_information : float, default=0.02
            Least information of a component that varies, nats. A condition that
            explains 4 % of a component's variance has 0.02 nats. With many samples,
            smaller effects have a small p as well, such as traces of other components.

        Returns
        -------
        varies : ndarray of bool, shape (n_components,)
            True where p and information are within both limits.

        Raises
        ------
        ValueError
            If there is no such condition.
        """
        m = self._number_of(column)
        return (self.p_value[m] <= level) & (self.information[m] >= min_information)

    def remove(self, Z: Any, column: Any, values: Any) -> np.ndarray:
        """Remove the shifts of one condition from codes.

        Shifts of the other conditions, and all spreads, stay.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes of the same model, of these samples or of new ones.
        column : str or int
            Name of the condition whose shifts are subtracted.
        values : array-like of shape (n_samples,)
            Its value for each sample. Where it is missing (NaN or None), codes are
            returned as they are.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            New codes, float64.

        Raises
        ------
        ValueError
            If there is no such condition, arrays are of other shapes, or a value is
            not one of its levels.
        """
        m = self._number_of(column)
        codes = checked_codes(Z)
        if codes.shape[1] != self.information.shape[1]:
            raise ValueError(
                f"Z has {codes.shape[1]} components; expected those whose effects were "
                f"estimated, {self.information.shape[1]}."
            )
        found, _ = read_columns(values, len(codes))
        if len(found) != 1:
            raise ValueError(
                f"values has {len(found)} columns; expected one, the values of "
                f"{column!r}."
            )
        number = self.table.columns[m].level_of(found[0])
        if len(unseen := np.flatnonzero(number < 0)):
            raise ValueError(
                f"values holds levels of {column!r} that have no estimated shift, at "
                f"{len(unseen)} samples, the first of them number {unseen[0]}. Known "
                f"are {', '.join(self.levels[m][:5])} ({len(self.levels[m])} in all). "
                "Write NaN or None to leave the codes of these samples as they are."
            )
        is_known = ~np.isnan(number)
        codes[is_known] -= self.shift[m][number[is_known].astype(int)]
        return codes

    def to_frame(self) -> Any:
        """Return a DataFrame with one row per condition, level and component.

        Returns
        -------
        frame : pandas.DataFrame
            Columns ``condition``, ``level``, ``component``, ``shift``, ``spread``,
            ``information``, ``p_value``; the last two are those of the condition.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas(
            "to_frame()", "The arrays are in the attributes, without it."
        )
        d = self.information.shape[1]
        parts = [
            pd.DataFrame(
                {
                    "condition": name,
                    "level": np.repeat(self.levels[m], d),
                    "component": np.tile(np.arange(d), len(self.levels[m])),
                    "shift": self.shift[m].ravel(),
                    "spread": self.spread[m].ravel(),
                    "information": np.tile(self.information[m], len(self.levels[m])),
                    "p_value": np.tile(self.p_value[m], len(self.levels[m])),
                }
            )
            for m, name in enumerate(self.columns)
        ]
        return pd.concat(parts, ignore_index=True)

    def __str__(self) -> str:
        varying = np.array([self.varies(name) for name in self.columns])
        lines = [
            _line(name, np.flatnonzero(varying[m]), self.information[m])
            for m, name in enumerate(self.columns)
        ]
        rest = np.flatnonzero(~varying.any(axis=0))
        return "\n".join([*lines, _line("none of them", rest)])

    def _number_of(self, column: Any) -> int:
        if str(column) not in self.columns:
            raise ValueError(
                f"column must be one of {list(self.columns)}; got {column!r}."
            )
        return self.columns.index(str(column))


def _line(name, components, information=None) -> str:
    """Return a line such as ``dose: components 0 (0.11 nats), 2 (0.05 nats)``."""
    parts = [
        f"{j}" if information is None else f"{j} ({information[j]:.2f} nats)"
        for j in components
    ]
    noun = "component" if len(parts) == 1 else "components"
    return f"{name}: {noun} {', '.join(parts)}" if parts else f"{name}: no component"


def checked_codes(Z: Any) -> np.ndarray:
    """Return codes as a new float array (n, d)."""
    codes = np.array(Z, dtype=np.float64)
    if codes.ndim != 2 or not codes.shape[1]:
        raise ValueError(
            f"Z must have shape (n_samples, n_components); got shape {codes.shape}."
        )
    if not np.isfinite(codes).all():
        raise ValueError(
            "Z contains NaN or infinity; expected finite numbers. Leave these samples "
            "out, or encode them without missing values."
        )
    return codes

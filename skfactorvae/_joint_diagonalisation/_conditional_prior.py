"""Distribution of components under each condition, as a table.

Axes: ``c`` conditions, ``d`` components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._pandas import import_pandas


@dataclass(frozen=True, eq=False)
class ConditionalPrior:
    """Distribution of each component under each condition.

    ``conditional_prior_`` of a fitted ``AuxiliaryVAETransformer``. ``print`` it for one
    line per condition. Weighted by the shares of the conditions, each component has
    mean zero and variance one over all of them: a mean is a shift in standard
    deviations of the component, and a standard deviation is a ratio to that of all
    samples.

    Parameters
    ----------
    condition : ndarray of str, shape (n_conditions,)
        Names of the conditions: levels, intervals of a continuous column, or
        combinations of these.
    share : ndarray of shape (n_conditions,)
        Share of each condition in the samples whose condition is known, by weight.
    mean : ndarray of shape (n_conditions, n_components)
        Means of the components.
    std : ndarray of shape (n_conditions, n_components)
        Their standard deviations, positive.

    References
    ----------
    Zhou & Wei (2020), "Learning identifiable and interpretable latent models of
    high-dimensional neural activity using pi-VAE", for the prior of a condition.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.identification import ConditionalPrior
    >>> names, shares = np.array(["north", "south"]), np.array([0.5, 0.5])
    >>> mean, std = np.array([[0.8], [-0.8]]), np.array([[0.5], [0.7]])
    >>> print(ConditionalPrior(names, shares, mean, std))
    north: components 0: +0.80 (sd 0.50)
    south: components 0: -0.80 (sd 0.70)
    """

    condition: np.ndarray
    share: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def __len__(self) -> int:
        return len(self.condition)

    def __str__(self) -> str:
        return "\n".join(self._line(k) for k in range(len(self)))

    def __repr__(self) -> str:
        c, d = self.mean.shape
        return f"<ConditionalPrior: {c} conditions, {d} components>\n{self}"

    def _line(self, k: int) -> str:
        pairs = zip(self.mean[k], self.std[k], strict=True)
        parts = (f"{j}: {m:+.2f} (sd {s:.2f})" for j, (m, s) in enumerate(pairs))
        return f"{self.condition[k]}: components {', '.join(parts)}"

    def to_frame(self) -> Any:
        """Return a DataFrame with one row per condition and component.

        Returns
        -------
        frame : pandas.DataFrame
            Columns ``condition``, ``component``, ``mean``, ``std``, ``share``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas(
            "to_frame()", "The arrays are in the attributes of the table, without it."
        )
        c, d = self.mean.shape
        return pd.DataFrame(
            {
                "condition": np.repeat(self.condition, d),
                "component": np.tile(np.arange(d), c),
                "mean": self.mean.ravel(),
                "std": self.std.ravel(),
                "share": np.repeat(self.share, d),
            }
        )

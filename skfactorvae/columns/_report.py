"""What a fit did with each column of a table, and what it found.

Axes: ``p`` columns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .._inputs import columns
from .._pandas import import_pandas

NO_GAINS = (
    "How well columns are predicted from others is computed where fit holds samples "
    "out, for at most 300 features of several types or likelihoods."
)
"""Last line of a report without any gain."""


@dataclass(frozen=True, eq=False)
class ColumnReport:
    """What a fit did with each column; ``column_report_`` of a fitted transformer.

    ``print`` it for one line per column.

    Parameters
    ----------
    name : ndarray of str, shape (n_columns,)
        Names of the columns.
    dtype : ndarray of str, same shape
        Types that the columns had in the table.
    likelihood : ndarray of str, same shape
        Likelihood that each column has.
    suggestion : ndarray of (str or None), same shape
        Likelihood that would describe a column of numbers better than a normal
        distribution, judged by its values.
    reason : ndarray of str, same shape
        Why; empty without a suggestion.
    missing : ndarray of shape (n_columns,)
        Share of the values that are missing, in [0, 1], by weight of the samples.
    n_levels : ndarray of int, same shape
        Levels of the model, of which merged ones are one; zero for numbers.
    noise_scale : ndarray, same shape
        Standard deviation of the noise in the unit of the column, or of its logarithm
        if it is lognormal; the scale of Student's t. NaN for other likelihoods.
    degrees_of_freedom : ndarray, same shape
        Of Student's t; NaN for others.
    dispersion : ndarray, same shape
        Of the negative binomial, d in a variance of mean + d * mean**2; NaN for others.
    predicted : ndarray, same shape
        Mean log-density of held-out values given others of the same sample, nats per
        observed value, in the unit of the column: three quarters of the columns are
        shown at a time. Of a fit to four fifths of the samples, as ``held_out_``; NaN
        if no samples were held out, for tables of numbers with one likelihood, and for
        more than 300 features.
    independent : ndarray, same shape
        The same under a distribution of the column alone, with the same likelihood.
    remark : str, default=""
        Which columns number the samples in their order, or are copies of each other up
        to unit and offset, and what to do; empty if there are none.

    Attributes
    ----------
    gain : ndarray of shape (n_columns,)
        ``predicted - independent``: how much better a value is predicted from the
        other columns than from the distribution of its own, nats. At about zero, a
        column shares no component with others. Below zero, predictions are farther off
        than the noise of the column allows, as where it is nearly a function of a few
        columns, such as a copy or a sum: the model reproduces it with little noise, and
        is too certain of it once some of these are hidden.

    References
    ----------
    Nazabal et al. (2020), "Handling incomplete heterogeneous data using VAEs", for the
    likelihoods of columns of several types.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_sensor_table
    >>> X, _ = make_sensor_table(300, typed=True, random_state=0)
    >>> vae = FactorVAETransformer(2, max_iter=50, random_state=0).fit(X)
    >>> report = vae.column_report_
    >>> list(report.to_frame())[:4]
    ['name', 'dtype', 'likelihood', 'suggestion']
    """

    name: np.ndarray
    dtype: np.ndarray
    likelihood: np.ndarray
    suggestion: np.ndarray
    reason: np.ndarray
    missing: np.ndarray
    n_levels: np.ndarray
    noise_scale: np.ndarray
    degrees_of_freedom: np.ndarray
    dispersion: np.ndarray
    predicted: np.ndarray
    independent: np.ndarray
    remark: str = ""

    @property
    def gain(self) -> np.ndarray:
        """Nats per observed value by which other columns improve the prediction."""
        return self.predicted - self.independent

    @property
    def suggested(self) -> dict[str, str]:
        """Suggestions by column, as the parameter ``likelihood`` takes them."""
        pairs = zip(self.name.tolist(), self.suggestion.tolist(), strict=True)
        return {name: likelihood for name, likelihood in pairs if likelihood}

    def __len__(self) -> int:
        return len(self.name)

    def __str__(self) -> str:
        lines = [self._line(j) for j in range(len(self))]
        if lines and np.isnan(self.gain).all():
            lines.append(NO_GAINS)
        if self.remark:
            lines.append(self.remark)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<ColumnReport: {len(self)} columns>\n{self}"

    def _line(self, j: int) -> str:
        parts = [f"{self.likelihood[j]} ({self.dtype[j]})"]
        if self.n_levels[j]:
            parts.append(f"{self.n_levels[j]} levels")
        if self.missing[j]:
            parts.append(f"{100 * self.missing[j]:.3g} % missing")
        for word, values in (
            ("noise", self.noise_scale),
            ("degrees of freedom", self.degrees_of_freedom),
            ("dispersion", self.dispersion),
        ):
            if not np.isnan(values[j]):
                parts.append(f"{word} {values[j]:.3g}")
        if not np.isnan(self.gain[j]):
            parts.append(_comparison(self.gain[j]))
        line = f"{self.name[j]}: {', '.join(parts)}"
        if not self.suggestion[j]:
            return line
        return f"{line}; consider {self.suggestion[j]!r}: {self.reason[j]}"

    def to_frame(self) -> Any:
        """Return the report as a DataFrame, one row per column of the table.

        Returns
        -------
        frame : pandas.DataFrame
            All arrays, in their order, and ``gain``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas(
            "to_frame()", "The arrays are in the attributes of the report, without it."
        )
        names = [field.name for field in fields(self) if field.name != "remark"]
        arrays = {name: getattr(self, name) for name in names}
        return pd.DataFrame({**arrays, "gain": self.gain})


def _comparison(gain: float) -> str:
    """Return how well the other columns predict a column, in words."""
    word = "better" if gain >= 0 else "worse"
    return f"predicted {abs(gain):.2f} nats {word} from other columns than alone"


def column_dtypes(X: Any) -> tuple[str, ...]:
    """Return the name of each column's type; one name for all columns of an array.

    Parameters
    ----------
    X : frame or array-like of shape (n, p)
    """
    if hasattr(X, "columns") and hasattr(X, "__getitem__"):
        found, _ = columns(X, "X")
        return tuple(str(getattr(column, "dtype", "object")) for column in found)
    return (str(X.dtype) if hasattr(X, "dtype") else "object",)

"""The report of a fit on the columns of its table."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import core
from ..columns import (
    CONTINUOUS,
    ColumnReport,
    about_redundant,
    suggest_likelihood,
)
from ..preparation import TrainingData
from ._table_columns import TableColumnsMixin

MAX_JUDGED_COLUMNS = 300
"""Columns of which likelihoods are suggested, at most."""

READ_ROWS = 1000
"""Samples that are read at once."""

JUDGED_ROWS = 10_000
"""Distinct samples by which columns are judged, at most."""

JUDGED_VALUES = JUDGED_ROWS * MAX_JUDGED_COLUMNS
"""Values by which columns are judged, at most."""


@dataclass(frozen=True)
class JudgedColumns:
    """What a fit keeps of its samples for the report on their columns.

    Attributes
    ----------
    dtypes : tuple of str
        Types of the columns of the table.
    missing : ndarray of shape (q,)
        Share of the samples without a value of each feature.
    rows : ndarray of shape (m, q)
        Some of the distinct samples.
    remark : str or None
        On redundant columns.
    """

    dtypes: tuple[str, ...]
    missing: np.ndarray
    rows: np.ndarray
    remark: str | None = None

    @classmethod
    def of(
        cls, dtypes: tuple[str, ...], data: TrainingData, remark: str | None = None
    ) -> JudgedColumns:
        """Take samples from those of a fit, a few at a time, in stored order."""
        n_rows = max(1, min(JUDGED_ROWS, JUDGED_VALUES // data.X.shape[1]))
        chosen = data.index[:n_rows]
        order = np.argsort(chosen)
        rows = np.empty((len(chosen), data.X.shape[1]), dtype=data.X.dtype)
        for start in range(0, len(chosen), READ_ROWS):
            some = order[start : start + READ_ROWS]
            rows[some] = data.X[chosen[some]]
        return cls(dtypes, data.missing_shares(), rows, remark)


class ColumnReportMixin(TableColumnsMixin):
    """What a fitted estimator reports on each column of its table."""

    mean_: Any
    scale_: Any
    weights_: Any

    @property
    @abstractmethod
    def _spec(self) -> Any:
        """Description of the networks."""

    @property
    @abstractmethod
    def _likelihood(self) -> Any:
        """Likelihood of the decoder's output."""

    def _column_findings(self, columns: JudgedColumns) -> dict[str, Any]:
        """Return what the report says of the samples themselves."""
        places, p = self._column_places, self.n_features_in_
        is_judged = (self._column_kinds == "gaussian") & (p <= MAX_JUDGED_COLUMNS)
        judged = columns.rows[:, places].astype(np.float64)
        found = {
            j: suggest_likelihood(judged[:, j])
            for j in np.flatnonzero(is_judged).tolist()
        }
        suggestions = tuple((j, *s) for j, s in found.items() if s is not None)
        state: dict[str, Any] = {"dtypes": columns.dtypes}
        if columns.remark is not None:
            state["remark"] = columns.remark
        if columns.missing.any():
            state["missing"] = columns.missing[places]
        return state | ({"suggestions": suggestions} if suggestions else {})

    def _redundant_columns(self, X) -> str | None:
        """Return a remark about numbers of samples and copies of columns, or None.

        Parameters
        ----------
        X : ndarray of shape (n, q), or row source
            Features, in the order of the samples. Sources, which are read in parts,
            and images are not judged.
        """
        likelihood = getattr(self, "likelihood", "gaussian")
        is_image = getattr(self, "network", None) == "conv" or likelihood == "bernoulli"
        if is_image or not isinstance(X, np.ndarray):
            return None
        if (table := self._table) is None:
            names = [f"x{j}" for j in range(X.shape[1])]
            return about_redundant(X, getattr(self, "feature_names_in_", names))
        pairs = zip(table.columns, table.firsts, strict=True)
        found = [(c.name, j) for c, j in pairs if c.likelihood == "gaussian"]
        return about_redundant(X[:, [j for _, j in found]], [name for name, _ in found])

    @property
    def _column_places(self) -> np.ndarray:
        """First feature of each column of the table, (n_columns,)."""
        if (table := self._table) is not None:
            return np.array(table.firsts)
        return np.arange(self.n_features_in_)

    @property
    def _column_kinds(self) -> np.ndarray:
        """Likelihood of each column of the table, (n_columns,)."""
        if (table := self._table) is not None:
            return np.array([c.likelihood for c in table.columns], dtype=object)
        return np.full(self.n_features_in_, self._spec.likelihood, dtype=object)

    @property
    def column_report_(self):
        """What the fit did with each column of the table.

        A :class:`~skfactorvae.inspection.ColumnReport`.
        """
        check_is_fitted(self)
        state = vars(self).get("_column_state", {})
        table, places, p = self._table, self._column_places, self.n_features_in_
        unknown = 0.0 if state else np.nan  # as in files that are older than reports
        suggestion, reason = np.full(p, None), np.full(p, "", dtype=object)
        for j, name, why in state.get("suggestions", ()):
            suggestion[j], reason[j] = name, why
        if table is not None:
            names = [c.name for c in table.columns]
        else:
            own = getattr(self, "feature_names_in_", None)
            names = [f"x{j}" for j in range(p)] if own is None else list(own)
        noise = core.noise_parameters(self._likelihood, self.weights_, len(self.scale_))
        noise["noise_scale"] = noise["noise_scale"] * self.scale_
        return ColumnReport(
            name=np.array(names, dtype=object),
            dtype=np.broadcast_to(
                np.array(state.get("dtypes", ("unknown",)), dtype=object), (p,)
            ).copy(),
            likelihood=self._column_kinds,
            suggestion=suggestion,
            reason=reason,
            missing=np.broadcast_to(state.get("missing", unknown), (p,)).copy(),
            n_levels=np.zeros(p, dtype=int)
            if table is None
            else np.array([len(c.levels) and c.n_levels for c in table.columns]),
            **{name: values[places] for name, values in noise.items()},
            **self._column_nats(places),
            remark=state.get("remark", ""),
        )

    def _column_nats(self, places) -> dict[str, np.ndarray]:
        """Return mean log-densities of held-out values in the columns' units."""
        scores = vars(self).get("_column_scores", {})
        table = self._table
        if not scores or table is None:
            unknown = np.full(len(places), np.nan)
            return {"predicted": unknown, "independent": unknown}
        kinds = self._column_kinds
        is_continuous = np.isin(kinds.astype(str), CONTINUOUS)
        scale, mean = self.scale_[places], self.mean_[places]
        shift = np.where(is_continuous, np.log(scale), 0.0)
        # The density of x is that of log x, divided by x.
        shift += np.where(
            kinds == "lognormal", scores["mean"][places] * scale + mean, 0
        )
        names = "predicted", "independent"
        return {name: scores[name][places] - shift for name in names}

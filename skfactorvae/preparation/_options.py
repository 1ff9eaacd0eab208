"""Parameters of an estimator that preparation and training read."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .. import core
from ._data import TrainingData
from ._noise_levels import are_uncorrelated, have_equal_variance
from ._parallel_analysis import n_components_by_parallel_analysis

MAX_ITER = {"adam": 5000, "soap": 1500}
"""Number of steps by default, by solver."""

FIRST_RATE = {"adam": 3e-3, "soap": 8e-3}
"""Learning rate of the first step by default, by solver."""


HIDDEN_FRACTION = 0.1
"""Share of the observed values that is hidden by default, of tables that are incomplete
or have known errors."""


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Parameters of one fit; those a class does not declare have a neutral value.

    The neutral values stand for a Gaussian likelihood with one learned noise scale a
    feature, a random initialisation, and neither annealing, input noise, weight decay
    nor held-out samples. An estimator that declares only what it needs can therefore be
    fitted. ``is_whitened``, ``columns`` and ``is_stream`` are no parameters:
    :meth:`resolved`, :meth:`of_columns` and :meth:`of_stream` set them.
    """

    n_components: Any
    standardize: str | None
    network: Any
    hidden_layer_sizes: Any
    activation: str
    image_shape: Any
    max_iter: Any
    batch_size: int
    learning_rate: Any
    precision: str
    solver: str = "adam"
    likelihood: str = "gaussian"
    noise_scale: Any = "feature"
    init: str = "random"
    temperature: Any = 1.0
    warmup: float = 0.0
    input_noise: Any = 0.0
    weight_decay: Any = 0.0
    hidden_fraction: Any = 0.0
    mask_in_code: bool = True
    is_whitened: bool = False
    columns: tuple[tuple[str, int], ...] | None = None
    is_stream: bool = False
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 1

    @classmethod
    def of(cls, estimator) -> FitOptions:
        """Read the parameters of an estimator.

        Numbers of numpy's types become Python's, which do not overflow where they are
        multiplied.
        """
        parameters = estimator.get_params(deep=False)
        names = [f.name for f in fields(cls) if f.name in parameters]
        return cls(**{name: _plain(parameters[name]) for name in names})

    def of_columns(self, columns: tuple[tuple[str, int], ...] | None) -> FitOptions:
        """Return the options for a table of columns of several types, or of numbers.

        Parameters
        ----------
        columns : tuple of (str, int), or None
            Likelihood and number of levels of each column, in the order of their
            features; None for a table of numbers.
        """
        if columns is None:
            is_named = self.likelihood in ("gaussian", "bernoulli")
            return self if is_named else replace(self, likelihood="gaussian")
        scaling, noise_scale = (
            "feature" if given == "auto" else given
            for given in (self.standardize, self.noise_scale)
        )
        return replace(
            self,
            likelihood="columns",
            columns=columns,
            standardize=scaling,
            noise_scale=noise_scale,
        )

    def of_stream(self, rate: float, *, has_end: bool) -> FitOptions:
        """Return the options for a block of a stream.

        Samples are seen once, so that no weight decay is needed, and no fits are
        compared. Without an end, the learning rate is constant, and so is the
        objective.

        Parameters
        ----------
        rate : float
            Learning rate by default, without an end.
        has_end : bool
            Whether the number of samples of the stream is known.
        """
        decay = 0.0 if self.weight_decay == "auto" else self.weight_decay
        options = replace(self, weight_decay=decay, is_stream=True)
        if has_end:
            return options
        is_free = self.learning_rate == "auto"
        return replace(
            options,
            temperature=1.0,
            learning_rate=rate if is_free else self.learning_rate,
        )

    def resolved(self, data: TrainingData, previous: Any = None) -> FitOptions:
        """Return the options with ``"auto"`` replaced for what depends on the table.

        Features with a noise scale each, of variance one, leave nothing to find where
        they are uncorrelated, as principal components are. If both are ``"auto"``, such
        features are therefore divided by one number and have one noise scale.

        A share of the observed values is hidden where some are missing, or have errors.

        Parameters
        ----------
        data : TrainingData
            The samples.
        previous : ModelSpec or None
            Model of a fit that is continued, whose number of components and noise scale
            are kept.
        """
        is_free = self.standardize == "auto"
        if self.noise_scale != "auto":
            noise_scale = self.noise_scale
        elif previous is not None:
            noise_scale = previous.noise_scale
        elif is_free and self._are_uncorrelated(data):
            noise_scale = "shared"
        else:
            noise_scale = "feature"
        is_shared = self.noise_scale == "auto" and noise_scale == "shared"
        scaling = "global" if is_shared else "feature"
        samples = data.X, data.index, data.weight
        return replace(
            self,
            n_components=self._n_components(data, previous),
            noise_scale=noise_scale,
            standardize=scaling if is_free else self.standardize,
            is_whitened=is_free and is_shared and have_equal_variance(*samples),
            hidden_fraction=self._hidden_fraction(data),
        )

    def _n_components(self, data: TrainingData, previous: Any) -> int:
        """Return the number of components, by parallel analysis if it is "auto"."""
        if self.n_components != "auto":
            return int(self.n_components)
        if previous is not None:
            return previous.n_components - previous.n_hidden
        widths = self.columns and [
            size if kind == "categorical" else 1 for kind, size in self.columns
        ]
        return n_components_by_parallel_analysis(
            data.X, data.index, data.weight, widths
        )

    def _are_uncorrelated(self, data: TrainingData) -> bool:
        """Return whether the features are; not where errors add to their variance."""
        return not data.has_errors and are_uncorrelated(data.X, data.index, data.weight)

    def _hidden_fraction(self, data: TrainingData) -> float:
        if self.hidden_fraction != "auto":
            return float(self.hidden_fraction)
        return HIDDEN_FRACTION if data.has_missing or data.has_errors else 0.0

    def schedule(self, solver: str | None = None) -> core.Schedule:
        """Return the budget and the schedule of training.

        Parameters
        ----------
        solver : {"adam", "soap"} or None, default=None
            Takes the place of the option.
        """
        solver = solver or self.solver
        steps, rate = self.max_iter, self.learning_rate
        return core.Schedule(
            max_iter=MAX_ITER[solver] if steps == "auto" else steps,
            batch_size=self.batch_size,
            learning_rate=FIRST_RATE[solver] if rate == "auto" else rate,
            solver=solver,
            products=self.precision,
            warmup=self.warmup,
            patience=self.n_iter_no_change if self.early_stopping else None,
        )


def _plain(value: Any) -> Any:
    """Return a number of a numpy type as one of Python's; all else as it is."""
    return value.item() if isinstance(value, np.generic) else value

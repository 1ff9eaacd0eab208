"""Parameters of an estimator that preparation and training read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .. import core


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Parameters of one fit; those a class does not declare have a neutral value.

    The neutral values stand for a Gaussian likelihood with one learned noise scale a
    feature, a random initialisation, and neither annealing, input noise, weight decay
    nor held-out samples. An estimator that declares only what it needs can therefore be
    fitted.
    """

    n_components: int
    standardize: str | None
    network: Any
    hidden_layer_sizes: Any
    activation: str
    image_shape: Any
    max_iter: int
    batch_size: int
    learning_rate: float
    precision: str
    likelihood: str = "gaussian"
    noise_scale: Any = "feature"
    init: str = "random"
    temperature: Any = 1.0
    warmup: float = 0.0
    input_noise: Any = 0.0
    weight_decay: Any = 0.0
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 1

    @classmethod
    def of(cls, estimator) -> FitOptions:
        """Read the parameters of an estimator."""
        parameters = estimator.get_params(deep=False)
        names = [f.name for f in fields(cls) if f.name in parameters]
        return cls(**{name: parameters[name] for name in names})

    def schedule(self) -> core.Schedule:
        """Return the budget and the schedule of training."""
        return core.Schedule(
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warmup=self.warmup,
            patience=self.n_iter_no_change if self.early_stopping else None,
        )

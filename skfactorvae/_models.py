"""The public estimators: one thin final class for each objective."""

from __future__ import annotations

from typing import ClassVar

from . import core
from ._estimator import BaseVAETransformer
from ._validation import (
    COMMON_CONSTRAINTS,
    DISCRIMINATOR_CONSTRAINTS,
    NOT_NEGATIVE,
    check_sizes,
)


class FactorVAETransformer(BaseVAETransformer):
    """FactorVAE."""

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **DISCRIMINATOR_CONSTRAINTS,
        "gamma": [NOT_NEGATIVE],
    }

    def __init__(
        self,
        n_components=10,
        *,
        gamma=10.0,
        beta=1.0,
        likelihood="gaussian",
        noise_scale="auto",
        standardize="feature",
        network="mlp",
        hidden_layer_sizes=(128, 128),
        discriminator_hidden_layer_sizes=(256, 256, 256),
        activation="relu",
        init="ica",
        image_shape=None,
        max_iter=5000,
        batch_size=64,
        learning_rate=1e-3,
        discriminator_learning_rate=1e-4,
        warmup=0.1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=1000,
        warm_start=False,
        device="auto",
        precision="float32",
        n_jobs=None,
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.gamma = gamma
        self.beta = beta
        self.likelihood = likelihood
        self.noise_scale = noise_scale
        self.standardize = standardize
        self.network = network
        self.hidden_layer_sizes = hidden_layer_sizes
        self.discriminator_hidden_layer_sizes = discriminator_hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.image_shape = image_shape
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.discriminator_learning_rate = discriminator_learning_rate
        self.warmup = warmup
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def _objective(self):
        return core.FactorVAE(
            gamma=float(self.gamma),
            beta=float(self.beta),
            hidden_layer_sizes=check_sizes(
                "discriminator_hidden_layer_sizes",
                self.discriminator_hidden_layer_sizes,
            ),
        )

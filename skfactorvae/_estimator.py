"""The scikit-learn contract, once for every objective."""

from __future__ import annotations

import functools
import warnings
from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from . import core
from ._architecture import (
    check_unchanged,
    describe,
    learns_noise,
    make_likelihood,
    make_network,
)
from ._batched import computed_once, held_once, train
from ._compat import CallbackSupportMixin, _fit_context
from ._fitted import MAX_SEED, FittedLatents
from ._inputs import check_sample_weight
from ._labels import aligned, distinct_rows, what_is_known
from ._parameters import declared, parameter
from ._preparation import (
    Start,
    Table,
    choose_scale,
    column_moments,
    companions_residual,
    enough_input_noise,
    information_of_noise,
    is_mixture,
    largest_signal,
    linear_start,
    standardized,
    without_unit,
)
from ._progress import Progress, all_or_nothing
from ._validation import (
    POSITIVE,
    at_least,
    check_unit_interval,
    one_of,
)

ACTIVE_KL = 0.05
"""Nats per row from which a component counts as active; its correlation is then .3.

Duan et al. (2020) take 0.01. Where the noise is learned, latents that hold nothing keep
as much as that of the rows that they were trained on, by chance.
"""

ACTIVE_VARIANCE = 0.01
"""Variance of the codes from which it does (Burda et al. 2016)."""

PCA_TEMPERATURE = 30.0
"""Of the likelihood, where a fit starts at PCA."""

SCORED_ROWS = 500
"""Of a fit's rows, at most, for its own score."""


@declared
class BaseLatentTransformer(CallbackSupportMixin, FittedLatents, ABC):
    """An encoder and a decoder as a transformer; their objective is left open.

    Fitted state is numpy arrays and plain values. The networks are derived from it when
    they are needed, so that pickles hold nothing of torch.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Trained weights of encoder and decoder, and of all else that was trained.
    history_ : dict of str to ndarray of shape (n_records,)
        ``step``, and the mean of each named term since the record before. At most 200
        records.
    kl_per_component_ : ndarray of shape (n_components,)
        Information each component holds about the rows: mean KL divergence from a
        standard normal prior, nats; descending, among components of one group.
    active_components_ : ndarray of int
        Components that hold more than 0.05 nats, and whose codes have a variance of
        more than 0.01. Where noise is learned, they also hold more than a linear
        component can of pure noise in n rows of p features, log(1 + sqrt(p / n)) nats.
    fit_score_ : float
        Mean score of the rows that were trained on, or of 500 of them, nats; what
        ``score`` is to be compared with on others. Not of a model that has no score.
    mean_, scale_ : ndarray of shape (n_features,)
        Offset and scale of the standardization.
    init_ : {"ica", "pca", "random"}
        Where training started.
    temperature_ : float
        Temperature of the likelihood at the first step; 1 where there was none.
    warmup_fraction_ : float
        Share of ``max_iter`` over which the objective grew to its full form, in [0, 1]:
        ``warmup``, or 0.8 where the likelihood was annealed (``temperature_`` above 1)
        and that is more.
    n_iter_ : int
        Gradient steps made.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.
    """

    n_components: int = parameter(
        10,
        "int",
        [at_least(1)],
        """Number of latents, d: the most that can be used. Components that the data do
        not pay for stay at the prior; see ``active_components_``.""",
    )
    standardize: str | None = parameter(
        "feature",
        '{"feature", "global"} or None',
        [one_of("feature", "global"), None],
        """Bring each feature to mean 0 and variance 1; or centre each and divide all by
        one number, which keeps the shape of spectra, series and images; or neither.
        Everything that comes out is in the original units. Ignored by the Bernoulli
        likelihood.""",
    )
    network: Any = parameter(
        "mlp",
        '{"mlp", "conv"} or callable',
        [one_of("mlp", "conv"), callable],
        """Dense networks; the convolutional ones of Kim & Mnih (2018), for flattened
        images; or your own: a function (n_features, n_components) -> (encoder, decoder)
        of ``torch.nn`` modules, where the encoder maps (B, n_features) to
        (B, 2 * n_components), means first and then log-variances, and the decoder maps
        (B, n_components) to (B, n_features), to logits for a Bernoulli likelihood.
        Modules are used in evaluation mode and may not mix rows. To be pickled, the
        function must be importable; a lambda is not.""",
    )
    hidden_layer_sizes: Any = parameter(
        (128, 128),
        "int or array-like of int",
        [at_least(1), "array-like"],
        """Hidden layers of the encoder; the decoder mirrors them. For
        ``network="mlp"``. Wider ones describe rows better, and find factors no
        better.""",
    )
    activation: str = parameter(
        "silu",
        '{"relu", "leaky_relu", "elu", "silu", "gelu", "tanh"}',
        [one_of(*core.ACTIVATIONS)],
        """Activation of the encoder and the decoder. A smooth one describes rows a
        little better.""",
    )
    image_shape: Any = parameter(
        None,
        "tuple (channels, height, width)",
        ["array-like", None],
        """Shape of the images whose pixels, channel by channel and row by row, are the
        features. For ``network="conv"``.""",
    )
    max_iter: int = parameter(
        5000,
        "int",
        [at_least(1)],
        "Gradient steps. Twice as many still gain a little, for twice the time.",
    )
    batch_size: int = parameter(
        128,
        "int",
        [at_least(2)],
        """Rows of a batch, drawn with replacement. With 64, FactorVAE finds less, in
        nearly as much time.""",
    )
    learning_rate: float = parameter(
        3e-3,
        "float",
        [POSITIVE],
        """Adam's, for encoder and decoder. It falls along a cosine. A third of it
        describes rows worse after as many steps. With ``network="mlp"`` and a Gaussian
        likelihood, what multiplies rows of more than 600 features moves at
        600 / ``n_features_in_`` of it: features are correlated, and add up.
        """,
    )
    warm_start: bool = parameter(
        False,
        "bool",
        ["boolean"],
        """Whether ``fit`` goes on from the fitted weights and scales. The optimiser
        starts afresh.""",
    )
    device: str = parameter(
        "auto",
        "str",
        [str],
        """Where to train: ``"auto"`` takes CUDA, then MPS, then the CPU. A fitted model
        falls back to the CPU where its device is missing.""",
    )
    precision: str = parameter(
        "float32",
        '{"float32", "float64"}',
        [one_of("float32", "float64")],
        "Precision of training and inference. Codes are float32 in either.",
    )
    n_jobs: int | None = parameter(
        None,
        "int",
        [Integral, None],
        """CPU threads of a fit; -1 takes all. None takes one for small models, for
        which more are slower, and torch's number for large ones.""",
    )
    verbose: int = parameter(
        0,
        "int",
        ["verbose"],
        "One prints about ten lines during a fit; two prints every record.",
    )
    random_state: Any = parameter(
        None,
        "int, RandomState instance or None",
        ["random_state"],
        "Seed of everything random. An int makes fits bit-equal on one machine.",
    )

    @abstractmethod
    def _objective(self) -> core.Objective:
        """Return what a fit minimises."""

    # ------------------------------------------------------------------- fitting
    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the encoder and the decoder from X.

        A fit that fails, or is interrupted, leaves the estimator as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to learn from.
        y : array-like of shape (n_samples, n_attributes), default=None
            What is known of rows, for ``SupervisedFactorVAETransformer``: a column for
            each of its attributes, NaN where nothing is. All others ignore it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. An integer weight is exactly the same as a row that is
            repeated.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the message says what was
            expected.

        Warns
        -----
        ConvergenceWarning
            If training diverged. The model is then the last one that was finite.
        """
        X = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            order="C",
            ensure_min_samples=2,
        )
        device = core.resolve_device(self.device)
        table = self._prepare(X, y, sample_weight)
        plan = self._plan()
        progress = Progress(self, X, y, plan, table.attributes)
        fit = train(
            table.job,
            plan,
            device=device,
            n_jobs=self.n_jobs,
            watch=progress if progress.is_followed else None,
        )
        self._accept(table, fit, device)
        progress.end(self.weights_)
        return self

    def _attributes(self, X, y, weight):
        """Return the attributes that y labels, for a fit that learns them."""
        return ()

    def _prepare(self, X, y, sample_weight):
        """Turn X into a job: canonical rows, standardised, with a start."""
        # Only ratios count: near one, their sums cannot overflow.
        weight = without_unit(check_sample_weight(sample_weight, len(X)))
        continues = self.warm_start and self.__sklearn_is_fitted__()
        attributes = self._attributes(X, y, weight)
        scales = self._attribute_scales if attributes and continues else None
        canonical, targets = distinct_rows(X, weight, attributes, scales)
        objective = self._objective(*([] if targets is None else [targets]))
        architecture = describe(self, X.shape[1], objective)
        architecture["levels"] = targets and targets.levels
        if continues:
            check_unchanged(self._architecture, architecture)
        if architecture["likelihood"] == "bernoulli":
            check_unit_interval(X)
        seed = check_random_state(self.random_state).randint(MAX_SEED)
        (index, weight), held_out = self._split(*canonical, seed)
        mean, scale = self._scales(X, index, weight, continues)
        rescale = functools.partial(
            standardized, X, mean, scale, np.dtype(self.precision)
        )
        rows = held_once(rescale(index))
        start = self._start(architecture, rows, weight, seed, continues)
        first = start.weights
        labels = targets and held_once(targets.of(index))
        if targets and not continues:
            first = aligned(first, rows, labels, weight, objective)
        job = core.Job(
            network=make_network(architecture),
            likelihood=make_likelihood(architecture),
            objective=objective,
            rows=rows,
            row_weights=weight,
            seed=seed,
            start=first,
            temperature=start.temperature,
            held_out=held_out and core.HeldOut(rescale(held_out[0]), held_out[1]),
            labels=labels,
            **self._noise_on_rows(architecture, objective, rows, weight, seed),
        )
        annealing = core.ANNEALING_FRACTION if start.temperature != 1 else 0.0
        known = {
            "init_": start.kind,
            "temperature_": start.temperature,
            "warmup_fraction_": float(max(self.warmup, annealing)),
        }
        if targets:
            known |= what_is_known(targets, objective)
        return Table(job, mean, scale, architecture, known)

    def _split(self, index, weight, seed):
        """Keep rows back for early stopping, if there is any."""
        if not self.early_stopping:
            return (index, weight), None
        n_held_out = max(1, round(self.validation_fraction * len(index)))
        if n_held_out >= len(index):
            raise ValueError(
                f"early_stopping=True with validation_fraction="
                f"{self.validation_fraction} would hold out all of the {len(index)} "
                "distinct rows. Lower validation_fraction, or set "
                "early_stopping=False."
            )
        order = np.random.RandomState(seed).permutation(len(index))
        held_out, kept = order[:n_held_out], np.sort(order[n_held_out:])
        return (index[kept], weight[kept]), (index[held_out], weight[held_out])

    def _scales(self, X, index, weight, continues):
        if continues:
            return self.mean_, self.scale_
        standardize = self.standardize if self.likelihood == "gaussian" else None
        moments = column_moments(X, index, weight)
        mean, scale = choose_scale(standardize, *moments)
        # What is stored in X's precision is what training must see, too.
        return mean.astype(X.dtype), scale.astype(X.dtype)

    _posterior = "normal"
    """Whether a row's code is a normal distribution or, as good as, a point."""

    _generator = None
    """What a generator takes beside components, as core.GAN says it; or None."""

    def _start(self, architecture, rows, weight, seed, continues):
        if continues:
            return Start(self.init_, self.weights_)
        if not architecture["linear_path"]:
            heat = self._temperature("random", architecture, rows, weight, seed)
            return Start("random", {}, heat)
        start = computed_once(
            linear_start, self.init, rows, weight, architecture["n_components"], seed
        )
        heat = self._temperature(start.kind, architecture, rows, weight, seed)
        weights = {
            "encoder.linear.weight": start.encoder,
            "decoder.linear.weight": start.decoder,
        }
        return Start(start.kind, weights, heat)

    def _noise_on_rows(self, architecture, objective, rows, weight, seed):
        """Return what a job has to know of the noise on rows that the encoder sees."""
        if not learns_noise(architecture):
            return {}
        amount = self.input_noise
        if amount == "auto":
            sizes = architecture["n_features"], architecture["n_components"]
            n_rows = core.effective_sample_size(weight)
            amount = enough_input_noise(n_rows, *sizes, objective.kl_weight)
        if not amount:
            return {}
        ceiling = computed_once(companions_residual, rows, weight, seed)
        return {"input_noise": float(amount), "conditional_noise_std": ceiling}

    def _temperature(self, kind, architecture, rows, weight, seed):
        if self.temperature != "auto":
            return float(self.temperature)
        if kind != "random":
            return PCA_TEMPERATURE if kind == "pca" else 1.0
        if computed_once(is_mixture, rows, weight, seed):
            return 1.0
        noise = architecture["likelihood"], architecture["noise_scale"]
        return max(1.0, computed_once(largest_signal, rows, weight, *noise, seed))

    def _plan(self):
        return core.Schedule(
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warmup=self.warmup,
            patience=self.n_iter_no_change if self.early_stopping else None,
        )

    def _accept(self, table, fit, device):
        """Take a finished job in as fitted state."""
        if fit.diverged_at is not None:
            warnings.warn(
                f"Training diverged at step {fit.diverged_at}: a value was not finite, "
                "or the reconstruction error exploded. "
                f"The weights of step {fit.kept_step} were restored. Lower "
                f"learning_rate (now {self.learning_rate:g}), look for outliers in X, "
                "or raise noise_scale.",
                ConvergenceWarning,
                stacklevel=5,
            )
        job = table.job
        if complaint := job.objective.convergence_warning(fit.history):
            warnings.warn(complaint, ConvergenceWarning, stacklevel=5)
        weights, kl, variance = core.order_latents(
            job.network,
            fit.weights,
            job.rows,
            job.row_weights,
            job.objective.latent_order,
            sign_targets=job.objective.sign_targets(job.labels),
            device=device,
        )
        silent = job.objective.inactive_latents(kl)
        if len(silent) and core.can_set_to_prior(weights):
            weights = core.set_to_prior(weights, silent)
            kl[silent] = variance[silent] = 0.0
        shown = slice(job.objective.n_hidden_components, None)
        kl, variance = kl[shown], variance[shown]
        for name, value in table.attributes(weights).items():
            setattr(self, name, value)
        self.history_ = fit.history
        self.n_iter_ = fit.n_iter
        self.kl_per_component_ = kl
        least = ACTIVE_KL
        if learns_noise(self._architecture):
            n_rows = core.effective_sample_size(job.row_weights)
            least = max(least, information_of_noise(n_rows, job.rows.shape[1]))
        self.active_components_ = np.flatnonzero(
            (kl > least) & (variance > ACTIVE_VARIANCE)
        )
        if self._generator is None:
            some = slice(SCORED_ROWS)  # canonical order is as good as a random one
            elbos = self._elbo(job.rows[some])
            self.fit_score_ = float(np.average(elbos, weights=job.row_weights[some]))

"""From samples and a model to a training job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .. import core
from .._joint_diagonalisation import LEVEL
from .._moments import trimmed_mean
from .._simple_structure import orthomax
from .._validation import check_unit_interval
from .._version import __version__
from ._calibration import calibrate
from ._comparison import Comparison
from ._condition_information import ConditionInformation
from ._conditional_axes import diagonalised
from ._data import TrainingData
from ._incomplete import complete, fit_factors
from ._initialization import INDEPENDENT_AUC, linear_start
from ._length import LengthComparison
from ._model_spec import ModelSpec
from ._noise_levels import (
    conditional_noise_std,
    default_input_noise,
    share_of_few_levels,
)
from ._options import FitOptions
from ._scaling import Scaling, fit_scaling
from ._standardized import start_sample
from ._start import Start, choose_start, linear_weights
from ._targets import fitted_attributes
from ._weight_decay import (
    can_compare,
    can_memorise,
    compare_decays,
    with_weight_decay,
)

ROTATED_KL = 0.05
"""KL divergence above which a latent is rotated, nats; others stay as they are."""

CLEAR_GAIN_OVER_PCA = 0.2
"""Advantage of a start over PCA's, nats per feature of held-out samples, above which it
is used where independence is not clear, however long the fit. See the page on
defaults."""

MIN_GAIN_OVER_PCA = 0.05
"""The same, once longer fits from both are known: fits from PCA are annealed for all
their steps, and find the parameters of noisy curves where bounds are about equal."""

MAX_LAG = 0.02
"""By how much PCA's start must be better, nats per feature, where most columns have few
levels and neither fit makes all steps: annealing from PCA is made for curves."""


@dataclass(frozen=True)
class PreviousFit:
    """State of an earlier fit that ``warm_start`` continues."""

    spec: ModelSpec
    scaling: Scaling
    weights: Mapping[str, np.ndarray]
    init: str
    weight_decay: float = 0.0
    inflation: np.ndarray | None = None
    target_scales: tuple = ()
    target_levels: tuple = ()


@dataclass(frozen=True)
class Prepared:
    """A training job, and what the fitted estimator keeps of its preparation."""

    job: core.Job
    spec: ModelSpec
    scaling: Scaling
    known: dict[str, Any]
    schedule: core.Schedule
    comparison: Comparison | None = None
    inflation: np.ndarray | None = None
    budget: int = 0
    has_default_noise: bool = False
    evaluation: Any = None
    """Scores of the chosen candidate on held-out samples; None without a choice."""
    other: Prepared | None = None
    """Preparation from PCA, to be compared with this one."""

    @property
    def starts(self) -> tuple[Prepared, ...]:
        """Preparations from one initialisation each."""
        if self.other is None:
            return (self,)
        return replace(self, other=None), self.other

    @property
    def comparisons(self) -> list[Comparison]:
        """Fits that decide about each initialisation, all with one schedule."""
        return [one.comparison for one in self.starts if one.comparison is not None]

    def fits_by_start(
        self, fits: Sequence[core.Fit]
    ) -> list[tuple[Prepared, Comparison | None, Sequence[core.Fit]]]:
        """Return the preparation, comparison and fits of each initialisation.

        Parameters
        ----------
        fits : sequence of core.Fit
            Of the jobs of all comparisons.
        """
        found, rest = [], fits
        for one in self.starts:
            n = 0 if one.comparison is None else len(one.comparison.jobs)
            found.append((one, one.comparison, rest[:n]))
            rest = rest[n:]
        return found

    def with_decay(
        self, with_decay: Callable[[core.Job, float], core.Job], weight_decay: float
    ) -> Prepared:
        """Return the preparation of a job with this weight decay."""
        known = self.known | {"weight_decay_": weight_decay, "held_out_": {}}
        return replace(self, job=with_decay(self.job, weight_decay), known=known)

    def regularized(self, fits: Sequence[core.Fit], device: Any) -> Prepared:
        """Return the job with start and weight decay that held-out samples favour.

        Where longer fits have to be compared first, these are its comparison.

        Parameters
        ----------
        fits : sequence of core.Fit
            Of the jobs that are compared.
        device : torch.device
        """
        if self.other is not None:
            return self._from_better_start(fits, device)
        if self.comparison is None:
            return self
        chosen = self.comparison.choose(fits, device)
        if chosen.further is not None:
            return replace(self, comparison=chosen.further)
        log_scale = float(self.spec.log_scales(self.scaling.scale).sum())
        decayed = self.with_decay(self.comparison.with_decay, chosen.weight_decay)
        report = {
            name: value - log_scale if name.endswith("score") else value
            for name, value in chosen.report.items()
        }
        if report:
            report["max_iter"] = chosen.schedule.max_iter
        found = chosen.column_scores
        scores = {"_column_scores": found} if found else {}
        return replace(
            decayed,
            schedule=chosen.schedule,
            inflation=chosen.inflation,
            comparison=None,
            evaluation=chosen.compared,
            known=decayed.known | {"held_out_": report} | scores,
        )

    def _from_better_start(self, fits, device):
        """Return the job from its start or PCA's, or both where neither is clear."""
        plans, parts = self.comparisons, self.fits_by_start(fits)
        own, pca = (one.regularized(its, device) for one, _, its in parts)
        if any(isinstance(plan, LengthComparison) for plan in plans):
            return self._after_longer_fits(own, pca)
        pairs = zip(plans, [its for _, _, its in parts], strict=True)
        bounds = [plan.held_out_bounds(its, device) for plan, its in pairs]
        gain = self._gain(*bounds)
        own, pca = (one.with_criterion("gain_over_pca", gain) for one in (own, pca))
        return self._after_few_steps(own, pca, gain)

    @np.errstate(over="ignore", invalid="ignore")  # fits may have diverged
    def _gain(self, own, pca) -> float:
        """Return the difference of held-out bounds (m,), nats per feature."""
        weight = self.comparisons[0].held_out_weight
        return float(trimmed_mean(own - pca, weight)[0]) / self.spec.n_features

    def _after_few_steps(self, own, pca, gain):
        """Return a start by its gain over PCA in the short fits.

        Its own is used if it is better by a clear margin, and PCA's if it is not
        better: fits from PCA are annealed, and still rise. In between, PCA's is used
        if either fit makes all steps without a further comparison, or if components
        are not independent; else both stay.
        """
        few = self.comparisons[0].schedule.max_iter
        area = self.known["init_criteria_"].get("independence_area", 0.0)
        needs_clear_gain = area >= INDEPENDENT_AUC or any(
            one.comparison is None and one.schedule.max_iter > few for one in (own, pca)
        )
        least = CLEAR_GAIN_OVER_PCA if needs_clear_gain else self._least_gain(0.0)
        if not gain > least:
            return pca
        both = replace(own, other=pca)
        if gain > CLEAR_GAIN_OVER_PCA or not both.comparisons:
            return own
        return replace(own.competing(), other=pca.competing())

    def _after_longer_fits(self, own, pca):
        """Return the start to use once the best fits from both are known."""
        both = replace(own, other=pca)
        if both.comparisons:
            return both
        gain = self._gain(own.evaluation.bounds, pca.evaluation.bounds)
        best = own if gain > self._least_gain(MIN_GAIN_OVER_PCA) else pca
        return best.with_criterion("gain_over_pca", gain)

    def _least_gain(self, of_curves: float) -> float:
        """Return the gain over PCA that a start needs, nats per feature."""
        return -MAX_LAG if share_of_few_levels(self.job) > 0.5 else of_curves

    def competing(self) -> Prepared:
        """Return the preparation whose longer fits are compared with another's."""
        if not isinstance(self.comparison, LengthComparison):
            return self
        return replace(self, comparison=replace(self.comparison, competes=True))

    def with_criterion(self, name: str, value: float) -> Prepared:
        """Return the preparation with a number by which its start was chosen."""
        criteria = self.known["init_criteria_"] | {name: value}
        return replace(self, known=self.known | {"init_criteria_": criteria})

    def calibrated(self, fit: core.Fit, device: Any) -> core.Fit:
        """Return the fit with its noise scale corrected by held-out samples."""
        if self.inflation is None or fit.status == "diverged":
            return fit
        weights = calibrate(self.job, fit.weights, self.inflation, device)
        return replace(fit, weights=dict(weights))

    def rotated(self, fit: core.Fit, device: Any) -> tuple[Prepared, core.Fit]:
        """Rotate active latents to simple structure after a start by varimax.

        Those of a model with conditions become uncorrelated within these.

        Parameters
        ----------
        fit : core.Fit
            The finished fit.
        device : torch.device
        """
        if self._is_conditional:
            if fit.status == "diverged" or not self._is_identified:
                return self, fit
            return self, diagonalised(self.job, fit, device)
        is_active = fit.kl > ROTATED_KL
        asked = self.known["init_"] == "varimax" and fit.status != "diverged"
        if not asked or is_active.sum() < 2:
            return self, fit
        loadings = core.mean_loadings(self.job, fit.weights, device)
        rotation = np.eye(len(is_active))
        rotation[np.ix_(is_active, is_active)] = orthomax(loadings[:, is_active])
        weights, kl, variance = core.rotate_latents(
            self.job, fit.weights, rotation, device
        )
        spec = self.spec.rotated()
        return (
            replace(self, spec=spec),
            replace(fit, weights=weights, kl=kl, variance=variance),
        )

    def compared(self) -> Prepared:
        """Return the job whose weights are compared by what codes tell of conditions.

        It is unchanged where there are no conditions, or they identify nothing.
        """
        if not (self._is_conditional and self._is_identified):
            return self
        criterion = ConditionInformation.of(self.job)
        return replace(self, job=replace(self.job, criterion=criterion))

    @property
    def _is_conditional(self) -> bool:
        return isinstance(self.job.objective, core.AuxiliaryVAE)

    @property
    def _is_identified(self) -> bool:
        """Whether conditions differ more than permuted ones, as far as is known."""
        return self.known["init_criteria_"].get("conditions_p", 0.0) <= LEVEL

    def fitted(self, weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return the attributes with which a fitted estimator transforms."""
        return {
            "mean_": self.scaling.mean,
            "scale_": self.scaling.scale,
            "weights_": weights,
            "_model_spec": self.spec.to_state(),
            "solver_": self.schedule.solver,
            "max_iter_": self.budget,
            "_inflation": self.inflation,
            "_training_weights": self.job.training_weights,
            "_version": __version__,
            **self.known,
        }


def call_unmemoized(function: Callable, *args: Any) -> Any:
    """Call a function, without memoising its result."""
    return function(*args)


def unshared(array: np.ndarray) -> np.ndarray:
    """Return the array itself, without looking for an equal one."""
    return array


def prepare(
    spec: ModelSpec,
    data: TrainingData,
    objective: core.Objective,
    options: FitOptions,
    seed: int,
    *,
    previous: PreviousFit | None = None,
    memoize: Callable[..., Any] = call_unmemoized,
    share: Callable[[np.ndarray], np.ndarray] = unshared,
) -> Prepared:
    """Standardise the samples, choose the initialisation and noise levels.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    data : TrainingData
        Samples, weights and targets.
    objective : core.Objective
        What training minimises.
    options : FitOptions
        Parameters of the fit.
    seed : int
        Seed of everything random.
    previous : PreviousFit or None
        Fit to continue.
    memoize : callable (function, *args) -> result
        Calls a function of arrays, or returns what it returned for equal ones.
    share : callable (array) -> array
        Returns an equal array that is in memory already, or the array.

    Returns
    -------
    Prepared

    Raises
    ------
    ValueError
        If the samples cannot be used with the model; the message states why.
    """
    if previous is not None:
        spec = replace(
            spec,
            n_factors=previous.spec.n_factors,
            takes_errors=previous.spec.takes_errors or spec.takes_errors,
            mask_in_code=options.mask_in_code or previous.spec.n_factors is None,
        )
        previous.spec.check_unchanged(spec)
    if spec.likelihood == "bernoulli":
        check_unit_interval(data.X)
    if spec.takes_errors and not spec.make_likelihood().takes_errors:
        raise ValueError(
            f"error_scale cannot be used with likelihood={spec.likelihood!r}, whose "
            "features have no noise that errors could add to. Use "
            "likelihood='gaussian', or leave error_scale out."
        )
    spec.check_memory(objective, options.schedule())
    spec.check_products(objective, options.precision)
    training, held_out = data, None
    if options.early_stopping:
        training, held_out = data.split(options.validation_fraction, seed)
    scaling = _scaling(spec, training, options, previous)
    dtype = np.dtype(spec.precision)
    rows = share(training.standardized(scaling, dtype))
    targets = data.targets
    labels = None if targets is None else share(targets.of(training.index))
    some, some_weight, some_labels = start_sample(rows, training.weight, labels)
    values = some, some_weight
    factors = _factors(spec, training, options, values, seed, previous, memoize)
    if factors is not None:
        n_factors, mask_in_code = factors.n_factors, options.mask_in_code
        spec = replace(spec, n_factors=n_factors, mask_in_code=mask_in_code)
    completion = complete(some, some_weight, factors, seed)
    given = _given_weights(spec, factors, some, some_weight, scaling)
    samples = (completion, some_labels)
    if previous is not None:
        start = Start(previous.init, previous.weights)
    else:
        start = choose_start(
            spec,
            objective,
            options,
            seed,
            samples,
            given,
            memoize,
            is_compared=not (options.is_stream or spec.has_point_posterior)
            and can_compare(len(rows), options.schedule()),
        )
    job = core.Job(
        network=spec.make_network(),
        likelihood=spec.make_likelihood(),
        objective=objective,
        rows=rows,
        row_weights=training.weight,
        seed=seed,
        start=start.weights,
        temperature=start.temperature,
        held_out=None if held_out is None else _held_out(held_out, scaling, dtype),
        labels=labels,
        pairs=training.pairs,
        hidden_fraction=options.hidden_fraction,
    )
    known = _known_of(start, options) | fitted_attributes(targets, objective)
    drawn = completion.drawn, some_weight
    job = _with_input_noise(job, spec, options, drawn, memoize)
    with_decay = partial(
        with_weight_decay, keeps_input_noise=options.input_noise != "auto"
    )
    schedule = options.schedule()
    prepared = Prepared(
        job,
        spec,
        scaling,
        known,
        schedule,
        budget=schedule.max_iter,
        has_default_noise=options.input_noise == "auto",
    ).compared()
    decay = _given_decay(options, len(rows))
    if previous is not None and options.weight_decay == "auto":
        prepared = prepared.with_decay(with_decay, previous.weight_decay)
        return replace(prepared, inflation=previous.inflation)
    # Fits of few steps tell a clear gain alone, and only PCA's start asks for one.
    is_settled = start.other is None or start.init != "pca"
    if decay is not None and is_settled:
        return prepared.with_decay(with_decay, decay)

    def compared_from(start):
        """Return the preparation of a start, with the fits that are compared."""
        own = replace(job, start=start.weights, temperature=start.temperature)
        comparison = compare_decays(
            own,
            options.schedule,
            partial(_weights_of, start, spec, objective, seed, factors, given),
            groups=training.groups,
            with_decay=with_decay,
            given=decay,
        )
        ready = replace(prepared, job=own, known=known | _known_of(start, options))
        ready = ready.with_decay(with_decay, decay or 0.0)
        return replace(ready, comparison=comparison)

    chosen = compared_from(start)
    if start.other is None or chosen.comparison is None:
        return chosen
    other = compared_from(start.other)
    own, pca = (other, chosen) if start.init == "pca" else (chosen, other)
    return replace(own, other=pca)


def _given_decay(options: FitOptions, n_rows: int) -> float | None:
    """Return the weight decay; None where held-out samples choose it.

    It is zero where fits pass too seldom over the samples to memorise them.
    """
    if options.weight_decay != "auto":
        return float(options.weight_decay)
    return None if can_memorise(n_rows, options.schedule()) else 0.0


def _known_of(start: Start, options: FitOptions) -> dict[str, Any]:
    """Return what the fitted estimator keeps of its initialisation."""
    return {
        "init_": start.init,
        "init_criteria_": dict(start.criteria),
        "temperature_": start.temperature,
        "warmup_fraction_": _warmup_fraction(options, start.temperature),
    }


def _factors(spec, training, options, samples, seed, previous, memoize):
    """Return the factor analysis that replaces missing values; None without any."""
    needed = (
        training.has_missing or training.errors is not None or options.hidden_fraction
    )
    if previous is not None and (previous.spec.n_factors is not None or needed):
        return _previous_factors(previous)
    if not needed:
        return None
    rows, weight = samples
    values, errors = core.split_errors(rows, spec.n_features)
    return memoize(fit_factors, values, weight, seed, errors)


def _previous_factors(previous: PreviousFit) -> core.IncompleteFactorAnalysis:
    """Return the factor analysis of a fit that is continued."""
    if previous.spec.n_factors is None:
        raise ValueError(
            "The fit that is continued was one to complete samples, whose encoder has "
            "no inputs for missing values, but X has missing values (levels that count "
            "as missing included), or hidden_fraction is positive. Complete X, or fit "
            "anew: with warm_start=False, or from the first block on with "
            "hidden_fraction=0.1."
        )
    arrays = (previous.weights[name] for name in core.FactorFilling.FACTORS)
    return core.IncompleteFactorAnalysis(*(a.astype(np.float64) for a in arrays))


def _weights_of(chosen, spec, objective, seed, factors, given, rows, weight, labels):
    """Return initial weights for some of the samples, by the start that was chosen."""
    rows, weight, labels = start_sample(rows, weight, labels)
    completion = complete(rows, weight, factors, seed)
    if chosen.init == "random":
        return given
    rows, weight = completion.expected, completion.weight
    sizes = spec.n_components, seed, False, chosen.n_directions
    start = linear_start(chosen.init, rows, weight, *sizes)
    return given | linear_weights(start, spec, objective, rows, labels, weight)


def _given_weights(spec, factors, rows, weight, scaling) -> dict[str, np.ndarray]:
    """Return the weights that do not depend on the initialisation.

    These replace missing values, and describe each column's marginal distribution.
    """
    network = spec.make_network()
    is_filled = isinstance(network, core.FactorFilling) and factors is not None
    filling = network.filling_start(factors) if is_filled else {}
    scales = scaling.mean.astype(np.float64), scaling.scale.astype(np.float64)
    return filling | spec.make_likelihood().start(rows, weight, *scales)


def _held_out(data: TrainingData, scaling: Scaling, dtype) -> core.HeldOut:
    """Return the held-out samples, standardised, with their weights."""
    return core.HeldOut(data.standardized(scaling, dtype), data.weight)


def _scaling(spec, training, options, previous) -> Scaling:
    """Return the scaling of the previous fit, or that of the samples."""
    if previous is not None:
        return previous.scaling
    standardize = options.standardize if spec.likelihood != "bernoulli" else None
    samples = training.X, training.index, training.weight
    return fit_scaling(*samples, standardize, training.errors, spec.columns)


def _warmup_fraction(options, temperature) -> float:
    """Return the share of the steps over which the objective grows."""
    annealing = core.ANNEALING_FRACTION if temperature != 1 else 0.0
    return float(max(options.warmup, annealing))


def _with_input_noise(job, spec, options, samples, memoize) -> core.Job:
    """Add to a job the noise that the encoder's inputs get in training."""
    if not spec.learns_noise:
        return job
    amount = options.input_noise
    if amount == "auto":
        n_rows = core.effective_sample_size(job.row_weights)
        sizes = spec.n_features, spec.n_components
        amount = default_input_noise(n_rows, *sizes, job.objective.kl_weight)
    if not amount:
        return job
    bound = memoize(conditional_noise_std, *samples, job.seed)
    return replace(job, input_noise=float(amount), conditional_noise_std=bound)

"""Where training begins: the linear path, and the temperature of the likelihood.

Axes: ``n`` samples, ``p`` features, ``d`` components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import core
from ._conditional_start import compare_conditions, conditional_start
from ._initialization import has_independent_components, linear_start
from ._noise_levels import signal_to_noise
from ._targets import align_start

PCA_TEMPERATURE = 30.0
"""Temperature of the likelihood after an initialisation by PCA."""

CANNOT_ROTATE = (
    "init='varimax' rotates components after the fit, but those of this model are "
    "distinct: they belong to groups or to attributes, pairs identify them, or "
    "conditions do, or their posterior or prior is that of an adversarial autoencoder. "
    "Use init='ica' or init='pca', or leave groups=, labels and conditions out."
)
"""Error about components that cannot be rotated."""


@dataclass(frozen=True)
class Start:
    """Where training begins: initialisation, weights, and likelihood temperature."""

    init: str
    weights: Mapping[str, np.ndarray]
    temperature: float = 1.0
    criteria: Mapping[str, float] = field(default_factory=dict)
    n_directions: int | None = None
    """Principal directions of a linear start; None: those of large variance."""
    other: Start | None = None
    """Start with which this one is compared on held-out samples."""


def choose_start(
    spec, objective, options, seed, samples, given, memoize, *, is_compared
) -> Start:
    """Choose the initialisation, its weights and the temperature.

    Parameters
    ----------
    spec : ModelSpec
    objective : core.Objective
    options : FitOptions
    seed : int
    samples : tuple of (completion, labels)
        Some samples, with their missing values replaced, and their labels.
    given : dict of str to ndarray
        Weights that do not depend on the initialisation.
    memoize : callable
        Calls a function, or returns what it returned for the same arguments.
    is_compared : bool
        Whether starts can be compared on held-out samples.

    Returns
    -------
    Start
    """
    completion, labels = samples
    weight = completion.weight
    settings = spec, options, completion, weight, seed, memoize
    if not spec.linear_path:
        return Start("random", given, _temperature("random", *settings))
    if options.init == "varimax" and not spec.can_rotate:
        raise ValueError(CANNOT_ROTATE)
    rows = completion.expected
    counts = _direction_counts(completion, objective, spec)
    sizes = spec.n_components, seed, spec.can_rotate
    start, n = _linear_start(options.init, rows, weight, counts, sizes, memoize)
    criteria = dict(start.criteria)
    is_conditional = isinstance(objective, core.AuxiliaryVAE)
    if is_conditional:
        criteria |= compare_conditions(start, rows, labels, objective.n_conditions)

    def from_axes(start, n, other=None):
        """Return where training begins from these axes."""
        weights = linear_weights(start, spec, objective, rows, labels, weight)
        temperature = _temperature(start.kind, *settings)
        return Start(start.kind, given | weights, temperature, criteria, n, other)

    if start.alternative is None or is_conditional or not is_compared:
        if start.kind == "pca":
            criteria.pop("independence_area", None)  # for comparisons alone
        return from_axes(start, n)
    kind, n_other = start.alternative
    settings_of_other = kind, rows, weight, spec.n_components, seed, False, n_other
    alternative = memoize(linear_start, *settings_of_other)
    criteria |= alternative.criteria
    other = from_axes(alternative, alternative.n_directions or n_other)
    return from_axes(start, n, other=other)


def _direction_counts(completion, objective, spec) -> tuple[int | None, ...]:
    """Return how many directions a linear start may have; None: by their variance.

    Joint diagonalisation separates factors in directions of little variance, too.
    """
    if counts := completion.direction_counts:
        return counts
    return (spec.n_components if isinstance(objective, core.AuxiliaryVAE) else None,)


def _linear_start(init, rows, weight, counts, sizes, memoize):
    """Return a linear start, and how many directions it may have.

    It is the first one, but under ``init="auto"`` a later one whose components are
    independent where those of the first are not.
    """
    n_components, seed, can_rotate = sizes
    tried = []
    for n in counts[: None if init == "auto" else 1]:
        settings = init, rows, weight, n_components, seed, can_rotate, n
        start = memoize(linear_start, *settings)
        tried.append((start, start.n_directions or n))
        if tried[-1][0].kind != "pca":
            return tried[-1]
    return tried[0]


def linear_weights(start, spec, objective, rows, labels, weight):
    """Return the weights of a linear start, aligned with labels where there are any."""
    own: dict[str, np.ndarray] = {}
    if isinstance(objective, core.AuxiliaryVAE):
        start, own = conditional_start(
            start, rows, labels, weight, objective.n_conditions
        )
    elif labels is not None:
        start = align_start(start, rows, labels, weight, objective)
    return own | spec.make_network().linear_start(start.encoder, start.decoder)


def _temperature(init, spec, options, completion, weight, seed, memoize) -> float:
    """Return the temperature of the likelihood at the first step, >= 1."""
    if options.temperature != "auto":
        return float(options.temperature)
    if init != "random":
        return PCA_TEMPERATURE if init == "pca" else 1.0
    if memoize(has_independent_components, completion.expected, weight, seed):
        return 1.0
    noise = spec.likelihood, spec.noise_scale
    if spec.columns is not None:
        noise = "gaussian", "feature"  # features are standardised
    return max(1.0, memoize(signal_to_noise, completion.drawn, weight, *noise, seed))

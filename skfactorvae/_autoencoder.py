"""The variational autoencoder: likelihood, start and schedule, once for its members."""

from __future__ import annotations

from abc import ABC
from numbers import Real
from typing import Any

from ._compat import Interval
from ._estimator import BaseLatentTransformer
from ._parameters import declared, parameter
from ._validation import (
    FRACTION,
    NOT_NEGATIVE,
    OPEN_FRACTION,
    POSITIVE,
    at_least,
    one_of,
)


@declared
class BaseVAETransformer(BaseLatentTransformer, ABC):
    """A variational autoencoder: the encoder's noise and the likelihood are trained."""

    likelihood: str = parameter(
        "gaussian",
        '{"gaussian", "bernoulli"}',
        [one_of("gaussian", "bernoulli")],
        """Distribution of a feature given the code. Bernoulli is for values in
        [0, 1].""",
    )
    noise_scale: Any = parameter(
        "auto",
        '{"auto", "feature", "shared"} or float',
        [one_of("auto", "shared", "feature"), POSITIVE],
        """Standard deviation of the Gaussian noise, in units of the standardized data:
        learned for each feature, learned once for all, or fixed. ``"auto"`` means
        ``"feature"``. A fixed scale s acts like a ``beta`` of s**2. Images are better
        off with ``"shared"``. Ignored by the Bernoulli likelihood.""",
    )
    init: str = parameter(
        "auto",
        '{"auto", "ica", "pca", "random"}',
        [one_of("auto", "ica", "pca", "random")],
        """Where training starts. ``"ica"`` and ``"pca"`` add a linear path to encoder
        and decoder, and start it at scikit-learn's FastICA or PCA, on the principal
        directions that carry more variance than an average feature, and FastICA on at
        most sqrt(n / 20) of them for n distinct rows; all else starts at zero.
        ``"auto"`` takes FastICA's components if they come out independent, as those of
        a mixture of sources do, and else PCA's: a classifier that tells rows from
        shuffled ones decides. ``"random"`` has no linear path. The start is used by
        ``network="mlp"`` with a Gaussian likelihood; other models start at random.""",
    )
    temperature: Any = parameter(
        "auto",
        '"auto" or float',
        [one_of("auto"), Interval(Real, 1, None, closed="left")],
        """Temperature T of the likelihood at the first step, >= 1. The reconstruction
        counts 1 / T at first, and fully after 80 % of the steps, and penalties grow
        along with it, so that latents come in one by one, those that explain most
        first. That unrolls curves, and blurs sources of a mixture: ``"auto"`` means 1
        after a start at FastICA and 30 after PCA. After a random one, as of images, it
        means 1 if the classifier of ``init`` takes the rows for a mixture, as it does
        of fewer than 200, and else the variance of their first principal direction in
        units of the noise: divided by it, no direction pays for a latent at first.
        ``temperature_`` says what it was. A fit that goes on from another, by
        ``warm_start``, has none.""",
    )
    warmup: float = parameter(
        0.1,
        "float",
        [FRACTION],
        """Share of the steps over which the objective grows from the evidence lower
        bound to its full form; more where the ``temperature`` holds it back.""",
    )
    input_noise: Any = parameter(
        "auto",
        '"auto" or float',
        [one_of("auto"), NOT_NEGATIVE],
        """Noise on the rows that the encoder sees in training, >= 0, in standard
        deviations of the learned Gaussian noise, or of what a column's best companion
        leaves of it, if that is less; where no noise is learned, there is none. It
        keeps few rows of many features from being learned by heart (Im et al. 2017,
        "Denoising Criterion for Variational Auto-Encoding Framework"). ``"auto"`` takes
        as much as lets no component pay that holds noise alone: it falls with the
        distinct rows and rises with the features, see the page on defaults. Where the
        likelihood is tempered, it grows as that cools. Faint factors of two or three
        columns can be lost to it in small tables; 0 keeps them.""",
    )
    early_stopping: bool = parameter(
        False,
        "bool",
        ["boolean"],
        """Whether to hold rows out and stop when their ELBO no longer rises. The best
        weights after the warm-up are kept, or after 80 % of the steps where the
        likelihood is tempered, and ``history_`` holds ``validation_elbo``.""",
    )
    validation_fraction: float = parameter(
        0.1,
        "float",
        [OPEN_FRACTION],
        "Share of the distinct rows that early stopping holds out.",
    )
    n_iter_no_change: int = parameter(
        1000,
        "int",
        [at_least(1)],
        "Steps without a better held-out ELBO after which training stops.",
    )

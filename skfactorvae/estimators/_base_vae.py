"""Parameters of variational autoencoders: likelihood, start and regularisation."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from numbers import Real
from typing import Any

from .._compat import Interval
from .._validation import (
    FRACTION,
    NOT_NEGATIVE,
    OPEN_FRACTION,
    OPEN_SHARE,
    POSITIVE,
    at_least,
    one_of,
)
from ..columns import LIKELIHOODS
from ._base import BaseLatentTransformer
from ._parameters import declared, parameter


@declared
class BaseVAETransformer(BaseLatentTransformer, ABC):
    """Base class of variational autoencoders: an encoder trained with a likelihood."""

    likelihood: Any = parameter(
        default="auto",
        kind="str or mapping",
        rules=[one_of("auto", *LIKELIHOODS), Mapping],
        description="""Distribution of a column given the code: a name for all columns,
        or a mapping from names, positions or selectors of columns, such as
        scikit-learn's ``make_column_selector``, to names. ``"auto"`` follows the type
        of a column: numbers are ``"gaussian"``, booleans ``"bernoulli"``, strings and
        categories ``"categorical"``, and categories with an order ``"ordinal"``, by
        cumulative logits. Other names are for numbers: ``"student_t"`` for heavy tails,
        with learned degrees of freedom, ``"lognormal"`` for positive skewed numbers, of
        which zeros are replaced by half of the smallest positive one, ``"poisson"`` for
        counts, and ``"negative_binomial"`` for counts of larger variance, which is
        learned. ``"bernoulli"`` is for values in [0, 1].""",
    )
    min_frequency: Any = parameter(
        default=None,
        kind="int, float or None",
        rules=[at_least(1), OPEN_SHARE, None],
        description="""Number of samples, or share of them, below which the levels of a
        categorical column are merged into one, as in ``OneHotEncoder``. A column has at
        most 255 levels; the rarest of more are merged.""",
    )
    handle_unknown: str = parameter(
        default="error",
        kind='{"error", "missing"}',
        rules=[one_of("error", "missing")],
        description="""What ``transform`` and other methods do with levels of a column
        that ``fit`` did not see: raise an error, or treat such values as missing.""",
    )
    noise_scale: Any = parameter(
        default="auto",
        kind='{"auto", "feature", "shared"} or float',
        rules=[one_of("auto", "shared", "feature"), POSITIVE],
        description="""Standard deviation of the Gaussian noise, in units of the
        standardised data: learned for each feature, learned once for all, or fixed.
        ``"auto"`` means ``"feature"``, but ``"shared"`` where ``standardize="auto"``
        finds uncorrelated features: with a noise scale each, they would leave nothing
        to find. A fixed scale s has the effect of a ``beta`` of
        s**2. ``"shared"`` is better for images. Ignored by the Bernoulli
        likelihood.""",
    )
    init: str = parameter(
        default="auto",
        kind='{"auto", "ica", "pca", "varimax", "random"}',
        rules=[one_of("auto", "ica", "pca", "varimax", "random")],
        description="""Initialisation. ``"ica"`` and ``"pca"`` add a linear path to
        encoder and decoder, and initialise it by scikit-learn's FastICA or PCA, on the
        principal directions that have more variance than an average feature, FastICA on
        at most sqrt(n / 20) of them for n distinct samples; the other weights start
        such that the networks add nothing to it. ``"varimax"`` starts from factor
        analysis (from PCA with more than 300 features) and rotates the components after
        the fit, so that each feature depends on few of them: for questionnaires, and
        other tables of nearly normal columns. ``"auto"`` uses FastICA's components
        if they are independent, as for a mixture of sources, else PCA's: the test is a
        classifier between samples and samples with shuffled components. Where it is
        not clear, held-out samples decide if they choose weight decay, too; where
        components are dependent, FastICA is used only if it is clearly better on
        held-out samples, as for nonlinear mixtures of few sources. Both comparisons
        need 1,000 samples and 300 steps. From 1,000 samples on, FastICA is fitted to as
        many directions as have nearly independent components, where independence is not
        clear. In place of FastICA it
        uses ``"varimax"`` where its components are nearly normal, or no farther from
        normal than rotated factors, and either columns of few levels are the reason, or
        loadings are simpler than random ones: see ``init_criteria_``.
        ``"random"`` has no linear path. The linear path exists for ``network="mlp"``
        with a Gaussian likelihood; other models are initialised at random.""",
    )
    temperature: Any = parameter(
        default="auto",
        kind='"auto" or float',
        rules=[one_of("auto"), Interval(Real, 1, None, closed="left")],
        description="""Temperature T of the likelihood at the first step, >= 1, for
        likelihood annealing: the weight of the reconstruction term grows from 1 / T to
        1 over the first 80 % of the steps, and penalties grow with it, so that latents
        become active one after the other, in the order of the variance that they
        explain. This improves recovery where samples lie near a curved surface, and
        worsens it for mixtures of sources: ``"auto"`` means 1 after initialisation by
        FastICA and 30 after PCA. After a random one, as for images, it means 1 if the
        test of ``init`` finds independent components, as it does with fewer than 200
        samples, else the variance of the first principal direction in units of the
        noise: with the reconstruction term divided by it, no latent lowers the loss at
        first. ``temperature_`` holds the value used. A fit that continues another one,
        by ``warm_start``, has no annealing.""",
    )
    warmup: float = parameter(
        default=0.1,
        kind="float",
        rules=[FRACTION],
        description="""Share of the steps over which the objective grows from the
        evidence lower bound to its full form; longer where the ``temperature`` limits
        it.""",
    )
    input_noise: Any = parameter(
        default="auto",
        kind='"auto" or float',
        rules=[one_of("auto"), NOT_NEGATIVE],
        description="""Standard deviation of the noise that is added to the encoder's
        inputs in training, >= 0, in units of the learned Gaussian noise scale, or of a
        column's residual standard deviation given its most correlated column, if that
        is less. Without a learned noise scale there is none. It prevents the model from
        memorising small data sets of many features (Im et al. 2017, "Denoising
        Criterion for Variational Auto-Encoding Framework"). With ``"auto"``, no
        component that represents noise alone lowers the loss: the value falls with the
        number of distinct samples and rises with that of features, see the page on
        defaults. With likelihood annealing it grows with the weight of the
        reconstruction. In small tables it can suppress weak factors of two or three
        columns; 0 preserves them.""",
    )
    weight_decay: Any = parameter(
        default="auto",
        kind='"auto" or float',
        rules=[one_of("auto"), NOT_NEGATIVE],
        description="""Decoupled weight decay of encoder and decoder, >= 0: a step of
        learning rate r multiplies all weights but those of the linear path by exp(-r *
        ``weight_decay``). Large values make the model linear. With ``"auto"``, held-out
        samples choose between 0, 1, 3 and 10: the model is fitted to four fifths of the
        samples with each of them, for 500 steps, and the value with the best held-out
        objective is used for the fit to all samples, with the same number of steps.
        Only a fit without weight decay makes more steps: all ``max_iter`` of them if
        its held-out bound was still rising and less than 1 / 50 of what it learned was
        lost on held-out samples. If less than a fifth was lost, longer fits without
        weight decay to the same samples are compared with the best one, each of three
        times as many steps (by default 1,500 and 5,000), as long as they get better. A
        longer fit is also used if its objective is behind the best one by less than
        .005 nats per feature, and less than an eighth of what it learned was lost.
        The learned noise scale is multiplied by the ratio of held-out to training
        residuals. Nothing is chosen, and there is no weight decay, in fits of fewer
        than 300 steps, of fewer than 30 passes over the samples (10 with SOAP), or of
        fewer than 20 distinct samples; initialisations may still be compared, see
        ``init``. A positive value halves ``input_noise="auto"``. ``weight_decay_``
        holds the value used, and ``held_out_`` what was measured.""",
    )
    hidden_fraction: Any = parameter(
        default="auto",
        kind='"auto" or float in [0, 0.5]',
        rules=[one_of("auto"), Interval(Real, 0, 0.5, closed="both")],
        description="""Share of the observed values of a batch that are treated as
        missing, anew in each step, so that the encoder learns to infer codes from any
        part of a sample. The share of a sample is uniform between zero and twice this
        number. With ``"auto"`` it is 0.1 if values of X are missing (NaN) or have a
        positive ``error_scale``, and otherwise zero: nothing changes for complete and
        exact samples.""",
    )
    mask_in_code: bool = parameter(
        default=True,
        kind="bool",
        rules=["boolean"],
        description="""Whether the mean of a code may depend on which values are missing
        or imprecise, beside the expectations that replace them. If not, the encoder's
        hidden layers take the completed sample alone, and a linear map of the indicator
        of missing values is added to the raw log-variance: as in a linear Gaussian
        model, means depend on what is missing through those expectations only. No
        component can then represent the pattern itself; held-out scores and the
        coverage of intervals are lower, see the page on missing values. Without effect
        for complete samples.""",
    )
    early_stopping: bool = parameter(
        default=False,
        kind="bool",
        rules=["boolean"],
        description="""Whether to hold samples out and stop when their evidence lower
        bound no longer rises. The best weights after the warm-up are kept, or after
        80 % of the steps with likelihood annealing, and ``history_`` holds
        ``validation_elbo``.""",
    )
    validation_fraction: float = parameter(
        default=0.1,
        kind="float",
        rules=[OPEN_FRACTION],
        description="Share of the distinct samples that early stopping holds out.",
    )
    n_iter_no_change: int = parameter(
        default=1000,
        kind="int",
        rules=[at_least(1)],
        description="""Steps without a better held-out bound after which training
        stops.""",
    )

"""The public estimators: one thin final class for each objective."""

from __future__ import annotations

from functools import partial
from typing import Any

from . import core
from ._autoencoder import BaseVAETransformer
from ._estimator import BaseLatentTransformer
from ._parameters import declared, parameter, with_default
from ._validation import (
    NOT_NEGATIVE,
    POSITIVE,
    at_least,
    check_groups,
    check_levels,
    check_sizes,
    one_of,
)

# Declared by several, but not by all.
beta_parameter = partial(
    parameter, 1.0, "float", [NOT_NEGATIVE], "Weight of the KL divergence, >= 0."
)
discriminator_sizes = partial(
    parameter,
    (128, 128),
    "int or array-like of int",
    [at_least(1), "array-like"],
    """Hidden layers of the discriminator. Larger ones cost time and found no more: the
    paper of FactorVAE has six of 1000.""",
)
discriminator_rate = partial(
    parameter,
    1e-3,
    "float",
    [POSITIVE],
    """Adam's, for the discriminator; falls as ``learning_rate`` does. The 1e-4 of Kim &
    Mnih is for 300,000 steps: in 5000, such a discriminator has hardly woken up.""",
)
groups_parameter = partial(
    parameter,
    None,
    "array-like of int",
    ["array-like", None],
    """Sizes of groups of components: ``(2, 1, 1)`` lets the first two depend on each
    other, for a factor that needs two dimensions, as an angle does. The total
    correlation is then that between groups (Esmaeili et al. 2019), and components are
    ordered by information within their group only. None makes each component a group
    of its own.""",
)


def discriminator_of(estimator):
    return {
        "hidden_layer_sizes": check_sizes(
            "discriminator_hidden_layer_sizes",
            estimator.discriminator_hidden_layer_sizes,
        ),
        "learning_rate": float(estimator.discriminator_learning_rate),
    }


@declared
class FactorVAETransformer(BaseVAETransformer):
    r"""FactorVAE: independent latent factors of a table, spectra or small images.

    A variational autoencoder whose codes are pushed towards independence by a penalty
    on their total correlation (Kim & Mnih 2018). It minimises

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \gamma\,\mathrm{TC}(q(z))

    where TC, the divergence of the codes' joint distribution from the product of their
    marginals, is estimated by a discriminator. All terms are nats per row, summed over
    features. Not to be confused with the model of stock returns of the same name.

    Codes are nearly independent coordinates of a nonlinear model: candidates for
    factors, not identified causes. No objective on the data alone can tell factors from
    an entangled version of them (Locatello et al. 2019); refit with several seeds, and
    do not interpret what does not return.

    See Also
    --------
    BetaTCVAETransformer : Estimates total correlation without a discriminator.
    sklearn.decomposition.FastICA : Linear independent components; always worth a look
        beside a nonlinear model.
    skfactorvae.metrics.mig_scorer : Score a search with, where factors are known.

    Notes
    -----
    ``history_`` holds ``reconstruction``, ``kl``, ``total_correlation`` (nats per row),
    ``discriminator_loss`` (log 2 where no dependence is seen) and
    ``discriminator_accuracy``. The discriminator's total correlation tells the health
    of a fit; never choose between models by it.

    The discriminator sees codes of n rows (of unequal weight: as many equal ones as
    Kish's rule counts) through normal noise with a standard deviation of 400 / n, and
    at most 1: it would learn few rows by heart, and scatter their codes. Independent
    codes stay independent, and others do not become so. It sees each component scaled
    by its correlation with what it tells, which leaves the total correlation as it is,
    and idle components in peace.

    Each step draws two batches. Rows are drawn with replacement from the weighted
    table, in an order that depends on their values alone. So an integer
    ``sample_weight`` equals repetition, and the order of the rows does not matter, bit
    for bit.

    References
    ----------
    .. [1] Kim, H. & Mnih, A. (2018). "Disentangling by Factorising." ICML. Eq. 2 and
       Algorithm 2. https://arxiv.org/abs/1802.05983
    .. [2] Locatello, F. et al. (2019). "Challenging Common Assumptions in the
       Unsupervised Learning of Disentangled Representations." ICML.
       https://arxiv.org/abs/1811.12359
    .. [3] Esmaeili, B. et al. (2019). "Structured Disentangled Representations."
       AISTATS. https://arxiv.org/abs/1804.02086

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(n_components=5, max_iter=50, random_state=0)
    >>> codes = vae.fit_transform(X)
    >>> codes.shape, codes.dtype
    ((200, 5), dtype('float32'))
    >>> vae.inverse_transform(codes).shape
    (200, 100)
    """

    gamma: float = parameter(
        10.0,
        "float",
        [NOT_NEGATIVE],
        """Weight of the total correlation, >= 0. Zero gives a VAE, bit for bit; where
        gamma pays at all, 10 gains most of what there is.""",
    )
    beta: float = beta_parameter()
    groups: Any = groups_parameter()
    discriminator_hidden_layer_sizes: Any = discriminator_sizes()
    discriminator_learning_rate: float = discriminator_rate()

    def _objective(self):
        return core.FactorVAE(
            gamma=float(self.gamma),
            beta=float(self.beta),
            groups=check_groups(self.groups, self.n_components),
            **discriminator_of(self),
        )


@declared
class BetaVAETransformer(BaseVAETransformer):
    r"""beta-VAE: a variational autoencoder whose KL divergence is weighted, or capped.

    It minimises (Higgins et al. 2017)

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))

    or, with a ``capacity`` C (Burgess et al. 2018),

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)]
        + \beta\,|\mathrm{KL}(q(z|x)\,\|\,p(z)) - C|

    ``beta=1`` is the plain VAE. A larger one prunes components, and pulls those that
    stay towards independence, at the price of reconstruction: it punishes information
    as well as dependence. All terms are nats per row, summed over features.

    See Also
    --------
    FactorVAETransformer : Punishes dependence alone.

    Notes
    -----
    ``history_`` holds ``reconstruction`` and ``kl``, and ``capacity_gap``, the distance
    from the capacity, where there is one (nats per row).

    References
    ----------
    .. [1] Higgins, I. et al. (2017). "beta-VAE: Learning Basic Visual Concepts with a
       Constrained Variational Framework." ICLR. Eq. 4.
    .. [2] Burgess, C. P. et al. (2018). "Understanding disentangling in beta-VAE."
       Eq. 8. https://arxiv.org/abs/1804.03599
    .. [3] Kingma, D. P. & Welling, M. (2014). "Auto-Encoding Variational Bayes." ICLR.
       https://arxiv.org/abs/1312.6114

    Examples
    --------
    >>> from skfactorvae import BetaVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = BetaVAETransformer(5, capacity=10, max_iter=50, random_state=0)
    >>> vae.fit_transform(X).shape
    (200, 5)
    """

    beta: float = parameter(
        4.0,
        "float",
        [NOT_NEGATIVE],
        """Weight of the KL divergence, or of its distance from the capacity, >= 0. One
        gives the VAE. With a capacity it is the paper's gamma, and large: 100 to
        1000.""",
    )
    capacity: float | None = parameter(
        None,
        "float",
        [NOT_NEGATIVE, None],
        """Nats per row, >= 0, at which the KL divergence is held. It grows in a line
        from zero during the ``warmup``, which wants to be long: 0.5 or more; where the
        likelihood is tempered, no faster than it cools. It holds for the mean over a
        batch; single rows may hold more or less. None weighs the divergence
        instead.""",
    )

    def _objective(self):
        beta = float(self.beta)
        if self.capacity is None:
            return core.VAE(beta=beta)
        return core.CapacityVAE(beta=beta, capacity=float(self.capacity))


@declared
class BetaTCVAETransformer(BaseVAETransformer):
    r"""beta-TCVAE: total correlation punished without a discriminator.

    It takes the KL divergence of the evidence lower bound apart, and weighs its parts
    (Chen et al. 2018):

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \alpha\,I(x; z)
        + \beta\,\mathrm{TC}(q(z)) + \lambda \sum_j \mathrm{KL}(q(z_j)\,\|\,p(z_j))

    The density q(z) of the codes is estimated from the rows of each batch. That is
    simple and has no second network to train, but it is biased where posteriors are
    narrow: a code is then close to no other row of the batch, and the estimate says how
    much information codes hold, not how dependent they are. A warning says so. All
    terms are nats per row.

    Warns
    -----
    ConvergenceWarning
        If the batches were too small for the information that the codes hold.

    See Also
    --------
    FactorVAETransformer : Estimates total correlation by a discriminator, at any batch
        size.

    Notes
    -----
    ``history_`` holds ``reconstruction``, ``mutual_information``,
    ``total_correlation``, ``dimensionwise_kl`` (nats per row), and ``self_weight``: the
    share of its own row in the estimated density of a code, in [0, 1]. Near one, the
    batches are too small. The time of a step grows with the square of ``batch_size``.

    References
    ----------
    .. [1] Chen, R. T. Q. et al. (2018). "Isolating Sources of Disentanglement in
       VAEs." NeurIPS. Eq. 2 and Appendix C. https://arxiv.org/abs/1802.04942
    .. [2] Esmaeili, B. et al. (2019). "Structured Disentangled Representations."
       AISTATS. https://arxiv.org/abs/1804.02086

    Examples
    --------
    >>> from skfactorvae import BetaTCVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = BetaTCVAETransformer(5, beta=4, max_iter=50, random_state=0)
    >>> vae.fit_transform(X).shape
    (200, 5)
    """

    beta: float = parameter(
        6.0,
        "float",
        [NOT_NEGATIVE],
        "Weight of the total correlation, >= 0. One gives the VAE, approximately.",
    )
    alpha: float = parameter(
        1.0,
        "float",
        [NOT_NEGATIVE],
        "Weight of the mutual information of rows and codes, >= 0.",
    )
    lambda_: float = parameter(
        1.0,
        "float",
        [NOT_NEGATIVE],
        "Weight of the divergence of each component from its prior, >= 0.",
    )
    weighting: str = parameter(
        "stratified",
        '{"stratified", "minibatch"}',
        [one_of("stratified", "minibatch")],
        """How the rows of a batch stand for all. ``"stratified"``: a code's own row
        counts with its probability in the table, and the others share the rest
        equally. ``"minibatch"``: all count the same, which overestimates the density of
        a code at its own row. The estimate is one of a proper mixture either way.""",
    )
    groups: Any = groups_parameter()
    batch_size: int = with_default(BaseVAETransformer, "batch_size", 256)

    def _objective(self):
        return core.BetaTCVAE(
            alpha=float(self.alpha),
            beta=float(self.beta),
            lambda_=float(self.lambda_),
            weighting=self.weighting,
            groups=check_groups(self.groups, self.n_components),
        )


@declared
class DIPVAETransformer(BaseVAETransformer):
    r"""DIP-VAE: codes whose covariance is pulled to the identity.

    It minimises (Kumar et al. 2018)

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \mathrm{KL}(q(z|x)\,\|\,p(z))
        + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2

    where C is the covariance, over the batch, of the posterior means (type I) or of the
    codes (type II). It is cheap and steady, and sees linear dependence only: codes can
    be uncorrelated and yet dependent.

    See Also
    --------
    FactorVAETransformer : Sees every kind of dependence.

    Notes
    -----
    ``history_`` holds ``reconstruction``, ``kl`` (nats per row),
    ``covariance_off_diagonal`` and ``covariance_diagonal``, the two sums of squares.
    The diagonal term keeps unused components from collapsing: expect more active ones
    than with other objectives.

    References
    ----------
    .. [1] Kumar, A., Sattigeri, P. & Balakrishnan, A. (2018). "Variational Inference of
       Disentangled Latent Concepts from Unlabeled Observations." ICLR. Eq. 6 and 7.
       https://arxiv.org/abs/1711.00848

    Examples
    --------
    >>> from skfactorvae import DIPVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = DIPVAETransformer(5, max_iter=50, random_state=0)
    >>> vae.fit_transform(X).shape
    (200, 5)
    """

    lambda_od: float = parameter(
        10.0,
        "float",
        [NOT_NEGATIVE],
        "Weight of the covariances between components, >= 0.",
    )
    lambda_d: float | None = parameter(
        None,
        "float",
        [NOT_NEGATIVE, None],
        """Weight of the variances' distance from one, >= 0. None takes the papers'
        choice: ten times ``lambda_od`` for type I, ``lambda_od`` for type II.""",
    )
    dip_type: str = parameter(
        "II",
        '{"I", "II"}',
        [one_of("I", "II")],
        "Covariance of the posterior means (I), or of the codes drawn from them (II).",
    )

    def _objective(self):
        lambda_d = self.lambda_d
        if lambda_d is None:
            lambda_d = self.lambda_od * (10 if self.dip_type == "I" else 1)
        return core.DIPVAE(
            lambda_od=float(self.lambda_od),
            lambda_d=float(lambda_d),
            kind=self.dip_type,
        )


@declared
class AAETransformer(BaseVAETransformer):
    r"""Adversarial autoencoder: codes with the distribution of a factorial prior.

    An autoencoder, and a discriminator that tells its codes from draws of a prior with
    independent components (Makhzani et al. 2015). It minimises

    .. math:: \mathbb{E}[-\log p(x|z)] - \gamma\,\mathbb{E}[\log(1 - D(z))]

    where D(z) is the probability that a code comes from the encoder. Codes with the
    prior's distribution are independent, and fill it without gaps: good for sampling.
    No divergence is taken row by row, so that nothing prunes components: choose
    ``n_components`` near the number of factors.

    See Also
    --------
    FactorVAETransformer : Makes components independent, whatever each looks like.

    Notes
    -----
    ``history_`` holds ``reconstruction`` (nats per row), ``prior_mismatch`` (nats; log
    2 where codes look like the prior), ``discriminator_loss`` and
    ``discriminator_accuracy``.

    With ``encoder="deterministic"`` the posterior's standard deviation is 0.0067, the
    least there is. ``score`` stays a lower bound of the log-density, but a loose one.
    With ``prior="uniform"`` it counts codes outside the prior's range as if the density
    went on there.

    References
    ----------
    .. [1] Makhzani, A. et al. (2015). "Adversarial Autoencoders." Section 2.
       https://arxiv.org/abs/1511.05644

    Examples
    --------
    >>> from skfactorvae import AAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> aae = AAETransformer(3, max_iter=50, random_state=0)
    >>> aae.fit_transform(X).shape
    (200, 3)
    """

    gamma: float = parameter(
        30.0,
        "float",
        [NOT_NEGATIVE],
        """Weight of the discriminator's verdict, >= 0. Zero gives an autoencoder. At
        10, codes are still a good way from the prior.""",
    )
    prior: str = parameter(
        "normal",
        '{"normal", "uniform"}',
        [one_of("normal", "uniform")],
        """What codes shall look like: standard normal, or uniform with variance one,
        between -1.73 and 1.73.""",
    )
    encoder: str = parameter(
        "deterministic",
        '{"deterministic", "gaussian"}',
        [one_of("deterministic", "gaussian")],
        "Whether a row has one code, or a normal distribution of them.",
    )
    discriminator_hidden_layer_sizes: Any = with_default(
        FactorVAETransformer, "discriminator_hidden_layer_sizes", (256, 256, 256)
    )
    discriminator_learning_rate: float = discriminator_rate()
    input_noise: Any = with_default(BaseVAETransformer, "input_noise", 0.0)

    @property
    def _posterior(self):
        return "point" if self.encoder == "deterministic" else "normal"

    def _objective(self):
        return core.AAE(
            gamma=float(self.gamma), prior=self.prior, **discriminator_of(self)
        )


@declared
class InfoGANTransformer(BaseLatentTransformer):
    r"""InfoGAN: a generator of rows, and codes that can be read off what it makes.

    A generator G turns a code c and noise n into rows that a discriminator D cannot
    tell from real ones; a head Q on the discriminator's trunk reads the code back (Chen
    et al. 2016). The generator minimises

    .. math:: \mathbb{E}[-\log D(G(c, n))] - \lambda\,
        \bigl(H(c) + \mathbb{E}[\log Q(c\,|\,G(c, n))]\bigr)

    where the second part is a lower bound of the mutual information of codes and rows,
    in nats. Codes are standard normal, and categories that are equally likely.

    There is no encoder that was trained on data. ``transform`` applies Q, which has
    learned from generated rows alone, to real rows: it means as much as the generator
    is good, nothing pulls a row's reconstruction to the row, and a row unlike all
    generated ones gets an arbitrary code. Nothing makes the codes independent factors
    either: any rotation of them would serve the game as well. Take it for generating
    rows by codes. For describing rows, the other members of the family do better.

    See Also
    --------
    AAETransformer : Adversarial as well, with an encoder trained on data.
    FactorVAETransformer : Pushes codes towards independence.

    Notes
    -----
    A code has ``n_components`` numbers, most informative about the rows first, and then
    the probabilities of the levels of each category. ``inverse_transform`` takes the
    same columns and is the generator with the noise at its mean, zero. ``sample`` draws
    codes and, unless ``noise=False``, the noise. ``kl_per_component_`` describes the
    numbers alone.

    Codes that the rows have no room for are put into perturbations too small for the
    discriminator to see. Q reads them off generated rows, and nothing off real ones:
    choose ``n_components`` near the number of factors.

    ``score`` is that of a stand-in: normal errors, of a scale fitted to each feature,
    in place of what the noise does to a row. It is a lower bound of the log-density of
    that model, and a loose one, since Q was not trained to make it tight. Categories
    are taken at their most probable level. Do not compare it with other members'.

    ``history_`` holds ``reconstruction`` (of that stand-in, nats per row),
    ``generator_loss``, the first part of the loss (log 2 in an even game),
    ``mutual_information`` (nats per row), ``discriminator_loss``,
    ``discriminator_accuracy`` and ``gradient_penalty``: the mean squared norm of the
    gradient of the discriminator's logits at real rows. A discriminator that is nearly
    always right says that the generator has not come close to the data: raise
    ``max_iter``, or lower ``lambda_``.

    References
    ----------
    .. [1] Chen, X. et al. (2016). "InfoGAN: Interpretable Representation Learning by
       Information Maximizing Generative Adversarial Nets." NeurIPS. Eq. 5 and 6.
       https://arxiv.org/abs/1606.03657
    .. [2] Mescheder, L., Geiger, A. & Nowozin, S. (2018). "Which Training Methods for
       GANs do actually Converge?" ICML. Eq. 9. https://arxiv.org/abs/1801.04406

    Examples
    --------
    >>> from skfactorvae import InfoGANTransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> gan = InfoGANTransformer(3, n_categories=[2], max_iter=50, random_state=0)
    >>> gan.fit(X).transform(X).shape  # three numbers, two probabilities
    (200, 5)
    >>> gan.sample(7, random_state=0).shape
    (7, 100)
    """

    n_components: int = parameter(
        10,
        "int",
        [at_least(1)],
        """Normal numbers of a code, d. All of them are used: choose it near the number
        of factors.""",
    )
    lambda_: float = parameter(
        0.1,
        "float",
        [NOT_NEGATIVE],
        """Weight of the mutual information of codes and rows, >= 0. The paper's 1 is
        for codes of fixed precision; Q learns its own here, and outweighs the
        discriminator.""",
    )
    n_categories: Any = parameter(
        (),
        "int or array-like of int",
        [at_least(2), "array-like"],
        """Categories of a code beside its numbers, and how many levels each has, at
        least 2: ``(3, 2)`` adds one of three levels and one of two.""",
    )
    n_noise: int = parameter(
        8,
        "int",
        [at_least(0)],
        "Independent normal numbers that rows are made of and no code holds.",
    )
    network: Any = parameter(
        "mlp",
        '{"mlp", "conv"}',
        [one_of("mlp", "conv")],
        """Dense networks, or the convolutional ones of Kim & Mnih (2018), for flattened
        images. Discriminator and Q have the encoder's layers in common; the generator
        is the decoder.""",
    )
    learning_rate: float = parameter(
        1e-3,
        "float",
        [POSITIVE],
        """Adam's, for the generator. It falls along a cosine.""",
    )
    discriminator_learning_rate: float = parameter(
        1e-3,
        "float",
        [POSITIVE],
        """Adam's, for discriminator and Q; falls as ``learning_rate`` does. With the
        2e-4 of Chen et al. the generator runs ahead in 5000 steps.""",
    )
    gradient_penalty: float = parameter(
        0.1,
        "float",
        [NOT_NEGATIVE],
        """Weight of half the squared slope of the discriminator's logits at real rows,
        >= 0: keeps the game from circling.""",
    )

    # What an autoencoder lets one choose, and a generator has not.
    likelihood, noise_scale, init = "gaussian", "feature", "random"
    warmup, early_stopping, temperature, input_noise = 0.0, False, 1.0, 0.0

    @property
    def _generator(self):
        levels = check_levels("n_categories", self.n_categories)
        return {"n_noise": int(self.n_noise), "levels": levels}

    def _objective(self):
        return core.InfoGAN(
            lambda_=float(self.lambda_),
            gradient_penalty=float(self.gradient_penalty),
            learning_rate=float(self.discriminator_learning_rate),
        )

"""InfoGAN: a generator of samples with codes that can be inferred from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import core
from .._validation import NOT_NEGATIVE, POSITIVE, at_least, check_levels, one_of
from ._base import BaseLatentTransformer
from ._parameters import declared, parameter


@declared
class InfoGANTransformer(BaseLatentTransformer):
    r"""InfoGAN: a generator of samples, and an encoder of its codes.

    A generator G maps a code c and noise n to samples that a discriminator D cannot
    distinguish from real ones; a head Q on the discriminator's hidden layers infers the
    code (Chen et al. 2016). The generator minimises

    .. math:: \mathbb{E}[-\log D(G(c, n))] - \lambda\,
        \bigl(H(c) + \mathbb{E}[\log Q(c\,|\,G(c, n))]\bigr)

    where the second part is a lower bound of the mutual information of codes and
    samples, in nats. Codes are standard normal, and categories with equal
    probabilities.

    No encoder is trained on data. ``transform`` applies Q, which is trained on
    generated samples alone, to real samples: its codes are as meaningful as the
    generator is accurate, reconstructions are not fitted to the samples, and a sample
    unlike all generated ones gets an arbitrary code. The objective does not favour
    independent factors either: it is the same for any rotation of the codes. InfoGAN is
    suited to generate samples from codes; to describe samples, the other members of the
    family are better.

    See Also
    --------
    AAETransformer : Adversarial as well, with an encoder trained on data.
    FactorVAETransformer : Penalises dependence between codes.

    Notes
    -----
    A code has ``n_components`` numbers, most informative about the samples first, and
    then the probabilities of the levels of each category. ``inverse_transform`` takes
    the same columns and is the generator with the noise at its mean, zero. ``sample``
    draws codes and, unless ``noise=False``, the noise. ``kl_per_component_`` and
    ``active_components_`` describe the numbers alone; ``category_columns_`` lists the
    columns of each category. Scorers, reports and displays of this package treat these
    as active where they vary, and a category as one component where they measure
    dependence.

    With more components than factors, the generator encodes the remaining ones in
    perturbations that the discriminator does not detect. Q infers them from generated
    samples, not from real ones: choose ``n_components`` near the number of factors.

    ``score`` is that of a surrogate: normal errors with a scale fitted to each feature,
    in place of the generator's noise. It is a lower bound of that model's log-density,
    and a loose one, since Q is not trained to tighten it. Categories take their most
    probable level. It is not comparable with the scores of other members.

    ``history_`` holds ``reconstruction`` (of that surrogate, nats per sample),
    ``generator_loss``, the first part of the objective (log 2 at equilibrium),
    ``mutual_information`` (nats per sample), ``discriminator_loss``,
    ``discriminator_accuracy`` and ``gradient_penalty``, the mean squared gradient of
    the discriminator's logits at real samples. A discriminator accuracy near one means
    that generated samples are still far from the data: raise ``max_iter``, or lower
    ``lambda_``.

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
        default=10,
        kind="int",
        rules=[at_least(1)],
        description="""Normal numbers of a code, d. All of them are used: choose it near
        the number of factors.""",
        kw_only=False,
    )
    lambda_: float = parameter(
        default=0.1,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the mutual information of codes and samples, >= 0. The
        paper's 1 is for codes of fixed precision; here Q learns its own, and that
        weight would dominate the discriminator's term.""",
    )
    n_categories: Any = parameter(
        default=(),
        kind="int or array-like of int",
        rules=[at_least(2), "array-like"],
        description="""Number of levels of each category of a code, at least 2:
        ``(3, 2)`` adds one category of three levels and one of two.""",
    )
    n_noise: int = parameter(
        default=8,
        kind="int",
        rules=[at_least(0)],
        description="""Independent normal inputs of the generator that are not part of
        the code.""",
    )
    network: Any = parameter(
        default="mlp",
        kind='{"mlp", "conv"}',
        rules=[one_of("mlp", "conv")],
        description="""Dense networks, or the convolutional ones of Kim & Mnih (2018),
        for flattened images. Discriminator and Q share the encoder's hidden layers; the
        generator is the decoder.""",
    )
    learning_rate: float = parameter(
        default=1e-3,
        kind="float",
        rules=[POSITIVE],
        description="Learning rate of Adam for the generator, with cosine decay.",
    )
    discriminator_learning_rate: float = parameter(
        default=1e-3,
        kind="float",
        rules=[POSITIVE],
        description="""Learning rate of Adam for discriminator and Q, with the decay of
        ``learning_rate``. The 2e-4 of Chen et al. is too low for 5000 steps: the
        discriminator does not follow the generator.""",
    )
    gradient_penalty: float = parameter(
        default=0.1,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of half the squared gradient of the discriminator's logits
        at real samples, >= 0: prevents oscillations of the two players.""",
    )

    _takes_missing = False

    @property
    def category_columns_(self):
        """Columns of the codes that hold the probabilities of each category's levels.

        A list of integer arrays, one for each category; empty without categories.
        """
        check_is_fitted(self)
        levels = self._spec.wrapper[1]["levels"]
        ends = np.cumsum(levels, dtype=int)
        first = len(self.kl_per_component_)
        return [
            np.arange(first + end - n, first + end)
            for n, end in zip(levels, ends, strict=True)
        ]

    def _wrapper(self):
        levels = check_levels("n_categories", self.n_categories)
        return "gan", {"n_noise": int(self.n_noise), "levels": levels}

    def _objective(self):
        return core.InfoGAN(
            lambda_=float(self.lambda_),
            gradient_penalty=float(self.gradient_penalty),
            learning_rate=float(self.discriminator_learning_rate),
        )

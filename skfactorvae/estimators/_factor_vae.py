"""FactorVAE: total correlation estimated by a discriminator."""

from __future__ import annotations

from typing import Any

from .. import core
from .._validation import NOT_NEGATIVE, check_groups
from ._base_vae import BaseVAETransformer
from ._parameters import declared, parameter, shared_parameter
from ._shared_parameters import (
    BETA,
    DISCRIMINATOR_LAYERS,
    DISCRIMINATOR_RATE,
    GROUPS,
    discriminator_options,
)


@declared
class FactorVAETransformer(BaseVAETransformer):
    r"""FactorVAE: independent components of a table, of spectra or of small images.

    A variational autoencoder that penalises the total correlation of the codes (Kim &
    Mnih 2018). It minimises

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \gamma\,\mathrm{TC}(q(z))

    where TC, the divergence of the codes' joint distribution from the product of their
    marginals, is estimated by a discriminator. All terms are nats per sample, summed
    over features. Not to be confused with the model of stock returns of the same name
    (Duan et al. 2022).

    Components are nearly independent coordinates of a nonlinear model: candidates for
    factors, not identified causes. No objective on the data alone can distinguish
    factors from an entangled version of them (Locatello et al. 2019). Fit several
    seeds, and do not interpret components that not all of them find.

    See Also
    --------
    BetaTCVAETransformer : Estimates total correlation without a discriminator.
    sklearn.decomposition.FastICA : Linear independent components; a baseline for any
        nonlinear model.
    skfactorvae.metrics.mig_scorer : Scores a search where factors are known.

    Notes
    -----
    ``history_`` holds ``reconstruction``, ``kl``, ``total_correlation`` (nats per
    sample), ``discriminator_loss`` (log 2 where no dependence is detected) and
    ``discriminator_accuracy``. The discriminator's total correlation is a diagnostic of
    training; it is not suited to compare models.

    The discriminator receives codes of n samples (with unequal weights: Kish's
    effective sample size) with added normal noise of standard deviation min(1, 400 /
    n), since it would memorise a small data set and the penalty would scatter its
    codes. The noise keeps independent codes independent and does not make others so.
    Each component is scaled by its correlation with its input, sqrt(1 - exp(-2 KL)),
    which does not change the total correlation and removes the gradient of inactive
    components.

    Each step draws two batches, with replacement from the weighted samples, in an order
    that depends on their values alone. An integer ``sample_weight`` is therefore
    equivalent to repetition, and the order of the samples has no effect, bit for bit.

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
        default=10.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the total correlation, >= 0. Zero gives a VAE, bit for
        bit; where the penalty improves recovery, 10 gives most of the improvement.""",
    )
    beta: float = shared_parameter(BETA, default=1.0)
    groups: Any = shared_parameter(GROUPS, default=None)
    discriminator_hidden_layer_sizes: Any = shared_parameter(
        DISCRIMINATOR_LAYERS, default=(128, 128)
    )
    discriminator_learning_rate: float = shared_parameter(
        DISCRIMINATOR_RATE, default=1e-3
    )

    def _objective(self):
        return core.FactorVAE(
            gamma=float(self.gamma),
            beta=float(self.beta),
            groups=check_groups(self.groups, self.n_components),
            **discriminator_options(self),
        )

"""beta-TCVAE: total correlation estimated from each batch."""

from __future__ import annotations

from typing import Any

from .. import core
from .._validation import NOT_NEGATIVE, check_groups, one_of
from ._base_vae import BaseVAETransformer
from ._parameters import declared, parameter, shared_parameter, with_default
from ._shared_parameters import GROUPS


@declared
class BetaTCVAETransformer(BaseVAETransformer):
    r"""beta-TCVAE: total correlation penalised without a discriminator.

    It decomposes the KL divergence of the evidence lower bound and weights its parts
    (Chen et al. 2018):

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \alpha\,I(x; z)
        + \beta\,\mathrm{TC}(q(z)) + \lambda \sum_j \mathrm{KL}(q(z_j)\,\|\,p(z_j))

    The density q(z) of the codes is estimated from the samples of each batch. There is
    no second network to train, but the estimate is biased where posteriors are narrow:
    a code is then close to that of no other sample of the batch, and the estimate
    measures how much information codes hold, not how dependent they are. A warning
    reports this. All terms are nats per sample.

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
    ``total_correlation``, ``dimensionwise_kl`` (nats per sample), and ``self_weight``:
    the share of a sample's own posterior in the estimated density of its code, in [0,
    1]. Near one, the batches are too small. The time of a step grows with the square of
    ``batch_size``.

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
        default=6.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the total correlation, >= 0. One gives the VAE,
        approximately.""",
    )
    alpha: float = parameter(
        default=1.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="Weight of the mutual information of samples and codes, >= 0.",
    )
    lambda_: float = parameter(
        default=1.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the divergence of each component from its prior,
        >= 0.""",
    )
    weighting: str = parameter(
        default="stratified",
        kind='{"stratified", "minibatch"}',
        rules=[one_of("stratified", "minibatch")],
        description="""Weights of a batch's samples in the estimated density.
        ``"stratified"``: a code's own sample has its probability in the table, and the
        others share the rest equally. ``"minibatch"``: all have the same weight, which
        overestimates the density of a code at its own sample. Either way the estimate
        is
        the density of a mixture.""",
    )
    groups: Any = shared_parameter(GROUPS, default=None)
    batch_size: int = with_default(BaseVAETransformer, "batch_size", default=256)

    def _objective(self):
        return core.BetaTCVAE(
            alpha=float(self.alpha),
            beta=float(self.beta),
            lambda_=float(self.lambda_),
            weighting=self.weighting,
            groups=check_groups(self.groups, self.n_components),
        )

"""DIP-VAE: the covariance of the codes."""

from __future__ import annotations

from .. import core
from .._validation import NOT_NEGATIVE, one_of
from ._base_vae import BaseVAETransformer
from ._parameters import declared, parameter


@declared
class DIPVAETransformer(BaseVAETransformer):
    r"""DIP-VAE: codes with a covariance near the identity.

    It minimises (Kumar et al. 2018)

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \mathrm{KL}(q(z|x)\,\|\,p(z))
        + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2

    where C is the covariance, over the batch, of the posterior means (type I) or of the
    codes (type II). The penalty is fast and stable, and measures linear dependence
    only: codes can be uncorrelated and yet dependent.

    See Also
    --------
    FactorVAETransformer : Penalises every kind of dependence.

    Notes
    -----
    ``history_`` holds ``reconstruction``, ``kl`` (nats per sample),
    ``covariance_off_diagonal`` and ``covariance_diagonal``, the two sums of squares.
    The diagonal term keeps components active: expect more active ones than with other
    objectives.

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
        default=10.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="Weight of the covariances between components, >= 0.",
    )
    lambda_d: float | None = parameter(
        default=None,
        kind="float",
        rules=[NOT_NEGATIVE, None],
        description="""Weight of the variances' distance from one, >= 0. None uses the
        papers' choice: ten times ``lambda_od`` for type I, ``lambda_od`` for type
        II.""",
    )
    dip_type: str = parameter(
        default="II",
        kind='{"I", "II"}',
        rules=[one_of("I", "II")],
        description="""Covariance of the posterior means (I), or of the codes drawn from
        the posteriors (II).""",
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

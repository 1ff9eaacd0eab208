"""beta-VAE: a weight or a capacity for the KL divergence."""

from __future__ import annotations

from .. import core
from .._validation import NOT_NEGATIVE
from ._base_vae import BaseVAETransformer
from ._parameters import declared, parameter


@declared
class BetaVAETransformer(BaseVAETransformer):
    r"""beta-VAE: a variational autoencoder with a weighted or fixed KL divergence.

    It minimises (Higgins et al. 2017)

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))

    or, with a ``capacity`` C (Burgess et al. 2018),

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)]
        + \beta\,|\mathrm{KL}(q(z|x)\,\|\,p(z)) - C|

    ``beta=1`` is the plain VAE. A larger one makes components inactive and the active
    ones more independent, at the expense of the reconstruction: it penalises
    information as well as dependence. All terms are nats per sample, summed over
    features.

    See Also
    --------
    FactorVAETransformer : Penalises dependence alone.

    Notes
    -----
    ``history_`` holds ``reconstruction`` and ``kl``, and with a capacity
    ``capacity_gap``, the distance from it (nats per sample).

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
        default=4.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the KL divergence, or of its distance from the
        capacity, >= 0. One gives the VAE. With a capacity it is the paper's gamma, for
        which 100 to 1000 is usual.""",
    )
    capacity: float | None = parameter(
        default=None,
        kind="float",
        rules=[NOT_NEGATIVE, None],
        description="""KL divergence to which the model is held, nats per sample, >= 0.
        It grows linearly from zero during the ``warmup``, for which 0.5 or more is
        recommended, and with likelihood annealing no faster than the weight of the
        reconstruction. It holds for the mean over a batch; single samples can have more
        or less. None weights the divergence instead.""",
    )

    def _objective(self):
        beta = float(self.beta)
        if self.capacity is None:
            return core.VAE(beta=beta)
        return core.CapacityVAE(beta=beta, capacity=float(self.capacity))

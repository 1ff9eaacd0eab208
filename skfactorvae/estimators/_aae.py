"""Adversarial autoencoder: codes matched to the prior by a discriminator."""

from __future__ import annotations

from typing import Any

from .. import core
from .._validation import NOT_NEGATIVE, one_of
from ._base_vae import BaseVAETransformer
from ._parameters import declared, parameter, shared_parameter, with_default
from ._shared_parameters import (
    DISCRIMINATOR_LAYERS,
    DISCRIMINATOR_RATE,
    discriminator_options,
)


@declared
class AAETransformer(BaseVAETransformer):
    r"""Adversarial autoencoder: codes with the distribution of a factorial prior.

    An autoencoder with a discriminator between its codes and draws from a prior with
    independent components (Makhzani et al. 2015). It minimises

    .. math:: \mathbb{E}[-\log p(x|z)] - \gamma\,\mathbb{E}[\log(1 - D(z))]

    where D(z) is the probability that a code comes from the encoder. Codes with the
    prior's distribution are independent and leave no gaps in it, which suits sampling.
    There is no divergence of each sample's posterior, so that components do not become
    inactive: choose ``n_components`` near the number of factors.

    See Also
    --------
    FactorVAETransformer : Makes components independent, whatever their distributions.

    Notes
    -----
    ``history_`` holds ``reconstruction`` (nats per sample), ``prior_mismatch`` (nats;
    log 2 where codes cannot be distinguished from the prior), ``discriminator_loss``
    and ``discriminator_accuracy``.

    With ``encoder="deterministic"`` the posterior's standard deviation is 0.0067, the
    smallest possible. ``score`` remains a lower bound of the log-density, but a loose
    one. With ``prior="uniform"`` it extends the prior's density to codes outside its
    range.

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
        default=30.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the discriminator's term, >= 0. Zero gives an
        autoencoder. With 10, the codes' distribution still differs from the prior.""",
    )
    prior: str = parameter(
        default="normal",
        kind='{"normal", "uniform"}',
        rules=[one_of("normal", "uniform")],
        description="""Prior of the codes: standard normal, or uniform with variance
        one, between -1.73 and 1.73.""",
    )
    encoder: str = parameter(
        default="deterministic",
        kind='{"deterministic", "gaussian"}',
        rules=[one_of("deterministic", "gaussian")],
        description="""Whether the posterior of a sample is one code, or a normal
        distribution.""",
    )
    discriminator_hidden_layer_sizes: Any = shared_parameter(
        DISCRIMINATOR_LAYERS, default=(256, 256, 256)
    )
    discriminator_learning_rate: float = shared_parameter(
        DISCRIMINATOR_RATE, default=1e-3
    )
    input_noise: Any = with_default(BaseVAETransformer, "input_noise", default=0.0)
    # A deterministic encoder has no useful bound on held-out samples, and the few steps
    # that suffice for samples do not suffice to match the prior.
    weight_decay: Any = with_default(BaseVAETransformer, "weight_decay", default=0.0)

    def _wrapper(self):
        return ("point", {}) if self.encoder == "deterministic" else None

    def _objective(self):
        return core.AAE(
            gamma=float(self.gamma), prior=self.prior, **discriminator_options(self)
        )

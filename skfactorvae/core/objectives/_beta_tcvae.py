"""beta-TCVAE: total correlation estimated from the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._base import WEIGHT, Objective, Terms, warmed_up
from ._forward import Forward
from ._groups import Groups, sum_groups
from ._readout import Readout

LARGE_SELF_WEIGHT = 0.9
"""Weight of a code's own row in the estimate of q(z) above which a fit warns."""


@dataclass(frozen=True, kw_only=True)
class BetaTCVAE(Objective):
    r"""ELBO whose KL divergence is decomposed, with a weight for total correlation.

    .. math:: \mathbb{E}[-\log p(x|z)] + \alpha\,I(x;z)
        + \beta\,\mathrm{TC}(q(z)) + \lambda\,\sum_j \mathrm{KL}(q(z_j)\,\|\,p(z_j))

    The three terms sum to KL(q(z|x) || p(z)). They need the density of the aggregate
    posterior q(z), a mixture over all rows, which is estimated from the rows of the
    batch. Not to be confused with :class:`FactorVAE`, whose discriminator estimates TC.

    Parameters
    ----------
    alpha, beta, lambda_ : float, or Tensor of shape (K,)
        Weights of the mutual information, of the total correlation and of the KL
        divergence of each latent from its prior, >= 0.
    weighting : {"stratified", "minibatch"}
        How rows of the batch represent all rows. See :func:`mixture_weights`.
    groups : tuple of int or None
        Sizes of groups of latents; the total correlation is that between groups, and
        the last term is the divergence of each group.

    References
    ----------
    Chen et al. (2018), "Isolating Sources of Disentanglement in VAEs", Eq. 2 and
    Appendix C; Esmaeili et al. (2019), "Structured Disentangled Representations", for
    groups and for weights that treat all other rows alike.
    """

    alpha: Any = field(metadata=WEIGHT)
    beta: Any = field(metadata=WEIGHT)
    lambda_: Any = field(metadata=WEIGHT)
    weighting: str = "stratified"
    groups: Groups = None

    recorded_only = ("self_weight",)

    @property
    def kl_weight(self) -> float:
        return float(self.alpha)

    @property
    def readout(self) -> BetaTCVAEReadout:
        return BetaTCVAEReadout(self.groups)

    def weights(self, ramp: Tensor) -> Terms:
        return {
            "mutual_information": warmed_up(self.alpha, ramp),
            "total_correlation": warmed_up(self.beta, ramp),
            "dimensionwise_kl": warmed_up(self.lambda_, ramp),
        }

    def terms(self, forward: Forward) -> Terms:
        z, mask = forward.z, forward.mask
        mixture = mixture_weights(
            self.weighting, forward.batch.row_numbers, forward.batch.row_probabilities
        )
        latents = (v.mT.contiguous() for v in (z, forward.mean, forward.log_var))
        z_i, mean, log_var = latents  # (K, d, B)
        density = log_normal(
            z_i.unsqueeze(3), mean.unsqueeze(2), log_var.unsqueeze(2)
        )  # (K, d, B, B): log q(z_i | x_j)
        prior = log_normal(z_i, torch.zeros_like(z_i), torch.zeros_like(z_i))
        if mask is not None:
            exists = mask.transpose(1, 2)  # (K, d, 1)
            density, prior = density * exists.unsqueeze(3), prior * exists
        whole = density.sum(1)  # (K, B, B)
        joint = _LogSumExp.apply(mixture + whole)  # (K, B): log q(z_i)
        groups = sum_groups(density, self.groups)
        marginals = _LogSumExp.apply(mixture.unsqueeze(1) + groups).sum(1)
        own = whole.diagonal(dim1=1, dim2=2)  # (K, B): log q(z_i | x_i)
        own_weight = mixture.diagonal(dim1=1, dim2=2)
        return {
            "reconstruction": forward.reconstruction,
            "mutual_information": (own - joint).mean(-1),
            "total_correlation": (joint - marginals).mean(-1),
            "dimensionwise_kl": (marginals - prior.sum(1)).mean(-1),
            "self_weight": (own_weight + own - joint).exp().mean(-1).detach(),
        }


@dataclass(frozen=True)
class BetaTCVAEReadout(Readout):
    """The default readout, with a warning about batches that are too small."""

    def convergence_warning(self, history: Mapping[str, np.ndarray]) -> str | None:
        self_weight = history["self_weight"][-1:].max(initial=0.0)
        if self_weight <= LARGE_SELF_WEIGHT:
            return None
        return (
            "The batches are too small for the information in the codes: "
            f"{self_weight:.0%} of the estimated density of a code comes from its own "
            "row, so that the estimated total correlation reflects how narrow the "
            "posteriors are, not how dependent the codes are. Raise batch_size or "
            "beta, use fewer components, or use FactorVAETransformer, whose "
            "discriminator does not depend on the batch size."
        )


def mixture_weights(weighting: str, numbers: Tensor, probabilities: Tensor) -> Tensor:
    r"""Return the log-weights of the mixture that estimates q(z), (K, B, B).

    Entry (i, j) is the weight of q(z | x_j) in the estimate of q(z_i). Each row of
    weights sums to one.

    ``"stratified"``: x_i has its own probability, 1/N in a table of equal weights, and
    the other rows share the rest equally. Chen et al. (2018, Appendix C) treat one of
    the others differently; Esmaeili et al. (2019) treat them alike, as here. Repeated
    draws of x_i have weight zero.

    ``"minibatch"``: all rows have weight 1/B. This is the minibatch-weighted sampling
    of Chen et al. (2018, Eq. 3) up to a constant, log N, which changes no gradient.

    Parameters
    ----------
    weighting : {"stratified", "minibatch"}
    numbers : Tensor of shape (K, B)
        Row number of each row of the batch in the table.
    probabilities : Tensor of shape (K, B)
        Probability of drawing that row.
    """
    n_rows = numbers.shape[1]
    if weighting == "minibatch":
        uniform = probabilities.new_full((n_rows, n_rows), -math.log(n_rows))
        return uniform.expand(len(numbers), -1, -1)
    is_other = numbers.unsqueeze(2) != numbers.unsqueeze(1)  # (K, B, B)
    n_others = is_other.sum(2)
    own = torch.where(n_others > 0, probabilities, 1.0)
    other = (1 - own) / n_others.clamp(min=1)  # (K, B)
    weights = is_other * other.unsqueeze(2)
    return (weights + torch.diag_embed(own)).log()


class _LogSumExp(torch.autograd.Function):
    """Logarithm of the sum of exponentials over the last axis, by one softmax.

    torch's own function computes all exponentials again for its gradient, which the
    softmax already is. The sum follows from the largest entry of the softmax, which is
    at least one over their number. A row that is -inf throughout gives NaN.
    """

    @staticmethod
    def forward(ctx: Any, exponents: Tensor) -> Tensor:
        softmax = exponents.softmax(-1)
        ctx.save_for_backward(softmax)
        return exponents.amax(-1) - softmax.amax(-1).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (softmax,) = ctx.saved_tensors
        return gradient.unsqueeze(-1) * softmax


def log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return the log-density of each latent under its normal posterior, nats.

    Values that depend on the posterior alone are computed before broadcasting, since a
    batch has far more pairs than rows.
    """
    shrink = math.sqrt(0.5) * torch.exp(-0.5 * log_var)
    peak = -0.5 * (log_var + math.log(2 * math.pi))
    return peak - ((z - mean) * shrink).square()

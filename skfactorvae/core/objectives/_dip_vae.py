"""DIP-VAE: the covariance of the codes matched to that of the prior."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ._base import WEIGHT, Objective, Terms
from ._forward import Forward


@dataclass(frozen=True, kw_only=True)
class DIPVAE(Objective):
    r"""ELBO plus the squared distance of the codes' covariance from the identity.

    .. math:: \mathbb{E}[-\log p(x|z)] + \mathrm{KL}(q(z|x)\,\|\,p(z))
        + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2

    In type I, C is the covariance of the posterior means; in type II that of the codes,
    which adds the mean posterior variance to the diagonal. The covariance is estimated
    from the batch.

    Parameters
    ----------
    lambda_od, lambda_d : float, or Tensor of shape (K,)
        Weights of the entries off the diagonal and on it, >= 0.
    kind : {"I", "II"}
        Which covariance.

    References
    ----------
    Kumar, Sattigeri & Balakrishnan (2018), "Variational Inference of Disentangled
    Latent Concepts from Unlabeled Observations", Eq. 6 and 7.
    """

    lambda_od: Any = field(metadata=WEIGHT)
    lambda_d: Any = field(metadata=WEIGHT)
    kind: str = "II"

    def weights(self, ramp: Tensor) -> Terms:
        return {
            "covariance_off_diagonal": self.lambda_od * ramp,
            "covariance_diagonal": self.lambda_d * ramp,
        }

    def terms(self, forward: Forward) -> Terms:
        variance, off_diagonal = covariance_of_codes(forward, self.kind)
        excess = (variance - 1).square()  # (K, d)
        if forward.mask is not None:
            excess = excess * forward.mask[:, 0]
        return {
            "reconstruction": forward.reconstruction,
            "kl": forward.kl,
            "covariance_off_diagonal": off_diagonal.square().sum((1, 2)),
            "covariance_diagonal": excess.sum(1),
        }


def covariance_of_codes(forward: Forward, kind: str) -> tuple[Tensor, Tensor]:
    """Return the covariance's diagonal, (K, d), and its other entries, (K, d, d)."""
    centred = forward.mean - forward.mean.mean(1, keepdim=True)  # (K, B, d)
    covariance = centred.transpose(1, 2) @ centred / centred.shape[1]
    variance = covariance.diagonal(dim1=1, dim2=2)
    off_diagonal = covariance - torch.diag_embed(variance)
    if kind == "II":  # posteriors are diagonal: they add to the diagonal only
        variance = variance + forward.log_var.exp().mean(1)
    return variance, off_diagonal

"""Predictions of an attribute, and their cross-entropy.

A discrete attribute has ``n_levels`` levels; for a continuous one ``n_levels`` is zero.
A prediction of a discrete attribute is the logits of its levels; of a continuous one, a
mean and an unbounded log-variance. A target is the distribution that a prediction is
compared with: the probabilities of the levels, or a mean and a variance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._tables import one_hot

LOG_VAR_BOUND = 5.0


def n_outputs(n_levels: int) -> int:
    """Return the number of outputs of a prediction."""
    return n_levels or 2


def bounded(raw: Tensor) -> Tensor:
    """Map to a log-variance in (-5, 5), smoothly."""
    return LOG_VAR_BOUND * torch.tanh(raw / LOG_VAR_BOUND)


def label_target(n_levels: int, labels: Tensor) -> Tensor:
    """Return the target of a known label; an arbitrary one where it is NaN.

    Parameters
    ----------
    n_levels : int
        Zero for a continuous attribute.
    labels : Tensor of shape (K, B)
        Numbers of levels, or values.

    Returns
    -------
    Tensor of shape (K, B, n_outputs)
    """
    values = labels.nan_to_num()
    if n_levels:
        return one_hot(values.long(), n_levels, labels)
    return torch.stack([values, torch.zeros_like(values)], dim=-1)


def predicted_target(n_levels: int, prediction: Tensor) -> Tensor:
    """Return the distribution that a prediction describes, (K, B, n_outputs)."""
    if n_levels:
        return prediction.softmax(-1)
    mean, raw = prediction.unbind(-1)
    return torch.stack([mean, bounded(raw).exp()], dim=-1)


def cross_entropy(n_levels: int, prediction: Tensor, target: Tensor) -> Tensor:
    r"""Return the cross-entropy of a prediction relative to a target, nats.

    .. math:: -\sum_l p_l \log A_l \quad\text{or}\quad \tfrac{1}{2} \Bigl(
        \frac{(m - \mu)^2 + v}{\sigma^2} + \log 2 \pi \sigma^2 \Bigr)

    for probabilities p, or a mean m and a variance v.

    Parameters
    ----------
    n_levels : int
        Zero for a continuous attribute.
    prediction, target : Tensor of shape (K, B, n_outputs)

    Returns
    -------
    Tensor of shape (K, B)
    """
    if n_levels:
        return -(target * prediction.log_softmax(-1)).sum(-1)
    (mean, raw), (centre, variance) = prediction.unbind(-1), target.unbind(-1)
    log_var = bounded(raw)
    squares = (centre - mean).square() + variance
    return 0.5 * (squares * torch.exp(-log_var) + log_var + math.log(2 * math.pi))


def entropy(n_levels: int, target: Tensor) -> Tensor:
    """Return the entropy of a target, of levels or normal, nats, (K, B)."""
    if n_levels:
        return torch.special.entr(target).sum(-1)
    return 0.5 * torch.log(2 * math.pi * math.e * target[..., 1])


def confusion(n_levels: int, prediction: Tensor, marginal: Tensor) -> Tensor:
    r"""Return the KL divergence of a prediction from the attribute's marginal, nats.

    .. math:: \mathrm{KL}(\hat p(a)\,\|\,A)

    It is at least zero, and zero where the prediction is the marginal. A model that
    minimises it removes what the prediction is based on. Not to be confused with the
    negative cross-entropy of the prediction, which has no lower bound.

    Parameters
    ----------
    n_levels : int
        Zero for a continuous attribute.
    prediction : Tensor of shape (K, B, n_outputs)
    marginal : Tensor of shape (K, n_outputs)
        Probabilities of the levels, or mean and variance.

    Returns
    -------
    Tensor of shape (K, B)
    """
    target = marginal.unsqueeze(1)
    return cross_entropy(n_levels, prediction, target) - entropy(n_levels, target)

"""Answers to the question what an attribute is, and how far they are from the truth.

An attribute has levels, or it is real and then has none; ``n_levels`` is zero for it.
An answer to a class is its logits, one for each level; to a real attribute, a mean and
a raw log-variance. A belief is what an answer should have been: the probabilities of
the levels, or a mean and a variance.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_VAR_BOUND = 5.0


def n_outputs(n_levels: int) -> int:
    """Numbers of an answer."""
    return n_levels or 2


def bounded(raw: Tensor) -> Tensor:
    """Keep a log-variance in (-5, 5), smoothly."""
    return LOG_VAR_BOUND * torch.tanh(raw / LOG_VAR_BOUND)


def certain(n_levels: int, labels: Tensor) -> Tensor:
    """Return the belief of who knows the label; any belief where that is NaN.

    Parameters
    ----------
    n_levels : int
        Zero for a real attribute.
    labels : Tensor of shape (K, B)
        Numbers of levels, or values.

    Returns
    -------
    Tensor of shape (K, B, n_outputs)
    """
    values = labels.nan_to_num()
    if n_levels:
        return F.one_hot(values.long(), n_levels).to(labels)
    return torch.stack([values, torch.zeros_like(values)], dim=-1)


def believed(n_levels: int, answer: Tensor) -> Tensor:
    """Return the belief of who trusts an answer, (K, B, n_outputs)."""
    if n_levels:
        return answer.softmax(-1)
    mean, raw = answer.unbind(-1)
    return torch.stack([mean, bounded(raw).exp()], dim=-1)


def cross_entropy(n_levels: int, answer: Tensor, belief: Tensor) -> Tensor:
    r"""Cross-entropy of an answer under a belief, nats.

    .. math:: -\sum_l p_l \log A_l \quad\text{or}\quad \tfrac{1}{2} \Bigl(
        \frac{(m - \mu)^2 + v}{\sigma^2} + \log 2 \pi \sigma^2 \Bigr)

    for probabilities p, or a mean m and a variance v.

    Parameters
    ----------
    n_levels : int
        Zero for a real attribute.
    answer, belief : Tensor of shape (K, B, n_outputs)

    Returns
    -------
    Tensor of shape (K, B)
    """
    if n_levels:
        return -(belief * answer.log_softmax(-1)).sum(-1)
    (mean, raw), (target, variance) = answer.unbind(-1), belief.unbind(-1)
    log_var = bounded(raw)
    squares = (target - mean).square() + variance
    return 0.5 * (squares * torch.exp(-log_var) + log_var + math.log(2 * math.pi))


def entropy(n_levels: int, belief: Tensor) -> Tensor:
    """Entropy of a belief, nats: of levels, or of a normal distribution; (K, B)."""
    if n_levels:
        return torch.special.entr(belief).sum(-1)
    return 0.5 * torch.log(2 * math.pi * math.e * belief[..., 1])


def confusion(n_levels: int, answer: Tensor, marginal: Tensor) -> Tensor:
    r"""Divergence of an answer from one that knows the marginal alone.

    .. math:: \mathrm{KL}(\hat p(a)\,\|\,A)

    At least zero, and zero where the answer is the marginal: to minimise it is to take
    the answerer's grounds away. Not to be confused with the answerer's loss with a
    minus, which has no least value.

    Parameters
    ----------
    n_levels : int
        Zero for a real attribute.
    answer : Tensor of shape (K, B, n_outputs)
    marginal : Tensor of shape (K, n_outputs)
        Shares of the levels, or mean and variance.

    Returns
    -------
    Tensor of shape (K, B)
    """
    belief = marginal.unsqueeze(1)
    return cross_entropy(n_levels, answer, belief) - entropy(n_levels, belief)

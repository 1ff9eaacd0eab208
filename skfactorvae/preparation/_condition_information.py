"""What codes tell of the conditions of samples, by which weights are compared.

Axes: ``n`` samples, ``d`` components, ``K`` conditions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import core
from ._conditional_start import condition_groups, condition_moments, diagonalising

MAX_ROWS = 10_000
"""Samples whose codes are diagonalised and compared, at most."""

MIN_VARIANCE = 0.01
"""Variance of the codes of a component that takes part, at least."""


def leading_rows(job: core.Job, n_rows: int) -> core.Job:
    """Return the job with its first rows; their order is as good as a random one."""
    assert job.labels is not None
    some = slice(n_rows)
    return replace(
        job,
        rows=job.rows[some],
        row_weights=job.row_weights[some],
        labels=job.labels[some],
    )


def condition_information(codes, weight, groups) -> float:
    r"""Return a lower bound of the information of codes about conditions, nats.

    .. math:: \frac{1}{n} \sum_i \log \frac{q(u_i \mid z_i)}{p(u_i)}, \qquad
        q(u \mid z) \propto p(u) \prod_j N(z_j; \mu_{uj}, \sigma_{uj}^2)

    with the moments of the codes within conditions. For components that are normal and
    independent within conditions, q is the posterior, and the bound is tight up to the
    estimates of the moments; combinations of components have less of it.

    Parameters
    ----------
    codes : ndarray of shape (n, d)
    weight : ndarray of shape (n,)
        Weights of the samples, with a mean of one.
    groups : sequence of K ndarrays of int
        Samples of each condition; others do not count.

    References
    ----------
    Barber & Agakov (2003), "The IM Algorithm: A Variational Approach to Information
    Maximization", Eq. 4; Hyvärinen & Morioka (2016), "Unsupervised Feature Extraction
    by Time-Contrastive Learning and Nonlinear ICA", which learns components that tell
    segments of a series apart.
    """
    filled = [k for k, group in enumerate(groups) if len(group)]
    groups = [groups[k] for k in filled]
    mean, log_var = condition_moments(codes, weight, groups)  # (K, d)
    shares = np.array([weight[group].sum() for group in groups])
    shares = shares / shares.sum()
    precision = np.exp(-log_var)
    offset = (np.square(mean) * precision + log_var).sum(axis=1)
    gains = []
    for k, group in enumerate(groups):
        own = codes[group]
        squares = np.square(own) @ precision.T - 2 * own @ (mean * precision).T
        log_density = -0.5 * (squares + offset)  # (n_k, K), up to a constant
        evidence = np.logaddexp.reduce(log_density + np.log(shares), axis=1)
        gains.append(np.average(log_density[:, k] - evidence, weights=weight[group]))
    return float(shares @ gains)


@dataclass(frozen=True)
class ConditionInformation:
    """Information about conditions of a model's codes, jointly diagonalised.

    Parameters
    ----------
    network : core.Network
    rows : ndarray of shape (n, p)
    row_weights : ndarray of shape (n,)
    labels : ndarray of shape (n, 1)
        Number of each sample's condition, NaN where unknown.
    n_conditions : int
    """

    network: core.Network
    rows: Any
    row_weights: np.ndarray
    labels: np.ndarray
    n_conditions: int

    @classmethod
    def of(cls, job: core.Job) -> ConditionInformation:
        """Return that of some of the rows of a job of a :class:`core.AuxiliaryVAE`."""
        some, objective = leading_rows(job.representative, MAX_ROWS), job.objective
        assert isinstance(objective, core.AuxiliaryVAE)
        assert some.labels is not None
        return cls(
            some.network,
            some.rows,
            some.row_weights,
            some.labels,
            objective.n_conditions,
        )

    def __call__(self, weights: core.Arrays, device: Any) -> float:
        """Return the information of codes of these weights, nats; -inf if not finite.

        Parameters
        ----------
        weights : mapping of str to ndarray
        device : torch.device
        """
        codes, _ = core.encode(self.network, weights, self.rows, device=device)
        if not np.isfinite(codes).all():
            return -np.inf
        share = self.row_weights / self.row_weights.sum()
        centred = codes.astype(np.float64)
        centred -= share @ centred
        used = share @ np.square(centred) > MIN_VARIANCE
        if not used.any():
            return 0.0
        groups = condition_groups(self.labels, self.n_conditions)
        turn = diagonalising(centred[:, used], share, groups, n_starts=0)
        return condition_information(
            centred[:, used] @ turn.T, len(share) * share, groups
        )

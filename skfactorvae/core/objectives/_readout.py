"""What an objective determines about the latents of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ._groups import Groups, order_within_groups


@dataclass(frozen=True)
class Readout:
    """Order, signs and inactive latents of a fitted model, and its warning.

    Parameters
    ----------
    groups : tuple of int or None
        Sizes of groups of latents; latents are ordered within their group.
    """

    groups: Groups = None

    @property
    def n_hidden_components(self) -> int:
        """Number of latents, the first ones, that the estimator does not return."""
        return 0

    @property
    def n_oriented(self) -> int:
        """Number of latents, the first ones, whose sign the objective determines."""
        return 0

    def latent_order(self, kl: np.ndarray) -> np.ndarray:
        """Return the order of the latents: descending KL, within each group.

        Parameters
        ----------
        kl : ndarray of shape (d,)
            Mean KL divergence of each latent, nats.
        """
        return order_within_groups(kl, self.groups)

    def sign_targets(self, labels: np.ndarray | None) -> np.ndarray | None:
        """Return variables with which the first latents shall correlate positively.

        Parameters
        ----------
        labels : ndarray of shape (n, m) or None
            Labels of the job.

        Returns
        -------
        ndarray of shape (n, a) or None
            One column for each of the first a latents, NaN where unknown; None if
            features decide the signs of all latents.
        """
        return None

    def inactive_latents(self, kl: np.ndarray) -> np.ndarray:
        """Return the latents whose posterior is set to the prior after the fit.

        Parameters
        ----------
        kl : ndarray of shape (d,)
            Mean KL divergence of each latent in its final order, nats.
        """
        return np.array([], dtype=int)

    def convergence_warning(self, history: Mapping[str, np.ndarray]) -> str | None:
        """Return a warning about a finished fit, or None."""
        return None

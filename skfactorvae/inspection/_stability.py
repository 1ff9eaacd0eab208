"""Which components come back with another seed."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from ..metrics import udr_score
from ._matplotlib import BLUE, GREY, INK, one_axes, tidy, title
from ._matrix import codes_of
from ._reading import read

STABLE = 0.8
"""Median agreement from which a component counts as one that comes back."""


class StabilityDisplay:
    """Which components of a fit come back in fits with other seeds.

    Components of the reference fit are matched to those of each other fit, one to one,
    by absolute rank correlation over the same rows. What does not come back is not to
    be interpreted. What does can still be an artefact that all fits share.

    Parameters
    ----------
    agreement : ndarray of shape (n_components, n_fits - 1)
        Absolute rank correlation of each of the reference's components with its match,
        0 where a fit has none left for it.
    components : ndarray of shape (n_components,)
        Numbers of the reference's components that vary.
    reference : int
        Number of the fit whose components these are.
    scores : ndarray of shape (n_fits,)
        Each fit's :func:`~skfactorvae.metrics.udr_score`.

    Attributes
    ----------
    ax_ : Axes
        Where it is drawn.
    figure_ : Figure
        The figure it is in.

    References
    ----------
    Duan et al. (2020), "Unsupervised model selection for variational disentangled
    representation learning", Figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.inspection import StabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(500, 2))
    >>> other = np.column_stack([-z[:, 0], rng.normal(size=500)])
    >>> display = StabilityDisplay.from_codes([z, other, other], reference=0)
    >>> (display.agreement > 0.8).tolist()
    [[True, True], [False, False]]
    """

    def __init__(self, agreement, components, reference, scores):
        self.agreement = agreement
        self.components = components
        self.reference = reference
        self.scores = scores

    @classmethod
    def from_estimators(cls, estimators, X, *, reference=None):
        """Compare fitted estimators on the same rows.

        Parameters
        ----------
        estimators : sequence of estimator or Pipeline
            At least two, fitted.
        X : array-like of shape (n_samples, n_features)
            Rows.
        reference : int, default=None
            The fit whose components are shown. None takes the one that agrees best
            with the others.

        Returns
        -------
        display : StabilityDisplay
            Ready to plot. Components without information are left out.
        """
        estimators = list(estimators)
        kl = [read(estimator).kl for estimator in estimators]
        codes = [codes_of(estimator, X) for estimator in estimators]
        kl = None if any(k is None for k in kl) else kl
        return cls.from_codes(codes, kl=kl, reference=reference)

    @classmethod
    def from_codes(cls, codes, *, kl=None, kl_threshold=0.01, reference=None):
        """Compare the codes of several fits.

        Parameters
        ----------
        codes : sequence of array-like of shape (n_samples, n_codes)
            Codes of at least two fits on the same rows.
        kl : sequence of array-like of shape (n_codes,), default=None
            Nats that each code holds, per fit. None leaves out constant codes only.
        kl_threshold : float, default=0.01
            Codes that hold no more are left out.
        reference : int, default=None
            The fit whose components are shown. None takes the one that agrees best
            with the others.

        Returns
        -------
        display : StabilityDisplay
            Ready to plot.
        """
        codes = codes if isinstance(codes, np.ndarray) else list(codes)
        scores = udr_score(codes, kl=kl, kl_threshold=kl_threshold)
        if reference is None:
            reference = int(scores.argmax())
        if reference not in range(len(scores)):
            raise ValueError(
                f"reference must be a fit's number, from 0 to {len(scores) - 1}; got "
                f"{reference!r}."
            )
        kept = [
            _used(fit, None if kl is None else kl[i], kl_threshold)
            for i, fit in enumerate(codes)
        ]
        ranks = [
            _unit_ranks(np.asarray(fit)[:, used])
            for fit, used in zip(codes, kept, strict=True)
        ]
        home = ranks.pop(reference)
        agreement = np.array([_matched(home, other) for other in ranks])
        return cls(agreement.T, kept[reference], reference, scores)

    @property
    def medians(self):
        """Median agreement of each component, (n_components,)."""
        return np.median(self.agreement, axis=1)

    def plot(self, ax=None):
        """Draw each component's agreement with every other fit.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw.

        Returns
        -------
        self : StabilityDisplay
            With ``ax_`` and ``figure_``.
        """
        n_components, n_others = self.agreement.shape
        ax = one_axes(ax, (5.4, 1.1 + 0.36 * max(n_components, 1)))
        places = np.arange(n_components)
        medians = self.medians
        colours = np.where(medians >= STABLE, BLUE, GREY)
        ax.hlines(places, 0, medians, color=colours, lw=2.2)
        for place, values, colour in zip(places, self.agreement, colours, strict=True):
            ax.plot(
                values,
                np.full(n_others, place),
                "o",
                color=colour,
                ms=5,
                alpha=0.45,
                mew=0,
            )
        ax.scatter(medians, places, marker="|", s=160, color=colours, linewidths=2.5)
        for place, median in zip(places, medians, strict=True):
            ax.text(1.04, place, f"{median:.2f}", va="center", fontsize=8.5, color=INK)
        ax.axvline(STABLE, color=INK, lw=0.8, ls=(0, (4, 3)))
        ax.set_yticks(places, [f"factor {j}" for j in self.components])
        ax.invert_yaxis()
        ax.set_xlim(0, 1.12)
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.set_xlabel("absolute rank correlation with its match", fontsize=9)
        fits = "fit" if n_others == 1 else "fits"
        title(ax, f"fit {self.reference} against {n_others} other {fits}", "median")
        tidy(ax)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _used(codes, kl, kl_threshold):
    codes = np.asarray(codes)
    varies = (codes != codes[:1]).any(axis=0)
    if kl is not None:
        varies &= np.asarray(kl) > kl_threshold
    return np.flatnonzero(varies)


def _unit_ranks(codes):
    """Return centred ranks of unit length: their products are rank correlations."""
    ranks = rankdata(codes, axis=0) if codes.size else codes.astype(np.float64)
    ranks = ranks - ranks.mean(axis=0)
    return ranks / np.linalg.norm(ranks, axis=0)


def _matched(home, other):
    """Return each component's agreement with its match, zero without one, (d,)."""
    strength = np.abs(home.T @ other)
    agreement = np.zeros(home.shape[1])
    rows, columns = linear_sum_assignment(strength, maximize=True)
    agreement[rows] = np.minimum(strength[rows, columns], 1.0)
    return agreement

"""Display of the stability of components over random seeds."""

from __future__ import annotations

import numpy as np

from .._matplotlib import BLUE, GREY, INK, one_axes, tidy, title
from ..metrics import match_codes, udr_score
from ._matrix import codes_of
from ._reading import read

STABLE = 0.8
"""Median agreement from which a component counts as stable."""


class StabilityDisplay:
    """Stability of the components of a fit in fits with other random seeds.

    Components of the reference fit are matched with those of each other fit, one to
    one, by absolute rank correlation over the same samples. Do not interpret unstable
    components. Stable ones can still be an artefact that all fits share.

    Parameters
    ----------
    agreement : ndarray of shape (n_components, n_fits - 1)
        Absolute rank correlation of each component of the reference with its match, in
        [0, 1]; 0 where a fit has too few components for a match.
    components : ndarray of shape (n_components,)
        Indices of the reference's components that vary.
    reference : int
        Index of the reference fit.
    scores : ndarray of shape (n_fits,)
        :func:`~skfactorvae.metrics.udr_score` of each fit.
    names : ndarray of str, shape (n_components,), default=None
        Names of these components. None calls them by their index.

    Attributes
    ----------
    ax_ : Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

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

    def __init__(self, agreement, components, reference, scores, *, names=None):
        self.agreement = agreement
        self.components = components
        self.reference = reference
        self.scores = scores
        self.names = names

    @classmethod
    def from_estimators(cls, estimators, X, *, reference=None):
        """Create a display from fitted estimators.

        Parameters
        ----------
        estimators : sequence of estimator or Pipeline
            At least two, fitted.
        X : array-like of shape (n_samples, n_features)
            Samples, the same for all estimators.
        reference : int, default=None
            Index of the fit whose components are shown. None takes the one with the
            largest score.

        Returns
        -------
        display : StabilityDisplay
            Ready to plot. Inactive components are left out.

        Raises
        ------
        TypeError
            If an estimator has no components.
        ValueError
            If there are fewer than two fits, or ``reference`` is not the index of one.
        """
        try:
            estimators = list(estimators)
        except TypeError:
            raise TypeError(
                "estimators must be a sequence of at least two fitted estimators, got "
                f"one {type(estimators).__name__}. For a SeedEnsemble, pass its "
                "estimators_."
            ) from None
        readings = [read(estimator) for estimator in estimators]
        found = [_information(reading) for reading in readings]
        kl = found if all(k is not None for k in found) else None
        codes = [codes_of(estimator, X) for estimator in estimators]
        display = cls.from_codes(codes, kl=kl, reference=reference)
        n_codes = np.shape(codes[display.reference])[1]
        every = readings[display.reference].component_names(n_codes)
        display.names = every[display.components]
        return display

    @classmethod
    def from_codes(cls, codes, *, kl=None, kl_threshold=0.01, reference=None):
        """Create a display from the codes of several fits.

        Parameters
        ----------
        codes : sequence of array-like of shape (n_samples, n_codes)
            Codes of the same samples by at least two fits.
        kl : sequence of array-like of shape (n_codes,), default=None
            Information in each component of each fit, nats per sample. None leaves out
            constant codes only.
        kl_threshold : float, default=0.01
            Components with at most as many nats are left out.
        reference : int, default=None
            Index of the fit whose components are shown. None takes the one with the
            largest score.

        Returns
        -------
        display : StabilityDisplay
            Ready to plot.

        Raises
        ------
        ValueError
            If there are fewer than two fits, they differ in number of samples, or
            ``reference`` is not the index of one.
        """
        codes = codes if isinstance(codes, np.ndarray) else list(codes)
        scores = udr_score(codes, kl=kl, kl_threshold=kl_threshold)
        if reference is None:
            reference = int(scores.argmax())
        if reference not in range(len(scores)):
            raise ValueError(
                "reference must be the index of a fit, from 0 to "
                f"{len(scores) - 1}; got {reference!r}."
            )
        kept = [
            _used(fit, None if kl is None else kl[i], kl_threshold)
            for i, fit in enumerate(codes)
        ]
        shown = [
            np.asarray(fit)[:, used] for fit, used in zip(codes, kept, strict=True)
        ]
        own = shown.pop(reference)
        agreement = np.array([_agreement(own, other) for other in shown])
        return cls(agreement.T, kept[reference], reference, scores)

    @property
    def medians(self):
        """Median agreement of each component, (n_components,)."""
        return np.median(self.agreement, axis=1)

    def plot(self, ax=None):
        """Plot the agreement of each component with every other fit.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None makes a figure.

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
        names = self.names
        if names is None:
            names = [f"component {j}" for j in self.components]
        ax.set_yticks(places, names)
        ax.invert_yaxis()
        ax.set_xlim(0, 1.12)
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.set_xlabel(
            "absolute rank correlation with the matched component", fontsize=9
        )
        fits = "fit" if n_others == 1 else "fits"
        title(ax, f"fit {self.reference} against {n_others} other {fits}", "median")
        tidy(ax)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _information(reading):
    """Return the information in each component, nats, (d,); None if unknown.

    It is zero for inactive components, and infinite for categories, which have none and
    are not left out for it.
    """
    if reading.kl is None:
        return None
    kl = np.nan_to_num(reading.kl, nan=np.inf)
    is_used = np.isin(np.arange(len(kl)), reading.used_latents(len(kl)))
    return np.where(is_used, kl, 0.0)


def _used(codes, kl, kl_threshold):
    codes = np.asarray(codes)
    varies = (codes != codes[:1]).any(axis=0)
    if kl is not None:
        varies &= np.asarray(kl) > kl_threshold
    return np.flatnonzero(varies)


def _agreement(own, other):
    """Return the rank correlation of each component with its match; 0 without one."""
    if not own.shape[1] or not other.shape[1]:
        return np.zeros(own.shape[1])
    return match_codes(other, own).correlation

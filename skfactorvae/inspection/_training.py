"""Display of a training record: a curve for each term, and health marks."""

from __future__ import annotations

import textwrap

import numpy as np

from .._health import CHANCE_ACCURACY, CHANCE_LOSS
from .._matplotlib import BLUE, GREEN, INK, ORANGE, panels, tidy, title
from .._remedies import allowed_steps
from ._health import health_marks, recorded

TITLES = {
    "reconstruction": ("reconstruction", "nats"),
    "kl": ("KL divergence", "nats"),
    "total_correlation": ("total correlation", "nats, estimated"),
    "discriminator_loss": ("discriminator loss", "nats"),
    "discriminator_accuracy": ("discriminator accuracy", ""),
    "mutual_information": ("mutual information", "nats"),
    "dimensionwise_kl": ("dimension-wise KL", "nats"),
    "prior_mismatch": ("prior mismatch", "nats"),
    "generator_loss": ("generator loss", "nats"),
    "gradient_penalty": ("gradient penalty", ""),
    "self_weight": ("weight of the own sample", ""),
    "validation_elbo": ("held-out ELBO", "nats"),
}
CHARACTERS_PER_INCH = 14
"""Characters of a mark that fit on a line."""

CHANCE_LEVELS = {
    "discriminator_loss": CHANCE_LOSS,
    "discriminator_accuracy": CHANCE_ACCURACY,
}


class TrainingDisplay:
    """Training curves of a fitted estimator, with health marks.

    Parameters
    ----------
    history : dict of str to ndarray of shape (n_records,)
        The training record, ``history_``, with ``step`` among its keys.
    marks : list of (name, is_well, message, level)
        Result of :func:`health_marks`.
    warmup : float, default=0.0
        Share of the steps over which the objective grew to its full form, in [0, 1];
        shaded in the plot.
    held_out_score : float, default=None
        Held-out score of the fits that chose the weight decay, nats per standardised
        sample; a line in the panel of ``validation_elbo``, if there is one.

    Attributes
    ----------
    ax_ : ndarray of Axes
        One panel per term.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Kim & Mnih (2018), "Disentangling by Factorising", Figure 7 and Algorithm 2.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import TrainingDisplay
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> display = TrainingDisplay.from_estimator(vae)
    >>> display.marks[0].message
    'All 50 steps were made.'
    """

    def __init__(self, history, marks, *, warmup=0.0, held_out_score=None):
        self.history = history
        self.marks = marks
        self.warmup = warmup
        self.held_out_score = held_out_score

    @classmethod
    def from_estimator(cls, estimator):
        """Create a display from the training record of a fitted estimator.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted, with ``history_``.

        Returns
        -------
        display : TrainingDisplay
            Ready to plot.

        Raises
        ------
        TypeError
            If no part of the estimator has a training record.
        """
        model = recorded(estimator)
        marks = health_marks(estimator)
        return cls(
            dict(model.history_),
            marks,
            warmup=_warmup(model),
            held_out_score=_held_out_score(model),
        )

    def plot(self, ax=None):
        """Plot one panel per term, and the marks below them in a figure of its own.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            One that can be divided, or one for each term. None makes a figure, with
            the marks below the panels.

        Returns
        -------
        self : TrainingDisplay
            With ``ax_`` and ``figure_``.
        """
        terms = [name for name in self.history if name != "step"]
        axes = panels(ax, len(terms), columns=3, size=(3.2, 2.2), sharex=True)
        for i, (panel, term) in enumerate(zip(axes, terms, strict=True)):
            self._plot_term(panel, term)
            if i + 3 >= len(terms):
                panel.set_xlabel("step", fontsize=9)
                panel.tick_params(labelbottom=True)
        self.ax_, self.figure_ = axes, axes[0].figure
        if ax is None:
            self._write_marks()
        return self

    def _plot_term(self, panel, term):
        step, values = np.asarray(self.history["step"]), np.asarray(self.history[term])
        panel.plot(step, values, color=BLUE, lw=1.4)
        tidy(panel, grid="y")
        panel.margins(x=0)
        title(panel, *TITLES.get(term, (term.replace("_", " "), "")))
        if not len(step):  # the fit diverged before the first record
            panel.text(0.5, 0.5, "no records", ha="center", transform=panel.transAxes)
            return
        end = self.warmup * step[-1]
        if end > step[0]:
            panel.axvspan(step[0], end, color="#F1F2F4", zorder=0, lw=0)
        _set_limits(panel, values)
        if term in CHANCE_LEVELS:
            _mark_level(panel, step[-1], CHANCE_LEVELS[term], "chance level ")
        if term == "validation_elbo" and self.held_out_score is not None:
            _mark_level(panel, step[-1], self.held_out_score, "held_out_ score ")

    def _write_marks(self):
        signs = {"fine": ("✓", GREEN), "note": ("–", INK), "warning": ("!", ORANGE)}
        figure = self.figure_
        width, panels_height = figure.get_size_inches()
        fit = int(CHARACTERS_PER_INCH * width)
        paragraphs = [textwrap.wrap(mark.message, fit) for mark in self.marks]
        heights = [0.08 + 0.16 * len(lines) for lines in paragraphs]
        total = panels_height + sum(heights) + 0.15
        figure.set_size_inches(width, total)
        share = 1 - panels_height / total
        figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))
        tops = share - (0.04 + np.cumsum([0.0, *heights[:-1]])) / total
        for mark, lines, y in zip(self.marks, paragraphs, tops, strict=True):
            sign, colour = signs[mark.level]
            style = {"va": "top", "color": colour, "fontweight": "bold"}
            figure.text(0.12 / width, y, sign, fontsize=10, **style)
            figure.text(
                0.34 / width, y, "\n".join(lines), color=INK, fontsize=8.5, va="top"
            )


def _mark_level(panel, end, level, label):
    """Draw a horizontal line with a label at its right end."""
    panel.axhline(level, color=INK, lw=0.9, ls=(0, (4, 3)))
    panel.text(end, level, label, ha="right", va="bottom", fontsize=8)


def _warmup(model):
    """Return the share of the steps made over which the objective grew."""
    if not hasattr(model, "warmup_fraction_"):
        return 0.0
    share = model.warmup_fraction_ * allowed_steps(model) / max(1, model.n_iter_)
    return min(1.0, share)


def _held_out_score(model):
    """Return the held-out score per standardised sample, as ``validation_elbo`` is."""
    held_out = getattr(model, "held_out_", {})
    if not held_out:
        return None
    return held_out["score"] + float(np.log(model.scale_.astype(np.float64)).sum())


def _set_limits(panel, values):
    """Leave the first tenth out of the limits if it would flatten the rest."""
    finite = values[np.isfinite(values)]
    later = finite[len(finite) // 10 :]
    if len(later) < 5:
        return
    low, high = later.min(), later.max()
    room = 0.08 * (high - low) or 1e-6
    if finite.max() - finite.min() > 3 * (high - low):
        panel.set_ylim(low - 3 * room, high + 3 * room)

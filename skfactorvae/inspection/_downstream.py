"""Displays of the later use of codes: learning curves, shifts and fairness."""

from __future__ import annotations

import numpy as np

from .._matplotlib import BLUE, GREEN, GREY, INK, LEVELS, ORANGE, one_axes, tidy, title
from ..evaluation import (
    count_predictions,
    sample_efficiency,
    shift_report,
    unfairness_score,
)


class SampleEfficiencyDisplay:
    """Learning curves of a target on several representations.

    Parameters
    ----------
    result : SampleEfficiency
        Result of :func:`~skfactorvae.evaluation.sample_efficiency`.

    Attributes
    ----------
    ax_ : Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations", Section 5.5.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.inspection import SampleEfficiencyDisplay
    >>> z = np.random.default_rng(0).normal(size=(90, 2))
    >>> display = SampleEfficiencyDisplay.from_codes(z, z[:, 0], sizes=[10, 50])
    >>> display.result.sizes.tolist()
    [10, 50]
    """

    def __init__(self, result):
        self.result = result

    @classmethod
    def from_codes(cls, codes, y, **options):
        """Create a display from codes and a target.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_codes), or dict of str to array-like
            Codes, or several representations of the same samples by name.
        y : array-like of shape (n_samples,)
            The target.
        **options : dict
            Passed to :func:`~skfactorvae.evaluation.sample_efficiency`.

        Returns
        -------
        display : SampleEfficiencyDisplay
            Ready to plot.
        """
        return cls(sample_efficiency(codes, y, **options))

    def plot(self, ax=None):
        """Plot a curve for each representation, with the range of the splits.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        self : SampleEfficiencyDisplay
            With ``ax_`` and ``figure_``.
        """
        ax, result = one_axes(ax, (5.2, 3.4)), self.result
        for (name, curves), colour in zip(
            result.scores.items(), _cycled(len(result.scores)), strict=True
        ):
            mean, std = curves.mean(axis=1), curves.std(axis=1)
            ax.plot(result.sizes, mean, color=colour, marker="o", ms=3, label=name)
            low, high = mean - std, mean + std
            ax.fill_between(result.sizes, low, high, color=colour, alpha=0.15, lw=0)
        null = result.null.mean(axis=1)
        ax.plot(result.sizes, null, color=GREY, ls=(0, (4, 3)), label="permuted labels")
        best = max(curves.mean(axis=1).max() for curves in result.scores.values())
        lowest = min(curves.mean(axis=1).min() for curves in result.scores.values())
        ax.set_ylim(max(lowest, -0.2) - 0.05, best + 0.05)
        ax.set_xscale("log")
        ax.set_xlabel("labelled training samples", fontsize=9)
        ax.set_ylabel(result.metric, fontsize=9)
        ax.legend(frameon=False, fontsize=8)
        tidy(ax, grid="y")
        title(ax, "sample efficiency", f"{result.null.shape[1]} splits")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ShiftDisplay:
    """Scores inside and outside of the training range of a factor.

    Parameters
    ----------
    report : ShiftReport
        Result of :func:`~skfactorvae.evaluation.shift_report`.

    Attributes
    ----------
    ax_ : Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Gondal et al. (2019), "On the transfer of inductive bias from simulation to the real
    world: a new disentanglement dataset", Section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.inspection import ShiftDisplay
    >>> z = np.random.default_rng(0).normal(size=(90, 2))
    >>> display = ShiftDisplay.from_estimator("auto", z, z[:, 0], z[:, 1])
    >>> len(display.report.ranges)
    2
    """

    def __init__(self, report):
        self.report = report

    @classmethod
    def from_estimator(cls, estimator, X, y, factor, **options):
        """Create a display from a predictor, samples, a target and a factor.

        Parameters
        ----------
        estimator : "auto" or predictor
            See :func:`~skfactorvae.evaluation.shift_report`.
        X : array-like of shape (n_samples, n_features), or dict of str to array-like
            Columns, codes, or several representations of the same samples by name.
        y : array-like of shape (n_samples,)
            The target.
        factor : array-like of shape (n_samples,)
            The factor that shifts.
        **options : dict
            Passed to :func:`~skfactorvae.evaluation.shift_report`.

        Returns
        -------
        display : ShiftDisplay
            Ready to plot.
        """
        return cls(shift_report(estimator, X, y, factor, **options))

    def plot(self, ax=None):
        """Plot three points for each representation and range, joined by a line.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        self : ShiftDisplay
            With ``ax_`` and ``figure_``.
        """
        report = self.report
        lines = [(r, name) for r in range(len(report.ranges)) for name in report.scores]
        ax = one_axes(ax, (5.2, 1.2 + 0.3 * len(lines)))
        styles = {
            "mixed": (GREEN, "s"),
            "inside": (BLUE, "o"),
            "outside": (ORANGE, "D"),
        }
        for key, (colour, marker) in styles.items():
            values = [np.nanmean(report.scores[name][key][r]) for r, name in lines]
            places = range(len(lines))
            ax.plot(values, places, marker, color=colour, ms=5, ls="", label=key)
        for i, (r, name) in enumerate(lines):
            ends = [np.nanmean(report.scores[name][key][r]) for key in styles]
            ax.plot([min(ends), max(ends)], [i, i], color=GREY, lw=0.8, zorder=0)
        labels = [f"{name}, {report.ranges[r]}" for r, name in lines]
        ax.set_yticks(range(len(lines)), labels)
        ax.invert_yaxis()
        ax.set_xlabel(report.metric, fontsize=9)
        ax.legend(frameon=False, fontsize=8)
        tidy(ax, grid="x")
        title(ax, "trained on a range")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class UnfairnessDisplay:
    """Distribution of predictions for each level of a sensitive attribute.

    Parameters
    ----------
    shares : ndarray of shape (n_predictions, n_levels)
        Share of the samples of each level that have each prediction.
    distances : ndarray of shape (n_levels,)
        Total variation distance of each level from all samples, in [0, 1].
    score : float
        :func:`~skfactorvae.evaluation.unfairness_score`.
    adjusted : float
        The same, less what permuted attributes give.

    Attributes
    ----------
    ax_ : Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Locatello et al. (2019), "On the fairness of disentangled representations",
    Section 4.

    Examples
    --------
    >>> from skfactorvae.inspection import UnfairnessDisplay
    >>> display = UnfairnessDisplay.from_predictions([0, 0, 1, 1], [0, 0, 0, 1])
    >>> display.score
    0.25
    """

    def __init__(self, shares, distances, score, adjusted):
        self.shares = shares
        self.distances = distances
        self.score = score
        self.adjusted = adjusted

    @classmethod
    def from_predictions(cls, predictions, sensitive, *, n_bins=10, random_state=0):
        """Create a display from predictions and a sensitive attribute.

        Parameters
        ----------
        predictions : array-like of shape (n_samples,)
            Predicted levels, or numbers, which are divided into bins of equal counts.
        sensitive : array-like of shape (n_samples,)
            The attribute.
        n_bins : int, default=10
            Bins of a continuous column, at least 2.
        random_state : int, RandomState instance or None, default=0
            Seed of the permutations of the adjusted score.

        Returns
        -------
        display : UnfairnessDisplay
            Ready to plot.
        """
        counts = count_predictions(predictions, sensitive, n_bins=n_bins)
        options = {"n_bins": n_bins, "random_state": random_state}
        return cls(
            counts / counts.sum(axis=0),
            unfairness_score(predictions, sensitive, average=None, **options),
            unfairness_score(predictions, sensitive, **options),
            unfairness_score(predictions, sensitive, adjusted=True, **options),
        )

    def plot(self, ax=None):
        """Plot a stacked bar for each level, with its distance.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        self : UnfairnessDisplay
            With ``ax_`` and ``figure_``.
        """
        n_predictions, n_levels = self.shares.shape
        ax = one_axes(ax, (5.2, 1.2 + 0.4 * n_levels))
        left = np.zeros(n_levels)
        for share, colour in zip(self.shares, _cycled(n_predictions), strict=True):
            ax.barh(range(n_levels), share, left=left, color=colour, ec="white", lw=0.5)
            left = left + share
        for level, distance in enumerate(self.distances):
            ax.text(1.02, level, f"{distance:.2f}", va="center", fontsize=8, color=INK)
        ax.set_yticks(range(n_levels), [f"level {i}" for i in range(n_levels)])
        ax.invert_yaxis()
        ax.set_xlabel("share of the predictions", fontsize=9)
        tidy(ax)
        note = f"score {self.score:.3f}, above chance {self.adjusted:.3f}"
        title(ax, "predictions by attribute", note)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _cycled(n):
    """Return n colours."""
    return [LEVELS[i % len(LEVELS)] for i in range(n)]

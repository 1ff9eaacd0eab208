"""Table of the effect of each component on each feature, and sentences about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._pandas import import_pandas
from .._pipelines import default_names
from .._simple_structure import simplicity
from ._layout import Layout, choose_layout
from ._reading import check_unit, positions_of, read
from ._wording import LEAST_EFFECT, sentence

N_STEPS = 17
N_NODES = 65
"""Quantiles of a component over which its share of the variance is computed."""

LEAST_SHARE = 0.01
"""Share of the variance of some feature from which a component has an effect."""

SLACK = 0.01
"""Movement against the trend that a monotone feature may have, as a share of its range
or of its standard deviation, whichever is larger."""


@dataclass(frozen=True)
class FactorTable:
    """Effect of each component on each feature; the result of :func:`factor_table`.

    ``print`` it for one sentence per component.

    Parameters
    ----------
    low, high : ndarray of shape (n_latents, n_features)
        Decoded sample at the low and at the high end of a component, in original
        units: where 2.5 % and 97.5 % of the codes are below, with
        ``unit="quantile"``.
    effect : ndarray of shape (n_latents, n_features)
        ``high - low``.
    share : ndarray of shape (n_latents, n_features)
        Variance of the decoded feature when only this component varies, with its
        distribution over the samples, divided by the variance of the feature in the
        data. The shares of a feature need not add up to 1: interactions of components
        are in none of them, and a share is above 1 where the decoded feature varies
        more than the data.
    sign : ndarray of int8, shape (n_latents, n_features)
        Sign of the effect.
    monotone : ndarray of bool, shape (n_latents, n_features)
        Whether the feature only rises, or only falls, from low to high, movement
        against the trend of 1 % of its range or standard deviation aside. Features that
        move by less than a fifth of their standard deviation count as monotone.
    centre, step : ndarray of shape (n_latents,)
        Mean of each component, and one standard deviation.
    feature_std : ndarray of shape (n_features,)
        Standard deviation of the features.
    layout : Layout
        Names and axis of the features.
    kl : ndarray of shape (n_latents,), default=None
        Information in each component, nats per sample.
    names : ndarray of str, shape (n_latents,), default=None
        Names of the components. None calls them by their index.

    Attributes
    ----------
    summary : list of str
        One sentence per component.
    simplicity : float
        Kaiser's index of factorial simplicity of the shares, in [0, 1]: one if each
        feature depends on one component, zero if all depend on all of them equally. Of
        components that hold at least 1 % of some feature; NaN with fewer than two.

    References
    ----------
    Kaiser (1974), "An index of factorial simplicity", Psychometrika 39, for
    ``simplicity``, with shares in place of squared loadings.

    Sobol (2001), "Global sensitivity indices for nonlinear mathematical models", for
    shares of variance. Here the other components are held at their mean instead of
    averaged over, so that sharp shapes such as peaks are not smoothed.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_sensor_table
    >>> from skfactorvae.inspection import factor_table
    >>> X, _ = make_sensor_table(300, as_frame=True, random_state=0)
    >>> vae = FactorVAETransformer(2, max_iter=100, random_state=0).fit(X)
    >>> table = factor_table(vae, X)
    >>> list(table.to_frame())[:5]
    ['latent', 'component', 'feature', 'low', 'high']
    """

    low: np.ndarray
    high: np.ndarray
    effect: np.ndarray
    share: np.ndarray
    sign: np.ndarray
    monotone: np.ndarray
    centre: np.ndarray
    step: np.ndarray
    feature_std: np.ndarray
    layout: Layout
    kl: np.ndarray | None = None
    names: Any = None
    summary: list[str] = field(init=False)

    def __post_init__(self):
        if self.names is None:
            object.__setattr__(self, "names", default_names(len(self.low)))
        ends = zip(self.names, self.low, self.high, strict=True)
        summary = [sentence(*each, self.feature_std, self.layout) for each in ends]
        object.__setattr__(self, "summary", summary)

    @property
    def simplicity(self):
        """Kaiser's index of factorial simplicity of the shares, in [0, 1]."""
        used = self.share.max(axis=1) >= LEAST_SHARE
        return simplicity(self.share[used].T)

    def __str__(self):
        return "\n".join(self.summary)

    def __repr__(self):
        n_latents, n_features = self.effect.shape
        return f"<FactorTable: {n_latents} components, {n_features} features>\n{self}"

    def to_frame(self):
        """Return the table as a DataFrame, one row per component and feature.

        Returns
        -------
        frame : pandas.DataFrame
            Columns ``latent`` (index of the component), ``component`` (its name),
            ``feature``, ``low``, ``high``, ``effect``, ``share``, ``sign`` and
            ``monotone``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas(
            "to_frame()", "The arrays are in the attributes of the table, without it."
        )
        n_latents, n_features = self.effect.shape
        columns = {
            "latent": np.repeat(np.arange(n_latents), n_features),
            "component": np.repeat(self.names, n_features),
            "feature": np.tile(self.layout.names, n_latents),
        }
        arrays = ("low", "high", "effect", "share", "sign", "monotone")
        return pd.DataFrame(
            columns | {name: getattr(self, name).ravel() for name in arrays}
        )


def factor_table(
    estimator, X, *, unit="quantile", kind="auto", x=None, feature_names=None
):
    r"""Compute the effect of each component on each feature, in original units.

    A component is moved from the 2.5 % to the 97.5 % quantile of the codes of X, with
    the other components at their means, and the codes are decoded: the effect has the
    size of the component's effect in the data, and no code lies outside of them.

    ``unit="aggregate"`` moves it from -2 to +2 standard deviations of the aggregate
    posterior, the distribution of a component's code over all samples of X,

    .. math:: \operatorname{var}(z_j) = \operatorname{var}_x(\mu_j(x)) +
              \mathbb{E}_x[\sigma_j^2(x)],

    around its mean, which can be beyond all codes where these are skewed or in
    clusters. ``unit="posterior"`` takes the mean posterior variance
    :math:`\mathbb{E}_x[\sigma_j^2(x)]` alone, the uncertainty of one sample's code. The
    effect is then a change that the model cannot resolve: the more informative the
    component, the smaller.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted. The transformer may be any step of a pipeline; decoded samples are
        inverse-transformed by the steps before it, so that units are those of X.
    X : array-like of shape (n_samples, n_features)
        Samples. They are encoded in chunks.
    unit : {"quantile", "aggregate", "posterior"}, default="quantile"
        From where to where a component is moved. A transformer without a posterior,
        such as PCA, has the first two only.
    kind : {"auto", "curve", "bars", "image"}, default="auto"
        What a sample is, for the sentences. "auto" means images if there is an image
        shape, curves if there is an axis or there are more than 40 features, and else
        bars.
    x : array-like of shape (n_features,), default=None
        Axis of curves, such as wavelengths or times. Sentences give the positions of
        peaks in its units.
    feature_names : array-like of str, default=None
        Names to use instead of those seen in ``fit`` or of the columns of X.

    Returns
    -------
    table : FactorTable
        Arrays, ``to_frame()``, and sentences when printed.

    Raises
    ------
    TypeError
        If the estimator has no components that can be decoded.
    ValueError
        If a step of the pipeline cannot be inverted, or a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import factor_table
    >>> factors = [[0.5, 0.05, a, 0] for a in np.linspace(0.5, 1.5, 50)]
    >>> peaks = make_gaussian_peaks(factors=factors, noise=0, return_bunch=True)
    >>> print(factor_table(PCA(1).fit(peaks.data), peaks.data, x=peaks.grid))
    component 0 raises the peak: height from 0.52 to 1.47
    """
    check_unit(unit)
    reading = read(estimator, feature_names, X)
    layout = choose_layout(reading.feature_names, model=reading.model, kind=kind, x=x)
    return tabulate(reading, reading.survey(X), layout, unit)


def tabulate(reading, survey, layout, unit):
    """Create the table from the moments of codes and features."""
    positions = positions_of(unit, N_STEPS)
    n_latents = len(survey.centre)
    lines = [
        _line(reading, survey, np.array([j]), positions, unit) for j in range(n_latents)
    ]
    low, high, monotone, variance = (
        np.array(part) for part in zip(*lines, strict=True)
    )
    total = np.square(survey.feature_std)
    varies = total > 0  # not so for columns without values
    effect = high - low
    return FactorTable(
        low=low,
        high=high,
        effect=effect,
        share=np.where(varies, variance / np.where(varies, total, np.inf), 0.0),
        sign=np.nan_to_num(np.sign(effect)).astype(np.int8),  # of an empty column
        monotone=monotone,
        centre=survey.centre,
        step=survey.step(unit),
        feature_std=survey.feature_std,
        layout=layout,
        kl=None if reading.kl is None else np.asarray(reading.kl),
        names=reading.component_names(n_latents),
    )


def _line(reading, survey, latent, positions, unit):
    """Return low, high, monotone and variance of all features, for one component."""
    rows = reading.decode(survey.paths(latent, positions, unit)[0])
    levels = (np.arange(N_NODES) + 0.5) / N_NODES
    (j,) = latent
    codes = survey.codes_along(j, np.quantile(survey.mean[:, j], levels))
    variance = reading.decode(codes).var(axis=0)
    return rows[0], rows[-1], _is_monotone(rows, survey.feature_std), variance


def _is_monotone(rows, std):
    """Return whether each column only rises or only falls, up to a small slack."""
    steps = np.diff(rows, axis=0)
    rise, fall = np.maximum(steps, 0).sum(axis=0), np.maximum(-steps, 0).sum(axis=0)
    size = np.ptp(rows, axis=0)
    has_no_effect = size <= LEAST_EFFECT * std
    return has_no_effect | (np.minimum(rise, fall) <= SLACK * np.maximum(size, std))

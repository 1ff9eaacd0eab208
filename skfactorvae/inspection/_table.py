"""What each latent does to each feature, as numbers and as sentences."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ._layout import Layout, choose_layout
from ._reading import check_unit, read
from ._traversal import SPAN, paths
from ._wording import sentence

N_STEPS = 17
N_NODES = 65
"""Quantiles of a latent at which its share of the variance is read."""

SAME = 1e-3
"""Step against the trend, as a share of the range, that does not count."""


@dataclass(frozen=True)
class FactorTable:
    """What each latent does to each feature; :func:`factor_table` makes it.

    ``print`` it for one sentence per latent.

    Parameters
    ----------
    low, high : ndarray of shape (n_latents, n_features)
        The row at -2 and at +2 standard deviations of a latent, in original units.
    effect : ndarray of shape (n_latents, n_features)
        ``high - low``.
    share : ndarray of shape (n_latents, n_features)
        Variance of the feature when only this latent varies, as it does over the rows,
        divided by the feature's variance in the data. Shares of one feature need not
        add up to 1: what latents do together is in none of them, and a share is above
        1 where the model moves a feature further than the data do.
    sign : ndarray of int8, shape (n_latents, n_features)
        Sign of the effect.
    monotone : ndarray of bool, shape (n_latents, n_features)
        Whether the feature only rises, or only falls, on the way.
    centre, step : ndarray of shape (n_latents,)
        Mean of each latent, and what one standard deviation is.
    feature_std : ndarray of shape (n_features,)
        Standard deviation of the features.
    layout : Layout
        Names and axis of the features.
    kl : ndarray of shape (n_latents,), default=None
        Nats that each latent holds.

    Attributes
    ----------
    summary : list of str
        One sentence per latent.

    References
    ----------
    Sobol (2001), "Global sensitivity indices for nonlinear mathematical models", for
    shares of variance; ours hold the other latents at their mean instead of
    averaging over them, so that a feature's sharp shape stays sharp.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_sensor_table
    >>> from skfactorvae.inspection import factor_table
    >>> X, _ = make_sensor_table(300, as_frame=True, random_state=0)
    >>> vae = FactorVAETransformer(2, max_iter=100, random_state=0).fit(X)
    >>> table = factor_table(vae, X)
    >>> list(table.to_frame())[:5]
    ['latent', 'feature', 'low', 'high', 'effect']
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
    summary: list[str] = field(init=False)

    def __post_init__(self):
        object.__setattr__(
            self,
            "summary",
            [
                sentence(f"factor {j}", *ends, self.feature_std, self.layout)
                for j, ends in enumerate(zip(self.low, self.high, strict=True))
            ],
        )

    def __str__(self):
        return "\n".join(self.summary)

    def __repr__(self):
        n_latents, n_features = self.effect.shape
        return f"<FactorTable: {n_latents} latents, {n_features} features>\n{self}"

    def to_frame(self):
        """Return the table as a DataFrame, one line per latent and feature.

        Returns
        -------
        frame : pandas.DataFrame
            Columns ``latent``, ``feature``, ``low``, ``high``, ``effect``, ``share``,
            ``sign`` and ``monotone``.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame() needs pandas: pip install pandas. The arrays are in the "
                "attributes of the table without it."
            ) from error
        n_latents, n_features = self.effect.shape
        columns = {
            "latent": np.repeat(np.arange(n_latents), n_features),
            "feature": np.tile(self.layout.names, n_latents),
        }
        arrays = ("low", "high", "effect", "share", "sign", "monotone")
        return pd.DataFrame(
            columns | {name: getattr(self, name).ravel() for name in arrays}
        )


def factor_table(
    estimator, X, *, unit="aggregate", kind="auto", x=None, feature_names=None
):
    r"""Say what each latent does to each feature, in original units.

    A latent goes from -2 to +2 standard deviations around its mean while the others
    stay at theirs, and the decoder says what happens to the row.

    Which standard deviation? By default that of the aggregate posterior, the
    distribution of a latent's code over all rows of X,

    .. math:: \operatorname{var}(z_j) = \operatorname{var}_x(\mu_j(x)) +
              \mathbb{E}_x[\sigma_j^2(x)],

    so that -2 to +2 spans the range that the data have, and the effect is the size of
    what the factor does in them. ``unit="posterior"`` takes the mean posterior,
    :math:`\mathbb{E}_x[\sigma_j^2(x)]` alone: the uncertainty about one row's code.
    The effect is then what cannot be told apart, the more informative the latent the
    smaller.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted. A pipeline may hold the transformer anywhere; rows come back through
        the steps before it, so that units are those of X.
    X : array-like of shape (n_samples, n_features)
        Rows. They are read in chunks.
    unit : {"aggregate", "posterior"}, default="aggregate"
        Which standard deviation a latent moves by. A transformer without a posterior,
        such as PCA, has the first only.
    kind : {"auto", "curve", "bars", "image"}, default="auto"
        What rows are, for the sentences. "auto" looks for an image shape, then for an
        axis.
    x : array-like of shape (n_features,), default=None
        Axis of curves: wavelengths, times. Sentences speak of peaks in its units.
    feature_names : array-like of str, default=None
        Names to use instead of those seen in ``fit``.

    Returns
    -------
    table : FactorTable
        Arrays, ``to_frame()`` and, printed, sentences.

    Raises
    ------
    TypeError
        If the estimator has no latents.
    ValueError
        If a step of the pipeline cannot be undone, or a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import factor_table
    >>> factors = [[0.5, 0.05, a, 0] for a in np.linspace(0.5, 1.5, 50)]
    >>> peaks = make_gaussian_peaks(factors=factors, noise=0, return_bunch=True)
    >>> print(factor_table(PCA(1).fit(peaks.data), peaks.data, x=peaks.grid))
    factor 0 raises the peak: height from 0.4 to 1.6
    """
    check_unit(unit)
    reading = read(estimator, feature_names)
    layout = choose_layout(reading.feature_names, model=reading.model, kind=kind, x=x)
    return tabulate(reading, reading.survey(X), layout, unit)


def tabulate(reading, survey, layout, unit):
    """Make the table from what a pass over the rows told."""
    positions = np.linspace(-SPAN, SPAN, N_STEPS)
    n_latents = len(survey.centre)
    lines = [
        _line(reading, survey, np.array([j]), positions, unit) for j in range(n_latents)
    ]
    low, high, monotone, variance = (
        np.array(part) for part in zip(*lines, strict=True)
    )
    total = np.square(survey.feature_std)
    effect = high - low
    return FactorTable(
        low=low,
        high=high,
        effect=effect,
        share=variance / np.where(total > 0, total, np.inf),
        sign=np.sign(effect).astype(np.int8),
        monotone=monotone,
        centre=survey.centre,
        step=survey.step(unit),
        feature_std=survey.feature_std,
        layout=layout,
        kl=None if reading.kl is None else np.asarray(reading.kl),
    )


def _line(reading, survey, latent, positions, unit):
    """Return both ends, monotony and variance of every feature, for one latent."""
    rows = reading.decode(paths(survey, latent, positions, unit)[0])
    levels = (np.arange(N_NODES) + 0.5) / N_NODES
    (j,) = latent
    codes = np.repeat(survey.centre[None], N_NODES, axis=0)
    codes[:, j] = np.quantile(survey.mean[:, j], levels)
    variance = reading.decode(codes).var(axis=0)
    return rows[0], rows[-1], _is_monotone(rows), variance


def _is_monotone(rows):
    """Tell whether a column only rises or only falls, but for small change."""
    steps = np.diff(rows, axis=0)
    slack = SAME * (rows.max(axis=0) - rows.min(axis=0))
    return (steps >= -slack).all(axis=0) | (steps <= slack).all(axis=0)

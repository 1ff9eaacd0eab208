r"""Mixtures of hidden sources: nonlinear ICA, and the sensors of a machine."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state

from ._base import (
    Factor,
    add_noise,
    check_option,
    check_parameters,
    deliver,
    levels,
    numbered,
    take_factors,
    uniform,
)

_UNIT_VARIANCE = {
    "uniform": lambda rng, n: rng.uniform(-np.sqrt(3), np.sqrt(3), n),
    "laplace": lambda rng, n: rng.laplace(0, np.sqrt(0.5), n),
    "gaussian": lambda rng, n: rng.standard_normal(n),
}
_MACHINE = (
    uniform("load", 0.0, 1.0),
    Factor("ambient", -np.inf, np.inf, lambda rng, n: rng.normal(20.0, 5.0, n)),
    Factor("wear", 0.0, 1.0, lambda rng, n: rng.beta(2.0, 3.0, n)),
    levels("regime", 3),
)
_SENSOR_TYPES = {
    "current": "real",
    "power": "positive",
    "case_temp": "real",
    "inlet_temp": "real",
    "humidity": "real",
    "vib_rms": "positive",
    "vib_peak": "positive",
    "rpm": "real",
    "alarm": "binary",
    "door_open": "binary",
    "mode": "categorical",
    "quality": "ordinal",
    "errors": "count",
}


_SENSOR_DTYPES = {
    "alarm": "boolean",
    "door_open": "boolean",
    "mode": ["slow", "normal", "fast"],
    "quality": range(5),
    "errors": "Int64",
}
"""Types of the columns that are not real numbers: pandas' name, or the levels."""


def make_nonlinear_ica(
    n_samples=1000,
    n_features=20,
    *,
    n_sources=4,
    source="uniform",
    n_segments=0,
    n_layers=2,
    slope=0.2,
    noise=0.0,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make nonlinear mixtures of independent sources.

    The sources :math:`s` pass through `n_layers` random mixings with a leaky
    rectifier :math:`\phi(h) = \max(h, \text{slope} \cdot h)` between them:

    .. math::
        x = \phi(\ldots \phi(s W_1) W_2 \ldots) W_L + \text{noise} \cdot \varepsilon

    :math:`W_1` has orthonormal rows and shape (n_sources, n_features), the others are
    orthogonal, so the map is injective and the condition number of every layer is 1:
    with ``n_layers=1`` the mixing is linear and an isometry.

    ============== ============== ============================================
    factor         symbol         distribution (mean 0, variance 1)
    ============== ============== ============================================
    ``source0`` .. :math:`s_i`    uniform on [-sqrt(3), sqrt(3)], Laplace of
                                  scale sqrt(1/2), or standard Gaussian
    ============== ============== ============================================

    With ``n_segments > 0``, each sample belongs to a random segment :math:`u`, and
    source :math:`i` is multiplied by a scale :math:`\lambda_{u,i}` drawn once from the
    uniform distribution on [0.5, 3].

    Recovery of the sources, up to order, sign and a monotone map of each source:

    - "uniform" or "laplace" with one layer: by linear ICA.
    - "uniform" or "laplace" with two or three layers: no theorem guarantees it [1]_,
      but the nonlinearity is moderate, and a model can do better than linear ICA.
    - "gaussian" without segments: impossible. A rotation of the sources has the same
      distribution, so a high score shows that the metric is wrong.
    - "gaussian" with segments: only with the segment, as in a prior conditioned on it
      [2]_ [3]_ or a rotation by it, ``model.rotate(X, segments)``.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of samples, at least 1. Ignored when `factors` is given.

    n_features : int, default=20
        Number of mixtures, at least 2 and at least `n_sources`.

    n_sources : int, default=4
        Number of independent sources, at least 1.

    source : {"uniform", "laplace", "gaussian"}, default="uniform"
        Distribution of the sources.

    n_segments : int, default=0
        Number of segments, each with its own scales; 0 for stationary sources.

    n_layers : int, default=2
        Number of mixing matrices, at least 1; 1 is a linear mixing.

    slope : float, default=0.2
        Slope of the rectifier for negative values, in (0, 1]. With 1 the mixing is
        linear for any `n_layers`.

    noise : float, default=0.0
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        sources.

    factors : array-like of shape (n, n_sources), default=None
        Sources to mix instead of random ones; requires ``n_segments=0``.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple. It includes
        the segments.

    random_state : int, RandomState instance or None, default=None
        Determines the mixing, the sources and the noise, in this order. With an int,
        calls that differ in `n_samples`, `source` or `noise` only have the same mixing.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64
        The mixtures.

    factors : ndarray of shape (n_samples, n_sources), dtype float64
        The sources.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (n_sources, 2)
        (infinite: any source can be mixed), `discrete_factors` (boolean, shape
        (n_sources,)), `segments` (int64, shape (n_samples,), all 0 without
        segments) and `mixing`, the list of matrices :math:`W_l`.

    References
    ----------
    .. [1] Hyvärinen & Pajunen (1999), "Nonlinear independent component analysis:
       Existence and uniqueness results", Neural Networks 12, 429-439.
    .. [2] Hyvärinen & Morioka (2016), "Unsupervised Feature Extraction by
       Time-Contrastive Learning and Nonlinear ICA", NeurIPS.
    .. [3] Khemakhem, Kingma, Monti & Hyvärinen (2020), "Variational Autoencoders and
       Nonlinear ICA: A Unifying Framework", AISTATS.

    Examples
    --------
    >>> from skfactorvae.datasets import make_nonlinear_ica
    >>> X, sources = make_nonlinear_ica(n_samples=200, random_state=0)
    >>> X.shape, sources.shape
    ((200, 20), (200, 4))
    >>> table = make_nonlinear_ica(n_segments=5, return_bunch=True, random_state=0)
    >>> table.segments.shape
    (1000,)
    """
    check_parameters(n_samples=n_samples, n_features=n_features, noise=noise)
    check_parameters(n_sources=n_sources, n_segments=n_segments)
    check_parameters(n_layers=n_layers, slope=slope)
    check_option("source", source, tuple(_UNIT_VARIANCE))
    _check_mixture(n_features, n_sources, n_segments, factors)
    rng = check_random_state(random_state)
    mixing = _draw_mixing(rng, n_sources, n_features, n_layers)
    draw = _UNIT_VARIANCE[source]
    spec = [
        Factor(name, -np.inf, np.inf, draw) for name in numbered("source", n_sources)
    ]
    scales = rng.uniform(0.5, 3.0, (n_segments, n_sources))
    factors = take_factors(spec, factors, n_samples, rng)
    segments = np.zeros(len(factors), dtype=np.int64)
    if n_segments:
        segments = rng.randint(n_segments, size=n_samples, dtype=np.int64)
        factors = factors * scales[segments]
    return deliver(
        add_noise(_mix(factors, mixing, slope), noise, rng),
        factors,
        spec,
        feature_names=numbered("x", n_features),
        as_frame=as_frame,
        return_bunch=return_bunch,
        segments=segments,
        mixing=mixing,
    )


def _check_mixture(n_features, n_sources, n_segments, factors):
    if n_features < n_sources:
        raise ValueError(
            f"n_features must be >= n_sources; got n_features={n_features} and "
            f"n_sources={n_sources}. Fewer mixtures than sources cannot be unmixed: "
            "raise n_features or lower n_sources."
        )
    if n_segments and factors is not None:
        raise ValueError(
            f"n_segments must be 0 when factors is given; got {n_segments}. Segments "
            "rescale random sources: rescale yours before the call."
        )


def _draw_mixing(rng, n_sources, n_features, n_layers):
    widths = [n_sources] + [n_features] * n_layers
    return [_semi_orthogonal(rng, *shape) for shape in pairwise(widths)]


def _semi_orthogonal(rng, n_rows, n_columns):
    """Return orthonormal rows, uniform over all such matrices; n_rows <= n_columns."""
    q, r = np.linalg.qr(rng.standard_normal((n_columns, n_rows)))
    return (
        q * np.sign(np.diag(r))
    ).T  # the signs make the distribution rotation-invariant


def _mix(sources, mixing, slope):
    first, *rest = mixing
    hidden = sources @ first  # (n, n_features)
    for weights in rest:
        hidden = np.maximum(hidden, slope * hidden) @ weights
    return hidden


def make_sensor_table(
    n_samples=1000,
    *,
    missing_rate=0.0,
    typed=False,
    noise=1.0,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make the sensor log of a machine: 13 columns of six types from four factors.

    =========== ================= ================================= ==============
    factor      symbol            distribution                      unit
    =========== ================= ================================= ==============
    ``load``    :math:`\ell`      uniform on [0, 1]                 of full load
    ``ambient`` :math:`a`         normal, mean 20, std 5            degree Celsius
    ``wear``    :math:`w`         beta(2, 3) on [0, 1]              of a lifetime
    ``regime``  :math:`r`         0, 1 or 2, equally likely         gear
    =========== ================= ================================= ==============

    With :math:`\varepsilon` standard normal and independent for each entry, scaled by
    `noise`, and :math:`\operatorname{s}` the logistic function:

    ============== =========== ====================================================
    column         type        value
    ============== =========== ====================================================
    ``current``    real        :math:`2 + 6\ell + r/4 + 0.15\varepsilon`
    ``power``      positive    :math:`\exp(0.5 + 1.5\ell + 0.05\varepsilon)`
    ``case_temp``  real        :math:`a + 15\ell + 4w + 0.5\varepsilon`
    ``inlet_temp`` real        :math:`a + 0.4\varepsilon`
    ``humidity``   real        :math:`70 - 1.5(a - 20) + 2\varepsilon`
    ``vib_rms``    positive    :math:`\exp(-1 + 2w + 0.3\ell + 0.1\varepsilon)`
    ``vib_peak``   positive    :math:`\exp(-0.5 + 2w + 0.3\ell + 0.15\varepsilon)`
    ``rpm``        real        (900, 1500, 3000) by :math:`r`,
                               times :math:`1 + 0.02\varepsilon`
    ``alarm``      binary      1 with probability
                               :math:`\operatorname{s}(6w + 3\ell - 5)`
    ``door_open``  binary      1 with probability 0.1, independent of the factors
    ``mode``       categorical :math:`r`, replaced by a random gear in 5 % of samples
    ``quality``    ordinal     :math:`\lfloor 5\operatorname{s}(2 - 5w +
                               0.3\varepsilon) \rfloor`, from 0 to 4
    ``errors``     count       Poisson of mean :math:`\exp(-1 + 2.5w + 0.5\ell)`
    ============== =========== ====================================================

    Load, ambient and wear can be recovered closely: several columns depend on each.
    Regime is discrete; a Gaussian component represents it by three clusters at best.
    ``door_open`` is pure noise and independent of all other columns: a component that
    represents it carries no information about the factors.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of samples, at least 1. Ignored when `factors` is given.

    missing_rate : float, default=0.0
        Share of the entries of `X` in [0, 1] that are replaced by NaN, completely at
        random.

    typed : bool, default=False
        If True, `X` and the factors are DataFrames, and columns of `X` have the type of
        what they hold: booleans, ``mode`` a category, ``quality`` a category with an
        order, ``errors`` integers.

    noise : float, default=1.0
        Multiplier of the measurement noise :math:`\varepsilon`, >= 0. With 0 the real,
        positive and ordinal columns are functions of the factors; the others stay
        random.

    factors : array-like of shape (n, 4), default=None
        Factor values within the ranges above, instead of random ones. Any
        finite ambient temperature is allowed.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple. It includes
        the types of the columns.

    random_state : int, RandomState instance or None, default=None
        Determines the factors, the measurements and the missing entries, in this
        order. Pass an int for reproducible output across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, 13), dtype float64
        One row per reading; categories are coded as integers from 0.

    factors : ndarray of shape (n_samples, 4), dtype float64
        Columns load, ambient, wear, regime.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (4, 2),
        `discrete_factors` (boolean, shape (4,): regime alone is True) and
        `feature_types`, a list with the type of each column.

    Examples
    --------
    >>> from skfactorvae.datasets import make_sensor_table
    >>> X, factors = make_sensor_table(n_samples=200, as_frame=True, random_state=0)
    >>> X.shape, list(factors.columns)
    ((200, 13), ['load', 'ambient', 'wear', 'regime'])
    >>> make_sensor_table(return_bunch=True).feature_types[-1]
    'count'
    """
    check_parameters(n_samples=n_samples, missing_rate=missing_rate, noise=noise)
    rng = check_random_state(random_state)
    factors = take_factors(_MACHINE, factors, n_samples, rng)
    readings = _read_sensors(*factors.T, noise=noise, rng=rng)
    X = np.column_stack([readings[name] for name in _SENSOR_TYPES]).astype(np.float64)
    X[rng.uniform(size=X.shape) < missing_rate] = np.nan
    return deliver(
        X,
        factors,
        _MACHINE,
        feature_names=list(_SENSOR_TYPES),
        as_frame=as_frame or typed,
        dtypes=_SENSOR_DTYPES if typed else {},
        return_bunch=return_bunch,
        feature_types=list(_SENSOR_TYPES.values()),
    )


def _read_sensors(load, ambient, wear, regime, *, noise, rng):
    """Return the readings of shape (n,) by column name."""
    n = len(load)
    gear = regime.astype(np.int64)

    any_gear = rng.randint(3, size=n, dtype=np.int64)

    def error(deviation):
        return noise * deviation * rng.standard_normal(n)

    return {
        "current": 2 + 6 * load + gear / 4 + error(0.15),
        "power": np.exp(0.5 + 1.5 * load + error(0.05)),
        "case_temp": ambient + 15 * load + 4 * wear + error(0.5),
        "inlet_temp": ambient + error(0.4),
        "humidity": 70 - 1.5 * (ambient - 20) + error(2.0),
        "vib_rms": np.exp(-1 + 2 * wear + 0.3 * load + error(0.1)),
        "vib_peak": np.exp(-0.5 + 2 * wear + 0.3 * load + error(0.15)),
        "rpm": np.array([900.0, 1500.0, 3000.0])[gear] * (1 + error(0.02)),
        "alarm": rng.uniform(size=n) < expit(6 * wear + 3 * load - 5),
        "door_open": rng.uniform(size=n) < 0.1,
        "mode": np.where(rng.uniform(size=n) < 0.05, any_gear, gear),
        "quality": np.minimum(np.floor(5 * expit(2 - 5 * wear + error(0.3))), 4),
        "errors": rng.poisson(np.exp(-1 + 2.5 * wear + 0.5 * load)),
    }

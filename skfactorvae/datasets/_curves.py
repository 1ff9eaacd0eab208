r"""Curves and spectra: functions of a few factors, sampled on a grid."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from ._base import (
    add_noise,
    check_option,
    check_parameters,
    deliver,
    log_uniform,
    numbered,
    render,
    take_factors,
    uniform,
)

_PEAKS = (
    uniform("position", 0.3, 0.7),
    log_uniform("width", 0.03, 0.10),
    uniform("amplitude", 0.5, 1.5),
    uniform("slope", -0.5, 0.5),
)
_OSCILLATOR = {
    "scinet": (uniform("damping", 0.4, 1.2), uniform("stiffness", 4.0, 12.0)),
    "full": (
        uniform("damping", 0.4, 1.2),
        uniform("stiffness", 4.0, 12.0),
        uniform("amplitude", 0.5, 1.5),
        uniform("phase", -np.pi / 3, np.pi / 3),
    ),
}
_HEAT = (
    uniform("position", 0.25, 0.75),
    uniform("heat", 0.5, 1.5),
    log_uniform("kappa", 0.3, 3.0),
    log_uniform("time", 0.3, 3.0),
    uniform("gradient", -1.0, 1.0),
)
_SPECTRA = (
    uniform("temperature", 4000.0, 8000.0),
    uniform("redshift", 0.0, 0.04),
    uniform("log_strength", -0.6, 0.4),
    log_uniform("line_width", 0.003, 0.012),
)
_LINES = (  # rest wavelength in angstrom and depth
    (3934.0, 0.80),  # Ca K
    (4102.0, 0.45),  # H delta
    (4340.0, 0.50),  # H gamma
    (4861.0, 0.60),  # H beta
    (5175.0, 0.70),  # Mg b
    (5893.0, 0.60),  # Na D
    (6563.0, 0.80),  # H alpha
)
_HC_OVER_K = 1.438777e8  # angstrom kelvin


def _deliver_curves(draw, grid, factors, spec, *, prefix, noise, rng, **options):
    """Return one curve on `grid` per sample; `draw` takes it and (m, 1) factors."""

    def draw_rows(rows):
        return draw(grid, *rows.T[:, :, None])

    X = render(draw_rows, factors, len(grid), np.float64)
    return deliver(
        add_noise(X, noise, rng),
        factors,
        spec,
        feature_names=numbered(prefix, len(grid)),
        grid=grid,
        **options,
    )


def _bell(distance, width):
    return np.exp(-0.5 * (distance / width) ** 2)


def make_gaussian_peaks(
    n_samples=1000,
    n_features=100,
    *,
    noise=0.01,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make curves with one Gaussian peak on a sloping baseline.

    With :math:`x` on a uniform grid over [0, 1] and :math:`\varepsilon` white noise
    of unit variance,

    .. math::
        f(x) = a \exp\!\left(-\tfrac{1}{2} \left(\tfrac{x - p}{w}\right)^2\right)
               + b\,(x - \tfrac{1}{2}) + \text{noise} \cdot \varepsilon(x)

    ============= ========= ======================== =========================
    factor        symbol    distribution             unit
    ============= ========= ======================== =========================
    ``position``  :math:`p` uniform on [0.3, 0.7]    length of the grid
    ``width``     :math:`w` log-uniform, [0.03, 0.1] length of the grid
    ``amplitude`` :math:`a` uniform on [0.5, 1.5]    of the signal
    ``slope``     :math:`b` uniform on [-0.5, 0.5]   signal per grid length
    ============= ========= ======================== =========================

    All four factors are identifiable: distinct factors give distinct noiseless curves,
    and a model that separates them has 4 active components. Amplitude and width both
    change the area under the peak, so they are the pair that is most easily confused.
    The position acts on the curve nonlinearly, so that no linear method represents it
    by one component.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of curves, at least 1. Ignored when `factors` is given.

    n_features : int, default=100
        Number of points of the grid, at least 2.

    noise : float, default=0.01
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors.

    factors : array-like of shape (n, 4), default=None
        Factor values within the ranges above, instead of random ones.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple.

    random_state : int, RandomState instance or None, default=None
        Determines the factors and the noise. Pass an int for reproducible output
        across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64
        One curve per sample.

    factors : ndarray of shape (n_samples, 4), dtype float64
        Columns position, width, amplitude, slope.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (4, 2),
        `discrete_factors` (boolean, shape (4,)) and `grid`, the points :math:`x`.

    Examples
    --------
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(n_samples=200, random_state=0)
    >>> X.shape, factors.shape
    ((200, 100), (200, 4))
    """
    check_parameters(n_samples=n_samples, n_features=n_features, noise=noise)
    rng = check_random_state(random_state)
    return _deliver_curves(
        _peak,
        np.linspace(0, 1, n_features),
        take_factors(_PEAKS, factors, n_samples, rng),
        _PEAKS,
        prefix="x",
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
    )


def _peak(x, position, width, amplitude, slope):
    return amplitude * _bell(x - position, width) + slope * (x - 0.5)


def make_damped_oscillator(
    n_samples=1000,
    n_features=50,
    *,
    variant="scinet",
    t_max=5.0,
    noise=0.0,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make the trajectories of a damped harmonic oscillator of unit mass.

    The solution of :math:`\ddot f + b \dot f + \kappa f = 0`, at `n_features`
    equally spaced times :math:`t` from 0 to `t_max`:

    .. math::
        f(t) = A\, e^{-b t / 2}
               \cos\!\left(\tfrac{1}{2} \sqrt{4\kappa - b^2}\; t + \delta\right)

    ============= ============== ============================ ====================
    factor        symbol         distribution                 unit
    ============= ============== ============================ ====================
    ``damping``   :math:`b`      uniform on [0.4, 1.2]        1 / time
    ``stiffness`` :math:`\kappa` uniform on [4, 12]           1 / time\ :sup:`2`
    ``amplitude`` :math:`A`      uniform on [0.5, 1.5]        of the signal
    ``phase``     :math:`\delta` uniform on [-pi/3, pi/3]     radian
    ============= ============== ============================ ====================

    The variant "scinet" fixes :math:`A = 1` and :math:`\delta = 0` and has the first
    two factors only, as in [1]_; "full" has all four. Every trajectory is underdamped.

    All factors are identifiable. A model with one component more than there are factors
    should leave it inactive: 2 active components of 3 for "scinet", 4 of 5 for "full".
    Stiffness determines the frequency, on which the curve depends strongly nonlinearly.
    The phase is restricted to a part of the circle: a whole circle needs two
    components.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of trajectories, at least 1. Ignored when `factors` is given.

    n_features : int, default=50
        Number of times, at least 2.

    variant : {"scinet", "full"}, default="scinet"
        Two factors (damping, stiffness) or four.

    t_max : float, default=5.0
        Last observed time, > 0.

    noise : float, default=0.0
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors.

    factors : array-like of shape (n, 2) or (n, 4), default=None
        Factor values within the ranges above, instead of random ones.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple.

    random_state : int, RandomState instance or None, default=None
        Determines the factors and the noise. Pass an int for reproducible output
        across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64
        One trajectory per sample.

    factors : ndarray of shape (n_samples, 2) or (n_samples, 4), dtype float64
        Columns damping, stiffness and, for "full", amplitude, phase.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (n_factors, 2),
        `discrete_factors` (boolean, shape (n_factors,)) and `grid`, the times.

    References
    ----------
    .. [1] Iten, Metger, Wilming, del Rio & Renner (2020), "Discovering Physical
       Concepts with Neural Networks", Physical Review Letters 124, 010508. Their
       network predicts positions at other times; here the curve is the data.

    Examples
    --------
    >>> from skfactorvae.datasets import make_damped_oscillator
    >>> X, factors = make_damped_oscillator(n_samples=200, random_state=0)
    >>> X.shape, factors.shape
    ((200, 50), (200, 2))
    >>> bool((X[:, 0] == 1).all())  # A = 1 and no phase: starts at 1
    True
    """
    check_parameters(n_samples=n_samples, n_features=n_features, noise=noise)
    check_parameters(t_max=t_max)
    check_option("variant", variant, tuple(_OSCILLATOR))
    spec = _OSCILLATOR[variant]
    rng = check_random_state(random_state)
    return _deliver_curves(
        _damped_cosine,
        np.linspace(0, t_max, n_features),
        take_factors(spec, factors, n_samples, rng),
        spec,
        prefix="t",
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
    )


def _damped_cosine(t, damping, stiffness, amplitude=1.0, phase=0.0):
    frequency = 0.5 * np.sqrt(4 * stiffness - damping**2)  # radian per unit of time
    return amplitude * np.exp(-0.5 * damping * t) * np.cos(frequency * t + phase)


def make_heat_profiles(
    n_samples=1000,
    n_features=64,
    *,
    initial_width=0.03,
    noise=0.01,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make temperature profiles of an insulated rod after a heat pulse.

    A Gaussian pulse of standard deviation :math:`s_0` spreads from :math:`x_0` along a
    rod of unit length. Insulated ends reflect it, so its mirror images add up, over a
    linear ambient gradient:

    .. math::
        T(x) = Q\, \frac{0.1}{\sigma}
               \sum_{c \in \{x_0,\, -x_0,\, 2 - x_0\}}
               e^{-\frac{1}{2} (x - c)^2 / \sigma^2}
               + g\,(x - \tfrac{1}{2}) + \text{noise} \cdot \varepsilon(x),
        \qquad \sigma^2 = s_0^2 + 0.008\, \kappa t

    ============ ============== ======================== ========================
    factor       symbol         distribution             unit
    ============ ============== ======================== ========================
    ``position`` :math:`x_0`    uniform on [0.25, 0.75]  length of the rod
    ``heat``     :math:`Q`      uniform on [0.5, 1.5]    of the released heat
    ``kappa``    :math:`\kappa` log-uniform on [0.3, 3]  0.004 length\ :sup:`2`/time
    ``time``     :math:`t`      log-uniform on [0.3, 3]  of time
    ``gradient`` :math:`g`      uniform on [-1, 1]       temperature per length
    ============ ============== ======================== ========================

    **Diffusivity and time are not identifiable**: they enter through the product
    :math:`\kappa t` alone, and no method can distinguish a good conductor at an early
    time from a poor one at a late time. A model that separates the identifiable factors
    has 4 active components, not 5. One of them follows :math:`\log \kappa t`, whose
    rank correlation with either of the two alone is about 0.7. For scoring, replace the
    two columns by their product, as in the example.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of profiles, at least 1. Ignored when `factors` is given.

    n_features : int, default=64
        Number of thermometers along the rod, at least 2.

    initial_width : float, default=0.03
        Standard deviation :math:`s_0` of the initial pulse, > 0, in lengths of the rod.

    noise : float, default=0.01
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors.

    factors : array-like of shape (n, 5), default=None
        Factor values within the ranges above, instead of random ones.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple.

    random_state : int, RandomState instance or None, default=None
        Determines the factors and the noise. Pass an int for reproducible output
        across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64
        One profile per sample.

    factors : ndarray of shape (n_samples, 5), dtype float64
        Columns position, heat, kappa, time, gradient.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (5, 2),
        `discrete_factors` (boolean, shape (5,)) and `grid`, the positions :math:`x`.

    References
    ----------
    Carslaw & Jaeger (1959), "Conduction of Heat in Solids", 2nd edition, for the
    method of images.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.datasets import make_heat_profiles
    >>> X, factors = make_heat_profiles(n_samples=200, random_state=0)
    >>> X.shape, factors.shape
    ((200, 64), (200, 5))
    >>> position, heat, kappa, time, gradient = factors.T
    >>> identifiable = np.column_stack([position, heat, kappa * time, gradient])
    """
    check_parameters(n_samples=n_samples, n_features=n_features, noise=noise)
    check_parameters(initial_width=initial_width)
    rng = check_random_state(random_state)
    return _deliver_curves(
        partial(_diffuse, initial_width=initial_width),
        np.linspace(0, 1, n_features),
        take_factors(_HEAT, factors, n_samples, rng),
        _HEAT,
        prefix="x",
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
    )


def _diffuse(x, position, heat, kappa, time, gradient, *, initial_width):
    sigma = np.sqrt(initial_width**2 + 0.008 * (kappa * time))
    images = (position, -position, 2 - position)
    pulse = sum(_bell(x - centre, sigma) for centre in images)  # (n, n_features)
    return heat * 0.1 / sigma * pulse + gradient * (x - 0.5)


def make_stellar_spectra(
    n_samples=1000,
    n_features=256,
    *,
    noise=0.01,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make simplified spectra of stars: a black body behind seven absorption lines.

    On a logarithmic grid of wavelengths :math:`\lambda` from 3800 to 7200 angstrom,

    .. math::
        F(\lambda) = \frac{B_\lambda(T)}{\operatorname{median}_\lambda B_\lambda(T)}
        \exp\!\left(-10^m \sum_k d_k \exp\!\left(-\tfrac{1}{2}
        \left(\frac{\ln\lambda - \ln(1 + z) - \ln\lambda_k}{s}\right)^2
        \right)\right) + \text{noise} \cdot \varepsilon(\lambda)

    with Planck's law :math:`B_\lambda(T) \propto \lambda^{-5} /
    (e^{hc / \lambda k T} - 1)` and the lines Ca K, four of the Balmer series, Mg b and
    Na D, of fixed depths :math:`d_k` and a common width.

    ================ ========= ============================ ======================
    factor           symbol    distribution                 unit
    ================ ========= ============================ ======================
    ``temperature``  :math:`T` uniform on [4000, 8000]      kelvin
    ``redshift``     :math:`z` uniform on [0, 0.04]         1
    ``log_strength`` :math:`m` uniform on [-0.6, 0.4]       decade of optical depth
    ``line_width``   :math:`s` log-uniform, [0.003, 0.012]  of :math:`\ln\lambda`
    ================ ========= ============================ ======================

    Temperature changes the continuum only, almost linearly, and is easily recovered.
    Redshift moves the lines but not the continuum, so that the two factors are
    separable. Strength and width both determine the area of a line, its equivalent
    width; only the shape of the line distinguishes them, so they are the pair that is
    most easily confused.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of spectra, at least 1. Ignored when `factors` is given.

    n_features : int, default=256
        Number of wavelengths, at least 2.

    noise : float, default=0.01
        Standard deviation of the white noise, >= 0; with 0, `X` is a function of the
        factors.

    factors : array-like of shape (n, 4), default=None
        Factor values within the ranges above, instead of random ones.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple.

    random_state : int, RandomState instance or None, default=None
        Determines the factors and the noise. Pass an int for reproducible output
        across calls.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64
        One spectrum per sample, as a multiple of its median continuum.

    factors : ndarray of shape (n_samples, 4), dtype float64
        Columns temperature, redshift, log_strength, line_width.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (4, 2),
        `discrete_factors` (boolean, shape (4,)) and `grid`, the wavelengths in
        angstrom.

    References
    ----------
    Sedaghat, Romaniello, Carrick & Pineau (2021), "Machines learn to infer stellar
    parameters just by looking at a large number of spectra", Monthly Notices of the
    Royal Astronomical Society 501, 6026-6041: a variational autoencoder on real
    spectra.

    Examples
    --------
    >>> from skfactorvae.datasets import make_stellar_spectra
    >>> X, factors = make_stellar_spectra(n_samples=200, random_state=0)
    >>> X.shape, factors.shape
    ((200, 256), (200, 4))
    """
    check_parameters(n_samples=n_samples, n_features=n_features, noise=noise)
    rng = check_random_state(random_state)
    return _deliver_curves(
        _spectrum,
        np.geomspace(3800.0, 7200.0, n_features),
        take_factors(_SPECTRA, factors, n_samples, rng),
        _SPECTRA,
        prefix="flux",
        noise=noise,
        rng=rng,
        as_frame=as_frame,
        return_bunch=return_bunch,
    )


def _spectrum(wavelength, temperature, redshift, log_strength, line_width):
    depth = 10**log_strength * _line_depth(np.log(wavelength), redshift, line_width)
    return _continuum(wavelength, temperature) * np.exp(-depth)


def _continuum(wavelength, temperature):
    """Return Planck's law over its median on the grid, shape (n, n_features)."""
    planck = wavelength**-5 / np.expm1(_HC_OVER_K / (wavelength * temperature))
    return planck / np.median(planck, axis=1, keepdims=True)


def _line_depth(log_wavelength, redshift, width):
    """Return the optical depth of all lines at strength 1, shape (n, n_features)."""
    rest = log_wavelength - np.log1p(redshift)
    return sum(depth * _bell(rest - np.log(line), width) for line, depth in _LINES)

"""Closed forms and identities of the curves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import trapezoid

from skfactorvae.datasets import (
    make_damped_oscillator,
    make_gaussian_peaks,
    make_heat_profiles,
    make_stellar_spectra,
)


def test_a_peak_has_its_height_at_its_position_and_falls_by_its_width():
    """At x = p the curve is a + b(p - 1/2); one width away the peak is a / sqrt(e)."""
    p, w, a, b = 0.5, 0.1, 1.2, 0.4
    X, _ = make_gaussian_peaks(n_features=11, noise=0, factors=[[p, w, a, b]])
    assert_allclose(X[0, 5], a)
    assert_allclose(X[0, 6], a * np.exp(-0.5) + 0.1 * b)
    assert_allclose(X[0, 4], a * np.exp(-0.5) - 0.1 * b)


def test_the_area_of_a_peak_is_amplitude_times_width():
    """The slope integrates to zero, so the area is a w sqrt(2 pi): the weak pair."""
    table = make_gaussian_peaks(50, 400, noise=0, return_bunch=True, random_state=0)
    _, width, amplitude, _ = table.factors.T
    area = trapezoid(table.data, table.grid, axis=1)
    assert_allclose(area, amplitude * width * np.sqrt(2 * np.pi), rtol=3e-3)


def test_an_oscillator_starts_at_its_amplitude_times_the_cosine_of_its_phase():
    X, factors = make_damped_oscillator(30, variant="full", random_state=0)
    _, _, amplitude, phase = factors.T
    assert_allclose(X[:, 0], amplitude * np.cos(phase))


def test_an_oscillator_is_zero_after_a_quarter_period():
    """With b = 1.2 and kappa = 4 the frequency is sqrt(4 - .36), worked by hand."""
    quarter = 0.5 * np.pi / np.sqrt(3.64)
    factors = [[1.2, 4.0]]
    X, _ = make_damped_oscillator(n_features=3, t_max=2 * quarter, factors=factors)
    assert_allclose(X[0], [1, 0, -np.exp(-1.2 * quarter)], atol=1e-12)


def test_an_oscillator_obeys_its_equation_of_motion():
    table = make_damped_oscillator(
        20, 2001, variant="full", return_bunch=True, random_state=0
    )
    damping, stiffness = table.factors.T[:2, :, None]
    step = table.grid[1]
    left, here, right = table.data[:, :-2], table.data[:, 1:-1], table.data[:, 2:]
    velocity = (right - left) / (2 * step)
    acceleration = (right - 2 * here + left) / step**2
    residual = acceleration + damping * velocity + stiffness * here
    assert np.abs(residual).max() < 1e-3


def test_scinet_is_the_full_oscillator_at_unit_amplitude_and_zero_phase():
    X, factors = make_damped_oscillator(10, random_state=0)
    full = np.column_stack([factors, np.ones(10), np.zeros(10)])
    assert_allclose(make_damped_oscillator(variant="full", factors=full)[0], X)


def test_heat_profiles_depend_on_kappa_times_time_only():
    _, factors = make_heat_profiles(20, random_state=0)
    swapped = factors[:, [0, 1, 3, 2, 4]]
    X, again = (make_heat_profiles(noise=0, factors=F)[0] for F in (factors, swapped))
    np.testing.assert_array_equal(X, again)
    doubled = [[0.5, 1.0, 2.0, 0.5, 0.3], [0.5, 1.0, 0.5, 2.0, 0.3]]
    one, other = make_heat_profiles(noise=0, factors=doubled)[0]
    np.testing.assert_array_equal(one, other)


def test_insulated_ends_keep_the_heat():
    """The integral of T is 0.1 sqrt(2 pi) Q at any time and place of the pulse."""
    table = make_heat_profiles(100, 500, noise=0, return_bunch=True, random_state=0)
    total = trapezoid(table.data, table.grid, axis=1)
    assert_allclose(total, 0.1 * np.sqrt(2 * np.pi) * table.factors[:, 1], rtol=5e-3)


def test_no_heat_flows_through_the_ends():
    """Without a gradient the profile is flat at both ends."""
    _, factors = make_heat_profiles(50, random_state=0)
    factors[:, 4] = 0
    X, _ = make_heat_profiles(n_features=1001, noise=0, factors=factors)
    slope = np.diff(X[:, [0, 1, -2, -1]], axis=1)[:, [0, 2]] / 1e-3
    assert np.abs(slope).max() < 0.02 * np.abs(np.diff(X) / 1e-3).max()


def test_a_heat_pulse_mirrors_with_its_position_and_gradient():
    _, factors = make_heat_profiles(10, random_state=0)
    mirrored = factors * [-1, 1, 1, 1, -1] + [1, 0, 0, 0, 0]
    X, Y = (make_heat_profiles(noise=0, factors=F)[0] for F in (factors, mirrored))
    assert_allclose(X[:, ::-1], Y, atol=1e-3)


def test_a_sharp_heat_pulse_has_the_height_of_a_gaussian():
    """kappa t = .09 and s0 = .03: sigma^2 = .0009 + .00072, by hand."""
    X, _ = make_heat_profiles(n_features=3, noise=0, factors=[[0.5, 1.5, 0.3, 0.3, 0]])
    assert_allclose(X[0, 1], 0.15 / np.sqrt(0.00162))


def test_a_spectrum_between_lines_is_plancks_law():
    """Hotter stars are bluer, by the ratio of Planck's law at two wavelengths."""
    factors = [[4000.0, 0, 0, 0.003], [8000.0, 0, 0, 0.003]]
    table = make_stellar_spectra(noise=0, factors=factors, return_bunch=True)
    blue, red = (np.abs(table.grid - c).argmin() for c in (4600.0, 6200.0))
    second = 0.01438777 / (1e-10 * table.grid[[blue, red]])  # kelvin, SI units
    for row, temperature in zip(table.data, (4000.0, 8000.0), strict=True):
        planck = table.grid[[blue, red]] ** -5 / np.expm1(second / temperature)
        assert_allclose(row[blue] / row[red], planck[0] / planck[1], rtol=1e-6)


@pytest.mark.parametrize("redshift", [0.0, 0.01, 0.04])
def test_the_h_alpha_line_stands_at_its_redshifted_wavelength(redshift):
    factors = [[6000.0, redshift, 0.4, 0.003]]
    table = make_stellar_spectra(
        n_features=2000, noise=0, factors=factors, return_bunch=True
    )
    red = table.grid > 6300
    deepest = table.grid[red][table.data[0, red].argmin()]
    assert deepest == pytest.approx(6563 * (1 + redshift), rel=5e-4)


def test_the_centre_of_a_line_transmits_exp_of_minus_its_depth():
    """H alpha at strength 10^0: depth .8, far from its neighbours."""
    weak, strong = [6000.0, 0, -0.6, 0.003], [6000.0, 0, 0.0, 0.003]
    table = make_stellar_spectra(
        n_features=5000, noise=0, factors=[weak, strong], return_bunch=True
    )
    at = np.abs(table.grid - 6563).argmin()
    ratio = table.data[1, at] / table.data[0, at]
    assert ratio == pytest.approx(np.exp(-0.8 * (1 - 10**-0.6)), rel=1e-4)


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (make_gaussian_peaks, {"n_features": 1}, "n_features must be an integer >= 2"),
        (make_damped_oscillator, {"variant": "half"}, "one of 'scinet', 'full'; got"),
        (
            make_damped_oscillator,
            {"t_max": 0},
            "t_max must be a number > 0; got 0. Pass the last",
        ),
        (make_heat_profiles, {"initial_width": 0}, "initial_width must be a number"),
        (make_gaussian_peaks, {"factors": [[0.5, 0, 1, 0]]}, "'width' must hold"),
        (make_gaussian_peaks, {"factors": [[0.5, np.nan, 1, 0]]}, "NaN"),
    ],
)
def test_a_bad_curve_parameter_is_told_what_to_do(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters)


RANGES = {
    make_gaussian_peaks: [(0.3, 0.7), (0.03, 0.1), (0.5, 1.5), (-0.5, 0.5)],
    make_damped_oscillator: [(0.4, 1.2), (4, 12)],
    make_heat_profiles: [(0.25, 0.75), (0.5, 1.5), (0.3, 3), (0.3, 3), (-1, 1)],
    make_stellar_spectra: [(4000, 8000), (0, 0.04), (-0.6, 0.4), (0.003, 0.012)],
}


@pytest.mark.parametrize("make", RANGES, ids=lambda make: make.__name__)
def test_the_ranges_are_the_documented_ones_and_their_ends_can_be_rendered(make):
    table = make(2, return_bunch=True)
    assert_allclose(table.factor_ranges, RANGES[make])
    X, _ = make(factors=table.factor_ranges.T)
    assert np.isfinite(X).all()

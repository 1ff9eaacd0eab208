"""Simulated datasets with known generating factors.

Every function returns ``(X, factors)``: the samples, and the factors that generated
each of them. Its docstring gives the formula and the factors that can be recovered.
"""

from ._cells import make_cell_counts
from ._curves import (
    make_damped_oscillator,
    make_gaussian_peaks,
    make_heat_profiles,
    make_stellar_spectra,
)
from ._mixtures import make_nonlinear_ica, make_sensor_table
from ._scenes import make_pendulum_shadow, make_toy_shapes3d
from ._sprites import make_dsprites_like, make_xy_squares

__all__ = [
    "make_cell_counts",
    "make_damped_oscillator",
    "make_dsprites_like",
    "make_gaussian_peaks",
    "make_heat_profiles",
    "make_nonlinear_ica",
    "make_pendulum_shadow",
    "make_sensor_table",
    "make_stellar_spectra",
    "make_toy_shapes3d",
    "make_xy_squares",
]

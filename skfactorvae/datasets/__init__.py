"""Simulated tables whose generating factors are known.

Every maker returns ``(X, factors)``: rows to learn from, and the few numbers each row
was made of. See each maker for its formula and for what can be recovered from it.
"""

from ._curves import (
    make_damped_oscillator,
    make_gaussian_peaks,
    make_heat_profiles,
    make_stellar_spectra,
)
from ._mixtures import make_nonlinear_ica, make_sensor_table

__all__ = [
    "make_damped_oscillator",
    "make_gaussian_peaks",
    "make_heat_profiles",
    "make_nonlinear_ica",
    "make_sensor_table",
    "make_stellar_spectra",
]

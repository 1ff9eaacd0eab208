"""Datasets with known generating factors: simulated, and those of the literature.

Every ``make_`` function returns ``(X, factors)``: the samples, and the factors that
generated each of them. Its docstring gives the formula and the factors that can be
recovered. ``correlate_factors`` makes factors that depend on each other. Every
``fetch_`` function loads images of the literature, which it downloads on first use.
"""

from ._cells import make_cell_counts
from ._correlated import correlate_factors
from ._curves import (
    make_damped_oscillator,
    make_gaussian_peaks,
    make_heat_profiles,
    make_stellar_spectra,
)
from ._mixtures import make_nonlinear_ica, make_sensor_table
from ._originals import (
    fetch_cars3d,
    fetch_dsprites,
    fetch_mpi3d,
    fetch_shapes3d,
    fetch_smallnorb,
)
from ._scenes import make_pendulum_shadow, make_toy_shapes3d
from ._sprites import make_dsprites_like, make_xy_squares

__all__ = [
    "correlate_factors",
    "fetch_cars3d",
    "fetch_dsprites",
    "fetch_mpi3d",
    "fetch_shapes3d",
    "fetch_smallnorb",
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

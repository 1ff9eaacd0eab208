"""Simulated tables whose generating factors are known.

Every maker returns ``(X, factors)``: rows to learn from, and the few numbers each row
was made of. See each maker for its formula and for what can be recovered from it.
"""

from ._curves import make_damped_oscillator, make_gaussian_peaks
from ._mixtures import make_nonlinear_ica

__all__ = ["make_damped_oscillator", "make_gaussian_peaks", "make_nonlinear_ica"]

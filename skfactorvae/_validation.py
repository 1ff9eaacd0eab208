"""Constraints of parameters, and checks that constraints cannot express."""

from __future__ import annotations

import inspect
import os
import types
import warnings
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._compat import Interval, RealNotInt, StrOptions

MAX_SEED = np.iinfo(np.int32).max
"""Upper bound, exclusive, of seeds that are drawn from a ``random_state``."""

POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
FRACTION = Interval(Real, 0, 1, closed="both")
OPEN_FRACTION = Interval(Real, 0, 1, closed="neither")
OPEN_SHARE = Interval(RealNotInt, 0, 1, closed="neither")


def at_least(number):
    """Return the constraint of integers from ``number`` on."""
    return Interval(Integral, number, None, closed="left")


def one_of(*names):
    """Return the constraint of a choice between strings."""
    return StrOptions(set(names))


def check_numbers(parameters: Mapping[str, Any], precision: str) -> None:
    """Raise if a number is too large for the precision, or an integer for 64 bits."""
    for name, value in parameters.items():
        if isinstance(value, Integral):
            _check_limit(name, int(value), int(np.iinfo(np.int64).max))
        elif isinstance(value, Real):
            limit = float(np.finfo(stored_type(precision)).max)
            _check_limit(name, float(value), limit, f" with precision={precision!r}")


def stored_type(precision: str) -> str:
    """Return the type of weights and codes; products alone can be of bfloat16."""
    return "float32" if precision == "bfloat16" else precision


def _check_limit(name: str, value: float, limit: float, where: str = "") -> None:
    if abs(value) > limit:
        shown = f"{value:.4g}" if isinstance(value, float) else "a larger integer"
        raise ValueError(
            f"{name} must be at most {limit:.4g}{where}; got {shown}. Lower it."
        )


def check_memory(n_bytes: int, purpose: str, advice: str) -> None:
    """Raise if something needs more memory than this machine has in all.

    Parameters
    ----------
    n_bytes : int
        Memory that is needed, at least.
    purpose, advice : str
        What needs it, and what to do, for the message.
    """
    available = _total_memory()
    if n_bytes > available:
        raise ValueError(
            f"{purpose} needs at least {n_bytes // 2**30} GiB of memory, but this "
            f"machine has {available / 2**30:.3g} GiB. {advice}"
        )


def _total_memory() -> float:
    """Return the memory of this machine, bytes; infinity where it is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return np.inf


def check_sizes(name: str, sizes) -> tuple[int, ...]:
    """Return layer sizes, or the size of one layer, as a tuple of positive integers."""
    if isinstance(sizes, Integral):
        sizes = (sizes,)
    if isinstance(sizes, Iterable) and not isinstance(sizes, str):
        sizes = tuple(sizes)
        if all(isinstance(s, Integral) and int(s) > 0 for s in sizes):
            return tuple(int(s) for s in sizes)
    raise ValueError(
        f"{name} must hold positive integers, as (128, 128) does; got {sizes!r}."
    )


def check_levels(name: str, levels) -> tuple[int, ...]:
    """Return numbers of levels, each at least two, as a tuple."""
    sizes = check_sizes(name, levels)
    if sizes and min(sizes) < 2:
        raise ValueError(
            f"{name} must hold the number of levels of each category, at least 2, as "
            f"(3, 2) does; got {levels!r}."
        )
    return sizes


def check_groups(groups, n_components: Any) -> tuple[int, ...] | None:
    """Return group sizes that sum to the number of components, or None."""
    if groups is None:
        return None
    sizes = check_sizes("groups", groups)
    if n_components == "auto":
        raise ValueError(
            f"groups={sizes} needs the number of components: n_components={sum(sizes)} "
            'in place of "auto".'
        )
    if sum(sizes) != n_components:
        raise ValueError(
            f"groups={sizes} are groups of {sum(sizes)} components in all, but "
            f"n_components={n_components}. Give the size of each group, one for a "
            "component without a group: groups=(2, 1, 1) for n_components=4."
        )
    return sizes


def check_image_shape(image_shape, n_features: int) -> tuple[int, int, int]:
    """Return (channels, height, width), whose product is the number of features."""
    if image_shape is None:
        raise ValueError(
            "network='conv' needs image_shape=(channels, height, width): the shape "
            f"whose flattened images are the {n_features} columns of X."
        )
    shape = check_sizes("image_shape", image_shape)
    if len(shape) != 3 or min(shape[1:]) < 2:
        raise ValueError(
            "image_shape must be (channels, height, width) with a height and a width "
            f"of at least 2; got {tuple(image_shape)!r}."
        )
    if np.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {np.prod(shape)} values, but X has {n_features} "
            "columns. Pass images flattened channel by channel, row by row."
        )
    return shape


def check_unit_interval(X) -> None:
    """Raise if a value is outside [0, 1], the range of a Bernoulli likelihood."""
    if isinstance(X, np.ndarray):
        low, high = np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None)
    else:  # a table that is read in parts
        low, high = X.value_range
    if low < 0 or high > 1:
        raise ValueError(
            "likelihood='bernoulli' needs values in [0, 1], but X ranges from "
            f"{low:.4g} to {high:.4g}. Rescale X, for instance with "
            "MinMaxScaler(clip=True), whose output stays in that range for new "
            "samples, too; or use likelihood='gaussian'."
        )


def clip_to_unit_interval(X: np.ndarray, name: str = "X") -> np.ndarray:
    """Return new samples for a Bernoulli likelihood, clipped to [0, 1] with a warning.

    A scaler that was fitted to other samples, such as MinMaxScaler, returns some values
    outside.

    Parameters
    ----------
    X : ndarray of shape (n, p) or (n,)
    name : str, default="X"
        What these values are, for the message.

    Returns
    -------
    ndarray of the same shape
    """
    low, high = np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None)
    if not (low < 0 or high > 1):
        return X
    n_outside = np.count_nonzero((X < 0) | (X > 1))
    warnings.warn(
        f"likelihood='bernoulli' needs values in [0, 1]; {n_outside} of {X.size} "
        f"values are outside, and were clipped: {name} ranges from {low:.4g} to "
        f"{high:.4g}. Scale it as in fit, for instance with MinMaxScaler(clip=True).",
        UserWarning,
        stacklevel=_calls_of_libraries(),
    )
    return X.clip(0.0, 1.0)


def _calls_of_libraries() -> int:
    """Return the stack level of the first call outside this package and scikit-learn.

    It is counted from the function that calls this one, which warns.
    """
    frame, level = inspect.currentframe(), 0
    while frame is not None and _is_of_libraries(frame):
        frame, level = frame.f_back, level + 1
    return level


def _is_of_libraries(frame: types.FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in (__package__, "sklearn")

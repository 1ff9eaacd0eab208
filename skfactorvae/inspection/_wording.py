"""Sentences that describe the effect of a component."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST_EFFECT = 0.2
"""Effect, in standard deviations of a feature, below which a component has none."""

MORE_DIGITS = 3
"""Digits of the smaller of two numbers beyond those of their difference, at most."""

NEGLIGIBLE = 0.0025
"""Share of the difference of two numbers below which one of them is shown as zero."""

LEAST_SHIFT = 0.15
"""Relative change of a curve below which it does not count as a change of its peak."""


def pair(a, b, least=0.0):
    """Format two numbers, with two digits of their difference.

    A number of which these digits leave nothing, such as 24 beside 3300, has up to
    three more digits, so that it is not shown as zero, unless it is negligible.

    Parameters
    ----------
    a, b : float
    least : float, default=0.0
        Difference below which numbers count as equal: more digits would be noise.
    """
    gap = max(abs(float(b) - float(a)), float(least))
    largest = max(abs(float(a)), abs(float(b)))
    if not np.isfinite(gap) or gap <= 1e-12 * largest:
        return f"{a:.3g}", f"{b:.3g}"
    digits = int(1 - np.floor(np.log10(gap)))
    if not -4 <= digits <= 6:
        return f"{a:.3g}", f"{b:.3g}"
    difference = abs(float(b) - float(a))
    return tuple(
        _rounded(float(v), digits, _more_digits(v, difference, least)) for v in (a, b)
    )


def _more_digits(value, difference, least):
    """Return how many digits a number may have beyond those of the difference."""
    is_clear = abs(value) >= NEGLIGIBLE * difference >= NEGLIGIBLE * least
    return MORE_DIGITS if is_clear else 0


def _rounded(value, digits, more):
    """Format a number with the given decimals, or with up to `more` others."""
    first = -np.floor(np.log10(abs(value))) if value else digits
    if digits < first:  # its first digit would be lost
        finer = int(min(first + 1, digits + more))
        digits = finer if round(value, finer) else digits
    value = _unsigned_zero(round(value, digits))
    return f"{value:{_grouped(value)}.{max(digits, 0)}f}"


def _grouped(value):
    """Return the format of a number's thousands: 3000, but 30,000."""
    return "," if abs(value) >= 10_000 else ""


def _unsigned_zero(value):
    return 0.0 if value == 0 else value


def sentence(subject, low, high, spread, layout):
    """Return a sentence on the effect of a component.

    Parameters
    ----------
    subject : str
        What the sentence is about, such as "component 0".
    low, high : ndarray of shape (p,)
        Decoded samples at the low and at the high end of the component.
    spread : ndarray of shape (p,)
        Standard deviations of the features.
    layout : Layout
        Its ``kind`` decides what is described: features, pixels or peaks.
    """
    effect = high - low
    size = np.abs(effect) / layout.scale(spread)
    if size.max() < LEAST_EFFECT:
        return f"{subject} has hardly any effect"
    if layout.kind == "bars":
        return f"{subject} {_of_columns(low, high, size, layout)}"
    if layout.kind == "image":
        return f"{subject} {_of_images(effect, layout)}"
    peak = _of_peaks(low, high, layout.x)
    return f"{subject} {peak or _of_curves(low, high, layout.x)}"


def _of_columns(low, high, size, layout):
    order = np.argsort(-size, kind="stable")[:3]
    shown = [i for i in order if size[i] >= size[order[0]] / 2]
    return _listed(
        f"{_verb(high[i] - low[i])} {layout.names[i]} {_from_to(low[i], high[i])}"
        for i in shown
    )


def _of_images(effect, layout):
    plane = effect.reshape(layout.image_shape).mean(axis=0)
    ends = [(plane.argmax(), "brightens"), (plane.argmin(), "darkens")]
    ends = [(i, verb) for i, verb in ends if _is_major(plane.flat[i], plane)]
    places = [(*np.unravel_index(i, plane.shape), verb) for i, verb in ends]
    return _listed(f"{verb} row {r}, column {c}" for r, c, verb in places)


def _of_curves(low, high, x):
    effect = high - low
    ends = sorted({int(effect.argmax()), int(effect.argmin())})
    ends = sorted(
        (i for i in ends if _is_major(effect[i], effect)), key=lambda i: -abs(effect[i])
    )
    return _listed(
        f"{_verb(effect[i])} {_of_places(i, effect, x)} {_from_to(low[i], high[i])}"
        for i in ends
    )


def _of_places(i, effect, x):
    """Describe the part of a curve that changes with one of its places."""
    order = np.argsort(x, kind="stable")
    first, last = region(effect[order], int(np.flatnonzero(order == i)[0]))
    at = place(x[i], x)
    if first == last:
        return f"the value at {at}"
    if (first, last) == (0, len(x) - 1):
        return f"all values, at {at}"
    ends = (place(x[order[k]], x) for k in (first, last))
    return f"the values at {' to '.join(ends)}, at {at}"


def region(effect, top):
    """Return the first and the last neighbour that changes with a place of a curve.

    Parameters
    ----------
    effect : ndarray of shape (p,)
        Change of each place, in the order of the axis.
    top : int
        Place of an extreme change. Its neighbours belong to it as far as their changes
        are at least half as large, without a gap.
    """
    belongs = effect * np.sign(effect[top]) >= np.abs(effect[top]) / 2
    before, after = np.flatnonzero(~belongs[:top]), np.flatnonzero(~belongs[top:])
    first = before[-1] + 1 if len(before) else 0
    last = top + after[0] - 1 if len(after) else len(effect) - 1
    return int(first), int(last)


def place(value, x):
    """Format a place of an axis, with the digits that distinguish its neighbours."""
    steps = np.diff(np.sort(x))
    steps = steps[steps > 0]
    if not len(steps):
        return f"{value:.3g}"
    decimals = int(np.clip(np.ceil(-np.log10(np.median(steps))), 0, 6))
    return f"{_unsigned_zero(round(float(value), decimals)):.{decimals}f}"


def _is_major(value, effect):
    return abs(value) >= np.abs(effect).max() / 2


def _verb(change):
    return "raises" if change > 0 else "lowers"


def _from_to(a, b):
    return "from {} to {}".format(*pair(a, b))


def _listed(parts):
    parts = list(parts)
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if parts[1:] else parts[0]


# ----------------------------------------------------------------------- peaks
class Peak(NamedTuple):
    """A peak, or a dip, of a curve."""

    position: float
    height: float  # above the curve's median, positive for dips too
    width: float  # at half of the height


def _of_peaks(low, high, x):
    """Describe the change of a curve's peak; None if the change is elsewhere."""
    order = np.argsort(x)
    x, low, high = x[order], low[order], high[order]
    middle = (low + high) / 2
    up = middle.max() - np.median(middle) >= np.median(middle) - middle.min()
    sign, name = (1.0, "peak") if up else (-1.0, "dip")
    first, last = (find_peak(x, sign * row) for row in (low, high))
    if first is None or last is None or not _is_of_peak(first, last, x, high - low):
        return None
    # The root mean square change of a bell curve, for each of its three parameters.
    changes = {
        "moves": 1.67
        * abs(last.position - first.position)
        * 2
        / (first.width + last.width),
        "height": abs(np.log(last.height / first.height)),
        "width": 0.87 * abs(np.log(last.width / first.width)),
    }
    kind = max(changes, key=lambda name: changes[name])
    if changes[kind] < LEAST_SHIFT:
        return None
    if kind == "moves":
        return f"moves the {name} {_from_to(first.position, last.position)}"
    if kind == "height":
        verb = "raises" if last.height > first.height else "lowers"
        verb = verb if up else {"raises": "deepens", "lowers": "flattens"}[verb]
        measure = "height" if up else "depth"
        ends = _from_to(first.height, last.height)
        return f"{verb} the {name}: {measure} {ends}"
    verb = "widens" if last.width > first.width else "narrows"
    return f"{verb} the {name} {_from_to(first.width, last.width)} at half height"


def find_peak(x, row):
    """Return the highest peak of a curve on an ascending axis, or None.

    A peak lies inside the axis, falls to half of its height on both sides, and its
    height is at least half the range of the curve.
    """
    base, top = np.median(row), int(row.argmax())
    height = row[top] - base
    if not 0 < top < len(row) - 1 or height < (row.max() - row.min()) / 2:
        return None
    half = base + height / 2
    left, right = np.flatnonzero(row[:top] < half), np.flatnonzero(row[top:] < half)
    if height <= 0 or not len(left) or not len(right):
        return None
    i, j = left[-1], top + right[0]
    start = np.interp(half, row[i : i + 2], x[i : i + 2])
    stop = np.interp(half, row[[j, j - 1]], x[[j, j - 1]])
    a, b, _ = np.polyfit(x[top - 1 : top + 2] - x[top], row[top - 1 : top + 2], 2)
    shift = -b / (2 * a) if a < 0 else 0.0
    return Peak(float(x[top] + shift), float(height), float(stop - start))


def _is_of_peak(first, last, x, effect):
    """Return whether at least half of the squared change is near the peaks."""
    near = np.zeros(len(x), dtype=bool)
    for peak in (first, last):
        near |= np.abs(x - peak.position) < peak.width
    return np.square(effect[near]).sum() >= np.square(effect).sum() / 2

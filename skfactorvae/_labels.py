"""Labels beside rows: what they say, entry by entry, and what a fit makes of them.

Axes: ``n`` rows, ``m`` attributes. A label that is unknown is NaN, or None among
objects. Everything depends on the values of the rows that count alone, and on neither
their order nor their number, so that weights stay exact.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._preparation import canonical_rows, column_moments
from ._validation import check_sizes

MAX_LEVELS = 20
"""Whole numbers of more levels are taken for a real attribute."""

KINDS = ("auto", "discrete", "real")


@dataclass(frozen=True)
class Attribute:
    """One column of labels.

    Attributes
    ----------
    name : str
        The column's, or its number.
    column : int
        Its number.
    labels : ndarray of shape (n,)
        Numbers of levels, or values, in float64; NaN where unknown.
    levels : ndarray of shape (n_levels,) or None
        What the numbers stand for, in order; None for a real attribute.
    is_sensitive : bool
        Whether it is to be removed from all that is shown.
    """

    name: str
    column: int
    labels: np.ndarray
    levels: np.ndarray | None
    is_sensitive: bool

    @property
    def n_levels(self) -> int:
        """Number of levels; zero for a real attribute."""
        return 0 if self.levels is None else len(self.levels)


@dataclass(frozen=True)
class Targets:
    """What a fit learns beside the rows; sensitive attributes come first.

    Attributes
    ----------
    labels : ndarray of shape (n, m)
        Numbers of levels, or standardised values; NaN where unknown.
    marginals : tuple of m tuples of c float
        Shares of the levels, or mean and variance; padded with zeros.
    means, scales : tuple of m float
        What standardised the values; zero and one for levels.
    attributes : tuple of m Attribute
    """

    labels: np.ndarray
    marginals: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    attributes: tuple[Attribute, ...]

    def of(self, index: np.ndarray) -> np.ndarray:
        """Return the values of some rows, (k, m).

        Raises
        ------
        ValueError
            If an attribute has no label on them.
        """
        values = self.labels[index]
        for attribute, column in zip(self.attributes, values.T, strict=True):
            if np.isnan(column).all():
                raise ValueError(
                    f"All rows that label attribute {attribute.name!r} of y are held "
                    "out for early stopping. Lower validation_fraction, set "
                    "early_stopping=False, or label more rows."
                )
        return values

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Number of levels of each attribute; zero for a real one."""
        return tuple(a.n_levels for a in self.attributes)

    @property
    def levels(self) -> tuple[Any, ...]:
        """Levels of each attribute as plain values; None of a real one."""
        levels = (a.levels for a in self.attributes)
        return tuple(v if v is None else tuple(v.tolist()) for v in levels)

    @property
    def n_hidden(self) -> int:
        """Number of sensitive attributes."""
        return sum(a.is_sensitive for a in self.attributes)


# ------------------------------------------------------------------------ reading
def read_labels(y: Any, weight: np.ndarray, kinds: Any, sensitive: Any):
    """Return the attributes that the columns of y hold, sensitive ones first.

    Parameters
    ----------
    y : array-like or frame of shape (n,) or (n, m)
    weight : ndarray of shape (n,)
        Labels of rows of no weight are unknown.
    kinds : str, or sequence of m str
        Kind of each attribute, or of all.
    sensitive : int, str, or sequence of them, or None
        Numbers or names of columns.

    Raises
    ------
    ValueError
        If y is of the wrong length or shape, or a column has no label, or no two
        different ones, or values that are neither numbers nor names.
    """
    columns, names = _columns(y)
    if len(columns[0]) != len(weight):
        raise ValueError(
            f"y has {len(columns[0])} rows and X has {len(weight)}; both need one "
            "row per sample, in the same order. Write NaN for a label that is unknown."
        )
    asked = _kinds(kinds, len(columns))
    chosen = _chosen(sensitive, names)
    found = [
        _attribute(name, j, column, weight > 0, kind, j in chosen)
        for j, (name, column, kind) in enumerate(
            zip(names, columns, asked, strict=True)
        )
    ]
    return tuple(sorted(found, key=lambda a: not a.is_sensitive))


def _columns(y: Any) -> tuple[list[np.ndarray], list[str]]:
    """Return the columns of y as arrays, and their names."""
    if hasattr(y, "toarray"):
        raise ValueError("y is sparse; expected a dense array. Call y.toarray() first.")
    if hasattr(y, "columns"):
        names = [str(name) for name in y.columns]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                "y must have at least one column, and no two of the same name; got "
                f"columns {names}. Rename them, or leave some out."
            )
        return [_array(y[name]) for name in y.columns], names
    name = getattr(y, "name", None)
    values = _array(y)
    if values.ndim == 1:
        return [values], ["0" if name is None else str(name)]
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(
            "y must have shape (n_samples,) or (n_samples, n_attributes) with at least "
            f"one attribute; got shape {values.shape}."
        )
    return list(values.T), [str(j) for j in range(values.shape[1])]


def _array(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        return np.asarray(values, dtype=object)  # numbers beside names stay numbers
    return array


def _kinds(kinds: Any, n_attributes: int) -> list[str]:
    asked = [kinds] * n_attributes if isinstance(kinds, str) else list(kinds)
    if len(asked) != n_attributes or not set(asked) <= set(KINDS):
        raise ValueError(
            f"attribute_types must be one of {KINDS}, or hold one of them for each of "
            f"the {n_attributes} columns of y; got {kinds!r}."
        )
    return asked


def _chosen(sensitive: Any, names: list[str]) -> set[int]:
    """Return the numbers of the columns that are sensitive."""
    if sensitive is None:
        return set()
    is_one = isinstance(sensitive, str | numbers.Integral)
    wanted = [sensitive] if is_one else list(sensitive)
    places: dict[Any, int] = {name: j for j, name in enumerate(names)}
    places |= {j: j for j in range(-len(names), len(names))}
    unknown = [w for w in wanted if isinstance(w, bool) or w not in places]
    if unknown:
        raise ValueError(
            f"sensitive={sensitive!r} must hold numbers or names of columns of y; y "
            f"has {len(names)} columns, named {names}, and {unknown} is none of them."
        )
    return {places[w] % len(names) for w in wanted}


def _attribute(name, number, column, is_present, kind, is_sensitive) -> Attribute:
    is_known = is_present & ~_is_missing(column)
    known = column[is_known]
    if not len(known):
        raise ValueError(
            f"Attribute {name!r} of y has no label: every row is NaN, None or of no "
            "weight. Label some rows, or leave the column out."
        )
    comparable = _comparable(name, known)
    if comparable.dtype.kind == "f" and not np.isfinite(comparable).all():
        raise ValueError(
            f"Attribute {name!r} of y holds infinity. Write NaN for what is unknown."
        )
    levels, numbers_ = np.unique(comparable, return_inverse=True)
    if len(levels) < 2:
        raise ValueError(
            f"Attribute {name!r} of y has one level or value, {levels[0]!r}, on all "
            f"{len(known)} rows that are labelled; two are the least there is to "
            "learn. Label others, or leave the column out."
        )
    values = np.full(len(column), np.nan)
    if _is_discrete(name, levels, kind):
        values[is_known] = numbers_.reshape(-1)
        return Attribute(name, number, values, levels, is_sensitive)
    values[is_known] = known.astype(np.float64)
    return Attribute(name, number, values, None, is_sensitive)


def _is_missing(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        return np.array([_is_nothing(value) for value in column], dtype=bool)
    return np.zeros(len(column), dtype=bool)


def _is_nothing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def _comparable(name: str, known: np.ndarray) -> np.ndarray:
    """Return labels as one array of booleans, of numbers or of strings."""
    if known.dtype.kind in "US":
        return _names(name, known)
    if known.dtype.kind in "biuf":
        return known
    if known.dtype.kind == "O":
        if all(isinstance(value, bool | np.bool_) for value in known):
            return known.astype(bool)
        if all(isinstance(value, numbers.Real) for value in known):
            return known.astype(np.float64)
        if all(isinstance(value, str) for value in known):
            return _names(name, known.astype(str))
    kinds = sorted({type(value).__name__ for value in known})
    raise ValueError(
        f"Attribute {name!r} of y must hold numbers, or booleans, or strings, all of "
        "one kind, and NaN or None for what is unknown; got values like "
        f"{known[0]!r}, of {' and '.join(kinds)}."
    )


def _names(name: str, known: np.ndarray) -> np.ndarray:
    """Refuse strings that are what numpy has made of numbers."""
    texts = np.unique(known).astype(str)
    is_number = len(texts) > MAX_LEVELS and all(map(_reads_as_number, texts))
    if is_number or "nan" in texts:
        example = "nan" if "nan" in texts else str(known[0])
        raise ValueError(
            f"Attribute {name!r} of y holds numbers, or NaN, as strings, such as "
            f"{example!r}: so does numpy write them in an array that holds strings as "
            "well. Pass y as a pandas DataFrame, or with dtype=object, numbers as "
            "numbers, and NaN or None for what is unknown."
        )
    return known


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_discrete(name: str, levels: np.ndarray, kind: str) -> bool:
    """Few whole numbers are levels, and so are booleans and strings."""
    is_number = levels.dtype.kind in "iuf"
    if kind == "real" and not is_number:
        raise ValueError(
            f"Attribute {name!r} of y holds {levels[0]!r}, ..., which are not "
            "numbers, so its type cannot be 'real'. Say 'auto' or 'discrete'."
        )
    is_whole = not is_number or bool((levels == np.rint(levels)).all())
    is_few = not is_number or len(levels) <= MAX_LEVELS
    return kind == "discrete" or (kind == "auto" and is_whole and is_few)


# ----------------------------------------------------------------------- learning
def distinct_rows(X, weight, attributes, scales=None):
    """Return canonical rows, told apart by their labels too, and what is to be learned.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    weight : ndarray of shape (n,)
    attributes : tuple of m Attribute
    scales : sequence of (mean, scale) by column of y, or None
        Those of a fit that goes on; else they are those of the rows.

    Returns
    -------
    canonical : tuple (index, weight)
        As :func:`canonical_rows` returns it.
    targets : Targets or None
        None without attributes.
    """
    if not attributes:
        return canonical_rows(X, weight), None
    canonical = canonical_rows(beside(X, attributes), weight)
    return canonical, make_targets(attributes, *canonical, scales)


def beside(X: np.ndarray, attributes: tuple[Attribute, ...]) -> np.ndarray:
    """Return the table with labels as further columns, to tell rows by both.

    Labels stand there as ranks, which have no unit.
    """
    return np.hstack([X, *(_ranks(a.labels)[:, None] for a in attributes)])


def _ranks(labels: np.ndarray) -> np.ndarray:
    """Return each label's number among the different ones, from one; zero for NaN."""
    is_known = ~np.isnan(labels)
    ranks = np.zeros(len(labels))
    ranks[is_known] = np.unique(labels[is_known], return_inverse=True)[1] + 1.0
    return ranks


def make_targets(attributes, index, weight, scales=None) -> Targets:
    """Return what is to be learned; moments and shares are those of weighted rows.

    Parameters
    ----------
    attributes : tuple of m Attribute
    index : ndarray of shape (k,)
        Rows that count, in canonical order.
    weight : ndarray of shape (k,)
        Their weights.
    scales : sequence of (mean, scale) by column of y, or None
    """
    kept = dict(enumerate(scales or ()))
    parts = [_target(a, index, weight, kept.get(a.column)) for a in attributes]
    labels, marginals, means, scales = zip(*parts, strict=True)
    width = max(map(len, marginals))
    return Targets(
        labels=np.column_stack(labels),
        marginals=tuple(m + (0.0,) * (width - len(m)) for m in marginals),
        means=means,
        scales=scales,
        attributes=attributes,
    )


def _target(attribute: Attribute, index, weight, kept):
    """Return an attribute's values for training, marginal, mean and scale."""
    is_known = ~np.isnan(attribute.labels[index])
    labelled, weight = index[is_known], weight[is_known]
    if attribute.levels is not None:
        level = attribute.labels[labelled].astype(int)
        mass = np.bincount(level, weights=weight, minlength=attribute.n_levels)
        return attribute.labels, tuple(map(float, mass / mass.sum())), 0.0, 1.0
    column = attribute.labels[:, None]
    mean, std = (float(m[0]) for m in column_moments(column, labelled, weight))
    if not std > 0:
        raise ValueError(
            f"Attribute {attribute.name!r} of y is constant up to rounding. Rescale "
            "it, or leave the column out."
        )
    if kept is None:
        return (attribute.labels - mean) / std, (0.0, 1.0), mean, std
    centre, unit = kept
    marginal = (mean - centre) / unit, (std / unit) ** 2
    return (attribute.labels - centre) / unit, marginal, centre, unit


def aligned(start, rows, labels, weight, objective):
    """Turn a linear start so that attributes begin in latents of their own.

    The start's codes are white. Each attribute takes the direction in which they
    predict it best by least squares, and the other latents what is left, starting with
    the directions that are farthest from those of attributes.

    Parameters
    ----------
    start : dict of str to ndarray
        Weights of the linear path; returned as it is where there is nothing to turn.
    rows : ndarray of shape (n, p)
        Standardised rows.
    labels : ndarray of shape (n, m)
        Standardised values, or numbers of levels; NaN where unknown.
    weight : ndarray of shape (n,)
    objective : core.SupervisedFactorVAE
        Says which latents are whose.
    """
    encoder, decoder = (start.get(f"{role}.linear.weight") for role in ROLES)
    if encoder is None or not encoder.any():
        return start
    used = np.flatnonzero(encoder.any(axis=0))
    codes = rows @ encoder[:, used]
    directions, places = [], []
    for j, (first, width) in enumerate(
        zip(objective.starts, objective.widths, strict=True)
    ):
        found = _predictive(codes, labels[:, j], weight, objective.levels[j])[:width]
        directions += list(found)
        places += range(first, first + len(found))
    sizes = len(used), encoder.shape[1], sum(objective.widths)
    turn, places = _completed(directions, places, *sizes)
    new_encoder, new_decoder = np.zeros_like(encoder), np.zeros_like(decoder)
    new_encoder[:, places] = encoder[:, used] @ turn.T
    new_decoder[places] = turn @ decoder[used]
    return dict(zip(start, (new_encoder, new_decoder), strict=True))


ROLES = ("encoder", "decoder")

RIDGE = 1.0
"""Added to the Gram matrix of white codes, in rows."""


def _predictive(codes, labels, weight, n_levels):
    """Return orthonormal directions of codes that predict an attribute, best first."""
    is_known = ~np.isnan(labels)
    share = weight[is_known] / weight[is_known].max()
    x = codes[is_known].astype(np.float64)
    y = labels[is_known, None]
    if n_levels > 2:
        y = np.eye(n_levels)[labels[is_known].astype(int)]
    centre = share / share.sum()
    x, y = x - centre @ x, y - centre @ y
    gram = (x * share[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
    slope = np.linalg.solve(gram, (x * share[:, None]).T @ y)  # (r, c)
    left, size, right = np.linalg.svd(slope, full_matrices=False)
    found = left.T[size > 1e-6 * size.max()] if size.max() > 0 else left.T[:0]
    if n_levels <= 2:
        found = found * np.sign(right[0, 0])
    return found


def _completed(directions, places, n_codes, n_components, n_own):
    """Return an orthogonal matrix that begins with directions, and rows' latents."""
    basis: list[np.ndarray] = []
    kept: list[int] = []
    for direction, place in zip(directions, places, strict=True):
        rest = direction - sum((b @ direction) * b for b in basis)
        if np.linalg.norm(rest) > 0.3 and len(basis) < n_codes:
            basis.append(rest / np.linalg.norm(rest))
            kept.append(place)
    covered = sum((b**2 for b in basis), np.zeros(n_codes))
    free = [*range(n_own, n_components), *(k for k in range(n_own) if k not in kept)]
    for axis in np.argsort(covered, kind="stable"):
        unit = np.eye(n_codes)[axis]
        rest = unit - sum((b @ unit) * b for b in basis)
        if np.linalg.norm(rest) > 1e-6 and len(basis) < n_codes:
            basis.append(rest / np.linalg.norm(rest))
    return np.array(basis), np.array(kept + free[: n_codes - len(kept)], dtype=int)


def check_widths(sizes, targets, n_components: int) -> tuple[int, ...]:
    """Return the number of components of each attribute, sensitive ones first."""
    attributes = targets.attributes
    if isinstance(sizes, numbers.Integral):
        widths = tuple(
            max(a.n_levels - 1, 1) if a.is_sensitive and a.n_levels else int(sizes)
            for a in attributes
        )
    else:
        given = check_sizes("components_per_attribute", sizes)
        if len(given) != len(attributes):
            raise ValueError(
                f"components_per_attribute={given} must hold one number for each of "
                f"the {len(attributes)} columns of y, or be one number."
            )
        widths = tuple(given[a.column] for a in attributes)
    n_own = sum(widths[targets.n_hidden :])
    if n_own > n_components:
        raise ValueError(
            f"The attributes of y take {n_own} components, but n_components="
            f"{n_components}. Raise n_components; what is above {n_own} is for all "
            "that no attribute says."
        )
    return widths


def what_is_known(targets, objective) -> dict:
    """Return what a fitted estimator remembers of attributes, in the order of y."""
    place = np.argsort([a.column for a in targets.attributes])
    ordered = [targets.attributes[j] for j in place]
    blocks = [
        np.arange(width) + first - objective.n_hidden_components
        for first, width in zip(objective.starts, objective.widths, strict=True)
    ]
    return {
        "attribute_names_": tuple(a.name for a in ordered),
        "attribute_levels_": tuple(a.levels for a in ordered),
        "attribute_components_": tuple(blocks[j][blocks[j] >= 0] for j in place),
        "_attribute_places": tuple(int(j) for j in place),
        "_attribute_scales": tuple(
            (targets.means[j], targets.scales[j]) for j in place
        ),
    }

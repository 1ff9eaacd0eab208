"""Labels of samples: how they are read, and how a fit learns them.

Axes: ``n`` samples, ``m`` attributes. A label that is unknown is NaN, or None among
objects. Everything depends only on the distinct samples of positive weight, and on
neither their order nor their repetition, so that an integer weight equals repetition.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import (
    CONTINUOUS,
    DISCRETE,
    MANY_LEVELS,
    OTHER,
    TEXT,
    TIME,
    Column,
    columns,
    read_column,
)
from ._preparation import canonical_rows, column_moments
from ._validation import check_sizes

KINDS = ("auto", DISCRETE, CONTINUOUS)


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
        Indices of levels, or values, in float64; NaN where unknown.
    levels : ndarray of shape (n_levels,) or None
        The levels in order; None for a continuous attribute.
    is_sensitive : bool
        Whether it is to be removed from all components that ``transform`` returns.
    """

    name: str
    column: int
    labels: np.ndarray
    levels: np.ndarray | None
    is_sensitive: bool

    @property
    def n_levels(self) -> int:
        """Number of levels; zero for a continuous attribute."""
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
        """Number of levels of each attribute; zero for a continuous one."""
        return tuple(a.n_levels for a in self.attributes)

    @property
    def levels(self) -> tuple[Any, ...]:
        """Levels of each attribute as plain values; None for a continuous one."""
        levels = (a.levels for a in self.attributes)
        return tuple(v if v is None else tuple(v.tolist()) for v in levels)

    @property
    def n_hidden(self) -> int:
        """Number of sensitive attributes."""
        return sum(a.is_sensitive for a in self.attributes)


# ------------------------------------------------------------------------ reading
def read_labels(X: np.ndarray, y: Any, weight: np.ndarray, kinds: Any, sensitive: Any):
    """Return the attributes in the columns of y, sensitive ones first.

    Whether a column is discrete is decided by its values at the distinct samples of
    positive weight, by the rule of the metrics (:meth:`Column.kind`). Neither weights
    nor repeated samples change the answer.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Tells distinct samples, together with y.
    y : array-like or frame of shape (n,) or (n, m)
    weight : ndarray of shape (n,)
        Labels of samples of no weight are unknown.
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
    raw, names = columns(y, "y")
    if len(raw[0]) != len(weight):
        raise ValueError(
            f"y has {len(raw[0])} rows and X has {len(weight)}; both need one "
            "row per sample, in the same order. Write NaN for a label that is unknown."
        )
    asked = _kinds(kinds, len(raw))
    chosen = _chosen(sensitive, names)
    present = np.flatnonzero(weight > 0)
    found = [
        _labels(name, column, present) for name, column in zip(names, raw, strict=True)
    ]
    if "auto" in asked:
        table = beside(X[present], [column.values for column in found])
        distinct = canonical_rows(table, weight[present])[0]
        asked = [
            column.kind(distinct) if kind == "auto" else kind
            for column, kind in zip(found, asked, strict=True)
        ]
    attributes = []
    for j, (name, column, kind) in enumerate(zip(names, found, asked, strict=True)):
        values = np.full(len(weight), np.nan)
        values[present], levels = _values(name, column, kind)
        attributes.append(Attribute(name, j, values, levels, j in chosen))
    return tuple(sorted(attributes, key=lambda a: not a.is_sensitive))


def _kinds(kinds: Any, n_attributes: int) -> list[str]:
    asked = [kinds] * n_attributes if isinstance(kinds, str) else list(kinds)
    if len(asked) != n_attributes or not set(asked) <= set(KINDS):
        raise ValueError(
            f"attribute_types must be one of {KINDS}, or hold one of them for each of "
            f"the {n_attributes} columns of y; got {kinds!r}."
        )
    return asked


def _chosen(sensitive: Any, names: tuple[str, ...]) -> set[int]:
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


def _labels(name: str, raw: Any, present: np.ndarray) -> Column:
    """Return the labels of the samples that count, if a model can learn them."""
    column = read_column(raw, f"Attribute {name!r} of y", present)
    known = column.values[~np.isnan(column.values)]
    if not len(known):
        raise ValueError(
            f"Attribute {name!r} of y has no label: every entry is NaN, None or of no "
            "weight. Label some samples, or leave the column out."
        )
    if column.content in (TIME, OTHER):
        what = "dates or durations" if column.content == TIME else "objects"
        raise ValueError(
            f"Attribute {name!r} of y must hold numbers, or booleans, or strings, all "
            "of one kind, and NaN or None for what is unknown; got "
            f"{what} such as {_first(raw, present)!r}. Convert them to one kind."
        )
    if np.isinf(known).any():
        raise ValueError(
            f"Attribute {name!r} of y holds infinity. Write NaN for what is unknown."
        )
    levels = column.as_levels()[1]
    if len(levels) < 2:
        raise ValueError(
            f"Attribute {name!r} of y has one level or value, {levels[0]!r}, on all "
            f"{len(known)} samples that are labelled; at least two are needed. Label "
            "others, or leave the column out."
        )
    if column.content == TEXT:
        _check_texts(name, levels)
    return column


def _first(raw: Any, present: np.ndarray) -> Any:
    return next(v for v in np.asarray(raw, dtype=object)[present] if v is not None)


def _check_texts(name: str, texts: np.ndarray) -> None:
    """Refuse strings that numpy has made of numbers."""
    texts = texts.astype(str)
    is_number = len(texts) > MANY_LEVELS and all(map(_reads_as_number, texts))
    if is_number or "nan" in texts:
        example = "nan" if "nan" in texts else str(texts[0])
        raise ValueError(
            f"Attribute {name!r} of y holds numbers, or NaN, as strings, such as "
            f"{example!r}; numpy converts numbers to strings in an array that also "
            "holds strings. Pass y as a pandas DataFrame, or with dtype=object, "
            "numbers as numbers, and NaN or None for what is unknown."
        )


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values(name: str, column: Column, kind: str):
    """Return an attribute's labels as float64, and its levels if it is discrete."""
    if kind == DISCRETE:
        return column.as_levels()
    values = column.as_numbers()
    if values is None:
        raise ValueError(
            f"Attribute {name!r} of y holds {column.as_levels()[1][0]!r}, ..., which "
            "are not numbers, so its type cannot be 'continuous'. Use 'auto' or "
            "'discrete', or convert the column to numbers."
        )
    return values, None


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
    table = beside(X, [attribute.labels for attribute in attributes])
    canonical = canonical_rows(table, weight)
    return canonical, make_targets(attributes, *canonical, scales)


def beside(X: np.ndarray, labels: list[np.ndarray]) -> np.ndarray:
    """Return X with columns of labels appended as ranks, to tell samples by both.

    Ranks have no unit.
    """
    return np.hstack([X, *(_ranks(column)[:, None] for column in labels)])


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

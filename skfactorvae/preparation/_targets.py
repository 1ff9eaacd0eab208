"""Training targets from attributes: values, marginals, and components of each.

Axes: ``n`` samples, ``m`` attributes, ``p`` features, ``d`` components.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import core
from .._validation import check_sizes
from ._initialization import LinearStart
from ._labels import Attribute
from ._scaling import column_moments

RIDGE = 1.0
"""Added to the Gram matrix of white codes, in samples."""

MIN_RESIDUAL = 0.3
"""Norm of the residual of a direction, given earlier ones, at which it is dropped."""


@dataclass(frozen=True)
class Targets:
    """Training targets beside the samples; sensitive attributes come first.

    Attributes
    ----------
    labels : ndarray of shape (n, m)
        Indices of levels, or standardised values; NaN where unknown.
    marginals : tuple of m tuples of c float
        Probabilities of the levels, or mean and variance; padded with zeros.
    means, scales : tuple of m float
        Offset and scale of the values; zero and one for levels.
    attributes : tuple of m Attribute
    """

    labels: np.ndarray
    marginals: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    attributes: tuple[Attribute, ...]

    def of(self, index: np.ndarray) -> np.ndarray:
        """Return the targets of the samples at ``index``, (k, m).

        Raises
        ------
        ValueError
            If an attribute has no label on them.
        """
        values = self.labels[index]
        for attribute, column in zip(self.attributes, values.T, strict=True):
            if np.isnan(column).all():
                raise ValueError(
                    f"All samples with a label of attribute {attribute.name!r} of y "
                    "are held out for early stopping. Lower validation_fraction, set "
                    "early_stopping=False, or label more samples."
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


def make_targets(attributes, index, weight, scales=None) -> Targets | None:
    """Compute training targets; moments and marginals are those of weighted samples.

    Parameters
    ----------
    attributes : tuple of m Attribute
    index : ndarray of shape (k,)
        Distinct samples in canonical order.
    weight : ndarray of shape (k,)
        Their weights.
    scales : sequence of (mean, scale) by column of y, or None
        Those of an earlier fit that is continued; None computes them.

    Returns
    -------
    Targets or None
        None without attributes.
    """
    if not attributes:
        return None
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
    """Return an attribute's training values, marginal, mean and scale."""
    is_known = ~np.isnan(attribute.labels[index])
    labelled, weight = index[is_known], weight[is_known]
    if attribute.levels is not None:
        level = attribute.labels[labelled].astype(int)
        mass = np.bincount(level, weights=weight, minlength=attribute.n_levels)
        if not mass.all():  # in a fit that is continued: one more sample of all levels
            mass += weight.mean() / attribute.n_levels
        return attribute.labels, tuple(map(float, mass / mass.sum())), 0.0, 1.0
    column = attribute.labels[:, None]
    mean, std = (float(m[0]) for m in column_moments(column, labelled, weight))
    if kept is None:
        if not std > 0:
            raise ValueError(
                f"Attribute {attribute.name!r} of y is constant up to rounding. "
                "Rescale it, or leave the column out."
            )
        return (attribute.labels - mean) / std, (0.0, 1.0), mean, std
    centre, unit = kept
    varies = std > 0
    marginal = ((mean - centre) / unit, (std / unit) ** 2) if varies else (0.0, 1.0)
    return (attribute.labels - centre) / unit, marginal, centre, unit


# -------------------------------------------------------------- initial directions
def align_start(start: LinearStart, rows, labels, weight, objective) -> LinearStart:
    """Rotate a linear start so that attributes begin in components of their own.

    The codes of the start are white. Each attribute takes the directions in which they
    predict it best by least squares; the remaining components take the orthogonal
    complement, beginning with the directions farthest from those of attributes.

    Parameters
    ----------
    start : LinearStart
        Returned as it is where its encoder is zero.
    rows : ndarray of shape (n, p)
        Standardised samples.
    labels : ndarray of shape (n, m)
        Standardised values, or indices of levels; NaN where unknown.
    weight : ndarray of shape (n,)
    objective : core.SupervisedFactorVAE
        Assigns components to attributes.
    """
    encoder, decoder = start.encoder, start.decoder
    if not encoder.any():
        return start
    used = np.flatnonzero(encoder.any(axis=0))
    codes = rows @ encoder[:, used]
    directions: list[np.ndarray] = []
    places: list[int] = []
    for j, (first, width) in enumerate(
        zip(objective.blocks.starts, objective.widths, strict=True)
    ):
        found = _predictive(codes, labels[:, j], weight, objective.levels[j])[:width]
        directions += list(found)
        places += range(first, first + len(found))
    sizes = len(used), encoder.shape[1], sum(objective.widths)
    rotation, axes = _completed(directions, places, *sizes)
    new_encoder, new_decoder = np.zeros_like(encoder), np.zeros_like(decoder)
    new_encoder[:, axes] = encoder[:, used] @ rotation.T
    new_decoder[axes] = rotation @ decoder[used]
    return replace(start, encoder=new_encoder, decoder=new_decoder)


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
    """Complete directions to an orthogonal matrix; return it and the components.

    Parameters
    ----------
    directions : list of ndarray of shape (r,)
    places : list of int
        Component of each direction.
    n_codes, n_components, n_own : int
        Directions in all, r; components, d; components of attributes.
    """
    basis: list[np.ndarray] = []
    kept: list[int] = []
    for direction, place in zip(directions, places, strict=True):
        rest = direction - sum((b @ direction) * b for b in basis)
        if np.linalg.norm(rest) > MIN_RESIDUAL and len(basis) < n_codes:
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


# ------------------------------------------------------------ components of each
def check_widths(sizes, targets, n_components: int) -> tuple[int, ...]:
    """Return the number of components of each attribute, sensitive ones first.

    Parameters
    ----------
    sizes : int or sequence of int
        The number for all attributes, or one for each column of y.
    targets : Targets
    n_components : int

    Raises
    ------
    ValueError
        If there is not one number for each column, or more components are asked for
        than there are.
    """
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
            f"{n_components}. Raise n_components: components above {n_own} represent "
            "what no attribute explains."
        )
    return widths


def fitted_attributes(targets: Targets | None, objective) -> dict:
    """Return the fitted estimator's attributes on the columns of y, in their order.

    Parameters
    ----------
    targets : Targets or None
    objective : core.SupervisedFactorVAE or core.AuxiliaryVAE

    Returns
    -------
    dict
        By name; empty without targets.
    """
    if targets is None:
        return {}
    if isinstance(objective, core.AuxiliaryVAE):
        return {"_condition_shares": np.array(targets.marginals[0])}
    place = np.argsort([a.column for a in targets.attributes])
    ordered = [targets.attributes[j] for j in place]
    blocks = [
        np.arange(width) + first - objective.readout.n_hidden_components
        for first, width in zip(objective.blocks.starts, objective.widths, strict=True)
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

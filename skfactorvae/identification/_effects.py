"""Effects of several conditions on codes, each within levels of the others.

Axes: ``n`` samples, ``d`` components, ``m`` columns of conditions, ``K`` levels of one
column, ``q`` levels of all other columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._joint_diagonalisation import (
    ConditionEffects,
    ConditionTable,
    checked_codes,
    known_rows,
    read_columns,
    refuse_times,
)

MIN_SAMPLES = 10
"""Samples of a level, at least."""

LEAST_VARIANCE = 1e-12
"""Smallest variance of a level, as a share of that of all samples."""

N_SCALINGS, TOLERANCE = 200, 1e-8
"""Rounds in which spreads are estimated, at most, and the change that ends them."""


def condition_effects(
    Z: Any, aux: Any, *, n_permutations: int = 199, random_state: Any = 0
) -> ConditionEffects:
    r"""Estimate how components vary with several conditions at once.

    For designs in which some conditions are of interest, such as a dose, and others are
    not, such as a site. The effect of each condition is that within levels of the
    others, so that conditions may be unbalanced: the model of component j at levels
    k(1), ..., k(m) is

    .. math:: z_j = \mu_j + \sum_c a_{c,k(c),j}
        + \sigma_j \prod_c b_{c,k(c),j}\, \varepsilon

    Shifts a are estimated by least squares, and spreads b by normal maximum likelihood
    of the residuals. Interactions of conditions are not part of the model; those of
    means add to the spreads.

    Not to be confused with ``align_codes``, which finds components; this describes
    given ones. Fit ``AuxiliaryVAETransformer`` to the same columns first, or rotate:
    components that no condition identifies are mixtures, which vary with all of them.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes of a model, or any columns.
    aux : array-like or frame of shape (n_samples, n_columns) or (n_samples,)
        Conditions of the samples, one in each column: numbers, strings, booleans or
        categories. Continuous columns are cut into at most 20 intervals of equally many
        samples. Samples of which a condition is missing (NaN or None) are left out.
    n_permutations : int, default=199
        Permutations of each condition among samples with the same levels of the others;
        at least 99. The test takes samples as independent: give one sample of each
        specimen, or means of its samples.
    random_state : int, RandomState instance or None, default=0
        Seed of the permutations.

    Returns
    -------
    effects : ConditionEffects
        Shifts, spreads, information and p of each condition and component.

    Raises
    ------
    ValueError
        If Z or aux cannot be used, aux holds dates, a level has fewer than ten samples,
        or a condition is determined by the others, so that their effects cannot be
        distinguished.

    References
    ----------
    Anderson, M. J. & ter Braak, C. (2003). "Permutation tests for multi-factorial
    analysis of variance." J. Stat. Comput. Simul. 73, for permutations within levels.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.identification import condition_effects
    >>> rng = np.random.RandomState(0)
    >>> aux = np.column_stack([np.arange(400) % 4, np.arange(400) // 4 % 2])
    >>> Z = rng.normal(size=(400, 2)) + aux
    >>> condition_effects(Z, aux).varies(1).tolist()
    [False, True]
    """
    codes = checked_codes(Z)
    if not isinstance(n_permutations, Integral) or n_permutations < 99:
        raise ValueError(
            "n_permutations must be an integer of at least 99, so that p can be below "
            f"0.01; got {n_permutations!r}."
        )
    found, names = read_columns(aux, len(codes))
    refuse_times(found, names)
    known = np.flatnonzero(known_rows(found))
    table = ConditionTable.of(found, names, known)
    pairs = zip(table.columns, found, strict=True)
    numbers = [own.level_of(column)[known].astype(int) for own, column in pairs]
    design = _Design(numbers, names, [c.names for c in table.columns])
    design.check()
    kept = codes[known]
    kept[:, np.ptp(kept, axis=0) == 0] = 0.0  # a constant, without rounding of its mean
    spreads = _scaled_spreads(design, design.residuals(kept))
    rng = check_random_state(random_state)
    tested = [
        _tested(design, m, kept, spreads, n_permutations, rng)
        for m in range(len(numbers))
    ]
    return ConditionEffects(
        table=table,
        shift=tuple(design.shifts(kept)),
        spread=tuple(np.sqrt(s) for s in spreads),
        information=np.stack([information for information, _ in tested]),
        p_value=np.stack([p for _, p in tested]),
    )


class _Design:
    """Indicators of levels of all conditions.

    Parameters
    ----------
    numbers : sequence of m ndarrays of int, each of shape (n,)
        Level of each sample.
    names : sequence of m str
    labels : sequence of m sequences of str
        Names of the levels.
    """

    def __init__(self, numbers: Sequence[np.ndarray], names, labels):
        self.numbers, self.names, self.labels = numbers, names, labels
        self.n_levels = [len(own) for own in labels]
        self.indicators = [
            np.equal.outer(number, np.arange(k)).astype(np.float64)  # (n, K)
            for number, k in zip(numbers, self.n_levels, strict=True)
        ]

    def check(self) -> None:
        """Raise if effects cannot be estimated.

        Raises
        ------
        ValueError
        """
        for m, name in enumerate(self.names):
            self._check_levels(m, name)
        for m, name in enumerate(self.names):
            others = self.others(m)
            both = np.column_stack([others, self.indicators[m]])
            gained = np.linalg.matrix_rank(both) - np.linalg.matrix_rank(others)
            if gained < self.n_levels[m] - 1 or not self._varies_within_others(m):
                rest = [other for other in self.names if other != name]
                raise ValueError(
                    f"Column {name!r} of aux is determined, at least in part, by "
                    f"{' and '.join(map(repr, rest))}, so that their effects cannot be "
                    "distinguished. Expected samples of several levels of it within "
                    "levels of the others. Leave one of the columns out."
                )

    def _check_levels(self, m: int, name: str) -> None:
        sizes = self.indicators[m].sum(axis=0).astype(int)
        if len(sizes) < 2:
            raise ValueError(
                f"Column {name!r} of aux has one level, {self.labels[m][0]}; expected "
                "at least two. Leave it out."
            )
        if (sizes < MIN_SAMPLES).any():
            k = int(sizes.argmin())
            raise ValueError(
                f"Column {name!r} of aux has {sizes[k]} samples at level "
                f"{self.labels[m][k]}; expected at least {MIN_SAMPLES} at each level. "
                "Join levels, or write NaN or None for the level of these samples, "
                "which are then left out."
            )

    def _varies_within_others(self, m: int) -> bool:
        strata, number = self.strata(m), self.numbers[m]
        pairs = np.unique(np.column_stack([strata, number]), axis=0)
        return len(pairs) > strata.max() + 1

    def others(self, m: int) -> np.ndarray:
        """Return an intercept and the indicators of all columns but one, (n, 1 + q)."""
        rest = [own for c, own in enumerate(self.indicators) if c != m]
        return np.column_stack([np.ones(len(self.numbers[m])), *rest])

    def strata(self, m: int) -> np.ndarray:
        """Return the number of each sample's levels of all columns but one, (n,)."""
        rest = [own for c, own in enumerate(self.numbers) if c != m]
        if not rest:
            return np.zeros(len(self.numbers[m]), dtype=int)
        _, strata = np.unique(np.column_stack(rest), axis=0, return_inverse=True)
        return np.ravel(strata)

    def shifts(self, codes: np.ndarray) -> list[np.ndarray]:
        """Return the shifts of codes (n, d) at the levels of each column, (K, d)."""
        full = np.column_stack([np.ones(len(codes)), *self.indicators])
        centred = codes - codes.mean(axis=0)
        weights = np.linalg.pinv(full.T @ full) @ (full.T @ centred)
        parts = np.split(weights[1:], np.cumsum(self.n_levels)[:-1])
        pairs = zip(parts, self.indicators, strict=True)
        return [part - own.mean(axis=0) @ part for part, own in pairs]

    def residuals(self, codes: np.ndarray) -> np.ndarray:
        """Return codes (n, d) without their mean and all shifts."""
        shifts = zip(self.indicators, self.shifts(codes), strict=True)
        return codes - codes.mean(axis=0) - sum(own @ shift for own, shift in shifts)


def _scaled_spreads(design: _Design, residuals: np.ndarray) -> list[np.ndarray]:
    """Return the ratio of the variance at each level to that of all, (K, d) each.

    The maximum of the normal likelihood, by scaling to the variances of the levels of
    one column after another.
    """
    squares = np.square(residuals)
    shares = [own.mean(axis=0) for own in design.indicators]
    factors = [np.ones((k, squares.shape[1])) for k in design.n_levels]
    for _ in range(N_SCALINGS):
        before = [factor.copy() for factor in factors]
        for m, own in enumerate(design.indicators):
            scaled = squares / _product(design, factors, m)
            factors[m] = _variances(own, scaled, shares[m])
        pairs = zip(factors, before, strict=True)
        change = max(np.abs(a / b - 1).max() for a, b in pairs)
        if change < TOLERANCE:
            break
    return factors


def _product(design: _Design, factors: list[np.ndarray], left_out: int) -> np.ndarray:
    """Return the product of all columns' factors but one for each sample, (n, d)."""
    product = np.ones((len(design.numbers[0]), factors[0].shape[1]))
    for m, number in enumerate(design.numbers):
        if m != left_out:
            product *= factors[m][number]
    return product


def _variances(indicators, squares, shares) -> np.ndarray:
    """Return the mean square at each level, as a ratio to that of all, (K, d).

    It is one for a component that does not vary.
    """
    variances = (indicators.T @ squares) / (len(squares) * shares[:, None])
    total = shares @ variances
    varies = total > np.finfo(float).tiny
    ratios = variances / np.where(varies, total, 1.0)
    return np.where(varies, np.maximum(ratios, LEAST_VARIANCE), 1.0)


def _tested(design: _Design, m: int, codes, spreads, n_permutations: int, rng):
    """Return information (d,) and p (d,) of one column of conditions."""
    others = design.others(m)
    inverse = np.linalg.pinv(others.T @ others)
    left = codes - others @ (inverse @ (others.T @ codes))  # (n, d)
    scaled = np.square(design.residuals(codes)) / _product(design, spreads, m)

    def information(indicators):
        cross = indicators.T @ others  # (K, 1 + q)
        sizes = indicators.sum(axis=0)
        inner = np.diag(sizes) - cross @ inverse @ cross.T
        sums = indicators.T @ left  # (K, d)
        explained = np.einsum("kj,kl,lj->j", sums, np.linalg.pinv(inner), sums)
        total = np.maximum(np.square(left).sum(axis=0), np.finfo(float).tiny)
        of_shift = -0.5 * np.log1p(-np.clip(explained / total, 0, 1 - 1e-12))
        shares = sizes / len(indicators)
        of_spread = -0.5 * shares @ np.log(_variances(indicators, scaled, shares))
        return of_shift + of_spread

    strata = design.strata(m)
    place = np.argsort(strata, kind="stable")
    observed = information(design.indicators[m])
    permuted = np.empty((n_permutations, codes.shape[1]))
    for k in range(n_permutations):
        source = np.lexsort((rng.random_sample(len(strata)), strata))
        shuffled = np.empty_like(design.indicators[m])
        shuffled[place] = design.indicators[m][source]
        permuted[k] = information(shuffled)
    n_as_large = (permuted.max(axis=1)[:, None] >= observed).sum(axis=0)
    expected = np.maximum(observed - permuted.mean(axis=0), 0)
    return expected, (1 + n_as_large) / (1 + n_permutations)

r"""Molecule counts of single cells with four factors: batch, path, step and depth."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state

from ._base import (
    Factor,
    check_option,
    check_parameters,
    deliver,
    levels,
    numbered,
    take_factors,
    uniform,
)

_STEPS = ("linear", "nonlinear")

_MOST = 1e15
"""Largest expected count of a gene; float64 represents all integers up to here."""


def _cell_factors(n_genes):
    """Return the factors; the depth is proportional to the number of genes."""

    def draw_depth(rng, n):
        return 6.0 * n_genes * rng.lognormal(0.0, 0.2, n)

    return (
        levels("batch", 2),
        levels("path", 2),
        uniform("step", 0.0, 1.0),
        Factor("depth", 0.0, np.inf, draw_depth),
    )


def make_cell_counts(
    n_samples=1000,
    n_features=500,
    *,
    steps="linear",
    noise=0.3,
    factors=None,
    as_frame=False,
    return_bunch=False,
    random_state=None,
):
    r"""Make molecule counts of single cells from two batches, maturing along two paths.

    With :math:`m_g` the abundance of gene :math:`g`, :math:`B_{bg}` and :math:`P_{pg}`
    the effects of batch :math:`b` and path :math:`p`, :math:`D_g` the fold change at
    the end of either path, and :math:`h_g(t)` the share of it that a cell has reached
    at step :math:`t`,

    .. math::
        e_g = m_g\, B_{bg}\, P_{pg}\, D_g^{h_g(t)}, \qquad
        \mu_g = L\, \frac{e_g}{\sum_{g'} e_{g'}}, \qquad
        x_g \sim \mathrm{NB}(\mu_g),
        \quad \operatorname{Var} x_g = \mu_g + \text{noise}^2 \mu_g^2

    ========= =========== ======================================= ==================
    factor    symbol      distribution                            unit
    ========= =========== ======================================= ==================
    ``batch`` :math:`b`   0 or 1, equally likely                  of the laboratory
    ``path``  :math:`p`   0 or 1, equally likely                  of the two fates
    ``step``  :math:`t`   uniform on [0, 1]                       of a path's length
    ``depth`` :math:`L`   log-normal, median 6 `n_features`,      expected molecules
                          std 0.2 of its logarithm
    ========= =========== ======================================= ==================

    The genes: :math:`m_g` is gamma of shape 0.6 and :math:`B_{bg}` log-normal (0.1,
    0.1). :math:`P_{pg}` is one, or for a random tenth of the genes log-normal (0.1,
    0.4), inverted with probability one half; :math:`D_g` the same for a random fifth.
    With ``steps="linear"``, :math:`h_g(t) = t`; with "nonlinear",
    :math:`h_g(t) = t + c_g \sin(\pi t)` with :math:`c_g` uniform on [-1, 1]: genes
    change early, late, or overshoot.

    Distributions and values are those of Splat [1]_, whose batch, path, step and
    library size are also the known variables of [2]_. Differences: in Splat, paths
    start from one point, and the step changes different genes on each path; here paths
    differ from the start and the step changes the same genes, so that each factor has a
    direction of its own. A change is interpolated in its logarithm, without Brownian
    motion; the dispersion is one number for all genes and does not decrease with
    abundance; there are no genes of outlying abundance and no dropouts.

    All factors can be recovered from logarithms of counts: there batch, path and linear
    steps are additive, and depth is the sum of all. Dividing each cell by its sum
    removes most of the depth. Nonlinear steps form a curve, which no linear method
    represents by one component.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of cells, at least 1. Ignored when `factors` is given.

    n_features : int, default=500
        Number of genes, at least 2.

    steps : {"linear", "nonlinear"}, default="linear"
        Whether genes change in proportion to the step.

    noise : float, default=0.3
        Coefficient of variation of a gene's abundance between cells of equal factors,
        >= 0, in addition to Poisson noise. With 0 the counts are Poisson, and still
        random.

    factors : array-like of shape (n, 4), default=None
        Factor values within the ranges above, instead of random ones. Any depth
        >= 0 is allowed.
        Columns of a data frame are taken by name.

    as_frame : bool, default=False
        If True, `X` and the factors are pandas DataFrames with named columns.

    return_bunch : bool, default=False
        If True, return a :class:`~sklearn.utils.Bunch` instead of a tuple. It includes
        the expected counts.

    random_state : int, RandomState instance or None, default=None
        Determines the genes, the factors and the counts, in this order. With an int,
        calls that differ in `n_samples`, `steps` or `noise` only have the same genes.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64
        Counts, one row per cell. For models of continuous values take logarithms, such
        as ``np.log1p(X)``.

    factors : ndarray of shape (n_samples, 4), dtype float64
        Columns batch, path, step, depth.

    bunch : :class:`~sklearn.utils.Bunch`
        Returned in place of both if `return_bunch`: `data`, `factors`,
        `feature_names`, `factor_names`, `factor_ranges` of shape (4, 2),
        `discrete_factors` (boolean, shape (4,): batch and path are True) and
        `expected`, the :math:`\mu_g`, of shape (n_samples, n_features).

    References
    ----------
    .. [1] Zappia, Phipson & Oshlack (2017), "Splatter: simulation of single-cell RNA
       sequencing data", Genome Biology 18, 174.
    .. [2] Yu & Welch (2021), "MichiGAN: sampling from disentangled representations of
       single-cell data using generative adversarial networks", Genome Biology 22, 158.

    Examples
    --------
    >>> from skfactorvae.datasets import make_cell_counts
    >>> X, factors = make_cell_counts(n_samples=200, random_state=0)
    >>> X.shape, factors.shape
    ((200, 500), (200, 4))
    >>> bool((X == X.astype(int)).all())  # whole molecules
    True
    """
    check_parameters(n_samples=n_samples, n_features=n_features, noise=noise)
    check_option("steps", steps, _STEPS)
    rng = check_random_state(random_state)
    genes = _draw_genes(rng, n_features)
    spec = _cell_factors(n_features)
    factors = take_factors(spec, factors, n_samples, rng)
    expected = _expected_counts(factors, genes, nonlinear=steps == "nonlinear")
    return deliver(
        _count(expected, noise, rng),
        factors,
        spec,
        feature_names=numbered("gene", n_features),
        as_frame=as_frame,
        return_bunch=return_bunch,
        expected=expected,
    )


def _draw_genes(rng, n):
    """Return random parameters of the genes: arrays whose last axis has length n."""
    return {
        # the small constant keeps the sum positive for any draw
        "log_abundance": np.log(rng.gamma(0.6, size=n) + 1e-12),
        "log_batch": rng.normal(0.1, 0.1, (2, n)),
        "log_path": _log_change(rng, (2, n), 0.1),
        "log_step": _log_change(rng, n, 0.2),
        "bend": rng.uniform(-1, 1, n),
    }


def _log_change(rng, shape, share):
    """Return log fold changes; zero except for a random share of the genes."""
    changed = rng.uniform(size=shape) < share
    return changed * rng.choice([-1.0, 1.0], shape) * rng.normal(0.1, 0.4, shape)


def _expected_counts(factors, genes, *, nonlinear):
    """Return the expected counts of shape (n_samples, n_features)."""
    batch, path = factors[:, :2].astype(np.int64).T
    step, depth = factors[:, 2:3], factors[:, 3:]
    curve = nonlinear * genes["bend"] * np.sin(np.pi * step)
    share = step + curve  # of the fold change
    logs = genes["log_abundance"] + genes["log_batch"][batch] + genes["log_path"][path]
    expression = np.exp(logs + share * genes["log_step"])
    return depth * expression / expression.sum(axis=1, keepdims=True)


def _count(expected, noise, rng):
    """Draw Poisson counts whose means vary between cells (negative binomial)."""
    abundance = expected
    if noise > 1e-6:  # less is negligible beside Poisson noise, and overflows
        variance = noise * noise  # which may be infinite; noise**2 would raise
        with np.errstate(invalid="ignore"):
            abundance = expected * rng.gamma(1 / variance, variance, expected.shape)
    most = np.nan_to_num(abundance, nan=np.inf).max()
    if most > _MOST:
        raise ValueError(
            f"Expected counts must be at most {_MOST:g}; got {most:.3g} molecules of a "
            "gene in one cell. Lower the depth or noise."
        )
    return rng.poisson(abundance).astype(np.float64)

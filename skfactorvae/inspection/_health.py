"""Marks of the health of a fit, from its training record and held-out scores."""

from __future__ import annotations

from typing import NamedTuple

from .._health import check_fit
from ._reading import read


class Mark(NamedTuple):
    """Result of one check.

    Attributes
    ----------
    name : str
        What was checked: "training", "convergence", "components", "generalisation",
        "likelihood", "reconstruction", "discriminator" or "batch_size".
    is_well : bool
        False where something should be done.
    message : str
        What was found and, where there is something to do, what.
    level : {"warning", "note", "fine"}
        "warning" where ``is_well`` is False; "note" for what can be tried, or watched.
    """

    name: str
    is_well: bool
    message: str
    level: str


def health_marks(estimator):
    """Check the training record and the held-out scores of a fitted estimator.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted, with ``history_``.

    Returns
    -------
    marks : list of (name, is_well, message, level)
        Named tuples, one for each check that applies: whether training ran to its end
        (``"training"``), whether the reconstruction still falls (``"convergence"``),
        whether components are active (``"components"``), what the discriminator
        separates at the end (``"discriminator"``), and whether batches were large
        enough (``"batch_size"``). Where the weight decay was chosen on held-out
        samples (``held_out_``): whether their score is near that of the training
        samples (``"generalisation"``) and at least that of FactorAnalysis
        (``"likelihood"``), and whether they are reconstructed at least as well as by
        one principal component (``"reconstruction"``). Marks describe the fit, not
        whether components are the true factors.

    Raises
    ------
    TypeError
        If no part of the estimator has a training record.

    See Also
    --------
    skfactorvae.model_selection.latent_report : The same checks, and more that need
        samples.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import health_marks
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> [mark.name for mark in health_marks(vae)]
    ['training', 'convergence', 'components', 'discriminator']
    """
    return [
        Mark(
            verdict.name,
            verdict.level != "warning",
            f"{verdict.message} {verdict.advice}".rstrip(),
            verdict.level,
        )
        for verdict in check_fit(recorded(estimator))
    ]


def recorded(estimator):
    """Return the model in an estimator that has a training record."""
    model = read(estimator).model
    if not hasattr(model, "history_"):
        raise TypeError(
            f"{type(model).__name__} has no training record: expected a fitted "
            "estimator with history_, such as FactorVAETransformer."
        )
    return model

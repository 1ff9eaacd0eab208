"""All checks of a fitted estimator."""

from __future__ import annotations

from typing import Any

from ._components import check_components
from ._conditions import check_conditions
from ._discriminators import check_batch_size, check_discriminator
from ._held_out import check_generalisation, check_likelihood, check_reconstruction
from ._training import check_convergence, check_training
from ._verdict import Verdict, count_active


def check_fit(model: Any) -> list[Verdict]:
    """Return the verdicts on a fitted estimator, one for each check that applies.

    Parameters
    ----------
    model : object
        Fitted. Public attributes and parameters are read, as far as there are any:
        ``history_``, ``n_iter_``, ``max_iter``, ``early_stopping``,
        ``kl_per_component_``, ``active_components_``, ``held_out_``,
        ``weight_decay_``, ``init_criteria_``, ``n_features_in_``, and parameters such
        as ``gamma``.

    Returns
    -------
    verdicts : list of Verdict
        Names are unique.
    """
    history = getattr(model, "history_", {})
    found = [
        check_training(model, history),
        check_convergence(model, history),
        check_components(model),
        check_conditions(model),
        check_generalisation(model),
        check_likelihood(model),
        check_reconstruction(model),
        check_discriminator(history, getattr(model, "gamma", 1), count_active(model)),
        check_batch_size(history),
    ]
    return [verdict for verdict in found if verdict is not None]


def fit_warnings(model: Any) -> list[str]:
    """Return what ``fit`` warns of, such as collapse, or a worse fit than linear.

    Parameters
    ----------
    model : object
        Fitted, as for :func:`check_fit`.

    Returns
    -------
    messages : list of str
        One for each finding, with the advice. A model without active components is
        not compared with linear models.
    """
    checks = (
        check_components,
        check_conditions,
        check_generalisation,
        check_likelihood,
        check_reconstruction,
    )
    found = [verdict for check in checks if (verdict := check(model)) is not None]
    return [f"{v.message} {v.advice}" for v in found if v.level == "warning"]

"""Descriptions of parameters that several estimators declare, and their checks.

A class declares such a parameter by ``shared_parameter(DESCRIPTION, default=...)``, so
that its default stands in the class.
"""

from __future__ import annotations

from typing import Any

from .._validation import NOT_NEGATIVE, POSITIVE, at_least, check_sizes, one_of

BETA: dict[str, Any] = {
    "kind": "float",
    "rules": [NOT_NEGATIVE],
    "description": "Weight of the KL divergence, >= 0.",
}

KEEP: dict[str, Any] = {
    "kind": '{"all", "active"}',
    "rules": [one_of("all", "active")],
    "description": """Components that ``transform`` returns: all, or those in
    ``active_components_`` (and the categories of InfoGAN), so that the number of
    columns can differ between fits. ``inverse_transform`` takes the same columns, with
    all others at zero, or all of them. ``posterior`` returns all.""",
}

GROUPS: dict[str, Any] = {
    "kind": "array-like of int",
    "rules": ["array-like", None],
    "description": """Sizes of groups of components: ``(2, 1, 1)`` allows the first two
    to depend on each other, for a factor that needs two dimensions, such as an
    angle. The total correlation is then that between groups (Esmaeili et al. 2019),
    and components are ordered by information within their group only. None makes
    each component a group.""",
}

DISCRIMINATOR_LAYERS: dict[str, Any] = {
    "kind": "int or array-like of int",
    "rules": [at_least(1), "array-like"],
    "description": """Hidden layers of the discriminator. Larger ones, such as the six
    layers of 1000 in the paper of FactorVAE, take more time and did not improve
    recovery.""",
}

DISCRIMINATOR_RATE: dict[str, Any] = {
    "kind": "float",
    "rules": [POSITIVE],
    "description": """Learning rate of Adam for the discriminator, with the same decay
    as ``learning_rate``. The 1e-4 of Kim & Mnih is for 300,000 steps: after 5000, a
    discriminator with that rate is barely trained.""",
}


def discriminator_options(estimator) -> dict[str, Any]:
    """Return the discriminator's layers and learning rate, checked."""
    return {
        "hidden_layer_sizes": check_sizes(
            "discriminator_hidden_layer_sizes",
            estimator.discriminator_hidden_layer_sizes,
        ),
        "learning_rate": float(estimator.discriminator_learning_rate),
    }

"""Fitted attributes of the estimators: what a file of a fitted estimator holds.

An attribute that a fit sets is added here, to the class that has it; saving, loading
and the checks of a file follow from the declaration.
"""

from __future__ import annotations

import numpy as np

from ..persistence import (
    Array,
    Arrays,
    Entry,
    Labels,
    Plain,
    Series,
    TrainingNames,
    Unsaved,
)

LATENT: dict[str, Entry] = {
    "weights_": Arrays(only_for_training="_training_weights"),
    "history_": Series(),
    "mean_": Array(axes=("q",), may_be_nan=True),  # of columns without any value
    "scale_": Array(axes=("q",), is_positive=True),
    "kl_per_component_": Array(axes=("d",)),
    "active_components_": Array(axes=("active",), kinds="i"),
    "explained_variance_ratio_": Array(axes=("d",), optional=True),
    "separation_": Array(axes=("d",), may_be_nan=True, optional=True),
    "fit_score_": Plain(types=(float,), optional=True),
    "init_": Plain(types=(str,)),
    "init_criteria_": Plain(types=(dict,), optional=True),
    "weight_decay_": Plain(types=(float,)),
    "held_out_": Plain(types=(dict,)),
    "temperature_": Plain(types=(float,)),
    "solver_": Plain(types=(str,)),
    "max_iter_": Plain(types=(int,)),
    "warmup_fraction_": Plain(types=(float,)),
    "n_iter_": Plain(types=(int,)),
    "n_samples_seen_": Plain(types=(int,), optional=True),
    "drift_": Plain(types=(dict,), optional=True),
    "_stream": Unsaved(types=(dict,), optional=True),
    "_model_spec": Plain(types=(dict,)),
    "_table_state": Plain(types=(dict,), optional=True),
    "_column_state": Plain(types=(dict,), optional=True),
    "_column_scores": Plain(types=(dict,), optional=True),
    "_component_names": Labels(types=(str, type(None)), optional=True),
    "_inflation": Array(axes=("q",), may_be_none=True),
    "_training_weights": TrainingNames(types=(tuple,), optional=True),
    "_version": Plain(types=(str,), optional=True),
}
"""Attributes of every estimator of the family."""

SUPERVISED: dict[str, Entry] = {
    **LATENT,
    "attribute_names_": Labels(types=(str,)),
    "attribute_levels_": Labels(types=(np.ndarray, type(None)), kinds="biufUO"),
    "attribute_components_": Labels(types=(np.ndarray,), kinds="i"),
    "_attribute_places": Labels(types=(int,)),
    "_attribute_scales": Labels(types=(tuple,)),
}
"""Attributes of estimators that are given labels."""

CAUSAL: dict[str, Entry] = {
    **SUPERVISED,
    "graph_": Array(axes=("m", "m"), kinds="i"),
}
"""Attributes of estimators that are given labels and a graph of them."""

CONDITIONAL: dict[str, Entry] = {
    **LATENT,
    "_conditions": Plain(types=(dict,), optional=True),
    "_condition_shares": Array(axes=("condition",), optional=True),
    "best_iter_": Plain(types=(int,), optional=True),
}
"""Attributes of estimators that are given conditions, where they were given any."""
